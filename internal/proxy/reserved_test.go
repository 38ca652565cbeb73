package proxy_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sluice/internal/authn"
	"sluice/internal/web"
)

// cookieOf finds a cookie that an answer sets.
func cookieOf(a answer, name string) *http.Cookie {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func TestReserved_Entry(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{kind: "generic"})
	first := w.do("GET", "/.sluice/enter?return=%2Fdeep%3Fa%3D1", with("Accept: text/html"), "")
	state := cookieOf(first, "__Host-sluice_enter")
	to, err := url.Parse(first.header.Get("Location"))
	if err != nil || first.status != 303 || state == nil {
		t.Fatalf("%d to %q, state %v", first.status, first.header.Get("Location"), state)
	}
	if !state.HttpOnly || !state.Secure || state.Path != "/" || state.SameSite != http.SameSiteLaxMode ||
		state.MaxAge != 600 {
		t.Errorf("state cookie %+v", state)
	}
	if q := to.Query(); to.Path != "/login" || q.Get("app") != w.app.ID || q.Get("return") != "/deep?a=1" ||
		q.Get("state") != state.Value {
		t.Errorf("it leads to %s", to)
	}
	who, _ := w.sessions.Lookup(w.mainToken("viewer"), authn.AudienceMain)
	code, err := w.sessions.NewEnterCode(t.Context(), who, w.app.ID, state.Value)
	if err != nil {
		t.Fatal(err)
	}
	target := "/.sluice/enter?code=" + code + "&return=%2Fdeep"
	if stolen := w.do("GET", target, with("Cookie: __Host-sluice_enter="+strings.Repeat("A", 43)), ""); cookieOf(
		stolen,
		"__Host-sluice_session",
	) != nil {
		t.Fatal("a code works in another browser")
	}
	if bare := w.do("GET", target, with(), ""); cookieOf(bare, "__Host-sluice_session") != nil {
		t.Fatal("a code works without the state")
	}
	in := w.do("GET", target, with("Cookie: __Host-sluice_enter="+state.Value), "")
	session := cookieOf(in, "__Host-sluice_session")
	if in.status != 303 || in.header.Get("Location") != "/deep" || session == nil ||
		cookieOf(in, "__Host-sluice_enter").MaxAge != -1 {
		t.Fatalf("answer %+v", in)
	}
	if got := w.do("GET", "/deep", with("Cookie: __Host-sluice_session="+session.Value), ""); got.status != 200 {
		t.Errorf("the cookie is good for %d", got.status)
	}
	if again := w.do("GET", target, with("Cookie: __Host-sluice_enter="+state.Value),
		""); again.status != http.StatusGone {
		t.Errorf("the code works twice: %d", again.status)
	}
	known := w.do("GET", "/.sluice/enter?return=%2Fx", with("Cookie: __Host-sluice_session="+session.Value), "")
	if known.status != 303 || known.header.Get("Location") != "/x" {
		t.Errorf("a known browser is sent to %q", known.header.Get("Location"))
	}
	if strings.Contains(w.log.String(), code) || strings.Contains(w.log.String(), state.Value) {
		t.Error("the log holds the code or the state")
	}
}

func TestReserved_EntryTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startFixture(t), options{kind: "generic"})
	cookie := w.cookie("viewer")
	for _, back := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "/%09/evil",
		"javascript:alert(1)", ""} {
		got := w.do("GET", "/.sluice/enter?return="+url.QueryEscape(back), with("Cookie: "+cookie), "")
		if to := got.header.Get("Location"); got.status != 303 || !strings.HasPrefix(to, "/") ||
			strings.HasPrefix(to, "//") ||
			strings.Contains(to, "evil.example") {
			t.Errorf("%q leads to %q", back, to)
		}
	}
}

func TestReserved_TwoSessionCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startFixture(t), options{})
	h := with("Cookie: "+w.cookie("viewer")+"; "+w.cookie("viewer"), "Accept: text/html", "Sec-Fetch-Mode: navigate")
	if got := w.do("GET", "/chatflows", h, ""); got.status != 401 ||
		cookieOf(got, "__Host-sluice_session").MaxAge != -1 {
		t.Errorf("status %d to %q", got.status, got.header.Get("Location"))
	}
}

func TestReserved_SignOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startFixture(t), options{})
	cookie := w.cookie("viewer")
	if got := w.do("GET", "/.sluice/signout", with("Cookie: "+cookie), ""); got.status != 404 {
		t.Errorf("a link signs out: %d", got.status)
	}
	if got := w.do("POST", "/.sluice/signout", with("Cookie: "+cookie, "Origin: https://evil.example"),
		""); got.status != 403 {
		t.Errorf("another site signs people out: %d", got.status)
	}
	got := w.do("POST", "/.sluice/signout", with("Cookie: "+cookie, "Origin: "+appOrigin), "")
	if got.status != 303 || cookieOf(got, "__Host-sluice_session").MaxAge != -1 {
		t.Errorf("answer %+v", got)
	}
	if after := w.do("GET", "/api/v1/chatflows", with("Cookie: "+cookie), ""); after.status != 401 {
		t.Errorf("the session lives on: %d", after.status)
	}
}

