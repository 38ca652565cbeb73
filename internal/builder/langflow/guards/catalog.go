package guards

import (
	"context"
	"crypto/sha256"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/guard"
	"sluice/internal/problem"
)

const (
	// maxCatalogue bounds each answer about the code that an instance ships with. Langflow 1.13's
	// largest has 4.5 MB.
	maxCatalogue = 64 << 20
	// maxStored bounds a stored flow, and maxFlows all flows of an account.
	maxStored = 32 << 20
	maxFlows  = 64 << 20
	// refreshEvery is how old knowledge may be when a request brings something unknown.
	refreshEvery = 30 * time.Second
)

// shipped are the paths where Langflow lists the code it ships with. Only the first must answer:
// 1.6 has no starter projects unless all of its optional packages are installed.
var shipped = [...]string{"/api/v1/all", "/api/v1/flows/basic_examples/", "/api/v1/starter-projects/"}

// instance is the guard's memory of one app.
type instance struct {
	ships    atomic.Pointer[reading]
	loading  flight
	mu       sync.Mutex
	accounts map[string]*account
}

// reading is the result of one reading and its time. A failed one has no knowledge.
type reading struct {
	version string
	at      time.Time
	known   *knowledge
	err     error
}

// account is the code in all flows of one of the builder's accounts.
type account struct {
	loading flight
	last    atomic.Pointer[reading]
}

// flight lets one request at a time read something. The others can wait for it as long as they
// like.
type flight struct {
	mu   sync.Mutex
	done chan struct{} // non-nil during a reading; closed when it finishes
}

// begin reports whether the caller must read, and then call end. Otherwise done is closed when the
// current reader finishes.
func (f *flight) begin() (done <-chan struct{}, reads bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done != nil {
		return f.done, false
	}
	f.done = make(chan struct{})
	return f.done, true
}

func (f *flight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.done)
	f.done = nil
}

// read returns the reading in last if it is good, and otherwise a new one from the function read.
// If another request is reading, it waits until ctx is done at most, and then returns the previous
// knowledge, if any. A reading that failed because its own request was canceled is not stored for
// others.
func read(
	ctx context.Context,
	r *guard.Request,
	f *flight,
	last *atomic.Pointer[reading],
	again bool,
	read func() (*knowledge, error),
) (*knowledge, error) {
	for {
		now := last.Load()
		if good(r, now, again) {
			return now.known, now.err
		}
		done, reads := f.begin()
		if reads {
			return readNow(ctx, r, f, last, read)
		}
		select {
		case <-done:
		case <-ctx.Done():
			if now != nil && now.known != nil && now.version == r.Version {
				return now.known, nil
			}
			return nil, notKnown(r, ctx.Err())
		}
	}
}

func readNow(
	ctx context.Context, r *guard.Request, f *flight, last *atomic.Pointer[reading], read func() (*knowledge, error),
) (*knowledge, error) {
	defer f.end()
	k, err := read()
	if err == nil || ctx.Err() == nil {
		last.Store(&reading{version: r.Version, at: r.Time(), known: k, err: err})
	}
	return k, err
}

func (g *Guard) instance(app string) *instance {
	if v, ok := g.apps.Load(app); ok {
		return v.(*instance)
	}
	v, _ := g.apps.LoadOrStore(app, &instance{accounts: map[string]*account{}})
	return v.(*instance)
}

// good reports whether a reading is usable. With again it must be younger than refreshEvery. A
// failure is reused for a moment, so that requests that waited for it do not wait again.
func good(r *guard.Request, last *reading, again bool) bool {
	if last == nil || last.version != r.Version {
		return false
	}
	age := r.Time().Sub(last.at)
	return last.err != nil && age < failedFor || last.err == nil && (!again || age < refreshEvery)
}

// failedFor is how long Sluice does not ask the builder again after it failed to answer.
const failedFor = 2 * time.Second

// shipped is the code that the instance ships with. One request reads it, see read. With again it
// is read once more, unless the last reading is recent.
func (g *Guard) shipped(ctx context.Context, r *guard.Request, again bool) (*knowledge, error) {
	in := g.instance(r.App)
	if r.Get == nil {
		last := in.ships.Load()
		switch {
		case good(r, last, again):
			return last.known, last.err
		case last != nil && last.known != nil:
			return last.known, nil
		}
		return nil, notKnown(r, nil)
	}
	return read(ctx, r, &in.loading, &in.ships, again, func() (*knowledge, error) {
		k, err := readShipped(ctx, r)
		if old := in.ships.Load(); err != nil && old != nil && old.known != nil && old.version == r.Version {
			return old.known, nil // previous knowledge remains valid
		}
		return k, err
	})
}

