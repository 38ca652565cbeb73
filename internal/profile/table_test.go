package profile

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authz"
	"sluice/internal/problem"
)

const (
	flowA = "11111111-1111-4111-8111-111111111111"
	flowB = "22222222-2222-4222-8222-222222222222"
)

func mustProfile(tb testing.TB, kind string, o Options) *Profile {
	tb.Helper()
	p, err := New(kind, o)
	if err != nil {
		tb.Fatalf("New(%q): %v", kind, err)
	}
	return p
}

// example is a path that a pattern accepts.
func example(pattern string) string {
	segs := strings.Split(pattern, "/")
	for i, seg := range segs {
		switch {
		case strings.HasSuffix(seg, ":uuid}"):
			segs[i] = flowA
		case strings.HasSuffix(seg, "...}"):
			segs[i] = "x/y"
		case strings.HasPrefix(seg, "{"):
			segs[i] = "any-Text.1"
		}
	}
	return strings.Join(segs, "/")
}

func TestEveryRowIsReachedByItsOwnPath(t *testing.T) {
	for _, kind := range []string{KindFlowise, KindLangflow, KindGeneric, KindDemo} {
		p := mustProfile(t, kind, Options{})
		names := map[string]bool{}
		for _, e := range p.Endpoints() {
			if names[e.Name] {
				t.Errorf("%s: the name %s is used twice", kind, e.Name)
			}
			names[e.Name] = true
			path, err := Canonical(example(e.Pattern))
			if err != nil {
				t.Errorf("%s %s: the example path is not canonical: %v", kind, e.Name, err)
				continue
			}
			for _, method := range e.Methods {
				if m, ok := p.Match(method, path); !ok || m.Endpoint != e {
					t.Errorf("%s: %s %s reaches %v, want %s", kind, method, path, m.Endpoint, e.Name)
				}
			}
		}
	}
}

func TestRowsSayEnough(t *testing.T) {
	for _, kind := range []string{KindFlowise, KindLangflow, KindGeneric, KindDemo} {
		p := mustProfile(t, kind, Options{})
		for _, e := range p.Endpoints() {
			if e.Blocked == "" && !slices.Contains(authz.Actions(), e.Action) {
				t.Errorf("%s %s: action %q", kind, e.Name, e.Action)
			}
			if e.Blocked != "" && (!strings.HasSuffix(e.Blocked, ".") || e.Public != PublicNever) {
				t.Errorf("%s %s: a blocked row needs a sentence and no public access: %q", kind, e.Name, e.Blocked)
			}
			// Langflow gives its settings to strangers in a short form, which its pages need, and in full to those who are signed in.
			if e.Public == PublicAlways && e.Upstream != UpstreamNone && e.Answer == "" && e.Name != "config" {
				t.Errorf("%s %s: open to everybody, so it must not lend a session", kind, e.Name)
			}
			if e.Answer != "" && p.style.answers[e.Answer] == nil {
				t.Errorf("%s %s: nothing gives the answer %q", kind, e.Name, e.Answer)
			}
			if e.Denied != "" && p.style.answers[e.Denied] == nil {
				t.Errorf("%s %s: nothing gives the answer %q", kind, e.Name, e.Denied)
			}
			for _, ref := range slices.Concat(e.Flow, e.Objects) {
				if ref.In == InPath && !slices.Contains(e.params, ref.Name) {
					t.Errorf("%s %s: the pattern has no {%s}", kind, e.Name, ref.Name)
				}
			}
		}
	}
}

