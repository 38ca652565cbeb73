//go:build e2e

package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// quarters is one Langflow behind one Sluice, with two workspaces: Anna (admin), Uwe (user) and
// Vera (viewer) in the first, Bert in the other.
type quarters struct {
	release string
	l       *Langflow
	s       *Sluice
	app     string // the app's id
	home    string // id of the first workspace
	root    *Client
	people  map[string]*resident
	flow    string // Anna's
	second  string // Anna's too, for keys that are limited to the first
	foreign string // Bert's
}

// resident is a person with clients for Sluice's own pages and for Langflow behind it.
type resident struct {
	account  Account
	main, lf *Client
}

// TestLangflowWorkspaces is two workspaces in front of one real Langflow of each release.
func TestLangflowWorkspaces(t *testing.T) {
	for _, release := range releases() {
		t.Run(release, func(t *testing.T) {
			suite(t, 10*time.Minute)
			l := StartLangflow(t, release)
			w := &quarters{
				release: release,
				l:       l,
				s:       StartSluiceWith(t, langflowVariables, "--protect", l.URL),
				people:  map[string]*resident{},
			}
			for _, step := range []struct {
				name string
				run  func(*testing.T)
			}{
				{"Sluice connects by the variables that both have", w.setUp},
				{"people get their workspaces", w.settle},
				{"people of a workspace see and change the same flow", w.share},
				{"another workspace sees nothing of it by any route", w.apart},
				{"a viewer reads and runs, and changes nothing", w.view},
				{"code needs the code capability", w.code},
				{"a run is its workspace's", w.jobs},
				{"a key limited to one flow runs that flow and no other", w.keys},
				{"signing out ends it", w.leave},
			} {
				if !t.Run(step.name, func(t *testing.T) { w.report(t); step.run(t) }) {
					t.FailNow()
				}
			}
		})
	}
}

// langflowVariables are those that Sluice shares with the Langflow that StartLangflow starts.
var langflowVariables = []string{
	"LANGFLOW_SUPERUSER=" + langflowAdmin.Username, "LANGFLOW_SUPERUSER_PASSWORD=" +
		langflowAdmin.Password, "LANGFLOW_SECRET_KEY=" + langflowKey,
}

// report lets all clients report to t.
func (w *quarters) report(t *testing.T) {
	if w.root != nil {
		w.root = w.root.As(t)
	}
	for _, p := range w.people {
		p.main, p.lf = p.main.As(t), p.lf.As(t)
	}
}

func (w *quarters) setUp(t *testing.T) {
	w.root = w.s.SignIn(t, langflowAdmin)
	var apps struct {
		Items []struct{ ID, Kind, Version string }
	}
	call(t, w.root, "GET", "/api/v1/apps", nil, &apps)
	if len(apps.Items) != 1 || apps.Items[0].Kind != "langflow" {
		t.Fatalf("the apps are %+v", apps.Items)
	}
	w.app = apps.Items[0].ID
	var workspaces struct{ Items []struct{ ID string } }
	call(t, w.root, "GET", "/api/v1/workspaces", nil, &workspaces)
	w.home = workspaces.Items[0].ID
	lf := w.s.Enter(t, w.root)
	w.s.p.until(
		t,
		"connection with Langflow",
		func() bool { return lf.Get("/api/v1/projects/").Status == http.StatusOK },
	)
}

func (w *quarters) settle(t *testing.T) {
	var other struct{ ID string }
	call(t, w.root, "POST", "/api/v1/workspaces", map[string]string{"name": "Bert's house"}, &other)
	call(t, w.root, "PUT", "/api/v1/apps/"+w.app+"/workspaces/"+other.ID, nil, nil)
	for name, in := range map[string][2]string{"anna": {"admin", w.home}, "uwe": {"user", w.home},
		"vera": {"viewer", w.home}, "bert": {"admin", other.ID}} {
		p := &resident{
			account: Account{
				Username: name,
				Email:    name + "@example.com",
				Password: "several unrelated words of " + name,
			},
		}
		call(t, w.root, "POST", "/api/v1/users", map[string]any{
			"username":  name,
			"email":     p.account.Email,
			"password":  p.account.Password,
			"role":      in[0],
			"workspace": in[1],
		}, nil)
		p.main = w.s.SignIn(t, p.account)
		p.lf = w.s.Enter(t, p.main)
		p.lf.Header = http.Header{}
		w.people[name] = p
	}
}

