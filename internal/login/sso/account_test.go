package sso_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
)

func TestAccount_NotFoundByAddress(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := build(t, d, bcrypt.MinCost)
		ann := h.Add(t, "ann")
		idp := startIDP(t, h.Now)
		h.withProvider(t, idp, nil)
		for _, verified := range []any{true, "true", nil} {
			idp.set(func() {
				idp.user = map[string]any{
					"sub":                fmt.Sprint("attacker ", verified),
					"preferred_username": "ann",
					"email":              "Ann@Example.com",
					"email_verified":     verified,
				}
			})
			end, err := h.browser(t).round(sso.ForSignIn)
			told := problem.Of(err)
			if told.Kind != problem.Conflict || !strings.Contains(told.Next, "link Corp") || end.Progress != nil {
				t.Errorf("verified %v: %+v, %v", verified, end, err)
			}
		}
		// An address that the provider marks as unverified is neither used nor stored.
		idp.set(func() { idp.user["sub"], idp.user["email_verified"] = "u9", false })
		p := h.browser(t).signIn()
		u, err := h.People.Get(context.Background(), cli, p.ID)
		if err != nil || u.ID == ann.ID || u.Email != "" || u.EmailVerified || u.Username != "ann-2" {
			t.Errorf("the account is %+v, %v", u, err)
		}
		if links, err := h.SSO.Links(context.Background(), cli, ann.ID); err != nil || len(links) != 0 {
			t.Errorf("ann's links: %+v, %v", links, err)
		}
	})
}

func TestAccount_SubjectPerProvider(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp, other := startIDP(t, h.Now), startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	zoe := h.browser(t).signIn()
	if _, err := h.Providers.SaveProvider(context.Background(), cli, sso.Provider{
		Slug:           "other",
		Kind:           sso.KindOIDC,
		Name:           "Other",
		Issuer:         other.URL,
		ClientID:       clientID,
		ClientSecret:   clientSecret,
		Enabled:        true,
		CreateAccounts: true,
	}); err != nil {
		t.Fatal(err)
	}
	other.set(func() { other.user["email"] = "impostor@example.net" })
	to, cookie, err := h.SSO.Begin(context.Background(),
		sso.Round{Slug: "other", Purpose: sso.ForSignIn, Origin: origin})
	if err != nil {
		t.Fatal(err)
	}
	back := mustQuery(t, redirectOf(t, to))
	// One provider's answer is not accepted for another provider.
	end, err := h.SSO.Finish(context.Background(),
		sso.Callback{Slug: "corp", Query: back, Browser: cookie, Origin: origin})
	if err != nil || end.Progress != nil || end.Restart == nil {
		t.Errorf("another's answer: %+v, %v", end, err)
	}
	end, err = h.SSO.Finish(context.Background(),
		sso.Callback{Slug: "other", Query: back, Browser: cookie, Origin: origin})
	if err != nil || end.Progress == nil || end.Progress.Result.UserID == zoe.ID {
		t.Errorf("the same subject elsewhere: %+v, %v", end, err)
	}
}

func TestAccount_Domains(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, func(p *sso.Provider) { p.Domains = []string{"@Example.org", "corp.example"} })
	cases := []struct {
		email    any
		verified any
		ok       bool
	}{
		{"a@example.org", true, true},
		{"b@EXAMPLE.ORG", "true", true},
		{"c@corp.example", true, true},
		{
			"d@example.org",
			nil,
			false,
		},
		{"e@example.org", false, false},
		{"f@example.org", 1, false},
		{nil, true, false},
		{"", true, false},
		{
			"g@sub.example.org",
			true,
			false,
		},
		{"h@example.org.evil.example", true, false},
		{"i@evil@example.org", true, false},
		{`"x@example.org"@evil.example`, true, false},
		{[]string{"j@example.org"}, true, false},
	}
	for i, c := range cases {
		idp.set(func() {
			idp.user = map[string]any{
				"sub":                fmt.Sprint("s", i),
				"preferred_username": fmt.Sprint("user", i),
				"email":              c.email,
				"email_verified":     c.verified,
			}
		})
		_, err := h.browser(t).round(sso.ForSignIn)
		if c.ok && err != nil || !c.ok && !problem.Is(err, problem.Denied) {
			t.Errorf("%v (verified %v): %v, want %v", c.email, c.verified, err, c.ok)
		}
	}
}

