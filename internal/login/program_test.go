package login_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/db"
	qauthn "sluice/internal/db/q/authn"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/logintest"
	"sluice/internal/problem"
)

// withTokens lets programs sign in.
func (h *house) withTokens(t testing.TB) *house {
	t.Helper()
	keys := func() []authn.Key { return []authn.Key{{ID: "k", Value: []byte(strings.Repeat("k", 32))}} }
	return h.with(t, func(s *logintest.Settings) {
		s.Login.Tokens = authn.NewTokens(authn.TokenConfig{
			Sessions:    h.Sessions,
			AccessKeys:  keys,
			RefreshKeys: keys,
			HashKeys:    keys,
			Issuer:      "i",
			Audience:    "a",
			AccessLife:  time.Hour,
			RefreshLife: 24 * time.Hour,
			Grace:       time.Minute,
		})
	})
}

// program signs a program in.
func (h *house) program(g login.Grant) (authn.Pair, error) {
	g.IP, g.UserAgent = "192.0.2.1", "report/1.0"
	return h.Logins.SignInProgram(context.Background(), g)
}

// sessions of a person, as the operator sees them.
func (h *house) sessionsOf(t testing.TB, userID string) []authn.Session {
	t.Helper()
	list, err := h.Sessions.List(context.Background(), cli, userID)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestProgram_SignIn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost).withTokens(t), context.Background()
		u := h.Add(t, "ann")
		w, err := h.People.CreateWorkspace(ctx, cli, "Research")
		if err != nil {
			t.Fatal(err)
		}
		other, err := h.People.CreateWorkspace(ctx, cli, "Other")
		if err != nil {
			t.Fatal(err)
		}
		if err := h.People.SetRole(ctx, cli, u.ID, w.ID, "user"); err != nil {
			t.Fatal(err)
		}
		for workspace, want := range map[string]string{"": identity.DefaultWorkspace, w.ID: w.ID} {
			pair, err := h.program(login.Grant{Identifier: "ANN@example.com", Password: password, Workspace: workspace})
			if err != nil {
				t.Fatal(err)
			}
			p, err := h.Settings.Login.Tokens.Verify(pair.Access)
			if err != nil || p.ID != u.ID || p.Workspace != want || p.Strong {
				t.Errorf("workspace %q: %+v, %v", workspace, p, err)
			}
		}
		for _, s := range h.sessionsOf(t, u.ID) {
			if !s.Program || s.Method != "password (API)" || s.UserAgent != "report/1.0" || s.IP != "192.0.2.1" {
				t.Errorf("the list shows %+v", s)
			}
		}
		for _, workspace := range []string{other.ID, "nowhere"} {
			if _, err := h.program(
				login.Grant{Identifier: "ann", Password: password, Workspace: workspace},
			); !problem.Is(err, problem.NotFound) ||
				problem.Of(err).Field != "workspace" {
				t.Errorf("workspace %q: %v", workspace, err)
			}
			_, err := h.program(login.Grant{Identifier: "ann", Password: "wrong", Workspace: workspace})
			if !problem.Is(err, problem.Unauthenticated) || problem.Of(err).Field != "" {
				t.Errorf("with a wrong password the workspace is checked: %v", err)
			}
		}
		if n := len(h.sessionsOf(t, u.ID)); n != 2 {
			t.Errorf("%d sessions, want 2", n)
		}
		if cookies, err := qauthn.New(d.Read()).AllCookies(ctx); err != nil || len(cookies) != 0 {
			t.Errorf("%d cookies were created for programs", len(cookies))
		}
		entries, err := audit.After(ctx, d, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		signIns := 0
		for _, e := range entries {
			if e.Action == "account:sign-in" && e.Outcome == audit.Done && e.Detail == "password (API)" &&
				e.ActorName == "ann" {
				signIns++
			}
		}
		if signIns != 2 {
			t.Errorf("%d sign-ins are recorded, want 2", signIns)
		}
	})
}

