package profile

import (
	"net/url"
	"strings"
	"testing"

	"sluice/internal/problem"
)

func TestCanonical_OneReading(t *testing.T) {
	for raw, want := range map[string]string{
		"/":                             "/",
		"/api/v1/chatflows":             "/api/v1/chatflows",
		"/api/v1/chatflows/":            "/api/v1/chatflows/",
		"/a/...":                        "/a/...",
		"/a/b.c-d_e~f":                  "/a/b.c-d_e~f",
		"/t/2026-11-21T18:33:28.000Z":   "/t/2026-11-21T18:33:28.000Z",
		"/t/2026-11-21T18%3a33%3A28":    "/t/2026-11-21T18%3A33%3A28",
		"/r%c3%a9sum%C3%A9":             "/r%C3%A9sum%C3%A9",
		"/my%20store":                   "/my%20store",
		"/azAZ09%21":                    "/azAZ09%21",
		"/t%3a":                         "/t%3A",
		"/%E6%97%a5":                    "/%E6%97%A5",
		"/%c3%a9":                       "/%C3%A9",
		"/%c3%9f%C3%9F":                 "/%C3%9F%C3%9F",
		"/%E6%97%A5%E6%9C%AC":           "/%E6%97%A5%E6%9C%AC",
		"/x@y!$'()*+,=":                 "/x@y!$'()*+,=",
		"/_next/%5Bslug%5D/page.js":     "/_next/%5Bslug%5D/page.js",
		"/" + strings.Repeat("a", 8191): "/" + strings.Repeat("a", 8191),
	} {
		if got, err := Canonical(raw); err != nil || got != want {
			t.Errorf("Canonical(%.60q) = %.60q, %v; want %.60q", raw, got, err, want)
		}
	}
}

func TestCanonical_TwoReadings(t *testing.T) {
	for _, raw := range []string{
		"", "*", "api", "http://evil/api/v1/apikey", "evil:443",
		"//api", "/api//v1", "/api/v1/apikey//", "/./api", "/api/.", "/api/..", "/../x", "/a/../b", "/a/.%2e/b",
		"/%2e%2e/b", "/a/%2e", "/a/..;/b",
		"/a%2fb", "/a%2Fb", "/a%5cb", `/a\b`, "/a%00", "/a%09", "/a%0a", "/a%0d", "/a%1f", "/a%7f", "/a\x00", "/a\x7f",
		"/a b", "/a\tb",
		"/a%20", "/%20a", "/a%20/b", "/a%C2%A0", "/a%C2%A0b", "/a%E3%80%80b", "/a%E2%80%8Bb", "/a%EF%BB%BF",
		"/%61pikey", "/%41", "/a%2Db", "/a%7E", "/a%5Fb", "/a%252e", "/a%2525", "/a%25",
		"/a<x>b", "/a%3Cx%3Eb", "/a%3cb", "/ap&#105;key", "/a&b", "/a%26b", "/a%23", "/a#b", "/a%3Fb", "/a?b",
		"/a;b", "/a%3Bb", `/a"b`, "/a%22", "/a|b", "/a^b", "/a`b", "/a{b}", "/a[b]",
		"/a%", "/a%z", "/a%zz", "/a%4", "/a%u0041", "/a%c3", "/a%c3x", "/a%c3%28", "/%c0%ae%c0%ae/x", "/%e0%80%ae",
		"/%f0%80%80%ae", "/%ed%a0%80", "/%f4%90%80%80", "/%ff", "/%80",
		"/ｃredentials", "/caf\xc3\xa9", "/%EF%BD%83redentials", "/%E2%84%AAey", "/%C5%BFecret", "/%C4%B1d",
		"/%C4%B0d", "/%F0%9D%90%80", "/%C2%AA", "/%E2%82%A8", "/%EF%AC%81",
		"/" + strings.Repeat("a", 8192),
	} {
		got, err := Canonical(raw)
		if !problem.Is(err, problem.Invalid) {
			t.Errorf("Canonical(%.60q) = %.60q, %v; want a refusal", raw, got, err)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"/", "/api/v1/x/", "/r%c3%a9", "/a%20b", "/%2e", "//", "/a%3a", "/%F0%9D%90%80",
		"/a&b", "/%e6%97%a5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		path, err := Canonical(raw)
		if err != nil {
			if !problem.Is(err, problem.Invalid) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		if again, err := Canonical(path); err != nil || again != path {
			t.Fatalf("Canonical(%q) = %q, which becomes %q, %v", raw, path, again, err)
		}
		if !strings.EqualFold(path, raw) {
			t.Fatalf("%q was changed to %q", raw, path)
		}
		decoded, err := url.PathUnescape(path)
		if err != nil {
			t.Fatalf("%q does not decode: %v", path, err)
		}
		if strings.ContainsAny(decoded, "%\\<>&;#?\"") || strings.Contains(decoded, "//") ||
			strings.Count(decoded, "/") != strings.Count(path, "/") {
			t.Fatalf("%q decodes to %q", path, decoded)
		}
		for _, seg := range strings.Split(decoded, "/") {
			if seg == "." || seg == ".." || strings.TrimSpace(seg) != seg {
				t.Fatalf("%q has the segment %q", path, seg)
			}
		}
		for _, r := range decoded {
			if r < ' ' || r == 0x7f || r == '\ufffd' {
				t.Fatalf("%q holds %q", path, r)
			}
		}
		if u, err := url.ParseRequestURI(path); err != nil || u.EscapedPath() != path {
			t.Fatalf("net/url reads %q as %v, %v", path, u, err)
		}
	})
}

func BenchmarkCanonical(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Canonical("/api/v1/chatflows/" + "11111111-1111-4111-8111-111111111111"); err != nil {
			b.Fatal(err)
		}
	}
}
