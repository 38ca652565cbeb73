package proxy_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder/flowise/flowisetest"
)

// row is one line of the attack corpus; testdata/corpus/README.md describes the format.
type row struct {
	ID, App, Class, Method, Path, As, Expect, Why, Ref, Pre string
	Headers                                                 map[string]string
	Body                                                    json.RawMessage

	filled *string // the body with its placeholders filled; nil: as it stands
}

// notYet lists what guards of later issues enforce, by class or, where a class is mixed, by row,
// with the reason. A listed row that passes fails the test, so the list can only shrink.
var notYet = map[string]string{
	"flow-save-code":     "inspection of flow definitions (guards on nodes, code and MCP)",
	"file-upload-config": "inspection of flow definitions",
	"mcp-stdio":          "guard on MCP servers",
	"override-injection": "allow-list of override keys, chat ids issued by Sluice",
	"file-upload":        "guard on uploads: names and types",
	"ssrf":               "egress guard",
	"import":             "inspection of flow definitions in imports",
	"sql-injection":      "inspection of ids in imports",
	"secret-leak":        "filtering of secrets in answers",
	"oauth-leak":         "filtering of secrets in answers",
	"mass-assignment":    "keys that only the builder may set",
	"path-traversal":     "file names inside JSON bodies",
	"fw-039":             "the optional route for the queue dashboard is opened by configuration",
	"fw-318":             "origins that may embed a published flow",
}

// ours lists the rows that Sluice answers itself although the corpus forwards them, with the
// corpus's entry.
var ours = map[string]string{
	"fw-215": "Sluice's own API keys",
	"lf-015": "the person, as Sluice knows them",
	"lf-017": "the end of Sluice's session",
	"lf-021": "the picture of Sluice's person",
}

func corpus(t *testing.T, app string) []row {
	t.Helper()
	return corpusFile(t, "testdata/corpus/"+app+".jsonl")
}

