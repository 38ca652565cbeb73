package proxy_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/proxy"
	"sluice/internal/secret"
	"sluice/internal/web"
)

const asideOrigin = "https://aside.test"

// aside is a world with an app behind a reverse proxy, whose sub-requests the tests write
// themselves.
type aside struct {
	*world
	keys *secret.Keyring
}

func newAside(t testing.TB, change func(*proxy.Config)) *aside {
	t.Helper()
	a := &aside{}
	var err error
	if a.keys, err = secret.Open(t.Context(), secret.Config{DB: dbtest.SQLite(t), Folder: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	up := startHandler(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Forwarded-For") != "" && r.URL.Path != proxy.ForwardAuthPath {
			t.Errorf("%s was forwarded", r.URL)
		}
	})
	a.world = newWorld(t, up, options{kind: "generic", change: func(c *proxy.Config) {
		c.Trust, c.Sign = web.Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, a.keys.Signer().Sign
		if change != nil {
			change(c)
		}
	}})
	a.app, err = a.apps.Manager.Add(
		t.Context(),
		systemPrincipal,
		app.Spec{Mode: app.ModeForwardAuth, PublicURL: asideOrigin, Name: "Aside"},
	)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ask sends a sub-request about a request at the app. Lines are further headers, or a replacement
// of one that ask writes.
func (a *aside) ask(method, uri string, lines ...string) answer {
	return a.askAs("", method, uri, lines...)
}

func (a *aside) askAs(query, method, uri string, lines ...string) answer {
	a.t.Helper()
	h := with(
		"Host: sluice.internal",
		"X-Forwarded-Method: "+method,
		"X-Forwarded-Host: aside.test",
		"X-Forwarded-Proto: https",
		"X-Forwarded-For: 203.0.113.9",
		"X-Forwarded-Uri: "+uri,
	)
	for name, values := range with(lines...) {
		h[name] = values
		if len(values) == 1 && values[0] == "(none)" {
			delete(h, name)
		}
	}
	return a.do("GET", proxy.ForwardAuthPath+query, h, "")
}

const navigation = "Sec-Fetch-Mode: navigate"

func TestForwardAuthDecides(t *testing.T) {
	t.Parallel()
	a := newAside(t, nil)
	cookies := map[string]string{"": ""}
	for _, role := range []string{"viewer", "user", "admin", "none"} {
		cookies[role] = a.cookie(role)
	}
	for _, tt := range []struct {
		name, who, method, uri string
		lines                  []string
		status                 int
		detail                 string
	}{
		{"a viewer reads", "viewer", "GET", "/flows?page=2", nil, 204, ""},
		{"a viewer asks for the head", "viewer", "HEAD", "/flows", nil, 204, ""},
		{"a viewer changes nothing", "viewer", "POST", "/flows", nil, 403, "not have permission to create or change " +
			"flows"},
		{"a user does", "user", "PUT", "/flows/1", nil, 204, ""},
		{"a user does not manage", "user", "GET", "/admin/settings", nil, 403, "manage the builder"},
		{"an admin does", "admin", "DELETE", "/admin/users/7", nil, 204, ""},
		{"admin paths in another case are the same", "user", "GET", "/ADMIN/settings", nil, 403, "manage the builder"},
		{"nobody's role", "none", "GET", "/", nil, 403, "not have permission"},
		{"a stranger's call", "", "GET", "/api", nil, 401, "Sign in"},
		{"a stranger's stream", "", "GET", "/events", []string{"Accept: text/event-stream", "Sec-Fetch-Mode: cors"},
			401, "Sign in"},
		{"a stranger's navigation", "", "GET", "/flows?x=1", []string{navigation}, 303, ""},
		{"a call in the middle of a path that two servers read differently", "admin", "GET", "/a/%2e%2e/b", nil, 400,
			"escape"},
		{"an encoded slash", "admin", "GET", "/a%2Fb", nil, 400, "escape"},
		{"two slashes", "admin", "GET", "//a", nil, 400, "two slashes"},
		{"a fragment", "admin", "GET", "/a#b", nil, 400, "character"},
		{"a query that hides another", "admin", "GET", "/a?x=1;y=2", nil, 400, "query"},
		{"an unknown method", "admin", "PROPFIND", "/", nil, 405, "method"},
		{"Sluice's own paths are never the app's", "admin", "GET", "/.sluice/enter", nil, 403, "Sluice's own"},
		{"a change from another site", "user", "POST", "/flows", []string{"Sec-Fetch-Site: cross-site"}, 403,
			"another site"},
		{"a change from the same site", "user", "POST", "/flows", []string{"Sec-Fetch-Site: same-origin"}, 204, ""},
		{"a preflight of another origin", "", "OPTIONS", "/flows", []string{"Origin: https://evil.test"}, 403,
			"other origins"},
		{"OPTIONS of the app's own pages", "viewer", "OPTIONS", "/flows", []string{"Origin: " + asideOrigin}, 204, ""},
		{"OPTIONS of a stranger", "", "OPTIONS", "/flows", nil, 401, "Sign in"},
		{"a WebSocket of the app's own page", "viewer", "GET", "/ws",
			[]string{"Upgrade: websocket", "Origin: " + asideOrigin}, 204, ""},
		{"a WebSocket of another page", "viewer", "GET", "/ws", []string{"Upgrade: websocket", "Origin: " +
			"https://evil.test"}, 403, "only from the app's own pages"},
		{"a WebSocket whose Upgrade the proxy kept back", "viewer", "GET", "/ws",
			[]string{"Sec-Websocket-Key: x", "Origin: https://evil.test"}, 403, "only from the app's own pages"},
		{"a WebSocket without an origin", "viewer", "GET", "/ws", []string{"Sec-Websocket-Key: x"}, 403, "only from " +
			"the app's own pages"},
		{"a WebSocket of a stranger", "", "GET", "/ws", []string{"Upgrade: websocket", navigation}, 401, "Sign in"},
		{"another protocol", "viewer", "GET", "/", []string{"Upgrade: h2c"}, 400, "WebSocket"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := tt.lines
			if c := cookies[tt.who]; c != "" {
				lines = append([]string{"Cookie: theme=dark; " + c}, lines...)
			}
			got := a.ask(tt.method, tt.uri, lines...)
			if got.status != tt.status || !strings.Contains(got.body, tt.detail) {
				t.Fatalf("%d %s, want %d with %q", got.status, got.body, tt.status, tt.detail)
			}
			if said := got.header.Get(builder.HeaderUser); (said != "") != (tt.status == 204) ||
				said != "" && said != tt.who {
				t.Errorf("%s: %q with status %d", builder.HeaderUser, said, got.status)
			}
			if to := got.header.Get("Location"); tt.status == 303 &&
				to != asideOrigin+"/.sluice/enter?return="+url.QueryEscape(tt.uri) {
				t.Errorf("sent to %s", to)
			}
			if got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control: %q", got.header.Get("Cache-Control"))
			}
			// nginx gets the same in the two statuses that it knows, and holds the rest back.
			want := map[int]int{204: 204, 401: 401, 303: 401}[tt.status]
			if want == 0 {
				want = 403
			}
			short := a.askAs("?proxy=nginx", tt.method, tt.uri, lines...)
			if short.status != want || short.body != "" ||
				short.header.Get("X-Sluice-Location") != got.header.Get("Location") {
				t.Errorf("nginx is told %d %q %v, want %d", short.status, short.body, short.header, want)
			}
			var document struct{ Detail string }
			if err := json.Unmarshal([]byte(short.header.Get("X-Sluice-Problem")), &document); want != 204 &&
				(err != nil || !strings.Contains(document.Detail, tt.detail)) {
				t.Errorf("nginx is told %q, want %q", short.header.Get("X-Sluice-Problem"), tt.detail)
			}
			if long := a.askAs("?proxy=nginx-answer", tt.method, tt.uri, lines...); tt.status == 204 &&
				(long.status != 503 || long.header.Get(builder.HeaderUser) != "") ||
				tt.status != 204 && long.status != tt.status {
				t.Errorf("nginx gives the browser %d %v", long.status, long.header)
			}
		})
	}
}

