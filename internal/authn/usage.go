package authn

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"sluice/internal/db"
	q "sluice/internal/db/q/authn"
	"sluice/internal/problem"
)

// Limits of a key hold for all nodes together: a node books a portion of the limit in the database
// before it uses it, and gives back the unused rest. So the nodes together never allow more than
// the limit. They fall short of it by no more than the portions of crashed nodes. Requests take
// from the portion in memory; only the one that finds it used up waits for the next booking.

// spans are the windows for which limits hold. They begin with the minute and the day of the UTC
// clock.
var spans = [...]struct {
	name    string
	seconds int64
}{{"minute", 60}, {"day", 86_400}}

const (
	// portionOf is the fraction of a limit that is booked at a time, and restOf the fraction of the
	// remainder, so that nodes share the last part of a limit evenly.
	portionOf, restOf = 10, 4
	// bookTime is how long booking may take.
	bookTime = 5 * time.Second
	// dryFor is how long a limit is assumed to stay used up. Other nodes may give something back.
	dryFor = time.Second
	// pruneEvery is how often old windows are removed.
	pruneEvery = 10 * time.Minute
	// keepUsage is how long past windows stay in the database.
	keepUsage = 32 * 24 * time.Hour
)

// Limit is the state of one limit of a key. The zero value means that the key has no such limit.
type Limit struct {
	// Most is how many requests the window allows. Left is roughly how many are left, on all nodes.
	Most, Left int64
	// Seconds is the length of the window, Reset how many of them are left.
	Seconds, Reset int64
}

// Limits are those of a key: per minute and per day.
type Limits [len(spans)]Limit

// SetHeaders reports the limits to the client (draft-ietf-httpapi-ratelimit-headers-10 sections 3
// and 4).
func (l Limits) SetHeaders(h http.Header) {
	policy, state := "", ""
	for i, s := range spans {
		if l[i].Most == 0 {
			continue
		}
		if policy != "" {
			policy, state = policy+", ", state+", "
		}
		policy += `"` + s.name + `";q=` + strconv.FormatInt(l[i].Most, 10) + ";w=" + strconv.FormatInt(l[i].Seconds, 10)
		state += `"` + s.name + `";r=` + strconv.FormatInt(l[i].Left, 10) + ";t=" + strconv.FormatInt(l[i].Reset, 10)
	}
	if policy != "" {
		h["Ratelimit-Policy"], h["Ratelimit"] = []string{policy}, []string{state}
	}
}

// budgets are the portions that this node has booked, for keys that have limits and are in use.
type budgets struct {
	db  *db.DB
	now func() time.Time

	mu  sync.RWMutex
	all map[uuid.UUID]*budget

	backMu sync.Mutex
	back   []booking // to give back
	pruned time.Time
}

// booking is a portion of a limit in one window.
type booking struct {
	key         uuid.UUID
	span        int
	start, size int64
}

// budget is what this node has left of one key's limits.
type budget struct {
	booking sync.Mutex // held during a booking in the database

	mu   sync.Mutex
	gone bool // forgotten: no longer the key's budget
	used bool // since it was last looked at
	left [len(spans)]share
}

// share is what is left in one window.
type share struct {
	start int64 // unix seconds
	size  int64 // booked and unused
	total int64 // booked by all nodes, as far as known
	dry   int64 // unix ms until which the limit is assumed to be used up
}

func newBudgets(d *db.DB, now func() time.Time) *budgets {
	return &budgets{db: d, now: now, all: map[uuid.UUID]*budget{}}
}

// take uses one request of a key's limits. most is 0 for a window without a limit. Errors:
// problem.Limited if a limit is used up.
func (b *budgets) take(ctx context.Context, id uuid.UUID, most [len(spans)]int64) (Limits, error) {
	for range 100 {
		k, now := b.of(id), b.now()
		limits, lacking, dry := b.try(k, id, most, now)
		switch {
		case lacking == gone:
			continue
		case lacking < 0:
			return limits, nil
		case dry:
			return limits, usedUp(limits[lacking], spans[lacking].name)
		}
		if err := b.book(ctx, k, id, lacking, most[lacking], now); err != nil {
			return Limits{}, err
		}
	}
	// Other requests were faster a hundred times.
	return Limits{}, problem.New(problem.Unavailable, "Sluice is busy with this API key.").
		WithRetryAfter(time.Second).
		WithRule(keyRules + "limit")
}

