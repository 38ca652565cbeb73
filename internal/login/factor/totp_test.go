package factor_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/factor"
	"sluice/internal/problem"
)

// atFactor starts a sign-in with the password, which must stop at the second factor.
func (h *house) atFactor(t testing.TB, who string) login.Progress {
	t.Helper()
	p, err := h.Logins.Password(context.Background(),
		login.Attempt{Identifier: who, Password: password, IP: "192.0.2.1", UserAgent: "test"})
	if err != nil || p.Step != login.StepFactor || p.Result != nil || p.Token == "" {
		t.Fatalf("%+v, %v; want the second factor and no session", p, err)
	}
	return p
}

func TestAuthenticatorApp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost).withMail(t, nothing), context.Background()
		h.Add(t, "ann")
		p := h.Enter(t, "ann")
		offer, err := h.Factors.BeginTOTP(ctx, factor.Enrolee{Principal: p})
		if err != nil {
			t.Fatal(err)
		}
		a := h.NewApp(offer.Secret)
		if !strings.HasPrefix(offer.URL, "otpauth://totp/Sluice%20sluice.example:ann?") ||
			!strings.Contains(offer.URL, "secret="+offer.Secret) ||
			len(offer.Secret) != 32 {
			t.Errorf("the app's address: %s", offer.URL)
		}
		if !strings.HasPrefix(offer.QR, "<svg ") || strings.Contains(offer.QR, "style") {
			t.Errorf("the QR code: %.200s", offer.QR)
		}
		if _, err := h.Factors.FinishTOTP(ctx, factor.Enrolee{Principal: p}, offer.Token, a.Wrong(t)); problem.Of(
			err,
		).Field != "code" {
			t.Errorf("a wrong first code: %v", err)
		}
		other := h.Add(t, "bob")
		if _, err := h.Factors.FinishTOTP(ctx, factor.Enrolee{Principal: h.Enter(t, "bob")}, offer.Token,
			a.Code(t, 0)); !problem.Is(
			err,
			problem.NotFound,
		) {
			t.Errorf("another person's offer: %v", err)
		}
		if f, err := h.Factors.List(ctx, p, p.ID); err != nil || f.Any() || !f.HasPassword {
			t.Errorf("before the code: %+v, %v", f, err)
		}
		done, err := h.Factors.FinishTOTP(ctx, factor.Enrolee{Principal: p}, offer.Token,
			a.Code(t, 0)[:3]+" "+a.Code(t, 0)[3:])
		if err != nil || len(done.Recovery) != factor.RecoveryCodes || done.Progress != nil {
			t.Fatalf("%+v, %v", done, err)
		}
		if !h.Refreshed(t, p).Strong {
			t.Error("the session is weak although the factor was just proven")
		}
		if _, err := h.Factors.FinishTOTP(ctx, factor.Enrolee{Principal: h.Refreshed(t, p)}, offer.Token,
			a.Code(t, 0)); err == nil {
			t.Error("an offer can be used twice")
		}
		if f, err := h.Factors.List(ctx, p, p.ID); err != nil || !f.Any() || f.RecoveryLeft != factor.RecoveryCodes {
			t.Errorf("after the code: %+v, %v", f, err)
		}
		if _, err := h.Factors.List(ctx, h.Principal(t, other.ID), p.ID); !problem.Is(err, problem.Denied) {
			t.Errorf("another person sees the factors: %v", err)
		}
		if h.Post.Count() != 1 || !strings.Contains(h.Post.Mails()[0], "An authenticator app was added") {
			t.Errorf("mails: %q", h.Post.Mails())
		}
	})
}

func TestTOTP_SecondStep(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		u := h.Add(t, "ann")
		a, _ := h.EnrolApp(t, h.Enter(t, "ann"))
		at := h.atFactor(t, "ann")
		if ways, err := h.Factors.FactorWays(ctx, at.Token); err != nil ||
			ways != (factor.Ways{TOTP: true, Recovery: true}) {
			t.Errorf("ways %+v, %v", ways, err)
		}
		if again, err := h.Logins.Where(ctx, at.Token); err != nil || again.Step != login.StepFactor {
			t.Errorf("asking again: %+v, %v", again, err)
		}
		if _, err := h.Factors.FactorCode(ctx, at.Token, a.Wrong(t), "192.0.2.1"); problem.Of(err).Field != "code" {
			t.Errorf("a wrong code: %v", err)
		}
		done, err := h.Factors.FactorCode(ctx, at.Token, a.Code(t, 0), "192.0.2.1")
		if err != nil || done.Step != login.StepFinish || done.Result == nil {
			t.Fatalf("%+v, %v", done, err)
		}
		if p := h.Who(t, done.Result.Token); !p.Strong || p.ID != u.ID ||
			done.Result.Session.Method != "password + totp" {
			t.Errorf("the session: %+v, %q", p, done.Result.Session.Method)
		}
		if _, err := h.Logins.Where(ctx, at.Token); !problem.Is(err, problem.NotFound) {
			t.Errorf("the attempt continues after it expired: %v", err)
		}
		token, _, err := h.SignUps.ResetLink(ctx, cli, u.ID)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := h.SignUps.Reset(ctx, token, newPassword, authn.Meta{}); err != nil || p.Step != login.StepFactor {
			t.Errorf("a reset link: %+v, %v; want the second factor", p, err)
		}
	})
}

