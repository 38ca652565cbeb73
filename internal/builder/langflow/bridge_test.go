package langflow

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/builder/langflow/langflowtest"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

var allModes = []builder.Mode{External, Signed, SignIn}

// eachMode runs a test in each mode, against both generations of Langflow where both have it.
func eachMode(t *testing.T, test func(t *testing.T, f *langflowtest.Server, mode builder.Mode)) {
	for _, mode := range allModes {
		for _, old := range []bool{false, true} {
			if old && mode == External {
				continue
			}
			t.Run(string(mode)+map[bool]string{true: " old"}[old], func(t *testing.T) {
				f := langflowtest.Start(t)
				f.Old = old
				if mode == External {
					f.External = &signingKey().PublicKey
				}
				test(t, f, mode)
			})
		}
	}
}

// movedClock is a clock that a test moves forward.
type movedClock struct{ by atomic.Int64 }

func (c *movedClock) now() time.Time          { return time.Now().Add(time.Duration(c.by.Load())) }
func (c *movedClock) advance(d time.Duration) { c.by.Add(int64(d)) }

func TestBridge_AccountPerWorkspace(t *testing.T) {
	eachMode(t, func(t *testing.T, f *langflowtest.Server, mode builder.Mode) {
		store := &kept{}
		b := lfBridge(t, lfConfig(t, f, mode, store))
		names := map[string]string{}
		for _, who := range []struct{ workspace, person string }{{"w1", "ann"}, {"w1", "bob"}, {"w2", "ann"}} {
			for _, up := range []profile.Upstream{profile.UpstreamSession, profile.UpstreamKey} {
				u, err := enters(t, f, b, actsFor(who.workspace, who.person), profile.Endpoint{Upstream: up})
				if err != nil {
					t.Fatal(err)
				}
				if own, err := b.Accounts.Own(context.Background(), actsFor(who.workspace, who.person)); err != nil ||
					own != u.ID ||
					b.Accounts.HomeOf(own) != who.workspace {
					t.Errorf(
						"own account of %v: %q of %q, %v; Langflow says %q",
						who,
						own,
						b.Accounts.HomeOf(own),
						err,
						u.ID,
					)
				}
				names[who.workspace+"/"+who.person] = u.Username
			}
		}
		want := map[string]string{"w1/ann": "sluice-w1", "w1/bob": "sluice-w1", "w2/ann": "sluice-w2"}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Error(diff)
		}
		if len(store.list()) != 2 {
			t.Errorf("%d accounts are kept", len(store.list()))
		}
	})
}

func TestBridge_AccountPerPerson(t *testing.T) {
	eachMode(t, func(t *testing.T, f *langflowtest.Server, mode builder.Mode) {
		cfg := lfConfig(t, f, mode, &kept{})
		cfg.PerPerson = true
		b := lfBridge(t, cfg)
		ann, err1 := enters(t, f, b, actsFor("w1", "ann"), profile.Endpoint{})
		bob, err2 := enters(t, f, b, actsFor("w1", "bob"), profile.Endpoint{})
		if err := errors.Join(err1, err2); err != nil || ann.Username != "sluice-w1ann" ||
			bob.Username != "sluice-w1bob" {
			t.Fatalf("%+v, %+v, %v", ann, bob, err)
		}
		if got := b.Accounts.Of(actsFor("w1", "ann")); !cmp.Equal(got, []string{ann.ID}) {
			t.Errorf("ann's accounts are %v", got)
		}
		l := actsFor("w1", "bob")
		l.Account = ann.ID
		if _, err := enters(t, f, b, l, profile.Endpoint{}); !problem.Is(err, problem.NotFound) {
			t.Errorf("bob enters ann's account: %v", err)
		}
	})
}

func TestBridge_NoPrincipal(t *testing.T) {
	f := langflowtest.Start(t)
	b := lfBridge(t, lfConfig(t, f, Signed, &kept{}))
	for what, c := range map[string]struct {
		l builder.OnBehalf
		e profile.Endpoint
	}{
		"a stranger": {builder.OnBehalf{Workspace: "w1"}, profile.Endpoint{}},
		"no session": {actsFor("w1", "ann"), profile.Endpoint{Upstream: profile.UpstreamNone}},
	} {
		h := http.Header{}
		if err := b.Attach(context.Background(), h, c.l, &c.e); err != nil || len(h) != 0 {
			t.Errorf("%s: %v, %v", what, h, err)
		}
	}
	own, err := b.Accounts.Own(context.Background(), actsFor("w1", "ann"))
	if err != nil {
		t.Fatal(err)
	}
	for what, l := range map[string]builder.OnBehalf{
		"another workspace": {Principal: authz.Principal{Kind: authz.Person, ID: "eve"}, Workspace: "w2", Account: own},
		"unknown":           {Principal: authz.Principal{Kind: authz.Person, ID: "eve"}, Workspace: "w1", Account: "0"},
	} {
		if err := b.Attach(context.Background(), http.Header{}, l, &profile.Endpoint{}); !problem.Is(
			err,
			problem.NotFound,
		) {
			t.Errorf("an account %s: %v", what, err)
		}
	}
	if err := b.Attach(context.Background(), http.Header{}, actsFor("", "ann"), &profile.Endpoint{}); !problem.Is(
		err,
		problem.Unavailable,
	) {
		t.Errorf("without a workspace: %v", err)
	}
}

