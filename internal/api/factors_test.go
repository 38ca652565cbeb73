package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/pquerna/otp/hotp"

	"sluice/internal/api"
	"sluice/internal/authz"
	"sluice/internal/sluicetest"
)

// codes makes what an authenticator app shows, counted from the step in which it was made: the
// first use may be a step late, the second one early.
func codes(t *testing.T, secret string) func(step int) string {
	t.Helper()
	begun := time.Now().Unix() / 30
	return func(step int) string {
		code, err := hotp.GenerateCode(secret, uint64(begun+int64(step)))
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
}

// unlike is a code that is right in no step near.
func unlike(code func(step int) string) string {
	var near []string
	for step := -25; step <= 25; step++ {
		near = append(near, code(step))
	}
	guess := 0
	for slices.Contains(near, fmt.Sprintf("%06d", guess)) {
		guess++
	}
	return fmt.Sprintf("%06d", guess)
}

// asksAgain checks that an answer asks for a fresh proof of identity, in the form of RFC 9470.
func (r result) asksAgain() {
	r.t.Helper()
	d := r.is(http.StatusUnauthorized).problem()
	challenge := r.Header.Get("WWW-Authenticate")
	if d.Type != "/problems/step-up" || !strings.Contains(d.Next, "POST /api/v1/me/confirmation") ||
		!strings.HasPrefix(challenge, `Bearer error="insufficient_user_authentication", error_description="`) ||
		!strings.HasSuffix(challenge, `, max_age="900"`) {
		r.t.Errorf("%+v, challenge %q", d, challenge)
	}
}

func (r result) texts(path string) []string {
	r.t.Helper()
	var out []string
	list, _ := r.field(path).([]any)
	for _, v := range list {
		out = append(out, v.(string))
	}
	return out
}

func TestAuthenticatorApp(t *testing.T) { onBoth(t, authenticatorApp) }

func authenticatorApp(t *testing.T, environ ...string) {
	s := newSite(t, environ...)
	root, val := s.as("root"), s.as("val")
	own := val.call("getMe", nil).text("session_id")
	if got := val.call("listMyFactors", nil).is(http.StatusOK); got.field("totp") != nil ||
		len(got.field("passkeys").([]any)) != 0 ||
		got.field("has_password") != true {
		t.Errorf("before: %s", got.Body)
	}

	offer := val.call("beginTOTP", nil).is(http.StatusCreated)
	code := codes(t, offer.text("secret"))
	if !strings.HasPrefix(offer.text("url"), "otpauth://totp/") {
		t.Errorf("offer: %s", offer.Body)
	}
	body := func(code string) map[string]any { return map[string]any{"token": offer.text("token"), "code": code} }
	if d := val.call("confirmTOTP", body(unlike(code))).is(http.StatusBadRequest).problem(); d.Field != "code" {
		t.Errorf("a wrong code: %+v", d)
	}
	root.call("confirmTOTP", body(code(0))).is(http.StatusNotFound)
	s.as("val").call("confirmTOTP", body(code(0))).is(http.StatusNotFound)
	first := val.call("confirmTOTP", body(code(0))).is(http.StatusOK).texts("recovery_codes")
	if len(first) != 10 {
		t.Fatalf("recovery codes: %v", first)
	}
	val.call("confirmTOTP", body(code(0))).is(http.StatusNotFound)
	if got := val.call("listMyFactors", nil); got.text("totp.created_at") == "" ||
		got.field("recovery_codes_left") != 10.0 ||
		strings.Contains(got.Body, offer.text("secret")) {
		t.Errorf("after: %s", got.Body)
	}
	if !s.session(val, own)["strong"].(bool) {
		t.Error("the session is not strong")
	}

	// A session that was left alone proves itself once, each code counts once.
	s.grow(own)
	val.call("removeTOTP", nil).asksAgain()
	val.call("newRecoveryCodes", nil).asksAgain()
	if got := val.call("listProofs", nil).is(http.StatusOK); got.field("totp") != true ||
		got.field("recovery_code") != true ||
		got.field("password") != false ||
		got.field("passkey") != false {
		t.Errorf("proofs: %s", got.Body)
	}
	for _, bad := range []map[string]any{{}, {"password": ""}, {"password": "a", "code": "123456"}} {
		if d := val.call("confirm", bad).is(http.StatusBadRequest).problem(); d.Field != "body" {
			t.Errorf("%v: %+v", bad, d)
		}
	}
	val.call("confirm", map[string]any{"password": sluicetest.Password}).is(http.StatusBadRequest)
	val.call("confirm", map[string]any{"code": code(0)}).is(http.StatusBadRequest)
	val.call("removeTOTP", nil).asksAgain()
	val.call("confirm", map[string]any{"code": code(1)}).is(http.StatusNoContent)
	second := val.call("newRecoveryCodes", nil).is(http.StatusCreated).texts("recovery_codes")
	if len(second) != 10 || slices.Contains(second, first[0]) {
		t.Errorf("new recovery codes: %v", second)
	}
	s.grow(own)
	val.call("confirm", map[string]any{"code": first[0]}).is(http.StatusBadRequest)
	val.call("confirm", map[string]any{"code": second[0]}).is(http.StatusNoContent)
	val.call("confirm", map[string]any{"code": second[0]}).is(http.StatusBadRequest)
	if got := val.call("listMyFactors", nil); got.field("recovery_codes_left") != 9.0 {
		t.Errorf("one was used: %s", got.Body)
	}

	val.call("removeTOTP", nil).is(http.StatusNoContent)
	val.call("removeTOTP", nil).is(http.StatusNotFound)
	val.call("newRecoveryCodes", nil).is(http.StatusConflict)
	if s.session(val, own)["strong"].(bool) {
		t.Error("the session is strong without a factor")
	}
}

// session is one of the caller's own sessions.
func (s *site) session(c caller, id string) map[string]any {
	s.t.Helper()
	for _, i := range c.list("listMySessions") {
		if m := i.(map[string]any); m["id"] == id {
			return m
		}
	}
	s.t.Fatalf("no session %s", id)
	return nil
}

// TestLostDevice: an admin takes the factors away, and a workspace that requires one is closed
// until there is another.
func TestLostDevice(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root, val := s.as("root"), s.as("val")
	id := val.call("getMe", nil).text("id")
	enrol := func(c caller) {
		offer := c.call("beginTOTP", nil).is(http.StatusCreated)
		c.call("confirmTOTP", map[string]any{"token": offer.text("token"), "code": codes(t, offer.text("secret"))(0)}).
			is(http.StatusOK)
	}
	val.call("listFactors", nil, "user", id).is(http.StatusForbidden)
	enrol(root)
	root.call("updateWorkspace", map[string]any{"second_factor": "required"}, "workspace", "default").
		is(http.StatusNoContent)
	val.call("listMembers", nil, "workspace", "default").is(http.StatusNotFound)
	enrol(val)
	val.call("listMembers", nil, "workspace", "default").is(http.StatusOK)

	if got := root.call("listFactors", nil, "user", id).is(http.StatusOK); got.text("totp.created_at") == "" {
		t.Errorf("factors: %s", got.Body)
	}
	root.call("removeFactors", nil, "user", id).is(http.StatusNoContent)
	root.call("removeFactors", nil, "user", id).is(http.StatusConflict)
	root.call("removeFactors", nil, "user", "nobody").is(http.StatusNotFound)
	val.call("listMembers", nil, "workspace", "default").is(http.StatusNotFound)
	val.call("removeFactors", nil, "user", id).is(http.StatusForbidden)
}

// device is a person's authenticator.
type device struct {
	rp   virtualwebauthn.RelyingParty
	auth virtualwebauthn.Authenticator
	cred virtualwebauthn.Credential
}

// options is what the browser gets, in its own spelling.
func (r result) options() string {
	r.t.Helper()
	text, err := json.Marshal(r.is(http.StatusCreated).field("options"))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

func (d *device) make(r result) map[string]any {
	r.t.Helper()
	options, err := virtualwebauthn.ParseAttestationOptions(r.options())
	if err != nil {
		r.t.Fatal(err)
	}
	d.auth.Options.UserHandle = []byte(options.UserID)
	d.auth.AddCredential(d.cred)
	return object(r.t, virtualwebauthn.CreateAttestationResponse(d.rp, d.auth, d.cred, *options))
}

func (d *device) get(r result) map[string]any {
	r.t.Helper()
	options, err := virtualwebauthn.ParseAssertionOptions(r.options())
	if err != nil {
		r.t.Fatal(err)
	}
	return object(r.t, virtualwebauthn.CreateAssertionResponse(d.rp, d.auth, d.cred, *options))
}

func TestPasskeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if d := s.as("val").call("offerPasskey", nil).is(http.StatusBadRequest).problem(); !strings.Contains(
		d.Next,
		"http://localhost:",
	) {
		t.Errorf("on an IP address: %+v", d)
	}
	origin := strings.Replace(s.MainOrigin(""), "127.0.0.1", "localhost", 1)
	val := caller{s, s.Browser().At(origin)}
	if a := val.Post("/login",
		url.Values{"identifier": {"val"}, "password": {sluicetest.Password}}); a.Status != http.StatusSeeOther {
		t.Fatalf("signing in: %d", a.Status)
	}
	own := val.call("getMe", nil).text("session_id")
	key := &device{
		virtualwebauthn.RelyingParty{ID: "localhost", Name: "Sluice", Origin: origin},
		virtualwebauthn.NewAuthenticator(),
		virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2),
	}

	begun := val.call("offerPasskey", nil)
	body := map[string]any{"token": begun.text("token"), "name": "Laptop", "response": key.make(begun)}
	if got := val.call("addPasskey", body).is(http.StatusCreated).texts("recovery_codes"); len(got) != 10 {
		t.Errorf("recovery codes: %v", got)
	}
	val.call("addPasskey", body).is(http.StatusNotFound)
	again := val.call("offerPasskey", nil)
	val.call("addPasskey", map[string]any{"token": again.text("token"), "response": map[string]any{"id": "x"}}).
		is(http.StatusBadRequest)

	keys := val.call("listMyFactors", nil).field("passkeys").([]any)
	if len(keys) != 1 {
		t.Fatalf("passkeys: %v", keys)
	}
	id := keys[0].(map[string]any)["id"].(string)
	val.call("renamePasskey", map[string]any{"name": "Old laptop"}, "passkey", id).is(http.StatusNoContent)
	if got := val.call("getMyPasskey", nil, "passkey", id).is(http.StatusOK); got.text("name") != "Old laptop" ||
		got.text("host") != "localhost" ||
		got.field("used_at") != nil {
		t.Errorf("passkey: %s", got.Body)
	}

	// Another's passkey is not there.
	root := s.as("root")
	root.call("getMyPasskey", nil, "passkey", id).is(http.StatusNotFound)
	root.call("renamePasskey", map[string]any{"name": "Mine"}, "passkey", id).is(http.StatusNotFound)
	root.call("removePasskey", nil, "passkey", id).is(http.StatusNotFound)

	s.grow(own)
	val.call("removePasskey", nil, "passkey", id).asksAgain()
	asked := val.call("offerProof", nil)
	proof := map[string]any{"passkey": map[string]any{"token": asked.text("token"), "response": key.get(asked)}}
	val.call("confirm", proof).is(http.StatusNoContent)
	val.call("confirm", proof).is(http.StatusNotFound)
	if got := val.call("getMyPasskey", nil, "passkey", id); got.text("used_at") == "" {
		t.Errorf("never used: %s", got.Body)
	}
	val.call("removePasskey", nil, "passkey", id).is(http.StatusNoContent)
	if got := val.call("listMyFactors", nil); len(got.field("passkeys").([]any)) != 0 ||
		got.field("recovery_codes_left") != 0.0 {
		t.Errorf("after: %s", got.Body)
	}
}