func TestForwardAuth_TrustedProxyOnly(t *testing.T) {
	t.Parallel()
	a := newAside(t, func(c *proxy.Config) { c.Trust = web.Trust{} })
	cookie := "Cookie: " + a.cookie("admin")
	if got := a.ask("GET", "/", cookie); got.status != 403 || !strings.Contains(got.body, "127.0.0.1") ||
		!strings.Contains(got.body, "TRUST_PROXY") ||
		!strings.Contains(got.body, "NUMBER_OF_PROXIES") {
		t.Errorf("an unknown peer gets %d %s", got.status, got.body)
	}
	if !a.apps.LastAsked(a.app).IsZero() {
		t.Error("an unknown peer counts as the first sub-request")
	}
	a = newAside(t, func(c *proxy.Config) { c.Trust = web.Trust{Hops: 1} })
	if got := a.ask("GET", "/", "Cookie: "+a.cookie("admin")); got.status != 204 {
		t.Errorf("the one proxy that there is gets %d %s", got.status, got.body)
	}
	if !strings.Contains(a.log.String(), "203.0.113.9") {
		t.Errorf("the log does not name the client:\n%s", a.log.String())
	}
}

func TestForwardAuth_HeadersOnce(t *testing.T) {
	t.Parallel()
	a := newAside(t, nil)
	cookie := "Cookie: " + a.cookie("admin")
	for _, lines := range [][]string{
		{"X-Forwarded-Method: (none)"}, {"X-Forwarded-Method: "}, {"X-Forwarded-Method: GET", "X-Forwarded-Method: " +
			"POST"}, {"X-Forwarded-Method: get"}, {"X-Forwarded-Method: GET, POST"},
		{"X-Forwarded-Host: (none)"}, {"X-Forwarded-Host: aside.test, evil.test"}, {"X-Forwarded-Host: aside.test",
			"X-Forwarded-Host: aside.test"}, {"X-Forwarded-Host: evil.test"},
		{"X-Forwarded-Host: x@aside.test"}, {"X-Forwarded-Host: aside.test/"}, {"X-Forwarded-Host: " +
			strings.Repeat("a", 300)}, {"X-Forwarded-Host: aside.test:444"},
		{"X-Forwarded-Uri: (none)"}, {"X-Forwarded-Uri: flows"}, {"X-Forwarded-Uri: https://aside.test/"},
		{"X-Forwarded-Uri: /a", "X-Forwarded-Uri: /b"},
		{"X-Forwarded-Host: " + appHost},
		{"X_Sluice_User: admin"}, {"X-Sluice_user: admin"}, {"x_sluice-Role: admin"}, {"X.Sluice.Assertion: a.b.c"},
		{"X-SLUICE.ID: 1"}, {"X-Sluice-Admin: yes"}, {"X-Sluice-Users: root"}, {"X-Sluice-: 1"},
	} {
		if got := a.ask("GET", "/", append(lines, cookie)...); got.status != 403 ||
			got.header.Get(builder.HeaderUser) != "" {
			t.Errorf("%q: %d %s", lines, got.status, got.body)
		}
	}
	if got := a.ask("GET", "/", cookie, "X-Forwarded-Host: ASIDE.test"); got.status != 204 {
		t.Errorf("a host in another case: %d %s", got.status, got.body)
	}
	if got := a.ask("GET", "/", cookie, "X-Sluice-User: root", "x-sluice-role: admin"); got.status != 204 ||
		got.header.Get(builder.HeaderUser) != "admin" {
		t.Errorf("a client's own copy, which the proxy replaces: %d %v", got.status, got.header)
	}
	if got := a.ask("GET", "/", cookie, "Host: gate.test"); got.status != 403 ||
		!strings.Contains(got.body, "for browsers") {
		t.Errorf("asked at the address for browsers: %d %s", got.status, got.body)
	}
	if got := a.ask("GET", "/", cookie, "Host: "+appHost); got.header.Get(builder.HeaderUser) != "" {
		t.Errorf("the path is Sluice's on the host of an app that Sluice forwards to: %d", got.status)
	}
}

