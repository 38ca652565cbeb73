package app_test

import (
	"context"
	"testing"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/builder/flowise/flowisetest"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

const (
	oldFlow = "01d01d01-01d0-41d0-81d0-01d01d01d01d"
	oldTool = "7001d01d-01d0-41d0-81d0-01d01d01d01d"
)

// stocked is a Flowise that holds objects before Sluice comes.
func stocked() *flowisetest.Server {
	s := flowise()
	s.Lists["chatflows"] = `[{"id":"` + oldFlow + `","name":"Old flow","type":"AGENTFLOW","flowData":"{}"}]`
	s.Lists["tools"] = `[{"id":"` + oldTool + `","name":"Old tool"}]`
	return s
}

// connected adds a Flowise and connects it.
func connected(t *testing.T, r *house, s *flowisetest.Server) *app.App {
	t.Helper()
	ctx := context.Background()
	a, err := r.Manager.Add(ctx, operator, app.Spec{URL: serve(t, s)})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Connector.Connect(ctx, operator, a.ID, app.Owner{}); err != nil {
		t.Fatal(err)
	}
	a, _ = r.ByID(a.ID)
	return a
}

func TestAdopt_OneWorkspace(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := open(t, d, t.TempDir())
		a := connected(t, r, stocked())
		for id, kind := range map[string]string{oldFlow: "agentflow", oldTool: "tool"} {
			if ws, k, _ := r.Flows.Owner(a.ID, id); ws != identity.DefaultWorkspace || string(k) != kind {
				t.Errorf("%s belongs to %q as %s, want %s", id, ws, k, kind)
			}
		}
		if left, err := r.Adoption.Unowned(context.Background(), operator, a.ID); err != nil || len(left) != 0 {
			t.Errorf("left over: %v, %v", left, err)
		}
	})
}

func TestAdopt_SeveralWorkspaces(t *testing.T) {
	t.Parallel()
	r, ctx := open(t, dbtest.SQLite(t), t.TempDir()), context.Background()
	ws, err := r.people.CreateWorkspace(ctx, operator, "Research")
	if err != nil {
		t.Fatal(err)
	}
	a := connected(t, r, stocked())
	if _, err := r.Monitor.Check(ctx, operator, a.ID); err != nil {
		t.Fatal(err)
	}
	left, err := r.Adoption.Unowned(ctx, operator, a.ID)
	if err != nil || len(left) != 2 {
		t.Fatalf("nobody has decided, and %d objects are left over, %v", len(left), err)
	}
	if _, err := r.Adoption.Adopt(ctx, operator, a.ID, nil, ws.ID, ""); !problem.Is(err, problem.Invalid) {
		t.Errorf("adopting into a workspace that does not use the app: %v", err)
	}
	if err := r.Manager.Offer(ctx, operator, a.ID, ws.ID); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Adoption.Adopt(ctx, operator, a.ID, []string{oldTool}, ws.ID, "somebody"); err != nil || n != 1 {
		t.Errorf("adopted %d, %v", n, err)
	}
	if n, err := r.Adoption.Adopt(ctx, operator, a.ID, nil, identity.DefaultWorkspace, ""); err != nil || n != 1 {
		t.Errorf("adopted %d of the rest, %v", n, err)
	}
	if got, _, _ := r.Flows.Owner(a.ID, oldTool); got != ws.ID {
		t.Errorf("the tool belongs to %q", got)
	}
	u, err := r.people.Create(ctx, operator, identity.NewUser{Username: "ann", Role: authz.RoleUser, Active: true})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := r.people.Principal(u.ID)
	_, unownedErr := r.Adoption.Unowned(ctx, p, a.ID)
	_, adoptErr := r.Adoption.Adopt(ctx, p, a.ID, nil, identity.DefaultWorkspace, "")
	for what, err := range map[string]error{"see": unownedErr, "adopt": adoptErr,
		"offer": r.Manager.Offer(ctx, p, a.ID, ws.ID), "withdraw": r.Manager.Withdraw(ctx, p, a.ID, ws.ID)} {
		if !problem.Is(err, problem.Denied) {
			t.Errorf("a user may %s: %v", what, err)
		}
	}
}

