package proxy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/identity"
)

const run = "/api/v1/prediction/" + privateFlow

// ask runs the private flow, or does something else, with these headers beside the usual ones.
func (w *world) ask(method, target, body string, lines ...string) answer {
	w.t.Helper()
	h := with(lines...)
	if body != "" {
		h["Content-Type"] = []string{"application/json"}
	}
	return w.do(method, target, h, body)
}

func TestKeys_ClosedFlow(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	text, id := w.key("viewer", authn.NewAPIKey{Scope: authn.KeyScope{Actions: []authz.Action{authz.FlowRun}}})
	for _, line := range []string{"Authorization: Bearer " + text, "X-Api-Key: " + text,
		"authorization: bearer " + text} {
		got := w.ask(
			"POST",
			run,
			`{"question":"hi"}`,
			line,
			"Origin: https://elsewhere.example",
			"Sec-Fetch-Site: cross-site",
		)
		log := f.take()
		if got.status != 200 || len(log) != 1 {
			t.Fatalf("%.20s: %d %s, %d requests", line, got.status, got.body, len(log))
		}
		if strings.Contains(log[0].raw, "luice_") ||
			log[0].req.Header.Get("Authorization")+log[0].req.Header.Get("X-Api-Key") != "" {
			t.Errorf("the builder gets the key: %s", log[0].raw)
		}
	}
	multipart := "--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\n\r\nhello\r\n--b--\r\n"
	up := w.do(
		"POST",
		"/api/v1/attachments/"+privateFlow+"/99999999-9999-4999-8999-999999999999",
		with("Authorization: Bearer "+text, "Content-Type: multipart/form-data; boundary=b"),
		multipart,
	)
	if log := f.take(); up.status != 200 || len(log) != 1 || string(log[0].body) != multipart {
		t.Errorf("an upload: %d %s", up.status, up.body)
	}
	eventually(t, "the log lines", func() bool { return strings.Count(w.log.String(), "msg=request") == 4 })
	if log := w.log.String(); strings.Count(log, "key="+id+" key_prefix="+text[:12]) != 4 ||
		strings.Contains(log, text[12:]) {
		t.Errorf("the log does not tell the key, or tells too much:\n%s", log)
	}
}

func TestKeys_Scope(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	other := "33333333-3333-4333-8333-333333333333"
	bound, _ := w.key(
		"admin",
		authn.NewAPIKey{
			Scope: authn.KeyScope{
				Actions: []authz.Action{authz.FlowRun, authz.FlowView, authz.AppOpen},
				Flows:   []string{privateFlow},
			},
		},
	)
	wide, _ := w.key("admin", authn.NewAPIKey{})
	elsewhere, _ := w.key("admin", authn.NewAPIKey{Scope: authn.KeyScope{Apps: []string{"another-app"}}})
	foreign, _ := w.key("other", authn.NewAPIKey{})
	for _, c := range []struct {
		what, key, method, path, body string
		status                        int
	}{
		{"its flow", bound, "POST", run, `{"question":"hi"}`, 200},
		{"another flow", bound, "POST", "/api/v1/prediction/" + other, `{"question":"hi"}`, 403},
		{"a published flow", bound, "POST", "/api/v1/prediction/" + publicFlow, `{"question":"hi"}`, 403},
		{"the list of flows", bound, "GET", "/api/v1/chatflows", "", 403},
		{"the list of executions", bound, "GET", "/api/v1/executions", "", 403},
		{"its flow's messages", bound, "GET", "/api/v1/chatmessage/" + privateFlow, "", 200},
		{"what is open to everybody", bound, "GET", "/api/v1/ping", "", 200},
		{"the list of nodes", bound, "GET", "/api/v1/nodes", "", 403},
		{"all that its owner may", wide, "GET", "/api/v1/chatflows", "", 200},
		{"all that its owner may do", wide, "PUT", "/api/v1/chatflows/" + privateFlow, `{"name":"x"}`, 200},
		{"a published flow, without bounds", wide, "POST", "/api/v1/prediction/" + publicFlow, `{"question":"hi"}`,
			200},
		{"keys", wide, "GET", "/api/v1/apikey", "", 403},
		{"another app", elsewhere, "POST", run, `{"question":"hi"}`, 403},
		{"another workspace's flow", foreign, "POST", run, `{"question":"hi"}`, 404},
		{"another workspace's published flow", foreign, "POST", "/api/v1/prediction/" + publicFlow, `{"question":"hi"}`,
			404},
	} {
		got := w.ask(c.method, c.path, c.body, "Authorization: Bearer "+c.key)
		if reached := len(f.take()); got.status != c.status || (got.status == 200) != (reached == 1) {
			t.Errorf("%s: %d (%d reached the builder), want %d: %s", c.what, got.status, reached, c.status, got.body)
		}
	}
}

