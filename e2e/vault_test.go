//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// model is a language model on the loopback address that notes the keys it is called with.
type model struct {
	*httptest.Server
	mu   sync.Mutex
	keys []string
}

func startModel(t testing.TB) *model {
	m := &model{}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		m.mu.Lock()
		m.keys = append(m.keys, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		m.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(
			w,
			`{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hello"}}],`+
				`"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`,
		)
	}))
	t.Cleanup(m.Close)
	return m
}

// last is the key of the last call; "" without a call.
func (m *model) last() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.keys) == 0 {
		return ""
	}
	return m.keys[len(m.keys)-1]
}

// safe is a vault in front of a real Flowise.
type safe struct {
	f          *Flowise
	s          *Sluice
	m          *model
	root, app  *Client // at Sluice's own origin and at the app's
	id         string  // the app's
	credential string  // its path in the API
	object     string  // the copy's id in Flowise
	flow       string
	logs       string // of the processes that have ended
}

// Planted secrets, which must appear nowhere in Sluice's data or messages.
const (
	canaryOne   = "sk-canary-one-Zq7/+xW3"
	canaryTwo   = "sk-canary-two-Kp2/+vB8"
	canaryThree = "sk-canary-three-Hn5/+mD1"
)

// TestVault puts a credential into a real Flowise, whose flows call a model with it, and rotates it
// there, also while Flowise is down.
func TestVault(t *testing.T) {
	longSuite(t, 10*time.Minute)
	f := StartFlowise(t)
	w := &safe{f: f, s: StartSluice(t, "--protect", f.URL), m: startModel(t)}
	steps := []struct {
		name string
		run  func(*testing.T)
	}{
		{"Sluice holds Flowise's owner account", w.setUp},
		{"a credential is kept and never shown", w.keep},
		{"it is put into Flowise, and a flow works with it", w.put},
		{"a rotation reaches the flow", w.rotate},
		{"a rotation while Flowise is down is made up for", w.rotateWhileDown},
		{"a copy that was deleted in Flowise comes back", w.deletedThere},
		{"it is withdrawn and deleted", w.withdraw},
		{"the values are nowhere", w.search},
	}
	for _, step := range steps {
		ok := t.Run(step.name, func(t *testing.T) {
			if w.root != nil {
				w.root = w.root.As(t)
			}
			if w.app != nil {
				w.app = w.app.As(t)
			}
			step.run(t)
		})
		if !ok {
			t.FailNow()
		}
	}
}

func (w *safe) setUp(t *testing.T) {
	boss := Owner{Name: "Boss", Email: "boss@example.com", Password: "Boss-Password-1"}
	w.f.Register(t, boss)
	if out, err := w.s.Command(t, adminAccount.Password+"\n", "user", "create", "--superuser", "--role", "admin",
		"--email", adminAccount.Email, "--password-stdin", adminAccount.Username); err != nil {
		t.Fatalf("user create: %v\n%s", err, out)
	}
	w.root = w.s.SignIn(t, adminAccount)
	var apps struct{ Items []struct{ ID string } }
	call(t, w.root, "GET", "/api/v1/apps", nil, &apps)
	w.id = apps.Items[0].ID
	call(
		t,
		w.root,
		"POST",
		"/api/v1/apps/"+w.id+"/owner",
		map[string]string{"email": boss.Email, "password": boss.Password},
		nil,
	)
	w.app = w.s.Enter(t, w.root)
}

const vaultAPI = "/api/v1/workspaces/default/credentials"

