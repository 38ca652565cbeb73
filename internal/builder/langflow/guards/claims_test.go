package guards

import (
	"fmt"
	"strings"
	"testing"

	"sluice/internal/problem"
)

func TestTitle_NameAndID(t *testing.T) {
	long := strings.Repeat("a", 100)
	for _, c := range []struct{ name, kind, id, want string }{
		{"Agent", "AgentComponent", "Agent-1", "Agent (Agent-1)"},
		{"Agent", "", "", "Agent"},
		{"", "AgentComponent", "Agent-1", "AgentComponent (Agent-1)"},
		{"", "", "Agent-1", "a component without a type (Agent-1)"},
		{"", "", "", "a component without a type"},
		{"Agent-1", "", "Agent-1", "Agent-1"},
		{long, "", "", long[:64]},
	} {
		if got := title(c.name, c.kind, c.id); got != c.want {
			t.Errorf("%q, %q, %q: %q, want %q", c.name, c.kind, c.id, got, c.want)
		}
	}
}

// TestClaims_OneMark tests each mark of code and of commands alone, and harmless values that look
// like one. The attacks of other tests carry several.
func TestClaims_OneMark(t *testing.T) {
	b := newLangflow(t, "new")
	g := &Guard{}
	withField := func(name string, f any) any {
		n := b.node("ChatInput")
		templateOf(n)[name] = f
		return flowOf(n)
	}
	withCode := func(value any) any {
		n := b.node("ChatInput")
		field(n, "code")["value"] = value
		return flowOf(n)
	}
	inGroup := func(f map[string]any) any {
		n := b.node("TextInput")
		f["proxy"] = map[string]any{"id": n["id"], "field": f["proxy"]}
		return flowOf(group(map[string]any{"x": f}, n))
	}
	command := map[string]any{"command": "id"}
	shipped := field(b.node("ChatInput"), "code")["value"].(string)
	for _, c := range []struct {
		name string
		body any
		// want is the rule for a person without permissions, and all the rule for a person who may
		// bring code.
		want, all string
	}{
		{name: "code outside of any component", want: "guard.code", body: map[string]any{
			"name": "f",
			"x":    map[string]any{"type": "code", "value": foreign},
		}},
		{name: "a text outside of any component", body: map[string]any{
			"name": "f",
			"x":    map[string]any{"type": "str", "value": foreign},
		}},
		{name: "shipped code as lines", body: withCode(strings.Split(shipped, "\n"))},
		{name: "plain JSON in a field of type code", body: withField("x", map[string]any{
			"type":  "code",
			"value": `{"a": [1]}`,
		})},
		{name: "blanks in a field of type code", body: withField("x", map[string]any{"type": "code", "value": " \n"})},
		{name: "JSON in the field code", want: "guard.code", body: withCode(`{"a": [1]}`)},
		{name: "a number in a field for Python", body: withField("tool_code", map[string]any{
			"type":  "str",
			"value": 7,
		})},
		{name: "true in a field for Python", body: withField("tool_code", map[string]any{
			"type":  "str",
			"value": true,
		})},
		{name: "an object in a field for Python", want: "guard.code", body: withField("tool_code", map[string]any{
			"type":  "str",
			"value": map[string]any{"a": 1},
		})},
		{name: "a list of numbers in a field for Python", want: "guard.code", body: withField("tool_code",
			map[string]any{"type": "str", "value": []any{1}})},
		{name: "a command in a field of type mcp", want: "guard.code", all: "guard.code", body: withField("x",
			map[string]any{"type": "mcp", "value": command})},
		{name: "a command in the field mcp_server", want: "guard.code", all: "guard.code", body: withField("mcp_server",
			map[string]any{"type": "str", "value": command})},
		{name: "a command in a group's field that replaces mcp_server", want: "guard.code", all: "guard.code",
			body: inGroup(map[string]any{"type": "str", "value": command, "proxy": "mcp_server"})},
		{name: "a command in a group's field that replaces another field",
			body: inGroup(map[string]any{"type": "str", "value": command, "proxy": "input_value"})},
		{name: "a command among servers", want: "guard.code", all: "guard.code", body: withField("x", map[string]any{
			"type":  "dict",
			"value": map[string]any{"mcpServers": map[string]any{"a": command}},
		})},
		{name: "a command with a mode", want: "guard.code", all: "guard.code", body: withField("x", map[string]any{
			"type":  "dict",
			"value": map[string]any{"a": map[string]any{"command": "id", "mode": "any"}},
		})},
		{name: "a command with a transport", want: "guard.code", all: "guard.code", body: withField("x",
			map[string]any{
				"type":  "dict",
				"value": map[string]any{"a": map[string]any{"command": "id", "transport": "any"}},
			})},
		{name: "a column that is called command", body: withField("x", map[string]any{
			"type":  "table",
			"value": []any{command},
		})},
	} {
		if got := ruleOf(check(t.Context(), g, b.request(c.body, "code"))); got != c.want {
			t.Errorf("%s: rule %q, want %q", c.name, got, c.want)
		}
		if got := ruleOf(check(t.Context(), g, b.request(c.body, "code").capable())); got != c.all {
			t.Errorf("%s: rule %q for a person who may bring code, want %q", c.name, got, c.all)
		}
	}
}