// devices are the cookies of browsers in which a person without a second factor has signed in.
func (h *house) devices(t testing.TB, who string, n int) []string {
	t.Helper()
	out := make([]string, n)
	for i := range out {
		r, err := h.Try(who, password, "192.0.2.1", "")
		if err != nil {
			t.Fatal(err)
		}
		out[i] = r.Device
	}
	return out
}

// onlyOneWins sends one code from many browsers at the same time. All browsers are known, so each
// has its own guess limit and every attempt gets a verdict.
func (h *house) onlyOneWins(t *testing.T, who string, devices []string, code string) {
	t.Helper()
	attempts, errs := make([]string, len(devices)), make([]error, len(devices))
	for i, device := range devices {
		p, err := h.Logins.Password(context.Background(),
			login.Attempt{Identifier: who, Password: password, IP: "192.0.2.1", Device: device})
		if err != nil || p.Step != login.StepFactor {
			t.Fatalf("%+v, %v", p, err)
		}
		attempts[i] = p.Token
	}
	var wg sync.WaitGroup
	for i := range devices {
		wg.Go(func() { _, errs[i] = h.Factors.FactorCode(context.Background(), attempts[i], code, "192.0.2.1") })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if e := problem.Of(err); e.Kind != problem.Invalid || e.Field != "code" ||
			!strings.Contains(e.Detail, "already used") {
			t.Errorf("a loser gets %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d uses of one code succeeded, want 1", won, len(devices))
	}
}

func TestTOTP_Once(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		h.Add(t, "ann")
		devices := h.devices(t, "ann", 50)
		a, _ := h.EnrolApp(t, h.Enter(t, "ann"))
		h.onlyOneWins(t, "ann", devices, a.Code(t, 0))
		h.Step(time.Hour)
		h.Step(30 * time.Second)
		before := a.Code(t, 0)
		if _, err := h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, a.Code(t, 1), ""); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, before, ""); !strings.Contains(
			problem.Of(err).Detail,
			"already used",
		) {
			t.Errorf("a code from before the last accepted one: %v", err)
		}
	})
}

func TestTOTP_ClockDrift(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	h.Add(t, "ann")
	a, _ := h.EnrolApp(t, h.Enter(t, "ann"))
	for _, tt := range []struct {
		steps int64
		says  string // "" for accepted
	}{
		{0, ""}, {-1, ""}, {1, ""}, {-2, "about 1m0s behind"}, {2, "about 1m0s ahead of"}, {-10, "about 5m0s behind"},
		{20, "about 10m0s ahead of"}, {-20, "about 10m0s behind"},
		{21, "Wrong code"}, {-21, "Wrong code"}, {1 << 20, "Wrong code"},
	} {
		h.Step(2 * time.Hour)
		at := h.atFactor(t, "ann")
		_, err := h.Factors.FactorCode(ctx, at.Token, a.Code(t, tt.steps), "")
		if e := problem.Of(err); tt.says == "" && err != nil ||
			tt.says != "" && (err == nil || !strings.Contains(e.Detail, tt.says)) {
			t.Errorf("%d steps away: %v, want %q", tt.steps, err, tt.says)
		}
		if tt.says == "" {
			continue
		}
		if _, err := h.Factors.FactorCode(ctx, at.Token, a.Code(t, 0), ""); err != nil {
			t.Errorf("the right code after one that was %d steps away: %v", tt.steps, err)
		}
	}
}

// A guess that is right for a later moment is reported as a clock difference. It must not work when
// that moment comes.
func TestTOTP_EarlyCode(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		h.Add(t, "ann")
		a, _ := h.EnrolApp(t, h.Enter(t, "ann"))
		at, early := h.atFactor(t, "ann"), a.Code(t, 5)
		for range 2 {
			if _, err := h.Factors.FactorCode(ctx, at.Token, early, ""); !strings.Contains(problem.Of(err).Detail,
				"clocks differ") {
				t.Fatalf("%v", err)
			}
		}
		h.Step(5 * 30 * time.Second)
		if _, err := h.Factors.FactorCode(ctx, at.Token, early, ""); !strings.Contains(problem.Of(err).Detail,
			"already used") {
			t.Errorf("the early code at its time: %v", err)
		}
		if _, err := h.Factors.FactorCode(ctx, at.Token, a.Code(t, 1), ""); err != nil {
			t.Errorf("the next one: %v", err)
		}
	})
}

func TestTOTP_GuessLimit(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	h.Add(t, "ann")
	known, err := h.Try("ann", password, "198.51.100.7", "")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := h.EnrolApp(t, h.Who(t, known.Token))
	judged := 0
	for range 30 {
		// Entering the password again resets no counter.
		if _, err := h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, a.Wrong(t), ""); !problem.Is(err,
			problem.Limited) {
			judged++
		}
	}
	if judged != 5 {
		t.Errorf("%d of 30 guesses got a verdict, want 5", judged)
	}
	if _, err := h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, a.Code(t, 0), ""); !problem.Is(err,
		problem.Limited) {
		t.Errorf("even the right one waits: %v", err)
	}
	own, err := h.Logins.Password(ctx,
		login.Attempt{Identifier: "ann", Password: password, IP: "198.51.100.7", Device: known.Device})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Factors.FactorCode(ctx, own.Token, a.Code(t, 0), ""); err != nil {
		t.Errorf("a thief of the password locks out the owner's browser: %v", err)
	}
	for _, text := range []string{"", "12345", "1234567", "abcdef", strings.Repeat("9", 5000), "１２３４５６"} {
		if _, err := h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, text, ""); !problem.Is(err,
			problem.Invalid) {
			t.Errorf("%.20q is counted as a guess: %v", text, err)
		}
	}
}

func TestTOTP_EnrollAtSignIn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		root := h.Root(t)
		root.Strong = true
		u := h.Add(t, "ann")
		begin := func() login.Progress {
			p, err := h.Logins.Password(ctx, login.Attempt{Identifier: "ann", Password: password, IP: "192.0.2.1"})
			if err != nil || p.Step != login.StepEnrol || p.Result != nil {
				t.Fatalf("%+v, %v; want enrollment and no session", p, err)
			}
			return p
		}
		if err := h.People.SetSecondFactor(ctx, root, identity.DefaultWorkspace,
			identity.FactorEncouraged); err != nil {
			t.Fatal(err)
		}
		p := begin()
		if !p.MaySkip {
			t.Error("an offer cannot be declined")
		}
		if p, err := h.Logins.SkipEnrol(ctx, p.Token); err != nil || p.Step != login.StepFinish {
			t.Fatalf("declined: %+v, %v", p, err)
		}
		if err := h.People.SetSecondFactor(ctx, root, identity.DefaultWorkspace, identity.FactorRequired); err != nil {
			t.Fatal(err)
		}
		p = begin()
		if _, err := h.Logins.SkipEnrol(ctx, p.Token); !problem.Is(err, problem.Denied) || p.MaySkip {
			t.Errorf("a required enrollment was declined: %v", err)
		}
		if _, err := h.Factors.FactorCode(ctx, p.Token, "123456", ""); !problem.Is(err, problem.Conflict) {
			t.Errorf("another step: %v", err)
		}
		offer, err := h.Factors.BeginTOTP(ctx, factor.Enrolee{Attempt: p.Token})
		if err != nil {
			t.Fatal(err)
		}
		a := h.NewApp(offer.Secret)
		if _, err := h.Factors.FinishTOTP(ctx, factor.Enrolee{Attempt: begin().Token}, offer.Token,
			a.Code(t, 0)); !problem.Is(
			err,
			problem.NotFound,
		) {
			t.Errorf("the offer of another attempt: %v", err)
		}
		done, err := h.Factors.FinishTOTP(ctx, factor.Enrolee{Attempt: p.Token}, offer.Token, a.Code(t, 0))
		if err != nil || done.Progress == nil || done.Progress.Step != login.StepFinish ||
			len(done.Recovery) != factor.RecoveryCodes {
			t.Fatalf("%+v, %v", done, err)
		}
		who := h.Who(t, done.Progress.Result.Token)
		if !who.Strong || who.ID != u.ID {
			t.Errorf("the session: %+v", who)
		}
		if err := h.Gate.Check(
			ctx,
			who,
			authz.WorkspaceView,
			authz.Resource{Type: "Workspace", ID: identity.DefaultWorkspace, Workspace: identity.DefaultWorkspace},
		); err != nil {
			t.Errorf("the strict workspace is closed: %v", err)
		}
	})
}

func TestTOTP_GuessesReportedOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost).withMail(t, nothing), context.Background()
		h.Add(t, "ann")
		a, _ := h.EnrolApp(t, h.Enter(t, "ann"))
		before := h.Post.Count()
		for n := range 12 {
			_, err := h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, a.Wrong(t), "192.0.2.66")
			if err == nil {
				t.Fatal("a wrong code opens")
			}
			if n < 3 && h.Post.Count() > before {
				t.Errorf("a mail after %d guesses", n+1)
			}
			h.Step(time.Hour / 6) // slowed down, but not forgotten
		}
		if n := h.Post.Count() - before; n != 1 {
			t.Errorf("%d mails, want one", n)
		}
		if text := h.Post.Last(); !strings.Contains(text, "Someone signed in with your password") ||
			!strings.Contains(text, "192.0.2.66") {
			t.Errorf("the mail says: %.600s", text)
		}
	})
}
