package flowise

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

const (
	// renewTimeout bounds one renewal. A sign-in takes a busy Flowise about half a second.
	renewTimeout = 20 * time.Second
	// maxBackoff is the longest pause between failed renewals. It is short so that Sluice
	// reconnects to a restarted Flowise within seconds.
	maxBackoff = 8 * time.Second
	// signInPause is the pause before retrying a sign-in that failed inside Flowise.
	signInPause = 500 * time.Millisecond
	// refusalGrace is how old a session must be before a 401 makes Sluice doubt it. A younger
	// session is not the reason for the 401.
	refusalGrace = 2 * time.Second
	// refusedBackoff is the pause after Flowise refused the owner's credentials; only a person can
	// fix that.
	refusedBackoff = 30 * time.Second
)

// bridge holds one session of the service owner and uses it on behalf of signed-in people. Reading
// it takes no lock. At most one renewal runs at a time, so Flowise never sees two sign-ins at once:
// on SQLite that breaks its session store until a restart.
type bridge struct {
	cfg     builder.BridgeConfig
	client  *builder.Client
	session atomic.Pointer[session]
	keys    flowKeys
	life    context.Context
	stop    context.CancelFunc

	mu       sync.Mutex
	flight   chan struct{} // non-nil while a renewal runs; closed when it finishes
	failures int
	retryAt  time.Time
	lastErr  error
	closed   bool
}

// newBridge creates a bridge that signs in when the first request needs it.
func newBridge(cfg builder.BridgeConfig) *bridge {
	life, stop := context.WithCancel(context.Background())
	return &bridge{cfg: cfg, client: builder.NewClient(cfg.Base, cfg.Client), life: life, stop: stop}
}

// build is Kind.Bridge.
func build(cfg builder.BridgeConfig) *builder.Bridge {
	b := newBridge(cfg)
	return &builder.Bridge{
		Session:   b,
		Connect:   b.connect,
		FlowKey:   b.flowKey,
		SetPublic: b.setPublic,
		Inventory: b.inventory,
		Parent:    b.parent,
		Credentials: &builder.Credentials{
			Put:       b.putCredential,
			Delete:    b.deleteCredential,
			Kinds:     b.credentialKinds,
			FlowsWith: b.flowsWith,
		},
	}
}

// internalCall marks the calls of Flowise's own pages, which carry a session. Calls with an API key
// lack it.
var internalCall = []string{"internal"}

// Attach implements builder.Session.
func (b *bridge) Attach(ctx context.Context, h http.Header, o builder.OnBehalf, e *profile.Endpoint) error {
	if e.Upstream == profile.UpstreamNone || o.Kind == authz.Anonymous {
		return nil
	}
	s, err := b.current(ctx)
	if err != nil {
		return err
	}
	s.attach(h)
	return nil
}

// current returns a usable session: immediately while it is fresh, otherwise after a renewal.
func (b *bridge) current(ctx context.Context) (*session, error) {
	s, now := b.session.Load(), b.cfg.Now()
	if s != nil && now.Before(s.due) {
		return s, nil
	}
	done, err := b.renew(s, false)
	if s != nil && now.Before(s.dead) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	return b.wait(ctx, done)
}

// connect signs in now if the bridge has no session yet, and otherwise says what is wrong. Health
// checks and the server start use it.
func (b *bridge) connect(ctx context.Context) error {
	_, err := b.current(ctx)
	return err
}

// wait blocks until a renewal has finished.
func (b *bridge) wait(ctx context.Context, done <-chan struct{}) (*session, error) {
	select {
	case <-done:
	case <-ctx.Done():
		return nil, problem.New(problem.Unavailable, "Sluice is still signing in to Flowise.").
			WithRetryAfter(time.Second).
			WithCause(ctx.Err())
	}
	if s := b.session.Load(); s != nil {
		return s, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return nil, b.unavailable()
}

// unavailable is the error that people see while the bridge has no session; the cause is in the
// chain. The caller holds mu.
func (b *bridge) unavailable() error {
	pause := max(b.retryAt.Sub(b.cfg.Now()), time.Second)
	p := problem.New(problem.Unavailable, "Sluice currently has no session with Flowise.").
		WithRetryAfter(pause).
		WithCause(b.lastErr)
	if problem.Is(b.lastErr, problem.Unauthenticated) {
		return p.WithNext("Ask an admin to enter the Flowise owner's password again on Sluice's apps page.")
	}
	return p.WithNext("Try again in a few seconds. Sluice reconnects as soon as Flowise answers.")
}

// renew starts a renewal of stale unless one is running, and returns a channel that is closed when
// it finishes. check reports that Flowise refused stale. The renewal then first asks Flowise
// whether it really forgot the session, so that a route that always answers 401 causes no sign-ins.
func (b *bridge) renew(stale *session, check bool) (<-chan struct{}, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, problem.New(problem.Unavailable, "This app is being removed or restarted.").
			WithRetryAfter(time.Second)
	}
	if b.flight != nil {
		return b.flight, nil
	}
	done := make(chan struct{})
	if b.session.Load() != stale {
		close(done)
		return done, nil
	}
	if b.cfg.Now().Before(b.retryAt) {
		return nil, b.unavailable()
	}
	b.flight = done
	go b.run(stale, check, done)
	return done, nil
}

