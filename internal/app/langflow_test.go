package app_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/builder/buildertest"
	"sluice/internal/builder/langflow/langflowtest"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
	"sluice/internal/dbtest"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// langflowHouse is a registry whose configuration connects a Langflow; with configured false, an
// admin does that.
func langflowHouse(t testing.TB, d *db.DB, keys string, configured bool) *house {
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
	c := app.Config{
		Kinds: buildertest.Kinds(
			t,
		), DB: d, Gate: gate, Keyring: ring, Client: &http.Client{Timeout: 5 * time.Second}, ListenHost: "127.0.0.1",
		Now: time.Now, Log: log,
		Demo: func() (*url.URL, error) {
			return nil,
				errors.New("none here")
		}, Origin: func() string { return "https://sluice.example.com" },
	}
	if configured {
		c.Configured = builder.Access{
			SecretKey: langflowtest.Secret,
			Superuser: "admin",
			Password:  langflowtest.Password,
		}
	}
	r, err4 := app.New(ctx, c)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(ctx); gate.Close(ctx); hasher.Close() })
	return &house{Apps: r, people: people}
}

func addLangflow(t *testing.T, r *house, f *langflowtest.Server) *app.App {
	t.Helper()
	a, err := r.Manager.Add(context.Background(), operator, app.Spec{URL: f.URL})
	if err != nil {
		t.Fatal(err)
	}
	if a.Kind.Name != "langflow" || !a.NeedsOwner || a.Bridge != nil {
		t.Fatalf("added: %+v", a)
	}
	return a
}

// connectedLangflow is a Langflow that was connected in signed mode.
func connectedLangflow(t *testing.T, r *house, f *langflowtest.Server, given app.AccountAccess) *app.App {
	t.Helper()
	a := addLangflow(t, r, f)
	given.SecretKey, given.Superuser, given.Password = langflowtest.Secret, "admin", langflowtest.Password
	if err := r.Connector.ConnectAccounts(context.Background(), operator, a.ID, given); err != nil {
		t.Fatal(err)
	}
	a, _ = r.ByID(a.ID)
	return a
}

func lent(workspace, person string) builder.OnBehalf {
	return builder.OnBehalf{
		Principal: authz.Principal{Kind: authz.Person, ID: person, Name: person},
		Workspace: workspace,
	}
}

// ownAccount is the account of a workspace, as the app's bridge makes it.
func ownAccount(t *testing.T, r *house, a *app.App, l builder.OnBehalf) string {
	t.Helper()
	a, _ = r.ByID(a.ID)
	id, err := a.Bridge.Accounts.Own(context.Background(), l)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestLangflow_AutomaticConnection(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, f := context.Background(), langflowtest.Start(t)
		built, carol := f.Named("admin"), f.Add("carol", "x", "Carol's")
		built.Put(
			langflowtest.Flows,
			&langflowtest.Thing{ID: langflowtest.FlowID(built, "Built before"), Name: "Built before"},
		)
		r := langflowHouse(t, d, t.TempDir(), true)
		a, err := r.Manager.Ensure(ctx, operator, app.Spec{URL: f.URL})
		if err != nil || !a.NeedsOwner {
			t.Fatalf("%+v, %v", a, err)
		}
		h, err := r.Monitor.Check(ctx, operator, a.ID)
		if err != nil || !h.OK || !strings.Contains(h.Text, "signed") {
			t.Fatalf("%+v, %v", h, err)
		}
		if a, _ = r.ByID(a.ID); a.BridgeMode != "signed" || a.NeedsOwner || a.OwnerEmail != "admin" ||
			a.Version != "1.13.0" {
			t.Errorf("connected: %+v", a)
		}
		own := ownAccount(t, r, a, lent(identity.DefaultWorkspace, "ann"))
		if name := f.Users[own].Username; !strings.HasPrefix(name, "sluice-default-workspace-") ||
			!f.Users[own].Active {
			t.Errorf("the account is %+v", f.Users[own])
		}
		id := langflowtest.FlowID(built, "Built before")
		if ws, kind, ok := r.Flows.Owner(a.ID, id); ws != identity.DefaultWorkspace || kind != flow.Chatflow || !ok ||
			r.Flows.Of(a.ID).Account(id) != built.ID {
			t.Errorf("what the superuser has built belongs to %q as %q", ws, kind)
		}
		if _, _, ok := r.Flows.Owner(a.ID, langflowtest.FlowID(carol, "Carol's")); ok {
			t.Error("another user's flow was given away unasked")
		}
	})
}

