package authz

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"sluice/internal/audit"
	"sluice/internal/db"
)

const (
	// recordEvery is how long a refusal waits for equal ones before it is written.
	recordEvery = time.Second
	// recordKinds bounds how many different refusals can be pending. Any more are counted in one
	// summary entry.
	recordKinds = 1024
	// countKinds bounds how many different counted entries can be pending. When there are more, all
	// are written early.
	countKinds = 4096
)

// farFuture is later than every event, even if the clock jumps.
var farFuture = time.Unix(1<<40, 0)

// CountFor is how long equal events of Gate.Count are counted in one entry, starting with the
// first.
const CountFor = 10 * time.Minute

// recorder writes entries off the hot path: refusals of one interval, and the counted events of
// CountFor. Equal ones become one entry with a count, so that a flood cannot fill the disk.
type recorder struct {
	db   *db.DB
	log  *slog.Logger
	now  func() time.Time
	full chan struct{} // wakes the goroutine when no more counted entries fit
	quit chan struct{}
	done chan struct{}

	writing sync.Mutex // held while entries are written, to keep their order

	mu       sync.Mutex // protects the fields below
	refusals waiting
	counts   waiting
	nameFlow func(context.Context, Resource) string
}

// waiting holds entries that are still to be written, in the order of their first event.
type waiting struct {
	tallies map[audit.Entry]*tally
	order   []audit.Entry // the keys of tallies
	excess  int64         // events that did not fit
}

// tally counts equal events. Fields that the key leaves out come from the first event; name is the
// newest known name.
type tally struct {
	at    time.Time
	times int64
	ip    string
	name  string
	app   string // of the resource
}

// add counts an entry under a key, unless the key is new and there are already most keys.
func (w *waiting) add(key audit.Entry, t tally, most int) (fits bool) {
	if old := w.tallies[key]; old != nil {
		old.times += t.times
		if t.name != "" {
			old.name = t.name
		}
		if t.at.Before(old.at) {
			old.at = t.at
		}
		return true
	}
	if len(w.tallies) >= most {
		w.excess += t.times
		return false
	}
	if w.tallies == nil {
		w.tallies = map[audit.Entry]*tally{}
	}
	w.tallies[key] = &t
	w.order = append(w.order, key)
	return true
}

// take removes and returns, in order, the entries whose first event is no later than a time.
func (w *waiting) take(upTo time.Time) (out []taken) {
	w.order = slices.DeleteFunc(w.order, func(key audit.Entry) bool {
		t := w.tallies[key]
		if t.at.After(upTo) {
			return false
		}
		delete(w.tallies, key)
		out = append(out, taken{key, *t})
		return true
	})
	return out
}

// taken is an entry to write, with the data needed to put it back.
type taken struct {
	key   audit.Entry
	tally tally
}

func (t taken) entry() audit.Entry {
	e := t.key
	e.At, e.Times, e.IP, e.ResourceName = t.tally.at, t.tally.times, t.tally.ip, t.tally.name
	return e
}

func startRecorder(c Config) *recorder {
	r := &recorder{
		db:   c.DB,
		log:  c.Log,
		now:  c.Now,
		full: make(chan struct{}, 1),
		quit: make(chan struct{}),
		done: make(chan struct{}),
	}
	go r.run()
	return r
}

