package sso_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/login"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
)

func TestRound_AuthorizationRequest(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	one, two := h.browser(t), h.browser(t)
	first, err := one.begin(sso.ForSignIn)
	if err != nil {
		t.Fatal(err)
	}
	second, err := two.begin(sso.ForSignIn)
	if err != nil {
		t.Fatal(err)
	}
	a, b := mustQuery(t, first), mustQuery(t, second)
	for name, want := range map[string]string{
		"response_type": "code", "client_id": clientID, "redirect_uri": origin + "/sso/corp/callback",
		"scope": "openid profile email", "code_challenge_method": "S256",
	} {
		if got := a.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(a.Get(name)) < 43 || a.Get(name) == b.Get(name) {
			t.Errorf("%s is %q and then %q, want two of 256 bits", name, a.Get(name), b.Get(name))
		}
	}
	if strings.Contains(first, clientSecret) || a.Has("prompt") || one.cookie == two.cookie {
		t.Errorf("asked for by %s, cookies %q and %q", first, one.cookie, two.cookie)
	}
}

func mustQuery(t testing.TB, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func TestRound_SeveralTabs(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	b := h.browser(t)
	var backs []url.Values
	for range 3 {
		to, err := b.begin(sso.ForSignIn)
		if err != nil {
			t.Fatal(err)
		}
		backs = append(backs, b.visit(to))
	}
	slices.Reverse(backs)
	for i, back := range backs {
		if end, err := b.finish(back); err != nil || end.Progress == nil || end.Progress.Step != login.StepFinish {
			t.Errorf("tab %d: %+v, %v", i, end, err)
		}
	}
}

func TestRound_CallbackOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := build(t, d, bcrypt.MinCost)
		idp := startIDP(t, h.Now)
		h.withProvider(t, idp, nil)
		b := h.browser(t)
		to, err := b.begin(sso.ForSignIn)
		if err != nil {
			t.Fatal(err)
		}
		back := b.visit(to)

		// A person is lured to someone else's callback. It has no effect, and the round stays valid
		// for its owner.
		victim := h.browser(t)
		end, err := victim.finish(back)
		if err != nil || end.Progress != nil || end.Restart == nil || end.Restart.Bounces != 1 ||
			end.Restart.Destination.Return != "/flows/7" {
			t.Fatalf("without the cookie: %+v, %v", end, err)
		}
		victim.cookie = strings.Repeat("A", 43)
		if end, err = victim.finish(back); err != nil || end.Progress != nil || end.Restart == nil {
			t.Fatalf("with another cookie: %+v, %v", end, err)
		}
		if n := idp.asked("/token"); n != 0 {
			t.Errorf("the code was looked at %d times", n)
		}
		if end, err = b.finish(back); err != nil || end.Progress == nil {
			t.Fatalf("in its own browser: %+v, %v", end, err)
		}
		session, _ := h.Sessions.Lookup(end.Progress.Result.Token, authn.AudienceMain)

		// Replayed: the code is not shown to the provider again, and there is no second session.
		if end, err = b.finish(back); err != nil || end.Progress != nil || end.Restart == nil {
			t.Errorf("replayed by a stranger: %+v, %v", end, err)
		}
		b.session = session
		if end, err = b.finish(back); !problem.Is(err, problem.Gone) || end.Restart != nil {
			t.Errorf("replayed by a signed-in person: %+v, %v", end, err)
		}
		if n := idp.asked("/token"); n != 1 {
			t.Errorf("the code was redeemed %d times, want once", n)
		}
	})
}

func TestRound_ParallelCallbacks(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	b := h.browser(t)
	to, err := b.begin(sso.ForSignIn)
	if err != nil {
		t.Fatal(err)
	}
	back := b.visit(to)
	ends := make(chan sso.End, 8)
	for range cap(ends) {
		go func() {
			end, err := b.finish(back)
			if err != nil {
				t.Error(err)
			}
			ends <- end
		}()
	}
	done := 0
	for range cap(ends) {
		if end := <-ends; end.Progress != nil {
			done++
		} else if end.Restart == nil {
			t.Errorf("neither signed in nor started again: %+v", end)
		}
	}
	if done != 1 || idp.asked("/token") != 1 {
		t.Errorf("%d signed in and the code was redeemed %d times, want one each", done, idp.asked("/token"))
	}
}

