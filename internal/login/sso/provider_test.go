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

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
)

func TestProvider_TrustRevoked(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(h *house, actor authz.Principal, id string) error{
		"disabled": func(h *house, actor authz.Principal, id string) error {
			return h.Providers.EnableProvider(context.Background(), actor, id, false)
		},
		"removed": func(h *house, actor authz.Principal, id string) error {
			return h.Providers.RemoveProvider(context.Background(), actor, id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				h := build(t, d, bcrypt.MinCost)
				idp := startIDP(t, h.Now)
				p := h.withProvider(t, idp, nil)
				idp.set(func() { says("sid", "a")(idp) })
				who := h.browser(t).signIn()
				own := h.browser(t).signIn()
				stream := h.Sessions.Done(who.SessionID)
				actor := cli
				actor.SessionID = own.SessionID
				if err := stop(h, actor, p.ID); err != nil {
					t.Fatal(err)
				}
				if got := h.live(t, who.ID); len(got) != 1 || got[0] != own.SessionID {
					t.Errorf("live are %v, want the actor's own, %s", got, own.SessionID)
				}
				select {
				case <-stream:
				default:
					t.Error("its streams go on")
				}
			})
		})
	}
}

func TestProvider_Settings(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		in := sso.Provider{
			Slug:           "main",
			Kind:           sso.KindOIDC,
			Name:           "  Main   login ",
			Issuer:         " https://login.example.com/realms/main ",
			ClientID:       " sluice ",
			ClientSecret:   "top secret",
			Enabled:        true,
			CreateAccounts: true,
			TrustFactor:    true,
			Domains: []string{
				" @Example.COM ",
				"example.com",
				"",
			},
			GroupClaim:     " https://example.com/groups ",
			Mappings:       []sso.Mapping{{" dev ", identity.DefaultWorkspace, authz.RoleUser}},
			SuperuserGroup: " root ",
			UsernameClaim:  "uid",
			EmailClaim:     "mail",
			NameClaim:      "cn",
			Scopes:         []string{"openid", "groups", "openid"},
		}
		made, err := h.Providers.SaveProvider(ctx, cli, in)
		if err != nil {
			t.Fatal(err)
		}
		want := sso.Provider{
			ID:             made.ID,
			Slug:           "main",
			Kind:           sso.KindOIDC,
			Name:           "Main login",
			Issuer:         "https://login.example.com/realms/main",
			ClientID:       "sluice",
			HasSecret:      true,
			Enabled:        true,
			CreateAccounts: true,
			TrustFactor:    true,
			Domains: []string{
				"example.com",
			},
			GroupClaim:     "https://example.com/groups",
			Mappings:       []sso.Mapping{{"dev", identity.DefaultWorkspace, authz.RoleUser}},
			SuperuserGroup: "root",
			UsernameClaim:  "uid",
			EmailClaim:     "mail",
			NameClaim:      "cn",
			Scopes:         []string{"openid", "groups"},
		}
		if diff := cmp.Diff(want, made); diff != "" {
			t.Errorf("made: %s", diff)
		}
		got, err := h.Providers.Provider(ctx, cli, made.ID)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("read: %v, %s", err, diff)
		}
		row, err := q.New(h.DB.Read()).GetProvider(ctx, made.ID)
		if err != nil || row.SecretSealed == "" || strings.Contains(row.SecretSealed+row.Settings, "top secret") {
			t.Errorf("the secret is stored as %q, %v", row.SecretSealed, err)
		}
		// Fixed fields do not change, and an empty secret keeps the stored one.
		changed := got
		changed.Slug, changed.Kind, changed.Name = "other", sso.KindGitHub, "Renamed"
		if changed, err = h.Providers.SaveProvider(
			ctx,
			cli,
			changed,
		); err != nil || changed.Slug != "main" || changed.Kind != sso.KindOIDC || changed.Name != "Renamed" ||
			!changed.HasSecret {
			t.Errorf("changed: %+v, %v", changed, err)
		}
		after, err := q.New(h.DB.Read()).GetProvider(ctx, made.ID)
		if err != nil || after.SecretSealed != row.SecretSealed {
			t.Errorf("the stored secret was lost: %v", err)
		}
		if _, err := h.Providers.SaveProvider(ctx, cli, in); !problem.Is(err, problem.Conflict) ||
			problem.Of(err).Field != "slug" {
			t.Errorf("the same short name twice: %v", err)
		}
		// The secret of one issuer is not sent to another.
		moved := got
		moved.Issuer = "https://evil.example"
		if _, err := h.Providers.SaveProvider(ctx, cli, moved); !problem.Is(err, problem.Invalid) ||
			problem.Of(err).Field != "client_secret" {
			t.Errorf("another issuer with the old secret: %v", err)
		}
		for name, who := range map[string]authz.Principal{"a person": h.Enter(t, h.Add(t, "ann").Username),
			"a stranger": {}} {
			if _, err := h.Providers.List(ctx, who); err == nil {
				t.Errorf("%s may list providers", name)
			}
			if _, err := h.Providers.SaveProvider(ctx, who, got); err == nil {
				t.Errorf("%s may change a provider", name)
			}
			if _, err := h.Providers.CheckProvider(ctx, who, got.ID); err == nil {
				t.Errorf("%s may check a provider", name)
			}
			if err := h.Providers.RemoveProvider(ctx, who, got.ID); err == nil {
				t.Errorf("%s may remove a provider", name)
			}
		}
		if err := h.Providers.RemoveProvider(ctx, cli, made.ID); err != nil {
			t.Fatal(err)
		}
		if list, err := h.Providers.List(ctx, cli); err != nil || len(list) != 0 {
			t.Errorf("after removal: %+v, %v", list, err)
		}
		if !slices.Contains(h.entries(t), "system | cli | sign-in:manage | Renamed | done | provider main removed") {
			t.Errorf("not in the audit: %s", strings.Join(h.entries(t), "\n"))
		}
	})
}

