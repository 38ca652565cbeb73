package mail

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mailgun/raymond/v2"
	"github.com/mailgun/raymond/v2/ast"
	"github.com/mailgun/raymond/v2/parser"
)

// MaxTemplate is the maximum size of a template file in bytes.
const MaxTemplate = 256 << 10

// The variables of an operator's template. Both emails are rendered from the same file; each sets
// its own link and leaves the other one empty.
const (
	varWorkspace = "workspaceName"
	varRegister  = "registerLink"
	varDashboard = "dashboardLink"
)

var templateVars = []string{varWorkspace, varRegister, varDashboard}

// TemplateError describes a fault in an operator's template.
type TemplateError struct {
	Path string
	// Line counts from 1; 0 means that the problem is the file itself.
	Line int
	// Problem completes "the template …". Expected describes what would be accepted.
	Problem, Expected string
}

// Error names the file, the line, the problem and the expected content.
func (e *TemplateError) Error() string {
	where := strconv.Quote(e.Path)
	if e.Line > 0 {
		where += " line " + strconv.Itoa(e.Line)
	}
	return fmt.Sprintf("%s: the template %s; expected is %s", where, e.Problem, e.Expected)
}

// Template is an operator's HTML for the invitation and for the "added" email, written in
// Handlebars with the variables {{workspaceName}}, {{registerLink}} and {{dashboardLink}}, and
// {{#if}} and {{#unless}} on them. Values are always escaped, even in triple braces. The nil
// Template replaces no email.
type Template struct {
	parsed *raymond.Template
	// added reports whether the file shows the dashboard link. Without it the "added" email stays
	// the built-in one.
	added bool
}

// LoadTemplate reads, checks and tries a template. The empty path returns the nil Template. The
// error is a *TemplateError.
func LoadTemplate(path string) (*Template, error) {
	if path == "" {
		return nil, nil
	}
	source, err := readTemplate(path)
	if err != nil {
		return nil, err
	}
	t, err := parseTemplate(source)
	if te, ok := errors.AsType[*TemplateError](err); ok {
		te.Path = path
	}
	return t, err
}

func readTemplate(path string) (string, error) {
	fault := func(problem string) error {
		return &TemplateError{Path: path, Problem: problem, Expected: "a readable Handlebars file of at most 256 KiB"}
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fault("cannot be read: " + reason(err))
	}
	if !info.Mode().IsRegular() {
		return "", fault("is not a file")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fault("cannot be read: " + reason(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxTemplate+1))
	if err != nil {
		return "", fault("cannot be read: " + reason(err))
	}
	if len(data) > MaxTemplate {
		return "", fault("is too large")
	}
	return string(data), nil
}

// reason is the cause without the path, which the caller names.
func reason(err error) string {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

const expectedTemplate = "HTML with {{workspaceName}}, {{registerLink}} and {{dashboardLink}}"

func parseTemplate(source string) (t *Template, err error) {
	defer recoverTo(&err)
	if !utf8.ValidString(source) || strings.ContainsRune(source, 0) {
		return nil, &TemplateError{Problem: "is not a UTF-8 text", Expected: expectedTemplate}
	}
	program, err := parser.Parse(source)
	if err != nil {
		return nil, syntaxError(err)
	}
	if err := checkProgram(program); err != nil {
		return nil, err
	}
	parsed, err := raymond.Parse(source)
	if err != nil {
		return nil, syntaxError(err)
	}
	t = &Template{parsed: parsed}
	return t, t.try()
}

// try renders both emails with sample values. Without a visible link, an invitation could not be
// accepted.
func (t *Template) try() error {
	shows := func(name string) (bool, error) {
		const sample = "https://sluice.example.com/sample"
		out, err := t.exec(
			"Sample",
			map[string]string{name: sample}[varRegister],
			map[string]string{name: sample}[varDashboard],
		)
		return strings.Contains(out, escaped(sample)), err
	}
	register, err := shows(varRegister)
	if err != nil {
		return err
	}
	if !register {
		return &TemplateError{
			Problem:  "shows no link in an invitation",
			Expected: "{{registerLink}} where the link belongs, and {{dashboardLink}} for people who have an account",
		}
	}
	t.added, err = shows(varDashboard)
	return err
}

// html renders the email with the operator's template. It returns false if the template has no text
// for it.
func (t *Template) html(m Message) (string, bool) {
	if t == nil {
		return "", false
	}
	var out string
	var err error
	switch m := m.(type) {
	case WorkspaceInvite:
		out, err = t.exec(header(m.WorkspaceName), m.RegisterLink, "")
	case AddedToWorkspace:
		if !t.added {
			return "", false
		}
		out, err = t.exec(header(m.WorkspaceName), "", m.DashboardLink)
	default:
		return "", false
	}
	// A built-in invitation is better than none. When the file was read, both emails were rendered
	// as a test.
	return out, err == nil
}

// exec renders with values that are escaped already. SafeString works for double and triple braces
// alike.
func (t *Template) exec(workspace, register, dashboard string) (out string, err error) {
	defer recoverTo(&err)
	values := map[string]any{
		varWorkspace: raymond.SafeString(escaped(workspace)),
		varRegister:  raymond.SafeString(escaped(register)),
		varDashboard: raymond.SafeString(escaped(dashboard)),
	}
	return t.parsed.Exec(values)
}

var htmlEscaper = strings.NewReplacer(
	"&",
	"&amp;",
	"<",
	"&lt;",
	">",
	"&gt;",
	`"`,
	"&#34;",
	"'",
	"&#39;",
	"`",
	"&#96;",
	"=",
	"&#61;",
)

// escaped makes a text safe in HTML text and in quoted attributes. It escapes the same characters
// as Handlebars.
func escaped(s string) string { return htmlEscaper.Replace(s) }

// recoverTo turns a panic of the template library into an error.
func recoverTo(err *error) {
	if p := recover(); p != nil {
		*err = &TemplateError{Problem: "cannot be used: " + firstLine(fmt.Sprint(p)), Expected: expectedTemplate}
	}
}

var errorLine = regexp.MustCompile(`(?i)^(?:parse|evaluation|lexer)? ?error on line (\d+):?\s*`)

// syntaxError extracts line and cause from the library's text.
func syntaxError(err error) error {
	text, line := err.Error(), 0
	if m := errorLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return &TemplateError{Line: line, Problem: "is not Handlebars: " + firstLine(text), Expected: expectedTemplate}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return header(s)
}

// checkProgram walks a template and accepts the constructs that an invitation needs. Anything else
// (partials, loops, other helpers) has no meaning here and would only fail later.
func checkProgram(p *ast.Program) error {
	if p == nil {
		return nil
	}
	for _, node := range p.Body {
		if err := checkStatement(node); err != nil {
			return err
		}
	}
	return nil
}

func checkStatement(node ast.Node) error {
	switch n := node.(type) {
	case *ast.ContentStatement, *ast.CommentStatement:
		return nil
	case *ast.MustacheStatement:
		if len(n.Expression.Params) > 0 || n.Expression.Hash != nil {
			return notKnown(n.Line, "uses "+quoted(n.Expression.Canonical())+" with parameters")
		}
		return checkVariable(n.Expression.Path, n.Line)
	case *ast.BlockStatement:
		return checkBlock(n)
	case *ast.PartialStatement:
		return notKnown(n.Line, "includes another template")
	}
	return notKnown(node.Location().Line, "holds something that is not known here")
}

func checkBlock(b *ast.BlockStatement) error {
	e := b.Expression
	name := e.Canonical()
	if name != "if" && name != "unless" || len(e.Params) != 1 || e.Hash != nil {
		return notKnown(b.Line, "uses the block "+quoted(name))
	}
	if err := checkVariable(e.Params[0], b.Line); err != nil {
		return err
	}
	if err := checkProgram(b.Program); err != nil {
		return err
	}
	return checkProgram(b.Inverse)
}

func checkVariable(node ast.Node, line int) error {
	p, ok := node.(*ast.PathExpression)
	if !ok || p.Data || p.Depth > 0 || p.Scoped || len(p.Parts) != 1 || !slices.Contains(templateVars, p.Parts[0]) {
		name := "an expression"
		if ok {
			name = quoted(p.Original)
		}
		return notKnown(line, "uses "+name)
	}
	return nil
}

func quoted(s string) string { return strconv.Quote(header(s)) }

func notKnown(line int, problem string) error {
	return &TemplateError{
		Line:     line,
		Problem:  problem,
		Expected: "only {{workspaceName}}, {{registerLink}}, {{dashboardLink}}, and {{#if}} and {{#unless}} on them",
	}
}