// TestKeys_OtherWorkspace: the owner belongs to both, the key to one.
func TestKeys_OtherWorkspace(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	ctx := context.Background()
	w.person("other")
	if err := w.people.SetRole(ctx, systemPrincipal, w.person("admin"), w.other, authz.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	text, _ := w.key("admin", authn.NewAPIKey{Workspace: w.other})
	if got := w.ask("POST", run, `{"question":"hi"}`, "Authorization: Bearer "+text); got.status != 404 ||
		len(f.take()) != 0 {
		t.Errorf("a flow of the owner's other workspace: %d %s", got.status, got.body)
	}
	if got := w.ask("POST", run, `{"question":"hi"}`, "Cookie: "+w.cookie("admin")); got.status != 200 {
		t.Errorf("the owner in person: %d %s", got.status, got.body)
	}
}

func TestKeys_ErrorShape(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	ctx := context.Background()
	expired, _ := w.key("user", authn.NewAPIKey{Expires: w.clock.now().Add(time.Minute)})
	revoked, revokedID := w.key("user", authn.NewAPIKey{})
	distant, _ := w.key("user", authn.NewAPIKey{Networks: []string{"203.0.113.0/24"}})
	rotated, rotatedID := w.key("user", authn.NewAPIKey{})
	good, _ := w.key("user", authn.NewAPIKey{})
	if err := w.keys.Revoke(ctx, systemPrincipal, revokedID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.keys.Rotate(ctx, systemPrincipal, rotatedID, authn.Rotation{}); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(2 * time.Minute)
	unknown := "sluice_" + strings.Repeat("0", 40) + "000000"
	last := good[:len(good)-1] + map[bool]string{true: "b", false: "a"}[strings.HasSuffix(good, "a")]
	for _, c := range []struct {
		key, says string
		status    int
	}{
		{expired, "expired on", 401}, {revoked, "was revoked", 401}, {rotated, "was replaced by a new one",
			401}, {distant, "cannot be used from 127.0.0.1", 403},
		{unknown, "is not valid", 401}, {last, "is not valid", 401}, {"hello", "is not valid", 401},
	} {
		got := w.ask("POST", run, `{"question":"hi"}`, "Authorization: Bearer "+c.key)
		var body struct {
			StatusCode int
			Success    *bool
			Message    string
		}
		if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.status != c.status ||
			body.StatusCode != c.status ||
			body.Success == nil ||
			!strings.Contains(body.Message, c.says) {
			t.Errorf("%s: %d %s", c.says, got.status, got.body)
		}
		if challenge := got.header.Get("WWW-Authenticate"); c.status == 401 &&
			challenge != `Bearer realm="Sluice", error="invalid_token"` {
			t.Errorf("%s: challenge %q", c.says, challenge)
		}
	}
	page := w.ask(
		"GET",
		"/canvas",
		"",
		"Authorization: Bearer "+revoked,
		"Accept: text/html",
		"Sec-Fetch-Mode: navigate",
	)
	if page.status != 401 || page.header.Get("Location") != "" || !strings.Contains(page.body, "was revoked") {
		t.Errorf("a navigation with a key that is not good: %d %s", page.status, page.header.Get("Location"))
	}
	if n := len(f.take()); n != 0 {
		t.Errorf("%d requests reached the builder", n)
	}
}

func TestKeys_InURL(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	text, _ := w.key("admin", authn.NewAPIKey{})
	for _, target := range []string{run + "?apiKey=" + text, run + "?x-api-key=" + text,
		"/api/v1/verify/apikey/" + text, "/api/v1/chatflows/apikey/" + text} {
		got := w.ask("GET", target, "", "Cookie: "+w.cookie("admin"))
		if got.status != 400 || !strings.Contains(got.body, "The URL of this request contains an API key") ||
			strings.Contains(got.body, text) {
			t.Errorf("%.40s: %d %s", target, got.status, got.body)
		}
	}
	if n := len(f.take()); n != 0 {
		t.Errorf("%d requests reached the builder", n)
	}
	if strings.Contains(w.log.String(), text[12:]) {
		t.Error("the log holds the key")
	}
	for header, want := range map[string]int{"Authorization: Bearer " + text: 200, "Accept: */*": 401} {
		if got := w.ask("GET", "/api/v1/verify/apikey", "", header); got.status != want ||
			want == 200 && got.body != `"OK"` {
			t.Errorf("verify by header: %d %s, want %d", got.status, got.body, want)
		}
	}
}

func TestKeys_RetryAfter(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	text, _ := w.key("user", authn.NewAPIKey{PerDay: 2})
	for range 2 {
		got := w.ask("POST", run, `{"question":"hi"}`, "X-Api-Key: "+text)
		if got.status != 200 || got.header.Get("RateLimit-Policy") != `"day";q=2;w=86400` {
			t.Fatalf("%d %v", got.status, got.header)
		}
	}
	got := w.ask("POST", run, `{"question":"hi"}`, "X-Api-Key: "+text)
	if got.status != 429 || got.header.Get("Retry-After") == "" ||
		!strings.HasPrefix(got.header.Get("RateLimit"), `"day";r=0;t=`) ||
		!strings.Contains(got.body, `"statusCode":429`) {
		t.Errorf("the third: %d %v %s", got.status, got.header, got.body)
	}
}

func TestKeys_StreamEndsOnRevoke(t *testing.T) {
	t.Parallel()
	up, events, arrived, ended := streamer(t)
	w := newWorld(t, up, options{kind: "generic"})
	text, id := w.key("admin", authn.NewAPIKey{})
	res, c := w.open("GET", "/events", with("Authorization: Bearer "+text), "")
	defer func() { _ = c.Close() }()
	<-arrived
	in := bufio.NewReader(res.Body)
	events <- "one"
	if line, err := in.ReadString('\n'); err != nil || line != "data: one\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := w.keys.Revoke(context.Background(), systemPrincipal, id); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("the stream of a revoked key goes on")
	}
}

func TestKeys_AppsOwnSignIn(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{kind: "generic"})
	text, _ := w.key("admin", authn.NewAPIKey{})
	for _, c := range []struct {
		lines         []string
		authorization string
		apiKey        string
	}{
		{[]string{"Authorization: Bearer " + text}, "", ""},
		{[]string{"X-Api-Key: " + text, "Authorization: Basic eDp5"}, "Basic eDp5", ""},
		{[]string{"X-Api-Key: " + text, "Authorization: Bearer own.app.token"}, "Bearer own.app.token", ""},
		{[]string{"Cookie: " + w.cookie("admin"), "Authorization: Bearer own.app.token", "X-Api-Key: sk-1"},
			"Bearer own.app.token", "sk-1"},
	} {
		got := w.ask("GET", "/things", "", c.lines...)
		log := f.take()
		if got.status != 200 || len(log) != 1 {
			t.Fatalf("%.30s: %d %s", c.lines, got.status, got.body)
		}
		if a, k := log[0].req.Header.Get("Authorization"), log[0].req.Header.Get("X-Api-Key"); a != c.authorization ||
			k != c.apiKey {
			t.Errorf("%.30s: the app gets Authorization %q and X-Api-Key %q", c.lines, a, k)
		}
	}
	if got := w.ask("GET", "/things", "", "Authorization: Bearer own.app.token"); got.status != 401 ||
		len(f.take()) != 0 {
		t.Errorf("the app's own token alone: %d", got.status)
	}
}

