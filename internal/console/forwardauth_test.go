package console

import (
	"html"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"

	forwardauth "sluice/deploy/forward-auth"
	"sluice/internal/web"
)

func forwardAuthSamples() map[string]templ.Component {
	frame := sampleFrame("/admin/apps")
	a := sampleApp()
	a.Name = "Internal wiki"
	a.Title = "Web app behind a reverse proxy"
	a.Version = ""
	a.Origin = "https://wiki.example.com"
	a.Upstream = "https://wiki.example.com"
	a.Bridge = bridgeHeaders
	a.ForwardAuth = true
	a.Health = healthView{Tone: web.Warning, Word: "Waiting for the first request"}
	snippets := forwardauth.Fill(forwardauth.Addresses{Public: a.Origin, Gate: "127.0.0.1:3000", App: "127.0.0.1:8080"})
	asked := a
	asked.Health, asked.Asked = healthView{Tone: web.Good, Word: "Receiving requests"}, sampleNow.Add(-time.Minute)
	return map[string]templ.Component{
		"forward-auth-new": newForwardAuthPage(frame, newForwardAuthView{Products: sampleProducts}),
		"forward-auth-wrong": newForwardAuthPage(frame, newForwardAuthView{
			Products: sampleProducts,
			Form: appForm{
				PublicURL: "wiki",
				Wrong:     wrong{"public_url": "The address must begin with http:// or https://."},
			},
		}),
		"forward-auth-waiting": forwardAuthPage(frame, forwardAuthView{
			App:       a,
			Products:  sampleProducts,
			Gate:      "127.0.0.1:3000",
			Runs:      "127.0.0.1:8080",
			Snippets:  snippets,
			Now:       sampleNow,
			Untrusted: true,
			Shared:    "http://wiki.example.com:3000",
		}),
		"forward-auth-asked": forwardAuthPage(frame, forwardAuthView{
			App:      asked,
			Products: sampleProducts,
			Gate:     "127.0.0.1:3000",
			Runs:     "127.0.0.1:8080",
			Snippets: snippets,
			Asked:    asked.Asked,
			Now:      sampleNow,
		}),
		"forward-auth-app":    appPage(frame, appPageView{App: asked, Now: sampleNow}),
		"forward-auth-remove": removeAppPage(frame, appPageView{App: asked, Now: sampleNow}),
	}
}

func TestForwardAuth_Connect(t *testing.T) {
	t.Parallel()
	trust := web.Trust{}
	s := newSite(t, func(o *options) {
		o.config = func(c *Config) {
			c.Listens, c.Trust = func() string { return "127.0.0.1:3000" }, trust
			c.MainOrigin = func(string) string { return "https://gate.example.com" }
		}
	})
	s.add("root", "superuser")
	s.add("vic", "viewer")
	b := s.signedIn("root")
	has(t, b.get("/admin/apps/new").want(t, 200, "").body, "a[href=/admin/apps/new/forward-auth]")
	has(
		t,
		b.get("/admin/apps/new/forward-auth").want(t, 200, "").body,
		"input[name=public_url][type=url]",
		"form[action=/admin/apps/forward-auth]",
	)
	has(
		t,
		b.post("/admin/apps/forward-auth", "public_url", "flows.example.com").want(t, 400, "").body,
		"input[name=public_url][aria-invalid=true][value=flows.example.com]",
	)
	made := b.post("/admin/apps/forward-auth", "public_url", "https://flows.example.com", "name", "Flows")
	a := s.apps.All()[0]
	page := "/admin/apps/" + a.ID + "/forward-auth"
	made.want(t, 303, page)
	waiting := b.get(page).want(t, 200, "")
	says(
		t,
		waiting.body,
		"Waiting for the first request",
		"trusts no reverse proxy yet",
		"No one can enter until your reverse proxy sends requests",
	)
	has(
		t,
		waiting.body,
		"[hx-get="+page+"]",
		"a[href="+page+"]",
		"textarea[id=snippet-nginx][readonly]",
		"textarea[id=snippet-Caddy]",
		"textarea[id=snippet-Traefik]",
	)
	for _, want := range []string{
		"server_name flows.example.com;",
		"forward_auth 127.0.0.1:3000 {",
		"address: http://127.0.0.1:3000/forward-auth",
	} {
		if !strings.Contains(html.UnescapeString(waiting.body), want) {
			t.Errorf("no %q in the page", want)
		}
	}
	filled := b.post(page, "gate", "sluice:3000", "runs", "http://wiki:8080/").want(t, 200, "")
	for _, want := range []string{"server sluice:3000;", "server wiki:8080;"} {
		if !strings.Contains(html.UnescapeString(filled.body), want) {
			t.Errorf("no %q in the page", want)
		}
	}
	for _, evil := range []string{"wiki:8080;}\nroot /;", "wiki:8080/x", "user@wiki", "$host", "", "-v"} {
		wrong := b.post(page, "gate", "sluice:3000", "runs", evil).want(t, 400, "")
		has(t, wrong.body, "input[name=runs][aria-invalid=true]")
		if strings.Contains(wrong.body, "<textarea") {
			t.Errorf("%q stands in a configuration", evil)
		}
	}
	s.apps.Asked(a, s.clock.now())
	done := b.get(page).want(t, 200, "")
	says(t, done.body, "Receiving requests from your reverse proxy")
	hasNot(t, done.body, "[hx-get="+page+"]")
	says(t, b.get("/admin/apps/"+a.ID).want(t, 200, "").body, "Receiving requests", "forward-auth", "Last request")
	says(t, b.get("/admin/apps").want(t, 200, "").body, "Flows", "Receiving requests")
	b.get("/admin/apps/"+a.ID+"/verify").want(t, 303, page)
	says(
		t,
		b.post("/admin/apps/forward-auth", "public_url", "http://flows.example.com").want(t, 409, "").body,
		"Flows already has this public address",
	)
	v := s.signedIn("vic")
	v.get(page).want(t, 303, "/flows")
	if got := v.post("/admin/apps/forward-auth", "public_url", "https://x.example.com"); got.status != 403 {
		t.Errorf("a viewer connects an app: %d", got.status)
	}
}

func TestForwardAuth_MissingParts(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *options) {
		o.config = func(c *Config) {
			c.Listens = func() string { return "127.0.0.1:3000" }
			c.Trust = web.Trust{
				Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			}

			c.MainOrigin = func(host string) string { return "http://" + host + ":3000" }
		}
	})
	s.add("root", "superuser")
	b := s.signedIn("root")
	b.post("/admin/apps/forward-auth", "public_url", "https://flows.example.com")
	page := b.get("/admin/apps/"+s.apps.All()[0].ID+"/forward-auth").want(t, 200, "").body
	says(t, page, "different host name from Sluice", "APP_URL")
	if strings.Contains(page, "believes no reverse proxy") {
		t.Error("a trusted proxy is called missing")
	}
}
