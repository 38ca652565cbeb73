//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func (w *team) strangers(t *testing.T) {
	page := NewClient(t, w.app)
	page.Header.Set("Accept", "text/html,application/xhtml+xml")
	page.Header.Set("Sec-Fetch-Mode", "navigate")
	for _, path := range []string{"/", "/chatflows", "/v2/agentcanvas/" + w.flow, "/credentials", "/sso-success"} {
		if a := page.Get(path); a.Status != http.StatusSeeOther ||
			!strings.HasPrefix(a.Header.Get("Location"), w.s.URL+"/login") {
			t.Errorf("GET %s: %d to %q, want the sign-in page", path, a.Status, a.Header.Get("Location"))
		}
	}
	for _, header := range []http.Header{{}, {"X-Request-From": {"internal"}}, {"Authorization": {"Bearer x"}},
		{"Cookie": {"token=x; refreshToken=y; connect.sid=z"}}} {
		c := NewClient(t, w.app)
		c.Header = header
		for _, call := range w.calls() {
			method, path, _ := strings.Cut(call, " ")
			a := c.Call(method, path, bodyFor(method))
			if a.Status != http.StatusUnauthorized || !a.IsJSON() || strings.Contains(a.Body, "flowData") {
				t.Errorf("%s with %v: %d %.120s, want 401 JSON", call, header, a.Status, a.Body)
			}
		}
	}
	// The builder's SDK asks this without its key; the answer is the same for flows that do not
	// exist.
	for _, flow := range []string{w.flow, "00000000-0000-4000-8000-000000000000"} {
		if a := NewClient(t, w.app).Get("/api/v1/chatflows-streaming/" + flow); a.Status != http.StatusOK ||
			a.Body != `{"isStreaming":true}` {
			t.Errorf("a stranger learns of flow %s: %d %.120s", flow, a.Status, a.Body)
		}
	}
	p := NewPerson(t, "stranger")
	p.Open(w.app + "/v2/agentcanvas/" + w.flow)
	p.At(w.s.URL + "/login")
	p.Shot("stranger")
}

// calls are what a stranger would like; most of them a bare Flowise answers without asking who it
// is.
func (w *team) calls() []string {
	return []string{
		"GET /api/v1/chatflows",
		"GET /api/v1/chatflows/" + w.flow,
		"GET /api/v1/nodes",
		"GET /api/v1/credentials",
		"POST /api/v1/prediction/" + w.flow,
		"POST /api/v1/internal-prediction/" + w.flow,
		"GET /api/v1/public-chatbotConfig/" + w.flow,
		"GET /api/v1/public-chatflows/" + w.flow,
		"GET /api/v1/chatflows-uploads/" + w.flow,
		"GET /api/v1/feedback/" + w.flow,
		"POST /api/v1/vector/upsert/" + w.flow,
		"GET /api/v1/auth/sso-success?token=x",
	}
}

// bodyFor is a small body for methods that have one.
func bodyFor(method string) any {
	if method == "GET" {
		return nil
	}
	return map[string]any{"question": "hi"}
}

// oldWays tries Flowise's own accounts and keys as a stranger and as people with a session. Nothing
// may get through to Flowise: it answers some of these without sign-in, and Sluice attaches the
// owner's session to every request that it forwards.
func (w *team) oldWays(t *testing.T) {
	stranger := NewClient(t, w.app)
	for who, c := range map[string]*Client{"stranger": stranger, "viewer": w.viewerAPI, "admin": w.adminAPI} {
		for _, door := range []struct {
			call string
			body any
		}{
			{"POST /api/v1/auth/login", map[string]string{"email": testOwner.Email, "password": testOwner.Password}},
			{"POST /api/v1/account/register",
				map[string]any{"user": map[string]string{"name": "m", "email": "m@example.com",
					"credential": "Abcdef1!Abcdef1!"}}},
			{"POST /api/v1/account/forgot-password",
				map[string]any{"user": map[string]string{"email": "m@example.com"}}},
			{"POST /api/v1/account/reset-password",
				map[string]any{"user": map[string]string{"email": "m@example.com", "tempToken": "x",
					"password": "Abcdef1!"}}},
			{"POST /api/v1/account/verify", map[string]any{"user": map[string]string{"tempToken": "x"}}},
			{"POST /api/v1/account/confirm-email-change", map[string]any{"user": map[string]string{"tempToken": "x"}}},
			{"POST /api/v1/account/resend-verification", map[string]string{"email": "m@example.com"}},
			{"POST /api/v1/account/invite", map[string]any{}},
			{"POST /api/v1/user", map[string]string{"name": "m", "email": "m@example.com", "credential": "Abcdef1!"}},
			{"PUT /api/v1/user", map[string]string{"name": "m"}},
			{"POST /api/v1/organization", map[string]string{"name": "m"}},
			{"PUT /api/v1/organization", map[string]string{"name": "m"}},
			{"POST /api/v1/workspace/switch?id=x", map[string]any{}},
			{"GET /api/v1/organizationuser?organizationId=x", nil},
			{"GET /api/v1/verify/apikey/abc", nil},
			{"GET /api/v1/chatflows/apikey/abc", nil},
			{"GET /api/v1/user/test", nil},
			{"GET /api/v1/google/login", nil},
		} {
			method, path, _ := strings.Cut(door.call, " ")
			a := c.Call(method, path, door.body)
			if a.Status < 400 || a.Status >= 500 {
				t.Errorf("%s as %s: %d %.120s, want a refusal", door.call, who, a.Status, a.Body)
			}
			if cookies := a.Header.Values("Set-Cookie"); strings.Contains(strings.Join(cookies, " "), "connect.sid") {
				t.Errorf("%s as %s hands out a session of Flowise", door.call, who)
			}
		}
	}
	w.nativePages(t)
}

// nativePages shows that Flowise's own account pages lead nowhere.
func (w *team) nativePages(t *testing.T) {
	for _, path := range []string{"/signin", "/register", "/forgot-password", "/reset-password", "/organization-setup",
		"/verify"} {
		if a := w.viewerAPI.Get(path); a.Status == http.StatusOK && strings.Contains(a.Body, `id="root"`) {
			t.Errorf("%s serves Flowise's own page", path)
		}
	}
	p := NewPerson(t, "olga")
	p.Open(w.app + "/signin")
	p.Shot("signin")
	if text := p.Text(); strings.Contains(text, "Sign In to") || len(p.Asked("POST", "/auth/login")) > 0 {
		t.Errorf("Flowise's own sign-in form is shown: %s", fmt.Sprint(text))
	}
}

func (w *team) signOut(t *testing.T) {
	for range 2 { // the second time shows that signing in again works
		w.admin.Open(w.app + "/")
		if strings.HasPrefix(w.admin.URL(), w.s.URL) {
			w.admin.signIn(adminAccount)
			w.admin.SeeFlowise()
		}
		w.admin.LogOutOfFlowise(w.app)
		w.admin.At(w.s.URL)
		w.admin.Shot("signed-out")
		w.admin.Open(w.s.URL + "/account")
		w.admin.At(w.s.URL + "/login")
		w.admin.Open(w.app + "/chatflows")
		w.admin.At(w.s.URL + "/login")
	}
	if a := w.adminAPI.Get("/api/v1/chatflows"); a.Status != http.StatusOK {
		t.Errorf("signing out on one device ended the session of another: %d", a.Status)
	}
	if a := w.viewerAPI.Get("/api/v1/chatflows"); a.Status != http.StatusOK {
		t.Errorf("one person's sign-out ended another's session: %d", a.Status)
	}
}