func (w *quarters) share(t *testing.T) {
	anna, uwe := w.people["anna"].lf, w.people["uwe"].lf
	w.flow = CreateFlow(t, anna, EchoLangflow(t, anna, "Anna's first"))
	w.second = CreateFlow(t, anna, EchoLangflow(t, anna, "Anna's second"))
	if list := uwe.Get("/api/v1/flows/?get_all=true&header_flows=false"); !strings.Contains(list.Body, w.flow) {
		t.Errorf("Uwe does not see the flow: %d %.300s", list.Status, list.Body)
	}
	call(t, uwe, "PATCH", "/api/v1/flows/"+w.flow, map[string]string{"description": "changed by Uwe"}, nil)
	if a := anna.Get("/api/v1/flows/" + w.flow); !strings.Contains(a.Body, "changed by Uwe") {
		t.Errorf("Anna does not see Uwe's change: %d %.300s", a.Status, a.Body)
	}
	call(t, anna, "PATCH", "/api/v1/flows/"+w.flow, map[string]string{"description": "changed by Anna"}, nil)
	if a := uwe.Get("/api/v1/flows/" + w.flow); !strings.Contains(a.Body, "changed by Anna") {
		t.Errorf("Uwe does not see Anna's change: %d %.300s", a.Status, a.Body)
	}
}

func (w *quarters) apart(t *testing.T) {
	bert := w.people["bert"].lf
	w.foreign = CreateFlow(t, bert, EchoLangflow(t, bert, "Bert's own"))
	for _, path := range []string{"/api/v1/flows/?get_all=true", "/api/v1/flows/?get_all=true&header_flows=true",
		"/api/v1/projects/", "/api/v1/monitor/messages/sessions"} {
		if a := bert.Get(path); strings.Contains(a.Body, w.flow) || strings.Contains(a.Body, "Anna's") {
			t.Errorf("Bert sees Anna's flow by %s: %.300s", path, a.Body)
		}
	}
	if a := bert.Get("/api/v1/flows/?get_all=true"); !strings.Contains(a.Body, w.foreign) {
		t.Errorf("Bert does not see his own flow: %d %.300s", a.Status, a.Body)
	}
	for _, r := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/api/v1/flows/" + w.flow, nil},
		{"PATCH", "/api/v1/flows/" + w.flow, map[string]string{"description": "Bert was here"}},
		{"PUT", "/api/v1/flows/" + w.flow, map[string]string{"name": "Bert was here"}},
		{"DELETE", "/api/v1/flows/" + w.flow, nil},
		{"DELETE", "/api/v1/flows/", []string{w.flow}},
		{"POST", "/api/v1/flows/download/", []string{w.flow}},
		{"POST", "/api/v1/build/" + w.flow + "/flow", map[string]any{"inputs": map[string]string{"input_value": "x"}}},
		{"GET", "/api/v1/monitor/builds?flow_id=" + w.flow, nil},
		{"GET", "/api/v1/monitor/transactions?flow_id=" + w.flow, nil},
		{"GET", "/api/v1/monitor/messages?flow_id=" + w.flow, nil},
		{"DELETE", "/api/v1/monitor/builds?flow_id=" + w.flow, nil},
		{"POST", "/api/v1/files/upload/" + w.flow, nil},
		{"GET", "/api/v1/files/list/" + w.flow, nil},
		{"GET", "/api/v1/files/images/" + w.flow + "/x.png", nil},
		{"POST", "/api/v1/webhook/" + w.flow, map[string]int{"x": 1}},
		{"POST", "/api/v1/responses", map[string]string{"model": w.flow, "input": "x"}},
		{"POST", "/api/v1/run/" + w.flow, map[string]string{"input_value": "x"}},
	} {
		if a := bert.Call(r.method, r.path, r.body); a.Status != http.StatusNotFound &&
			a.Status != http.StatusForbidden &&
			a.Status != http.StatusBadRequest {
			t.Errorf("Bert: %s %s answers %d %.200s", r.method, r.path, a.Status, a.Body)
		}
	}
	if a := w.people["anna"].lf.Get("/api/v1/flows/" + w.flow); !strings.Contains(a.Body, "changed by Anna") {
		t.Errorf("Anna's flow is not what it was: %d %.300s", a.Status, a.Body)
	}
}

