package profile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	uuid    = "0123abcd-9f00-4000-8000-fedcba987654"
	another = "11111111-1111-4111-8111-111111111111"
)

// long is a byte longer than a token may be.
var long = strings.Repeat("a", 257)

var matching = []byte(`[
	{name: root, methods: [GET], path: "/", action: "flow:view"},
	{name: list, methods: [GET, POST], path: /flows, action: "flow:view"},
	{name: put, methods: [PUT], path: /flows, action: "flow:edit"},
	{name: patch, methods: [PATCH], path: /flows, action: "flow:edit"},
	{name: delete, methods: [DELETE], path: /flows, action: "flow:edit"},
	{name: literal, methods: [GET], path: /flows/new~, action: "flow:view"},
	{name: uuid, methods: [GET], path: "/flows/{id:uuid}", action: "flow:view"},
	{name: token, methods: [GET], path: "/flows/{name:token}", action: "flow:view"},
	{name: any, methods: [GET], path: "/flows/{text}", action: "flow:view"},
	{name: below, methods: [GET], path: "/flows/{id:uuid}/a", action: "flow:view"},
	{name: slash, methods: [GET], path: /store/, action: "flow:view"},
	{name: four, methods: [GET], path: "/four/{a}/{b}/{c}/{d}", action: "flow:view"},
	{name: files, methods: [GET], path: "/files/{path...}", action: "flow:view"},
	{name: file, methods: [DELETE], path: "/files/{name}/one", action: "flow:view"},
	{name: deep, methods: [GET], path: "/files/{a}/{b}/{c}/{rest...}", action: "flow:view"},
]`)

func TestMatch(t *testing.T) {
	p := load(t, Source{Table: matching})
	for request, want := range map[string]string{ // name, path, values; "" is no match
		"GET /":                               "root /",
		"GET /flows":                          "list /flows",
		"HEAD /flows":                         "list /flows",
		"POST /flows":                         "list /flows",
		"PUT /flows":                          "put /flows",
		"PATCH /flows":                        "patch /flows",
		"DELETE /flows":                       "delete /flows",
		"TRACE /flows":                        "",
		"GET /flows/":                         "list /flows",
		"GET /flows//":                        "",
		"GET //":                              "",
		"GET /Flows":                          "",
		"GET flows":                           "",
		"GET ":                                "",
		"GET /none":                           "",
		"GET /flows/new~":                     "literal /flows/new~",
		"GET /flows/" + uuid:                  "uuid /flows/" + uuid + " " + uuid,
		"GET /flows/" + strings.ToUpper(uuid): "token /flows/" + strings.ToUpper(uuid) + " " + strings.ToUpper(uuid),
		"GET /flows/a:b@c":                    "token /flows/a:b@c a:b@c",
		"GET /flows/a%20b":                    "any /flows/a%20b a%20b",
		"POST /flows/a%20b":                   "",
		"GET /flows/" + uuid + "/a":           "below /flows/" + uuid + "/a " + uuid,
		"GET /flows/" + uuid + "/b":           "",
		"GET /flows/name/a":                   "",
		"GET /store":                          "slash /store/",
		"GET /store/":                         "slash /store/",
		"GET /four/1/2/3/4":                   "four /four/1/2/3/4 1 2 3 4",
		"GET /four/1/2/3/4/5":                 "",
		"GET /four/1/2/3":                     "",
		"GET /files":                          "",
		"GET /files/":                         "",
		"GET /files/a":                        "files /files/a a",
		"GET /files/a/b.txt":                  "files /files/a/b.txt a/b.txt",
		"GET /files/a/one":                    "", // the row below is another method's
		"DELETE /files/a/one":                 "file /files/a/one a",
		"DELETE /files/a/two":                 "",
		"GET /files/1/2/3/4/5":                "deep /files/1/2/3/4/5 1 2 3 4/5",
		"GET /flows/" + long:                  "any /flows/" + long + " " + long,
		"GET /four/" + uuid + "/" + another + "/": "",
	} {
		method, path, _ := strings.Cut(request, " ")
		got := ""
		if m, ok := p.Match(method, path); ok {
			got = strings.Join(append([]string{m.Endpoint.Name, m.Path}, m.values[:len(m.Endpoint.params)]...), " ")
		}
		if got != want {
			t.Errorf("%.80s: %.80q, want %.80q", request, got, want)
		}
	}
}

func TestMatch_OfOtherBuilders(t *testing.T) {
	keeps := load(t, Source{Table: matching, KeepSlash: true})
	if m, ok := keeps.Match("GET", "/flows/"); !ok || m.Path != "/flows/" {
		t.Errorf("a builder that tells /flows/ from /flows gets %q, %v", m.Path, ok)
	}
	folds := load(t, Source{Table: matching, FoldCase: true})
	if m, ok := folds.Match("GET", "/FLOWS/New~"); !ok || m.Endpoint.Name != "literal" || m.Path != "/FLOWS/New~" {
		t.Errorf("a builder that does not regard case gets %+v, %v", m, ok)
	}
}

func TestParam(t *testing.T) {
	p := load(t, Source{Table: matching})
	m, ok := p.Match("GET", "/four/1/2/3/4")
	if !ok {
		t.Fatal("no match")
	}
	m.SetParam("b", "two")
	m.SetParam("d", "four")
	m.SetParam("four", "never")
	var got []string
	for _, name := range []string{"a", "b", "c", "d", "none"} {
		got = append(got, m.Param(name))
	}
	if diff := cmp.Diff([]string{"1", "two", "3", "four", ""}, got); diff != "" {
		t.Error(diff)
	}
	if m.Path != "/four/1/two/3/four" {
		t.Errorf("forwarded: %s", m.Path)
	}
	rest, ok := p.Match("GET", "/files/a/b")
	if !ok {
		t.Fatal("no match")
	}
	if rest.SetParam("path", "c"); rest.Path != "/files/a/b" {
		t.Errorf("a rest was replaced by one segment: %s", rest.Path)
	}
}

func TestIsUUID(t *testing.T) {
	for text, want := range map[string]bool{
		uuid:                                    true,
		another:                                 true,
		"":                                      false,
		strings.ToUpper(uuid):                   false,
		uuid[:35]:                               false,
		uuid + "0":                              false,
		"0123abcd_9f00-4000-8000-fedcba987654":  false,
		"0123abcd-9f00_4000-8000-fedcba987654":  false,
		"0123abcd-9f00-4000_8000-fedcba987654":  false,
		"0123abcd-9f00-4000-8000_fedcba987654":  false,
		"-123abcd-9f00-4000-8000-fedcba987654":  false,
		"0123abcd-9f00-4000-8000-fedcba98765g":  false,
		"0123abcd-9f00-4000-8000-fedcba98765`":  false,
		"0123abcd-9f00-4000-8000-fedcba98765/":  false,
		"0123abcd-9f00-4000-8000-fedcba98765:":  false,
		"{123abcd-9f00-4000-8000-fedcba987654}": false,
	} {
		if got := IsUUID(text); got != want {
			t.Errorf("IsUUID(%q) = %v", text, got)
		}
	}
}