// TestAdopt_Upgrade is an installation from before there was an ownership map: its app is
// connected, and the map is empty.
func TestAdopt_Upgrade(t *testing.T) {
	t.Parallel()
	d, keys, ctx := dbtest.SQLite(t), t.TempDir(), context.Background()
	s := stocked()
	s.Broken = true
	r := open(t, d, keys)
	a := connected(t, r, s) // the objects cannot be listed yet
	if _, _, ok := r.Flows.Owner(a.ID, oldFlow); ok {
		t.Fatal("what could not be listed was adopted")
	}
	if _, err := r.people.CreateWorkspace(ctx, operator, "Made in the meantime"); err != nil {
		t.Fatal(err)
	}
	s.With(func() { s.Broken = false })
	again := open(t, d, keys)
	again.Monitor.CheckAll(ctx, false)
	if ws, _, _ := again.Flows.Owner(a.ID, oldFlow); ws != identity.DefaultWorkspace {
		t.Errorf("after the upgrade the flow belongs to %q", ws)
	}
}

func TestApps_VisibleInTheirWorkspaces(t *testing.T) {
	t.Parallel()
	r, ctx := open(t, dbtest.SQLite(t), t.TempDir()), context.Background()
	ws, err := r.people.CreateWorkspace(ctx, operator, "Research")
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.Manager.Add(ctx, operator, app.Spec{URL: app.DemoURL})
	if err != nil {
		t.Fatal(err)
	}
	p := authz.Principal{
		Kind:        authz.Person,
		ID:          "p",
		Workspace:   ws.ID,
		Memberships: []authz.Membership{{Workspace: ws.ID, Role: authz.RoleViewer}},
	}
	sees := func() int { return len(r.Visible(p)) }
	if sees() != 0 || !problem.Is(r.CheckOpen(ctx, p, a), problem.NotFound) {
		t.Error("an app that is not used in the workspace is there")
	}
	if err := r.Manager.Offer(ctx, operator, a.ID, ws.ID); err != nil {
		t.Fatal(err)
	}
	if a, _ = r.ByID(a.ID); sees() != 1 || r.CheckOpen(ctx, p, a) != nil {
		t.Error("an offered app is not there")
	}
	if err := r.Manager.Withdraw(ctx, operator, a.ID, ws.ID); err != nil {
		t.Fatal(err)
	}
	if sees() != 0 {
		t.Error("a withdrawn app is still there")
	}
	for what, err := range map[string]error{
		"an unknown workspace": r.Manager.Offer(ctx, operator, a.ID, "nowhere"), "an unknown app": r.Manager.Offer(ctx,
			operator, "nothing", ws.ID), "what is not offered": r.Manager.Withdraw(ctx, operator, a.ID, ws.ID),
	} {
		if !problem.Is(err, problem.NotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestPublish_WorkspaceOfTheFlow(t *testing.T) {
	t.Parallel()
	r, ctx := open(t, dbtest.SQLite(t), t.TempDir()), context.Background()
	ws, err := r.people.CreateWorkspace(ctx, operator, "Research")
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.Manager.Add(ctx, operator, app.Spec{URL: app.DemoURL})
	if err != nil {
		t.Fatal(err)
	}
	own(t, r, a.ID, "mine")
	admin := func(workspace string) authz.Principal {
		return authz.Principal{
			Kind:        authz.Person,
			ID:          "admin of " + workspace,
			Workspace:   workspace,
			Memberships: []authz.Membership{{Workspace: workspace, Role: authz.RoleAdmin}},
		}
	}
	for what, err := range map[string]error{
		"publishing the other's": r.Publications.Publish(ctx, admin(ws.ID), a.ID,
			"mine"), "publishing nothing": r.Publications.Publish(ctx, admin(ws.ID), a.ID, "nothing"),
	} {
		if !problem.Is(err, problem.NotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := r.Publications.Publish(ctx, admin(identity.DefaultWorkspace), a.ID, "mine"); err != nil {
		t.Fatal(err)
	}
	if err := r.Publications.Unpublish(ctx, admin(ws.ID), a.ID, "mine"); !problem.Is(err, problem.NotFound) {
		t.Errorf("closing the other's: %v", err)
	}
}