func (w *quarters) view(t *testing.T) {
	vera := w.people["vera"].lf
	if a := vera.Get("/api/v1/flows/" + w.flow); a.Status != http.StatusOK ||
		!strings.Contains(strings.ReplaceAll(a.Body, " ", ""), `"locked":true`) {
		t.Errorf("the flow is not locked for Vera: %d %.300s", a.Status, a.Body)
	}
	for _, r := range [][2]string{{"PATCH", "/api/v1/flows/" + w.flow}, {"DELETE", "/api/v1/flows/" + w.flow},
		{"POST", "/api/v1/flows/"}, {"GET", "/api/v1/variables/"}, {"POST", "/api/v1/validate/code"}} {
		var body any
		if r[0] != "GET" {
			body = map[string]string{"name": "Vera was here", "code": "print(1)"}
		}
		if a := vera.Call(r[0], r[1], body); a.Status != http.StatusForbidden {
			t.Errorf("Vera: %s %s answers %d %.200s", r[0], r[1], a.Status, a.Body)
		}
	}
	data := EchoLangflow(t, vera, "x")["data"]
	a := vera.Call(
		"POST",
		"/api/v1/build/"+w.flow+"/flow?event_delivery=direct",
		map[string]any{"inputs": map[string]string{"input_value": "said by Vera"}, "data": data},
	)
	if a.Status != http.StatusOK || !strings.Contains(a.Body, "said by Vera") {
		t.Errorf("Vera cannot chat: %d %.600s", a.Status, a.Body)
	}
}

// evil is a component with unapproved code.
const evil = "from langflow.custom import Component\nclass Evil(Component):\n    display_name = " +
	"__import__('os').popen('id').read()\n"

func (w *quarters) code(t *testing.T) {
	bad := EchoLangflow(t, w.people["anna"].lf, "evil")
	code := bad["data"].(map[string]any)["nodes"].([]any)[0].(map[string]any)
	for _, key := range []string{"data", "node", "template", "code"} {
		code = code[key].(map[string]any)
	}
	code["value"] = evil
	uwe := w.people["uwe"].lf
	for _, r := range []struct {
		method, path string
		body         any
	}{
		{"POST", "/api/v1/validate/code", map[string]string{"code": evil}},
		{"POST", "/api/v1/custom_component", map[string]string{"code": evil}},
		{"POST", "/api/v1/build/" + w.flow + "/flow", map[string]any{"data": bad["data"]}},
		{"PATCH", "/api/v1/flows/" + w.flow, map[string]any{"data": bad["data"]}},
		{"POST", "/api/v1/flows/", bad},
		{"POST", "/api/v2/mcp/servers/x", map[string]any{"command": "id", "args": []string{}}},
	} {
		if a := uwe.Call(r.method, r.path, r.body); a.Status != http.StatusForbidden {
			t.Errorf("Uwe: %s %s answers %d %.300s", r.method, r.path, a.Status, a.Body)
		}
	}
	if a := uwe.Call("PATCH", "/api/v1/flows/"+w.flow,
		map[string]any{"data": EchoLangflow(t, uwe, "")["data"]}); a.Status != http.StatusOK {
		t.Errorf("Uwe cannot save a flow of stock components: %d %.400s", a.Status, a.Body)
	}
	if a := w.people["anna"].lf.Call("POST", "/api/v1/validate/code",
		map[string]string{"code": "x = 1\n"}); a.Status != http.StatusOK {
		t.Errorf("Anna, an admin, cannot validate code: %d %.300s", a.Status, a.Body)
	}
}

