package mail

import (
	"bytes"
	"embed"
	htmltemplate "html/template"
	"net/url"
	"strings"
	"text/template"
	"time"
	"unicode"
	"unicode/utf8"

	"sluice/internal/problem"
)

//go:embed templates
var templateFiles embed.FS

const (
	maxLink    = 2048 // bytes
	maxSubject = 200  // characters
)

// Rendered is an email as people read it.
type Rendered struct {
	Kind    string
	Subject string
	Text    string
	HTML    string
}

// view is the data of a template.
type view struct {
	Host, Subject, Name, Link, Label, Expires string
	Message                                   Message
}

var functions = map[string]any{"moment": moment, "line": header}

// moment formats a time for emails. An email can arrive long after it was written, so nothing in it
// is relative to now.
func moment(t time.Time) string { return t.UTC().Format("2 January 2006 at 15:04 UTC") }

func renderText(v view) (string, error) {
	t, err := template.New("layout.txt").
		Funcs(functions).
		ParseFS(templateFiles, "templates/layout.txt", "templates/"+v.Message.Kind()+".txt")
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = t.Execute(&out, v)
	return out.String(), err
}

func renderHTML(v view) (string, error) {
	t, err := htmltemplate.New("layout.html").
		Funcs(functions).
		ParseFS(templateFiles, "templates/layout.html", "templates/"+v.Message.Kind()+".html")
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = t.Execute(&out, v)
	return out.String(), err
}

// header makes a text safe in a header line: printable, without line breaks, bounded. Unprintable
// characters become blanks, because RFC 5322 section 2.2 forbids CR and LF, and direction marks
// would let a name rewrite its line.
func header(s string) string {
	s = strings.Join(strings.Fields(strings.Map(printable, s)), " ")
	if utf8.RuneCountInString(s) > maxSubject {
		s = string([]rune(s)[:maxSubject-1]) + "…"
	}
	return s
}

func printable(r rune) rune {
	if r == utf8.RuneError || !unicode.IsPrint(r) {
		return ' '
	}
	return r
}

// checkLink accepts an empty link or an absolute web address.
func checkLink(link string) error {
	if link == "" {
		return nil
	}
	u, err := url.Parse(link)
	if err != nil || len(link) > maxLink || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return problem.New(problem.Internal, "the link of the mail is not an absolute web address")
	}
	for _, r := range link {
		if r <= ' ' || r > unicode.MaxASCII || strings.ContainsRune("\"<>\\^`{|}", r) {
			return problem.New(problem.Internal, "the link of the mail holds a character that must be escaped in an "+
				"address")
		}
	}
	return nil
}
