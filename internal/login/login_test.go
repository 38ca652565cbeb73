package login_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/login/logintest"
	"sluice/internal/problem"
)

const password = logintest.Password

var cli = logintest.CLI

// house is logintest.House with helpers for these tests only.
type house struct{ *logintest.House }

func build(t testing.TB, d *db.DB, rounds int) *house {
	t.Helper()
	return &house{logintest.Build(t, d, rounds)}
}

func buildIn(t testing.TB, d *db.DB, rounds int, folder string, stepUp time.Duration) *house {
	t.Helper()
	return &house{logintest.BuildIn(t, d, rounds, folder, stepUp)}
}

// with creates Logins and its parts again with other settings.
func (h *house) with(t testing.TB, change func(*logintest.Settings)) *house {
	t.Helper()
	h.House.With(t, change)
	return h
}

// withMail is with plus a mail server.
func (h *house) withMail(t testing.TB, change func(*logintest.Settings)) *house {
	t.Helper()
	h.House.WithMail(t, change)
	return h
}

func second[T any](_ T, err error) error { return err }

func nothing(*logintest.Settings) {}

func TestPasswordSignIn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h := build(t, d, bcrypt.MinCost)
		u := h.Add(t, "ann")
		for _, name := range []string{"ann", "ANN@example.com"} {
			r, err := h.Try(name, password, "192.0.2.1", "")
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			p, ok := h.Sessions.Lookup(r.Token, authn.AudienceMain)
			if !ok || p.ID != u.ID || p.SessionID != r.Session.ID {
				t.Errorf("%s: the session is not in force: %+v, %v", name, p, ok)
			}
			if _, ok := h.Sessions.Lookup(r.Token, "some-app"); ok {
				t.Error("the cookie of Sluice's own pages is good for an app")
			}
		}
		if got, err := h.People.Get(context.Background(), cli, u.ID); err != nil || got.LastSignInAt.IsZero() {
			t.Errorf("the sign-in was not recorded: %v", err)
		}
	})
}

func TestLogin_SameAnswer(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	h.Add(t, "ann")
	noPassword, err := h.People.Create(context.Background(), cli, identity.NewUser{Username: "bob", Active: true})
	if err != nil {
		t.Fatal(err)
	}
	inactive := identity.UserUpdate{Active: problem.Some(false)}
	if err := h.People.Update(context.Background(), cli, h.Add(t, "gone").ID, inactive); err != nil {
		t.Fatal(err)
	}
	want := ""
	for i, c := range [][2]string{{"ann", "wrong"}, {"nobody", password}, {noPassword.Username, password},
		{noPassword.Username, ""}, {"", ""}, {"gone", "wrong"},
		{strings.Repeat("x", 5000), "y"}, {"ann", strings.Repeat("y", 5000)}, {"ann\x00", password}} {
		_, err := h.Try(c[0], c[1], "192.0.2."+string(rune('1'+i)), "")
		e := problem.Of(err)
		text := e.Kind.String() + e.Detail + e.Next + e.Rule
		if want == "" {
			want = text
		}
		if text != want || e.Kind != problem.Unauthenticated {
			t.Errorf("%.20q: %q, want %q", c[0], text, want)
		}
	}
	if _, err := h.Try("gone", password, "192.0.2.200", ""); !problem.Is(err, problem.Denied) {
		t.Errorf("an inactive person with the right password: %v, want denied", err)
	}
}

func TestLimit_SlowDownAndForget(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	h.Add(t, "ann")
	for range 5 {
		if _, err := h.Try("ann", "wrong", "192.0.2.1", ""); !problem.Is(err, problem.Unauthenticated) {
			t.Fatal(err)
		}
	}
	_, err := h.Try("ann", password, "192.0.2.1", "")
	if e := problem.Of(err); e.Kind != problem.Limited || e.RetryAfter <= 0 || e.RetryAfter > time.Second {
		t.Fatalf("after five wrong ones even the right one waits: %v, RetryAfter %v", err, e.RetryAfter)
	}
	h.Step(time.Second)
	if _, err := h.Try("ann", password, "192.0.2.1", ""); err != nil {
		t.Fatalf("after the wait: %v", err)
	}
	if _, err := h.Try("ann", "wrong", "192.0.2.1", ""); !problem.Is(err, problem.Unauthenticated) {
		t.Errorf("a success resets the counter: %v", err)
	}
	for range 40 {
		_, _ = h.Try("ann", "wrong", "192.0.2.1", "")
		h.Step(20 * time.Minute)
	}
	h.Step(-365 * 24 * time.Hour)
	if e := problem.Of(second(h.Try("ann", password, "192.0.2.1", ""))); e.RetryAfter > 15*time.Minute {
		t.Errorf("after the clock was set back, people wait %v", e.RetryAfter)
	}
	h.Step(2 * 365 * 24 * time.Hour)
	if _, err := h.Try("ann", password, "192.0.2.1", ""); err != nil {
		t.Errorf("later: %v", err)
	}
}

