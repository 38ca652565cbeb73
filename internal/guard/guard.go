package guard

import (
	"context"
	"mime"
	"strings"
	"time"

	"sluice/internal/problem"
)

// Request is what the guards need to know of a request.
type Request struct {
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// App is the app's id, AppName what people call it, and Version the builder's own.
	App, AppName, Version string
	// Flow is the id of the flow that the request names; "" for none. Account is the builder's
	// account that it goes into; "" if that is not known.
	Flow, Account string
	// ContentType is the header, "" if there is none or more than one; Body the whole body.
	ContentType string
	Body        []byte
	// Plain are the names that the request gives to files and folders outside of its body.
	Plain []string
	// MayCode reports whether the person has the right to bring code, MayServe whether they may add
	// MCP servers at any address.
	MayCode, MayServe func() bool
	// Stranger tells that nobody is signed in. What they send has the builder asked only for what
	// was not read yet, and never again before it is old.
	Stranger bool
	// Get reads from the builder as the account that the request goes into, at most limit bytes;
	// nil where there is none: only what others have made known counts.
	Get func(ctx context.Context, path string, limit int64) (status int, body []byte, err error)
}

// Check judges a request. Errors: problem.Denied and problem.Invalid with the rule "guard.NAME",
// and problem.Unavailable if what the instance knows could not be read.
type Check func(ctx context.Context, r *Request) error

// Time is the time by the clock of the request.
func (r *Request) Time() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

// Form is how a body is encoded, as far as guards read it.
func Form(r *Request) (kind string, params map[string]string, err error) {
	kind, params, err = mime.ParseMediaType(r.ContentType)
	charset, named := params["charset"]
	switch {
	case err == nil && kind == "application/json" && (!named || strings.EqualFold(charset, "utf-8")),
		err == nil && kind == "multipart/form-data":
		return kind, params, nil
	}
	return "", nil, problem.New(problem.Invalid, "The body must be application/json in UTF-8, or "+
		"multipart/form-data.").WithRule("body.type").
		WithField("Content-Type")
}
