package flowise

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// flowiseServer is an HTTP server that behaves as flowise@3.1.4 does towards a service owner:
// cookies, JWT expiry, the 200 page for an empty sign-in, 404 for an unknown address, and failure
// of sign-ins that meet.
type flowiseServer struct {
	t        *testing.T
	url      *url.URL
	clock    *testClock
	signIns  atomic.Int64
	checks   atomic.Int64
	inside   atomic.Int64
	met      atomic.Int64
	down     atomic.Bool
	hold     chan struct{} // not nil: sign-ins wait here
	tokenTTL time.Duration

	mu       sync.Mutex
	password string
	owner    bool
	sessions map[string]string // connect.sid -> token
	serial   int
}

type testClock struct{ offset atomic.Int64 }

var testStart = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func (c *testClock) Now() time.Time          { return testStart.Add(time.Duration(c.offset.Load())) }
func (c *testClock) advance(d time.Duration) { c.offset.Add(int64(d)) }

func newFlowiseServer(t *testing.T) *flowiseServer {
	s := &flowiseServer{
		t: t, clock: &testClock{}, tokenTTL: time.Hour, password: "Owner-pass-1", owner: true, sessions: map[string]string{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/auth/login", s.login)
	mux.HandleFunc("POST /api/v1/auth/refreshToken", s.refresh)
	mux.HandleFunc("POST /api/v1/auth/resolve", s.resolve)
	mux.HandleFunc("POST /api/v1/account/register", s.register)
	mux.HandleFunc(
		"POST /api/v1/account/logout",
		func(_ http.ResponseWriter, r *http.Request) { s.forget(cookieValue(r, "connect.sid")) },
	)
	mux.HandleFunc("GET /api/v1/auth/permissions/{type}", s.check)
	mux.HandleFunc(
		"GET /api/v1/version",
		func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, 200, map[string]any{"version": "3.1.4"}) },
	)
	mux.HandleFunc("GET /api/v1/settings", func(w http.ResponseWriter, _ *http.Request) {
		sendJSON(w, 200, map[string]any{"PLATFORM_TYPE": "open source"})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { sendPage(w) })
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	s.url, _ = url.Parse(srv.URL)
	return s
}

func sendJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func sendPage(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprint(w, "<!DOCTYPE html><html><head><title>Flowise - Build AI Agents, Visually</title></head></html>")
}

func cookieValue(r *http.Request, name string) string {
	if c, err := r.Cookie(name); err == nil {
		return c.Value
	}
	return ""
}

// token makes a JWT with a serial number; its signature is checked by nobody here.
func (s *flowiseServer) token() string {
	s.serial++
	claims := fmt.Sprintf(`{"exp":%d,"jti":"%d"}`, s.clock.Now().Add(s.tokenTTL).Unix(), s.serial)
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func (s *flowiseServer) login(w http.ResponseWriter, r *http.Request) {
	if s.inside.Add(1) > 1 {
		s.met.Add(1)
	}
	defer s.inside.Add(-1)
	s.signIns.Add(1)
	if s.hold != nil {
		<-s.hold
	}
	var body struct{ Email, Password string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case body.Email == "":
		sendPage(w)
	case body.Email != "owner@sluice.internal":
		sendJSON(w, 404, map[string]any{"statusCode": 404, "success": false, "message": "User Not Found"})
	case body.Password != s.password:
		sendJSON(w, 401, map[string]any{"message": "Incorrect Email or Password"})
	default:
		token := s.token()
		sid := fmt.Sprintf("s%%3Asid-%d.sig", s.serial)
		s.sessions[sid] = token
		http.SetCookie(w, &http.Cookie{Name: "token", Value: token, Path: "/", HttpOnly: true})
		http.SetCookie(w, &http.Cookie{Name: "refreshToken", Value: "refresh", Path: "/", HttpOnly: true})
		http.SetCookie(w, &http.Cookie{Name: "connect.sid", Value: sid, Path: "/", HttpOnly: true})
		sendJSON(
			w,
			200,
			map[string]any{"id": "owner-id", "email": body.Email, "permissions": []string{"organization", "workspace"}},
		)
	}
}

func (s *flowiseServer) refresh(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sid := cookieValue(r, "connect.sid")
	token := s.token()
	http.SetCookie(w, &http.Cookie{Name: "token", Value: token, Path: "/", HttpOnly: true})
	if _, ok := s.sessions[sid]; !ok {
		sendJSON(w, 200, map[string]any{"isSSO": false})
		return
	}
	s.sessions[sid] = token
	sendJSON(w, 200, map[string]any{"id": "owner-id", "email": "owner@sluice.internal"})
}

func (s *flowiseServer) check(w http.ResponseWriter, r *http.Request) {
	s.checks.Add(1)
	if r.Header.Get("X-Request-From") != "internal" ||
		!s.knows(cookieValue(r, "connect.sid"), cookieValue(r, "token")) {
		sendJSON(w, 401, map[string]any{"message": "Invalid or Missing token"})
		return
	}
	sendJSON(w, 200, map[string]any{})
}

func (s *flowiseServer) resolve(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := "/organization-setup"
	if s.owner {
		to = "/signin"
	}
	sendJSON(w, 200, map[string]any{"redirectUrl": to})
}

func (s *flowiseServer) register(w http.ResponseWriter, r *http.Request) {
	var body struct {
		User struct{ Name, Email, Credential string }
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.owner:
		sendJSON(
			w,
			400,
			map[string]any{"statusCode": 400, "success": false, "message": "You can only have one organization"},
		)
	case len(body.User.Credential) < 8:
		sendJSON(w, 400, map[string]any{"statusCode": 400, "success": false, "message": "Invalid Password"})
	default:
		s.owner, s.password = true, body.User.Credential
		sendJSON(w, 201, map[string]any{"user": map[string]any{"id": "owner-id", "email": body.User.Email}})
	}
}

// knows tells whether a session and its token are good; expiry is by the token's own claim.
func (s *flowiseServer) knows(sid, token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	expires, ok := builder.TokenExpiry(token)
	return ok && s.sessions[sid] == token && s.clock.Now().Before(expires)
}

func (s *flowiseServer) forget(sid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, sid)
}

func (s *flowiseServer) forgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
}

