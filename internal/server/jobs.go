package server

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// job is something that is done again and again.
type job struct {
	name  string
	every time.Duration
	run   func(ctx context.Context, now time.Time) error
}

// jobs are the server's, with how often each is due.
func (s *Server) jobs() []job {
	return []job{
		{"sessions", 30 * time.Second, s.Sessions.Maintain},
		{"guesses", 10 * time.Minute, s.Logins.PruneGuesses},
		{"apps", 30 * time.Second, func(ctx context.Context, _ time.Time) error { s.Apps.CheckAll(ctx, false); return nil }},
		{"pending apps", 3 * time.Second, func(ctx context.Context, _ time.Time) error { s.Apps.CheckAll(ctx, true); return nil }},
	}
}

// runner runs jobs, each on its own goroutine, until ctx ends.
type runner struct {
	log  *slog.Logger
	done sync.WaitGroup
}

func (r *runner) start(ctx context.Context, list []job) {
	for _, j := range list {
		r.done.Go(func() {
			tick := time.NewTicker(j.every)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case now := <-tick.C:
					r.once(ctx, j, now)
				}
			}
		})
	}
}

func (r *runner) once(ctx context.Context, j job, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, max(j.every, 30*time.Second))
	defer cancel()
	if err := j.run(ctx, now); err != nil && ctx.Err() == nil {
		r.log.Error("a job failed; it will be tried again", "job", j.name, "error", err)
	}
}
