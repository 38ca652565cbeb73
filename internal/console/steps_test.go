package console

import (
	"context"
	"fmt"
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

func TestSteps_ConfirmAddress(t *testing.T) {
	t.Parallel()
	box := newMailbox(t)
	s := newSite(t, withMail(box), func(o *options) { o.openSignUp, o.newUserActive = true, true })
	s.add("root", "superuser")
	b := s.browser()
	const password = "a completely different phrase"
	b.post("/signup", "username", "eve", "email", "eve@example.test", "password", password).want(t, 200, "")
	first := s.link(box, "eve@example.test")

	b.get("/login/verify").want(t, 303, "/login")
	says(t, b.get("/login").body, "That sign-in was finished")
	b.post("/login", "identifier", "eve", "password", password, "return", "/account").want(t, 303, "/login/verify")
	page := b.get("/login/verify").want(t, 200, "")
	says(t, page.body, "eve@example.test", "Signing in as", "Not you? Start over")
	has(t, page.body, "form[action=/login/verify]", "a[href=/login?return=%2Faccount]")
	for _, other := range []string{"/login/invitation", "/login/factor", "/login/enrol"} {
		b.get(other).want(t, 303, "/login/verify")
		b.post(other, "accept", "x").want(t, 303, "/login/verify")
	}
	b.post("/login/verify").want(t, 303, "/login/verify")
	says(t, b.get("/login/verify").body, "A link is on its way")
	second := s.link(box, "eve@example.test")
	if first == second {
		t.Error("no second mail came")
	}
	limited, latest := false, second
	for range 20 {
		if got := b.post("/login/verify"); got.status == http.StatusTooManyRequests {
			says(t, got.body, "Try again in", "eve@example.test")
			limited = true
			break
		}
		latest = s.link(box, "eve@example.test")
	}
	if !limited {
		t.Error("twenty mails could be asked for")
	}

	elsewhere := s.browser()
	elsewhere.get(latest).want(t, 303, "/verify")
	elsewhere.post("/verify").want(t, 200, "")
	done := b.get("/login/verify").want(t, 303, "/login/done?return=%2Faccount")
	b.get(done.location).want(t, 303, "/account")
	b.get("/account").want(t, 200, "")
	b.get("/login/verify").want(t, 303, "/login")
}

func TestStartingOver(t *testing.T) {
	t.Parallel()
	box := newMailbox(t)
	s := newSite(t, withMail(box), func(o *options) { o.openSignUp, o.newUserActive = true, true })
	s.add("ann", "viewer")
	b := s.browser()
	const password = "a completely different phrase"
	b.post("/signup", "username", "eve", "email", "eve@example.test", "password", password)
	b.post("/login", "identifier", "eve", "password", password).want(t, 303, "/login/verify")
	b.get("/login").want(t, 200, "")
	b.get("/login/verify").want(t, 303, "/login")
	b.post("/login", "identifier", "eve", "password", password).want(t, 303, "/login/verify")
	s.clock.forward(16 * time.Minute)
	b.get("/login/verify").want(t, 303, "/login")
	b.post("/login", "identifier", "ann", "password", goodPassword).want(t, 303, "/")
}

func TestSteps_Invitations(t *testing.T) {
	t.Parallel()
	box := newMailbox(t)
	s := newSite(t, withMail(box), func(o *options) { o.openSignUp, o.newUserActive = true, true })
	s.add("root", "superuser")
	ctx, system := context.Background(), authz.SystemPrincipal("test")
	ids := map[string]string{}
	for _, name := range []string{"Research", "Sales"} {
		w, err := s.people.CreateWorkspace(ctx, system, name)
		fatal(t, err)
		invited, err := s.invitations.Invite(ctx, system, w.ID, "eve@example.test", "user")
		fatal(t, err)
		ids[name] = invited.ID
		s.link(box, "eve@example.test")
	}
	b := s.browser()
	const password = "a completely different phrase"
	b.post("/signup", "username", "eve", "email", "eve@example.test", "password", password)
	b.get(s.link(box, "eve@example.test"))
	b.post("/verify").want(t, 200, "")

	b.post("/login", "identifier", "eve", "password", password).want(t, 303, "/login/invitation")
	page := b.get("/login/invitation").want(t, 200, "")
	says(t, page.body, "Research", "Sales", "as User", "Signing in as")
	if n := len(selectAll(page.body, "input[name=accept][checked]")); n != 2 {
		t.Fatalf("%d workspaces are offered, want 2", n)
	}
	b.get("/account").want(t, 303, "/login?return=%2Faccount")
	b.post("/login/invitation", "accept", ids["Research"]).want(t, 303, "/")
	says(t, b.get("/workspaces").body, "Research")
	if strings.Contains(main(b.get("/workspaces").body), "Sales") {
		t.Error("an invitation that was not ticked was accepted")
	}

	again := s.browser()
	again.post("/login", "identifier", "eve", "password", password).want(t, 303, "/login/invitation")
	again.post("/login/invitation", "accept", ids["Sales"], "later", "yes").want(t, 303, "/")
	if strings.Contains(main(again.get("/workspaces").body), "Sales") {
		t.Error("later is taken for yes")
	}
}

// TestSteps_EndAtTheApp: browsers hold form-action against the redirect at the end of the last
// step.
func TestSteps_EndAtTheApp(t *testing.T) {
	t.Parallel()
	box := newMailbox(t)
	s := newSite(t, withMail(box), func(o *options) { o.openSignUp, o.newUserActive = true, true })
	a, err := s.apps.Manager.Ensure(
		context.Background(),
		authz.SystemPrincipal("serve"),
		app.Spec{URL: newFlowise(t, "", "").url, PublicURL: "http://flows.example.test"},
	)
	fatal(t, err)
	b := s.browser()
	const password = "a completely different phrase"
	b.post("/signup", "username", "eve", "email", "eve@example.test", "password", password)
	b.post("/login", "identifier", "eve", "password", password, "app", a.ID, "return", "/canvas/1").
		want(t, 303, "/login/verify")
	page := b.get("/login/verify").want(t, 200, "")
	says(t, page.body, "to continue to", a.Name)
	has(t, page.body, "a[href=/login?app="+a.ID+"&return=%2Fcanvas%2F1]")
	if csp := page.header.Get("Content-Security-Policy"); !strings.Contains(
		csp,
		"form-action 'self' http://flows.example.test;",
	) {
		t.Errorf("the form may not lead to the app: %s", csp)
	}
}

// TestSteps_LostSession: a browser that keeps no cookie gets an explanation, never a redirect loop.
func TestSteps_LostSession(t *testing.T) {
	t.Parallel()
	proxied := func(c *Config) { c.Trust = web.Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}} }
	on, off := true, false
	at := func(origin string) func(*Config) {
		return func(c *Config) { c.MainOrigin, c.SecureCookies = func(string) string { return origin }, &on }
	}
	for _, c := range []struct {
		name   string
		config func(*Config)
		header http.Header
		want   []string
	}{
		{
			"blocked",
			func(*Config) {},
			nil,
			[]string{
				"The browser keeps no cookies for this site",
				"Cookie header received",
				"http: the connection is not encrypted",
			},
		},
		{
			"secure over http",
			func(c *Config) { c.SecureCookies = &on },
			nil,
			[]string{"An https-only cookie on an http page", "SECURE_COOKIES=false"},
		},
		{
			"https elsewhere",
			at("https://sluice.example.test"),
			nil,
			[]string{
				"You are at a different address",
				"Open https://sluice.example.test instead",
				"TRUST_PROXY=loopback",
				"APP_URL=http://127.0.0.1",
			},
		},
		{
			"proxy not believed",
			func(c *Config) { proxied(c); at("https://127.0.0.1")(c) },
			http.Header{"X-Forwarded-Proto": {"https"}},
			[]string{"does not trust the proxy", "TRUST_PROXY=loopback", "https, not trusted"},
		},
		{
			"stale",
			func(c *Config) { c.SecureCookies = &off },
			http.Header{"Cookie": {authn.CookieName(false) + "=" + strings.Repeat("A", 43)}},
			[]string{"belongs to no active session", "cookies ignore ports"},
		},
		{
			"changed on the way",
			func(*Config) {},
			http.Header{"Cookie": {"sluice_device=abcdefgh"}},
			[]string{"the session cookie did not", "proxy_cookie_path", "sluice_device"},
		},
		{
			"foreign proto",
			func(*Config) {},
			http.Header{"X-Forwarded-Proto": {"<script>alert(1)</script>"}},
			[]string{"something else, not trusted"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, func(o *options) { o.config = c.config })
			b := s.browser()
			b.client.Jar = nil
			for name, values := range c.header {
				b.header[name] = values
			}
			page := b.get("/login/done?return=%2Faccount").want(t, 200, "")
			says(
				t,
				page.body,
				append(c.want, "your browser did not bring the session back", "What Sluice saw", "Sluice's clock")...)
			has(t, page.body, "a[href=/login?return=%2Faccount]")
			hasNot(t, page.body, "input[name=password]", "meta[http-equiv=refresh]")
			for _, secret := range []string{strings.Repeat("A", 43), "abcdefgh", "alert(1)"} {
				if strings.Contains(page.body, secret) {
					t.Errorf("the page holds %q", secret)
				}
			}
		})
	}
}

