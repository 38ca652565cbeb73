package guards

import (
	"crypto/sha256"
	"regexp"
	"slices"
	"strings"

	"sluice/internal/guard"
)

// what is the subject of a claim.
type what uint8

const (
	// whatCode is code that Langflow executes.
	whatCode what = iota + 1
	// whatRunner is a component that executes the contents of its fields.
	whatRunner
	// whatWire is an edge into an executed field.
	whatWire
	// whatFile is the name of a file on the builder's host.
	whatFile
	// whatTitle is a node's title that would be read as Python: Langflow before 1.7 writes titles
	// into a function's source (generate_function_for_flow).
	whatTitle
	// whatBroken is a code field in a form that no page sends, for example with a changed type so
	// that the code is taken from another member.
	whatBroken
	// whatProcess is the command of an MCP server.
	whatProcess
	// whatNameless is a node without a component type (CVE-2026-7803).
	whatNameless
)

// claim is something in a body that makes a builder run code or read files of the sender's choice.
// Equal keys are equal claims.
type claim struct {
	what  what
	key   [sha256.Size]byte
	node  string // the component's name on the builder's pages
	field string
}

// component is a node's component, or a single one without a node. Its code reveals whether it
// executes its fields.
type component struct {
	node, id string
	names    []string // the types that it names
	code     [sha256.Size]byte
	template *guard.Value
}

// entry is a group's field that represents a field of an inner node.
type entry struct {
	node, name    string // of the group and its field
	target, field string // id of the inner node, and its field
	via           *guard.Value
}

// wire is an edge: its source, and all nodes and fields that it may lead to.
type wire struct {
	source          string
	targets, fields []string
}

// findings are all claims of a document that can be recognized without knowing the instance.
type findings struct {
	claims     []claim
	components []component
	entries    []entry
	wires      []wire
	sources    map[[sha256.Size]byte]string // texts of code, kept on request
}

// place is the current position of the walk.
type place struct{ node, id, kind string }

// walk finds the claims of a document: a flow, a list of flows, a page's request to change a
// component, or the catalog. keep retains the texts of code.
func walk(v *guard.Value, keep bool) *findings {
	f := &findings{}
	if keep {
		f.sources = map[[sha256.Size]byte]string{}
	}
	if v.Kind == guard.Object {
		here := place{node: "the component"}
		f.code(v.At("code"), here, "code")
		f.changed(v, here)
	}
	f.any(v, place{})
	f.resolve()
	return f
}

// changed reads the two members that say which field of a component changes (Langflow's POST
// /custom_component/update).
func (f *findings) changed(v *guard.Value, at place) {
	name, to := v.At("field").Text(), v.At("field_value")
	if name == "" || to.Empty() {
		return
	}
	kind := v.In("template", name, "type").Text()
	switch {
	case name == "code" || kind == "code" || runnerFields[name]:
		f.input(to, at, name)
	case name == "mcp_server" || kind == "mcp":
		f.process(to, at, name)
	}
	f.deep(to, at, name)
}

// any walks over a value that may hold graphs and components.
func (f *findings) any(v *guard.Value, at place) {
	if v.Kind == guard.Object && v.At("type").Text() == "code" {
		f.input(v.At("value"), at, string(v.Key))
	}
	for i := range v.Kids {
		kid := &v.Kids[i]
		key := string(kid.Key)
		switch {
		case v.Kind == guard.Object && key == "nodes" && kid.Kind == guard.Array:
			for j := range kid.Kids {
				f.node(&kid.Kids[j])
			}
		case v.Kind == guard.Object && key == "edges" && kid.Kind == guard.Array:
			for j := range kid.Kids {
				f.edge(&kid.Kids[j])
			}
		case v.Kind == guard.Object && key == "template" && kid.Kind == guard.Object:
			f.component(v, at)
		default:
			f.any(kid, at)
		}
	}
}

func (f *findings) node(v *guard.Value) {
	data := v.At("data")
	inner := data.At("node")
	at := place{id: v.At("id").Text(), kind: data.At("type").Text()}
	at.node = title(inner.At("display_name").Text(), at.kind, at.id)
	isNote := v.At("type").Text() == "noteNode" && inner.In("template", "code").Kind == 0 && inner.At("flow").Empty()
	if at.kind == "" && !isNote {
		f.add(whatNameless, at, "type", "")
	}
	if name := inner.At("display_name").Text(); readsAsPython(name) {
		f.add(whatTitle, at, "display_name", name)
	}
	f.any(v, at)
}

