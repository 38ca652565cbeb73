package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// kind is the kind of a text.
type kind string

const (
	comment  kind = "comments"
	message  kind = "texts in Go"
	template kind = "templates"
	mailText kind = "mails"
	document kind = "documents"
)

var kinds = []kind{comment, message, template, mailText, document}

// text is a paragraph or a message that somebody reads.
type text struct {
	path  string
	line  int // where it begins
	kind  kind
	words string // one line, without markup
}

// kindOf is the kind of most texts of a file; "" for files without texts.
func kindOf(path string) kind {
	switch {
	case strings.HasSuffix(path, "_templ.go"), strings.HasPrefix(path, "internal/db/q/"):
		return ""
	case strings.HasSuffix(path, ".go"):
		return message
	case strings.HasSuffix(path, ".templ"):
		return template
	case strings.HasPrefix(path, "internal/mail/templates/"):
		return mailText
	case strings.HasSuffix(path, ".md"):
		return document
	}
	return ""
}

// read finds the texts of a file. path is seen from the root of the repository.
func read(path string) ([]text, error) {
	raw, err := os.ReadFile(filepath.Join("..", path))
	if os.IsNotExist(err) {
		return nil, nil // removed and not committed yet
	}
	if err != nil {
		return nil, err
	}
	switch kindOf(path) {
	case message:
		return readGo(path, raw)
	case template:
		return readTemplate(path, string(raw)), nil
	case mailText, document:
		return readPlain(path, string(raw)), nil
	}
	return nil, nil
}

// exception is a comment that gives the reason for a text that breaks a rule.
var exception = regexp.MustCompile(`words: \S+ \S+`)

func readGo(path string, raw []byte) ([]text, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, raw, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(file) {
		return nil, nil
	}
	r := &goReader{path: path, set: set, free: map[int]bool{}}
	for _, group := range file.Comments {
		r.comments(group)
	}
	if !strings.HasSuffix(path, "_test.go") {
		ast.Inspect(file, r.literals)
	}
	return r.out, nil
}

type goReader struct {
	path string
	set  *token.FileSet
	free map[int]bool // lines with an exception
	out  []text
}

func (r *goReader) line(p token.Pos) int { return r.set.Position(p).Line }

// comments adds the paragraphs of a group. Indented lines are code.
func (r *goReader) comments(group *ast.CommentGroup) {
	var paragraph []string
	start := 0
	flush := func() {
		if len(paragraph) > 0 {
			r.out = append(r.out, text{r.path, start, comment, strings.Join(paragraph, " ")})
		}
		paragraph = nil
	}
	for _, c := range group.List {
		at := r.line(c.Pos())
		if exception.MatchString(c.Text) {
			r.free[at], r.free[at+1] = true, true
			continue
		}
		if strings.HasPrefix(c.Text, "//go:") || strings.HasPrefix(c.Text, "//nolint") {
			continue
		}
		for i, line := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(c.Text, "/*"), "*/"), "\n") {
			line = strings.TrimPrefix(line, "//")
			if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "   ") {
				flush()
				continue
			}
			if len(paragraph) == 0 {
				start = at + i
			}
			paragraph = append(paragraph, strings.TrimSpace(line))
		}
	}
	flush()
}

// literals adds messages: literals of three words and more, and the texts of struct tags.
func (r *goReader) literals(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ImportSpec:
		return false
	case *ast.Field:
		if n.Tag != nil {
			if tag, err := strconv.Unquote(n.Tag.Value); err == nil {
				for _, name := range [...]string{"doc", "help", "patternDescription"} {
					r.message(n.Tag.Pos(), reflect.StructTag(tag).Get(name))
				}
			}
		}
	case *ast.BinaryExpr:
		if words, ok := joined(n); ok {
			r.message(n.Pos(), words)
			return false
		}
	case *ast.BasicLit:
		if words, ok := joined(n); ok {
			r.message(n.Pos(), words)
		}
	}
	return true
}

