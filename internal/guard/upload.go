package guard

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"sluice/internal/problem"
)

// maxName is the longest file name in bytes, the same as in common file systems.
const maxName = 255

// Names checks the names of files and folders that a request gives to a builder.
type Names struct {
	// Reserved are forbidden prefixes of names, in lower case, because the builder keeps its own
	// settings in files with such names.
	Reserved []string
}

// Upload checks the files of a form: their names, and any archives.
func (n Names) Upload(_ context.Context, r *Request) error {
	if len(r.Body) == 0 {
		return nil
	}
	kind, params, err := Form(r)
	if err != nil {
		return err
	}
	if kind != "multipart/form-data" {
		return problem.New(problem.Invalid, "The body must be multipart/form-data.").WithRule("guard.upload").
			WithField("Content-Type")
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
			continue // a browser sends this for an empty choice
		}
		if why := n.Bad(p.file); why != "" {
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
		WithNext("Give it a plain name of letters, digits, spaces, dots, hyphens and underscores.")
}

// Bad says what is wrong with the base name of a file; "" if nothing is. It checks the name
// unchanged and after each round of decoding.
func (n Names) Bad(name string) string {
	for range 4 {
		if why := n.badAsIs(name); why != "" {
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

// unescapePercent decodes percent escapes and keeps the rest, as Python's unquote does.
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

func (n Names) reserved(name string) bool {
	return slices.ContainsFunc(n.Reserved, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

func (n Names) badAsIs(name string) string {
	plain := norm.NFKC.String(name)
	switch {
	case name == "" || !utf8.ValidString(name):
		return "is empty or not in UTF-8"
	case len(name) > maxName:
		return "is longer than 255 bytes"
	case strings.ContainsAny(plain, "/\\") || strings.ContainsAny(name, "\u2044\u2215\u29f8\u29f5\u2216"):
		return "has a slash or backslash"
	case strings.Contains(plain, "..") && strings.Trim(plain, ". ") == "" ||
		strings.HasPrefix(strings.TrimLeft(plain, " "), "."):
		return "begins with a dot"
	case n.reserved(strings.ToLower(strings.TrimSpace(plain))):
		return "is one that the builder keeps its own settings under"
	case strings.ContainsFunc(name, hidden):
		return "has a control character, or one that cannot be seen"
	case strings.HasSuffix(name, " ") || strings.HasSuffix(name, ".") || strings.HasPrefix(name, " "):
		return "starts with a space, or ends with a space or dot"
	case len(plain) > 1 && plain[1] == ':' || strings.ContainsAny(plain, "<>|\""):
		return "has a character that file systems read in a special way"
	}
	return ""
}

// hidden reports whether a character is invisible in a name.
func hidden(r rune) bool {
	return r != ' ' && !unicode.IsPrint(r) || r == unicode.ReplacementChar
}

// uploadedJSON are the texts of the files in a form that holds flows: JSON files, or archives of
// such files.
func (n Names) uploadedJSON(body []byte, boundary string) ([][]byte, error) {
	list, err := parts(body, boundary)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for i := range list {
		switch p := &list[i]; {
		case !p.isFile:
		case bytes.HasPrefix(p.data, []byte("PK")):
			texts, err := n.archivedJSON(p.data)
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

// Plain checks the names that a builder creates files or folders from.
func (n Names) Plain(_ context.Context, r *Request) error {
	for _, name := range r.Plain {
		if why := n.Bad(name); why != "" {
			return refuseName("guard.name", "name", why)
		}
	}
	return nil
}

// Files checks the members "files" and "file" of a body. They may only name uploads of the flow or
// the account, in the form "folder/name" (CVE-2026-48520).
func (n Names) Files(_ context.Context, r *Request) error {
	if len(r.Body) == 0 {
		return nil
	}
	v, err := Parse(r.Body)
	if err != nil {
		return problem.Newf(problem.Invalid, "The body cannot be forwarded: %v.", err).WithRule("body.json")
	}
	for _, member := range [...]string{"files", "file"} {
		for _, path := range listed(v.At(member)) {
			if !n.uploaded(r, path) {
				return problem.New(problem.Denied, "The body names a file that is not an upload of this "+
					"flow.").WithRule("guard.files").
					WithField(member).
					WithNext("Upload the file to this flow first, and use the path in the answer.")
			}
		}
	}
	return nil
}

// listed are the texts of a list. A value of another kind becomes "", which never names an upload.
func listed(v *Value) []string {
	if v.Empty() && v.Kind != Number {
		return nil
	}
	if v.Kind != Array {
		return []string{v.Text()}
	}
	out := make([]string, len(v.Kids))
	for i := range v.Kids {
		out[i] = v.Kids[i].Text()
	}
	return out
}

// uploaded reports whether a path belongs to an upload.
func (n Names) uploaded(r *Request, path string) bool {
	folder, name, ok := strings.Cut(path, "/")
	return ok && folder != "" && (folder == r.Flow || folder == r.Account) && n.Bad(name) == ""
}

// Documents are the JSON texts in a body: the body itself, or the files of a form, including those
// inside zip archives.
func (n Names) Documents(r *Request) ([]Value, error) {
	if len(r.Body) == 0 {
		return nil, nil
	}
	kind, params, err := Form(r)
	if err != nil {
		return nil, err
	}
	texts := [][]byte{r.Body}
	if kind != "application/json" {
		if texts, err = n.uploadedJSON(r.Body, params["boundary"]); err != nil {
			return nil, err
		}
	}
	out := make([]Value, 0, len(texts))
	for _, data := range texts {
		v, err := Parse(data)
		if err != nil {
			return nil, problem.Newf(problem.Invalid, "The body cannot be forwarded: %v.", err).WithRule("body.json")
		}
		out = append(out, v)
	}
	return out, nil
}
