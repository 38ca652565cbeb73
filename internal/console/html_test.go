package console

import (
	"html"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// element is one start tag of a page.
type element struct {
	name  string
	attrs map[string]string
}

var (
	tagPattern  = regexp.MustCompile(`<([a-zA-Z][a-zA-Z0-9]*)((?:\s+[^\s=>]+(?:="[^"]*"|='[^']*')?)*)\s*/?>`)
	attrPattern = regexp.MustCompile(`([^\s=>]+)(?:="([^"]*)"|='([^']*)')?`)
)

// latest are the pages that were parsed last. A test asks one page for many things, and parsing it
// each time would be a third of what the tests of this package cost.
var latest struct {
	mu    sync.Mutex
	pages map[string][]element
}

// parse lists the start tags of a page. Templates quote every attribute, which makes this enough.
// The caller does not change them.
func parse(page string) []element {
	latest.mu.Lock()
	defer latest.mu.Unlock()
	if out, ok := latest.pages[page]; ok {
		return out
	}
	var out []element
	for _, m := range tagPattern.FindAllStringSubmatch(page, -1) {
		e := element{name: strings.ToLower(m[1]), attrs: map[string]string{}}
		for _, a := range attrPattern.FindAllStringSubmatch(m[2], -1) {
			e.attrs[strings.ToLower(a[1])] = html.UnescapeString(a[2] + a[3])
		}
		out = append(out, e)
	}
	if latest.pages == nil || len(latest.pages) == 16 {
		latest.pages = map[string][]element{}
	}
	latest.pages[page] = out
	return out
}

// selectAll finds elements by a small part of CSS: a tag name and [attr] or [attr=value], e.g.
// `input[name=email][required]`.
func selectAll(page, selector string) []element {
	name, rest, _ := strings.Cut(selector, "[")
	var conditions []string
	if rest != "" {
		conditions = strings.Split(strings.TrimSuffix(rest, "]"), "][")
	}
	var out []element
	for _, e := range parse(page) {
		if (name == "" || e.name == name) && e.matches(conditions) {
			out = append(out, e)
		}
	}
	return out
}

func (e element) matches(conditions []string) bool {
	for _, c := range conditions {
		key, want, valued := strings.Cut(c, "=")
		got, ok := e.attrs[key]
		if !ok || valued && got != want {
			return false
		}
	}
	return true
}

// has fails unless each selector finds something.
func has(t *testing.T, page string, selectors ...string) {
	t.Helper()
	for _, s := range selectors {
		if len(selectAll(page, s)) == 0 {
			t.Errorf("the page has no %s", s)
		}
	}
}

// hasNot fails if a selector finds something.
func hasNot(t *testing.T, page string, selectors ...string) {
	t.Helper()
	for _, s := range selectors {
		if len(selectAll(page, s)) > 0 {
			t.Errorf("the page has %s", s)
		}
	}
}

// says fails unless the page holds each text.
func says(t *testing.T, page string, texts ...string) {
	t.Helper()
	plain := html.UnescapeString(page)
	for _, text := range texts {
		if !strings.Contains(plain, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
}