// TestLangflow_StartsLater is one that the configuration names and that does not answer yet when
// Sluice starts.
func TestLangflow_StartsLater(t *testing.T) {
	t.Parallel()
	ctx, f := context.Background(), langflowtest.Start(t)
	r := langflowHouse(t, dbtest.SQLite(t), t.TempDir(), true)
	address := "http://" + freeAddress(t)
	a, err := r.Manager.Ensure(ctx, operator, app.Spec{URL: address})
	if err != nil || !a.Pending {
		t.Fatalf("%+v, %v", a, err)
	}
	r.Monitor.CheckAll(ctx, true)
	l, err := net.Listen("tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}}
	s.Start()
	t.Cleanup(s.Close)
	r.Monitor.CheckAll(ctx, true)
	if a, _ = r.ByID(a.ID); a.Pending || a.BridgeMode != "signed" || !r.Monitor.Health(a.ID).OK {
		t.Errorf("%+v, %+v", a, r.Monitor.Health(a.ID))
	}
}

// freeAddress is an address that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// TestLangflow_SecretsOnlyToItsAddress: an admin who is no superuser could otherwise have the
// superuser's password sent to an address of their own.
func TestLangflow_SecretsOnlyToItsAddress(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := langflowHouse(t, dbtest.SQLite(t), t.TempDir(), true)
	admin := authz.Principal{
		Kind:        authz.Person,
		ID:          "admin",
		Workspace:   identity.DefaultWorkspace,
		Memberships: []authz.Membership{{Workspace: identity.DefaultWorkspace, Role: authz.RoleAdmin}},
	}
	theirs, mine := langflowtest.Start(t), langflowtest.Start(t)
	a, err := r.Manager.Add(ctx, admin, app.Spec{URL: theirs.URL})
	if err != nil {
		t.Fatal(err)
	}
	r.Monitor.CheckAll(ctx, false)
	_, tryErr := r.Connector.TryAccounts(ctx, admin, a.ID, app.AccountAccess{})
	if err := r.Connector.ConnectAccounts(ctx, admin, a.ID, app.AccountAccess{}); !problem.Is(err, problem.Conflict) ||
		tryErr != nil ||
		theirs.Count("POST /api/v1/login") != 0 {
		t.Errorf(
			"%d sign-ins at an address that an admin gave; %v, %v",
			theirs.Count("POST /api/v1/login"),
			err,
			tryErr,
		)
	}
	if a, err := r.Manager.Add(ctx, operator, app.Spec{URL: mine.URL}); err != nil || a.BridgeMode != "signed" ||
		mine.Count("POST /api/v1/login") == 0 {
		t.Errorf("the operator's own: %+v, %v", a, err)
	}
}

func TestLangflow_NoCredentials(t *testing.T) {
	t.Parallel()
	r, ctx, f := langflowHouse(t, dbtest.SQLite(t), t.TempDir(), false), context.Background(), langflowtest.Start(t)
	a := addLangflow(t, r, f)
	if h, err := r.Monitor.Check(ctx, operator, a.ID); err != nil || h.OK || !strings.Contains(h.Next, "LANGFLOW") {
		t.Errorf("%+v, %v", h, err)
	}
	for what, c := range map[string]struct {
		given app.AccountAccess
		says  string
	}{
		"nothing": {app.AccountAccess{}, "No method to enter"},
		"another secret": {app.AccountAccess{Mode: "signed", SecretKey: strings.Repeat("x", 43), Superuser: "admin",
			Password: langflowtest.Password}, "secret keys differ"},
		"the wrong password": {app.AccountAccess{Mode: "sign-in", Superuser: "admin", Password: "guess"}, "did not " +
			"accept the superuser"},
		"no external one": {app.AccountAccess{Mode: "external"}, "assertion"},
	} {
		err := r.Connector.ConnectAccounts(ctx, operator, a.ID, c.given)
		if p := problem.Of(err); !problem.Is(err, problem.Conflict) || !strings.Contains(p.Detail, c.says) ||
			p.Next == "" ||
			p.Field != "mode" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := r.Connector.ConnectAccounts(ctx, operator, a.ID, app.AccountAccess{Mode: "magic"}); !problem.Is(
		err,
		problem.Invalid,
	) {
		t.Errorf("an unknown mode: %v", err)
	}
	if a, _ = r.ByID(a.ID); !a.NeedsOwner || a.Bridge != nil {
		t.Error("a refused connection left something behind")
	}
}

func TestLangflow_FailedTrial(t *testing.T) {
	t.Parallel()
	r, ctx, f := langflowHouse(t, dbtest.SQLite(t), t.TempDir(), false), context.Background(), langflowtest.Start(t)
	a := addLangflow(t, r, f)
	trials, err := r.Connector.TryAccounts(
		ctx,
		operator,
		a.ID,
		app.AccountAccess{SecretKey: langflowtest.Secret, Superuser: "admin", Password: langflowtest.Password},
	)
	if err != nil || len(trials) != 3 {
		t.Fatalf("%+v, %v", trials, err)
	}
	for _, trial := range trials {
		if trial.OK != (trial.Mode != "external") {
			t.Errorf("%+v", trial)
		}
	}
	if len(f.Users) != 1 {
		t.Errorf("%d users in Langflow", len(f.Users))
	}
	u, err := r.people.Create(ctx, operator, identity.NewUser{Username: "ann", Role: authz.RoleUser, Active: true})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := r.people.Principal(u.ID)
	_, tryErr := r.Connector.TryAccounts(ctx, p, a.ID, app.AccountAccess{})
	_, usersErr := r.Adoption.BuilderUsers(ctx, p, a.ID)
	_, adoptErr := r.Adoption.AdoptUser(ctx, p, a.ID, "x", identity.DefaultWorkspace, "")
	for what, err := range map[string]error{
		"try": tryErr, "list users": usersErr, "adopt": adoptErr, "undo": r.Adoption.UnadoptUser(ctx, p, a.ID,
			"x"), "connect": r.Connector.ConnectAccounts(ctx, p, a.ID, app.AccountAccess{}),
	} {
		if !problem.Is(err, problem.Denied) {
			t.Errorf("a user may %s: %v", what, err)
		}
	}
}

// TestLangflow_NodesShareAccounts is two nodes on one database that need an account at the same
// moment.
func TestLangflow_NodesShareAccounts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		keys, f := t.TempDir(), langflowtest.Start(t)
		nodes := []*house{langflowHouse(t, d, keys, false), langflowHouse(t, d, keys, false)}
		a := connectedLangflow(t, nodes[0], f, app.AccountAccess{PerPerson: true})
		ids := make([]string, 8)
		var group sync.WaitGroup
		for i := range ids {
			group.Go(func() {
				a, _ := nodes[i%2].ByID(a.ID)
				id, err := a.Bridge.Accounts.Own(
					context.Background(),
					builder.OnBehalf{Principal: authz.SystemPrincipal("test"), Workspace: identity.DefaultWorkspace},
				)
				if err != nil {
					t.Error(err)
				}
				ids[i] = id
			})
		}
		group.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("accounts %v", ids)
			}
		}
		if len(f.Users) != 2 {
			t.Errorf("%d users in Langflow", len(f.Users))
		}
		rows, err := q.New(d.Read()).AccountsOfApp(context.Background(), a.ID)
		if err != nil || len(rows) != 1 || rows[0].UpstreamID != ids[0] || rows[0].SecretSealed == "" ||
			strings.Contains(rows[0].SecretSealed, f.Users[ids[0]].Password) {
			t.Errorf("stored: %+v, %v", rows, err)
		}
	})
}

