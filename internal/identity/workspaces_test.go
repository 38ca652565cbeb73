package identity_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"sluice/internal/authz"
	"sluice/internal/db"
	qflow "sluice/internal/db/q/flow"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

func TestWorkspacesAreSeparate(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		p, ctx := newPeople(t, d), context.Background()
		root := principal(
			t,
			p,
			add(t, p, identity.NewUser{Username: "root", Superuser: true, Role: authz.RoleAdmin}).ID,
		)
		red, err1 := p.CreateWorkspace(ctx, root, "  Team   Red ")
		blue, err2 := p.CreateWorkspace(ctx, root, "Team Blue")
		if err1 != nil || err2 != nil || red.Name != "Team Red" {
			t.Fatal(red, err1, err2)
		}
		ada := principal(
			t,
			p,
			add(t, p, identity.NewUser{Username: "ada", Workspace: red.ID, Role: authz.RoleAdmin}).ID,
		)
		bob := principal(
			t,
			p,
			add(t, p, identity.NewUser{Username: "bob", Workspace: blue.ID, Role: authz.RoleAdmin}).ID,
		)
		if ada.Role(red.ID) != authz.RoleAdmin || ada.Role(identity.DefaultWorkspace) != "" {
			t.Errorf("ada: %+v", ada.Memberships)
		}
		for what, err := range map[string]error{
			"see":    first(p.Workspace(ctx, ada, blue.ID)),
			"list":   first(p.Members(ctx, ada, blue.ID)),
			"rename": p.RenameWorkspace(ctx, ada, blue.ID, "Mine"),
			"raise":  p.SetRole(ctx, ada, ada.ID, blue.ID, authz.RoleAdmin),
			"lower":  p.SetRole(ctx, ada, bob.ID, blue.ID, ""),
			"fetch":  p.SetRole(ctx, ada, bob.ID, red.ID, authz.RoleViewer),
			"none":   first(p.Workspace(ctx, ada, "no-such-workspace")),
		} {
			if !problem.Is(err, problem.NotFound) {
				t.Errorf("ada may %s in another workspace: %v, want not found", what, err)
			}
		}
		if list, err := p.Workspaces(ctx, ada); err != nil || len(list) != 1 || list[0].ID != red.ID ||
			list[0].Members != 2 {
			t.Errorf("ada sees %+v, %v", list, err)
		}
		if err := p.RenameWorkspace(ctx, ada, red.ID, "Reds"); err != nil {
			t.Error(err)
		}
		if name, _ := p.WorkspaceName(red.ID); name != "Reds" {
			t.Errorf("name in memory: %q", name)
		}
		if _, err := p.CreateWorkspace(ctx, ada, "Third"); !problem.Is(err, problem.Denied) {
			t.Errorf("a workspace admin makes a workspace: %v", err)
		}
		for _, bad := range []string{"", "x", strings.Repeat("x", 61), "a\x00b", "\u202eabc"} {
			if _, err := p.CreateWorkspace(ctx, root, bad); problem.Of(err).Field != "name" {
				t.Errorf("name %q: %v", bad, err)
			}
		}
		if err := p.DeleteWorkspace(ctx, root, blue.ID); err != nil {
			t.Fatal(err)
		}
		if after := principal(t, p, bob.ID); after.Role(blue.ID) != "" || after.Generation <= bob.Generation {
			t.Errorf("bob after his workspace is gone: %+v", after)
		}
		if err := p.DeleteWorkspace(ctx, root, identity.DefaultWorkspace); !problem.Is(err, problem.Conflict) {
			t.Errorf("deleting the default workspace: %v", err)
		}
	})
}

