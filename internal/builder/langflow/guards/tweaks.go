package guards

import (
	"strings"

	"sluice/internal/guard"
	"sluice/internal/problem"
)

// tweakedRunners are fields that a person without permission to bring code cannot change for one
// run, in any component.
var tweakedRunners = map[string]bool{
	"code":                            true,
	"filter_instruction":              true,
	"global_imports":                  true,
	"global_variables":                true,
	"tool_function":                   true,
	"_functions":                      true,
	"_classes":                        true,
	"allow_dangerous_code":            true,
	"allow_code_execution":            true,
	"allow_dangerous_deserialization": true,
	"persist_directory":               true,
	"mcp_server":                      true,
	"command":                         true,
}

// tweaks is the guard of that name. Langflow 1.6 protects only "code" from tweaks, and allows a
// tweak to change every member of a field.
func tweaks(r *guard.Request) error {
	if len(r.Body) == 0 || r.MayCode() {
		return nil
	}
	v, err := guard.Parse(r.Body)
	if err != nil {
		return problem.Newf(problem.Invalid, "The body cannot be forwarded: %v.", err).WithRule("body.json")
	}
	field := tweaked(v.At("tweaks"), 0)
	if field == "" {
		field = tweaked(v.At("inputs"), 0)
	}
	if field != "" {
		return problem.Newf(problem.Denied, "The field %s cannot be changed for one run, because a component "+
			"executes it.", guard.Clip(field)).
			WithRule("guard.code").
			WithField("tweaks").
			WithNext("Leave it out of the tweaks, or ask a person with the permission “Run custom functions” to " +
				"change the flow.")
	}
	return nil
}

// tweaked finds a tweak of an executed field, given by node and field or by field alone.
func tweaked(v *guard.Value, depth int) string {
	for i := range v.Kids {
		kid := &v.Kids[i]
		name := string(kid.Key)
		if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
			name = name[dot+1:] // Langflow's second API writes "node.field"
		}
		switch {
		case v.Kind == guard.Object && (tweakedRunners[name] || runnerFields[name]):
			return name
		case v.Kind == guard.Object && depth == 2 && (name == "type" || name == "_input_type" || name == "file_path"):
			return name
		case v.Kind == guard.Object && hasCommand(v):
			return "command"
		case v.Kind == guard.Object && opens(name, kid):
			return name
		}
		if found := tweaked(kid, depth+1); found != "" {
			return found
		}
	}
	return ""
}

// opens reports whether a tweak of a field opens a file of the host.
func opens(field string, v *guard.Value) bool {
	var f findings
	f.texts(v, place{}, field, field)
	f.texts(v.At("value"), place{}, field, field)
	return len(f.claims) > 0
}