func TestKeys_CrossOrigin(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	text, _ := w.key("user", authn.NewAPIKey{})
	const origin = "Origin: https://shop.example"
	ok := w.ask(
		"OPTIONS",
		run,
		"",
		origin,
		"Access-Control-Request-Method: POST",
		"Access-Control-Request-Headers: authorization,content-type",
	)
	if h := ok.header; ok.status != 204 || h.Get("Access-Control-Allow-Origin") != "*" ||
		h.Get("Access-Control-Allow-Credentials") != "" ||
		!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("preflight with a key: %d %v", ok.status, ok.header)
	}
	no := w.ask(
		"OPTIONS",
		run,
		"",
		origin,
		"Access-Control-Request-Method: POST",
		"Access-Control-Request-Headers: content-type",
	)
	if no.status != 403 || no.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight without one: %d %v", no.status, no.header)
	}
	for _, c := range []struct {
		line   string
		status int
		shared bool
	}{
		{"Authorization: Bearer " + text, 200, true}, {"Authorization: Bearer nothing", 401,
			true}, {"Cookie: " + w.cookie("user"), 403, false}, {"Accept: */*", 401, false},
	} {
		got := w.ask("POST", run, `{"question":"hi"}`, origin, c.line)
		if got.status != c.status || (got.header.Get("Access-Control-Allow-Origin") == "*") != c.shared ||
			got.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%.16s: %d %v", c.line, got.status, got.header)
		}
	}
}

