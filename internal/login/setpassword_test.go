package login_test

import (
	"context"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authn"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
)

func TestSetPassword(t *testing.T) {
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	ann, boss := h.add(t, "ann"), h.add(t, "boss")
	if err := h.people.SetSuperuser(ctx, cli, boss.ID, true); err != nil {
		t.Fatal(err)
	}
	before, err := h.try("ann", password, "192.0.2.1", "")
	if err != nil {
		t.Fatal(err)
	}
	actor, _ := h.people.Principal(boss.ID)
	viewer, _ := h.people.Principal(ann.ID)
	const next = "another fine sentence here"
	if err := h.logins.SetPassword(ctx, viewer, boss.ID, next); !problem.Is(err, problem.Denied) {
		t.Errorf("by a viewer: %v", err)
	}
	if err := h.logins.SetPassword(ctx, actor, boss.ID, next); !problem.Is(err, problem.Denied) {
		t.Errorf("one's own: %v", err)
	}
	if err := h.logins.SetPassword(ctx, actor, ann.ID, "short"); problem.Of(err).Field != "password" {
		t.Errorf("a weak one: %v", err)
	}
	if err := h.logins.SetPassword(ctx, actor, "nobody", next); !problem.Is(err, problem.NotFound) {
		t.Errorf("nobody's: %v", err)
	}
	if _, ok := h.sessions.Lookup(before.Token, authn.AudienceMain); !ok {
		t.Fatal("what was refused ended the session")
	}
	if err := h.logins.SetPassword(ctx, actor, ann.ID, next); err != nil {
		t.Fatal(err)
	}
	if _, ok := h.sessions.Lookup(before.Token, authn.AudienceMain); ok {
		t.Error("the old session goes on")
	}
	if _, err := h.try("ann", password, "192.0.2.1", ""); err == nil {
		t.Error("the old password still works")
	}
	if _, err := h.try("ann", next, "192.0.2.2", ""); err != nil {
		t.Errorf("the new password: %v", err)
	}
}