func (w *quarters) jobs(t *testing.T) {
	anna, uwe, bert := w.people["anna"].lf, w.people["uwe"].lf, w.people["bert"].lf
	var job struct {
		ID string `json:"job_id"`
	}
	call(
		t,
		anna,
		"POST",
		"/api/v1/build/"+w.flow+"/flow?event_delivery=streaming",
		map[string]any{"inputs": map[string]string{"input_value": "streamed words"}},
		&job,
	)
	if a := bert.Get("/api/v1/build/" + job.ID + "/events?event_delivery=streaming"); a.Status != http.StatusNotFound {
		t.Errorf("Bert reads Anna's run: %d %.200s", a.Status, a.Body)
	}
	if a := bert.Call("POST", "/api/v1/build/"+job.ID+"/cancel", nil); a.Status != http.StatusNotFound {
		t.Errorf("Bert stops Anna's run: %d %.200s", a.Status, a.Body)
	}
	if a := w.people["vera"].lf.Call("POST", "/api/v1/build/"+job.ID+"/cancel", nil); a.Status != http.StatusNotFound &&
		a.Status != http.StatusForbidden {
		t.Errorf("Vera stops Anna's run: %d %.200s", a.Status, a.Body)
	}
	if a := anna.Get("/api/v1/build/" + job.ID + "/events?event_delivery=streaming"); a.Status != http.StatusOK ||
		!strings.Contains(a.Body, "streamed words") {
		t.Errorf("Anna's own run: %d %.400s", a.Status, a.Body)
	}
	if a := uwe.Get("/api/v1/monitor/messages?flow_id=" + w.flow); a.Status != http.StatusOK ||
		!strings.Contains(a.Body, "streamed words") {
		t.Errorf("the messages of the flow: %d %.400s", a.Status, a.Body)
	}
	if a := bert.Get("/api/v1/monitor/messages"); strings.Contains(a.Body, "streamed words") {
		t.Errorf("Bert reads Anna's messages: %.300s", a.Body)
	}
}

func (w *quarters) keys(t *testing.T) {
	var made struct{ Secret string }
	scope := map[string]any{"actions": []string{"flow:run"}, "apps": []string{w.app}, "flows": []string{w.flow}}
	call(
		t,
		w.people["uwe"].main,
		"POST",
		"/api/v1/keys",
		map[string]any{"name": "for a program", "scope": scope},
		&made,
	)
	key := made.Secret
	program := NewClient(t, w.people["uwe"].lf.Base)
	if a := RunFlow(program, key, w.flow, "asked by a program"); a.Status != http.StatusOK ||
		!strings.Contains(a.Body, "asked by a program") {
		t.Fatalf("the key does not run its flow: %d %.400s", a.Status, a.Body)
	}
	for _, other := range []string{w.second, w.foreign, "11111111-2222-4333-8444-555555555555"} {
		if a := RunFlow(program, key, other, "x"); a.Status != http.StatusNotFound && a.Status != http.StatusForbidden {
			t.Errorf("the key runs another flow: %d %.300s", a.Status, a.Body)
		}
	}
	for _, path := range []string{"/api/v1/flows/?get_all=true", "/api/v1/variables/", "/api/v1/api_key/",
		"/api/v1/users/"} {
		program.Header.Set("X-Api-Key", key)
		if a := program.Get(path); a.Status < 400 {
			t.Errorf("the key reads %s: %d %.200s", path, a.Status, a.Body)
		}
	}
	for _, streaming := range []bool{false, true} {
		lines := LangflowSDK(t, program.Base, key, w.flow, "asked by langflow-client", streaming)
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "asked by langflow-client") }) {
			t.Errorf("langflow-client, streaming %v: %.600s", streaming, strings.Join(lines, "\n"))
		}
		if lines := LangflowSDK(t, program.Base, key, w.second, "x", streaming); !strings.HasPrefix(lines[0], "error") {
			t.Errorf("langflow-client runs another flow: %v", lines)
		}
	}
}

func (w *quarters) leave(t *testing.T) {
	uwe := w.people["uwe"].lf
	if a := uwe.Call("POST", "/api/v1/logout", nil); a.Status != http.StatusOK {
		t.Fatalf("logout: %d %.300s", a.Status, a.Body)
	}
	for _, path := range []string{"/api/v1/flows/" + w.flow, "/api/v1/users/whoami"} {
		if a := uwe.Get(path); a.Status != http.StatusUnauthorized && a.Status != http.StatusForbidden {
			t.Errorf("after signing out %s answers %d", path, a.Status)
		}
	}
	if a := w.people["uwe"].main.Get("/account"); a.Status != http.StatusUnauthorized {
		t.Errorf("the session at Sluice goes on: %d", a.Status)
	}
}
