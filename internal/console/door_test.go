package console

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/web"
)

func (s *site) setupToken() string {
	s.t.Helper()
	token, _, err := s.setup.SetupLink(context.Background())
	fatal(s.t, err)
	return token
}

func TestSetup_LinkToVerify(t *testing.T) {
	t.Parallel()
	s, b := newSite(t), (*browser)(nil)
	f := newFlowise(t, "", "")
	added, err := s.apps.Manager.Ensure(context.Background(), authz.SystemPrincipal("serve"), app.Spec{URL: f.url})
	fatal(t, err)
	b = s.browser()
	token := s.setupToken()
	b.get("/setup?token="+token).want(t, 303, "/setup")
	form := b.get("/setup").want(t, 200, "")
	has(t, form.body, "form[action=/setup]", "input[name=password]")
	if strings.Contains(form.body, token) {
		t.Error("the token stands in the page")
	}

	bad := b.post("/setup", "email", "ann@example.com", "username", "ann", "password", "short").want(t, 400, "")
	has(t, bad.body, "input[name=password][aria-invalid=true]", "input[name=email][value=ann@example.com]")
	if strings.Contains(bad.body, "short\"") {
		t.Error("the password came back")
	}
	b.post("/setup", "email", "ann@example.com", "username", "ann", "name", "Ann Archer", "password", goodPassword).
		want(t, 303, "/setup/apps")

	step := b.get("/setup/apps").want(t, 200, "")
	says(t, step.body, "Flowise 3.1.4", "Register the service owner", "You are now the first admin")
	b.post("/admin/apps/"+added.ID+"/connect", "how", "register", "return", "/setup/apps").want(t, 303, "/setup/apps")
	says(t, b.get("/setup/apps").body, "Connected", "Continue to Verify")
	if f.password == "" || len(f.password) < 16 {
		t.Errorf("the service owner has the password %q", f.password)
	}

	verify := b.get("/admin/apps/"+added.ID+"/verify?setup=1").want(t, 200, "")
	says(t, verify.body, "The builder responds", "Sluice is signed in to the builder", "Ann Archer (ann)", "127.0.0.1")
	if csp := verify.header.Get("Content-Security-Policy"); !strings.Contains(
		csp,
		"connect-src 'self' "+added.Origin(strings.TrimPrefix(s.url, "http://"))+";",
	) {
		t.Errorf("the page may not ask the app's address: %s", csp)
	}
	b.post("/admin/apps/"+added.ID+"/verify").want(t, 303, "/admin/apps/"+added.ID)
	home := b.get("/").want(t, 200, "")
	says(t, home.body, "Hello, Ann", "Open Flowise", "3 of 5 done")
}

func TestSetup_SpentOrWrongLink(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	says(t, b.get("/setup").want(t, 404, "").body, "Open the one-time link")
	says(
		t,
		b.get("/setup?token="+strings.Repeat("x", 43)).want(t, 404, "").body,
		"no longer valid",
		"prints a new link",
	)
	token := s.setupToken()
	s.clock.forward(31 * time.Minute)
	says(t, b.get("/setup?token="+token).want(t, 410, "").body, "expired", "prints a new link")

	fresh := s.setupToken()
	b.get("/setup?token="+fresh).want(t, 303, "/setup")
	b.post("/setup", "username", "ann", "email", "ann@example.com", "password", goodPassword).
		want(t, 303, "/setup/apps")
	late := s.browser()
	says(t, late.get("/setup?token="+fresh).want(t, 410, "").body, "already set up")
	refused := late.post("/setup", "username", "eve", "email", "eve@example.com", "password", goodPassword)
	if refused.status < 400 {
		t.Errorf("a second admin could be made: %d", refused.status)
	}
}

func TestSignIn_AndOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "viewer")
	b := s.browser()
	b.get("/account").want(t, 303, "/login?return=%2Faccount")
	has(t, b.get("/login?return=%2Faccount").body, "input[name=return][value=/account]")

	wrongName := b.post("/login", "identifier", "nobody", "password", goodPassword).want(t, 401, "")
	wrongPassword := b.post("/login", "identifier", "ann", "password", "not this one at all").want(t, 401, "")
	if strings.ReplaceAll(wrongName.body, "nobody", "ann") != wrongPassword.body {
		t.Error("an unknown name and a wrong password get different pages")
	}
	has(t, wrongPassword.body, "input[name=identifier][value=ann]", "[role=alert]")

	b.post("/login", "identifier", "ann", "password", goodPassword, "return", "/account").want(t, 303, "/account")
	b.get("/account").want(t, 200, "")
	b.get("/login?return=/account").want(t, 303, "/account")
	says(t, b.get("/logout").want(t, 200, "").body, "Sign out?")
	b.get("/account").want(t, 200, "")
	b.post("/logout").want(t, 303, "/logout")
	says(t, b.get("/logout").body, "You are signed out")
	b.get("/account").want(t, 303, "/login?return=%2Faccount")
}

func TestSignIn_ReturnTo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "viewer")
	for _, back := range []string{
		"https://evil.example/",
		"//evil.example",
		`/\evil.example`,
		"/login",
		"/login?return=/login",
		"/logout",
		"/enter?app=x",
		"javascript:alert(1)",
	} {
		got := s.browser().post("/login", "identifier", "ann", "password", goodPassword, "return", back)
		if got.status != 303 || got.location != "/" {
			t.Errorf("return=%q leads to %d %q", back, got.status, got.location)
		}
	}
}

func TestSignIn_TooManyGuesses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "viewer")
	b := s.browser()
	for range 60 {
		got := b.post("/login", "identifier", "ann", "password", "wrong wrong wrong")
		if got.status == http.StatusTooManyRequests {
			says(t, got.body, "Try again in")
			if got.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			return
		}
	}
	t.Error("sixty guesses were let through")
}

