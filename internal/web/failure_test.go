package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sluice/internal/problem"
)

func page(method string, write func(http.ResponseWriter, *http.Request)) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	write(w, httptest.NewRequest(method, "/canvas/1", http.NoBody))
	return w
}

func says(t *testing.T, w *httptest.ResponseRecorder, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(w.Body.String(), text) {
			t.Errorf("the page does not say %q", text)
		}
	}
}

func TestProblemPages(t *testing.T) {
	for kind := problem.Internal; kind <= problem.Timeout; kind++ {
		e := problem.New(kind, "This <b>went</b> wrong.").WithNext("Do that.").WithRule("rule-1")
		w := page("GET", func(w http.ResponseWriter, r *http.Request) { WriteProblemPage(w, r, e, "req-77") })
		if w.Code != kind.Status() {
			t.Errorf("%v: status %d", kind, w.Code)
		}
		says(t, w, kind.Title(), "This &lt;b&gt;went&lt;/b&gt; wrong.", "Do that.", "rule-1", "req-77")
		h := w.Header()
		if h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "text/html; charset=utf-8" ||
			!strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%v: headers %v", kind, h)
		}
	}
}

func TestFailure_RetryAfter(t *testing.T) {
	e := problem.New(problem.Limited, "Too fast.").WithRetryAfter(90 * time.Second)
	w := page("GET", func(w http.ResponseWriter, r *http.Request) { WriteProblemPage(w, r, e, "") })
	says(t, w, "Try again in 2 minutes")
	if w.Header().Get("Retry-After") != "90" {
		t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
	}
}

func TestUnknownHost(t *testing.T) {
	w := page("GET", func(w http.ResponseWriter, r *http.Request) {
		WriteUnknownHost(
			w,
			r,
			UnknownHost{Host: `evil"><script>` + strings.Repeat("x", 300), Known: []string{"http://127.0.0.1:3000"}},
			"req-1",
		)
	})
	if w.Code != http.StatusMisdirectedRequest {
		t.Errorf("status %d", w.Code)
	}
	says(t, w, "APP_URL", "http://127.0.0.1:3000", "req-1")
	if body := w.Body.String(); strings.Contains(body, "<script>x") ||
		strings.Contains(body, strings.Repeat("x", 200)) {
		t.Error("the host is not escaped or not shortened")
	}
	stranger := page(
		"GET",
		func(w http.ResponseWriter, r *http.Request) { WriteUnknownHost(w, r, UnknownHost{Host: "x"}, "") },
	)
	if strings.Contains(stranger.Body.String(), "It answers for") {
		t.Error("a stranger is told about other addresses")
	}
}

func TestFailure_RetriesAutomatically(t *testing.T) {
	down := func(w http.ResponseWriter, r *http.Request) {
		WriteBuilderDown(w, r, BuilderDown{App: "Flowise", Detail: "It refused the connection."}, "req-1")
	}
	w := page("GET", down)
	if w.Code != 503 || w.Header().Get("Retry-After") != "5" {
		t.Errorf("answer %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	says(
		t,
		w,
		`http-equiv="refresh" content="5"`,
		"Flowise does not answer",
		"You do not have to sign in again",
		"refused the connection",
	)
	if body := page("POST", down).Body.String(); strings.Contains(body, "http-equiv=\"refresh\"") ||
		!strings.Contains(body, "was not delivered") {
		t.Error("a POST would be repeated by itself")
	}
}

func TestFailure_Head(t *testing.T) {
	w := page("HEAD", func(w http.ResponseWriter, r *http.Request) {
		WriteProblemPage(w, r, problem.New(problem.NotFound, "no"), "")
	})
	if w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("%d bytes, Content-Length %q", w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

func TestThemeCookie(t *testing.T) {
	for value, want := range map[string]string{"dark": "dark", "light": "light", "": "", `"><script>`: ""} {
		r := httptest.NewRequest("GET", "/", http.NoBody)
		r.AddCookie(&http.Cookie{Name: ThemeCookie, Value: value})
		if got := ThemeOf(r); got != want {
			t.Errorf("the cookie %q gives the theme %q, want %q", value, got, want)
		}
	}
	w := httptest.NewRecorder()
	SetTheme(w, "purple", true)
	if c := w.Result().Cookies()[0]; c.Value != "" || c.MaxAge >= 0 || !c.Secure {
		t.Errorf("an unknown theme sets %v", c)
	}
}

func TestPolicy(t *testing.T) {
	want := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
		"connect-src 'self' http://a; " +
		"form-action 'self' http://b http://c; frame-ancestors 'none'; base-uri 'none'"
	if got := (Policy{Connect: []string{"http://a"},
		FormAction: []string{"http://b", "http://c"}}).String(); got != want {
		t.Errorf("policy\n%s, want\n%s", got, want)
	}
	h := http.Header{}
	Policy{}.SetHeaders(h, false)
	if h.Get("Strict-Transport-Security") != "" {
		t.Error("HSTS over http")
	}
	Policy{}.SetHeaders(h, true)
	if h.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS over https")
	}
}

func TestWords(t *testing.T) {
	now := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	for ago, want := range map[time.Duration]string{
		0: "just now", 59 * time.Second: "just now", time.Minute: "1 minute ago", 119 * time.Second: "1 minute ago",
		50 * time.Hour:       "2 days ago",
		400 * 24 * time.Hour: "1 year ago", -24*time.Hour + time.Second: "in 1 day", -80 * time.Second: "in 1 minute",
	} {
		if got := Ago(now.Add(-ago), now); got != want {
			t.Errorf("Ago(%v) = %q, want %q", ago, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "1 second", 1500 * time.Millisecond: "2 seconds", time.Minute: "1 minute", 61 * time.Second: "2 minutes",
		24 * time.Hour: "1 day",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
	for name, want := range map[string]string{"Ann Archer": "AA", "bob": "B", "": "?", "Élise van Dam": "ÉD"} {
		if got := initials(name); got != want {
			t.Errorf("initials(%q) = %q, want %q", name, got, want)
		}
	}
}
