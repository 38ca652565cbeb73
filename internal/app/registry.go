package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/profile"
	"sluice/internal/secret"
)

// ChangeKind is the kind of changes to apps; the item is the app's id.
const ChangeKind = "app"

// Config is the configuration of Apps.
type Config struct {
	DB      *db.DB
	Gate    *authz.Gate
	Keyring *secret.Keyring
	// Vault keeps the workspaces' credentials, and Opener reads them to put them into builders. If
	// they are nil, no credential can be put into a builder.
	Vault  *secret.Vault
	Opener *secret.Opener
	// Flows says which workspace the objects of the apps belong to; nil creates a new Library.
	Flows *flow.Library
	// Kinds are the products that Sluice knows.
	Kinds builder.Kinds
	// Client carries Sluice's own calls to builders. It must not use proxies from the environment.
	Client *http.Client
	// Demo starts the built-in builder if it is not running yet, and returns its address.
	Demo func() (*url.URL, error)
	// ListenHost is the address where apps without a host name get a port. FirstPort is the first
	// port to try, 0 for any free one.
	ListenHost string
	FirstPort  int
	// Configured holds the configured credentials of the builder with accounts behind Sluice. Its
	// fields may be empty.
	Configured builder.Access
	// Origin is the origin of Sluice's own pages, which issues its assertions. LocalOrigin is the
	// origin under which programs on this machine reach them, or "". Nil means that it is not
	// known.
	Origin, LocalOrigin func() string
	// Now is the clock.
	Now func() time.Time
	// Log receives events from the background.
	Log *slog.Logger
}

// Apps combines the registry, which everyone reads, with the parts that change the stored apps.
type Apps struct {
	*Registry
	// Manager adds and removes apps and decides in which workspaces they are used.
	Manager *Manager
	// Connector gives Sluice its way into a builder.
	Connector *Connector
	// Adoption gives workspaces the objects that a builder already had.
	Adoption *Adoption
	// Publications opens flows to strangers.
	Publications *Publications
	// Credentials puts the vault's credentials into builders.
	Credentials *Credentials
	// Monitor knows the health of the apps.
	Monitor *Monitor
}

// New loads the apps and follows changes.
func New(ctx context.Context, c Config) (*Apps, error) {
	if c.Origin == nil {
		c.Origin = func() string { return "" }
	}
	if c.LocalOrigin == nil {
		c.LocalOrigin = func() string { return "" }
	}
	if c.Flows == nil {
		var err error
		if c.Flows, err = flow.New(ctx, flow.Config{DB: c.DB, Gate: c.Gate, Now: c.Now, Log: c.Log}); err != nil {
			return nil, err
		}
	}
	accounts := &accountStore{db: c.DB, keyring: c.Keyring, now: c.Now, log: c.Log}
	work := &background{}
	bridges := &bridges{
		background:  work,
		accounts:    accounts,
		sign:        c.Keyring.Signer().Sign,
		client:      c.Client,
		origin:      c.Origin,
		localOrigin: c.LocalOrigin,
		now:         c.Now,
		log:         c.Log,
		open:        map[string]bridgeEntry{},
	}
	registry := &Registry{
		Flows:      c.Flows,
		db:         c.DB,
		gate:       c.Gate,
		Kinds:      c.Kinds,
		demo:       c.Demo,
		log:        c.Log,
		bridges:    bridges,
		background: work,
		changed:    func() {},
	}
	if err := registry.follow(ctx); err != nil {
		return nil, fmt.Errorf("loading the apps: %w", err)
	}
	adoption := &Adoption{
		registry: registry,
		accounts: accounts,
		flows:    c.Flows,
		db:       c.DB,
		gate:     c.Gate,
		now:      c.Now,
		log:      c.Log,
	}
	connector := &Connector{
		registry: registry,
		bridges:  bridges,
		accounts: accounts,
		adoption: adoption,
		db:       c.DB,
		client:   c.Client,
		configured: owner{
			Superuser: c.Configured.Superuser,
			Password:  c.Configured.Password,
			SecretKey: c.Configured.SecretKey,
		},
		origin: c.Origin,
		now:    c.Now,
		log:    c.Log,
	}
	credentials := &Credentials{
		registry: registry,
		vault:    c.Vault,
		opener:   c.Opener,
		flows:    c.Flows,
		db:       c.DB,
		gate:     c.Gate,
		now:      c.Now,
		log:      c.Log,
	}
	return &Apps{
		Registry: registry,
		Manager: &Manager{
			registry:   registry,
			connector:  connector,
			accounts:   accounts,
			db:         c.DB,
			gate:       c.Gate,
			kinds:      c.Kinds,
			client:     c.Client,
			listenHost: c.ListenHost,
			firstPort:  c.FirstPort,
			now:        c.Now,
			log:        c.Log,
		},
		Connector: connector,
		Adoption:  adoption,
		Publications: &Publications{
			registry: registry,
			flows:    c.Flows,
			db:       c.DB,
			gate:     c.Gate,
			now:      c.Now,
			log:      c.Log,
		},
		Credentials: credentials,
		Monitor: &Monitor{
			registry:    registry,
			connector:   connector,
			adoption:    adoption,
			credentials: credentials,
			kinds:       c.Kinds,
			client:      c.Client,
			now:         c.Now,
			log:         c.Log,
		},
	}, nil
}

