package guard

import (
	"crypto/sha256"
	"regexp"
	"slices"
	"strings"
)

// what a claim is about.
type what uint8

const (
	// whatCode is code that Langflow executes.
	whatCode what = iota + 1
	// whatRunner is a component that executes what stands in its fields.
	whatRunner
	// whatWire is an edge into a field that is executed.
	whatWire
	// whatFile is the name of a file on the builder's host.
	whatFile
	// whatTitle is a node's title that would be read as Python: Langflow before 1.7 writes titles into a function's source (generate_function_for_flow).
	whatTitle
	// whatBroken is a code field in a form that no page sends, such as one whose type was changed so that the code is taken from another member.
	whatBroken
	// whatProcess is the command of an MCP server.
	whatProcess
	// whatNameless is a node without a component type (CVE-2026-7803).
	whatNameless
)

// claim is something in a body that makes a builder run or read what it is told to. Key says what exactly: equal keys are equal claims.
type claim struct {
	what  what
	key   [sha256.Size]byte
	node  string // how the builder's pages call the component
	field string
}

// component is a node's component, or one by itself. Whether it executes its fields is known from its code.
type component struct {
	node, id string
	names    []string // what it says that it is
	code     [sha256.Size]byte
	template *value
}

// entry is a field of a group that stands in for one of a node inside.
type entry struct {
	node, name    string // of the group and its field
	target, field string // id of the node inside, and its field
	via           *value
}

// wire is an edge: what it comes from, and all nodes and fields that it may lead to.
type wire struct {
	source          string
	targets, fields []string
}

// findings are all claims of a document, as far as they can be told without knowing the instance.
type findings struct {
	claims     []claim
	components []component
	entries    []entry
	wires      []wire
	sources    map[[sha256.Size]byte]string // texts of code, kept if asked for
}

// place is where the walk is.
type place struct{ node, id, kind string }

// walk finds the claims of a document: a flow, a list of flows, what the page sends when a component is changed, or the catalogue. keep has the texts of code kept.
func walk(v *value, keep bool) *findings {
	f := &findings{}
	if keep {
		f.sources = map[[sha256.Size]byte]string{}
	}
	if v.kind == object {
		here := place{node: "the component"}
		f.code(v.at("code"), here, "code")
		f.changed(v, here)
	}
	f.any(v, place{})
	f.resolve()
	return f
}

// changed reads the two members that say which field of a component changes (Langflow's POST /custom_component/update).
func (f *findings) changed(v *value, at place) {
	name, to := v.at("field").string(), v.at("field_value")
	if name == "" || to.empty() {
		return
	}
	kind := v.in("template", name, "type").string()
	switch {
	case name == "code" || kind == "code" || runnerFields[name]:
		f.input(to, at, name)
	case name == "mcp_server" || kind == "mcp":
		f.process(to, at, name)
	}
	f.deep(to, at, name)
}

// any walks over what may hold graphs and components.
func (f *findings) any(v *value, at place) {
	if v.kind == object && v.at("type").string() == "code" {
		f.input(v.at("value"), at, string(v.key))
	}
	for i := range v.kids {
		kid := &v.kids[i]
		key := string(kid.key)
		switch {
		case v.kind == object && key == "nodes" && kid.kind == array:
			for j := range kid.kids {
				f.node(&kid.kids[j])
			}
		case v.kind == object && key == "edges" && kid.kind == array:
			for j := range kid.kids {
				f.edge(&kid.kids[j])
			}
		case v.kind == object && key == "template" && kid.kind == object:
			f.component(v, at)
		default:
			f.any(kid, at)
		}
	}
}

func (f *findings) node(v *value) {
	data := v.at("data")
	inner := data.at("node")
	at := place{id: v.at("id").string(), kind: data.at("type").string()}
	at.node = title(inner.at("display_name").string(), at.kind, at.id)
	isNote := v.at("type").string() == "noteNode" && inner.in("template", "code").kind == 0 && inner.at("flow").empty()
	if at.kind == "" && !isNote {
		f.add(whatNameless, at, "type", "")
	}
	if name := inner.at("display_name").string(); readsAsPython(name) {
		f.add(whatTitle, at, "display_name", name)
	}
	f.any(v, at)
}

// title is what people see of a node, with its id.
func title(name, kind, id string) string {
	if name == "" {
		name = kind
	}
	if name == "" {
		name = "a component without a type"
	}
	if id != "" && id != name {
		name += " (" + clip(id) + ")"
	}
	return clip(name)
}

// readsAsPython reports whether a title can end the place that Langflow 1.6 writes it to, and call something.
func readsAsPython(s string) bool {
	return strings.ContainsAny(s, "\"\\") || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 }) ||
		strings.Contains(s, "(") && strings.ContainsAny(s, ":=")
}

// edge notes the fields that an edge may lead into. Langflow takes the name from one of several members, and from a text in old flows.
func (f *findings) edge(v *value) {
	handle := v.in("data", "targetHandle")
	e := wire{source: v.at("source").string(), targets: []string{v.at("target").string(), handle.at("id").string(), handle.in("proxy", "id").string()}}
	for _, name := range [...]*value{handle.at("fieldName"), handle.at("field_name"), handle.at("name"), handle.in("proxy", "field")} {
		e.fields = append(e.fields, name.string())
	}
	if old := strings.Split(v.at("targetHandle").string(), "|"); len(old) > 1 {
		e.fields = append(e.fields, old[1])
	}
	f.wires = append(f.wires, e)
}