// add takes a refusal, or another entry that can be recorded a moment later.
func (r *recorder) add(e audit.Entry) {
	t := tally{at: e.At, times: e.Times, ip: e.IP, name: e.ResourceName}
	e.At, e.Times = time.Time{}, 0
	if e.ActorKind == Anonymous.String() {
		// A stranger chooses ids freely, so they get only one entry per kind of request.
		e.ResourceID = ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusals.add(e, t, recordKinds)
}

// count takes an event that is counted for CountFor. The address and the resource's name do not
// distinguish events of one person.
func (r *recorder) count(e audit.Entry, app string) {
	t := tally{at: e.At, times: e.Times, ip: e.IP, name: e.ResourceName, app: app}
	if e.ActorKind == Anonymous.String() {
		// One entry stands for many strangers.
		t.ip = ""
	}
	e.At, e.Times, e.IP, e.ResourceName = time.Time{}, 0, "", ""
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts.add(e, t, countKinds) {
		return
	}
	select {
	case r.full <- struct{}{}:
	default:
	}
}

// name sets the name of a resource in counted entries that have none.
func (r *recorder) name(res Resource) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, t := range r.counts.tallies {
		if t.name == "" && key.ResourceType == res.Type && key.ResourceID == res.ID && t.app == res.App {
			t.name = res.Name
		}
	}
}

func (r *recorder) run() {
	defer close(r.done)
	tick := time.NewTicker(recordEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.quit:
			return
		case <-tick.C:
			r.nameCounted(context.Background())
			r.flush(context.Background(), r.now().Add(-CountFor))
		case <-r.full:
			r.flushAll(context.Background())
		}
	}
}

// nameCounted looks up the names that counted entries lack, while the flows still exist.
func (r *recorder) nameCounted(ctx context.Context) {
	r.mu.Lock()
	var missing []Resource
	for key, t := range r.counts.tallies {
		if t.name == "" && key.ResourceID != "" {
			missing = append(missing, Resource{Type: key.ResourceType, ID: key.ResourceID, App: t.app})
		}
	}
	look := r.nameFlow
	r.mu.Unlock()
	if look == nil {
		return
	}
	for _, res := range missing {
		if res.Name = look(ctx, res); res.Name != "" {
			r.name(res)
		}
	}
}

// flushAll writes all pending entries.
func (r *recorder) flushAll(ctx context.Context) {
	r.nameCounted(ctx)
	r.flush(ctx, farFuture)
}

// flush writes the refusals, and the counted entries whose first event is no later than a time, in
// one transaction. On failure it puts them back, within the same bounds.
func (r *recorder) flush(ctx context.Context, countedUpTo time.Time) {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	refusals := r.refusals.take(farFuture)
	counts := r.counts.take(countedUpTo)
	excess := []int64{r.refusals.excess, r.counts.excess}
	r.refusals.excess, r.counts.excess = 0, 0
	r.mu.Unlock()

	var entries []audit.Entry
	for _, t := range slices.Concat(refusals, counts) {
		entries = append(entries, t.entry())
	}
	if excess[0] > 0 {
		entries = append(
			entries,
			r.summary(audit.Denied, excess[0], "more kinds of refusal than are recorded one by one"),
		)
	}
	if excess[1] > 0 {
		entries = append(entries, r.summary(audit.Done, excess[1], "more kinds of event than are counted one by one"))
	}
	if len(entries) == 0 {
		return
	}
	err := r.db.Gated(ctx, func(tx *db.Tx) error {
		for _, e := range entries {
			if err := audit.Append(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return
	}
	r.log.Error("refusals could not be recorded; they will be tried again", "entries", len(entries), "error", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusals.putBack(refusals, excess[0], recordKinds)
	r.counts.putBack(counts, excess[1], countKinds)
}

// putBack returns entries that could not be written.
func (w *waiting) putBack(list []taken, excess int64, most int) {
	for _, t := range list {
		w.add(t.key, t.tally, most)
	}
	w.excess += excess
}

// summary is the entry for events that did not fit.
func (r *recorder) summary(o audit.Outcome, times int64, detail string) audit.Entry {
	return audit.Entry{
		At:           r.now(),
		ActorKind:    Anonymous.String(),
		Action:       "several",
		ResourceType: "System",
		Outcome:      o,
		Times:        times,
		Detail:       detail,
	}
}

func (r *recorder) stop(ctx context.Context) {
	close(r.quit)
	<-r.done
	r.flushAll(ctx)
}
