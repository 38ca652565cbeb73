package guard

import (
	"context"
	"crypto/sha256"
	"fmt"
	"mime"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/internal/problem"
)

// Request is what the guards need to know of a request.
type Request struct {
	// Guards are the names of those it has to pass.
	Guards []string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// App is the app's id, AppName what people call it, and Version the builder's own.
	App, AppName, Version string
	// Flow is the id of the flow that the request names; "" for none. Account is the builder's account that it goes into; "" if that is not known.
	Flow, Account string
	// ContentType is the header, "" if there is none or more than one; Body the whole body.
	ContentType string
	Body        []byte
	// Plain are the names that the request gives to files and folders outside of its body.
	Plain []string
	// MayCode reports whether the person has the right to bring code, MayServe whether they may add MCP servers at any address.
	MayCode, MayServe func() bool
	// Stranger tells that nobody is signed in. What they send has the builder asked only for what was not read yet, and never again before it is old.
	Stranger bool
	// Get reads from the builder as the account that the request goes into, at most limit bytes; nil where there is none: only what others have made known counts.
	Get func(ctx context.Context, path string, limit int64) (status int, body []byte, err error)
}

// Check judges a request. Errors: problem.Denied and problem.Invalid with the rule "guard.NAME", and problem.Unavailable
// if what the instance knows could not be read.
type Check func(ctx context.Context, r *Request) error

// Guard keeps what instances are known to have. It is safe for concurrent use.
type Guard struct {
	apps sync.Map // app id -> *instance
}

// Check takes a request through the guards that it names.
func (g *Guard) Check(ctx context.Context, r *Request) error {
	all := g.Checks()
	for _, name := range r.Guards {
		check := all[name]
		if check == nil {
			return fmt.Errorf("there is no guard %q", name)
		}
		if err := check(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (r *Request) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

// Checks are the guards by their names.
func (g *Guard) Checks() map[string]Check {
	plain := func(check func(*Request) error) Check {
		return func(_ context.Context, r *Request) error { return check(r) }
	}
	return map[string]Check{
		"code":      func(ctx context.Context, r *Request) error { return g.code(ctx, r, false) },
		"component": func(ctx context.Context, r *Request) error { return g.code(ctx, r, true) },
		"tweaks":    plain(tweaks),
		"mcp":       plain(mcp),
		"upload":    plain(upload),
		"files":     plain(files),
		"name":      plain(names),
	}
}

// form is how a body is encoded, as far as guards read it.
func form(r *Request) (kind string, params map[string]string, err error) {
	kind, params, err = mime.ParseMediaType(r.ContentType)
	charset, named := params["charset"]
	switch {
	case err == nil && kind == "application/json" && (!named || strings.EqualFold(charset, "utf-8")), err == nil && kind == "multipart/form-data":
		return kind, params, nil
	}
	return "", nil, problem.New(problem.Invalid, "The body must be application/json in UTF-8, or multipart/form-data.").WithRule("body.type").WithField("Content-Type")
}

// documents are the JSON texts in a body: itself, or the files of a form, those inside zip archives among them.
func documents(r *Request) ([]value, error) {
	if len(r.Body) == 0 {
		return nil, nil
	}
	kind, params, err := form(r)
	if err != nil {
		return nil, err
	}
	texts := [][]byte{r.Body}
	if kind != "application/json" {
		if texts, err = uploadedJSON(r.Body, params["boundary"]); err != nil {
			return nil, err
		}
	}
	out := make([]value, 0, len(texts))
	for _, data := range texts {
		v, err := parse(data)
		if err != nil {
			return nil, problem.Newf(problem.Invalid, "The body cannot be passed on: %v.", err).WithRule("body.json")
		}
		out = append(out, v)
	}
	return out, nil
}

// id is what makes a claim known.
type id struct {
	what what
	key  [sha256.Size]byte
}

// knowledge is what an instance, or a flow that it holds, is known to have.
type knowledge struct {
	claims  map[id]struct{}
	runners map[[sha256.Size]byte]runner
}

func newKnowledge() *knowledge {
	return &knowledge{claims: map[id]struct{}{}, runners: map[[sha256.Size]byte]runner{}}
}

func (k *knowledge) has(c *claim) bool {
	if k == nil {
		return false
	}
	_, ok := k.claims[id{c.what, c.key}]
	return ok
}

// runner tells whether code is that of a component which executes its inputs.
func (k *knowledge) runner(code [sha256.Size]byte) (runner, bool) {
	if k == nil {
		return runner{}, false
	}
	r, ok := k.runners[code]
	return r, ok
}

// learn adds the claims of a document that the instance itself gave, but none that nobody may make.
func (k *knowledge) learn(claims []claim) {
	for i := range claims {
		if w := claims[i].what; w != whatNameless && w != whatBroken {
			k.claims[id{w, claims[i].key}] = struct{}{}
		}
	}
}

// recognise finds out which of the components execute their inputs, by their names and by their code.
func (k *knowledge) recognise(f *findings) {
	for i := range f.components {
		c := &f.components[i]
		r, ok := runnerOf(c.names)
		if !ok && !runsInputs.MatchString(f.sources[c.code]) {
			continue
		}
		if _, known := k.runners[c.code]; !known || !ok {
			k.runners[c.code] = r
		}
	}
}

// unknown are the claims that none of the sources has.
func unknown(claims []claim, sources ...*knowledge) []claim {
	return slices.DeleteFunc(slices.Clone(claims), func(c claim) bool {
		for _, k := range sources {
			if k.has(&c) {
				return true
			}
		}
		return false
	})
}
