//go:build e2e

package e2e

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// org is a Sluice with an admin and a real OpenID provider that it signs people in by.
type org struct {
	s     *Sluice
	o     *OpenIDProvider
	admin *Traveller
	id    string // of the provider in Sluice
}

func startOrg(t *testing.T, conform bool) *org {
	t.Helper()
	s := StartSluice(t)
	g := &org{s: s, admin: NewTraveller(t, s.URL)}
	s.p.until(t, "set-up link", func() bool { return s.SetupLink() != "" })
	f := g.admin.Go(s.SetupLink()).FormTo(t, "/setup")
	f.Fields.Set("username", "root")
	f.Fields.Set("email", "root@example.com")
	f.Fields.Set("password", "a lantern over nine wet harbors")
	g.admin.Send(f)
	g.o = StartOpenIDProvider(t, s, conform)
	var made struct{ ID string }
	a := g.admin.api("POST", "/providers", map[string]any{
		"slug":            oidcSlug,
		"kind":            "oidc",
		"name":            "Corp",
		"issuer":          g.o.URL,
		"client_id":       "sluice",
		"client_secret":   oidcClientSecret,
		"enabled":         true,
		"create_accounts": true,
		"scopes":          []string{"openid", "profile", "email", "groups"},
		"group_claim":     "groups", "mappings": []map[string]string{{"group": "authors", "workspace": "default",
			"role": "user"}, {"group": "leads", "workspace": "default", "role": "admin"}},
	})
	if a.JSON(t, &made); a.Status != http.StatusCreated {
		t.Fatalf("adding the provider: %d %s", a.Status, a.Body)
	}
	g.id = made.ID
	return g
}

// api calls Sluice's own interface with the browser's session.
func (v *Traveller) api(method, path string, body any) Answer {
	v.t.Helper()
	c := *v.Client
	c.Header = http.Header{"Accept": {"application/json"}, "Origin": {v.Base}}
	return c.Call(method, "/api/v1"+path, body)
}

// me returns the person of a browser's session, and their role; "" without a session.
func (v *Traveller) me(t testing.TB, s *Sluice) (username, role string) {
	t.Helper()
	v.Base = s.URL
	a := v.api("GET", "/me", nil)
	if a.Status == http.StatusUnauthorized {
		return "", ""
	}
	var me struct {
		Username   string
		Workspaces []struct{ ID, Role string }
	}
	a.JSON(t, &me)
	for _, w := range me.Workspaces {
		if w.ID == "default" {
			role = w.Role
		}
	}
	return me.Username, role
}

// enter signs a person in through the provider.
func (g *org) enter(t testing.TB, v *Traveller, login string) Answer {
	t.Helper()
	return v.SignInThere(v.Go(g.s.URL+"/sso/"+oidcSlug), login)
}

func (g *org) mustEnter(t testing.TB, v *Traveller, login, role string) {
	t.Helper()
	a := g.enter(t, v, login)
	if username, got := v.me(t, g.s); username != login || got != role {
		t.Fatalf(
			"signed in as %q with the role %q, want %q with %q; the page at %s (%d): %.1500s",
			username,
			got,
			login,
			role,
			v.At,
			a.Status,
			a.Body,
		)
	}
}

func claims(login string, groups ...string) map[string]any {
	return map[string]any{
		"preferred_username": login,
		"email":              login + "@example.com",
		"email_verified":     true,
		"name":               "The " + login,
		"groups":             groups,
	}
}

func TestOIDC_SignIn(t *testing.T) {
	longSuite(t, 10*time.Minute)
	for name, conform := range map[string]bool{"claims in userinfo": true, "claims in the id token": false} {
		t.Run(name, func(t *testing.T) {
			g := startOrg(t, conform)
			var found []struct{ Level, Text string }
			g.admin.api("POST", "/providers/"+g.id+"/check", nil).JSON(t, &struct{ Items any }{&found})
			for _, f := range found {
				if f.Level == "bad" {
					t.Errorf("the check says: %s", f.Text)
				}
			}
			g.o.Knows(t, "ann", claims("ann", "authors", "others"))
			ann := NewTraveller(t, g.s.URL)
			if login := ann.Go(g.s.URL + "/login"); !strings.Contains(login.Body, "/sso/"+oidcSlug) {
				t.Errorf("the sign-in page offers no button: %.2000s", login.Body)
			}
			g.mustEnter(t, ann, "ann", "user")

			// Groups decide at each sign-in; the provider remembers the browser, so that no form
			// comes.
			g.o.Knows(t, "ann", claims("ann", "leads"))
			g.again(t, ann, "admin")
			g.o.Rotate(t)
			g.o.Knows(t, "ann", claims("ann"))
			g.again(t, ann, "")

			g.leaves(t, ann)
			g.o.Knows(
				t,
				"root",
				map[string]any{"preferred_username": "root", "email": "root@example.com", "email_verified": true},
			)
			eve := NewTraveller(t, g.s.URL)
			if a := g.enter(t, eve, "root"); !strings.Contains(a.Body, "not linked to Corp") {
				t.Errorf("the address of the admin: %d at %s: %.1500s", a.Status, eve.At, a.Body)
			}
			if username, _ := eve.me(t, g.s); username != "" {
				t.Errorf("came in as %s by an address", username)
			}
		})
	}
}

