package console

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"sluice/internal/app"
	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/web"
)

func TestAddingPeople(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	b := s.signedIn("root")
	has(t, b.get("/admin/people/new").want(t, 200, "").body, "input[type=radio][value=viewer][checked]")

	link := b.post("/admin/people", "username", "cid", "role", "user").want(t, 200, "")
	says(t, link.body, "One-time link for cid", "works once")
	has(t, link.body, "input[id=one-time-link]")

	taken := b.post("/admin/people", "username", "cid", "role", "user").want(t, 409, "")
	has(t, taken.body, "input[name=username][value=cid][aria-invalid=true]")
	weak := b.post("/admin/people", "username", "dora", "role", "viewer", "password", "password").want(t, 400, "")
	has(
		t,
		weak.body,
		"input[name=password][aria-invalid=true]",
		"input[name=username][value=dora]",
		"input[type=radio][value=viewer][checked]",
	)

	list := b.get("/admin/people").want(t, 200, "")
	says(t, list.body, "cid", "No password yet", "2 people")
	says(t, b.get("/admin/people?q=cid").body, "1 person")
	says(t, b.get("/admin/people?q=%3Cscript%3E").body, "No one matches")
	if strings.Contains(b.get("/admin/people?q=%3Cscript%3Ealert").body, "<script>alert") {
		t.Error("a search comes back as markup")
	}
	if got := b.get("/admin/people?page=9"); got.status != 303 || got.location != "/admin?page=1" {
		t.Errorf("a page beyond the end leads to %d %q", got.status, got.location)
	}
}

func TestChangingAPerson(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root := s.add("root", "superuser")
	cid := s.add("cid", "viewer")
	b, theirs := s.signedIn("root"), s.signedIn("cid")
	page := "/admin/people/" + cid.ID

	theirs.get("/admin/apps").want(t, 303, "/flows")
	b.post(page+"/role", "role", "admin").want(t, 303, page)
	theirs.get("/admin/apps").want(t, 200, "")
	b.post(page+"/role", "role", "emperor").want(t, 400, "")

	b.post(page+"/superuser", "on", "true").want(t, 303, page)
	says(t, b.get(page).body, "This person is now a superuser.")
	b.post(page+"/superuser", "on", "false").want(t, 303, page)
	alone := b.post("/admin/people/"+root.ID+"/superuser", "on", "false").want(t, 409, "")
	says(t, alone.body, "last active superuser", "Give another person the superuser role first")

	b.post(page+"/names", "username", "cid2", "email", "new@example.test", "name", "Cid Two").want(t, 303, page)
	says(t, b.get(page).body, "Cid Two", "cid2", "new@example.test", "Not confirmed")
	taken := b.post(page+"/names", "username", "root", "email", "x@example.test").want(t, 409, "")
	has(t, taken.body, "input[name=username][value=root][aria-invalid=true]", "input[name=email][value=x@example.test]")
	b.get("/admin/people/nobody").want(t, 404, "")
}

// TestTheLeaverSwitch: one act ends everything, and its answer says what that was.
func TestTheLeaverSwitch(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	cid := s.add("cid", "viewer")
	b, first, second := s.signedIn("root"), s.signedIn("cid"), s.signedIn("cid")
	page := "/admin/people/" + cid.ID
	says(t, b.get(page).body, "Deactivate cid", "Sign out all sessions")
	link := selectAll(b.post(page+"/reset-link").want(t, 200, "").body, "input[id=one-time-link]")[0].attrs["value"]

	left := b.post(page+"/active", "on", "false").want(t, 200, "")
	says(t, left.body, "The cid is out", "2 sessions are signed out")
	first.get("/flows").want(t, 303, "/login?return=%2Fflows")
	second.get("/flows").want(t, 303, "/login?return=%2Fflows")
	s.browser().get(strings.TrimPrefix(link, s.url)).want(t, 403, "")
	s.browser().post("/login", "identifier", "cid", "password", goodPassword).want(t, 403, "")
	s.browser().post("/login", "identifier", "cid", "password", "not it at all").want(t, 401, "")

	b.post(page+"/active", "on", "true").want(t, 303, page)
	third := s.signedIn("cid")
	b.post(page+"/sessions/end").want(t, 303, page)
	third.get("/flows").want(t, 303, "/login?return=%2Fflows")
}

