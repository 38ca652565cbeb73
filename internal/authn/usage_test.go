package authn_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authn"
	"sluice/internal/db"
	q "sluice/internal/db/q/authn"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
)

// still is a clock that moves only when told to.
type still struct{ at atomic.Int64 }

func (c *still) now() time.Time       { return time.UnixMilli(c.at.Load()) }
func (c *still) step(d time.Duration) { c.at.Add(d.Milliseconds()) }

// noon is 45 seconds before the end of a minute.
func noon() *still {
	c := &still{}
	c.at.Store(time.Date(2026, 11, 21, 12, 0, 15, 0, time.UTC).UnixMilli())
	return c
}

// limited starts a node whose keys go by a clock that stands still.
func limited(t testing.TB, d *db.DB, c *still) *keyNode {
	t.Helper()
	n := &keyNode{node: start(t, d), t: t}
	var err error
	n.keys, err = authn.NewKeys(
		context.Background(),
		authn.KeyConfig{
			DB:       d,
			Gate:     n.gate,
			People:   n.people,
			TokenKey: []byte(strings.Repeat("k", 32)),
			Now:      c.now,
			Log:      quiet,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// spend uses a key until its limit, at most so often, and returns how often it worked.
func (n *keyNode) spend(secret string, most int) int {
	n.t.Helper()
	for i := range most {
		if _, err := n.use(secret); problem.Is(err, problem.Limited) {
			return i
		} else if err != nil {
			n.t.Fatal(err)
		}
	}
	return most
}

func TestUsage_LimitAcrossNodes(t *testing.T) {
	dsn := dbtest.Postgres(t)
	clock := noon()
	var nodes []*keyNode
	for range 2 {
		nodes = append(nodes, limited(t, dbtest.Open(t, db.Config{Postgres: dsn, Now: time.Now}), clock))
	}
	ann := nodes[0].person(nodes[0].add(t, "ann").ID)
	const minute, day = 200, 300
	_, secret := nodes[0].make(ann, authn.NewAPIKey{PerMinute: minute, PerDay: day})
	until(t, "the key on the other node", func() bool { _, err := nodes[1].use(secret); return err == nil })
	hammer := func() int {
		var went atomic.Int64
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				for range 50 {
					switch _, err := nodes[i%2].use(secret); {
					case err == nil:
						went.Add(1)
					case !problem.Is(err, problem.Limited):
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		return int(went.Load())
	}
	if got := 1 + hammer(); got > minute || got < minute*95/100 {
		t.Errorf("%d requests in a minute that may have %d", got, minute)
	}
	clock.step(time.Minute)
	if got := minute + hammer(); got > day || got < day*95/100 {
		t.Errorf("%d requests in a day that may have %d", got, day)
	}
	clock.step(24 * time.Hour)
	if got := hammer(); got > minute || got < minute*95/100 {
		t.Errorf("%d requests in a minute of the next day", got)
	}
}

func TestUsage_UnusedReservation(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, clock := context.Background(), noon()
		one, two := limited(t, d, clock), limited(t, d, clock)
		ann := one.person(one.add(t, "ann").ID)
		key, secret := one.make(ann, authn.NewAPIKey{PerDay: 100})
		if two.spend(secret, 1) != 1 {
			t.Fatal("the first request was refused")
		}
		if got := one.spend(secret, 200); got != 90 {
			t.Errorf("%d went while the other node had booked 10", got)
		}
		for range 2 { // the second time the portion was not used since the first
			if err := two.keys.Maintain(ctx, clock.now()); err != nil {
				t.Fatal(err)
			}
		}
		if one.spend(secret, 1) != 0 {
			t.Error("a used-up limit was asked about again at once")
		}
		clock.step(2 * time.Second)
		if got := one.spend(secret, 200); got != 9 {
			t.Errorf("%d went after the other node gave its rest back", got)
		}
		if got, err := one.keys.Get(ctx, ann, key.ID); err != nil || got.UsedToday != 100 {
			t.Errorf("%d are noted, %v", got.UsedToday, err)
		}
		clock.step(24 * time.Hour)
		two.spend(secret, 3)
		if err := two.keys.Close(ctx); err != nil {
			t.Fatal(err)
		}
		if got := one.spend(secret, 200); got != 97 {
			t.Errorf("%d went after the other node was stopped with 3 used", got)
		}
		more := int64(150)
		if _, err := one.keys.Update(ctx, ann, key.ID, authn.APIKeyChange{PerDay: &more}); err != nil {
			t.Fatal(err)
		}
		if got := one.spend(secret, 200); got != 50 {
			t.Errorf("%d more went after the limit was raised by 50", got)
		}
	})
}

func TestUsage_LimitsInAnswers(t *testing.T) {
	clock := noon()
	n := limited(t, dbtest.SQLite(t), clock)
	ann := n.person(n.add(t, "ann").ID)
	_, secret := n.make(ann, authn.NewAPIKey{PerMinute: 3, PerDay: 1000})
	_, free := n.make(ann, authn.NewAPIKey{})
	told := func(secret string) (http.Header, error) {
		c, err := n.use(secret)
		h := http.Header{}
		c.Limits.SetHeaders(h)
		return h, err
	}
	if h, err := told(free); err != nil || len(h) != 0 {
		t.Errorf("without limits: %v, %v", h, err)
	}
	h, err := told(secret)
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"Ratelimit-Policy": {`"minute";q=3;w=60, "day";q=1000;w=86400`},
		"Ratelimit":        {`"minute";r=2;t=45, "day";r=999;t=43185`},
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
	n.spend(secret, 2)
	h, err = told(secret)
	if p := problem.Of(err); p.Kind != problem.Limited || p.RetryAfter != 45*time.Second ||
		!strings.Contains(p.Detail, "3 requests of this minute") {
		t.Errorf("the fourth: %v", err)
	}
	if got := h.Get("Ratelimit"); got != `"minute";r=0;t=45, "day";r=997;t=43185` {
		t.Errorf("RateLimit %s", got)
	}
	clock.step(45 * time.Second)
	if n.spend(secret, 5) != 3 {
		t.Error("the next minute has not three requests")
	}
}

// TestANodeThatIsBehind_BooksNothingBeyondTheLimit: a node knows of its own bookings only, and the
// database of all.
func TestANodeThatIsBehind_BooksNothingBeyondTheLimit(t *testing.T) {
	d, clock := dbtest.SQLite(t), noon()
	one, two := limited(t, d, clock), limited(t, d, clock)
	_, secret := one.make(one.person(one.add(t, "ann").ID), authn.NewAPIKey{PerDay: 100})
	if got := one.spend(secret, 10); got != 10 {
		t.Fatalf("%d of the first portion went, want 10", got)
	}
	if got := two.spend(secret, 200); got != 90 {
		t.Errorf("%d went on the other node, want the 90 that were left", got)
	}
	if got := one.spend(secret, 200); got != 0 {
		t.Errorf("%d more went on the first node, want 0", got)
	}
}

// TestAUsedUpLimit_IsAskedAboutAgainAfterASecond: another node may have given something back, and a
// quarter of that is booked at a time.
func TestAUsedUpLimit_IsAskedAboutAgainAfterASecond(t *testing.T) {
	ctx, d, clock := context.Background(), dbtest.SQLite(t), noon()
	one, two := limited(t, d, clock), limited(t, d, clock)
	ann := one.person(one.add(t, "ann").ID)
	key, secret := one.make(ann, authn.NewAPIKey{PerDay: 100})
	two.spend(secret, 1)
	if got := one.spend(secret, 200); got != 90 {
		t.Fatalf("%d went while the other node had booked 10, want 90", got)
	}
	if err := two.keys.Close(ctx); err != nil {
		t.Fatal(err)
	}
	clock.step(time.Second - time.Millisecond)
	if got := one.spend(secret, 1); got != 0 {
		t.Error("the limit was asked about again before a second was over")
	}
	clock.step(time.Millisecond)
	if got := one.spend(secret, 1); got != 1 {
		t.Error("the limit was not asked about again after a second")
	}
	if got, err := one.keys.Get(ctx, ann, key.ID); err != nil || got.UsedToday != 93 {
		t.Errorf("%d are booked, want the 91 that were used and a quarter of the other 9 (%v)", got.UsedToday, err)
	}
	if got := one.spend(secret, 200); got != 8 {
		t.Errorf("%d more went, want 8", got)
	}
}

// TestMaintain_GivesBackForEveryKey: the rest of each key's reservation is given back, in any
// order.
func TestMaintain_GivesBackForEveryKey(t *testing.T) {
	ctx, clock := context.Background(), noon()
	n := limited(t, dbtest.SQLite(t), clock)
	ann := n.person(n.add(t, "ann").ID)
	var ids []string
	for range 3 {
		key, secret := n.make(ann, authn.NewAPIKey{PerDay: 100})
		n.spend(secret, 1)
		ids = append(ids, key.ID)
	}
	for range 2 { // the second time the portions were not used since the first
		if err := n.keys.Maintain(ctx, clock.now()); err != nil {
			t.Fatal(err)
		}
	}
	for i, id := range ids {
		if got, err := n.keys.Get(ctx, ann, id); err != nil || got.UsedToday != 1 {
			t.Errorf("of key %d are %d noted, want the one that was used (%v)", i, got.UsedToday, err)
		}
	}
}

// TestMaintain_RemovesOldWindows: a minute's use is kept for an hour, a day's for 32 days. Old
// windows are looked for when more than ten minutes have passed.
func TestMaintain_RemovesOldWindows(t *testing.T) {
	ctx, clock := context.Background(), noon()
	n := limited(t, dbtest.SQLite(t), clock)
	key, secret := n.make(n.person(n.add(t, "ann").ID), authn.NewAPIKey{PerMinute: 100, PerDay: 100})
	minute := clock.now().Truncate(time.Minute)
	midnight := minute.Truncate(days)
	n.spend(secret, 1)
	kept := func(span string, start time.Time) bool {
		p := q.GetUsageParams{KeyID: key.ID, Span: span, WindowStart: start.Unix()}
		_, err := q.New(n.db.Read()).GetUsage(ctx, p)
		return err == nil
	}
	for _, c := range []struct {
		at          time.Time
		minute, day bool
	}{
		{minute.Add(time.Hour), true, true},
		{minute.Add(time.Hour + 10*time.Minute), true, true},
		{minute.Add(time.Hour + 10*time.Minute + time.Second), false, true},
		{midnight.Add(32 * days), false, true},
		{midnight.Add(32*days + 10*time.Minute + time.Second), false, false},
	} {
		clock.at.Store(c.at.UnixMilli())
		if err := n.keys.Maintain(ctx, c.at); err != nil {
			t.Fatal(err)
		}
		if m, d := kept("minute", minute), kept("day", midnight); m != c.minute || d != c.day {
			t.Errorf(
				"at %s: the minute is kept: %v, want %v; the day is kept: %v, want %v",
				c.at.UTC(),
				m,
				c.minute,
				d,
				c.day,
			)
		}
	}
}

// TestUse_IsToldOfKeysWithADailyLimit: other keys are not counted, even with earlier
// reservations.
func TestUse_IsToldOfKeysWithADailyLimit(t *testing.T) {
	ctx, clock := context.Background(), noon()
	n := limited(t, dbtest.SQLite(t), clock)
	ann := n.person(n.add(t, "ann").ID)
	key, secret := n.make(ann, authn.NewAPIKey{PerDay: 100})
	n.spend(secret, 1)
	for _, c := range []struct{ perDay, want int64 }{{100, 10}, {0, 0}} {
		if _, err := n.keys.Update(ctx, ann, key.ID, authn.APIKeyChange{PerDay: &c.perDay}); err != nil {
			t.Fatal(err)
		}
		if got, err := n.keys.Get(ctx, ann, key.ID); err != nil || got.UsedToday != c.want {
			t.Errorf("with a limit of %d: %d are told, want %d (%v)", c.perDay, got.UsedToday, c.want, err)
		}
	}
}

// TestLimits_OfAKeyWithOne: keys without a limit report none.
func TestLimits_OfAKeyWithOne(t *testing.T) {
	n := limited(t, dbtest.SQLite(t), noon())
	_, secret := n.make(n.person(n.add(t, "ann").ID), authn.NewAPIKey{PerMinute: 3})
	c, err := n.use(secret)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(authn.Limits{{Most: 3, Left: 2, Seconds: 60, Reset: 45}, {}}, c.Limits); diff != "" {
		t.Error(diff)
	}
}