// accepts tells whether the server would accept a request with these headers.
func (s *flowiseServer) accepts(h http.Header) bool {
	r := &http.Request{Header: h}
	return h.Get("X-Request-From") == "internal" && s.knows(cookieValue(r, "connect.sid"), cookieValue(r, "token"))
}

func (s *flowiseServer) bridge(password string) *bridge {
	b := newBridge(builder.BridgeConfig{
		Base: s.url, Client: http.DefaultClient, Now: s.clock.Now,
		Access: builder.Access{Email: "owner@sluice.internal", Password: password},
	})
	s.t.Cleanup(func() { _ = b.Close(context.Background()) })
	return b
}

var (
	person   = authz.Principal{Kind: authz.Person, ID: "p1", Name: "ann", Email: "ann@example.test"}
	endpoint = &profile.Endpoint{Name: "x"}
)

// attach gives the headers that a signed-in request gets.
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
		t.Fatal("the renewal does not end")
	}
}

func TestBridgeSignsInOnceForAll(t *testing.T) {
	s := newFlowiseServer(t)
	s.hold = make(chan struct{})
	b := s.bridge("Owner-pass-1")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			h := http.Header{}
			if err := b.Attach(context.Background(), h, builder.OnBehalf{Principal: person}, endpoint); err != nil ||
				!s.accepts(h) {
				t.Errorf("Attach: %v, headers %v", err, h)
			}
		})
	}
	close(s.hold)
	all.Wait()
	if s.signIns.Load() != 1 || s.met.Load() != 0 {
		t.Errorf("%d sign-ins, %d met another; want one alone", s.signIns.Load(), s.met.Load())
	}
	if b.Upstream()["id"] != "owner-id" {
		t.Errorf("Upstream = %v", b.Upstream())
	}
}

func TestBridgeNeverLendsToStrangers(t *testing.T) {
	s := newFlowiseServer(t)
	b := s.bridge("Owner-pass-1")
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

func TestBridgeRefreshesInTheBackground(t *testing.T) {
	s := newFlowiseServer(t)
	b := s.bridge("Owner-pass-1")
	before := attach(t, b)
	s.clock.advance(50 * time.Minute)
	if h := attach(t, b); h.Get("Cookie") != before.Get("Cookie") {
		t.Error("a request waited for the refresh although its session is good")
	}
	settle(t, b)
	after := attach(t, b)
	if after.Get("Cookie") == before.Get("Cookie") || !s.accepts(after) || s.signIns.Load() != 1 {
		t.Errorf("refresh: accepted %v, %d sign-ins", s.accepts(after), s.signIns.Load())
	}
}

func TestBridgeSignsInAgainBeforeADay(t *testing.T) {
	s := newFlowiseServer(t)
	s.tokenTTL = 90 * 24 * time.Hour
	b := s.bridge("Owner-pass-1")
	attach(t, b)
	s.clock.advance(23*time.Hour + time.Minute)
	attach(t, b)
	settle(t, b)
	if s.signIns.Load() != 2 {
		t.Errorf("%d sign-ins after 23 h, want 2", s.signIns.Load())
	}
}

func TestBridgeHealsAfterFlowiseForgot(t *testing.T) {
	s := newFlowiseServer(t)
	b := s.bridge("Owner-pass-1")
	h := attach(t, b)
	s.forgetAll()
	s.clock.advance(time.Minute)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if !b.Rejected(context.Background(), h) {
				t.Error("Rejected says that a retry makes no sense")
			}
		})
	}
	all.Wait()
	if !s.accepts(attach(t, b)) || s.signIns.Load() != 2 || s.met.Load() != 0 {
		t.Errorf("%d sign-ins, %d met", s.signIns.Load(), s.met.Load())
	}
}

