package authz_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
)

const workspace = "w1"

func newGate(t testing.TB, d *db.DB) *authz.Gate {
	t.Helper()
	g, err := authz.NewGate(authz.Config{DB: d, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(context.Background()) })
	return g
}

func person(id, role string) authz.Principal {
	p := authz.Principal{Kind: authz.Person, ID: id, Name: id, Generation: 1}
	if role != "" {
		p.Memberships = []authz.Membership{{Workspace: workspace, Role: role}}
	}
	return p
}

func entries(t *testing.T, g *authz.Gate, d *db.DB) []audit.Entry {
	t.Helper()
	g.Flush(context.Background())
	list, err := audit.After(context.Background(), d, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestBuiltInRoles is the decision table of the three roles: what each may and may not do in its
// own workspace.
func TestBuiltInRoles(t *testing.T) {
	g := newGate(t, dbtest.SQLite(t))
	allowed := map[string][]authz.Action{
		authz.RoleViewer: {authz.AppOpen, authz.FlowView, authz.FlowRun, authz.WorkspaceView},
		authz.RoleUser: {
			authz.AppOpen, authz.FlowView, authz.FlowRun, authz.FlowEdit, authz.WorkspaceView, authz.CredentialView,
			authz.CredentialUse,
		},
		"": nil,
	}
	for _, a := range authz.Actions() {
		for role, may := range allowed {
			want := slices.Contains(may, a)
			got := g.Decide(person("p-"+role, role), a, authz.Resource{Type: "Flow", Workspace: workspace}).Allowed
			if got != want {
				t.Errorf("%q on %s: %v, want %v", role, a, got, want)
			}
		}
		if !g.Decide(
			person("p-admin", authz.RoleAdmin),
			a,
			authz.Resource{Type: "Flow", Workspace: workspace},
		).Allowed {
			t.Errorf("an admin may not %s in the own workspace", a)
		}
		for _, role := range authz.Roles() {
			if g.Decide(person("p-"+role, role), a, authz.Resource{Type: "Flow", Workspace: "w2"}).Allowed {
				t.Errorf("%s of w1 may %s in w2", role, a)
			}
			if g.Decide(person("p-"+role, role), a, authz.Resource{Type: "System"}).Allowed {
				t.Errorf("%s of w1 may %s on the whole installation", role, a)
			}
		}
		super := authz.Principal{Kind: authz.Person, ID: "s", Superuser: true}
		if !g.Decide(super, a, authz.Resource{Type: "System"}).Allowed {
			t.Errorf("a superuser may not %s", a)
		}
		if g.Decide(authz.Principal{Superuser: true}, a, authz.Resource{Type: "System"}).Allowed {
			t.Errorf("an anonymous principal may %s", a)
		}
	}
}

func TestDecide_OwnSessions(t *testing.T) {
	g := newGate(t, dbtest.SQLite(t))
	for _, a := range []authz.Action{authz.SessionEnd, authz.SessionView, authz.AccountUpdate} {
		if !g.Decide(person("ann", ""), a, authz.Resource{Type: "Session", Owner: "ann"}).Allowed {
			t.Errorf("%s of one's own is refused", a)
		}
		if g.Decide(person("ann", authz.RoleAdmin), a, authz.Resource{Type: "Session", Owner: "bob"}).Allowed {
			t.Errorf("%s of somebody else's is permitted", a)
		}
	}
	if !g.Decide(
		person("ann", ""),
		authz.AccountUpdate,
		authz.Resource{Type: "User", ID: "ann", Owner: "ann"},
	).Allowed {
		t.Error("people may not change their own account")
	}
	if g.Decide(person("ann", ""), authz.UserDisable, authz.Resource{Type: "User", Owner: "ann"}).Allowed {
		t.Error("owning something permits everything on it")
	}
}

func TestDo_ChangeWithEntry(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g, ctx := newGate(t, d), context.Background()
		res := authz.Resource{Type: "Flow", ID: "f1", Workspace: workspace, Name: "Support"}
		put := func(tx *db.Tx) error { return tx.PutMeta(ctx, "k", "v") }

		if err := g.Do(ctx, person("vic", authz.RoleViewer), authz.FlowEdit, res, put); !problem.Is(
			err,
			problem.Denied,
		) {
			t.Fatalf("viewer: %v, want denied", err)
		}
		if v, err := db.Meta(ctx, d.Read(), "k"); err != nil || v != "" {
			t.Fatal("a refused change was made")
		}
		boom := errors.New("disk on fire, password=hunter2")
		if err := g.Do(ctx, person("ed", authz.RoleUser), authz.FlowEdit, res,
			func(tx *db.Tx) error { return errors.Join(put(tx), boom) }); !errors.Is(
			err,
			boom,
		) {
			t.Fatalf("failing change: %v", err)
		}
		if v, err := db.Meta(ctx, d.Read(), "k"); err != nil || v != "" {
			t.Fatal("a failed change was kept")
		}
		if err := g.Do(ctx, person("ed", authz.RoleUser), authz.FlowEdit, res, put); err != nil {
			t.Fatal(err)
		}
		var got []audit.Outcome
		for _, e := range entries(t, g, d) {
			got = append(got, e.Outcome)
			if e.ResourceID != "f1" || e.Workspace != workspace || e.ResourceName != "Support" ||
				e.Detail == boom.Error() {
				t.Errorf("entry %+v", e)
			}
		}
		if len(got) != 3 || got[0] != audit.Denied || got[1] != audit.Failed || got[2] != audit.Done {
			t.Errorf("outcomes %v", got)
		}
		if _, err := audit.Verify(ctx, d); err != nil {
			t.Error(err)
		}
	})
}