// title is a node's name for people, with its id.
func title(name, kind, id string) string {
	if name == "" {
		name = kind
	}
	if name == "" {
		name = "a component without a type"
	}
	if id != "" && id != name {
		name += " (" + guard.Clip(id) + ")"
	}
	return guard.Clip(name)
}

// readsAsPython reports whether a title can break out of the place where Langflow 1.6 writes it,
// and call something.
func readsAsPython(s string) bool {
	return strings.ContainsAny(s, "\"\\") || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 }) ||
		strings.Contains(s, "(") && strings.ContainsAny(s, ":=")
}

// edge notes the fields that an edge may lead into. Langflow takes the name from one of several
// members, or from a text in old flows.
func (f *findings) edge(v *guard.Value) {
	handle := v.In("data", "targetHandle")
	e := wire{
		source:  v.At("source").Text(),
		targets: []string{v.At("target").Text(), handle.At("id").Text(), handle.In("proxy", "id").Text()},
	}
	for _, name := range [...]*guard.Value{handle.At("fieldName"), handle.At("field_name"), handle.At("name"),
		handle.In("proxy", "field")} {
		e.fields = append(e.fields, name.Text())
	}
	if old := strings.Split(v.At("targetHandle").Text(), "|"); len(old) > 1 {
		e.fields = append(e.fields, old[1])
	}
	f.wires = append(f.wires, e)
}

// resolve follows edges through groups: a group's field may represent one of an inner node, which
// may be a group again.
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

// maxAliases bounds how many fields one edge may lead to; an edge with more is refused.
const maxAliases = 64

func (f *findings) component(v *guard.Value, at place) {
	template := v.At("template")
	c := component{
		node:     at.node,
		id:       at.id,
		template: template,
		names:    []string{at.kind, v.In("metadata", "component_class_name").Text(), string(v.Key)},
	}
	if c.node == "" {
		c.node = title(v.At("display_name").Text(), "", "")
	}
	at.node = c.node
	if text := codeText(template.In("code", "value")); text != "" {
		c.code = sha256.Sum256([]byte(text))
	}
	f.components = append(f.components, c)
	for i := range template.Kids {
		f.field(&template.Kids[i], at)
	}
	outputs := v.At("outputs")
	for i := range outputs.Kids {
		// Langflow calls the method of this name.
		if method := outputs.Kids[i].At("method"); !method.Empty() && !plainMethod.MatchString(method.Text()) {
			f.add(whatBroken, at, "outputs", string(method.Raw))
		}
	}
}

