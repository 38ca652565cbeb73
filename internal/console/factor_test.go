package console

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/pquerna/otp/totp"

	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/factor"
)

// local makes the site's own address one with a host name.
func (s *site) local() *site {
	s.url = strings.Replace(s.url, "127.0.0.1", "localhost", 1)
	return s
}

// device is an authenticator of the site.
type device struct {
	rp   virtualwebauthn.RelyingParty
	auth virtualwebauthn.Authenticator
}

func (s *site) device() *device {
	return &device{
		rp:   virtualwebauthn.RelyingParty{ID: "localhost", Name: "Sluice", Origin: s.url},
		auth: virtualwebauthn.NewAuthenticator(),
	}
}

// ceremony asks a page's address for options, as its script does, and returns the ceremony's token
// with the options.
func (b *browser) ceremony(path string) (token, options string) {
	b.s.t.Helper()
	got := b.do(http.MethodPost, path, strings.NewReader("")).want(b.s.t, 200, "")
	var body struct {
		Token   string
		Options json.RawMessage
	}
	fatal(b.s.t, json.Unmarshal([]byte(got.body), &body))
	if body.Token == "" {
		b.s.t.Fatalf("no ceremony in %s", got.body)
	}
	return body.Token, string(body.Options)
}

// create answers the options for a new passkey; a coordinate that begins with a zero byte is left
// out, because the virtual authenticator would shorten it.
func (d *device) create(t *testing.T, options string) string {
	t.Helper()
	o, err := virtualwebauthn.ParseAttestationOptions(options)
	fatal(t, err)
	key := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	for len(key.Key.AttestationData()) != 77 {
		key = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	d.auth.Options.UserHandle = []byte(o.UserID)
	d.auth.AddCredential(key)
	return virtualwebauthn.CreateAttestationResponse(d.rp, d.auth, key, *o)
}

func (d *device) get(t *testing.T, options string) string {
	t.Helper()
	o, err := virtualwebauthn.ParseAssertionOptions(options)
	fatal(t, err)
	return virtualwebauthn.CreateAssertionResponse(d.rp, d.auth, d.auth.Credentials[0], *o)
}

// app is an authenticator app. It waits for no clock: using a code advances the site's clock.
type appOnPhone struct {
	s      *site
	secret string
	last   string
}

func (a *appOnPhone) code() string {
	a.s.t.Helper()
	for {
		code, err := totp.GenerateCode(a.secret, a.s.clock.now())
		fatal(a.s.t, err)
		if code != a.last {
			a.last = code
			return code
		}
		a.s.clock.forward(10 * time.Second)
	}
}

// secretIn reads the key that a page shows for typing.
func (s *site) appIn(page string) *appOnPhone {
	s.t.Helper()
	_, rest, ok := strings.Cut(page, "data-secret>")
	secret, _, _ := strings.Cut(rest, "<")
	if !ok {
		s.t.Fatalf("the page shows no key: %.800s", main(page))
	}
	return &appOnPhone{s: s, secret: strings.ReplaceAll(secret, " ", "")}
}

// codesIn reads the recovery codes that a page shows.
func codesIn(t *testing.T, page string) []string {
	t.Helper()
	_, rest, ok := strings.Cut(page, `<textarea`)
	_, rest, _ = strings.Cut(rest, ">")
	list, _, _ := strings.Cut(rest, "<")
	codes := strings.Fields(list)
	if !ok || len(codes) != factor.RecoveryCodes {
		t.Fatalf("the page shows the codes %q", codes)
	}
	return codes
}

func (s *site) policy(value string) {
	s.t.Helper()
	actor := authz.SystemPrincipal("test")
	actor.Strong = true
	fatal(s.t, s.people.SetSecondFactor(context.Background(), actor, identity.DefaultWorkspace, value))
}

func TestEnrollmentAtSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t).local()
	s.add("ann", "viewer")
	s.policy(identity.FactorEncouraged)

	b := s.browser()
	b.post("/login", "identifier", "ann", "password", goodPassword, "return", "/account").want(t, 303, "/login/enrol")
	page := b.get("/login/enrol").want(t, 200, "")
	says(t, page.body, "Signing in as", "Passkey", "Authenticator app", "Later")
	b.post("/login/enrol", "do", "later").want(t, 303, "/account")

	s.policy(identity.FactorRequired)
	b = s.browser()
	b.post("/login", "identifier", "ann", "password", goodPassword, "return", "/account").want(t, 303, "/login/enrol")
	hasNot(t, b.get("/login/enrol").body, "button[value=later]")
	b.post("/login/enrol", "do", "later").want(t, 403, "")
	b.post("/login/enrol").want(t, 400, "")

	offer := b.post("/login/enrol", "do", "app").want(t, 200, "")
	has(t, offer.body, "svg[role=img]", "input[name=code][autocomplete=one-time-code][inputmode=numeric]")
	phone, token := s.appIn(offer.body), selectAll(offer.body, "input[name=offer]")[0].attrs["value"]
	again := b.post("/login/enrol", "do", "code", "offer", token, "code", "no code").want(t, 400, "")
	has(t, again.body, "input[name=code][aria-invalid=true]", "input[name=offer][value="+token+"]")
	if s.appIn(again.body).secret != phone.secret {
		t.Error("a wrong code changed the key")
	}
	says(
		t,
		b.post("/login/enrol", "do", "code", "offer", "unknown", "code", phone.code()).want(t, 400, "").body,
		"That took too long",
	)
	done := b.post("/login/enrol", "do", "code", "offer", token, "code", phone.code()).want(t, 200, "")
	codes := codesIn(t, done.body)
	says(t, done.body, "Save your recovery codes", "Recovery codes of ann")
	has(
		t,
		done.body,
		"a[download=sluice-recovery-codes.txt]",
		"a[href=/login/done?return=%2Faccount]",
		"button[data-copy=codes]",
	)
	if done.header.Get("Cache-Control") != "no-store" {
		t.Error("the page with the codes may be stored")
	}
	file := selectAll(done.body, "a[download]")[0].attrs["href"]
	if !strings.HasPrefix(file, "data:text/plain;charset=utf-8,") || !strings.Contains(file, codes[9]) ||
		strings.Contains(file, " ") {
		t.Errorf("the file is %.200s", file)
	}
	b.get("/login/done?return=%2Faccount").want(t, 303, "/account")
	b.get("/account").want(t, 200, "")

	// From now on the second factor is required.
	b = s.browser()
	b.post("/login", "identifier", "ann", "password", goodPassword).want(t, 303, "/login/factor")
	step := b.get("/login/factor").want(t, 200, "")
	has(
		t,
		step.body,
		"input[name=code][autocomplete=one-time-code][inputmode=numeric]",
		"a[href=/login/factor?with=recovery]",
	)
	hasNot(t, step.body, "form[data-passkey]")
	hasNot(t, b.get("/login/factor?with=recovery").body, "input[inputmode=numeric]")
	wrongCode := b.post("/login/factor", "code", "12").want(t, 400, "")
	has(t, wrongCode.body, "input[name=code][aria-invalid=true]")
	b.get("/account").want(t, 303, "/login?return=%2Faccount")
	b.post("/login/factor", "code", phone.code()).want(t, 303, "/")
	b.get("/account").want(t, 200, "")

	b = s.browser()
	b.post("/login", "identifier", "ann", "password", goodPassword).want(t, 303, "/login/factor")
	b.post("/login/factor", "code", codes[0]).want(t, 303, "/")
	b = s.browser()
	b.post("/login", "identifier", "ann", "password", goodPassword).want(t, 303, "/login/factor")
	b.post("/login/factor", "code", codes[0]).want(t, 400, "")
}