func TestForwardAuth_OwnHostName(t *testing.T) {
	t.Parallel()
	a := newAside(
		t,
		func(c *proxy.Config) { c.MainOrigin = func(host string) string { return "http://" + host + ":3000" } },
	)
	if got := a.ask("GET", "/", "Cookie: "+a.cookie("admin")); got.status != 403 ||
		!strings.Contains(got.body, "APP_URL") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// assertion asks about a page and verifies Sluice's assertion about the person.
func (a *aside) assertion(cookie string) (token string, claims map[string]any) {
	a.t.Helper()
	got := a.ask("GET", "/", cookie)
	if got.status != 204 {
		a.t.Fatalf("%d %s", got.status, got.body)
	}
	token = got.header.Get(builder.HeaderAssertion)
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		a.t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(a.keys.Signer().JWKS(), &set); err != nil {
		a.t.Fatal(err)
	}
	text, err := signed.Verify(&set)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		a.t.Fatal(err)
	}
	return token, claims
}

func TestForwardAuth_SignedIdentity(t *testing.T) {
	t.Parallel()
	a := newAside(t, nil)
	start := a.clock.now()
	token, session := a.session("user")
	cookie := "Cookie: " + authn.CookieName(true) + "=" + token
	first, claims := a.assertion(cookie)
	for name, age := range map[string]time.Duration{"iat": 0, "nbf": -30 * time.Second, "exp": 5 * time.Minute} {
		at := time.Unix(int64(claims[name].(float64)), 0)
		if d := at.Sub(start.Add(age)); d < -time.Second || d > 20*time.Second {
			t.Errorf("%s is %v off", name, d)
		}
		delete(claims, name)
	}
	mark, _ := claims["sid"].(string)
	if len(mark) < 20 || strings.Contains(mark, session) {
		t.Errorf("sid %q of session %s", mark, session)
	}
	want := map[string]any{
		"iss":                mainOrigin,
		"aud":                asideOrigin,
		"sub":                a.ids["user"],
		"preferred_username": "user",
		"email":              "user@example.test",
		"name":               "The user",
		"role":               "user",
		"sid":                mark,
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Error(diff)
	}
	if again, _ := a.assertion(cookie); again != first {
		t.Error("a second request within the minute was signed anew")
	}
	if other, _ := a.assertion("Cookie: " + a.cookie("user")); other == first {
		t.Error("two sessions share an assertion")
	}
	a.clock.advance(61 * time.Second)
	later, _ := a.assertion(cookie)
	if later == first {
		t.Error("after a minute the same assertion is given out")
	}
	if err := a.people.Update(context.Background(), systemPrincipal, a.ids["user"],
		identity.UserUpdate{Username: problem.Some("user"), Email: problem.Some("user@example.test"),
			Name: problem.Some("Zoë Ü")}); err != nil {
		t.Fatal(err)
	}
	if _, claims := a.assertion(cookie); claims["name"] != "Zoë Ü" {
		t.Errorf("the new name is not said: %v", claims)
	}
	got := a.ask("GET", "/", cookie)
	if name, err := url.PathUnescape(got.header.Get(builder.HeaderName)); err != nil || name != "Zoë Ü" {
		t.Errorf("%s: %q", builder.HeaderName, got.header.Get(builder.HeaderName))
	}
	if err := a.people.SetRole(context.Background(), systemPrincipal, a.ids["user"], identity.DefaultWorkspace,
		authz.RoleViewer); err != nil {
		t.Fatal(err)
	}
	if _, claims := a.assertion(cookie); claims["role"] != "viewer" {
		t.Errorf("the new role is not said: %v", claims)
	}
	if got := a.ask("POST", "/flows", cookie); got.status != 403 {
		t.Errorf("the former role still counts: %d", got.status)
	}
}

