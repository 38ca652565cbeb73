package proxy_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"sluice/internal/authn"
	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/objects"
)

// lfWorld is a proxy in front of a Langflow: the default workspace and that of "other" have an
// account each, and the default one has adopted a user as well. Each account holds a flow.
type lfWorld struct {
	*world
	f                      *lfUpstream
	own, adopted, theirs   *lfUser
	ownFlow, oldFlow, flow string // in own, adopted and theirs
	headers                map[string]http.Header
}

func newLangflowWorld(t testing.TB, old bool) *lfWorld {
	t.Helper()
	f := startLangflow(t, old)
	w := &lfWorld{world: newWorld(t, f, options{kind: "langflow"}), f: f, headers: map[string]http.Header{}}
	ctx := context.Background()
	w.person("other")
	var veteran *lfUser
	f.With(func() {
		veteran = f.Add("veteran", "x")
		w.oldFlow = veteran.Put(
			"flows",
			&lfThing{Name: "Old hand", Endpoint: "old-hand", Data: json.RawMessage(`{}`)},
		).ID
	})
	if _, err := w.apps.Adoption.AdoptUser(ctx, systemPrincipal, w.app.ID, veteran.ID, identity.DefaultWorkspace,
		""); err != nil {
		t.Fatal(err)
	}
	w.app, _ = w.apps.ByID(w.app.ID)
	w.own, w.adopted, w.theirs = w.account(identity.DefaultWorkspace), veteran, w.account(w.other)
	f.With(func() {
		w.ownFlow = w.own.Put("flows", &lfThing{Name: "Ours", Endpoint: "shared-name"}).ID
		w.flow = w.theirs.Put("flows", &lfThing{Name: "Theirs", Endpoint: "shared-name"}).ID
		w.theirs.Put("flows", &lfThing{Name: "Secret", Endpoint: "their-name"})
	})
	return w
}

// account is the account for new things of a workspace.
func (w *lfWorld) account(workspace string) *lfUser {
	w.t.Helper()
	id, err := w.app.Bridge.Accounts.Own(
		context.Background(),
		builder.OnBehalf{Principal: systemPrincipal, Workspace: workspace},
	)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.f.Users[id]
}

// as are the headers of a person's page.
func (w *lfWorld) as(role string) http.Header {
	if w.headers[role] == nil {
		w.headers[role] = with(
			"Cookie: "+w.cookie(role),
			"Origin: "+appOrigin,
			"Accept: application/json, text/plain, */*",
		)
	}
	return w.headers[role].Clone()
}

// call sends a request of a person's page; a body is JSON.
func (w *lfWorld) call(role, method, target, body string) answer {
	w.t.Helper()
	h := w.as(role)
	if body != "" {
		h.Set("Content-Type", "application/json")
	}
	return w.do(method, target, h, body)
}

