package app_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder/buildertest"
	"sluice/internal/builder/flowise/flowisetest"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
	"sluice/internal/dbtest"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

var operator = authz.SystemPrincipal("cli")

type house struct {
	*app.Apps
	people *identity.People
	vault  *secret.Vault
}

func open(t testing.TB, d *db.DB, keys string) *house {
	t.Helper()
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	gate, err1 := authz.NewGate(authz.Config{DB: d, Now: time.Now, Log: log})
	ring, err2 := secret.Open(ctx, secret.Config{DB: d, Folder: keys})
	hasher := identity.NewHasher(bcrypt.MinCost, nil)
	people, err3 := identity.New(ctx, identity.Config{
		DB: d, Gate: gate, Hasher: hasher, Now: time.Now, Log: log,
		Hooks: identity.Hooks{
			Disabled:         authn.EndDisabled,
			Removed:          flow.HandOver,
			WorkspaceDeleted: flow.ForgetProjects,
		},
	})
	demo := httptest.NewServer(http.NotFoundHandler())
	vault, opener := secret.NewVault(
		secret.VaultConfig{DB: d, Gate: gate, People: people, Keyring: ring, Now: time.Now},
	)
	r, err4 := app.New(ctx, app.Config{
		Kinds: buildertest.Kinds(
			t,
		), DB: d, Gate: gate, Keyring: ring, Vault: vault, Opener: opener,
		Client: &http.Client{Timeout: 5 * time.Second}, ListenHost: "127.0.0.1", Now: time.Now, Log: log,
		Demo: func() (*url.URL, error) { return url.Parse(demo.URL) },
	})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { demo.Close(); r.Close(ctx); gate.Close(ctx); hasher.Close() })
	return &house{r, people, vault}
}

// flowise is a Flowise without an owner.
func flowise() *flowisetest.Server {
	f := flowisetest.New()
	f.Email, f.Password = "", ""
	return f
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestFlowise_WithoutOwner(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		keys, ctx, f := t.TempDir(), context.Background(), flowise()
		r := open(t, d, keys)
		a, err := r.Manager.Add(ctx, operator, app.Spec{URL: serve(t, f)})
		if err != nil {
			t.Fatal(err)
		}
		if a.Kind.Name != "flowise" || a.Version != "3.1.4" || !a.NeedsOwner || a.Bridge != nil || a.Port == 0 ||
			a.Slug != "flowise" {
			t.Errorf("added: %+v", a)
		}
		if err := r.Connector.Connect(ctx, operator, a.ID, app.Owner{}); err != nil {
			t.Fatal(err)
		}
		a, _ = r.ByID(a.ID)
		if a.NeedsOwner || a.Bridge == nil || a.OwnerEmail != f.Email || f.Email == "" {
			t.Errorf("connected: %+v, owner %q", a, f.Email)
		}
		if h, err := r.Monitor.Check(ctx, operator, a.ID); err != nil || !h.OK {
			t.Errorf("health: %+v, %v", h, err)
		}
		row, err := q.New(d.Read()).GetApp(ctx, a.ID)
		if err != nil || row.OwnerSealed == "" || strings.Contains(row.OwnerSealed, f.Password) {
			t.Error("the owner's password stands in the database")
		}
		again := open(t, d, keys)
		if b, ok := again.ByID(a.ID); !ok || b.NeedsOwner || b.Bridge == nil {
			t.Errorf("after a restart: %+v", b)
		}
		handed, err := r.Manager.Remove(ctx, operator, a.ID)
		if err != nil || handed.Password != f.Password || handed.Email != f.Email {
			t.Errorf("removing hands over %q, %v; the registered password must not be lost", handed.Email, err)
		}
		if _, ok := r.ByID(a.ID); ok || len(r.All()) != 0 {
			t.Error("the app is still there")
		}
	})
}

func TestFlowise_InterruptedRegistration(t *testing.T) {
	t.Parallel()
	d, ctx, f := dbtest.SQLite(t), context.Background(), flowise()
	f.RegisterStatus = 500
	r := open(t, d, t.TempDir())
	a, err := r.Manager.Add(ctx, operator, app.Spec{URL: serve(t, f)})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Connector.Connect(ctx, operator, a.ID, app.Owner{}); !problem.Is(err, problem.Upstream) {
		t.Fatalf("a failing registration: %v", err)
	}
	if a, _ = r.ByID(a.ID); !a.NeedsOwner {
		t.Error("the app counts as connected")
	}
	f.With(func() { f.RegisterStatus = 0 })
	if err := r.Connector.Connect(ctx, operator, a.ID, app.Owner{}); err != nil {
		t.Fatal(err)
	}
	// The answer to a registration may get lost: the next attempt finds an owner, and the stored
	// password fits.
	row, err := q.New(d.Read()).GetApp(ctx, a.ID)
	if err != nil || row.OwnerSealed == "" {
		t.Fatal("nothing is stored")
	}
	if err := r.Connector.Connect(ctx, operator, a.ID, app.Owner{}); !problem.Is(err, problem.Conflict) {
		t.Errorf("connecting a connected app: %v", err)
	}
}

