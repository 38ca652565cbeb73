package guard

import (
	"context"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"sluice/internal/problem"
)

const (
	// maxCatalogue bounds each answer about what an instance ships with; Langflow 1.13's largest has 4.5 MB.
	maxCatalogue = 64 << 20
	// maxStored bounds a stored flow, and maxFlows all of an account's.
	maxStored = 32 << 20
	maxFlows  = 64 << 20
	// refreshEvery is how long what is known stays, when something unknown comes.
	refreshEvery = 30 * time.Second
)

// Where Langflow tells what it ships with. Only the first has to answer: 1.6 has no starter projects without all of its optional packages.
var shipped = [...]string{"/api/v1/all", "/api/v1/flows/basic_examples/", "/api/v1/starter-projects/"}

// instance is what the guard keeps for one app.
type instance struct {
	mu       sync.Mutex
	version  string
	read     time.Time
	known    *knowledge
	accounts map[string]*account
}

// account is the code in all flows of one of the builder's accounts.
type account struct {
	read  time.Time
	known *knowledge
}

func (g *Guard) instance(app string) *instance {
	if v, ok := g.apps.Load(app); ok {
		return v.(*instance)
	}
	v, _ := g.apps.LoadOrStore(app, &instance{accounts: map[string]*account{}})
	return v.(*instance)
}

// shipped is what the instance ships with. One request reads it and the others wait. With again it is read once more, unless that was done lately.
func (g *Guard) shipped(ctx context.Context, r *Request, again bool) (*knowledge, error) {
	in := g.instance(r.App)
	in.mu.Lock()
	defer in.mu.Unlock()
	if fresh := in.known != nil && in.version == r.Version; fresh && (!again || g.now().Sub(in.read) < refreshEvery) {
		return in.known, nil
	}
	k := &knowledge{claims: map[id]struct{}{}, runners: map[[sha256.Size]byte]runner{}}
	for i, path := range shipped {
		v, err := ask(ctx, r, path, maxCatalogue)
		if err != nil || v == nil {
			if i > 0 && ctx.Err() == nil {
				continue
			}
			return nil, notKnown(r, err)
		}
		f := walk(v, true)
		k.recognise(f)
		k.learn(f.claims)
		if i > 0 {
			k.learn(f.runnerClaims(k.runner))
		}
	}
	in.version, in.read, in.known = r.Version, g.now(), k
	return k, nil
}

// stored is what stands in the flow as it is stored now; nil if there is none.
func (g *Guard) stored(ctx context.Context, r *Request, ships *knowledge) (*knowledge, error) {
	if r.Flow == "" {
		return nil, nil
	}
	v, err := ask(ctx, r, "/api/v1/flows/"+r.Flow, maxStored)
	if err != nil {
		return nil, notKnown(r, err)
	}
	return fromFlows(v, ships), nil
}

// everywhere is what stands in any flow of the account, for requests about single components, which do not say of which flow.
func (g *Guard) everywhere(ctx context.Context, r *Request, ships *knowledge) (*knowledge, error) {
	if r.Account == "" {
		return nil, nil
	}
	in := g.instance(r.App)
	in.mu.Lock()
	defer in.mu.Unlock()
	if a := in.accounts[r.Account]; a != nil && g.now().Sub(a.read) < refreshEvery {
		return a.known, nil
	}
	v, err := ask(ctx, r, "/api/v1/flows/?get_all=true", maxFlows)
	if err != nil {
		return nil, notKnown(r, err)
	}
	if len(in.accounts) >= maxAccounts {
		clear(in.accounts)
	}
	a := &account{read: g.now(), known: fromFlows(v, ships)}
	in.accounts[r.Account] = a
	return a.known, nil
}

// maxAccounts bounds how many accounts' code is remembered for an app; it is read again when it is needed.
const maxAccounts = 256

func fromFlows(v *value, ships *knowledge) *knowledge {
	if v == nil {
		return nil
	}
	k := &knowledge{claims: map[id]struct{}{}, runners: map[[sha256.Size]byte]runner{}}
	f := walk(v, true)
	k.recognise(f)
	k.learn(f.claims)
	k.learn(f.runnerClaims(either(ships, k)))
	return k
}

// either asks two sources.
func either(a, b *knowledge) func([sha256.Size]byte) (runner, bool) {
	return func(code [sha256.Size]byte) (runner, bool) {
		if r, ok := a.runner(code); ok {
			return r, ok
		}
		return b.runner(code)
	}
}

// ask reads a JSON document of the builder's; nil if there is none.
func ask(ctx context.Context, r *Request, path string, limit int64) (*value, error) {
	status, body, err := r.Get(ctx, path, limit)
	if err != nil {
		return nil, err
	}
	switch {
	case status == http.StatusNotFound:
		return nil, nil
	case status != http.StatusOK:
		return nil, problem.Newf(problem.Upstream, "%s answered %d.", r.AppName, status)
	}
	v, err := parse(body)
	if err != nil {
		return nil, problem.Newf(problem.Upstream, "%s gave an answer that is not JSON: %v.", r.AppName, err)
	}
	return &v, nil
}

func notKnown(r *Request, cause error) error {
	return problem.Newf(problem.Unavailable, "Sluice could not read from %s which code it knows, so that it cannot tell whether this brings new code.", r.AppName).
		WithRule("guard.code").WithRetryAfter(5 * time.Second).WithNext("Try again in a few seconds; if it stays, ask an admin to look at the builder.").WithCause(cause)
}
