package guard

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"sluice/internal/problem"
)

// maxName is the longest name of a file in bytes; common file systems have the same.
const maxName = 255

// upload is the guard of that name.
func upload(r *Request) error {
	if len(r.Body) == 0 {
		return nil
	}
	kind, params, err := form(r)
	if err != nil {
		return err
	}
	if kind != "multipart/form-data" {
		return problem.New(problem.Invalid, "The body must be multipart/form-data.").WithRule("guard.upload").WithField("Content-Type")
	}
	list, err := parts(r.Body, params["boundary"])
	if err != nil {
		return err
	}
	for i := range list {
		p := &list[i]
		if !p.isFile {
			continue
		}
		if p.file == "" && len(p.data) == 0 {
			continue // a browser sends an empty choice so
		}
		if why := badName(p.file); why != "" {
			return refuseName("guard.upload", "file", why)
		}
		if err := checkArchive(p.data); err != nil {
			return err
		}
	}
	return nil
}

func refuseName(rule, field, why string) error {
	return problem.Newf(problem.Denied, "The name of a file or folder %s.", why).WithRule(rule).WithField(field).
		WithNext("Give it a plain name of letters, digits, blanks, dots, hyphens and underscores.")
}

// badName says what is wrong with the base name of a file; "" if nothing is. It is judged as it stands and as any further decoding would make it.
func badName(name string) string {
	for range 4 {
		if why := badNameAsIs(name); why != "" {
			return why
		}
		decoded := unescapePercent(norm.NFKC.String(name))
		if decoded == name {
			return ""
		}
		name = decoded
	}
	return "is encoded more than once"
}

// unescapePercent decodes what is a percent escape and leaves the rest, as Python's unquote does.
func unescapePercent(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			out = append(out, byte(n))
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

// privateNames begin the names of files that the builder reads as its own settings: Langflow before 1.9 keeps a user's MCP servers in an upload of such a name.
const privateNames = "_mc"

func badNameAsIs(name string) string {
	plain := norm.NFKC.String(name)
	switch {
	case name == "" || !utf8.ValidString(name):
		return "is empty or not in UTF-8"
	case len(name) > maxName:
		return "is longer than 255 bytes"
	case strings.ContainsAny(plain, "/\\") || strings.ContainsAny(name, "\u2044\u2215\u29f8\u29f5\u2216"):
		return "has a slash or backslash"
	case strings.Contains(plain, "..") && strings.Trim(plain, ". ") == "" || strings.HasPrefix(strings.TrimLeft(plain, " "), "."):
		return "begins with a dot"
	case strings.HasPrefix(strings.ToLower(strings.TrimSpace(plain)), privateNames):
		return "is one that the builder keeps its own settings under"
	case strings.ContainsFunc(name, hidden):
		return "has a control character, or one that cannot be seen"
	case strings.HasSuffix(name, " ") || strings.HasSuffix(name, ".") || strings.HasPrefix(name, " "):
		return "begins with a blank, or ends with a blank or dot"
	case len(plain) > 1 && plain[1] == ':' || strings.ContainsAny(plain, "<>|\""):
		return "has a character that file systems read in a special way"
	}
	return ""
}

// hidden reports whether a character is not one to be seen in a name.
func hidden(r rune) bool {
	return r != ' ' && !unicode.IsPrint(r) || r == unicode.ReplacementChar
}

// uploadedJSON are the texts of the files in a form that holds flows: files of JSON, or archives of such files.
func uploadedJSON(body []byte, boundary string) ([][]byte, error) {
	list, err := parts(body, boundary)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for i := range list {
		switch p := &list[i]; {
		case !p.isFile:
		case bytes.HasPrefix(p.data, []byte("PK")):
			texts, err := archivedJSON(p.data)
			if err != nil {
				return nil, err
			}
			out = append(out, texts...)
		default:
			out = append(out, p.data)
		}
	}
	return out, nil
}
