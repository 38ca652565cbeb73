//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	adminAccount  = Account{Username: "ada", Email: "ada@example.com", Password: "four unrelated words here"}
	viewerAccount = Account{Username: "vic", Email: "vic@example.com", Password: "another sentence of five words"}
)

// team is one Flowise behind one Sluice with people in front, through the life of a scenario.
type team struct {
	f             *Flowise
	s             *Sluice
	admin, viewer *Person
	app           string  // origin of the app
	adminAPI      *Client // the admin's program at the app's origin
	viewerAPI     *Client
	flow          string // id of the echo flow
}

// TestGate is the scenario of a team's first day, in order; a step that fails ends it, as the later
// ones build on it.
func TestGate(t *testing.T) {
	suite(t, 10*time.Minute)
	f := StartFlowise(t)
	w := &team{f: f, s: StartSluice(t, "--protect", f.URL), admin: NewPerson(t, "ada"), viewer: NewPerson(t, "vic")}
	steps := []struct {
		name string
		run  func(*testing.T)
	}{
		{"the set-up link makes the first admin and Flowise opens signed in", w.setUp},
		{"the set-up link works once", w.setUpAgain},
		{"the canvas builds, saves and runs an echo flow", w.build},
		{"nothing is loaded from other hosts and no cookie of Flowise reaches the browser", w.keepsApart},
		{"a viewer sees and runs the flow but cannot save it", w.view},
		{"a viewer's program cannot change anything either", w.viewByProgram},
		{"no other spelling of a path gets further", w.spellings},
		{"a new role counts on the next request", w.promote},
		{"strangers get the sign-in page or 401", w.strangers},
		{"the old way around is closed", w.oldWays},
		{"twenty people sign in at once and Flowise stays healthy", w.storm},
		{"a restart of Flowise under load heals by itself", w.builderRestart},
		{"a power cut of Sluice signs nobody out", w.powerCut},
		{"signing out in Flowise ends the session everywhere", w.signOut},
	}
	for _, step := range steps {
		ok := t.Run(step.name, func(t *testing.T) {
			defer w.as(t)()
			step.run(t)
		})
		if !ok {
			t.FailNow()
		}
	}
}

// as makes everyone report to t, and returns a function that undoes it.
func (w *team) as(t *testing.T) func() {
	outer := w.admin.t
	set := func(t testing.TB) {
		w.admin.t, w.viewer.t = t, t
		for _, c := range []**Client{&w.adminAPI, &w.viewerAPI} {
			if *c != nil {
				*c = (*c).As(t)
			}
		}
	}
	set(t)
	return func() { set(outer) }
}

// signIn fills Sluice's sign-in page.
func (p *Person) signIn(a Account) {
	p.t.Helper()
	p.Fill("input[name=identifier]", a.Username)
	p.Fill("input[name=password]", a.Password)
	p.Shot("sign-in")
	p.Click("main button, form button", "Sign in")
}

func (w *team) setUp(t *testing.T) {
	link := w.s.SetupLink()
	if link == "" {
		t.Fatalf("no set-up link in the output:\n%s", w.s.p.output())
	}
	if w.f.HasOwner(t) {
		t.Error("Flowise has an owner before anybody agreed to it")
	}
	p := w.admin
	p.Open(link)
	p.Shot("setup")
	p.Fill("input[name=email]", adminAccount.Email)
	p.Fill("input[name=username]", adminAccount.Username)
	p.Fill("input[name=password]", adminAccount.Password)
	p.Click("button", "Create the admin")
	p.See("Flowise " + flowiseVersion)
	p.Shot("app")
	p.Click("button", "Register the service owner")
	p.Click("a", "Continue to Verify")
	p.See("127.0.0.1")
	p.See(adminAccount.Username)
	p.SeeElement("#stream-check")
	p.Shot("verify")
	p.Click("a", "Open Flowise")
	p.SeeFlowise()
	p.Shot("flowise")
	w.app = origin(p.URL())
	if w.app == w.s.URL || w.app == w.f.URL {
		t.Fatalf("Flowise opened at %s, want an origin of its own", w.app)
	}
	if !w.f.HasOwner(t) {
		t.Error("Sluice has not registered an owner: the next visitor could")
	}
	w.adminAPI = w.s.Enter(t, w.s.SignIn(t, adminAccount))
}

