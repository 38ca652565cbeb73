package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRelay_HopHeaders(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{kind: "generic"})
	f.reply(func(request) string {
		return reply(
			200,
			"x",
			"Connection: keep-alive, X-Private",
			"X-Private: 1",
			"Keep-Alive: timeout=5",
			"Proxy-Authenticate: Basic",
			"X-Kept: 1",
		)
	})
	h := with(
		"Cookie: "+w.cookie("viewer"),
		"Connection: keep-alive, X-Mine",
		"X-Mine: 1",
		"Keep-Alive: 1",
		"Te: trailers, gzip",
		"Proxy-Connection: x",
		"Trailer: X-T",
		"X-Kept: 1",
	)
	got := w.do("GET", "/x", h, "")
	log := f.take()
	if got.status != 200 || len(log) != 1 {
		t.Fatalf("status %d, %d requests", got.status, len(log))
	}
	for _, name := range []string{"X-Mine", "Keep-Alive", "Te", "Proxy-Connection", "Trailer", "Connection",
		"User-Agent"} {
		if v := log[0].req.Header.Values(name); len(v) > 0 {
			t.Errorf("the builder got %s: %q", name, v)
		}
	}
	for _, name := range []string{"X-Private", "Keep-Alive", "Proxy-Authenticate"} {
		if v := got.header.Get(name); v != "" {
			t.Errorf("the client got %s: %q", name, v)
		}
	}
	if log[0].req.Header.Get("X-Kept") != "1" || got.header.Get("X-Kept") != "1" {
		t.Error("other headers are lost")
	}
}

func TestRelay_Trailers(t *testing.T) {
	t.Parallel()
	up := startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
		w.Header().Set("X-Sum", "10000")
	})
	w := newWorld(t, up, options{kind: "generic"})
	res, c := w.open("GET", "/x", with("Cookie: "+w.cookie("viewer")), "")
	defer func() { _ = c.Close() }()
	if body, err := io.ReadAll(res.Body); err != nil || len(body) != 10_000 || res.Trailer.Get("X-Sum") != "10000" {
		t.Errorf("%d bytes, %v, trailer %v", len(body), err, res.Trailer)
	}
}

func TestRelay_EarlyAnswer(t *testing.T) {
	t.Parallel()
	up := startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	})
	w := newWorld(t, up, options{kind: "generic"})
	h := with("Cookie: "+w.cookie("admin"), "Content-Type: application/octet-stream")
	for range 20 {
		if got := w.do("POST", "/x", h, strings.Repeat("x", 3<<20)); got.status != http.StatusTeapot &&
			got.status != http.StatusBadGateway {
			t.Fatalf("status %d: %s", got.status, got.body)
		}
	}
}
