package proxy_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"sluice/internal/identity"
)

func TestMatch_Hosts(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	for host, want := range map[string]string{
		"sluice.test":              "pong",
		"SLUICE.test":              "pong",
		"gate.test":                "sluice itself",
		"gate.test:3000":           "sluice itself",
		"127.0.0.1:3000":           "sluice itself",
		"[::1]:3000":               "sluice itself",
		"localhost":                "sluice itself",
		"evil.example":             "421",
		"sluice.test.evil.example": "421",
		"sluice.test:8443":         "421",
		"sluice.test.":             "421", "gate.test.evil.example": "421",
	} {
		f.reply(func(request) string { return reply(200, "pong", "Content-Type: text/plain") })
		got := w.raw("GET /api/v1/ping HTTP/1.1\r\nHost: "+host+"\r\n\r\n", "GET")
		if got.body != want && strconv.Itoa(got.status) != want {
			t.Errorf("%s: %d %.80q, want %s", host, got.status, got.body, want)
		}
		if want == "421" && (!strings.Contains(got.body, "<html") || len(f.take()) > 0) {
			t.Errorf("%s: the page does not explain, or the builder was asked: %q", host, got.body)
		}
		f.take()
	}
}

func TestMatch_OwnPort(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{public: "-"})
	for host, want := range map[string]int{
		"127.0.0.1:4000":            200,
		"localhost:4000":            200,
		"192.0.2.7:4000":            200,
		"gate.test:4000":            200,
		"rebound.evil.example:4000": 421,
	} {
		if got := w.raw("GET /api/v1/ping HTTP/1.1\r\nHost: "+host+"\r\n\r\n", "GET"); got.status != want {
			t.Errorf("%s: status %d, want %d", host, got.status, want)
		}
	}
	if _, err := w.apps.Manager.Remove(t.Context(), systemPrincipal, w.app.ID); err != nil {
		t.Fatal(err)
	}
	if got := w.raw("GET /api/v1/ping HTTP/1.1\r\nHost: localhost:4000\r\n\r\n", "GET"); got.status != http.StatusGone {
		t.Errorf("after the app was removed: status %d", got.status)
	}
}

func TestMatch_SluicesHostName(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{public: "-"})
	main, app := w.mainToken("viewer"), w.cookieOn("viewer", "sluice_session")
	// mainOrigin is https://gate.test, so that gate.test is the host name whose cookies Sluice's
	// own pages share.
	for name, c := range map[string]struct {
		host, cookie string
		want         int
	}{
		"own cookie on the shared name":      {"gate.test:4000", "sluice_session=" + main, 200},
		"an app's cookie on the shared name": {"gate.test:4000", app, 401},
		"own cookie on another name":         {"127.0.0.1:4000", "sluice_session=" + main, 401},
		"an app's cookie on another name":    {"127.0.0.1:4000", app, 200},
	} {
		got := w.raw("GET /api/v1/chatflows HTTP/1.1\r\nHost: "+c.host+"\r\nCookie: "+c.cookie+"\r\n\r\n", "GET")
		if got.status != c.want {
			t.Errorf("%s: status %d, want %d", name, got.status, c.want)
		}
	}
}

func TestMatch_CrossSite(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	cookie := "Cookie: " + w.cookie("admin")
	for name, c := range map[string]struct {
		method string
		header http.Header
		want   int
	}{
		"same origin": {"DELETE", with(cookie, "Origin: "+appOrigin, "Sec-Fetch-Site: same-origin"), 200},
		"a program":   {"DELETE", with(cookie), 200},
		"another site": {"DELETE", with(cookie, "Origin: https://evil.example", "Sec-Fetch-Site: "+
			"cross-site"), 403},
		"a sibling host": {"DELETE", with(cookie, "Origin: https://gate.test", "Sec-Fetch-Site: same-site"), 403},
		"an old browser": {"DELETE", with(cookie, "Origin: https://evil.example"), 403},
		"null":           {"DELETE", with(cookie, "Origin: null"), 403},
		"reading from anywhere": {"GET", with(cookie, "Origin: https://evil.example", "Sec-Fetch-Site: "+
			"cross-site"), 200},
		"preflight of another": {"OPTIONS",
			with("Origin: https://evil.example", "Access-Control-Request-Method: DELETE"), 403},
		"preflight of the app's own": {"OPTIONS", with("Origin: "+appOrigin, "Access-Control-Request-Method: DELETE"),
			204},
		"OPTIONS of nobody": {"OPTIONS", with(), 403},
	} {
		w.own(w.app.ID, identity.DefaultWorkspace, privateFlow) // an earlier case deleted it
		got := w.do(c.method, "/api/v1/chatflows/"+privateFlow, c.header, "")
		if got.status != c.want {
			t.Errorf("%s: status %d, want %d: %s", name, got.status, c.want, got.body)
		}
		for header := range got.header {
			if strings.HasPrefix(header, "Access-Control") {
				t.Errorf("%s: the answer has %s", name, header)
			}
		}
	}
}

func TestMatch_RefusedMethods(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	cookie := "Cookie: " + w.cookie("admin")
	for _, method := range []string{"TRACE", "PROPFIND", "QUERY", "get", "MKCOL"} {
		if got := w.do(method, "/api/v1/chatflows", with(cookie), ""); got.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d", method, got.status)
		}
	}
	if log := f.take(); len(log) > 0 {
		t.Errorf("the builder got %q", log[0].raw)
	}
}

func TestHeadFollowsGet(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	if got := w.do("HEAD", "/api/v1/chatflows", with("Cookie: "+w.cookie("viewer")), ""); got.status != 200 ||
		got.body != "" {
		t.Errorf("status %d, body %q", got.status, got.body)
	}
	if got := w.do("HEAD", "/api/v1/apikey", with("Cookie: "+w.cookie("viewer")), ""); got.status != 403 ||
		got.body != "" {
		t.Errorf("what GET may not HEAD may not either: %d %q", got.status, got.body)
	}
}