func TestForwardAuth_SessionRevoked(t *testing.T) {
	t.Parallel()
	a := newAside(t, nil)
	token, session := a.session("viewer")
	cookie := "Cookie: " + authn.CookieName(true) + "=" + token
	if got := a.ask("GET", "/", cookie); got.status != 204 {
		t.Fatalf("%d", got.status)
	}
	who, _ := a.sessions.Lookup(token, a.app.ID)
	if err := a.sessions.Revoke(context.Background(), who, session); err != nil {
		t.Fatal(err)
	}
	if got := a.ask("GET", "/", cookie); got.status != 401 || got.header.Get(builder.HeaderAssertion) != "" {
		t.Errorf("after signing out: %d", got.status)
	}
	if got := a.ask("GET", "/", "Cookie: "+a.cookie("viewer")+"; "+a.cookie("admin")); got.status != 401 {
		t.Errorf("two session cookies: %d", got.status)
	}
}

func TestForwardAuth_NoSignature(t *testing.T) {
	t.Parallel()
	a := newAside(t, func(c *proxy.Config) {
		c.Sign = func(any) (string, error) { return "", context.DeadlineExceeded }
	})
	if got := a.ask("GET", "/", "Cookie: "+a.cookie("admin")); got.status != 503 ||
		got.header.Get(builder.HeaderUser) != "" {
		t.Errorf("%d %v", got.status, got.header)
	}
}

