package guards

import (
	"fmt"
	"strings"
	"testing"

	"sluice/internal/problem"
)

func TestServers(t *testing.T) {
	b := newLangflow(t, "new")
	g := &Guard{}
	server := func(more ...any) map[string]any {
		out := map[string]any{"url": "https://mcp.example.com/mcp"}
		for i := 0; i < len(more); i += 2 {
			out[more[i].(string)] = more[i+1]
		}
		return out
	}
	headers := func(n int) map[string]any {
		out := map[string]any{}
		for i := range n {
			out[fmt.Sprintf("X-%d", i)] = "y"
		}
		return out
	}
	for _, c := range []struct {
		name string
		body any
		// editor and admin may add it.
		editor, admin bool
	}{
		{"remote", server("headers", map[string]any{"Authorization": "Bearer x"}), true, true},
		{"what the page " +
			"sends", server("name", "weather", "command", "", "args", []any{}, "env", map[string]any{}, "headers",
			map[string]any{}), true, true},
		{"nulls", server("command", nil, "args", nil, "env", nil, "headers", nil), true, true},
		{"transport", server("transport", "sse", "timeout", 30), true, true},
		{"only headers", map[string]any{"headers": map[string]any{"X": "y"}}, true, true},
		{"plain http", server("url", "http://mcp.example.com/"), false, true},
		{"loopback", server("url", "https://127.0.0.1/"), false, true},

		{"command", server("command", "uvx"), false, false},
		{"args alone", server("args", []any{"x"}), false, false},
		{"env alone", server("env", map[string]any{"PS4": "x"}), false, false},
		{"args that are a text", server("args", "-c id"), false, false},
		{"other case", server("Command", "id"), false, false},
		{"all capitals", server("COMMAND", "id"), false, false},
		{"long s", server("argſ", []any{"x"}), false, false},
		{"blank in the key", server("command ", "id"), false, false},
		{"unknown", server("cwd", "/"), false, false},
		{"servers", map[string]any{"mcpServers": map[string]any{"x": map[string]any{"command": "id"}}}, false, false},
		{"config", server("config", map[string]any{"command": "id"}), false, false},
		{"mode", server("mode", "Stdio"), false, false},
		{"type", server("type", "stdio"), false, false},
		{"mode that is a list", server("mode", []any{"stdio"}), false, false},
		{"name that is a path", server("name", "../x"), false, false},
		{"address that is a list", server("url", []any{"https://mcp.example.com"}), false, false},
		{"headers that are a list", server("headers", []any{"X: y"}), false, false},
		{"header with a line", server("headers", map[string]any{"X": "a\r\nHost: b"}), false, false},
		{"header with a colon", server("headers", map[string]any{"X: y": "a"}), false, false},
		{"fifty headers", server("headers", headers(50)), true, true},
		{"fifty-one headers", server("headers", headers(51)), false, false},
		{"header of eight KiB", server("headers", map[string]any{"X": strings.Repeat("a", 8<<10)}), true, true},
		{"header of more", server("headers", map[string]any{"X": strings.Repeat("a", 8<<10+1)}), false, false},
		{"address that is empty", server("url", ""), true, true},
		{"address that is zero", server("url", 0), false, false},
		{"Host", server("headers", map[string]any{"host": "internal"}), false, false},
		{"header that is a number", server("headers", map[string]any{"X": 1}), false, false},
		{"list", []any{server()}, false, false},
	} {
		for may, want := range map[bool]bool{false: c.editor, true: c.admin} {
			r := b.request(c.body, "mcp")
			if may {
				r.capable()
			}
			got := ruleOf(check(t.Context(), g, r))
			if (got == "") != want || got != "" && got != "guard.mcp" {
				t.Errorf("%s (may: %v): rule %q", c.name, may, got)
			}
		}
	}
	for name, body := range map[string]string{
		"twice":    `{"url":"https://a.example","url":"https://127.0.0.1"}`,
		"not JSON": "url: x",
	} {
		if got := ruleOf(check(t.Context(), g, b.request(body, "mcp"))); got != "body.json" {
			t.Errorf("%s: rule %q", name, got)
		}
	}
}

// TestServers_NextStep: the refusal of a program names the alternative.
func TestServers_NextStep(t *testing.T) {
	b := newLangflow(t, "new")
	g := &Guard{}
	for member, program := range map[string]bool{
		"command": true, "args": true, "env": true, "url": false, "cwd": false,
	} {
		err := check(t.Context(), g, b.request(map[string]any{member: []any{"x"}}, "mcp"))
		if p := problem.Of(err); p.Field != member || (p.Next == askForNone) != program {
			t.Errorf("%s: field %q, next %q", member, p.Field, p.Next)
		}
	}
}
