package sso_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/bcrypt"

	"sluice/internal/dbtest"
	"sluice/internal/login/logintest"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
)

func TestTrouble_ProviderDown(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	gone := "http://" + closed.Addr().String()
	if _, err := h.Providers.SaveProvider(
		context.Background(),
		cli,
		sso.Provider{Slug: "gone", Kind: sso.KindOIDC, Name: "Gone", Issuer: gone, ClientID: "x", Enabled: true},
	); err != nil {
		t.Fatal(err)
	}
	_, _, err = h.SSO.Begin(context.Background(), sso.Round{Slug: "gone", Purpose: sso.ForSignIn, Origin: origin})
	told := problem.Of(err)
	if told.Kind != problem.Unavailable || !strings.Contains(told.Detail, "Gone") ||
		!strings.Contains(told.Detail, "cannot be reached") ||
		!strings.Contains(told.Next, gone+"/.well-known/openid-configuration") {
		t.Errorf("down: %q, %q", told.Detail, told.Next)
	}
	// Not every request asks a provider that is down, and it is asked again after a moment.
	idp.set(func() {
		idp.handle["/.well-known/openid-configuration"] = func(w http.ResponseWriter,
			_ *http.Request) {
			http.Error(w, "down", http.StatusServiceUnavailable)
		}
	})
	for range 20 {
		if _, err := h.browser(t).begin(sso.ForSignIn); !problem.Is(err, problem.Unavailable) {
			t.Fatalf("down: %v", err)
		}
	}
	if n := idp.asked("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
	idp.set(func() { clear(idp.handle) })
	h.Step(6 * time.Second)
	h.browser(t).signIn()
	// The cached document is used while a new one cannot be fetched.
	idp.set(func() {
		idp.handle["/.well-known/openid-configuration"] = func(w http.ResponseWriter,
			_ *http.Request) {
			http.Error(w, "down", http.StatusServiceUnavailable)
		}
	})
	h.Step(2 * time.Hour)
	h.browser(t).signIn()
	h.Step(24 * time.Hour)
	if _, err := h.browser(t).begin(sso.ForSignIn); !problem.Is(err, problem.Unavailable) {
		t.Errorf("a document of yesterday still serves: %v", err)
	}
}

func TestTrouble_SlowProvider(t *testing.T) {
	h := build(t, dbtest.SQLite(t),
		bcrypt.MinCost).with(t, func(s *logintest.Settings) { s.SSO.HTTP = sso.ProviderClient(2*time.Second, nil) })
	h.Add(t, "ann")
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	quick := startIDP(t, h.Now)
	if _, err := h.Providers.SaveProvider(context.Background(), cli, sso.Provider{
		Slug:         "quick",
		Kind:         sso.KindOIDC,
		Name:         "Quick",
		Issuer:       quick.URL,
		ClientID:     clientID,
		ClientSecret: clientSecret,
		Enabled:      true,
	}); err != nil {
		t.Fatal(err)
	}
	asked, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	idp.set(func() {
		idp.handle["/.well-known/openid-configuration"] = func(http.ResponseWriter, *http.Request) {
			once.Do(func() { close(asked) })
			<-release
		}
	})
	defer close(release)
	ends := make(chan error, 3)
	for range cap(ends) {
		go func() {
			_, err := h.browser(t).begin(sso.ForSignIn)
			ends <- err
		}()
	}
	<-asked
	if _, err := h.Try("ann", password, "192.0.2.7", ""); err != nil {
		t.Errorf("a password while a provider is silent: %v", err)
	}
	if _, _, err := h.SSO.Begin(context.Background(),
		sso.Round{Slug: "quick", Purpose: sso.ForSignIn, Origin: origin}); err != nil {
		t.Errorf("another provider while one is silent: %v", err)
	}
	if got := h.Providers.SignInButtons(); len(got) != 2 {
		t.Errorf("buttons: %+v", got)
	}
	for range cap(ends) {
		if err := <-ends; !problem.Is(err, problem.Timeout) || !strings.Contains(problem.Of(err).Detail, "Corp") {
			t.Errorf("a provider that never answers: %v", err)
		}
	}
	if n := idp.asked("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("three people made %d requests, want one", n)
	}
}

func TestTrouble_SlowBody(t *testing.T) {
	h := build(
		t,
		dbtest.SQLite(t),
		bcrypt.MinCost,
	).with(t, func(s *logintest.Settings) { s.SSO.HTTP = sso.ProviderClient(500*time.Millisecond, nil) })
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	b := h.browser(t)
	to, err := b.begin(sso.ForSignIn)
	if err != nil {
		t.Fatal(err)
	}
	back := b.visit(to)
	idp.set(func() {
		idp.handle["/token"] = func(w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := fmt.Fprint(w, " "); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		}
	})
	if _, err := b.finish(back); err == nil ||
		problem.Of(err).Kind != problem.Timeout && problem.Of(err).Kind != problem.Unavailable {
		t.Errorf("a token endpoint that drips: %v", err)
	}
}

func TestTrouble_KeyRefresh(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	h.browser(t).signIn()
	for range 3 {
		idp.rotate(t)
		h.browser(t).signIn()
	}
	if n := idp.asked("/jwks"); n != 4 {
		t.Errorf("the keys were fetched %d times, want 4", n)
	}
	h.Step(10 * time.Minute)
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	before := idp.asked("/jwks")
	idp.set(func() {
		idp.sign = func(payload []byte) string {
			return sign(jose.ES256, jose.JSONWebKey{Key: foreign, KeyID: rand.Text()}, "JWT", payload)
		}
	})
	for range 40 {
		if _, err := h.browser(t).round(sso.ForSignIn); !problem.Is(err, problem.Unauthenticated) {
			t.Fatalf("an unknown key: %v", err)
		}
	}
	if n := idp.asked("/jwks") - before; n > 5 {
		t.Errorf("a flood of unknown keys caused %d fetches", n)
	}
	idp.set(func() { idp.sign = nil })
	h.browser(t).signIn()
	// A flood of logout tokens from strangers does not use up the limits of sign-ins.
	h.Step(10 * time.Minute)
	before = idp.asked("/jwks")
	for range 40 {
		token := sign(jose.ES256, jose.JSONWebKey{Key: foreign, KeyID: rand.Text()}, "logout+jwt", []byte(`{}`))
		if err := h.Providers.BackChannelLogout(context.Background(), "corp", token); !problem.Is(err,
			problem.Invalid) {
			t.Fatalf("a logout token of a stranger: %v", err)
		}
	}
	if n := idp.asked("/jwks") - before; n > 6 {
		t.Errorf("a flood of logout tokens caused %d fetches", n)
	}
	idp.rotate(t)
	h.browser(t).signIn()
}

func TestTrouble_Redirects(t *testing.T) {
	t.Parallel()
	secrets := make(chan string, 10)
	elsewhere := httptest.NewServer(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { secrets <- r.Header.Get("Authorization") }),
	)
	defer elsewhere.Close()
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		case "/moved":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		}
	}))
	defer here.Close()
	client := sso.ProviderClient(5*time.Second, nil)
	for path, want := range map[string]int{"/away": http.StatusFound, "/moved": http.StatusOK,
		"/loop": http.StatusFound, "/ok": http.StatusOK} {
		res, err := client.Get(here.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s ends with %d, want %d", path, res.StatusCode, want)
		}
	}
	res, err := client.Post(here.URL+"/moved", "text/plain", strings.NewReader("secret"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusFound || len(secrets) != 0 {
		t.Errorf("a redirect carried a request on: %d, %d requests elsewhere", res.StatusCode, len(secrets))
	}
}

func TestClose_CancelsFetches(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	asked, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	var once sync.Once
	idp.set(func() {
		idp.handle["/.well-known/openid-configuration"] = func(http.ResponseWriter, *http.Request) {
			once.Do(func() { close(asked) })
			<-release
		}
	})
	begun := make(chan error, 1)
	go func() {
		_, err := h.browser(t).begin(sso.ForSignIn)
		begun <- err
	}()
	<-asked
	h.Providers.Close()
	if err := <-begun; !problem.Is(err, problem.Timeout) {
		t.Errorf("the fetch continued: %v", err)
	}
	before := idp.asked("/.well-known/openid-configuration")
	h.Step(6 * time.Second)
	if _, err := h.browser(t).begin(sso.ForSignIn); !problem.Is(err, problem.Timeout) {
		t.Errorf("after closing: %v", err)
	}
	if n := idp.asked("/.well-known/openid-configuration"); n != before {
		t.Errorf("the provider was asked after closing: %d times, want %d", n, before)
	}
}
