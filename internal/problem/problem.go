package problem

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Kind classifies a problem; it determines the HTTP status and whether a retry makes sense.
type Kind uint8

// The kinds, each with its HTTP status.
const (
	// Internal is every unexpected error: 500, without a text of its own.
	Internal Kind = iota
	// Invalid is a request that can never succeed unchanged: 400.
	Invalid
	// Unauthenticated means that the client is not signed in, or that its credential was invalid:
	// 401.
	Unauthenticated
	// Denied means that the person is known and has no right to the request: 403.
	Denied
	// NotFound covers objects that do not exist, and those that the person may not know about: 404.
	NotFound
	// Method means that the path exists, but does not accept the method: 405.
	Method
	// Conflict is a request that contradicts the current state: 409.
	Conflict
	// Gone is something that existed once and is no longer usable, such as a used link: 410.
	Gone
	// TooLarge is a body, header or value above its limit: 413.
	TooLarge
	// Limited means too many attempts or requests; RetryAfter says when to try again: 429.
	Limited
	// Upstream means that the builder gave no usable answer: 502.
	Upstream
	// Unavailable means that Sluice or the builder is temporarily busy or down: 503.
	Unavailable
	// Timeout means that the builder did not answer in time: 504.
	Timeout
	// StepUp means that the person must confirm their identity again: 401 (RFC 9470 section 3).
	StepUp
)

var kinds = [...]struct {
	status int
	slug   string
	title  string
}{
	Internal:        {http.StatusInternalServerError, "internal", "Something went wrong in Sluice"},
	Invalid:         {http.StatusBadRequest, "invalid", "The request was not understood"},
	Unauthenticated: {http.StatusUnauthorized, "unauthenticated", "Not signed in"},
	Denied:          {http.StatusForbidden, "denied", "Not allowed"},
	NotFound:        {http.StatusNotFound, "not-found", "Not found"},
	Method:          {http.StatusMethodNotAllowed, "method", "Method not allowed"},
	Conflict:        {http.StatusConflict, "conflict", "This contradicts what is there"},
	Gone:            {http.StatusGone, "gone", "No longer valid"},
	TooLarge:        {http.StatusRequestEntityTooLarge, "too-large", "Too large"},
	Limited:         {http.StatusTooManyRequests, "limited", "Too many attempts"},
	Upstream:        {http.StatusBadGateway, "upstream", "The builder gave no usable answer"},
	Unavailable:     {http.StatusServiceUnavailable, "unavailable", "Not available at the moment"},
	Timeout:         {http.StatusGatewayTimeout, "timeout", "The builder did not answer in time"},
	StepUp:          {http.StatusUnauthorized, "step-up", "Confirm your identity"},
}

// Status returns the HTTP status of the kind.
func (k Kind) Status() int { return kinds[k].status }

// Title returns the short human-readable name of the kind.
func (k Kind) Title() string { return kinds[k].title }

// String returns the stable machine-readable name of the kind, also the last part of the problem's
// type URI.
func (k Kind) String() string { return kinds[k].slug }

// Error is an error that is safe to show. Build it with New and complete it with the With methods;
// each returns a copy.
type Error struct {
	// Kind determines the status.
	Kind Kind
	// Detail is one sentence for the client. It never holds a secret.
	Detail string
	// Next is the recommended next step; may be empty.
	Next string
	// Field names the form field, body key or variable that the problem concerns; may be empty.
	Field string
	// Rule names the policy or rule that decided; may be empty.
	Rule string
	// RetryAfter is how long to wait before another try; 0 if a retry makes no sense.
	RetryAfter time.Duration
	// MaxAge is the maximum age of a proof of identity; only with StepUp, 0 leaves it open.
	MaxAge time.Duration

	cause error
}

// New creates an error of a kind with a sentence that is safe to show.
func New(k Kind, detail string) *Error { return &Error{Kind: k, Detail: detail} }

// Newf is New with a format; its arguments must be safe to show.
func Newf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Detail: fmt.Sprintf(format, args...)}
}

// Error is for logs: it includes the cause.
func (e *Error) Error() string {
	msg := e.Detail
	if msg == "" {
		msg = e.Kind.Title()
	}
	if e.Field != "" {
		msg = e.Field + ": " + msg
	}
	if e.cause != nil {
		msg += ": " + e.cause.Error()
	}
	return msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// WithNext adds the next step.
func (e *Error) WithNext(next string) *Error { c := *e; c.Next = next; return &c }

// WithField names the field that the problem concerns.
func (e *Error) WithField(field string) *Error { c := *e; c.Field = field; return &c }

// WithRule names the rule that decided.
func (e *Error) WithRule(rule string) *Error { c := *e; c.Rule = rule; return &c }

// WithRetryAfter sets how long to wait before another try.
func (e *Error) WithRetryAfter(d time.Duration) *Error { c := *e; c.RetryAfter = d; return &c }

// WithMaxAge sets the maximum age of a proof of identity.
func (e *Error) WithMaxAge(d time.Duration) *Error { c := *e; c.MaxAge = d; return &c }

// WithCause keeps the cause for the log; it is never shown.
func (e *Error) WithCause(err error) *Error { c := *e; c.cause = err; return &c }

// Of finds the *Error in a chain. An error without one becomes Internal, with a text that reveals
// nothing about its cause.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{
		Kind: Internal, Detail: "Sluice could not finish this. Nothing was changed.",
		Next: "Try again; if it stays, look for the request's id in Sluice's log.", cause: err,
	}
}

// Is reports whether err is, or wraps, an Error of this kind.
func Is(err error, k Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == k
}
