package langflow

import (
	"context"
	"sync"
	"time"

	"sluice/internal/problem"
)

// patience bounds one piece of the bridge's work; a sign-in that Langflow puts off takes a minute.
const patience = 100 * time.Second

const (
	// refusedBackoff is the pause after Langflow refused what Sluice has; only a person can change
	// that.
	refusedBackoff = 30 * time.Second
	// maxBackoff is the longest pause between other failures, so that a restarted Langflow is found
	// within seconds.
	maxBackoff = 8 * time.Second
)

// worker runs what goes on behind the requests, until the bridge is closed.
type worker struct {
	now func() time.Time
	// signInPause is how long Langflow takes no sign-in, which tells those why who wait in vain.
	signInPause func() time.Duration

	life    context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
}

func newWorker(now func() time.Time, signInPause func() time.Duration) *worker {
	life, stop := context.WithCancel(context.Background())
	return &worker{now: now, signInPause: signInPause, life: life, stop: stop}
}

// close stops what runs, and waits for its end.
func (w *worker) close() {
	w.stop()
	w.running.Wait()
}

// singleFlight runs one piece of work at a time, for all who need it, and pauses after failures.
type singleFlight struct {
	mu       sync.Mutex
	done     chan struct{} // not nil while it runs; closed when it ends
	failures int
	retryAt  time.Time
	err      error
}

// start begins the work unless it runs already, and returns what is closed when it ends. During the
// pause after a failure it is nil, with the failure.
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

// do is start, and waiting for the end.
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

// pauseAfter is the pause after a failure: longer where only a person can fix it.
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
