package console

import (
	"net/http"
	"strings"

	"sluice/internal/problem"
)

// mistake is an error that a form can show, so that what was typed is not lost.
type mistake struct {
	status int
	// Text and Next stand above the form; Wrong holds the same at the field, if one is known.
	Text, Next string
	Wrong      wrong
	kind       problem.Kind
}

// formMistake tells whether err is something that the person who filled in the form can fix, or
// wait for. All else is for the error page.
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
		// The builder refused credentials; the person at the form is signed in all right.
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