func TestMatch(t *testing.T) {
	p := mustProfile(t, KindFlowise, Options{})
	cases := []struct {
		method, path, want string // want "" = not in the table
	}{
		{"GET", "/", "page.root"},
		{"GET", "/chatflows", "page.chatflows"},
		{"GET", "/chatflows/", "page.chatflows"},
		{"GET", "/api/v1/chatflows", "chatflows.list"},
		{"HEAD", "/api/v1/chatflows", "chatflows.list"},
		{"GET", "/api/v1/chatflows/", "chatflows.list"},
		{"GET", "/api/v1/chatflows/" + flowA, "chatflows.get"},
		{"PUT", "/api/v1/chatflows/" + flowA, "chatflows.update"},
		{"PATCH", "/api/v1/chatflows/" + flowA, ""},
		{"PUT", "/api/v1/chatflows", ""},
		{"GET", "/api/v1/chatflows/has-changed/" + flowA + "/2026-11-21T18:33:28.000Z", "chatflows.has-changed"},
		{"GET", "/api/v1/chatflows/has-changed/" + flowA + "/2026-11-21T18%3A33%3A28.000Z", "chatflows.has-changed"},
		{"GET", "/api/v1/chatflows/apikey/x", "chatflows.apikey"},
		{"GET", "/api/v1/chatflows/1", ""},
		{"GET", "/api/v1/chatflows/" + strings.ToUpper("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"), ""},
		{"GET", "/API/v1/chatflows", ""},
		{"GET", "/api/v1/ApiKey", ""},
		{"GET", "/api/v1/pingpong", ""},
		{"GET", "/api/v1/ping/x", ""},
		{"GET", "/api/v1", ""},
		{"GET", "/api/v1/nope", ""},
		{"GET", "/nope", ""},
		{"GET", "/assets/index-BIqxr1vN.js", "assets"},
		{"POST", "/assets/index-BIqxr1vN.js", ""},
		{"GET", "/assets", ""},
		{"POST", "/api/v1/auth/login", "auth.other"},
		{"POST", "/api/v1/auth/resolve", "auth.resolve"},
		{"GET", "/api/v1/auth/resolve", ""},
		{"POST", "/api/v1/account/register", "account.other"},
		{"POST", "/api/v1/account/logout", "account.logout"},
		{"TRACE", "/api/v1/ping", ""},
		{"CONNECT", "/api/v1/ping", ""},
		{"OPTIONS", "/api/v1/ping", ""},
		{"get", "/api/v1/ping", ""},
		{"PROPFIND", "/api/v1/chatflows", ""},
		{"GET", "", ""},
		{"GET", "api/v1/ping", ""},
	}
	for _, c := range cases {
		m, ok := p.Match(c.method, c.path)
		got := ""
		if ok {
			got = m.Endpoint.Name
		}
		if got != c.want {
			t.Errorf("%s %s: row %q, want %q", c.method, c.path, got, c.want)
		}
	}
}

func TestMatchGivesParametersAndThePathToForward(t *testing.T) {
	p := mustProfile(t, KindFlowise, Options{})
	m, ok := p.Match("POST", "/api/v1/attachments/"+flowA+"/chat-1/")
	if !ok {
		t.Fatal("no match")
	}
	got := []string{m.Path, m.Param("flow"), m.Param("chat"), m.Param("other")}
	if diff := cmp.Diff([]string{"/api/v1/attachments/" + flowA + "/chat-1", flowA, "chat-1", ""}, got); diff != "" {
		t.Error(diff)
	}
	g := mustProfile(t, KindGeneric, Options{})
	if m, ok := g.Match("GET", "/a/b/"); !ok || m.Path != "/a/b/" || m.Param("rest") != "a/b" {
		t.Errorf("a generic app's path is forwarded as %q with rest %q, want it unchanged", m.Path, m.Param("rest"))
	}
}

func TestGeneric(t *testing.T) {
	p := mustProfile(t, KindGeneric, Options{AdminPaths: []string{"/settings/users", "/manage/{rest...}"}})
	cases := []struct {
		method, path string
		want         authz.Action
	}{
		{"GET", "/", authz.FlowView},
		{"HEAD", "/x", authz.FlowView},
		{"POST", "/", authz.FlowEdit},
		{"DELETE", "/x/y", authz.FlowEdit},
		{"GET", "/settings", authz.FlowView},
		{"GET", "/settings/users", authz.BuilderManage},
		{"GET", "/Settings/USERS/", authz.BuilderManage},
		{"GET", "/settings/users/1", authz.FlowView},
		{"POST", "/manage/x/y", authz.BuilderManage},
		{"GET", "/admin", authz.FlowView},
		{"TRACE", "/", ""},
	}
	for _, c := range cases {
		m, ok := p.Match(c.method, c.path)
		var got authz.Action
		if ok {
			got = m.Endpoint.Action
		}
		if got != c.want {
			t.Errorf("%s %s needs %q, want %q", c.method, c.path, got, c.want)
		}
	}
	byDefault := mustProfile(t, KindGeneric, Options{})
	for _, path := range []string{"/admin", "/admin/", "/ADMIN/users"} {
		if m, ok := byDefault.Match("GET", path); !ok || m.Endpoint.Action != authz.BuilderManage {
			t.Errorf("%s is not an admin path by default", path)
		}
	}
}

