package authz

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/audit"
	"sluice/internal/db"
	"sluice/internal/dbtest"
)

// bench is a recorder without its goroutine, so that only the test flushes, and a clock that the
// test moves.
type bench struct {
	*recorder
	gate  *Gate
	clock atomic.Int64
	log   strings.Builder
	read  int64
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{}
	b.clock.Store(1_700_000_000_000)
	now := func() time.Time { return time.UnixMilli(b.clock.Load()) }
	d := dbtest.SQLite(t)
	b.recorder = &recorder{
		db:   d,
		now:  now,
		log:  slog.New(slog.NewTextHandler(&b.log, nil)),
		full: make(chan struct{}, 1),
	}
	b.gate = &Gate{db: d, now: now, recorder: b.recorder}
	return b
}

func (b *bench) advance(d time.Duration) { b.clock.Add(d.Milliseconds()) }

// written are the entries since the last call: actor, outcome, resource with its name, count,
// address, detail.
func (b *bench) written(t *testing.T) (lines []string) {
	t.Helper()
	entries, err := audit.After(context.Background(), b.db, b.read, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b.read = e.Seq
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s/%s ×%d %s %s",
			e.ActorName, e.Outcome, e.ResourceID, e.ResourceName, e.Times, e.IP, e.Detail)))
	}
	return lines
}

