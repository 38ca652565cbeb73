package factor_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/dbtest"
	"sluice/internal/login/factor"
	"sluice/internal/problem"
)

func TestRecovery_OnceEach(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		h.Add(t, "ann")
		p := h.Enter(t, "ann")
		_, done := h.EnrolApp(t, p)
		seen := map[string]bool{}
		for i, code := range done.Recovery {
			if len(code) != 19 || strings.Count(code, "-") != 3 || seen[code] || strings.ContainsAny(code, "ilouILOU") {
				t.Errorf("the code %q", code)
			}
			seen[code] = true
			typed := []string{code, strings.ToUpper(code), strings.ReplaceAll(code, "-", ""),
				" " + strings.ReplaceAll(code, "-", " ") + "\n",
				strings.ReplaceAll(strings.ReplaceAll(code, "0", "O"), "1", "l")}[i%5]
			if _, err := h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, typed, ""); err != nil {
				t.Errorf("%q, typed as %q: %v", code, typed, err)
			}
			if _, err := h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, code, ""); problem.Of(
				err,
			).Field != "code" {
				t.Errorf("%q again: %v", code, err)
			}
			if f, err := h.Factors.List(ctx, p, p.ID); err != nil || f.RecoveryLeft != factor.RecoveryCodes-i-1 {
				t.Errorf("%d left after %d, %v", f.RecoveryLeft, i+1, err)
			}
		}
		if ways, err := h.Factors.FactorWays(ctx, h.atFactor(t, "ann").Token); err != nil || ways.Recovery {
			t.Errorf("%+v, %v", ways, err)
		}
	})
}

func TestRecovery_Parallel(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := build(t, d, bcrypt.MinCost)
		h.Add(t, "ann")
		devices := h.devices(t, "ann", 50)
		_, done := h.EnrolApp(t, h.Enter(t, "ann"))
		h.onlyOneWins(t, "ann", devices, done.Recovery[0])
	})
}

func TestRecovery_NewCodes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost).withMail(t, nothing), context.Background()
		h.Add(t, "ann")
		p := h.Enter(t, "ann")
		if _, err := h.Factors.NewRecoveryCodes(ctx, p); !problem.Is(err, problem.Conflict) {
			t.Errorf("without a second factor: %v", err)
		}
		_, done := h.EnrolApp(t, p)
		p = h.Refreshed(t, p)
		fresh, err := h.Factors.NewRecoveryCodes(ctx, p)
		if err != nil || len(fresh) != factor.RecoveryCodes {
			t.Fatalf("%v, %v", fresh, err)
		}
		if h.Post.Count() != 2 || !strings.Contains(h.Post.Mails()[1], "A new set of recovery codes was added") {
			t.Errorf("mails: %q", h.Post.Mails())
		}
		if _, err := h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, done.Recovery[0], ""); problem.Of(
			err,
		).Field != "code" {
			t.Errorf("a code of the previous set: %v", err)
		}
		if _, err := h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, fresh[0], ""); err != nil {
			t.Errorf("a code of the new set: %v", err)
		}
		if _, err := h.Factors.NewRecoveryCodes(ctx, authz.Principal{Kind: authz.Person, ID: p.ID}); !problem.Is(err,
			problem.Unauthenticated) {
			t.Errorf("without a session: %v", err)
		}
		if err := h.Factors.RemoveTOTP(ctx, p); err != nil {
			t.Fatal(err)
		}
		if f, err := h.Factors.List(ctx, p, p.ID); err != nil || f.RecoveryLeft != 0 {
			t.Errorf("recovery codes outlive the last factor: %+v, %v", f, err)
		}
	})
}

// A person's factors are not in the audit, and are not readable in the database.
func TestRecovery_NotInAudit(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	h.Add(t, "ann")
	p := h.Enter(t, "ann")
	a, done := h.EnrolApp(t, p)
	used := a.Code(t, 0)
	if _, err := h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, used, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, done.Recovery[0], ""); err != nil {
		t.Fatal(err)
	}
	h.Step(time.Minute)
	_, _ = h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, a.Wrong(t), "")
	h.Gate.Flush(ctx)
	list, err := audit.After(ctx, h.DB, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	details := ""
	for _, e := range list {
		details += string(e.Outcome) + ":" + e.Detail + "\n"
	}
	for _, want := range []string{"done:An authenticator app was added", "done:password + totp", "done:recovery code " +
		"used, 9 left", "done:password + recovery code", "denied:totp"} {
		if !strings.Contains(details, want) {
			t.Errorf("the record lacks %q:\n%s", want, details)
		}
	}
	row, err := q.New(h.DB.Read()).GetTOTP(ctx, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range append(done.Recovery, a.Secret, used) {
		if strings.Contains(details, secret) || strings.Contains(row.SecretSealed, secret) {
			t.Errorf("%q can be read", secret)
		}
	}
}
