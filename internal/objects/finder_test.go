package objects

import (
	"strconv"
	"testing"
	"time"

	"sluice/internal/problem"
)

func TestFinder_Bounded(t *testing.T) {
	var f Finder
	now := time.Now()
	w := func(i int) wanted { return wanted{workspace: "a", id: strconv.Itoa(i)} }
	for i := range findMost {
		if err := f.begin(w(i), now); err != nil {
			t.Fatalf("question %d: %v", i, err)
		}
	}
	if err := f.begin(w(-1), now); !problem.Is(err, problem.Limited) || problem.Of(err).RetryAfter < time.Second {
		t.Errorf("one too many: %v", err)
	}
	if err := f.begin(wanted{workspace: "b"}, now); err != nil {
		t.Errorf("another workspace: %v", err)
	}
	if err := f.begin(w(-1), now.Add(findWindow)); err != nil {
		t.Errorf("in the next window: %v", err)
	}
	f.miss(w(1), now)
	if err := f.begin(w(1), now.Add(missKept-1)); !problem.Is(err, problem.NotFound) {
		t.Errorf("just missed: %v", err)
	}
	if err := f.begin(wanted{workspace: "a", id: "1", person: "other"}, now.Add(findWindow)); err != nil {
		t.Errorf("missed by somebody else: %v", err)
	}
	if err := f.begin(w(1), now.Add(findWindow)); err != nil {
		t.Errorf("missed long ago: %v", err)
	}
	for i := range 3 * maxMissed {
		f.miss(w(i), now)
	}
	if len(f.missed) > maxMissed {
		t.Errorf("%d misses are remembered", len(f.missed))
	}
}

func TestFinder_Misses(t *testing.T) {
	var f Finder
	now := time.Now()
	w := func(i int) wanted { return wanted{workspace: "a", id: strconv.Itoa(i)} }
	if err := f.begin(w(0), now); err != nil {
		t.Fatal(err)
	}
	for i := range maxMissed {
		f.miss(w(i), now)
	}
	for _, i := range []int{0, maxMissed - 1} {
		if err := f.begin(w(i), now); !problem.Is(err, problem.NotFound) {
			t.Errorf("miss %d is forgotten: %v", i, err)
		}
	}
	f.miss(w(maxMissed), now)
	if err := f.begin(w(0), now); err != nil {
		t.Errorf("there is room for one more than %d: %v", maxMissed, err)
	}
	if err := f.begin(w(maxMissed), now); !problem.Is(err, problem.NotFound) {
		t.Errorf("the newest miss is forgotten: %v", err)
	}
}