func TestFlowise_WithOwner(t *testing.T) {
	t.Parallel()
	ctx, f := context.Background(), flowise()
	f.Email, f.Password = "boss@example.com", "Very-Secret-1"
	r := open(t, dbtest.SQLite(t), t.TempDir())
	a, err := r.Manager.Add(ctx, operator, app.Spec{URL: serve(t, f), Name: "Ours"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Connector.Connect(ctx, operator, a.ID, app.Owner{}); !problem.Is(err, problem.Conflict) {
		t.Errorf("registering a second owner: %v, want conflict", err)
	}
	if err := r.Connector.Connect(ctx, operator, a.ID,
		app.Owner{Email: "boss@example.com", Password: "wrong"}); !problem.Is(
		err,
		problem.Unauthenticated,
	) {
		t.Errorf("wrong password: %v", err)
	}
	if a, _ = r.ByID(a.ID); !a.NeedsOwner {
		t.Error("a wrong password connects")
	}
	if err := r.Connector.Connect(ctx, operator, a.ID,
		app.Owner{Email: "boss@example.com", Password: "Very-Secret-1"}); err != nil {
		t.Fatal(err)
	}
	handed, err := r.Manager.Remove(ctx, operator, a.ID)
	if err != nil || handed != (app.Owner{}) {
		t.Errorf("somebody's own password is shown: %q, %v", handed.Email, err)
	}
}

func TestBuilder_DownAtFirst(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r, ctx := open(t, dbtest.SQLite(t), t.TempDir()), context.Background()
	spec := app.Spec{URL: "http://" + address}
	if _, err := r.Manager.Add(ctx, operator, spec); err == nil {
		t.Error("the wizard adds an address where nothing answers")
	}
	a, err := r.Manager.Ensure(ctx, operator, spec)
	if err != nil || !a.Pending {
		t.Fatalf("Ensure: %+v, %v; want a pending app", a, err)
	}
	r.Monitor.CheckAll(ctx, true)
	if h := r.Monitor.Health(a.ID); h.OK || h.Text == "" {
		t.Errorf("health of what is down: %+v", h)
	}
	l, err = net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: flowise()}
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	r.Monitor.CheckAll(ctx, true)
	if a, _ = r.ByID(a.ID); a.Pending || a.Kind.Name != "flowise" || a.Version != "3.1.4" {
		t.Errorf("after it came up: %+v", a)
	}
	if b, err := r.Manager.Ensure(ctx, operator, spec); err != nil || b.ID != a.ID || len(r.All()) != 1 {
		t.Errorf("the next start makes another app: %v, %v", b, err)
	}
	b, err := r.Manager.Ensure(ctx, operator, app.Spec{URL: spec.URL, PublicURL: "https://flows.example.com"})
	if err != nil || b.PublicURL != "https://flows.example.com" || b.ID != a.ID {
		t.Fatalf("another public address: %+v, %v", b, err)
	}
	if got, ok := r.ByHost("FLOWS.example.com"); !ok || got.ID != a.ID {
		t.Error("the app is not found by its host name")
	}
}

func TestApps_AdminsOnly(t *testing.T) {
	t.Parallel()
	r, ctx := open(t, dbtest.SQLite(t), t.TempDir()), context.Background()
	a, err := r.Manager.Add(ctx, operator, app.Spec{URL: serve(t, flowise())})
	if err != nil {
		t.Fatal(err)
	}
	own(t, r, a.ID, "own-flow")
	for _, role := range []string{authz.RoleViewer, authz.RoleUser} {
		u, err := r.people.Create(ctx, operator, identity.NewUser{Username: role, Role: role, Active: true})
		if err != nil {
			t.Fatal(err)
		}
		p, _ := r.people.Principal(u.ID)
		_, addErr := r.Manager.Add(ctx, p, app.Spec{URL: "http://127.0.0.1:1"})
		_, lookErr := r.Manager.Look(ctx, p, app.Spec{URL: "http://127.0.0.1:1"})
		_, removeErr := r.Manager.Remove(ctx, p, a.ID)
		_, noneErr := r.Manager.Remove(ctx, p, "no-such-app")
		_, checkErr := r.Monitor.Check(ctx, p, a.ID)
		for what, err := range map[string]error{
			"add": addErr, "look": lookErr, "remove": removeErr, "remove what is not there": noneErr, "check": checkErr,
			"connect": r.Connector.Connect(ctx, p, a.ID, app.Owner{}), "publish": r.Publications.Publish(ctx, p, a.ID,
				"own-flow"), "verify": r.Manager.MarkVerified(ctx, p, a.ID),
		} {
			if !problem.Is(err, problem.Denied) {
				t.Errorf("%s may %s: %v", role, what, err)
			}
		}
		if seen := r.Visible(p); len(seen) != 1 {
			t.Errorf("%s sees %d apps, want 1", role, len(seen))
		}
	}
	if seen := r.Visible(authz.Principal{}); len(seen) != 0 {
		t.Error("strangers see apps")
	}
}

func TestPublishing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r, ctx := open(t, d, t.TempDir()), context.Background()
		a, err := r.Manager.Add(ctx, operator, app.Spec{URL: serve(t, flowise())})
		if err != nil {
			t.Fatal(err)
		}
		const flow = "11111111-1111-4111-8111-111111111111"
		own(t, r, a.ID, flow)
		for _, bad := range []string{"", "../x", "a b", "<script>", strings.Repeat("a", 101)} {
			if err := r.Publications.Publish(ctx, operator, a.ID, bad); !problem.Is(err, problem.Invalid) {
				t.Errorf("publishing %.20q: %v", bad, err)
			}
		}
		for range 2 {
			if err := r.Publications.Publish(ctx, operator, a.ID, " "+flow+" "); err != nil {
				t.Fatal(err)
			}
		}
		if a, _ = r.ByID(a.ID); !a.Published(flow) || a.Published("other") {
			t.Error("Published is wrong")
		}
		if ids, err := r.Publications.List(ctx, operator, a.ID); err != nil || !cmp.Equal(ids, []string{flow}) {
			t.Errorf("list %v, %v", ids, err)
		}
		if err := r.Publications.Unpublish(ctx, operator, a.ID, flow); err != nil {
			t.Fatal(err)
		}
		if a, _ = r.ByID(a.ID); a.Published(flow) {
			t.Error("still open after closing it")
		}
	})
}

