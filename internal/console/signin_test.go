package console

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/login/sso"
)

// form is the form of a provider, as its page sends it.
func (p *op) form(more ...string) []string {
	return append(
		[]string{
			"kind",
			"oidc",
			"slug",
			"company",
			"name",
			"Company",
			"issuer",
			p.URL,
			"client_id",
			"sluice",
			"client_secret",
			"a client's secret",
			"scopes",
			"openid profile email",
			"enabled",
			"true",
			"create_accounts",
			"true",
		},
		more...)
}

// provider adds one by its form and returns its page.
func (b *browser) provider(p *op, more ...string) string {
	b.s.t.Helper()
	got := b.post("/admin/sign-in", p.form(more...)...)
	if got.status != 303 || !strings.HasPrefix(got.location, "/admin/sign-in/") {
		b.s.t.Fatalf("adding the provider: %d %s", got.status, main(got.body))
	}
	return got.location
}

func TestProviderPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	b, p := s.signedIn("root"), s.op()
	says(t, b.get("/admin/sign-in").want(t, 200, "").body, "No single sign-on yet", "for any number of people")
	choices := b.get("/admin/sign-in/new").want(t, 200, "")
	for _, one := range presets {
		has(t, choices.body, "a[href=/admin/sign-in/new?preset="+one.ID+"]")
		page := b.get("/admin/sign-in/new?preset="+one.ID).want(t, 200, "")
		has(
			t,
			page.body,
			"input[id=redirect-uri][value="+s.url+"/sso/"+one.ID+"/callback]",
			"input[name=client_id][required]",
			"input[name=mapping_group]",
		)
		if one.Kind == sso.KindGitHub {
			hasNot(t, page.body, "input[id=back-channel-uri]", "input[name=group_claim]")
		}
	}

	bad := b.post("/admin/sign-in", p.form("issuer", "http://example.com", "preset", "keycloak")...).want(t, 400, "")
	has(
		t,
		bad.body,
		"input[name=issuer][aria-invalid=true][value=http://example.com]",
		"input[name=client_id][value=sluice]",
	)
	if strings.Contains(bad.body, "a client's secret") || strings.Contains(bad.body, "a client&#39;s secret") {
		t.Error("the client secret came back")
	}
	form := url.Values{}
	for i, list := 0, p.form("group_claim", "groups"); i < len(list); i += 2 {
		form.Set(list[i], list[i+1])
	}
	form["mapping_group"] = []string{
		"authors",
		"",
		"nobody",
	}
	form["mapping_workspace"] = []string{
		"default",
		"default",
		"gone",
	}
	form["mapping_role"] = []string{
		"user",
		"user",
		"viewer",
	}

	says(
		t,
		b.do(http.MethodPost, "/admin/sign-in", strings.NewReader(form.Encode())).want(t, 400, "").body,
		"Mapping 2 names a workspace that does not exist",
	)
	form["mapping_workspace"][2] = "default"
	added := b.do(http.MethodPost, "/admin/sign-in", strings.NewReader(form.Encode()))
	page := b.get(added.location).want(t, 200, "")
	has(
		t,
		page.body,
		"input[name=mapping_group][value=authors]",
		"input[name=mapping_group][value=nobody]",
		"input[id=back-channel-uri][value="+s.url+"/sso/company/back-channel-logout]",
	)
	if n := len(selectAll(page.body, "input[name=mapping_group]")); n != 2+spareMappings {
		t.Errorf("%d rows for mappings", n)
	}
	says(t, page.body, "One is stored encrypted")
	b.post("/admin/sign-in", p.form()...).want(t, 409, "")

	says(
		t,
		b.post(added.location+"/check").want(t, 200, "").body,
		"What the check found",
		"its issuer equals this setting",
	)
	b.post(
		added.location,
		p.form("name", "Our company", "client_secret", "", "slug", "other", "enabled", "false")...).want(
		t,
		303,
		added.location,
	)
	page = b.get(added.location)
	says(t, page.body, "Our company", "Off")
	has(t, page.body, "input[id=redirect-uri][value="+s.url+"/sso/company/callback]")
	hasNot(t, s.browser().get("/login").body, "a[href=/sso/company?return=%2F]")
	says(t, b.get("/admin/sign-in").body, "Our company")

	b.get("/admin/sign-in/0195a000-0000-7000-8000-000000000001").want(t, 404, "")
	says(t, b.get(added.location+"/remove").want(t, 200, "").body, "Remove Our company?")
	b.post(added.location+"/remove").want(t, 303, "/admin/sign-in")
	says(t, b.get("/admin/sign-in").body, "The provider is removed", "No single sign-on yet")

	has(t, b.get("/admin/sign-in").body, "input[name=password][value=everyone][checked]")
	b.post("/admin/sign-in/passwords", "password", "superusers").want(t, 303, "/admin/sign-in")
	has(t, b.get("/admin/sign-in").body, "input[name=password][value=superusers][checked]")
	b.post("/admin/sign-in/passwords", "password", "nobody").want(t, 400, "")
}

func TestSingleSignOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	root, p := s.signedIn("root"), s.op()
	page := root.provider(
		p,
		"group_claim",
		"groups",
		"mapping_group",
		"authors",
		"mapping_workspace",
		"default",
		"mapping_role",
		"user",
	)

	// The test shows what is received and makes nothing.
	to := awayTo(t, root.post(page+"/test"))
	root.get(root.through(to)).want(t, 303, page+"/test")
	report := root.get(page+"/test").want(t, 200, "")
	says(
		t,
		report.body,
		"You would be signed in",
		"A new account zoe would be created",
		"authors",
		"Zoë <Example>",
		"Given by authors",
		"preferred_username",
	)
	says(t, root.get(page+"/test").want(t, 200, "").body, "No result to show")
	if _, err := s.people.Find(context.Background(), authz.SystemPrincipal("test"), "zoe"); err == nil {
		t.Error("the test made an account")
	}

	b := s.browser()
	has(t, b.get("/login?return=/account").body, "a[href=/sso/company?return=%2Faccount]")
	to = b.get("/sso/company?return=/account").location
	if !strings.HasPrefix(to, p.URL+"/authorize?") {
		t.Fatalf("sent to %s", to)
	}
	done := b.get(b.through(to)).want(t, 303, "/login/done?return=%2Faccount")
	b.get(done.location).want(t, 303, "/account")
	says(t, b.get("/account").want(t, 200, "").body, "zoe@example.org")
	b.get("/sso/company?return=/flows").want(t, 303, "/flows")
	says(t, b.get("/account/security").body, "You have none. With a password you can sign in", "Company")

	// Signing out here signs out there.
	away := awayTo(t, b.post("/logout"))
	if !strings.HasPrefix(away, p.URL+"/end?") || !strings.Contains(away, url.QueryEscape(s.url+"/logout")) {
		t.Errorf("signed out at %s", away)
	}
	b.get("/account").want(t, 303, "/login?return=%2Faccount")

	// Signing out there signs out here.
	b = s.browser()
	callback := b.through(b.get("/sso/company").location)
	b.get(b.get(callback).location)
	b.get("/account").want(t, 200, "")
	token := p.signed("logout+jwt", map[string]any{
		"iss":    p.URL,
		"aud":    "sluice",
		"iat":    s.clock.now().Unix(),
		"exp":    s.clock.now().Add(time.Minute).Unix(),
		"jti":    "1",
		"sub":    "u1",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	})
	machine := s.browser()
	machine.header = http.Header{}
	garbage := machine.post("/sso/company/back-channel-logout", "logout_token", "x").want(t, 400, "")
	says(t, garbage.body, `"error":"invalid_request"`, `"error_description":"The logout token is invalid`)
	if garbage.header.Get("Cache-Control") != "no-store" || garbage.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", garbage.header)
	}
	machine.post("/sso/nobody/back-channel-logout", "logout_token", token).want(t, 404, "")
	told := machine.post("/sso/company/back-channel-logout", "logout_token", token).want(t, 200, "")
	if told.header.Get("Cache-Control") != "no-store" {
		t.Error("the answer may be stored")
	}
	b.get("/account").want(t, 303, "/login?return=%2Faccount")
	says(t, root.get("/admin/people/"+s.idOf("zoe")).body, "Single sign-on", "Company")
}

func (s *site) idOf(username string) string {
	s.t.Helper()
	u, err := s.people.Find(context.Background(), authz.SystemPrincipal("test"), username)
	fatal(s.t, err)
	return u.ID
}

