package guards

import (
	"context"
	"strconv"
	"testing"
	"time"

	"sluice/internal/problem"
)

// at sets the clock of a request.
func (r *asked) at(now *clock) *asked {
	r.Now = now.now
	return r
}

// blocked holds a request during its first call to the builder. entered is closed when it
// waits; it continues when release is closed.
func (r *asked) blocked() (entered, release chan struct{}) {
	entered, release = make(chan struct{}), make(chan struct{})
	get, first := r.Get, true
	r.Get = func(ctx context.Context, path string, limit int64) (int, []byte, error) {
		if first {
			first = false
			close(entered)
			<-release
		}
		return get(ctx, path, limit)
	}
	return entered, release
}

// withForeign is a flow with code that is neither in the builder nor in a stored flow.
func withForeign(b *langflow) map[string]any {
	n := b.node("TextInput")
	field(n, "code")["value"] = foreign
	return flowOf(n)
}

// TestCatalog_CanceledWait: while one request reads, another request stops waiting when it is
// canceled.
func TestCatalog_CanceledWait(t *testing.T) {
	for name, c := range map[string]struct {
		// read reports that the catalog was read before; version is the builder's version by then.
		read    bool
		version string
		want    problem.Kind
	}{
		"read before":                       {read: true, version: "new", want: problem.Denied},
		"read before, from another version": {read: true, version: "newer", want: problem.Unavailable},
		"never read":                        {version: "new", want: problem.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			b := newLangflow(t, "new")
			g, now := &Guard{}, &clock{at: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
			if c.read {
				if err := check(t.Context(), g, b.request(flowOf(b.node("ChatInput")), "code").at(now)); err != nil {
					t.Fatal(err)
				}
				now.at = now.at.Add(refreshEvery)
			}
			request := func() *asked {
				r := b.request(withForeign(b), "code").at(now)
				r.Version, r.Flow = c.version, ""
				return r
			}
			reads, ended := request(), make(chan error)
			entered, release := reads.blocked()
			go func() { ended <- check(context.WithoutCancel(t.Context()), g, reads) }()
			<-entered
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			if err := check(gone, g, request()); !problem.Is(err, c.want) {
				t.Errorf("a canceled request gets %v, want %s", err, c.want)
			}
			close(release)
			if err := <-ended; !problem.Is(err, problem.Denied) {
				t.Errorf("who reads gets %v", err)
			}
		})
	}
}

// TestCatalog_RequestGone: the results of a canceled request count, its failure does not.
func TestCatalog_RequestGone(t *testing.T) {
	known := func(b *langflow) any { return flowOf(b.node("ChatInput")) }
	for name, c := range map[string]struct {
		// before reports that the person leaves before the builder has answered.
		before bool
		reads  int
	}{
		"before the answer": {before: true, reads: 1},
		"after the answer":  {before: false, reads: 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newLangflow(t, "new")
			g, now := &Guard{}, &clock{at: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r := b.request(known(b), "code").at(now)
			get := r.Get
			r.Get = func(ctx context.Context, path string, limit int64) (int, []byte, error) {
				if c.before {
					cancel()
				}
				status, body, err := get(ctx, path, limit)
				if path == shipped[len(shipped)-1] {
					cancel()
				}
				return status, body, err
			}
			if err := check(ctx, g, r); problem.Is(err, problem.Unavailable) != c.before {
				t.Errorf("a person who left gets %v", err)
			}
			if err := check(t.Context(), g, b.request(known(b), "code").at(now)); err != nil {
				t.Errorf("the next one gets %v", err)
			}
			if n := b.Count("GET /api/v1/all"); n != c.reads {
				t.Errorf("the catalog was read %d times, want %d", n, c.reads)
			}
		})
	}
}

