package profile

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/authz"
	"sluice/internal/problem"
)

// langflowPatience bounds one piece of the bridge's work; a sign-in that Langflow puts off takes a minute.
const langflowPatience = 100 * time.Second

// LangflowConfig is what a LangflowBridge needs.
type LangflowConfig struct {
	// Base is Langflow's address as Sluice reaches it.
	Base *url.URL
	// Client carries the bridge's own calls; its redirect rule and cookie jar are not used.
	Client *http.Client
	// Mode is how people get into accounts. PerPerson gives every person of a workspace an account of their own.
	Mode      BridgeMode
	PerPerson bool
	// Workspace is the app's first one; its account is what a health check looks at.
	Workspace string
	// Accounts are the known ones.
	Accounts []Account
	// Keep stores a new or changed account, and forgets the one with the id gone, if there is one, because Langflow has it no more. It returns the account that is stored: of two nodes that make
	// the account of one home at the same time, the one that won.
	Keep func(ctx context.Context, a Account, gone string) (Account, error)
	// Username is what the account for a workspace, or for a person in it, is called in Langflow. It must be different for every home and every app.
	Username func(ctx context.Context, workspace, person string) (string, error)
	// SecretKey is LANGFLOW_SECRET_KEY, Superuser and SuperuserPassword are of a superuser; each may be empty if the mode does without.
	SecretKey, Superuser, SuperuserPassword string
	// Sign signs assertions (secret.Signer.Sign). Issuer is Sluice's origin, Audience what Langflow expects.
	Sign             func(claims any) (string, error)
	Issuer, Audience string
	// Now is the clock.
	Now func() time.Time
	// Log gets what an operator should know, such as that an account had to be made again.
	Log *slog.Logger
}

// LangflowAudience is the audience of the assertions for a Langflow.
const LangflowAudience = "langflow"

// LangflowBridge carries people into the accounts of a Langflow. Reading it takes no lock; each account is signed in, made or given a key by one piece of work at a time.
type LangflowBridge struct {
	cfg     LangflowConfig
	client  *client
	dir     atomic.Pointer[langflowDirectory]
	skew    atomic.Int64 // how much later Langflow's clock is, in ns
	life    context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex // held while dir is replaced, and for making
	making map[langflowHome]*langflowFlight

	root    atomic.Pointer[langflowRoot]
	rooting langflowFlight
	signIns sync.Mutex   // one sign-in at a time: they are counted
	waitFor atomic.Int64 // when Langflow takes the next sign-in, in unix ns
}

// NewLangflowBridge makes a bridge. It does nothing until a request needs it.
func NewLangflowBridge(cfg LangflowConfig) *LangflowBridge {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	life, stop := context.WithCancel(context.Background())
	b := &LangflowBridge{cfg: cfg, client: newClient(cfg.Base, cfg.Client), life: life, stop: stop, making: map[langflowHome]*langflowFlight{}}
	b.dir.Store(newLangflowDirectory(nil))
	b.SetAccounts(cfg.Accounts)
	return b
}

var _ Accounts = (*LangflowBridge)(nil)

// SetAccounts tells which accounts there are now. What is in use of those that stay the same stays.
func (b *LangflowBridge) SetAccounts(accounts []Account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.dir.Load()
	list := make([]*langflowEntry, len(accounts))
	for i, a := range accounts {
		if e := before.byID[a.ID]; e != nil {
			list[i] = e.changed(a)
		} else {
			list[i] = newLangflowEntry(a)
		}
	}
	b.dir.Store(newLangflowDirectory(list))
}

// Of implements Accounts.
func (b *LangflowBridge) Of(l Lent) []string { return b.dir.Load().accounts(b, l) }

// HomeOf implements Accounts.
func (b *LangflowBridge) HomeOf(account string) string {
	if e := b.dir.Load().byID[account]; e != nil {
		return e.Workspace
	}
	return ""
}

// Attach implements Bridge.
func (b *LangflowBridge) Attach(ctx context.Context, h http.Header, l Lent, e *Endpoint) error {
	if e.Upstream == UpstreamNone || l.Kind == authz.Anonymous {
		return nil
	}
	account, err := b.enter(ctx, l)
	if err != nil {
		return unavailableLangflow(err)
	}
	if e.Upstream == UpstreamKey {
		key, err := b.keyOf(ctx, account)
		if err != nil {
			return unavailableLangflow(err)
		}
		h["X-Api-Key"] = key
		return nil
	}
	s, err := b.sessionOf(ctx, account)
	if err != nil && l.Account == "" && problem.Is(err, problem.Gone) {
		// Langflow has lost the account; it is made anew.
		if account, err = b.enter(ctx, l); err == nil {
			s, err = b.sessionOf(ctx, account)
		}
	}
	if err != nil {
		return unavailableLangflow(err)
	}
	s.attach(h)
	return nil
}

