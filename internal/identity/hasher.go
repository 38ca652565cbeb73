package identity

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/problem"
)

// Hasher does all password hashing on one operating-system thread of low priority. Work waits in a
// bounded queue; when that is full, the caller must try again later.
type Hasher struct {
	rounds int
	floor  atomic.Int32 // minimum cost of every verification, as bcrypt's cost
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

// hashQueue is how many hashes can wait: about two seconds of work at ten rounds.
const hashQueue = 40

// restAfter is how long the thread must be idle before busy(false) is called, so that single
// sign-ins do not make it flap.
const restAfter = time.Second

// NewHasher starts the thread. rounds is bcrypt's cost (PASSWORD_SALT_HASH_ROUNDS), 4 to 31; each
// further round doubles the time. busy, which may be nil, is called from the thread before work
// begins and after it has rested. Close the Hasher at the end.
func NewHasher(rounds int, busy func(bool)) *Hasher {
	if busy == nil {
		busy = func(bool) {}
	}
	h := &Hasher{
		rounds: rounds,
		busy:   busy,
		jobs:   make(chan *job, hashQueue),
		quit:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	go h.run()
	return h
}

func (h *Hasher) run() {
	defer close(h.done)
	// The thread keeps its low priority, so it must never return to the pool. Without
	// UnlockOSThread it exits with this goroutine.
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

// Close stops the thread after the hash in progress. Waiting callers get Unavailable.
func (h *Hasher) Close() {
	h.once.Do(func() { close(h.quit) })
	<-h.done
}

// Hash returns the stored form of a password. A full queue is problem.Unavailable with RetryAfter.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	var r result
	err := h.do(ctx, func() { r.stored, r.err = hashPassword(password, h.rounds) })
	if err != nil {
		return "", err
	}
	return r.stored, r.err
}

// Verify compares a password with its stored form. upgrade means that the password should be hashed
// again with more rounds. An empty stored form, such as that of an account that does not exist,
// takes the same time as a wrong password, and both take as long as the slowest imported hash.
func (h *Hasher) Verify(ctx context.Context, stored, password string) (ok, upgrade bool, err error) {
	var r result
	err = h.do(ctx, func() {
		if stored == "" {
			_, r.err = hashPassword(password, h.rounds)
			h.fill(h.rounds)
			return
		}
		r.ok, r.upgrade, r.err = verifyPassword(stored, password, h.rounds)
		h.fill(costOf(stored))
	})
	if err != nil {
		return false, false, err
	}
	return r.ok, r.upgrade, r.err
}

// Expect pads every later verification to the cost of this stored form, if it was imported.
// Otherwise timing would reveal imported accounts.
func (h *Hasher) Expect(stored string) {
	if h == nil || !strings.HasPrefix(stored, foreignTag) {
		return
	}
	cost := int32(costOf(stored))
	for {
		now := h.floor.Load()
		if cost <= now || h.floor.CompareAndSwap(now, cost) {
			return
		}
	}
}

// fill does the work that is missing after a hash of this cost. Each step of the cost doubles the
// work: costs 10, 10 and 11 add up to 12.
func (h *Hasher) fill(cost int) {
	for ; cost < int(h.floor.Load()); cost++ {
		// The result is unused. This cannot fail for a short password and the cost of a real hash.
		_, _ = bcrypt.GenerateFromPassword([]byte("filler"), cost)
	}
}

// result is written by the worker alone. A caller that has left does not read it.
type result struct {
	stored      string
	ok, upgrade bool
	err         error
}

func (h *Hasher) do(ctx context.Context, work func()) error {
	busy := problem.New(problem.Unavailable, "Too many people are signing in at the moment.").
		WithRetryAfter(2 * time.Second).
		WithNext("Try again in a few seconds.")
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
		// The result belongs to the worker until it has closed j.done, so the caller leaves without
		// it.
		return ctx.Err()
	}
}
