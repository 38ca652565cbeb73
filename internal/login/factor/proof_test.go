package factor_test

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
	"sluice/internal/login/factor"
	"sluice/internal/problem"
)

func TestStepUp_Remembered(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := guarded(t, d), context.Background()
		h.Add(t, "ann")
		p := h.Enter(t, "ann")
		act := func() error {
			p = h.Refreshed(t, p)
			_, err := h.Factors.BeginTOTP(ctx, factor.Enrolee{Principal: p})
			return err
		}
		if err := act(); err != nil {
			t.Errorf("right after the sign-in: %v", err)
		}
		h.Step(proofLife - time.Second)
		if err := act(); err != nil {
			t.Errorf("while the sign-in is remembered: %v", err)
		}
		h.Step(time.Second)
		if err := act(); !problem.Is(err, problem.StepUp) {
			t.Errorf("after it was forgotten: %v", err)
		}
		if ways, err := h.Factors.ConfirmWays(ctx, p); err != nil || ways != (factor.ConfirmWays{Password: true}) {
			t.Errorf("%+v, %v", ways, err)
		}
		if err := h.Factors.Confirm(ctx, p, place, factor.Proof{Password: "wrong"}); problem.Of(
			err,
		).Field != "password" {
			t.Errorf("a wrong password: %v", err)
		}
		if err := act(); !problem.Is(err, problem.StepUp) {
			t.Errorf("after a wrong password: %v", err)
		}
		if err := h.Factors.Confirm(ctx, p, place, factor.Proof{Password: password}); err != nil {
			t.Fatal(err)
		}
		h.Step(proofLife - time.Second)
		if err := act(); err != nil || p.Strong {
			t.Errorf("while the proof is remembered: %v, strong %v", err, p.Strong)
		}
		h.Step(time.Second)
		if err := act(); !problem.Is(err, problem.StepUp) {
			t.Errorf("after the proof was forgotten: %v", err)
		}
	})
}

func TestStepUp_Off(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	h.Add(t, "ann")
	p := h.Enter(t, "ann")
	h.Step(20 * time.Hour)
	if _, err := h.Factors.BeginTOTP(ctx, factor.Enrolee{Principal: h.Refreshed(t, p)}); err != nil {
		t.Error(err)
	}
}

func TestStepUp_SecondFactor(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := guarded(t, d), context.Background()
		h.Add(t, "ann")
		weak := h.Enter(t, "ann")
		p := h.Enter(t, "ann")
		key := newDevice()
		codes := h.enrolKey(t, factor.Enrolee{Principal: p}, key, "").Recovery
		a, _ := h.EnrolApp(t, h.Refreshed(t, p))
		// The other session has just signed in, but only with the password. It must not remove the
		// factor that protects the account against a stolen password.
		if err := h.Factors.RemoveTOTP(ctx, weak); !problem.Is(err, problem.StepUp) {
			t.Errorf("a weak session removes a factor: %v", err)
		}
		if _, err := h.Factors.NewRecoveryCodes(ctx, weak); !problem.Is(err, problem.StepUp) {
			t.Errorf("a weak session creates recovery codes: %v", err)
		}
		if _, err := h.Factors.BeginTOTP(ctx, factor.Enrolee{Principal: weak}); !problem.Is(err, problem.StepUp) {
			t.Errorf("a weak session sets up another factor: %v", err)
		}
		if ways, err := h.Factors.ConfirmWays(ctx, weak); err != nil ||
			ways != (factor.ConfirmWays{TOTP: true, Passkey: true, Recovery: true}) {
			t.Errorf("%+v, %v", ways, err)
		}
		if err := h.Factors.Confirm(ctx, weak, place, factor.Proof{Password: password}); !problem.Is(err,
			problem.Invalid) {
			t.Errorf("the password replaces a factor: %v", err)
		}
		for name, proof := range map[string]func() factor.Proof{
			"code":     func() factor.Proof { return factor.Proof{Code: a.Code(t, 0)} },
			"recovery": func() factor.Proof { return factor.Proof{Code: codes[0]} },
			"passkey": func() factor.Proof {
				token, options, err := h.Factors.OfferConfirmPasskey(ctx, weak, place)
				if err != nil {
					t.Fatal(err)
				}
				return factor.Proof{PasskeyToken: token, Passkey: key.get(t, options)}
			},
		} {
			h.Step(proofLife)
			once := proof()
			if err := h.Factors.Confirm(ctx, weak, place, once); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			now := h.Refreshed(t, weak)
			if !now.Strong || !now.ProvenAt.Equal(h.Now().Truncate(time.Millisecond)) {
				t.Errorf("%s: %+v", name, now)
			}
			if err := h.Factors.Confirm(ctx, weak, place, once); err == nil {
				t.Errorf("%s: the same proof twice", name)
			}
		}
		if err := h.Factors.RemoveTOTP(ctx, h.Refreshed(t, weak)); err != nil {
			t.Errorf("a proven session: %v", err)
		}
	})
}

