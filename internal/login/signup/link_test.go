package signup_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authn"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

func TestSetupLink(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		admin := identity.NewUser{Username: "root", Email: "root@example.com", Password: password}
		old, _, err := h.Setup.SetupLink(ctx)
		if err != nil {
			t.Fatal(err)
		}
		h.Step(31 * time.Minute)
		token, expires, err := h.Setup.SetupLink(ctx)
		if err != nil || !expires.Equal(h.Now().Add(30*time.Minute)) {
			t.Fatalf("expires %v, %v", expires, err)
		}
		if _, err := h.Setup.ClaimSetup(ctx, old, admin, authn.Meta{}); !problem.Is(err, problem.Gone) {
			t.Errorf("expired link: %v, want gone", err)
		}
		for _, foreign := range []string{"", "x", strings.Repeat("A", 43), token + "A"} {
			if _, err := h.Setup.ClaimSetup(ctx, foreign, admin, authn.Meta{}); !problem.Is(err, problem.NotFound) {
				t.Errorf("foreign link %.5q: %v, want not found", foreign, err)
			}
		}
		weak := admin
		weak.Password = "root"
		if _, err := h.Setup.ClaimSetup(ctx, token, weak, authn.Meta{}); !problem.Is(err, problem.Invalid) {
			t.Errorf("weak password: %v", err)
		}
		other, _, err := h.Setup.SetupLink(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		errs := make([]error, 4)
		for i, link := range []string{token, token, other, other} {
			wg.Go(func() {
				n := admin
				n.Username, n.Email = n.Username+string(rune('a'+i)), ""
				_, errs[i] = h.Setup.ClaimSetup(ctx, link, n, authn.Meta{IP: "192.0.2.1"})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if k := problem.Of(err).Kind; k != problem.Gone && k != problem.Conflict {
				t.Errorf("a loser gets %v", err)
			}
		}
		if won != 1 || !h.People.HasAdmin() {
			t.Errorf("%d created an admin, want 1", won)
		}
		if _, _, err := h.Setup.SetupLink(ctx); !problem.Is(err, problem.Conflict) {
			t.Errorf("a link with an admin there: %v, want conflict", err)
		}
	})
}

func TestResetLink(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	u := h.Add(t, "ann")
	before, err := h.Try("ann", password, "192.0.2.1", "")
	if err != nil {
		t.Fatal(err)
	}
	replaced, _, _ := h.SignUps.ResetLink(ctx, cli, u.ID)
	token, _, err := h.SignUps.ResetLink(ctx, cli, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	const next = "another fine sentence here"
	if _, err := h.SignUps.Reset(ctx, replaced, next, authn.Meta{}); !problem.Is(err, problem.NotFound) {
		t.Errorf("a replaced link: %v", err)
	}
	if _, err := h.SignUps.Reset(ctx, token, "short", authn.Meta{}); !problem.Is(err, problem.Invalid) {
		t.Errorf("a weak password: %v", err)
	}
	r, err := session(h.SignUps.Reset(ctx, token, next, authn.Meta{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := h.Sessions.Lookup(before.Token, authn.AudienceMain); ok {
		t.Error("the old session survived the reset")
	}
	if _, ok := h.Sessions.Lookup(r.Token, authn.AudienceMain); !ok {
		t.Error("the reset did not sign in")
	}
	if _, err := h.SignUps.Reset(ctx, token, next+"!", authn.Meta{}); err == nil {
		t.Error("the link worked twice")
	}
	if _, err := h.Try("ann", next, "192.0.2.1", ""); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if _, err := h.Try("ann", password, "192.0.2.2", ""); err == nil {
		t.Error("the old password still works")
	}
	viewer, _ := h.People.Principal(u.ID)
	if _, _, err := h.SignUps.ResetLink(ctx, viewer, u.ID); !problem.Is(err, problem.Denied) {
		t.Errorf("a viewer creates a link: %v", err)
	}
}
