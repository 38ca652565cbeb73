package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// portsTried is how many ports are tried for an app without a host name.
const portsTried = 200

// Manager adds, changes and removes apps and decides in which workspaces they are used.
type Manager struct {
	registry   *Registry
	connector  *Connector
	accounts   *accountStore
	db         *db.DB
	gate       *authz.Gate
	kinds      builder.Kinds
	client     *http.Client
	listenHost string
	firstPort  int
	now        func() time.Time
	log        *slog.Logger
}

// Look detects what runs at an address, without adding it. It needs AppManage.
func (m *Manager) Look(ctx context.Context, actor authz.Principal, s Spec) (builder.Found, error) {
	if err := m.gate.Check(ctx, actor, authz.AppManage, somewhere()); err != nil {
		return builder.Found{}, err
	}
	if err := s.clean(m.kinds); err != nil {
		return builder.Found{}, err
	}
	if s.Mode == ModeForwardAuth {
		return builder.Found{}, problem.New(problem.Invalid, "Only the reverse proxy knows where this app runs, so "+
			"Sluice cannot check it.").
			WithField("mode")
	}
	return m.probe(ctx, s.URL)
}

func (m *Manager) probe(ctx context.Context, address string) (builder.Found, error) {
	base, err := m.registry.upstream(address)
	if err != nil {
		return builder.Found{}, err
	}
	return m.kinds.Probe(ctx, m.client, base)
}

// Add connects an app. It needs AppManage. A builder must answer at the address, unless a reverse
// proxy will forward to it.
func (m *Manager) Add(ctx context.Context, actor authz.Principal, s Spec) (*App, error) {
	if err := m.gate.Check(ctx, actor, authz.AppManage, somewhere()); err != nil {
		return nil, err
	}
	if err := s.clean(m.kinds); err != nil {
		return nil, err
	}
	if s.Mode == ModeForwardAuth {
		return m.addForwardAuth(ctx, actor, s)
	}
	found, err := m.probe(ctx, s.URL)
	if err != nil {
		return nil, err
	}
	a, err := m.insert(ctx, actor, s, found)
	if err != nil || !actor.Superuser {
		return a, err
	}
	if err := m.connector.connectByItself(ctx, actor, a); err != nil {
		m.log.Info("a builder waits for an admin who connects it", "app", a.Name, "error", err)
	}
	return m.registry.reread(a.ID, nil)
}

// Ensure makes sure that an app with the Spec's address exists; for --protect. If nothing answers
// yet, the app becomes a pending one. A builder with accounts is connected automatically as soon as
// it answers.
func (m *Manager) Ensure(ctx context.Context, actor authz.Principal, s Spec) (*App, error) {
	a, err := m.ensure(ctx, actor, s)
	if err == nil {
		m.connector.named.Store(a.ID, true)
	}
	return a, err
}

func (m *Manager) ensure(ctx context.Context, actor authz.Principal, s Spec) (*App, error) {
	if err := s.clean(m.kinds); err != nil {
		return nil, err
	}
	for _, a := range m.registry.All() {
		if m.addressOf(a) == s.URL {
			return m.readdress(ctx, actor, a, s)
		}
	}
	found, err := m.probe(ctx, s.URL)
	if err != nil {
		if problem.Is(err, problem.Invalid) {
			return nil, err
		}
		m.log.Warn(
			"no usable builder responds at this address yet; the app stays closed until then",
			"url",
			s.URL,
			"error",
			err,
		)
	}
	return m.insert(ctx, actor, s, found)
}

func (m *Manager) addressOf(a *App) string {
	if a.Kind.BuiltIn {
		return DemoURL
	}
	return a.Upstream.Scheme + "://" + a.Upstream.Host
}

