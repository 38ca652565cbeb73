package console

import (
	"sync"
	"time"
)

// A browser that is sent to the same place for the third time within ten seconds is in a loop: the
// place sends it back to sign in, and here it is already signed in.
const (
	bounceLimit  = 3
	bounceWindow = 10 * time.Second
	// maxBounces bounds what is remembered. Beyond it everything is forgotten, and a loop takes a
	// few more rounds to detect.
	maxBounces = 4096
)

// bounces counts how often each session was recently redirected to each place.
type bounces struct {
	mu   sync.Mutex
	seen map[bounceKey]bounce
}

type bounceKey struct{ session, app, path string }

type bounce struct {
	first time.Time
	count int
}

// again counts a redirect of a session to a place and reports whether it is a loop.
func (b *bounces) again(session, app, path string, now time.Time) bool {
	if len(path) > 200 {
		path = path[:200]
	}
	k := bounceKey{session, app, path}
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.seen[k]
	if now.Sub(n.first) > bounceWindow {
		n = bounce{first: now}
	}
	n.count++
	if b.seen == nil || len(b.seen) >= maxBounces {
		b.seen = map[bounceKey]bounce{}
	}
	if n.count >= bounceLimit {
		delete(b.seen, k) // the next try gets a fresh start
		return true
	}
	b.seen[k] = n
	return false
}