func TestCheck_EqualRefusals(t *testing.T) {
	d := dbtest.SQLite(t)
	g, ctx := newGate(t, d), context.Background()
	for range 50 {
		if err := g.Check(ctx, person("vic", authz.RoleViewer), authz.FlowEdit,
			authz.Resource{Type: "Flow", ID: "f", Workspace: workspace}); !problem.Is(
			err,
			problem.Denied,
		) {
			t.Fatal(err)
		}
		if err := g.Check(ctx, person("vic", authz.RoleViewer), authz.FlowRun,
			authz.Resource{Type: "Flow", ID: "f", Workspace: workspace}); err != nil {
			t.Fatal(err)
		}
	}
	total := int64(0)
	for _, e := range entries(t, g, d) {
		total += e.Times
		if e.Outcome != audit.Denied || e.ActorName != "vic" {
			t.Errorf("entry %+v", e)
		}
	}
	if total != 50 {
		t.Errorf("%d refusals recorded, want 50", total)
	}
}

func TestCheck_FloodOfRefusals(t *testing.T) {
	d := dbtest.SQLite(t)
	g, ctx := newGate(t, d), context.Background()
	stranger := authz.Principal{IP: "192.0.2.1"}
	for i := range 5000 {
		_ = g.Check(
			ctx,
			stranger,
			authz.FlowRun,
			authz.Resource{Type: "Flow", ID: string(rune('a' + i%26)), Workspace: workspace},
		)
	}
	if n := len(entries(t, g, d)); n > 10 {
		t.Errorf("5000 requests of a stranger made %d entries", n)
	}
}

func TestDecide_RefusalNamesRuleAndRole(t *testing.T) {
	g := newGate(t, dbtest.SQLite(t))
	for name, c := range map[string]struct {
		action     authz.Action
		resource   authz.Resource
		rule, next string
	}{
		"a role of the workspace would do": {
			authz.FlowEdit, authz.Resource{Type: "Flow", Workspace: workspace},
			"no policy permits flow:edit", "This needs the role User or Admin. Ask an admin of the workspace.",
		},
		"no role would do": {
			authz.UserDelete, authz.Resource{Type: "User"},
			"no policy permits user:delete", "Only a superuser can do this.",
		},
	} {
		e := problem.Of(g.Check(context.Background(), person("vic", authz.RoleViewer), c.action, c.resource))
		if e.Rule != c.rule || e.Next != c.next {
			t.Errorf("%s: rule %q, next %q", name, e.Rule, e.Next)
		}
	}
	err := g.Check(
		context.Background(),
		authz.Principal{},
		authz.FlowRun,
		authz.Resource{Type: "Flow", Workspace: workspace},
	)
	if !problem.Is(err, problem.Unauthenticated) {
		t.Errorf("a stranger gets %v, want unauthenticated", err)
	}
}

