package sso_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
)

// as is a browser in which a person has signed in with a password.
func (h *house) as(t testing.TB, username string) *browser {
	t.Helper()
	b := h.browser(t)
	b.session = h.Enter(t, username)
	return b
}

func TestLink_Identity(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := guarded(t, d), context.Background()
		ann := h.Add(t, "ann")
		h.Add(t, "bob")
		idp := startIDP(t, h.Now)
		p := h.withProvider(t, idp, func(p *sso.Provider) {
			p.CreateAccounts, p.GroupClaim = false, "groups"
			p.Mappings = []sso.Mapping{{"ops", identity.DefaultWorkspace, authz.RoleAdmin}}
		})
		if _, err := h.browser(t).begin(sso.ForLink); !problem.Is(err, problem.Unauthenticated) {
			t.Errorf("linking without a session: %v", err)
		}
		b := h.as(t, "ann")
		if end, err := b.round(sso.ForLink); err != nil || !end.Linked || end.Progress != nil {
			t.Fatalf("linking: %+v, %v", end, err)
		}
		if _, err := b.round(sso.ForLink); !problem.Is(err, problem.Conflict) {
			t.Errorf("linking twice: %v", err)
		}
		links, err := h.SSO.Links(ctx, b.session, ann.ID)
		if err != nil || len(links) != 1 || links[0].Provider != p.ID || links[0].ProviderName != "Corp" ||
			links[0].Label != "zoe@example.org" {
			t.Errorf("links: %+v, %v", links, err)
		}
		if got := h.browser(t).signIn(); got.ID != ann.ID {
			t.Errorf("signed in as %s", got.Name)
		}
		other := h.as(t, "bob")
		if end, err := other.round(sso.ForLink); !problem.Is(err, problem.Conflict) || end.Linked {
			t.Errorf("linking another person's identity: %+v, %v", end, err)
		}
		if _, err := h.SSO.Links(ctx, other.session, ann.ID); !problem.Is(err, problem.Denied) {
			t.Errorf("another person's links: %v", err)
		}
		idp.set(func() { idp.user["sub"] = "u2" })
		if _, err := b.round(sso.ForLink); !problem.Is(err, problem.Conflict) ||
			!strings.Contains(problem.Of(err).Next, "Unlink") {
			t.Errorf("linking a second identity: %v", err)
		}
		// A round belongs to the session that began it.
		to, err := other.begin(sso.ForLink)
		if err != nil {
			t.Fatal(err)
		}
		back := other.visit(to)
		other.session = b.session
		if end, err := other.finish(back); !problem.Is(err, problem.Unauthenticated) || end.Linked {
			t.Errorf("another session's round: %+v, %v", end, err)
		}
		h.Step(proofLife)
		if _, err := b.begin(sso.ForLink); !problem.Is(err, problem.StepUp) {
			t.Errorf("linking long after the sign-in: %v", err)
		}
	})
}

func TestLink_Unlink(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		idp := startIDP(t, h.Now)
		p := h.withProvider(t, idp, func(p *sso.Provider) {
			p.GroupClaim, p.SuperuserGroup = "groups", "root"
			p.Mappings = []sso.Mapping{{"ops", identity.DefaultWorkspace, authz.RoleAdmin}}
		})
		idp.set(func() { idp.user["groups"] = []string{"ops", "root"} })
		b := h.browser(t)
		zoe := b.signIn()
		if err := h.SSO.Unlink(ctx, zoe, p.ID); !problem.Is(err, problem.Conflict) {
			t.Fatalf("the last way to sign in: %v", err)
		}
		token, _, err := h.SignUps.ResetLink(ctx, cli, zoe.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.SignUps.Reset(ctx, token, password, authn.Meta{}); err != nil {
			t.Fatal(err)
		}
		zoe, _ = h.People.Principal(zoe.ID)
		if err := h.SSO.Unlink(ctx, zoe, p.ID); !problem.Is(err, problem.Conflict) ||
			!strings.Contains(problem.Of(err).Detail, "last active superuser") {
			t.Fatalf("the last superuser: %v", err)
		}
		superuser := identity.UserUpdate{Superuser: problem.Some(true)}
		if err := h.People.Update(ctx, cli, h.Add(t, "root").ID, superuser); err != nil {
			t.Fatal(err)
		}
		if err := h.SSO.Unlink(ctx, zoe, p.ID); err != nil {
			t.Fatal(err)
		}
		after, _ := h.People.Principal(zoe.ID)
		if after.Superuser || len(after.Memberships) != 0 {
			t.Errorf("roles from groups remain after unlinking: %+v", after)
		}
		if err := h.SSO.Unlink(ctx, after, p.ID); !problem.Is(err, problem.NotFound) {
			t.Errorf("unlinking twice: %v", err)
		}
		if err := h.SSO.Unlink(ctx, after, "x"); !problem.Is(err, problem.NotFound) {
			t.Errorf("unlinking from nowhere: %v", err)
		}
		if err := h.Logins.SetPasswordPolicy(ctx, cli, login.PasswordSuperusers); err != nil {
			t.Fatal(err)
		}
		idp.set(func() { idp.user["sub"] = "u2"; idp.user["email"] = "new@example.org" })
		mia := h.browser(t).signIn()
		if err := h.SSO.Unlink(ctx, mia, p.ID); !problem.Is(err, problem.Conflict) {
			t.Errorf("the last way where passwords are for superusers: %v", err)
		}
	})
}

