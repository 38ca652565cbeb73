package proxy_test

import (
	"strings"
	"testing"
)

// smuggling holds the bytes of the corpus rows that describe a request which two servers could cut
// at different places.
var smuggling = map[string]string{
	// CL.TE
	"fw-331": "POST /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nContent-Length: 6\r\nTransfer-Encoding: " +
		"chunked\r\n\r\n0\r\n\r\nG",
	// an unknown transfer coding
	"fw-333": "POST /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
	// a blank before the colon
	"fw-335": "POST /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
	// CL.CL
	"fw-337": "POST /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nContent-Length: 0\r\nContent-Length: " +
		"25\r\n\r\nGET /api/v1/x HTTP/1.1\r\n\r\n",
	// a hexadecimal length
	"fw-339": "POST /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nContent-Length: 0x6\r\n\r\nabcdef",
	// a bare CR in a header value
	"fw-341": "GET /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nX-A: b\rContent-Length: 5\r\n\r\n",
	// a chunk size that overflows
	"fw-343": "POST /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat(
		"0",
		60,
	) + "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
	// a GET with a second request in its body
	"fw-345": "GET /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nContent-Length: 46\r\n\r\nGET /api/v1/credentials " +
		"HTTP/1.1\r\nHost: x\r\n\r\nx=",
	// blanks in the request line
	"fw-347": "GET  /api/v1/ping\tHTTP/1.1\r\nHost: sluice.test\r\n\r\n",
	// the preface of HTTP/2 on a port that speaks HTTP/1.1
	"fw-349": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
	// a way round the gateway by HTTP/2 without TLS
	"fw-351": "GET /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: " +
		"h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
	// a body in other framing than was announced
	"fw-353": "POST /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nExpect: 100-continue\r\nContent-Length: " +
		"4\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",

	"two hosts": "GET /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nHost: evil.example\r\n\r\n",
	"no host":   "GET /api/v1/ping HTTP/1.1\r\n\r\n",
	"obsolete line folding": "GET /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nTransfer-Encoding:\r\n " +
		"chunked\r\n\r\n",
	"LF CR and NUL":      "GET /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nX-A: a\x00b\r\n\r\n",
	"HTTP/0.9":           "GET /api/v1/credentials\r\n\r\n",
	"negative length":    "POST /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nContent-Length: -1\r\n\r\n",
	"length with a plus": "POST /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nContent-Length: +4\r\n\r\nabcd",
	"chunked twice": "POST /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nTransfer-Encoding: chunked, " +
		"chunked\r\n\r\n0\r\n\r\n",
	"chunked on two lines": "POST /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nTransfer-Encoding: " +
		"chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
	"chunk of another length": "POST /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\nTransfer-Encoding: " +
		"chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n",
	"connect":                 "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: sluice.test\r\n\r\n",
	"asterisk":                "OPTIONS * HTTP/1.1\r\nHost: sluice.test\r\n\r\n",
	"absolute form":           "GET http://sluice.test/api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\n\r\n",
	"absolute form, own host": "GET https://sluice.test/api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\n\r\n",
	"authority form":          "GET sluice.test HTTP/1.1\r\nHost: sluice.test\r\n\r\n",
}

// TestSmuggling sends each on a connection of its own: the builder sees no request at all, or
// exactly one that is what was judged.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	for _, r := range corpus(t, "flowise") {
		if r.Class == "smuggling" && smuggling[r.ID] == "" {
			t.Errorf("%s has no bytes here: %s", r.ID, r.Body)
		}
	}
	for name, text := range smuggling {
		t.Run(name, func(t *testing.T) {
			got := w.raw(text, "GET")
			log := f.take()
			if len(log) > 1 {
				t.Fatalf("%d requests reached the builder", len(log))
			}
			if len(log) == 1 && (log[0].broken != nil || log[0].target() != "/api/v1/ping" || len(log[0].body) > 0) {
				t.Fatalf("the builder got %q", log[0].raw)
			}
			if got.status != 0 && got.status < 400 && len(log) == 0 {
				t.Errorf("status %d and nothing was forwarded: %s", got.status, got.body)
			}
		})
	}
}

func TestSmuggling_AfterRefusedBody(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	body := `{"a":1,"a":2}`
	got := w.raw(
		"POST /api/v1/prediction/"+publicFlow+" HTTP/1.1\r\nHost: sluice.test\r\nContent-Type: "+
			"application/json\r\nContent-Length: "+itoa(
			len(body),
		)+
			"\r\n\r\n"+body+"GET /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\n\r\n",
		"POST",
	)
	if got.status != 400 {
		t.Errorf("status %d", got.status)
	}
	eventually(t, "the second request", func() bool { return strings.Count(w.log.String(), "msg=request") == 2 })
	for _, g := range f.take() {
		if g.target() != "/api/v1/ping" || g.broken != nil {
			t.Errorf("the builder got %q", g.raw)
		}
	}
}

func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	for name, c := range map[string]struct {
		target string
		header string
		want   int
	}{
		"64 KiB in one header": {"/api/v1/ping", "X-Big: " + strings.Repeat("a", 64<<10) + "\r\n", 431},
		"a thousand headers": {"/api/v1/ping",
			strings.Repeat("X-Many: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 1000), 431},
		"16 KiB are still taken":  {"/api/v1/ping", "X-Big: " + strings.Repeat("a", 16<<10) + "\r\n", 200},
		"a target of 9 KiB":       {"/api/v1/ping?x=" + strings.Repeat("a", 9<<10), "", 400},
		"a target of nearly 8 KB": {"/api/v1/ping?x=" + strings.Repeat("a", 8000), "", 200},
	} {
		if got := w.raw("GET "+c.target+" HTTP/1.1\r\nHost: sluice.test\r\n"+c.header+"\r\n",
			"GET"); got.status != c.want {
			t.Errorf("%s: status %d, want %d", name, got.status, c.want)
		}
	}
}