func TestDecide_NewGeneration(t *testing.T) {
	g := newGate(t, dbtest.SQLite(t))
	res := authz.Resource{Type: "Flow", Workspace: workspace}
	p := person("ann", authz.RoleViewer)
	if g.Decide(p, authz.FlowEdit, res).Allowed {
		t.Fatal("a viewer may edit")
	}
	p.Memberships = []authz.Membership{{Workspace: workspace, Role: authz.RoleUser}}
	p.Generation++
	if !g.Decide(p, authz.FlowEdit, res).Allowed {
		t.Error("a new role does not count")
	}
}

func BenchmarkDecide(b *testing.B) {
	g := newGate(b, dbtest.SQLite(b))
	p, res := person("ann", authz.RoleUser), authz.Resource{Type: "Flow", Workspace: workspace}
	b.ReportAllocs()
	for b.Loop() {
		if !g.Decide(p, authz.FlowRun, res).Allowed {
			b.Fatal("denied")
		}
	}
}

func TestCustomRoles(t *testing.T) {
	g := newGate(t, dbtest.SQLite(t))
	p := authz.Principal{
		Kind:        authz.Person,
		ID:          "ann",
		Memberships: []authz.Membership{{Workspace: workspace, Role: "r-1"}},
	}
	res := authz.Resource{Type: "Flow", Workspace: workspace}
	if g.Decide(p, "chatflows:view", res).Allowed {
		t.Fatal("an unknown role permits something")
	}
	err := g.SetRoles([]authz.CustomRole{
		{
			ID:          "r-1",
			Permissions: []string{"chatflows:view", "chatflows:update", `x"]); permit(principal,action,resource);`},
		}, {ID: "r-2"},
		{ID: `evil"}) || true }; permit(principal, action, resource); //`, Permissions: []string{"chatflows:view"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for action, want := range map[authz.Action]bool{
		"chatflows:view":    true,
		"chatflows:update":  true,
		"chatflows:delete":  false,
		"agentflows:view":   false,
		authz.FlowView:      false,
		authz.FlowEdit:      false,
		authz.BuilderManage: false,
	} {
		if got := g.Decide(p, action, res).Allowed; got != want {
			t.Errorf("%s: %v, want %v", action, got, want)
		}
		if g.Decide(p, action, authz.Resource{Type: "Flow", Workspace: "w2"}).Allowed {
			t.Errorf("%s is permitted in another workspace", action)
		}
	}
	if err := g.SetRoles(nil); err != nil || g.Decide(p, "chatflows:view", res).Allowed {
		t.Errorf("a removed role still permits (%v)", err)
	}
}

func TestPermission_WholeAction(t *testing.T) {
	g := newGate(t, dbtest.SQLite(t))
	p := authz.Principal{
		Kind:        authz.Person,
		ID:          "ann",
		Memberships: []authz.Membership{{Workspace: workspace, Role: "r-1"}},
	}
	if err := g.SetRoles([]authz.CustomRole{{ID: "r-1",
		Permissions: []string{"members:manage", "keys:manage"}}}); err != nil {
		t.Fatal(err)
	}
	for action, want := range map[authz.Action]bool{authz.MemberManage: true, authz.KeyManage: true,
		authz.WorkspaceView: false, authz.WorkspaceManage: false} {
		if got := g.Decide(p, action, authz.Resource{Type: "Workspace", Workspace: workspace}).Allowed; got != want {
			t.Errorf("%s: %v, want %v", action, got, want)
		}
	}
}

func TestPermission_BuiltInRoles(t *testing.T) {
	g := newGate(t, dbtest.SQLite(t))
	seen := map[authz.Action]bool{}
	for _, perm := range authz.Permissions() {
		if seen[perm.Name] || perm.Title == "" {
			t.Errorf("%s stands twice or has no title", perm.Name)
		}
		seen[perm.Name] = true
		for _, role := range authz.Roles() {
			res := authz.Resource{Type: "Flow", Workspace: workspace}
			if a, b := g.Decide(person("p-"+role, role), perm.Name, res).Allowed, g.Decide(person("p-"+role, role),
				perm.Class, res).Allowed; a != b {
				t.Errorf("%s: %s is %v and its action %s is %v", role, perm.Name, a, perm.Class, b)
			}
		}
	}
}
