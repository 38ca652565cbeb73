package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// portsTried is how many ports are looked at for an app without a host name.
const portsTried = 200

// somewhere is the resource for questions about apps in general.
func somewhere() authz.Resource {
	return authz.Resource{Type: "App", Workspace: identity.DefaultWorkspace}
}

// Look finds out what runs at an address, without adding it. It needs AppManage.
func (r *Registry) Look(ctx context.Context, actor authz.Principal, s Spec) (builder.Found, error) {
	if err := r.Gate.Check(ctx, actor, authz.AppManage, somewhere()); err != nil {
		return builder.Found{}, err
	}
	if err := s.clean(r.Kinds); err != nil {
		return builder.Found{}, err
	}
	if s.Mode == ModeForwardAuth {
		return builder.Found{}, problem.New(problem.Invalid, "Only the reverse proxy knows where this app runs; there is nothing to look at.").WithField("mode")
	}
	return r.probe(ctx, s.URL)
}

func (r *Registry) probe(ctx context.Context, address string) (builder.Found, error) {
	base, err := r.upstream(address)
	if err != nil {
		return builder.Found{}, err
	}
	return r.Kinds.Probe(ctx, r.Client, base)
}

// Add connects an app. It needs AppManage, and that something answers at the address, unless a reverse proxy will forward to it.
func (r *Registry) Add(ctx context.Context, actor authz.Principal, s Spec) (*App, error) {
	if err := r.Gate.Check(ctx, actor, authz.AppManage, somewhere()); err != nil {
		return nil, err
	}
	if err := s.clean(r.Kinds); err != nil {
		return nil, err
	}
	if s.Mode == ModeForwardAuth {
		return r.addForwardAuth(ctx, actor, s)
	}
	found, err := r.probe(ctx, s.URL)
	if err != nil {
		return nil, err
	}
	a, err := r.insert(ctx, actor, s, found)
	if err != nil || !actor.Superuser {
		return a, err
	}
	if err := r.connectByItself(ctx, actor, a); err != nil {
		r.Log.Info("a Langflow waits for an admin who connects it", "app", a.Name, "error", err)
	}
	return r.reread(a.ID, nil)
}

// Ensure makes sure that an app with the Spec's address exists; for --protect. What does not answer yet becomes a pending app. A Langflow is connected by itself as soon as it answers.
func (r *Registry) Ensure(ctx context.Context, actor authz.Principal, s Spec) (*App, error) {
	a, err := r.ensure(ctx, actor, s)
	if err == nil {
		r.named.Store(a.ID, true)
	}
	return a, err
}

func (r *Registry) ensure(ctx context.Context, actor authz.Principal, s Spec) (*App, error) {
	if err := s.clean(r.Kinds); err != nil {
		return nil, err
	}
	for _, a := range r.All() {
		if r.addressOf(a) == s.URL {
			return r.readdress(ctx, actor, a, s)
		}
	}
	found, err := r.probe(ctx, s.URL)
	if err != nil {
		if problem.Is(err, problem.Invalid) {
			return nil, err
		}
		r.Log.Warn("nothing usable answers at this address yet; the app stays closed until it does", "url", s.URL, "error", err)
	}
	return r.insert(ctx, actor, s, found)
}

func (r *Registry) addressOf(a *App) string {
	if a.Kind.BuiltIn {
		return DemoURL
	}
	return a.Upstream.Scheme + "://" + a.Upstream.Host
}

// readdress takes over another public address that --protect names for a known app.
func (r *Registry) readdress(ctx context.Context, actor authz.Principal, a *App, s Spec) (*App, error) {
	if s.PublicURL == "" || s.PublicURL == a.PublicURL {
		return a, nil
	}
	if err := r.checkAddress(s.PublicURL); err != nil {
		return nil, err
	}
	err := r.change(ctx, actor, authz.AppManage, a, "public address "+s.PublicURL, func(tx *db.Tx) error {
		return q.New(tx).UpdateAppAddress(ctx, q.UpdateAppAddressParams{ID: a.ID, PublicUrl: s.PublicURL, UpdatedAt: r.Now().UnixMilli()})
	})
	return r.reread(a.ID, err)
}

func (r *Registry) insert(ctx context.Context, actor authz.Principal, s Spec, found builder.Found) (*App, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("making an id: %w", err)
	}
	row := q.InsertAppParams{
		ID: id.String(), WorkspaceID: identity.DefaultWorkspace, Name: s.Name, Kind: found.Kind, Version: found.Version, UpstreamUrl: s.URL,
		PublicUrl: s.PublicURL, CreatedAt: r.Now().UnixMilli(), Mode: s.Mode,
	}
	if err := r.checkAddress(s.PublicURL); err != nil {
		return nil, err
	}
	if s.Kind != "" && found.Kind != "" {
		row.Kind = s.Kind
	}
	if row.Name == "" {
		row.Name = nameFor(s, found)
	}
	row.Slug = r.freeSlug(row.Name)
	if s.PublicURL == "" {
		port, err := r.freePort()
		if err != nil {
			return nil, err
		}
		row.Port = int64(port)
	}
	res := authz.Resource{Type: "App", ID: row.ID, Workspace: row.WorkspaceID, Name: row.Name}
	err = r.Gate.DoDetail(ctx, actor, authz.AppManage, res, "added, "+s.URL, func(tx *db.Tx) error {
		if err := q.New(tx).InsertApp(ctx, row); err != nil {
			if db.IsUnique(err) {
				return problem.New(problem.Conflict, "This address is connected already.").WithField("url")
			}
			return fmt.Errorf("adding the app: %w", err)
		}
		if err := q.New(tx).OfferApp(ctx, q.OfferAppParams{AppID: row.ID, WorkspaceID: row.WorkspaceID}); err != nil {
			return fmt.Errorf("adding the app to its workspace: %w", err)
		}
		return tx.Changed(ChangeKind, row.ID)
	})
	return r.reread(row.ID, err)
}