func (w *team) setUpAgain(t *testing.T) {
	stranger := NewClient(t, w.s.URL)
	if a := stranger.Get(strings.TrimPrefix(w.s.SetupLink(), w.s.URL)); strings.Contains(a.Body, `name="password"`) {
		t.Errorf("the used link still shows the form: %d", a.Status)
	}
	p := NewPerson(t, "mallory")
	p.Open(w.s.SetupLink())
	p.Shot("used-link")
	if text := p.Text(); strings.Contains(text, "Create the admin") {
		t.Errorf("the used link offers to make an admin: %s", text)
	}
}

func (w *team) build(t *testing.T) {
	w.flow = w.admin.BuildEcho(w.app, "echo")
	w.admin.Chat(w.flow, "hello", "echo: hello")
	w.admin.Shot("ran")
	res := w.adminAPI.Open(
		"POST",
		"/api/v1/internal-prediction/"+w.flow,
		map[string]any{"question": "hi", "streaming": true, "chatId": "e2e"},
	)
	a := readAll(t, res)
	if !strings.Contains(a, `{"event":"token","data":"echo: hi"}`) || !strings.Contains(a, `{"event":"end"`) {
		t.Errorf("the stream has no token or no end:\n%s", a)
	}
}

func (w *team) keepsApart(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range w.admin.Requests() {
		if strings.HasPrefix(r.URL, "http") && !strings.HasPrefix(r.URL, "http://127.0.0.1:") {
			seen[origin(r.URL)] = true
			if r.Failed != "csp" {
				t.Errorf(
					"%s was asked for and not stopped by the content security policy: %d %q",
					r.URL,
					r.Status,
					r.Failed,
				)
			}
		}
	}
	if !seen["https://r.wdfl.co"] || !seen["https://fonts.googleapis.com"] {
		t.Errorf("Flowise's pages name no third party any more (seen: %v): this test proves nothing", seen)
	}
	for _, cookie := range w.admin.Cookies() {
		switch cookie {
		case "token", "refreshToken", "connect.sid":
			t.Errorf("the browser holds Flowise's cookie %s", cookie)
		}
	}
}

func (w *team) view(t *testing.T) {
	w.s.AddPerson(t, w.s.SignIn(t, adminAccount), viewerAccount, "viewer")
	p := w.viewer
	p.Open(w.app + "/")
	p.At(w.s.URL + "/login")
	p.signIn(viewerAccount)
	p.SeeFlowise()
	p.Open(w.app + "/agentflows")
	p.See("echo")
	p.OpenFlow(w.app, w.flow)
	p.Chat(w.flow, "may I", "echo: may I")
	before := w.adminAPI.Get("/api/v1/chatflows/" + w.flow).Body
	p.OpenFlow(w.app, w.flow)
	if r := p.SaveFlow(w.flow); r.Status != http.StatusLocked {
		t.Errorf("a viewer's save got %d, want %d, on which the page stays", r.Status, http.StatusLocked)
	}
	p.See("You do not have permission to create or change flows")
	p.At(w.app + "/v2/agentcanvas/") // the page stays, so that nothing typed is lost
	p.Shot("denied")
	if after := w.adminAPI.Get("/api/v1/chatflows/" + w.flow).Body; after != before {
		t.Error("the flow has changed")
	}
	w.viewerAPI = w.s.Enter(t, w.s.SignIn(t, viewerAccount))
}

