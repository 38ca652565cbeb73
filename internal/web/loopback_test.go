package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"sluice/internal/web"
)

func TestLoopbackName(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost":             true,
		"LOCALHOST:3000":        true,
		"flows.localhost:3000":  true,
		"127.0.0.1:3000":        true,
		"127.9.9.9":             true,
		"[::1]:3000":            true,
		"::1":                   true,
		"[::ffff:127.0.0.1]:80": true,
		"":                      false,
		"localhost.example.com": false,
		"notlocalhost":          false,
		"127.0.0.1.nip.io":      false,
		"10.0.0.1:3000":         false,
		"0.0.0.0":               false,
		"[::]:3000":             false,
		"evil.example:3000":     false,
		"192.0.2.7":             false,
	} {
		if got := web.LoopbackName(host); got != want {
			t.Errorf("LoopbackName(%q) = %t, want %t", host, got, want)
		}
	}
}

// arriving is the request of a person who entered the address on this machine.
func arriving() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/login", nil)
	r.Host, r.RemoteAddr = "127.0.0.1:3000", "127.0.0.1:51000"
	r.Header.Set("Sec-Fetch-Site", "none")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	return r
}

func TestOnThisMachine(t *testing.T) {
	if !web.OnThisMachine(arriving()) {
		t.Fatal("a browser on this machine is not known as one")
	}
	for name, change := range map[string]func(*http.Request){
		"another machine": func(r *http.Request) { r.RemoteAddr = "192.0.2.7:51000" },
		"no peer":         func(r *http.Request) { r.RemoteAddr = "" },
		"rebound name":    func(r *http.Request) { r.Host = "evil.example:3000" },
		"private address": func(r *http.Request) { r.Host = "192.168.1.5:3000" },
		"HTTP/1.0":        func(r *http.Request) { r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.0", 1, 0 },
		"X-Forwarded-For": func(r *http.Request) { r.Header.Set("X-Forwarded-For", "127.0.0.1") },
		"empty Forwarded": func(r *http.Request) { r.Header["Forwarded"] = []string{""} },
		"Via":             func(r *http.Request) { r.Header.Set("Via", "1.1 proxy") },
		"X-Real-IP":       func(r *http.Request) { r.Header.Set("X-Real-IP", "192.0.2.7") },
	} {
		r := arriving()
		if change(r); web.OnThisMachine(r) {
			t.Errorf("%s counts as this machine", name)
		}
	}
}

func TestArrives(t *testing.T) {
	for _, site := range []string{"none", "same-origin", "same-site"} {
		r := arriving()
		if r.Header.Set("Sec-Fetch-Site", site); !web.Arrives(r) {
			t.Errorf("a navigation from %s does not arrive", site)
		}
	}
	for name, change := range map[string]func(*http.Request){
		"from another site": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"from nowhere":      func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") },
		"a script's call":   func(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "cors") },
		"no mode":           func(r *http.Request) { r.Header.Del("Sec-Fetch-Mode") },
		"into a frame":      func(r *http.Request) { r.Header.Set("Sec-Fetch-Dest", "iframe") },
		"no destination":    func(r *http.Request) { r.Header.Del("Sec-Fetch-Dest") },
		"a form":            func(r *http.Request) { r.Method = http.MethodPost },
		"a prefetch":        func(r *http.Request) { r.Header.Set("Sec-Purpose", "prefetch") },
	} {
		r := arriving()
		if change(r); web.Arrives(r) {
			t.Errorf("%s counts as a person's own way", name)
		}
	}
}