func TestRound_Loop(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	// The cookie is lost each time.
	next := &sso.Round{Slug: "corp", Purpose: sso.ForSignIn, Origin: origin}
	for i := 1; i <= sso.MaxBounces; i++ {
		to, _, err := h.SSO.Begin(context.Background(), *next)
		if err != nil {
			t.Fatal(err)
		}
		end, err := h.browser(t).finish(h.browser(t).visit(to))
		if err != nil || end.Restart == nil || end.Restart.Bounces != i {
			t.Fatalf("round %d: %+v, %v", i, end.Restart, err)
		}
		next = end.Restart
	}
	// The state is lost each time.
	b := h.browser(t)
	if _, err := b.begin(sso.ForSignIn); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= sso.MaxBounces; i++ {
		end, err := b.finish(url.Values{"state": {"mangled"}, "code": {"x"}})
		if err != nil || end.Restart == nil || end.Restart.Bounces != i {
			t.Fatalf("lost state %d: %+v, %v", i, end.Restart, err)
		}
	}
	h.Step(10 * time.Minute)
	if end, err := b.finish(url.Values{"state": {"mangled"}}); err != nil || end.Restart == nil ||
		end.Restart.Bounces != 1 {
		t.Errorf("much later: %+v, %v", end.Restart, err)
	}
}

func TestRound_Expires(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	b := h.browser(t)
	to, err := b.begin(sso.ForSignIn)
	if err != nil {
		t.Fatal(err)
	}
	back := b.visit(to)
	h.Step(sso.RoundLife + time.Second)
	if end, err := b.finish(back); err != nil || end.Restart == nil || end.Progress != nil {
		t.Errorf("a round of long ago: %+v, %v", end, err)
	}
}

func TestRound_Bounded(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, nil)
	var err error
	n := 0
	for ; err == nil && n < 500; n++ {
		_, err = h.browser(t).begin(sso.ForSignIn)
	}
	if !problem.Is(err, problem.Limited) || problem.Of(err).RetryAfter <= 0 || n < 100 {
		t.Fatalf("after %d: %v", n, err)
	}
	h.Step(10 * time.Minute)
	h.browser(t).signIn()
	// Finished sign-ins are not counted.
	h.Step(2 * time.Hour)
	for range 150 {
		h.browser(t).signIn()
	}
}

func TestRound_DisabledProvider(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	p := h.withProvider(t, idp, nil)
	b := h.browser(t)
	to, err := b.begin(sso.ForSignIn)
	if err != nil {
		t.Fatal(err)
	}
	back := b.visit(to)
	p.Enabled = false
	if _, err := h.Providers.SaveProvider(context.Background(), cli, p); err != nil {
		t.Fatal(err)
	}
	if _, err := h.browser(t).begin(sso.ForSignIn); !problem.Is(err, problem.NotFound) {
		t.Errorf("beginning: %v", err)
	}
	if end, err := b.finish(back); err == nil {
		t.Errorf("a round that was under way: %+v", end)
	}
	if got := h.Providers.SignInButtons(); len(got) != 0 {
		t.Errorf("buttons: %+v", got)
	}
	if _, _, err := h.SSO.Begin(context.Background(), sso.Round{Slug: "other", Purpose: sso.ForSignIn}); !problem.Is(
		err,
		problem.NotFound,
	) {
		t.Errorf("an unknown provider: %v", err)
	}
	if _, _, err := h.SSO.Begin(context.Background(), sso.Round{Slug: "corp", Purpose: "other"}); err == nil {
		t.Error("an unknown purpose began")
	}
}

func TestRound_RefusalsAudited(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	idp := startIDP(t, h.Now)
	h.withProvider(t, idp, func(p *sso.Provider) { p.CreateAccounts = false })
	if _, err := h.browser(t).round(sso.ForSignIn); !problem.Is(err, problem.Denied) {
		t.Fatal(err)
	}
	h.Gate.Flush(context.Background())
	entries := h.entries(t)
	i := slices.IndexFunc(entries, func(e string) bool {
		return strings.Contains(e, string(authz.AccountSignIn)) && strings.Contains(e, "sso:corp sign-in: Corp "+
			"knows you")
	})
	if i < 0 {
		t.Errorf("no entry in %s", strings.Join(entries, "\n"))
	}
}

// entries are the audit entries: actor, action, object, outcome and reason.
func (h *house) entries(t testing.TB) []string {
	t.Helper()
	list, err := audit.After(context.Background(), h.DB, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(
			out,
			strings.Join([]string{e.ActorKind, e.ActorName, e.Action, e.ResourceName, string(e.Outcome), e.Detail},
				" | "),
		)
	}
	return out
}