func TestWorkspaces_LastAdmin(t *testing.T) {
	t.Parallel()
	p, ctx := newPeople(t, dbtest.SQLite(t)), context.Background()
	root := principal(t, p, add(t, p, identity.NewUser{Username: "root", Superuser: true, Role: authz.RoleViewer}).ID)
	ada := principal(t, p, add(t, p, identity.NewUser{Username: "ada", Role: authz.RoleAdmin}).ID)
	vic := add(t, p, identity.NewUser{Username: "vic", Role: authz.RoleViewer})
	if err := p.SetRole(ctx, ada, ada.ID, identity.DefaultWorkspace, authz.RoleViewer); !problem.Is(
		err,
		problem.Conflict,
	) {
		t.Errorf("the last admin steps down: %v", err)
	}
	if err := p.SetRole(ctx, ada, vic.ID, identity.DefaultWorkspace, authz.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	if err := p.SetRole(ctx, ada, ada.ID, identity.DefaultWorkspace, ""); err != nil {
		t.Errorf("with another admin there: %v", err)
	}
	if err := p.SetRole(ctx, root, vic.ID, identity.DefaultWorkspace, authz.RoleViewer); err != nil {
		t.Errorf("a superuser may take away the last admin: %v", err)
	}
}

func TestRoles_Custom(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		p, ctx := newPeople(t, d), context.Background()
		root := principal(t, p, add(t, p, identity.NewUser{Username: "root", Superuser: true}).ID)
		role, err := p.CreateRole(
			ctx,
			root,
			identity.Role{
				Name:        "Reviewer",
				Permissions: []string{"executions:view", "chatflows:view", "chatflows:view"},
			},
		)
		if err != nil || len(role.Permissions) != 2 {
			t.Fatal(role, err)
		}
		rita := principal(t, p, add(t, p, identity.NewUser{Username: "rita", Role: role.ID}).ID)
		res := authz.Resource{Type: "Flow", Workspace: identity.DefaultWorkspace}
		if !p.gate.Decide(rita, "chatflows:view", res).Allowed || p.gate.Decide(rita, "chatflows:update", res).Allowed {
			t.Error("the role does not hold")
		}
		role.Permissions = []string{"chatflows:update"}
		if err := p.UpdateRole(ctx, root, role); err != nil {
			t.Fatal(err)
		}
		if p.gate.Decide(rita, "chatflows:view", res).Allowed || !p.gate.Decide(rita, "chatflows:update", res).Allowed {
			t.Error("the change does not hold at once")
		}
		rights, err := p.WhatCan(ctx, rita, rita.ID, identity.DefaultWorkspace)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rights {
			if want := r.Name == "chatflows:update"; r.Allowed != want {
				t.Errorf("%s: %v, want %v", r.Name, r.Allowed, want)
			}
		}
		if err := p.DeleteRole(ctx, root, role.ID); !problem.Is(err, problem.Conflict) {
			t.Errorf("deleting a role that is held: %v", err)
		}
		if err := p.SetRole(ctx, root, rita.ID, identity.DefaultWorkspace, authz.RoleViewer); err != nil {
			t.Fatal(err)
		}
		if err := p.DeleteRole(ctx, root, role.ID); err != nil {
			t.Error(err)
		}
		for what, err := range map[string]error{
			"a built-in role": p.UpdateRole(ctx, root,
				identity.Role{ID: "admin", Name: "x y", Permissions: []string{"tools:view"}}),
			"somebody else": first(p.CreateRole(ctx, rita,
				identity.Role{Name: "Mine", Permissions: []string{"tools:view"}})),
			"a taken name": first(p.CreateRole(ctx, root,
				identity.Role{Name: "VIEWER", Permissions: []string{"tools:view"}})),
			"no permissions": first(p.CreateRole(ctx, root, identity.Role{Name: "Nothing"})),
			"an unknown one": first(p.CreateRole(ctx, root,
				identity.Role{Name: "Odd", Permissions: []string{"tools:fly"}})),
			"too long a name": first(p.CreateRole(ctx, root,
				identity.Role{Name: strings.Repeat("x", 51), Permissions: []string{"tools:view"}})),
		} {
			if err == nil || problem.Of(err).Kind == problem.Internal {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func TestRemoveHandsOver(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		p, ctx := newPeople(t, d), context.Background()
		root := principal(t, p, add(t, p, identity.NewUser{Username: "root", Superuser: true}).ID)
		ann, bob := add(t, p, identity.NewUser{Username: "ann"}), add(t, p, identity.NewUser{Username: "bob"})
		own(t, d, "flow-1", ann.ID)
		for what, c := range map[string]struct {
			heir string
			kind problem.Kind
		}{"nobody takes over": {"", problem.Conflict}, "she herself": {ann.ID,
			problem.Invalid}, "an unknown one": {"nobody", problem.Invalid}} {
			if err := p.Remove(ctx, root, ann.ID, c.heir); !problem.Is(err, c.kind) || problem.Of(err).Field != "heir" {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := p.Remove(ctx, root, ann.ID, bob.ID); err != nil {
			t.Fatal(err)
		}
		if _, ok := p.Principal(ann.ID); ok {
			t.Error("she is still in the directory")
		}
		row, err := qflow.New(d.Read()).GetObject(ctx, objectKey("flow-1"))
		if err != nil || row.OwnerID != bob.ID {
			t.Errorf("her flow belongs to %q, %v", row.OwnerID, err)
		}
		if err := p.Remove(ctx, root, root.ID, bob.ID); !problem.Is(err, problem.Conflict) {
			t.Errorf("removing the last superuser: %v", err)
		}
		if users, _, err := p.List(ctx, root, identity.Filter{}); err != nil ||
			slices.ContainsFunc(users, func(u identity.User) bool { return u.ID == ann.ID }) {
			t.Errorf("she is still listed (%v)", err)
		}
	})
}

func TestWaiting_FirstActivation(t *testing.T) {
	t.Parallel()
	p, ctx := newPeople(t, dbtest.SQLite(t)), context.Background()
	u, err := p.Create(ctx, cli, identity.NewUser{Username: "ann"})
	if err != nil || !u.Waiting || u.Active {
		t.Fatalf("%+v, %v", u, err)
	}
	for _, on := range []bool{true, false} {
		if err := p.Update(ctx, cli, u.ID, identity.UserUpdate{Active: problem.Some(on)}); err != nil {
			t.Fatal(err)
		}
	}
	if u, err = p.Get(ctx, cli, u.ID); err != nil || u.Waiting {
		t.Errorf("after she was let in once: %+v, %v", u, err)
	}
}
