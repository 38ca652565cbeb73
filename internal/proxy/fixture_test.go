package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"sluice/internal/builder/flowise/flowisetest"
)

// request is one request as it arrived at the fixture.
type request struct {
	raw    string // the head, byte for byte
	req    *http.Request
	body   []byte
	broken error // what made the bytes no request
}

// target is the request target on the wire.
func (g request) target() string { return g.req.RequestURI }

// fixture is a builder that logs each request byte for byte and answers what the test says. Where
// Sluice itself asks it is a Flowise; those calls are not logged.
type fixture struct {
	listener net.Listener
	wait     sync.WaitGroup

	flowise *flowisetest.Server

	mu     sync.Mutex
	log    []request
	answer func(g request) string // a whole response; nil for the default
	conns  map[net.Conn]bool
}

const okJSON = "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: " +
	"11\r\n\r\n{\"ok\":true}"

func startFixture(t testing.TB) *fixture {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startFixtureOn(t, l)
}

func startFixtureOn(t testing.TB, l net.Listener) *fixture {
	f := &fixture{listener: l, flowise: flowisetest.New(), conns: map[net.Conn]bool{}}
	// The world's clock is its own.
	f.flowise.Now, f.flowise.Email, f.flowise.Password = nil, "owner@example.test", "Owner-Password-1"
	f.wait.Add(1)
	go f.accept()
	t.Cleanup(f.stop)
	return f
}

func (f *fixture) url() *url.URL { return &url.URL{Scheme: "http", Host: f.listener.Addr().String()} }

// stop closes the listener and all connections, as a killed builder would.
func (f *fixture) stop() {
	_ = f.listener.Close()
	f.mu.Lock()
	for c := range f.conns {
		_ = c.Close()
	}
	f.mu.Unlock()
	f.wait.Wait()
}

func (f *fixture) accept() {
	defer f.wait.Done()
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns[c] = true
		f.mu.Unlock()
		f.wait.Add(1)
		go f.serve(c)
	}
}

func (f *fixture) serve(c net.Conn) {
	defer f.wait.Done()
	defer func() { _ = c.Close() }()
	var raw bytes.Buffer
	in := bufio.NewReader(io.TeeReader(c, &raw))
	for {
		req, err := http.ReadRequest(in)
		if err == io.EOF {
			return
		}
		if err != nil {
			if raw.Len() > in.Buffered() {
				f.add(request{raw: raw.String(), broken: err})
			}
			return
		}
		head := raw.String()[:raw.Len()-in.Buffered()]
		body, err := io.ReadAll(req.Body)
		g := request{raw: head, req: req, body: body, broken: err}
		raw.Reset()
		_, _ = raw.Write(peekBuffered(in))
		answer, internal := f.ownAnswer(g)
		if !internal {
			f.add(g)
			answer = f.answerTo(g)
		}
		if req.Method == http.MethodHead {
			head, _, _ := strings.Cut(answer, "\r\n\r\n")
			answer = head + "\r\n\r\n"
		}
		if _, err := io.WriteString(c, answer); err != nil || strings.Contains(answer, "Connection: close") {
			return
		}
	}
}

func peekBuffered(r *bufio.Reader) []byte {
	b, _ := r.Peek(r.Buffered())
	return b
}

func (f *fixture) add(g request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, g)
}

func (f *fixture) answerTo(g request) string {
	f.mu.Lock()
	answer := f.answer
	f.mu.Unlock()
	if _, err := g.req.Cookie("token"); err == nil && !f.flowise.Knows(g.req) {
		return jsonReply(401, `{"message":"Invalid or Missing token"}`)
	}
	if answer != nil {
		return answer(g)
	}
	if g.req.Method == http.MethodGet && flowisetest.IsList(g.req.URL.Path) {
		return jsonReply(200, `{"ok":true,"data":[]}`)
	}
	return okJSON
}

// ownAnswer is what the bridge and the probe ask for.
func (f *fixture) ownAnswer(g request) (string, bool) {
	switch {
	case g.broken != nil || g.req.Header.Get("X-Forwarded-For") != "":
		return "", false
	case g.req.URL.Path == "/api/health":
		return jsonReply(404, `{}`), true // a health check of Sluice's, in search of another builder
	}
	answer := httptest.NewRecorder()
	r := g.req.Clone(context.Background())
	r.Body = io.NopCloser(bytes.NewReader(g.body))
	if !f.flowise.Serve(answer, r) {
		return "", false
	}
	var header []string
	for name, values := range answer.Header() {
		for _, v := range values {
			header = append(header, name+": "+v)
		}
	}
	return reply(answer.Code, answer.Body.String(), header...), true
}

// bind makes it want a key of its own for a flow.
func (f *fixture) bind(flow string) { f.flowise.With(func() { f.flowise.Bound = flow }) }

// forget loses all sessions, as Flowise does when it is restarted without a session store.
func (f *fixture) forget() { f.flowise.ForgetSessions() }

// reply sets the answer to proxied requests; nil for the default.
func (f *fixture) reply(answer func(g request) string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// take returns what was logged since the last call.
func (f *fixture) take() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	log := f.log
	f.log = nil
	return log
}

func jsonReply(status int, body string, header ...string) string {
	return reply(status, body, append(header, "Content-Type: application/json; charset=utf-8")...)
}

func reply(status int, body string, header ...string) string {
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: %d\r\n", status, http.StatusText(status), len(body))
	for _, h := range header {
		head += h + "\r\n"
	}
	return head + "\r\n" + body
}

func (f *fixture) signInCount() int64 { return f.flowise.SignIns() }
