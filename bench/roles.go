package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"sluice/internal/proxy"
)

// roleVariable makes this program play a role in a separate process: "upstream", "bare" or "empty".
const roleVariable = "SLUICE_BENCH_ROLE"

// play runs a role. It prints its address and exits when its standard input is closed, so that no
// process is left behind.
func play(role string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	switch role {
	case "upstream":
		return upstream(l)
	case "empty":
		return empty(l)
	case "bare":
		return bare(l, os.Getenv("SLUICE_BENCH_TARGET"))
	}
	return errors.New("no such role")
}

// buffers is the pool that both sides of the comparison use.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if v, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return v[:]
	}
	return new([32 << 10]byte)[:]
}

func (b *buffers) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }

// bare is the baseline for Sluice: forwarding alone.
func bare(l net.Listener, target string) error {
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(u); r.SetXForwarded() },
		Transport:  proxy.NewTransport(time.Minute),
		BufferPool: &buffers{},
	}}
	return s.Serve(l)
}

// answer is an HTTP response with 1 KiB of JSON.
var answer = func() string {
	body := `{"data":"` + strings.Repeat("x", 1024-11) + `"}`
	return fmt.Sprintf(
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		len(body),
		body,
	)
}()

// The number of events in a stream, and the pause between two.
const (
	streamEvents = 5
	streamPause  = 3 * time.Millisecond
)

// upstream answers every request by hand, to cost as little as possible: the same JSON for all, and
// a stream at /stream.
func upstream(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go serveRaw(c)
	}
}

func serveRaw(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	for {
		first := true
		stream := false
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return
			}
			if first {
				stream = strings.HasPrefix(string(line), "GET /stream ")
				first = false
			}
			if len(line) <= 2 {
				break
			}
		}
		reply := func() error { _, err := io.WriteString(c, answer); return err }
		if stream {
			reply = func() error { return sendEvents(c) }
		}
		if reply() != nil {
			return
		}
	}
}

func sendEvents(c net.Conn) error {
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "+
		"chunked\r\n\r\n"); err != nil {
		return err
	}
	for range streamEvents {
		if _, err := io.WriteString(c, "9\r\ndata: x\n\n\r\n"); err != nil {
			return err
		}
		time.Sleep(streamPause)
	}
	_, err := io.WriteString(c, "0\r\n\r\n")
	return err
}
