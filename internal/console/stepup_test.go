package console

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/internal/authz"
	"sluice/internal/db"
	qidentity "sluice/internal/db/q/identity"
)

func withStepUp(o *options) { o.stepUp = 15 * time.Minute }

// hiddenFields are what the first form with an action carries.
func hiddenFields(page, action string) [][2]string {
	var out [][2]string
	at := false
	for _, e := range parse(page) {
		if e.name == "form" {
			at = e.attrs["action"] == action
		}
		if at && e.name == "input" && e.attrs["type"] == "hidden" {
			out = append(out, [2]string{e.attrs["name"], e.attrs["value"]})
		}
	}
	return out
}

// TestStepUp_KeepsForm: a fresh proof is requested once, and then the form continues with all
// entries.
func TestStepUp_KeepsForm(t *testing.T) {
	t.Parallel()
	s := newSite(t, withStepUp)
	s.add("root", "superuser")
	b := s.signedIn("root")
	const secret = `a "quoted" & <strange> passphrase`
	form := []string{
		"username",
		"new",
		"email",
		"new@example.test",
		"password",
		secret,
		"password_confirm",
		secret,
		"role",
		"viewer",
		"active",
		"true",
	}
	s.clock.forward(16 * time.Minute)
	b.get("/admin").want(t, 200, "")
	asked := b.post("/admin/people", form...).want(t, 401, "")
	says(t, asked.body, "Confirm your identity", "Your entries are kept")
	has(
		t,
		asked.body,
		"form[method=post][action=/admin/people]",
		"input[name=confirm_password][autocomplete=current-password]",
	)
	if asked.header.Get("Cache-Control") != "no-store" {
		t.Error("a page that holds a new password may be stored")
	}
	want := [][2]string{
		{"active", "true"},
		{"email", "new@example.test"},
		{"password", secret},
		{"password_confirm", secret},
		{"role", "viewer"},
		{"username", "new"},
	}
	if got := hiddenFields(asked.body, "/admin/people"); !slices.Equal(got, want) {
		t.Errorf("the form keeps %v", got)
	}

	wrongOne := b.post("/admin/people", append(form, "confirm_password", "not it")...).want(t, 400, "")
	has(t, wrongOne.body, "input[name=confirm_password][aria-invalid=true]")
	if got := hiddenFields(wrongOne.body, "/admin/people"); !slices.Equal(got, want) {
		t.Errorf("after a wrong proof the form keeps %v", got)
	}
	if _, err := s.people.Find(context.Background(), authz.SystemPrincipal("test"), "new"); err == nil {
		t.Fatal("a wrong proof let it through")
	}
	b.post("/admin/people", append(form, "confirm_password", goodPassword)...).want(t, 303, "/admin")
	b.post("/admin/people", "username", "second", "password", secret, "password_confirm", secret).want(t, 303, "/admin")
	s.browser().post("/login", "identifier", "new", "password", secret).want(t, 303, "/")
}

func TestStepUp_OtherRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t, withStepUp)
	s.add("root", "superuser")
	b := s.signedIn("root")
	s.clock.forward(16 * time.Minute)

	b.header.Set("HX-Request", "true")
	b.header.Set("HX-Current-URL", s.url+"/admin?q=x")
	got := b.post("/admin/people", "username", "new").want(t, 401, "")
	if to := got.header.Get("HX-Redirect"); to != "/confirm?return=%2Fadmin%3Fq%3Dx" {
		t.Errorf("htmx is led to %q", to)
	}
	b.header.Del("HX-Request")
	b.header.Set("Accept", "application/json")
	plain := b.post("/admin/people", "username", "new").want(t, 401, "")
	says(t, plain.body, "/problems/step-up")
	b.header.Set("Accept", "text/html")

	page := b.get("/confirm?return=%2Fadmin%3Fq%3Dx").want(t, 200, "")
	has(t, page.body, "form[action=/confirm]", "input[name=return][value=/admin?q=x]")
	b.post("/confirm", "return", "/admin?q=x").want(t, 401, "")
	b.post("/confirm", "return", "/admin?q=x", "confirm_password", goodPassword).want(t, 303, "/admin?q=x")
	b.post("/confirm", "return", "https://evil.example/").want(t, 303, "/")
	for _, bad := range []string{"https://evil.example/", "//evil.example", "javascript:alert(1)"} {
		has(t, b.get("/confirm?return="+bad).body, "input[name=return][value=/]")
	}
}

// TestStepUp_WorkspaceCreatedOnce: offering asks for a fresh proof, but not after the workspace was
// created.
func TestStepUp_WorkspaceCreatedOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, withStepUp)
	s.add("root", "superuser")
	b := s.signedIn("root")
	s.clock.forward(16 * time.Minute)
	b.post("/workspaces", "name", "Research", "app", "0195a000-0000-7000-8000-000000000001").want(t, 401, "")
	if strings.Contains(main(b.get("/workspaces").body), "Research") {
		t.Error("half of it was done")
	}
}

