//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// tenant is a person with all permissions in one workspace, and the objects that they created
// there.
type tenant struct {
	account Account
	person  *Person
	main    *Client // at Sluice's own origin
	api     *Client // at the app's origin
	made    map[string]string
}

// houses is one Flowise with two workspaces in front.
type houses struct {
	f    *Flowise
	s    *Sluice
	app  string // the app's id
	root *Client
	a, b *tenant
}

// TestWorkspaces is two workspaces in front of one real Flowise: neither sees, runs, changes or
// deletes what is the other's, by any route.
func TestWorkspaces(t *testing.T) {
	longSuite(t, 15*time.Minute)
	f := StartFlowise(t)
	w := &houses{f: f, s: StartSluice(t, "--protect", f.URL)}
	steps := []struct {
		name string
		run  func(*testing.T)
	}{
		{"what Flowise had before belongs to the first workspace", w.setUp},
		{"two people get a workspace each", w.settle},
		{"what is made belongs to its workspace", w.make},
		{"lists show one's own", w.lists},
		{"what is the other's is not found by any route", w.foreign},
		{"what is the other's cannot be named in a body", w.bodies},
		{"browsers show one's own flows and not the other's", w.browse},
		{"what is imported is one's own, what is deleted is gone", w.importAndDelete},
	}
	for _, step := range steps {
		ok := t.Run(step.name, func(t *testing.T) {
			w.report(t)
			defer w.report(f.life)
			step.run(t)
		})
		if !ok {
			t.FailNow()
		}
	}
}

// report makes everyone report to t.
func (w *houses) report(t testing.TB) {
	if w.root != nil {
		w.root = w.root.As(t)
	}
	for _, p := range []*tenant{w.a, w.b} {
		if p != nil {
			p.main, p.api, p.person.t = p.main.As(t), p.api.As(t), t
		}
	}
}

const flowFromBefore = "made before Sluice came"

func (w *houses) setUp(t *testing.T) {
	boss := Owner{Name: "Boss", Email: "boss@example.com", Password: "Boss-Password-1"}
	w.f.Register(t, boss)
	call(t, w.f.SignIn(t, boss), "POST", "/api/v1/chatflows", EchoFlow(t, flowFromBefore), nil)
	if out, err := w.s.Command(t, adminAccount.Password+"\n", "user", "create", "--superuser", "--role", "admin",
		"--email", adminAccount.Email, "--password-stdin", adminAccount.Username); err != nil {
		t.Fatalf("user create: %v\n%s", err, out)
	}
	w.root = w.s.SignIn(t, adminAccount)
	var apps struct{ Items []struct{ ID string } }
	call(t, w.root, "GET", "/api/v1/apps", nil, &apps)
	w.app = apps.Items[0].ID
	call(
		t,
		w.root,
		"POST",
		"/api/v1/apps/"+w.app+"/owner",
		map[string]string{"email": boss.Email, "password": boss.Password},
		nil,
	)
	if list := w.s.Enter(t, w.root).Get("/api/v1/chatflows"); !strings.Contains(list.Body, flowFromBefore) {
		t.Errorf("the flow from before has disappeared: %.300s", list.Body)
	}
}

func (w *houses) settle(t *testing.T) {
	w.a, w.b = w.tenant(t, "anna", "Anna's house"), w.tenant(t, "bert", "Bert's house")
}

// tenant creates a workspace that uses Flowise, and its admin.
func (w *houses) tenant(t *testing.T, name, workspace string) *tenant {
	t.Helper()
	p := &tenant{
		account: Account{Username: name, Email: name + "@example.com", Password: "several unrelated words of " + name},
		made:    map[string]string{},
	}
	var ws, user struct{ ID string }
	call(t, w.root, "POST", "/api/v1/workspaces", map[string]string{"name": workspace}, &ws)
	call(t, w.root, "PUT", "/api/v1/apps/"+w.app+"/workspaces/"+ws.ID, nil, nil)
	call(t, w.root, "POST", "/api/v1/users", map[string]any{
		"username": name, "email": p.account.Email, "password": p.account.Password, "role": "admin", "workspace": ws.ID,
	}, &user)
	p.main = w.s.SignIn(t, p.account)
	p.api = w.s.Enter(t, p.main)
	p.person = NewPerson(w.f.life, name) // lives longer than this step
	return p
}

