package flowise

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/builder/flowise/flowisetest"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// server is a fake Flowise that listens, with a clock that can be set forward.
type server struct {
	*flowisetest.Server
	t     *testing.T
	url   *url.URL
	clock *testClock
}

type testClock struct{ offset atomic.Int64 }

var testStart = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func (c *testClock) Now() time.Time          { return testStart.Add(time.Duration(c.offset.Load())) }
func (c *testClock) advance(d time.Duration) { c.offset.Add(int64(d)) }

func startFlowise(t *testing.T) *server {
	s := &server{Server: flowisetest.New(), t: t, clock: &testClock{}}
	s.Now = s.clock.Now
	var err error
	if s.url, err = url.Parse(s.Listen(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

func sendJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (s *server) bridge(password string) *bridge {
	b := newBridge(builder.BridgeConfig{
		Base: s.url, Client: http.DefaultClient, Now: s.clock.Now,
		Access: builder.Access{Email: flowisetest.Email, Password: password},
	})
	s.t.Cleanup(func() { _ = b.Close(context.Background()) })
	return b
}

var (
	person   = authz.Principal{Kind: authz.Person, ID: "p1", Name: "ann", Email: "ann@example.test"}
	endpoint = &profile.Endpoint{Name: "x"}
)

// attach returns the headers that a signed-in request gets.
func attach(t *testing.T, b *bridge) http.Header {
	t.Helper()
	h := http.Header{}
	if err := b.Attach(t.Context(), h, builder.OnBehalf{Principal: person}, endpoint); err != nil {
		t.Fatalf("Attach: %v", err)
	}
	return h
}

// settle waits until no renewal runs.
func settle(t *testing.T, b *bridge) {
	t.Helper()
	b.mu.Lock()
	flight := b.flight
	b.mu.Unlock()
	if flight == nil {
		return
	}
	select {
	case <-flight:
	case <-time.After(10 * time.Second):
		t.Fatal("the renewal does not finish")
	}
}

func TestBridge_OneSignIn(t *testing.T) {
	s := startFlowise(t)
	s.Hold = make(chan struct{})
	b := s.bridge(flowisetest.Password)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			h := http.Header{}
			if err := b.Attach(context.Background(), h, builder.OnBehalf{Principal: person}, endpoint); err != nil ||
				!s.Accepts(h) {
				t.Errorf("Attach: %v, headers %v", err, h)
			}
		})
	}
	close(s.Hold)
	all.Wait()
	if s.SignIns() != 1 || s.Met() != 0 {
		t.Errorf("%d sign-ins, %d overlapped; want exactly one", s.SignIns(), s.Met())
	}
	if b.Upstream()["id"] != flowisetest.OwnerID {
		t.Errorf("Upstream = %v", b.Upstream())
	}
}

func TestBridge_Strangers(t *testing.T) {
	s := startFlowise(t)
	b := s.bridge(flowisetest.Password)
	attach(t, b)
	for name, c := range map[string]struct {
		p authz.Principal
		e *profile.Endpoint
	}{
		"anonymous":     {authz.Principal{}, endpoint},
		"upstream none": {person, &profile.Endpoint{Upstream: profile.UpstreamNone}},
	} {
		h := http.Header{}
		if err := b.Attach(t.Context(), h, builder.OnBehalf{Principal: c.p}, c.e); err != nil || len(h) != 0 {
			t.Errorf("%s: headers %v, %v; want none", name, h, err)
		}
	}
}

func TestBridge_BackgroundRefresh(t *testing.T) {
	s := startFlowise(t)
	b := s.bridge(flowisetest.Password)
	before := attach(t, b)
	s.clock.advance(50 * time.Minute)
	if h := attach(t, b); h.Get("Cookie") != before.Get("Cookie") {
		t.Error("a request waited for the refresh although its session is valid")
	}
	settle(t, b)
	after := attach(t, b)
	if after.Get("Cookie") == before.Get("Cookie") || !s.Accepts(after) || s.SignIns() != 1 {
		t.Errorf("refresh: accepted %v, %d sign-ins", s.Accepts(after), s.SignIns())
	}
}

func TestBridge_SignsInDaily(t *testing.T) {
	s := startFlowise(t)
	s.TokenLife = 90 * 24 * time.Hour
	b := s.bridge(flowisetest.Password)
	attach(t, b)
	s.clock.advance(23*time.Hour + time.Minute)
	attach(t, b)
	settle(t, b)
	if s.SignIns() != 2 {
		t.Errorf("%d sign-ins after 23 h, want 2", s.SignIns())
	}
}

func TestBridge_FlowiseLostSessions(t *testing.T) {
	s := startFlowise(t)
	b := s.bridge(flowisetest.Password)
	h := attach(t, b)
	s.ForgetSessions()
	s.clock.advance(time.Minute)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if !b.Rejected(context.Background(), h) {
				t.Error("Rejected reports that a retry is useless")
			}
		})
	}
	all.Wait()
	if !s.Accepts(attach(t, b)) || s.SignIns() != 2 || s.Met() != 0 {
		t.Errorf("%d sign-ins, %d met", s.SignIns(), s.Met())
	}
}