func TestSignIn_ForAnApp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "viewer")
	s.add("zoe", "viewer")
	f := newFlowise(t, "", "")
	own, err := s.apps.Manager.Ensure(
		context.Background(),
		authz.SystemPrincipal("serve"),
		app.Spec{URL: f.url, PublicURL: "http://flows.example.test"},
	)
	fatal(t, err)
	state, err := s.sessions.NewEnterState()
	fatal(t, err)
	to := "/login?app=" + own.ID + "&return=%2Fcanvas%2F1&state=" + state

	b := s.browser()
	page := b.get(to).want(t, 200, "")
	says(t, page.body, "to continue to")
	has(t, page.body, "input[name=state][value="+state+"]", "input[name=return][value=/canvas/1]")
	if csp := page.header.Get("Content-Security-Policy"); !strings.Contains(
		csp,
		"form-action 'self' http://flows.example.test;",
	) {
		t.Errorf("the browser will not follow the form's redirect: %s", csp)
	}
	got := b.post(
		"/login",
		"identifier",
		"ann",
		"password",
		goodPassword,
		"app",
		own.ID,
		"return",
		"/canvas/1",
		"state",
		state,
	)
	u, err := url.Parse(got.location)
	fatal(t, err)
	if got.status != 303 || u.Host != "flows.example.test" || u.Path != "/.sluice/enter" ||
		u.Query().Get("return") != "/canvas/1" {
		t.Fatalf("sent to %d %s", got.status, got.location)
	}
	token, err := s.sessions.RedeemEnterCode(context.Background(), u.Query().Get("code"), own.ID, state)
	fatal(t, err)
	if p, ok := s.sessions.Lookup(token, own.ID); !ok || p.Name != "ann" {
		t.Errorf("the code gives %v %v", p.Name, ok)
	}

	b.get("/enter?app="+own.ID).want(t, 303, "http://flows.example.test/.sluice/enter?return=%2F")
	b.get("/enter?app=gone").want(t, 404, "")
	b.get("/login?app=gone").want(t, 404, "")
}

func TestSignIn_AppOnOwnPort(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "viewer")
	f := newFlowise(t, "", "")
	a, err := s.apps.Manager.Ensure(context.Background(), authz.SystemPrincipal("serve"), app.Spec{URL: f.url})
	fatal(t, err)
	b := s.signedIn("ann")
	b.get("/enter?app="+a.ID+"&return=/x").want(t, 303, a.Origin("127.0.0.1")+"/.sluice/enter?return=%2Fx")
	b.get("/login?app="+a.ID).want(t, 303, a.Origin("127.0.0.1")+"/.sluice/enter?return=%2F")
	state, err := s.sessions.NewEnterState()
	fatal(t, err)
	b.get("/login?app="+a.ID+"&state="+state).want(t, 303, a.Origin("127.0.0.1")+"/.sluice/enter?return=%2F")
}

func TestResetLink(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	u := s.add("bob", "user")
	bob, admin := s.signedIn("bob"), s.signedIn("root")
	page := admin.post("/admin/people/"+u.ID+"/reset-link").want(t, 200, "")
	link := selectAll(page.body, "input[id=one-time-link]")[0].attrs["value"]
	path := strings.TrimPrefix(link, s.url)

	b := s.browser()
	b.get(path).want(t, 303, "/reset")
	says(t, b.get("/reset").want(t, 200, "").body, "Choose a password", "bob")
	has(t, b.post("/reset", "password", "short").want(t, 400, "").body, "input[name=password][aria-invalid=true]")
	b.post("/reset", "password", "a completely different phrase").want(t, 303, "/")
	b.get("/account").want(t, 200, "")
	bob.get("/account").want(t, 303, "/login?return=%2Faccount")
	says(t, s.browser().get(path).want(t, 404, "").body, "no longer valid")
	says(t, s.browser().get("/reset").want(t, 404, "").body, "Ask for a new link")
}

func TestSignIn_GarbageCookies(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, cookie := range []string{
		authn.CookieName(false) + "=garbage",
		authn.CookieName(false) + "=a; " + authn.CookieName(false) + "=b",
		`x="; ` + authn.CookieName(false) + `=a`,
	} {
		b := s.browser()
		b.header.Set("Cookie", cookie)
		b.get("/login").want(t, 200, "")
		b.get("/").want(t, 303, "/login")
	}
}

// TestSignIn_AppWithoutHTTPS: the browser keeps Secure cookies from the app's http address;
// it must not be sent to and fro for ever.
func TestSignIn_AppWithoutHTTPS(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *options) {
		o.config = func(c *Config) {
			c.Trust = web.Trust{
				Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			}
		}
	})
	s.add("ann", "viewer")
	f := newFlowise(t, "", "")
	a, err := s.apps.Manager.Ensure(context.Background(), authz.SystemPrincipal("serve"), app.Spec{URL: f.url})
	fatal(t, err)
	b := s.browser()
	b.client.Jar = nil
	b.header.Set("X-Forwarded-Proto", "https")
	got := b.post("/login", "identifier", "ann", "password", goodPassword).want(t, 303, "/login/done?return=%2F")
	var pairs []string
	for _, line := range got.header["Set-Cookie"] {
		pair, rest, _ := strings.Cut(line, ";")
		if !strings.Contains(rest, "Secure") {
			t.Errorf("a cookie without Secure over https: %s", line)
		}
		pairs = append(pairs, pair)
	}
	b.header.Set("Cookie", strings.Join(pairs, "; "))
	says(
		t,
		b.get("/login?app="+a.ID).want(t, 409, "").body,
		"has no address on https",
		"public address that begins with https://",
	)
	if b.get("/account").want(t, 200, "").header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS over https")
	}
}
