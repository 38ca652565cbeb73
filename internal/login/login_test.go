package login_test

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/mail"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

const password = "correct horse battery staple"

var cli = authz.SystemPrincipal("cli")

// clock is a clock that stands until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// house is everything that signing in needs, with a clock of its own.
type house struct {
	*clock
	db       *db.DB
	gate     *authz.Gate
	people   *identity.People
	sessions *authn.Sessions
	logins   *login.Logins
	config   login.Config
	post     postbox
}

// postbox sees every mail on its way into the outbox, which seals it.
type postbox struct {
	mu    sync.Mutex
	mails []string
}

func (p *postbox) seal(data []byte, _ string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mails = append(p.mails, string(data))
	return []byte("sealed"), nil
}

func (p *postbox) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mails)
}

// last is the mail that was written last; "" if there is none.
func (p *postbox) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mails) == 0 {
		return ""
	}
	return p.mails[len(p.mails)-1]
}

var tokenInLink = regexp.MustCompile(`/(reset|verify|email|invite)\?token=([\w-]{43})`)

// token is the one of the n-th last mail.
func (p *postbox) token(t testing.TB, n int) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mails) < n {
		t.Fatalf("%d mails, want at least %d", len(p.mails), n)
	}
	m := tokenInLink.FindStringSubmatch(p.mails[len(p.mails)-n])
	if m == nil {
		t.Fatalf("no link in %s", p.mails[len(p.mails)-n])
	}
	return m[2]
}

// withMail makes Logins anew with a mail server and other settings.
func (h *house) withMail(t testing.TB, change func(*login.Config)) *house {
	t.Helper()
	box, err := mail.New(mail.Config{DB: h.db, SMTP: mail.SMTP{Host: "127.0.0.1", Port: 1}, Host: "127.0.0.1", Seal: h.post.seal, Open: h.post.seal, Now: h.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h.config.Mail = box
	return h.with(t, change)
}

// with makes Logins anew with other settings.
func (h *house) with(t testing.TB, change func(*login.Config)) *house {
	t.Helper()
	change(&h.config)
	var err error
	if h.logins, err = login.New(context.Background(), h.config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.logins.Close)
	return h
}

func build(t testing.TB, d *db.DB, rounds int) *house {
	t.Helper()
	return buildIn(t, d, rounds, t.TempDir(), 0)
}

// buildIn is build with a folder for the root key, which houses on one database share as nodes do, and with the time that a proof of identity is good for.
func buildIn(t testing.TB, d *db.DB, rounds int, folder string, stepUp time.Duration) *house {
	t.Helper()
	h := &house{clock: &clock{now: time.Now()}, db: d}
	log, key, ctx := slog.New(slog.DiscardHandler), []byte("0123456789abcdef0123456789abcdef"), context.Background()
	hasher := identity.NewHasher(rounds, nil)
	var errs [4]error
	h.gate, errs[0] = authz.NewGate(authz.Config{DB: d, StepUp: stepUp, Now: h.Now, Log: log})
	h.people, errs[1] = identity.New(ctx, identity.Config{
		DB: d, Gate: h.gate, Hasher: hasher, Now: h.Now, Log: log,
		Hooks: identity.Hooks{Disabled: authn.EndDisabled, Removed: flow.HandOver, WorkspaceDeleted: flow.ForgetProjects},
	})
	h.sessions, errs[2] = authn.New(ctx, authn.Config{
		DB: d, Gate: h.gate, People: h.people, TokenKey: key, MaxAge: 30 * 24 * time.Hour, MaxIdle: 24 * time.Hour, Now: h.Now, Log: log,
	})
	keys, err := secret.Open(ctx, secret.Config{DB: d, Folder: folder})
	errs[3] = err
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	h.config = login.Config{
		Keyring: keys, DB: d, Gate: h.gate, People: h.people, Hasher: hasher, Sessions: h.sessions, TokenKey: key, ResetLife: 15 * time.Minute, InviteLife: 24 * time.Hour,
		BaseURL: func() string { return "https://sluice.example" }, Now: h.Now, Log: log,
	}
	if h.logins, err = login.New(ctx, h.config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.logins.Close(); h.gate.Close(ctx); hasher.Close() })
	return h
}

func (h *house) add(t testing.TB, username string) identity.User {
	t.Helper()
	u, err := h.people.Create(context.Background(), cli, identity.NewUser{Username: username, Email: username + "@example.com", Password: password, Active: true})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (h *house) try(who, pass, ip, device string) (login.Result, error) {
	return session(h.logins.Password(context.Background(), login.Attempt{Identifier: who, Password: pass, IP: ip, UserAgent: "test", Device: device}))
}

// session is the outcome of a sign-in that the dispatcher finished.
func session(p login.Progress, err error) (login.Result, error) {
	if err != nil || p.Result == nil {
		return login.Result{}, err
	}
	return *p.Result, nil
}

func TestPasswordSignIn(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := build(t, d, bcrypt.MinCost)
		u := h.add(t, "ann")
		for _, name := range []string{"ann", "ANN@example.com"} {
			r, err := h.try(name, password, "192.0.2.1", "")
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			p, ok := h.sessions.Lookup(r.Token, authn.AudienceMain)
			if !ok || p.ID != u.ID || p.SessionID != r.Session.ID {
				t.Errorf("%s: the session is not in force: %+v, %v", name, p, ok)
			}
			if _, ok := h.sessions.Lookup(r.Token, "some-app"); ok {
				t.Error("the cookie of Sluice's own pages is good for an app")
			}
		}
		if got, err := h.people.Get(context.Background(), cli, u.ID); err != nil || got.LastSignInAt.IsZero() {
			t.Errorf("the sign-in was not noted: %v", err)
		}
	})
}

