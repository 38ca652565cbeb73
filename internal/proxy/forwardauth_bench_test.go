package proxy_test

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sluice/internal/proxy"
	"sluice/internal/web"
)

// asServed is the log that a running Sluice has.
func asServed(c *proxy.Config) {
	c.Log = slog.New(web.NewLogHandler(io.Discard, true, slog.LevelInfo))
}

// BenchmarkForwardAuth compares a whole answer to a sub-request over loopback with an empty answer
// of net/http to the same bytes. Client and server share the process; `make bench` measures them
// apart.
func BenchmarkForwardAuth(b *testing.B) {
	a := newAside(b, asServed)
	head := "GET " + proxy.ForwardAuthPath + "?proxy=nginx HTTP/1.1\r\nHost: aside.test\r\nX-Forwarded-Method: " +
		"GET\r\nX-Forwarded-Host: aside.test\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 203.0.113.9\r\n" +
		"X-Forwarded-Uri: /api/flows?page=2\r\nUser-Agent: bench\r\nAccept: application/json\r\nCookie: theme=dark; " +
		a.cookie(
			"viewer",
		) + "\r\n\r\n"
	bare := httptest.NewServer(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
	)
	b.Cleanup(bare.Close)
	b.Run("204", func(b *testing.B) { repeat(b, bare.Listener.Addr().String(), head) })
	b.Run("sluice", func(b *testing.B) { repeat(b, a.front.Listener.Addr().String(), head) })
}

// repeat sends one request again and again over a connection for each processor.
func repeat(b *testing.B, address, head string) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		in := bufio.NewReader(c)
		for pb.Next() {
			if _, err := io.WriteString(c, head); err != nil {
				b.Error(err)
				return
			}
			for first := true; ; first = false {
				line, err := in.ReadString('\n')
				if err != nil || first && !strings.HasPrefix(line, "HTTP/1.1 20") {
					b.Errorf("%q, %v", line, err)
					return
				}
				if len(line) <= 2 {
					break
				}
			}
		}
	})
}

// BenchmarkForwardAuthDecision is the same without the network and the parser of net/http.
func BenchmarkForwardAuthDecision(b *testing.B) {
	a := newAside(b, asServed)
	r := httptest.NewRequest("GET", "http://aside.test"+proxy.ForwardAuthPath+"?proxy=nginx", nil)
	r.RequestURI, r.RemoteAddr, r.Header = r.URL.RequestURI(), "127.0.0.1:4711", with(
		"X-Forwarded-Method: GET",
		"X-Forwarded-Host: aside.test",
		"X-Forwarded-Proto: https",
		"X-Forwarded-For: 203.0.113.9",
		"X-Forwarded-Uri: /api/flows?page=2",
		"User-Agent: bench",
		"Accept: application/json",
		"Cookie: theme=dark; "+a.cookie("viewer"),
	)
	handler := a.proxy.ServeHost(nil)
	b.ReportAllocs()
	for b.Loop() {
		w := &emptyWriter{header: http.Header{}}
		if handler.ServeHTTP(w, r); w.status != http.StatusNoContent {
			b.Fatal(w.status)
		}
	}
}

// emptyWriter keeps the status only.
type emptyWriter struct {
	header http.Header
	status int
}

func (w *emptyWriter) Header() http.Header         { return w.header }
func (w *emptyWriter) WriteHeader(status int)      { w.status = status }
func (w *emptyWriter) Write(b []byte) (int, error) { return len(b), nil }
