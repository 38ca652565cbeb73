package console

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/builder/buildertest"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/factor"
	"sluice/internal/login/signup"
	"sluice/internal/login/sso"
	"sluice/internal/mail"
	"sluice/internal/secret"
)

const goodPassword = "seven unlikely herons dance"

// site is a console with everything behind it, on a real listener and a real database.
type site struct {
	t           *testing.T
	url         string
	handler     http.Handler
	people      *identity.People
	sessions    *authn.Sessions
	logins      *login.Logins
	apps        *app.Apps
	flows       *flow.Library
	gate        *authz.Gate
	db          *db.DB
	mail        *mail.Outbox
	keys        *authn.Keys
	keyring     *secret.Keyring
	signUps     *signup.SignUps
	invitations *signup.Invitations
	setup       *signup.Setup
	log         *safeBuffer
	clock       *clock
}

// clock can be moved by a test.
type clock struct {
	mu   sync.Mutex
	move time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.move)
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.move += d
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// products are all kinds of builder. Reading their tables takes longer than most tests, and no test
// changes a kind.
var products struct {
	once  sync.Once
	kinds builder.Kinds
}

func kinds(t testing.TB) builder.Kinds {
	t.Helper()
	products.once.Do(func() { products.kinds = buildertest.Kinds(t) })
	return products.kinds
}

// options are what a test may want otherwise.
type options struct {
	smtp                      mail.SMTP
	openSignUp, newUserActive bool
	stepUp                    time.Duration
	given                     map[secret.Name]secret.Given
	config                    func(*Config)
}

