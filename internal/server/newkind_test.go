package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/builder/n8ntest"
	"sluice/internal/sluicetest"
)

// TestNewKind_FolderAndLine starts a whole Sluice with a kind of builder that no other code
// knows, in front of a real server, and works with it as people do.
func TestNewKind_FolderAndLine(t *testing.T) {
	t.Parallel()
	var person atomic.Value
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		person.Store(r.Header.Get(builder.HeaderUser))
		w.Header().Set("Content-Type", "application/json")
		switch r.Method + " " + r.URL.Path {
		case "GET /rest/settings":
			_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]string{"versionCli": "1.99.0"}})
		case "GET /rest/workflows":
			_, _ = w.Write([]byte(`{"data":[]}`))
		case "POST /rest/credentials", "GET /rest/login", "DELETE /rest/workflows/w1":
			t.Errorf("%s %s reached the builder", r.Method, r.URL.Path)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(upstream.Close)

	s := sluicetest.StartKinds(t, sluicetest.Values(t, "SLUICE_PROTECT="+upstream.URL), n8ntest.Kind())
	s.Add("vera", authz.RoleViewer, false)
	app := s.Apps.All()[0]
	if app.Kind.Name != "n8n" || app.Version != "1.99.0" || app.Name != "n8n" {
		t.Fatalf("the app is %s %s, called %q", app.Kind.Name, app.Version, app.Name)
	}
	main := s.SignedIn("vera")
	origin := app.Origin(strings.TrimPrefix(main.Base, "http://"))
	page := main.At(origin)
	call := page.With("Sec-Fetch-Mode", "cors").With("Accept", "application/json")

	stranger := s.Browser().At(origin)
	if a := stranger.Get("/"); a.Status != http.StatusSeeOther || !strings.Contains(a.Location(), "/login") {
		t.Errorf("a stranger's page: %d to %q, want the sign-in page", a.Status, a.Location())
	}
	if a := stranger.With("Sec-Fetch-Mode", "cors").Get("/rest/workflows"); a.Status != http.StatusUnauthorized {
		t.Errorf("a stranger's call: %d", a.Status)
	}
	if a := call.Get("/rest/workflows"); a.Status != http.StatusOK || a.Body != `{"data":[]}` ||
		person.Load() != "vera" {
		t.Errorf("allowed: %d %s as %q, want the list as vera", a.Status, a.Body, person.Load())
	}
	if a := call.Get("/rest/login"); a.Status != http.StatusOK || !strings.Contains(a.Body, `"vera@example.com"`) {
		t.Errorf("answered by Sluice: %d %s", a.Status, a.Body)
	}
	for what, a := range map[string]sluicetest.Answer{
		"a right that she lacks":  call.Do("POST", "/rest/credentials", "application/json", strings.NewReader(`{}`)),
		"not in the table":        call.Do("DELETE", "/rest/workflows/w1", "", nil),
		"the builder's own login": call.Do("POST", "/rest/login", "application/json", strings.NewReader(`{}`)),
	} {
		if a.Status != http.StatusForbidden && a.Status != http.StatusNotFound {
			t.Errorf("%s: %d %s", what, a.Status, a.Body)
		}
	}
}