// again signs a browser out of Sluice alone and in again: the provider must not ask anything.
func (g *org) again(t testing.TB, v *Traveller, role string) {
	t.Helper()
	v.Base = g.s.URL
	if a := v.PostForm("/logout", nil); a.Status != http.StatusOK && a.Status != http.StatusSeeOther {
		t.Fatalf("signing out: %d %.500s", a.Status, a.Body)
	}
	v.Go(g.s.URL + "/sso/" + oidcSlug)
	if username, got := v.me(t, g.s); username != "ann" || got != role {
		t.Fatalf("signed in again as %q with the role %q, want ann with %q; at %s", username, got, role, v.At)
	}
}

var refresh = regexp.MustCompile(`http-equiv="refresh" content="[^"]*url=([^"]+)"`)

// leaves signs out of Sluice and of the provider, which sends the browser back and tells Sluice
// over the back channel.
func (g *org) leaves(t testing.TB, v *Traveller) {
	t.Helper()
	v.Base = g.s.URL
	away := v.PostForm("/logout", nil)
	m := refresh.FindStringSubmatch(away.Body)
	if m == nil {
		t.Fatalf("signing out leads nowhere: %d %.1500s", away.Status, away.Body)
	}
	page := v.Go(html.UnescapeString(m[1]))
	f := page.FormTo(t, "/session/end/confirm")
	f.Fields.Set("logout", "yes")
	v.Send(f)
	if at, err := url.Parse(v.At); err != nil || !strings.HasPrefix(v.At, g.s.URL+"/logout") ||
		at.Query().Get("state") == "" {
		t.Errorf("after signing out there the browser is at %s", v.At)
	}
	if username, _ := v.me(t, g.s); username != "" {
		t.Errorf("%s is signed in still", username)
	}
	if v.Go(g.s.URL + "/sso/" + oidcSlug); !strings.Contains(v.At, "/interaction/") {
		t.Errorf("the provider signs in without a question after signing out there: %s", v.At)
	}
}

func TestOIDC_BackChannelLogout(t *testing.T) {
	longSuite(t, 5*time.Minute)
	g := startOrg(t, true)
	for _, login := range []string{"ann", "bob"} {
		g.o.Knows(t, login, claims(login, "authors"))
	}
	laptop, phone, bob := NewTraveller(t, g.s.URL), NewTraveller(t, g.s.URL), NewTraveller(t, g.s.URL)
	g.mustEnter(t, laptop, "ann", "user")
	g.mustEnter(t, phone, "ann", "user")
	g.mustEnter(t, bob, "bob", "user")

	// Ann signs out on the provider's own page, on one of her devices.
	page := laptop.Go(g.o.URL + "/session/end")
	f := page.FormTo(t, "/session/end/confirm")
	f.Fields.Set("logout", "yes")
	laptop.Send(f)
	g.o.p.until(t, "call of the back channel", func() bool { return len(g.o.Told(t)) > 0 })
	for _, c := range g.o.Told(t) {
		if !c.OK || c.Sub != "ann" || c.SID == "" {
			t.Errorf("the back channel: %+v", c)
		}
	}
	for who, v := range map[string]*Traveller{"": laptop, "ann": phone, "bob": bob} {
		if username, _ := v.me(t, g.s); username != who {
			t.Errorf("signed in is %q, want %q", username, who)
		}
	}
	var list struct {
		Items []struct{ Method string }
	}
	phone.api("GET", "/me/sessions", nil).JSON(t, &list)
	if len(list.Items) != 1 || list.Items[0].Method != "sso:"+oidcSlug {
		t.Errorf("ann's sessions: %+v", list.Items)
	}
}

