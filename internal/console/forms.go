package console

import (
	"net/http"
	"strings"

	"sluice/internal/problem"
)

// mistake is an error that a form can show without losing the typed values.
type mistake struct {
	status int
	// Text and Next appear above the form. Wrong has the same text at the field, if the field is
	// known.
	Text, Next string
	Wrong      wrong
	kind       problem.Kind
}

// formMistake reports whether the person who filled in the form can fix err, or wait for it to
// pass. All other errors go to the error page.
func formMistake(err error, fields ...string) (mistake, bool) {
	e := problem.Of(err)
	switch e.Kind {
	case problem.Invalid,
		problem.Conflict,
		problem.Upstream,
		problem.Timeout,
		problem.Unavailable,
		problem.Limited,
		problem.Unauthenticated:
	default:
		return mistake{}, false
	}
	m := mistake{status: e.Kind.Status(), Text: e.Detail, Next: e.Next, kind: e.Kind}
	if e.Kind == problem.Unauthenticated {
		// The builder refused credentials, but the person at the form is properly signed in.
		m.status = http.StatusUnprocessableEntity
	}
	for _, f := range fields {
		if f == e.Field {
			m.Wrong = wrong{f: strings.TrimSpace(e.Detail + " " + e.Next)}
			m.Text, m.Next = "", ""
		}
	}
	return m, true
}
