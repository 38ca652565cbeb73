package guards

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/internal/guard"
	"sluice/internal/problem"
)

// TestCode_EditorsWork: the builder's own components and examples are allowed, unchanged and with
// the changes that people make.
func TestCode_EditorsWork(t *testing.T) {
	for _, release := range []string{"new", "old"} {
		b := newLangflow(t, release)
		g := &Guard{}
		for _, example := range fixture[[]map[string]any]("examples-" + release) {
			for _, c := range []struct {
				name   string
				change func(node map[string]any)
			}{
				{"unchanged", func(map[string]any) {}},
				{"moved", func(n map[string]any) { n["position"] = map[string]any{"x": -12.5, "y": 1e3} }},
				{"renamed", func(n map[string]any) {
					set(n, "My “Node”: (a) 2é", "data", "node", "description")
					set(n, "Step 1 - Node", "data", "node", "display_name")
				}},
				{"other text", func(n map[string]any) {
					for _, name := range []string{"input_value", "system_prompt", "system_message", "template",
						"sender_name", "pattern"} {
						if f, ok := templateOf(n)[name].(map[string]any); ok {
							f["value"] = "import os; os.system('id') is what I want to read " +
								"about\n```python\nexec('x')```"
						}
					}
				}},
				{"other choice", func(n map[string]any) {
					if m, ok := templateOf(n)["model_name"].(map[string]any); ok {
						m["value"], m["options"] = "gpt-5", []any{"gpt-5", "code"}
					}
				}},
				{"harmless paths", func(n map[string]any) {
					for name, value := range map[string]any{
						"path":              "reports/2026",
						"file_name":         "news",
						"persist_directory": "",
						"database_url":      "postgresql://db.example.com/x",
						"url":               "https://example.com/../x",
					} {
						templateOf(n)["new_"+name] = map[string]any{"type": "str", "value": "/any/text"}
						if templateOf(n)[name] == nil {
							templateOf(n)[name] = map[string]any{"type": "str", "value": value}
						}
					}
				}},
				{"new outputs", func(n map[string]any) {
					set(n, []any{map[string]any{
						"name":   "component_as_tool",
						"method": "to_toolkit",
						"types":  []any{"Tool"},
					}}, "data", "node", "outputs")
				}},
			} {
				flow := deepCopy(example)
				for _, n := range dig(flow, "data", "nodes").([]any) {
					if node := n.(map[string]any); node["type"] != "noteNode" &&
						dig(node, "data", "node", "template") != nil {
						c.change(node)
					}
				}
				for _, body := range []any{flow, map[string]any{
					"data":   flow["data"],
					"inputs": map[string]any{"input_value": "hi"},
				}, map[string]any{"flows": []any{flow}}} {
					if err := check(t.Context(), g, b.request(body, "code")); err != nil {
						t.Errorf("%s, %s, %s: %v", release, example["name"], c.name, err)
					}
				}
			}
		}
		for _, name := range []string{"ChatInput", "ChatOutput", "TextInput"} {
			if err := check(t.Context(), g, b.request(flowOf(b.node(name)), "code")); err != nil {
				t.Errorf("%s, a fresh %s: %v", release, name, err)
			}
		}
	}
}

const foreign = "class X(Component):\n    def build(self):\n        return 1\n"

// attack is one way to bring code. It gets a flow of one ChatInput and changes it.
type attack struct {
	name   string
	change func(b *langflow, flow map[string]any)
}

func firstNode(flow map[string]any) map[string]any {
	return dig(flow, "data", "nodes", 0).(map[string]any)
}

func addNode(flow map[string]any, nodes ...any) {
	set(flow, append(dig(flow, "data", "nodes").([]any), nodes...), "data", "nodes")
}

func addEdge(flow map[string]any, edge map[string]any) {
	set(flow, append(dig(flow, "data", "edges").([]any), edge), "data", "edges")
}

// group wraps nodes as the pages do.
func group(template map[string]any, nodes ...any) map[string]any {
	return map[string]any{
		"id":   "GroupNode-1",
		"type": "genericNode",
		"data": map[string]any{"id": "GroupNode-1", "type": "GroupNode", "node": map[string]any{
			"display_name": "Group",
			"template":     template,
			"outputs":      []any{},
			"flow":         map[string]any{"data": map[string]any{"nodes": nodes, "edges": []any{}}},
		}},
	}
}

func codeField(change func(code map[string]any)) func(*langflow, map[string]any) {
	return func(_ *langflow, flow map[string]any) { change(field(firstNode(flow), "code")) }
}

