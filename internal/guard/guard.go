package guard

import (
	"context"
	"mime"
	"strings"
	"time"

	"sluice/internal/problem"
)

// Request holds everything that guards need to know about a request.
type Request struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// App is the app's id, AppName its name for people, and Version the builder's own version.
	App, AppName, Version string
	// Flow is the id of the flow that the request names; "" for none. Account is the builder
	// account that it goes into; "" while unknown.
	Flow, Account string
	// ContentType is the header, or "" if it is missing or repeated. Body is the whole body.
	ContentType string
	Body        []byte
	// Plain are the names that the request gives to files and folders outside its body.
	Plain []string
	// MayCode reports whether the person has permission to bring code, MayServe whether they may
	// add MCP servers at any address.
	MayCode, MayServe func() bool
	// Stranger reports that the person is not signed in. Guards then ask the builder only for
	// things that were never read or whose reading has become old.
	Stranger bool
	// Get reads from the builder with the account that the request goes into, at most limit bytes.
	// If it is nil, guards only use knowledge from earlier requests.
	Get func(ctx context.Context, path string, limit int64) (status int, body []byte, err error)
}

// Check judges a request. Errors: problem.Denied and problem.Invalid with the rule "guard.NAME",
// and problem.Unavailable if the instance's knowledge could not be read.
type Check func(ctx context.Context, r *Request) error

// Time is the current time by the request's clock.
func (r *Request) Time() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

// Form returns the encoding of a body, if guards can read it.
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