// Registry holds the apps in memory and follows their changes. It hands out immutable snapshots.
type Registry struct {
	// Flows says which workspace the objects of the apps belong to.
	Flows *flow.Library

	db   *db.DB
	gate *authz.Gate
	// Kinds are the products that Sluice knows.
	Kinds      builder.Kinds
	demo       func() (*url.URL, error)
	log        *slog.Logger
	bridges    *bridges
	current    atomic.Pointer[snapshot]
	background *background
	asked      sync.Map // app id -> *askedAt
	// profiles are the compiled route tables by the name of their kind, each a *profile.Profile.
	profiles sync.Map

	mu      sync.Mutex // guards changed, and serializes rebuilds
	changed func()
}

// background owns work that continues after a call has returned.
type background struct {
	mu     sync.Mutex // held while work starts, so that none starts after stop
	closed bool
	group  sync.WaitGroup
}

// start runs work on its own goroutine; after stop it does nothing.
func (b *background) start(work func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.group.Go(work)
	}
}

// stop waits for running work.
func (b *background) stop() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.group.Wait()
}

type snapshot struct {
	list   []*App
	byID   map[string]*App
	byHost map[string]*App
}

// follow loads the apps and subscribes to their changes.
func (r *Registry) follow(ctx context.Context) error {
	r.current.Store(&snapshot{byID: map[string]*App{}, byHost: map[string]*App{}})
	again := func(string) {
		if err := r.rebuild(context.Background()); err != nil {
			r.log.Error("the apps could not be read again; the previous state stays in use", "error", err)
		}
	}
	r.db.Subscribe(ChangeKind, again)
	// Deleting a workspace also deletes its accounts in builders.
	r.db.Subscribe(identity.WorkspaceChange, again)
	return r.rebuild(ctx)
}

// OnChange calls fn now and after every change of the apps. The server opens and closes listeners
// there.
func (r *Registry) OnChange(fn func()) {
	r.mu.Lock()
	r.changed = fn
	r.mu.Unlock()
	fn()
}

// ByHost finds the app with this host name (a Host header, with its port unless that is the
// scheme's default).
func (r *Registry) ByHost(host string) (*App, bool) {
	a, ok := r.current.Load().byHost[host]
	if !ok {
		a, ok = r.current.Load().byHost[strings.ToLower(host)]
	}
	return a, ok
}

// ByID finds an app.
func (r *Registry) ByID(id string) (*App, bool) {
	a, ok := r.current.Load().byID[id]
	return a, ok
}

// All lists the apps by name. Callers must not change the slice.
func (r *Registry) All() []*App { return r.current.Load().list }

// Visible lists the apps that a principal may open in their current workspace. A principal without
// a current workspace, such as the command line, sees the apps of all their workspaces.
func (r *Registry) Visible(p authz.Principal) []*App {
	var out []*App
	for _, a := range r.All() {
		for _, workspace := range a.Workspaces {
			res := a.Resource()
			res.Workspace = workspace
			if (p.Workspace == "" || p.Workspace == workspace) && r.gate.Decide(p, authz.AppOpen, res).Allowed {
				out = append(out, a)
				break
			}
		}
	}
	return out
}

// CheckOpen checks that a principal may open an app in their current workspace. Errors:
// problem.NotFound if the app is not used there.
func (r *Registry) CheckOpen(ctx context.Context, p authz.Principal, a *App) error {
	if !a.UsedIn(p.Workspace) {
		return problem.Newf(problem.NotFound, "%s is not used in the workspace that you work in.", a.Name).
			WithNext("Switch to another workspace, or ask an admin to add the app to this one.")
	}
	res := a.Resource()
	res.Workspace = p.Workspace
	return r.gate.Check(ctx, p, authz.AppOpen, res)
}

// Close gives all upstream sessions back.
func (r *Registry) Close(ctx context.Context) {
	r.background.stop()
	r.bridges.close(ctx)
}