func TestLink_Confirm(t *testing.T) {
	t.Parallel()
	h, ctx := guarded(t, dbtest.SQLite(t)), context.Background()
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	b := h.browser(t)
	b.signIn()
	h.Step(proofLife)
	if err := h.Gate.Fresh(h.Refreshed(t, b.session)); !problem.Is(err, problem.StepUp) {
		t.Fatalf("the proof is still fresh: %v", err)
	}
	to, err := b.begin(sso.ForConfirm)
	if err != nil {
		t.Fatal(err)
	}
	if q := mustQuery(t, to); q.Get("prompt") != "login" || q.Get("max_age") != "0" {
		t.Errorf("the provider gets no request to ask again: %s", to)
	}
	lies := map[string]struct {
		claim string
		value any
		kind  problem.Kind
	}{
		"no time of the sign-in":     {"auth_time", nil, problem.Denied},
		"it was long ago":            {"auth_time", h.Now().Add(-2 * time.Minute).Unix(), problem.Denied},
		"an invalid time":            {"auth_time", "now", problem.Denied},
		"another person":             {"sub", "u2", problem.Denied},
		"the token is for others":    {"aud", "other", problem.Unauthenticated},
		"a time before all sign-ins": {"auth_time", -5, problem.Denied},
	}
	for name, lie := range lies {
		idp.set(func() { says(lie.claim, lie.value)(idp) })
		if end, err := b.round(sso.ForConfirm); !problem.Is(err, lie.kind) || end.Confirmed {
			t.Errorf("%s: %+v, %v", name, end, err)
		}
	}
	if err := h.Gate.Fresh(h.Refreshed(t, b.session)); !problem.Is(err, problem.StepUp) {
		t.Fatalf("a proof that failed counts: %v", err)
	}
	idp.set(func() { idp.claims = nil })
	if end, err := b.round(sso.ForConfirm); err != nil || !end.Confirmed {
		t.Fatalf("confirming: %+v, %v", end, err)
	}
	if p := h.Refreshed(t, b.session); h.Gate.Fresh(p) != nil || p.Strong {
		t.Errorf("after confirming: %+v", p)
	}
	h.Add(t, "ann")
	if _, err := h.as(t, "ann").begin(sso.ForConfirm); !problem.Is(err, problem.Conflict) {
		t.Errorf("confirming without a link: %v", err)
	}
	if _, err := h.People.Find(ctx, cli, "u2"); !problem.Is(err, problem.NotFound) {
		t.Errorf("confirming created an account: %v", err)
	}
}

func TestTry_Admin(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		superuser := identity.UserUpdate{Superuser: problem.Some(true)}
		if err := h.People.Update(ctx, cli, h.Add(t, "root").ID, superuser); err != nil {
			t.Fatal(err)
		}
		h.Add(t, "ann")
		idp := startIDP(t, h.Now)
		p := h.withProvider(t, idp, func(p *sso.Provider) {
			p.Enabled, p.GroupClaim, p.SuperuserGroup = false, "groups", "root"
			p.Mappings = []sso.Mapping{{"dev", identity.DefaultWorkspace, authz.RoleUser}}
		})
		idp.set(func() {
			idp.user["groups"], idp.user["big"] = []string{"dev", "root", "x"}, 12345678901234567
			idp.info = map[string]any{"preferred_username": "from userinfo", "nickname": "Z"}
		})
		if _, err := h.as(t, "ann").begin(sso.ForTest); !problem.Is(err, problem.Denied) {
			t.Errorf("a test by a person without the permission: %v", err)
		}
		b := h.as(t, "root")
		end, err := b.round(sso.ForTest)
		if err != nil || end.Test == nil || end.Progress != nil || end.Provider != p.ID {
			t.Fatalf("the try: %+v, %v", end, err)
		}
		r := end.Test
		if r.Subject != "u1" || r.Issuer != idp.URL || r.Username != "zoe" || r.Exists || r.Refused || !r.Superuser ||
			!slices.Equal(r.Groups, []string{"dev", "root", "x"}) ||
			!strings.Contains(r.Outcome, "account zoe would be created") {
			t.Errorf("report: %+v", r)
		}
		if want := (sso.RoleChange{Workspace: "Default workspace", Role: "User", Group: "dev"}); len(r.Roles) != 1 ||
			r.Roles[0] != want {
			t.Errorf("roles: %+v", r.Roles)
		}
		if !slices.Contains(r.Claims, sso.Claim{Name: "big", Value: "12345678901234567"}) ||
			!slices.Contains(r.UserInfo, sso.Claim{Name: "nickname", Value: `"Z"`}) {
			t.Errorf("claims: %+v and %+v", r.Claims, r.UserInfo)
		}
		for _, c := range append(r.Claims, r.UserInfo...) {
			if strings.Contains(c.Value, "eyJ") {
				t.Errorf("the report holds a token: %+v", c)
			}
		}
		if _, total, err := h.People.List(ctx, cli, identity.Filter{}); err != nil || total != 2 {
			t.Errorf("%d people, %v", total, err)
		}
		// The report is shown once, and only in the session of the test.
		if _, err := h.SSO.TestReport(ctx, h.as(t, "root").session, p.ID); !problem.Is(err, problem.NotFound) {
			t.Errorf("in another session: %v", err)
		}
		kept, err := h.SSO.TestReport(ctx, b.session, p.ID)
		if err != nil || kept.Subject != "u1" || len(kept.Claims) != len(r.Claims) {
			t.Errorf("kept: %+v, %v", kept, err)
		}
		if _, err := h.SSO.TestReport(ctx, b.session, p.ID); !problem.Is(err, problem.NotFound) {
			t.Errorf("a second time: %v", err)
		}
	})
}

