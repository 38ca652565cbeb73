package proxy

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"sluice/internal/builder"
)

// FuzzForwardedHeaders sends headers that a client could make a careless proxy send. An accepted
// request has one method, one host and one path, and no other header can pass as Sluice's.
func FuzzForwardedHeaders(f *testing.F) {
	f.Add("GET", "flows.example.com", "/a?b=c", "X-Other", "1")
	f.Add("GET,POST", "a.test, b.test", "//a", "X_Sluice_User", "root")
	f.Add("get", "a.test:80", "/\x00", "x.sluice.role", "admin")
	f.Add("", "", "", "X-Forwarded-Uri", "/b")
	f.Fuzz(func(t *testing.T, method, host, uri, name, value string) {
		h := http.Header{"X-Forwarded-Method": {method}, "X-Forwarded-Host": {host}, "X-Forwarded-Uri": {uri}}
		h.Add(name, value)
		got, err := forwardedOf(h)
		if err != nil {
			return
		}
		if got != (forwarded{method, host, uri}) || len(h["X-Forwarded-Uri"]) != 1 {
			t.Fatalf("%+v is not what was sent: %q", got, h)
		}
		if strings.ContainsAny(got.host, ", \t\r\n/@\\") || strings.ToUpper(got.method) != got.method ||
			!strings.HasPrefix(got.uri, "/") {
			t.Fatalf("%+v can be read in two ways", got)
		}
		folded := strings.NewReplacer("_", "-", ".", "-").Replace(http.CanonicalHeaderKey(name))
		for _, own := range builder.IdentityHeaders() {
			if strings.EqualFold(folded, own) && http.CanonicalHeaderKey(name) != own {
				t.Fatalf("%q stands for %s", name, own)
			}
		}
		if strings.HasPrefix(strings.ToLower(folded), "x-sluice-") &&
			!slices.Contains(builder.IdentityHeaders(), http.CanonicalHeaderKey(name)) {
			t.Fatalf("%q is in Sluice's name", name)
		}
	})
}
