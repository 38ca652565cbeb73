package proxy

import (
	"bytes"
	"slices"

	"sluice/internal/flow"
	"sluice/internal/guard"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// variablesWord is how flows and code of Flowise name its variables: $vars.name.
var variablesWord = []byte("$vars")

// checkVariables keeps the variables of workspaces apart. They are the one kind of object that flows name without an id, and Flowise sees one set of names: a flow must not name
// another workspace's variable, or read all of them, and no two workspaces can have one with the same name.
func (x *exchange) checkVariables() error {
	if x.app.Profile.Kind != profile.KindFlowise || x.body == nil || x.at.workspace == "" {
		return nil
	}
	naming := x.namesVariable()
	mentions := bytes.Contains(x.body.data, variablesWord) || bytes.Contains(x.body.data, []byte(`\u00`))
	if !naming && !mentions {
		return nil
	}
	others, err := x.p.cfg.Apps.Flows.NamesOfOthers(x.r.Context(), x.app.ID, flow.Variable, x.at.workspace)
	if err != nil || len(others) == 0 {
		return err
	}
	if naming {
		name, err := x.body.textAt("name")
		if err != nil {
			return err
		}
		if slices.Contains(others, name) {
			return problem.New(problem.Conflict, "This name is taken.").WithField("name").WithRule("variable name").
				WithNext("All workspaces share the names of Flowise's variables. Choose another one.")
		}
	}
	for text := x.body.data; ; text = guard.Unescape(text) {
		if usesForeign(text, others) {
			return problem.New(problem.NotFound, "There is no such variable here.").WithRule("variable").
				WithNext("Name variables of your workspace as $vars.name.")
		}
		if bytes.IndexByte(text, '\\') < 0 {
			return nil
		}
	}
}

// namesVariable reports whether the request gives a variable its name.
func (x *exchange) namesVariable() bool {
	e := x.match.Endpoint
	if e.Creates == flow.Variable {
		return true
	}
	return e.Renames && len(e.Objects) == 1 && e.Objects[0].Kind == flow.Variable
}

// usesForeign reports whether a text names a variable of others, or names $vars in a way that does not say which one.
func usesForeign(text []byte, others []string) bool {
	for {
		_, after, found := bytes.Cut(text, variablesWord)
		if !found {
			return false
		}
		text = after
		name, plain := variableName(after)
		if !plain || slices.Contains(others, name) {
			return true
		}
	}
}

// variableName reads ".name" or ["name"].
func variableName(after []byte) (name string, plain bool) {
	if len(after) > 1 && after[0] == '.' {
		end := 1
		for end < len(after) && isWord(after[end]) {
			end++
		}
		return string(after[1:end]), end > 1
	}
	after = bytes.TrimLeft(after, "\\ ")
	if len(after) == 0 || after[0] != '[' {
		return "", false
	}
	inner, _, found := bytes.Cut(after[1:], []byte("]"))
	inner = bytes.ReplaceAll(inner, []byte(`\`), nil)
	if !found || len(inner) < 3 || inner[0] != '"' && inner[0] != '\'' && inner[0] != '`' || inner[len(inner)-1] != inner[0] {
		return "", false
	}
	name = string(inner[1 : len(inner)-1])
	for i := range len(name) {
		if !isWord(name[i]) && name[i] != '-' && name[i] != ' ' {
			return "", false
		}
	}
	return name, true
}

func isWord(c byte) bool {
	return isDigit(c) || c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' || c >= 0x80
}
