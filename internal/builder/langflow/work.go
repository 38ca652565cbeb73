package langflow

import (
	"context"
	"sync"
	"time"

	"sluice/internal/problem"
)

// patience bounds one task of the bridge. A rate-limited sign-in takes a minute.
const patience = 100 * time.Second

const (
	// refusedBackoff is the pause after Langflow refused Sluice's credentials; only a person can
	// change them.
	refusedBackoff = 30 * time.Second
	// maxBackoff is the longest pause between other failures. It is short so that Sluice reconnects
	// to a restarted Langflow within seconds.
	maxBackoff = 8 * time.Second
)

// worker runs tasks in the background of requests until the bridge is closed.
type worker struct {
	now func() time.Time
	// signInPause is how long Langflow will refuse sign-ins, to explain a timeout to the people who
	// waited.
	signInPause func() time.Duration

	life    context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
}

func newWorker(now func() time.Time, signInPause func() time.Duration) *worker {
	life, stop := context.WithCancel(context.Background())
	return &worker{now: now, signInPause: signInPause, life: life, stop: stop}
}

// close stops running tasks and waits for them.
func (w *worker) close() {
	w.stop()
	w.running.Wait()
}

// singleFlight runs one task at a time for all callers that need it, and pauses after failures.
type singleFlight struct {
	mu       sync.Mutex
	done     chan struct{} // non-nil while the task runs; closed when it finishes
	failures int
	retryAt  time.Time
	err      error
}

// start begins the task unless it is already running, and returns a channel that is closed when it
// finishes. During the pause after a failure it returns nil and the failure.
func (f *singleFlight) start(w *worker, work func(context.Context) error) (<-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done != nil {
		return f.done, nil
	}
	if pause := f.retryAt.Sub(w.now()); pause > 0 && f.err != nil {
		return nil, problem.Of(f.err).WithRetryAfter(max(pause, time.Second))
	}
	if w.life.Err() != nil {
		return nil, problem.New(problem.Unavailable, "This app is being removed or restarted.").
			WithRetryAfter(time.Second)
	}
	f.done = make(chan struct{})
	w.running.Go(func() {
		ctx, cancel := context.WithTimeout(w.life, patience)
		defer cancel()
		err := work(ctx)
		f.mu.Lock()
		defer f.mu.Unlock()
		close(f.done)
		f.done, f.err, f.retryAt = nil, err, time.Time{}
		if f.failures++; err == nil {
			f.failures = 0
			return
		}
		f.retryAt = w.now().Add(pauseAfter(err, f.failures))
	})
	return f.done, nil
}

// do starts the task and waits for it.
func (f *singleFlight) do(ctx context.Context, w *worker, work func(context.Context) error) error {
	done, err := f.start(w, work)
	if err != nil {
		return err
	}
	select {
	case <-done:
	case <-ctx.Done():
		if pause := w.signInPause(); pause > 0 {
			return limited(pause).WithCause(ctx.Err())
		}
		return problem.New(problem.Unavailable, "Sluice is still signing in to Langflow.").
			WithRetryAfter(2 * time.Second).
			WithCause(ctx.Err())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// pauseAfter is the pause after a failure: longer if only a person can fix it.
func pauseAfter(err error, failures int) time.Duration {
	p := problem.Of(err)
	switch p.Kind {
	case problem.Limited:
		return max(p.RetryAfter, time.Second)
	case problem.Unauthenticated, problem.Conflict:
		return refusedBackoff
	}
	return min(time.Second<<min(failures-1, 10), maxBackoff)
}