func TestClaims_JSONInCode(t *testing.T) {
	b := newLangflow(t, "new")
	r := b.request(map[string]any{"field": "code", "field_value": `{"a": [1]}`}, "component")
	if got := ruleOf(check(t.Context(), &Guard{}, r)); got != "guard.code" {
		t.Errorf("rule %q", got)
	}
}

// TestWires_Edges: through a chain of groups, one edge leads to many fields.
func TestWires_Edges(t *testing.T) {
	b := newLangflow(t, "new")
	g := &Guard{}
	for aliases, want := range map[int]string{1: "", maxAliases - 5: "", maxAliases - 4: "guard.code"} {
		n := b.node("TextInput")
		template := map[string]any{}
		for i := range aliases {
			template[fmt.Sprintf("f%d", i)] = map[string]any{
				"type":  "str",
				"proxy": map[string]any{"id": n["id"], "field": fmt.Sprintf("f%d", i+1)},
			}
		}
		flow := flowOf(b.node("ChatInput"), group(template, n))
		addEdge(flow, edgeInto("ChatInput-abc12", "GroupNode-1", map[string]any{
			"fieldName": "f0",
			"id":        "GroupNode-1",
		}))
		// An edge names a field in four ways; each alias adds one field.
		if got := ruleOf(check(t.Context(), g, b.request(flow, "code"))); got != want {
			t.Errorf("%d aliases: rule %q, want %q", aliases, got, want)
		}
	}
}

// TestRunners_LargeGroup: the fields of a group count in addition to its components.
func TestRunners_LargeGroup(t *testing.T) {
	b := newLangflow(t, "new")
	n := b.node("PythonREPLComponent")
	template := map[string]any{}
	for i := range 20 {
		template[fmt.Sprintf("f%d", i)] = map[string]any{
			"type":  "str",
			"proxy": map[string]any{"id": n["id"], "field": "name"},
		}
	}
	r := b.request(flowOf(group(template, n)), "code")
	if got := ruleOf(check(t.Context(), &Guard{}, r)); got != "guard.code" {
		t.Errorf("rule %q", got)
	}
}

func TestRunners_Value(t *testing.T) {
	b := newLangflow(t, "new")
	g := &Guard{}
	stored := flowOf(b.node("PythonREPLComponent"))
	b.store(flowID, stored)
	for _, c := range []struct {
		name, want string
		change     func(template map[string]any)
	}{
		{"another hint", "", func(f map[string]any) { f["python_code"].(map[string]any)["info"] = "Python to run" }},
		{"another value", "guard.code", func(f map[string]any) { f["python_code"].(map[string]any)["value"] = "x()" }},
		{"a bare text", "guard.code", func(f map[string]any) { f["python_code"] = "x()" }},
	} {
		flow := deepCopy(stored)
		c.change(templateOf(firstNode(flow)))
		if got := ruleOf(check(t.Context(), g, b.request(flow, "code"))); got != c.want {
			t.Errorf("%s: rule %q, want %q", c.name, got, c.want)
		}
	}
}

func TestRefusal_NamesFirstCountsRest(t *testing.T) {
	b := newLangflow(t, "new")
	g := &Guard{}
	changed := func(name, title, id string) map[string]any {
		n := b.node(name)
		n["id"] = id
		set(n, title, "data", "node", "display_name")
		field(n, "code")["value"] = foreign + "# " + id
		return n
	}
	single := b.component("ChatInput")
	single["display_name"] = "Mine"
	set(single, foreign, "template", "code", "value")
	for _, c := range []struct {
		name, guard string
		body        any
		begins, has string
	}{
		{name: "one", guard: "code", body: flowOf(changed("ChatInput", "In", "in-1")), begins: "“In (in-1)” "},
		{name: "two", guard: "code", begins: "“In (in-1)” ", has: " Similar problems in other places: 1.",
			body: flowOf(changed("ChatInput", "In", "in-1"), changed("TextInput", "Text", "text-1"))},
		{name: "three", guard: "code", begins: "“In (in-1)” ", has: " Similar problems in other places: 2.",
			body: flowOf(changed("ChatInput", "In", "in-1"), changed("TextInput", "Text", "text-1"),
				changed("TextInput", "Text", "text-2"))},
		{name: "a component alone", guard: "component", body: single, begins: "“Mine” "},
	} {
		detail := problem.Of(check(t.Context(), g, b.request(c.body, c.guard))).Detail
		if !strings.HasPrefix(detail, c.begins) || !strings.HasSuffix(detail, c.has) ||
			strings.Contains(detail, "Similar") != (c.has != "") {
			t.Errorf("%s: %s", c.name, detail)
		}
	}
}
