package profile

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/problem"
)

func TestCleanRequest_DropsHeadersInEverySpelling(t *testing.T) {
	p := load(t, Source{Style: Style{Headers: []string{"X-Own_Header"}, HeaderPrefixes: []string{"x-mine-"}}})
	for name, dropped := range map[string]bool{
		"X-Forwarded-For":    true,
		"x_forwarded.for":    true,
		"X-AZURE-CLIENTIP":   true,
		"Forwarded":          true,
		"X-Real-Ip":          true,
		"X-Real-Ip-Address":  false,
		"X-Own-Header":       true,
		"x.own.header":       true,
		"X-Own-Headers":      false,
		"X-Mine-A":           true,
		"X_MINE_B":           true,
		"X-Sluice-Anything":  true,
		"Accept":             false,
		"Content-Type":       false,
		"X-Harmless":         false,
		"X-Requested-With":   false,
		"Tailscale-User-A":   true,
		"Proxy":              true,
		"Proxy-Harmless":     false,
		"Authorization-Like": false,
	} {
		h := http.Header{name: {"x"}}
		p.CleanRequest(h)
		if got := len(h) == 0; got != dropped {
			t.Errorf("%s: dropped %v, want %v", name, got, dropped)
		}
	}
}

func TestCleanRequest_Cookies(t *testing.T) {
	const sent = "theme=dark;  session=x; tab_1=a; __Host-session=y"
	for name, c := range map[string]struct {
		style Style
		want  []string
	}{
		"a builder without cookies of its own gets them as they came": {Style{}, []string{sent}},
		"its own session is taken out": {
			Style{Cookies: []string{"session"}},
			[]string{"theme=dark; tab_1=a"},
		},
		"a sealed one gets none": {Style{Sealed: true}, nil},
		"a sealed one gets what its pages need": {
			Style{Sealed: true, Passes: []string{"theme", "tab_*"}},
			[]string{"theme=dark; tab_1=a"},
		},
		"what passes is named exactly": {Style{Sealed: true, Passes: []string{"them", "tab_"}}, nil},
	} {
		h := http.Header{"Cookie": {sent}}
		(&Profile{style: c.style}).CleanRequest(h)
		if diff := cmp.Diff(c.want, h["Cookie"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestCleanResponse(t *testing.T) {
	answer := func() http.Header {
		return http.Header{
			"Server":                              {"builder"},
			"Access-Control-Allow-Origin":         {"*"},
			"Content-Security-Policy":             {"default-src *"},
			"Content-Security-Policy-Report-Only": {"default-src *"},
			"Content-Type":                        {"text/html"},
		}
	}
	own := http.Header{
		"Content-Security-Policy":             {"default-src *"},
		"Content-Security-Policy-Report-Only": {"default-src *"},
		"Content-Type":                        {"text/html"},
	}
	for name, c := range map[string]struct {
		csp      string
		want     http.Header
		frames   string
		wantsCSP string
	}{
		"a builder whose policy stays": {"", own, "'none'", "frame-ancestors 'none'"},
		"a builder whose policy is Sluice's": {
			"default-src 'self'",
			http.Header{"Content-Type": {"text/html"}},
			"'self'",
			"default-src 'self'; frame-ancestors 'self'",
		},
	} {
		p, h := &Profile{style: Style{CSP: c.csp}}, answer()
		p.CleanResponse(h)
		if diff := cmp.Diff(c.want, h); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got := p.CSP(c.frames); got != c.wantsCSP {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestHoldsSession_WhereTheBuilderHasACookie(t *testing.T) {
	if (&Profile{}).HoldsSession() {
		t.Error("a builder without a cookie holds sessions")
	}
	if !(&Profile{style: Style{Cookies: []string{"session"}}}).HoldsSession() {
		t.Error("a builder with a session cookie holds none")
	}
}

// TestErrorFor_APageKeepsItsWork: only a denied call of the builder's own page is answered
// otherwise.
func TestErrorFor_APageKeepsItsWork(t *testing.T) {
	page, program := http.Header{"X-Page": {"1"}}, http.Header{}
	pageCall := func(h http.Header) bool { return h.Get("X-Page") != "" }
	kind := Style{
		PageCall: pageCall,
		PageDenied: func(*problem.Error, string) Answer {
			return Answer{Status: http.StatusOK, Header: http.Header{}}
		},
	}
	plain := Style{Error: func(e *problem.Error, id string) (string, any) { return "text/plain", e.Detail + id }}
	for name, c := range map[string]struct {
		style       Style
		header      http.Header
		kind        problem.Kind
		status      int
		contentType string
		isPage      bool
	}{
		"a denied page":             {kind, page, problem.Denied, 200, "", true},
		"a denied program":          {kind, program, problem.Denied, 403, problem.ContentType, false},
		"a page that is not denied": {kind, page, problem.NotFound, 404, problem.ContentType, true},
		"pages that cannot be told": {plain, page, problem.Denied, 403, "text/plain", false},
	} {
		p := load(t, Source{Style: c.style})
		a := p.ErrorFor(c.header, problem.New(c.kind, "No."), "r1")
		if a.Status != c.status || a.Header.Get("Content-Type") != c.contentType {
			t.Errorf("%s: %d %v", name, a.Status, a.Header)
		}
		if got := p.PageCall(c.header); got != c.isPage {
			t.Errorf("%s: is a call of the page: %v", name, got)
		}
	}
	if a := load(t, Source{Style: plain}).Error(problem.New(problem.Denied, "No."), "r1"); string(a.Body) != `"No.r1"` {
		t.Errorf("in the builder's own shape: %s", a.Body)
	}
}

func TestJSON_AValueThatCannotBeWritten(t *testing.T) {
	if a := JSON(http.StatusOK, map[string]int{"a": 1}); a.Status != http.StatusOK || string(a.Body) != `{"a":1}` {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := JSON(http.StatusOK, func() {}); a.Status != http.StatusInternalServerError || len(a.Body) == 0 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