func TestApps_ConnectWithOwner(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	f := newFlowise(t, "owner@example.com", "Owner-password-1")
	b := s.signedIn("root")
	says(t, b.get("/admin/apps").want(t, 200, "").body, "No app is connected", "running Flowise or Langflow, or")
	says(t, b.get("/").want(t, 200, "").body, "such as Flowise or Langflow.")
	says(t, b.get("/admin/apps/new/forward-auth").want(t, 200, "").body, "For Flowise or Langflow, let Sluice forward.")

	has(
		t,
		b.post("/admin/apps/find", "url", "ftp://somewhere").want(t, 400, "").body,
		"input[name=url][aria-invalid=true][value=ftp://somewhere]",
	)
	found := b.post("/admin/apps/find", "url", f.url).want(t, 200, "")
	has(
		t,
		found.body,
		"input[name=owner_email]",
		"input[name=public_url]",
		"input[name=url][type=hidden][value="+f.url+"]",
	)
	says(t, found.body, "This Flowise has an owner.")

	wrong := b.post(
		"/admin/apps",
		"url",
		f.url,
		"name",
		"Flows",
		"owner_email",
		"owner@example.com",
		"owner_password",
		"nope",
	)
	if wrong.status != http.StatusUnprocessableEntity {
		t.Fatalf("wrong credentials give %d", wrong.status)
	}
	a := s.apps.All()[0]
	has(t, wrong.body, "form[action=/admin/apps/"+a.ID+"/connect]", "[role=alert]")
	b.post(
		"/admin/apps/"+a.ID+"/connect",
		"how", "login",
		"owner_email", "owner@example.com",
		"owner_password", "Owner-password-1",
	).want(t, 303, "/admin/apps/"+a.ID)
	page := b.get("/admin/apps/"+a.ID).want(t, 200, "")
	says(t, page.body, "Flows", "Online", "Bridged", "Sluice is signed in to the builder.", "/canvas/")
	for _, secret := range []string{"Owner-password-1"} {
		if strings.Contains(page.body, secret) {
			t.Error("the owner's password stands in the page")
		}
	}
	has(t, b.post("/admin/apps/find", "url", "http://127.0.0.1:1").body, "input[name=url][value=http://127.0.0.1:1]")
	says(t, b.post("/admin/apps", "url", f.url, "name", "Again").body, "already connected")
}

func TestPublicFlows(t *testing.T) {
	t.Parallel()
	s, id := newSite(t), "0c1f7c0e-5d6b-4c3e-9a55-1d2f3e4a5b6c"
	s.add("root", "superuser")
	f := newFlowise(t, "", "")
	a, err := s.apps.Manager.Ensure(context.Background(), authz.SystemPrincipal("serve"), app.Spec{URL: f.url})
	fatal(t, err)
	fatal(t, s.flows.Claim(
		context.Background(),
		flow.Object{App: a.ID, ID: id, Kind: flow.Chatflow, Workspace: identity.DefaultWorkspace},
	))
	b, page := s.signedIn("root"), "/admin/apps/"+a.ID
	says(t, b.get(page).body, "No flow is public")
	has(
		t,
		b.post(page+"/flows", "flow_id", "not/an id").want(t, 400, "").body,
		"input[name=flow_id][aria-invalid=true]",
	)
	b.post(page+"/flows", "flow_id", id).want(t, 303, page)
	says(t, b.get(page).body, id, "The flow is published: everyone can run it.")
	if now, _ := s.apps.ByID(a.ID); !now.Published(id) {
		t.Error("the flow is not published")
	}
	b.post(page+"/flows/"+id+"/unpublish").want(t, 303, page)
	if now, _ := s.apps.ByID(a.ID); now.Published(id) {
		t.Error("the flow is still published")
	}
}

