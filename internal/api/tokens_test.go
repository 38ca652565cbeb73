package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"sluice/internal/api"
	"sluice/internal/identity"
	"sluice/internal/sluicetest"
)

// tokens are what a program got.
type tokens struct{ access, refresh string }

func (r result) tokens() tokens {
	r.t.Helper()
	r.is(http.StatusOK)
	if r.field("token_type") != "Bearer" || r.Header.Get("Cache-Control") != "no-store" ||
		r.Header.Get("Set-Cookie") != "" {
		r.t.Errorf("an answer with tokens: %v %s", r.Header, r.Body)
	}
	return tokens{r.text("access_token"), r.text("refresh_token")}
}

// with is a program that sends an access token.
func (s *site) with(access string) caller {
	c := caller{s, s.Browser().With("Authorization", "Bearer "+access)}
	c.Header.Del("Sec-Fetch-Site")
	c.Header.Del("Sec-Fetch-Mode")
	return c
}

func (s *site) signInProgram(username string) tokens {
	s.t.Helper()
	return s.stranger().
		call("createTokens", map[string]any{"username": username, "password": sluicetest.Password}).
		tokens()
}

func TestTokens(t *testing.T) { onBoth(t, tokenStory) }

func tokenStory(t *testing.T, environ ...string) {
	s := newSite(t, environ...)
	program := s.stranger()
	answer := program.call(
		"createTokens",
		map[string]any{
			"username":  "val@example.com",
			"password":  sluicetest.Password,
			"workspace": identity.DefaultWorkspace,
		},
	)
	first := answer.tokens()
	if answer.field("expires_in").(float64) < 21590 || answer.field("refresh_expires_in").(float64) < 2591990 {
		t.Errorf("the lives of tokens: %s", answer.Body)
	}
	me := s.with(first.access).call("getMe", nil).is(http.StatusOK)
	if me.text("username") != "val" || me.text("workspace") != identity.DefaultWorkspace ||
		me.text("session_id") == "" {
		t.Errorf("me: %s", me.Body)
	}
	s.with(first.access).call("listUsers", nil).is(http.StatusForbidden)

	second := program.call("refreshTokens", map[string]any{"refresh_token": first.refresh}).tokens()
	lost := program.call("refreshTokens", map[string]any{"refresh_token": first.refresh}).tokens()
	if second.refresh == first.refresh || lost.refresh != second.refresh || lost.access == second.access {
		t.Error("the successor of a token is not one and the same")
	}
	for _, access := range []string{first.access, second.access, lost.access} {
		s.with(access).call("getMe", nil).is(http.StatusOK)
	}

	// It is a session like others: its owner and an admin see and end it.
	val := s.as("val")
	list := val.list("listMySessions")
	programs := 0
	for _, item := range list {
		v := item.(map[string]any)
		if v["program"] == true {
			programs++
			if v["method"] != "password (API)" || v["id"] != me.text("session_id") {
				t.Errorf("the program's session: %v", v)
			}
		}
	}
	if len(list) != 2 || programs != 1 {
		t.Errorf("sessions: %v", list)
	}
	val.call("endMySession", nil, "session", me.text("session_id")).is(http.StatusNoContent)
	ended := s.with(second.access).call("getMe", nil).is(http.StatusUnauthorized)
	if d := ended.problem(); !strings.Contains(d.Detail, "has ended") ||
		ended.Header.Get("WWW-Authenticate") != `Bearer realm="Sluice", error="invalid_token"` {
		t.Errorf("after the end: %q %+v", ended.Header.Get("WWW-Authenticate"), d)
	}
	if d := program.call("refreshTokens",
		map[string]any{"refresh_token": second.refresh}).is(http.StatusUnauthorized).problem(); !strings.Contains(
		d.Detail,
		"has ended",
	) {
		t.Errorf("refreshing after the end: %+v", d)
	}
	val.call("getMe", nil).is(http.StatusOK)
}