// run performs the renewal; only one runs at a time.
func (b *bridge) run(stale *session, check bool, done chan struct{}) {
	ctx, cancel := context.WithTimeout(b.life, renewTimeout)
	defer cancel()
	s, err := b.fetch(ctx, stale, check)
	b.mu.Lock()
	defer b.mu.Unlock()
	defer close(done)
	b.flight = nil
	if b.closed {
		return
	}
	if err == nil {
		b.failures, b.lastErr, b.retryAt = 0, nil, time.Time{}
		b.session.Store(s)
		return
	}
	pause := min(time.Second<<min(b.failures, 10), maxBackoff)
	if problem.Is(err, problem.Unauthenticated) {
		pause = refusedBackoff
	}
	b.failures, b.lastErr, b.retryAt = b.failures+1, err, b.cfg.Now().Add(pause)
	b.session.Store(s)
}

// fetch gets a good session: the old one if Flowise still knows it, a refreshed one, or a new
// sign-in. With an error it returns a session that is still usable: the old one, unless Flowise
// refused it or it has expired.
func (b *bridge) fetch(ctx context.Context, stale *session, check bool) (*session, error) {
	now := b.cfg.Now()
	if stale != nil && check {
		if alive, err := sessionKnown(ctx, b.client, stale); alive || err != nil {
			return stale, err
		}
	}
	if stale != nil && now.Before(stale.born.Add(sessionLife)) {
		if s, ok := refreshSession(ctx, b.client, stale, now); ok {
			if alive, err := sessionKnown(ctx, b.client, s); alive && err == nil {
				return s, nil
			}
		}
	}
	s, err := b.signIn(ctx, now)
	if err != nil && stale != nil && !check && now.Before(stale.dead) {
		return stale, err
	}
	return s, err
}

// signIn signs in and retries once if Flowise was busy: on SQLite a sign-in fails if there is
// another write at the same moment.
func (b *bridge) signIn(ctx context.Context, now time.Time) (*session, error) {
	s, err := signInOwner(ctx, b.client, b.cfg.Access, now)
	if !problem.Is(err, problem.Unavailable) {
		return s, err
	}
	select {
	case <-time.After(signInPause):
		return signInOwner(ctx, b.client, b.cfg.Access, now)
	case <-ctx.Done():
		return nil, err
	}
}

// Rejected implements builder.Session.
func (b *bridge) Rejected(ctx context.Context, h http.Header) bool {
	sent := h["Cookie"]
	if len(sent) != 1 {
		return false
	}
	s := b.session.Load()
	if s == nil || s.header["Cookie"][0] != sent[0] {
		// Another request renewed it in the meantime, or a renewal is running: current waits for
		// that.
		_, err := b.current(ctx)
		return err == nil
	}
	if b.cfg.Now().Sub(s.born) < refusalGrace {
		return false
	}
	done, err := b.renew(s, true)
	if err != nil {
		return false
	}
	next, err := b.wait(ctx, done)
	return err == nil && next != s
}

// Upstream implements builder.Session.
func (b *bridge) Upstream() map[string]any {
	if s := b.session.Load(); s != nil {
		return s.user
	}
	return nil
}

// Close implements builder.Session: it stops renewals and signs the owner out.
func (b *bridge) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	flight := b.flight
	b.mu.Unlock()
	b.stop()
	b.keys.stop()
	if flight != nil {
		<-flight
	}
	s := b.session.Swap(nil)
	if s == nil {
		return nil
	}
	_, err := b.client.Send(ctx, http.MethodPost, "/api/v1/account/logout", s.header, struct{}{})
	return err
}

// setPublic sets a flow's own isPublic mark. A stranger's request goes to Flowise without any
// session, and Flowise then shows its chat page only for flows with that mark. Errors:
// problem.NotFound if Flowise has no flow with this id, problem.Upstream or Unavailable if Flowise
// gives no usable answer.
func (b *bridge) setPublic(ctx context.Context, _, flowID string, public bool) error {
	if flowID == "" || !profile.PlainID(flowID) {
		return problem.New(problem.Invalid, "This is not the id of a flow.").WithField("flow_id")
	}
	s, err := b.current(ctx)
	if err != nil {
		return err
	}
	r, err := b.client.Send(
		ctx,
		http.MethodPut,
		"/api/v1/chatflows/"+flowID,
		s.header,
		map[string]bool{"isPublic": public},
	)
	if err != nil {
		return err
	}
	id, _ := r.Object()["id"].(string)
	switch {
	case r.Status == http.StatusOK && id == flowID:
		return nil
	case r.Status == http.StatusNotFound, strings.Contains(r.Text("message"), "not found"):
		return problem.New(problem.NotFound, "There is no flow with this id in Flowise.").WithField("flow_id").
			WithNext("Copy the id from the end of the flow's address in the builder.")
	}
	return problem.Newf(problem.Upstream, "Flowise refused the change (status %d).", r.Status).
		WithNext("See Flowise's log.")
}
