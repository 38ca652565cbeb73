package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
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

// fixture is a builder that logs each request byte for byte and answers what the test says. It behaves as Flowise where Sluice itself
// asks: version, settings, the owner's sign-in. Those calls are not logged.
type fixture struct {
	listener net.Listener
	wait     sync.WaitGroup

	mu       sync.Mutex
	log      []request
	answer   func(g request) string // a whole response; nil for the default
	token    string                 // the service session that it knows
	executed map[string]string      // execution -> flow
	bound    string                 // the flow that it wants a key of its own for
	signIns  int
	conns    map[net.Conn]bool
}

const okJSON = "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 11\r\n\r\n{\"ok\":true}"

func startFixture(t testing.TB) *fixture {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startFixtureOn(t, l)
}

func startFixtureOn(t testing.TB, l net.Listener) *fixture {
	f := &fixture{listener: l, conns: map[net.Conn]bool{}}
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
	answer, token := f.answer, f.token
	f.mu.Unlock()
	if c, err := g.req.Cookie("token"); err == nil && c.Value != token {
		return jsonReply(401, `{"message":"Invalid or Missing token"}`)
	}
	if answer != nil {
		return answer(g)
	}
	if g.req.Method == http.MethodGet && listed(g.req.URL.Path) {
		return jsonReply(200, `{"ok":true,"data":[]}`)
	}
	return okJSON
}

// ownAnswer is what the bridge and the probe ask for.
func (f *fixture) ownAnswer(g request) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if g.broken != nil || g.req.Header.Get("X-Forwarded-For") != "" {
		return "", false
	}
	known := false
	if c, err := g.req.Cookie("token"); err == nil {
		known = c.Value == f.token
	}
	if id, ok := strings.CutPrefix(g.req.URL.Path, "/api/v1/chatflows/"); ok && g.req.Method == http.MethodPut {
		return jsonReply(200, `{"id":"`+id+`","isPublic":true}`), true
	}
	if strings.HasSuffix(g.req.URL.Path, "/custom-mcp-servers") {
		return jsonReply(200, `{"data":[],"total":0}`), true
	}
	if g.req.URL.Path == "/api/v1/apikey" && known {
		return jsonReply(200, `[{"id":"k0","apiKey":"another"},{"id":"k1","apiKey":"builders-own-key"}]`), true
	}
	if listed(g.req.URL.Path) {
		return jsonReply(200, `[]`), true
	}
	if id, ok := strings.CutPrefix(g.req.URL.Path, "/api/v1/mcp-server/"); ok && known {
		return jsonReply(200, fmt.Sprintf(`{"enabled":%v,"token":"mcp-token"}`, id == f.bound)), true
	}
	if id, ok := strings.CutPrefix(g.req.URL.Path, "/api/v1/chatflows/"); ok && known {
		if id == f.bound {
			return jsonReply(200, `{"id":"`+id+`","apikeyid":"k1"}`), true
		}
		return jsonReply(200, `{"id":"`+id+`","apikeyid":null}`), true
	}
	if id, ok := strings.CutPrefix(g.req.URL.Path, "/api/v1/executions/"); ok {
		return jsonReply(200, `{"id":"`+id+`","agentflowId":"`+f.executed[id]+`"}`), true
	}
	switch g.req.URL.Path {
	case "/":
		return "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>", true
	case "/api/v1/version":
		return jsonReply(200, `{"version":"3.1.4"}`), true
	case "/api/health":
		return jsonReply(404, `{}`), true // a health check of Sluice's, in search of another builder
	case "/api/v1/settings":
		return jsonReply(200, `{"PLATFORM_TYPE":"open source"}`), true
	case "/api/v1/auth/resolve":
		return jsonReply(200, `{"redirectUrl":"/signin"}`), true
	case "/api/v1/account/logout":
		return jsonReply(200, `{"message":"logged_out","redirectTo":"/login"}`), true
	case "/api/v1/auth/login":
		f.signIns++
		f.token = fmt.Sprintf("service-%d", f.signIns)
		return jsonReply(200, `{"id":"owner-id","email":"owner@example.test","name":"owner","permissions":["organization","workspace"]}`,
			"Set-Cookie: token="+f.token+"; Path=/; HttpOnly", "Set-Cookie: refreshToken=r; Path=/; HttpOnly", "Set-Cookie: connect.sid=s; Path=/; HttpOnly"), true
	case "/api/v1/auth/permissions/API_KEY":
		if known {
			return jsonReply(200, `{}`), true
		}
		return jsonReply(401, `{"message":"Invalid or Missing token"}`), true
	case "/api/v1/auth/refreshToken":
		return jsonReply(401, `{"message":"Refresh Token Expired"}`), true
	}
	return "", false
}

// listed reports whether a path is one of Flowise's lists.
func listed(path string) bool {
	switch strings.TrimSuffix(strings.TrimPrefix(path, "/api/v1/"), "/") {
	case "chatflows", "tools", "credentials", "variables", "assistants", "document-store/store", "apikey", "marketplaces/custom", "custom-mcp-servers", "executions":
		return true
	}
	return strings.HasPrefix(path, "/api/v1/feedback/")
}

// bind makes it want a key of its own for a flow.
func (f *fixture) bind(flow string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bound = flow
}

// forget loses all sessions, as Flowise does when it is restarted without a session store.
func (f *fixture) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token = "forgotten"
}

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

func (f *fixture) signInCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.signIns
}
