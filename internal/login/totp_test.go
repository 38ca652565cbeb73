package login_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/hotp"
	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/problem"
)

// enter signs somebody in who has no second factor, and returns the principal of the session.
func (h *house) enter(t testing.TB, who string) authz.Principal {
	t.Helper()
	r, err := h.try(who, password, "192.0.2.1", "")
	if err != nil || r.Token == "" {
		t.Fatalf("%s is not signed in: %v", who, err)
	}
	return h.who(t, r.Token)
}

// who is the principal behind a session cookie, as it is now.
func (h *house) who(t testing.TB, cookie string) authz.Principal {
	t.Helper()
	p, ok := h.sessions.Lookup(cookie, authn.AudienceMain)
	if !ok {
		t.Fatal("the session is not in force")
	}
	return p
}

// refreshed is a principal with what its session has proven by now.
func (h *house) refreshed(t testing.TB, p authz.Principal) authz.Principal {
	t.Helper()
	list, err := h.sessions.List(context.Background(), p, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.ID == p.SessionID {
			p.Strong, p.ProvenAt = s.Strong, s.ProvenAt
			return p
		}
	}
	t.Fatal("the session has ended")
	return p
}

// app is an authenticator app.
type app struct {
	*clock
	secret string
}

// code is what the app shows so many steps from now.
func (a app) code(t testing.TB, steps int64) string {
	t.Helper()
	code, err := hotp.GenerateCode(a.secret, uint64(a.Now().Unix()/30+steps))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// wrong is a code that is right for no step near.
func (a app) wrong(t testing.TB) string {
	t.Helper()
	for n := 0; ; n++ {
		guess, right := strings.Repeat(string(rune('0'+n)), 6), false
		for d := int64(-25); d <= 25; d++ {
			right = right || a.code(t, d) == guess
		}
		if !right {
			return guess
		}
	}
}

// enrolApp gives somebody signed in an authenticator app, half a minute ago, so that the code of this moment is unused.
func (h *house) enrolApp(t testing.TB, p authz.Principal) (app, login.Enrolled) {
	t.Helper()
	offer, err := h.logins.BeginTOTP(context.Background(), login.Enrolee{Principal: p})
	if err != nil {
		t.Fatal(err)
	}
	a := app{h.clock, offer.Secret}
	done, err := h.logins.FinishTOTP(context.Background(), login.Enrolee{Principal: p}, offer.Token, a.code(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	h.step(60 * time.Second)
	return a, done
}

// atFactor begins a sign-in with the password; it has to stop at the second factor.
func (h *house) atFactor(t testing.TB, who string) login.Progress {
	t.Helper()
	p, err := h.logins.Password(context.Background(), login.Attempt{Identifier: who, Password: password, IP: "192.0.2.1", UserAgent: "test"})
	if err != nil || p.Step != login.StepFactor || p.Result != nil || p.Token == "" {
		t.Fatalf("%+v, %v; want the second factor and no session", p, err)
	}
	return p
}

func TestAuthenticatorApp(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost).withMail(t, nothing), context.Background()
		h.add(t, "ann")
		p := h.enter(t, "ann")
		offer, err := h.logins.BeginTOTP(ctx, login.Enrolee{Principal: p})
		if err != nil {
			t.Fatal(err)
		}
		a := app{h.clock, offer.Secret}
		if !strings.HasPrefix(offer.URL, "otpauth://totp/Sluice%20sluice.example:ann?") || !strings.Contains(offer.URL, "secret="+offer.Secret) || len(offer.Secret) != 32 {
			t.Errorf("the app's address: %s", offer.URL)
		}
		if !strings.HasPrefix(offer.QR, "<svg ") || strings.Contains(offer.QR, "style") {
			t.Errorf("the QR code: %.200s", offer.QR)
		}
		if _, err := h.logins.FinishTOTP(ctx, login.Enrolee{Principal: p}, offer.Token, a.wrong(t)); problem.Of(err).Field != "code" {
			t.Errorf("a wrong first code: %v", err)
		}
		other := h.add(t, "bob")
		if _, err := h.logins.FinishTOTP(ctx, login.Enrolee{Principal: h.enter(t, "bob")}, offer.Token, a.code(t, 0)); !problem.Is(err, problem.NotFound) {
			t.Errorf("somebody else's offer: %v", err)
		}
		if f, err := h.logins.Factors(ctx, p, p.ID); err != nil || f.Any() || !f.HasPassword {
			t.Errorf("before the code: %+v, %v", f, err)
		}
		done, err := h.logins.FinishTOTP(ctx, login.Enrolee{Principal: p}, offer.Token, a.code(t, 0)[:3]+" "+a.code(t, 0)[3:])
		if err != nil || len(done.Recovery) != login.RecoveryCodes || done.Progress != nil {
			t.Fatalf("%+v, %v", done, err)
		}
		if !h.refreshed(t, p).Strong {
			t.Error("the session is weak although the factor was just proven")
		}
		if _, err := h.logins.FinishTOTP(ctx, login.Enrolee{Principal: h.refreshed(t, p)}, offer.Token, a.code(t, 0)); err == nil {
			t.Error("an offer can be used twice")
		}
		if f, err := h.logins.Factors(ctx, p, p.ID); err != nil || !f.Any() || f.RecoveryLeft != login.RecoveryCodes {
			t.Errorf("after the code: %+v, %v", f, err)
		}
		if _, err := h.logins.Factors(ctx, h.principal(t, other.ID), p.ID); !problem.Is(err, problem.Denied) {
			t.Errorf("somebody else sees the factors: %v", err)
		}
		if h.post.count() != 1 || !strings.Contains(h.post.mails[0], "An authenticator app was added") {
			t.Errorf("mails: %q", h.post.mails)
		}
	})
}