func TestLimit_NoLockOut(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	h.Add(t, "ann")
	known, err := h.Try("ann", password, "198.51.100.7", "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		_, _ = h.Try("ann", "wrong", "203.0.113."+string(rune('0'+i%10)), "")
		h.Step(10 * time.Millisecond)
	}
	if _, err := h.Try("ann", password, "198.51.100.7", known.Device); err != nil {
		t.Errorf("the owner's own browser: %v", err)
	}
	_, err = h.Try("ann", password, "198.51.100.9", "")
	if e := problem.Of(err); e.Kind != problem.Limited || e.RetryAfter > 30*time.Second {
		t.Errorf("the owner on a new device: %v, wait %v; want at most 30 s", err, e.RetryAfter)
	}
	if _, err := h.Try("ann", password, "198.51.100.9", "forged."+strings.Repeat("A", 43)); !problem.Is(err,
		problem.Limited) {
		t.Errorf("a forged device cookie opens the lane: %v", err)
	}
	h.Add(t, "bob")
	for range 50 {
		_, _ = h.Try("bob", "wrong", "203.0.113.99", "")
		_, _ = h.Try("bob", "wrong", "198.51.100.7", "")
	}
	if _, err := h.Try("bob", password, "198.51.100.7", known.Device); !problem.Is(err, problem.Limited) {
		t.Errorf("ann's device cookie opens a lane to bob: %v", err)
	}
}