func TestLinkedIdentities(t *testing.T) {
	t.Parallel()
	s := newSite(t, withStepUp)
	s.add("root", "superuser")
	s.add("ann", "viewer")
	p := s.op()
	s.signedIn("root").provider(p)
	b := s.signedIn("ann")
	b.get("/sso/company?purpose=link").want(t, 400, "")
	b.get("/sso/company?purpose=test").want(t, 400, "")
	to := awayTo(t, b.post("/account/security/links/company"))
	b.get(b.through(to)).want(t, 303, "/account/security")
	page := b.get("/account/security")
	says(t, page.body, "The identity is linked", "Company")
	again := b.through(awayTo(t, b.post("/account/security/links/company")))
	says(t, b.get(again).want(t, 409, "").body, "already linked to your account")

	other := s.browser()
	other.get(other.get(other.through(other.get("/sso/company").location)).location)
	says(t, other.get("/account").want(t, 200, "").body, "ann@example.test")

	// The provider confirms the person's identity again.
	s.clock.forward(16 * time.Minute)
	b.post(actionOf(page.body, "/unlink")).want(t, 401, "")
	confirmation := b.through(b.get("/sso/company?purpose=confirm").location)
	says(t, b.get(confirmation).want(t, 200, "").body, "Confirmed", "Close this page")
	b.post(actionOf(page.body, "/unlink"), "confirm_provider", "done").want(t, 303, "/account/security")
	says(t, b.post(actionOf(page.body, "/unlink")).want(t, 400, "").body, "it was removed")
}

// TestSignIn_ConfirmWithProvider: who has neither password nor factor is led to the provider, and
// the form waits.
func TestSignIn_ConfirmWithProvider(t *testing.T) {
	t.Parallel()
	s := newSite(t, withStepUp)
	s.add("root", "superuser")
	p := s.op()
	s.signedIn("root").provider(p)
	b := s.browser()
	b.get(b.get(b.through(b.get("/sso/company").location)).location)
	s.clock.forward(16 * time.Minute)
	const phrase = "a completely different phrase"
	asked := b.post("/account/password", "password", phrase).want(t, 401, "")
	has(
		t,
		asked.body,
		"a[href=/sso/company?purpose=confirm][target=_blank][rel=noopener]",
		"button[name=confirm_provider]",
		"input[type=hidden][name=password]",
	)
	says(
		t,
		b.post("/account/password", "password", phrase, "confirm_provider", "done").want(t, 401, "").body,
		"You have not confirmed yet",
	)
	b.get(b.through(b.get("/sso/company?purpose=confirm").location)).want(t, 200, "")
	b.post("/account/password", "password", phrase, "confirm_provider", "done").want(t, 303, "/account/security")
}

// TestSignIn_ProviderErrors: errors appear where the sign-in began.
func TestSignIn_ProviderErrors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	root, p := s.signedIn("root"), s.op()
	page := root.provider(p)
	b := s.browser()
	b.get("/sso/nobody").want(t, 404, "")
	to := b.get("/sso/company?return=/account").location
	u, err := url.Parse(to)
	fatal(t, err)
	refused := b.get("/sso/company/callback?error=access_denied" +
		"&error_description=%3Cb%3Eno&state=" + u.Query().Get("state"))
	if refused.status < 400 || refused.status == 401 {
		t.Errorf("a refusal gives %d", refused.status)
	}
	has(t, refused.body, "[role=alert]", "input[name=return][value=/account]", "input[name=password]")
	if strings.Contains(refused.body, "<b>no") {
		t.Error("the provider's words are not escaped")
	}

	// A browser without the cookie starts again automatically; the third time, it gets an
	// explanation.
	lost := s.browser()
	lost.client.Jar = nil
	step, rounds := lost.get("/sso/company?return=/account"), 0
	for step.status == 303 && rounds < 10 {
		rounds++
		step = lost.get(lost.through(step.location))
	}
	says(
		t,
		step.want(t, 200, "").body,
		"is caught in a loop",
		"The browser keeps no cookies for this site",
		"What Sluice saw",
	)
	if rounds != sso.MaxBounces {
		t.Errorf("it went round %d times", rounds)
	}
	has(t, step.body, "a[href=/login?return=%2Faccount]")

	p.Close()
	says(t, root.post(page+"/check").want(t, 200, "").body, "What the check found", "To fix")
	other := root.provider(p, "slug", "down", "name", "Down", "issuer", p.URL+"/other")
	down := s.browser().get("/sso/down?return=/account")
	if down.status < 500 {
		t.Errorf("a provider that is down gives %d", down.status)
	}
	has(t, down.body, "[role=alert]", "input[name=return][value=/account]", "input[name=password]")
	tried := root.post(other + "/test")
	if tried.status < 500 {
		t.Errorf("the test of a provider that is down gives %d", tried.status)
	}
	has(t, tried.body, "[role=alert]", "form[action="+other+"/check]")
}