func TestLangflow_AdoptUsers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, f := context.Background(), langflowtest.Start(t)
		carol := f.Add("carol", "x", "One", "Two")
		r := langflowHouse(t, d, t.TempDir(), false)
		a := connectedLangflow(t, r, f, app.AccountAccess{})
		ws, err := r.people.CreateWorkspace(ctx, operator, "Research")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Adoption.AdoptUser(ctx, operator, a.ID, carol.ID, ws.ID, ""); !problem.Is(err, problem.Invalid) {
			t.Errorf("into a workspace that does not use the app: %v", err)
		}
		if err := r.Manager.Offer(ctx, operator, a.ID, ws.ID); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Adoption.AdoptUser(ctx, operator, a.ID, carol.ID, ws.ID, ""); err != nil || n != 3 {
			t.Fatalf("adopted %d, %v", n, err)
		}
		id := langflowtest.FlowID(carol, "One")
		if got, _, _ := r.Flows.Owner(a.ID, id); got != ws.ID || r.Flows.Of(a.ID).Account(id) != carol.ID {
			t.Errorf("the flow belongs to %q, in %q", got, r.Flows.Of(a.ID).Account(id))
		}
		users, err := r.Adoption.BuilderUsers(ctx, operator, a.ID)
		if err != nil || len(users) != 3 {
			t.Fatalf("%+v, %v", users, err)
		}
		for _, u := range users {
			want := map[string]string{"carol": ws.ID, "admin": ""}
			if place, known := want[u.Username]; known && (u.Workspace != place || u.Adopted != (place != "")) {
				t.Errorf("%+v", u)
			}
			if u.Username == "carol" && u.Flows != 2 {
				t.Errorf("carol has %d flows", u.Flows)
			}
		}
		if n, err := r.Adoption.AdoptUser(ctx, operator, a.ID, carol.ID, ws.ID, ""); err != nil || n != 0 {
			t.Errorf("again: %d, %v", n, err)
		}
		if _, err := r.Adoption.AdoptUser(ctx, operator, a.ID, carol.ID, identity.DefaultWorkspace, ""); !problem.Is(
			err,
			problem.Conflict,
		) {
			t.Errorf("into another workspace too: %v", err)
		}
		undone(t, r, a, carol)
	})
}

