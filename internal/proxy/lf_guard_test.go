package proxy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sluice/internal/audit"
	"sluice/internal/builder/langflow/langflowtest"
)

// lfDenied is the status of refusals for Langflow's pages, which treat 401 and 403 as the end of
// their session.
const lfDenied = http.StatusLocked

// lfCode is the source of a component that every Langflow of the tests ships with.
const lfCode = "class ChatInput(Component):\n    def build(self):\n        return Message(text=self.input_value)\n"

// shipping makes the world's Langflow report its own components, packed like the real one.
func (w *lfWorld) shipping() *lfWorld {
	w.f.With(func() {
		w.f.Components = map[string]map[string]any{
			"inputs": {"ChatInput": map[string]any{"template": map[string]any{"code": lfField(lfCode)}}},
		}
	})
	return w
}

func lfField(code string) map[string]any {
	return map[string]any{"type": "code", "name": "code", "value": code}
}

// lfGraph is a graph of one component with this code.
func lfGraph(code string) map[string]any {
	return map[string]any{
		"edges": []any{},
		"nodes": []any{map[string]any{"id": "ChatInput-1", "type": "genericNode", "data": map[string]any{
			"id": "ChatInput-1", "type": "ChatInput", "node": map[string]any{"display_name": "Chat Input",
				"template": map[string]any{"code": lfField(code)}},
		}}},
	}
}

func lfBody(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func TestGuard_KnownCode(t *testing.T) {
	t.Parallel()
	for _, old := range []bool{false, true} {
		w := newLangflowWorld(t, old).shipping()
		stored := "class Own(Component): pass\n"
		w.f.With(func() { w.own.Get("flows", w.ownFlow).Data = json.RawMessage(lfBody(lfGraph(stored))) })
		var file string
		w.f.With(func() { file = w.own.Put("files", &lfThing{Name: "a"}).ID })
		foreign := "class Foreign(Component): pass\n"
		flowPath, build := "/api/v1/flows/"+w.ownFlow, "/api/v1/build/"+w.ownFlow+"/flow"
		for _, c := range []struct {
			name, role, method, target string
			body                       any
			want                       int
		}{
			{"stored code, run", "user", "POST", build, map[string]any{"data": lfGraph(stored)}, 200},
			{"known code, saved", "user", "PATCH", flowPath, map[string]any{"data": lfGraph(lfCode)}, 200},
			{"known code, run", "user", "POST", build, map[string]any{"data": lfGraph(lfCode)}, 200},
			{"known code, checked", "user", "POST", "/api/v1/custom_component", map[string]any{"code": lfCode}, 200},
			{"foreign code, saved", "user", "PATCH", flowPath, map[string]any{"data": lfGraph(foreign)}, lfDenied},
			{"foreign code, new", "user", "POST", "/api/v1/flows/",
				map[string]any{"name": "x", "data": lfGraph(foreign)}, lfDenied},
			{"foreign code, run", "user", "POST", build, map[string]any{"data": lfGraph(foreign)}, lfDenied},
			{"foreign code, checked", "user", "POST", "/api/v1/custom_component/update",
				map[string]any{"code": foreign, "template": map[string]any{}, "field": "x",
					"field_value": 1}, lfDenied},
			{"foreign code, tweaked", "user", "POST", "/api/v1/run/" + w.ownFlow,
				map[string]any{"tweaks": map[string]any{"X": map[string]any{"code": foreign}}}, lfDenied},
			{"foreign code of an admin", "admin", "PATCH", flowPath, map[string]any{"data": lfGraph(foreign)}, 200},
			{"foreign code of an admin, run", "admin", "POST", build, map[string]any{"data": lfGraph(foreign)}, 200},
			{"a command of an admin", "admin", "POST", "/api/v2/mcp/servers/x", map[string]any{"command": "id"},
				lfDenied},
			{"a remote server", "user", "POST", "/api/v2/mcp/servers/x",
				map[string]any{"url": "https://mcp.example.com/"}, 200},
			{"a server inside", "user", "POST", "/api/v2/mcp/servers/x", map[string]any{"url": "https://127.1/"},
				lfDenied},
			{"a file of the host", "user", "POST", build, map[string]any{"files": []any{w.ownFlow + "/../x"}},
				lfDenied},
			{"an upload of the flow", "user", "POST", build, map[string]any{"files": []any{w.ownFlow + "/x.png"}}, 200},
			{"a renamed upload", "user", "PUT", "/api/v2/files/" + file + "?name=_mcp_servers", nil, lfDenied},
			{"an upload, renamed plainly", "user", "PUT", "/api/v2/files/" + file + "?name=other", nil, 200},
		} {
			w.f.Take()
			body := ""
			if c.body != nil {
				body = lfBody(c.body)
			}
			got := w.call(c.role, c.method, c.target, body)
			log := w.f.Take()
			if got.status != c.want && (c.want != 200 || got.status/100 != 2) {
				t.Errorf("%s (old: %v): %d %s", c.name, old, got.status, got.body)
			}
			if forwarded := len(log) == 1; forwarded != (c.want == 200) {
				t.Errorf("%s (old: %v): Langflow got %d requests", c.name, old, len(log))
			}
			if c.want == 200 && len(log) == 1 && log[0].Body != body {
				t.Errorf("%s (old: %v): what was judged is not what was forwarded", c.name, old)
			}
			if c.want == lfDenied && !strings.Contains(got.body, `"detail"`) {
				t.Errorf("%s (old: %v): not in Langflow's shape: %s", c.name, old, got.body)
			}
		}
		own, super := w.f.CountAs(
			"GET /api/v1/all",
			w.own.Username,
		), w.f.CountAs(
			"GET /api/v1/all",
			langflowtest.Superuser,
		)
		if own != 1 || super != 0 {
			t.Errorf(
				"the catalog was read %d times as the workspace's account and %d times as the superuser, want once",
				own,
				super,
			)
		}
	}
}

func TestGuard_RefusalAudited(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false).shipping()
	got := w.call("user", "PATCH", "/api/v1/flows/"+w.ownFlow, lfBody(map[string]any{"data": lfGraph("x = 1")}))
	if got.status != lfDenied || !strings.Contains(got.body, "Chat Input (ChatInput-1)") {
		t.Fatalf("%d %s", got.status, got.body)
	}
	w.gate.Flush(t.Context())
	list, err := audit.After(t.Context(), w.db, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Outcome == audit.Denied && e.ActorID == w.ids["user"] && e.ResourceID == w.ownFlow &&
			strings.HasPrefix(e.Detail, "guard.code: ") {
			return
		}
	}
	t.Errorf("no entry for it in %+v", list)
}