// joined is the text of a literal, or of literals and other things joined by +.
func joined(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		s, err := strconv.Unquote(e.Value)
		return s, err == nil
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		a, okA := joined(e.X)
		b, okB := joined(e.Y)
		if !okA && !okB {
			return "", false
		}
		if !okA {
			a = "X"
		}
		if !okB {
			b = "X"
		}
		return a + b, true
	case *ast.ParenExpr:
		return joined(e.X)
	}
	return "", false
}

var query = regexp.MustCompile(`(?i)^\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|PRAGMA|WITH|DO) `)

func (r *goReader) message(at token.Pos, words string) {
	if strings.Count(strings.TrimSpace(words), " ") < 2 || query.MatchString(words) || r.free[r.line(at)] {
		return
	}
	r.out = append(r.out, text{r.path, r.line(at), message, strings.Join(strings.Fields(words), " ")})
}

var (
	markup    = regexp.MustCompile(`>([^<>{}]*[a-z][^<>{}]*)<`)
	quoted    = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
	codeSpan  = regexp.MustCompile("`[^`]*`")
	linkPart  = regexp.MustCompile(`\]\([^)]*\)`)
	htmlParts = regexp.MustCompile(`<[^>]*>|\{\{[^}]*\}\}`)
)

// readTemplate adds what stands between tags, attributes of several words, and comments.
// A sentence of a page goes on across values, such as { v.Name }, and tags inside a line.
var (
	value  = regexp.MustCompile(`\{ [^{}\n]* \}`)
	inline = regexp.MustCompile(`</?(?:a|b|code|em|small|span|strong)\b[^<>\n]*>`)
)

func readTemplate(path, whole string) []text {
	var out []text
	whole = value.ReplaceAllString(inline.ReplaceAllString(whole, ""), "X")
	lineOf := func(at int) int { return 1 + strings.Count(whole[:at], "\n") }
	for _, m := range markup.FindAllStringSubmatchIndex(whole, -1) {
		words := strings.Join(strings.Fields(whole[m[2]:m[3]]), " ")
		if strings.Contains(words, " ") {
			out = append(out, text{path, lineOf(m[2]), template, words})
		}
	}
	for n, line := range strings.Split(whole, "\n") {
		if c, ok := strings.CutPrefix(strings.TrimSpace(line), "// "); ok {
			out = append(out, text{path, n + 1, comment, c})
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(line, -1) {
			label := m[1] != "" && unicode.IsUpper(rune(m[1][0]))
			if (label || strings.Count(m[1], " ") >= 2) && !strings.Contains(line, "class=\""+m[1]) {
				out = append(out, text{path, n + 1, template, m[1]})
			}
		}
	}
	return out
}

// readPlain adds the paragraphs of a document or a mail. Code is left out.
func readPlain(path, whole string) []text {
	var out []text
	var paragraph []string
	start, fenced := 0, false
	flush := func() {
		if len(paragraph) > 0 {
			words := codeSpan.ReplaceAllString(strings.Join(paragraph, " "), "X")
			words = linkPart.ReplaceAllString(words, "]")
			words = htmlParts.ReplaceAllString(words, " ")
			words = strings.NewReplacer("[", "", "]", "", "**", "", "*", "").Replace(words)
			out = append(out, text{path, start, kindOf(path), strings.Join(strings.Fields(words), " ")})
		}
		paragraph = nil
	}
	for n, line := range strings.Split(whole, "\n") {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "```") {
			flush()
			fenced = !fenced
			continue
		}
		item := strings.HasPrefix(trimmed, "- ") || strings.HasPrefix(trimmed, "|") || strings.HasPrefix(trimmed, "#")
		if trimmed == "" || fenced || item {
			flush()
		}
		if trimmed == "" || fenced {
			continue
		}
		if len(paragraph) == 0 {
			start = n + 1
		}
		paragraph = append(paragraph, strings.TrimLeft(trimmed, "-# "))
	}
	flush()
	return out
}
