package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sluice/internal/authz"
)

// handlerServer is a builder made of a handler.
type handlerServer struct{ *httptest.Server }

func (h handlerServer) url() *url.URL {
	u, _ := url.Parse(h.URL)
	return u
}

func startHandler(t testing.TB, h http.HandlerFunc) handlerServer {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return handlerServer{s}
}

// streamer sends one event for each value of the channel, and tells when a request has come and
// when it has ended.
func streamer(t testing.TB) (server handlerServer, events chan<- string, arrived, ended <-chan struct{}) {
	t.Helper()
	feed, come, over := make(chan string), make(chan struct{}, 16), make(chan struct{}, 16)
	server = startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Forwarded-For") == "" {
			return // the probe
		}
		defer func() { over <- struct{}{} }()
		_, _ = io.Copy(io.Discard, r.Body)
		come <- struct{}{}
		if r.URL.Path != "/silent" {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
		}
		for {
			select {
			case e := <-feed:
				_, _ = fmt.Fprintf(w, "data: %s\n\n", e)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
	return server, feed, come, over
}

// open sends a request and leaves the answer open.
func (w *world) open(method, target string, header http.Header, body string) (*http.Response, net.Conn) {
	w.t.Helper()
	c := w.dial()
	text := method + " " + target + " HTTP/1.1\r\nHost: " + appHost + "\r\n"
	for name, values := range header {
		text += name + ": " + values[0] + "\r\n"
	}
	if body != "" {
		text += "Content-Length: " + itoa(len(body)) + "\r\n"
	}
	if _, err := io.WriteString(c, text+"\r\n"+body); err != nil {
		w.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		w.t.Fatal(err)
	}
	return res, c
}

func TestStream_NoBuffering(t *testing.T) {
	t.Parallel()
	up, events, _, _ := streamer(t)
	w := newWorld(t, up, options{kind: "generic"})
	res, c := w.open("GET", "/events", with("Cookie: "+w.cookie("viewer")), "")
	defer func() { _ = c.Close() }()
	if res.StatusCode != 200 || res.Header.Get("X-Accel-Buffering") != "no" {
		t.Fatalf("status %d, header %v", res.StatusCode, res.Header)
	}
	in := bufio.NewReader(res.Body)
	for i := range 5 {
		events <- itoa(i)
		for _, want := range []string{"data: " + itoa(i) + "\n", "\n"} {
			if line, err := in.ReadString('\n'); err != nil || line != want {
				t.Fatalf("event %d: %q, %v", i, line, err)
			}
		}
	}
	if n := gauge(t, w, "sluice_proxy_streams"); n != 1 {
		t.Errorf("%v streams are counted", n)
	}
}

func TestStream_SessionRevoked(t *testing.T) {
	for name, c := range map[string]struct{ method, target string }{
		"event stream":                 {"GET", "/events"},
		"answer to a POST":             {"POST", "/events"},
		"waiting for the first byte":   {"POST", "/silent"},
		"stream of unknown life (GET)": {"GET", "/stream"},
	} {
		t.Run(name, func(t *testing.T) {
			up, _, arrived, ended := streamer(t)
			w := newWorld(t, up, options{kind: "generic"})
			token, session := w.session("admin")
			conn := w.dial()
			defer func() { _ = conn.Close() }()
			_, err := io.WriteString(
				conn,
				c.method+" "+c.target+" HTTP/1.1\r\nHost: sluice.test\r\n"+
					"Cookie: __Host-sluice_session="+token+"\r\nContent-Length: 0\r\n\r\n",
			)
			if err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(conn)
			if c.target != "/silent" {
				if _, err := http.ReadResponse(in, nil); err != nil {
					t.Fatal(err)
				}
			} else {
				<-arrived
			}
			start := time.Now()
			if err := w.sessions.Revoke(context.Background(), authz.SystemPrincipal("test"), session); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(time.Second):
				t.Fatal("the builder still streams a second after the session has ended")
			}
			if c.target == "/silent" {
				if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != 401 {
					t.Errorf("whoever waited for the first byte gets %v, %v", res, err)
				}
			} else if _, err := io.ReadAll(in); err != nil {
				t.Error(err)
			}
			if time.Since(start) > time.Second {
				t.Error("the client waited for more than a second")
			}
			eventually(
				t,
				"the log line",
				func() bool { return strings.Contains(w.log.String(), `reason="session ended"`) },
			)
		})
	}
}

func TestStream_Stranger(t *testing.T) {
	t.Parallel()
	up, events, _, _ := streamer(t)
	w := newWorld(t, up, options{})
	res, c := w.open(
		"POST",
		"/api/v1/prediction/"+publicFlow,
		with("Content-Type: application/json"),
		`{"streaming":true}`,
	)
	events <- "x"
	if line, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil || line != "data: x\n" {
		t.Fatalf("%q, %v", line, err)
	}
	_ = c.Close()
	eventually(t, "the log line", func() bool { return strings.Contains(w.log.String(), `reason="client gone"`) })
}

func TestStream_ClientLeaves(t *testing.T) {
	t.Parallel()
	up, _, _, ended := streamer(t)
	w := newWorld(t, up, options{kind: "generic"})
	_, c := w.open("GET", "/events", with("Cookie: "+w.cookie("viewer")), "")
	_ = c.Close()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("the builder goes on streaming to nobody")
	}
}

func TestStream_Broken(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	f.reply(func(request) string {
		return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
			"100\r\n\r\n{\"half\":"
	})
	c := w.dial()
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(
		c,
		"GET /api/v1/nodes HTTP/1.1\r\nHost: sluice.test\r\nCookie: "+w.cookie("viewer")+"\r\n\r\n",
	)
	if res, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
		if body, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("half an answer looks like a whole one: %q", body)
		}
	}
	eventually(t, "the log line", func() bool { return strings.Contains(w.log.String(), `reason="builder broke off"`) })
}