// undone undoes an adoption, of which a flow was published.
func undone(t *testing.T, r *house, a *app.App, u *langflowtest.User) {
	t.Helper()
	ctx, id := context.Background(), langflowtest.FlowID(u, "One")
	if err := r.Publications.Publish(ctx, operator, a.ID, id); err != nil {
		t.Fatal(err)
	}
	if err := r.Adoption.UnadoptUser(ctx, operator, a.ID, u.ID); err != nil {
		t.Fatal(err)
	}
	a, _ = r.ByID(a.ID)
	if _, _, ok := r.Flows.Owner(a.ID, id); ok || a.Published(id) || a.Bridge.Accounts.HomeOf(u.ID) != "" {
		t.Error("something of the adoption is left")
	}
	if err := r.Adoption.UnadoptUser(ctx, operator, a.ID, u.ID); !problem.Is(err, problem.NotFound) {
		t.Errorf("undone twice: %v", err)
	}
}

func TestLangflow_CannotAdopt(t *testing.T) {
	t.Parallel()
	r, ctx, f := langflowHouse(t, dbtest.SQLite(t), t.TempDir(), false), context.Background(), langflowtest.Start(t)
	carol := f.Add("carol", "x", "One")
	a := connectedLangflow(t, r, f, app.AccountAccess{PerPerson: true})
	u, err := r.people.Create(ctx, operator, identity.NewUser{Username: "Ann", Role: authz.RoleUser, Active: true})
	if err != nil {
		t.Fatal(err)
	}
	own := ownAccount(t, r, a, lent(identity.DefaultWorkspace, u.ID))
	if name := f.Users[own].Username; !strings.HasPrefix(name, "sluice-default-workspace-ann-") {
		t.Errorf("ann's account is called %q", name)
	}
	for what, c := range map[string]struct {
		user, person string
		kind         problem.Kind
	}{
		"nobody": {"0b4f2f3e-5a55-4d3a-8a54-000000000001", u.ID, problem.NotFound}, "for everybody": {carol.ID, "",
			problem.Invalid},
		"for a stranger": {carol.ID, "stranger", problem.Invalid}, "Sluice's own": {own, u.ID, problem.Conflict},
	} {
		if _, err := r.Adoption.AdoptUser(ctx, operator, a.ID, c.user, identity.DefaultWorkspace,
			c.person); !problem.Is(
			err,
			c.kind,
		) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n, err := r.Adoption.AdoptUser(ctx, operator, a.ID, carol.ID, identity.DefaultWorkspace, u.ID); err != nil ||
		n != 2 {
		t.Errorf("for ann: %d, %v", n, err)
	}
	if err := r.Adoption.UnadoptUser(ctx, operator, a.ID, own); !problem.Is(err, problem.Conflict) {
		t.Errorf("undoing what was no adoption: %v", err)
	}
	dave := f.Add("dave", "x", "One")
	f.With(func() { f.Secret = strings.Repeat("x", 43) })
	if _, err := r.Adoption.AdoptUser(ctx, operator, a.ID, dave.ID, identity.DefaultWorkspace, u.ID); err == nil {
		t.Error("an account that Sluice cannot get into was adopted")
	}
	a, _ = r.ByID(a.ID)
	if a.Bridge.Accounts.HomeOf(dave.ID) != "" {
		t.Error("a failed adoption left the account behind")
	}
}

func TestLangflowNothingDangles(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, f := context.Background(), langflowtest.Start(t)
		r := langflowHouse(t, d, t.TempDir(), false)
		a := connectedLangflow(t, r, f, app.AccountAccess{})
		ws, err := r.people.CreateWorkspace(ctx, operator, "Research")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Manager.Offer(ctx, operator, a.ID, ws.ID); err != nil {
			t.Fatal(err)
		}
		own := ownAccount(t, r, a, lent(ws.ID, "ann"))
		object := flow.Object{
			App:       a.ID,
			ID:        "7e000000-0000-4000-8000-000000000001",
			Kind:      flow.Project,
			Workspace: ws.ID,
			Account:   own,
			Name:      "Starter Project",
		}
		if err := r.Flows.Claim(ctx, object); err != nil {
			t.Fatal(err)
		}
		object.ID, object.Kind = "7e000000-0000-4000-8000-000000000002", flow.Chatflow
		if err := r.Flows.Claim(ctx, object); err != nil {
			t.Fatal(err)
		}
		if err := r.people.DeleteWorkspace(ctx, operator, ws.ID); !problem.Is(err, problem.Conflict) {
			t.Errorf("a workspace with a flow can be deleted: %v", err)
		}
		if err := r.Flows.Forget(ctx, a.ID, object.ID); err != nil {
			t.Fatal(err)
		}
		// Langflow creates a project for each user; it must not keep the workspace.
		if err := r.people.DeleteWorkspace(ctx, operator, ws.ID); err != nil {
			t.Fatal(err)
		}
		a, _ = r.ByID(a.ID)
		if home := a.Bridge.Accounts.HomeOf(own); home != "" {
			t.Errorf("the account of a deleted workspace belongs to %q", home)
		}
		if _, err := r.Manager.Remove(ctx, operator, a.ID); err != nil {
			t.Fatal(err)
		}
		if rows, err := q.New(d.Read()).AccountsOfApp(ctx, a.ID); err != nil || len(rows) != 0 {
			t.Errorf("left: %v, %v", rows, err)
		}
	})
}

