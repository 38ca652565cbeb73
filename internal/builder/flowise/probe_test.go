package flowise

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/builder"
	"sluice/internal/builder/flowise/flowisetest"
	"sluice/internal/problem"
)

func serve(t *testing.T, h http.HandlerFunc) *url.URL {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestProbeFlowise(t *testing.T) {
	s := startFlowise(t)
	for _, owner := range []bool{false, true} {
		s.With(func() { s.Email = map[bool]string{true: flowisetest.Email}[owner] })
		want := builder.Found{
			Kind:       "flowise",
			Title:      "Flowise",
			Version:    "3.1.4",
			OwnerState: builder.OwnerNone,
			Evidence:   `/api/v1/version says 3.1.4, platform "open source".`,
		}
		if owner {
			want.OwnerState = builder.OwnerPresent
		}
		got, err := look(t.Context(), s.url)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestProbeOthers(t *testing.T) {
	cases := map[string]struct {
		answer http.HandlerFunc
		title  string
		note   string
	}{
		"a page for every path": {
			func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, flowisetest.Page) },
			"Flowise - Build AI Agents, Visually",
			"does not know this builder",
		},
		"a title with markup": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, "<title>\n A &amp; B  \n</title>")
		}, "A & B", "does not know this builder"},
		"a redirect": {
			func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) },
			"Web app",
			"redirects to /login",
		},
		"an error": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
			"Web app",
			"currently returns an error",
		},
		"other JSON": {
			func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, 200, map[string]any{"ok": true}) },
			"Web app",
			"does not know this builder",
		},
		"a JSON list": {
			func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, 200, []int{1}) },
			"Web app",
			"does not know this builder",
		},
		"a version only": {func(w http.ResponseWriter, r *http.Request) {
			sendJSON(w, 200, map[string]any{"version": "1.7.2"})
		}, "Web app", "does not know this builder"},
		"an endless answer": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, "<title>Big</title>")
			_, _ = w.Write(make([]byte, 4<<20))
		}, "Big", "does not know this builder"},
	}
	for name, c := range cases {
		got, err := look(t.Context(), serve(t, c.answer))
		if err != nil || got.Kind != "generic" || got.Title != c.title || !strings.Contains(got.Note, c.note) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestProbeRefuses(t *testing.T) {
	old := serve(t, func(w http.ResponseWriter, r *http.Request) {
		sendJSON(w, 200, map[string]any{"version": "2.2.7", "PLATFORM_TYPE": "open source"})
	})
	dumb, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dumb.Close() })
	go func() {
		for {
			conn, err := dumb.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1)) // the request has begun, so that this is read as its answer
			_, _ = conn.Write([]byte("220 mail.example ESMTP\r\n"))
			_ = conn.Close()
		}
	}()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	cases := map[string]struct {
		address string
		kind    problem.Kind
		text    string
	}{
		"an old Flowise":   {old.String(), problem.Invalid, "Flowise 2.2.7"},
		"not HTTP":         {"http://" + dumb.Addr().String(), problem.Upstream, "does not speak HTTP"},
		"nothing there":    {gone.URL, problem.Upstream, "Nothing answers at"},
		"plain under TLS":  {"https://" + old.Host, problem.Upstream, "speaks plain HTTP"},
		"unknown name":     {"http://builder.invalid", problem.Upstream, ""},
		"a subpath":        {old.String() + "/flowise", problem.Invalid, "subpath"},
		"with credentials": {"http://me:secret@" + old.Host, problem.Invalid, "username"},
		"another scheme":   {"ftp://" + old.Host, problem.Invalid, "http://"},
		"no host":          {"http://", problem.Invalid, "name a host"},
	}
	for name, c := range cases {
		u, err := url.Parse(c.address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = look(t.Context(), u)
		p := problem.Of(err)
		if p.Kind != c.kind || p.Field != "url" || !strings.Contains(p.Detail, c.text) ||
			strings.Contains(p.Error(), "secret") {
			t.Errorf("%s: %v (%v), want %v with %q", name, err, p.Kind, c.kind, c.text)
		}
	}
}

