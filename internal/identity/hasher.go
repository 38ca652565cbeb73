package identity

import (
	"context"
	"runtime"
	"sync"
	"time"

	"sluice/internal/problem"
)

// Hasher does all password hashing on one operating-system thread of low priority. Work waits in a bounded queue; when that is full the caller is told to come again.
type Hasher struct {
	rounds int
	busy   func(bool)
	jobs   chan *job
	quit   chan struct{}
	once   sync.Once
	done   chan struct{}
}

type job struct {
	ctx  context.Context
	work func()
	done chan struct{}
}

// hashQueue is how many hashes may wait: about two seconds of work at ten rounds.
const hashQueue = 40

// restAfter is how long there must be no work before busy(false) is called, so that single sign-ins do not make it flap.
const restAfter = time.Second

// NewHasher starts the thread. Rounds is bcrypt's cost (PASSWORD_SALT_HASH_ROUNDS), 4 to 31; each one more doubles the time. Busy, which may be nil, is called from the thread before work
// begins and after it has rested. Close it at the end.
func NewHasher(rounds int, busy func(bool)) *Hasher {
	if busy == nil {
		busy = func(bool) {}
	}
	h := &Hasher{rounds: rounds, busy: busy, jobs: make(chan *job, hashQueue), quit: make(chan struct{}), done: make(chan struct{})}
	go h.run()
	return h
}

func (h *Hasher) run() {
	defer close(h.done)
	// The thread keeps its low priority for ever, so it must never go back to the pool: without UnlockOSThread it ends with this goroutine.
	runtime.LockOSThread()
	lowerPriority()
	rest := time.NewTimer(restAfter)
	rest.Stop()
	working := false
	for {
		select {
		case <-h.quit:
			return
		case <-rest.C:
			working = false
			h.busy(false)
		case j := <-h.jobs:
			if !working {
				working = true
				h.busy(true)
			}
			if j.ctx.Err() == nil {
				j.work()
			}
			close(j.done)
			rest.Reset(restAfter)
		}
	}
}

// Close stops the thread after the hash that it is working on. Waiting callers get Unavailable.
func (h *Hasher) Close() {
	h.once.Do(func() { close(h.quit) })
	<-h.done
}

// Hash makes the stored form of a password. A full queue is problem.Unavailable with RetryAfter.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	var r result
	err := h.do(ctx, func() { r.stored, r.err = hashPassword(password, h.rounds) })
	if err != nil {
		return "", err
	}
	return r.stored, r.err
}

// Verify compares a password with its stored form; upgrade says that the hash should be made anew with more rounds. An empty stored form, such as that of
// an account that does not exist, takes the same time as a wrong password.
func (h *Hasher) Verify(ctx context.Context, stored, password string) (ok, upgrade bool, err error) {
	var r result
	err = h.do(ctx, func() {
		if stored == "" {
			_, r.err = hashPassword(password, h.rounds)
			return
		}
		r.ok, r.upgrade, r.err = verifyPassword(stored, password, h.rounds)
	})
	if err != nil {
		return false, false, err
	}
	return r.ok, r.upgrade, r.err
}

// result is written by the worker alone; a caller that has left does not look at it.
type result struct {
	stored      string
	ok, upgrade bool
	err         error
}

func (h *Hasher) do(ctx context.Context, work func()) error {
	busy := problem.New(problem.Unavailable, "Too many people are signing in at this moment.").WithRetryAfter(2 * time.Second).WithNext("Try again in a few seconds.")
	j := &job{ctx: ctx, work: work, done: make(chan struct{})}
	select {
	case <-h.quit:
		return busy
	default:
	}
	select {
	case h.jobs <- j:
	default:
		return busy
	}
	select {
	case <-j.done:
		return ctx.Err()
	case <-h.done:
		return busy
	case <-ctx.Done():
		// The result belongs to the worker until it has closed j.done; the caller leaves without it.
		return ctx.Err()
	}
}
