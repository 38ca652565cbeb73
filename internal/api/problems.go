package api

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/internal/problem"
	"sluice/internal/web"
)

// stepUpNext is the advice for a proof of identity that is too old.
const stepUpNext = "POST " + Prefix + "/me/confirmation with your password, or a code if you have a second factor; " +
	"then send this again."

// failure carries a handler's error through huma to the transformer, which creates the document.
type failure struct{ problem *problem.Error }

// Error implements error.
func (f *failure) Error() string { return f.problem.Error() }

// GetStatus implements huma.StatusError.
func (f *failure) GetStatus() int { return f.problem.Kind.Status() }

// fail answers with an error that occurred before or outside huma.
func (x *visit) fail(err error) {
	if web.ClientGone(x.r, err) {
		x.event.Reason, x.w.status = "client gone", web.StatusClientGone
		return
	}
	e := x.mistake(err)
	x.note(e)
	problem.WriteJSON(x.w, e, x.event.ID)
}

// mistake finds the problem in an error. A capability never asks signed-in people to sign in: if it
// reports Unauthenticated, a credential in the request was wrong. People who must confirm their
// identity learn how.
func (x *visit) mistake(err error) *problem.Error {
	e := problem.Of(err)
	switch {
	case e.Kind == problem.Unauthenticated && x.who.SignedIn():
		wrong := *e
		wrong.Kind = problem.Invalid
		return &wrong
	case e.Kind == problem.StepUp:
		return e.WithMaxAge(x.cfg.StepUp).WithNext(stepUpNext)
	}
	return e
}

// note records the answered error for the log.
func (x *visit) note(e *problem.Error) {
	x.failed = e
	x.event.Reason, x.event.Cause = cmp.Or(e.Rule, e.Kind.String()), e.Unwrap()
}

// document is huma's last step before an answer is written: all errors, including huma's own,
// become problem documents.
func document(ctx huma.Context, _ string, v any) (any, error) {
	x := ctx.(*exchange).x
	switch v := v.(type) {
	case *failure:
		x.note(v.problem)
	case *huma.ErrorModel:
		x.note(translate(v))
	default:
		return v, nil
	}
	x.failed.SetHeaders(x.w.Header())
	x.w.Header().Set("Content-Type", problem.ContentType)
	return x.failed.Document(x.event.ID), nil
}

// translate turns an error that huma found in a request into a problem. It does not show values,
// because a body may hold a password.
func translate(m *huma.ErrorModel) *problem.Error {
	switch m.Status {
	case http.StatusRequestEntityTooLarge:
		return problem.Newf(problem.TooLarge, "A body can have at most %d KiB.", maxBody>>10)
	case http.StatusRequestTimeout:
		return problem.Newf(problem.Invalid, "The body did not arrive within %.0f seconds.", bodyTime.Seconds()).
			WithField("body")
	case http.StatusUnsupportedMediaType:
		return problem.New(problem.Invalid, "The body is not declared as JSON.").
			WithField("Content-Type").
			WithNext("Send it with Content-Type: application/json.")
	case http.StatusInternalServerError:
		if m.Detail == "cannot read request body" {
			return problem.New(problem.Invalid, "The body ended too early.").WithField("body")
		}
		return problem.Of(errors.New(m.Detail))
	}
	if len(m.Errors) == 0 {
		return problem.New(problem.Invalid, "This request needs a body in JSON.").WithField("body")
	}
	first := slices.MinFunc(
		m.Errors,
		func(a, b *huma.ErrorDetail) int { return strings.Compare(a.Location+a.Message, b.Location+b.Message) },
	)
	field, text := wrong(first)
	if more := len(m.Errors) - 1; more > 0 {
		text += fmt.Sprintf(" There are %d more errors.", more)
	}
	return problem.New(problem.Invalid, text).WithField(field)
}

// wrong describes where and how a request is wrong.
func wrong(d *huma.ErrorDetail) (field, text string) {
	place, name, _ := strings.Cut(d.Location, ".")
	field = shorten(cmp.Or(name, place, "body"))
	if missing, ok := strings.CutPrefix(d.Message, "expected required property "); ok {
		missing = strings.TrimSuffix(missing, " to be present")
		return strings.TrimPrefix(field+"."+missing, "body."), fmt.Sprintf("%q is missing.", missing)
	}
	switch {
	case d.Message == "unexpected property":
		return field, fmt.Sprintf("This request has no field %q.", field)
	case d.Message == "unknown query parameter":
		return field, fmt.Sprintf("This request has no parameter %q.", field)
	case strings.HasPrefix(d.Message, "required "):
		return field, fmt.Sprintf("%q is missing.", field)
	case strings.HasPrefix(d.Message, "json: "):
		return field, "A value does not fit its field; see " + Prefix + "/docs for the form of each."
	}
	if reason, ok := strings.CutPrefix(d.Message, notJSON); ok {
		return field, "The body is not valid JSON: " + reason + "."
	}
	if strings.HasPrefix(d.Message, "expected number ") {
		return field, fmt.Sprintf("The value of %q is wrong. Expected: a %s.", field, expected(d.Message))
	}
	return field, fmt.Sprintf(
		"The value of %q is wrong. Expected: %s. Given: %s.",
		field,
		expected(d.Message),
		given(d.Value),
	)
}

// expected rewords huma's sentence on what it expects.
func expected(message string) string {
	text := strings.TrimPrefix(strings.TrimPrefix(message, "expected "), "invalid ")
	switch text {
	case "string":
		return "a text"
	case "integer", "number", "boolean", "object":
		return map[bool]string{true: "an ", false: "a "}[text[0] == 'i' || text[0] == 'o'] + text
	case "array":
		return "a list"
	}
	if rest, ok := strings.CutPrefix(text, "length "); ok {
		text = "a text " + rest + " characters"
	}
	if rest, ok := strings.CutPrefix(text, "array length "); ok {
		text = "a list " + rest + " entries"
	}
	text = strings.TrimPrefix(text, "string to be ")
	text = strings.TrimPrefix(text, "value to be ")
	return strings.NewReplacer("string to match pattern", "a text that matches", "<=", "of at most", ">=",
		"of at least").
		Replace(text)
}

// given names the type of a value, never the value.
func given(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case float64, int, int64:
		return "a number"
	case string:
		return fmt.Sprintf("a text of length %d", len([]rune(v)))
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	case map[string]any:
		return "an object"
	}
	return "another one"
}

// shorten bounds the length of a client-chosen name in an answer.
func shorten(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
