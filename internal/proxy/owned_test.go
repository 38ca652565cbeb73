package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/identity"
)

const newID = "ab12ab12-ab12-4b12-8b12-ab12ab12ab12"

// tenants is a world with the admins "admin" of the default workspace and "other" of another.
func tenants(t *testing.T) (*fixture, *world, http.Header, http.Header) {
	f := startFixture(t)
	w := newWorld(t, f, options{})
	w.person("other")
	w.own(w.app.ID, w.other, foreign)
	h := func(role string) http.Header {
		return with("Cookie: "+w.cookie(role), "Origin: "+appOrigin, "Content-Type: application/json")
	}
	return f, w, h("admin"), h("other")
}

func reading(h http.Header) http.Header {
	r := h.Clone()
	r.Del("Content-Type")
	return r
}

func TestOwned_Created(t *testing.T) {
	t.Parallel()
	f, w, _, other := tenants(t)
	f.reply(func(request) string { return jsonReply(200, `{"id":"`+newID+`","name":"New","type":"AGENTFLOW"}`) })
	if got := w.do("POST", "/api/v1/chatflows", other, `{"name":"New","type":"AGENTFLOW"}`); got.status != 200 {
		t.Fatalf("creating: %d %s", got.status, got.body)
	}
	if ws, kind, _ := w.apps.Flows.Owner(w.app.ID, newID); ws != w.other || kind != flow.Agentflow {
		t.Errorf("the new flow belongs to %q (%s), want %q", ws, kind, w.other)
	}
	list, _, err := w.apps.Flows.List(context.Background(), systemPrincipal, flow.Filter{Workspace: w.other})
	if err != nil || len(list) == 0 || list[0].Name != "New" || list[0].Owner != w.ids["other"] {
		t.Errorf("the list holds %+v, %v", list, err)
	}
	f.reply(func(request) string { return jsonReply(200, `{"id":"`+newID+`","name":"Renamed"}`) })
	w.do("PUT", "/api/v1/chatflows/"+newID, other, `{"name":"Renamed"}`)
	if list, _, _ := w.apps.Flows.List(context.Background(), systemPrincipal,
		flow.Filter{Workspace: w.other, Query: "renamed"}); len(
		list,
	) != 1 {
		t.Errorf("the new name is not known: %+v", list)
	}
	f.reply(func(request) string { return jsonReply(200, `{"affected":1}`) })
	w.do("DELETE", "/api/v1/chatflows/"+newID, reading(other), "")
	if _, _, ok := w.apps.Flows.Owner(w.app.ID, newID); ok {
		t.Error("the deleted flow is still owned")
	}
}

func TestOwned_ForeignID(t *testing.T) {
	t.Parallel()
	f, w, admin, _ := tenants(t)
	f.reply(func(request) string { return jsonReply(200, `{"id":"`+foreign+`","flowData":"secret"}`) })
	got := w.do("POST", "/api/v1/chatflows", admin, `{"name":"x"}`)
	if got.status != http.StatusServiceUnavailable || strings.Contains(got.body, "secret") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if ws, _, _ := w.apps.Flows.Owner(w.app.ID, foreign); ws != w.other {
		t.Errorf("it belongs to %q now", ws)
	}
}

func TestOwned_NewObject(t *testing.T) {
	t.Parallel()
	f, w, admin, other := tenants(t)
	all := `[{"id":"` + foreign + `","name":"new","details":"secret","updatedDate":"2026-01-03"},{"id":"` + nobodys +
		`","name":"new","updatedDate":"2026-01-01"},{"id":"` + newID + `","name":"new","updatedDate":"2026-01-02"}]`
	f.reply(func(request) string { return jsonReply(200, all) })
	got := w.do("POST", "/api/v1/evaluations", admin, `{"name":"new"}`)
	if got.status != 200 || strings.Contains(got.body, "secret") || strings.Contains(got.body, nobodys) ||
		!strings.Contains(got.body, newID) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if ws, _, _ := w.apps.Flows.Owner(w.app.ID, newID); ws != identity.DefaultWorkspace {
		t.Errorf("the evaluation belongs to %q", ws)
	}
	if got := w.do("GET", "/api/v1/evaluations", reading(other), ""); got.status != 200 ||
		strings.Contains(got.body, newID) ||
		!strings.Contains(got.body, foreign) {
		t.Errorf("the other one's list: %d %s", got.status, got.body)
	}
}

