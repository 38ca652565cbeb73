package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/config"
	"sluice/internal/identity"
	"sluice/internal/server"
	"sluice/internal/sluicetest"
)

// typed is a browser on this machine in which a person enters Sluice's address.
func typed(s *sluicetest.Sluice) *sluicetest.Client {
	return s.Browser().With("Sec-Fetch-Site", "none").With("Sec-Fetch-Dest", "document")
}

func TestAutomaticSignIn(t *testing.T) {
	t.Parallel()
	s := sluicetest.Start(t, "LANGFLOW_AUTO_LOGIN=True", "LANGFLOW_SUPERUSER=administrator", "SLUICE_PROTECT=demo")
	if link, _, err := s.SetupLink(context.Background()); link != "" || err != nil {
		t.Errorf("there is a set-up link though there is a superuser: %q, %v", link, err)
	}
	b := typed(s)
	if a := b.Get("/login?return=%2Faccount"); a.Status != http.StatusSeeOther ||
		a.Location() != "/login/done?return=%2Faccount" {
		t.Fatalf("a visitor: %d %q", a.Status, a.Location())
	}
	a := b.Get("/account")
	if a.Status != http.StatusOK || !strings.Contains(a.Body, "administrator") ||
		!strings.Contains(a.Body, "No sign-in is required") {
		t.Errorf("the account page: %d, without name or banner:\n%s", a.Status, a.Body)
	}
	for _, path := range []string{"/", "/flows", "/admin", "/admin/apps", "/nowhere", "/logout", "/login?with=password",
		"/forgot"} {
		if a := typed(s).Get(path); a.Status != http.StatusSeeOther &&
			!strings.Contains(a.Body, "No sign-in is required") {
			t.Errorf("%s (%d) does not show the banner to a stranger", path, a.Status)
		}
		if a := b.Get(path); a.Status != http.StatusSeeOther && !strings.Contains(a.Body, "No sign-in is required") {
			t.Errorf("%s (%d) does not show the banner", path, a.Status)
		}
	}
	if a := b.Get("/login?with=password"); a.Status != http.StatusOK || !strings.Contains(a.Body, `name="identifier"`) {
		t.Errorf("who is signed in automatically cannot sign in as somebody else: %d %s", a.Status, a.Location())
	}
	if a := b.Get("/admin/people"); a.Status != http.StatusOK {
		t.Errorf("the superuser's pages: %d", a.Status)
	}
	builder := b.At(s.Apps.All()[0].Origin(""))
	if a := builder.Get("/"); a.Status != http.StatusOK {
		t.Errorf("the builder: %d %s", a.Status, a.Location())
	}
	if n := strings.Count(s.Log.String(), "sign-in is automatic"); n != 1 {
		t.Errorf("the log says so %d times at start", n)
	}
}

func TestAutomaticSignIn_LoopbackBrowsers(t *testing.T) {
	t.Parallel()
	s := sluicetest.Start(t, "LANGFLOW_AUTO_LOGIN=True")
	port := s.MainOrigin("")[strings.LastIndex(s.MainOrigin(""), ":"):]
	for name, change := range map[string]func(*sluicetest.Client) *sluicetest.Client{
		"a link on another site": func(c *sluicetest.Client) *sluicetest.Client {
			return c.With("Sec-Fetch-Site",
				"cross-site")
		},
		"a script": func(c *sluicetest.Client) *sluicetest.Client {
			return c.With("Sec-Fetch-Mode",
				"cors")
		},
		"a frame": func(c *sluicetest.Client) *sluicetest.Client {
			return c.With("Sec-Fetch-Dest",
				"iframe")
		},
		"curl": func(c *sluicetest.Client) *sluicetest.Client {
			return c.With("Sec-Fetch-Site", "").With("Sec-Fetch-Mode", "").With("Sec-Fetch-Dest", "")
		},
		"a reverse proxy": func(c *sluicetest.Client) *sluicetest.Client {
			return c.With("X-Forwarded-For",
				"127.0.0.1")
		},
		"an address, no loopback": func(c *sluicetest.Client) *sluicetest.Client { return c.As("10.1.2.3" + port) },
	} {
		c := change(typed(s))
		if a := c.Get("/login"); a.Status == http.StatusSeeOther || len(c.Cookies()) > 0 {
			t.Errorf("%s is signed in: %d %s, %d cookies", name, a.Status, a.Location(), len(c.Cookies()))
		}
	}
	c := typed(s).As("evil.example" + port)
	if a := c.Get("/login"); a.Status != http.StatusMisdirectedRequest || len(c.Cookies()) > 0 {
		t.Errorf("a rebound name: %d, %d cookies", a.Status, len(c.Cookies()))
	}
	if a := typed(s).Get("/login?with=password"); a.Status != http.StatusOK ||
		!strings.Contains(a.Body, `name="identifier"`) {
		t.Errorf("who asks for the form gets %d", a.Status)
	}
	stranger := s.Browser().With("Sec-Fetch-Mode", "cors").With("Accept", "application/json")
	for _, path := range []string{"/api/v1/me", "/account", "/flows"} {
		if a := stranger.Get(path); a.Status != http.StatusUnauthorized {
			t.Errorf("a call of %s without a session: %d, want 401", path, a.Status)
		}
	}
}