func otherField(f map[string]any, name string) func(*langflow, map[string]any) {
	return func(_ *langflow, flow map[string]any) { templateOf(firstNode(flow))[name] = f }
}

// attacks on a flow. Those on the field "code" were run against both real releases with a harmless
// marker: value, default, str, dict, lines, group and empty type run code in both; file and edge
// run it in Langflow 1.6 by its source.
var attacks = []attack{
	{"other code", codeField(func(c map[string]any) { c["value"] = foreign })},
	{"blank at the end", codeField(func(c map[string]any) { c["value"] = c["value"].(string) + " " })},
	{"line at the end", codeField(func(c map[string]any) { c["value"] = c["value"].(string) + "\n" })},
	{"carriage returns", codeField(func(c map[string]any) {
		c["value"] = strings.ReplaceAll(c["value"].(string), "\n", "\r\n")
	})},
	{"homoglyph", codeField(func(c map[string]any) { c["value"] = strings.Replace(c["value"].(string), "a", "а", 1) })},
	{"other form of é", codeField(func(c map[string]any) {
		c["value"] = strings.Replace(c["value"].(string), "é", "e\u0301", 1)
	})},
	{"zero width", codeField(func(c map[string]any) { c["value"] = "\u200b" + c["value"].(string) })},
	{"no value but a default", codeField(func(c map[string]any) { c["value"], c["default"] = nil, foreign })},
	{"default beside the value", codeField(func(c map[string]any) { c["default"] = foreign })},
	{"default that is a list", codeField(func(c map[string]any) { c["value"], c["default"] = nil, []any{foreign} })},
	{"type str", codeField(func(c map[string]any) { c["type"] = "str" })},
	{"type file", codeField(func(c map[string]any) { c["type"], c["file_path"] = "file", "import os #/a/b" })},
	{"type dict", codeField(func(c map[string]any) { c["type"] = "dict" })},
	{"no type", codeField(func(c map[string]any) { delete(c, "type") })},
	{"type that is a number", codeField(func(c map[string]any) { c["type"] = 1 })},
	{"lines", codeField(func(c map[string]any) { c["value"] = []any{"import os", foreign} })},
	{"number", codeField(func(c map[string]any) { c["value"] = 1 })},
	{"object", codeField(func(c map[string]any) { c["value"] = map[string]any{"text": foreign} })},
	{"true", codeField(func(c map[string]any) { c["value"] = true })},
	{"bare text", func(_ *langflow, flow map[string]any) { templateOf(firstNode(flow))["code"] = foreign }},
	{"base64 of code", codeField(func(c map[string]any) { c["value"] = "Y2xhc3MgWDogcGFzcw==" })},
	{"another field of type code", otherField(map[string]any{"type": "code", "value": foreign}, "anything")},
	{"tool_code of type str", otherField(map[string]any{"type": "str", "value": "x=1; y()"}, "tool_code")},
	{"function_code", otherField(map[string]any{"type": "code", "value": "def f(): pass"}, "function_code")},
	{"python_code by default", otherField(map[string]any{"type": "str", "value": "", "default": "x()"}, "python_code")},
	{"code inside a value", otherField(map[string]any{
		"type":  "dict",
		"value": map[string]any{"a": []any{map[string]any{"type": "code", "value": foreign}}},
	}, "config")},
	{"in a group", func(b *langflow, flow map[string]any) {
		n := b.node("TextInput")
		field(n, "code")["value"] = foreign
		addNode(flow, group(map[string]any{}, n))
	}},
	{"in a group in a group", func(b *langflow, flow map[string]any) {
		n := b.node("TextInput")
		field(n, "code")["value"] = foreign
		addNode(flow, group(map[string]any{}, group(map[string]any{}, n)))
	}},
	{"a group's field replaces code", func(b *langflow, flow map[string]any) {
		n := b.node("TextInput")
		addNode(flow, group(map[string]any{"x": map[string]any{
			"type":  "code",
			"value": foreign,
			"proxy": map[string]any{"id": n["id"], "field": "code"},
		}}, n))
	}},
	{"a group's field of another type replaces code", func(b *langflow, flow map[string]any) {
		n := b.node("TextInput")
		addNode(flow, group(map[string]any{"x": map[string]any{
			"type":  "str",
			"value": foreign,
			"proxy": map[string]any{"id": n["id"], "field": "code"},
		}}, n))
	}},
	{"a group in a note", func(b *langflow, flow map[string]any) {
		n := b.node("TextInput")
		field(n, "code")["value"] = foreign
		g := group(map[string]any{}, n)
		g["type"] = "noteNode"
		addNode(flow, g)
	}},
	{"nodes beside the template", func(_ *langflow, flow map[string]any) {
		field(firstNode(flow), "code")["value"], field(firstNode(flow), "code")["type"] = foreign, "str"
		set(flow, []any{}, "data", "nodes", 0, "data", "node", "nodes")
	}},
	{"an edge into code", func(b *langflow, flow map[string]any) {
		addNode(flow, b.node("TextInput"))
		addEdge(flow, edgeInto("TextInput-abc12", "ChatInput-abc12", map[string]any{
			"fieldName": "code",
			"id":        "ChatInput-abc12",
			"type":      "str",
		}))
	}},
	{"an edge into code by its other name", func(b *langflow, flow map[string]any) {
		addNode(flow, b.node("TextInput"))
		addEdge(flow, edgeInto("TextInput-abc12", "ChatInput-abc12", map[string]any{
			"name": "code",
			"id":   "ChatInput-abc12",
		}))
	}},
	{"an edge of old flows into code", func(b *langflow, flow map[string]any) {
		addNode(flow, b.node("TextInput"))
		addEdge(flow, map[string]any{
			"source":       "TextInput-abc12",
			"target":       "ChatInput-abc12",
			"targetHandle": "str|code|ChatInput-abc12",
		})
	}},
	{"an edge through a group into code", func(b *langflow, flow map[string]any) {
		n := b.node("TextInput")
		code := deepCopy(field(n, "code"))
		code["proxy"] = map[string]any{"id": n["id"], "field": "code"}
		addNode(flow, group(map[string]any{"code_TextInput": code}, n))
		addEdge(flow, edgeInto("ChatInput-abc12", "GroupNode-1", map[string]any{
			"fieldName": "code_TextInput",
			"id":        "GroupNode-1",
			"type":      "str",
		}))
	}},
	{"an edge through two groups into code", func(b *langflow, flow map[string]any) {
		n := b.node("TextInput")
		code := deepCopy(field(n, "code"))
		code["proxy"] = map[string]any{"id": n["id"], "field": "code"}
		inner := group(map[string]any{"bar": code}, n)
		outer := deepCopy(code)
		outer["proxy"] = map[string]any{"id": "GroupNode-1", "field": "bar"}
		addNode(flow, group(map[string]any{"foo": outer}, inner))
		addEdge(flow, edgeInto("ChatInput-abc12", "GroupNode-1", map[string]any{
			"fieldName": "foo",
			"id":        "GroupNode-1",
			"type":      "str",
		}))
	}},
	{"an invalid method", func(_ *langflow, flow map[string]any) {
		set(flow, []any{map[string]any{
			"name":   "o",
			"method": "__class__",
		}}, "data", "nodes", 0, "data", "node", "outputs")
	}},
	{"a name that is Python", func(_ *langflow, flow map[string]any) {
		set(flow, "x:__import__('os').system('id'),y", "data", "nodes", 0, "data", "node", "display_name")
	}},
	{"a file of the host", func(b *langflow, flow map[string]any) {
		n := b.node("TextInput")
		templateOf(n)["path"] = map[string]any{
			"type":        "file",
			"_input_type": "FileInput",
			"list":        true,
			"file_path":   []any{"acc/a.txt", "/etc/passwd"},
		}
		addNode(flow, n)
	}},
	{"a folder of the host", otherField(map[string]any{"type": "str", "value": "/var/lib"}, "path")},
	{"a folder above", otherField(map[string]any{
		"type":  "str",
		"value": []any{"a", "b/../../c"},
	}, "persist_directory")},
	{"a home", otherField(map[string]any{"type": "str", "value": "", "default": "~/.cache"}, "root_path")},
	{"a database that is a file", otherField(map[string]any{
		"type":  "str",
		"value": "sqlite+aiosqlite:////data/langflow.db",
	}, "database_url")},
	{"a group's field replaces a database", func(b *langflow, flow map[string]any) {
		n := b.node("TextInput")
		addNode(flow, group(map[string]any{"x": map[string]any{
			"type":  "str",
			"value": "SQLite:///x",
			"proxy": map[string]any{"id": n["id"], "field": "uri"},
		}}, n))
	}},
	{"a file outside", func(b *langflow, flow map[string]any) {
		n := b.node("TextInput")
		templateOf(n)["path"] = map[string]any{"type": "file", "file_path": "a/../../secret_key"}
		addNode(flow, n)
	}},
}

