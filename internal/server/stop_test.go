package server_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/internal/authz"
	"sluice/internal/sluicetest"
)

// TestStop_NoGoroutineIsLeft: every goroutine has an owner that waits for it, so that nothing works
// on after the database is closed.
func TestStop_NoGoroutineIsLeft(t *testing.T) {
	s := sluicetest.Start(t, "SLUICE_PROTECT=demo", "SLUICE_METRICS_ADDR=127.0.0.1:0")
	s.Add("root", authz.RoleAdmin, true)
	b := s.SignedIn("root")
	if a := b.Get("/admin"); a.Status != http.StatusOK {
		t.Fatalf("the admin page: %d", a.Status)
	}
	if a := b.At(s.Apps.All()[0].Origin("")).Get("/"); a.Status != http.StatusOK {
		t.Fatalf("the demo builder: %d", a.Status)
	}
	if len(ours()) == 0 {
		t.Fatal("no goroutine is found while the server runs: the test looks in the wrong place")
	}
	s.Stop()
	// A goroutine that has told its owner that it ends is still there for a moment.
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		left := ours()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left:\n\n%s", len(left), strings.Join(left, "\n\n"))
		}
	}
}

// ours are the stacks of goroutines that run Sluice's code or were started by it, without
// tests, those that wait for their turn among them, and the database that they start.
func ours() []string {
	buffer := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buffer, true)
		if n < len(buffer) {
			buffer = buffer[:n]
			break
		}
		buffer = make([]byte, 2*len(buffer))
	}
	var out []string
	for stack := range strings.SplitSeq(string(buffer), "\n\n") {
		inTests := strings.Contains(stack, "server_test.") || strings.Contains(stack, "sluice/internal/dbtest.") ||
			strings.Contains(stack, "testing.(*T).Parallel(")
		if strings.Contains(stack, "sluice/internal/") && !inTests {
			out = append(out, stack)
		}
	}
	return out
}
