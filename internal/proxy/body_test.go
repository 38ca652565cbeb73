package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/internal/proxy"
)

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{change: func(c *proxy.Config) { c.MaxBody, c.MaxStrangerBody = 64<<10, 1<<10 }})
	cookie := "Cookie: " + w.cookie("admin")
	chunked := func(n int) string { return "8000\r\n" + strings.Repeat("x", 0x8000) + "\r\n" }
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"announced": {"POST /api/v1/vector/internal-upsert/" + privateFlow + " HTTP/1.1\r\nHost: sluice.test\r\n" +
			cookie +
			"\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 70000\r\n\r\n", 413},
		"not announced": {"POST /api/v1/vector/internal-upsert/" + privateFlow + " HTTP/1.1\r\nHost: sluice.test\r\n" +
			cookie +
			"\r\nContent-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat(chunked(0x8000), 3) + "0\r\n\r\n", 413},
		"a stranger's": {"POST /api/v1/prediction/" + publicFlow + " HTTP/1.1\r\nHost: sluice.test\r\nContent-Type: " +
			"application/json\r\nContent-Length: 2000\r\n\r\n", 413},
		"a stranger's, not announced": {"POST /api/v1/prediction/" + publicFlow +
			" HTTP/1.1\r\nHost: sluice.test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
			chunked(0x8000) + "0\r\n\r\n", 413},
		"cut short": {"POST /api/v1/prediction/" + publicFlow + " HTTP/1.1\r\nHost: sluice.test\r\nContent-Type: " +
			"application/json\r\n" +
			"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\nzz\r\n", 400},
	} {
		got := w.raw(c.text, "POST")
		if got.status != c.want {
			t.Errorf("%s: status %d, want %d: %s", name, got.status, c.want, got.body)
		}
		for _, g := range f.take() {
			if g.broken == nil {
				t.Errorf("%s: the builder got a whole request: %s", name, g.raw)
			}
		}
	}
}

func TestBody_StalledSender(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{change: func(c *proxy.Config) { c.BodyTimeout = 50 * time.Millisecond }})
	c := w.dial()
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(
		c,
		"POST /api/v1/prediction/"+publicFlow+" HTTP/1.1\r\nHost: sluice.test\r\nContent-Type: "+
			"application/json\r\nContent-Length: 100\r\n\r\n{",
	)
	if all, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 400") {
		t.Errorf("%q, %v", all, err)
	}
}

func TestBody_SharedMemory(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{change: func(c *proxy.Config) { c.MaxHeld = 100 }})
	h := with("Content-Type: application/json")
	if got := w.do("POST", "/api/v1/prediction/"+publicFlow, h,
		`{"question":"`+strings.Repeat("x", 200)+`"}`); got.status != 503 ||
		got.header.Get("Retry-After") == "" {
		t.Errorf("status %d", got.status)
	}
	for range 3 { // the reserved memory is released
		if got := w.do("POST", "/api/v1/prediction/"+publicFlow, h,
			`{"question":"`+strings.Repeat("x", 60)+`"}`); got.status != 200 {
			t.Errorf("status %d: %s", got.status, got.body)
		}
	}
}

func TestBody_ByteForByte(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	body := "{ \"name\" :\t\"x\\u0041\" , \"flowData\":\"{}\",\"z\":1e3 }\n"
	for name, h := range map[string]http.Header{
		"plain": with("Cookie: "+w.cookie("admin"), "Content-Type: application/json; "+
			"charset=UTF-8"),
		"with a Connection that meddles": with("Cookie: "+w.cookie("admin"), "Content-Type: application/json",
			"Connection: content-type, content-length, x-forwarded-for, host"),
	} {
		got := w.do("PUT", "/api/v1/chatflows/"+privateFlow, h, body)
		log := f.take()
		if got.status != 200 || len(log) != 1 || string(log[0].body) != body {
			t.Fatalf("%s: %d, %d requests: %s", name, got.status, len(log), got.body)
		}
		r := log[0].req
		if r.ContentLength != int64(len(body)) ||
			!strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") ||
			r.Header.Get("X-Forwarded-For") != "127.0.0.1" {
			t.Errorf("%s: %s", name, log[0].raw)
		}
	}
}

func TestBody_TwoReadings(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	cookie := w.cookie("admin")
	for name, c := range map[string]struct{ contentType, extra, body string }{
		"a form":               {"application/x-www-form-urlencoded", "", "isPublic=true"},
		"a form with files":    {"multipart/form-data; boundary=b", "", "--b--"},
		"text":                 {"text/plain", "", `{"isPublic":true}`},
		"no type":              {"", "", `{"isPublic":true}`},
		"UTF-16":               {"application/json; charset=utf-16", "", "{}"},
		"compressed":           {"application/json", "Content-Encoding: gzip", "\x1f\x8b"},
		"compressed, in words": {"application/json", "Content-Encoding: identity", "{}"},
		"a key twice":          {"application/json", "", `{"isPublic":false,"isPublic":true}`},
		"a list":               {"application/json", "", `[{"isPublic":true}]`},
		"two types":            {"application/json", "Content-Type: text/plain", `{}`},
	} {
		h := with("Cookie: " + cookie)
		if c.contentType != "" {
			h["Content-Type"] = []string{c.contentType}
		}
		if c.extra != "" {
			name, v, _ := strings.Cut(c.extra, ": ")
			h[name] = append(h[name], v)
		}
		if got := w.do("PUT", "/api/v1/chatflows/"+privateFlow, h, c.body); got.status != 400 {
			t.Errorf("%s: status %d: %s", name, got.status, got.body)
		}
	}
	if log := f.take(); len(log) > 0 {
		t.Errorf("the builder got %q", log[0].raw)
	}
}

func TestBody_ExpectContinue(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{kind: "generic"})
	got := w.do("POST", "/x", with("Cookie: "+w.cookie("admin"), "Expect: 100-continue"), "hello")
	if log := f.take(); got.status != 100 && got.status != 200 ||
		len(log) == 1 && log[0].req.Header.Get("Expect") != "" {
		t.Errorf("status %d, %d requests", got.status, len(log))
	}
}