func edgeInto(source, target string, handle map[string]any) map[string]any {
	return map[string]any{"id": "e", "source": source, "target": target, "data": map[string]any{
		"sourceHandle": map[string]any{"id": source, "name": "text", "output_types": []any{"Message"}},
		"targetHandle": handle,
	}}
}

func TestCode_Attacks(t *testing.T) {
	for _, release := range []string{"new", "old"} {
		b := newLangflow(t, release)
		g := &Guard{}
		for _, a := range attacks {
			flow := flowOf(b.node("ChatInput"))
			if err := check(t.Context(), g, b.request(flow, "code")); err != nil {
				t.Fatalf("%s: the flow is refused before it is changed: %v", release, err)
			}
			a.change(b, flow)
			for where, body := range map[string]any{
				"saved":   flow,
				"run":     map[string]any{"data": flow["data"]},
				"batch":   map[string]any{"flows": []any{map[string]any{"name": "a"}, flow}},
				"escaped": escapeAll(marshal(flow)),
			} {
				if got := ruleOf(check(t.Context(), g, b.request(body, "code"))); got != "guard.code" {
					t.Errorf("%s, %s, %s: rule %q", release, a.name, where, got)
				}
			}
			r := b.request(formOf("f.json", marshal(map[string]any{"flows": []any{flow}})), "code", "upload")
			r.ContentType = formType
			if got := ruleOf(check(t.Context(), g, r)); got != "guard.code" {
				t.Errorf("%s, %s, uploaded: rule %q", release, a.name, got)
			}
			r.Body = formOf("f.zip", zipOf(t, map[string][]byte{"ok.json": []byte("{}"), "f.json": marshal(flow)}))
			if got := ruleOf(check(t.Context(), g, r)); got != "guard.code" {
				t.Errorf("%s, %s, zipped: rule %q", release, a.name, got)
			}
			if err := check(t.Context(), g, b.request(flow, "code").capable()); err != nil {
				t.Errorf("%s, %s: a person who may bring code is refused: %v", release, a.name, err)
			}
		}
	}
}

