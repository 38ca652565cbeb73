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

// Hasher does all password hashing on one operating-system thread of low priority. Work waits in a bounded queue; when that is full the caller is told to come again.
type Hasher struct {
	rounds int
	floor  atomic.Int32 // what every verification costs at least, as bcrypt's cost
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
// an account that does not exist, takes the same time as a wrong password, and both take as long as the slowest hash that was imported.
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

// Expect makes every verification from now on take as long as one of this stored form does, if that was imported: else the time would tell whose account was.
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

// fill works for as long as is missing after a hash of this cost. Each more doubles the work: of costs 10, 10 and 11 together come to that of 12.
func (h *Hasher) fill(cost int) {
	for ; cost < int(h.floor.Load()); cost++ {
		// Nothing of it is used; it cannot fail for a short password and a cost that a hash has.
		_, _ = bcrypt.GenerateFromPassword([]byte("filler"), cost)
	}
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