func TestPasskeyPages(t *testing.T) {
	t.Parallel()
	s := newSite(t).local()
	s.add("ann", "viewer")
	s.policy(identity.FactorRequired)
	phone := s.device()
	b := s.browser()
	b.post("/login", "identifier", "ann", "password", goodPassword).want(t, 303, "/login/enrol")
	has(t, b.get("/login/enrol").body, "form[data-passkey=create][data-options=/login/enrol/passkey]")
	token, options := b.ceremony("/login/enrol/passkey")
	done := b.post("/login/enrol", "do", "passkey", "passkey_token", token, "passkey", phone.create(t, options)).
		want(t, 200, "")
	codesIn(t, done.body)
	b.get("/account").want(t, 200, "")

	b = s.browser()
	page := b.get("/login?return=/account").want(t, 200, "")
	has(
		t,
		page.body,
		"form[data-passkey=get][data-options=/login/passkey/options]",
		"input[name=identifier][autocomplete=username webauthn]",
	)
	token, options = b.ceremony("/login/passkey/options")
	answer := phone.get(t, options)
	b.post("/login/passkey", "passkey_token", token, "passkey", answer, "return", "/account").want(t, 303, "/account")
	b.get("/account").want(t, 200, "")
	replay := s.browser().post("/login/passkey", "passkey_token", token, "passkey", answer)
	if replay.status < 400 {
		t.Errorf("a replayed answer gives %d", replay.status)
	}
	has(t, replay.body, "input[name=password]", "[role=alert]")
	says(t, s.browser().post("/login/passkey", "return", "/account").want(t, 400, "").body, "need JavaScript")

	// As a second factor after the password.
	b = s.browser()
	b.post("/login", "identifier", "ann", "password", goodPassword).want(t, 303, "/login/factor")
	step := b.get("/login/factor")
	has(t, step.body, "form[data-passkey=get][data-options=/login/factor/passkey]")
	says(t, step.body, "Recovery code", "Lost your device?")
	token, _ = b.ceremony("/login/factor/passkey")
	garbage := b.post("/login/factor", "passkey_token", token, "passkey", "{}").want(t, 400, "")
	has(t, garbage.body, "[role=alert]")
	token, options = b.ceremony("/login/factor/passkey")
	b.post("/login/factor", "passkey_token", token, "passkey", phone.get(t, options)).want(t, 303, "/")
	b.get("/account").want(t, 200, "")
}