func TestBridge_BearerAndCookie(t *testing.T) {
	f := langflowtest.Start(t)
	b := lfBridge(t, lfConfig(t, f, Signed, &kept{}))
	h := http.Header{}
	if err := b.Attach(context.Background(), h, actsFor("w1", "ann"), &profile.Endpoint{}); err != nil {
		t.Fatal(err)
	}
	token, ok := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	if !ok || h.Get("Cookie") != "access_token_lf="+token || len(h) != 2 {
		t.Errorf("headers: %v", h)
	}
}

func TestBridge_ParallelFirstRequests(t *testing.T) {
	eachMode(t, func(t *testing.T, f *langflowtest.Server, mode builder.Mode) {
		store := &kept{}
		nodes := []*builder.Bridge{lfBridge(t, lfConfig(t, f, mode, store)), lfBridge(t, lfConfig(t, f, mode, store))}
		var group sync.WaitGroup
		ids := sync.Map{}
		for i := range 40 {
			group.Go(func() {
				id, err := nodes[i%2].Accounts.Own(context.Background(), actsFor("w1", "ann"))
				if err != nil {
					t.Error(err)
				}
				ids.Store(id, true)
			})
		}
		group.Wait()
		n := 0
		ids.Range(func(any, any) bool { n++; return true })
		users := 0
		f.With(func() { users = len(f.Users) })
		if n != 1 || users != 2 || len(store.list()) != 1 {
			t.Errorf("%d ids, %d users in Langflow, %d accounts", n, users, len(store.list()))
		}
	})
}

// TestBridge_NewDatabase: when Langflow's data was lost, Sluice creates each account again
// automatically.
func TestBridge_NewDatabase(t *testing.T) {
	eachMode(t, func(t *testing.T, f *langflowtest.Server, mode builder.Mode) {
		store, clock := &kept{}, &movedClock{}
		f.Now = clock.now
		cfg := lfConfig(t, f, mode, store)
		cfg.Now = clock.now
		b := lfBridge(t, cfg)
		before, err := enters(t, f, b, actsFor("w1", "ann"), profile.Endpoint{})
		if err != nil {
			t.Fatal(err)
		}
		f.Reset()
		clock.advance(time.Hour)
		after, err := enters(t, f, b, actsFor("w1", "ann"), profile.Endpoint{})
		if err != nil || after.ID == before.ID || after.ID == "" {
			t.Fatalf("after: %+v, %v", after, err)
		}
		if !cmp.Equal(store.gone, []string{before.ID}) || len(store.list()) != 1 || b.Accounts.HomeOf(before.ID) != "" {
			t.Errorf("gone %v, kept %v", store.gone, store.list())
		}
	})
}

// TestBridge_LostDatabase: refused requests detect the loss.
func TestBridge_LostDatabase(t *testing.T) {
	eachMode(t, func(t *testing.T, f *langflowtest.Server, mode builder.Mode) {
		clock := &movedClock{}
		f.Now = clock.now
		cfg := lfConfig(t, f, mode, &kept{})
		cfg.Now = clock.now
		b := lfBridge(t, cfg)
		h := refused(t, b, actsFor("w1", "ann"))
		before := asks(t, f, h)
		f.Reset()
		clock.advance(time.Minute)
		if got := b.Rejected(context.Background(), h); got != (mode != External) {
			t.Errorf("Rejected reports that another account helps: %v", got)
		}
		if u, err := enters(t, f, b, actsFor("w1", "ann"), profile.Endpoint{}); err != nil ||
			u.Username != "sluice-w1" ||
			u.ID == before.ID {
			t.Errorf("%+v, %v", u, err)
		}
	})
}