// TestSignIn_SettingsFreshProof: what is dangerous asks for a proof and keeps the form, the client
// secret included.
func TestSignIn_SettingsFreshProof(t *testing.T) {
	t.Parallel()
	s := newSite(t, withStepUp)
	s.add("root", "superuser")
	b, p := s.signedIn("root"), s.op()
	s.clock.forward(16 * time.Minute)
	asked := b.post("/admin/sign-in", p.form()...).want(t, 401, "")
	has(
		t,
		asked.body,
		"input[type=hidden][name=client_secret][value=a client's secret]",
		"input[name=confirm_password]",
	)
	if got := b.post("/admin/sign-in", p.form("confirm_password", goodPassword)...); got.status != 303 {
		t.Errorf("with a proof it gives %d", got.status)
	}
}

func TestSignIn_WorkspaceSecondFactor(t *testing.T) {
	t.Parallel()
	s := newSite(t).local()
	s.add("root", "superuser")
	ann := s.add("ann", "viewer")
	b := s.signedIn("root")
	page := b.get("/workspaces/default").want(t, 200, "")
	has(t, page.body, "input[name=second_factor][value=off][checked]")
	says(t, page.body, "2 active members have none yet")
	says(
		t,
		b.post("/workspaces/default/second-factor", "second_factor", "required").want(t, 409, "").body,
		"You would close the workspace to yourself",
	)
	b.post("/workspaces/default/second-factor", "second_factor", "encouraged").want(t, 303, "/workspaces/default")

	device := s.device()
	ceremony, options := b.ceremony("/account/security/passkeys/options")
	b.post("/account/security/passkeys", "passkey_token", ceremony, "passkey", device.create(t, options)).
		want(t, 200, "")
	b.post("/workspaces/default/second-factor", "second_factor", "required").want(t, 303, "/workspaces/default")
	says(t, b.get("/workspaces/default").body, "1 active member has none yet")

	// An admin restores access for a person who lost their factors.
	theirs := s.browser()
	theirs.post("/login", "identifier", "ann", "password", goodPassword).want(t, 303, "/login/enrol")
	phone := s.device()
	ceremony, options = theirs.ceremony("/login/enrol/passkey")
	theirs.post("/login/enrol", "do", "passkey", "passkey_token", ceremony, "passkey", phone.create(t, options)).
		want(t, 200, "")
	person := "/admin/people/" + ann.ID
	says(t, b.get(person).body, "Second factors", "Remove second factors", "10 left")
	b.post(person+"/factors/remove").want(t, 303, person)
	page = b.get(person)
	says(t, page.body, "All second factors of this person are removed")
	hasNot(t, page.body, "form[action="+person+"/factors/remove]")
	b.post(person+"/factors/remove").want(t, 409, "")
	s.browser().post("/login", "identifier", "ann", "password", goodPassword).want(t, 303, "/login/enrol")
}

// TestSignIn_ClosedWorkspace: who is signed in when a workspace becomes strict is led to
// where a factor is set up, and comes in with one.
func TestSignIn_ClosedWorkspace(t *testing.T) {
	t.Parallel()
	s := newSite(t).local()
	s.add("root", "superuser")
	s.add("ann", "viewer")
	root, ann := s.signedIn("root"), s.signedIn("ann")
	s.policy(identity.FactorRequired)
	for who, b := range map[string]*browser{"/admin/apps": root, "/flows": ann} {
		b.get(who).want(t, 303, "/account/security")
		says(
			t,
			b.get("/account/security").want(t, 200, "").body,
			"That workspace is open only to sessions with a second factor",
			"A workspace of yours requires a second factor",
		)
	}
	phone := s.device()
	ceremony, options := ann.ceremony("/account/security/passkeys/options")
	ann.post("/account/security/passkeys", "passkey_token", ceremony, "passkey", phone.create(t, options)).
		want(t, 200, "")
	ann.get("/flows").want(t, 200, "")
	ann.get("/workspaces/default").want(t, 200, "")
}