func TestBridgeKeepsASessionThatIsNotTheReason(t *testing.T) {
	s := newFlowiseServer(t)
	b := s.bridge("Owner-pass-1")
	h := attach(t, b)
	s.clock.advance(time.Minute)
	for range 5 {
		if b.Rejected(t.Context(), h) {
			t.Error("Rejected wants a retry though Flowise knows the session")
		}
	}
	if s.signIns.Load() != 1 || s.checks.Load() == 0 {
		t.Errorf("%d sign-ins, %d checks", s.signIns.Load(), s.checks.Load())
	}
	if b.Rejected(t.Context(), http.Header{}) {
		t.Error("a request without a session was said to need another")
	}
}

func TestBridgeSurvivesAnOutage(t *testing.T) {
	s := newFlowiseServer(t)
	b := s.bridge("Owner-pass-1")
	s.down.Store(true)
	err := b.Attach(t.Context(), http.Header{}, builder.OnBehalf{Principal: person}, endpoint)
	if !problem.Is(err, problem.Unavailable) || problem.Of(err).RetryAfter <= 0 {
		t.Fatalf("Attach while Flowise fails: %v", err)
	}
	s.down.Store(false)
	tries := s.signIns.Load()
	for range 100 {
		if err := b.Attach(t.Context(), http.Header{}, builder.OnBehalf{Principal: person}, endpoint); !problem.Is(
			err,
			problem.Unavailable,
		) {
			t.Fatalf("within the pause: %v", err)
		}
	}
	if s.signIns.Load() != tries {
		t.Error("the bridge hammers Flowise")
	}
	s.clock.advance(maxBackoff)
	if !s.accepts(attach(t, b)) {
		t.Error("the bridge did not heal")
	}
}

func TestBridgeKeepsItsSessionThroughAnOutage(t *testing.T) {
	s := newFlowiseServer(t)
	b := s.bridge("Owner-pass-1")
	before := attach(t, b)
	s.down.Store(true)
	s.clock.advance(50 * time.Minute)
	attach(t, b)
	settle(t, b)
	s.down.Store(false)
	if h := attach(t, b); h.Get("Cookie") != before.Get("Cookie") || !s.accepts(h) {
		t.Error("a failed refresh threw a good session away")
	}
}

func TestBridgeWithAWrongPassword(t *testing.T) {
	s := newFlowiseServer(t)
	b := s.bridge("changed-behind-our-back")
	err := b.Attach(t.Context(), http.Header{}, builder.OnBehalf{Principal: person}, endpoint)
	if !problem.Is(err, problem.Unavailable) || !strings.Contains(problem.Of(err).Next, "password") {
		t.Errorf("Attach = %v, next %q", err, problem.Of(err).Next)
	}
	s.clock.advance(maxBackoff)
	_ = b.Attach(t.Context(), http.Header{}, builder.OnBehalf{Principal: person}, endpoint)
	if s.signIns.Load() != 1 {
		t.Errorf("%d sign-ins with credentials that Flowise refused", s.signIns.Load())
	}
}

func TestBridgeWaitsOnlyAsLongAsTheRequest(t *testing.T) {
	s := newFlowiseServer(t)
	s.hold = make(chan struct{})
	b := s.bridge("Owner-pass-1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Attach(ctx, http.Header{}, builder.OnBehalf{Principal: person}, endpoint); !problem.Is(
		err,
		problem.Unavailable,
	) {
		t.Errorf("Attach = %v, want problem.Unavailable", err)
	}
	close(s.hold)
	settle(t, b)
	attach(t, b)
}

func TestBridgeClose(t *testing.T) {
	s := newFlowiseServer(t)
	b := s.bridge("Owner-pass-1")
	h := attach(t, b)
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.accepts(h) {
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