func TestNewRefusesBadOptions(t *testing.T) {
	cases := []struct {
		kind, field string
		o           Options
	}{
		{"langflow2", "kind", Options{}},
		{KindGeneric, "admin_paths", Options{AdminPaths: []string{"admin"}}},
		{KindGeneric, "admin_paths", Options{AdminPaths: []string{"/a//b"}}},
		{KindGeneric, "admin_paths", Options{AdminPaths: []string{"/a/../b"}}},
		{KindGeneric, "admin_paths", Options{AdminPaths: []string{"/a%20b"}}},
		{KindGeneric, "admin_paths", Options{AdminPaths: []string{"/{a...}/b"}}},
		{KindGeneric, "admin_paths", Options{AdminPaths: []string{"/{a:weird}"}}},
		{KindGeneric, "admin_paths", Options{AdminPaths: []string{"/a", "/a"}}},
		{KindFlowise, "open", Options{Open: []string{"everything"}}},
	}
	for _, c := range cases {
		_, err := New(c.kind, c.o)
		if !problem.Is(err, problem.Invalid) || problem.Of(err).Field != c.field {
			t.Errorf("New(%q, %+v) = %v, want problem.Invalid about %s", c.kind, c.o, err, c.field)
		}
	}
}

func TestOptionalRowsOpenForAdminsOnly(t *testing.T) {
	closed, open := mustProfile(t, KindFlowise, Options{}), mustProfile(t, KindFlowise, Options{Open: []string{"queues"}})
	a, _ := closed.Match("GET", "/admin/queues/")
	b, _ := open.Match("GET", "/admin/queues/")
	if a.Endpoint.Blocked == "" || b.Endpoint.Blocked != "" || b.Endpoint.Action != authz.BuilderManage {
		t.Errorf("closed: %+v; open: %+v", a.Endpoint, b.Endpoint)
	}
	if m, _ := open.Match("GET", "/metrics"); m.Endpoint.Blocked == "" {
		t.Error("opening queues opened metrics too")
	}
}

func TestLoadTableRefusesBadRows(t *testing.T) {
	for name, text := range map[string]string{
		"unknown field":       `[{name: a, methods: [GET], path: /a, action: "flow:view", colour: red}]`,
		"no action":           `[{name: a, methods: [GET], path: /a}]`,
		"unknown action":      `[{name: a, methods: [GET], path: /a, action: "flow:fly"}]`,
		"unknown method":      `[{name: a, methods: [HEAD], path: /a, action: "flow:view"}]`,
		"same row twice":      `[{name: a, methods: [GET], path: /a, action: "flow:view"}, {name: b, methods: [GET], path: /a, action: "flow:view"}]`,
		"same shape twice":    `[{name: a, methods: [GET], path: "/{a:uuid}", action: "flow:view"}, {name: b, methods: [GET], path: "/{b:uuid}", action: "flow:view"}]`,
		"public without flow": `[{name: a, methods: [GET], path: /a, action: "flow:view", public: flow}]`,
		"bad id place":        `[{name: a, methods: [GET], path: /a, action: "flow:view", flow: [header.x]}]`,
		"body rule of none":   `[{name: a, methods: [GET], path: /a, action: "flow:view", body: [{keys: [x]}]}]`,
		"body rule of both":   `[{name: a, methods: [GET], path: /a, action: "flow:view", body: [{keys: [x], action: "flow:edit", refused: true}]}]`,
		"optional and open":   `[{name: a, methods: [GET], path: /a, action: "flow:view", optional: x}]`,
		"five placeholders":   `[{name: a, methods: [GET], path: "/{a}/{b}/{c}/{d}/{e}", action: "flow:view"}]`,
		"rest and a slash":    `[{name: a, methods: [GET], path: "/{a...}/", action: "flow:view"}]`,
		"two slashes":         `[{name: a, methods: [GET], path: "/a//", action: "flow:view"}]`,
		"with and without":    `[{name: a, methods: [GET], path: /a/, action: "flow:view"}, {name: b, methods: [GET], path: /a, action: "flow:view"}]`,
		"named without path":  `[{name: a, methods: [POST], path: /a, action: "flow:run", flow: [body.flow], named: true}]`,
		"named by a job":      `[{name: a, methods: [POST], path: "/{job}", action: "flow:run", flow: [path.job job], named: true}]`,
		"locked on a write":   `[{name: a, methods: [POST], path: "/{flow}", action: "flow:view", flow: [path.flow], locked: locked}]`,
		"denied but public":   `[{name: a, methods: [GET], path: /a, action: "flow:view", public: always, denied: x}]`,
		"many of nothing":     `[{name: a, methods: [POST], path: /a, action: "flow:edit", many: true}]`,
		"guarded answer":      `[{name: a, methods: [POST], path: /a, action: "flow:edit", answer: x, guards: [code]}]`,
		"dropped, refused":    `[{name: a, methods: [POST], path: /a, action: "flow:edit", body: [{keys: [x], refused: true, drop: true}]}]`,
		"dropped in a list":   `[{name: a, methods: [POST], path: /a, action: "flow:edit", body: [{in: y, keys: [x], action: "flow:edit", drop: true}]}]`,
		"unknown upstream":    `[{name: a, methods: [GET], path: /a, action: "flow:view", upstream: password}]`,
		"kind of no object":   `[{name: a, methods: [GET], path: "/{x}", action: "flow:view", objects: [path.x house]}]`,
	} {
		if _, err := loadTable([]byte(text), true, nil); err == nil {
			t.Errorf("%s: the table was accepted", name)
		}
	}
}