func corpusFile(t *testing.T, path string) []row {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var rows []row
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		var r row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("row %d: %v", len(rows)+1, err)
		}
		rows = append(rows, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// arrival is a request of a row as the builder got it.
type arrival struct {
	method, target, body, raw string
	header                    http.Header
	broken                    bool // it was not a request
}

// corpusBuilder is a builder that the rows are sent to.
type corpusBuilder interface {
	// prepare forgets what came before and sets the answer to a row.
	prepare(r row)
	arrived() []arrival
	// flows are the public and the private flow of tenant A.
	flows() (public, private string)
}

func (f *fixture) prepare(r row) {
	f.take()
	f.reply(corpusReply(r))
}

func (f *fixture) arrived() []arrival {
	var list []arrival
	for _, g := range f.take() {
		if g.req == nil {
			list = append(list, arrival{raw: g.raw, broken: true})
			continue
		}
		list = append(list, arrival{g.req.Method, g.target(), string(g.body), g.raw, g.req.Header, g.broken != nil})
	}
	return list
}

func (f *fixture) flows() (public, private string) { return publicFlow, privateFlow }

// TestCorpus judges the committed rows about Flowise, or those of the file that SLUICE_CORPUS
// names.
func TestCorpus(t *testing.T) {
	t.Parallel()
	if path := os.Getenv("SLUICE_CORPUS"); path != "" {
		runFile(t, path)
		return
	}
	f := startFixture(t)
	newWorld(t, f, options{}).runCorpus(t, f, corpus(t, "flowise"), notYet)
}

// runCorpus judges all rows. Those that wait for something later must still fail.
func (w *world) runCorpus(t *testing.T, b corpusBuilder, rows []row, notYet map[string]string) {
	t.Helper()
	passed, excused := 0, map[string]int{}
	for _, r := range rows {
		if r.Class == "smuggling" {
			continue // TestSmuggling
		}
		why := w.judge(b, r)
		reason := notYet[r.ID]
		if reason == "" {
			reason = notYet[r.Class]
		}
		switch {
		case why == "":
			passed++
		case reason != "":
			excused[r.Class]++
			excused[r.ID]++
		default:
			t.Errorf("%s %s (%s, %s): %s\n\t%s", r.ID, r.Class, r.As, r.Expect, why, r.Why)
		}
	}
	t.Logf("%d rows pass", passed)
	for what, reason := range notYet {
		if excused[what] == 0 {
			t.Errorf("every row of %q passes: take it off the list", what)
		}
		t.Logf("%d rows of %s wait for: %s", excused[what], what, reason)
	}
}

// judge sends a row and says what is wrong, "" if nothing is.
func (w *world) judge(b corpusBuilder, r row) string {
	b.prepare(r)
	h := w.rowHeader(b, r)
	path := strings.ReplaceAll(r.Path, "A*32768", strings.Repeat("A", 32768))
	if strings.Contains(path, callerID) {
		path = strings.ReplaceAll(
			path,
			callerID,
			w.person(rowRole(r)),
		) // the pages know people by the ids that Sluice tells them
	}
	got := w.do(r.Method, path, h, rowBody(r))
	log := b.arrived()
	switch r.Expect {
	case "deny":
		if len(log) > 0 {
			return "it reached the builder: " + log[0].raw
		}
		lost := r.Class == "path-trick" && got.status == http.StatusPermanentRedirect
		if got.status < 400 && got.status != http.StatusSeeOther && !lost || got.status > 499 {
			return "the answer is not a refusal: " + got.body
		}
		if got.header.Get("Access-Control-Allow-Origin") != "" {
			return "the refusal has CORS headers"
		}
	case "allow":
		return w.allowed(r, got, log)
	case "sanitise":
		return w.sanitized(r, h, got, log)
	default:
		return "the row expects something unknown: " + r.Expect
	}
	return ""
}

// allowed checks that a row went through unchanged.
func (w *world) allowed(r row, got answer, log []arrival) string {
	if (ours[r.ID] != "" || r.filled != nil && w.answeredHere(r)) && len(log) == 0 && got.status == http.StatusOK {
		return ""
	}
	if why := wentThrough(r, got, log); why != "" {
		return why
	}
	if log[0].body != rowBody(r) {
		return "the builder got another body: " + log[0].body
	}
	return ""
}

// wentThrough checks that a row reached its route and came back.
func wentThrough(r row, got answer, log []arrival) string {
	if len(log) != 1 || got.status != http.StatusOK {
		return fmt.Sprintf("it did not go through: %d, %d requests, %s", got.status, len(log), got.body)
	}
	path, _, _ := strings.Cut(r.Path, "?")
	sent, _, _ := strings.Cut(log[0].target, "?")
	if log[0].method != r.Method || strings.TrimSuffix(path, "/") != strings.TrimSuffix(sent, "/") {
		return "the builder got another route: " + log[0].method + " " + log[0].target
	}
	return ""
}

// sanitized checks that a row's planted values are missing on both ends.
func (w *world) sanitized(r row, sent http.Header, got answer, log []arrival) string {
	raw := got.body
	for _, values := range got.header {
		raw += strings.Join(values, "\n")
	}
	for _, g := range log {
		raw += g.raw + g.body
	}
	if strings.Contains(raw, "SLUICE-MARKER") {
		return "the planted value went through: " + raw
	}
	switch r.Class {
	case "unauthenticated-rce", "encoding":
		if why := wentThrough(r, got, log); why != "" {
			return why
		}
		return withoutData(r, log[0].body)
	case "info-leak":
		if len(log) != 1 || got.status < 500 {
			return fmt.Sprintf("the trouble is not told: %d %s", got.status, got.body)
		}
		return ""
	}
	if why := w.allowed(r, got, log); why != "" {
		return why
	}
	return w.clean(r, sent, got, log)
}

// clean checks what the class of a row that went through is about.
func (w *world) clean(r row, sent http.Header, got answer, log []arrival) string {
	switch r.Class {
	case "header-trick", "header-spoof":
		return replaced(r, log[0])
	case "redirect":
		if where := got.header.Get("Location") + log[0].raw; strings.Contains(where, "evil.example") {
			return "the planted host went through: " + where
		}
	case "cors":
		for name := range got.header {
			if strings.HasPrefix(name, "Access-Control-") {
				return "the answer has " + name
			}
		}
	case "stored-xss":
		csp := got.header.Get("Content-Security-Policy")
		if strings.Contains(csp, "script-src 'self' 'unsafe-inline'") || !strings.Contains(csp, "frame-src 'none'") ||
			got.header.Get("X-Frame-Options") == "" || got.header.Get("X-Content-Type-Options") != "nosniff" {
			return "the page is not protected: " + csp
		}
	case "cookie-policy":
		if got.header["Set-Cookie"] != nil {
			return "a cookie was set: " + got.header.Get("Set-Cookie")
		}
	case "session":
		if again := w.do("GET", "/", sent, ""); again.status == http.StatusOK {
			return "the session still opens the builder"
		}
	}
	return ""
}

// replaced checks that headers about where a request came from are Sluice's own.
func replaced(r row, g arrival) string {
	for name, planted := range r.Headers {
		for _, v := range g.header.Values(name) {
			if v == planted && name != "X-Forwarded-For" && name != "Content-Type" {
				return "the builder got the planted header " + name
			}
		}
	}
	if v := g.header.Values("X-Forwarded-For"); len(v) != 1 || v[0] != "127.0.0.1" ||
		g.header.Get("X-Forwarded-Proto") != "https" {
		return "the gateway's own headers are missing: " + g.raw
	}
	return ""
}

// withoutData checks that a body went through as it was but for its key data.
func withoutData(r row, body string) string {
	var want, got map[string]any
	if err := json.Unmarshal([]byte(rowBody(r)), &want); err != nil {
		return err.Error()
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		return "the builder got " + body
	}
	delete(want, "data")
	if diff := cmp.Diff(want, got); diff != "" {
		return "the builder got another body: " + diff
	}
	return ""
}

// callerID is the user of the builder who stands for the caller in paths of the corpus.
const callerID = "cccccccc-cccc-4ccc-8ccc-cccccccccccc"

// rowRole is who sends a row, as harness_test.go names people; "" for strangers and keys.
func rowRole(r row) string {
	return map[string]string{"viewer": "viewer", "editor": "user", "admin": "admin", "other-tenant": "other"}[r.As]
}

// rowHeader makes the headers that a row is sent with.
func (w *world) rowHeader(b corpusBuilder, r row) http.Header {
	h := http.Header{}
	for name, v := range r.Headers {
		v = strings.ReplaceAll(v, "A*65536", strings.Repeat("A", 65536))
		if strings.Contains(v, "<valid") {
			token, _ := w.session("viewer")
			v = strings.NewReplacer("<valid value>", token, "<valid viewer session>", token).Replace(v)
		}
		h[name] = []string{v}
	}
	if _, ok := h["X-Many"]; ok {
		h["X-Many"] = make([]string, 1000)
	}
	if second := h["X-Raw-Second-Host"]; second != nil {
		delete(h, "X-Raw-Second-Host")
		if h["Host"] == nil {
			h["Host"] = []string{appHost}
		}
		h["Host"] = append(h["Host"], "evil.example")
	}
	if r.As == "apikey" {
		h.Set("Authorization", "Bearer "+w.bound(b, r))
	}
	role := rowRole(r)
	own := strings.Contains(h.Get("Cookie"), authn.CookieName(true))
	if role != "" && !own {
		cookie := w.cookie(role)
		if c := h.Get("Cookie"); c != "" {
			cookie += "; " + c
		}
		h.Set("Cookie", cookie)
	}
	if role != "" && r.Method != "GET" && r.Method != "HEAD" && h.Get("Origin") == "" {
		h.Set("Origin", appOrigin)
	}
	return h
}

// bound is an API key as the corpus has them: it runs one flow, the one that the row is about. For
// a project, which is made of flows, it is a key for its workspace.
func (w *world) bound(b corpusBuilder, r row) string {
	public, flow := b.flows()
	if strings.Contains(r.Pre+r.Path, public) {
		flow = public
	}
	scope := authn.KeyScope{Actions: []authz.Action{authz.FlowRun}, Flows: []string{flow}}
	if strings.Contains(r.Pre, "bound to project") {
		scope.Flows = nil
	}
	text, _ := w.key("user", authn.NewAPIKey{Scope: scope})
	return text
}

// rowBody is the body that a row is sent with.
func rowBody(r row) string {
	if r.filled != nil {
		return *r.filled
	}
	if len(r.Body) == 0 || string(r.Body) == "null" {
		return ""
	}
	var text string
	if json.Unmarshal(r.Body, &text) != nil {
		return string(r.Body)
	}
	if text == "[*10000 nested" {
		return strings.Repeat("[", 10000)
	}
	return text
}

// corpusReply is the builder's answer to a row.
func corpusReply(r row) func(request) string {
	return func(request) string {
		switch {
		case r.Class == "cors":
			return jsonReply(200, `{}`, "Access-Control-Allow-Origin: *", "Access-Control-Allow-Credentials: true")
		case r.Class == "stored-xss" && r.Method == "GET":
			return reply(
				200,
				"<p>page</p>",
				"Content-Type: text/html; charset=utf-8",
				"Content-Security-Policy: frame-ancestors *",
			)
		case r.Class == "secret-leak" || r.Class == "oauth-leak":
			return jsonReply(
				200,
				`{"flowData":"SLUICE-MARKER","encryptedData":"SLUICE-MARKER","tokenInfo":{"access_token":"SLUICE-MARKER"}}`,
			)
		}
		path, _, _ := strings.Cut(r.Path, "?")
		switch {
		case r.Method == "GET" && flowisetest.IsList(path):
			return jsonReply(200, `{"ok":true,"data":[]}`)
		case strings.HasPrefix(path, "/api/v1/node-load-method/"), path == "/api/v1/files":
			return jsonReply(200, `[]`)
		}
		return okJSON
	}
}
