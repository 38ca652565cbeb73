package profile

import (
	"strings"
	"unicode/utf8"

	"sluice/internal/problem"
)

// maxPairs is how many parameters a query may have.
const maxPairs = 100

// QueryRules are a kind of builder's rules for queries beyond the standard.
type QueryRules struct {
	// IDs are the parameters that name an object, in lower case: at most one of each, in any case,
	// never as an array.
	IDs map[string]bool
	// Files are the parameters that name a file, in lower case: at most one of each, with a plain
	// base name.
	Files map[string]bool
	// Once are the parameters that may appear only once and without a comma, at which some builders
	// split. They are in lower case.
	Once map[string]bool
	// Secrets are the parameters that hold keys and tokens, in lower case. They are not allowed in
	// an address.
	Secrets map[string]bool
	// PlainKeys refuses parameter names that are more than a word with brackets.
	PlainKeys bool
}

// check judges a parameter whose name has a meaning for the builder. seen holds the parameters
// before it.
func (q *QueryRules) check(key, value string, seen map[string]bool) error {
	name := baseKey(key)
	switch {
	case q.Secrets[strings.ReplaceAll(name, "_", "-")]:
		return badQuery("A key must not be part of a URL. Send it to Sluice in the Authorization "+
			"header.", "query.secret").
			WithField(name)
	case !q.IDs[name] && !q.Files[name] && !q.Once[name]:
		return nil
	case seen[name] || len(name) != len(key) || q.IDs[name] && !token(value) || q.Files[name] && !baseName(value) ||
		q.Once[name] && strings.Contains(value, ","):
		return badQuery("A parameter that names an object or a file must appear once and be a plain id or "+
			"name.", "query.id").
			WithField(name)
	}
	seen[name] = true
	return nil
}

func badQuery(text, rule string) *problem.Error {
	return problem.New(problem.Invalid, text).WithField("query").WithRule(rule)
}

// PlainText reports whether s is valid UTF-8 without control characters. Line breaks and tabs are
// allowed.
func PlainText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

// plainKey accepts names of unreserved characters, with brackets for the nested spelling.
func plainKey(key string) bool {
	for i := range len(key) {
		if c := key[i]; !unreserved(c) && c != '[' && c != ']' {
			return false
		}
	}
	return true
}

// baseName reports whether a file name has no folder part on any system, and no blank at its edges.
func baseName(name string) bool {
	return name != "." && name != ".." && len(name) <= 255 && !strings.ContainsAny(name, "/\\\t\r\n%") &&
		name == strings.TrimSpace(name)
}

// baseKey is the parameter that a nested spelling such as "chatId[]" or "chatId[0][x]" sets, in
// lower case.
func baseKey(key string) string {
	if i := strings.IndexAny(key, "[."); i > 0 {
		key = key[:i]
	}
	return strings.ToLower(key)
}

// PlainID reports whether no builder could mistake an id for a path, a pattern or markup: at most
// 256 unreserved characters, ':' and '@', and no dot segment. The code that reads a body checks the
// ids in it (IDRef with InBody).
func PlainID(id string) bool { return token(id) }

// token reports whether s is a value that decoding never changes.
func token(s string) bool {
	for i := range len(s) {
		if !unreserved(s[i]) && s[i] != ':' && s[i] != '@' {
			return false
		}
	}
	return s != "." && s != ".." && len(s) <= 256
}
