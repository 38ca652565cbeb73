package app

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
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

// ChangeKind is the kind of changes of apps; the item is the app's id.
const ChangeKind = "app"

// Config of a Registry.
type Config struct {
	DB      *db.DB
	Gate    *authz.Gate
	Keyring *secret.Keyring
	// Vault keeps the workspaces' credentials, and Opener reads them when they are put into builders; nil: none can be.
	Vault  *secret.Vault
	Opener *secret.Opener
	// Flows says which workspace the objects of the apps belong to; nil makes one.
	Flows *flow.Library
	// Kinds are the products that Sluice knows.
	Kinds builder.Kinds
	// Client carries Sluice's own calls to builders. It must not follow proxies of the environment.
	Client *http.Client
	// Demo starts the built-in builder, if it does not run yet, and returns its address.
	Demo func() (*url.URL, error)
	// ListenHost is the address on which apps without a host name get a port; FirstPort is the first to try, 0 for any free one.
	ListenHost string
	FirstPort  int
	// LangflowSecretKey, LangflowSuperuser and LangflowSuperuserPassword are what the configuration says about the Langflow in front of which Sluice stands; they may be empty.
	LangflowSecretKey, LangflowSuperuser, LangflowSuperuserPassword string
	// Origin is the origin of Sluice's own pages: the issuer of its assertions. LocalOrigin is that under which programs on this machine reach them, "" if there is none. Nil means that it is not known.
	Origin, LocalOrigin func() string
	// Now is the clock.
	Now func() time.Time
	// Log gets what happens in the background.
	Log *slog.Logger
}

// Registry is the capability.
type Registry struct {
	Config
	current atomic.Pointer[snapshot]

	mu      sync.Mutex // one rebuild at a time
	bridges map[string]bridgeEntry
	changed func()

	health sync.Map // app id -> Health
	owners sync.Map // app id -> *sync.Mutex: one connection attempt at a time

	copying sync.Map // app id -> *sync.Mutex: one copy of a credential at a time

	profiles sync.Map // name of a kind -> *profile.Profile: compiled once

	background background

	named   sync.Map // ids of the apps that the configuration names (Ensure)
	adopted sync.Map // ids of the apps whose objects were adopted once
	asked   sync.Map // app id -> *askedAt
}

// background owns what goes on after a call has returned.
type background struct {
	mu     sync.Mutex // held while work starts, so that none starts after stop
	closed bool
	group  sync.WaitGroup
}

// start runs work on a goroutine of its own; after stop it does nothing.
func (b *background) start(work func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.group.Go(work)
	}
}

// stop waits for what runs.
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

type bridgeEntry struct {
	basis  string // what it was made from; another basis needs another bridge
	bridge *builder.Bridge
}

// owner is what is sealed of the service account.
type owner struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	// Superuser is the name that Password belongs to, and SecretKey the LANGFLOW_SECRET_KEY, of a Langflow.
	Superuser string `json:"superuser,omitempty"`
	SecretKey string `json:"secret_key,omitempty"`
	// Made tells that Sluice registered the account itself.
	Made bool `json:"made"`
	// Pending tells that the account was stored before it was registered or tested.
	Pending bool `json:"pending"`
}

// New loads the apps and follows changes.
func New(ctx context.Context, c Config) (*Registry, error) {
	r := &Registry{Config: c, bridges: map[string]bridgeEntry{}, changed: func() {}}
	if r.Origin == nil {
		r.Origin = func() string { return "" }
	}
	if r.LocalOrigin == nil {
		r.LocalOrigin = func() string { return "" }
	}
	if r.Flows == nil {
		var err error
		if r.Flows, err = flow.New(ctx, flow.Config{DB: c.DB, Gate: c.Gate, Now: c.Now, Log: c.Log}); err != nil {
			return nil, err
		}
	}
	r.current.Store(&snapshot{byID: map[string]*App{}, byHost: map[string]*App{}})
	c.DB.Subscribe(ChangeKind, func(string) {
		if err := r.rebuild(context.Background()); err != nil {
			c.Log.Error("the apps could not be read again; the former state stays in force", "error", err)
		}
	})
	// A workspace that is deleted takes its accounts of builders along.
	c.DB.Subscribe(identity.WorkspaceChange, func(string) {
		if err := r.rebuild(context.Background()); err != nil {
			c.Log.Error("the apps could not be read again; the former state stays in force", "error", err)
		}
	})
	if err := r.rebuild(ctx); err != nil {
		return nil, fmt.Errorf("loading the apps: %w", err)
	}
	return r, nil
}

// OnChange calls fn after the apps have changed, now and later; the server opens and closes listeners there.
func (r *Registry) OnChange(fn func()) {
	r.mu.Lock()
	r.changed = fn
	r.mu.Unlock()
	fn()
}

// ByHost finds the app with this host name (a Host header, with its port if that is not the scheme's own).
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

// All lists the apps by name. The slice must not be changed.
func (r *Registry) All() []*App { return r.current.Load().list }

