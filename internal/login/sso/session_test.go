package sso_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logout is a good logout token with changes; nil takes a claim away.
func (p *idp) logout(changes map[string]any) string {
	claims := map[string]any{
		"iss":    p.URL,
		"aud":    clientID,
		"iat":    p.now().Unix(),
		"exp":    p.now().Add(2 * time.Minute).Unix(),
		"jti":    base64.RawURLEncoding.EncodeToString([]byte(time.Now().String())),
		"events": map[string]any{logoutEvent: map[string]any{}},
		"sub":    "u1",
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return p.signed("logout+jwt", claims)
}

// live lists a person's sessions.
func (h *house) live(t testing.TB, userID string) []string {
	t.Helper()
	list, err := h.Sessions.List(context.Background(), cli, userID)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range list {
		out = append(out, s.ID)
	}
	slices.Sort(out)
	return out
}

func TestLogout_ByProvider(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		idp := startIDP(t, h.Now)
		h.withProvider(t, idp, nil)
		end := func(changes map[string]any) {
			t.Helper()
			if err := h.Providers.BackChannelLogout(ctx, "corp", idp.logout(changes)); err != nil {
				t.Fatalf("%v: %v", changes, err)
			}
		}
		session := func(sid any) authz.Principal {
			t.Helper()
			idp.set(func() { says("sid", sid)(idp) })
			return h.browser(t).signIn()
		}
		one, two, three := session("a"), session("b"), session("b")
		idp.set(func() {
			idp.user["sub"], idp.user["email"], idp.user["preferred_username"] = "u2", "mia@example.org", "mia"
		})
		mia := session("c")
		idp.set(func() { idp.user["sub"] = "u1" })
		want := func(what string, ids ...string) {
			t.Helper()
			slices.Sort(ids)
			if got := h.live(t, one.ID); !slices.Equal(got, ids) {
				t.Errorf("%s: live are %v, want %v", what, got, ids)
			}
			if got := h.live(t, mia.ID); len(got) != 1 {
				t.Errorf("%s: another person has %d sessions", what, len(got))
			}
		}
		stream := h.Sessions.Done(one.SessionID)
		end(map[string]any{"sid": "unknown", "sub": nil})
		end(map[string]any{"sub": "nobody"})
		end(map[string]any{"sid": "c"}) // another person's session with this subject
		want("what is not known", one.SessionID, two.SessionID, three.SessionID)
		end(map[string]any{"sid": "a", "sub": nil})
		want("one session", two.SessionID, three.SessionID)
		select {
		case <-stream:
		default:
			t.Error("its streams go on")
		}
		four := session(nil)
		end(map[string]any{"sid": "x"})
		want("a session without the provider's session id", two.SessionID, three.SessionID)
		end(map[string]any{"sid": "b"})
		want("one of the provider's, two of ours")
		session("d")
		session("e")
		end(nil)
		want("the whole person")
		if !slices.Contains(h.entries(t), "system | sso:corp | session:end |  | done | signed out at the "+
			"provider") || four.SessionID == "" {
			t.Errorf("not in the audit: %s", strings.Join(h.entries(t), "\n"))
		}
	})
}

func TestLogout_TokenOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		idp := startIDP(t, h.Now)
		h.withProvider(t, idp, nil)
		token := idp.logout(map[string]any{"exp": h.Now().Add(100 * time.Hour).Unix()})
		if err := h.Providers.BackChannelLogout(ctx, "corp", token); err != nil {
			t.Fatal(err)
		}
		p := h.browser(t).signIn()
		for _, wait := range []time.Duration{0, 59 * time.Minute, 5 * time.Minute, 30 * time.Hour} {
			h.Step(wait)
			if err := h.Sessions.Maintain(ctx, h.Now()); err != nil {
				t.Fatal(err)
			}
			if err := h.Providers.BackChannelLogout(ctx, "corp", token); !problem.Is(err, problem.Invalid) {
				t.Errorf("again after %s: %v", wait, err)
			}
			if wait < time.Hour && len(h.live(t, p.ID)) != 1 {
				t.Error("the session has expired")
			}
		}
	})
}

