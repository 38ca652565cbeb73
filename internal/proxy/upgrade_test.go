package proxy_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/internal/authz"
)

// startEcho is a builder with a WebSocket that sends back the bytes of its frames (RFC 6455 section
// 4.2.2 for the handshake).
func startEcho(t testing.TB) handlerServer {
	return startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			_, _ = io.WriteString(w, "plain")
			return
		}
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = rw.WriteString(
			"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
				base64.StdEncoding.EncodeToString(sum[:]) + "\r\nSet-Cookie: sluice_session=planted\r\n\r\n",
		)
		_ = rw.Flush()
		_, _ = io.Copy(c, rw)
	})
}

func handshake(origin, cookie string) http.Header {
	h := with(
		"Connection: Upgrade",
		"Upgrade: websocket",
		"Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: c2x1aWNlLW1hcmtlci0wMQ==",
		"Cookie: "+cookie,
	)
	if origin != "" {
		h.Set("Origin", origin)
	}
	return h
}

// upgrade opens a WebSocket through the proxy.
func (w *world) upgrade(h http.Header) (net.Conn, *bufio.Reader, *http.Response) {
	w.t.Helper()
	c := w.dial()
	text := "GET /socket HTTP/1.1\r\nHost: sluice.test\r\n"
	for name, v := range h {
		text += name + ": " + v[0] + "\r\n"
	}
	_, _ = io.WriteString(c, text+"\r\n")
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return c, in, res
}

func TestUpgrade_WebSocket(t *testing.T) {
	w := newWorld(t, startEcho(t), options{kind: "generic"})
	token, session := w.session("viewer")
	c, in, res := w.upgrade(handshake(appOrigin, "__Host-sluice_session="+token))
	defer func() { _ = c.Close() }()
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-WebSocket-Accept") == "" {
		t.Fatalf("status %d, header %v", res.StatusCode, res.Header)
	}
	if res.Header.Get("Set-Cookie") != "" {
		t.Error("the builder's answer planted a cookie of Sluice's")
	}
	frame := "\x81\x85\x00\x00\x00\x00hello"
	for range 3 {
		_, _ = io.WriteString(c, frame)
		back := make([]byte, len(frame))
		if _, err := io.ReadFull(in, back); err != nil || string(back) != frame {
			t.Fatalf("echo %q, %v", back, err)
		}
	}
	start := time.Now()
	if err := w.sessions.Revoke(context.Background(), authz.SystemPrincipal("test"), session); err != nil {
		t.Fatal(err)
	}
	if _, err := in.ReadByte(); err == nil || time.Since(start) > time.Second {
		t.Errorf("the connection outlives its session: %v after %v", err, time.Since(start))
	}
	eventually(t, "the log line", func() bool { return strings.Contains(w.log.String(), "status=101") })
	if n := gauge(t, w, "sluice_proxy_streams"); n != 0 {
		t.Errorf("%v streams are counted after the end", n)
	}
}

func TestUpgrade_OtherOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startEcho(t), options{kind: "generic"})
	for name, c := range map[string]struct {
		header http.Header
		want   int
	}{
		"another site":          {handshake("https://evil.example", w.cookie("viewer")), 403},
		"the same host, http":   {handshake("http://sluice.test", w.cookie("viewer")), 403},
		"another port":          {handshake("https://sluice.test:8443", w.cookie("viewer")), 403},
		"null":                  {handshake("null", w.cookie("viewer")), 403},
		"none":                  {handshake("", w.cookie("viewer")), 403},
		"sluice's own pages":    {handshake(mainOrigin, w.cookie("viewer")), 403},
		"a stranger":            {handshake(appOrigin, "x=y"), 401},
		"somebody with no role": {handshake(appOrigin, w.cookie("none")), 403},
		"h2c": {with("Connection: Upgrade", "Upgrade: h2c", "Origin: "+appOrigin,
			"Cookie: "+w.cookie("viewer")), 400},
		"two protocols": {with("Connection: Upgrade", "Upgrade: websocket, h2c", "Origin: "+appOrigin,
			"Cookie: "+w.cookie("viewer")), 400},
	} {
		conn, _, res := w.upgrade(c.header)
		if res.StatusCode != c.want {
			t.Errorf("%s: status %d, want %d", name, res.StatusCode, c.want)
		}
		_ = conn.Close()
	}
}

func TestUpgrade_Flowise(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startFixture(t), options{})
	if got := w.do("GET", "/api/v1/ping", handshake(appOrigin, w.cookie("admin")), ""); got.status != 400 {
		t.Errorf("status %d", got.status)
	}
}
