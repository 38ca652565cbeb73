package langflow

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// patience bounds one piece of the bridge's work; a sign-in that Langflow puts off takes a minute.
const patience = 100 * time.Second

// The ways into accounts.
const (
	// External lets Langflow verify tokens that Sluice signs, by Sluice's published keys (external
	// authentication, from 1.10).
	External builder.Mode = "external"
	// Signed signs Langflow's own tokens with the secret key that both share.
	Signed builder.Mode = "signed"
	// SignIn signs each account in with a password that only Sluice knows.
	SignIn builder.Mode = "sign-in"
)

// audience is the audience of the assertions for a Langflow.
const audience = "langflow"

const (
	// refusalGrace is how old a session must be before a 401 casts doubt on it: a younger one is
	// not the reason.
	refusalGrace = 2 * time.Second
	// refusedBackoff is the pause after Langflow refused what Sluice has; only a person can change
	// that.
	refusedBackoff = 30 * time.Second
	// maxBackoff is the longest pause between other failures, so that a restarted Langflow is found
	// within seconds.
	maxBackoff = 8 * time.Second
)

// bridge carries people into the accounts of a Langflow. Reading it takes no lock; each account is
// signed in, made or given a key by one piece of work at a time.
type bridge struct {
	cfg     builder.BridgeConfig
	client  *builder.Client
	dir     atomic.Pointer[directory]
	skew    atomic.Int64 // how much later Langflow's clock is, in ns
	life    context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex // held while dir is replaced, and for making
	making map[homeKey]*singleFlight

	root    atomic.Pointer[superuser]
	rooting singleFlight
	signIns sync.Mutex   // one sign-in at a time: they are counted
	waitFor atomic.Int64 // when Langflow takes the next sign-in, in unix ns
}

// newBridge is a bridge that does nothing until a request needs it.
func newBridge(cfg builder.BridgeConfig) *bridge {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	life, stop := context.WithCancel(context.Background())
	b := &bridge{
		cfg:    cfg,
		client: builder.NewClient(cfg.Base, cfg.Client),
		life:   life,
		stop:   stop,
		making: map[homeKey]*singleFlight{},
	}
	b.dir.Store(newDirectory(nil))
	b.setAccounts(cfg.Accounts)
	return b
}

// build is Kind.Bridge.
func build(cfg builder.BridgeConfig) *builder.Bridge {
	b := newBridge(cfg)
	return &builder.Bridge{
		Session:   b,
		Connect:   b.connect,
		SetPublic: b.setPublic,
		Inventory: b.inventory,
		FlowsOf:   b.flowsOf,
		Accounts: &builder.Accounts{
			Set:       b.setAccounts,
			Of:        b.of,
			Own:       b.ownAccount,
			Find:      b.find,
			FlowNamed: b.flowNamed,
			HomeOf:    b.workspaceOf,
			Holdings:  b.holdings,
		},
		Users: &builder.Users{List: b.users, Get: b.user, Superuser: b.superuserHoldings},
	}
}

// setAccounts tells which accounts there are now. What is in use of those that stay the same stays.
func (b *bridge) setAccounts(accounts []builder.Account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.dir.Load()
	list := make([]*entry, len(accounts))
	for i, a := range accounts {
		if e := before.byID[a.ID]; e != nil {
			list[i] = e.changed(a)
		} else {
			list[i] = newEntry(a)
		}
	}
	b.dir.Store(newDirectory(list))
}

// of is Accounts.Of.
func (b *bridge) of(o builder.OnBehalf) []string { return b.dir.Load().accounts(b, o) }

// workspaceOf is Accounts.HomeOf.
func (b *bridge) workspaceOf(account string) string {
	if e := b.dir.Load().byID[account]; e != nil {
		return e.Workspace
	}
	return ""
}

// Attach implements builder.Session.
func (b *bridge) Attach(ctx context.Context, h http.Header, o builder.OnBehalf, e *profile.Endpoint) error {
	if e.Upstream == profile.UpstreamNone || o.Kind == authz.Anonymous {
		return nil
	}
	account, err := b.enter(ctx, o)
	if err != nil {
		return unavailable(err)
	}
	if e.Upstream == profile.UpstreamKey {
		key, err := b.keyOf(ctx, account)
		if err != nil {
			return unavailable(err)
		}
		h["X-Api-Key"] = key
		return nil
	}
	s, err := b.sessionOf(ctx, account)
	if err != nil && o.Account == "" && problem.Is(err, problem.Gone) {
		// Langflow has lost the account; it is made anew.
		if account, err = b.enter(ctx, o); err == nil {
			s, err = b.sessionOf(ctx, account)
		}
	}
	if err != nil {
		return unavailable(err)
	}
	s.attach(h)
	return nil
}

// enter is the account that a request goes into.
func (b *bridge) enter(ctx context.Context, o builder.OnBehalf) (*entry, error) {
	dir := b.dir.Load()
	if o.Account != "" {
		e := dir.byID[o.Account]
		if e == nil || e.Workspace != o.Workspace || e.Person != "" && e.Person != o.ID {
			return nil, problem.New(problem.NotFound, "There is no such object in this workspace.")
		}
		return e, nil
	}
	home := b.homeOf(o)
	if e := dir.own[home]; e != nil {
		return e, nil
	}
	return b.makeOwn(ctx, home)
}

