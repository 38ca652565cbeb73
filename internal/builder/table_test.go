package builder_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/builder/demo"
	"sluice/internal/builder/flowise"
	"sluice/internal/builder/generic"
	"sluice/internal/builder/langflow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

func mustProfile(tb testing.TB, kind string, o builder.Options) *profile.Profile {
	tb.Helper()
	k, err := kinds(tb).Find(kind)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := k.Load(o)
	if err != nil {
		tb.Fatalf("loading %s: %v", kind, err)
	}
	return p
}

// kinds are all products that Sluice knows.
func kinds(tb testing.TB) builder.Kinds {
	tb.Helper()
	all, err := builder.NewKinds(flowise.Kind(), langflow.Kind(), demo.Kind(), generic.Kind())
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

const (
	flowA = "11111111-1111-4111-8111-111111111111"
	flowB = "22222222-2222-4222-8222-222222222222"
)

func TestMatch(t *testing.T) {
	p := mustProfile(t, "flowise", builder.Options{})
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

func TestMatch_ParametersAndPath(t *testing.T) {
	p := mustProfile(t, "flowise", builder.Options{})
	m, ok := p.Match("POST", "/api/v1/attachments/"+flowA+"/chat-1/")
	if !ok {
		t.Fatal("no match")
	}
	got := []string{m.Path, m.Param("flow"), m.Param("chat"), m.Param("other")}
	if diff := cmp.Diff([]string{"/api/v1/attachments/" + flowA + "/chat-1", flowA, "chat-1", ""}, got); diff != "" {
		t.Error(diff)
	}
	g := mustProfile(t, "generic", builder.Options{})
	if m, ok := g.Match("GET", "/a/b/"); !ok || m.Path != "/a/b/" || m.Param("rest") != "a/b" {
		t.Errorf("a generic app's path is forwarded as %q with rest %q, want it unchanged", m.Path, m.Param("rest"))
	}
}

func TestGeneric(t *testing.T) {
	p := mustProfile(t, "generic", builder.Options{AdminPaths: []string{"/settings/users", "/manage/{rest...}"}})
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
	byDefault := mustProfile(t, "generic", builder.Options{})
	for _, path := range []string{"/admin", "/admin/", "/ADMIN/users"} {
		if m, ok := byDefault.Match("GET", path); !ok || m.Endpoint.Action != authz.BuilderManage {
			t.Errorf("%s is not an admin path by default", path)
		}
	}
}

func TestNew_BadOptions(t *testing.T) {
	cases := []struct {
		kind, field string
		o           builder.Options
	}{
		{"langflow2", "kind", builder.Options{}},
		{"generic", "admin_paths", builder.Options{AdminPaths: []string{"admin"}}},
		{"generic", "admin_paths", builder.Options{AdminPaths: []string{"/a//b"}}},
		{"generic", "admin_paths", builder.Options{AdminPaths: []string{"/a/../b"}}},
		{"generic", "admin_paths", builder.Options{AdminPaths: []string{"/a%20b"}}},
		{"generic", "admin_paths", builder.Options{AdminPaths: []string{"/{a...}/b"}}},
		{"generic", "admin_paths", builder.Options{AdminPaths: []string{"/{a:weird}"}}},
		{"generic", "admin_paths", builder.Options{AdminPaths: []string{"/a", "/a"}}},
		{"flowise", "open", builder.Options{Open: []string{"everything"}}},
	}
	for _, c := range cases {
		k, err := kinds(t).Find(c.kind)
		if err == nil {
			_, err = k.Load(c.o)
		}
		if !problem.Is(err, problem.Invalid) || problem.Of(err).Field != c.field {
			t.Errorf("New(%q, %+v) = %v, want problem.Invalid about %s", c.kind, c.o, err, c.field)
		}
	}
}

func TestTable_OptionalRows(t *testing.T) {
	closed, open := mustProfile(
		t,
		"flowise",
		builder.Options{},
	), mustProfile(
		t,
		"flowise",
		builder.Options{Open: []string{"queues"}},
	)
	a, _ := closed.Match("GET", "/admin/queues/")
	b, _ := open.Match("GET", "/admin/queues/")
	if a.Endpoint.Blocked == "" || b.Endpoint.Blocked != "" || b.Endpoint.Action != authz.BuilderManage {
		t.Errorf("closed: %+v; open: %+v", a.Endpoint, b.Endpoint)
	}
	if m, _ := open.Match("GET", "/metrics"); m.Endpoint.Blocked == "" {
		t.Error("opening queues opened metrics too")
	}
}

func FuzzMatch(f *testing.F) {
	for _, s := range []string{
		"/", "/api/v1/chatflows/" + flowA, "/api/v1/apikey/", "/assets/a/b", "/x//y", "/%61", "/api/v1/flows",
		"/api/v1/flows/", "/api/v1/build/" + flowA + "/flow",
	} {
		f.Add("GET", s, true)
		f.Add("POST", s, false)
	}
	flowise, langflow := mustProfile(f, "flowise", builder.Options{}), mustProfile(f, "langflow", builder.Options{})
	f.Fuzz(func(t *testing.T, method, path string, other bool) {
		p := flowise
		if other {
			p = langflow
		}
		m, ok := p.Match(method, path)
		if !ok {
			return
		}
		if slash := strings.HasSuffix(m.Path, "/"); slash != strings.HasSuffix(m.Endpoint.Pattern, "/") &&
			m.Path != "/" {
			t.Fatalf("%s is forwarded as %q, its row is %q", path, m.Path, m.Endpoint.Pattern)
		}
		if !slices.Contains(m.Endpoint.Methods, method) &&
			(method != http.MethodHead || !slices.Contains(m.Endpoint.Methods, http.MethodGet)) {
			t.Fatalf("%s reached %s of methods %v", method, m.Endpoint.Name, m.Endpoint.Methods)
		}
		again, ok := p.Match(method, m.Path)
		if !ok || again.Endpoint != m.Endpoint {
			t.Fatalf("the verdict of the forwarded path (%q) differs from the received path's (%q)", m.Path, path)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	p := mustProfile(b, "flowise", builder.Options{})
	b.ReportAllocs()
	for b.Loop() {
		path, err := profile.Canonical("/api/v1/chatflows/" + flowA)
		if m, ok := p.Match("GET", path); err != nil || !ok || m.Endpoint == nil {
			b.Fatal("no match")
		}
	}
}
