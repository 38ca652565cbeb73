package sso_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authz"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
)

// hub answers like GitHub Enterprise, as far as signing in needs it: form-encoded tokens, errors
// with status 200, numeric ids, scopes that hide everything else, lists in pages.
type hub struct {
	*httptest.Server
	mu     sync.Mutex
	codes  map[string]grant
	scopes map[string]string // by access token
	user   map[string]any
	denied string // a scope that the person does not grant
	emails []map[string]any
	orgs   []string
	teams  []string // organization/team
}

func startHub(t testing.TB) *hub {
	t.Helper()
	g := &hub{codes: map[string]grant{}, scopes: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login/oauth/authorize", g.authorize)
	mux.HandleFunc("POST /login/oauth/access_token", g.token)
	mux.HandleFunc("GET /api/v3/meta", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"installed_version": "3.17.0"})
	})
	mux.HandleFunc("GET /api/v3/user", g.needs("", func(*http.Request) any { return g.user }))
	mux.HandleFunc("GET /api/v3/user/emails", g.needs("user:email", func(*http.Request) any { return g.emails }))
	mux.HandleFunc("GET /api/v3/user/orgs", g.needs("read:org", func(r *http.Request) any {
		return page(r, g.orgs, func(o string) any { return map[string]any{"login": o, "id": 7} })
	}))
	mux.HandleFunc("GET /api/v3/user/teams", g.needs("read:org", func(r *http.Request) any {
		return page(r, g.teams, func(team string) any {
			org, slug, _ := strings.Cut(team, "/")
			return map[string]any{"slug": slug, "name": "The " + slug, "organization": map[string]any{"login": org}}
		})
	}))
	g.Server = httptest.NewServer(mux)
	t.Cleanup(g.Close)
	return g
}

func page(r *http.Request, all []string, each func(string) any) []any {
	size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
	n, _ := strconv.Atoi(r.URL.Query().Get("page"))
	out := []any{}
	for i := (n - 1) * size; i < min(n*size, len(all)); i++ {
		out = append(out, each(all[i]))
	}
	return out
}

func (g *hub) set(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
}

func (g *hub) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code := rand.Text()
	g.set(func() {
		g.codes[code] = grant{
			nonce:     q.Get("scope"),
			challenge: q.Get("code_challenge"),
			redirect:  q.Get("redirect_uri"),
		}
	})
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(),
		http.StatusFound)
}

func (g *hub) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if r.PostFormValue("client_id") != clientID || r.PostFormValue("client_secret") != clientSecret {
		fmt.Fprint(w, url.Values{"error": {"incorrect_client_credentials"}, "error_description": {"The client_id " +
			"and/or client_secret passed are incorrect."}}.Encode())
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c, ok := g.codes[r.PostFormValue("code")]
	delete(g.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || c.redirect != r.PostFormValue("redirect_uri") ||
		c.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
		fmt.Fprint(w, url.Values{"error": {"bad_verification_code"}, "error_description": {"The code passed is " +
			"incorrect or expired."}}.Encode())
		return
	}
	access := "gho_" + rand.Text()
	g.scopes[access] = c.nonce
	fmt.Fprint(
		w,
		url.Values{
			"access_token": {access},
			"token_type":   {"bearer"},
			"scope":        {strings.ReplaceAll(c.nonce, " ", ",")},
		}.Encode(),
	)
}

// needs serves what a scope covers.
func (g *hub) needs(scope string, serve func(*http.Request) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		scopes, ok := g.scopes[trimBearer(r.Header.Get("Authorization"))]
		switch {
		case !ok:
			answer(w, http.StatusUnauthorized, map[string]string{"message": "Bad credentials"})
		case scope != "" &&
			(scope == g.denied ||
				!slices.ContainsFunc(strings.Fields(scopes),
					func(s string) bool { return s == scope || s+":email" == scope })):
			answer(w, http.StatusNotFound, map[string]string{"message": "Not Found"})
		default:
			answer(w, http.StatusOK, serve(r))
		}
	}
}

