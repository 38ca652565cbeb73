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
	n.keys, err = authn.NewKeys(context.Background(), authn.KeyConfig{DB: d, Gate: n.gate, People: n.people, TokenKey: []byte(strings.Repeat("k", 32)), Now: c.now, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// spend uses a key until it is refused for its limit, at most so often, and tells how often it worked.
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

func TestALimitHoldsForAllNodesTogether(t *testing.T) {
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

func TestWhatIsNotUsedIsGivenBack(t *testing.T) {
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

func TestAKeyTellsItsLimits(t *testing.T) {
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
	want := http.Header{"Ratelimit-Policy": {`"minute";q=3;w=60, "day";q=1000;w=86400`}, "Ratelimit": {`"minute";r=2;t=45, "day";r=999;t=43185`}}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
	n.spend(secret, 2)
	h, err = told(secret)
	if p := problem.Of(err); p.Kind != problem.Limited || p.RetryAfter != 45*time.Second || !strings.Contains(p.Detail, "3 requests of this minute") {
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
