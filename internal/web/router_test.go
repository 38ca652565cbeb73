package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRouter(t *testing.T) {
	t.Parallel()
	says := func(format string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, format, r.PathValue("id"), r.PathValue("rest"))
		})
	}
	rt := NewRouter(says("not found%.0s%.0s"), says("no method%.0s%.0s"))
	rt.Handle(http.MethodGet, "/", says("home%.0s%.0s"))
	rt.Handle(http.MethodGet, "/users", says("users%.0s%.0s"))
	rt.Handle(http.MethodPost, "/users", says("create%.0s%.0s"))
	rt.Handle(http.MethodPatch, "/users/{id}", says("change %s%.0s"))
	rt.Handle(http.MethodPost, "/users/{id}/links", says("link %s%.0s"))
	rt.HandlePrefix("/assets/", says("asset%.0s %s"))
	tests := []struct{ request, answer, allow string }{
		{"GET /", "home", ""},
		{"GET /users", "users", ""},
		{"HEAD /users", "users", ""},
		{"POST /users", "create", ""},
		{"PATCH /users/7", "change 7", ""},
		{"PATCH /users/a%2Fb", "change a/b", ""},
		{"PATCH /users/%2e%2e", "change ..", ""},
		{"GET /assets/css/a.css", "asset css/a.css", ""},
		{"PUT /assets/a.css", "asset a.css", ""},
		{"GET /assets/", "asset ", ""},
		{"DELETE /users", "no method", "GET HEAD POST"},
		{"OPTIONS /users", "no method", "GET HEAD POST"},
		{"GET /users/7", "no method", "PATCH"},
		{"POST /", "no method", "GET HEAD"},
		{"GET /assets", "not found", ""},
		{"GET /users/", "not found", ""},
		{"PATCH /users/7/", "not found", ""},
		{"GET //users", "not found", ""},
		{"GET /./users", "not found", ""},
		{"GET /x/../users", "not found", ""},
		{"GET /users/.", "not found", ""},
		{"GET /users/..", "not found", ""},
		{"PATCH /users//7", "not found", ""},
		{"GET /assets//a.css", "not found", ""},
		{"GET /other", "not found", ""},
		{"CONNECT /other", "not found", ""},
		{"CONNECT /users", "no method", "GET HEAD POST"},
	}
	for _, test := range tests {
		method, target, _ := strings.Cut(test.request, " ")
		r := httptest.NewRequest(http.MethodGet, "http://sluice.test"+target, nil)
		r.Method = method
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		if w.Code != http.StatusOK || w.Body.String() != test.answer {
			t.Errorf("%s: %d %q, want %q", test.request, w.Code, w.Body, test.answer)
		}
		if allow := strings.Join(w.Header().Values("Allow"), " "); allow != test.allow {
			t.Errorf("%s: Allow %q, want %q", test.request, allow, test.allow)
		}
	}
}

func TestRouter_NoPath(t *testing.T) {
	t.Parallel()
	rt := NewRouter(http.NotFoundHandler(), http.NotFoundHandler())
	for _, target := range []string{"*", "http://sluice.test"} {
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, httptest.NewRequest(http.MethodOptions, target, nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("%q: %d, want 404", target, w.Code)
		}
	}
}