func (w *safe) keep(t *testing.T) {
	var kinds struct {
		Items []struct {
			Name   string
			Fields []struct {
				Name   string
				Secret bool
			}
		}
	}
	call(t, w.root, "GET", "/api/v1/workspaces/default/credential-kinds/"+w.id+"?limit=200", nil, &kinds)
	known := false
	for _, k := range kinds.Items {
		known = known ||
			k.Name == "openAIApi" && len(k.Fields) > 0 && k.Fields[0].Name == "openAIApiKey" && k.Fields[0].Secret
	}
	if !known {
		t.Errorf("of %d kinds none is that of OpenAI with its field", len(kinds.Items))
	}
	var made struct{ ID string }
	call(
		t,
		w.root,
		"POST",
		vaultAPI,
		map[string]any{
			"name":   "Team key",
			"kind":   "openAIApi",
			"values": map[string]string{"openAIApiKey": canaryOne},
			"roles":  []string{"user"},
		},
		&made,
	)
	w.credential = vaultAPI + "/" + made.ID
	for _, path := range []string{vaultAPI, w.credential} {
		if a := w.root.Get(path); a.Status != http.StatusOK || strings.Contains(a.Body, "canary") ||
			!strings.Contains(a.Body, "openAIApiKey") {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
}

// copied is a copy as the API describes it.
type copied struct {
	ObjectID, Trouble string
	Current           bool
	Flows             []struct{ ID, Name string }
}

func (c *copied) UnmarshalJSON(b []byte) error {
	var v struct {
		Object  string `json:"object_id"`
		Trouble string
		Current bool
		Flows   []struct{ ID, Name string }
	}
	err := json.Unmarshal(b, &v)
	*c = copied{v.Object, v.Trouble, v.Current, v.Flows}
	return err
}

type copies struct{ Items []copied }

func (w *safe) put(t *testing.T) {
	var use copied
	call(t, w.root, "POST", w.credential+"/uses", map[string]string{"app_id": w.id}, &use)
	if !use.Current || use.Trouble != "" {
		t.Fatalf("put: %+v", use)
	}
	w.object = use.ObjectID
	if a := w.root.Call("POST", w.credential+"/uses",
		map[string]string{"app_id": w.id}); a.Status != http.StatusConflict {
		t.Errorf("put a second time: %d %.200s", a.Status, a.Body)
	}
	if list := w.app.Get("/api/v1/credentials").Body; !strings.Contains(list, w.object) ||
		!strings.Contains(list, "Team key") ||
		strings.Contains(list, "canary") {
		t.Errorf("Flowise's list through Sluice: %.500s", list)
	}
	for _, path := range []string{"", "/reveal"} {
		if a := w.app.Get("/api/v1/credentials/" + w.object + path); strings.Contains(a.Body, "canary") {
			t.Errorf("Flowise shows the value at %s: %.300s", path, a.Body)
		}
	}
	var flow struct{ ID string }
	call(t, w.app, "POST", "/api/v1/chatflows", modelFlow(t, w.m.URL+"/v1", w.object), &flow)
	w.flow = flow.ID
	w.ask(t, canaryOne)
	var uses copies
	call(t, w.root, "GET", w.credential+"/uses", nil, &uses)
	if len(uses.Items) != 1 || len(uses.Items[0].Flows) != 1 || uses.Items[0].Flows[0].ID != w.flow {
		t.Errorf("where it is used: %+v", uses)
	}
}

// modelFlow asks a model that is called with a credential.
func modelFlow(t *testing.T, base, credential string) map[string]any {
	t.Helper()
	body := EchoFlow(t, "asks a model")
	var flow map[string]any
	if err := json.Unmarshal([]byte(body["flowData"].(string)), &flow); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(flow)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(
		strings.ReplaceAll(
			strings.ReplaceAll(string(text), "directReplyAgentflow", "llmAgentflow"),
			"Direct Reply",
			"LLM",
		),
	)
	if err := json.Unmarshal(text, &flow); err != nil {
		t.Fatal(err)
	}
	flow["nodes"].([]any)[1].(map[string]any)["data"].(map[string]any)["inputs"] = map[string]any{
		"llmModel": "chatOpenAI", "llmMessages": []any{map[string]string{"role": "user",
			"content": "{{ question }}"}}, "llmReturnResponseAs": "userMessage",
		"llmModelConfig": map[string]any{
			"llmModel":              "chatOpenAI",
			"modelName":             "gpt-4o-mini",
			"basepath":              base,
			"streaming":             false,
			"FLOWISE_CREDENTIAL_ID": credential,
		},
	}
	if text, err = json.Marshal(flow); err != nil {
		t.Fatal(err)
	}
	body["flowData"] = string(text)
	return body
}

// ask runs the flow; the model must have been called with this key.
func (w *safe) ask(t *testing.T, key string) {
	t.Helper()
	a := w.app.Call("POST", "/api/v1/prediction/"+w.flow, map[string]any{"question": "hello?"})
	if got := w.m.last(); a.Status != http.StatusOK || got != key {
		t.Fatalf("the model was called with %q, want %q; the flow answered %d %.400s", got, key, a.Status, a.Body)
	}
}

func (w *safe) rotate(t *testing.T) {
	var uses copies
	call(
		t,
		w.root,
		"POST",
		w.credential+"/rotate",
		map[string]any{"values": map[string]string{"openAIApiKey": canaryTwo}},
		&uses,
	)
	if len(uses.Items) != 1 || !uses.Items[0].Current || uses.Items[0].ObjectID != w.object {
		t.Fatalf("rotated: %+v", uses)
	}
	w.ask(t, canaryTwo)
}

func (w *safe) rotateWhileDown(t *testing.T) {
	w.f.Stop(t)
	var uses copies
	call(
		t,
		w.root,
		"POST",
		w.credential+"/rotate",
		map[string]any{"values": map[string]string{"openAIApiKey": canaryThree}},
		&uses,
	)
	if len(uses.Items) != 1 || uses.Items[0].Current || uses.Items[0].Trouble == "" {
		t.Fatalf("rotated while Flowise is down: %+v", uses)
	}
	// A power cut now must lose nothing.
	w.logs += w.s.p.output()
	w.s.Kill()
	w.s.Start(t)
	w.f.Start(t)
	w.root = w.s.SignIn(t, adminAccount)
	call(t, w.root, "POST", "/api/v1/apps/"+w.id+"/check", nil, nil)
	w.app = w.s.Enter(t, w.root)
	call(t, w.root, "GET", w.credential+"/uses", nil, &uses)
	if len(uses.Items) != 1 || !uses.Items[0].Current {
		t.Fatalf("after Flowise is well again: %+v", uses)
	}
	w.ask(t, canaryThree)
}

func (w *safe) deletedThere(t *testing.T) {
	if a := w.app.Call("DELETE", "/api/v1/credentials/"+w.object, nil); a.Status != http.StatusOK {
		t.Fatalf("deleting it in Flowise: %d %.300s", a.Status, a.Body)
	}
	var uses copies
	call(t, w.root, "POST", w.credential+"/uses/refresh", nil, &uses)
	if len(uses.Items) != 1 || !uses.Items[0].Current || uses.Items[0].ObjectID != w.object {
		t.Fatalf("refreshed: %+v", uses)
	}
	w.ask(t, canaryThree)
}

func (w *safe) withdraw(t *testing.T) {
	if a := w.root.Call("DELETE", w.credential, nil); a.Status != http.StatusConflict ||
		!strings.Contains(a.Body, "in 1 app") {
		t.Errorf("deleting it while it is in an app: %d %.300s", a.Status, a.Body)
	}
	call(t, w.root, "DELETE", w.credential+"/uses/"+w.id, nil, nil)
	if list := w.app.Get("/api/v1/credentials").Body; strings.Contains(list, w.object) {
		t.Errorf("Flowise still has it: %.500s", list)
	}
	call(t, w.root, "POST", w.credential+"/uses", map[string]string{"app_id": w.id}, nil)
	call(t, w.root, "DELETE", w.credential+"?withdraw=true", nil, nil)
	if list := w.app.Get("/api/v1/credentials").Body; strings.Contains(list, "Team key") {
		t.Errorf("Flowise has a copy of a deleted credential: %.500s", list)
	}
	if a := w.root.Get(w.credential); a.Status != http.StatusNotFound {
		t.Errorf("the deleted credential: %d", a.Status)
	}
}

// search looks for the planted values in everything that Sluice has written. A clean end writes the
// log of SQLite into the database.
func (w *safe) search(t *testing.T) {
	record := w.root.Get("/api/v1/audit?limit=200").Body
	if !strings.Contains(record, "credential:manage") || !strings.Contains(record, "new values of openAIApiKey") {
		t.Errorf("the record does not tell of the rotation: %.600s", record)
	}
	w.s.Stop(t)
	texts := map[string]string{"the record": record, "the log": w.logs + w.s.p.output()}
	err := filepath.WalkDir(w.s.Home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		texts[strings.TrimPrefix(path, w.s.Home)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	database := ""
	for name, text := range texts {
		if strings.HasPrefix(text, "SQLite format 3") {
			database = name
		}
		for _, secret := range []string{canaryOne, canaryTwo, canaryThree} {
			for _, form := range []string{secret, url.QueryEscape(secret),
				base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)), secret[:14]} {
				if strings.Contains(text, form) {
					t.Errorf("%s holds %q", name, form)
				}
			}
		}
	}
	if database == "" || !strings.Contains(texts[database], "credential:manage") {
		t.Errorf("the database was not searched: %d files", len(texts))
	}
}
