package web_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"sluice/internal/web"
)

func request(peer string, header http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = peer
	r.Header = header
	return r
}

func TestClientIP(t *testing.T) {
	lan := web.Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	hops := func(n int) web.Trust { return web.Trust{Hops: n} }
	xff := func(lines ...string) http.Header { return http.Header{"X-Forwarded-For": lines} }
	for _, c := range []struct {
		name  string
		trust web.Trust
		peer  string
		head  http.Header
		want  string
	}{
		{"nobody is trusted", web.Trust{}, "203.0.113.9:1", xff("1.1.1.1"), "203.0.113.9"},
		{"nobody is trusted on loopback either", web.Trust{}, "127.0.0.1:1", xff("1.1.1.1"), "127.0.0.1"},
		{"peer outside the list", lan, "203.0.113.9:1", xff("1.1.1.1"), "203.0.113.9"},
		{"trusted peer, one entry", lan, "10.0.0.1:1", xff("198.51.100.7"), "198.51.100.7"},
		{"the client's own claim stays out", lan, "10.0.0.1:1", xff("127.0.0.1, 198.51.100.7"), "198.51.100.7"},
		{"two trusted proxies", lan, "10.0.0.1:1", xff("127.0.0.1, 198.51.100.7, 10.9.9.9"), "198.51.100.7"},
		{"all of them trusted", lan, "10.0.0.1:1", xff("10.0.0.3, 10.0.0.2"), "10.0.0.3"},
		{"no header", lan, "10.0.0.1:1", nil, "10.0.0.1"},
		{"garbage stops the walk", lan, "10.0.0.1:1", xff("198.51.100.7, unknown"), "10.0.0.1"},
		{"an empty entry stops the walk", lan, "10.0.0.1:1", xff("198.51.100.7,"), "10.0.0.1"},
		{"two lines are one list", lan, "10.0.0.1:1", xff("6.6.6.6", "198.51.100.7, 10.0.0.2"), "198.51.100.7"},
		{"entry with a port", lan, "10.0.0.1:1", xff("198.51.100.7:4711"), "198.51.100.7"},
		{"IPv6 in brackets with a port", lan, "[fd00::1]:1", xff("[2001:db8::7]:4711"), "2001:db8::7"},
		{"IPv6 in brackets", lan, "[fd00::1]:1", xff("[2001:db8::7]"), "2001:db8::7"},
		{"mapped peer is the same peer", lan, "[::ffff:10.0.0.1]:1", xff("198.51.100.7"), "198.51.100.7"},
		{"zone is dropped", web.Trust{}, "[fe80::1%eth0]:1", nil, "fe80::1"},
		{"one hop", hops(1), "10.0.0.1:1", xff("6.6.6.6, 198.51.100.7"), "198.51.100.7"},
		{"two hops", hops(2), "10.0.0.1:1", xff("6.6.6.6, 198.51.100.7, 10.0.0.2"), "198.51.100.7"},
		{"fewer entries than hops", hops(3), "10.0.0.1:1", xff("198.51.100.7"), "198.51.100.7"},
		{"hops and no header", hops(2), "203.0.113.9:1", nil, "203.0.113.9"},
		{"other headers are never read", lan, "10.0.0.1:1",
			http.Header{"X-Real-Ip": {"1.1.1.1"}, "True-Client-Ip": {"1.1.1.1"},
				"Forwarded": {"for=1.1.1.1"}}, "10.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.trust.ClientIP(request(c.peer, c.head)).String(); got != c.want {
				t.Errorf("ClientIP = %s, want %s", got, c.want)
			}
		})
	}
}

func TestClientIP_BoundedList(t *testing.T) {
	trust := web.Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}
	line := "9.9.9.9"
	for range 200 {
		line += ", 10.0.0.1"
	}
	r := request("10.0.0.1:1", http.Header{"X-Forwarded-For": {line}})
	if got := trust.ClientIP(r).String(); got != "10.0.0.1" {
		t.Errorf("ClientIP = %s: more entries were read than a real chain has", got)
	}
	if n := len(trust.Chain(r)); n > 40 {
		t.Errorf("the chain has %d entries", n)
	}
}

func TestScheme(t *testing.T) {
	near := web.Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	proto := func(v ...string) http.Header { return http.Header{"X-Forwarded-Proto": v} }
	for _, c := range []struct {
		name  string
		trust web.Trust
		peer  string
		head  http.Header
		want  string
	}{
		{"untrusted claim", web.Trust{}, "10.0.0.1:1", proto("https"), "http"},
		{"trusted", near, "10.0.0.1:1", proto("https"), "https"},
		{"trusted, other case", near, "10.0.0.1:1", proto("HTTPS"), "https"},
		{"the nearest proxy's word counts", near, "10.0.0.1:1", proto("https, http"), "http"},
		{"the last line counts", near, "10.0.0.1:1", proto("http", "https"), "https"},
		{"nonsense", near, "10.0.0.1:1", proto("wss"), "http"},
		{"no header", near, "10.0.0.1:1", nil, "http"},
		{"by hops", web.Trust{Hops: 1}, "203.0.113.9:1", proto("https"), "https"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.trust.Scheme(request(c.peer, c.head)); got != c.want {
				t.Errorf("Scheme = %s, want %s", got, c.want)
			}
		})
	}
	r := request("203.0.113.9:1", nil)
	r.TLS = &tls.ConnectionState{}
	if got := (web.Trust{}).Scheme(r); got != "https" {
		t.Errorf("Scheme over TLS = %s", got)
	}
}

func TestClientIP_Chain(t *testing.T) {
	r := request("10.0.0.1:1", http.Header{"X-Forwarded-For": {"<script>, 198.51.100.7"}})
	got := web.Trust{}.Chain(r)
	want := []string{"10.0.0.1", "198.51.100.7", "(not an address)"}
	if len(got) != len(want) {
		t.Fatalf("Chain = %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("Chain[%d] = %q, want %q", i, got[i], want[i])
		}
	}
}

func FuzzClientIP(f *testing.F) {
	f.Add("10.0.0.1:1", "1.2.3.4, 10.0.0.2")
	f.Add("[::1]:9", "[::ffff:1.2.3.4]:80,,")
	f.Add("pipe", "for=1;by=2")
	trust := web.Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	f.Fuzz(func(t *testing.T, peer, xff string) {
		got := trust.ClientIP(request(peer, http.Header{"X-Forwarded-For": {xff}}))
		if got.Is4In6() || got.Zone() != "" {
			t.Errorf("%q, %q: %v is not in its simplest form", peer, xff, got)
		}
	})
}
