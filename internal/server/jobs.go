package server

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// job is a task that runs periodically.
type job struct {
	name  string
	every time.Duration
	run   func(ctx context.Context, now time.Time) error
	wake  <-chan struct{} // runs the job before it is due; may be nil
	limit time.Duration   // how long a run may take; 0 means every, but at least half a minute
}

// runner runs jobs, each on its own goroutine, until ctx is done.
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
				case <-j.wake:
					r.once(ctx, j, time.Now())
				}
			}
		})
	}
}

func (r *runner) once(ctx context.Context, j job, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, max(j.every, j.limit, 30*time.Second))
	defer cancel()
	if err := j.run(ctx, now); err != nil && ctx.Err() == nil {
		r.log.Error("a job failed; it will be tried again", "job", j.name, "error", err)
	}
}

// jobsOf returns the server's jobs, with how often each is due.
func jobsOf(s *Server) []job {
	return []job{
		{name: "sessions", every: 30 * time.Second, run: s.Sessions.Maintain},
		{name: "keys", every: 30 * time.Second, run: s.Keys.Maintain},
		{name: "mail", every: 15 * time.Second, run: s.Mail.Deliver, wake: s.Mail.Wake(), limit: mailLimit},
		{name: "secrets", every: 10 * time.Minute, run: s.Keyring.Maintain},
		{name: "attempts", every: 30 * time.Second, run: s.Logins.PruneAttempts},
		{name: "guesses", every: 10 * time.Minute, run: s.Logins.PruneGuesses},
		{name: "runs of flows", every: 10 * time.Minute, run: s.Apps.Flows.PruneJobs},
		{name: "automatic sign-in", every: automaticReminder, run: s.remindOfAutomatic},
		{name: "apps", every: 30 * time.Second, run: func(ctx context.Context, _ time.Time) error {
			s.Apps.Monitor.CheckAll(ctx, false)
			return nil
		}},
		{name: "pending apps", every: 3 * time.Second, run: func(ctx context.Context, _ time.Time) error {
			s.Apps.Monitor.CheckAll(ctx, true)
			return nil
		}},
	}
}