// resolve follows edges through groups: a group's field may stand in for one of a node inside, which may be a group again.
func (f *findings) resolve() {
	within := map[string][]*entry{}
	for i := range f.entries {
		within[f.entries[i].name] = append(within[f.entries[i].name], &f.entries[i])
	}
	for i := range f.wires {
		w := &f.wires[i]
		for n := 0; n < len(w.fields) && n < maxAliases; n++ {
			for _, e := range within[w.fields[n]] {
				if !slices.Contains(w.fields, e.field) || !slices.Contains(w.targets, e.target) {
					w.fields, w.targets = append(w.fields, e.field), append(w.targets, e.target)
				}
			}
		}
		if slices.Contains(w.fields, "code") || len(w.fields) >= maxAliases {
			f.add(whatBroken, place{node: title("", "", w.targets[0])}, "code", "edge")
		}
	}
}

// maxAliases bounds how many fields one edge may lead to; more are refused.
const maxAliases = 64

func (f *findings) component(v *value, at place) {
	template := v.at("template")
	c := component{node: at.node, id: at.id, template: template, names: []string{at.kind, v.in("metadata", "component_class_name").string(), string(v.key)}}
	if c.node == "" {
		c.node = title(v.at("display_name").string(), "", "")
	}
	at.node = c.node
	if text := codeText(template.in("code", "value")); text != "" {
		c.code = sha256.Sum256([]byte(text))
	}
	f.components = append(f.components, c)
	for i := range template.kids {
		f.field(&template.kids[i], at)
	}
	outputs := v.at("outputs")
	for i := range outputs.kids {
		// Langflow calls the method of this name.
		if method := outputs.kids[i].at("method"); !method.empty() && !plainMethod.MatchString(method.string()) {
			f.add(whatBroken, at, "outputs", string(method.raw))
		}
	}
}

// plainMethod is the name of a method that is meant to be called from outside.
var plainMethod = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,99}$`)

// field looks at one field of a template.
func (f *findings) field(v *value, at place) {
	name, kind := string(v.key), v.at("type").string()
	if v.kind != object {
		if name == "code" && !v.empty() {
			f.add(whatBroken, at, name, string(v.raw))
		}
		return
	}
	stands := v.in("proxy", "field").string() // a group's field stands in for one of a node inside
	if stands != "" {
		f.entries = append(f.entries, entry{node: at.node, name: name, target: v.in("proxy", "id").string(), field: stands, via: v})
	}
	switch {
	case name == "code" || stands == "code":
		if kind != "code" {
			f.add(whatBroken, at, name, kind)
		}
		f.code(v.at("value"), at, name)
		f.code(v.at("default"), at, name)
	case kind == "code" || runnerFields[name] || runnerFields[stands]:
		f.input(v.at("value"), at, name)
		f.input(v.at("default"), at, name)
	}
	if kind == "file" || v.at("_input_type").string() == "FileInput" {
		f.files(v.at("file_path"), at, name)
		f.files(v.at("value"), at, name)
	}
	for _, opens := range [...]string{name, stands} {
		f.texts(v.at("value"), at, opens, name)
		f.texts(v.at("default"), at, opens, name)
	}
	if worth := v.at("value"); kind == "mcp" || name == "mcp_server" || stands == "mcp_server" || worth.at("config").kind != 0 || worth.at("mcpServers").kind != 0 {
		f.process(worth, at, name)
		f.process(v.at("default"), at, name)
	}
	for i := range v.kids {
		f.deep(&v.kids[i], at, name)
	}
}

// code adds what stands where a component's own code stands.
func (f *findings) code(v *value, at place, field string) {
	if v.empty() {
		return
	}
	source := codeText(v)
	if source == "" {
		f.add(whatBroken, at, field, string(v.raw))
		return
	}
	f.addCode(source, at, field)
}

// codeText is the code that Langflow takes from a value: a text, or the lines of an exported flow (normalize_code_for_import); "" if it is neither.
func codeText(v *value) string {
	if v.kind != array {
		return v.string()
	}
	lines := make([]string, 0, len(v.kids))
	for i := range v.kids {
		if v.kids[i].kind != text {
			return ""
		}
		lines = append(lines, v.kids[i].string())
	}
	return strings.Join(lines, "\n")
}

// input adds what stands in a field that may be executed. What is JSON, or nothing but blanks, executes nothing: some components have fields of type "code" for plain JSON.
func (f *findings) input(v *value, at place, field string) {
	source := codeText(v)
	if source == "" {
		if !v.empty() && v.kind != number && v.kind != word {
			f.add(whatBroken, at, field, string(v.raw))
		}
		return
	}
	if field != "code" {
		if strings.TrimSpace(source) == "" {
			return
		}
		if _, err := parse([]byte(source)); err == nil {
			return
		}
	}
	f.addCode(source, at, field)
}

// deep looks for code and commands inside the value of a field.
func (f *findings) deep(v *value, at place, field string) {
	if v.kind == object {
		if v.at("type").string() == "code" {
			f.input(v.at("value"), at, field)
		}
		if hasCommand(v) && (!folded(v, "args").empty() || !folded(v, "env").empty() || folded(v, "mode").kind != 0 || folded(v, "transport").kind != 0) {
			f.addProcess(v, at, field)
		}
	}
	for i := range v.kids {
		f.deep(&v.kids[i], at, field)
	}
}

func (f *findings) addCode(source string, at place, field string) {
	key := sha256.Sum256([]byte(source))
	if f.sources != nil {
		f.sources[key] = source
	}
	f.claims = append(f.claims, claim{what: whatCode, key: key, node: at.node, field: field})
}

func (f *findings) add(w what, at place, field, key string) {
	f.claims = append(f.claims, claim{what: w, key: sha256.Sum256([]byte(field + "\x00" + key)), node: at.node, field: field})
}