func TestBridge_OtherReasonFor401(t *testing.T) {
	s := startFlowise(t)
	b := s.bridge(flowisetest.Password)
	h := attach(t, b)
	s.clock.advance(time.Minute)
	for range 5 {
		if b.Rejected(t.Context(), h) {
			t.Error("Rejected wants a retry though Flowise knows the session")
		}
	}
	if s.SignIns() != 1 || s.Checks() == 0 {
		t.Errorf("%d sign-ins, %d checks", s.SignIns(), s.Checks())
	}
	if b.Rejected(t.Context(), http.Header{}) {
		t.Error("Rejected reports that a request without a session needs another one")
	}
}

func TestBridge_Outage(t *testing.T) {
	s := startFlowise(t)
	b := s.bridge(flowisetest.Password)
	s.With(func() { s.Down = true })
	err := b.Attach(t.Context(), http.Header{}, builder.OnBehalf{Principal: person}, endpoint)
	if !problem.Is(err, problem.Unavailable) || problem.Of(err).RetryAfter <= 0 {
		t.Fatalf("Attach while Flowise fails: %v", err)
	}
	s.With(func() { s.Down = false })
	tries := s.SignIns()
	for range 100 {
		if err := b.Attach(t.Context(), http.Header{}, builder.OnBehalf{Principal: person}, endpoint); !problem.Is(
			err,
			problem.Unavailable,
		) {
			t.Fatalf("within the pause: %v", err)
		}
	}
	if s.SignIns() != tries {
		t.Error("the bridge hammers Flowise")
	}
	s.clock.advance(maxBackoff)
	if !s.Accepts(attach(t, b)) {
		t.Error("the bridge did not heal")
	}
}

func TestBridge_SessionAfterOutage(t *testing.T) {
	s := startFlowise(t)
	b := s.bridge(flowisetest.Password)
	before := attach(t, b)
	s.With(func() { s.Down = true })
	s.clock.advance(50 * time.Minute)
	attach(t, b)
	settle(t, b)
	s.With(func() { s.Down = false })
	if h := attach(t, b); h.Get("Cookie") != before.Get("Cookie") || !s.Accepts(h) {
		t.Error("a failed refresh threw a good session away")
	}
}

func TestBridge_WrongPassword(t *testing.T) {
	s := startFlowise(t)
	b := s.bridge("changed-behind-our-back")
	err := b.Attach(t.Context(), http.Header{}, builder.OnBehalf{Principal: person}, endpoint)
	if !problem.Is(err, problem.Unavailable) || !strings.Contains(problem.Of(err).Next, "password") {
		t.Errorf("Attach = %v, next %q", err, problem.Of(err).Next)
	}
	s.clock.advance(maxBackoff)
	_ = b.Attach(t.Context(), http.Header{}, builder.OnBehalf{Principal: person}, endpoint)
	if s.SignIns() != 1 {
		t.Errorf("%d sign-ins with credentials that Flowise refused", s.SignIns())
	}
}

func TestBridge_CanceledRequest(t *testing.T) {
	s := startFlowise(t)
	s.Hold = make(chan struct{})
	b := s.bridge(flowisetest.Password)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Attach(ctx, http.Header{}, builder.OnBehalf{Principal: person}, endpoint); !problem.Is(
		err,
		problem.Unavailable,
	) {
		t.Errorf("Attach = %v, want problem.Unavailable", err)
	}
	close(s.Hold)
	settle(t, b)
	attach(t, b)
}

func TestBridgeClose(t *testing.T) {
	s := startFlowise(t)
	b := s.bridge(flowisetest.Password)
	h := attach(t, b)
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.Accepts(h) {
		t.Error("the owner is still signed in upstream")
	}
	if err := b.Attach(t.Context(), http.Header{}, builder.OnBehalf{Principal: person}, endpoint); !problem.Is(
		err,
		problem.Unavailable,
	) {
		t.Errorf("Attach after Close = %v", err)
	}
}

func BenchmarkAttach(b *testing.B) {
	session := &session{header: http.Header{"Cookie": {"token=x"}}, due: testStart.Add(time.Hour)}
	bridge := newBridge(
		builder.BridgeConfig{Base: &url.URL{}, Client: http.DefaultClient, Now: func() time.Time { return testStart }},
	)
	bridge.session.Store(session)
	h := http.Header{"Cookie": nil, "X-Request-From": nil}
	b.ReportAllocs()
	for b.Loop() {
		if err := bridge.Attach(context.Background(), h, builder.OnBehalf{Principal: person}, endpoint); err != nil {
			b.Fatal(err)
		}
	}
}