// TestCatalog_Strangers: the guard reads no catalog for strangers.
func TestCatalog_Strangers(t *testing.T) {
	for name, c := range map[string]struct {
		// read reports that a person requested the catalog, down that the builder did not answer.
		read, down bool
		version    string
		body       func(b *langflow) any
		allowed    bool
		want       problem.Kind
	}{
		"known code": {
			read: true, version: "new", allowed: true,
			body: func(b *langflow) any { return flowOf(b.node("ChatInput")) },
		},
		"known code, after an upgrade without a new reading": {
			read: true, version: "newer", allowed: true,
			body: func(b *langflow) any { return flowOf(b.node("ChatInput")) },
		},
		"foreign code, after an upgrade without a new reading": {
			read: true, version: "newer", want: problem.Denied,
			body: func(b *langflow) any { return withForeign(b) },
		},
		"known code, while nothing was read": {
			version: "new", want: problem.Unavailable,
			body: func(b *langflow) any { return flowOf(b.node("ChatInput")) },
		},
		"known code, after a reading that failed": {
			read: true, down: true, version: "new", want: problem.Unavailable,
			body: func(b *langflow) any { return flowOf(b.node("ChatInput")) },
		},
		"nothing that could be code, while nothing was read": {
			version: "new", allowed: true,
			body: func(*langflow) any { return map[string]any{"input_value": "hi"} },
		},
	} {
		b := newLangflow(t, "new")
		g, now := &Guard{}, &clock{at: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
		if c.read {
			b.With(func() { b.Down = c.down })
			err := check(t.Context(), g, b.request(flowOf(b.node("ChatInput")), "code").at(now))
			if (err != nil) != c.down {
				t.Fatal(err)
			}
			now.at = now.at.Add(refreshEvery)
		}
		r := b.request(c.body(b), "code").at(now)
		r.Stranger, r.Get, r.Version = true, nil, c.version
		err := check(t.Context(), g, r)
		if (err == nil) != c.allowed || !c.allowed && !problem.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCatalog_BuilderDown: foreign code causes one more reading of the catalog, and is still
// refused as foreign code.
func TestCatalog_BuilderDown(t *testing.T) {
	for version, want := range map[string]problem.Kind{"new": problem.Denied, "newer": problem.Unavailable} {
		b := newLangflow(t, "new")
		g, now := &Guard{}, &clock{at: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
		if err := check(t.Context(), g, b.request(flowOf(b.node("ChatInput")), "code").at(now)); err != nil {
			t.Fatal(err)
		}
		now.at = now.at.Add(refreshEvery)
		b.With(func() { b.Down = true })
		r := b.request(withForeign(b), "code").at(now)
		r.Version, r.Flow = version, ""
		if err := check(t.Context(), g, r); !problem.Is(err, want) {
			t.Errorf("%s: %v, want %s", version, err, want)
		}
	}
}

// TestCatalog_RemembersAccounts: the flows of this many accounts are not read again.
func TestCatalog_RemembersAccounts(t *testing.T) {
	b := newLangflow(t, "new")
	g, now := &Guard{}, &clock{at: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	reads := func(account int) int {
		before := b.Count("GET /api/v1/flows/")
		r := b.request(map[string]any{"code": foreign}, "component").at(now)
		r.Flow, r.Account = "", strconv.Itoa(account)
		if got := ruleOf(check(t.Context(), g, r)); got != "guard.code" {
			t.Fatalf("account %d: rule %q", account, got)
		}
		return b.Count("GET /api/v1/flows/") - before
	}
	for i := range maxAccounts {
		if n := reads(i); n != 1 {
			t.Fatalf("account %d is read %d times", i, n)
		}
	}
	for _, i := range []int{0, maxAccounts - 1} {
		if n := reads(i); n != 0 {
			t.Errorf("account %d is read again", i)
		}
	}
	if n := reads(maxAccounts); n != 1 {
		t.Errorf("account %d is read %d times", maxAccounts, n)
	}
	if n := reads(0); n != 1 {
		t.Errorf("%d accounts are remembered", maxAccounts+1)
	}
}
