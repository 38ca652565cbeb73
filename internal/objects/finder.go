package objects

import (
	"sync"
	"time"

	"sluice/internal/flow"
	"sluice/internal/problem"
)

// Finder bounds the queries to a builder about ids that Sluice does not know, so that a flood of
// wrong ids does not become a flood at the builder. The zero value is ready.
type Finder struct {
	mu     sync.Mutex
	missed map[wanted]time.Time // until when each is not queried again
	asked  map[string]*asking   // by workspace
}

// wanted is a person's query for an object.
type wanted struct {
	workspace, person string
	kind              flow.Kind
	id                string
}

// asking counts the queries of a workspace in the current window.
type asking struct {
	from  time.Time
	count int
}

const (
	// missKept is how long an id that was not found is not queried again, and maxMissed how many
	// such ids are remembered.
	missKept  = 5 * time.Second
	maxMissed = 4096
	// findWindow is the time in which a workspace may query findMost unknown ids. Opening a flow
	// that Sluice has not seen yet takes one query.
	findWindow = 10 * time.Second
	findMost   = 40
)

// FindAgain is how long to wait until an id that was not found can be queried again, and the
// workspace has a new window.
const FindAgain = findWindow + missKept

// begin checks whether an id can be queried now. Errors: problem.NotFound for an id that was not
// found a moment ago, problem.Limited.
func (f *Finder) begin(w wanted, now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if until, ok := f.missed[w]; ok && now.Before(until) {
		return NotFound()
	}
	if f.asked == nil {
		f.asked, f.missed = map[string]*asking{}, map[wanted]time.Time{}
	}
	a := f.asked[w.workspace]
	if a == nil || now.Sub(a.from) >= findWindow {
		a = &asking{from: now}
		f.asked[w.workspace] = a
	}
	if a.count++; a.count > findMost {
		return problem.New(problem.Limited, "Too many requests for objects that Sluice does not know.").
			WithRule("unknown objects").
			WithRetryAfter(max(a.from.Add(findWindow).Sub(now), time.Second)).
			WithNext("Wait a few seconds.")
	}
	return nil
}

// miss remembers that an object does not exist.
func (f *Finder) miss(w wanted, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.missed) >= maxMissed {
		clear(f.missed)
	}
	f.missed[w] = now.Add(missKept)
}