// TestStepUp_StaleSession calls everything that is dangerous with a session that was left alone.
func TestStepUp_StaleSession(t *testing.T) {
	t.Parallel()
	s := furnished(t)
	root := s.as("root")
	own := root.call("getMe", nil).text("session_id")
	mine := []string{"beginTOTP", "confirmTOTP", "removeTOTP", "newRecoveryCodes", "removePasskey"}
	s.grow(own)
	asked := 0
	for _, rt := range api.Routes() {
		op := s.spec.Operation(rt.ID)
		if rt.Method == http.MethodGet || rt.ID == "checkProvider" ||
			!authz.Dangerous(authz.Action(rt.Action)) && !slices.Contains(mine, rt.ID) {
			continue
		}
		asked++
		r := root.send(rt.Method, s.path(rt.Path), s.body(op))
		r.as(s.spec, op)
		if r.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d: %.200s", rt.ID, r.Status, r.Body)
			continue
		}
		r.asksAgain()
	}
	if asked < 15 {
		t.Errorf("only %d operations are dangerous", asked)
	}
	root.call("confirm", map[string]any{"password": "wrong"}).is(http.StatusBadRequest)
	root.call("createResetLink", nil, "user", s.ids["user"]).asksAgain()
	root.call("confirm", map[string]any{"password": sluicetest.Password}).is(http.StatusNoContent)
	root.call("createResetLink", nil, "user", s.ids["user"]).is(http.StatusCreated)
	if root.call("getUser", nil, "user", s.ids["user"]).is(http.StatusOK).text("username") != "other" {
		t.Error("a refused change left something behind")
	}
}

// TestStepUp_WholeSession: an operator may find a sign-in proof enough.
func TestStepUp_WholeSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, "SLUICE_STEP_UP_MINUTES=0")
	root := s.as("root")
	s.grow(root.call("getMe", nil).text("session_id"))
	root.call("createUser", map[string]any{"username": "ann"}).is(http.StatusCreated)
}