func TestOwned_Lists(t *testing.T) {
	t.Parallel()
	f, w, admin, _ := tenants(t)
	element := func(id string) string { return `{"id":"` + id + `","agentflowId":"` + id + `","name":"` + id + `"}` }
	plain := "[" + element(
		privateFlow,
	) + "," + element(
		foreign,
	) + "," + element(
		nobodys,
	) + "," + element(
		publicFlow,
	) + "]"
	for name, c := range map[string]struct{ target, answer, want string }{
		"a list": {"/api/v1/chatflows", plain,
			"[" + element(privateFlow) + "," + element(publicFlow) + "]"},
		"the first page": {"/api/v1/chatflows?page=1&limit=1", plain,
			`{"data":[` + element(privateFlow) + `],"total":2}`},
		"the second page": {"/api/v1/chatflows?page=2&limit=1", plain,
			`{"data":[` + element(publicFlow) + `],"total":2}`},
		"a page too far": {"/api/v1/chatflows?page=9&limit=12", plain, `{"data":[],"total":2}`},
		"half a page": {"/api/v1/chatflows?page=1", plain,
			"[" + element(privateFlow) + "," + element(publicFlow) + "]"},
		"a wrapped list": {"/api/v1/tools", `{"data":` + plain + `,"total":4}`,
			`{"data":[` + element(privateFlow) + "," + element(publicFlow) + `],"total":2}`},
		"no list":            {"/api/v1/tools", `{"secret":1}`, ""},
		"elements of no use": {"/api/v1/tools", `["secret",1,null,{"id":1},[]]`, "[]"},
	} {
		f.reply(func(request) string { return jsonReply(200, c.answer, `Etag: "1"`) })
		got := w.do("GET", c.target, reading(admin), "")
		if c.want == "" {
			if got.status != http.StatusBadGateway || strings.Contains(got.body, "secret") {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
			continue
		}
		if got.status != 200 || got.body != c.want || got.header.Get("Etag") != "" {
			t.Errorf("%s: %d %s, header %v; want %s", name, got.status, got.body, got.header, c.want)
		}
		for _, g := range f.take() {
			if strings.Contains(g.target(), "page") || g.req.Header.Get("Accept-Encoding") != "identity" {
				t.Errorf("%s: the builder was asked %s", name, g.raw)
			}
		}
	}
	f.reply(func(request) string {
		return reply(200, "x", "Content-Type: application/json", "Content-Encoding: gzip")
	})
	if got := w.do("GET", "/api/v1/chatflows", reading(admin), ""); got.status != http.StatusBadGateway {
		t.Errorf("a compressed list: %d", got.status)
	}
	f.reply(func(request) string {
		return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 40000000\r\nConnection: " +
			"close\r\n\r\n["
	})
	if got := w.do("GET", "/api/v1/chatflows", reading(admin), ""); got.status != http.StatusBadGateway ||
		!strings.Contains(got.body, "longer than 32 MiB") {
		t.Errorf("an endless list: %d %s", got.status, got.body)
	}
	f.reply(func(request) string { return jsonReply(200, plain) })
	if got := w.do("HEAD", "/api/v1/chatflows", reading(admin), ""); got.status != 200 ||
		got.header.Get("Content-Length") != "" {
		t.Errorf("HEAD tells how long the whole list is: %v", got.header)
	}
}

func TestOwned_AllPages(t *testing.T) {
	t.Parallel()
	f, w, admin, _ := tenants(t)
	f.reply(func(g request) string {
		page, _ := strconv.Atoi(g.req.URL.Query().Get("page"))
		var data []map[string]string
		for i := range 100 {
			if n := (page-1)*100 + i; n < 250 {
				owner := []string{foreign, privateFlow}[n%2]
				data = append(
					data,
					map[string]string{"id": fmt.Sprintf("e0000000-0000-4000-8000-%012d", n), "agentflowId": owner},
				)
			}
		}
		b, _ := json.Marshal(map[string]any{"data": data, "total": 250})
		return jsonReply(200, string(b))
	})
	var got struct {
		Data  []struct{ ID string }
		Total int
	}
	a := w.do("GET", "/api/v1/executions?page=11&limit=12&state=FINISHED", reading(admin), "")
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Total != 125 || len(got.Data) != 5 {
		t.Errorf("%d: total %d, %d on the last page, %v", a.status, got.Total, len(got.Data), err)
	}
	log := f.take()
	if len(log) != 3 || log[2].target() != "/api/v1/executions?state=FINISHED&limit=100&page=3" {
		t.Errorf("%d pages were asked for, the last as %s", len(log), log[len(log)-1].target())
	}
	// Objects from a list are known without asking.
	if p, ok := w.apps.Flows.Parent(w.app.ID, "e0000000-0000-4000-8000-000000000001"); !ok || p != privateFlow {
		t.Errorf("the execution's flow is %q", p)
	}
}

func TestOwned_OptionsAndExports(t *testing.T) {
	t.Parallel()
	f, w, admin, _ := tenants(t)
	f.reply(func(request) string {
		return jsonReply(
			200,
			`[{"label":"gpt","name":"gpt-4"},{"label":"mine","name":"`+privateFlow+`:mine"},{"label":"secret","name":"`+foreign+`"},{"label":"secret","name":"x","description":"`+foreign+`"},{"label":"secret","name":"`+nobodys+`:left"}]`,
		)
	})
	got := w.do("POST", "/api/v1/node-load-method/customTool", admin, `{"loadMethod":"listTools"}`)
	if got.status != 200 || strings.Contains(got.body, "secret") || !strings.Contains(got.body, "gpt-4") ||
		!strings.Contains(got.body, "mine") {
		t.Errorf("options: %d %s", got.status, got.body)
	}
	f.reply(func(request) string {
		return jsonReply(
			200,
			`{"FileDefaultName":"x.json","ChatFlow":[{"id":"`+privateFlow+`"},{"id":"`+foreign+`","name":"secret"}],"ChatMessage":[{"id":"`+newID+`","chatflowid":"`+foreign+`","content":"secret"},{"id":"m","chatflowid":"`+privateFlow+`","content":"mine"}],"Surprise":{"secret":1}}`,
		)
	})
	got = w.do("POST", "/api/v1/export-import/export", admin, `{"chatflow":true}`)
	if got.status != 200 || strings.Contains(got.body, "secret") || !strings.Contains(got.body, "mine") ||
		!strings.Contains(got.body, privateFlow) {
		t.Errorf("export: %d %s", got.status, got.body)
	}
}

func TestOwned_AppWorkspaces(t *testing.T) {
	t.Parallel()
	f, w, _, other := tenants(t)
	if got := w.do("GET", "/api/v1/nodes", reading(other), ""); got.status != 200 {
		t.Fatalf("an app that is used: %d %s", got.status, got.body)
	}
	if err := w.apps.Manager.Withdraw(context.Background(), systemPrincipal, w.app.ID, w.other); err != nil {
		t.Fatal(err)
	}
	f.take()
	for _, target := range []string{"/api/v1/nodes", "/api/v1/chatflows", "/api/v1/chatflows/" + foreign,
		"/chatflows"} {
		if got := w.do("GET", target, reading(other), ""); got.status != http.StatusNotFound || len(f.take()) > 0 {
			t.Errorf("%s of an app that is not used any more: %d %s", target, got.status, got.body)
		}
	}
	if err := w.apps.Manager.Offer(context.Background(),
		authz.Principal{Kind: authz.Person, ID: w.ids["other"],
			Memberships: []authz.Membership{{Workspace: w.other,
				Role: authz.RoleAdmin}}}, w.app.ID, w.other); err == nil {
		t.Error("a workspace's admin brings an app in alone")
	}
}

func TestOwned_CustomRoles(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	ctx := context.Background()
	role, err := w.people.CreateRole(
		ctx,
		systemPrincipal,
		identity.Role{
			Name:        "Reader of agents",
			Permissions: []string{"agentflows:view", "agentflows:create", "agentflows:run"},
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	w.person("viewer")
	if err := w.people.SetRole(ctx, systemPrincipal, w.ids["viewer"], identity.DefaultWorkspace, role.ID); err != nil {
		t.Fatal(err)
	}
	claim := flow.Object{App: w.app.ID, ID: newID, Kind: flow.Agentflow, Workspace: identity.DefaultWorkspace}
	if err := w.apps.Flows.Claim(ctx, claim); err != nil {
		t.Fatal(err)
	}
	h := with("Cookie: "+w.cookie("viewer"), "Origin: "+appOrigin, "Content-Type: application/json")
	f.reply(func(request) string { return jsonReply(200, `{}`) })
	for _, c := range []struct {
		method, target, body string
		want                 int
	}{
		{"GET", "/api/v1/chatflows/" + newID, "", 200}, {"GET", "/api/v1/chatflows/" + privateFlow, "", 403}, {"DELETE",
			"/api/v1/chatflows/" + newID, "", 403},
		{"POST", "/api/v1/chatflows", `{"type":"AGENTFLOW"}`, 200}, {"POST", "/api/v1/chatflows", `{"type":"CHATFLOW"}`,
			403}, {"POST", "/api/v1/chatflows", `{}`, 403},
		{"POST", "/api/v1/internal-prediction/" + newID, `{"question":"x"}`, 200}, {"GET", "/api/v1/tools", "",
			403}, {"GET", "/api/v1/nodes", "", 200},
	} {
		send := h
		if c.body == "" {
			send = reading(h)
		}
		if got := w.do(c.method, c.target, send, c.body); got.status != c.want {
			t.Errorf("%s %s %s: %d, want %d: %s", c.method, c.target, c.body, got.status, c.want, got.body)
		}
	}
}
