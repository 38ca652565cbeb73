package proxy_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestView_LockedFlow(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, true)
	w.f.Take()
	h := w.as("viewer")
	h.Set("If-Match", `"x"`)
	h.Set("Content-Type", "application/json")
	got := w.do("PATCH", "/api/v1/flows/"+w.ownFlow, h, `{"name":"changed","locked":true,"data":{"nodes":[]}}`)
	if got.status != 200 || !strings.Contains(got.body, `"name":"Ours"`) ||
		!strings.Contains(got.body, `"locked":true`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	var sent []string
	for _, g := range w.f.Take() {
		sent = append(sent, g.Method+" "+g.Target+" "+g.Body)
		if g.Header.Get("If-Match") != "" || g.Header.Get("Content-Type") != "" {
			t.Errorf("Langflow got %v", g.Header)
		}
	}
	if diff := cmp.Diff([]string{"GET /api/v1/flows/" + w.ownFlow + " "}, sent); diff != "" {
		t.Error(diff)
	}
	w.f.With(func() {
		if name := w.own.Get("flows", w.ownFlow).Name; name != "Ours" {
			t.Errorf("the flow is called %q", name)
		}
	})
	for name, target := range map[string]string{"of another workspace": w.flow, "nobody's": nobodys} {
		if got := w.call("viewer", "PATCH", "/api/v1/flows/"+target, `{"locked":true}`); got.status != 404 {
			t.Errorf("a flow %s: %d %s", name, got.status, got.body)
		}
	}
	if got := w.call("viewer", "PATCH", "/api/v1/flows/"+w.ownFlow,
		`{"name":"changed"}`); got.status != http.StatusLocked ||
		!strings.Contains(got.body, "Nothing was saved") {
		t.Errorf("what a viewer has changed: %d %s", got.status, got.body)
	}
	if got := w.call("user", "PATCH", "/api/v1/flows/"+w.ownFlow,
		`{"name":"changed","locked":true}`); got.status != 200 ||
		!strings.Contains(got.body, `"name":"changed"`) {
		t.Errorf("an editor locks a flow: %d %s", got.status, got.body)
	}
}

func TestPeople_Permissions(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	project := w.own.Things["projects"][0].ID
	for _, target := range []string{"/api/v1/flows/", "/api/v1/projects/"} {
		w.call("admin", "GET", target, "") // an unseen object is claimed
	}
	ask := func(role, kind string, ids ...string) map[string][]string {
		body, _ := json.Marshal(map[string]any{"resource_type": kind, "resource_ids": ids})
		got := w.call(role, "POST", "/api/v1/authz/me/permissions", string(body))
		var out struct{ Permissions map[string][]string }
		if err := json.Unmarshal([]byte(got.body), &out); err != nil || got.status != 200 {
			t.Fatalf("%s: %d %s", role, got.status, got.body)
		}
		return out.Permissions
	}
	all := []string{"read", "write", "execute", "delete", "create"}
	for role, want := range map[string][]string{"viewer": {"read", "execute"}, "user": all, "admin": all, "other": {}} {
		got := ask(role, "flow", w.ownFlow, w.oldFlow, nobodys)
		if diff := cmp.Diff(map[string][]string{w.ownFlow: want, w.oldFlow: want, nobodys: {}}, got); diff != "" {
			t.Errorf("flows for %s: %s", role, diff)
		}
	}
	if got := ask("viewer", "project", project); !cmp.Equal(got[project], []string{"read", "execute"}) {
		t.Errorf("a project for a viewer: %v", got)
	}
	if got := w.do("POST", "/api/v1/authz/me/permissions", with("Content-Type: application/json"),
		`{"resource_type":"flow","resource_ids":[]}`); got.status != 401 {
		t.Errorf("a stranger asks: %d", got.status)
	}
}

func TestView_OldPageToken(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, true)
	h := w.as("viewer")
	h.Set("Authorization", "Bearer sluice")
	if got := w.do("GET", "/api/v1/flows/"+w.ownFlow, h, ""); got.status != 200 {
		t.Errorf("beside a session: %d %s", got.status, got.body)
	}
	for _, g := range w.f.Take() {
		if g.Header.Get("Authorization") == "Bearer sluice" {
			t.Errorf("Langflow got it")
		}
	}
	if got := w.do("GET", "/api/v1/flows/"+w.ownFlow, with("Authorization: Bearer sluice"), ""); got.status != 401 {
		t.Errorf("alone: %d %s", got.status, got.body)
	}
	h.Set("Authorization", "Bearer sluice2")
	if got := w.do("GET", "/api/v1/flows/"+w.ownFlow, h, ""); got.status != 401 {
		t.Errorf("another token: %d %s", got.status, got.body)
	}
}

func TestView_PeoplePage(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	if got := w.do("GET", "/.sluice/people", nil, ""); got.status != http.StatusSeeOther ||
		!strings.HasSuffix(got.header.Get("Location"), "/admin/people") {
		t.Errorf("%d %v", got.status, got.header)
	}
}

func TestView_NoCreate(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	for role, want := range map[string]bool{"viewer": true, "user": false} {
		got := w.call(role, "GET", "/api/v1/config", "")
		if got.status != 200 || strings.Contains(got.body, `"hide_new_flow_button":true`) != want ||
			strings.Contains(got.body, `"hide_new_project_button":true`) != want {
			t.Errorf("%s: %d %s", role, got.status, got.body)
		}
	}
}