func TestLimit_ParallelGuesses(t *testing.T) {
	t.Parallel()
	h := build(t, dbtest.SQLite(t), bcrypt.MinCost)
	h.Add(t, "ann")
	var wg sync.WaitGroup
	var mu sync.Mutex
	judged := 0
	for range 30 {
		wg.Go(func() {
			if _, err := h.Try("ann", "wrong", "192.0.2.1", ""); problem.Is(err, problem.Unauthenticated) {
				mu.Lock()
				judged++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if judged != 5 {
		t.Errorf("%d of 30 parallel guesses got a verdict, want 5", judged)
	}
}

func TestLogin_HashUpgrade(t *testing.T) {
	t.Parallel()
	d, folder := dbtest.SQLite(t), t.TempDir()
	u := buildIn(t, d, bcrypt.MinCost, folder, 0).Add(t, "ann")
	h := buildIn(t, d, bcrypt.MinCost+2, folder, 0)
	if _, err := h.Try("ann", password, "192.0.2.1", ""); err != nil {
		t.Fatal(err)
	}
	c, err := h.People.CredentialOf(context.Background(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	if cost, err := bcrypt.Cost([]byte(c.PasswordHash)); err != nil || cost != bcrypt.MinCost+2 {
		t.Errorf("cost %d (%v), want %d", cost, err, bcrypt.MinCost+2)
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	h.Add(t, "ann")
	here, err := h.Try("ann", password, "192.0.2.1", "")
	if err != nil {
		t.Fatal(err)
	}
	there, err := h.Try("ann", password, "192.0.2.2", "")
	if err != nil {
		t.Fatal(err)
	}
	p, _ := h.Sessions.Lookup(here.Token, authn.AudienceMain)
	if err := h.Logins.ChangePassword(ctx, p, "wrong", "a fine new sentence here"); problem.Of(
		err,
	).Field != "old_password" {
		t.Errorf("wrong old password: %v", err)
	}
	if err := h.Logins.ChangePassword(ctx, p, password, "a fine new sentence here"); err != nil {
		t.Fatal(err)
	}
	if _, ok := h.Sessions.Lookup(here.Token, authn.AudienceMain); !ok {
		t.Error("the person's own session was revoked")
	}
	if _, ok := h.Sessions.Lookup(there.Token, authn.AudienceMain); ok {
		t.Error("the other session is still valid")
	}
	if err := h.Logins.ChangePassword(ctx, authz.Principal{}, "", ""); !problem.Is(err, problem.Unauthenticated) {
		t.Errorf("a stranger: %v", err)
	}
}

func TestLogin_NothingSecretStored(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	u := h.Add(t, "ann")
	const typedInTheWrongField = "canary-7f3a-my-password"
	_, _ = h.Try(typedInTheWrongField, "x", "192.0.2.1", "")
	token, _, err := h.SignUps.ResetLink(ctx, cli, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	h.Gate.Flush(ctx)
	list, err := audit.After(ctx, h.DB, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		text := e.Detail + e.ResourceName + e.ResourceID + e.ActorName
		if strings.Contains(text, typedInTheWrongField) || strings.Contains(text, token) ||
			strings.Contains(text, password) {
			t.Errorf("the audit holds a secret: %+v", e)
		}
	}
	if _, err := audit.Verify(ctx, h.DB); err != nil {
		t.Error(err)
	}
}

func TestSetPassword(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	ann, boss := h.Add(t, "ann"), h.Add(t, "boss")
	if err := h.People.Update(ctx, cli, boss.ID, identity.UserUpdate{Superuser: problem.Some(true)}); err != nil {
		t.Fatal(err)
	}
	before, err := h.Try("ann", password, "192.0.2.1", "")
	if err != nil {
		t.Fatal(err)
	}
	actor, _ := h.People.Principal(boss.ID)
	viewer, _ := h.People.Principal(ann.ID)
	const next = "another fine sentence here"
	if err := h.Logins.SetPassword(ctx, viewer, boss.ID, next); !problem.Is(err, problem.Denied) {
		t.Errorf("by a viewer: %v", err)
	}
	if err := h.Logins.SetPassword(ctx, actor, boss.ID, next); !problem.Is(err, problem.Denied) {
		t.Errorf("one's own: %v", err)
	}
	if err := h.Logins.SetPassword(ctx, actor, ann.ID, "short"); problem.Of(err).Field != "password" {
		t.Errorf("a weak one: %v", err)
	}
	if err := h.Logins.SetPassword(ctx, actor, "nobody", next); !problem.Is(err, problem.NotFound) {
		t.Errorf("an unknown person's: %v", err)
	}
	if _, ok := h.Sessions.Lookup(before.Token, authn.AudienceMain); !ok {
		t.Fatal("a refused change revoked the session")
	}
	if err := h.Logins.SetPassword(ctx, actor, ann.ID, next); err != nil {
		t.Fatal(err)
	}
	if _, ok := h.Sessions.Lookup(before.Token, authn.AudienceMain); ok {
		t.Error("the old session is still valid")
	}
	if _, err := h.Try("ann", password, "192.0.2.1", ""); err == nil {
		t.Error("the old password still works")
	}
	if _, err := h.Try("ann", next, "192.0.2.2", ""); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

// BenchmarkEnumeration compares the time of answers for accounts that exist and accounts that do
// not, at the default cost. It reports the median and the 90th percentile of each and the ratio of
// the medians, which should be 1 within noise: timing must not reveal who has an account.
func BenchmarkEnumeration(b *testing.B) {
	h := build(b, dbtest.SQLite(b), bcrypt.DefaultCost).withMail(b, func(*logintest.Settings) {})
	h.Add(b, "known")
	number := 0
	address := func() string { number++; return fmt.Sprintf("10.%d.%d.%d", number>>16&255, number>>8&255, number&255) }
	questions := map[string]func(who string){
		"sign-in": func(who string) { _, _ = h.Try(who, "a wrong password of some length", address(), "") },
		"forgot":  func(who string) { _ = h.SignUps.RequestReset(context.Background(), who, address()) },
	}
	for name, ask := range questions {
		b.Run(name, func(b *testing.B) {
			took := map[string][]time.Duration{}
			for b.Loop() {
				for _, who := range []string{"known", "nobody"} {
					// An hour later every counter has been forgotten.
					h.Step(time.Hour)
					start := time.Now()
					ask(who)
					took[who] = append(took[who], time.Since(start))
				}
			}
			for _, who := range []string{"known", "nobody"} {
				slices.Sort(took[who])
				b.ReportMetric(float64(took[who][len(took[who])/2].Microseconds()), "p50-µs-"+who)
				b.ReportMetric(float64(took[who][len(took[who])*9/10].Microseconds()), "p90-µs-"+who)
			}
			b.ReportMetric(float64(took["known"][len(took["known"])/2])/float64(took["nobody"][len(took["nobody"])/2]),
				"known/nobody")
		})
	}
}