func TestApps_RemoveHandsOverOwner(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	f := newFlowise(t, "", "")
	a, err := s.apps.Manager.Ensure(context.Background(), authz.SystemPrincipal("serve"), app.Spec{URL: f.url})
	fatal(t, err)
	b, page := s.signedIn("root"), "/admin/apps/"+a.ID
	b.post(page+"/connect", "how", "register").want(t, 303, page)
	says(t, b.get(page+"/remove").want(t, 200, "").body, "People lose access")
	if len(s.apps.All()) != 1 {
		t.Fatal("looking at the question removed the app")
	}
	gone := b.post(page+"/remove").want(t, 200, "")
	has(t, gone.body, "input[id=owner-password][value="+f.password+"]")
	b.get(page).want(t, 404, "")
	says(t, b.get("/admin/apps").body, "No app is connected")
}

func TestApps_BuilderDown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	a, err := s.apps.Manager.Ensure(
		context.Background(),
		authz.SystemPrincipal("serve"),
		app.Spec{URL: "http://127.0.0.1:1"},
	)
	fatal(t, err)
	b := s.signedIn("root")
	says(t, b.get("/admin/apps/"+a.ID).want(t, 200, "").body, "Waiting")
	verify := b.get("/admin/apps/"+a.ID+"/verify").want(t, 200, "")
	says(t, verify.body, "The builder responds")
	if strings.Contains(verify.body, "NUMBER_OF_PROXIES") {
		t.Error("a proxy is suspected without a sign of one")
	}
	b.header.Set("X-Forwarded-For", "203.0.113.9")
	says(t, b.get("/admin/apps/"+a.ID+"/verify").body, "203.0.113.9", "set NUMBER_OF_PROXIES")
	says(t, b.get("/setup/apps").want(t, 200, "").body, "Not reachable right now")
	says(t, b.get("/").want(t, 200, "").body, "has not answered yet")
}

func TestAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "viewer")
	b, other := s.signedIn("ann"), s.signedIn("ann")
	page := b.get("/account").want(t, 200, "")
	says(t, page.body, "The ann", "Viewer", "Security", "Devices", "Workspaces")
	says(t, b.get("/account/workspaces").want(t, 200, "").body, "Your workspaces", "Default workspace")
	page = b.get("/account/devices").want(t, 200, "")
	says(t, page.body, "This one")
	b.post("/account/name", "name", "Ann Other").want(t, 303, "/account")
	says(t, b.get("/account").body, "Ann Other", "Your name is saved")
	has(
		t,
		b.post("/account/name", "name", "bad\u202ename").want(t, 400, "").body,
		"input[name=name][aria-invalid=true]",
	)

	wrong := b.post("/account/password", "old_password", "not it", "password", "a completely different phrase").
		want(t, 400, "")
	has(t, wrong.body, "input[name=old_password][aria-invalid=true]")
	weak := b.post("/account/password", "old_password", goodPassword, "password", "short").want(t, 400, "")
	has(t, weak.body, "input[name=password][aria-invalid=true]")

	ends := selectAll(page.body, "form[method=post]")
	for _, f := range ends {
		if action := f.attrs["action"]; strings.HasSuffix(action, "/end") {
			b.post(action).want(t, 303, "/account/devices")
		}
	}
	other.get("/account").want(t, 303, "/login?return=%2Faccount")
	other = s.signedIn("ann")
	b.post("/account/sessions/end-others").want(t, 303, "/account/devices")
	other.get("/account").want(t, 303, "/login?return=%2Faccount")
	other = s.signedIn("ann")
	b.post("/account/password", "old_password", goodPassword, "password", "a completely different phrase").
		want(t, 303, "/account/security")
	says(t, b.get("/account/security").want(t, 200, "").body, "Your password is set")
	other.get("/account").want(t, 303, "/login?return=%2Faccount")
}

func TestSessions_OtherPersons(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.add("ann", "viewer")
	s.add("eve", "viewer")
	victim, eve := s.signedIn("ann"), s.signedIn("eve")
	list, err := s.sessions.List(context.Background(), authz.SystemPrincipal("test"), ann.ID)
	fatal(t, err)
	eve.post("/account/sessions/" + list[0].ID + "/end")
	victim.get("/account").want(t, 200, "")
}