func TestTokens_Revoke(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	program := s.stranger()
	gone, kept := s.signInProgram("val"), s.signInProgram("val")
	s.with(gone.access).call("logout", nil).is(http.StatusNoContent)
	s.with(gone.access).call("getMe", nil).is(http.StatusUnauthorized)
	s.with(gone.access).call("logout", nil).is(http.StatusUnauthorized)
	program.call("refreshTokens", map[string]any{"refresh_token": gone.refresh}).is(http.StatusUnauthorized)
	s.with(kept.access).call("getMe", nil).is(http.StatusOK)

	for _, token := range []string{kept.refresh, kept.refresh, "nothing", strings.Repeat("x", 400)} {
		if r := program.call("revokeTokens",
			map[string]any{"refresh_token": token}).is(http.StatusOK); r.Body != "{}\n" {
			t.Errorf("revoking answers %q", r.Body)
		}
	}
	s.with(kept.access).call("getMe", nil).is(http.StatusUnauthorized)

	val := s.as("val")
	if d := val.call("logout", nil).is(http.StatusBadRequest).problem(); d.Field != "Authorization" {
		t.Errorf("a browser signs out as a program: %+v", d)
	}
	val.call("getMe", nil).is(http.StatusOK)
}

// TestTokens_ErrorAnswers covers bad sign-ins and bad tokens.
func TestTokens_ErrorAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	program := s.stranger()
	sign := func(username, password string) result {
		return program.call("createTokens", map[string]any{"username": username, "password": password})
	}
	wrong, nobody := sign(
		"val",
		"wrong",
	).is(http.StatusUnauthorized).
		problem(),
		sign(
			"nobody",
			"wrong",
		).is(http.StatusUnauthorized).
			problem()
	if wrong.Detail != nobody.Detail || wrong.Next != nobody.Next || wrong.Rule != nobody.Rule {
		t.Errorf("the answers differ:\n%+v\n%+v", wrong, nobody)
	}
	if d := program.call("createTokens",
		map[string]any{"username": "val", "password": sluicetest.Password,
			"workspace": "nowhere"}).is(http.StatusNotFound).problem(); d.Field != "workspace" {
		t.Errorf("an unknown workspace: %+v", d)
	}
	good := s.signInProgram("val")
	part := strings.Split(good.access, ".")
	for name, token := range map[string]string{
		"truncated": good.access[:len(good.access)-1], "without signature": part[0] + "." + part[1] +
			".", "alg none": "eyJhbGciOiJub25lIn0." + part[1] + ".", "garbage": "x", "a refresh token": good.refresh,
	} {
		r := s.with(token).call("getMe", nil).is(http.StatusUnauthorized)
		if d := r.problem(); !strings.Contains(d.Detail, "not valid") ||
			!strings.Contains(r.Header.Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("%s: %q %+v", name, r.Header.Get("WWW-Authenticate"), d)
		}
	}
	// A token that is not good is never made up for by a cookie.
	val := s.as("val")
	caller{
		s,
		val.With("Authorization", "Bearer "+good.access[:len(good.access)-1]),
	}.call("getMe", nil).
		is(http.StatusUnauthorized)
	if err := s.People.SetSecondFactor(context.Background(), sluicetest.Operator(), identity.DefaultWorkspace,
		identity.FactorRequired); err != nil {
		t.Fatal(err)
	}
	if d := sign("val", sluicetest.Password).is(http.StatusForbidden).problem(); !strings.Contains(d.Next, "/login") {
		t.Errorf("a second factor that has to be set up: %+v", d)
	}
}

// TestTokens_OpenOperationsIgnoreCookies sends a signed-in browser's cookies along: nothing of that
// person may show.
func TestTokens_OpenOperationsIgnoreCookies(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root := s.as("root")
	for _, rt := range api.Routes() {
		if rt.Where != "anybody" {
			continue
		}
		op := s.spec.Operation(rt.ID)
		before := root.call("getMe", nil).Body
		r := root.send(rt.Method, api.Prefix+rt.Path, s.body(op))
		if r.Status != http.StatusUnauthorized && r.Status != http.StatusOK || r.Header.Get("Set-Cookie") != "" ||
			strings.Contains(r.Body, "root") {
			t.Errorf("%s: %d %s", rt.ID, r.Status, r.Body)
		}
		if root.call("getMe", nil).Body != before {
			t.Errorf("%s has changed the browser's session", rt.ID)
		}
	}
	if got := root.call("createTokens",
		map[string]any{"username": "val", "password": sluicetest.Password}).tokens(); s.with(got.access).
		call("getMe", nil).
		text("username") !=
		"val" {
		t.Error("a program's tokens are of whoever the cookie belongs to")
	}
}
