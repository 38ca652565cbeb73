package authn_test

import (
	"context"
	"testing"
	"time"

	"sluice/internal/authn"
	"sluice/internal/db"
	q "sluice/internal/db/q/authn"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// change runs a function in a transaction.
func (n *node) change(t testing.TB, fn func(tx *db.Tx) error) error {
	t.Helper()
	return n.db.Gated(context.Background(), fn)
}

// stored is how many sessions of a person the database has.
func (n *node) stored(t testing.TB, userID string) int {
	t.Helper()
	ids, err := q.New(n.db.Read()).SessionIDsOf(context.Background(), userID)
	if err != nil {
		t.Fatal(err)
	}
	return len(ids)
}

func (n *node) maintain(t testing.TB) {
	t.Helper()
	if err := n.sessions.Maintain(context.Background(), n.Now()); err != nil {
		t.Fatal(err)
	}
}

func TestSession_EndsExactlyAtItsLimits(t *testing.T) {
	n := start(t, dbtest.SQLite(t))
	n.stop()
	u := n.add(t, "ann")
	idle, _ := n.signIn(t, u.ID)
	n.step(maxIdle - time.Millisecond)
	used, s := n.signIn(t, u.ID)
	n.step(time.Millisecond)
	if n.live(idle) {
		t.Error("a session lives that was idle for exactly as long as it may be")
	}
	for n.Now().Before(s.CreatedAt.Add(maxAge - maxIdle/2)) {
		n.step(maxIdle / 2)
		if !n.live(used) {
			t.Fatal("a session in use has ended")
		}
	}
	n.step(s.CreatedAt.Add(maxAge).Sub(n.Now()) - time.Millisecond)
	if !n.live(used) {
		t.Error("a session has ended a millisecond before its longest life")
	}
	n.step(time.Millisecond)
	if n.live(used) {
		t.Error("a session lives at the end of its longest life")
	}
}

func TestRevokeAll_EndsEachButOne(t *testing.T) {
	n := start(t, dbtest.SQLite(t))
	u := n.add(t, "ann")
	kept, s := n.signIn(t, u.ID)
	var others []string
	for range 3 {
		token, _ := n.signIn(t, u.ID)
		others = append(others, token)
	}
	if err := n.sessions.RevokeAll(context.Background(), cli, u.ID, s.ID); err != nil {
		t.Fatal(err)
	}
	for i, token := range others {
		if n.live(token) {
			t.Errorf("session %d goes on", i)
		}
	}
	if !n.live(kept) {
		t.Error("the one that was to be kept has ended")
	}
}

func TestMaintain_NotesEachUse(t *testing.T) {
	n := start(t, dbtest.SQLite(t))
	u := n.add(t, "ann")
	var tokens []string
	for range 3 {
		token, _ := n.signIn(t, u.ID)
		tokens = append(tokens, token)
	}
	n.step(maxIdle - time.Hour)
	for _, token := range tokens {
		if !n.live(token) {
			t.Fatal("ended too early")
		}
	}
	n.maintain(t)
	after := start(t, n.db)
	after.step(maxIdle + time.Hour)
	for i, token := range tokens {
		if !after.live(token) {
			t.Errorf("after a restart the use of session %d is forgotten", i)
		}
	}
}

// TestMaintain_RemovesWhatIsOver: an idle session stays for an hour more, because another node may
// be about to say that it was used.
func TestMaintain_RemovesWhatIsOver(t *testing.T) {
	n := start(t, dbtest.SQLite(t))
	n.stop()
	u := n.add(t, "ann")
	for range 3 {
		n.signIn(t, u.ID)
	}
	for _, c := range []struct {
		step time.Duration
		want int
	}{{maxIdle - time.Minute, 3}, {time.Hour, 3}, {time.Minute, 0}} {
		n.step(c.step)
		n.maintain(t)
		if got := n.stored(t, u.ID); got != c.want {
			t.Errorf("%s later: %d sessions are stored, want %d", c.step, got, c.want)
		}
	}
}

func TestProve_NotesTheProofAndItsStrength(t *testing.T) {
	ctx := context.Background()
	n := start(t, dbtest.SQLite(t))
	u := n.add(t, "ann")
	token, s, err := n.sessions.Start(ctx, u.ID, authn.Meta{Method: authn.MethodAutomatic})
	if err != nil {
		t.Fatal(err)
	}
	if p := principalOf(n, token); !p.Automatic || p.Strong {
		t.Errorf("before the proof: %+v", p)
	}
	prove := func(id string, strong bool) error {
		return n.change(t, func(tx *db.Tx) error { return n.sessions.Prove(ctx, tx, id, strong) })
	}
	n.stop()
	n.step(time.Hour)
	if err := prove(s.ID, true); err != nil {
		t.Fatal(err)
	}
	if p := principalOf(n, token); p.Automatic || !p.Strong || !p.ProvenAt.Equal(n.Now()) {
		t.Errorf("after the proof: %+v, want it proven at %s", p, n.Now())
	}
	if err := prove("6b1e7d3c-0000-4000-8000-000000000000", true); !problem.Is(err, problem.NotFound) {
		t.Errorf("a session that does not exist: %v", err)
	}
	plain, _ := n.signIn(t, u.ID)
	if p := principalOf(n, plain); p.Automatic {
		t.Error("a sign-in with a password counts as automatic")
	}
}

func TestWeaken_TakesTheFactorFromAllSessionsOfOnePerson(t *testing.T) {
	ctx := context.Background()
	n := start(t, dbtest.SQLite(t))
	strong := func(u identity.User) string {
		token, _, err := n.sessions.Start(ctx, u.ID, authn.Meta{Method: "password", Strong: true})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	ann, bob := n.add(t, "ann"), n.add(t, "bob")
	tokens := []string{strong(ann), strong(ann), strong(bob)}
	if err := n.change(t, func(tx *db.Tx) error { return n.sessions.Weaken(ctx, tx, ann.ID) }); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, false, true} {
		if p := principalOf(n, tokens[i]); !p.SignedIn() || p.Strong != want {
			t.Errorf("session %d: strong %v, want %v", i, p.Strong, want)
		}
	}
}

func TestTickets_LiveOnceAndForTheirTime(t *testing.T) {
	ctx := context.Background()
	n := start(t, dbtest.SQLite(t))
	n.stop()
	subject := authn.Ticket{Subject: "ann", Audience: "app1"}
	link := func() (token string) {
		err := n.change(t, func(tx *db.Tx) (err error) {
			token, _, err = n.sessions.NewTicket(ctx, tx, authn.PurposeReset, subject, time.Hour)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := func(when, token string) {
		t.Helper()
		if got, err := n.sessions.CheckTicket(ctx, authn.PurposeReset, token); err != nil || got != subject {
			t.Errorf("%s: %+v, %v", when, got, err)
		}
	}
	check := func(when, token string, want problem.Kind) {
		t.Helper()
		if got, err := n.sessions.CheckTicket(ctx, authn.PurposeReset, token); !problem.Is(err, want) {
			t.Errorf("%s: %+v, %v; want %s", when, got, err, want)
		}
	}
	used := func(s authn.Ticket) (spent bool) {
		t.Helper()
		err := n.change(t, func(tx *db.Tx) (err error) {
			spent, err = authn.TicketUsed(ctx, tx, authn.PurposeReset, s)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return spent
	}
	drop := func(who string) {
		t.Helper()
		err := n.change(t, func(tx *db.Tx) error { return authn.DropTickets(ctx, tx, authn.PurposeReset, who) })
		if err != nil {
			t.Fatal(err)
		}
	}
	first, second := link(), link()
	if used(subject) {
		t.Error("a link counts as used before it was")
	}
	use := func(tx *db.Tx) error { return n.sessions.UseTicket(ctx, tx, authn.PurposeReset, first) }
	if err := n.change(t, use); err != nil {
		t.Fatal(err)
	}
	another, bobs := authn.Ticket{Subject: "ann", Audience: "app2"}, authn.Ticket{Subject: "bob", Audience: "app1"}
	if !used(subject) || used(another) || used(bobs) {
		t.Error("what was used is not this person's link to this app")
	}
	check("a used one", first, problem.Gone)
	n.step(time.Hour - time.Millisecond)
	good("just before its end", second)
	n.step(time.Millisecond)
	check("at its end", second, problem.Gone)
	n.step(23 * time.Hour)
	n.maintain(t)
	check("23 hours later its end is still told", second, problem.Gone)
	n.step(time.Hour + time.Millisecond)
	n.maintain(t)
	check("a day later it is forgotten", second, problem.NotFound)
	third := link()
	drop("bob")
	good("when another's were dropped", third)
	drop("ann")
	check("when it was dropped", third, problem.NotFound)
}

// TestMaintain_NotesUsesAMinuteApart: a use within a minute of a noted one is not noted again.
func TestMaintain_NotesUsesAMinuteApart(t *testing.T) {
	n := start(t, dbtest.SQLite(t))
	n.stop()
	ctx := context.Background()
	u := n.add(t, "ann")
	token, s := n.signIn(t, u.ID)
	for _, c := range []struct{ step, want time.Duration }{
		{time.Minute - time.Millisecond, 0},
		{time.Millisecond, time.Minute},
		{time.Minute - time.Millisecond, time.Minute},
	} {
		n.step(c.step)
		if !n.live(token) {
			t.Fatal("the session has ended")
		}
		n.maintain(t)
		list, err := n.sessions.List(ctx, authn.Principal{Kind: cli.Kind, ID: "x", Superuser: true}, u.ID)
		if err != nil || len(list) != 1 || list[0].SeenAt.Sub(s.CreatedAt) != c.want {
			used := n.Now().Sub(s.CreatedAt)
			t.Errorf("used %s after the sign-in: %+v, want it seen %s after (%v)", used, list, c.want, err)
		}
	}
}
