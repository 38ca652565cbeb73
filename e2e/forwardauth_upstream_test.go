//go:build e2e

package e2e

import (
	"bufio"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// backend is an app behind a reverse proxy. It reports the requests that it gets, streams, uses
// WebSocket and accepts uploads.
type backend struct {
	*httptest.Server
	conns atomic.Int64  // connections that were opened
	hits  atomic.Int64  // requests that arrived
	next  chan struct{} // lets the next event of the stream out
	begun chan int      // the size of an upload's first piece
}

// got is what arrived at a backend.
type got struct {
	Method, URI, Host string
	Header            http.Header
	Sum               string
	Length            int64
}

func startBackend(t testing.TB) *backend {
	t.Helper()
	b := &backend{next: make(chan struct{}), begun: make(chan int, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("/", b.tell)
	mux.HandleFunc("/stream", b.stream)
	mux.HandleFunc("/ws", b.webSocket)
	mux.HandleFunc("/upload", b.upload)
	b.Server = httptest.NewUnstartedServer(mux)
	b.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			b.conns.Add(1)
		}
	}
	b.Start()
	t.Cleanup(b.Close)
	return b
}

func (b *backend) host() string { return b.Listener.Addr().String() }

func (b *backend) tell(w http.ResponseWriter, r *http.Request) {
	b.hits.Add(1)
	w.Header().Set("Content-Type", "application/json")
	if status, err := strconv.Atoi(r.URL.Query().Get("status")); err == nil {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "the app's own words")
		return
	}
	_ = json.NewEncoder(w).Encode(got{Method: r.Method, URI: r.RequestURI, Host: r.Host, Header: r.Header})
}

// stream sends three events. The reader of each event triggers the next one, so a proxy that holds
// events back never sees the second.
func (b *backend) stream(w http.ResponseWriter, r *http.Request) {
	b.hits.Add(1)
	w.Header().Set("Content-Type", "text/event-stream")
	for i := 1; i <= 3; i++ {
		if i > 1 {
			select {
			case <-b.next:
			case <-r.Context().Done():
				return
			}
		}
		fmt.Fprintf(w, "data: %d\n\n", i)
		_ = http.NewResponseController(w).Flush()
	}
}

// upload says when the first piece has arrived, and hashes all of it.
func (b *backend) upload(w http.ResponseWriter, r *http.Request) {
	b.hits.Add(1)
	first := make([]byte, 16<<10)
	n, err := io.ReadFull(r.Body, first)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.begun <- n
	sum := sha256.New()
	_, _ = sum.Write(first)
	rest, err := io.Copy(sum, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_ = json.NewEncoder(w).
		Encode(got{Method: r.Method, Header: r.Header, Sum: hex.EncodeToString(sum.Sum(nil)), Length: int64(n) + rest})
}

// webSocket answers the handshake (RFC 6455 section 4.2.2) and sends every short text frame back,
// unmasked.
func (b *backend) webSocket(w http.ResponseWriter, r *http.Request) {
	b.hits.Add(1)
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") ||
		!strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade") {
		http.Error(w, fmt.Sprintf("no handshake: %v", r.Header), http.StatusBadRequest)
		return
	}
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer c.Close()
	fmt.Fprintf(
		rw,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
			"%s\r\nX-Seen-User: %s\r\n\r\n",
		accept(r.Header.Get("Sec-Websocket-Key")),
		r.Header.Get("X-Sluice-User"),
	)
	for rw.Flush() == nil {
		text, err := readFrame(rw.Reader)
		if err != nil {
			return
		}
		_, _ = rw.Write(append([]byte{0x81, byte(len(text))}, text...))
	}
}

// accept is Sec-WebSocket-Accept for a key.
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// readFrame reads one frame of less than 126 bytes, masked or not (RFC 6455 section 5.2).
func readFrame(r *bufio.Reader) ([]byte, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	var mask [4]byte
	if head[1]&0x80 != 0 {
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return nil, err
		}
	}
	text := make([]byte, head[1]&0x7f)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, err
	}
	for i := range text {
		text[i] ^= mask[i%4]
	}
	return text, nil
}

// counter passes bytes on to an address and counts the connections.
type counter struct {
	net.Listener
	conns atomic.Int64
}

func startCounter(t testing.TB, to string) *counter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			c.conns.Add(1)
			go relay(in, to)
		}
	}()
	return c
}

func relay(in net.Conn, to string) {
	defer in.Close()
	out, err := net.DialTimeout("tcp", to, 5*time.Second)
	if err != nil {
		return
	}
	defer out.Close()
	go func() {
		_, _ = io.Copy(out, in)
		_ = out.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(in, out)
}