// newSite starts one.
func newSite(t *testing.T, change ...func(*options)) *site {
	t.Helper()
	o := options{}
	for _, fn := range change {
		fn(&o)
	}
	ctx, quiet := context.Background(), slog.New(slog.DiscardHandler)
	d := dbtest.SQLite(t)
	s := &site{t: t, clock: &clock{}, log: &safeBuffer{}, db: d}
	keys, err := secret.Open(
		ctx,
		secret.Config{DB: d, Folder: t.TempDir(), Given: o.given, Now: s.clock.now, Log: quiet},
	)
	fatal(t, err)
	s.keyring = keys
	gate, err := authz.NewGate(authz.Config{DB: d, StepUp: o.stepUp, Now: s.clock.now, Log: quiet})
	fatal(t, err)
	t.Cleanup(func() { gate.Close(ctx) })
	s.gate = gate
	hasher := identity.NewHasher(4, nil)
	t.Cleanup(hasher.Close)
	s.people, err = identity.New(ctx, identity.Config{
		DB:     d,
		Gate:   gate,
		Hasher: hasher,
		Now:    s.clock.now,
		Log:    quiet,
		Hooks: identity.Hooks{
			Disabled:         authn.EndDisabled,
			Removed:          flow.HandOver,
			WorkspaceDeleted: flow.ForgetProjects,
		},
	})
	fatal(t, err)
	s.sessions, err = authn.New(ctx, authn.Config{
		DB:       d,
		Gate:     gate,
		People:   s.people,
		TokenKey: keys.TokenKey(),
		MaxAge:   24 * time.Hour,
		MaxIdle:  24 * time.Hour,
		Now:      s.clock.now,
		Log:      quiet,
	})
	fatal(t, err)
	s.keys, err = authn.NewKeys(ctx, authn.KeyConfig{
		DB:       d,
		Gate:     gate,
		People:   s.people,
		TokenKey: keys.TokenKey(),
		MaxAge:   365 * 24 * time.Hour,
		Now:      s.clock.now,
		Log:      quiet,
	})
	fatal(t, err)
	s.mail, err = mail.New(mail.Config{
		DB:   d,
		SMTP: o.smtp,
		Host: "sluice.example.test",
		Now:  s.clock.now,
		Log:  quiet,
		Seal: func(b []byte, row string) ([]byte, error) { return keys.Seal(b, "mail", row) },
		Open: func(b []byte, row string) ([]byte, error) { return keys.Open(b, "mail", row) },
	})
	fatal(t, err)
	s.logins, err = login.New(ctx, login.Config{
		Keyring:  keys,
		DB:       d,
		Gate:     gate,
		People:   s.people,
		Hasher:   hasher,
		Sessions: s.sessions,
		TokenKey: keys.TokenKey(),
		Mail:     s.mail,
		BaseURL:  func() string { return s.url },
		Now:      s.clock.now,
		Log:      quiet,
	})
	fatal(t, err)
	factors := factor.New(factor.Config{
		DB:       d,
		Gate:     gate,
		People:   s.people,
		Sessions: s.sessions,
		Logins:   s.logins,
		Keyring:  keys,
		Now:      s.clock.now,
	})
	providers, err := sso.NewProviders(ctx, sso.Config{
		DB:       d,
		Gate:     gate,
		People:   s.people,
		Sessions: s.sessions,
		Logins:   s.logins,
		Keyring:  keys,
		Now:      s.clock.now,
		Log:      quiet,
	})
	fatal(t, err)
	t.Cleanup(providers.Close)
	signUp := signup.Config{
		DB:            d,
		Gate:          gate,
		People:        s.people,
		Hasher:        hasher,
		Sessions:      s.sessions,
		Logins:        s.logins,
		ResetLife:     15 * time.Minute,
		InviteLife:    24 * time.Hour,
		OpenSignUp:    o.openSignUp,
		NewUserActive: o.newUserActive,
		Now:           s.clock.now,
		Log:           quiet,
	}
	s.signUps = signup.New(signUp)
	t.Cleanup(s.signUps.Close)
	s.invitations = signup.NewInvitations(signUp, s.signUps)
	s.setup = signup.NewSetup(signUp)
	s.logins.Connect(login.Hooks{FactorCode: factors.FactorCode, KeepSession: providers.KeepSession})
	vault, opener := secret.NewVault(secret.VaultConfig{
		DB:      d,
		Gate:    gate,
		People:  s.people,
		Keyring: keys,
		Now:     s.clock.now,
	})
	s.apps, err = app.New(ctx, app.Config{
		Kinds:      kinds(t),
		DB:         d,
		Gate:       gate,
		Keyring:    keys,
		Vault:      vault,
		Opener:     opener,
		Client:     &http.Client{},
		ListenHost: "127.0.0.1",
		Now:        s.clock.now,
		Log:        quiet,
	})
	fatal(t, err)
	t.Cleanup(func() { s.apps.Close(ctx) })
	s.flows = s.apps.Flows
	c := Config{
		Gate:           gate,
		People:         s.people,
		Sessions:       s.sessions,
		Keys:           s.keys,
		Secrets:        secret.NewRotator(keys, gate),
		SecretWarnings: keys.Warnings(),
		Logins:         s.logins,
		Factors:        factors,
		Providers:      providers,
		SSO:            sso.New(providers),
		SignUps:        s.signUps,
		Invitations:    s.invitations,
		Setup:          s.setup,
		Apps:           s.apps,
		Vault:          vault,
		Mail:           s.mail,
		Now:            s.clock.now,
		MainOrigin:     func(host string) string { return "http://" + host },
		Log:            slog.New(slog.NewTextHandler(s.log, nil)),
	}
	if o.config != nil {
		o.config(&c)
	}
	s.handler = New(c)
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// add creates a person with a role and a password; "superuser" is an admin with all permissions.
func (s *site) add(username, role string) identity.User {
	s.t.Helper()
	n := identity.NewUser{
		Username: username,
		Email:    username + "@example.test",
		Name:     "The " + username,
		Password: goodPassword,
		Role:     role,
		Active:   true,
	}
	if role == "superuser" {
		n.Role, n.Superuser = authz.RoleAdmin, true
	}
	u, err := s.people.Create(context.Background(), authz.SystemPrincipal("test"), n)
	fatal(s.t, err)
	return u
}

// browser is a client with cookies that does not follow redirects.
type browser struct {
	s      *site
	client *http.Client
	header http.Header
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	fatal(s.t, err)
	return &browser{s: s, header: http.Header{"Accept": {"text/html"}}, client: &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// signedIn is a browser of a person who is signed in.
func (s *site) signedIn(username string) *browser {
	s.t.Helper()
	b := s.browser()
	got := b.post("/login", "identifier", username, "password", goodPassword)
	if got.status != http.StatusSeeOther {
		s.t.Fatalf("signing in as %s: %d", username, got.status)
	}
	return b
}

// reply is what came back.
type reply struct {
	status   int
	location string
	body     string
	header   http.Header
}

func (b *browser) get(path string) reply { return b.do(http.MethodGet, path, nil) }

// post sends a form of names and values.
func (b *browser) post(path string, pairs ...string) reply {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.do(http.MethodPost, path, strings.NewReader(form.Encode()))
}

// do sends a request. A sign-in is followed over the page that every sign-in ends at, to where it
// leads.
func (b *browser) do(method, path string, body io.Reader) reply {
	b.s.t.Helper()
	r, err := http.NewRequest(method, b.s.url+path, body)
	fatal(b.s.t, err)
	for name, values := range b.header {
		r.Header[name] = values
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.client.Do(r)
	fatal(b.s.t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	fatal(b.s.t, err)
	got := reply{res.StatusCode, res.Header.Get("Location"), string(text), res.Header}
	if method == http.MethodPost && b.client.Jar != nil && strings.HasPrefix(got.location, "/login/done") {
		return b.get(got.location)
	}
	return got
}

// want fails unless the reply has this status and, for redirects, leads there.
func (r reply) want(t *testing.T, status int, location string) reply {
	t.Helper()
	if r.status != status || r.location != location {
		t.Fatalf(
			"got %d to %q, want %d to %q; the page begins %.600s",
			r.status,
			r.location,
			status,
			location,
			main(r.body),
		)
	}
	return r
}

func main(page string) string {
	if _, rest, ok := strings.Cut(page, "<main"); ok {
		return rest
	}
	return page
}

// flowise is a server that behaves like Flowise where accounts are concerned.
type flowise struct {
	mu              sync.Mutex
	email, password string
	url             string
}

func newFlowise(t *testing.T, email, password string) *flowise {
	f := &flowise{email: email, password: password}
	mux := http.NewServeMux()
	mux.HandleFunc(
		"GET /api/v1/version",
		func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, 200, map[string]any{"version": "3.1.4"}) },
	)
	mux.HandleFunc("GET /api/v1/settings", func(w http.ResponseWriter, _ *http.Request) {
		sendJSON(w, 200, map[string]any{"PLATFORM_TYPE": "open source"})
	})
	mux.HandleFunc("POST /api/v1/auth/resolve", func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		to := "/organization-setup"
		if f.email != "" {
			to = "/signin"
		}
		sendJSON(w, 200, map[string]any{"redirectUrl": to})
	})
	mux.HandleFunc("POST /api/v1/account/register", f.register)
	mux.HandleFunc("POST /api/v1/auth/login", f.login)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(
			w,
			"<!DOCTYPE html><html><head><title>Flowise - Build AI Agents, Visually</title></head></html>",
		)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *flowise) register(w http.ResponseWriter, r *http.Request) {
	var body struct {
		User struct{ Email, Credential string }
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.email != "" {
		sendJSON(w, 400, map[string]any{"message": "You can only have one organization"})
		return
	}
	f.email, f.password = body.User.Email, body.User.Credential
	sendJSON(w, 201, map[string]any{"user": map[string]any{"id": "owner", "email": f.email}})
}

func (f *flowise) login(w http.ResponseWriter, r *http.Request) {
	var body struct{ Email, Password string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	f.mu.Lock()
	defer f.mu.Unlock()
	if body.Email != f.email || body.Password != f.password {
		sendJSON(w, 401, map[string]any{"message": "Incorrect Email or Password"})
		return
	}
	for name, value := range map[string]string{
		"token":        "e30.eyJleHAiOjQxMDI0NDQ4MDB9.c2ln",
		"refreshToken": "r",
		"connect.sid":  "s%3A1.x",
	} {
		http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true})
	}
	sendJSON(
		w,
		200,
		map[string]any{"id": "owner", "email": f.email, "permissions": []string{"organization", "workspace"}},
	)
}

func sendJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