func TestAccount_Usernames(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	h.Add(t, "ann")
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	cases := []struct {
		claims map[string]any
		want   string
	}{
		{map[string]any{"preferred_username": "ann"}, "ann-2"},
		{map[string]any{"preferred_username": "ANN"}, "ANN-3"},
		{map[string]any{"preferred_username": "ann@example.com"}, "ann-4"},
		{map[string]any{"preferred_username": "Möller, Jürgen"}, "Mller-Jrgen"},
		{map[string]any{"preferred_username": "CORP\\jd"}, "CORP-jd"},
		{map[string]any{"preferred_username": "<script>"}, "script"},
		{map[string]any{"preferred_username": "..--"}, "user"},
		{map[string]any{"preferred_username": "x", "email": "mail.name@example.org"}, "mail.name"},
		{map[string]any{"preferred_username": 7, "name": "Full Name"}, "Full-Name"},
		{map[string]any{}, "user-2"},
		{map[string]any{"preferred_username": strings.Repeat("a", 5000)}, strings.Repeat("a", 52)},
		{map[string]any{"preferred_username": strings.Repeat("a", 5000)}, strings.Repeat("a", 52) + "-2"},
		{map[string]any{"preferred_username": "nn", "name": "a\x00b\u202e" + strings.Repeat("ü", 300)}, "nn"},
	}
	for i, c := range cases {
		c.claims["sub"] = fmt.Sprint("s", i)
		idp.set(func() { idp.user = c.claims })
		if p := h.browser(t).signIn(); p.Name != c.want {
			t.Errorf("%v becomes %q, want %q", c.claims, p.Name, c.want)
		}
	}
}

func TestAccount_ParallelFirstSignIns(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := build(t, d, bcrypt.MinCost)
		idp := startIDP(t, h.Now)
		h.withProvider(t, idp, nil)
		users := make(chan string, 6)
		for range cap(users) {
			go func() {
				end, err := h.browser(t).round(sso.ForSignIn)
				if err != nil || end.Progress == nil || end.Progress.Result == nil {
					t.Errorf("%+v, %v", end, err)
					users <- ""
					return
				}
				users <- end.Progress.Result.UserID
			}()
		}
		first := <-users
		for range cap(users) - 1 {
			if id := <-users; id != first {
				t.Errorf("accounts %s and %s", first, id)
			}
		}
		if _, total, err := h.People.List(context.Background(), cli, identity.Filter{}); err != nil || total != 1 {
			t.Errorf("%d people, %v", total, err)
		}
	})
}

func TestAccount_Inactive(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	p := h.browser(t).signIn()
	inactive := identity.UserUpdate{Active: problem.Some(false)}
	if err := h.People.Update(context.Background(), cli, p.ID, inactive); err != nil {
		t.Fatal(err)
	}
	if end, err := h.browser(t).round(sso.ForSignIn); !problem.Is(err, problem.Denied) || end.Progress != nil {
		t.Errorf("%+v, %v", end, err)
	}
}

func TestAccount_SecondFactor(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		trust bool
		amr   any
		step  login.Step
	}{
		"not trusted":                          {false, []string{"pwd", "mfa"}, login.StepEnrol},
		"trusted and silent":                   {true, nil, login.StepFinish},
		"trusted and says so":                  {true, []string{"pwd", "otp"}, login.StepFinish},
		"trusted, but it says that it was not": {true, []string{"pwd"}, login.StepEnrol},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
			if err := h.People.SetSecondFactor(context.Background(), cli, identity.DefaultWorkspace,
				identity.FactorRequired); err != nil {
				t.Fatal(err)
			}
			idp := startIDP(t, h.Now)
			h.withProvider(t, idp, func(p *sso.Provider) { p.TrustFactor = c.trust })
			idp.set(func() {
				if c.amr != nil {
					idp.user["amr"] = c.amr
				}
			})
			end, err := h.browser(t).round(sso.ForSignIn)
			if err != nil || end.Progress.Step != c.step {
				t.Fatalf("%+v, %v; want %s", end.Progress, err, c.step)
			}
			if c.step == login.StepFinish && !end.Progress.Result.Session.Strong {
				t.Error("the session is weak")
			}
		})
	}
}

// rolesOf are a person's roles by workspace.
func (h *house) rolesOf(userID string) map[string]string {
	p, _ := h.People.Principal(userID)
	out := map[string]string{}
	for _, m := range p.Memberships {
		out[m.Workspace] = m.Role
	}
	return out
}