func (r *Registry) rebuild(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows, err := q.New(r.db.Read()).AllApps(ctx)
	if err != nil {
		return err
	}
	next := &snapshot{byID: map[string]*App{}, byHost: map[string]*App{}}
	for _, row := range rows {
		a, err := r.build(ctx, row)
		if err != nil {
			return fmt.Errorf("app %s: %w", row.Name, err)
		}
		next.list = append(next.list, a)
		next.byID[a.ID] = a
		if _, host, ok := strings.Cut(a.PublicURL, "://"); ok {
			next.byHost[host] = a
		}
	}
	sort.SliceStable(next.list, func(i, j int) bool { return next.list[i].Name < next.list[j].Name })
	r.bridges.retain(func(id string) bool { return next.byID[id] != nil })
	r.current.Store(next)
	r.background.start(r.changed)
	return nil
}

func (r *Registry) build(ctx context.Context, row q.App) (*App, error) {
	kind := row.Kind
	a := &App{
		ID:          row.ID,
		Slug:        row.Slug,
		Name:        row.Name,
		WorkspaceID: row.WorkspaceID,
		Version:     row.Version,
		PublicURL:   row.PublicUrl,
		Port:        int(row.Port),
		Pending:     kind == "", VerifiedAt: moment(row.VerifiedAt), CreatedAt: moment(row.CreatedAt),
		Mode: cmp.Or(row.Mode, ModeProxy), SeenAt: moment(row.SeenAt), published: map[string]struct{}{},
	}
	if a.Pending {
		kind = r.Kinds.Fallback().Name
	}
	var err error
	if a.Kind, err = r.Kinds.Find(kind); err != nil {
		return nil, err
	}
	if a.Profile, err = r.profile(a.Kind); err != nil {
		return nil, err
	}
	if a.Upstream, err = r.upstream(row.UpstreamUrl); err != nil {
		return nil, err
	}
	flows, err := q.New(r.db.Read()).PublishedFlows(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	for _, f := range flows {
		a.published[f.FlowID] = struct{}{}
	}
	if a.Workspaces, err = q.New(r.db.Read()).WorkspacesOfApp(ctx, row.ID); err != nil {
		return nil, err
	}
	return a, r.bridges.of(ctx, a, row)
}

// profile is the compiled route table that all apps of a kind share.
func (r *Registry) profile(k *builder.Kind) (*profile.Profile, error) {
	if p, ok := r.profiles.Load(k.Name); ok {
		return p.(*profile.Profile), nil
	}
	p, err := k.Load(builder.Options{})
	if err != nil {
		return nil, err
	}
	r.profiles.Store(k.Name, p)
	return p, nil
}

func (r *Registry) upstream(text string) (*url.URL, error) {
	if text == DemoURL {
		return r.demo()
	}
	return url.Parse(text)
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// reopen replaces an app's closed bridge with a new one for the stored account.
func (r *Registry) reopen(id string) {
	r.bridges.forget(id)
	if err := r.rebuild(context.Background()); err != nil {
		r.log.Error("the bridge could not be started again", "app", id, "error", err)
	}
}

// reread returns the app after a change.
func (r *Registry) reread(id string, err error) (*App, error) {
	if err != nil {
		return nil, err
	}
	a, ok := r.ByID(id)
	if !ok {
		return nil, fmt.Errorf("app %s is missing after it was stored", id)
	}
	return a, nil
}

func (r *Registry) change(
	ctx context.Context,
	actor authz.Principal,
	action authz.Action,
	a *App,
	detail string,
	fn func(*db.Tx) error,
) error {
	return r.gate.DoDetail(ctx, actor, action, a.Resource(), detail, func(tx *db.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Changed(ChangeKind, a.ID)
	})
}

// find returns an app for a principal who may manage it. For others every id is unknown or refused.
func (r *Registry) find(ctx context.Context, actor authz.Principal, action authz.Action, id string) (*App, error) {
	a, ok := r.ByID(id)
	res := somewhere()
	if ok {
		res = a.Resource()
	}
	if err := r.gate.Check(ctx, actor, action, res); err != nil {
		return nil, err
	}
	if !ok {
		return nil, problem.New(problem.NotFound, "There is no such app. It may have been removed.")
	}
	return a, nil
}

// somewhere is the resource for questions about apps in general.
func somewhere() authz.Resource {
	return authz.Resource{Type: "App", Workspace: identity.DefaultWorkspace}
}

// findWithAccounts is like find, for an app whose builder is known to have accounts.
func (r *Registry) findWithAccounts(
	ctx context.Context,
	actor authz.Principal,
	action authz.Action,
	id string,
) (*App, error) {
	a, err := r.find(ctx, actor, action, id)
	if err != nil {
		return nil, err
	}
	if a.Pending {
		return nil, problem.New(problem.Unavailable, "Nothing has responded at this address yet.").
			WithNext("Start the builder, then check the app again.")
	}
	if a.Kind.Accounts == nil {
		return nil, problem.Newf(problem.Invalid, "%s has no accounts that Sluice can enter.", a.Name)
	}
	return a, nil
}