// secret is in the objects that the tenants create, and must never reach the other tenant.
func (p *tenant) secret() string { return "secret-of-" + p.account.Username }

// create makes an object and remembers its id.
func (p *tenant) create(t *testing.T, kind, path string, body map[string]any) string {
	t.Helper()
	a := p.api.Call("POST", path, body)
	var one struct{ ID string }
	if a.Status >= 300 || json.Unmarshal([]byte(a.Body), &one) != nil || one.ID == "" {
		t.Fatalf("%s makes a %s: %d %.400s", p.account.Username, kind, a.Status, a.Body)
	}
	p.made[kind] = one.ID
	return one.ID
}

func (w *houses) make(t *testing.T) {
	for _, p := range []*tenant{w.a, w.b} {
		s := p.secret()
		p.create(t, "flow", "/api/v1/chatflows", EchoFlow(t, s+"-flow"))
		p.create(
			t,
			"credential",
			"/api/v1/credentials",
			map[string]any{
				"name":           s + "-credential",
				"credentialName": "openAIApi",
				"plainDataObj":   map[string]string{"openAIApiKey": s},
			},
		)
		p.create(
			t,
			"tool",
			"/api/v1/tools",
			map[string]any{"name": s + "-tool", "description": s, "color": "#fff", "schema": "[]", "func": "return 1"},
		)
		p.create(
			t,
			"variable",
			"/api/v1/variables",
			map[string]any{"name": strings.ReplaceAll(s, "-", "_"), "value": s, "type": "static"},
		)
		p.create(
			t,
			"assistant",
			"/api/v1/assistants",
			map[string]any{
				"details":    `{"name":"` + s + `-assistant"}`,
				"credential": p.made["credential"],
				"type":       "CUSTOM",
			},
		)
		p.create(t, "store", "/api/v1/document-store/store", map[string]any{"name": s + "-store", "description": s})
		p.create(
			t,
			"server",
			"/api/v1/custom-mcp-servers",
			map[string]any{"name": s + "-server", "serverUrl": "https://93.184.216.34/" + s, "authType": "NONE"},
		)
		if a := p.api.Call("POST", "/api/v1/marketplaces/custom",
			map[string]any{"name": s + "-template", "chatflowId": p.made["flow"]}); a.Status != 200 {
			t.Fatalf("template: %d %.300s", a.Status, a.Body)
		}
		var keys []struct{ ID, KeyName string }
		call(
			t,
			p.api,
			"POST",
			"/api/v1/apikey",
			map[string]any{"keyName": s + "-key", "permissions": []string{"chatflows:view"}},
			&keys,
		)
		if len(keys) != 1 || keys[0].KeyName != s+"-key" {
			t.Fatalf("the answer to a new key holds %+v", keys)
		}
		p.made["key"] = keys[0].ID
		var ran struct{ ExecutionID, ChatID string }
		call(
			t,
			p.api,
			"POST",
			"/api/v1/internal-prediction/"+p.made["flow"],
			map[string]any{"question": s, "chatId": s},
			&ran,
		)
		if ran.ExecutionID == "" {
			t.Fatal("the flow ran without an execution")
		}
		p.made["execution"] = ran.ExecutionID
		var templates []struct{ ID string }
		call(t, p.api, "GET", "/api/v1/marketplaces/custom", nil, &templates)
		if len(templates) != 1 {
			t.Fatalf("%d templates, want 1", len(templates))
		}
		p.made["template"] = templates[0].ID
	}
}

// listPaths are the routes that show many objects, also with paging.
var listPaths = []string{
	"/api/v1/chatflows", "/api/v1/chatflows?type=AGENTFLOW", "/api/v1/chatflows?type=AGENTFLOW&page=1&limit=12",
	"/api/v1/executions?page=1&limit=12", "/api/v1/executions",
	"/api/v1/tools", "/api/v1/tools?page=1&limit=12", "/api/v1/credentials",
	"/api/v1/credentials?credentialName=openAIApi", "/api/v1/variables", "/api/v1/variables?page=1&limit=1",
	"/api/v1/assistants", "/api/v1/assistants?type=CUSTOM", "/api/v1/document-store/store",
	"/api/v1/document-store/store?page=1&limit=10", "/api/v1/apikey", "/api/v1/apikey?page=1&limit=1",
	"/api/v1/marketplaces/custom", "/api/v1/custom-mcp-servers", "/api/v1/custom-mcp-servers?page=1&limit=5",
}