// refused sends a request that Langflow answers with 401.
func refused(t *testing.T, b *builder.Bridge, l builder.OnBehalf) http.Header {
	t.Helper()
	h := http.Header{}
	if err := b.Attach(context.Background(), h, l, &profile.Endpoint{}); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestBridge_RenewOnceOn401(t *testing.T) {
	eachMode(t, func(t *testing.T, f *langflowtest.Server, mode builder.Mode) {
		clock := &movedClock{}
		f.Now = clock.now
		cfg := lfConfig(t, f, mode, &kept{})
		cfg.Now = clock.now
		b := lfBridge(t, cfg)
		h := refused(t, b, actsFor("w1", "ann"))
		clock.advance(10 * time.Second)
		if b.Rejected(context.Background(), h) {
			t.Error("a session that Langflow still accepts was renewed")
		}
		// Langflow restarts with another secret key, or briefly forgets whom it trusts. Then only a
		// sign-in opens a session.
		f.With(func() { f.Secret, f.External = strings.Repeat("x", 43), nil })
		if got := b.Rejected(context.Background(), h); got != (mode == SignIn) {
			t.Errorf("renewed: %v", got)
		}
		if mode != SignIn {
			err := b.Attach(context.Background(), http.Header{}, actsFor("w1", "ann"), &profile.Endpoint{})
			if !problem.Is(err, problem.Unavailable) || strings.Contains(problem.Of(err).Detail, "no session") {
				t.Errorf("the error afterwards: %v", err)
			}
		}
		if mode != SignIn {
			f.With(func() { f.Secret, f.External = langflowtest.Secret, &signingKey().PublicKey })
			clock.advance(time.Minute)
		}
		u, err := enters(t, f, b, actsFor("w1", "ann"), profile.Endpoint{})
		if err != nil || u.Username != "sluice-w1" {
			t.Errorf("after: %+v, %v", u, err)
		}
	})
}

// TestBridge_Errors: each error has its own message, and the bridge recovers automatically.
func TestBridge_Errors(t *testing.T) {
	for _, c := range []struct {
		name       string
		mode       builder.Mode
		cause, end func(f *langflowtest.Server)
		says       string
		next       string
	}{
		{
			"another secret key",
			Signed,
			func(f *langflowtest.Server) { f.Secret = strings.Repeat("x", 43) },
			func(f *langflowtest.Server) { f.Secret = langflowtest.Secret },
			"secret keys differ",
			"LANGFLOW_SECRET_KEY",
		},
		{
			"a page",
			Signed,
			func(f *langflowtest.Server) { f.Upgrading = true },
			func(f *langflowtest.Server) { f.Upgrading = false },
			"A page arrived",
			"upgraded",
		},
		{
			"a page at the sign-in",
			SignIn,
			func(f *langflowtest.Server) { f.Upgrading = true },
			func(f *langflowtest.Server) { f.Upgrading = false },
			"A page arrived",
			"upgraded",
		},
		{
			"a page for assertions",
			External,
			func(f *langflowtest.Server) { f.Upgrading = true },
			func(f *langflowtest.Server) { f.Upgrading = false },
			"A page arrived",
			"upgraded",
		},
		{
			"another superuser's password",
			SignIn,
			func(f *langflowtest.Server) { f.Named(langflowtest.Superuser).Password = "other" },
			func(f *langflowtest.Server) { f.Named(langflowtest.Superuser).Password = langflowtest.Password },
			"did not accept the superuser",
			"LANGFLOW_SUPERUSER_PASSWORD",
		},
		{
			"no superuser any more",
			Signed,
			func(f *langflowtest.Server) { f.Named(langflowtest.Superuser).Super = false },
			func(f *langflowtest.Server) { f.Named(langflowtest.Superuser).Super = true },
			"is not a superuser",
			"superuser",
		},
		{
			"no external authentication",
			External,
			func(f *langflowtest.Server) { f.External = nil },
			func(f *langflowtest.Server) { f.External = &signingKey().PublicKey },
			"ignores Sluice's assertion",
			"LANGFLOW_EXTERNAL_AUTH",
		},
		{
			"clocks a year apart",
			Signed,
			func(f *langflowtest.Server) { f.Ahead = 9000 * time.Hour },
			func(f *langflowtest.Server) { f.Ahead = 0 },
			"clock differs",
			"clocks",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, clock := langflowtest.Start(t), &movedClock{}
			f.External, f.Now = &signingKey().PublicKey, clock.now
			cfg := lfConfig(t, f, c.mode, &kept{})
			cfg.Now = clock.now
			b := lfBridge(t, cfg)
			f.With(func() { c.cause(f) })
			_, err := enters(t, f, b, actsFor("w1", "ann"), profile.Endpoint{})
			if p := problem.Of(err); p.Kind != problem.Unavailable || !strings.Contains(p.Detail, c.says) ||
				!strings.Contains(p.Next, c.next) ||
				p.RetryAfter <= 0 {
				t.Errorf("%v (%s): %s %s", err, p.Kind, p.Detail, p.Next)
			}
			f.With(func() { c.end(f) })
			clock.advance(time.Minute)
			if u, err := enters(t, f, b, actsFor("w1", "ann"), profile.Endpoint{}); err != nil ||
				u.Username != "sluice-w1" {
				t.Errorf("afterwards: %+v, %v", u, err)
			}
		})
	}
}