func TestProgram_Limits(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost).withTokens(t)
	h.Add(t, "ann")
	_, first := h.program(login.Grant{Identifier: "ann", Password: "wrong"})
	_, nobody := h.program(login.Grant{Identifier: "nobody", Password: "wrong"})
	if first == nil || nobody == nil || first.Error() != nobody.Error() {
		t.Errorf("%v and %v reveal whether an account exists", first, nobody)
	}
	judged := 1
	for range 20 {
		if _, err := h.program(login.Grant{Identifier: "ann", Password: "wrong"}); problem.Is(err,
			problem.Unauthenticated) {
			judged++
		}
	}
	if judged > 5 {
		t.Errorf("%d guesses got a verdict", judged)
	}
	if _, err := h.Try("ann", password, "192.0.2.1", ""); !problem.Is(err, problem.Limited) {
		t.Errorf("the form counts for itself: %v", err)
	}
}

func TestProgram_Steps(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost).withMail(t, nothing).withTokens(t), context.Background()
	h.Root(t)
	u := h.Add(t, "ann")
	good := login.Grant{Identifier: "ann", Password: password}
	policy := func(value string) {
		t.Helper()
		if err := h.People.SetSecondFactor(ctx, cli, identity.DefaultWorkspace, value); err != nil {
			t.Fatal(err)
		}
	}
	policy(identity.FactorEncouraged)
	if _, err := h.program(good); err != nil {
		t.Errorf("an offer that no one can answer: %v", err)
	}
	policy(identity.FactorRequired)
	if _, err := h.program(good); !problem.Is(err, problem.Denied) || problem.Of(err).Rule != "second-factor" ||
		!strings.Contains(problem.Of(err).Next, "https://sluice.example/login") {
		t.Errorf("a factor that has to be set up: %v", err)
	}
	policy(identity.FactorOff)
	a, enrolled := h.EnrolApp(t, h.Enter(t, "ann"))
	if _, err := h.program(good); !problem.Is(err, problem.Unauthenticated) || problem.Of(err).Field != "code" {
		t.Errorf("without a code: %v", err)
	}
	bad := good
	bad.Code = a.Wrong(t)
	if _, err := h.program(bad); problem.Of(err).Field != "code" {
		t.Errorf("with a wrong code: %v", err)
	}
	for name, code := range map[string]string{"an app's code": a.Code(t, 0), "a recovery code": enrolled.Recovery[0]} {
		right := good
		right.Code = code
		pair, err := h.program(right)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p, err := h.Settings.Login.Tokens.Verify(pair.Access); err != nil || !p.Strong || p.ID != u.ID {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		if _, err := h.program(right); err == nil {
			t.Errorf("%s works twice", name)
		}
	}
	methods := map[string]bool{}
	for _, s := range h.sessionsOf(t, u.ID) {
		methods[s.Method] = true
	}
	if !methods["password (API) + totp"] || !methods["password (API) + recovery code"] {
		t.Errorf("methods %v", methods)
	}
	if err := h.People.Update(ctx, cli, u.ID, identity.UserUpdate{Active: problem.Some(false)}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.program(good); !problem.Is(err, problem.Denied) {
		t.Errorf("a deactivated person: %v", err)
	}
}

// unconnected is login without its parts.
func unconnected(t *testing.T, h *house) *login.Logins {
	t.Helper()
	l, err := login.New(t.Context(), h.Settings.Login)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestConnect_WithoutParts(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost).withTokens(t)
	u := h.Add(t, "ann")
	h.EnrolApp(t, h.Enter(t, "ann"))
	bob := h.Add(t, "bob")
	l := unconnected(t, h)
	pair, err := l.SignInProgram(t.Context(), login.Grant{Identifier: "ann", Password: password, Code: "123456"})
	if err == nil || pair.Access != "" {
		t.Errorf("a program signed in without a check of its second factor: %+v, %v", pair, err)
	}
	at := login.State{Account: bob.ID, Method: "sso:corp", Factors: []string{login.FactorSSO},
		Provider: &login.ProviderSession{ProviderID: "corp", Subject: "s"}}
	if p, err := l.Begin(t.Context(), at, nil); err == nil || p.Result != nil {
		t.Errorf("a session started without the data for the provider's sign-out: %+v, %v", p, err)
	}
	for _, id := range []string{u.ID, bob.ID} {
		if list := h.sessionsOf(t, id); len(list) > 1 || id == bob.ID && len(list) > 0 {
			t.Errorf("%d sessions of %s", len(list), id)
		}
	}
}