func TestOIDC_CallbackOnce(t *testing.T) {
	longSuite(t, 5*time.Minute)
	g := startOrg(t, true)
	g.o.Knows(t, "ann", claims("ann", "authors"))
	ann := NewTraveller(t, g.s.URL)
	a := ann.Go(g.s.URL + "/sso/" + oidcSlug)
	// The last step by hand, to see the address of the callback.
	for strings.Contains(ann.At, "/interaction/") {
		f := a.FormTo(t, "/interaction/")
		if f.Fields.Get("prompt") == "login" {
			f.Fields.Set("login", "ann")
			f.Fields.Set("password", "anything")
		}
		ann.turn(f.Action)
		a = ann.PostForm(strings.TrimPrefix(ann.At, ann.Base), f.Fields)
		for a.Status == http.StatusSeeOther && !strings.Contains(a.Header.Get("Location"), "/callback") {
			ann.turn(a.Header.Get("Location"))
			a = ann.Get(strings.TrimPrefix(ann.At, ann.Base))
		}
	}
	callback := a.Header.Get("Location")
	mallory := NewTraveller(t, g.s.URL)
	if mallory.Go(callback); !strings.Contains(mallory.At, g.o.URL+"/interaction/") {
		t.Errorf("somebody who has seen the address is at %s", mallory.At)
	}
	if username, _ := mallory.me(t, g.s); username != "" {
		t.Errorf("somebody who has seen the address is %s", username)
	}
	ann.Go(callback)
	if username, _ := ann.me(t, g.s); username != "ann" {
		t.Fatalf("ann is %q", username)
	}
	if again := ann.Go(callback); again.Status != http.StatusGone {
		t.Errorf("the same address again: %d at %s", again.Status, ann.At)
	}
	if username, _ := ann.me(t, g.s); username != "ann" {
		t.Errorf("after going back ann is %q", username)
	}
}

func TestOIDC_StepUp(t *testing.T) {
	longSuite(t, 5*time.Minute)
	g := startOrg(t, true)
	g.o.Knows(t, "ann", claims("ann", "authors"))
	g.o.Knows(t, "bob", claims("bob", "authors"))
	ann := NewTraveller(t, g.s.URL)
	g.mustEnter(t, ann, "ann", "user")
	proven := func() time.Time {
		t.Helper()
		ann.Base = g.s.URL
		var list struct {
			Items []struct {
				ProvenAt time.Time `json:"proven_at"`
			}
		}
		ann.api("GET", "/me/sessions", nil).JSON(t, &list)
		if len(list.Items) != 1 {
			t.Fatalf("%d sessions", len(list.Items))
		}
		return list.Items[0].ProvenAt
	}
	before := proven()
	page := ann.Go(g.s.URL + "/sso/" + oidcSlug + "?purpose=confirm")
	if page.FormTo(t, "/interaction/").Fields.Get("prompt") != "login" {
		t.Fatalf("the provider does not ask anew: %s", ann.At)
	}
	if a := ann.SignInThere(page, "ann"); a.Status != http.StatusOK || !proven().After(before) {
		t.Errorf("confirming: %d at %s, proven at %s, before %s: %.1500s", a.Status, ann.At, proven(), before, a.Body)
	}
	// A sign-in there as another person ends ann's session there, and with it the one here, so the
	// proof is useless.
	a := ann.SignInThere(ann.Go(g.s.URL+"/sso/"+oidcSlug+"?purpose=confirm"), "bob")
	g.o.p.until(t, "call of the back channel", func() bool { return len(g.o.Told(t)) > 0 })
	if username, _ := ann.me(t, g.s); username != "" || strings.Contains(a.Body, "Confirmed") {
		t.Errorf(
			"confirming as somebody else leaves %q signed in: %d at %s: %.1500s",
			username,
			a.Status,
			ann.At,
			a.Body,
		)
	}
}

func TestOIDC_ConsentRefused(t *testing.T) {
	longSuite(t, 5*time.Minute)
	g := startOrg(t, true)
	ann := NewTraveller(t, g.s.URL)
	page := ann.Go(g.s.URL + "/sso/" + oidcSlug)
	abort := regexp.MustCompile(`href="([^"]+/abort)"`).FindStringSubmatch(page.Body)
	if abort == nil {
		t.Fatalf("the provider's page has no way out: %.1500s", page.Body)
	}
	a := ann.Go(html.UnescapeString(abort[1]))
	if !strings.HasPrefix(ann.At, g.s.URL) || !strings.Contains(a.Body, "Corp refused the sign-in: access_denied") {
		t.Errorf("%d at %s: %.1500s", a.Status, ann.At, a.Body)
	}
	if username, _ := ann.me(t, g.s); username != "" {
		t.Errorf("came in as %s", username)
	}
}