func TestTry_Refusals(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	superuser := identity.UserUpdate{Superuser: problem.Some(true)}
	if err := h.People.Update(ctx, cli, h.Add(t, "root").ID, superuser); err != nil {
		t.Fatal(err)
	}
	idp := startIDP(t, h.Now)
	p := h.withProvider(t, idp, func(p *sso.Provider) { p.GroupClaim = "groups" })
	b := h.as(t, "root")
	report := func() *sso.ClaimReport {
		t.Helper()
		end, err := b.round(sso.ForTest)
		if err != nil {
			t.Fatal(err)
		}
		return end.Test
	}
	idp.set(func() { idp.user["email"] = "root@example.com" })
	if r := report(); !r.Refused || !strings.Contains(r.Outcome, "not linked to Corp") ||
		!slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, `no claim "groups"`) }) {
		t.Errorf("an address that is taken: %+v", r)
	}
	idp.set(func() {
		idp.user["email"], idp.user["email_verified"] = "zoe@example.org", false
		idp.user["_claim_names"], idp.user["_claim_sources"] = map[string]any{
			"groups": "src1",
		}, map[string]any{
			"src1": map[string]any{"endpoint": "http://127.0.0.1:1/"},
		}
	})
	if r := report(); r.Refused || r.Email != "" || len(r.Notes) != 2 {
		t.Errorf("an unverified address, groups elsewhere: %+v", r)
	}
	zoe := h.browser(t).signIn()
	if r := report(); !r.Exists || r.Refused || r.Username != "zoe" {
		t.Errorf("a known person: %+v", r)
	}
	if err := h.People.Update(ctx, cli, zoe.ID, identity.UserUpdate{Active: problem.Some(false)}); err != nil {
		t.Fatal(err)
	}
	if r := report(); !r.Refused || !strings.Contains(r.Outcome, "not active") {
		t.Errorf("an inactive person: %+v", r)
	}
	p.CreateAccounts = false
	if _, err := h.Providers.SaveProvider(ctx, cli, p); err != nil {
		t.Fatal(err)
	}
	idp.set(func() { idp.user["sub"] = "u3" })
	if r := report(); !r.Refused || r.Next == "" {
		t.Errorf("an unknown person: %+v", r)
	}
}

func TestLink_NoSecondFactor(t *testing.T) {
	t.Parallel()
	h := guarded(t, dbtest.SQLite(t))
	idp := startIDP(t, h.Now)
	p := h.withProvider(t, idp, nil)
	b := h.browser(t)
	b.signIn()
	h.EnrolApp(t, b.session)
	if _, err := b.begin(sso.ForConfirm); !problem.Is(err, problem.Conflict) {
		t.Errorf("a provider that is not trusted: %v", err)
	}
	p.TrustFactor = true
	if _, err := h.Providers.SaveProvider(context.Background(), cli, p); err != nil {
		t.Fatal(err)
	}
	idp.set(func() { idp.user["amr"] = []string{"pwd"} })
	if end, err := b.round(sso.ForConfirm); !problem.Is(err, problem.Denied) || end.Confirmed {
		t.Errorf("a trusted provider that asked for a password only: %+v, %v", end, err)
	}
	idp.set(func() { idp.user["amr"] = []string{"pwd", "hwk"} })
	if end, err := b.round(sso.ForConfirm); err != nil || !end.Confirmed || !h.Refreshed(t, b.session).Strong {
		t.Errorf("a trusted provider that asked for a key: %+v, %v", end, err)
	}
}