// enter is the account that a request goes into.
func (b *LangflowBridge) enter(ctx context.Context, l Lent) (*langflowEntry, error) {
	dir := b.dir.Load()
	if l.Account != "" {
		e := dir.byID[l.Account]
		if e == nil || e.Workspace != l.Workspace || e.Person != "" && e.Person != l.ID {
			return nil, problem.New(problem.NotFound, "There is no such object in this workspace.")
		}
		return e, nil
	}
	home := b.homeOf(l)
	if e := dir.own[home]; e != nil {
		return e, nil
	}
	return b.makeOwn(ctx, home)
}

// Own implements Accounts.
func (b *LangflowBridge) Own(ctx context.Context, l Lent) (string, error) {
	l.Account = ""
	e, err := b.enter(ctx, l)
	if err != nil {
		return "", unavailableLangflow(err)
	}
	return e.ID, nil
}

// sessionOf is a usable session of an account: at once while it is fresh, after a renewal otherwise.
func (b *LangflowBridge) sessionOf(ctx context.Context, e *langflowEntry) (*langflowSession, error) {
	if s := e.session.Load(); s != nil && b.cfg.Now().Before(s.due) {
		return s, nil
	}
	return b.renewed(ctx, e, e.session.Load())
}

func (b *LangflowBridge) renewed(ctx context.Context, e *langflowEntry, stale *langflowSession) (*langflowSession, error) {
	renew := func(ctx context.Context) error { return b.renew(ctx, e, stale) }
	if stale != nil && b.cfg.Now().Before(stale.dead) {
		// While it is still good a failed renewal troubles nobody; it is tried again after the pause.
		_, _ = e.signing.start(b, renew)
		return stale, nil
	}
	if err := e.signing.do(ctx, b, renew); err != nil {
		return nil, err
	}
	if s := e.session.Load(); s != nil {
		return s, nil
	}
	return nil, problem.New(problem.Unavailable, "Sluice has no session with Langflow at the moment.").WithRetryAfter(time.Second)
}

// unavailableLangflow is what people are told while a session cannot be had. Only a builder's refusal of what Sluice itself says is kept from looking like a refusal of the person.
func unavailableLangflow(err error) error {
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
	return unavailableLangflow(err)
}

// Connect makes sure that people can get in: it asks Langflow who the account of the app's first workspace is, and tells what is wrong otherwise; for health checks.
func (b *LangflowBridge) Connect(ctx context.Context) error {
	e, err := b.enter(ctx, Lent{Principal: authz.SystemPrincipal("health check"), Workspace: b.cfg.Workspace})
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
	var u langflowUser
	if err != nil || r.status == http.StatusOK && r.decode(&u) && u.ID == e.ID {
		return err
	}
	return e.signing.do(ctx, b, func(ctx context.Context) error { return b.replace(ctx, e, s) })
}

// replace renews a session that Langflow refused. If that fails nobody is lent it any more, so that they are told why.
func (b *LangflowBridge) replace(ctx context.Context, e *langflowEntry, refused *langflowSession) error {
	err := b.renew(ctx, e, refused)
	if err != nil {
		e.session.CompareAndSwap(refused, nil)
	}
	return err
}

// Rejected implements Bridge.
func (b *LangflowBridge) Rejected(ctx context.Context, h http.Header) bool {
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
			if alive = r.status == http.StatusOK && r.json; alive {
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
	return h["Authorization"] != nil || h[HeaderAssertion] != nil
}

// sentIn reports whether headers carry this session.
func (s *langflowSession) sentIn(h http.Header) bool {
	if sent := h[HeaderAssertion]; len(sent) == 1 {
		return s.assertion != nil && sent[0] == s.token
	}
	sent := h["Authorization"]
	return len(sent) == 1 && s.bearer != nil && sent[0] == s.bearer[0]
}

// Upstream implements Bridge: there is no one service account.
func (b *LangflowBridge) Upstream() map[string]any { return nil }

// Close implements Bridge: it stops what runs. Langflow's tokens end by themselves.
func (b *LangflowBridge) Close(context.Context) error {
	b.stop()
	b.running.Wait()
	return nil
}
