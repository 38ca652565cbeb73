package login_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/problem"
)

const proofLife = 15 * time.Minute

// guarded is a house in which dangerous acts ask for a proof of identity that is not older than proofLife.
func guarded(t testing.TB, d *db.DB) *house {
	t.Helper()
	return buildIn(t, d, bcrypt.MinCost, t.TempDir(), proofLife)
}

func TestStepUpIsAskedAndRemembered(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := guarded(t, d), context.Background()
		h.add(t, "ann")
		p := h.enter(t, "ann")
		act := func() error {
			p = h.refreshed(t, p)
			_, err := h.logins.BeginTOTP(ctx, login.Enrolee{Principal: p})
			return err
		}
		if err := act(); err != nil {
			t.Errorf("right after the sign-in: %v", err)
		}
		h.step(proofLife - time.Second)
		if err := act(); err != nil {
			t.Errorf("while the sign-in is remembered: %v", err)
		}
		h.step(time.Second)
		if err := act(); !problem.Is(err, problem.StepUp) {
			t.Errorf("after it was forgotten: %v", err)
		}
		if ways, err := h.logins.ConfirmWays(ctx, p); err != nil || ways != (login.ConfirmWays{Password: true}) {
			t.Errorf("%+v, %v", ways, err)
		}
		if err := h.logins.Confirm(ctx, p, place, login.Proof{Password: "wrong"}); problem.Of(err).Field != "password" {
			t.Errorf("a wrong password: %v", err)
		}
		if err := act(); !problem.Is(err, problem.StepUp) {
			t.Errorf("after a wrong password: %v", err)
		}
		if err := h.logins.Confirm(ctx, p, place, login.Proof{Password: password}); err != nil {
			t.Fatal(err)
		}
		h.step(proofLife - time.Second)
		if err := act(); err != nil || p.Strong {
			t.Errorf("while the proof is remembered: %v, strong %v", err, p.Strong)
		}
		h.step(time.Second)
		if err := act(); !problem.Is(err, problem.StepUp) {
			t.Errorf("after the proof was forgotten: %v", err)
		}
	})
}

func TestStepUpCanBeTurnedOff(t *testing.T) {
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	h.add(t, "ann")
	p := h.enter(t, "ann")
	h.step(20 * time.Hour)
	if _, err := h.logins.BeginTOTP(ctx, login.Enrolee{Principal: h.refreshed(t, p)}); err != nil {
		t.Error(err)
	}
}

func TestStepUpAsksForTheSecondFactor(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := guarded(t, d), context.Background()
		h.add(t, "ann")
		weak := h.enter(t, "ann")
		p := h.enter(t, "ann")
		key := newDevice()
		codes := h.enrolKey(t, login.Enrolee{Principal: p}, key, "").Recovery
		a, _ := h.enrolApp(t, h.refreshed(t, p))
		// The other session has just signed in, but only with the password: it must not take away what guards the account from that.
		if err := h.logins.RemoveTOTP(ctx, weak); !problem.Is(err, problem.StepUp) {
			t.Errorf("a weak session removes a factor: %v", err)
		}
		if _, err := h.logins.NewRecoveryCodes(ctx, weak); !problem.Is(err, problem.StepUp) {
			t.Errorf("a weak session makes recovery codes: %v", err)
		}
		if _, err := h.logins.BeginTOTP(ctx, login.Enrolee{Principal: weak}); !problem.Is(err, problem.StepUp) {
			t.Errorf("a weak session sets up another factor: %v", err)
		}
		if ways, err := h.logins.ConfirmWays(ctx, weak); err != nil || ways != (login.ConfirmWays{TOTP: true, Passkey: true, Recovery: true}) {
			t.Errorf("%+v, %v", ways, err)
		}
		if err := h.logins.Confirm(ctx, weak, place, login.Proof{Password: password}); !problem.Is(err, problem.Invalid) {
			t.Errorf("the password stands in for a factor: %v", err)
		}
		for name, proof := range map[string]func() login.Proof{
			"code":     func() login.Proof { return login.Proof{Code: a.code(t, 0)} },
			"recovery": func() login.Proof { return login.Proof{Code: codes[0]} },
			"passkey": func() login.Proof {
				token, options, err := h.logins.OfferConfirmPasskey(ctx, weak, place)
				if err != nil {
					t.Fatal(err)
				}
				return login.Proof{PasskeyToken: token, Passkey: key.get(t, options)}
			},
		} {
			h.step(proofLife)
			once := proof()
			if err := h.logins.Confirm(ctx, weak, place, once); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			now := h.refreshed(t, weak)
			if !now.Strong || !now.ProvenAt.Equal(h.Now().Truncate(time.Millisecond)) {
				t.Errorf("%s: %+v", name, now)
			}
			if err := h.logins.Confirm(ctx, weak, place, once); err == nil {
				t.Errorf("%s: the same proof twice", name)
			}
		}
		if err := h.logins.RemoveTOTP(ctx, h.refreshed(t, weak)); err != nil {
			t.Errorf("a proven session: %v", err)
		}
	})
}

