package signup

import (
	"sync"

	"sluice/internal/problem"
)

// laterQueue bounds the work that is answered before it is done.
const laterQueue = 64

// later runs work after the answer, if its duration would reveal something to the requester, such
// as whether an address is known.
type later struct {
	queue chan func()
	done  chan struct{}
	once  sync.Once
}

func startLater() *later {
	l := &later{queue: make(chan func(), laterQueue), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for work := range l.queue {
			work()
		}
	}()
	return l
}

// do queues work, or refuses it if too much is queued already.
func (l *later) do(work func()) error {
	select {
	case l.queue <- work:
		return nil
	default:
		return problem.New(problem.Unavailable, "Too many requests of this kind are waiting.").
			WithRetryAfter(retryLater).
			WithNext("Try again in a minute.")
	}
}

func (l *later) stop() {
	l.once.Do(func() { close(l.queue) })
	<-l.done
}