func TestAccount_GroupRoles(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		var ws [3]string
		for i := range ws {
			w, err := h.People.CreateWorkspace(ctx, cli, fmt.Sprint("Team ", i))
			if err != nil {
				t.Fatal(err)
			}
			ws[i] = w.ID
		}
		custom, err := h.People.CreateRole(ctx, cli,
			identity.Role{Name: "Tester", Permissions: []string{"chatflows:view"}})
		if err != nil {
			t.Fatal(err)
		}
		idp := startIDP(t, h.Now)
		h.withProvider(t, idp, func(p *sso.Provider) {
			p.GroupClaim = "realm_access.roles"
			p.Mappings = []sso.Mapping{
				{
					"dev",
					ws[0],
					authz.RoleUser,
				},
				{"lead", ws[0], authz.RoleAdmin},
				{"test", ws[0], custom.ID},
				{"dev", ws[1], custom.ID},
				{"test", ws[1], authz.RoleViewer},
				{"ops", ws[2], authz.RoleViewer},
			}
		})
		groups := func(names ...string) map[string]string {
			t.Helper()
			idp.set(func() { idp.user["realm_access"] = map[string]any{"roles": names} })
			return h.rolesOf(h.browser(t).signIn().ID)
		}
		check := func(what string, got, want map[string]string) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		check("no group", groups(), map[string]string{})
		check("the stronger role "+
			"of two", groups("dev", "lead", "test"), map[string]string{ws[0]: authz.RoleAdmin, ws[1]: authz.RoleViewer})
		check("a group is lost", groups("dev"), map[string]string{ws[0]: authz.RoleUser, ws[1]: custom.ID})

		// Roles given by hand stay, regardless of the groups.
		zoe, err := h.People.Find(ctx, cli, "zoe")
		if err != nil {
			t.Fatal(err)
		}
		for w, role := range map[string]string{ws[0]: authz.RoleViewer, ws[2]: authz.RoleAdmin} {
			if err := h.People.SetRole(ctx, cli, zoe.ID, w, role); err != nil {
				t.Fatal(err)
			}
		}
		check("by hand", groups("dev", "lead", "ops"),
			map[string]string{ws[0]: authz.RoleViewer, ws[1]: custom.ID, ws[2]: authz.RoleAdmin})
		check("all groups lost", groups(), map[string]string{ws[0]: authz.RoleViewer, ws[2]: authz.RoleAdmin})
		idp.set(func() { idp.user["realm_access"] = map[string]any{"roles": "dev"} })
		check("one text for "+
			"a list", h.rolesOf(h.browser(t).signIn().ID),
			map[string]string{ws[0]: authz.RoleViewer, ws[1]: custom.ID, ws[2]: authz.RoleAdmin})

		entries := h.entries(t)
		for _, want := range []string{
			"system | sso:corp | user:create | zoe | done | created at the first sign-in as zoe@example.org",
			"system | sso:corp | member:manage | Team 0 | done | zoe: No role to Admin by group lead",
			"system | sso:corp | member:manage | Team 1 | done | zoe: Tester to No role",
		} {
			if !slices.Contains(entries, want) {
				t.Errorf("no entry %q in\n%s", want, strings.Join(entries, "\n"))
			}
		}
		if _, err := audit.Verify(ctx, h.DB); err != nil {
			t.Error(err)
		}
	})
}

func TestAccount_NoMappings(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	idp := startIDP(t, h.Now)
	p := h.withProvider(t, idp, nil)
	zoe := h.browser(t).signIn()
	viewer := map[string]string{identity.DefaultWorkspace: authz.RoleViewer}
	h.browser(t).signIn()
	if diff := cmp.Diff(viewer, h.rolesOf(zoe.ID)); diff != "" {
		t.Error(diff)
	}
	// Mappings added later decide about the role from the first sign-in.
	p.GroupClaim, p.Mappings = "groups", []sso.Mapping{{"dev", identity.DefaultWorkspace, authz.RoleUser}}
	if _, err := h.Providers.SaveProvider(ctx, cli, p); err != nil {
		t.Fatal(err)
	}
	idp.set(func() { idp.user["groups"] = "dev" })
	h.browser(t).signIn()
	if diff := cmp.Diff(map[string]string{identity.DefaultWorkspace: authz.RoleUser}, h.rolesOf(zoe.ID)); diff != "" {
		t.Error(diff)
	}
	idp.set(func() { idp.user["groups"] = []any{7, nil, map[string]any{"name": "dev"}} })
	h.browser(t).signIn()
	if diff := cmp.Diff(map[string]string{}, h.rolesOf(zoe.ID)); diff != "" {
		t.Error(diff)
	}
}