// TestStepUp_OwnFactors: set up while signed in, prove with it, lose it.
func TestStepUp_OwnFactors(t *testing.T) {
	t.Parallel()
	s := newSite(t, withStepUp).local()
	s.add("ann", "viewer")
	b := s.signedIn("ann")
	says(t, b.get("/account/security").want(t, 200, "").body, "Your account has no second factor", "Add a passkey")

	offer := b.post("/account/security/app", "do", "app").want(t, 200, "")
	phone, token := s.appIn(offer.body), selectAll(offer.body, "input[name=offer]")[0].attrs["value"]
	has(
		t,
		b.post("/account/security/app", "do", "code", "offer", token, "code", "x").want(t, 400, "").body,
		"input[name=code][aria-invalid=true]",
	)
	codes := codesIn(
		t,
		b.post("/account/security/app", "do", "code", "offer", token, "code", phone.code()).want(t, 200, "").body,
	)
	page := b.get("/account/security")
	says(t, page.body, "Your account has a second factor", "10 of 10 left", "Set up another instead")

	laptop := s.device()
	ceremony, options := b.ceremony("/account/security/passkeys/options")
	b.post(
		"/account/security/passkeys",
		"name", "Work laptop",
		"passkey_token", ceremony,
		"passkey", laptop.create(t, options),
	).want(t, 303, "/account/security")
	page = b.get("/account/security")
	says(t, page.body, "The passkey is set up", "Work laptop", "localhost")
	b.post(actionOf(page.body, "/name"), "name", "Old laptop").want(t, 303, "/account/security")
	b.post(actionOf(page.body, "/name"), "name", strings.Repeat("x", 100)).want(t, 400, "")
	says(t, b.get("/account/security").body, "Old laptop")

	// After a while each change asks for the factor, by a passkey or a code, and loses nothing.
	s.clock.forward(16 * time.Minute)
	asked := b.post("/account/security/recovery").want(t, 401, "")
	has(t, asked.body, "input[name=confirm_code]", "form[data-passkey=get][data-options=/confirm/passkey]")
	hasNot(t, asked.body, "input[name=confirm_password]")
	has(
		t,
		b.post("/account/security/recovery", "confirm_code", "000000").want(t, 400, "").body,
		"input[name=confirm_code][aria-invalid=true]",
	)
	ceremony, options = b.ceremony("/confirm/passkey")
	fresh := b.post(
		"/account/security/recovery",
		"confirm_passkey_token", ceremony,
		"confirm_passkey", laptop.get(t, options),
	).want(t, 200, "")
	newCodes := codesIn(t, fresh.body)
	if slices.Contains(newCodes, codes[0]) {
		t.Error("a former code is in the new set")
	}
	s.clock.forward(16 * time.Minute)
	expiredOne := b.post("/account/security/app/remove", "confirm_passkey_token", ceremony, "confirm_passkey", "{}").
		want(t, 400, "")
	says(t, expiredOne.body, "That took too long")
	b.post("/account/security/app/remove", "confirm_code", newCodes[0]).want(t, 303, "/account/security")
	page = b.get("/account/security")
	says(t, page.body, "9 of 10 left", "Set up an app")
	b.post(actionOf(page.body, "/remove")).want(t, 303, "/account/security")
	says(t, b.get("/account/security").body, "Your account has no second factor")
	b.post("/account/security/recovery").want(t, 409, "")
	b.post("/account/security/app", "do", "nonsense").want(t, 400, "")
}

// TestStepUp_ScriptOptions: the script leads to the page that asks for it.
func TestStepUp_ScriptOptions(t *testing.T) {
	t.Parallel()
	s := newSite(t, withStepUp).local()
	s.add("ann", "viewer")
	b := s.signedIn("ann")
	s.clock.forward(16 * time.Minute)
	b.header.Set("Accept", "application/json")
	got := b.do(http.MethodPost, "/account/security/passkeys/options", strings.NewReader("")).want(t, 401, "")
	says(t, got.body, "/problems/step-up")
}

// TestStepUp_FirstPassword: who came by another way sets one, with a fresh session.
func TestStepUp_FirstPassword(t *testing.T) {
	t.Parallel()
	s := newSite(t, withStepUp).local()
	u := s.add("ann", "viewer")
	b := s.signedIn("ann")
	device := s.device()
	ceremony, options := b.ceremony("/account/security/passkeys/options")
	b.post("/account/security/passkeys", "passkey_token", ceremony, "passkey", device.create(t, options)).
		want(t, 200, "")
	fatal(t, s.db.Gated(context.Background(), func(tx *db.Tx) error {
		return qidentity.New(tx).
			SetAccountPassword(context.Background(), qidentity.SetAccountPasswordParams{
				ID:        u.ID,
				UpdatedAt: s.clock.now().UnixMilli(),
			})
	}))
	hasNot(t, b.get("/account/security").body, "input[name=old_password]")
	s.clock.forward(16 * time.Minute)
	b.post("/account/password", "password", "a completely different phrase").want(t, 401, "")
	ceremony, options = b.ceremony("/confirm/passkey")
	b.post(
		"/account/password",
		"password", "a completely different phrase",
		"confirm_passkey_token", ceremony,
		"confirm_passkey", device.get(t, options),
	).want(t, 303, "/account/security")
	s.browser().
		post("/login", "identifier", "ann", "password", "a completely different phrase").
		want(t, 303, "/login/factor")
}
