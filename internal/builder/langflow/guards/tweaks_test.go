package guards

import (
	"testing"
)

func TestTweaks(t *testing.T) {
	b := newLangflow(t, "old")
	g := &Guard{}
	member := func(name, value string) map[string]any { // of a field of a node
		return map[string]any{"X-1": map[string]any{"input_value": map[string]any{name: value}}}
	}
	for _, c := range []struct {
		name, want string
		body       any
	}{
		{"none", "", map[string]any{"input_value": "code"}},
		{"model", "", map[string]any{"tweaks": map[string]any{"OpenAIModel-abc12": map[string]any{
			"temperature": 0.1,
			"system":      "code",
		}}}},
		{"for all nodes", "", map[string]any{"tweaks": map[string]any{"temperature": 0.1}}},
		{"code", "guard.code", map[string]any{"tweaks": map[string]any{"X-1": map[string]any{"code": "x"}}}},
		{"Python", "guard.code", map[string]any{"tweaks": map[string]any{"X-1": map[string]any{"python_code": "x"}}}},
		{"for all nodes, Python", "guard.code", map[string]any{"tweaks": map[string]any{"tool_code": "x"}}},
		{"type of a field", "guard.code",
			map[string]any{"tweaks": map[string]any{"X-1": map[string]any{"input_value": map[string]any{
				"type":  "code",
				"value": "x",
			}}}}},
		{"MCP server", "guard.code",
			map[string]any{"tweaks": map[string]any{"X-1": map[string]any{"mcp_server": map[string]any{"name": "x"}}}}},
		{"command", "guard.code",
			map[string]any{"tweaks": map[string]any{"X-1": map[string]any{"x": map[string]any{"Command": "id"}}}}},
		{"a file of the host", "guard.code",
			map[string]any{"tweaks": map[string]any{"File-1": map[string]any{"path": []any{"/etc/passwd"}}}}},
		{
			"an upload",
			"",
			map[string]any{"tweaks": map[string]any{"File-1": map[string]any{"path": []any{"acc/a.txt"}}}},
		},
		{"a database that is " +
			"a file", "guard.code", map[string]any{"inputs": map[string]any{"SQL-1.database_url": "sqlite:////x"}}},
		{"flat form", "guard.code", map[string]any{"inputs": map[string]any{"X-1.python_code": "x"}}},
		{"flat form, harmless", "", map[string]any{"inputs": map[string]any{
			"ChatInput-1.input_value": "x",
			"LLM-1.temperature":       0.7,
		}}},
		{"flat form without a node", "guard.code", map[string]any{"inputs": map[string]any{".python_code": "x"}}},
		{"a harmless member of a field", "", map[string]any{"tweaks": member("value", "x")}},
		{"the type of a field alone", "guard.code", map[string]any{"tweaks": member("type", "str")}},
		{"the input type of a field", "guard.code", map[string]any{"tweaks": member("_input_type", "StrInput")}},
		{"the file of a field", "guard.code", map[string]any{"tweaks": member("file_path", "acc/a.txt")}},
		{"a field that is called type", "",
			map[string]any{"tweaks": map[string]any{"X-1": map[string]any{"type": "x"}}}},
		{"twice", "body.json", `{"tweaks":{},"tweaks":{"code":"x"}}`},
	} {
		if got := ruleOf(check(t.Context(), g, b.request(c.body, "tweaks"))); got != c.want {
			t.Errorf("%s: rule %q, want %q", c.name, got, c.want)
		}
		if c.want == "guard.code" {
			if err := check(t.Context(), g, b.request(c.body, "tweaks").capable()); err != nil {
				t.Errorf("%s: a person who may bring code is refused: %v", c.name, err)
			}
		}
	}
}
