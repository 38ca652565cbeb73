package guards

import (
	"crypto/sha256"
	"regexp"
	"slices"
	"strings"

	"sluice/internal/guard"
)

// runner describes a component that executes its inputs.
type runner struct {
	// fields are the fields that it executes; nil means all.
	fields []string
	// harmless reports that the component, with its current settings, executes nothing. If it is
	// nil, the component always executes its inputs.
	harmless func(template *guard.Value) bool
}

// runners are the Langflow components, by type, whose code is their own but which execute the
// contents of their fields, or load objects from there. Sources: the vendor's list
// (CODE_EXECUTION_COMPONENT_TYPES, for CVE-2026-10134, -13448, -27966 and others), and a review of
// every component of both supported releases. Anyone can write a type name into a flow; only the
// code reveals what a component is, see catalog.runner.
var runners = map[string]runner{
	"CSVAgent":                       {fields: []string{"allow_dangerous_code"}},
	"CodeAct Agent (Smolagents)":     {},
	"CodeActAgentSmolagents":         {},
	"Cuga":                           {},
	"OpenDsStar Agent":               {},
	"OpenDsStarAgent":                {},
	"LambdaFilter":                   {fields: []string{"filter_instruction"}},
	"LambdaFilterComponent":          {fields: []string{"filter_instruction"}},
	"Smart Function":                 {fields: []string{"filter_instruction"}},
	"Smart Transform":                {fields: []string{"filter_instruction"}},
	"Python Code Structured":         {fields: pythonFields},
	"PythonCodeStructuredTool":       {fields: pythonFields},
	"Python Function":                {fields: pythonFields},
	"PythonFunction":                 {fields: pythonFields},
	"PythonFunctionComponent":        {fields: pythonFields},
	"Python Interpreter":             {fields: pythonFields},
	"Python REPL":                    {fields: pythonFields},
	"PythonREPLComponent":            {fields: pythonFields},
	"PythonREPLTool":                 {fields: pythonFields},
	"PythonREPLToolComponent":        {fields: pythonFields},
	"MCPStdio":                       {},
	"MCP Tools (stdio) [DEPRECATED]": {},
	"CrewAIAgentComponent": {
		fields:   []string{"allow_code_execution"},
		harmless: unset("allow_code_execution"),
	},
	"SequentialTaskAgentComponent": {
		fields:   []string{"allow_code_execution"},
		harmless: unset("allow_code_execution"),
	},
	"FAISS": {
		fields:   []string{"allow_dangerous_deserialization", "persist_directory", "index_name"},
		harmless: loadsNothing,
	},
	"FaissVectorStoreComponent": {
		fields:   []string{"allow_dangerous_deserialization", "persist_directory", "index_name"},
		harmless: loadsNothing,
	},
	"JSONAgent": {fields: []string{"path"}, harmless: func(t *guard.Value) bool {
		return !hostPath(t.In("path", "value").Text())
	}},
}

// pythonFields are the fields that reach exec in the Python components.
var pythonFields = []string{
	"python_code", "function_code", "tool_code", "tool_function", "global_imports", "global_variables", "_functions",
	"_classes",
}

// runnerFields are fields that hold Python in every component.
var runnerFields = map[string]bool{"python_code": true, "function_code": true, "tool_code": true}

// runsInputs matches the code of components that execute their inputs, so that those of future
// releases are noticed.
var runsInputs = regexp.MustCompile(
	`(?:^|[^\w.'"` + "\x60" + `])(?:exec|eval|get_function|create_function)\s*\(\s*[\w"'(]|` +
		`PythonREPL|PythonAstREPL|create_(?:csv|python|pandas_dataframe|spark_dataframe)_agent|\bCodeAgent\b`,
)

// unset tests that a field is switched off explicitly. A missing field is not enough, because the
// component's own default may be different.
func unset(field string) func(*guard.Value) bool {
	return func(t *guard.Value) bool { return t.At(field).Kind == guard.Object && t.In(field, "value").Empty() }
}

// loadsNothing reports whether a vector store of pickled objects reads only from places to which no
// one can upload.
func loadsNothing(t *guard.Value) bool {
	return unset("allow_dangerous_deserialization")(t) || t.In("persist_directory", "value").Empty()
}

// runnerOf looks up by type whether a component executes its inputs.
func runnerOf(names []string) (runner, bool) {
	for _, name := range names {
		if r, ok := runners[name]; ok {
			return r, true
		}
	}
	return runner{}, false
}

// counts reports whether the runner executes a field.
func (r *runner) counts(field string) bool {
	return r.fields == nil || slices.Contains(r.fields, field)
}

// runnerClaims are the claims of components that execute their inputs. lookup recognizes these
// components by their code.
func (f *findings) runnerClaims(lookup func(code [sha256.Size]byte) (runner, bool)) []claim {
	var out []claim
	found := map[string]runner{}
	for i := range f.components {
		c := &f.components[i]
		r, ok := runnerOf(c.names)
		if !ok {
			if r, ok = lookup(c.code); !ok {
				continue
			}
		}
		found[c.id] = r
		if r.harmless == nil || !r.harmless(c.template) {
			out = append(out, claim{what: whatRunner, key: r.digest(c), node: c.node})
		}
	}
	for i := range f.entries {
		e := &f.entries[i]
		if r, ok := found[e.target]; ok && r.counts(e.field) {
			out = append(out, wired(e.node, e.target, e.field, digestField(nil, e.via)))
		}
	}
	for i := range f.wires {
		w := &f.wires[i]
		for _, target := range w.targets {
			for _, field := range w.fields {
				if r, ok := found[target]; ok && field != "" && r.counts(field) {
					out = append(out, wired(title("", "", target), target, field, []byte(w.source)))
				}
			}
		}
	}
	return out
}

// wired is the claim that a value comes into an executed field.
func wired(node, target, field string, from []byte) claim {
	key := sha256.Sum256([]byte(target + "\x00" + field + "\x00" + string(from)))
	return claim{what: whatWire, key: key, node: node, field: field}
}

// digest is the same for the same code with the same inputs.
func (r *runner) digest(c *component) [sha256.Size]byte {
	sum := slices.Clone(c.code[:])
	kids := slices.Clone(c.template.Kids)
	slices.SortFunc(kids, func(a, b guard.Value) int { return strings.Compare(string(a.Key), string(b.Key)) })
	for i := range kids {
		if name := string(kids[i].Key); name != "code" && r.counts(name) {
			sum = digestField(append(sum, kids[i].Key...), &kids[i])
		}
	}
	return sha256.Sum256(sum)
}

// digestField adds the members of a field that Langflow takes its value from. A missing member is
// equal to an empty one.
func digestField(sum []byte, v *guard.Value) []byte {
	if v.Kind != guard.Object {
		d := guard.Digest(v)
		return append(sum, d[:]...)
	}
	for _, member := range [...]string{"type", "value", "default", "file_path", "load_from_db", "proxy"} {
		m := v.At(member)
		if m.Empty() {
			m = &guard.Value{}
		}
		d := guard.Digest(m)
		sum = append(sum, d[:]...)
	}
	return sum
}
