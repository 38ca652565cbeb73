package flowise

import (
	"bytes"
	"slices"

	"sluice/internal/guard"
)

// variablesWord starts a variable's name in Flowise's flows and code: $vars.name.
var variablesWord = []byte("$vars")

// mentionsVariable reports whether a body may name a variable, in any spelling.
func mentionsVariable(body []byte) bool {
	return bytes.Contains(body, variablesWord) || bytes.Contains(body, []byte(`\u00`))
}

// namesForeignVariable reports whether a body names a variable of others. It checks the text
// unchanged and after each round of unescaping, because JSON may be nested in JSON.
func namesForeignVariable(body []byte, others []string) bool {
	for text := body; ; text = guard.Unescape(text) {
		if usesForeign(text, others) {
			return true
		}
		if bytes.IndexByte(text, '\\') < 0 {
			return false
		}
	}
}

// usesForeign reports whether a text names a variable of others, or names $vars in a way that
// leaves open which one.
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
	if !found || len(inner) < 3 || inner[0] != '"' && inner[0] != '\'' && inner[0] != '`' ||
		inner[len(inner)-1] != inner[0] {
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
	return '0' <= c && c <= '9' || c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' || c >= 0x80
}