func TestAutomaticSignIn_API(t *testing.T) {
	t.Parallel()
	s := sluicetest.Start(t, "LANGFLOW_AUTO_LOGIN=True", "LANGFLOW_SUPERUSER_PASSWORD="+sluicetest.Password)
	b := typed(s)
	b.Get("/login")
	call := b.With("Sec-Fetch-Mode", "cors").With("Sec-Fetch-Site", "same-origin").With("Accept", "application/json")
	if a := call.Get("/api/v1/me"); a.Status != http.StatusOK || !strings.Contains(a.Body, `"username":"langflow"`) {
		t.Fatalf("who am I: %d %s", a.Status, a.Body)
	}
	langflow, _, err := s.People.Credential(context.Background(), "langflow")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/users", "/api/v1/mail", "/api/v1/users/" + langflow.UserID + "/sessions"} {
		if a := call.Get(path); a.Status != http.StatusForbidden {
			t.Errorf("%s: %d, want 403: %s", path, a.Status, a.Body)
		}
	}
	mallory := `{"username":"mallory","email":"m@example.com","password":"` + sluicetest.Password +
		`","superuser":true}`
	if a := call.Do(http.MethodPost, "/api/v1/users", "application/json",
		strings.NewReader(mallory)); a.Status != http.StatusForbidden {
		t.Errorf("making a superuser by the API: %d %s", a.Status, a.Body)
	}
	person := url.Values{
		"username":  {"mallory"},
		"email":     {"m@example.com"},
		"password":  {sluicetest.Password},
		"superuser": {"true"},
		"role":      {"viewer"},
	}
	if a := b.Post("/admin/people", person); a.Status == http.StatusSeeOther ||
		!strings.Contains(a.Body, "confirm_password") {
		t.Errorf("making a superuser on a page does not ask for a proof: %d", a.Status)
	}
	key := url.Values{"name": {"k"}, "expires": {"30"}, "what": {"all"}, "where": {"all"}}
	if a := b.Post("/account/keys", key); !strings.Contains(a.Body, "confirm_password") {
		t.Errorf("making a key, which outlasts the session, does not ask for a proof: %d %s", a.Status, a.Body)
	}
	if a := b.Post("/confirm",
		url.Values{"confirm_password": {sluicetest.Password}, "return": {"/"}}); a.Status != http.StatusSeeOther {
		t.Fatalf("proving who one is: %d", a.Status)
	}
	if a := b.Post("/account/keys", key); a.Status != http.StatusOK || strings.Contains(a.Body, "confirm_password") {
		t.Errorf("making a key after a proof: %d %s", a.Status, a.Body)
	}
	if a := call.Get("/api/v1/users"); a.Status != http.StatusOK {
		t.Errorf("after a proof the session is the superuser's: %d %s", a.Status, a.Body)
	}
}

func TestAutomaticSignIn_OtherAccounts(t *testing.T) {
	t.Parallel()
	v := sluicetest.Values(t)
	first := sluicetest.StartWith(t, v)
	first.Add("root", authz.RoleAdmin, true)
	ada := first.Add("ada", authz.RoleUser, false)
	first.Stop()
	v.AutoLogin, v.Superuser.Name = true, "ada"
	s, err := startFails(v)
	if err == nil {
		s.Stop(context.Background())
		t.Fatal("it signs everybody in as somebody who is no superuser")
	}
	if !strings.Contains(err.Error(), `"ada"`) || !strings.Contains(err.Error(), "not an active superuser") {
		t.Errorf("the start stops with %q", err)
	}
	v.Superuser.Name = "langflow"
	again := sluicetest.StartWith(t, v)
	b := typed(again)
	b.Get("/login")
	if a := b.Get("/account"); !strings.Contains(a.Body, "langflow") {
		t.Errorf("beside another superuser the automatic one is not made: %d", a.Status)
	}
	if p, ok := again.People.Principal(ada.ID); !ok || p.Superuser {
		t.Errorf("ada is %+v", p)
	}
}