func nameFor(s Spec, found builder.Found) string {
	if found.Title != "" {
		return strings.Join(strings.Fields(found.Title), " ")
	}
	if u, err := url.Parse(s.URL); err == nil && u.Host != "" {
		return u.Host
	}
	return "App"
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

func (r *Registry) freeSlug(name string) string {
	base := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if base = base[:min(len(base), 40)]; base == "" {
		base = "app"
	}
	taken := map[string]bool{}
	for _, a := range r.All() {
		taken[a.Slug] = true
	}
	slug := base
	for n := 2; taken[slug]; n++ {
		slug = base + "-" + strconv.Itoa(n)
	}
	return slug
}

// freePort finds a port that no app has and nothing listens on.
func (r *Registry) freePort() (int, error) {
	if r.FirstPort == 0 {
		return anyPort(r.ListenHost)
	}
	taken := map[int]bool{}
	for _, a := range r.All() {
		taken[a.Port] = true
	}
	for port := r.FirstPort; port < r.FirstPort+portsTried && port <= 65535; port++ {
		if taken[port] {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(r.ListenHost, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err == nil {
			return port, nil
		}
	}
	return 0, problem.Newf(problem.Conflict, "No free port from %d to %d for this app.", r.FirstPort, r.FirstPort+portsTried-1).
		WithNext("Give the app a host name of its own, or set SLUICE_APP_PORTS to another first port.")
}

func anyPort(host string) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// reread returns the app as it is after a change.
func (r *Registry) reread(id string, err error) (*App, error) {
	if err != nil {
		return nil, err
	}
	a, ok := r.ByID(id)
	if !ok {
		return nil, fmt.Errorf("app %s is not there after it was stored", id)
	}
	return a, nil
}

func (r *Registry) change(ctx context.Context, actor authz.Principal, action authz.Action, a *App, detail string, fn func(*db.Tx) error) error {
	return r.Gate.DoDetail(ctx, actor, action, a.Resource(), detail, func(tx *db.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Changed(ChangeKind, a.ID)
	})
}

// find returns an app for somebody who may manage it; for others every id is unknown or refused.
func (r *Registry) find(ctx context.Context, actor authz.Principal, action authz.Action, id string) (*App, error) {
	a, ok := r.ByID(id)
	res := somewhere()
	if ok {
		res = a.Resource()
	}
	if err := r.Gate.Check(ctx, actor, action, res); err != nil {
		return nil, err
	}
	if !ok {
		return nil, problem.New(problem.NotFound, "There is no such app. It may have been removed.")
	}
	return a, nil
}

// Owner is a builder's owner account.
type Owner struct{ Email, Password string }

// serviceEmail is the address of the owner that Sluice registers. The domain can never receive mail (RFC 6762 appendix G reserves .internal for private use).
const serviceEmail = "service@sluice.internal"

// Connect gives Sluice the builder's owner account: with an empty Owner it registers a service owner where there is none, else it tests the credentials. It needs AppManage.
// Errors of the builder keep their kind: Unauthenticated for wrong credentials, Conflict where an owner exists already.
func (r *Registry) Connect(ctx context.Context, actor authz.Principal, id string, given Owner) error {
	a, err := r.find(ctx, actor, authz.AppManage, id)
	if err != nil {
		return err
	}
	if a.Pending {
		return problem.New(problem.Unavailable, "Nothing has answered at this address yet.").WithNext("Start the builder, then check the app again.")
	}
	if a.Kind.Owner == nil {
		return problem.Newf(problem.Invalid, "%s needs no owner account.", a.Kind.Title)
	}
	defer r.connecting(id)()
	if err := r.connect(ctx, actor, a, given); err != nil {
		return err
	}
	if a, ok := r.ByID(id); ok {
		if err := r.adoptOnce(ctx, a, true); err != nil {
			// The health check tries again as soon as the builder answers.
			r.Log.Warn("what the builder already has could not be given to a workspace yet", "app", a.Name, "error", err)
		}
	}
	return nil
}

func (r *Registry) connect(ctx context.Context, actor authz.Principal, a *App, given Owner) error {
	if given.Email == "" && given.Password == "" {
		return r.register(ctx, actor, a)
	}
	if given.Email == "" || len(given.Email) > 254 || given.Password == "" || len(given.Password) > 200 {
		return problem.New(problem.Invalid, "Enter the owner's e-mail address and password.").WithField("owner_email")
	}
	if err := r.testOwner(ctx, a, owner{Email: given.Email, Password: given.Password}); err != nil {
		return err
	}
	return r.keepOwner(ctx, actor, a, owner{Email: given.Email, Password: given.Password}, "owner account connected")
}

// testOwner signs in once. The bridge's own session is given up first: two sign-ins at once break some builders.
func (r *Registry) testOwner(ctx context.Context, a *App, o owner) error {
	r.mu.Lock()
	old := r.bridges[a.ID].bridge
	r.mu.Unlock()
	if old != nil {
		// The old account may be gone, which is why somebody enters a new one.
		_ = old.Close(ctx)
		defer r.restart(a.ID)
	}
	return a.Kind.Owner.Test(ctx, r.Client, a.Upstream, builder.OwnerAccount{Email: o.Email, Password: o.Password})
}

// restart replaces a closed bridge by a fresh one of the stored account.
func (r *Registry) restart(id string) {
	r.mu.Lock()
	delete(r.bridges, id)
	r.mu.Unlock()
	if err := r.rebuild(context.Background()); err != nil {
		r.Log.Error("the bridge could not be started again", "app", id, "error", err)
	}
}

// register makes the service owner. Its password is stored before it is used.
func (r *Registry) register(ctx context.Context, actor authz.Principal, a *App) error {
	row, err := q.New(r.DB.Read()).GetApp(ctx, a.ID)
	if err != nil {
		return fmt.Errorf("reading the app: %w", err)
	}
	o, err := r.openOwner(row)
	if err != nil {
		return err
	}
	if o.Email != "" && !o.Pending {
		return problem.New(problem.Conflict, "Sluice holds an owner account of this builder already.")
	}
	if !o.Pending {
		o = owner{Email: serviceEmail, Password: a.Kind.Owner.NewPassword(), Made: true, Pending: true}
		if err := r.keepOwner(ctx, actor, a, o, "service owner prepared"); err != nil {
			return err
		}
	}
	err = a.Kind.Owner.Register(ctx, r.Client, a.Upstream, builder.OwnerAccount{Name: "Sluice service owner", Email: o.Email, Password: o.Password})
	if problem.Is(err, problem.Conflict) && r.testOwner(ctx, a, o) == nil {
		// An earlier attempt registered it and was interrupted.
		err = nil
	}
	if err != nil {
		if problem.Is(err, problem.Conflict) {
			return errors.Join(err, r.keepOwner(ctx, actor, a, owner{}, "the builder has another owner"))
		}
		return err
	}
	o.Pending = false
	return r.keepOwner(ctx, actor, a, o, "service owner registered")
}

func (r *Registry) keepOwner(ctx context.Context, actor authz.Principal, a *App, o owner, detail string) error {
	text := ""
	if o.Email != "" {
		plain, err := json.Marshal(o)
		if err != nil {
			return err
		}
		sealed, err := r.Keyring.Seal(plain, "app", a.ID)
		if err != nil {
			return fmt.Errorf("sealing the owner account: %w", err)
		}
		text = encode(sealed)
	}
	return r.change(ctx, actor, authz.AppManage, a, detail, func(tx *db.Tx) error {
		return q.New(tx).SetAppOwner(ctx, q.SetAppOwnerParams{ID: a.ID, OwnerSealed: text, UpdatedAt: r.Now().UnixMilli()})
	})
}

// Remove disconnects an app. If Sluice had registered the builder's owner account itself, its credentials are returned, to be shown once: nobody else knows them.
func (r *Registry) Remove(ctx context.Context, actor authz.Principal, id string) (Owner, error) {
	a, err := r.find(ctx, actor, authz.AppManage, id)
	if err != nil {
		return Owner{}, err
	}
	row, err := q.New(r.DB.Read()).GetApp(ctx, id)
	if err != nil {
		return Owner{}, db.Found(err, "There is no such app. It may have been removed.")
	}
	o, err := r.openOwner(row)
	if err != nil {
		return Owner{}, err
	}
	err = r.change(ctx, actor, authz.AppManage, a, "removed", func(tx *db.Tx) error {
		_, err := q.New(tx).DeleteApp(ctx, id)
		return err
	})
	if err != nil || !o.Made {
		return Owner{}, err
	}
	return Owner{Email: o.Email, Password: o.Password}, nil
}

// MarkVerified notes that an admin has seen the Verify page succeed.
func (r *Registry) MarkVerified(ctx context.Context, actor authz.Principal, id string) error {
	a, err := r.find(ctx, actor, authz.AppManage, id)
	if err != nil {
		return err
	}
	return r.change(ctx, actor, authz.AppManage, a, "verified", func(tx *db.Tx) error {
		return q.New(tx).SetAppVerified(ctx, q.SetAppVerifiedParams{ID: id, VerifiedAt: r.Now().UnixMilli()})
	})
}