func TestLogout_BadTokens(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	idp, other := startIDP(t, h.Now), startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	p := h.browser(t).signIn()
	events := func(v any) map[string]any { return map[string]any{"events": v} }
	bad := map[string]string{
		"empty": "", "garbage": "x.y.z", "no token": "logout", "huge": strings.Repeat("a", 1<<20),
		"another audience":      idp.logout(map[string]any{"aud": "other"}),
		"another issuer":        idp.logout(map[string]any{"iss": other.URL}),
		"another's signature":   other.logout(map[string]any{"iss": idp.URL}),
		"with a nonce":          idp.logout(map[string]any{"nonce": "n"}),
		"with an empty nonce":   idp.logout(map[string]any{"nonce": ""}),
		"no event":              idp.logout(events(nil)),
		"another event":         idp.logout(events(map[string]any{"http://example.org/event": map[string]any{}})),
		"an event that is text": idp.logout(events(logoutEvent)),
		"no id":                 idp.logout(map[string]any{"jti": nil}),
		"an endless id":         idp.logout(map[string]any{"jti": strings.Repeat("j", 600)}),
		"no subject":            idp.logout(map[string]any{"sub": nil}),
		"no end":                idp.logout(map[string]any{"exp": nil}),
		"over":                  idp.logout(map[string]any{"exp": h.Now().Add(-2 * time.Minute).Unix()}),
		"no beginning":          idp.logout(map[string]any{"iat": nil}),
		"from the future":       idp.logout(map[string]any{"iat": h.Now().Add(2 * time.Minute).Unix()}),
		"of yesterday":          idp.logout(map[string]any{"iat": h.Now().Add(-24 * time.Hour).Unix()}),
		"claims of other types": idp.logout(map[string]any{"sub": 7, "sid": []string{"a"}}),
	}
	payload, err := json.Marshal(map[string]any{"iss": idp.URL})
	if err != nil {
		t.Fatal(err)
	}
	bad["unsigned"] = base64.RawURLEncoding.EncodeToString(
		[]byte(`{"alg":"none"}`),
	) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
	bad["signed with the client "+
		"secret"] = sign(jose.HS256, []byte(strings.Repeat(clientSecret, 2)), "logout+jwt", payload)
	idToken := ""
	idp.set(func() {
		idp.sign = func(payload []byte) string {
			idToken = sign(jose.ES256, jose.JSONWebKey{Key: idp.key, KeyID: idp.public().KeyID}, "JWT", payload)
			return idToken
		}
	})
	h.browser(t).signIn()
	idp.set(func() { idp.sign = nil })
	bad["an id token"] = idToken
	before := len(h.live(t, p.ID))
	for name, token := range bad {
		if err := h.Providers.BackChannelLogout(ctx, "corp", token); !problem.Is(err, problem.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := len(h.live(t, p.ID)); got != before {
		t.Errorf("%d of %d sessions are left", got, before)
	}
	if err := h.Providers.BackChannelLogout(ctx, "nowhere", idp.logout(nil)); !problem.Is(err, problem.NotFound) {
		t.Errorf("an unknown provider: %v", err)
	}
}

func TestLogout_AtProviderToo(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	idp := startIDP(t, h.Now)
	p := h.withProvider(t, idp, nil)
	h.Add(t, "ann")
	for name, who := range map[string]authz.Principal{"a password": h.Enter(t, "ann"),
		"no session": {Kind: authz.Person, ID: "x"}, "a stranger": {}} {
		if to, err := h.Providers.SignOutElsewhere(ctx, who, origin); to != "" || err != nil {
			t.Errorf("%s: %q, %v", name, to, err)
		}
	}
	zoe := h.browser(t).signIn()
	to, err := h.Providers.SignOutElsewhere(ctx, zoe, origin)
	if err != nil || !strings.HasPrefix(to, idp.URL+"/logout?") {
		t.Fatalf("%q, %v", to, err)
	}
	q := mustQuery(t, to)
	if q.Get("theme") != "dark" || q.Get("client_id") != clientID ||
		q.Get("post_logout_redirect_uri") != origin+"/logout" ||
		q.Get("state") == "" ||
		strings.Count(q.Get("id_token_hint"), ".") != 2 {
		t.Errorf("the address is %s", to)
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(q.Get("id_token_hint"), ".")[1])
	if err != nil || !strings.Contains(string(claims), `"sub":"u1"`) {
		t.Errorf("the hint is %s, %v", claims, err)
	}
	// A token that would make the address too long is left out.
	idp.set(func() { idp.user["groups"] = slices.Repeat([]string{"a long name of a group"}, 400) })
	if to, err = h.Providers.SignOutElsewhere(ctx, h.browser(t).signIn(),
		origin); err != nil || mustQuery(t, to).Has("id_token_hint") ||
		!mustQuery(t, to).Has("client_id") {
		t.Errorf("with a long token: %d bytes, %v", len(to), err)
	}
	// Signing out here does not wait for a provider without a sign-out address, or one that is
	// down.
	idp.set(func() { idp.discovery = func(d map[string]any) { delete(d, "end_session_endpoint") } })
	h.Step(2 * time.Hour)
	if to, err = h.Providers.SignOutElsewhere(ctx, zoe, origin); to != "" || err != nil {
		t.Errorf("without an address: %q, %v", to, err)
	}
	idp.Close()
	h.Step(48 * time.Hour)
	if to, err = h.Providers.SignOutElsewhere(ctx, zoe, origin); to != "" || err != nil {
		t.Errorf("with a provider that is gone: %q, %v", to, err)
	}
	if err := h.Providers.RemoveProvider(ctx, cli, p.ID); err != nil {
		t.Fatal(err)
	}
	if to, err = h.Providers.SignOutElsewhere(ctx, zoe, origin); to != "" || err != nil {
		t.Errorf("without the provider: %q, %v", to, err)
	}
}

func FuzzLogoutToken(f *testing.F) {
	h := build(f, dbtest.SQLite(f), bcrypt.MinCost)
	idp := startIDP(f, h.Now)
	h.withProvider(f, idp, nil)
	end, err := h.browser(f).round(sso.ForSignIn)
	if err != nil {
		f.Fatal(err)
	}
	good := idp.logout(map[string]any{"sub": "nobody"})
	for _, seed := range []string{
		"", ".", "..", "a.b.c", good, good + "A", strings.Replace(good, ".", "..", 1), "eyJhbGciOiJub25lIn0.e30.",
		"eyJhbGciOiJIUzI1NiJ9.e30.AAAA", `{"payload":"e30","signatures":[]}`,
		`{"payload":"e30","protected":"eyJhbGciOiJFUzI1NiJ9","signature":"AAAA"}`,
		"eyJhbGciOiJFUzI1NiIsImNyaXQiOlsieCJdfQ.e30.AAAA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		err := h.Providers.BackChannelLogout(context.Background(), "corp", token)
		if err == nil && token != good {
			t.Errorf("taken: %q", token)
		}
		if err != nil && !problem.Is(err, problem.Invalid) {
			t.Errorf("%q: %v", token, err)
		}
		if _, ok := h.Sessions.Lookup(end.Progress.Result.Token, authn.AudienceMain); !ok {
			t.Fatalf("%q revoked a session", token)
		}
	})
}
