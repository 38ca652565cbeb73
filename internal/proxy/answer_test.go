package proxy_test

import (
	"strings"
	"testing"
)

func TestAnswer_RemovedHeaders(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{kind: "generic"})
	f.reply(func(request) string {
		return reply(
			200,
			"<p>hi</p>",
			"Content-Type: text/html",
			"Server: Express",
			"X-Powered-By: Express",
			"Access-Control-Allow-Origin: *",
			"Access-Control-Allow-Credentials: true",
			"X-Frame-Options: ALLOWALL",
			"Strict-Transport-Security: max-age=0",
			"Set-Cookie: own=1; Path=/; Domain=test; HttpOnly",
			"Set-Cookie: __Host-sluice_session=planted; Path=/",
			"Set-Cookie: SLUICE_session=planted",
			"Set-Cookie: __Secure-sluice_enter=planted",
			"Location: "+f.url().String()+"/next?a=b",
			"Content-Security-Policy: script-src 'self'",
		)
	})
	got := w.do("GET", "/page", with("Cookie: "+w.cookie("viewer")), "")
	for _, name := range []string{"Server", "X-Powered-By", "Access-Control-Allow-Origin",
		"Access-Control-Allow-Credentials"} {
		if v := got.header.Get(name); v != "" {
			t.Errorf("%s: %s went through", name, v)
		}
	}
	if c := got.header.Values("Set-Cookie"); len(c) != 1 || c[0] != "own=1; Path=/; HttpOnly" {
		t.Errorf("cookies %q", c)
	}
	for name, want := range map[string]string{
		"X-Frame-Options": "SAMEORIGIN", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
		"Strict-Transport-Security": "max-age=31536000", "Location": appOrigin +
			"/next?a=b", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if v := got.header.Values(name); len(v) != 1 || v[0] != want {
			t.Errorf("%s = %q, want %q", name, v, want)
		}
	}
	if csp := strings.Join(got.header.Values("Content-Security-Policy"), " | "); !strings.Contains(
		csp,
		"script-src 'self'",
	) ||
		!strings.Contains(csp, "frame-ancestors 'self'") {
		t.Errorf("policy %q", csp)
	}
}

func TestAnswer_FlowiseCookies(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	f.reply(func(request) string {
		return jsonReply(
			200,
			`{}`,
			"Set-Cookie: token=secret; Path=/",
			"Set-Cookie: refreshToken=secret",
			"Set-Cookie: connect.sid=secret",
			"Set-Cookie: other=1",
		)
	})
	if got := w.do("GET", "/api/v1/nodes", with("Cookie: "+w.cookie("viewer")), ""); got.status != 200 ||
		len(got.header.Values("Set-Cookie")) != 0 {
		t.Errorf("cookies %q", got.header.Values("Set-Cookie"))
	}
}

func TestAnswer_ContentPolicy(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	cookie := w.cookie("viewer")
	for name, c := range map[string]struct{ path, contentType, want string }{
		"a page of the builder":         {"/chatflows", "text/html; charset=utf-8", "default-src 'self'"},
		"a page where none is expected": {"/api/v1/nodes", "text/html", "sandbox;"},
		"an uploaded picture":           {"/api/v1/node-icon/x", "image/svg+xml", "sandbox;"},
		"something without a type":      {"/api/v1/nodes", "", "sandbox;"},
		"data":                          {"/api/v1/nodes", "application/json", ""},
		"a script":                      {"/assets/index.js", "text/javascript", ""},
	} {
		f.reply(func(request) string {
			if c.contentType == "" {
				return reply(200, "x")
			}
			return reply(200, "x", "Content-Type: "+c.contentType, "Content-Security-Policy: default-src *")
		})
		got := w.do("GET", c.path, with("Cookie: "+cookie), "").header.Values("Content-Security-Policy")
		if c.want == "" && len(got) != 0 || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], c.want)) {
			t.Errorf("%s: policy %q, want %q", name, got, c.want)
		}
	}
}

func TestAnswer_BuilderErrors(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	cookie := w.cookie("viewer")
	for name, c := range map[string]struct {
		answer string
		hidden bool
	}{
		"a stack in JSON": {jsonReply(500,
			`{"statusCode":500,"message":"x","stack":"Error: x\n    at Object.<anonymous> (/usr/src/node_modules/flowise/x.js:1:1)"}`), true},
		"a stack in text": {reply(500, "Error: x\n    at foo (/app/dist/index.js:3:5)", "Content-Type: text/plain"),
			true},
		"a Python traceback": {reply(500, "Traceback (most recent call last):\n  File \"/app/x.py\"",
			"Content-Type: text/plain"), true},
		"compressed": {reply(500, "\x1f\x8b\x08", "Content-Type: text/plain", "Content-Encoding: gzip",
			`Etag: "1"`), true},
		"a message": {jsonReply(500,
			`{"statusCode":500,"success":false,"message":"Ending nodes not found","stack":{}}`), false},
	} {
		f.reply(func(request) string { return c.answer })
		got := w.do("GET", "/api/v1/chatflows", with("Cookie: "+cookie), "")
		if got.status != 500 || got.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: status %d, header %v", name, got.status, got.header)
		}
		hidden := strings.Contains(got.body, "Flowise failed while it worked on this")
		if hidden != c.hidden || strings.Contains(got.body, "/usr/src") || strings.Contains(got.body, "Traceback") {
			t.Errorf("%s: %q", name, got.body)
		}
	}
}

func TestAnswer_EarlyHints(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	f.reply(func(request) string {
		return "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\nSet-Cookie: a=b\r\n\r\n" + okJSON
	})
	got := w.do("GET", "/api/v1/nodes", with("Cookie: "+w.cookie("viewer")), "")
	if got.status != 200 || got.header.Get("Link") != "" || got.header.Get("Set-Cookie") != "" {
		t.Errorf("answer %+v", got)
	}
}

func TestAnswer_ForeignRedirects(t *testing.T) {
	t.Parallel()
	f := startFixture(t)
	w := newWorld(t, f, options{})
	cookie := w.cookie("admin")
	for sent, want := range map[string]string{
		"/here":                             "/here",
		"https://login.example/x":           "https://login.example/x",
		f.url().String():                    appOrigin,
		f.url().String() + "?a=1":           appOrigin + "?a=1",
		"//" + f.url().Host + "/x":          appOrigin + "/x",
		f.url().String() + ".evil.example/": f.url().String() + ".evil.example/",
		f.url().String() + "@evil.example/": f.url().String() + "@evil.example/",
	} {
		f.reply(func(request) string { return reply(302, "", "Location: "+sent) })
		if got := w.do("GET", "/api/v1/chatflows", with("Cookie: "+cookie), "").header.Get("Location"); got != want {
			t.Errorf("%s becomes %s, want %s", sent, got, want)
		}
	}
}
