package web

import (
	"net/url"
	"strings"
	"testing"
)

var returnCases = map[string]string{
	"":                                     "/",
	"/":                                    "/",
	"/canvas/1?x=2#y":                      "/canvas/1?x=2#y",
	"/a%20b":                               "/a%20b",
	"/a//b":                                "/a//b",
	"//evil.example":                       "/",
	"///evil.example":                      "/",
	`/\evil.example`:                       "/",
	`\\evil.example`:                       "/",
	"/%2F/evil.example":                    "/",
	"/%5Cevil.example":                     "/",
	"/\t/evil.example":                     "/",
	"/\n/evil.example":                     "/",
	" /x":                                  "/",
	"/x y":                                 "/",
	"/ü":                                   "/",
	"https://evil.example":                 "/",
	"javascript:alert(1)":                  "/",
	"evil":                                 "/",
	"/%zz":                                 "/",
	"/" + strings.Repeat("a", MaxReturnTo): "/",
}

func TestReturnTo(t *testing.T) {
	for raw, want := range returnCases {
		if got := ReturnTo(raw); got != want {
			t.Errorf("ReturnTo(%q) = %q, want %q", raw, got, want)
		}
	}
}

// FuzzReturnTo checks that every result is a path that all readers place on the same origin.
func FuzzReturnTo(f *testing.F) {
	for raw := range returnCases {
		f.Add(raw)
	}
	base := &url.URL{Scheme: "https", Host: "sluice.test", Path: "/login"}
	f.Fuzz(func(t *testing.T, raw string) {
		got := ReturnTo(raw)
		if got != "/" && got != raw {
			t.Fatalf("%q became %q", raw, got)
		}
		u, err := url.Parse(got)
		if err != nil {
			t.Fatalf("%q gives %q: %v", raw, got, err)
		}
		if to := base.ResolveReference(u); to.Host != base.Host || to.Scheme != base.Scheme || to.User != nil {
			t.Fatalf("%q leads to %s", raw, to)
		}
		// A browser's interpretation: tabs and line breaks dropped, backslashes turned (WHATWG URL
		// section 4.4).
		lenient := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(got)
		if !strings.HasPrefix(lenient, "/") || strings.HasPrefix(lenient, "//") {
			t.Fatalf("a browser reads %q as %q", raw, lenient)
		}
	})
}