// escapeAll writes every letter of every string as an escape.
func escapeAll(data []byte) []byte {
	var out bytes.Buffer
	inside := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '\\':
			n := 2
			if data[i+1] == 'u' {
				n = 6
			}
			out.Write(data[i : i+n])
			i += n - 1
		case c == '"':
			inside = !inside
			out.WriteByte(c)
		case inside && c < 0x80:
			fmt.Fprintf(&out, `\u%04x`, c)
		default:
			out.WriteByte(c)
		}
	}
	if !json.Valid(out.Bytes()) {
		panic("the escapes are wrong")
	}
	return out.Bytes()
}

func zipOf(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range files {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// runnersOf are the components of each release that execute their inputs.
var runnersOf = map[string][]string{
	"new": {"PythonFunction", "PythonREPLComponent", "PythonREPLTool", "CSVAgent", "Smart Transform"},
	"old": {"PythonCodeStructuredTool", "PythonREPLComponent", "CSVAgent", "Smart Function"},
}

func TestCode_ComponentsThatRunInputs(t *testing.T) {
	for release, names := range runnersOf {
		b := newLangflow(t, release)
		g := &Guard{}
		for _, name := range names {
			fresh := b.node(name)
			disguised := nodeOf("ChatInput", b.component(name))
			claimed := nodeOf(name, b.component("ChatInput"))
			for what, n := range map[string]map[string]any{
				"fresh":              fresh,
				"under another type": disguised,
				"in a group":         group(map[string]any{}, fresh),
				"by its type alone":  claimed,
			} {
				if got := ruleOf(check(t.Context(), g, b.request(flowOf(n), "code"))); got != "guard.code" {
					t.Errorf("%s %s %s: rule %q", release, name, what, got)
				}
			}
			if err := check(t.Context(), g, b.request(flowOf(fresh), "code").capable()); err != nil {
				t.Errorf("%s %s: a person who may bring code is refused: %v", release, name, err)
			}
		}
	}
}

func TestCode_RunnersMovedNotChanged(t *testing.T) {
	b := newLangflow(t, "new")
	g := &Guard{}
	repl, input := b.node("PythonREPLComponent"), b.node("ChatInput")
	field(repl, "python_code")["value"] = "print('written by a person who may')"
	stored := flowOf(repl, input)
	addEdge(stored, edgeInto("ChatInput-abc12", "PythonREPLComponent-abc12", map[string]any{
		"fieldName": "python_code",
		"id":        "PythonREPLComponent-abc12",
	}))
	b.store(flowID, stored)
	for _, c := range []struct {
		name, want string
		change     func(flow map[string]any)
	}{
		{"unchanged", "", func(map[string]any) {}},
		{"moved", "", func(f map[string]any) { set(f, map[string]any{"x": 9}, "data", "nodes", 0, "position") }},
		{"beside others", "", func(f map[string]any) { addNode(f, b.node("TextInput")) }},
		{"taken out", "", func(f map[string]any) {
			set(f, []any{input}, "data", "nodes")
			set(f, []any{}, "data", "edges")
		}},
		{"other input", "guard.code", func(f map[string]any) {
			field(firstNode(f), "python_code")["value"] = "import os"
		}},
		{"other imports", "guard.code", func(f map[string]any) {
			field(firstNode(f), "global_imports")["value"] = "os"
		}},
		{"input by default", "guard.code", func(f map[string]any) {
			field(firstNode(f), "global_imports")["default"] = "os"
		}},
		{"input from a variable", "guard.code", func(f map[string]any) {
			field(firstNode(f), "python_code")["load_from_db"] = true
		}},
		{"imports taken out", "guard.code", func(f map[string]any) {
			delete(templateOf(firstNode(f)), "global_imports")
		}},
		{"another edge into it", "guard.code", func(f map[string]any) {
			addEdge(f, edgeInto("ChatInput-abc12", "PythonREPLComponent-abc12", map[string]any{
				"fieldName": "global_imports",
				"id":        "PythonREPLComponent-abc12",
			}))
		}},
		{"an edge from elsewhere", "guard.code", func(f map[string]any) {
			addNode(f, b.node("TextInput"))
			set(f, []any{edgeInto("TextInput-abc12", "PythonREPLComponent-abc12", map[string]any{
				"fieldName": "python_code",
				"id":        "PythonREPLComponent-abc12",
			})}, "data", "edges")
		}},
		{"an edge into another field", "", func(f map[string]any) {
			addEdge(f, edgeInto("ChatInput-abc12", "PythonREPLComponent-abc12", map[string]any{
				"fieldName": "name",
				"id":        "PythonREPLComponent-abc12",
			}))
		}},
	} {
		flow := deepCopy(stored)
		c.change(flow)
		if got := ruleOf(check(t.Context(), g, b.request(flow, "code"))); got != c.want {
			t.Errorf("%s: rule %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCode_StoredCode(t *testing.T) {
	b := newLangflow(t, "new")
	g := &Guard{}
	custom := b.node("TextInput")
	field(custom, "code")["value"] = foreign
	b.store(flowID, flowOf(custom))
	moved := deepCopy(custom)
	field(moved, "input_value")["value"] = "another text"
	if err := check(t.Context(), g, b.request(flowOf(b.node("ChatInput"), moved), "code")); err != nil {
		t.Errorf("code that is stored: %v", err)
	}
	other := b.request(flowOf(moved), "code")
	other.Flow = "33333333-3333-4333-8333-33333333aaaa"
	if got := ruleOf(check(t.Context(), g, other)); got != "guard.code" {
		t.Errorf("code that is stored in another flow: rule %q", got)
	}
	other.Flow = ""
	if got := ruleOf(check(t.Context(), g, other)); got != "guard.code" {
		t.Errorf("code that is stored, in a new flow: rule %q", got)
	}
}

// TestCode_StoredCodeThatRunsInputs: a component that a person wrote executes its field, so a new
// value would be executed as well.
func TestCode_StoredCodeThatRunsInputs(t *testing.T) {
	b := newLangflow(t, "old")
	g := &Guard{}
	custom := b.node("TextInput")
	field(custom, "code")["value"] = "class Calc(Component):\n    def build(self):\n        return " +
		"eval(self.input_value)\n"
	b.store(flowID, flowOf(custom))
	if err := check(t.Context(), g, b.request(flowOf(custom), "code")); err != nil {
		t.Errorf("unchanged: %v", err)
	}
	changed := deepCopy(custom)
	field(changed, "input_value")["value"] = "__import__('os')"
	if got := ruleOf(check(t.Context(), g, b.request(flowOf(changed), "code"))); got != "guard.code" {
		t.Errorf("with another input: rule %q", got)
	}
}

func TestCode_RunnersOfLaterReleases(t *testing.T) {
	b := newLangflow(t, "new")
	c := b.component("TextInput")
	set(c, "class New(Component):\n    def build(self):\n        exec(self.input_value)\n", "template", "code", "value")
	b.Components["added"]["BrandNew"] = c
	if got := ruleOf(check(t.Context(), &Guard{},
		b.request(flowOf(nodeOf("BrandNew", c)), "code"))); got != "guard.code" {
		t.Errorf("rule %q", got)
	}
}

func TestCode_Switches(t *testing.T) {
	b := newLangflow(t, "old")
	g := &Guard{}
	for _, c := range []struct {
		name, want string
		node       func() map[string]any
	}{
		{"an agent that writes no code", "", func() map[string]any { return b.node("SequentialTaskAgentComponent") }},
		{"an agent that does", "guard.code", func() map[string]any {
			n := b.node("SequentialTaskAgentComponent")
			field(n, "allow_code_execution")["value"] = true
			return n
		}},
		{"an agent without the switch", "guard.code", func() map[string]any {
			n := b.node("SequentialTaskAgentComponent")
			delete(templateOf(n), "allow_code_execution")
			return n
		}},
		{"a store in memory", "", func() map[string]any { return b.node("FAISS") }},
		{"a store of a folder", "guard.code", func() map[string]any {
			n := b.node("FAISS")
			field(n, "persist_directory")["value"] = "/uploads"
			return n
		}},
		{"a store of a folder without objects", "", func() map[string]any {
			n := b.node("FAISS")
			field(n, "persist_directory")["value"], field(n, "allow_dangerous_deserialization")["value"] = "stores/a",
				false
			return n
		}},
	} {
		if got := ruleOf(check(t.Context(), g, b.request(flowOf(c.node()), "code"))); got != c.want {
			t.Errorf("%s: rule %q, want %q", c.name, got, c.want)
		}
	}
}

// TestCode_NeverAllowed: commands of MCP servers and components without a type are refused even to
// people who may bring code.
func TestCode_NeverAllowed(t *testing.T) {
	b := newLangflow(t, "new")
	g := &Guard{}
	server := func(v any) map[string]any {
		n := b.node("MCPTools")
		field(n, "mcp_server")["value"] = v
		return flowOf(n)
	}
	nameless := func(change func(data map[string]any)) map[string]any {
		flow := flowOf(b.node("ChatInput"))
		change(dig(firstNode(flow), "data").(map[string]any))
		return flow
	}
	for _, c := range []struct {
		name, want string
		body       any
	}{
		{"remote", "", server(map[string]any{"name": "x", "config": map[string]any{"url": "https://mcp.example.com"}})},
		{"by name", "", server(map[string]any{"name": "x"})},
		{"command", "guard.code", server(map[string]any{
			"name":   "x",
			"config": map[string]any{"command": "id", "args": []any{}},
		})},
		{"command alone", "guard.code", server(map[string]any{"name": "x", "config": map[string]any{"command": "id"}})},
		{"Command", "guard.code", server(map[string]any{"name": "x", "config": map[string]any{"COMMAND": "id"}})},
		{"command as a list", "guard.code", server(map[string]any{"config": map[string]any{"command": []any{"id"}}})},
		{"beside an address", "guard.code", server(map[string]any{"config": map[string]any{
			"url":     "https://mcp.example.com",
			"command": "id",
		}})},
		{"servers", "guard.code",
			server(map[string]any{"mcpServers": map[string]any{"x": map[string]any{"command": "id"}}})},
		{"list", "guard.code", server([]any{map[string]any{"config": map[string]any{"command": "id"}}})},
		{"mode", "guard.code", server(map[string]any{"config": map[string]any{"mode": " STDIO "}})},
		{"text", "guard.code", server(`{"name":"x","config":{"command":"id"}}`)},
		{"in another field", "guard.code", func() any {
			n := b.node("ChatInput")
			templateOf(n)["x"] = map[string]any{
				"type":  "dict",
				"value": map[string]any{"config": map[string]any{"command": "id"}},
			}
			return flowOf(n)
		}()},
		{"deep in a field", "guard.code", func() any {
			n := b.node("ChatInput")
			templateOf(n)["x"] = map[string]any{
				"type":  "table",
				"value": []any{map[string]any{"a": map[string]any{"command": "id", "args": []any{"-u"}}}},
			}
			return flowOf(n)
		}()},
		{"no type", "guard.code", nameless(func(d map[string]any) { delete(d, "type") })},
		{"empty type", "guard.code", nameless(func(d map[string]any) { d["type"] = "" })},
		{"type that is null", "guard.code", nameless(func(d map[string]any) { d["type"] = nil })},
		{"type that is a number", "guard.code", nameless(func(d map[string]any) { d["type"] = 7 })},
		{"no data", "guard.code", flowOf(map[string]any{"id": "n"})},
		{"node that is a text", "guard.code", flowOf("n")},
		{"note", "", flowOf(map[string]any{
			"id":   "n",
			"type": "noteNode",
			"data": map[string]any{"id": "n", "node": map[string]any{"description": "a note"}},
		})},
		{"note with code", "guard.code", flowOf(map[string]any{
			"id":   "n",
			"type": "noteNode",
			"data": map[string]any{
				"node": map[string]any{"template": map[string]any{"code": map[string]any{"value": "x"}}},
			},
		})},
	} {
		for _, r := range []*asked{b.request(c.body, "code"), b.request(c.body, "code").capable()} {
			if got := ruleOf(check(t.Context(), g, r)); got != c.want {
				t.Errorf("%s: rule %q, want %q (may: %v)", c.name, got, c.want, r.MayCode())
			}
		}
	}
	stored := server(map[string]any{"name": "x", "config": map[string]any{"command": "id", "args": []any{}}})
	b.store(flowID, stored)
	if err := check(t.Context(), g, b.request(stored, "code")); err != nil {
		t.Errorf("a command that is stored already: %v", err)
	}
}

func TestCode_SingleComponent(t *testing.T) {
	b := newLangflow(t, "old")
	g := &Guard{}
	code := dig(b.component("ChatInput"), "template", "code", "value")
	custom := b.node("TextInput")
	field(custom, "code")["value"] = foreign
	b.store("44444444-4444-4444-8444-444444444444", flowOf(custom))
	update := func(more map[string]any) map[string]any {
		body := map[string]any{
			"code":        code,
			"template":    b.component("ChatInput")["template"],
			"field":       "input_value",
			"field_value": "x",
			"tool_mode":   false,
		}
		for k, v := range more {
			body[k] = v
		}
		return body
	}
	for _, c := range []struct {
		name, want string
		body       any
	}{
		{"known", "", map[string]any{"code": code}},
		{"update", "", update(nil)},
		{"update of a component that runs its inputs", "", update(map[string]any{
			"code":     dig(b.component("PythonREPLComponent"), "template", "code", "value"),
			"template": b.component("PythonREPLComponent")["template"],
		})},
		{"stored somewhere", "", update(map[string]any{"code": foreign, "template": templateOf(custom)})},
		{"unknown", "guard.code", map[string]any{"code": "x=1"}},
		{"unknown as lines", "guard.code", map[string]any{"code": []any{"x=1"}}},
		{"unknown in the " +
			"template", "guard.code", update(map[string]any{"template": map[string]any{"code": map[string]any{
			"type":  "code",
			"value": "x=1",
		}}})},
		{"unknown by the field", "guard.code", update(map[string]any{"field": "code", "field_value": "x=1"})},
		{"command by the field", "guard.code", update(map[string]any{
			"field":       "mcp_server",
			"field_value": map[string]any{"config": map[string]any{"command": "id"}},
		})},
		{"command by a field of its type", "guard.code", update(map[string]any{
			"template":    map[string]any{"m": map[string]any{"type": "mcp"}},
			"field":       "m",
			"field_value": map[string]any{"command": "id"},
		})},
		{"frontend node", "guard.code", map[string]any{
			"code": code,
			"frontend_node": map[string]any{"template": map[string]any{"code": map[string]any{
				"type":  "code",
				"value": "x=1",
			}}},
		}},
	} {
		r := b.request(c.body, "component")
		r.Flow = ""
		if got := ruleOf(check(t.Context(), g, r)); got != c.want {
			t.Errorf("%s: rule %q, want %q", c.name, got, c.want)
		}
	}
}

// TestCode_NewCodeIsKnown: the page asks about a component as soon as a person with the permission
// has saved it.
func TestCode_NewCodeIsKnown(t *testing.T) {
	b := newLangflow(t, "old")
	g := &Guard{}
	ask := b.request(map[string]any{"code": foreign}, "component")
	ask.Flow = ""
	if got := ruleOf(check(t.Context(), g, ask)); got != "guard.code" {
		t.Fatalf("before: rule %q", got)
	}
	n := b.node("TextInput")
	field(n, "code")["value"] = foreign
	if err := check(t.Context(), g, b.request(flowOf(n), "code").capable()); err != nil {
		t.Fatal(err)
	}
	b.store(flowID, flowOf(n))
	if got := ruleOf(check(t.Context(), g, ask)); got != "" {
		t.Errorf("after: rule %q", got)
	}
}

func TestCatalog(t *testing.T) {
	b := newLangflow(t, "new")
	now := &clock{at: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	g := &Guard{}
	read := func() int { return b.Count("GET /api/v1/all") }
	judges := func(r *asked, rule string, reads int) {
		t.Helper()
		r.Now = now.now
		if got := ruleOf(check(t.Context(), g, r)); got != rule || read() != reads {
			t.Errorf("rule %q after %d readings, want %q after %d", got, read(), rule, reads)
		}
	}
	b.With(func() { b.Down = true })
	judges(b.request(flowOf(b.node("ChatInput")), "code"), "guard.code", 1)
	unread := b.request(flowOf(b.node("ChatInput")), "code")
	unread.Now = now.now
	if err := check(t.Context(), g, unread); !problem.Is(err, problem.Unavailable) || problem.Of(err).RetryAfter == 0 {
		t.Errorf("without a catalog: %v, want a temporary refusal", err)
	}
	b.With(func() { b.Down = false })
	now.at = now.at.Add(failedFor)
	judges(b.request(flowOf(b.node("ChatInput")), "code"), "", 2)
	judges(b.request(flowOf(b.node("ChatInput")), "code"), "", 2)

	added := b.component("TextInput")
	set(added, foreign, "template", "code", "value")
	flow := flowOf(nodeOf("Later", added))
	judges(b.request(flow, "code"), "guard.code", 2) // read a moment ago
	b.Components["added"]["Later"] = added
	now.at = now.at.Add(refreshEvery)
	judges(b.request(flow, "code"), "", 3)

	b.With(func() { b.Down = true })
	now.at = now.at.Add(refreshEvery)
	judges(b.request(flow, "code"), "", 3) // known code needs no builder
	b.With(func() { b.Down = false })
	upgraded := b.request(flow, "code")
	upgraded.Version = "newer"
	delete(b.Components["added"], "Later")
	judges(upgraded, "guard.code", 4)
	now.at = now.at.Add(refreshEvery)
	judges(upgraded, "guard.code", 5)
}

// TestCode_StrangersAddNothing: strangers have no account for calls to the builder. Their requests
// must neither cause such calls nor keep others from them.
func TestCode_StrangersAddNothing(t *testing.T) {
	b := newLangflow(t, "new")
	g := &Guard{}
	stranger := b.request(flowOf(b.node("ChatInput")), "code")
	stranger.Get = nil
	if err := check(t.Context(), g, stranger); !problem.Is(err, problem.Unavailable) {
		t.Errorf("before anything is known: %v", err)
	}
	if err := check(t.Context(), g, b.request(flowOf(b.node("ChatInput")), "code")); err != nil {
		t.Errorf("after a stranger: %v", err)
	}
	if err := check(t.Context(), g, stranger); err != nil {
		t.Errorf("known code of a stranger: %v", err)
	}
	stranger.Body = marshal(flowOf(nodeOf("X", map[string]any{"template": map[string]any{"code": map[string]any{
		"type":  "code",
		"value": foreign,
	}}})))
	if got := ruleOf(check(t.Context(), g, stranger)); got != "guard.code" {
		t.Errorf("foreign code of a stranger: rule %q", got)
	}
}

func TestCode_UnreadBodies(t *testing.T) {
	b := newLangflow(t, "new")
	g := &Guard{}
	deep := strings.Repeat(`{"data":`, 70) + "1" + strings.Repeat("}", 70)
	for _, c := range []struct{ name, kind, body, want string }{
		{"key twice", "application/json", `{"data":{"nodes":[]},"data":{"nodes":[1]}}`, "body.json"},
		{
			"key twice in code",
			"application/json",
			`{"template":{"code":{"type":"code","value":"","value":"x"}}}`,
			"body.json",
		},
		{"too deep", "application/json", deep, "body.json"},
		{"too many values", "application/json", "[" + strings.Repeat("1,", guard.MaxValues) + "1]", "body.json"},
		{"UTF-16", "application/json", "{\x00}\x00", "body.json"},
		{"byte order mark", "application/json", "\ufeff{}", "body.json"},
		{"no type", "", `{"code":"x"}`, "body.type"},
		{"another JSON", "application/vnd.api+json", `{"code":"x"}`, "body.type"},
		{"another charset", "application/json; charset=utf-16", `{"code":"x"}`, "body.type"},
		{"form", "application/x-www-form-urlencoded", `code=x`, "body.type"},
		{"empty", "", "", ""},
	} {
		r := b.request(c.body, "code")
		r.ContentType = c.kind
		if got := ruleOf(check(t.Context(), g, r)); got != c.want {
			t.Errorf("%s: rule %q, want %q", c.name, got, c.want)
		}
	}
}
