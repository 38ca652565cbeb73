//go:build e2e

package e2e

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// suites maps the test names of running suites to their deadlines.
var suites sync.Map

// suite begins a suite: everything below t must finish within limit. Nothing inside it has a time
// limit of its own, so a slow machine takes longer but finds the same. A limit is several times the
// duration of the suite on two cores.
func suite(t *testing.T, limit time.Duration) {
	t.Helper()
	suites.Store(t.Name(), time.Now().Add(limit))
	t.Cleanup(func() { suites.Delete(t.Name()) })
}

// longSuite is suite for tests that run only in `make e2e-full`, not in `make e2e`.
func longSuite(t *testing.T, limit time.Duration) {
	t.Helper()
	if testing.Short() {
		t.Skip("make e2e-full runs it")
	}
	suite(t, limit)
}

// releases are the Langflow releases that a suite drives: the newer one, and with `make e2e-full`
// both.
func releases() []string {
	if testing.Short() {
		return []string{newLangflow}
	}
	return []string{newLangflow, oldLangflow}
}

// deadline returns when the suite of t must be finished.
func deadline(t testing.TB) time.Time {
	t.Helper()
	for name := t.Name(); ; {
		if end, ok := suites.Load(name); ok {
			return end.(time.Time)
		}
		cut := strings.LastIndexByte(name, '/')
		if cut < 0 {
			t.Fatalf("%s belongs to no suite: its test must begin with suite or longSuite", t.Name())
		}
		name = name[:cut]
	}
}

// lastLook is how long a step may take after the suite's time is over: enough for a screenshot of
// the failure.
const lastLook = 10 * time.Second

// inTime returns a context with the deadline of t's suite, but at least lastLook from now.
func inTime(ctx context.Context, t testing.TB) (context.Context, context.CancelFunc) {
	t.Helper()
	end := deadline(t)
	if last := time.Now().Add(lastLook); end.Before(last) {
		end = last
	}
	return context.WithDeadline(ctx, end)
}

// await checks cond repeatedly until it holds. It stops when the suite's time is over or stopped
// returns a reason.
func await(t testing.TB, what string, cond func() bool, stopped func() string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := deadline(t); !cond(); <-tick.C {
		if why := stopped(); why != "" {
			t.Fatalf("no %s: %s", what, why)
		}
		if time.Now().After(end) {
			t.Fatalf("no %s within the time of the suite", what)
		}
	}
}
