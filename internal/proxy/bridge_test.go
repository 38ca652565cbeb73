package proxy_test

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/proxy"
)

// old lets the bridge's session reach the age at which a 401 makes it doubt the session.
func (w *world) old(f *fixture) {
	w.t.Helper()
	if got := w.do("GET", "/api/v1/chatflows", with("Cookie: "+w.cookie("viewer")), ""); got.status != 200 {
		w.t.Fatalf("status %d", got.status)
	}
	w.clock.advance(time.Minute)
	f.take()
}

func TestBridge_RepeatAfterLostSession(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ method, path, contentType, body string }{
		"without a body":    {"GET", "/api/v1/chatflows", "", ""},
		"with an inspected": {"PUT", "/api/v1/chatflows/" + privateFlow, "application/json", `{"name":"x"}`},
		"with a short one": {"POST", "/api/v1/internal-prediction/" + privateFlow, "application/json",
			`{"question":"hi"}`},
		"with a short other": {"POST", "/api/v1/internal-prediction/" + privateFlow, "multipart/form-data; boundary=b",
			"--b--\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := startFixture(t)
			w := newWorld(t, f, options{})
			w.old(f)
			f.forget()
			h := with("Cookie: "+w.cookie("admin"), "Origin: "+appOrigin)
			if c.contentType != "" {
				h.Set("Content-Type", c.contentType)
			}
			got := w.do(c.method, c.path, h, c.body)
			log := f.take()
			if got.status != 200 || len(log) != 2 {
				t.Fatalf("status %d after %d tries: %s", got.status, len(log), got.body)
			}
			for _, g := range log {
				if string(g.body) != c.body || g.req.Header.Get("X-Forwarded-For") != "127.0.0.1" ||
					len(g.req.Header.Values("Cookie")) != 1 {
					t.Errorf("a try differs: %s%s", g.raw, g.body)
				}
			}
			if n := gauge(t, w, "sluice_proxy_session_renewals_total"); n != 1 {
				t.Errorf("%v renewals are counted", n)
			}
		})
	}
}

func TestBridge_RepeatLongBody(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	w.old(f)
	f.forget()
	h := with("Cookie: "+w.cookie("admin"), "Content-Type: multipart/form-data; boundary=b", "Origin: "+appOrigin)
	got := w.do("POST", "/api/v1/vector/internal-upsert/"+privateFlow, h, strings.Repeat("x", 100<<10))
	if log := f.take(); got.status != 200 || len(log) != 2 || len(log[1].body) != 100<<10 {
		t.Errorf("status %d after %d tries: %s", got.status, len(log), got.body)
	}
}

func TestBridge_Builder401(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	w.old(f)
	f.reply(func(request) string { return jsonReply(401, `{"message":"Invalid or Missing token"}`) })
	got := w.do("GET", "/api/v1/chatflows", with("Cookie: "+w.cookie("viewer")), "")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("status %d: %s", got.status, got.body)
	}
}

func TestBridge_RenewOnce(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	w.old(f)
	f.forget()
	before := f.signInCount()
	cookie := w.cookie("viewer")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got := w.do("GET", "/api/v1/chatflows", with("Cookie: "+cookie), ""); got.status != 200 {
				t.Errorf("status %d", got.status)
			}
		})
	}
	all.Wait()
	if n := f.signInCount() - before; n != 1 {
		t.Errorf("%d sign-ins, want 1", n)
	}
}

func TestBridge_BuilderDown(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	cookie := w.cookie("viewer")
	w.old(f)
	address := f.listener.Addr().String()
	f.stop()
	call := w.do("GET", "/api/v1/chatflows", with("Cookie: "+cookie), "")
	if call.status != 503 || call.header.Get("Retry-After") == "" || !strings.Contains(call.body, `"statusCode":503`) {
		t.Errorf("a call gets %d %v %s", call.status, call.header, call.body)
	}
	page := w.do("GET", "/chatflows", with("Cookie: "+cookie, "Accept: text/html", "Sec-Fetch-Mode: navigate"), "")
	if page.status != 503 || !strings.Contains(page.body, "Flowise") ||
		!strings.HasPrefix(page.header.Get("Content-Type"), "text/html") {
		t.Errorf("a navigation gets %d %s", page.status, page.body)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	startFixtureOn(t, l)
	w.clock.advance(time.Minute)
	if again := w.do("GET", "/api/v1/chatflows", with("Cookie: "+cookie), ""); again.status != 200 {
		t.Errorf("after the restart: %d %s", again.status, again.body)
	}
}

func TestBridge_NoAnswer(t *testing.T) {
	t.Parallel()
	up := startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Forwarded-For") != "" {
			<-r.Context().Done()
		}
	})
	w := newWorld(
		t,
		up,
		options{kind: "generic", change: func(c *proxy.Config) { c.HeaderTimeout = 50 * time.Millisecond }},
	)
	if got := w.do("GET", "/slow", with("Cookie: "+w.cookie("viewer")), ""); got.status != http.StatusGatewayTimeout {
		t.Errorf("status %d", got.status)
	}
}

func TestBridge_NotHTTP(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	f.reply(func(request) string { return "SSH-2.0-OpenSSH\r\n\r\nConnection: close" })
	if got := w.do("GET", "/api/v1/chatflows", with("Cookie: "+w.cookie("viewer")),
		""); got.status != http.StatusBadGateway {
		t.Errorf("status %d", got.status)
	}
}

func TestBridge_NoOwnerAccount(t *testing.T) {
	t.Parallel()
	up := startHandler(t, func(w http.ResponseWriter, r *http.Request) {})
	w := newWorld(t, up, options{})
	got := w.do("GET", "/api/v1/chatflows", with("Cookie: "+w.cookie("admin")), "")
	if got.status != 503 || !strings.Contains(got.body, "no account") {
		t.Errorf("status %d: %s", got.status, got.body)
	}
}
