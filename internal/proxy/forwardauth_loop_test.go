package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/profile"
	"sluice/internal/proxy"
)

// lines of a sub-request about GET /flows, without the empty line at its end.
func subRequest(cookie string, more ...string) string {
	return "GET " + proxy.ForwardAuthPath + " HTTP/1.1\r\nHost: aside.test\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Host: aside.test\r\nX-Forwarded-Uri: /flows\r\nX-Forwarded-For: 203.0.113.9\r\nCookie: " + cookie + "\r\n" +
		strings.Join(append(more, ""), "\r\n")
}

// said is the part of an answer that does not change from one to the next.
type said struct {
	Status int
	User   string
	Body   bool
}

// answers reads all answers that come.
func answers(in *bufio.Reader) (out []said) {
	for {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			return out
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return out
		}
		out = append(out, said{res.StatusCode, res.Header.Get(profile.HeaderUser), len(body) > 0})
	}
}

// send writes pieces to a new connection, says that no more will come, and returns what is answered.
func send(t testing.TB, address string, pieces ...string) []said {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	go func() {
		for _, piece := range pieces {
			if _, err := io.WriteString(c, piece); err != nil {
				return
			}
		}
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	return answers(bufio.NewReader(c))
}

// A connection over which a reverse proxy asks may carry anything in between.
func TestForwardAuthConnectionsCarryEverything(t *testing.T) {
	a := newAside(t, nil)
	address, cookie := a.front.Listener.Addr().String(), a.cookie("viewer")
	yes, no := said{204, "viewer", false}, said{401, "", true}
	ask, stranger := subRequest(cookie)+"\r\n", subRequest("a=b")+"\r\n"
	own := "GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n"
	itself := said{200, "", true}
	for _, tt := range []struct {
		name   string
		pieces []string
		want   []said
	}{
		{"one after the other", []string{ask, ask, stranger, ask}, []said{yes, yes, no, yes}},
		{"all at once", []string{ask + ask + stranger + own + ask}, []said{yes, yes, no, itself, yes}},
		{"byte by byte", strings.Split(ask+own+ask+stranger, ""), []said{yes, itself, yes, no}},
		{"Sluice's own pages in between", []string{own, ask, own, own, ask, ask, own}, []said{itself, yes, itself, itself, yes, yes, itself}},
		{"the app's entrance", []string{ask, "GET /.sluice/enter HTTP/1.1\r\nHost: aside.test\r\nAccept: text/html\r\n\r\n", ask}, []said{yes, {303, "", false}, yes}},
		{"a body", []string{ask, subRequest(cookie, "Content-Length: 5") + "\r\nhello" + ask}, []said{yes, yes, yes}},
		{"a body in chunks", []string{ask, subRequest(cookie, "Transfer-Encoding: chunked") + "\r\n5\r\nhello\r\n0\r\n\r\n" + ask}, []said{yes, yes, yes}},
		{"an empty body", []string{ask, subRequest(cookie, "Content-Length: 0") + "\r\n", ask}, []said{yes, yes, yes}},
		{"another method", []string{ask, strings.Replace(ask, "GET", "POST", 1), ask}, []said{yes, yes, yes}},
		{"the last one", []string{ask, subRequest(cookie, "Connection: close") + "\r\n", ask}, []said{yes, yes}},
		{"HTTP/1.0", []string{ask, strings.Replace(ask, "HTTP/1.1", "HTTP/1.0", 1), ask}, []said{yes, yes}},
		{"two hosts", []string{ask, subRequest(cookie, "Host: other.test") + "\r\n", ask}, []said{yes, {400, "", true}}},
		{"no host", []string{ask, strings.Replace(ask, "Host: aside.test\r\nX-Forwarded-M", "X-Forwarded-M", 1)}, []said{yes, {400, "", true}}},
		{"a long head", []string{ask, subRequest(cookie, "X-Long: "+strings.Repeat("a", 40<<10)) + "\r\n"}, []said{yes, {431, "", true}}},
		{"a large head", []string{ask, subRequest(cookie, "X-Large: "+strings.Repeat("a", 20<<10)) + "\r\n", ask}, []said{yes, yes, yes}},
		{"no request", []string{ask, "hello\r\n\r\n"}, []said{yes, {400, "", true}}},
		{"a control character", []string{ask, subRequest(cookie, "X-Bell: \a") + "\r\n"}, []said{yes, {400, "", true}}},
		{"half a request", []string{ask, "GET /forward-auth HTT"}, []said{yes}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := send(t, address, tt.pieces...)
			if tt.name == "half a request" && len(got) == 2 && got[1].Status == 400 {
				got = got[:1] // net/http says so if the beginning has reached it
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestForwardAuthConnectionsEndWithTheServer(t *testing.T) {
	a := newAside(t, nil)
	ask := subRequest(a.cookie("viewer")) + "\r\n"
	var open []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", a.front.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(c, ask); err != nil {
			t.Fatal(err)
		}
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	a.proxy.Close()
	for _, c := range open {
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
	}
	if got := send(t, a.front.Listener.Addr().String(), ask); len(got) != 1 || got[0].Status != 204 {
		t.Errorf("net/http alone answers %+v", got)
	}
}

// noHijack hides that a connection could be taken over.
type noHijack struct{ http.ResponseWriter }

// FuzzForwardAuthConnection holds a connection that was taken over against net/http: to whatever comes after a sub-request both give the same answers, in number, status and person.
func FuzzForwardAuthConnection(f *testing.F) {
	a := newAside(f, nil)
	handler := a.proxy.ServeHost(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "sluice itself") }))
	plain := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(noHijack{w}, r) }))
	proxy.Harden(plain.Config)
	plain.Config.ErrorLog = a.front.Config.ErrorLog
	plain.Start()
	f.Cleanup(plain.Close)
	ask := subRequest(a.cookie("viewer")) + "\r\n"
	own := "GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n"
	for _, seed := range []string{
		ask, own, ask + own + ask, strings.Replace(ask, "\r\n", "\n", 1), strings.ReplaceAll(ask, "\r\n", "\n"), subRequest("x", "Content-Length: 3") + "\r\nabc" + ask, subRequest("x", "Transfer-Encoding: chunked") + "\r\n0\r\n\r\n" + ask,
		subRequest("x", "X-Folded: a", " b") + "\r\n" + ask, subRequest("x", "Host: a") + "\r\n", subRequest("x", "Host : a") + "\r\n", "GET /forward-auth?proxy=nginx HTTP/1.1\r\nHost: aside.test\r\n\r\n", "\r\n" + ask, subRequest("x", "Expect: 100-continue") + "\r\n",
		"GET http://aside.test/forward-auth HTTP/1.1\r\nHost: aside.test\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", subRequest("x", "X: \x00") + "\r\n", subRequest("x", "Connection: keep-alive") + "\r\n" + ask, "GET /forward-auth HTTP/1.1\r\n\r\n", "0", "\n\n", "\n\n" + ask,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, more string) {
		want := send(t, plain.Listener.Addr().String(), ask+more)
		got := send(t, a.front.Listener.Addr().String(), ask+more)
		for i := range min(len(want), len(got)) {
			if want[i].Status == http.StatusInternalServerError || got[i].Status == http.StatusInternalServerError {
				// A page is not finished for somebody who is gone, which net/http notices sooner or later.
				want[i], got[i] = said{}, said{}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("after a sub-request, %s: %s", fmt.Sprintf("%.400q", more), diff)
		}
	})
}