func readShipped(ctx context.Context, r *guard.Request) (*knowledge, error) {
	k := newKnowledge()
	for i, path := range shipped {
		v, err := ask(ctx, r, path, maxCatalogue)
		if err != nil || v == nil {
			if i > 0 && ctx.Err() == nil {
				continue
			}
			return nil, notKnown(r, err)
		}
		f := walk(v, true)
		k.recognize(f)
		k.learn(f.claims)
		if i > 0 {
			k.learn(f.runnerClaims(k.runner))
		}
	}
	return k, nil
}

// stored is the knowledge from the stored flow; nil if the request names no stored flow.
func (g *Guard) stored(ctx context.Context, r *guard.Request, ships *knowledge) (*knowledge, error) {
	if r.Flow == "" || r.Get == nil {
		return nil, nil
	}
	v, err := ask(ctx, r, "/api/v1/flows/"+r.Flow, maxStored)
	if err != nil {
		return nil, notKnown(r, err)
	}
	return fromFlows(v, ships), nil
}

// everywhere is the knowledge from all flows of the account. It is for requests about single
// components, which do not name their flow, and for strangers. It is read at most once in
// refreshEvery.
func (g *Guard) everywhere(ctx context.Context, r *guard.Request, ships *knowledge) (*knowledge, error) {
	if r.Account == "" || r.Get == nil {
		return nil, nil
	}
	a := g.instance(r.App).account(r.Account)
	return read(ctx, r, &a.loading, &a.last, true, func() (*knowledge, error) {
		v, err := ask(ctx, r, "/api/v1/flows/?get_all=true", maxFlows)
		if err != nil {
			return nil, notKnown(r, err)
		}
		return fromFlows(v, ships), nil
	})
}

// maxAccounts bounds how many accounts' code is remembered for an app. Forgotten code is read again
// when needed.
const maxAccounts = 256

func (in *instance) account(id string) *account {
	in.mu.Lock()
	defer in.mu.Unlock()
	a := in.accounts[id]
	if a == nil {
		if len(in.accounts) >= maxAccounts {
			clear(in.accounts)
		}
		a = &account{}
		in.accounts[id] = a
	}
	return a
}

// forget discards the knowledge of the account's flows, so that they are read again.
func (g *Guard) forget(r *guard.Request) {
	in := g.instance(r.App)
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.accounts, r.Account)
}

func fromFlows(v *guard.Value, ships *knowledge) *knowledge {
	if v == nil {
		return nil
	}
	k := newKnowledge()
	f := walk(v, true)
	k.recognize(f)
	k.learn(f.claims)
	k.learn(f.runnerClaims(either(ships, k)))
	return k
}

// either looks in both sources.
func either(a, b *knowledge) func([sha256.Size]byte) (runner, bool) {
	return func(code [sha256.Size]byte) (runner, bool) {
		if r, ok := a.runner(code); ok {
			return r, ok
		}
		return b.runner(code)
	}
}

// ask reads a JSON document from the builder; nil if the builder does not have it.
func ask(ctx context.Context, r *guard.Request, path string, limit int64) (*guard.Value, error) {
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
	v, err := guard.Parse(body)
	if err != nil {
		return nil, problem.Newf(problem.Upstream, "%s sent an answer that is not JSON: %v.", r.AppName, err)
	}
	return &v, nil
}

func notKnown(r *guard.Request, cause error) error {
	return problem.Newf(problem.Unavailable, "Sluice could not read from %s which code it knows, so it cannot "+
		"check whether this request brings new code.", r.AppName).
		WithRule("guard.code").WithRetryAfter(5 * time.Second).
		WithNext("Try again in a few seconds. If it fails again, ask an admin to check the builder.").
		WithCause(cause)
}

// id identifies a claim.
type id struct {
	what what
	key  [sha256.Size]byte
}

// knowledge is the code that an instance, or one of its flows, is known to have.
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

// runner reports whether code belongs to a component that executes its inputs.
func (k *knowledge) runner(code [sha256.Size]byte) (runner, bool) {
	if k == nil {
		return runner{}, false
	}
	r, ok := k.runners[code]
	return r, ok
}

// learn adds the claims of a document from the instance itself. It skips claims that are never
// allowed.
func (k *knowledge) learn(claims []claim) {
	for i := range claims {
		if w := claims[i].what; w != whatNameless && w != whatBroken {
			k.claims[id{w, claims[i].key}] = struct{}{}
		}
	}
}

// recognize finds the components that execute their inputs, by their names and by their code.
func (k *knowledge) recognize(f *findings) {
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