func TestProbe_Timeout(t *testing.T) {
	stuck := make(chan struct{})
	base := serve(t, func(http.ResponseWriter, *http.Request) { <-stuck })
	t.Cleanup(func() { close(stuck) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := look(ctx, base); !problem.Is(err, problem.Timeout) {
		t.Errorf("Probe = %v, want problem.Timeout", err)
	}
}

func TestOwner_RegisterAndTry(t *testing.T) {
	s := startFlowise(t)
	s.Email = ""
	o := builder.OwnerAccount{Name: "Sluice", Email: "owner@sluice.internal", Password: newOwnerPassword()}
	if err := registerOwner(t.Context(), http.DefaultClient, s.url, builder.OwnerAccount{
		Email:    o.Email,
		Password: "short",
	}); !problem.Is(
		err,
		problem.Invalid,
	) ||
		problem.Of(err).Field != "owner_password" {
		t.Errorf("a short password: %v", err)
	}
	if err := registerOwner(t.Context(), http.DefaultClient, s.url, o); err != nil {
		t.Fatal(err)
	}
	if err := registerOwner(t.Context(), http.DefaultClient, s.url, o); !problem.Is(err, problem.Conflict) {
		t.Errorf("a second owner: %v", err)
	}
	if err := testOwner(t.Context(), http.DefaultClient, s.url, o); err != nil {
		t.Errorf("the new owner: %v", err)
	}
	if s.Sessions() != 0 {
		t.Error("the test left a session behind")
	}
	for name, wrong := range map[string]builder.OwnerAccount{
		"wrong password":  {Email: o.Email, Password: "no"},
		"unknown address": {Email: "x@sluice.internal", Password: o.Password},
	} {
		err := testOwner(t.Context(), http.DefaultClient, s.url, wrong)
		if p := problem.Of(err); p.Kind != problem.Unauthenticated || p.Field != "owner_password" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := testOwner(t.Context(), http.DefaultClient, s.url, builder.OwnerAccount{}); !problem.Is(
		err,
		problem.Upstream,
	) {
		t.Errorf("Flowise's page as an answer: %v", err)
	}
}

func TestOwner_Password(t *testing.T) {
	p := newOwnerPassword()
	if len(p) < 20 || len(p) > 72 || !strings.ContainsAny(p, "abcdefghijklmnopqrstuvwxyz") ||
		!strings.ContainsAny(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") ||
		!strings.ContainsAny(p, "0123456789") ||
		!strings.Contains(p, "-") ||
		p == newOwnerPassword() {
		t.Errorf("password %q", p)
	}
}

func FuzzJWTExpiry(f *testing.F) {
	f.Add("e30.eyJleHAiOjE3MDB9.x")
	f.Add("a.b.c")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if at, ok := builder.TokenExpiry(token); ok && (at.Unix() <= -1 || at.Year() > 40000) {
			t.Fatalf("%q expires at %v", token, at)
		}
	})
}

func FuzzFlowiseUser(f *testing.F) {
	f.Add([]byte(`{"id":"x","permissions":[]}`), "a.b.c")
	f.Add([]byte(`{"id":1}`), "")
	f.Add([]byte(`[]`), "t")
	f.Fuzz(func(t *testing.T, body []byte, token string) {
		r := &builder.Reply{Status: 200, JSON: true, Body: body, Cookies: []*http.Cookie{
			{Name: "token", Value: token}, {Name: "refreshToken", Value: "r"}, {Name: "connect.sid", Value: "s"},
		}}
		s, ok := newSession(r, nil, testStart)
		if !ok {
			return
		}
		if id, _ := s.user["id"].(string); id == "" || token == "" {
			t.Fatalf("accepted %q with token %q", body, token)
		}
		if !s.due.After(testStart) || s.dead.Before(s.due) || s.dead.After(testStart.Add(24*time.Hour)) {
			t.Fatalf("due %v, dead %v for token %q", s.due, s.dead, token)
		}
	})
}