func (w *houses) lists(t *testing.T) {
	for _, pair := range [][2]*tenant{{w.a, w.b}, {w.b, w.a}} {
		p, other := pair[0], pair[1]
		shows := func(what string, a Answer) {
			t.Helper()
			own := strings.Contains(a.Body, p.secret()) ||
				strings.Contains(a.Body, strings.ReplaceAll(p.secret(), "-", "_"))
			if a.Status != 200 || !own {
				t.Errorf("%s: %s does not show one's own: %d %.300s", p.account.Username, what, a.Status, a.Body)
			}
			for _, foreign := range append(other.ids(), other.secret(), flowFromBefore) {
				if strings.Contains(a.Body, foreign) {
					t.Errorf("%s: %s shows %q of the other", p.account.Username, what, foreign)
				}
			}
		}
		for _, path := range listPaths {
			shows(path, p.api.Get(path))
		}
		for node, method := range map[string]string{
			"customTool":           "listTools",
			"ChatflowTool":         "listChatflows",
			"agentAsTool":          "listAgentflows",
			"executeFlowAgentflow": "listFlows",
			"agentAgentflow":       "listStores",
			"retrieverAgentflow":   "listStores",
			"documentStore":        "listStores",
			"documentStoreVS":      "listStores",
			"customMcpServerTool":  "listServers",
		} {
			a := p.api.Call(
				"POST",
				"/api/v1/node-load-method/"+node,
				map[string]any{
					"name":          node,
					"loadMethod":    method,
					"inputs":        map[string]any{},
					"previousNodes": []any{},
					"currentNode":   map[string]any{},
				},
			)
			if a.Status != 200 {
				t.Errorf("%s: the options of %s: %d %.200s", p.account.Username, node, a.Status, a.Body)
			}
			for _, foreign := range append(other.ids(), other.secret()) {
				if strings.Contains(a.Body, foreign) {
					t.Errorf("%s: the options of %s show %q of the other", p.account.Username, node, foreign)
				}
			}
			switch node {
			case "customTool", "agentAsTool", "executeFlowAgentflow":
				shows(node, a)
			}
		}
		shows("an export", p.api.Call("POST", "/api/v1/export-import/export", map[string]bool{
			"agentflow":       true,
			"agentflowv2":     true,
			"assistantCustom": true,
			"assistantOpenAI": true,
			"assistantAzure":  true,
			"chatflow":        true,
			"chat_message":    true,
			"chat_feedback":   true,
			"custom_template": true,
			"document_store":  true,
			"execution":       true,
			"tool":            true,
			"variable":        true,
		}))
		shows("the pages' first", p.api.Get("/api/v1/internal-chatmessage/"+p.made["flow"]))
		var page struct {
			Data  []struct{ ID string }
			Total int
		}
		call(t, p.api, "GET", "/api/v1/chatflows?page=1&limit=12", nil, &page)
		if len(page.Data) != 1 || page.Total != 1 || page.Data[0].ID != p.made["flow"] {
			t.Errorf("%s: the first page holds %+v", p.account.Username, page)
		}
	}
}

