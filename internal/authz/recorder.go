package authz

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sluice/internal/audit"
	"sluice/internal/db"
)

const (
	// recordEvery is how long a refusal waits for equal ones before it is written.
	recordEvery = time.Second
	// recordKinds bounds how many different refusals may wait; what comes above that is counted in one summary entry.
	recordKinds = 1024
)

// recorder writes refusals off the hot path. Equal ones of one interval become one entry with a count, so that a flood cannot fill the disk.
type recorder struct {
	db   *db.DB
	log  *slog.Logger
	now  func() time.Time
	quit chan struct{}
	done chan struct{}

	mu      sync.Mutex
	waiting map[audit.Entry]*pending
	order   []audit.Entry
	excess  int64
	writing sync.Mutex
}

type pending struct {
	at    time.Time
	times int64
}

func startRecorder(c Config) *recorder {
	r := &recorder{db: c.DB, log: c.Log, now: c.Now, quit: make(chan struct{}), done: make(chan struct{}), waiting: map[audit.Entry]*pending{}}
	go r.run()
	return r
}

func (r *recorder) add(e audit.Entry) {
	at, times := e.At, e.Times
	e.At, e.Times = time.Time{}, 0
	if e.ActorKind == Anonymous.String() {
		// A stranger chooses ids freely; one entry per kind of request is all that they get.
		e.ResourceID = ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.waiting[e]; p != nil {
		p.times += times
		return
	}
	if len(r.waiting) >= recordKinds {
		r.excess += times
		return
	}
	r.waiting[e] = &pending{at: at, times: times}
	r.order = append(r.order, e)
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
			r.flush(context.Background())
		}
	}
}

// flush writes everything that waits, in one transaction. On failure it is put back, bounded as before.
func (r *recorder) flush(ctx context.Context) {
	r.writing.Lock()
	defer r.writing.Unlock()
	entries := r.take()
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
	if err != nil {
		r.log.Error("refusals could not be recorded; they will be tried again", "entries", len(entries), "error", err)
		for _, e := range entries {
			r.add(e)
		}
	}
}

func (r *recorder) take() []audit.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	entries := make([]audit.Entry, 0, len(r.order)+1)
	for _, e := range r.order {
		p := r.waiting[e]
		e.At, e.Times = p.at, p.times
		entries = append(entries, e)
	}
	if r.excess > 0 {
		entries = append(entries, audit.Entry{
			At: r.now(), ActorKind: Anonymous.String(), Action: "several", ResourceType: "System", Outcome: audit.Denied, Times: r.excess,
			Detail: "more kinds of refusal than are recorded one by one",
		})
	}
	r.waiting, r.order, r.excess = map[audit.Entry]*pending{}, nil, 0
	return entries
}

func (r *recorder) stop(ctx context.Context) {
	close(r.quit)
	<-r.done
	r.flush(ctx)
}