func TestStepUp_OtherSession(t *testing.T) {
	t.Parallel()
	h, ctx := guarded(t, dbtest.SQLite(t)), context.Background()
	h.Add(t, "ann")
	h.Add(t, "bob")
	p := h.Enter(t, "ann")
	key := newDevice()
	h.enrolKey(t, factor.Enrolee{Principal: p}, key, "")
	token, options, err := h.Factors.OfferConfirmPasskey(ctx, p, place)
	if err != nil {
		t.Fatal(err)
	}
	bob := h.Enter(t, "bob")
	h.enrolKey(t, factor.Enrolee{Principal: bob}, newDevice(), "")
	at := h.atFactor(t, "ann")
	done, err := h.Factors.FactorPasskey(ctx, at.Token, place, token, key.get(t, options))
	if !problem.Is(err, problem.NotFound) || done.Result != nil {
		t.Errorf("a proof of identity signs in: %v", err)
	}
	for name, who := range map[string]authz.Principal{"another person": bob} {
		if err := h.Factors.Confirm(ctx, who, place,
			factor.Proof{PasskeyToken: token, Passkey: key.get(t, options)}); !problem.Is(
			err,
			problem.NotFound,
		) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, who := range map[string]authz.Principal{"a stranger": {}, "no session": {Kind: authz.Person, ID: p.ID},
		"the command line": cli} {
		if err := h.Factors.Confirm(ctx, who, place, factor.Proof{Password: password}); !problem.Is(err,
			problem.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := h.Factors.ConfirmWays(ctx, who); !problem.Is(err, problem.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := h.Factors.Confirm(ctx, p, place,
		factor.Proof{PasskeyToken: token, Passkey: key.get(t, options)}); err != nil {
		t.Errorf("the session itself: %v", err)
	}
}

func TestStepUp_GuessLimit(t *testing.T) {
	t.Parallel()
	h, ctx := guarded(t, dbtest.SQLite(t)), context.Background()
	h.Add(t, "ann")
	p := h.Enter(t, "ann")
	a, _ := h.EnrolApp(t, p)
	judged := 0
	for range 20 {
		if err := h.Factors.Confirm(ctx, p, place, factor.Proof{Code: a.Wrong(t)}); !problem.Is(err, problem.Limited) {
			judged++
		}
	}
	if judged != 5 {
		t.Errorf("%d of 20 guesses got a verdict, want 5", judged)
	}
	if _, err := h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, a.Code(t, 0), ""); err != nil {
		t.Errorf("a stolen session locks the owner out of signing in: %v", err)
	}
}

// A person without a password confirms in another way, and can set a first password.
func TestStepUp_WithoutPassword(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := guarded(t, d).withMail(t, nothing), context.Background()
		u, err := h.People.Create(ctx, cli, identity.NewUser{Username: "ann", Email: "ann@example.com", Active: true})
		if err != nil {
			t.Fatal(err)
		}
		p := h.sessionOf(t, u.ID)
		if ways, err := h.Factors.ConfirmWays(ctx, p); err != nil || ways != (factor.ConfirmWays{}) {
			t.Errorf("%+v, %v", ways, err)
		}
		if err := h.Factors.Confirm(ctx, p, place, factor.Proof{}); !problem.Is(err, problem.Conflict) {
			t.Errorf("nothing to prove with: %v", err)
		}
		link := func(provider string, enabled bool, used int64) {
			err := h.DB.Gated(ctx, func(tx *db.Tx) error {
				err := q.New(tx).InsertProvider(
					ctx,
					q.InsertProviderParams{
						ID:       provider,
						Slug:     provider,
						Kind:     "oidc",
						Name:     provider,
						Enabled:  enabled,
						Settings: "{}",
					},
				)
				return errors.Join(
					err,
					q.New(tx).InsertLink(ctx,
						q.InsertLinkParams{ProviderID: provider, Subject: "s", AccountID: u.ID, UsedAt: used}),
				)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		link("off", false, 3)
		if ways, err := h.Factors.ConfirmWays(ctx, p); err != nil || ways != (factor.ConfirmWays{}) {
			t.Errorf("a provider that is turned off: %+v, %v", ways, err)
		}
		link("old", true, 1)
		link("corp", true, 2)
		if ways, err := h.Factors.ConfirmWays(ctx, p); err != nil || ways != (factor.ConfirmWays{Provider: "corp"}) {
			t.Errorf("the provider that was used last: %+v, %v", ways, err)
		}
		if err := h.Factors.Confirm(ctx, p, place, factor.Proof{Password: password}); !problem.Is(err,
			problem.Invalid) {
			t.Errorf("a password that does not exist: %v", err)
		}
		program := p
		program.SessionID = ""
		if err := h.Logins.ChangePassword(ctx, program, "", newPassword); !problem.Is(err, problem.Denied) {
			t.Errorf("a program's key becomes a password: %v", err)
		}
		if err := h.SignUps.ChangeEmail(ctx, p, "", "new@example.com"); err != nil {
			t.Errorf("a change of address: %v", err)
		}
		h.Step(proofLife)
		for what, err := range map[string]error{"password": h.Logins.ChangePassword(ctx, p, "", newPassword),
			"address": h.SignUps.ChangeEmail(ctx, p, "", "new@example.com")} {
			if !problem.Is(err, problem.StepUp) {
				t.Errorf("%s, long after the sign-in: %v", what, err)
			}
		}
		p = h.sessionOf(t, u.ID)
		if err := h.Logins.ChangePassword(ctx, p, "", newPassword); err != nil {
			t.Fatal(err)
		}
		if err := h.Logins.ChangePassword(ctx, p, "", newPassword+"!"); problem.Of(err).Field != "old_password" {
			t.Errorf("the current password is not requested: %v", err)
		}
		if _, err := h.Try("ann", newPassword, "192.0.2.1", ""); err != nil {
			t.Error(err)
		}
	})
}

// sessionOf starts a session for a person, as single sign-on does.
func (h *house) sessionOf(t testing.TB, userID string) authz.Principal {
	t.Helper()
	return h.Who(t, h.begin(t, userID))
}

func (h *house) begin(t testing.TB, userID string) (cookie string) {
	t.Helper()
	err := h.DB.Gated(context.Background(), func(tx *db.Tx) (err error) {
		cookie, _, err = h.Sessions.Begin(context.Background(), tx, userID, authn.Meta{Method: "sso"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return cookie
}