func TestAdd_BadAddresses(t *testing.T) {
	t.Parallel()
	r := open(t, dbtest.SQLite(t), t.TempDir())
	for _, bad := range []string{"", "flowise", "ftp://x", "http://", "http://user:secret@127.0.0.1",
		"http://127.0.0.1/flowise", "http://127.0.0.1:99999", "http://a b", "javascript:alert(1)"} {
		_, err := r.Manager.Add(context.Background(), operator, app.Spec{URL: bad})
		if e := problem.Of(err); e.Kind != problem.Invalid || e.Field != "url" || strings.Contains(e.Detail, "secret") {
			t.Errorf("%q: %v (field %q), want invalid url", bad, err, e.Field)
		}
		_, err = r.Manager.Look(
			context.Background(),
			operator,
			app.Spec{URL: "http://127.0.0.1:1", PublicURL: "x" + bad},
		)
		if e := problem.Of(err); e.Field != "public_url" {
			t.Errorf("public %q: field %q", bad, e.Field)
		}
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	a := &app.App{Port: 3002}
	for host, want := range map[string]string{
		"localhost:3000": "http://localhost:3002",
		"127.0.0.1":      "http://127.0.0.1:3002",
		"[::1]:3000":     "http://[::1]:3002",
		"":               "http://127.0.0.1:3002",
	} {
		if got := a.Origin(host); got != want {
			t.Errorf("Origin(%q) = %q, want %q", host, got, want)
		}
	}
	a.PublicURL = "https://flows.example.com"
	if got := a.Origin("localhost:3000"); got != a.PublicURL {
		t.Errorf("with a public address: %q", got)
	}
}

func TestExposure_Loopback(t *testing.T) {
	t.Parallel()
	r, ctx := open(t, dbtest.SQLite(t), t.TempDir()), context.Background()
	a, err := r.Manager.Add(ctx, operator, app.Spec{URL: serve(t, flowise())})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := r.Monitor.Exposure(ctx, operator, a.ID); err != nil || e.State != "closed" {
		t.Errorf("a server on the loopback address: %+v, %v", e, err)
	}
}

func TestListenersTable(t *testing.T) {
	t.Parallel()
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 00000000:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   2: 0100007F:0BB9 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 1 1
   3: 00000000:0BBA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   4: 00000000000000000000000001000000:0BB9 00000000000000000000000000000000:0000 0A 0 0 0
   5: zz:0BB9 x 0A
`
	got, err := app.ParseListeners(strings.NewReader(table), 3001)
	want := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("::1")}
	if err != nil || !cmp.Equal(got, want, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

// own gives a flow to the default workspace.
func own(t *testing.T, r *house, appID, id string) {
	t.Helper()
	o := flow.Object{App: appID, ID: id, Kind: flow.Chatflow, Workspace: identity.DefaultWorkspace}
	if err := r.Flows.Claim(context.Background(), o); err != nil {
		t.Fatal(err)
	}
}