func TestAutomaticSignIn_Reachable(t *testing.T) {
	t.Parallel()
	v := sluicetest.Values(t, "SLUICE_PROTECT=demo")
	first := sluicetest.StartWith(t, v)
	ctx := context.Background()
	if _, err := first.Apps.Manager.Add(ctx, sluicetest.Operator(),
		app.Spec{Mode: app.ModeForwardAuth, PublicURL: "https://flows.example.com", Name: "Public"}); err != nil {
		t.Fatal(err)
	}
	first.Stop()
	v.AutoLogin = true
	if s, err := startFails(v); err == nil {
		s.Stop(ctx)
		t.Error("it starts though an app has a public address")
	} else if !strings.Contains(err.Error(), "https://flows.example.com") {
		t.Errorf("the start stops with %q", err)
	}
	w := sluicetest.Values(t)
	w.AutoLogin, w.Host = true, "0.0.0.0"
	if s, err := startFails(w); err == nil {
		s.Stop(ctx)
		t.Error("it listens for other machines")
	} else if !strings.Contains(err.Error(), "where other machines can connect") {
		t.Errorf("the start stops with %q", err)
	}
	running := sluicetest.Start(t, "LANGFLOW_AUTO_LOGIN=True")
	if _, err := running.Apps.Manager.Add(ctx, sluicetest.Operator(),
		app.Spec{Mode: app.ModeForwardAuth, PublicURL: "https://flows.example.com", Name: "Public"}); err != nil {
		t.Fatal(err)
	}
	if a := typed(running).Get("/login"); a.Status != http.StatusOK {
		t.Errorf("with an app that has a public address a visitor is signed in: %d %s", a.Status, a.Location())
	}
}

// startFails starts a server that is expected not to start.
func startFails(v config.Values) (*server.Server, error) {
	return server.Start(context.Background(), v, slog.New(slog.DiscardHandler))
}

func TestAutomaticSignIn_NoProof(t *testing.T) {
	t.Parallel()
	s := sluicetest.Start(t, "LANGFLOW_AUTO_LOGIN=True", "SLUICE_STEP_UP_MINUTES=0")
	b := typed(s)
	b.Get("/login")
	for path, form := range map[string]url.Values{
		"/admin/people": {"username": {"mallory"}, "email": {"m@example.com"}, "password": {sluicetest.Password},
			"role": {"viewer"}},
		"/account/name": {"name": {"Mallory"}},
		"/account/keys": {"name": {"k"}, "expires": {"30"}, "what": {"all"}, "where": {"all"}},
	} {
		if a := b.Post(path, form); a.Status != http.StatusUnauthorized ||
			!strings.Contains(a.Body, "sluice user reset-link langflow") {
			t.Errorf("%s does not ask who it is: %d", path, a.Status)
		}
	}
	if _, found, err := s.People.Credential(context.Background(), "mallory"); found || err != nil {
		t.Errorf("mallory was made: %v", err)
	}
}

func TestAutomaticSignIn_SecondFactor(t *testing.T) {
	t.Parallel()
	s := sluicetest.Start(t, "LANGFLOW_AUTO_LOGIN=True")
	if err := s.People.SetSecondFactor(context.Background(), sluicetest.Operator(), identity.DefaultWorkspace,
		identity.FactorRequired); err != nil {
		t.Fatal(err)
	}
	c := typed(s)
	if a := c.Get("/login"); a.Status != http.StatusOK || len(c.Cookies()) > 0 {
		t.Errorf("where a second factor is required a visitor is signed in: %d %s", a.Status, a.Location())
	}
}

func TestAutomaticSignIn_Bounded(t *testing.T) {
	t.Parallel()
	s := sluicetest.Start(t, "LANGFLOW_AUTO_LOGIN=True")
	for range 70 {
		if a := typed(s).Get("/login"); a.Status == http.StatusOK {
			return
		}
	}
	t.Error("a program that looks like a browser makes sessions without end")
}