func TestKeys_BoundFlows(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	f.bind(privateFlow)
	w := newWorld(t, f, options{})
	text, _ := w.key("user", authn.NewAPIKey{})
	for path, want := range map[string]string{run: "Bearer builders-own-key", "/api/v1/prediction/" + publicFlow: "",
		"/api/v1/vector/upsert/" + privateFlow: "Bearer builders-own-key", "/api/v1/mcp/" +
			privateFlow: "Bearer mcp-token"} {
		got := w.ask("POST", path, `{"question":"hi"}`, "Authorization: Bearer "+text)
		log := f.take()
		if got.status != 200 || len(log) != 1 || log[0].req.Header.Get("Authorization") != want {
			t.Errorf("%s: %d %s, the builder gets %v", path, got.status, got.body, log)
		}
	}
	f.bind(publicFlow)
	if got := w.ask("POST", "/api/v1/prediction/"+publicFlow, `{"question":"hi"}`); got.status != 200 ||
		f.take()[0].req.Header.Get("Authorization") != "" {
		t.Errorf("a stranger is given the builder's key: %d %s", got.status, got.body)
	}
	admin := "Cookie: " + w.cookie("admin")
	for body, want := range map[string]int{`{"apikeyid":"k1"}`: 403, `{"apikeyid":""}`: 200,
		`{"apikeyid":null,"name":"x"}`: 200} {
		if got := w.ask("PUT", "/api/v1/chatflows/"+privateFlow, body, admin); got.status != want ||
			want == 403 && !strings.Contains(got.body, "Sluice guards this flow") {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
}

// TestKeys_SDKProbe: flowise-sdk asks without a credential whether a flow streams, and streams only
// if it does. The answer to strangers reveals nothing about a flow.
func TestKeys_SDKProbe(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	for _, flow := range []string{privateFlow, nobodys} {
		if got := w.ask("GET", "/api/v1/chatflows-streaming/"+flow, ""); got.status != 200 ||
			got.body != `{"isStreaming":true}` ||
			len(f.take()) != 0 {
			t.Errorf("%s: %d %s", flow, got.status, got.body)
		}
	}
	if got := w.ask("GET", "/api/v1/chatflows-streaming/"+privateFlow, "",
		"Cookie: "+w.cookie("viewer")); got.status != 200 ||
		len(f.take()) != 1 {
		t.Errorf("somebody who may know is told by the builder: %d %s", got.status, got.body)
	}
}

func TestKeys_BuildersPage(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	type key struct {
		ID, APIKey, KeyName, WorkspaceID string
		Permissions                      []string
		ChatFlows                        []any
	}
	session, _ := w.session("admin")
	page := func(method, path, body string) answer {
		return w.ask(
			method,
			"/api/v1/apikey"+path,
			body,
			"Cookie: __Host-sluice_session="+session,
			"X-Request-From: internal",
			"Origin: "+appOrigin,
		)
	}
	list := func(path string) (keys []key) {
		t.Helper()
		var all struct {
			Total int
			Data  []key
		}
		got := page("GET", path, "")
		var err error
		if strings.Contains(path, "page=") {
			err = json.Unmarshal([]byte(got.body), &all)
			keys = all.Data
		} else {
			err = json.Unmarshal([]byte(got.body), &keys)
		}
		if err != nil || got.status != 200 {
			t.Fatalf("the list: %d %s", got.status, got.body)
		}
		return keys
	}
	w.key("superuser", authn.NewAPIKey{})
	if keys := list("?page=1&limit=12"); len(keys) != 0 {
		t.Fatalf("somebody else's keys: %+v", keys)
	}
	var made []key
	got := page("POST", "", `{"keyName":"from the page","permissions":["chatflows:view"]}`)
	if err := json.Unmarshal([]byte(got.body), &made); err != nil || got.status != 200 || len(made) != 1 ||
		!authnKey(made[0].APIKey) ||
		made[0].ChatFlows == nil {
		t.Fatalf("create: %d %s", got.status, got.body)
	}
	if run := w.ask("POST", run, `{"question":"hi"}`, "Authorization: Bearer "+made[0].APIKey); run.status != 200 {
		t.Errorf("the key does not run a flow: %d %s", run.status, run.body)
	}
	if keys := list("?page=1&limit=12"); len(keys) != 1 || keys[0].APIKey != made[0].APIKey {
		t.Errorf("the page cannot show the key once: %+v", keys)
	}
	again := list("?page=1&limit=12")
	if len(again) != 1 || authnKey(again[0].APIKey) || !strings.HasPrefix(again[0].APIKey, made[0].APIKey[:12]+"•") ||
		again[0].WorkspaceID != identity.DefaultWorkspace {
		t.Errorf("the second list: %+v", again)
	}
	if keys := list(""); len(keys) != 1 {
		t.Errorf("the list without pages: %+v", keys)
	}
	id := again[0].ID
	if got := page("PUT", "/"+id, `{"keyName":"renamed","permissions":["chatflows:view"]}`); got.status != 200 ||
		!strings.Contains(got.body, `"keyName":"renamed"`) ||
		!strings.Contains(got.body, "chatflows:run") {
		t.Errorf("rename: %d %s", got.status, got.body)
	}
	if got := page("PUT", "/"+id, `{"keyName":"renamed","permissions":["tools:view"]}`); got.status != 200 ||
		strings.Contains(got.body, "chatflows:view") {
		t.Errorf("other permissions: %d %s", got.status, got.body)
	}
	if got := page("PUT", "/"+nobodys, `{"keyName":"x","permissions":["tools:view"]}`); got.status != 404 {
		t.Errorf("a key that does not exist: %d %s", got.status, got.body)
	}
	if got := page("POST", "", `{"keyName":"x","permissions":[]}`); got.status != 400 {
		t.Errorf("without permissions: %d %s", got.status, got.body)
	}
	if got := page("DELETE", "/"+id, ""); got.status != 200 || !strings.Contains(got.body, `"affected":1`) {
		t.Errorf("delete: %d %s", got.status, got.body)
	}
	if keys := list(""); len(keys) != 0 {
		t.Errorf("after that: %+v", keys)
	}
	for _, g := range f.take() {
		if strings.Contains(g.target(), "apikey") {
			t.Errorf("the builder was asked: %s", g.target())
		}
	}
}

func authnKey(text string) bool { return authn.ContainsKey(text) && len(text) == 53 }