func usedUp(l Limit, span string) error {
	return problem.Newf(problem.Limited, "This API key has used its %d requests of this %s.", l.Most, span).
		WithRule(keyRules + "limit").
		WithRetryAfter(time.Duration(l.Reset) * time.Second).
		WithNext("Wait until the " + span + " of the UTC clock is over, or ask the key's owner for a higher limit.")
}

func (b *budgets) of(id uuid.UUID) *budget {
	b.mu.RLock()
	k := b.all[id]
	b.mu.RUnlock()
	if k != nil {
		return k
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if k = b.all[id]; k == nil {
		k = &budget{}
		b.all[id] = k
	}
	return k
}

// gone replaces the window if the whole budget has been forgotten.
const gone = -2

// try takes from memory. lacking is the window without a booked portion, or -1 if the request may
// continue. dry means that the limit of that window is used up.
func (b *budgets) try(
	k *budget,
	id uuid.UUID,
	most [len(spans)]int64,
	now time.Time,
) (limits Limits, lacking int, dry bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone {
		return Limits{}, gone, false
	}
	k.used, lacking = true, -1
	for i := range spans {
		if most[i] == 0 {
			continue
		}
		s := &k.left[i]
		b.roll(s, id, i, now)
		limits[i] = Limit{
			Most:    most[i],
			Left:    s.size + max(most[i]-s.total, 0),
			Seconds: spans[i].seconds,
			Reset:   s.start + spans[i].seconds - now.Unix(),
		}
		if s.size == 0 && !dry {
			lacking, dry = i, s.dry > now.UnixMilli()
		}
	}
	if lacking >= 0 {
		if dry {
			limits[lacking].Left = 0
		}
		return limits, lacking, dry
	}
	for i := range spans {
		if most[i] > 0 {
			k.left[i].size--
			limits[i].Left--
		}
	}
	return limits, -1, false
}

// roll begins a new window if the old one is over. The unused rest of the old window is queued to
// be given back.
func (b *budgets) roll(s *share, id uuid.UUID, span int, now time.Time) {
	start := now.Unix() - now.Unix()%spans[span].seconds
	if s.start == start {
		return
	}
	b.giveBack(booking{id, span, s.start, s.size})
	*s = share{start: start}
}

func (b *budgets) giveBack(r booking) {
	if r.size == 0 {
		return
	}
	b.backMu.Lock()
	b.back = append(b.back, r)
	b.backMu.Unlock()
}

// book gets a portion from the database, unless another request did while this one waited.
func (b *budgets) book(ctx context.Context, k *budget, id uuid.UUID, span int, most int64, now time.Time) error {
	k.booking.Lock()
	defer k.booking.Unlock()
	k.mu.Lock()
	s := k.left[span]
	k.mu.Unlock()
	if s.size > 0 || s.dry > now.UnixMilli() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookTime)
	defer cancel()
	size, total, err := b.reserve(ctx, id, span, s, most)
	if err != nil {
		return fmt.Errorf("booking requests of an API key: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone || k.left[span].start != s.start {
		b.giveBack(booking{id, span, s.start, size})
		return nil
	}
	k.left[span].size += size
	k.left[span].total = total
	if size == 0 {
		k.left[span].dry = b.now().Add(dryFor).UnixMilli()
	}
	return nil
}

// reserve books a portion in one statement. size is 0 if nothing is left. It has to read the
// remainder only near the end of a limit, when the portion is too large.
func (b *budgets) reserve(
	ctx context.Context,
	id uuid.UUID,
	span int,
	s share,
	most int64,
) (size, total int64, err error) {
	total = s.total
	for range 10 {
		if total < most {
			size = max(min(most/portionOf, (most-total)/restOf), 1)
			booked, ok, err := b.insert(ctx, booking{id, span, s.start, size}, most)
			if err != nil || ok {
				return size, booked, err
			}
		}
		if total, err = b.booked(ctx, id.String(), span, s.start); err != nil || total >= most {
			return 0, total, err
		}
	}
	return 0, total, nil
}

func (b *budgets) insert(ctx context.Context, r booking, most int64) (total int64, ok bool, err error) {
	err = b.db.System(ctx, "key limits", func(tx *db.Tx) error {
		total, err = q.New(tx).
			ReserveUsage(ctx, q.ReserveUsageParams{KeyID: r.key.String(), Span: spans[r.span].name,
				WindowStart: r.start, Portion: r.size, Most: most})
		return err
	})
	if problem.Is(db.Found(err, "full"), problem.NotFound) {
		return 0, false, nil
	}
	return total, err == nil, err
}

// booked is how much of a window all nodes have booked.
func (b *budgets) booked(ctx context.Context, keyID string, span int, start int64) (int64, error) {
	n, err := q.New(b.db.Read()).
		GetUsage(ctx, q.GetUsageParams{KeyID: keyID, Span: spans[span].name, WindowStart: start})
	if problem.Is(db.Found(err, "none"), problem.NotFound) {
		return 0, nil
	}
	return n, err
}

// today is how much of a key's day is booked.
func (b *budgets) today(ctx context.Context, keyID string) (int64, error) {
	now, day := b.now().Unix(), len(spans)-1
	return b.booked(ctx, keyID, day, now-now%spans[day].seconds)
}

// forget gives back everything that is left of a key, because the key or its limits changed.
func (b *budgets) forget(id uuid.UUID) {
	b.mu.Lock()
	k := b.all[id]
	delete(b.all, id)
	b.mu.Unlock()
	if k != nil {
		b.empty(k, id)
	}
}

func (b *budgets) empty(k *budget, id uuid.UUID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone = true
	for i := range k.left {
		b.giveBack(booking{id, i, k.left[i].start, k.left[i].size})
		k.left[i] = share{}
	}
}

// settle gives back the portions of keys that were not used since the last call, or of all keys if
// everything is set. It also removes old windows.
func (b *budgets) settle(ctx context.Context, everything bool) error {
	b.mu.RLock()
	idle := map[uuid.UUID]bool{}
	for id, k := range b.all {
		k.mu.Lock()
		idle[id] = !k.used
		k.used = false
		k.mu.Unlock()
	}
	b.mu.RUnlock()
	for id, unused := range idle {
		if unused || everything {
			b.forget(id)
		}
	}
	b.backMu.Lock()
	back := b.back
	b.back = nil
	b.backMu.Unlock()
	now := b.now()
	prune := now.Sub(b.pruned) > pruneEvery
	if len(back) == 0 && !prune {
		return nil
	}
	if err := b.db.System(ctx, "key limits",
		func(tx *db.Tx) error { return b.write(ctx, tx, back, prune, now) }); err != nil {
		b.backMu.Lock()
		b.back = append(b.back, back...)
		b.backMu.Unlock()
		return fmt.Errorf("giving back what API keys did not use: %w", err)
	}
	if prune {
		b.pruned = now
	}
	return nil
}

func (b *budgets) write(ctx context.Context, tx *db.Tx, back []booking, prune bool, now time.Time) error {
	for _, r := range back {
		err := q.New(tx).
			ReturnUsage(ctx, q.ReturnUsageParams{KeyID: r.key.String(), Span: spans[r.span].name, WindowStart: r.start,
				Portion: r.size})
		if err != nil {
			return err
		}
	}
	if !prune {
		return nil
	}
	for _, s := range spans {
		keep := min(keepUsage, time.Duration(s.seconds)*60*time.Second)
		if err := q.New(tx).PruneUsage(ctx,
			q.PruneUsageParams{Span: s.name, WindowStart: now.Add(-keep).Unix()}); err != nil {
			return err
		}
	}
	return nil
}