func TestBodyRuleNeeds(t *testing.T) {
	rule := BodyRule{Keys: []string{"isPublic"}, Action: authz.FlowPublish, Unset: true}
	for value, want := range map[string]bool{"true": true, "false": false, "null": false, `""`: false, `"false"`: true, "0": true, "{}": true, "[]": true, "bad": true} {
		if got := rule.Needs("isPublic", []byte(value)); got != want {
			t.Errorf("isPublic: %s needs the action: %v, want %v", value, got, want)
		}
	}
	if rule.Needs("ispublic", []byte("true")) {
		t.Error("keys must be compared exactly")
	}
	strict := BodyRule{Keys: []string{"id"}}
	if !strict.Needs("id", []byte("null")) {
		t.Error("without Unset every value counts")
	}
}

func FuzzMatch(f *testing.F) {
	for _, s := range []string{"/", "/api/v1/chatflows/" + flowA, "/api/v1/apikey/", "/assets/a/b", "/x//y", "/%61", "/api/v1/flows", "/api/v1/flows/", "/api/v1/build/" + flowA + "/flow"} {
		f.Add("GET", s, true)
		f.Add("POST", s, false)
	}
	flowise, langflow := mustProfile(f, KindFlowise, Options{}), mustProfile(f, KindLangflow, Options{})
	f.Fuzz(func(t *testing.T, method, path string, other bool) {
		p := flowise
		if other {
			p = langflow
		}
		m, ok := p.Match(method, path)
		if !ok {
			return
		}
		if slash := strings.HasSuffix(m.Path, "/"); slash != m.Endpoint.slash && m.Path != "/" {
			t.Fatalf("%s is forwarded as %q, its row is %q", path, m.Path, m.Endpoint.Pattern)
		}
		if !slices.Contains(m.Endpoint.Methods, method) && (method != http.MethodHead || !slices.Contains(m.Endpoint.Methods, http.MethodGet)) {
			t.Fatalf("%s reached %s of methods %v", method, m.Endpoint.Name, m.Endpoint.Methods)
		}
		again, ok := p.Match(method, m.Path)
		if !ok || again.Endpoint != m.Endpoint {
			t.Fatalf("what is forwarded (%q) is judged differently from what came (%q)", m.Path, path)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	p := mustProfile(b, KindFlowise, Options{})
	b.ReportAllocs()
	for b.Loop() {
		path, err := Canonical("/api/v1/chatflows/" + flowA)
		if m, ok := p.Match("GET", path); err != nil || !ok || m.Endpoint == nil {
			b.Fatal("no match")
		}
	}
}
