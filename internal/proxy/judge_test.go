package proxy_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authn"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/proxy"
)

// judged judges a request without sending anything anywhere.
func (w *world) judged(method, target string, h http.Header, body string) (proxy.Decision, error) {
	w.t.Helper()
	r := httptest.NewRequest(method, appOrigin+target, strings.NewReader(body))
	r.RequestURI, r.TLS, r.RemoteAddr = target, nil, "127.0.0.1:4711"
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.Header = h.Clone()
	a, _ := w.apps.ByID(w.app.ID)
	return w.proxy.Decide(a, httptest.NewRecorder(), r)
}

const flowPath = "/api/v1/chatflows/"

// TestJudge holds what a Verdict says, and which rule refuses, for each way through the steps.
func TestJudge(t *testing.T) {
	t.Parallel()
	_, w, _, _ := tenants(t)
	viewer, admin, other := w.cookie("viewer"), w.cookie("admin"), w.cookie("other")
	key, _ := w.key("viewer", authn.NewAPIKey{})
	cookie := func(c string) http.Header { return with("Cookie: " + c) }
	sending := func(c string) http.Header { return with("Cookie: "+c, "Content-Type: application/json") }
	ours := identity.DefaultWorkspace
	for name, tt := range map[string]struct {
		method, target string
		header         http.Header
		body           string
		want           proxy.Decision
		rule           string // of the refusal; "" for a Verdict
	}{
		"a person reads": {
			"GET", flowPath + privateFlow, cookie(viewer), "",
			proxy.Decision{
				Endpoint:  "chatflows.get",
				Person:    "viewer",
				Delegated: true,
				Workspace: ours,
				Flow:      privateFlow,
				Path:      flowPath + privateFlow,
			},
			"",
		},
		"an editor reads": {
			"GET", flowPath + privateFlow, cookie(admin), "",
			proxy.Decision{
				Endpoint:  "chatflows.get",
				Person:    "admin",
				Delegated: true,
				Workspace: ours,
				Flow:      privateFlow,
				Path:      flowPath + privateFlow,
			},
			"",
		},
		"a program reads": {
			"GET", flowPath + privateFlow, with("Authorization: Bearer " + key), "",
			proxy.Decision{
				Endpoint:  "chatflows.get",
				Person:    "viewer",
				Delegated: true,
				Workspace: ours,
				Flow:      privateFlow,
				Path:      flowPath + privateFlow,
			},
			"",
		},
		"a person of another workspace reads": {
			"GET", flowPath + privateFlow, cookie(other), "",
			proxy.Decision{Endpoint: "chatflows.get", Person: "other", Workspace: w.other, Flow: privateFlow}, "object",
		},
		"a flow that nobody owns": {
			"GET", flowPath + nobodys, cookie(admin), "",
			proxy.Decision{Endpoint: "chatflows.get", Person: "admin", Workspace: ours, Flow: nobodys}, "object",
		},
		"a stranger reads": {
			"GET", flowPath + privateFlow, nil, "",
			proxy.Decision{Endpoint: "chatflows.get", Flow: privateFlow}, "not signed in",
		},
		"a stranger runs a published flow": {
			"POST", "/api/v1/prediction/" + publicFlow, with("Content-Type: application/json"), `{"question":"?"}`,
			proxy.Decision{
				Endpoint:  "prediction",
				Workspace: ours,
				Flow:      publicFlow,
				Path:      "/api/v1/prediction/" + publicFlow,
				Body:      `{"question":"?"}`,
			},
			"",
		},
		"a stranger runs another flow": {
			"POST", "/api/v1/prediction/" + privateFlow, with("Content-Type: application/json"), `{"question":"?"}`,
			proxy.Decision{Endpoint: "prediction", Flow: privateFlow}, "not signed in",
		},
		"a person of another workspace runs a published flow as a stranger": {
			"POST", "/api/v1/prediction/" + publicFlow, sending(other), `{"question":"?"}`,
			proxy.Decision{
				Endpoint:  "prediction",
				Person:    "other",
				Workspace: ours,
				Flow:      publicFlow,
				Path:      "/api/v1/prediction/" + publicFlow,
				Body:      `{"question":"?"}`,
			},
			"",
		},
		"a person changes": {
			"PUT", flowPath + privateFlow, sending(admin), `{"name":"n"}`,
			proxy.Decision{
				Endpoint:  "chatflows.update",
				Person:    "admin",
				Delegated: true,
				Workspace: ours,
				Flow:      privateFlow,
				Path:      flowPath + privateFlow,
				Body:      `{"name":"n"}`,
				Named:     []string{privateFlow},
			},
			"",
		},
		"a viewer changes": {
			"PUT", flowPath + privateFlow, sending(viewer), `{"name":"n"}`,
			proxy.Decision{Endpoint: "chatflows.update", Person: "viewer", Workspace: ours, Flow: privateFlow},
			"no policy permits chatflows:update",
		},
		"a body names another workspace's flow": {
			"PUT", flowPath + privateFlow, sending(admin), `{"flowData":"` + foreign + `"}`,
			proxy.Decision{
				Endpoint:  "chatflows.update",
				Person:    "admin",
				Delegated: true,
				Workspace: ours,
				Flow:      privateFlow,
				Body:      `{"flowData":"` + foreign + `"}`,
			},
			"object",
		},
		"a list loses its paging": {
			"GET", "/api/v1/chatflows?type=CHATFLOW&page=2&limit=10", cookie(admin), "",
			proxy.Decision{
				Endpoint:  "chatflows.list",
				Person:    "admin",
				Delegated: true,
				Workspace: ours,
				Path:      "/api/v1/chatflows",
				Query:     "type=CHATFLOW",
			},
			"",
		},
		"Sluice's own answer": {
			"POST", "/api/v1/auth/resolve", with("Content-Type: application/json"), `{}`,
			proxy.Decision{Endpoint: "auth.resolve", Path: "/api/v1/auth/resolve", Instead: "resolve"}, "",
		},
		"a path that is not in the table": {
			"GET", "/api/v1/no-such-thing", cookie(admin), "",
			proxy.Decision{Person: "admin"}, "not in the route table",
		},
		"a path that is not in the table, for a stranger": {
			"GET", "/api/v1/no-such-thing", nil, "", proxy.Decision{}, "not signed in",
		},
		"a key that is no key": {
			"GET", flowPath + privateFlow, with("Authorization: Bearer slc_nonsense"), "",
			proxy.Decision{Endpoint: "chatflows.get"}, "credential",
		},
		"a page of another site": {
			"PUT", flowPath + privateFlow,
			with("Cookie: "+admin, "Content-Type: application/json", "Sec-Fetch-Site: cross-site"), `{"name":"n"}`,
			proxy.Decision{Endpoint: "chatflows.update", Person: "admin"}, "cross-site request",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := w.judged(tt.method, tt.target, tt.header, tt.body)
			rule := ""
			if err != nil {
				rule = problem.Of(err).Rule
			}
			if rule != tt.rule {
				t.Errorf("refused by %q, want %q (%v)", rule, tt.rule, err)
			}
			tt.want.Person = w.ids[tt.want.Person]
			if tt.rule != "" {
				got.Path = "" // of a request that goes nowhere
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if held := w.proxy.Held(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

// TestJudge_NothingHeld tries each kind of exchange that reads a body or an answer.
func TestJudge_NothingHeld(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, true)
	for name, tt := range inOrder(map[string]struct{ role, method, target, body string }{
		"a list of several accounts":     {"admin", "GET", "/api/v1/flows/", ""},
		"a refused change, read instead": {"viewer", "PATCH", "/api/v1/flows/" + w.ownFlow, `{"locked":true}`},
		"a refused change":               {"viewer", "PATCH", "/api/v1/flows/" + w.ownFlow, `{"name":"n"}`},
		"a change":                       {"user", "PATCH", "/api/v1/flows/" + w.ownFlow, `{"name":"n"}`},
		"somebody else's flow":           {"user", "PATCH", "/api/v1/flows/" + w.flow, `{"name":"n"}`},
		"broken JSON":                    {"user", "PATCH", "/api/v1/flows/" + w.ownFlow, `{"name":`},
		"an answer of Sluice's":          {"user", "POST", "/api/v1/authz/me/permissions", `{"resource_type":"flow"}`},
	}) {
		if got := w.call(tt.role, tt.method, tt.target, tt.body); got.status == 0 {
			t.Errorf("%s: no answer", name)
		}
		eventually(t, name+": giving back the memory", func() bool { return w.proxy.Held() == 0 })
	}
}

// TestJudgePanics makes sure that the log tells about whom and what, and that the client gets an
// answer.
func TestJudgePanics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startFixture(t), options{change: func(c *proxy.Config) {
		c.Credentials = &authn.Credentials{
			Sessions: c.Sessions,
			Keys:     c.Keys,
			Access:   func(string) (authn.Principal, error) { panic("boom") },
		}
	}})
	got := w.do("GET", flowPath+privateFlow, with("Authorization: Bearer abc"), "")
	if got.status != http.StatusInternalServerError || strings.Contains(got.body, "boom") {
		t.Errorf("%d %s", got.status, got.body)
	}
	eventually(t, "the line in the log", func() bool {
		log := w.log.String()
		return strings.Contains(log, "endpoint=chatflows.get") && strings.Contains(log, "reason=panic")
	})
	if got := w.do("GET", flowPath+privateFlow, with("Cookie: "+w.cookie("viewer")), ""); got.status != http.StatusOK {
		t.Errorf("the next request: %d %s", got.status, got.body)
	}
}

// TestReadInstead_JudgesTheWholeRequest makes sure that a refused save is read like any other
// request.
func TestReadInstead_JudgesTheWholeRequest(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, true)
	target := "/api/v1/flows/" + w.ownFlow
	w.call("other", "GET", "/api/v1/flows/"+w.flow, "") // from now on it is known as theirs
	if got := w.call("viewer", "PATCH", target+"?x="+w.flow, `{"locked":true}`); got.status != http.StatusNotFound {
		t.Errorf("with another workspace's id in the query: %d %s", got.status, got.body)
	}
	if got := w.call("viewer", "PATCH", target, `{"locked":true}`); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
}