func (w *team) viewByProgram(t *testing.T) {
	before := w.adminAPI.Get("/api/v1/chatflows").Body
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"PUT", "/api/v1/chatflows/" + w.flow, map[string]string{"name": "mine"}},
		{"DELETE", "/api/v1/chatflows/" + w.flow, nil},
		{"POST", "/api/v1/chatflows", EchoFlow(t, "mine")},
		{"DELETE", "/api/v1/chatmessage/" + w.flow, nil},
		{"GET", "/api/v1/apikey", nil},
		{"POST", "/api/v1/apikey", map[string]any{"keyName": "k", "permissions": []string{"chatflows:view"}}},
		{"POST", "/api/v1/credentials",
			map[string]any{"name": "c", "credentialName": "openAIApi", "plainDataObj": map[string]string{}}},
		{"POST", "/api/v1/variables", map[string]any{"name": "v", "value": "x", "type": "static"}},
		{"POST", "/api/v1/node-custom-function", map[string]any{"javascriptFunction": "return 1"}},
		{"POST", "/api/v1/tools", map[string]any{"name": "t"}},
		{"POST", "/api/v1/user", map[string]any{"name": "x", "email": "x@example.com", "credential": "Abcdef1!"}},
		{"PUT", "/api/v1/organization", map[string]any{"id": "x", "name": "y"}},
	} {
		for _, from := range []string{"internal", ""} {
			v := w.viewerAPI.As(t)
			v.Header = http.Header{}
			if from != "" {
				v.Header.Set("X-Request-From", from)
			}
			a := v.Call(c.method, c.path, c.body)
			if want := map[string]int{"internal": http.StatusLocked,
				"": http.StatusForbidden}[from]; a.Status != want ||
				!a.IsJSON() {
				t.Errorf(
					"%s %s (x-request-from %q): %d %.120s, want %d",
					c.method,
					c.path,
					from,
					a.Status,
					a.Body,
					want,
				)
			}
		}
	}
	if after := w.adminAPI.Get("/api/v1/chatflows").Body; after != before {
		t.Error("the flows have changed")
	}
}

func (w *team) spellings(t *testing.T) {
	for _, target := range append(pathTraps, "/api/v1/ping/../apikey", "/api/v1/ping%2f..%2fapikey",
		"/api/v1/%2561pikey", "/API/v1/apikey", "//api/v1/apikey", "/api/v1/apikey;x", `/api/v1\apikey`) {
		if a := w.viewerAPI.Raw("GET", target); a.Status < 400 || strings.TrimSpace(a.Body) == "[]" {
			t.Errorf("GET %q: %d %.60q", target, a.Status, a.Body)
		}
	}
}

func (w *team) promote(t *testing.T) {
	admin := w.s.SignIn(t, adminAccount)
	change := map[string]string{"name": "echo"}
	if a := w.viewerAPI.Call("PUT", "/api/v1/chatflows/"+w.flow, change); a.Status < 400 {
		t.Fatalf("a viewer can save: %d", a.Status)
	}
	w.s.SetRole(t, admin, viewerAccount.Username, "user")
	if a := w.viewerAPI.Call("PUT", "/api/v1/chatflows/"+w.flow, change); a.Status != http.StatusOK {
		t.Errorf("after the change to user: %d %.200s", a.Status, a.Body)
	}
	w.s.SetRole(t, admin, viewerAccount.Username, "viewer")
	if a := w.viewerAPI.Call("PUT", "/api/v1/chatflows/"+w.flow, change); a.Status < 400 {
		t.Errorf("after the change back to viewer: %d", a.Status)
	}
}

func (w *team) storm(t *testing.T) {
	admin := w.s.SignIn(t, adminAccount)
	var crowd sync.WaitGroup
	people := make([]Account, 20)
	for i := range people {
		people[i] = Account{
			Username: fmt.Sprintf("person%d", i),
			Email:    fmt.Sprintf("person%d@example.com", i),
			Password: fmt.Sprintf("a sentence for number %d only", i),
		}
		w.s.AddPerson(t, admin, people[i], "viewer")
	}
	for _, a := range people {
		crowd.Go(func() {
			c := NewClient(t, w.s.URL)
			if !c.signInPatiently(a) {
				return
			}
			c.Base = w.app
			c.Header.Set("X-Request-From", "internal")
			if r := c.Get("/api/v1/chatflows/" + w.flow); r.Status != http.StatusOK {
				t.Errorf("%s signed in and got %d %.200s", a.Username, r.Status, r.Body)
			}
		})
	}
	crowd.Wait()
	var saved struct{ ID string }
	w.adminAPI.Call("POST", "/api/v1/chatflows", EchoFlow(t, "after the storm")).JSON(t, &saved)
	w.f.Stop(t)
	w.f.Start(t)
	if a := w.adminAPI.Get("/api/v1/chatflows/" + saved.ID); a.Status != http.StatusOK {
		t.Errorf("what was saved after the storm is gone after a restart of Flowise: %d %.200s", a.Status, a.Body)
	}
}