// readdress adopts a changed public address that --protect names for a known app.
func (m *Manager) readdress(ctx context.Context, actor authz.Principal, a *App, s Spec) (*App, error) {
	if s.PublicURL == "" || s.PublicURL == a.PublicURL {
		return a, nil
	}
	if err := m.checkAddress(s.PublicURL); err != nil {
		return nil, err
	}
	err := m.registry.change(ctx, actor, authz.AppManage, a, "public address "+s.PublicURL, func(tx *db.Tx) error {
		return q.New(tx).
			UpdateAppAddress(ctx,
				q.UpdateAppAddressParams{ID: a.ID, PublicUrl: s.PublicURL, UpdatedAt: m.now().UnixMilli()})
	})
	return m.registry.reread(a.ID, err)
}

func (m *Manager) insert(ctx context.Context, actor authz.Principal, s Spec, found builder.Found) (*App, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("creating an id: %w", err)
	}
	row := q.InsertAppParams{
		ID:          id.String(),
		WorkspaceID: identity.DefaultWorkspace,
		Name:        s.Name,
		Kind:        found.Kind,
		Version:     found.Version,
		UpstreamUrl: s.URL,
		PublicUrl:   s.PublicURL, CreatedAt: m.now().UnixMilli(), Mode: s.Mode,
	}
	if err := m.checkAddress(s.PublicURL); err != nil {
		return nil, err
	}
	if s.Kind != "" && found.Kind != "" {
		row.Kind = s.Kind
	}
	if row.Name == "" {
		row.Name = nameFor(s, found)
	}
	row.Slug = m.freeSlug(row.Name)
	if s.PublicURL == "" {
		port, err := m.freePort()
		if err != nil {
			return nil, err
		}
		row.Port = int64(port)
	}
	res := authz.Resource{Type: "App", ID: row.ID, Workspace: row.WorkspaceID, Name: row.Name}
	err = m.gate.DoDetail(ctx, actor, authz.AppManage, res, "added, "+s.URL, func(tx *db.Tx) error {
		if err := q.New(tx).InsertApp(ctx, row); err != nil {
			if db.IsUnique(err) {
				return problem.New(problem.Conflict, "This address is already connected.").WithField("url")
			}
			return fmt.Errorf("adding the app: %w", err)
		}
		if err := q.New(tx).OfferApp(ctx, q.OfferAppParams{AppID: row.ID, WorkspaceID: row.WorkspaceID}); err != nil {
			return fmt.Errorf("adding the app to its workspace: %w", err)
		}
		return tx.Changed(ChangeKind, row.ID)
	})
	return m.registry.reread(row.ID, err)
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

func (m *Manager) freeSlug(name string) string {
	base := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if base = base[:min(len(base), 40)]; base == "" {
		base = "app"
	}
	taken := map[string]bool{}
	for _, a := range m.registry.All() {
		taken[a.Slug] = true
	}
	slug := base
	for n := 2; taken[slug]; n++ {
		slug = base + "-" + strconv.Itoa(n)
	}
	return slug
}

