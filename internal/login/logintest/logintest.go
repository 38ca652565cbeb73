// Package logintest builds everything that signing in needs, for the tests of login and its parts:
// a real database, all parts connected as the server connects them, a clock that stands still until
// it is moved, and a postbox that sees every email.
package logintest

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/hotp"
	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/factor"
	"sluice/internal/login/signup"
	"sluice/internal/login/sso"
	"sluice/internal/mail"
	"sluice/internal/secret"
)

const (
	// Password is the password of every person. words: a password, not a text
	Password = "nobody waters the plastic ferns"
	// NewPassword is a different password.
	NewPassword = "another fine sentence here"
	// Origin is the origin of Sluice's own pages.
	Origin = "https://sluice.example"
)

// CLI is the operator.
var CLI = authz.SystemPrincipal("cli")

// Clock is a clock that stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now returns the time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Step moves the clock forward.
func (c *Clock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Settings are the parts of the configuration that tests change.
type Settings struct {
	Login  login.Config
	SSO    sso.Config
	SignUp signup.Config
}

// House is everything that signing in needs, with a clock of its own.
type House struct {
	*Clock
	DB       *db.DB
	Gate     *authz.Gate
	People   *identity.People
	Sessions *authn.Sessions

	Logins      *login.Logins
	Factors     *factor.Factors
	Providers   *sso.Providers
	SSO         *sso.SSO
	SignUps     *signup.SignUps
	Invitations *signup.Invitations
	Setup       *signup.Setup

	Settings Settings
	Post     Postbox
}

// Build builds a house in which no action requires a fresh proof of identity. rounds is the number
// of rounds of password hashes.
func Build(t testing.TB, d *db.DB, rounds int) *House {
	t.Helper()
	return BuildIn(t, d, rounds, t.TempDir(), 0)
}

// BuildIn is Build with a folder for the root key, which several houses on one database share like
// nodes, and with the time for which a proof of identity is good.
func BuildIn(t testing.TB, d *db.DB, rounds int, folder string, stepUp time.Duration) *House {
	t.Helper()
	h := &House{Clock: &Clock{now: time.Now()}, DB: d}
	log, key, ctx := slog.New(slog.DiscardHandler), []byte("0123456789abcdef0123456789abcdef"), context.Background()
	hasher := identity.NewHasher(rounds, nil)
	var errs [4]error
	h.Gate, errs[0] = authz.NewGate(authz.Config{DB: d, StepUp: stepUp, Now: h.Now, Log: log})
	h.People, errs[1] = identity.New(ctx, identity.Config{
		DB:     d,
		Gate:   h.Gate,
		Hasher: hasher,
		Now:    h.Now,
		Log:    log,
		Hooks: identity.Hooks{
			Disabled:         authn.EndDisabled,
			Removed:          flow.HandOver,
			WorkspaceDeleted: flow.ForgetProjects,
		},
	})
	h.Sessions, errs[2] = authn.New(ctx, authn.Config{
		DB:       d,
		Gate:     h.Gate,
		People:   h.People,
		TokenKey: key,
		MaxAge:   30 * 24 * time.Hour,
		MaxIdle:  24 * time.Hour,
		Now:      h.Now,
		Log:      log,
	})
	keys, err := secret.Open(ctx, secret.Config{DB: d, Folder: folder})
	errs[3] = err
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	h.Settings = Settings{
		Login: login.Config{
			Keyring:  keys,
			DB:       d,
			Gate:     h.Gate,
			People:   h.People,
			Hasher:   hasher,
			Sessions: h.Sessions,
			TokenKey: key,
			BaseURL:  func() string { return Origin },
			Now:      h.Now,
			Log:      log,
		},
		SignUp: signup.Config{
			DB:         d,
			Gate:       h.Gate,
			People:     h.People,
			Hasher:     hasher,
			Sessions:   h.Sessions,
			ResetLife:  15 * time.Minute,
			InviteLife: 24 * time.Hour,
			Now:        h.Now,
			Log:        log,
		},
		SSO: sso.Config{
			DB:       d,
			Gate:     h.Gate,
			People:   h.People,
			Sessions: h.Sessions,
			Keyring:  keys,
			Now:      h.Now,
			Log:      log,
		},
	}
	t.Cleanup(func() { h.Gate.Close(ctx); hasher.Close() })
	return h.With(t, func(*Settings) {})
}

// With creates Logins and its parts again, with changed settings.
func (h *House) With(t testing.TB, change func(*Settings)) *House {
	t.Helper()
	s := &h.Settings
	change(s)
	var err error
	if h.Logins, err = login.New(context.Background(), s.Login); err != nil {
		t.Fatal(err)
	}
	h.Factors = factor.New(factor.Config{
		DB:       h.DB,
		Gate:     h.Gate,
		People:   h.People,
		Sessions: h.Sessions,
		Logins:   h.Logins,
		Keyring:  s.Login.Keyring,
		Now:      h.Now,
	})
	s.SSO.Logins, s.SignUp.Logins = h.Logins, h.Logins
	if h.Providers, err = sso.NewProviders(context.Background(), s.SSO); err != nil {
		t.Fatal(err)
	}
	h.SSO = sso.New(h.Providers)
	h.SignUps = signup.New(s.SignUp)
	h.Invitations = signup.NewInvitations(s.SignUp, h.SignUps)
	h.Setup = signup.NewSetup(s.SignUp)
	h.Logins.Connect(login.Hooks{FactorCode: h.Factors.FactorCode, KeepSession: h.Providers.KeepSession})
	t.Cleanup(h.Providers.Close)
	t.Cleanup(h.SignUps.Close)
	return h
}

// WithMail is With and a mail server.
func (h *House) WithMail(t testing.TB, change func(*Settings)) *House {
	t.Helper()
	box, err := mail.New(mail.Config{
		DB:   h.DB,
		SMTP: mail.SMTP{Host: "127.0.0.1", Port: 1},
		Host: "127.0.0.1",
		Seal: h.Post.seal,
		Open: h.Post.seal,
		Now:  h.Now,
		Log:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Settings.Login.Mail = box
	return h.With(t, change)
}

// Postbox sees every email on its way into the outbox, which seals it.
type Postbox struct {
	mu    sync.Mutex
	mails []string
}

func (p *Postbox) seal(data []byte, _ string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mails = append(p.mails, string(data))
	return []byte("sealed"), nil
}

// Count counts the emails.
func (p *Postbox) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mails)
}

// Mails returns all emails, oldest first.
func (p *Postbox) Mails() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.mails)
}