func TestASecondFactorIsAsked(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		u := h.add(t, "ann")
		a, _ := h.enrolApp(t, h.enter(t, "ann"))
		at := h.atFactor(t, "ann")
		if ways, err := h.logins.FactorWays(ctx, at.Token); err != nil || ways != (login.Ways{TOTP: true, Recovery: true}) {
			t.Errorf("ways %+v, %v", ways, err)
		}
		if again, err := h.logins.Where(ctx, at.Token); err != nil || again.Step != login.StepFactor {
			t.Errorf("asking again: %+v, %v", again, err)
		}
		if _, err := h.logins.FactorCode(ctx, at.Token, a.wrong(t), "192.0.2.1"); problem.Of(err).Field != "code" {
			t.Errorf("a wrong code: %v", err)
		}
		done, err := h.logins.FactorCode(ctx, at.Token, a.code(t, 0), "192.0.2.1")
		if err != nil || done.Step != login.StepFinish || done.Result == nil {
			t.Fatalf("%+v, %v", done, err)
		}
		if p := h.who(t, done.Result.Token); !p.Strong || p.ID != u.ID || done.Result.Session.Method != "password + totp" {
			t.Errorf("the session: %+v, %q", p, done.Result.Session.Method)
		}
		if _, err := h.logins.Where(ctx, at.Token); !problem.Is(err, problem.NotFound) {
			t.Errorf("the attempt goes on after its end: %v", err)
		}
		token, _, err := h.logins.ResetLink(ctx, cli, u.ID)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := h.logins.Reset(ctx, token, newPassword, authn.Meta{}); err != nil || p.Step != login.StepFactor {
			t.Errorf("a reset link: %+v, %v; want the second factor", p, err)
		}
	})
}

// devices are the cookies of browsers that somebody without a second factor has signed in with.
func (h *house) devices(t testing.TB, who string, n int) []string {
	t.Helper()
	out := make([]string, n)
	for i := range out {
		r, err := h.try(who, password, "192.0.2.1", "")
		if err != nil {
			t.Fatal(err)
		}
		out[i] = r.Device
	}
	return out
}

// onlyOneWins sends one code from many browsers at the same time. All are known, so that each goes by its own guess limit and every one is judged.
func (h *house) onlyOneWins(t *testing.T, who string, devices []string, code string) {
	t.Helper()
	attempts, errs := make([]string, len(devices)), make([]error, len(devices))
	for i, device := range devices {
		p, err := h.logins.Password(context.Background(), login.Attempt{Identifier: who, Password: password, IP: "192.0.2.1", Device: device})
		if err != nil || p.Step != login.StepFactor {
			t.Fatalf("%+v, %v", p, err)
		}
		attempts[i] = p.Token
	}
	var wg sync.WaitGroup
	for i := range devices {
		wg.Go(func() { _, errs[i] = h.logins.FactorCode(context.Background(), attempts[i], code, "192.0.2.1") })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if e := problem.Of(err); e.Kind != problem.Invalid || e.Field != "code" || !strings.Contains(e.Detail, "used already") {
			t.Errorf("a loser gets %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d uses of one code succeeded, want 1", won, len(devices))
	}
}

func TestACodeWorksOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		h.add(t, "ann")
		devices := h.devices(t, "ann", 50)
		a, _ := h.enrolApp(t, h.enter(t, "ann"))
		h.onlyOneWins(t, "ann", devices, a.code(t, 0))
		h.step(time.Hour)
		h.step(30 * time.Second)
		before := a.code(t, 0)
		if _, err := h.logins.FactorCode(ctx, h.atFactor(t, "ann").Token, a.code(t, 1), ""); err != nil {
			t.Fatal(err)
		}
		if _, err := h.logins.FactorCode(ctx, h.atFactor(t, "ann").Token, before, ""); !strings.Contains(problem.Of(err).Detail, "used already") {
			t.Errorf("a code from before the last accepted one: %v", err)
		}
	})
}

func TestClockDrift(t *testing.T) {
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	h.add(t, "ann")
	a, _ := h.enrolApp(t, h.enter(t, "ann"))
	for _, tt := range []struct {
		steps int64
		says  string // "" for accepted
	}{
		{0, ""}, {-1, ""}, {1, ""}, {-2, "about 1m0s behind"}, {2, "about 1m0s ahead of"}, {-10, "about 5m0s behind"}, {20, "about 10m0s ahead of"}, {-20, "about 10m0s behind"},
		{21, "That code is not right"}, {-21, "That code is not right"}, {1 << 20, "That code is not right"},
	} {
		h.step(2 * time.Hour)
		at := h.atFactor(t, "ann")
		_, err := h.logins.FactorCode(ctx, at.Token, a.code(t, tt.steps), "")
		if e := problem.Of(err); tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(e.Detail, tt.says)) {
			t.Errorf("%d steps away: %v, want %q", tt.steps, err, tt.says)
		}
		if tt.says == "" {
			continue
		}
		if _, err := h.logins.FactorCode(ctx, at.Token, a.code(t, 0), ""); err != nil {
			t.Errorf("the right code after one that was %d steps away: %v", tt.steps, err)
		}
	}
}

// A guess that happens to be right for a coming moment is told so; it must be worth nothing when that moment comes.
func TestAnEarlyCodeIsNotGoodLater(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		h.add(t, "ann")
		a, _ := h.enrolApp(t, h.enter(t, "ann"))
		at, early := h.atFactor(t, "ann"), a.code(t, 5)
		for range 2 {
			if _, err := h.logins.FactorCode(ctx, at.Token, early, ""); !strings.Contains(problem.Of(err).Detail, "clocks differ") {
				t.Fatalf("%v", err)
			}
		}
		h.step(5 * 30 * time.Second)
		if _, err := h.logins.FactorCode(ctx, at.Token, early, ""); !strings.Contains(problem.Of(err).Detail, "used already") {
			t.Errorf("the code whose time has come: %v", err)
		}
		if _, err := h.logins.FactorCode(ctx, at.Token, a.code(t, 1), ""); err != nil {
			t.Errorf("the next one: %v", err)
		}
	})
}

func TestGuessesAtCodesSlowDown(t *testing.T) {
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	h.add(t, "ann")
	known, err := h.try("ann", password, "198.51.100.7", "")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := h.enrolApp(t, h.who(t, known.Token))
	judged := 0
	for range 30 {
		// The password again sets nothing back.
		if _, err := h.logins.FactorCode(ctx, h.atFactor(t, "ann").Token, a.wrong(t), ""); !problem.Is(err, problem.Limited) {
			judged++
		}
	}
	if judged != 5 {
		t.Errorf("%d of 30 guesses were judged, want 5", judged)
	}
	if _, err := h.logins.FactorCode(ctx, h.atFactor(t, "ann").Token, a.code(t, 0), ""); !problem.Is(err, problem.Limited) {
		t.Errorf("even the right one waits: %v", err)
	}
	own, err := h.logins.Password(ctx, login.Attempt{Identifier: "ann", Password: password, IP: "198.51.100.7", Device: known.Device})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.logins.FactorCode(ctx, own.Token, a.code(t, 0), ""); err != nil {
		t.Errorf("whoever stole the password locks the owner's own browser out: %v", err)
	}
	for _, text := range []string{"", "12345", "1234567", "abcdef", strings.Repeat("9", 5000), "１２３４５６"} {
		if _, err := h.logins.FactorCode(ctx, h.atFactor(t, "ann").Token, text, ""); !problem.Is(err, problem.Invalid) {
			t.Errorf("%.20q counts as a guess: %v", text, err)
		}
	}
}

func TestEnrolmentWhileSigningIn(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		root := h.root(t)
		root.Strong = true
		u := h.add(t, "ann")
		begin := func() login.Progress {
			p, err := h.logins.Password(ctx, login.Attempt{Identifier: "ann", Password: password, IP: "192.0.2.1"})
			if err != nil || p.Step != login.StepEnrol || p.Result != nil {
				t.Fatalf("%+v, %v; want enrolment and no session", p, err)
			}
			return p
		}
		if err := h.people.SetSecondFactor(ctx, root, identity.DefaultWorkspace, identity.FactorEncouraged); err != nil {
			t.Fatal(err)
		}
		p := begin()
		if !p.MaySkip {
			t.Error("an offer cannot be declined")
		}
		if p, err := h.logins.SkipEnrol(ctx, p.Token); err != nil || p.Step != login.StepFinish {
			t.Fatalf("declined: %+v, %v", p, err)
		}
		if err := h.people.SetSecondFactor(ctx, root, identity.DefaultWorkspace, identity.FactorRequired); err != nil {
			t.Fatal(err)
		}
		p = begin()
		if _, err := h.logins.SkipEnrol(ctx, p.Token); !problem.Is(err, problem.Denied) || p.MaySkip {
			t.Errorf("a demand was declined: %v", err)
		}
		if _, err := h.logins.FactorCode(ctx, p.Token, "123456", ""); !problem.Is(err, problem.Conflict) {
			t.Errorf("another step: %v", err)
		}
		offer, err := h.logins.BeginTOTP(ctx, login.Enrolee{Attempt: p.Token})
		if err != nil {
			t.Fatal(err)
		}
		a := app{h.clock, offer.Secret}
		if _, err := h.logins.FinishTOTP(ctx, login.Enrolee{Attempt: begin().Token}, offer.Token, a.code(t, 0)); !problem.Is(err, problem.NotFound) {
			t.Errorf("the offer of another attempt: %v", err)
		}
		done, err := h.logins.FinishTOTP(ctx, login.Enrolee{Attempt: p.Token}, offer.Token, a.code(t, 0))
		if err != nil || done.Progress == nil || done.Progress.Step != login.StepFinish || len(done.Recovery) != login.RecoveryCodes {
			t.Fatalf("%+v, %v", done, err)
		}
		who := h.who(t, done.Progress.Result.Token)
		if !who.Strong || who.ID != u.ID {
			t.Errorf("the session: %+v", who)
		}
		if err := h.gate.Check(ctx, who, authz.WorkspaceView, authz.Resource{Type: "Workspace", ID: identity.DefaultWorkspace, Workspace: identity.DefaultWorkspace}); err != nil {
			t.Errorf("the strict workspace is closed: %v", err)
		}
	})
}

func TestWhoGuessesCodesWithTheRightPasswordIsReportedOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost).withMail(t, nothing), context.Background()
		h.add(t, "ann")
		a, _ := h.enrolApp(t, h.enter(t, "ann"))
		before := h.post.count()
		for n := range 12 {
			_, err := h.logins.FactorCode(ctx, h.atFactor(t, "ann").Token, a.wrong(t), "192.0.2.66")
			if err == nil {
				t.Fatal("a wrong code opens")
			}
			if n < 3 && h.post.count() > before {
				t.Errorf("a mail after %d guesses", n+1)
			}
			h.step(time.Hour / 6) // slowed down, but never forgotten
		}
		if n := h.post.count() - before; n != 1 {
			t.Errorf("%d mails, want one", n)
		}
		if text := h.post.last(); !strings.Contains(text, "Somebody knows your password") || !strings.Contains(text, "192.0.2.66") {
			t.Errorf("the mail says: %.600s", text)
		}
	})
}
