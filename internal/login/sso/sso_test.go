package sso_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"

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

// withProvider adds a provider to a house; change may be nil.
func (h *house) withProvider(t testing.TB, p *idp, change func(*sso.Provider)) sso.Provider {
	t.Helper()
	in := sso.Provider{
		Slug:           "corp",
		Kind:           sso.KindOIDC,
		Name:           "Corp",
		Issuer:         p.URL,
		ClientID:       clientID,
		ClientSecret:   clientSecret,
		Enabled:        true,
		CreateAccounts: true,
	}
	if change != nil {
		change(&in)
	}
	out, err := h.Providers.SaveProvider(context.Background(), cli, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// browser is a browser with a cookie jar of its own, as far as single sign-on needs one.
type browser struct {
	h       *house
	t       testing.TB
	cookie  string
	session authz.Principal
}

func (h *house) browser(t testing.TB) *browser { return &browser{h: h, t: t} }

func (b *browser) begin(purpose string) (string, error) {
	to, cookie, err := b.h.SSO.Begin(context.Background(), sso.Round{
		Slug:        "corp",
		Purpose:     purpose,
		Browser:     b.cookie,
		Principal:   b.session,
		Origin:      origin,
		IP:          "192.0.2.1",
		UserAgent:   "test",
		Destination: login.Destination{Return: "/flows/7"},
	})
	b.cookie = cookie
	return to, err
}

// visit goes to the provider and returns the callback that it sends the browser to.
func (b *browser) visit(address string) url.Values {
	b.t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(address)
	if err != nil {
		b.t.Fatal(err)
	}
	res.Body.Close()
	to, err := res.Location()
	if err != nil {
		b.t.Fatalf("the provider answers %d and redirects no one", res.StatusCode)
	}
	if got := to.Scheme + "://" + to.Host + to.Path; got != origin+"/sso/corp/callback" {
		b.t.Fatalf("sent back to %s", got)
	}
	return to.Query()
}

func (b *browser) finish(query url.Values) (sso.End, error) {
	return b.h.SSO.Finish(context.Background(), sso.Callback{
		Slug:      "corp",
		Query:     query,
		Browser:   b.cookie,
		Origin:    origin,
		IP:        "192.0.2.1",
		UserAgent: "test",
		Principal: b.session,
	})
}

// round completes a sign-in at the provider.
func (b *browser) round(purpose string) (sso.End, error) {
	b.t.Helper()
	to, err := b.begin(purpose)
	if err != nil {
		return sso.End{}, err
	}
	return b.finish(b.visit(to))
}

// signIn completes a sign-in, which must create a session.
func (b *browser) signIn() authz.Principal {
	b.t.Helper()
	end, err := b.round(sso.ForSignIn)
	if err != nil || end.Progress == nil || end.Progress.Result == nil {
		b.t.Fatalf("signing in: %+v, %v", end, err)
	}
	p, ok := b.h.Sessions.Lookup(end.Progress.Result.Token, authn.AudienceMain)
	if !ok {
		b.t.Fatal("the session is not in force")
	}
	b.session = p
	return p
}

func TestSSO_NewAccount(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := build(t, d, bcrypt.MinCost)
		idp := startIDP(t, h.Now)
		h.withProvider(t, idp, nil)
		if got := h.Providers.SignInButtons(); len(got) != 1 ||
			got[0] != (sso.Button{Slug: "corp", Name: "Corp", Kind: sso.KindOIDC}) {
			t.Errorf("buttons: %+v", got)
		}
		end, err := h.browser(t).round(sso.ForSignIn)
		if err != nil || end.Progress == nil || end.Progress.Step != login.StepFinish {
			t.Fatalf("round: %+v, %v", end, err)
		}
		if end.Progress.Destination.Return != "/flows/7" || end.Progress.Result.Session.Method != "sso:corp" ||
			end.Progress.Result.Session.Strong {
			t.Errorf("progress: %+v, session %+v", end.Progress, end.Progress.Result.Session)
		}
		u, err := h.People.Find(context.Background(), cli, "zoe")
		if err != nil || u.Email != "zoe@example.org" || !u.EmailVerified || u.Name != "Zoë Example" || u.HasPassword ||
			!u.Active ||
			u.Role != authz.RoleViewer ||
			u.Superuser {
			t.Errorf("account: %+v, %v", u, err)
		}
		idp.set(func() { idp.user["email"], idp.user["preferred_username"] = "zoe@new.example", "zoe2" })
		if p := h.browser(t).signIn(); p.ID != u.ID || p.Name != "zoe" {
			t.Errorf("the second sign-in is %+v, want %s", p, u.ID)
		}
	})
}

func TestSSO_NoNewAccounts(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, func(p *sso.Provider) { p.CreateAccounts = false })
	if _, err := h.browser(t).round(sso.ForSignIn); !problem.Is(err, problem.Denied) {
		t.Errorf("a stranger signed in: %v", err)
	}
	if _, total, err := h.People.List(context.Background(), cli, identity.Filter{}); err != nil || total != 0 {
		t.Errorf("%d people, %v", total, err)
	}
}