// TestAssets_NoSourceMaps walks every route as a stranger, a viewer, an admin of another workspace
// and a superuser. A route that is not open leads to sign-in. One that needs a right is refused and
// recorded; a page of the admin's leads to the flows instead.
func TestAssets_NoSourceMaps(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	s.add("cid", "viewer")
	delegate := s.add("dora", "viewer")
	other, err := s.people.CreateWorkspace(context.Background(), authz.SystemPrincipal("test"), "Research")
	fatal(t, err)
	fatal(
		t,
		s.people.SetRole(context.Background(), authz.SystemPrincipal("test"), delegate.ID, other.ID, authz.RoleAdmin),
	)
	root := s.signedIn("root")
	people := map[string]*browser{"viewer": s.signedIn("cid"), "admin of another workspace": s.signedIn("dora")}
	for _, rt := range newPages(Config{}).routes() {
		path := strings.NewReplacer(
			"{id}", "0195a000-0000-7000-8000-000000000001",
			"{flow}", "f",
			"{person}", "p",
			"{invitation}", "i",
			"{kind}", "test",
			"{workspace}", "w",
		).Replace(rt.pattern)
		if rt.needs == open {
			continue
		}
		stranger := s.browser().do(rt.method, path, nil)
		if rt.method == http.MethodGet && stranger.status != 303 ||
			rt.method == http.MethodPost && stranger.status != 401 {
			t.Errorf("%s %s: a stranger gets %d", rt.method, path, stranger.status)
		}
		if got := root.do(rt.method, path, nil); got.status == 401 || got.status == 403 ||
			got.status >= 500 && got.status != 503 { // 503: there is no mail server
			t.Errorf("%s %s: a superuser gets %d", rt.method, path, got.status)
		}
		if rt.pattern == "/account/sessions/end-others" {
			people = map[string]*browser{"viewer": s.signedIn("cid"), "admin of another workspace": s.signedIn("dora")}
		}
		for who, b := range people {
			if rt.needs != person {
				s.refused(t, who, b, rt, path)
			} else if strings.HasPrefix(path, "/workspaces/") {
				form := strings.NewReader("role=viewer&name=Research&email=a%40example.test&second_factor=off")
				b.do(rt.method, path, form).want(t, 404, "")
			}
		}
	}
}

// refused fails unless a route refuses a person and the refusal is recorded.
func (s *site) refused(t *testing.T, who string, b *browser, rt route, path string) {
	t.Helper()
	before := s.denials()
	got := b.do(rt.method, path, nil)
	atAdmin := strings.HasPrefix(path, "/admin") && rt.method == http.MethodGet
	switch {
	case atAdmin && (got.status != 303 || got.location != "/flows"):
		t.Errorf("%s %s: a %s gets %d to %q, want the flows", rt.method, path, who, got.status, got.location)
	case !atAdmin && got.status != 403:
		t.Errorf("%s %s: a %s gets %d, want 403", rt.method, path, who, got.status)
	}
	if s.denials() == before {
		t.Errorf("%s %s: the refusal of a %s is not on record", rt.method, path, who)
	}
	program := *b
	program.header = http.Header{"Accept": {"application/json"}}
	if got := program.do(rt.method, path, nil); got.status != 403 ||
		!strings.Contains(got.body, "superuser") && !strings.Contains(got.body, "role") {
		t.Errorf("%s %s: a program of a %s gets %d %s", rt.method, path, who, got.status, got.body)
	}
}

// denials counts the refusals on record, with how often each was met.
func (s *site) denials() int64 {
	s.gate.Flush(context.Background())
	entries, err := audit.After(context.Background(), s.db, 0, 10_000)
	fatal(s.t, err)
	n := int64(0)
	for _, e := range entries {
		if e.Outcome == audit.Denied {
			n += int64(e.Times)
		}
	}
	return n
}

func TestPages_Headers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "viewer")
	b := s.signedIn("ann")
	for _, path := range []string{
		"/",
		"/login",
		"/setup",
		"/account",
		"/nothing",
		"/admin/people",
		"/flows",
		"/workspaces",
		"/forgot",
		"/invite",
	} {
		h := b.get(path).header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff",
			"Referrer-Policy":        "same-origin",
			"X-Frame-Options":        "DENY",
			"Cache-Control":          "no-store",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if csp := h.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") && csp != "" || csp == "" {
			t.Errorf("%s: the policy is %q", path, csp)
		}
	}
}

