package objects

import (
	"sync"
	"time"

	"sluice/internal/flow"
	"sluice/internal/problem"
)

// Finder bounds what is asked of a builder about ids that Sluice does not know, so that a flood of
// wrong ids does not become a flood at the builder. The zero value is ready.
type Finder struct {
	mu     sync.Mutex
	missed map[wanted]time.Time // until when it is not asked for again
	asked  map[string]*asking   // by workspace
}

// wanted is what somebody looks for, and where.
type wanted struct {
	workspace, person string
	kind              flow.Kind
	id                string
}

// asking counts the questions of a workspace in the current window.
type asking struct {
	from  time.Time
	count int
}

const (
	// missKept is how long an id that was not found is not asked for again, and maxMissed how many
	// of them are remembered.
	missKept  = 5 * time.Second
	maxMissed = 4096
	// findWindow is the time in which a workspace may ask for findMost unknown ids. Whoever opens a
	// flow that Sluice has not seen yet asks for one.
	findWindow = 10 * time.Second
	findMost   = 40
)

// FindAgain is when an id is asked for again that was not found, and another window's worth of them
// may be.
const FindAgain = findWindow + missKept

// begin says whether an id may be asked for now. Errors: problem.NotFound for what was not found
// just now, problem.Limited.
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
		return problem.New(problem.Limited, "Too many objects that Sluice does not know were asked for.").
			WithRule("unknown objects").
			WithRetryAfter(max(a.from.Add(findWindow).Sub(now), time.Second)).
			WithNext("Wait a few seconds.")
	}
	return nil
}

// miss remembers that there is no such object.
func (f *Finder) miss(w wanted, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.missed) >= maxMissed {
		clear(f.missed)
	}
	f.missed[w] = now.Add(missKept)
}