func TestGuard_Uploads(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false).shipping()
	for name, c := range map[string]struct {
		target, file, data string
		want               int
	}{
		"a file":   {"/api/v1/files/upload/" + w.ownFlow, "a.txt", "x", 200},
		"a path":   {"/api/v1/files/upload/" + w.ownFlow, "../../a.txt", "x", lfDenied},
		"settings": {"/api/v2/files", "_mcp_servers.json", "{}", lfDenied},
		"a known flow": {"/api/v1/flows/upload/", "f.json",
			lfBody(map[string]any{"name": "x", "data": lfGraph(lfCode)}), 200},
		"a foreign flow": {"/api/v1/flows/upload/", "f.json",
			lfBody(map[string]any{"name": "x", "data": lfGraph("x = 1")}), lfDenied},
		"a foreign project": {"/api/v1/projects/upload/", "p.json",
			lfBody(map[string]any{"folder_name": "p",
				"flows": []any{map[string]any{"name": "x", "data": lfGraph("x = 1")}}}), lfDenied},
	} {
		w.f.Take()
		h := w.as("user")
		h.Set("Content-Type", "multipart/form-data; boundary=b")
		body := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + c.file + "\"\r\nContent-Type: " +
			"application/octet-stream\r\n\r\n" + c.data + "\r\n--b--\r\n"
		got := w.do("POST", c.target, h, body)
		log := w.f.Take()
		if got.status/100 != c.want/100 || (len(log) == 1) != (c.want == 200) {
			t.Errorf("%s: %d %s, %d requests", name, got.status, got.body, len(log))
		}
	}
}

func TestWithoutACatalogNothingIsSavedByWhoMayNotBringCode(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false) // answers {"ok":true}, which has no component
	path, body := "/api/v1/flows/"+w.ownFlow, lfBody(map[string]any{"data": lfGraph(lfCode)})
	if got := w.call("user", "PATCH", path, body); got.status != lfDenied {
		t.Errorf("with an empty catalog: %d %s", got.status, got.body)
	}
	down := newLangflowWorld(t, false)
	next := down.f.Config.Handler
	down.f.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/all" {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		next.ServeHTTP(rw, r)
	})
	path = "/api/v1/flows/" + down.ownFlow
	if got := down.call("user", "PATCH", path, body); got.status != 503 ||
		!strings.Contains(got.body, "which code it knows") {
		t.Errorf("without a catalog: %d %s", got.status, got.body)
	}
	if got := down.call("user", "PATCH", path, `{"name":"no code in it"}`); got.status != 200 {
		t.Errorf("what needs no catalog: %d %s", got.status, got.body)
	}
	if got := down.call("admin", "PATCH", path, body); got.status != 200 {
		t.Errorf("who may bring code: %d %s", got.status, got.body)
	}
}

// BenchmarkSaveOfALargeFlow is an editor's autosave of 500 KB through everything, beside the same
// bytes on a row without the guard.
func BenchmarkSaveOfALargeFlow(b *testing.B) {
	w := newLangflowWorld(b, false).shipping()
	var nodes []any
	for i := 0; len(lfBody(nodes)) < 500_000; i++ {
		node := lfGraph(lfCode)["nodes"].([]any)[0].(map[string]any)
		template := node["data"].(map[string]any)["node"].(map[string]any)["template"].(map[string]any)
		for j := range 20 {
			template[fmt.Sprintf("field_%d", j)] = map[string]any{
				"type": "str", "value": strings.Repeat("text ",
					20), "required": false, "show": true, "advanced": j%2 == 0, "list": false,
				"name": fmt.Sprintf("field_%d", j),
				"info": strings.Repeat(
					"what it is for ",
					5,
				), "display_name": "Field", "load_from_db": false, "tool_mode": false, "placeholder": "",
				"title_case": false,
			}
		}
		template["code"] = lfField(lfCode)
		nodes = append(nodes, node)
	}
	body := lfBody(map[string]any{"data": map[string]any{"nodes": nodes, "edges": []any{}}})
	save := func(b *testing.B, role, target string) {
		h := w.as(role)
		h.Set("Content-Type", "application/json")
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			req, err := http.NewRequest("PATCH", w.front.URL+target, bytes.NewReader([]byte(body)))
			if err != nil {
				b.Fatal(err)
			}
			req.Host, req.Header = appHost, h
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				b.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != 200 {
				b.Fatalf("%d", res.StatusCode)
			}
			w.f.Take()
		}
	}
	b.Run("editor", func(b *testing.B) { save(b, "user", "/api/v1/flows/"+w.ownFlow) })
	b.Run("admin", func(b *testing.B) { save(b, "admin", "/api/v1/flows/"+w.ownFlow) })
	project := w.own.Things["projects"][0].ID
	b.Run("unguarded", func(b *testing.B) { save(b, "user", "/api/v1/projects/"+project) })
}