// Visible lists the apps that a principal may open in the workspace that they work in. Somebody who works in none, such as the command line, sees the apps of all theirs.
func (r *Registry) Visible(p authz.Principal) []*App {
	var out []*App
	for _, a := range r.All() {
		for _, workspace := range a.Workspaces {
			res := a.Resource()
			res.Workspace = workspace
			if (p.Workspace == "" || p.Workspace == workspace) && r.Gate.Decide(p, authz.AppOpen, res).Allowed {
				out = append(out, a)
				break
			}
		}
	}
	return out
}

// CheckOpen asks for the right to open an app in the workspace that somebody works in. Errors: problem.NotFound if the app is not used there.
func (r *Registry) CheckOpen(ctx context.Context, p authz.Principal, a *App) error {
	if !a.UsedIn(p.Workspace) {
		return problem.Newf(problem.NotFound, "%s is not used in the workspace that you work in.", a.Name).
			WithNext("Switch to another workspace, or ask an admin to add the app to this one.")
	}
	res := a.Resource()
	res.Workspace = p.Workspace
	return r.Gate.Check(ctx, p, authz.AppOpen, res)
}

// Close gives all upstream sessions back.
func (r *Registry) Close(ctx context.Context) {
	r.background.stop()
	r.mu.Lock()
	bridges := maps.Clone(r.bridges)
	r.mu.Unlock()
	for id, entry := range bridges {
		if err := entry.bridge.Close(ctx); err != nil {
			r.Log.Info("a builder did not take its session back", "app", id, "error", err)
		}
	}
}

func (r *Registry) rebuild(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows, err := q.New(r.DB.Read()).AllApps(ctx)
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
	for id := range r.bridges {
		if next.byID[id] == nil {
			r.setBridge(id, bridgeEntry{})
		}
	}
	r.current.Store(next)
	r.background.start(r.changed)
	return nil
}

func (r *Registry) build(ctx context.Context, row q.App) (*App, error) {
	kind := row.Kind
	a := &App{
		ID: row.ID, Slug: row.Slug, Name: row.Name, WorkspaceID: row.WorkspaceID, Version: row.Version, PublicURL: row.PublicUrl, Port: int(row.Port),
		Pending: kind == "", VerifiedAt: moment(row.VerifiedAt), CreatedAt: moment(row.CreatedAt),
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
	flows, err := q.New(r.DB.Read()).PublishedFlows(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	for _, f := range flows {
		a.published[f.FlowID] = struct{}{}
	}
	if a.Workspaces, err = q.New(r.DB.Read()).WorkspacesOfApp(ctx, row.ID); err != nil {
		return nil, err
	}
	return a, r.bridge(ctx, a, row)
}

// profile is the compiled route table of a kind, as every app of it uses it.
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
		return r.Demo()
	}
	return url.Parse(text)
}

// bridge gives the app its bridge: the one that it had, as long as it was made from the same account and address.
func (r *Registry) bridge(ctx context.Context, a *App, row q.App) error {
	if a.Pending {
		return nil
	}
	if a.Kind.Accounts != nil {
		return r.bridgeLangflow(ctx, a, row)
	}
	if a.Kind.Owner == nil {
		a.Bridge = a.Kind.Bridge(builder.BridgeConfig{Base: a.Upstream, Client: r.Client, Now: r.Now, Log: r.Log})
		return nil
	}
	o, err := r.openOwner(row)
	if err != nil {
		return err
	}
	if a.NeedsOwner = o.Email == "" || o.Pending; a.NeedsOwner {
		r.setBridge(a.ID, bridgeEntry{})
		return nil
	}
	a.OwnerEmail = o.Email
	basis := row.OwnerSealed + "\n" + row.UpstreamUrl
	if r.bridges[a.ID].basis != basis {
		r.setBridge(a.ID, bridgeEntry{basis: basis, bridge: a.Kind.Bridge(builder.BridgeConfig{
			Base: a.Upstream, Client: r.Client, Now: r.Now, Log: r.Log, Access: builder.Access{Email: o.Email, Password: o.Password},
		})})
	}
	a.Bridge = r.bridges[a.ID].bridge
	return nil
}

// setBridge replaces a bridge; the former gives its session back in the background. The caller holds mu.
func (r *Registry) setBridge(id string, next bridgeEntry) {
	if old := r.bridges[id].bridge; old != nil {
		r.background.start(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			// A builder that is gone cannot take its session back; it ends by itself within a day.
			_ = old.Close(ctx)
		})
	}
	if next.bridge == nil {
		delete(r.bridges, id)
		return
	}
	r.bridges[id] = next
}

func (r *Registry) openOwner(row q.App) (owner, error) {
	var o owner
	if row.OwnerSealed == "" {
		return o, nil
	}
	sealed, err := decode(row.OwnerSealed)
	if err != nil {
		return o, fmt.Errorf("reading the owner account: %w", err)
	}
	plain, err := r.Keyring.Open(sealed, "app", row.ID)
	if err != nil {
		return o, err
	}
	return o, json.Unmarshal(plain, &o)
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// encode and decode are the text form of a sealed value.
func encode(sealed []byte) string { return base64.StdEncoding.EncodeToString(sealed) }

func decode(text string) ([]byte, error) { return base64.StdEncoding.DecodeString(text) }