func TestProvider_BadSettings(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	cases := map[string]struct {
		field  string
		change func(*sso.Provider)
	}{
		"no kind":               {"kind", func(p *sso.Provider) { p.Kind = "saml" }},
		"no name":               {"name", func(p *sso.Provider) { p.Name = " " }},
		"a name over two lines": {"name", func(p *sso.Provider) { p.Name = "a\x1bb" }},
		"a path for a slug":     {"slug", func(p *sso.Provider) { p.Slug = "../x" }},
		"capital letters":       {"slug", func(p *sso.Provider) { p.Slug = "Corp" }},
		"a dash at the end":     {"slug", func(p *sso.Provider) { p.Slug = "corp-" }},
		"no client id":          {"client_id", func(p *sso.Provider) { p.ClientID = "" }},
		"an endless secret": {
			"client_secret",
			func(p *sso.Provider) { p.ClientSecret = strings.Repeat("x", 5000) },
		},
		"no issuer":                {"issuer", func(p *sso.Provider) { p.Issuer = "" }},
		"http over the network":    {"issuer", func(p *sso.Provider) { p.Issuer = "http://login.example.com" }},
		"http to a look-alike":     {"issuer", func(p *sso.Provider) { p.Issuer = "http://localhost.example.com" }},
		"a file":                   {"issuer", func(p *sso.Provider) { p.Issuer = "file:///etc/passwd" }},
		"a password in the issuer": {"issuer", func(p *sso.Provider) { p.Issuer = "https://u:p@login.example.com" }},
		"a query":                  {"issuer", func(p *sso.Provider) { p.Issuer = "https://login.example.com?x" }},
		"the discovery document": {"issuer",
			func(p *sso.Provider) { p.Issuer = "https://login.example.com/.well-known/openid-configuration" }},
		"a path for GitHub": {
			"issuer",
			func(p *sso.Provider) { p.Kind, p.Issuer = sso.KindGitHub, "https://github.example.com/api" },
		},
		"GitHub without a secret": {"client_secret",
			func(p *sso.Provider) { p.Kind, p.Issuer, p.ClientSecret = sso.KindGitHub, "", "" }},
		"scopes without openid": {"scopes", func(p *sso.Provider) { p.Scopes = []string{"profile"} }},
		"a scope with a quote":  {"scopes", func(p *sso.Provider) { p.Scopes = []string{"openid", `a"b`} }},
		"an invalid domain":     {"domains", func(p *sso.Provider) { p.Domains = []string{"ann@example.com"} }},
		"all domains":           {"domains", func(p *sso.Provider) { p.Domains = []string{"*"} }},
		"an unknown workspace": {
			"mappings",
			func(p *sso.Provider) { p.Mappings = []sso.Mapping{{"dev", "nowhere", authz.RoleUser}} },
		},
		"an unknown role": {
			"mappings",
			func(p *sso.Provider) { p.Mappings = []sso.Mapping{{"dev", identity.DefaultWorkspace, "king"}} },
		},
		"no role": {
			"mappings",
			func(p *sso.Provider) { p.Mappings = []sso.Mapping{{"dev", identity.DefaultWorkspace, ""}} },
		},
		"no group": {"mappings", func(p *sso.Provider) {
			p.Mappings = []sso.Mapping{{" ", identity.DefaultWorkspace, authz.RoleUser}}
		}},
		"too many mappings":        {"mappings", func(p *sso.Provider) { p.Mappings = make([]sso.Mapping, 201) }},
		"mappings without a claim": {"group_claim", func(p *sso.Provider) { p.GroupClaim = "" }},
		"an endless claim": {
			"group_claim",
			func(p *sso.Provider) { p.GroupClaim = strings.Repeat("x", 300) },
		},
		"a claim over two lines": {"email_claim", func(p *sso.Provider) { p.EmailClaim = "a\nb" }},
		"an endless superuser group": {
			"superuser_group",
			func(p *sso.Provider) { p.SuperuserGroup = strings.Repeat("x", 300) },
		},
	}
	for name, c := range cases {
		p := sso.Provider{
			Slug:         "corp",
			Kind:         sso.KindOIDC,
			Name:         "Corp",
			Issuer:       "https://login.example.com",
			ClientID:     "x",
			ClientSecret: "y",
			GroupClaim:   "groups",
			Mappings:     []sso.Mapping{{"dev", identity.DefaultWorkspace, authz.RoleUser}},
		}
		c.change(&p)
		if _, err := h.Providers.SaveProvider(context.Background(), cli, p); !problem.Is(err, problem.Invalid) ||
			problem.Of(err).Field != c.field {
			t.Errorf("%s: %v (field %q), want field %q", name, err, problem.Of(err).Field, c.field)
		}
	}
	for i := range 50 {
		if _, err := h.Providers.SaveProvider(
			context.Background(),
			cli,
			sso.Provider{
				Slug:     fmt.Sprint("p", i),
				Kind:     sso.KindOIDC,
				Name:     "P",
				Issuer:   "http://[::1]:8080",
				ClientID: "x",
			},
		); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Providers.SaveProvider(
		context.Background(),
		cli,
		sso.Provider{Slug: "more", Kind: sso.KindOIDC, Name: "P", Issuer: "http://localhost", ClientID: "x"},
	); !problem.Is(err, problem.Conflict) {
		t.Errorf("one too many: %v", err)
	}
}

func TestProvider_IssuerFixed(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp, other := startIDP(t, h.Now), startIDP(t, h.Now)
	p := h.withProvider(t, idp, nil)
	h.browser(t).signIn()
	p.Issuer, p.ClientSecret = other.URL, clientSecret
	if _, err := h.Providers.SaveProvider(context.Background(), cli, p); !problem.Is(err, problem.Conflict) ||
		problem.Of(err).Field != "issuer" {
		t.Errorf("%v", err)
	}
}

func TestProvider_EveryNode(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	folder := t.TempDir()
	one, two := buildIn(t, d, bcrypt.MinCost, folder, 0), buildIn(t, d, bcrypt.MinCost, folder, 0)
	idp := startIDP(t, one.Now)
	one.withProvider(t, idp, nil)
	if got := two.Providers.SignInButtons(); len(got) != 1 {
		t.Fatalf("buttons of the other node: %+v", got)
	}
	// A round that started on one node finishes on another.
	b := one.browser(t)
	to, err := b.begin(sso.ForSignIn)
	if err != nil {
		t.Fatal(err)
	}
	back := b.visit(to)
	b.h = two
	if end, err := b.finish(back); err != nil || end.Progress == nil || end.Progress.Result == nil {
		t.Errorf("%+v, %v", end, err)
	}
}

func TestProvider_Check(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	idp := startIDP(t, h.Now)
	p := h.withProvider(t, idp, func(p *sso.Provider) { p.Scopes = []string{"openid", "groups"} })
	check := func() (good, note, bad []string) {
		t.Helper()
		found, err := h.Providers.CheckProvider(ctx, cli, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			switch f.Level {
			case sso.FindingGood:
				good = append(good, f.Text)
			case sso.FindingNote:
				note = append(note, f.Text)
			case sso.FindingBad:
				bad = append(bad, f.Text)
			default:
				t.Errorf("level %q", f.Level)
			}
		}
		return good, note, bad
	}
	good, note, bad := check()
	if len(good) != 2 || len(bad) != 0 ||
		!slices.ContainsFunc(note, func(s string) bool { return strings.Contains(s, "scope groups") }) {
		t.Errorf("a good provider: %q, %q, %q", good, note, bad)
	}
	cases := map[string]struct {
		change func()
		text   string
	}{
		"down": {func() {
			idp.handle["/.well-known/openid-configuration"] = func(w http.ResponseWriter,
				_ *http.Request) {
				w.WriteHeader(http.StatusTeapot)
			}
		}, "status 418"},
		"another": {
			func() { idp.discovery = func(d map[string]any) { d["issuer"] = idp.URL + "/" } },
			"including any final slash",
		},
		"weak": {func() {
			idp.discovery = func(d map[string]any) {
				d["id_token_signing_alg_values_supported"] = []string{"HS256",
					"none"}
			}
		}, "only with HS256, none"},
		"no keys": {func() {
			idp.handle["/jwks"] = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) }
		}, "no key"},
		"keys broken": {
			func() { idp.handle["/jwks"] = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `<html>`) } },
			"cannot be read",
		},
	}
	for name, c := range cases {
		idp.set(func() { clear(idp.handle); idp.discovery = nil; c.change() })
		if _, _, bad := check(); len(bad) != 1 || !strings.Contains(bad[0], c.text) {
			t.Errorf("%s: %q", name, bad)
		}
	}
	idp.set(func() {
		clear(idp.handle)
		idp.discovery = func(d map[string]any) {
			for _, name := range []string{"end_session_endpoint", "backchannel_logout_supported",
				"code_challenge_methods_supported"} {
				delete(d, name)
			}
		}
	})
	p.GroupClaim, p.Enabled = "groups", false
	if _, err := h.Providers.SaveProvider(ctx, cli, p); err != nil {
		t.Fatal(err)
	}
	if _, note, bad := check(); len(note) != 6 || len(bad) != 0 {
		t.Errorf("a plain provider: %d notes %q, %q", len(note), note, bad)
	}
	if _, err := h.Providers.CheckProvider(ctx, cli, "x"); !problem.Is(err, problem.NotFound) {
		t.Errorf("an unknown provider: %v", err)
	}
}
