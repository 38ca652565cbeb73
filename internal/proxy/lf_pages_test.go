package proxy_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"sluice/internal/builder/langflow/langflowtest"
	"sluice/internal/identity"
)

const pageScriptTag = `<script src="/.sluice/page.js"></script>`

func TestPages_Script(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	h := w.as("viewer")
	h.Set("Accept", "text/html")
	h.Set("If-None-Match", `"as-built"`)
	h.Set("Accept-Encoding", "gzip, br")
	got := w.do("GET", "/flows", h, "")
	if got.status != 200 || strings.Count(got.body, pageScriptTag) != 1 ||
		!strings.Contains(got.body, "<head>"+pageScriptTag+"<title>") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got.header.Get("Etag") != "" || got.header.Get("Content-Length") != itoa(len(got.body)) ||
		!strings.Contains(got.header.Get("Content-Security-Policy"), "script-src 'self'") {
		t.Errorf("%v", got.header)
	}
	cookies := strings.Join(got.header["Set-Cookie"], "\n")
	if !strings.Contains(cookies, "access_token_lf=") || !strings.Contains(cookies, "Secure") ||
		strings.Contains(cookies, "HttpOnly") {
		t.Errorf("cookies %q", cookies)
	}
	for _, g := range w.f.Take() {
		if g.Header.Get("If-None-Match") != "" || strings.Contains(g.Header.Get("Accept-Encoding"), "br") {
			t.Errorf("Langflow was asked %v", g.Header)
		}
	}
	if head := w.do("HEAD", "/flows", h, ""); head.status != 200 ||
		head.header.Get("Content-Length") == itoa(len(langflowtest.Page)) {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
	script := w.do("GET", "/.sluice/page.js", nil, "")
	if script.status != 200 || script.header.Get("Content-Type") != "text/javascript; charset=utf-8" ||
		script.header.Get("X-Content-Type-Options") != "nosniff" ||
		len(script.body) < 100 {
		t.Errorf("the script: %d %v", script.status, script.header)
	}
	again := w.do("GET", "/.sluice/page.js", with("If-None-Match: "+script.header.Get("Etag")), "")
	if again.status != http.StatusNotModified || again.body != "" {
		t.Errorf("the script again: %d", again.status)
	}
	out := w.do("POST", "/.sluice/signout", with("Cookie: "+w.cookie("viewer"), "Origin: "+appOrigin), "")
	if cookies := strings.Join(out.header["Set-Cookie"], "\n"); !strings.Contains(
		cookies,
		"access_token_lf=; Path=/; Max-Age=0",
	) {
		t.Errorf("after signing out: %d %q", out.status, cookies)
	}
}

func TestPages_Unchanged(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	for name, c := range map[string]struct{ kind, page, want string }{
		"no head": {"text/html", "<p>hello</p>", "<p>hello</p>"},
		"a head in caps": {"text/html; charset=utf-8", "<HTML><HEAD lang=x><title></HEAD>",
			"<HTML><HEAD lang=x>" + pageScriptTag + "<title></HEAD>"},
		"a header":        {"text/html", "<header><head></head>", "<header><head>" + pageScriptTag + "</head>"},
		"cut off":         {"text/html", "<html><head", "<html><head"},
		"text":            {"text/plain", "<html><head></head>", "<html><head></head>"},
		"an empty answer": {"text/html", "", ""},
	} {
		w.f.With(func() {
			w.f.Answer = func(lfRequest) *lfAnswer { return &lfAnswer{Status: 200, Kind: c.kind, Body: c.page} }
		})
		if got := w.call("viewer", "GET", "/flows", ""); got.status != 200 || got.body != c.want {
			t.Errorf("%s: %d %q", name, got.status, got.body)
		}
	}
	w.f.With(func() {
		w.f.Answer = func(lfRequest) *lfAnswer {
			return &lfAnswer{Status: 200, Kind: "text/html", Body: strings.Repeat("x", 5<<20)}
		}
	})
	if got := w.call("viewer", "GET", "/flows", ""); got.status != http.StatusBadGateway {
		t.Errorf("a huge page: %d", got.status)
	}
}

// TestPages_InsteadOfAnswer: Langflow 1.6 answers unknown paths with its own page; any other page
// comes from another server.
func TestPages_InsteadOfAnswer(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	for name, c := range map[string]struct {
		page, rule string
		status     int
	}{
		"Langflow's own": {langflowtest.Page, "nothing at the builder", http.StatusNotFound},
		"a wiki's": {"<!doctype html><title>A wiki about Langflow</title>", "a page for an answer",
			http.StatusBadGateway},
		"a proxy's, no title": {"<h1>Down for maintenance</h1>", "a page for an answer", http.StatusBadGateway},
		"empty":               {"", "a page for an answer", http.StatusBadGateway},
	} {
		w.f.With(func() {
			w.f.Answer = func(lfRequest) *lfAnswer {
				return &lfAnswer{Status: 200, Kind: "text/html; charset=utf-8", Body: c.page}
			}
		})
		if got := w.call("viewer", "GET", "/api/v1/flows/"+w.ownFlow, ""); got.status != c.status ||
			!strings.Contains(got.body, c.rule) ||
			strings.Contains(got.body, "<") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func TestPages_DroppedKeys(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	for name, c := range map[string]struct{ role, body, want string }{
		"a viewer's": {"viewer", `{"inputs": {"input_value":"x" } , "data": {"nodes":[]}}`,
			`{"inputs": {"input_value":"x" } }`},
		"first":               {"viewer", "{\"data\":{\"nodes\":[]},\n \"inputs\":{} }\n", "{\n \"inputs\":{} }\n"},
		"in the middle":       {"viewer", `{"a":1,"data":{},"b":[1, 2]}`, `{"a":1,"b":[1, 2]}`},
		"in escapes":          {"viewer", `{"d\u0061ta":{"nodes":[]},"a":"\u00e9"}`, `{"a":"\u00e9"}`},
		"alone":               {"viewer", `{ "data" : {} }`, `{ }`},
		"not used":            {"viewer", `{"data":null,"a":1}`, `{"data":null,"a":1}`},
		"of somebody who may": {"user", `{"data":{},"a":1}`, `{"data":{},"a":1}`},
	} {
		w.f.Take()
		got := w.call(c.role, "POST", "/api/v1/build/"+w.ownFlow+"/flow", c.body)
		log := w.f.Take()
		if got.status != 200 || len(log) == 0 || log[len(log)-1].Body != c.want {
			t.Errorf("%s: %d %s; Langflow got %+v", name, got.status, got.body, log)
		}
	}
}

func TestPages_Viewer(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	if got := w.call("viewer", "GET", "/api/v1/flows/"+w.ownFlow, ""); got.status != 200 ||
		!strings.Contains(got.body, `"locked":true`) {
		t.Errorf("the flow that a viewer opens: %d %s", got.status, got.body)
	}
	if got := w.call("user", "GET", "/api/v1/flows/"+w.ownFlow, ""); got.status != 200 ||
		!strings.Contains(got.body, `"locked":false`) {
		t.Errorf("the flow that an editor opens: %d %s", got.status, got.body)
	}
	w.f.Take()
	got := w.call("viewer", "PATCH", "/api/v1/flows/"+w.ownFlow, `{"name":"changed"}`)
	for _, g := range w.f.Take() {
		if g.Method != http.MethodGet {
			t.Errorf("Langflow got %s %s", g.Method, g.Target)
		}
	}
	if got.status >= 400 && got.status != http.StatusLocked {
		t.Errorf("the page's autosave: %d %s", got.status, got.body)
	}
	eventually(t, "the refusal in the log", func() bool {
		log := w.log.String()
		return strings.Contains(log, "denied quietly: flows.update") || strings.Contains(log, "view only")
	})
	key, _ := w.key("viewer", plainKey)
	h := with(
		"Authorization: Bearer "+key,
		"Content-Type: application/json",
		"Accept: application/json, text/plain, */*",
	)
	if got := w.do("PATCH", "/api/v1/flows/"+w.ownFlow, h, `{"name":"changed"}`); !strings.Contains(
		got.body,
		"no policy permits chatflows:update",
	) {
		t.Errorf("a program that tries: %d %s", got.status, got.body)
	}
	if got := w.call("viewer", "PATCH", "/api/v1/flows/"+w.flow, `{"name":"changed"}`); got.status != 404 {
		t.Errorf("a flow of another workspace: %d %s", got.status, got.body)
	}
}

func TestPages_LangflowErrors(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	trace := `Traceback (most recent call last):\n  File \"/usr/lib/python3.11/site-packages/langflow/main.py\", line 1, in <module>\nSLUICE-MARKER`
	for name, a := range map[string]*lfAnswer{
		"JSON": {Status: 500, Kind: "application/json", Body: `{"message":"` + trace + `"}`},
		"text": {Status: 500, Kind: "text/plain", Body: strings.ReplaceAll(trace, `\n`, "\n")},
		"a bad length": {
			Status: 503,
			Kind:   "application/json",
			Body:   `{"detail":"` + trace + `"}`,
			Header: http.Header{"Content-Encoding": {"gzip"}},
		},
	} {
		w.f.With(func() { w.f.Answer = func(lfRequest) *lfAnswer { return a } })
		for _, target := range []string{"/api/v1/flows/" + w.ownFlow, "/api/v1/flows/", "/api/v1/all"} {
			got := w.call("viewer", "GET", target, "")
			if got.status != a.Status || strings.Contains(got.body, "MARKER") ||
				!strings.Contains(got.body, `"detail"`) {
				t.Errorf("%s, %s: %d %s", name, target, got.status, got.body)
			}
		}
	}
	base := w.f.url()
	for _, location := range []string{"http://" + base.Host + "/api/v1/projects/",
		"https://" + base.Host + "/api/v1/projects/", "//" + base.Host + "/api/v1/projects/"} {
		w.f.With(func() {
			w.f.Answer = func(lfRequest) *lfAnswer {
				return &lfAnswer{
					Status: 307,
					Kind:   "text/plain",
					Body:   "",
					Header: http.Header{
						"Location":   {location},
						"Set-Cookie": {"access_token_lf=secret; Path=/", "refresh_token_lf=secret"},
					},
				}
			}
		})
		got := w.call("viewer", "GET", "/api/v1/folders/", "")
		if got.header.Get("Location") != appOrigin+"/api/v1/projects/" || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s became %q, %q", location, got.header.Get("Location"), got.header["Set-Cookie"])
		}
	}
}

func TestPages_NoAccount(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	if err := w.apps.Manager.Withdraw(context.Background(), systemPrincipal, w.app.ID,
		identity.DefaultWorkspace); err != nil {
		t.Fatal(err)
	}
	w.f.Take()
	if got := w.call("admin", "GET", "/api/v1/flows/"+w.ownFlow, ""); got.status != 404 || len(w.f.Take()) > 0 {
		t.Errorf("an app that the workspace does not use: %d %s", got.status, got.body)
	}
}