// TestLangflow_KeepsSettings: a change of one thing keeps the other secrets, and a node that starts
// later has all.
func TestLangflow_KeepsSettings(t *testing.T) {
	t.Parallel()
	ctx, d, keys, f := context.Background(), dbtest.SQLite(t), t.TempDir(), langflowtest.Start(t)
	r := langflowHouse(t, d, keys, false)
	a := connectedLangflow(t, r, f, app.AccountAccess{Mode: "signed"})
	own := ownAccount(t, r, a, lent(identity.DefaultWorkspace, "ann"))
	if err := r.Connector.ConnectAccounts(ctx, operator, a.ID, app.AccountAccess{Mode: "sign-in"}); err != nil {
		t.Fatal(err)
	}
	again := langflowHouse(t, d, keys, false)
	a, _ = again.ByID(a.ID)
	if a.BridgeMode != "sign-in" || a.PerPerson {
		t.Errorf("%+v", a)
	}
	if got := ownAccount(t, again, a, lent(identity.DefaultWorkspace, "bob")); got != own {
		t.Errorf("the account is %s, was %s", got, own)
	}
	if h, err := again.Monitor.Check(ctx, operator, a.ID); err != nil || !h.OK || !strings.Contains(h.Text, "sign-in") {
		t.Errorf("%+v, %v", h, err)
	}
	f.With(func() { f.Down = true })
	if h, err := again.Monitor.Check(ctx, operator, a.ID); err != nil || h.OK {
		t.Errorf("while it is down: %+v, %v", h, err)
	}
}