// TestSteps_BounceLimit: an app that sends a signed-in browser back again and again.
func TestSteps_BounceLimit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "viewer")
	a, err := s.apps.Manager.Ensure(
		context.Background(),
		authz.SystemPrincipal("serve"),
		app.Spec{URL: newFlowise(t, "", "").url, PublicURL: "http://flows.example.test"},
	)
	fatal(t, err)
	b := s.signedIn("ann")
	path := "/login?app=" + a.ID + "&return=%2Fcanvas%2F1&state="
	round := func() reply {
		state, err := s.sessions.NewEnterState()
		fatal(t, err)
		return b.get(path + state)
	}
	for range 2 {
		if got := round(); got.status != 303 ||
			!strings.HasPrefix(got.location, "http://flows.example.test/.sluice/enter?") {
			t.Fatalf("sent to %d %s", got.status, got.location)
		}
	}
	b.get("/login?app="+a.ID+"&return=%2Fother").want(t, 303, "http://flows.example.test/.sluice/enter?return=%2Fother")
	third := round().want(t, 200, "")
	says(
		t,
		third.body,
		"You are caught in a redirect loop",
		a.Name+" at http://flows.example.test",
		"The browser keeps no cookie at flows.example.test",
	)
	has(t, third.body, "a[href="+(destination{app: a.ID, back: "/canvas/1", state: stateIn(third.body)}).login()+"]")
	if got := round(); got.status != 303 {
		t.Errorf("another try begins with %d", got.status)
	}
	round()
	s.clock.forward(11 * time.Second)
	if got := round(); got.status != 303 {
		t.Errorf("three in more than ten seconds give %d", got.status)
	}

	for range 2 {
		b.get("/login?return=/account").want(t, 303, "/account")
	}
	says(t, b.get("/login?return=/account").want(t, 200, "").body, "in some requests but not in others")
	for i := range 5 {
		b.get(fmt.Sprintf("/enter?app=%s&return=/x%d", a.ID, i%2)).
			want(t, 303, fmt.Sprintf("http://flows.example.test/.sluice/enter?return=%%2Fx%d", i%2))
	}
}

// login is the sign-in page for a destination.
func (d destination) login() string { return "/login" + d.query() }

func stateIn(page string) string {
	for _, a := range selectAll(page, "a[href]") {
		if u, err := url.Parse(a.attrs["href"]); err == nil && u.Query().Get("state") != "" {
			return u.Query().Get("state")
		}
	}
	return ""
}

func TestBouncesAreBounded(t *testing.T) {
	t.Parallel()
	var b bounces
	now := time.Now()
	for i := range 3 * maxBounces {
		b.again(fmt.Sprint(i), "", "/", now)
	}
	if len(b.seen) > maxBounces {
		t.Errorf("%d are remembered, want at most %d", len(b.seen), maxBounces)
	}
}