// Last is the latest email, or "" without any.
func (p *Postbox) Last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mails) == 0 {
		return ""
	}
	return p.mails[len(p.mails)-1]
}

var tokenInLink = regexp.MustCompile(`/(reset|verify|email|invite)\?token=([\w-]{43})`)

// Token is the token in the link of the n-th last email.
func (p *Postbox) Token(t testing.TB, n int) string {
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

// Add creates an active person with the address username@example.com.
func (h *House) Add(t testing.TB, username string) identity.User {
	t.Helper()
	u, err := h.People.Create(context.Background(), CLI, identity.NewUser{
		Username: username,
		Email:    username + "@example.com",
		Password: Password,
		Active:   true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Root creates a superuser.
func (h *House) Root(t testing.TB) authz.Principal {
	t.Helper()
	u, err := h.People.Create(context.Background(), CLI, identity.NewUser{
		Username:  "root",
		Email:     "root@example.com",
		Password:  Password,
		Superuser: true,
		Active:    true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h.Principal(t, u.ID)
}

// Principal is an active person without a session.
func (h *House) Principal(t testing.TB, id string) authz.Principal {
	t.Helper()
	p, ok := h.People.Principal(id)
	if !ok {
		t.Fatalf("%s is not active", id)
	}
	return p
}

// Try signs in with a password.
func (h *House) Try(who, pass, ip, device string) (login.Result, error) {
	return Session(h.Logins.Password(context.Background(), login.Attempt{
		Identifier: who,
		Password:   pass,
		IP:         ip,
		UserAgent:  "test",
		Device:     device,
	}))
}

// Session is the result of a sign-in that the dispatcher finished.
func Session(p login.Progress, err error) (login.Result, error) {
	if err != nil || p.Result == nil {
		return login.Result{}, err
	}
	return *p.Result, nil
}

// Enter signs in a person without a second factor, and returns the principal of the session.
func (h *House) Enter(t testing.TB, who string) authz.Principal {
	t.Helper()
	r, err := h.Try(who, Password, "192.0.2.1", "")
	if err != nil || r.Token == "" {
		t.Fatalf("%s is not signed in: %v", who, err)
	}
	return h.Who(t, r.Token)
}

// Who looks up the current principal behind a session cookie. words: a method called Who
func (h *House) Who(t testing.TB, cookie string) authz.Principal {
	t.Helper()
	p, ok := h.Sessions.Lookup(cookie, authn.AudienceMain)
	if !ok {
		t.Fatal("the session is not in force")
	}
	return p
}

// Refreshed is a principal with what its session has proven in the meantime.
func (h *House) Refreshed(t testing.TB, p authz.Principal) authz.Principal {
	t.Helper()
	list, err := h.Sessions.List(context.Background(), p, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.ID == p.SessionID {
			p.Strong, p.ProvenAt = s.Strong, s.ProvenAt
			return p
		}
	}
	t.Fatal("the session has expired")
	return p
}

// App is an authenticator app.
type App struct {
	*Clock
	Secret string
}

// NewApp is an app that has scanned a secret.
func (h *House) NewApp(secret string) App { return App{h.Clock, secret} }

// Code is what the app shows this many steps from now.
func (a App) Code(t testing.TB, steps int64) string {
	t.Helper()
	code, err := hotp.GenerateCode(a.Secret, uint64(a.Now().Unix()/30+steps))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// Wrong is a code that is correct for no step nearby.
func (a App) Wrong(t testing.TB) string {
	t.Helper()
	for n := 0; ; n++ {
		guess, right := strings.Repeat(string(rune('0'+n)), 6), false
		for d := int64(-25); d <= 25; d++ {
			right = right || a.Code(t, d) == guess
		}
		if !right {
			return guess
		}
	}
}

// EnrolApp sets up an authenticator app for a signed-in person a minute ago, so that the current
// code is unused.
func (h *House) EnrolApp(t testing.TB, p authz.Principal) (App, factor.Enrolled) {
	t.Helper()
	offer, err := h.Factors.BeginTOTP(context.Background(), factor.Enrolee{Principal: p})
	if err != nil {
		t.Fatal(err)
	}
	a := h.NewApp(offer.Secret)
	done, err := h.Factors.FinishTOTP(context.Background(), factor.Enrolee{Principal: p}, offer.Token, a.Code(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	h.Step(60 * time.Second)
	return a, done
}

// ProofLife is how long a proof of identity is good in a Guarded house.
const ProofLife = 15 * time.Minute

// Guarded is a house in which dangerous actions require a proof of identity that is no older than
// ProofLife.
func Guarded(t testing.TB, d *db.DB) *House {
	t.Helper()
	return BuildIn(t, d, bcrypt.MinCost, t.TempDir(), ProofLife)
}

// Until waits for something that happens in the background.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what + ": never")
		}
	}
}