func TestEveryWrongAttemptGetsTheSameAnswer(t *testing.T) {
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	h.add(t, "ann")
	noPassword, err := h.people.Create(context.Background(), cli, identity.NewUser{Username: "bob", Active: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.people.SetActive(context.Background(), cli, h.add(t, "gone").ID, false); err != nil {
		t.Fatal(err)
	}
	want := ""
	for i, c := range [][2]string{{"ann", "wrong"}, {"nobody", password}, {noPassword.Username, password}, {noPassword.Username, ""}, {"", ""}, {"gone", "wrong"},
		{strings.Repeat("x", 5000), "y"}, {"ann", strings.Repeat("y", 5000)}, {"ann\x00", password}} {
		_, err := h.try(c[0], c[1], "192.0.2."+string(rune('1'+i)), "")
		e := problem.Of(err)
		text := e.Kind.String() + e.Detail + e.Next + e.Rule
		if want == "" {
			want = text
		}
		if text != want || e.Kind != problem.Unauthenticated {
			t.Errorf("%.20q: %q, want %q", c[0], text, want)
		}
	}
	if _, err := h.try("gone", password, "192.0.2.200", ""); !problem.Is(err, problem.Denied) {
		t.Errorf("an inactive person with the right password: %v, want denied", err)
	}
}

func TestGuessesSlowDownAndForget(t *testing.T) {
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	h.add(t, "ann")
	for range 5 {
		if _, err := h.try("ann", "wrong", "192.0.2.1", ""); !problem.Is(err, problem.Unauthenticated) {
			t.Fatal(err)
		}
	}
	_, err := h.try("ann", password, "192.0.2.1", "")
	if e := problem.Of(err); e.Kind != problem.Limited || e.RetryAfter <= 0 || e.RetryAfter > time.Second {
		t.Fatalf("after five wrong ones even the right one waits: %v, RetryAfter %v", err, e.RetryAfter)
	}
	h.step(time.Second)
	if _, err := h.try("ann", password, "192.0.2.1", ""); err != nil {
		t.Fatalf("after the wait: %v", err)
	}
	if _, err := h.try("ann", "wrong", "192.0.2.1", ""); !problem.Is(err, problem.Unauthenticated) {
		t.Errorf("a success starts the counter anew: %v", err)
	}
	for range 40 {
		_, _ = h.try("ann", "wrong", "192.0.2.1", "")
		h.step(20 * time.Minute)
	}
	h.step(-365 * 24 * time.Hour)
	if e := problem.Of(second(h.try("ann", password, "192.0.2.1", ""))); e.RetryAfter > 15*time.Minute {
		t.Errorf("a clock set back makes people wait %v", e.RetryAfter)
	}
	h.step(2 * 365 * 24 * time.Hour)
	if _, err := h.try("ann", password, "192.0.2.1", ""); err != nil {
		t.Errorf("later: %v", err)
	}
}

func TestStrangersCannotLockTheOwnerOut(t *testing.T) {
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	h.add(t, "ann")
	known, err := h.try("ann", password, "198.51.100.7", "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		_, _ = h.try("ann", "wrong", "203.0.113."+string(rune('0'+i%10)), "")
		h.step(10 * time.Millisecond)
	}
	if _, err := h.try("ann", password, "198.51.100.7", known.Device); err != nil {
		t.Errorf("the owner's own browser: %v", err)
	}
	_, err = h.try("ann", password, "198.51.100.9", "")
	if e := problem.Of(err); e.Kind != problem.Limited || e.RetryAfter > 30*time.Second {
		t.Errorf("the owner on a new device: %v, wait %v; want at most 30 s", err, e.RetryAfter)
	}
	if _, err := h.try("ann", password, "198.51.100.9", "forged."+strings.Repeat("A", 43)); !problem.Is(err, problem.Limited) {
		t.Errorf("a forged device cookie opens the lane: %v", err)
	}
	h.add(t, "bob")
	for range 50 {
		_, _ = h.try("bob", "wrong", "203.0.113.99", "")
		_, _ = h.try("bob", "wrong", "198.51.100.7", "")
	}
	if _, err := h.try("bob", password, "198.51.100.7", known.Device); !problem.Is(err, problem.Limited) {
		t.Errorf("ann's device cookie opens a lane to bob: %v", err)
	}
}

func TestParallelGuessesGainNothing(t *testing.T) {
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	h.add(t, "ann")
	var wg sync.WaitGroup
	var mu sync.Mutex
	judged := 0
	for range 30 {
		wg.Go(func() {
			if _, err := h.try("ann", "wrong", "192.0.2.1", ""); problem.Is(err, problem.Unauthenticated) {
				mu.Lock()
				judged++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if judged != 5 {
		t.Errorf("%d of 30 guesses at once were judged, want 5", judged)
	}
}

func TestOlderHashesAreUpgradedAtSignIn(t *testing.T) {
	d, folder := dbtest.SQLite(t), t.TempDir()
	u := buildIn(t, d, bcrypt.MinCost, folder, 0).add(t, "ann")
	h := buildIn(t, d, bcrypt.MinCost+2, folder, 0)
	if _, err := h.try("ann", password, "192.0.2.1", ""); err != nil {
		t.Fatal(err)
	}
	c, err := h.people.CredentialOf(context.Background(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	if cost, err := bcrypt.Cost([]byte(c.PasswordHash)); err != nil || cost != bcrypt.MinCost+2 {
		t.Errorf("cost %d (%v), want %d", cost, err, bcrypt.MinCost+2)
	}
}

func TestSetupLink(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		admin := identity.NewUser{Username: "root", Email: "root@example.com", Password: password}
		old, _, err := h.logins.SetupLink(ctx)
		if err != nil {
			t.Fatal(err)
		}
		h.step(31 * time.Minute)
		token, expires, err := h.logins.SetupLink(ctx)
		if err != nil || !expires.Equal(h.Now().Add(30*time.Minute)) {
			t.Fatalf("expires %v, %v", expires, err)
		}
		if _, err := h.logins.ClaimSetup(ctx, old, admin, authn.Meta{}); !problem.Is(err, problem.Gone) {
			t.Errorf("expired link: %v, want gone", err)
		}
		for _, foreign := range []string{"", "x", strings.Repeat("A", 43), token + "A"} {
			if _, err := h.logins.ClaimSetup(ctx, foreign, admin, authn.Meta{}); !problem.Is(err, problem.NotFound) {
				t.Errorf("foreign link %.5q: %v, want not found", foreign, err)
			}
		}
		weak := admin
		weak.Password = "root"
		if _, err := h.logins.ClaimSetup(ctx, token, weak, authn.Meta{}); !problem.Is(err, problem.Invalid) {
			t.Errorf("weak password: %v", err)
		}
		other, _, err := h.logins.SetupLink(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		errs := make([]error, 4)
		for i, link := range []string{token, token, other, other} {
			wg.Go(func() {
				n := admin
				n.Username, n.Email = n.Username+string(rune('a'+i)), ""
				_, errs[i] = h.logins.ClaimSetup(ctx, link, n, authn.Meta{IP: "192.0.2.1"})
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
		if won != 1 || !h.people.HasAdmin() {
			t.Errorf("%d made an admin, want 1", won)
		}
		if _, _, err := h.logins.SetupLink(ctx); !problem.Is(err, problem.Conflict) {
			t.Errorf("a link with an admin there: %v, want conflict", err)
		}
	})
}

func TestResetLink(t *testing.T) {
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	u := h.add(t, "ann")
	before, err := h.try("ann", password, "192.0.2.1", "")
	if err != nil {
		t.Fatal(err)
	}
	replaced, _, _ := h.logins.ResetLink(ctx, cli, u.ID)
	token, _, err := h.logins.ResetLink(ctx, cli, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	const next = "another fine sentence here"
	if _, err := h.logins.Reset(ctx, replaced, next, authn.Meta{}); !problem.Is(err, problem.NotFound) {
		t.Errorf("a replaced link: %v", err)
	}
	if _, err := h.logins.Reset(ctx, token, "short", authn.Meta{}); !problem.Is(err, problem.Invalid) {
		t.Errorf("a weak password: %v", err)
	}
	r, err := session(h.logins.Reset(ctx, token, next, authn.Meta{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := h.sessions.Lookup(before.Token, authn.AudienceMain); ok {
		t.Error("the old session survived the reset")
	}
	if _, ok := h.sessions.Lookup(r.Token, authn.AudienceMain); !ok {
		t.Error("the reset did not sign in")
	}
	if _, err := h.logins.Reset(ctx, token, next+"!", authn.Meta{}); err == nil {
		t.Error("the link worked twice")
	}
	if _, err := h.try("ann", next, "192.0.2.1", ""); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if _, err := h.try("ann", password, "192.0.2.2", ""); err == nil {
		t.Error("the old password still works")
	}
	viewer, _ := h.people.Principal(u.ID)
	if _, _, err := h.logins.ResetLink(ctx, viewer, u.ID); !problem.Is(err, problem.Denied) {
		t.Errorf("a viewer makes a link: %v", err)
	}
}

func TestChangePassword(t *testing.T) {
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	h.add(t, "ann")
	here, err := h.try("ann", password, "192.0.2.1", "")
	if err != nil {
		t.Fatal(err)
	}
	there, err := h.try("ann", password, "192.0.2.2", "")
	if err != nil {
		t.Fatal(err)
	}
	p, _ := h.sessions.Lookup(here.Token, authn.AudienceMain)
	if err := h.logins.ChangePassword(ctx, p, "wrong", "a fine new sentence here"); problem.Of(err).Field != "old_password" {
		t.Errorf("wrong old password: %v", err)
	}
	if err := h.logins.ChangePassword(ctx, p, password, "a fine new sentence here"); err != nil {
		t.Fatal(err)
	}
	if _, ok := h.sessions.Lookup(here.Token, authn.AudienceMain); !ok {
		t.Error("one's own session ended")
	}
	if _, ok := h.sessions.Lookup(there.Token, authn.AudienceMain); ok {
		t.Error("the other session goes on")
	}
	if err := h.logins.ChangePassword(ctx, authz.Principal{}, "", ""); !problem.Is(err, problem.Unauthenticated) {
		t.Errorf("a stranger: %v", err)
	}
}

func TestNothingSecretIsStored(t *testing.T) {
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	u := h.add(t, "ann")
	const typedInTheWrongField = "canary-7f3a-my-password"
	_, _ = h.try(typedInTheWrongField, "x", "192.0.2.1", "")
	token, _, err := h.logins.ResetLink(ctx, cli, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	h.gate.Flush(ctx)
	list, err := audit.After(ctx, h.db, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		text := e.Detail + e.ResourceName + e.ResourceID + e.ActorName
		if strings.Contains(text, typedInTheWrongField) || strings.Contains(text, token) || strings.Contains(text, password) {
			t.Errorf("the audit holds a secret: %+v", e)
		}
	}
	if _, err := audit.Verify(ctx, h.db); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }
