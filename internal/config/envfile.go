package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// MaxEnvFile is the largest env file that is read, in bytes.
const MaxEnvFile = 1 << 20

// Entry is one NAME=VALUE of an env file.
type Entry struct {
	Name  string
	Value string
	Line  int // of the name, counted from 1
}

// LineError is a malformed line of an env file. Its text never contains any part of the value.
type LineError struct {
	Line    int // counted from 1
	Problem string
}

// Error gives the line number and the problem on that line.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Problem) }

var assignment = regexp.MustCompile(`^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=`)

// ParseEnvFile reads the NAME=VALUE lines of an env file.
//
// Blank lines, lines that begin with #, a leading export, blanks around =, CRLF line ends and a
// byte order mark are accepted. An unquoted value ends at a blank followed by #. A value in '…' or
// `…` is literal; one in "…" supports \n, \r, \t, \", \\ and \$, and keeps any other backslash.
// Quoted values can span lines. Nothing is expanded. A name can occur more than once; all
// occurrences are returned, in order. The error joins a *LineError for each malformed line.
func ParseEnvFile(data []byte) ([]Entry, error) {
	if err := checkText(data); err != nil {
		return nil, err
	}
	text := strings.ReplaceAll(string(bytes.TrimPrefix(data, []byte("\uFEFF"))), "\r\n", "\n")
	p := envParser{rest: text, line: 1}
	for p.rest != "" {
		p.statement()
	}
	return p.entries, errors.Join(p.errs...)
}

func checkText(data []byte) error {
	switch {
	case len(data) > MaxEnvFile:
		return &LineError{Line: 1, Problem: fmt.Sprintf("the file is larger than %d bytes", MaxEnvFile)}
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}), bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return &LineError{Line: 1, Problem: "the file is UTF-16; save it as UTF-8"}
	case !utf8.Valid(data):
		return &LineError{Line: 1 + bytes.Count(data[:invalidUTF8(data)], []byte("\n")), Problem: "is not UTF-8 text"}
	}
	return nil
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(data)
}

type envParser struct {
	rest    string // begins at the start of a line
	line    int
	entries []Entry
	errs    []error
}

func (p *envParser) fail(line int, problem string) {
	p.errs = append(p.errs, &LineError{Line: line, Problem: problem})
}

// statement consumes one line, or several when a quoted value spans them.
func (p *envParser) statement() {
	p.rest = strings.TrimLeft(p.rest, " \t")
	first, _, _ := strings.Cut(p.rest, "\n")
	if first == "" || first[0] == '#' {
		p.skipLine()
		return
	}
	m := assignment.FindStringSubmatch(p.rest)
	if m == nil {
		p.fail(p.line, notAnAssignment(first))
		p.skipLine()
		return
	}
	entry := Entry{Name: m[1], Line: p.line}
	p.rest = p.rest[len(m[0]):]
	value, ok := p.value()
	if !ok {
		return
	}
	if i := strings.IndexFunc(value, isControl); i >= 0 {
		p.fail(entry.Line, fmt.Sprintf("the value of %s holds a control character", entry.Name))
		return
	}
	entry.Value = value
	p.entries = append(p.entries, entry)
}

func isControl(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7F }

func notAnAssignment(line string) string {
	name, _, found := strings.Cut(line, "=")
	switch {
	case !found && strings.Contains(line, ":"):
		return "expected NAME=VALUE; this looks like NAME: VALUE"
	case !found:
		return "expected NAME=VALUE; there is no = on this line"
	case strings.TrimSpace(strings.TrimPrefix(name, "export ")) == "":
		return "expected NAME=VALUE; there is no name before the ="
	}
	return "expected NAME=VALUE; a name has letters, digits and underscores only and does not begin with a digit"
}

func (p *envParser) skipLine() {
	_, p.rest, _ = strings.Cut(p.rest, "\n")
	p.line++
}

func (p *envParser) value() (string, bool) {
	if start := strings.TrimLeft(p.rest, " \t"); start != "" && strings.ContainsRune("'\"`", rune(start[0])) {
		p.rest = start
		return p.quoted(start[0])
	}
	raw, _, _ := strings.Cut(p.rest, "\n")
	p.skipLine()
	return strings.TrimSpace(raw[:commentStart(raw)]), true
}

// commentStart is the index of the first # that follows a blank, or len(raw). A # directly after
// the equals sign or inside a word is part of the value, because passwords contain them.
func commentStart(raw string) int {
	for i := 1; i < len(raw); i++ {
		if raw[i] == '#' && (raw[i-1] == ' ' || raw[i-1] == '\t') {
			return i
		}
	}
	return len(raw)
}

// quoted reads from the opening quote to the end of the line on which the value is closed.
func (p *envParser) quoted(quote byte) (string, bool) {
	opened := p.line
	value, size, closed := unquote(p.rest[1:], quote)
	if !closed {
		p.fail(opened, fmt.Sprintf("the quote %c opened here is never closed", quote))
		p.rest = ""
		return "", false
	}
	p.line += strings.Count(p.rest[:1+size], "\n")
	p.rest = p.rest[1+size:]
	tail, _, _ := strings.Cut(p.rest, "\n")
	tail = strings.TrimSpace(tail)
	if tail != "" && tail[0] != '#' {
		p.fail(
			p.line,
			fmt.Sprintf("unexpected text after the %c that closes the value begun on line %d", quote, opened),
		)
		p.skipLine()
		return "", false
	}
	p.skipLine()
	return value, true
}

// unquote returns the value up to the closing quote, and the length of the text read with that
// quote.
func unquote(s string, quote byte) (value string, size int, closed bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return b.String(), i + 1, true
		case s[i] == '\\' && quote == '"' && i+1 < len(s):
			i++
			b.WriteString(unescape(s[i]))
		default:
			b.WriteByte(s[i])
		}
	}
	return "", 0, false
}

// unescape keeps the backslash of an unknown escape, so that C:\data survives double quotes.
func unescape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case '"', '\\', '$':
		return string(c)
	}
	return "\\" + string([]byte{c})
}