func TestAccounts_AccountOfObject(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	project := w.adopted.Things["projects"][0].ID
	for name, c := range inOrder(map[string]struct {
		role, method, target, body string
		want                       int
		account                    *lfUser
	}{
		"our flow":        {"admin", "GET", "/api/v1/flows/" + w.ownFlow, "", 200, w.own},
		"a colleague's":   {"user", "GET", "/api/v1/flows/" + w.ownFlow, "", 200, w.own},
		"an adopted flow": {"admin", "GET", "/api/v1/flows/" + w.oldFlow, "", 200, w.adopted},
		"an adopted flow, changed": {"admin", "PATCH", "/api/v1/flows/" + w.oldFlow, `{"name":"New name"}`,
			200, w.adopted},
		"nothing named":    {"admin", "GET", "/api/v1/all", "", 200, w.own},
		"theirs, by them":  {"other", "GET", "/api/v1/flows/" + w.flow, "", 200, w.theirs},
		"theirs":           {"admin", "GET", "/api/v1/flows/" + w.flow, "", 404, nil},
		"ours, by them":    {"other", "DELETE", "/api/v1/flows/" + w.ownFlow, "", 404, nil},
		"adopted, by them": {"other", "GET", "/api/v1/flows/" + w.oldFlow, "", 404, nil},
		"nobody's":         {"admin", "GET", "/api/v1/flows/" + nobodys, "", 404, nil},
		"a project":        {"admin", "GET", "/api/v1/projects/" + project, "", 200, w.adopted},
		"a flow of its project": {"admin", "PATCH", "/api/v1/flows/" + w.oldFlow,
			`{"folder_id":"` + project + `"}`, 200, w.adopted},
		"a flow of another account": {"admin", "PATCH", "/api/v1/flows/" + w.ownFlow,
			`{"folder_id":"` + project + `"}`, 404, nil},
		"a new flow in the adopted project": {"admin", "POST", "/api/v1/flows/",
			`{"name":"x","folder_id":"` + project + `"}`, 201, w.adopted},
		"both, of two accounts": {"admin", "DELETE", "/api/v1/flows/",
			`["` + w.ownFlow + `","` + w.oldFlow + `"]`, 404, nil},
		"one of theirs": {"admin", "POST", "/api/v1/flows/download/",
			`["` + w.ownFlow + `","` + w.flow + `"]`, 404, nil},
		"a run": {"admin", "POST", "/api/v1/run/" + w.oldFlow, `{"input_value":"x"}`, 200,
			w.adopted},
	}) {
		w.f.Take()
		got := w.call(c.role, c.method, c.target, c.body)
		log := w.f.Take()
		if got.status != c.want {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		switch {
		case c.account == nil && len(log) > 0:
			t.Errorf("%s: Langflow got %s %s", name, log[0].Method, log[0].Target)
		case c.account != nil && (len(log) != 1 || log[0].Account != c.account.Username):
			t.Errorf("%s: %d requests, into %+v; want %s", name, len(log), log, c.account.Username)
		}
	}
}

func TestAccounts_KeyWhereRequired(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	key, _ := w.key("user", authn.NewAPIKey{})
	h := with("Authorization: Bearer "+key, "Content-Type: application/json")
	for range 2 {
		if got := w.do("POST", "/api/v1/run/"+w.ownFlow, h, `{"input_value":"x"}`); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	for _, g := range w.f.Take() {
		if !g.Key || g.Account != w.own.Username || g.Header.Get("Authorization") != "" {
			t.Errorf("%+v", g)
		}
	}
	w.f.With(func() { clear(w.own.Keys) }) // it was removed in Langflow
	w.f.With(func() {
		w.f.Answer = func(g lfRequest) *lfAnswer {
			if g.Account == "" {
				return &lfAnswer{Status: 403, Kind: "application/json", Body: `{"detail":"Invalid or missing API key"}`}
			}
			return nil
		}
	})
	if got := w.do("POST", "/api/v1/run/"+w.ownFlow, h, `{"input_value":"x"}`); got.status != 200 {
		t.Errorf("after the key was lost: %d %s", got.status, got.body)
	}
	w.f.With(func() {
		w.f.Answer = func(lfRequest) *lfAnswer {
			return &lfAnswer{Status: 403, Kind: "application/json", Body: `{"detail":"about the flow"}`}
		}
	})
	if got := w.do("POST", "/api/v1/run/"+w.ownFlow, h, `{"input_value":"x"}`); got.status != 403 ||
		!strings.Contains(got.body, "about the flow") {
		t.Errorf("a refusal that is not about the key: %d %s", got.status, got.body)
	}
}

func TestAccounts_UnknownObject(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	if _, _, ok := w.apps.Flows.Owner(w.app.ID, w.ownFlow); ok {
		t.Fatal("the flow is known before anybody asked for it")
	}
	if got := w.call("admin", "GET", "/api/v1/flows/"+w.ownFlow, ""); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if ws, kind, _ := w.apps.Flows.Owner(w.app.ID, w.ownFlow); ws != identity.DefaultWorkspace ||
		kind != flow.Chatflow {
		t.Errorf("it belongs to %q as %q", ws, kind)
	}
	if got := w.apps.Flows.Of(w.app.ID).Account(w.ownFlow); got != w.own.ID {
		t.Errorf("its account is %q", got)
	}
	// Known, but not in which account.
	if err := w.apps.Flows.Forget(context.Background(), w.app.ID, w.oldFlow); err != nil {
		t.Fatal(err)
	}
	w.world.own(w.app.ID, identity.DefaultWorkspace, w.oldFlow)
	if got := w.call("admin", "GET", "/api/v1/flows/"+w.oldFlow, ""); got.status != 200 ||
		w.apps.Flows.Of(w.app.ID).Account(w.oldFlow) != w.adopted.ID {
		t.Errorf("bound: %d, account %q", got.status, w.apps.Flows.Of(w.app.ID).Account(w.oldFlow))
	}
}

func TestAccounts_WrongIDs(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	w.call("admin", "GET", "/api/v1/flows/"+w.ownFlow, "")
	before := w.f.CountAll("GET /api/v1/flows/")
	for range 20 {
		if got := w.call("admin", "GET", "/api/v1/flows/"+nobodys, ""); got.status != 404 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	if n := w.f.CountAll("GET /api/v1/flows/") - before; n > 2 {
		t.Errorf("one id that does not exist was asked for %d times", n)
	}
	before = w.f.CountAll("GET /api/v1/flows/")
	limited := 0
	for range 200 {
		got := w.call("admin", "GET", "/api/v1/flows/"+uuid.NewString(), "")
		if got.status == http.StatusTooManyRequests {
			limited++
		} else if got.status != 404 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	if n := w.f.CountAll("GET /api/v1/flows/") - before; n > 100 || limited < 100 {
		t.Errorf("200 ids became %d questions, %d were put off", n, limited)
	}
	if got := w.call("admin", "GET", "/api/v1/flows/"+w.ownFlow, ""); got.status != 200 {
		t.Errorf("what is known: %d %s", got.status, got.body)
	}
	for _, odd := range []string{"x", strings.ReplaceAll(nobodys, "-", ""), "urn:uuid:" + nobodys} {
		if got := w.call("admin", "GET", "/api/v1/flows/"+odd, ""); got.status != 404 {
			t.Errorf("%s: %d", odd, got.status)
		}
	}
	w.clock.advance(objects.FindAgain)
	w.f.With(func() { w.own.Put("flows", &lfThing{ID: nobodys, Name: "late"}) })
	if got := w.call("admin", "GET", "/api/v1/flows/"+nobodys, ""); got.status != 200 {
		t.Errorf("after it was made: %d %s", got.status, got.body)
	}
}

func TestAccounts_NewObjects(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	for name, c := range map[string]struct {
		target, body string
		kind         flow.Kind
		want         int
	}{
		"a flow":     {"/api/v1/flows/", `{"name":"n"}`, flow.Chatflow, 1},
		"two flows":  {"/api/v1/flows/batch/", `{"flows":[]}`, flow.Chatflow, 2},
		"a project":  {"/api/v1/projects/", `{"name":"n"}`, flow.Project, 1},
		"a variable": {"/api/v1/variables/", `{"name":"n","value":"v"}`, flow.Variable, 1},
	} {
		before := w.apps.Flows.Of(w.app.ID).Len()
		got := w.call("other", "POST", c.target, c.body)
		if got.status != 201 {
			t.Fatalf("%s: %d %s", name, got.status, got.body)
		}
		if n := w.apps.Flows.Of(w.app.ID).Len() - before; n != c.want {
			t.Errorf("%s: %d objects were claimed", name, n)
		}
		var made lfThing
		_ = json.Unmarshal(
			[]byte(strings.Trim(strings.SplitN(got.body, "},{", 2)[0], "[]")+map[bool]string{true: "}"}[c.want > 1]),
			&made,
		)
		ws, kind, _ := w.apps.Flows.Owner(w.app.ID, made.ID)
		if ws != w.other || kind != c.kind || w.apps.Flows.Of(w.app.ID).Account(made.ID) != w.theirs.ID {
			t.Errorf(
				"%s: %q belongs to %q as %q in %q",
				name,
				made.ID,
				ws,
				kind,
				w.apps.Flows.Of(w.app.ID).Account(made.ID),
			)
		}
	}
}

func TestAccounts_DeletedProject(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	w.call("admin", "GET", "/api/v1/flows/", "")
	project := w.own.Things["projects"][0].ID
	if got := w.call("admin", "DELETE", "/api/v1/projects/"+project, ""); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for _, id := range []string{project, w.ownFlow} {
		if _, _, ok := w.apps.Flows.Owner(w.app.ID, id); ok {
			t.Errorf("%s is still owned", id)
		}
	}
}
