//go:build e2e

package e2e

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// keyring is one Flowise behind one Sluice, and programs that come with keys.
type keyring struct {
	f     *Flowise
	s     *Sluice
	boss  Owner
	root  *Client // at Sluice's own origin
	admin *Person
	app   string // origin of the app
	flow  string // the echo flow
	bound string // a flow that Flowise had bound to one of its own keys before Sluice came
	key   string // made on Flowise's own page
}

var wholeKey = regexp.MustCompile(`sluice_[0-9A-Za-z]{46}`)

// TestKeys is the life of API keys in front of a real Flowise, with the programs that people use.
func TestKeys(t *testing.T) {
	suite(t, 8*time.Minute)
	f := StartFlowise(t)
	w := &keyring{
		f:     f,
		s:     StartSluice(t, "--protect", f.URL),
		admin: NewPerson(t, "ada"),
		boss:  Owner{Name: "Boss", Email: "boss@example.com", Password: "Boss-Password-1"},
	}
	steps := []struct {
		name string
		run  func(*testing.T)
	}{
		{"Sluice comes to a Flowise that guards a flow with a key of its own", w.setUp},
		{"Flowise's own page makes a key of Sluice's and shows it once", w.makeOnThePage},
		{"flowise-sdk runs a closed flow with it, streaming included", w.sdk},
		{"flowise-embed runs it on a page of another origin", w.embed},
		{"a flow that Flowise has bound to its own key runs", w.runBound},
		{"a key does what it is for and nothing else", w.scope},
		{"Flowise's own page renames and deletes keys", w.changeOnThePage},
		{"nothing has written the key down", w.canary},
	}
	for _, step := range steps {
		ok := t.Run(step.name, func(t *testing.T) {
			w.admin.t = t
			defer func() { w.admin.t = w.f.life }()
			if w.root != nil {
				w.root = w.root.As(t)
			}
			step.run(t)
		})
		if !ok {
			t.FailNow()
		}
	}
}

func (w *keyring) setUp(t *testing.T) {
	w.f.Register(t, w.boss)
	direct := w.f.SignIn(t, w.boss)
	var flow struct{ ID string }
	call(t, direct, "POST", "/api/v1/chatflows", EchoFlow(t, "echo"), &flow)
	w.flow = flow.ID
	var keys []struct{ ID, APIKey string }
	call(
		t,
		direct,
		"POST",
		"/api/v1/apikey",
		map[string]any{"keyName": "from before", "permissions": []string{"agentflows:view"}},
		&keys,
	)
	call(t, direct, "POST", "/api/v1/chatflows", EchoFlow(t, "bound"), &flow)
	w.bound = flow.ID
	call(t, direct, "PUT", "/api/v1/chatflows/"+w.bound, map[string]string{"apikeyid": keys[len(keys)-1].ID}, nil)
	if a := NewClient(t, w.f.URL).Call("POST", "/api/v1/prediction/"+w.bound,
		map[string]string{"question": "hi"}); a.Status < 400 {
		t.Fatalf("Flowise does not guard the bound flow: %d %.200s", a.Status, a.Body)
	}
	if out, err := w.s.Command(t, adminAccount.Password+"\n", "user", "create", "--superuser", "--role", "admin",
		"--email", adminAccount.Email, "--password-stdin", adminAccount.Username); err != nil {
		t.Fatalf("user create: %v\n%s", err, out)
	}
	w.root = w.s.SignIn(t, adminAccount)
	var apps struct{ Items []struct{ ID string } }
	call(t, w.root, "GET", "/api/v1/apps", nil, &apps)
	call(
		t,
		w.root,
		"POST",
		"/api/v1/apps/"+apps.Items[0].ID+"/owner",
		map[string]string{"email": w.boss.Email, "password": w.boss.Password},
		nil,
	)
	w.app = w.s.Enter(t, w.root).Base
}

func (w *keyring) makeOnThePage(t *testing.T) {
	p := w.admin
	p.Open(w.app + "/")
	p.At(w.s.URL + "/login")
	p.signIn(adminAccount)
	p.SeeFlowise()
	p.Open(w.app + "/apikey")
	p.See("No API Keys Yet") // Flowise's own key belongs to no one here
	p.Click("#btn_createApiKey", "")
	p.Fill("#keyName", "made in Flowise")
	p.until("permissions to choose", func() bool {
		n, err := eval[int](
			p,
			`(() => { const all = [...document.querySelectorAll('[role=dialog] button')].filter(e => e.innerText.includes('Select All')); all.forEach(e => e.click()); return all.length })()`,
		)
		return err == nil && n > 0
	})
	p.Click("#btn_confirmAddingApiKey", "")
	p.See("New API key added")
	p.See("made in Flowise")
	p.Click("button[title=Show]", "")
	p.until("key on the page", func() bool { w.key = wholeKey.FindString(p.Text()); return w.key != "" })
	p.Shot("key-made")
	if a := w.ask(w.key, "x-api-key", w.flow, "it works"); a.Status != http.StatusOK ||
		!strings.Contains(a.Body, "echo: it works") {
		t.Errorf("the key that the page shows does not run the flow: %d %.300s", a.Status, a.Body)
	}
	p.Open(w.app + "/apikey")
	p.Click("button[title=Show]", "")
	p.See(w.key[:12] + "•")
	if found := wholeKey.FindString(p.Text()); found != "" {
		t.Error("the page still knows the key after it was loaded again")
	}
	p.Shot("key-later")
}