func TestReserved_FlowiseSignOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startFixture(t), options{})
	cookie := w.cookie("viewer")
	got := w.do("POST", "/api/v1/account/logout", with("Cookie: "+cookie, "Origin: "+appOrigin), "")
	if got.status != 200 || !strings.Contains(got.body, mainOrigin) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if after := w.do("GET", "/api/v1/chatflows", with("Cookie: "+cookie), ""); after.status != 401 {
		t.Errorf("the session lives on: %d", after.status)
	}
}

func TestReserved_FlowiseUser(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	cookie := w.cookie("viewer")
	if got := w.do("GET", "/api/v1/chatflows", with("Cookie: "+cookie), ""); got.status != 200 {
		t.Fatalf("status %d", got.status)
	}
	f.take()
	var user struct{ Email, Name string }
	got := w.do("GET", "/api/v1/auth/sso-success?token=sluice", with("Cookie: "+cookie), "")
	if err := json.Unmarshal([]byte(got.body), &user); err != nil || user.Email != "viewer@example.test" ||
		user.Name != "The viewer" {
		t.Errorf("%d %s", got.status, got.body)
	}
	var where struct{ RedirectURL string }
	got = w.do("POST", "/api/v1/auth/resolve", with("Content-Type: application/json"), `{}`)
	if err := json.Unmarshal([]byte(got.body), &where); err != nil ||
		where.RedirectURL != appOrigin+"/.sluice/enter?return=%2F" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if log := f.take(); len(log) > 0 {
		t.Errorf("the builder was asked: %s", log[0].raw)
	}
}

func TestReserved_Verify(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	if got := w.do("GET", "/.sluice/verify/whoami", with(), ""); got.status != 401 {
		t.Errorf("a stranger gets %d", got.status)
	}
	if got := w.do("GET", "/.sluice/verify/whoami", with("Cookie: "+w.cookie("viewer")), ""); got.status != 403 {
		t.Errorf("a viewer gets %d", got.status)
	}
	got := w.do(
		"GET",
		"/.sluice/verify/whoami",
		with("Cookie: a=b; "+w.cookie("admin"), "Origin: "+mainOrigin, "X-Forwarded-For: 6.6.6.6", "X-Custom: 1"),
		"",
	)
	var who struct {
		Username, Role, IP, Peer string
		Chain                    []string
		Headers                  map[string][]string
	}
	if err := json.Unmarshal([]byte(got.body), &who); err != nil || who.Username != "admin" || who.Role != "admin" ||
		who.IP != "127.0.0.1" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if h := who.Headers; h["X-Forwarded-For"][0] != "127.0.0.1" || h["Cookie"][0] != "(hidden)" ||
		h["X-Custom"][0] != "1" ||
		h["X-Request-From"][0] != "internal" {
		t.Errorf("headers %v", h)
	}
	if len(who.Chain) != 2 || who.Chain[1] != "6.6.6.6" {
		t.Errorf("chain %v", who.Chain)
	}
	if got.header.Get("Access-Control-Allow-Origin") != mainOrigin || strings.Contains(got.body, "service-") {
		t.Errorf("header %v, body %s", got.header, got.body)
	}
	if foreign := w.do("GET", "/.sluice/verify/whoami", with("Cookie: "+w.cookie("admin"), "Origin: "+
		"https://evil.example"), ""); foreign.header.Get(
		"Access-Control-Allow-Origin",
	) != "" {
		t.Error("any page may read it")
	}
}

func TestReserved_VerifyStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startFixture(t), options{})
	res, c := w.open("GET", "/.sluice/verify/stream", with("Cookie: "+w.cookie("admin")), "")
	defer func() { _ = c.Close() }()
	in, events := bufio.NewScanner(res.Body), 0
	for in.Scan() {
		if strings.HasPrefix(in.Text(), "data: ") {
			events++
		}
	}
	if res.StatusCode != 200 || events != 5 {
		t.Errorf("status %d, %d events", res.StatusCode, events)
	}
}

func TestReserved_Assets(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	got := w.do("GET", web.AssetPrefix+"nothing.css", with(), "")
	if got.status != 404 || len(f.take()) > 0 {
		t.Errorf("status %d", got.status)
	}
	for _, path := range []string{"/.sluice", "/.sluice/", "/.sluice/x", "/.sluice/enter/", "/.sluice/../api/v1/ping",
		"/.Sluice/enter", "/%2esluice/enter"} {
		if got := w.do("GET", path, with("Cookie: "+w.cookie("admin")), ""); got.status != 404 && got.status != 400 {
			t.Errorf("%s: status %d", path, got.status)
		}
	}
	if log := f.take(); len(log) > 0 {
		t.Errorf("the builder got %q", log[0].raw)
	}
}
