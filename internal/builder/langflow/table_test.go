package langflow

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/profile"
)

// operation is a line of testdata/operations.txt, which lists the operations of the running apps of
// langflow 1.13.0 and 1.6.8.
type operation struct{ method, path, release string }

func operations(t *testing.T) []operation {
	t.Helper()
	data, err := os.ReadFile("testdata/operations.txt")
	if err != nil {
		t.Fatal(err)
	}
	var ops []operation
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			t.Fatalf("line %q", line)
		}
		ops = append(ops, operation{f[0], f[1], f[2]})
	}
	return ops
}

var argument = regexp.MustCompile(`\{[^}]*\}`)

// TestTable_EveryOperation keeps the table complete: every operation of either release has a row,
// open or closed with a sentence, and no row is about a route that neither has.
func TestTable_EveryOperation(t *testing.T) {
	p := mustProfile(t, "langflow")
	served := map[string]bool{}
	for _, op := range operations(t) {
		path, err := profile.Canonical(argument.ReplaceAllString(op.path, flowA))
		if err != nil {
			t.Errorf("%s: %v", op.path, err)
			continue
		}
		m, ok := p.Match(op.method, path)
		if !ok {
			t.Errorf("%s %s (%s) has no row", op.method, op.path, op.release)
			continue
		}
		served[m.Endpoint.Name] = true
		if strings.HasSuffix(m.Path, "/") == strings.HasSuffix(path, "/") {
			continue
		}
		// It is forwarded in the other spelling, so the app must have that spelling too.
		other := operation{op.method, strings.TrimSuffix(op.path, "/"), op.release}
		if strings.HasSuffix(m.Path, "/") {
			other.path += "/"
		}
		if !slices.ContainsFunc(operations(t), func(o operation) bool {
			return argument.ReplaceAllString(o.path, "") == argument.ReplaceAllString(other.path, "") &&
				o.method == other.method &&
				(o.release == op.release || o.release == "both")
		}) {
			t.Errorf("%s %s (%s) is forwarded as %s, which the app redirects", op.method, op.path, op.release, m.Path)
		}
	}
	files := []string{"favicon", "manifest", "icons", "assets"}
	for _, e := range p.Endpoints() {
		if !served[e.Name] && !e.Page && !slices.Contains(files, e.Name) {
			t.Errorf("%s: neither release has such a route", e.Name)
		}
	}
}

// TestTable_DefaultDeny tries routes that neither release serves.
func TestTable_DefaultDeny(t *testing.T) {
	p := mustProfile(t, "langflow")
	for _, target := range []string{
		"/api/v1", "/api/v1/", "/api/v3/flows/", "/api/v1/flows/x", "/api/v1/flows/AAAAAAAA" + flowA[8:],
		"/API/v1/flows/", "/api/v1/Flows/", "/api/v1/flows//", "/api/v1/build/x/events", "/api/v1/migration",
		"/api/v1/deployments", "/a2a/" + flowA, "/api/v1/files/images/" + flowA, "/metrics", "/flow/x",
		"/assets/a/b.js",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			if m, ok := p.Match(method, target); ok {
				t.Errorf("%s %s is the row %s", method, target, m.Endpoint.Name)
			}
		}
	}
}

func TestTable_ForwardedSpelling(t *testing.T) {
	p := mustProfile(t, "langflow")
	for target, want := range map[string]string{
		"/api/v1/flows":                        "/api/v1/flows/",
		"/api/v1/flows/":                       "/api/v1/flows/",
		"/api/v1/flows/" + flowA + "/":         "/api/v1/flows/" + flowA,
		"/api/v1/flows/" + flowA + "/versions": "/api/v1/flows/" + flowA + "/versions/",
		"/api/v2/files/":                       "/api/v2/files",
		"/api/v1/users":                        "/api/v1/users/",
		"/":                                    "/",
		"/api/v1/variables":                    "/api/v1/variables/",
		"/api/v1/auto_login/":                  "/api/v1/auto_login",
		"/flow/" + flowA + "/":                 "/flow/" + flowA,
	} {
		if m, ok := p.Match(http.MethodGet, target); !ok || m.Path != want {
			t.Errorf("%s is forwarded as %q (%v), want %q", target, m.Path, ok, want)
		}
	}
}