// The reverse proxy passes the paths below /.sluice/ to Sluice, and nothing else.
func TestForwardAuth_Entrance(t *testing.T) {
	t.Parallel()
	a := newAside(t, nil)
	proxied := []string{"Host: aside.test", "X-Forwarded-Proto: https", navigation}
	got := a.do("GET", "/.sluice/enter?return=/flows", with(proxied...), "")
	if to := got.header.Get("Location"); got.status != 303 ||
		!strings.HasPrefix(to, mainOrigin+"/login?app="+a.app.ID+"&return=%2Fflows&state=") {
		t.Fatalf("%d %s", got.status, to)
	}
	state := strings.Split(strings.Split(got.header.Get("Set-Cookie"), ";")[0], "=")
	who, _ := a.sessions.Lookup(a.mainToken("viewer"), authn.AudienceMain)
	code, err := a.sessions.NewEnterCode(context.Background(), who, a.app.ID, state[1])
	if err != nil {
		t.Fatal(err)
	}
	got = a.do(
		"GET",
		"/.sluice/enter?return=/flows&code="+code,
		with(append(proxied, "Cookie: "+state[0]+"="+state[1])...),
		"",
	)
	if got.status != 303 || got.header.Get("Location") != "/flows" {
		t.Fatalf("%d %v", got.status, got.header)
	}
	session := ""
	for _, line := range got.header["Set-Cookie"] {
		if strings.HasPrefix(line, authn.CookieName(true)+"=") {
			session = strings.Split(line, ";")[0]
		}
	}
	if got := a.ask("GET", "/flows", "Cookie: "+session); got.status != 204 ||
		got.header.Get(builder.HeaderUser) != "viewer" {
		t.Errorf("with the cookie of the entrance: %d", got.status)
	}
	if got := a.do("GET", "/.sluice/verify/whoami", with(append(proxied, "Cookie: "+session)...),
		""); got.status != 403 &&
		got.status != 200 {
		t.Errorf("whoami: %d", got.status)
	}
	if got := a.do("GET", "/flows", with(append(proxied, "Cookie: "+session)...), ""); got.status != 404 ||
		!strings.Contains(got.body, "reverse proxy") {
		t.Errorf("asked at Sluice itself: %d %s", got.status, got.body)
	}
}

func TestForwardAuth_FirstSubrequest(t *testing.T) {
	t.Parallel()
	a := newAside(t, nil)
	if h := a.apps.Monitor.Health(a.app.ID); h.OK || !strings.Contains(h.Text, "No reverse proxy has sent a request") {
		t.Errorf("before: %+v", h)
	}
	a.ask("GET", "/")
	if h := a.apps.Monitor.Health(a.app.ID); !h.OK {
		t.Errorf("after: %+v", h)
	}
	eventually(t, "the first sub-request being stored", func() bool {
		now, ok := a.apps.ByID(a.app.ID)
		return ok && !now.SeenAt.IsZero()
	})
}

func TestForwardAuth_CredentialsHidden(t *testing.T) {
	t.Parallel()
	a := newAside(t, nil)
	cookie := a.cookie("viewer")
	passed := func(lines ...string) map[string]string {
		t.Helper()
		got := a.ask("GET", "/", lines...)
		if got.status != 204 || got.header.Get(builder.HeaderUser) != "viewer" {
			t.Fatalf("%q: %d %s", lines, got.status, got.body)
		}
		out := map[string]string{}
		for _, name := range []string{"Cookie", "Authorization", "X-Api-Key"} {
			if v := got.header[name]; v != nil {
				out[name] = strings.Join(v, "; ")
			}
		}
		return out
	}
	key, id := a.key("viewer", authn.NewAPIKey{})
	for _, tt := range []struct {
		lines []string
		want  map[string]string
	}{
		{[]string{"Cookie: " + cookie}, map[string]string{}},
		{[]string{"Cookie: theme=dark; " + cookie + "; lang=en"}, map[string]string{"Cookie": "theme=dark; lang=en"}},
		{[]string{"Cookie: theme=dark", "Cookie: " + cookie + "; sluice_theme=dark"},
			map[string]string{"Cookie": "theme=dark"}},
		{[]string{"Cookie: " + cookie, "Authorization: Basic YTpi", "X-Api-Key: its own"},
			map[string]string{"Authorization": "Basic YTpi", "X-Api-Key": "its own"}},
		{[]string{"Authorization: Bearer " + key}, map[string]string{}},
		{[]string{"X-Api-Key: " + key, "Cookie: theme=dark"}, map[string]string{"Cookie": "theme=dark"}},
		{[]string{"X-Api-Key: " + key, "Authorization: Bearer of-the-app"},
			map[string]string{"Authorization": "Bearer of-the-app"}},
	} {
		if diff := cmp.Diff(tt.want, passed(tt.lines...)); diff != "" {
			t.Errorf("%q: %s", tt.lines, diff)
		}
	}
	if _, claims := a.assertion("Authorization: Bearer " + key); claims["key"] != id || claims["sid"] != nil {
		t.Errorf("the assertion of a program: %v", claims)
	}
	for _, query := range []string{"", "?proxy=nginx"} {
		got := a.askAs(query, "GET", "/", "Authorization: Bearer "+key[:len(key)-1]+"x", navigation)
		if got.status != 401 || query != "" && !strings.Contains(got.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("a wrong key: %d %v", got.status, got.header)
		}
	}
}
