package langflow

import (
	"context"
	"log/slog"
	"net/http"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// The ways into accounts.
const (
	// External lets Langflow verify tokens that Sluice signs, using Sluice's published keys
	// (external authentication, from 1.10).
	External builder.Mode = "external"
	// Signed signs Langflow's own tokens with the secret key that both share.
	Signed builder.Mode = "signed"
	// SignIn signs each account in with a password that only Sluice knows.
	SignIn builder.Mode = "sign-in"
)

// bridge carries people into the accounts of a Langflow. Reading it takes no lock. For each
// account, one task at a time signs in, creates the account or gets it a key.
type bridge struct {
	cfg      *builder.BridgeConfig
	wire     *wire
	work     *worker
	admin    *admin
	accounts *accounts
	sessions *sessions
	keys     *keys
}

// newBridge creates a bridge that does nothing until a request needs it.
func newBridge(cfg builder.BridgeConfig) *bridge {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	b := &bridge{cfg: &cfg}
	b.wire = &wire{cfg: b.cfg, client: builder.NewClient(cfg.Base, cfg.Client)}
	signIns := &signIns{cfg: b.cfg, wire: b.wire}
	b.work = newWorker(cfg.Now, signIns.pause)
	b.admin = &admin{cfg: b.cfg, wire: b.wire, signIns: signIns, work: b.work}
	b.accounts = newAccounts(b.cfg, b.wire, b.admin, b.work)
	b.sessions = &sessions{
		cfg:      b.cfg,
		wire:     b.wire,
		signIns:  signIns,
		admin:    b.admin,
		accounts: b.accounts,
		work:     b.work,
	}
	b.keys = &keys{cfg: b.cfg, wire: b.wire, accounts: b.accounts, sessions: b.sessions, work: b.work}
	return b
}

// build is Kind.Bridge.
func build(cfg builder.BridgeConfig) *builder.Bridge {
	b := newBridge(cfg)
	held := &contents{cfg: b.cfg, wire: b.wire, accounts: b.accounts, sessions: b.sessions}
	users := &userList{
		cfg:      b.cfg,
		wire:     b.wire,
		admin:    b.admin,
		accounts: b.accounts,
		sessions: b.sessions,
		contents: held,
	}
	return &builder.Bridge{
		Session:   b,
		Connect:   b.sessions.connect,
		SetPublic: held.setPublic,
		Inventory: held.inventory,
		FlowsOf:   held.flowsOf,
		Accounts: &builder.Accounts{
			Set:       b.accounts.set,
			Of:        b.accounts.of,
			Own:       b.accounts.own,
			Find:      held.find,
			FlowNamed: held.flowNamed,
			HomeOf:    b.accounts.workspaceOf,
			Holdings:  held.holdings,
		},
		Users: &builder.Users{List: users.all, Get: users.get, Superuser: users.superuser},
	}
}

// Attach implements builder.Session.
func (b *bridge) Attach(ctx context.Context, h http.Header, o builder.OnBehalf, e *profile.Endpoint) error {
	if e.Upstream == profile.UpstreamNone || o.Kind == authz.Anonymous {
		return nil
	}
	account, err := b.accounts.enter(ctx, o)
	if err != nil {
		return unavailable(err)
	}
	if e.Upstream == profile.UpstreamKey {
		key, err := b.keys.of(ctx, account)
		if err != nil {
			return unavailable(err)
		}
		h["X-Api-Key"] = key
		return nil
	}
	s, err := b.sessions.of(ctx, account)
	if err != nil && o.Account == "" && problem.Is(err, problem.Gone) {
		// Langflow has lost the account; it is created again.
		if account, err = b.accounts.enter(ctx, o); err == nil {
			s, err = b.sessions.of(ctx, account)
		}
	}
	if err != nil {
		return unavailable(err)
	}
	s.attach(h)
	return nil
}

// Rejected implements builder.Session.
func (b *bridge) Rejected(ctx context.Context, h http.Header) bool {
	if key := h["X-Api-Key"]; len(key) == 1 {
		return b.keys.rejected(ctx, key[0])
	}
	for _, e := range b.accounts.dir.Load().list {
		s := e.session.Load()
		if s == nil || !s.sentIn(h) {
			continue
		}
		if b.cfg.Now().Sub(s.made) < refusalGrace {
			return false
		}
		alive := false
		err := e.signing.do(ctx, b.work, func(ctx context.Context) error {
			if e.session.Load() != s {
				return nil
			}
			r, err := b.wire.whoami(ctx, s.header())
			if err != nil {
				return err
			}
			if alive = r.Status == http.StatusOK && r.JSON; alive {
				return nil
			}
			return b.sessions.replace(ctx, e, s)
		})
		if problem.Is(err, problem.Gone) {
			return true // there is another account now
		}
		return err == nil && !alive && e.session.Load() != s
	}
	// Another request renewed it in the meantime.
	return h["Authorization"] != nil || h[builder.HeaderAssertion] != nil
}

// Upstream implements builder.Session: Langflow has no single service account.
func (b *bridge) Upstream() map[string]any { return nil }

// Close implements builder.Session: it stops running work. Langflow's tokens expire automatically.
func (b *bridge) Close(context.Context) error {
	b.work.close()
	return nil
}