func TestAccount_SuperuserGroup(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		idp := startIDP(t, h.Now)
		h.withProvider(t, idp, func(p *sso.Provider) { p.GroupClaim, p.SuperuserGroup = "groups", "admins" })
		member := func(groups ...string) bool {
			t.Helper()
			idp.set(func() { idp.user["groups"] = groups })
			return h.browser(t).signIn().Superuser
		}
		if member() || !member("x", "admins") {
			t.Fatal("the group does not make a superuser")
		}
		if !member() {
			t.Error("the last superuser was taken away")
		}
		if !slices.ContainsFunc(h.entries(t), func(e string) bool {
			return strings.HasPrefix(e, "system | sso:corp | user:update | zoe | failed | superuser kept")
		}) {
			t.Error("no entry says that the last superuser was kept")
		}
		root := h.Add(t, "root")
		if err := h.People.Update(ctx, cli, root.ID, identity.UserUpdate{Superuser: problem.Some(true)}); err != nil {
			t.Fatal(err)
		}
		if member() {
			t.Error("the flag remains after the group is lost")
		}
		zoe, err := h.People.Find(ctx, cli, "zoe")
		if err != nil {
			t.Fatal(err)
		}
		if err := h.People.Update(ctx, cli, zoe.ID, identity.UserUpdate{Superuser: problem.Some(true)}); err != nil {
			t.Fatal(err)
		}
		if !member("admins") || !member() {
			t.Error("a flag that was given by hand was taken away")
		}
	})
}

func TestAccount_UserInfo(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, func(p *sso.Provider) {
		p.GroupClaim, p.Mappings = "groups", []sso.Mapping{{"dev", identity.DefaultWorkspace, authz.RoleAdmin}}
	})
	idp.set(func() {
		idp.user = map[string]any{"sub": "u1"}
		idp.info = map[string]any{
			"groups":             []string{"dev"},
			"email":              "zoe@example.org",
			"email_verified":     true,
			"preferred_username": "zoe",
		}
	})
	p := h.browser(t).signIn()
	if p.Name != "zoe" || p.Email != "zoe@example.org" || p.Role(identity.DefaultWorkspace) != authz.RoleAdmin {
		t.Errorf("signed in as %+v", p)
	}
	idp.set(func() { idp.info["sub"] = "somebody else" })
	if _, err := h.browser(t).
		round(sso.ForSignIn); !problem.Is(err, problem.Unauthenticated) ||
		!strings.Contains(problem.Of(err).Detail, "(sub)") {
		t.Errorf("userinfo about another person: %v", err)
	}
	// Roles stay when the groups could not be read.
	idp.set(func() { idp.handle["/userinfo"] = huge })
	if _, err := h.browser(t).round(sso.ForSignIn); !problem.Is(err, problem.Unavailable) {
		t.Errorf("userinfo of 3 MiB: %v", err)
	}
	if got := h.rolesOf(p.ID); got[identity.DefaultWorkspace] != authz.RoleAdmin {
		t.Errorf("roles: %v", got)
	}
}

// redirectOf is where a provider sends the browser.
func redirectOf(t testing.TB, address string) string {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.Header.Get("Location")
}

func TestAccount_InvitationUnverifiedAddress(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	ctx := context.Background()
	for name, c := range map[string]struct {
		verified any
		added    bool
	}{"vouched": {true, true}, "silent": {nil, false}} {
		claims := map[string]any{"sub": name, "preferred_username": name, "email": name + "@example.org"}
		if c.verified != nil {
			claims["email_verified"] = c.verified
		}
		idp.set(func() { idp.user = claims })
		h.browser(t).signIn()
		w, err := h.People.CreateWorkspace(ctx, cli, "Team "+name)
		if err != nil {
			t.Fatal(err)
		}
		invited, err := h.Invitations.Invite(ctx, cli, w.ID, name+"@example.org", authz.RoleUser)
		if err != nil || invited.Added != c.added || (invited.Link == "") != c.added {
			t.Errorf("%s: %+v, %v", name, invited, err)
		}
	}
}
