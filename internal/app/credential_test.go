package app_test

import (
	"context"
	"testing"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/builder/flowise/flowisetest"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// vaulted is a house with a vault, a connected Flowise and a credential.
func vaulted(t *testing.T) (*house, *flowisetest.Server, *app.App, secret.Credential) {
	t.Helper()
	ctx := context.Background()
	h, k := open(t, dbtest.SQLite(t), t.TempDir()), flowise()
	a, err := h.Manager.Add(ctx, operator, app.Spec{URL: serve(t, k)})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Connector.Connect(ctx, operator, a.ID, app.Owner{}); err != nil {
		t.Fatal(err)
	}
	c, err := h.vault.Create(
		ctx,
		operator,
		"default",
		secret.NewCredential{Name: "one", Kind: "k", Values: map[string]string{"key": "v1"}, Roles: []string{"user"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return h, k, a, c
}

// TestCredential_RotationDuringCopy: the copy that was on its way with previous values does not
// count, and is written again.
func TestCredential_RotationDuringCopy(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h, k, a, c := vaulted(t)
	k.BeforeWrite = func() {
		if _, err := h.vault.Rotate(ctx, operator, "default", c.ID, map[string]string{"key": "v2"}); err != nil {
			t.Error(err)
		}
	}
	use, err := h.Credentials.Put(ctx, operator, "default", a.ID, c.ID)
	if err != nil || !use.Current || k.Credentials[use.Object] != "v2" {
		t.Fatalf("put: %+v, %v; Flowise has %v", use, err, k.Credentials)
	}
	if workspace, _, ok := h.Flows.Owner(a.ID, use.Object); !ok || workspace != "default" {
		t.Errorf("the copy belongs to %q", workspace)
	}
}

func TestCredential_Permissions(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h, k, a, c := vaulted(t)
	somebody := func(id, role string) authz.Principal {
		return authz.Principal{
			Kind:        authz.Person,
			Strong:      true,
			ID:          id,
			Memberships: []authz.Membership{{Workspace: "default", Role: role}},
		}
	}
	uma, ugo, vic, ada := somebody(
		"uma",
		"user",
	), somebody(
		"ugo",
		"user",
	), somebody(
		"vic",
		"viewer",
	), somebody(
		"ada",
		"admin",
	)
	if _, err := h.Credentials.Put(ctx, vic, "default", a.ID, c.ID); !problem.Is(err, problem.Denied) {
		t.Errorf("put by a viewer = %v", err)
	}
	scoped := uma
	scoped.ID, scoped.Scope = "uma-key", &authz.Scope{Workspace: "default", Apps: []string{"another"}}
	if _, err := h.Credentials.Put(ctx, scoped, "default", a.ID, c.ID); !problem.Is(err, problem.Denied) {
		t.Errorf("put by a key of another app = %v", err)
	}
	if _, err := h.Credentials.Put(ctx, uma, "default", a.ID, c.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.Credentials.Withdraw(ctx, ugo, "default", a.ID, c.ID); !problem.Is(err, problem.Denied) {
		t.Errorf("withdrawn by another user = %v", err)
	}
	if err := h.vault.Delete(ctx, ada, "default", c.ID); !problem.Is(err, problem.Conflict) {
		t.Errorf("deleted while it is in an app = %v", err)
	}
	if err := h.Credentials.Withdraw(ctx, uma, "default", a.ID, c.ID); err != nil || len(k.Credentials) != 0 {
		t.Errorf("withdrawn by whoever put it there = %v; Flowise has %d", err, len(k.Credentials))
	}
	use, err := h.Credentials.Put(ctx, uma, "default", a.ID, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Credentials.Delete(ctx, ada, "default", c.ID, true); err != nil || len(k.Credentials) != 0 {
		t.Errorf("deleted with its copies = %v; Flowise has %d", err, len(k.Credentials))
	}
	if _, _, ok := h.Flows.Owner(a.ID, use.Object); ok {
		t.Error("the copy is still in the map of owners")
	}
}

func TestCredential_UnsupportedBuilder(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h, _, _, c := vaulted(t)
	demo, err := h.Manager.Add(ctx, operator, app.Spec{URL: app.DemoURL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Credentials.Put(ctx, operator, "default", demo.ID, c.ID); !problem.Is(err, problem.Conflict) {
		t.Errorf("put into the demo builder = %v", err)
	}
	if got, err := h.vault.Get(ctx, operator, "default", c.ID); err != nil || len(got.Uses) != 0 {
		t.Errorf("noted as used: %+v, %v", got.Uses, err)
	}
}