// ownAccount is Accounts.Own.
func (b *bridge) ownAccount(ctx context.Context, o builder.OnBehalf) (string, error) {
	o.Account = ""
	e, err := b.enter(ctx, o)
	if err != nil {
		return "", unavailable(err)
	}
	return e.ID, nil
}

// sessionOf is a usable session of an account: at once while it is fresh, after a renewal
// otherwise.
func (b *bridge) sessionOf(ctx context.Context, e *entry) (*session, error) {
	if s := e.session.Load(); s != nil && b.cfg.Now().Before(s.due) {
		return s, nil
	}
	return b.renewed(ctx, e, e.session.Load())
}

func (b *bridge) renewed(ctx context.Context, e *entry, stale *session) (*session, error) {
	renew := func(ctx context.Context) error { return b.renew(ctx, e, stale) }
	if stale != nil && b.cfg.Now().Before(stale.dead) {
		// While it is still good a failed renewal troubles nobody; it is tried again after the
		// pause.
		_, _ = e.signing.start(b, renew)
		return stale, nil
	}
	if err := e.signing.do(ctx, b, renew); err != nil {
		return nil, err
	}
	if s := e.session.Load(); s != nil {
		return s, nil
	}
	return nil, problem.New(problem.Unavailable, "Sluice has no session with Langflow at the moment.").
		WithRetryAfter(time.Second)
}

// unavailable is what people are told while a session cannot be had. Only a builder's refusal of
// what Sluice itself says is kept from looking like a refusal of the person.
func unavailable(err error) error {
	p := problem.Of(err)
	switch p.Kind {
	case problem.Internal, problem.NotFound, problem.Unavailable, problem.Upstream, problem.Timeout:
		return err
	}
	pause := p.RetryAfter
	if pause <= 0 {
		pause = 5 * time.Second
	}
	return problem.New(problem.Unavailable, p.Detail).WithNext(p.Next).WithRetryAfter(pause).WithCause(err)
}

func unavailableUnless(err error) error {
	if err == nil {
		return nil
	}
	return unavailable(err)
}

// connect makes sure that people can get in: it asks Langflow who the account of the app's first
// workspace is, and tells what is wrong otherwise; for health checks.
func (b *bridge) connect(ctx context.Context) error {
	e, err := b.enter(
		ctx,
		builder.OnBehalf{Principal: authz.SystemPrincipal("health check"), Workspace: b.cfg.Workspace},
	)
	if err != nil {
		return err
	}
	s, err := b.sessionOf(ctx, e)
	if err != nil {
		return err
	}
	if b.cfg.Now().Sub(s.made) < refusalGrace {
		return nil
	}
	r, err := b.whoami(ctx, s.header())
	var u upstreamUser
	if err != nil || r.Status == http.StatusOK && r.decode(&u) && u.ID == e.ID {
		return err
	}
	return e.signing.do(ctx, b, func(ctx context.Context) error { return b.replace(ctx, e, s) })
}

// replace renews a session that Langflow refused. If that fails nobody is lent it any more, so that
// they are told why.
func (b *bridge) replace(ctx context.Context, e *entry, refused *session) error {
	err := b.renew(ctx, e, refused)
	if err != nil {
		e.session.CompareAndSwap(refused, nil)
	}
	return err
}

// Rejected implements builder.Session.
func (b *bridge) Rejected(ctx context.Context, h http.Header) bool {
	if key := h["X-Api-Key"]; len(key) == 1 {
		return b.keyRejected(ctx, key[0])
	}
	for _, e := range b.dir.Load().list {
		s := e.session.Load()
		if s == nil || !s.sentIn(h) {
			continue
		}
		if b.cfg.Now().Sub(s.made) < refusalGrace {
			return false
		}
		alive := false
		err := e.signing.do(ctx, b, func(ctx context.Context) error {
			if e.session.Load() != s {
				return nil
			}
			r, err := b.whoami(ctx, s.header())
			if err != nil {
				return err
			}
			if alive = r.Status == http.StatusOK && r.JSON; alive {
				return nil
			}
			return b.replace(ctx, e, s)
		})
		if problem.Is(err, problem.Gone) {
			return true // there is another account now
		}
		return err == nil && !alive && e.session.Load() != s
	}
	// Somebody renewed it in between.
	return h["Authorization"] != nil || h[builder.HeaderAssertion] != nil
}

// sentIn reports whether headers carry this session.
func (s *session) sentIn(h http.Header) bool {
	if sent := h[builder.HeaderAssertion]; len(sent) == 1 {
		return s.assertion != nil && sent[0] == s.token
	}
	sent := h["Authorization"]
	return len(sent) == 1 && s.bearer != nil && sent[0] == s.bearer[0]
}

// Upstream implements builder.Session: there is no one service account.
func (b *bridge) Upstream() map[string]any { return nil }

// Close implements builder.Session: it stops what runs. Langflow's tokens end by themselves.
func (b *bridge) Close(context.Context) error {
	b.stop()
	b.running.Wait()
	return nil
}
