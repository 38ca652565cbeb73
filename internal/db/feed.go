package db

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	q "sluice/internal/db/q/db"
)

const (
	notifyChannel = "sluice_change"
	pollEvery     = 75 * time.Millisecond
	keepChanges   = time.Hour
	pruneEvery    = 10 * time.Minute
)

// feed reads the change table in order and calls subscribers.
type feed struct {
	d      *DB
	cancel context.CancelFunc
	done   sync.WaitGroup
	wake   chan struct{}

	mu   sync.Mutex // held while subscribers run, so that changes are applied one after another
	last int64
	subs map[string][]func(item string)
}

func startFeed(ctx context.Context, d *DB) (*feed, error) {
	last, err := q.New(d.Read()).LastChange(ctx)
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(context.Background())
	f := &feed{d: d, cancel: cancel, wake: make(chan struct{}, 1), last: last, subs: map[string][]func(string){}}
	f.done.Add(1)
	go f.poll(run)
	if d.postgres {
		f.done.Add(1)
		go f.listen(run)
	}
	return f, nil
}

// catchUp applies every committed change that has not been applied yet. If the database does not
// answer, the next poll tries again.
func (f *feed) catchUp(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		rows, err := q.New(f.d.Read()).ChangesAfter(ctx, f.last)
		if err != nil || len(rows) == 0 {
			return
		}
		for _, row := range rows {
			for _, fn := range f.subs[row.Kind] {
				fn(row.Item)
			}
			f.last = row.Seq
		}
	}
}

func (f *feed) poll(ctx context.Context) {
	defer f.done.Done()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var pruned time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-f.wake:
		}
		f.catchUp(ctx)
		if now := f.d.now(); now.Sub(pruned) > pruneEvery {
			pruned = now
			// If pruning fails, the rows stay until the next time.
			_ = f.d.System(ctx, "old changes", func(tx *Tx) error {
				_, err := q.New(tx).PruneChanges(ctx, now.Add(-keepChanges).UnixMilli())
				return err
			})
		}
	}
}

// listen waits for PostgreSQL's notifications on a connection of its own and reconnects after a
// failure. Polling bridges the gap.
func (f *feed) listen(ctx context.Context) {
	defer f.done.Done()
	for ctx.Err() == nil {
		f.listenOnce(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (f *feed) listenOnce(ctx context.Context) {
	conn, err := pgx.Connect(ctx, f.d.dsn)
	if err != nil {
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+notifyChannel); err != nil {
		return
	}
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return
		}
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

func (f *feed) stop() {
	f.cancel()
	f.done.Wait()
}