func (b *bench) want(t *testing.T, what string, lines ...string) {
	t.Helper()
	if diff := cmp.Diff(lines, b.written(t)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

var ann = Principal{Kind: Person, ID: "u1", Name: "ann", IP: "192.0.2.1"}

func flowCalled(id, name string) Resource {
	return Resource{Type: "Flow", ID: id, App: "a1", Workspace: "w1", Name: name}
}

func TestCount_EqualEventsAreOneEntry(t *testing.T) {
	b, ctx := newBench(t), context.Background()
	b.gate.Count(ann, FlowEdit, flowCalled("f1", "First"), audit.Done, "changed")
	moved := ann
	moved.IP = "192.0.2.2"
	b.advance(time.Minute)
	b.gate.Count(moved, FlowEdit, flowCalled("f1", "Renamed"), audit.Done, "changed")
	b.gate.Count(ann, FlowEdit, flowCalled("f1", ""), audit.Done, "changed")
	b.gate.Count(ann, FlowEdit, flowCalled("f2", "Second"), audit.Done, "changed")
	b.gate.Count(ann, FlowEdit, flowCalled("f1", "First"), audit.Failed, "changed")
	b.gate.Count(ann, FlowRun, flowCalled("f1", "First"), audit.Done, "run")
	bob := Principal{Kind: Person, ID: "u2", Name: "bob"}
	b.gate.Count(bob, FlowEdit, flowCalled("f1", "First"), audit.Done, "changed")
	b.flushAll(ctx)
	b.want(t, "counted",
		"ann done f1/Renamed ×3 192.0.2.1 changed",
		"ann done f2/Second ×1 192.0.2.1 changed",
		"ann failed f1/First ×1 192.0.2.1 changed",
		"ann done f1/First ×1 192.0.2.1 run",
		"bob done f1/First ×1  changed")
	b.flushAll(ctx)
	b.want(t, "nothing is written twice")
}

// TestCount_CountsForTenMinutes holds what SECURITY.md promises in minutes.
func TestCount_CountsForTenMinutes(t *testing.T) {
	if got := CountFor.Minutes(); got != 10 {
		t.Errorf("equal events are counted for %g minutes, want 10", got)
	}
}

func TestCount_AnEntryWaitsForItsWholeTime(t *testing.T) {
	b, ctx := newBench(t), context.Background()
	due := func() time.Time { return b.now().Add(-CountFor) }
	b.gate.Count(ann, FlowRun, flowCalled("f1", "One"), audit.Done, "run")
	b.advance(time.Minute)
	b.gate.Count(ann, FlowRun, flowCalled("f2", "Two"), audit.Done, "run")
	b.advance(CountFor - time.Minute - time.Millisecond)
	b.flush(ctx, due())
	b.want(t, "too early")
	b.gate.Count(ann, FlowRun, flowCalled("f1", "One"), audit.Done, "run")
	b.advance(time.Millisecond)
	b.flush(ctx, due())
	b.want(t, "the first is due", "ann done f1/One ×2 192.0.2.1 run")
	b.gate.Count(ann, FlowRun, flowCalled("f1", "One"), audit.Done, "run")
	b.advance(time.Minute)
	b.flush(ctx, due())
	b.want(t, "the second is due", "ann done f2/Two ×1 192.0.2.1 run")
	b.flushAll(ctx)
	b.want(t, "the rest", "ann done f1/One ×1 192.0.2.1 run")
}

func TestCount_StrangersHaveNoAddress(t *testing.T) {
	b := newBench(t)
	for _, ip := range []string{"192.0.2.1", "192.0.2.2"} {
		b.gate.Count(Principal{IP: ip}, FlowRun, flowCalled("f1", "Open"), audit.Done, "run")
	}
	b.flushAll(context.Background())
	b.want(t, "strangers", "done f1/Open ×2  run")
}

func TestCount_NamesAreLookedUp(t *testing.T) {
	b, ctx := newBench(t), context.Background()
	var asked []string
	b.gate.NameFlows(func(_ context.Context, r Resource) string {
		asked = append(asked, r.Type+" "+r.App+" "+r.ID)
		return map[string]string{"f1": "Looked up"}[r.ID]
	})
	b.gate.Count(ann, FlowRun, flowCalled("f1", ""), audit.Done, "run")
	b.gate.Count(ann, FlowEdit, flowCalled("f2", "Known"), audit.Done, "changed")
	b.gate.Count(ann, FlowEdit, flowCalled("", ""), audit.Failed, "not done")
	b.nameCounted(ctx)
	b.nameCounted(ctx)
	if diff := cmp.Diff([]string{"Flow a1 f1"}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	b.gate.Count(ann, FlowRun, flowCalled("f3", ""), audit.Done, "run")
	b.gate.NameCounted(Resource{Type: "Flow", ID: "f3", App: "a2", Name: "Of another app"})
	b.gate.NameCounted(Resource{Type: "App", ID: "f3", App: "a1", Name: "Of another type"})
	b.gate.NameCounted(flowCalled("f3", "Deleted meanwhile"))
	b.gate.NameCounted(flowCalled("f2", "Not asked for"))
	b.flushAll(ctx)
	b.want(t, "names",
		"ann done f1/Looked up ×1 192.0.2.1 run",
		"ann done f2/Known ×1 192.0.2.1 changed",
		"ann failed / ×1 192.0.2.1 not done",
		"ann done f3/Deleted meanwhile ×1 192.0.2.1 run")
}

func TestCount_TooManyKindsAreWrittenEarlyAndNothingIsLost(t *testing.T) {
	b := newBench(t)
	for i := range countKinds {
		b.gate.Count(ann, FlowRun, flowCalled(fmt.Sprint(i), "x"), audit.Done, "run")
	}
	select {
	case <-b.full:
		t.Error("woken before it is full")
	default:
	}
	b.gate.Count(ann, FlowRun, flowCalled("0", "x"), audit.Done, "run") // fits: it is known
	b.gate.Count(ann, FlowRun, flowCalled("one more", "x"), audit.Done, "run")
	b.gate.Count(ann, FlowRun, flowCalled("another", "x"), audit.Done, "run")
	select {
	case <-b.full:
	default:
		t.Error("not woken when it is full")
	}
	b.flushAll(context.Background())
	lines := b.written(t)
	if len(lines) != countKinds+1 || lines[0] != "ann done 0/x ×2 192.0.2.1 run" ||
		lines[countKinds] != "done / ×2  more kinds of event than are counted one by one" {
		t.Errorf("%d entries, the last %q", len(lines), lines[len(lines)-1])
	}
	b.flushAll(context.Background())
	b.want(t, "the summary is written once")
}

func TestRefusals_AreCountedAndBounded(t *testing.T) {
	b, ctx := newBench(t), context.Background()
	refuse := func(p Principal, id string) {
		b.add(b.gate.entry(p, FlowEdit, flowCalled(id, "n"), audit.Denied, Decision{}, ""))
	}
	refuse(ann, "f1")
	refuse(ann, "f1")
	refuse(ann, "f2")
	stranger := Principal{IP: "192.0.2.9"}
	refuse(stranger, "f1")
	refuse(stranger, "f2") // chosen freely: the same entry
	b.flush(ctx, b.now().Add(-CountFor))
	b.want(t, "refusals do not wait",
		"ann denied f1/n ×2 192.0.2.1",
		"ann denied f2/n ×1 192.0.2.1",
		"denied /n ×2 192.0.2.9")
	for i := range recordKinds + 3 {
		refuse(ann, fmt.Sprint(i))
	}
	b.flush(ctx, b.now())
	lines := b.written(t)
	if len(lines) != recordKinds+1 ||
		lines[recordKinds] != "denied / ×3  more kinds of refusal than are recorded one by one" {
		t.Errorf("%d entries, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestFlush_WhatCouldNotBeWrittenIsPutBack(t *testing.T) {
	b := newBench(t)
	b.gate.Count(ann, FlowRun, flowCalled("f1", "One"), audit.Done, "run")
	b.add(b.gate.entry(ann, FlowEdit, flowCalled("f2", "Two"), audit.Denied, Decision{}, ""))
	b.refusals.excess, b.counts.excess = 4, 5
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	start := b.now()
	b.flushAll(canceled)
	if !strings.Contains(b.log.String(), "refusals could not be recorded") {
		t.Errorf("the log says %q", b.log.String())
	}
	b.advance(time.Minute)
	b.gate.Count(ann, FlowRun, flowCalled("f1", "One"), audit.Done, "run")
	b.flushAll(context.Background())
	entries, err := audit.After(context.Background(), b.db, 0, 100)
	if err != nil || len(entries) != 4 || !entries[1].At.Equal(start) {
		t.Errorf("%+v, %v", entries, err)
	}
	b.want(t, "after the failure",
		"ann denied f2/Two ×1 192.0.2.1",
		"ann done f1/One ×2 192.0.2.1 run",
		"denied / ×4  more kinds of refusal than are recorded one by one",
		"done / ×5  more kinds of event than are counted one by one")
}

func TestRecorder_WritesByItselfAndAtTheEnd(t *testing.T) {
	d := dbtest.SQLite(t)
	g, err := NewGate(Config{DB: d, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	seq := func() int64 {
		n, err := audit.Last(context.Background(), d)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := g.Check(context.Background(), ann, UserDelete, Resource{Type: "User"}); err == nil {
		t.Fatal("ann may delete people")
	}
	g.Count(ann, FlowRun, flowCalled("f1", "One"), audit.Done, "run")
	deadline := time.Now().Add(20 * time.Second)
	for seq() == 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if n := seq(); n != 1 {
		t.Errorf("%d entries before the end; the refusal was to be written, and the run to wait", n)
	}
	g.Close(context.Background())
	if n := seq(); n != 2 {
		t.Errorf("%d entries at the end", n)
	}
}

func TestDoAll_AllOrNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		g, err := NewGate(Config{DB: d, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Close(ctx) })
		system := SystemPrincipal("test")
		step := func(a Action, name string, fail error) Step {
			return Step{
				Action:   a,
				Resource: Resource{Type: "User", ID: name},
				Detail:   name,
				Change: func(tx *db.Tx) error {
					if fail != nil {
						return fail
					}
					return tx.PutMeta(ctx, name, "changed")
				},
			}
		}
		value := func(name string) string {
			v, err := db.Meta(ctx, d.Read(), name)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		if err := g.DoAll(ctx, system, step(UserUpdate, "a", nil), step(UserDisable, "b", nil)); err != nil {
			t.Fatal(err)
		}
		if value("a") != "changed" || value("b") != "changed" {
			t.Error("a step is missing")
		}
		if err := g.DoAll(ctx, system, step(UserUpdate, "c", nil),
			step(UserDisable, "d", fmt.Errorf("boom"))); err == nil {
			t.Error("a failure was not told")
		}
		viewer := Principal{Kind: Person, ID: "v", Name: "v", Strong: true, ProvenAt: time.Now()}
		if err := g.DoAll(ctx, viewer, step(AccountUpdate, "e", nil), step(UserDisable, "f", nil)); err == nil {
			t.Error("a refused step was made")
		}
		if err := g.DoAll(ctx, system); err != nil {
			t.Errorf("no steps: %v", err)
		}
		for _, name := range []string{"c", "d", "e", "f"} {
			if value(name) != "" {
				t.Errorf("%s was changed", name)
			}
		}
		entries, err := audit.After(ctx, d, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, string(e.Outcome)+" "+e.ResourceID+" "+e.Detail)
		}
		want := []string{"done a a", "done b b", "failed d internal error", "denied e e"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
	})
}