// ask runs a flow with a key.
func (w *keyring) ask(key, header, flow, question string) Answer {
	c := NewClient(w.admin.t, w.app)
	if key != "" && strings.EqualFold(header, "Authorization") {
		key = "Bearer " + key
	}
	c.Header.Set(header, key)
	return c.Call("POST", "/api/v1/prediction/"+flow, map[string]string{"question": question})
}

func (w *keyring) sdk(t *testing.T) {
	if lines := SDK(t, w.app, w.key, w.flow, "hello", false); len(lines) != 1 ||
		!strings.HasPrefix(lines[0], "answer ") ||
		!strings.Contains(lines[0], `"text":"echo: hello"`) {
		t.Errorf("flowise-sdk: %s", lines)
	}
	lines := SDK(t, w.app, w.key, w.flow, "hello", true)
	token := slices.Index(lines, `event {"event":"token","data":"echo: hello"}`)
	if token < 0 ||
		!slices.ContainsFunc(
			lines[token:],
			func(l string) bool { return strings.HasPrefix(l, `event {"event":"end"`) },
		) {
		t.Errorf("flowise-sdk, streaming: %s", strings.Join(lines, "\n"))
	}
	changed := w.key[:30] + map[bool]string{true: "b", false: "a"}[w.key[30] == 'a'] + w.key[31:]
	for what, key := range map[string]string{"a changed character": changed, "no key": ""} {
		if lines := SDK(t, w.app, key, w.flow, "hello", false); strings.Contains(strings.Join(lines, ""), "echo") ||
			!strings.Contains(lines[0], `"statusCode":401`) {
			t.Errorf("flowise-sdk with %s: %s", what, lines)
		}
		if lines := SDK(t, w.app, key, w.flow, "hello", true); !strings.Contains(lines[0], "status: 401") {
			t.Errorf("flowise-sdk with %s, streaming: %s", what, lines)
		}
	}
}

func (w *keyring) embed(t *testing.T) {
	p := NewPerson(t, "customer")
	p.Open(Embedding(t, w.app, w.key, w.flow))
	p.Await("GET", "/api/v1/public-chatbotConfig/"+w.flow) // before that the widget does not know that the flow streams
	p.AskWidget("is this open", "echo: is this open")
	p.Shot("embedded")
	if r := p.Await("POST", "/api/v1/prediction/"+w.flow); r.Status != 200 || r.MIME != "text/event-stream" {
		t.Errorf("the widget got %d %s", r.Status, r.MIME)
	}
	q := NewPerson(t, "stranger")
	q.Open(Embedding(t, w.app, "sluice_"+strings.Repeat("0", 46), w.flow))
	q.until("refusal", func() bool { return len(q.Asked("GET", "/api/v1/public-chatbotConfig/"+w.flow)) > 0 })
	if r := q.Await("GET", "/api/v1/public-chatbotConfig/"+w.flow); r.Status != 401 {
		t.Errorf("a widget with a key that is none got %d %s", r.Status, r.Failed)
	}
}

func (w *keyring) runBound(t *testing.T) {
	if a := w.ask(w.key, "Authorization", w.bound, "hi"); a.Status != http.StatusOK ||
		!strings.Contains(a.Body, "echo: hi") {
		t.Errorf("with a key of Sluice's: %d %.300s", a.Status, a.Body)
	}
	if lines := SDK(t, w.app, w.key, w.bound, "hi", true); !slices.Contains(
		lines,
		`event {"event":"token","data":"echo: hi"}`,
	) {
		t.Errorf("streaming: %s", strings.Join(lines, "\n"))
	}
	call(
		t,
		w.s.Enter(t, w.root),
		"POST",
		"/api/v1/mcp-server/"+w.flow,
		map[string]any{"toolName": "echo_tool", "description": "Says what it is told."},
		nil,
	)
	c := NewClient(t, w.app)
	c.Header.Set("Authorization", "Bearer "+w.key)
	c.Header.Set("Accept", "application/json, text/event-stream")
	tools := c.Call(
		"POST",
		"/api/v1/mcp/"+w.flow,
		map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": map[string]any{}},
	)
	if tools.Status != http.StatusOK || !strings.Contains(tools.Body, "echo_tool") {
		t.Errorf("the flow as an MCP server: %d %.300s", tools.Status, tools.Body)
	}
	if a := w.ask("", "X-Nothing", w.bound, "hi"); a.Status != http.StatusUnauthorized {
		t.Errorf("a stranger: %d", a.Status)
	}
}

