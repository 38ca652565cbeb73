package proxy_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestProxy_SignedIn(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	got := w.do(
		"GET",
		"/api/v1/chatflows?type=CHATFLOW",
		with("Cookie: a=1; "+w.cookie("viewer")+"; token=mine", "x-request-from: internal", "X-Forwarded-For: 6.6.6.6"),
		"",
	)
	if got.status != 200 || got.body != `{"ok":true,"data":[]}` {
		t.Fatalf("answer %+v", got)
	}
	log := f.take()
	if len(log) != 1 {
		t.Fatalf("%d requests reached the builder", len(log))
	}
	r := log[0].req
	if r.RequestURI != "/api/v1/chatflows?type=CHATFLOW" || r.Host != f.url().Host {
		t.Errorf("target %q, host %q", r.RequestURI, r.Host)
	}
	if c := r.Header.Get("Cookie"); !strings.HasPrefix(c, "token=service-") || strings.Contains(c, "sluice") ||
		strings.Contains(c, "mine") {
		t.Errorf("cookies %q", c)
	}
	for name, want := range map[string]string{
		"X-Request-From":    "internal",
		"X-Forwarded-For":   "127.0.0.1",
		"X-Forwarded-Proto": "https",
		"X-Forwarded-Host":  appHost,
	} {
		if got := r.Header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestProxy_Strangers(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	page := w.do("GET", "/canvas/"+privateFlow+"?x=1", with("Accept: text/html", "Sec-Fetch-Mode: navigate"), "")
	want := mainOrigin + "/login?app=" + w.app.ID + "&return=%2Fcanvas%2F" + privateFlow + "%3Fx%3D1&state="
	if page.status != http.StatusSeeOther || !strings.HasPrefix(page.header.Get("Location"), want) {
		t.Errorf("a navigation gets %d to %q, want %q", page.status, page.header.Get("Location"), want)
	}
	call := w.do("GET", "/api/v1/chatflows", with("Accept: application/json"), "")
	var body struct{ Message, Next string }
	if err := json.Unmarshal([]byte(call.body), &body); err != nil || call.status != http.StatusUnauthorized {
		t.Fatalf("a call gets %d %q", call.status, call.body)
	}
	if body.Message != "Invalid or Missing token" || !strings.Contains(body.Next, appOrigin+"/.sluice/enter") {
		t.Errorf("the error is not in the builder's shape, or does not say where to sign in: %q", call.body)
	}
	if n := len(f.take()); n != 0 {
		t.Errorf("%d requests reached the builder", n)
	}
}

func TestProxy_Roles(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	for _, c := range []struct {
		role, method, path, body string
		status                   int
	}{
		{"viewer", "GET", "/api/v1/chatflows/" + privateFlow, "", 200},
		{"viewer", "POST", "/api/v1/internal-prediction/" + privateFlow, `{"question":"hi"}`, 200},
		{"viewer", "POST", "/api/v1/chatflows", `{"name":"x"}`, 403},
		{"viewer", "DELETE", "/api/v1/chatflows/" + privateFlow, "", 403},
		{"user", "POST", "/api/v1/chatflows", `{"name":"x"}`, 200},
		{"user", "PUT", "/api/v1/chatflows/" + privateFlow, `{"isPublic":true}`, 403},
		{"user", "GET", "/api/v1/apikey", "", 403},
		{"admin", "PUT", "/api/v1/chatflows/" + privateFlow, `{"isPublic":true}`, 200},
		{"user", "GET", "/api/v1/credentials/44444444-4444-4444-8444-444444444444", "", 403},
		{"admin", "GET", "/api/v1/credentials/44444444-4444-4444-8444-444444444444", "", 200},
		{"superuser", "GET", "/api/v1/credentials/44444444-4444-4444-8444-444444444444", "", 200},
		{"none", "GET", "/api/v1/chatflows", "", 403},
		{"none", "POST", "/api/v1/prediction/" + publicFlow, `{"question":"hi"}`, 200},
		{"admin", "GET", "/api/v1/nope", "", 404},
		{"admin", "POST", "/api/v1/auth/login", `{"email":"a"}`, 403},
		{"admin", "POST", "/api/v1/account/register", `{}`, 403},
	} {
		h := with("Cookie: " + w.cookie(c.role))
		if c.body != "" {
			h.Set("Content-Type", "application/json")
		}
		got := w.do(c.method, c.path, h, c.body)
		reached := len(f.take())
		if got.status != c.status || (c.status == 200) != (reached == 1) {
			t.Errorf(
				"%s %s %s: %d (%d reached the builder), want %d: %s",
				c.role,
				c.method,
				c.path,
				got.status,
				reached,
				c.status,
				got.body,
			)
		}
	}
}
