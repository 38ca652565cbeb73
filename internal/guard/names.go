package guard

import (
	"strings"

	"sluice/internal/problem"
)

// names is the guard "name": what a builder makes a file or folder of stays one.
func names(r *Request) error {
	for _, name := range r.Plain {
		if why := badName(name); why != "" {
			return refuseName("guard.name", "name", why)
		}
	}
	return nil
}

// files is the guard of that name: the list "files" of a body has only names of uploads of the flow or the account, of the form "folder/name" (CVE-2026-48520).
func files(r *Request) error {
	if len(r.Body) == 0 {
		return nil
	}
	v, err := parse(r.Body)
	if err != nil {
		return problem.Newf(problem.Invalid, "The body cannot be passed on: %v.", err).WithRule("body.json")
	}
	for _, member := range [...]string{"files", "file"} {
		for _, path := range listed(v.at(member)) {
			if !r.uploaded(path) {
				return problem.New(problem.Denied, "The body names a file that is not an upload of this flow.").WithRule("guard.files").WithField(member).
					WithNext("Upload the file to this flow first, and use the path that the answer tells.")
			}
		}
	}
	return nil
}

// listed are the texts of a list. What is no text becomes "", which is no file.
func listed(v *value) []string {
	if v.empty() && v.kind != number {
		return nil
	}
	if v.kind != array {
		return []string{v.string()}
	}
	out := make([]string, len(v.kids))
	for i := range v.kids {
		out[i] = v.kids[i].string()
	}
	return out
}

// uploaded reports whether a path is that of an upload.
func (r *Request) uploaded(path string) bool {
	folder, name, ok := strings.Cut(path, "/")
	return ok && folder != "" && (folder == r.Flow || folder == r.Account) && badName(name) == ""
}

// tweakedRunners are fields that nobody may change for one run without the right to bring code, of whatever component.
var tweakedRunners = map[string]bool{
	"code": true, "filter_instruction": true, "global_imports": true, "global_variables": true, "tool_function": true, "_functions": true, "_classes": true,
	"allow_dangerous_code": true, "allow_code_execution": true, "allow_dangerous_deserialization": true, "persist_directory": true, "mcp_server": true, "command": true,
}

// tweaks is the guard of that name. Langflow 1.6 protects nothing but "code" from tweaks, and lets a tweak change every member of a field.
func tweaks(r *Request) error {
	if len(r.Body) == 0 || r.MayCode() {
		return nil
	}
	v, err := parse(r.Body)
	if err != nil {
		return problem.Newf(problem.Invalid, "The body cannot be passed on: %v.", err).WithRule("body.json")
	}
	field := tweaked(v.at("tweaks"), 0)
	if field == "" {
		field = tweaked(v.at("inputs"), 0)
	}
	if field != "" {
		return problem.Newf(problem.Denied, "The field %s cannot be changed for one run: a component executes it.", clip(field)).WithRule("guard.code").WithField("tweaks").
			WithNext("Leave it out of the tweaks, or ask somebody who may bring code to change the flow.")
	}
	return nil
}

// tweaked finds a field that is executed in tweaks: by the node and field, or by the field alone.
func tweaked(v *value, depth int) string {
	for i := range v.kids {
		kid := &v.kids[i]
		name := string(kid.key)
		if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
			name = name[dot+1:] // Langflow's second API writes "node.field"
		}
		switch {
		case v.kind == object && (tweakedRunners[name] || runnerFields[name]):
			return name
		case v.kind == object && depth == 2 && (name == "type" || name == "_input_type" || name == "file_path"):
			return name
		case v.kind == object && hasCommand(v):
			return "command"
		case v.kind == object && opens(name, kid):
			return name
		}
		if found := tweaked(kid, depth+1); found != "" {
			return found
		}
	}
	return ""
}

// opens reports whether a tweak of a field opens a file of the host.
func opens(field string, v *value) bool {
	var f findings
	f.texts(v, place{}, field, field)
	f.texts(v.at("value"), place{}, field, field)
	return len(f.claims) > 0
}