// freePort finds a port that no app uses and no program listens on.
func (m *Manager) freePort() (int, error) {
	if m.firstPort == 0 {
		return anyPort(m.listenHost)
	}
	taken := map[int]bool{}
	for _, a := range m.registry.All() {
		taken[a.Port] = true
	}
	for port := m.firstPort; port < m.firstPort+portsTried && port <= 65535; port++ {
		if taken[port] {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(m.listenHost, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err == nil {
			return port, nil
		}
	}
	return 0, problem.Newf(problem.Conflict, "No free port from %d to %d for this app.", m.firstPort,
		m.firstPort+portsTried-1).
		WithNext("Give the app a separate host name, or set SLUICE_APP_PORTS to another first port.")
}

func anyPort(host string) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// Remove disconnects an app. If Sluice registered the builder's owner account itself, Remove
// returns its credentials, to be shown once: no one else knows them.
func (m *Manager) Remove(ctx context.Context, actor authz.Principal, id string) (Owner, error) {
	a, err := m.registry.find(ctx, actor, authz.AppManage, id)
	if err != nil {
		return Owner{}, err
	}
	row, err := q.New(m.db.Read()).GetApp(ctx, id)
	if err != nil {
		return Owner{}, db.Found(err, "There is no such app. It may have been removed.")
	}
	o, err := m.accounts.owner(row)
	if err != nil {
		return Owner{}, err
	}
	err = m.registry.change(ctx, actor, authz.AppManage, a, "removed", func(tx *db.Tx) error {
		_, err := q.New(tx).DeleteApp(ctx, id)
		return err
	})
	if err != nil || !o.Made {
		return Owner{}, err
	}
	return Owner{Email: o.Email, Password: o.Password}, nil
}

// MarkVerified notes that an admin has seen the Verify page succeed.
func (m *Manager) MarkVerified(ctx context.Context, actor authz.Principal, id string) error {
	a, err := m.registry.find(ctx, actor, authz.AppManage, id)
	if err != nil {
		return err
	}
	return m.registry.change(ctx, actor, authz.AppManage, a, "verified", func(tx *db.Tx) error {
		return q.New(tx).SetAppVerified(ctx, q.SetAppVerifiedParams{ID: id, VerifiedAt: m.now().UnixMilli()})
	})
}

// addForwardAuth connects an app without probing it: only the reverse proxy knows where it runs.
func (m *Manager) addForwardAuth(ctx context.Context, actor authz.Principal, s Spec) (*App, error) {
	found := builder.Found{Kind: m.kinds.Fallback().Name}
	if u, err := url.Parse(s.PublicURL); err == nil {
		found.Title = u.Host
	}
	return m.insert(ctx, actor, s, found)
}

// checkAddress makes sure that no other app has this public address, because requests are routed by
// it.
func (m *Manager) checkAddress(publicURL string) error {
	_, host, ok := strings.Cut(publicURL, "://")
	if a, taken := m.registry.ByHost(host); ok && taken {
		return problem.Newf(problem.Conflict, "%s already has this public address.", a.Name).WithField("public_url")
	}
	return nil
}

// Offer lets the people of a workspace use the app. It needs WorkspaceManage for the whole
// installation.
func (m *Manager) Offer(ctx context.Context, actor authz.Principal, id, workspaceID string) error {
	return m.changeUse(ctx, actor, id, "offered to workspace "+workspaceID, func(tx *db.Tx) error {
		if _, err := q.New(tx).GetWorkspace(ctx, workspaceID); err != nil {
			return db.Found(err, "There is no such workspace.")
		}
		return q.New(tx).OfferApp(ctx, q.OfferAppParams{AppID: id, WorkspaceID: workspaceID})
	})
}

// Withdraw stops the use of the app in a workspace. The workspace's objects remain, and reappear
// when the app is offered again.
func (m *Manager) Withdraw(ctx context.Context, actor authz.Principal, id, workspaceID string) error {
	return m.changeUse(ctx, actor, id, "withdrawn from workspace "+workspaceID, func(tx *db.Tx) error {
		n, err := q.New(tx).WithdrawApp(ctx, q.WithdrawAppParams{AppID: id, WorkspaceID: workspaceID})
		if err == nil && n == 0 {
			return problem.New(problem.NotFound, "The app is not used in this workspace.")
		}
		return err
	})
}

func (m *Manager) changeUse(
	ctx context.Context,
	actor authz.Principal,
	id, detail string,
	fn func(*db.Tx) error,
) error {
	a, ok := m.registry.ByID(id)
	if !ok {
		a = &App{ID: id}
	}
	if err := m.gate.Check(ctx, actor, authz.WorkspaceManage, a.installation()); err != nil {
		return err
	}
	if !ok {
		return problem.New(problem.NotFound, "There is no such app. It may have been removed.")
	}
	return m.gate.DoDetail(ctx, actor, authz.WorkspaceManage, a.installation(), detail, func(tx *db.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Changed(ChangeKind, id)
	})
}