// ids lists the objects that a tenant created.
func (p *tenant) ids() []string {
	var ids []string
	for _, id := range p.made {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// foreignCalls are the routes that name objects; {kind} stands for the id of one.
var foreignCalls = []string{
	"GET /api/v1/chatflows/{flow}", "PUT /api/v1/chatflows/{flow} {\"name\":\"stolen\"}",
	"DELETE /api/v1/chatflows/{flow}", "GET /api/v1/chatflows/has-changed/{flow}/2026-01-01T00:00:00.000Z",
	"GET /api/v1/chatflows/{flow}/schedule/status", "POST /api/v1/chatflows/{flow}/webhook-secret {}",
	"GET /api/v1/validation/{flow}", "GET /api/v1/flow-config/{flow}", "GET /api/v1/stats/{flow}",
	"POST /api/v1/prediction/{flow} {\"question\":\"hi\"}", "POST /api/v1/internal-prediction/{flow} " +
		"{\"question\":\"hi\"}", "GET /api/v1/public-chatbotConfig/{flow}",
	"GET /api/v1/public-chatflows/{flow}", "GET /api/v1/chatflows-streaming/{flow}",
	"GET /api/v1/chatflows-uploads/{flow}", "GET /api/v1/chatmessage/{flow}", "DELETE /api/v1/chatmessage/{flow}",
	"GET /api/v1/internal-chatmessage/{flow}", "GET /api/v1/upsert-history/{flow}", "GET /api/v1/leads/{flow}",
	"GET /api/v1/feedback/{flow}",
	"POST /api/v1/feedback/{flow} " +
		"{\"chatflowid\":\"{flow}\",\"chatId\":\"x\",\"messageId\":\"x\",\"rating\":\"THUMBS_UP\"}",
	"POST /api/v1/leads {\"chatflowid\":\"{flow}\",\"chatId\":\"x\"}",
	"GET /api/v1/get-upload-file?chatflowId={flow}&chatId=x&fileName=y", "POST /api/v1/vector/upsert/{flow} {}",
	"POST /api/v1/vector/internal-upsert/{flow} {}", "GET /api/v1/mcp-server/{flow}",
	"POST /api/v1/webhook/{flow} {}", "POST /api/v1/export-import/chatflow-messages {\"chatflowId\":\"{flow}\"}",
	"POST /api/v1/marketplaces/custom {\"name\":\"x\",\"chatflowId\":\"{flow}\"}",
	"GET /api/v1/executions?agentflowId={flow}", "GET /api/v1/executions/{execution}",
	"PUT /api/v1/executions/{execution} {\"state\":\"STOPPED\"}", "DELETE /api/v1/executions/{execution}",
	"DELETE /api/v1/executions {\"executionIds\":[\"{execution}\"]}", "GET /api/v1/public-executions/{execution}",
	"GET /api/v1/credentials/{credential}", "PUT /api/v1/credentials/{credential} {\"name\":\"stolen\"}",
	"DELETE /api/v1/credentials/{credential}", "GET /api/v1/credentials/{credential}/reveal",
	"GET /api/v1/openai-assistants?credential={credential}",
	"GET /api/v1/openai-assistants-vector-store?credential={credential}",
	"POST /api/v1/oauth2-credential/authorize/{credential} {}",
	"GET /api/v1/tools/{tool}", "PUT /api/v1/tools/{tool} {\"name\":\"stolen\"}", "DELETE /api/v1/tools/{tool}",
	"PUT /api/v1/variables/{variable} {\"value\":\"stolen\"}", "DELETE /api/v1/variables/{variable}",
	"GET /api/v1/assistants/{assistant}", "PUT /api/v1/assistants/{assistant} {}",
	"DELETE /api/v1/assistants/{assistant}", "DELETE /api/v1/marketplaces/custom/{template}",
	"GET /api/v1/document-store/store/{store}", "PUT /api/v1/document-store/store/{store} {\"name\":\"stolen\"}",
	"DELETE /api/v1/document-store/store/{store}",
	"POST /api/v1/document-store/vectorstore/query {\"storeId\":\"{store}\",\"query\":\"x\"}",
	"POST /api/v1/document-store/loader/save {\"storeId\":\"{store}\"}",
	"GET /api/v1/document-store/chunks/{store}/all/1", "PUT /api/v1/apikey/{key} " +
		"{\"keyName\":\"stolen\",\"permissions\":[\"chatflows:view\"]}", "DELETE /api/v1/apikey/{key}",
	"GET /api/v1/custom-mcp-servers/{server}", "PUT /api/v1/custom-mcp-servers/{server} {\"name\":\"stolen\"}",
	"DELETE /api/v1/custom-mcp-servers/{server}", "GET /api/v1/custom-mcp-servers/{server}/tools",
	"GET /v2/agentcanvas/{flow}", "GET /document-stores/{store}", "GET /execution/{execution}",
}

// sendCall sends one of foreignCalls with a tenant's ids.
func (p *tenant) sendCall(text string, ids map[string]string) Answer {
	for kind, id := range ids {
		text = strings.ReplaceAll(text, "{"+kind+"}", id)
	}
	parts := strings.SplitN(text, " ", 3)
	if len(parts) == 3 {
		return p.api.Call(parts[0], parts[1], parts[2])
	}
	return p.api.Call(parts[0], parts[1], nil)
}

func (w *houses) foreign(t *testing.T) {
	unknown := map[string]string{}
	for kind := range w.a.made {
		unknown[kind] = "0badcafe-0bad-4bad-8bad-0badcafebad0"
	}
	before := w.truth(t)
	for _, pair := range [][2]*tenant{{w.a, w.b}, {w.b, w.a}} {
		p, other := pair[0], pair[1]
		for _, text := range foreignCalls {
			a := p.sendCall(text, other.made)
			if a.Status != http.StatusNotFound {
				t.Errorf("%s: %s: %d %.200s", p.account.Username, text, a.Status, a.Body)
			}
			if b := p.sendCall(text, unknown); b.Status != a.Status ||
				withoutRequestID(b.Body) != withoutRequestID(a.Body) {
				t.Errorf(
					"%s: %s tells the other's from what does not exist:\n%d %.300s\n%d %.300s",
					p.account.Username,
					text,
					a.Status,
					a.Body,
					b.Status,
					b.Body,
				)
			}
		}
	}
	if after := w.truth(t); after != before {
		t.Error("something has changed in Flowise")
	}
}

// truth is Flowise's own description of all objects.
func (w *houses) truth(t *testing.T) string {
	c := w.f.SignIn(t, Owner{Email: "boss@example.com", Password: "Boss-Password-1"})
	text := ""
	for _, path := range []string{"chatflows", "tools", "credentials", "variables", "assistants",
		"document-store/store", "apikey", "marketplaces/custom", "custom-mcp-servers", "executions?limit=100"} {
		text += c.Get("/api/v1/"+path).Body + "\n"
	}
	return text
}

func withoutRequestID(body string) string {
	var v map[string]any
	if json.Unmarshal([]byte(body), &v) != nil {
		return "not JSON: " + body
	}
	delete(v, "requestId")
	return fmt.Sprint(v)
}

func (w *houses) bodies(t *testing.T) {
	for _, pair := range [][2]*tenant{{w.a, w.b}, {w.b, w.a}} {
		p, other := pair[0], pair[1]
		variable := strings.ReplaceAll(other.secret(), "-", "_")
		if a := p.api.Call("PUT", "/api/v1/chatflows/"+p.made["flow"],
			map[string]any{"flowData": `{"nodes":[{"data":{"inputs":{"x":"{{$vars.` + variable +
				`}}"}}}]}`}); a.Status != http.StatusNotFound {
			t.Errorf("%s: a flow with the other's variable: %d %.200s", p.account.Username, a.Status, a.Body)
		}
		if a := p.api.Call("POST", "/api/v1/variables",
			map[string]any{"name": variable, "value": "x", "type": "static"}); a.Status != http.StatusConflict {
			t.Errorf("%s: a variable with the name of the other's: %d %.200s", p.account.Username, a.Status, a.Body)
		}
		for kind, id := range other.made {
			if kind == "execution" || kind == "key" {
				// A key's id is Sluice's own and means nothing to the builder.
				continue
			}
			inner, _ := json.Marshal(
				map[string]any{
					"nodes": []any{map[string]any{"data": map[string]any{"inputs": map[string]any{"x": id}}}},
				},
			)
			twice, _ := json.Marshal(map[string]any{"config": string(inner)})
			escaped := fmt.Sprintf(`{"name":"x","flowData":"{}","category":"\u%04x%s"}`, id[0], id[1:])
			for what, body := range map[string]any{
				"plain": map[string]any{"name": "x", "flowData": "{}",
					"category": id}, "in flowData": map[string]any{"name": "x", "flowData": string(inner)},
				"two levels deep": map[string]any{"name": "x", "flowData": string(twice)}, "escaped": escaped,
			} {
				if a := p.api.Call("POST", "/api/v1/chatflows", body); a.Status != http.StatusNotFound {
					t.Errorf(
						"%s: a new flow with the other's %s, %s: %d %.200s",
						p.account.Username,
						kind,
						what,
						a.Status,
						a.Body,
					)
				}
				if a := p.api.Call("PUT", "/api/v1/chatflows/"+p.made["flow"], body); a.Status != http.StatusNotFound {
					t.Errorf(
						"%s: a changed flow with the other's %s, %s: %d %.200s",
						p.account.Username,
						kind,
						what,
						a.Status,
						a.Body,
					)
				}
			}
			if a := p.api.Call("POST", "/api/v1/prediction/"+p.made["flow"],
				map[string]any{"question": "x",
					"overrideConfig": map[string]any{"x": id}}); a.Status != http.StatusNotFound {
				t.Errorf("%s: an override with the other's %s: %d %.200s", p.account.Username, kind, a.Status, a.Body)
			}
		}
	}
}

func (w *houses) browse(t *testing.T) {
	for _, pair := range [][2]*tenant{{w.a, w.b}, {w.b, w.a}} {
		p, other := pair[0], pair[1]
		p.person.Open(p.api.Base + "/")
		p.person.At(w.s.URL + "/login")
		p.person.signIn(p.account)
		p.person.SeeFlowise()
		for path, own := range map[string]string{
			"/agentflows":      "-flow",
			"/tools":           "-tool",
			"/credentials":     "-credential",
			"/document-stores": "-store",
			"/apikey":          "-key",
			"/executions":      "-flow",
		} {
			p.person.Open(p.api.Base + path)
			p.person.See(p.secret() + own)
			if text := p.person.Text(); strings.Contains(text, other.secret()) {
				t.Errorf("%s sees the other's on %s: %s", p.account.Username, path, text)
			}
		}
		p.person.Shot("own")
		p.person.OpenFlow(p.api.Base, p.made["flow"])
		p.person.Chat(p.made["flow"], "hello", "echo: hello")
		p.person.Open(p.api.Base + "/v2/agentcanvas/" + other.made["flow"])
		p.person.See("There is no such object here")
		p.person.Shot("foreign")
	}
}

func (w *houses) importAndDelete(t *testing.T) {
	empty := map[string]any{}
	for _, list := range []string{"AgentFlow", "AgentFlowV2", "AssistantCustom", "AssistantFlow", "AssistantOpenAI",
		"AssistantAzure", "ChatFlow", "ChatMessage", "ChatMessageFeedback",
		"CustomTemplate", "DocumentStore", "DocumentStoreFileChunk", "Execution", "Tool", "Variable"} {
		empty[list] = []any{}
	}
	flow := EchoFlow(t, "imported by anna")
	flow["id"] = "5eed5eed-5eed-4eed-8eed-5eed5eed5eed"
	empty["AgentFlowV2"] = []any{flow}
	call(t, w.a.api, "POST", "/api/v1/export-import/import", empty, nil)
	if !strings.Contains(w.a.api.Get("/api/v1/chatflows").Body, "imported by anna") {
		t.Error("what was imported is not there")
	}
	if strings.Contains(w.b.api.Get("/api/v1/chatflows").Body, "imported by anna") {
		t.Error("the other one sees what was imported")
	}
	for _, text := range []string{
		"DELETE /api/v1/executions/{execution}", "DELETE /api/v1/chatflows/{flow}", "DELETE /api/v1/tools/{tool}",
		"DELETE /api/v1/assistants/{assistant}", "DELETE /api/v1/variables/{variable}",
		"DELETE /api/v1/document-store/store/{store}", "DELETE /api/v1/apikey/{key}",
		"DELETE /api/v1/custom-mcp-servers/{server}", "DELETE /api/v1/marketplaces/custom/{template}",
		"DELETE /api/v1/credentials/{credential}",
	} {
		if a := w.a.sendCall(text, w.a.made); a.Status != http.StatusOK {
			t.Errorf("%s: %d %.200s", text, a.Status, a.Body)
		}
	}
	for _, path := range listPaths {
		if a := w.a.api.Get(path); a.Status != 200 || strings.Contains(a.Body, w.a.secret()) {
			t.Errorf("%s still shows what was deleted: %d %.300s", path, a.Status, a.Body)
		}
	}
}