func (h *house) withHub(t testing.TB, g *hub, change func(*sso.Provider)) sso.Provider {
	t.Helper()
	in := sso.Provider{
		Slug:           "corp",
		Kind:           sso.KindGitHub,
		Name:           "GitHub",
		Issuer:         g.URL,
		ClientID:       clientID,
		ClientSecret:   clientSecret,
		Enabled:        true,
		CreateAccounts: true,
	}
	change(&in)
	out, err := h.Providers.SaveProvider(context.Background(), cli, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestGitHub_SignIn(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	g := startHub(t)
	g.user = map[string]any{
		"id":    9007199254740993,
		"login": "octo-cat",
		"name":  "Octo Cat",
		"email": "public@elsewhere.example",
		"plan":  map[string]any{"name": "free"},
	}
	g.emails = []map[string]any{
		{
			"email":    "other@example.org",
			"primary":  false,
			"verified": true,
		},
		{"email": "octo@example.org", "primary": true, "verified": true},
		{"email": "bad@example.org", "primary": false, "verified": false},
	}
	p := h.withHub(t, g, func(p *sso.Provider) { p.Domains = []string{"example.org"} })
	first := h.browser(t).signIn()
	u, err := h.People.Get(context.Background(), cli, first.ID)
	if err != nil || u.Username != "octo-cat" || u.Email != "octo@example.org" || !u.EmailVerified ||
		u.Name != "Octo Cat" {
		t.Errorf("account: %+v, %v", u, err)
	}
	// The number identifies the person; names can move to another person.
	g.set(func() { g.user["login"] = "octo-dog" })
	if again := h.browser(t).signIn(); again.ID != first.ID {
		t.Errorf("renamed there, and another account here: %+v", again)
	}
	g.set(func() {
		g.user["id"], g.user["login"] = 9007199254740992, "octo-cat"
		g.emails[1]["email"] = "new@example.org"
	})
	if other := h.browser(t).signIn(); other.ID == first.ID || other.Name != "octo-cat-2" {
		t.Errorf("another number, and the same account: %+v", other)
	}
	if links, err := h.SSO.Links(context.Background(), cli, first.ID); err != nil || len(links) != 1 ||
		links[0].Label != "octo-dog" {
		t.Errorf("links: %+v, %v", links, err)
	}
	if found, err := h.Providers.CheckProvider(context.Background(), cli, p.ID); err != nil ||
		found[0].Level != sso.FindingGood {
		t.Errorf("check: %+v, %v", found, err)
	}
}

func TestGitHub_UnverifiedAddresses(t *testing.T) {
	t.Parallel()
	cases := map[string][]map[string]any{
		"none":                     nil,
		"primary, not verified":    {{"email": "octo@example.org", "primary": true, "verified": false}},
		"verified, not primary":    {{"email": "octo@example.org", "primary": false, "verified": true}},
		"primary of other domains": {{"email": "octo@example.org.evil.example", "primary": true, "verified": true}},
	}
	for name, emails := range cases {
		h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
		g := startHub(t)
		g.user, g.emails = map[string]any{"id": 1, "login": "octo", "email": "octo@example.org"}, emails
		h.withHub(t, g, func(p *sso.Provider) { p.Domains = []string{"example.org"} })
		if _, err := h.browser(t).round(sso.ForSignIn); !problem.Is(err, problem.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGitHub_Groups(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	w, err := h.People.CreateWorkspace(ctx, cli, "Platform")
	if err != nil {
		t.Fatal(err)
	}
	g := startHub(t)
	g.user = map[string]any{"id": 1, "login": "octo"}
	for i := range 250 {
		g.orgs = append(g.orgs, fmt.Sprint("org", i))
		g.teams = append(g.teams, fmt.Sprintf("org%d/team", i))
	}
	h.withHub(t, g, func(p *sso.Provider) {
		p.Mappings = []sso.Mapping{
			{"org249", identity.DefaultWorkspace, authz.RoleViewer},
			{"org249/team", w.ID, authz.RoleAdmin},
			{"team", w.ID, authz.RoleUser},
		}
	})
	p := h.browser(t).signIn()
	if diff := cmp.Diff(map[string]string{identity.DefaultWorkspace: authz.RoleViewer, w.ID: authz.RoleAdmin},
		h.rolesOf(p.ID)); diff != "" {
		t.Error(diff)
	}
	g.set(func() { g.teams = nil })
	h.browser(t).signIn()
	if diff := cmp.Diff(map[string]string{identity.DefaultWorkspace: authz.RoleViewer}, h.rolesOf(p.ID)); diff != "" {
		t.Error(diff)
	}
}

func TestGitHub_Errors(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*hub, *sso.Provider)
		kind   problem.Kind
		text   string
	}{
		"another secret": {
			func(_ *hub, p *sso.Provider) { p.ClientSecret = "wrong" },
			problem.Unauthenticated,
			"client id and secret",
		},
		"no person": {
			func(g *hub, _ *sso.Provider) { g.user = map[string]any{"login": "octo"} },
			problem.Unauthenticated,
			"(id)",
		},
		"an id that is text": {func(g *hub, _ *sso.Provider) { g.user["id"] = "1" }, problem.Unauthenticated, "(id)"},
		"a negative id":      {func(g *hub, _ *sso.Provider) { g.user["id"] = -1 }, problem.Unauthenticated, "(id)"},
		"half an id":         {func(g *hub, _ *sso.Provider) { g.user["id"] = 1.5 }, problem.Unauthenticated, "(id)"},
		"nothing":            {func(g *hub, _ *sso.Provider) { g.user = nil }, problem.Unauthenticated, "(id)"},
		"a wall without a scope": {func(g *hub,
			p *sso.Provider) {
			p.Scopes = []string{"user"}
			g.denied = "user:email"
		}, problem.Unavailable,
			"status 404"},
	}
	for name, c := range cases {
		h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
		g := startHub(t)
		g.user = map[string]any{"id": 1, "login": "octo"}
		h.withHub(t, g, func(p *sso.Provider) { c.change(g, p) })
		if _, err := h.browser(t).
			round(sso.ForSignIn); !problem.Is(err, c.kind) ||
			!strings.Contains(problem.Of(err).Detail, c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGitHub_NoStepUp(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	g := startHub(t)
	g.user = map[string]any{"id": 1, "login": "octo"}
	h.withHub(t, g, func(*sso.Provider) {})
	b := h.browser(t)
	b.signIn()
	if _, err := b.begin(sso.ForConfirm); !problem.Is(err, problem.Conflict) {
		t.Errorf("%v", err)
	}
	if to, err := h.Providers.SignOutElsewhere(context.Background(), b.session, origin); to != "" || err != nil {
		t.Errorf("signing out: %q, %v", to, err)
	}
	if err := h.Providers.BackChannelLogout(context.Background(), "corp", "x"); !problem.Is(err, problem.NotFound) {
		t.Errorf("a logout token for GitHub: %v", err)
	}
}
