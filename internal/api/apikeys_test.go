package api_test

import (
	"net/http"
	"strings"
	"testing"

	"sluice/internal/authz"
)

// with is a program that sends a key and nothing else.
func (s *site) sending(header, value string) caller {
	c := s.stranger()
	return caller{s, c.With(header, value)}
}

func TestAPIKeys_Life(t *testing.T) { onBoth(t, theLifeOfAKey) }

func theLifeOfAKey(t *testing.T, environ ...string) {
	s := newSite(t, append(environ, "SLUICE_API_KEY_MAX_DAYS=30")...)
	s.Add("adm", authz.RoleAdmin, false)
	val, adm := s.as("val"), s.as("adm")
	made := val.call("createKey", map[string]any{
		"name": "ci", "scope": map[string]any{"actions": []string{"flow:run",
			"workspace:view"}}, "networks": []string{"127.0.0.1"}, "per_minute": 100, "per_day": 1000,
	}).is(http.StatusCreated)
	secret, id := made.text("secret"), made.text("id")
	if made.Header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(secret, made.text("prefix")) {
		t.Errorf("the answer with the key: %v %s", made.Header, made.Body)
	}
	key := s.sending("Authorization", "Bearer "+secret)
	if got := key.call("getMe", nil).is(http.StatusOK); got.text("username") != "val" ||
		got.Header.Get("RateLimit") == "" {
		t.Errorf("who it is: %s", got.Body)
	}
	s.sending("X-Api-Key", secret).call("getWorkspace", nil, "workspace", "default").is(http.StatusOK)
	for _, forbidden := range []string{"listKeys", "listUsers", "getMailStatus"} {
		key.call(forbidden, nil).is(http.StatusForbidden)
	}
	key.call("createKey", map[string]any{"name": "more"}).is(http.StatusForbidden)
	// Requests that another site makes a browser send have its cookies, never a key.
	elsewhere := caller{s, key.With("Sec-Fetch-Site", "cross-site")}
	elsewhere.call("getMe", nil).is(http.StatusOK)
	if items := val.list("listKeys"); len(items) != 1 || strings.Contains(val.call("listKeys", nil).Body, secret) {
		t.Errorf("one's own keys: %v", items)
	}
	if used := val.call("getKey", nil, "key", id).is(http.StatusOK).field("used_today"); used == nil {
		t.Error("the use of today is not told")
	}
	val.call("updateKey", map[string]any{"name": "nightly", "per_day": 0}, "key", id).is(http.StatusOK)
	rotated := val.call("rotateKey", map[string]any{"overlap_hours": 1}, "key", id).is(http.StatusOK)
	if rotated.text("former_until") == "" || rotated.text("secret") == secret {
		t.Errorf("rotated: %s", rotated.Body)
	}
	key.call("getMe", nil).is(http.StatusOK)
	s.sending("Authorization", "Bearer "+rotated.text("secret")).call("getMe", nil).is(http.StatusOK)
	val.call("rotateKey", map[string]any{"overlap_hours": 169}, "key", id).is(http.StatusBadRequest)
	if d := val.call("createKey",
		map[string]any{"name": "x",
			"expires_at": "2999-01-01T00:00:00Z"}).is(http.StatusBadRequest).problem(); d.Field != "expires_at" ||
		!strings.Contains(d.Detail, "30 days") {
		t.Errorf("an end that is too far: %+v", d)
	}
	// A person who manages the workspace's keys sees and revokes them, but never gets one.
	if items := adm.list("listWorkspaceKeys", "workspace", "default"); len(items) != 1 {
		t.Errorf("the workspace's keys: %v", items)
	}
	adm.call("updateWorkspaceKey", map[string]any{"per_day": 5}, "workspace", "default", "key", id).is(http.StatusOK)
	adm.call("updateWorkspaceKey", map[string]any{"scope": map[string]any{}}, "workspace", "default", "key", id).
		is(http.StatusForbidden)
	adm.call("rotateKey", map[string]any{}, "key", id).is(http.StatusForbidden)
	adm.call("revokeWorkspaceKey", nil, "workspace", "default", "key", id).is(http.StatusNoContent)
	refused := key.call("getMe", nil).is(http.StatusUnauthorized)
	if d := refused.problem(); d.Rule != "key revoked" ||
		refused.Header.Get("WWW-Authenticate") != `Bearer realm="Sluice", error="invalid_token"` {
		t.Errorf("a revoked key: %+v %v", d, refused.Header)
	}
	if strings.Contains(s.Log.String(), secret[12:]) ||
		!strings.Contains(s.Log.String(), `"key_prefix":"`+secret[:12]) {
		t.Error("the log tells the key, or does not tell which one")
	}
	if d := s.stranger().send("GET", "/api/v1/me?key="+secret,
		nil).is(http.StatusBadRequest).problem(); d.Rule != "key in address" ||
		strings.Contains(d.Detail, secret) {
		t.Errorf("a key in the address: %+v", d)
	}
}