// uiRequests are the requests of the built pages of 1.13.0 (langflow/frontend), with the least
// action that each should need. F is a flow, P a project.
const uiRequests = `
GET /api/v1/auto_login app:open
GET /api/v1/session app:open
POST /api/v1/refresh app:open
POST /api/v1/logout app:open
GET /api/v1/users/whoami app:open
GET /api/v1/config app:open
GET /api/v1/version app:open
GET /health app:open
GET /health_check app:open
GET /api/v1/all flow:view
GET /api/v1/flows/ flow:view
GET /api/v1/flows/F flow:view
GET /api/v1/flows/basic_examples/ flow:view
GET /api/v1/projects/ flow:view
GET /api/v1/projects/P flow:view
GET /api/v1/store/check/ flow:view
GET /api/v1/starter-projects/ flow:view
GET /api/v1/monitor/messages flow:view
GET /api/v1/monitor/messages/sessions flow:view
GET /api/v1/monitor/builds flow:view
GET /api/v1/monitor/transactions flow:view
GET /api/v1/monitor/traces flow:view
GET /api/v1/mcp/project/P flow:view
GET /api/v1/mcp/project/P/installed flow:view
GET /api/v1/models flow:view
GET /api/v1/models/enabled_models flow:view
GET /api/v1/knowledge_bases flow:view
GET /api/v2/files/ flow:view
GET /api/v2/mcp/servers flow:view
GET /api/v1/files/profile_pictures/list app:open
POST /api/v1/authz/me/permissions app:open
POST /api/v1/build/F/flow flow:run
GET /api/v1/build/F/events flow:run
POST /api/v2/workflows flow:run
POST /api/v1/files/upload/F flow:run
POST /api/v1/run/F flow:run
POST /api/v1/flows/ flow:edit
PATCH /api/v1/flows/F flow:edit
DELETE /api/v1/flows/F flow:edit
DELETE /api/v1/flows/ flow:edit
POST /api/v1/flows/upload/ flow:edit
POST /api/v1/flows/download/ flow:edit
POST /api/v1/custom_component/update flow:edit
POST /api/v1/custom_component flow:edit
POST /api/v1/validate/prompt flow:edit
GET /api/v1/variables/ flow:edit
POST /api/v1/variables/ flow:edit
POST /api/v2/files flow:edit
POST /api/v2/mcp/servers/x flow:edit
PATCH /api/v1/mcp/project/P flow:publish
POST /api/v1/validate/code builder:code
POST /api/v1/agentic/assist/stream builder:code
GET /flows app:open
GET /all/folder/P app:open
GET /flow/F app:open
GET /flow/F/folder/P app:open
GET /settings/global-variables app:open
GET /assets/knowledge-bases/my%20kb/chunks app:open
GET /playground/F/ flow:run
`

func TestTable_RequestsOfPages(t *testing.T) {
	p := mustProfile(t, "langflow")
	for line := range strings.Lines(strings.TrimSpace(uiRequests)) {
		f := strings.Fields(line)
		path, err := profile.Canonical(strings.NewReplacer("/F", "/"+flowA, "/P", "/"+flowB).Replace(f[1]))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		m, ok := p.Match(f[0], path)
		if !ok || m.Endpoint.Blocked != "" || m.Endpoint.Action != authz.Action(f[2]) {
			t.Errorf("%s %s: %+v, want an open row that needs %s", f[0], path, m.Endpoint, f[2])
		}
	}
}

// TestRows checks properties that are easy to lose when editing a line.
func TestRows(t *testing.T) {
	p := mustProfile(t, "langflow")
	guarded := map[string][]string{
		"flows.create":       {"code"},
		"flows.update":       {"code"},
		"flows.batch":        {"code"},
		"flows.upload":       {"code", "upload"},
		"flows.overwrite":    {"code"},
		"flows.fork":         {"code"},
		"projects.upload":    {"code", "upload"},
		"folders.upload":     {"code", "upload"},
		"components.check":   {"component"},
		"components.update":  {"component"},
		"mcp-servers.write":  {"mcp", "name"},
		"store.files.rename": {"name"},
		"run":                {"tweaks"},
		"run.advanced":       {"tweaks"},
		"run.session":        {"tweaks"},
		"build":              {"code", "files"},
		"build.vertices":     {"code", "files"},
		"build.vertex":       {"code", "files"},
		"build-public":       {"code", "files"},
		"workflows.run":      {"code", "tweaks", "files"},
		"workflows.public":   {"code", "tweaks", "files"},
	}
	for _, e := range p.Endpoints() {
		if want := guarded[e.Name]; want != nil && cmp.Diff(want, e.Guards) != "" {
			t.Errorf("%s: guards %v, want %v", e.Name, e.Guards, want)
		}
		if wild := strings.Contains(e.Pattern, "..."); wild && e.Blocked == "" {
			t.Errorf("%s: an open row for any path", e.Name)
		}
		if e.Public == profile.PublicFlow && e.Upstream == profile.UpstreamSession && len(e.Flow) == 0 {
			t.Errorf("%s: strangers could name any flow", e.Name)
		}
		for _, key := range []string{"id", "user_id", "fs_path", "workspace_id"} {
			if (e.Name == "flows.create" || e.Name == "flows.update") && !refuses(e, key, `"x"`) {
				t.Errorf("%s takes %s", e.Name, key)
			}
		}
		if e.Result.Locked != "" && e.Name != "flows.get" && e.Name != "config" {
			t.Errorf("%s: locked", e.Name)
		}
		for _, ref := range e.Flow {
			if ref.Kind != flow.Chatflow && ref.Kind != profile.Job {
				t.Errorf("%s: the flow is named by a %s", e.Name, ref.Kind)
			}
		}
	}
}

// refuses reports whether a key of the body is refused for everyone.
func refuses(e *profile.Endpoint, key, value string) bool {
	return slices.ContainsFunc(
		e.Body,
		func(b profile.BodyRule) bool { return b.Action == "" && b.Needs(key, []byte(value)) },
	)
}