// TestFactor_PasskeysNeedHostName: at an IP address the buttons are missing, and a direct request
// gets an explanation.
func TestFactor_PasskeysNeedHostName(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "viewer")
	s.policy(identity.FactorRequired)
	b := s.browser()
	hasNot(t, b.get("/login").body, "form[data-passkey]")
	got := b.do(http.MethodPost, "/login/passkey/options", strings.NewReader("")).want(t, 400, "")
	says(t, got.body, "Browsers do not support passkeys on an IP address", "Open http://localhost")
	b.post("/login", "identifier", "ann", "password", goodPassword).want(t, 303, "/login/enrol")
	page := b.get("/login/enrol")
	hasNot(t, page.body, "form[data-passkey]")
	says(t, page.body, "Passkeys cannot be created here", "localhost")
}

// TestFactor_PasswordsForSuperusers: the form is behind a quiet link where there is another way,
// and works for superusers.
func TestFactor_PasswordsForSuperusers(t *testing.T) {
	t.Parallel()
	s := newSite(t).local()
	s.add("root", "superuser")
	s.add("ann", "viewer")
	fatal(t, s.logins.SetPasswordPolicy(context.Background(), authz.SystemPrincipal("test"), login.PasswordSuperusers))
	b := s.browser()
	page := b.get("/login?return=/account").want(t, 200, "")
	hasNot(t, page.body, "input[name=password]")
	has(t, page.body, "a[href=/login?return=%2Faccount&with=password]", "form[data-passkey=get]")
	has(t, b.get("/login?return=%2Faccount&with=password").body, "input[name=password]")
	refused := b.post("/login", "identifier", "ann", "password", goodPassword).want(t, 403, "")
	says(t, refused.body, "Only superusers can use a password here")
	has(t, refused.body, "input[name=password]")
	b.post("/login", "identifier", "root", "password", goodPassword).want(t, 303, "/")
}