func TestPages_OtherOrigins(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "viewer")
	for name, header := range map[string]http.Header{
		"another site":      {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
		"another port":      {"Sec-Fetch-Site": {"same-site"}},
		"no fetch metadata": {"Origin": {"https://evil.example"}},
		"sandbox":           {"Origin": {"null"}},
	} {
		b := s.signedIn("ann")
		for key, values := range header {
			b.header[key] = values
		}
		if got := b.post("/logout"); got.status != 403 {
			t.Errorf("%s: %d, want 403", name, got.status)
		}
		b.header = http.Header{"Accept": {"text/html"}}
		b.get("/account").want(t, 200, "")
	}
}

func TestOddRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "viewer")
	b := s.signedIn("ann")
	says(t, b.get("/nothing/here").want(t, 404, "").body, "There is no page at this address", "Request")
	b.do(http.MethodDelete, "/account", nil).want(t, 405, "")
	if got := b.do(http.MethodHead, "/account", nil); got.status != 200 || got.body != "" {
		t.Errorf("HEAD gives %d with %d bytes", got.status, len(got.body))
	}
	if got := b.post("/login", "identifier", strings.Repeat("a", 70<<10)); got.status != 413 {
		t.Errorf("a form of 70 KiB gives %d", got.status)
	}
	program := s.browser()
	program.header = http.Header{"Accept": {"*/*"}}
	if got := program.get("/admin/people"); got.status != 401 ||
		!strings.HasPrefix(got.header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("a program gets %d %s", got.status, got.header.Get("Content-Type"))
	}
	program.header.Set("HX-Request", "true")
	to := program.get("/admin/people?q=x").header.Get("HX-Redirect")
	if to != "/login?return=%2Fadmin%2Fpeople%3Fq%3Dx" {
		t.Errorf("htmx is sent to %q", to)
	}
}

func TestTheme_WithoutScript(t *testing.T) {
	t.Parallel()
	b := newSite(t).browser()
	hasNot(t, b.get("/login").body, "html[class=dark]")
	b.post("/theme", "theme", "dark", "return", "//evil.example").want(t, 303, "/")
	has(t, b.get("/login").body, "html[class=dark]", "meta[name=color-scheme][content=dark]")
	b.post("/theme", "theme", "", "return", "/login").want(t, 303, "/login")
	hasNot(t, b.get("/login").body, "html[class=dark]")
}

func TestLog_NoSecrets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	u := s.add("bob", "user")
	b := s.signedIn("root")
	page := b.post("/admin/people/"+u.ID+"/reset-link").want(t, 200, "")
	link := selectAll(page.body, "input[id=one-time-link]")[0].attrs["value"]
	token := link[strings.Index(link, "token=")+len("token="):]
	visitor := s.browser()
	visitor.get("/reset?token="+token).want(t, 303, "/reset")
	visitor.post("/reset", "password", "a completely different phrase").want(t, 303, "/")
	log := s.log.String()
	for _, secret := range []string{token, goodPassword, "a completely different phrase"} {
		if strings.Contains(log, secret) {
			t.Errorf("%q stands in the log", secret)
		}
	}
	if !strings.Contains(log, "POST /reset") {
		t.Errorf("the log has no line of the request:\n%s", log)
	}
}

func TestAssets_Served(t *testing.T) {
	t.Parallel()
	b := newSite(t).browser()
	if got := b.get(web.AssetURL("sluice.css")); got.status != 200 ||
		!strings.Contains(got.header.Get("Cache-Control"), "immutable") {
		t.Errorf("the style sheet: %d %v", got.status, got.header)
	}
	b.get("/favicon.ico").want(t, 303, web.AssetURL("logo.svg"))
}

func TestDeviceName(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) " +
			"Chrome/156.0.0.0 Safari/537.36": "Chrome on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 " +
			"Safari/537.36 Edg/156.0": "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) " +
			"Version/19.0 Mobile/15E148 Safari/604": "Safari on iPhone",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0": "Firefox on Mac",
		"curl/8.5.0": "curl", "": "An unknown device", "<script>": "An unknown device",
	} {
		if got := deviceName(agent); got != want {
			t.Errorf("deviceName(%q) = %q, want %q", agent, got, want)
		}
	}
}