func TestAnotherSessionsProofIsRefused(t *testing.T) {
	h, ctx := guarded(t, dbtest.SQLite(t)), context.Background()
	h.add(t, "ann")
	h.add(t, "bob")
	p := h.enter(t, "ann")
	key := newDevice()
	h.enrolKey(t, login.Enrolee{Principal: p}, key, "")
	token, options, err := h.logins.OfferConfirmPasskey(ctx, p, place)
	if err != nil {
		t.Fatal(err)
	}
	bob := h.enter(t, "bob")
	h.enrolKey(t, login.Enrolee{Principal: bob}, newDevice(), "")
	at := h.atFactor(t, "ann")
	done, err := h.logins.FactorPasskey(ctx, at.Token, place, token, key.get(t, options))
	if !problem.Is(err, problem.NotFound) || done.Result != nil {
		t.Errorf("a proof of identity signs in: %v", err)
	}
	for name, who := range map[string]authz.Principal{"somebody else": bob} {
		if err := h.logins.Confirm(ctx, who, place, login.Proof{PasskeyToken: token, Passkey: key.get(t, options)}); !problem.Is(err, problem.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, who := range map[string]authz.Principal{"a stranger": {}, "no session": {Kind: authz.Person, ID: p.ID}, "the command line": cli} {
		if err := h.logins.Confirm(ctx, who, place, login.Proof{Password: password}); !problem.Is(err, problem.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := h.logins.ConfirmWays(ctx, who); !problem.Is(err, problem.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := h.logins.Confirm(ctx, p, place, login.Proof{PasskeyToken: token, Passkey: key.get(t, options)}); err != nil {
		t.Errorf("the session itself: %v", err)
	}
}

func TestGuessesAtStepUpSlowDown(t *testing.T) {
	h, ctx := guarded(t, dbtest.SQLite(t)), context.Background()
	h.add(t, "ann")
	p := h.enter(t, "ann")
	a, _ := h.enrolApp(t, p)
	judged := 0
	for range 20 {
		if err := h.logins.Confirm(ctx, p, place, login.Proof{Code: a.wrong(t)}); !problem.Is(err, problem.Limited) {
			judged++
		}
	}
	if judged != 5 {
		t.Errorf("%d of 20 guesses were judged, want 5", judged)
	}
	if _, err := h.logins.FactorCode(ctx, h.atFactor(t, "ann").Token, a.code(t, 0), ""); err != nil {
		t.Errorf("a stolen session locks the owner out of signing in: %v", err)
	}
}

// Who has no password proves otherwise, and can set a first one.
func TestWithoutAPassword(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := guarded(t, d).withMail(t, nothing), context.Background()
		u, err := h.people.Create(ctx, cli, identity.NewUser{Username: "ann", Email: "ann@example.com", Active: true})
		if err != nil {
			t.Fatal(err)
		}
		p := h.sessionOf(t, u.ID)
		if ways, err := h.logins.ConfirmWays(ctx, p); err != nil || ways != (login.ConfirmWays{}) {
			t.Errorf("%+v, %v", ways, err)
		}
		if err := h.logins.Confirm(ctx, p, place, login.Proof{}); !problem.Is(err, problem.Conflict) {
			t.Errorf("nothing to prove with: %v", err)
		}
		link := func(provider string, enabled bool, used int64) {
			err := h.db.Gated(ctx, func(tx *db.Tx) error {
				err := q.New(tx).InsertProvider(ctx, q.InsertProviderParams{ID: provider, Slug: provider, Kind: "oidc", Name: provider, Enabled: enabled, Settings: "{}"})
				return errors.Join(err, q.New(tx).InsertLink(ctx, q.InsertLinkParams{ProviderID: provider, Subject: "s", AccountID: u.ID, UsedAt: used}))
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		link("off", false, 3)
		if ways, err := h.logins.ConfirmWays(ctx, p); err != nil || ways != (login.ConfirmWays{}) {
			t.Errorf("a provider that is turned off: %+v, %v", ways, err)
		}
		link("old", true, 1)
		link("corp", true, 2)
		if ways, err := h.logins.ConfirmWays(ctx, p); err != nil || ways != (login.ConfirmWays{Provider: "corp"}) {
			t.Errorf("the provider that was used last: %+v, %v", ways, err)
		}
		if err := h.logins.Confirm(ctx, p, place, login.Proof{Password: password}); !problem.Is(err, problem.Invalid) {
			t.Errorf("a password that there is not: %v", err)
		}
		program := p
		program.SessionID = ""
		if err := h.logins.ChangePassword(ctx, program, "", newPassword); !problem.Is(err, problem.Denied) {
			t.Errorf("a program's key becomes a password: %v", err)
		}
		if err := h.logins.ChangeEmail(ctx, p, "", "new@example.com"); err != nil {
			t.Errorf("a change of address: %v", err)
		}
		h.step(proofLife)
		for what, err := range map[string]error{"password": h.logins.ChangePassword(ctx, p, "", newPassword), "address": h.logins.ChangeEmail(ctx, p, "", "new@example.com")} {
			if !problem.Is(err, problem.StepUp) {
				t.Errorf("%s, long after the sign-in: %v", what, err)
			}
		}
		p = h.sessionOf(t, u.ID)
		if err := h.logins.ChangePassword(ctx, p, "", newPassword); err != nil {
			t.Fatal(err)
		}
		if err := h.logins.ChangePassword(ctx, p, "", newPassword+"!"); problem.Of(err).Field != "old_password" {
			t.Errorf("the password that is there now is not asked for: %v", err)
		}
		if _, err := h.try("ann", newPassword, "192.0.2.1", ""); err != nil {
			t.Error(err)
		}
	})
}

// sessionOf begins a session for somebody, as single sign-on does.
func (h *house) sessionOf(t testing.TB, userID string) authz.Principal {
	t.Helper()
	return h.who(t, h.begin(t, userID))
}

func (h *house) begin(t testing.TB, userID string) (cookie string) {
	t.Helper()
	err := h.db.Gated(context.Background(), func(tx *db.Tx) (err error) {
		cookie, _, err = h.sessions.Begin(context.Background(), tx, userID, authn.Meta{Method: "sso"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return cookie
}