// plainMethod matches the names of methods that are meant to be called from outside.
var plainMethod = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,99}$`)

// field examines one field of a template.
func (f *findings) field(v *guard.Value, at place) {
	name, kind := string(v.Key), v.At("type").Text()
	if v.Kind != guard.Object {
		if name == "code" && !v.Empty() {
			f.add(whatBroken, at, name, string(v.Raw))
		}
		return
	}
	stands := v.In("proxy", "field").Text() // a group's field may represent one of an inner node
	if stands != "" {
		f.entries = append(f.entries, entry{
			node:   at.node,
			name:   name,
			target: v.In("proxy", "id").Text(),
			field:  stands,
			via:    v,
		})
	}
	switch {
	case name == "code" || stands == "code":
		if kind != "code" {
			f.add(whatBroken, at, name, kind)
		}
		f.code(v.At("value"), at, name)
		f.code(v.At("default"), at, name)
	case kind == "code" || runnerFields[name] || runnerFields[stands]:
		f.input(v.At("value"), at, name)
		f.input(v.At("default"), at, name)
	}
	if kind == "file" || v.At("_input_type").Text() == "FileInput" {
		f.files(v.At("file_path"), at, name)
		f.files(v.At("value"), at, name)
	}
	for _, opens := range [...]string{name, stands} {
		f.texts(v.At("value"), at, opens, name)
		f.texts(v.At("default"), at, opens, name)
	}
	if worth := v.At("value"); kind == "mcp" || name == "mcp_server" || stands == "mcp_server" ||
		worth.At("config").Kind != 0 ||
		worth.At("mcpServers").Kind != 0 {
		f.process(worth, at, name)
		f.process(v.At("default"), at, name)
	}
	for i := range v.Kids {
		f.deep(&v.Kids[i], at, name)
	}
}

// code adds the value of a component's own code field.
func (f *findings) code(v *guard.Value, at place, field string) {
	if v.Empty() {
		return
	}
	source := codeText(v)
	if source == "" {
		f.add(whatBroken, at, field, string(v.Raw))
		return
	}
	f.addCode(source, at, field)
}

// codeText is the code that Langflow takes from a value: a text, or the lines of an exported flow
// (normalize_code_for_import). It is "" if the value is neither.
func codeText(v *guard.Value) string {
	if v.Kind != guard.Array {
		return v.Text()
	}
	lines := make([]string, 0, len(v.Kids))
	for i := range v.Kids {
		if v.Kids[i].Kind != guard.Text {
			return ""
		}
		lines = append(lines, v.Kids[i].Text())
	}
	return strings.Join(lines, "\n")
}

// input adds the value of a field that may be executed. JSON and blank texts execute nothing: some
// components have fields of type "code" for plain JSON.
func (f *findings) input(v *guard.Value, at place, field string) {
	source := codeText(v)
	if source == "" {
		if !v.Empty() && v.Kind != guard.Number && v.Kind != guard.Word {
			f.add(whatBroken, at, field, string(v.Raw))
		}
		return
	}
	if field != "code" {
		if strings.TrimSpace(source) == "" {
			return
		}
		if _, err := guard.Parse([]byte(source)); err == nil {
			return
		}
	}
	f.addCode(source, at, field)
}

// deep looks for code and commands inside the value of a field.
func (f *findings) deep(v *guard.Value, at place, field string) {
	if v.Kind == guard.Object {
		if v.At("type").Text() == "code" {
			f.input(v.At("value"), at, field)
		}
		if hasCommand(v) &&
			(!guard.Folded(v, "args").Empty() || !guard.Folded(v, "env").Empty() ||
				guard.Folded(v, "mode").Kind != 0 || guard.Folded(v, "transport").Kind != 0) {
			f.addProcess(v, at, field)
		}
	}
	for i := range v.Kids {
		f.deep(&v.Kids[i], at, field)
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
	f.claims = append(f.claims, claim{
		what:  w,
		key:   sha256.Sum256([]byte(field + "\x00" + key)),
		node:  at.node,
		field: field,
	})
}

// process adds every command in the choice of an MCP server, whether directly, under a name, in a
// map of servers, or in a list of those.
func (f *findings) process(v *guard.Value, at place, field string) {
	if v.Kind == guard.Text && strings.ContainsAny(v.Text(), "{[") {
		f.addProcess(v, at, field) // no page writes a definition as text; a later parser would start it
		return
	}
	if hasCommand(v) || isStdio(v) {
		f.addProcess(v, at, field)
	}
	for i := range v.Kids {
		f.process(&v.Kids[i], at, field)
	}
}

func (f *findings) addProcess(v *guard.Value, at place, field string) {
	f.claims = append(f.claims, claim{what: whatProcess, key: guard.Digest(v), node: at.node, field: field})
}

// files adds the paths in a file field that lead out of the builder's own upload folders, such as
// to a shared host's files and its secret key.
func (f *findings) files(v *guard.Value, at place, field string) {
	switch v.Kind {
	case guard.Text:
		if path := v.Text(); hostPath(path) {
			f.add(whatFile, at, field, path)
		}
	case guard.Array:
		for i := range v.Kids {
			f.files(&v.Kids[i], at, field)
		}
	case guard.Object:
		for i := range v.Kids {
			f.files(&v.Kids[i], at, field)
		}
	}
}

// texts adds the texts in a field that reach the host.
func (f *findings) texts(v *guard.Value, at place, field, shown string) {
	if s := v.Text(); s != "" && reaches(field, s) {
		f.add(whatFile, at, shown, s)
	}
	if v.Kind == guard.Array {
		for i := range v.Kids {
			f.texts(&v.Kids[i], at, field, shown)
		}
	}
}