func (w *keyring) scope(t *testing.T) {
	var made struct{ ID, Secret string }
	call(
		t,
		w.root,
		"POST",
		"/api/v1/keys",
		map[string]any{
			"name":    "one flow",
			"per_day": 10,
			"scope":   map[string]any{"actions": []string{"flow:run"}, "flows": []string{w.flow}},
		},
		&made,
	)
	if a := w.ask(made.Secret, "Authorization", w.flow, "mine"); a.Status != http.StatusOK ||
		a.Header.Get("RateLimit") == "" {
		t.Errorf("its flow: %d %.300s", a.Status, a.Body)
	}
	if a := w.ask(made.Secret, "Authorization", w.bound, "not mine"); a.Status != http.StatusForbidden {
		t.Errorf("another flow: %d %.300s", a.Status, a.Body)
	}
	c := NewClient(t, w.app)
	c.Header.Set("Authorization", "Bearer "+made.Secret)
	for _, path := range []string{"/api/v1/chatflows", "/api/v1/apikey", "/api/v1/credentials", "/api/v1/executions"} {
		if a := c.Get(path); a.Status != http.StatusForbidden || !a.IsJSON() {
			t.Errorf("GET %s: %d %.200s", path, a.Status, a.Body)
		}
	}
	for w.ask(made.Secret, "Authorization", w.flow, "again").Status == http.StatusOK {
	}
	if a := w.ask(made.Secret, "Authorization", w.flow, "once more"); a.Status != http.StatusTooManyRequests ||
		a.Header.Get("Retry-After") == "" {
		t.Errorf("above its limit: %d %v", a.Status, a.Header)
	}
	out, err := w.s.Command(t, "", "key", "create", adminAccount.Username, "far away", "--network", "203.0.113.0/24")
	if err != nil {
		t.Fatalf("sluice key create: %v\n%s", err, out)
	}
	far := wholeKey.FindString(out)
	var a Answer
	w.admin.until(
		"the key that the command line made, in the server",
		func() bool { a = w.ask(far, "Authorization", w.flow, "hi"); return a.Status != http.StatusUnauthorized },
	)
	if a.Status != http.StatusForbidden || !strings.Contains(a.Body, "cannot be used from 127.0.0.1") {
		t.Errorf("from another network: %d %.300s", a.Status, a.Body)
	}
	call(t, w.root, "DELETE", "/api/v1/keys/"+made.ID, nil, nil)
	if a := w.ask(made.Secret, "Authorization", w.flow, "hi"); a.Status != http.StatusUnauthorized ||
		!strings.Contains(a.Body, "was revoked") {
		t.Errorf("revoked: %d %.300s", a.Status, a.Body)
	}
}

func (w *keyring) changeOnThePage(t *testing.T) {
	p := w.admin
	call(t, w.root, "POST", "/api/v1/keys", map[string]any{"name": "spare"}, nil)
	p.Open(w.app + "/apikey")
	p.See("spare")
	p.Click("tr:has(td) button[title=Edit]", "")
	p.Fill("#keyName", "renamed in Flowise")
	p.Click("#btn_confirmEditingApiKey", "")
	p.See("API Key saved")
	p.See("renamed in Flowise")
	p.Click("button[title=Delete]", "")
	p.Click("[role=dialog] button", "Delete")
	p.See("API key deleted")
	var list struct {
		Items []struct {
			Name      string
			RevokedAt string `json:"revoked_at"`
		}
	}
	call(t, w.root, "GET", "/api/v1/keys", nil, &list)
	revoked := 0
	for _, k := range list.Items {
		if k.Name == "renamed in Flowise" && k.RevokedAt != "" {
			revoked++
		}
	}
	if revoked != 1 {
		t.Errorf("after renaming and deleting on Flowise's page: %+v", list.Items)
	}
}

// canary looks for the key in all that Sluice and Flowise have written.
func (w *keyring) canary(t *testing.T) {
	w.s.Stop(t)
	w.f.Stop(t)
	secret := []byte(w.key[12:])
	for what, folder := range map[string]string{"Sluice's data": w.s.Home, "Flowise's data": w.f.home} {
		err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			if err == nil && bytes.Contains(text, secret) {
				t.Errorf("%s hold the key, in %s", what, filepath.Base(path))
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if strings.Contains(w.s.p.output(), string(secret)) || strings.Contains(w.f.p.output(), string(secret)) {
		t.Error("the output holds the key")
	}
}