func TestBridge_Outage(t *testing.T) {
	f, clock := langflowtest.Start(t), &movedClock{}
	cfg := lfConfig(t, f, Signed, &kept{})
	cfg.Now, f.Now = clock.now, clock.now
	b := lfBridge(t, cfg)
	address := f.Listener.Addr().String()
	f.Server.Close()
	if _, err := enters(t, f, b, actsFor("w1", "ann"), profile.Endpoint{}); !problem.Is(err, problem.Upstream) ||
		!strings.Contains(problem.Of(err).Detail, "Nothing answers") {
		t.Errorf("down: %v", err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	again := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}}
	again.Start()
	t.Cleanup(again.Close)
	clock.advance(time.Minute)
	if u, err := enters(t, f, b, actsFor("w1", "ann"), profile.Endpoint{}); err != nil || u.Username != "sluice-w1" {
		t.Errorf("up again: %+v, %v", u, err)
	}
}

// TestBridge_Busy: tokens that Sluice signs work while Langflow is busy.
func TestBridge_Busy(t *testing.T) {
	for _, mode := range []builder.Mode{Signed, External} {
		f, clock := langflowtest.Start(t), &movedClock{}
		f.External, f.Now = &signingKey().PublicKey, clock.now
		cfg := lfConfig(t, f, mode, &kept{})
		cfg.Now, cfg.Client = clock.now, &http.Client{Timeout: 200 * time.Millisecond}
		b := lfBridge(t, cfg)
		refused(t, b, actsFor("w1", "ann"))
		gate := make(chan struct{})
		f.With(func() { f.Busy = gate })
		clock.advance(time.Hour)
		h := http.Header{}
		err := b.Attach(context.Background(), h, actsFor("w1", "ann"), &profile.Endpoint{})
		close(gate)
		f.With(func() { f.Busy = nil })
		if err != nil {
			t.Errorf("%s: %v", mode, err)
		} else if u := asks(t, f, h); u.Username != "sluice-w1" {
			t.Errorf("%s: %+v", mode, u)
		}
	}
}

func TestBridge_ClockSkew(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, -time.Hour, 2 * time.Minute, -2 * time.Minute} {
		eachMode(t, func(t *testing.T, f *langflowtest.Server, mode builder.Mode) {
			f.Ahead = ahead
			b := lfBridge(t, lfConfig(t, f, mode, &kept{}))
			if u, err := enters(t, f, b, actsFor("w1", "ann"), profile.Endpoint{}); err != nil ||
				u.Username != "sluice-w1" {
				t.Errorf("%s ahead: %+v, %v", ahead, u, err)
			}
		})
	}
}

func TestBridge_CountsSignIns(t *testing.T) {
	f := langflowtest.Start(t)
	b := lfBridge(t, lfConfig(t, f, SignIn, &kept{}))
	f.With(func() { f.Limited = 1 })
	if u, err := enters(t, f, b, actsFor("w1", "ann"), profile.Endpoint{}); err != nil || u.Username != "sluice-w1" {
		t.Errorf("%+v, %v", u, err)
	}
	if n := f.Count("POST /api/v1/login"); n != 3 {
		t.Errorf("%d sign-ins, want one that was refused, the superuser's and the account's", n)
	}
	f.With(func() { f.Limited = 2 })
	_, err := enters(t, f, b, actsFor("w2", "ann"), profile.Endpoint{})
	if p := problem.Of(err); p.Kind != problem.Unavailable || !strings.Contains(p.Detail, "few sign-ins") ||
		p.RetryAfter <= 0 {
		t.Errorf("refused again and again: %v", err)
	}
}

func TestBridge_RefreshesSessions(t *testing.T) {
	f, clock := langflowtest.Start(t), &movedClock{}
	cfg := lfConfig(t, f, SignIn, &kept{})
	cfg.Now, f.Now = clock.now, clock.now
	b := lfBridge(t, cfg)
	refused(t, b, actsFor("w1", "ann"))
	before := f.Count("POST /api/v1/login")
	clock.advance(70 * time.Minute)
	refused(t, b, actsFor("w1", "ann"))
	if f.Count("POST /api/v1/login") != before || f.Count("POST /api/v1/refresh") != 1 {
		t.Errorf(
			"%d more sign-ins, %d refreshes",
			f.Count("POST /api/v1/login")-before,
			f.Count("POST /api/v1/refresh"),
		)
	}
	clock.advance(25 * time.Hour)
	if u, err := enters(t, f, b, actsFor("w1", "ann"), profile.Endpoint{}); err != nil || u.Username != "sluice-w1" {
		t.Errorf("after the refresh token expired: %+v, %v", u, err)
	}
}
