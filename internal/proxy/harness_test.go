package proxy_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/proxy"
)

const (
	mainOrigin = "https://gate.test"
	appHost    = "sluice.test"
	appOrigin  = "https://" + appHost

	publicFlow  = "11111111-1111-4111-8111-111111111111"
	privateFlow = "22222222-2222-4222-8222-222222222222"
)

// world is a proxy with everything behind it, on real listeners and a real database.
type world struct {
	t        testing.TB
	db       *db.DB
	gate     *authz.Gate
	people   *identity.People
	sessions *authn.Sessions
	keys     *authn.Keys
	apps     *app.Apps
	app      *app.App
	proxy    *proxy.Proxy
	metrics  *prometheus.Registry
	front    *httptest.Server
	log      *lines
	clock    *clock
	ids      map[string]string // role -> user id
	other    string            // the workspace of "other", once there is such a person
	builder  upstreamServer
	witness  *witness // nil in benchmarks and fuzz tests
}

// options of a world; the zero value is Flowise at https://sluice.test behind a trusted TLS proxy
// on loopback.
type options struct {
	kind   string
	public string // the app's origin; "-" for a port of its own
	change func(*proxy.Config)
}

func newWorld(t testing.TB, f upstreamServer, o options) *world {
	t.Helper()
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	d := dbtest.SQLite(t)
	w := &world{
		t:       t,
		db:      d,
		log:     &lines{},
		clock:   &clock{},
		metrics: prometheus.NewRegistry(),
		ids:     map[string]string{},
		builder: f,
	}
	var err error
	if w.gate, err = authz.NewGate(authz.Config{DB: d, Now: w.clock.now, Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.gate.Close(ctx) })
	hasher := identity.NewHasher(4, nil)
	t.Cleanup(hasher.Close)
	if w.people, err = identity.New(ctx, identity.Config{
		DB: d, Gate: w.gate, Hasher: hasher, Now: w.clock.now, Log: log,
		Hooks: identity.Hooks{Disabled: authn.EndDisabled, Removed: flow.HandOver,
			WorkspaceDeleted: flow.ForgetProjects},
	}); err != nil {
		t.Fatal(err)
	}
	w.sessions, err = authn.New(ctx, authn.Config{
		DB:       d,
		Gate:     w.gate,
		People:   w.people,
		TokenKey: []byte("0123456789abcdef0123456789abcdef"),
		MaxAge:   time.Hour,
		MaxIdle:  time.Hour,
		Now:      w.clock.now,
		Log:      log,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.keys, err = authn.NewKeys(
		ctx,
		authn.KeyConfig{
			DB:       d,
			Gate:     w.gate,
			People:   w.people,
			TokenKey: []byte("0123456789abcdef0123456789abcdef"),
			Now:      w.clock.now,
			Log:      log,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	w.connect(d, f, o)
	w.serve(o)
	return w
}

func (w *world) serve(o options) {
	c := proxy.Config{
		Apps:       w.apps.Registry,
		Sessions:   w.sessions,
		Keys:       w.keys,
		People:     w.people,
		Gate:       w.gate,
		MainOrigin: func(string) string { return mainOrigin },
		Hosts:      []string{"gate.test"},
		SignOut: func(ctx context.Context,
			p authz.Principal) error {
			return w.sessions.Revoke(ctx, p, p.SessionID)
		},
		Metrics: w.metrics, Log: slog.New(slog.NewTextHandler(w.log, nil)), Now: w.clock.now,
	}
	if o.change != nil {
		o.change(&c)
	}
	watch := witnessed(w, &c)
	w.proxy = proxy.New(c)
	w.t.Cleanup(w.proxy.Close)
	next := http.HandlerFunc(
		func(rw http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(rw, "sluice itself") },
	)
	handler := w.proxy.ServeHost(next)
	if o.public == "-" {
		handler = w.proxy.ServeApp(w.app)
	}
	w.front = httptest.NewUnstartedServer(watch(handler))
	w.front.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	proxy.Harden(w.front.Config)
	w.front.Start()
	w.t.Cleanup(w.front.Close)
}

// person creates a person with a role once, and returns their id. "none" has no role, "superuser"
// all permissions.
func (w *world) person(role string) string {
	w.t.Helper()
	if id := w.ids[role]; id != "" {
		return id
	}
	ctx, system := context.Background(), authz.SystemPrincipal("test")
	n := identity.NewUser{Username: role, Email: role + "@example.test", Name: "The " + role, Active: true, Role: role}
	if role == "other" {
		// Tenant B: an admin of another workspace that uses the same app.
		ws, err := w.people.CreateWorkspace(ctx, system, "Other tenant")
		if err != nil {
			w.t.Fatal(err)
		}
		if err := w.apps.Manager.Offer(ctx, system, w.app.ID, ws.ID); err != nil {
			w.t.Fatal(err)
		}
		n.Role, n.Workspace, w.other = authz.RoleAdmin, ws.ID, ws.ID
	}
	if role == "superuser" || role == "none" {
		n.Role, n.Superuser = authz.RoleViewer, role == "superuser"
	}
	u, err := w.people.Create(ctx, system, n)
	if err != nil {
		w.t.Fatal(err)
	}
	if role == "none" {
		if err := w.people.SetRole(ctx, system, u.ID, identity.DefaultWorkspace, ""); err != nil {
			w.t.Fatal(err)
		}
	}
	w.ids[role] = u.ID
	return u.ID
}

// session signs a person in and returns the token for the app's origin, and the session's id.
func (w *world) session(role string) (token, id string) {
	w.t.Helper()
	ctx := context.Background()
	_, s, err := w.sessions.Start(ctx, w.person(role), authn.Meta{Method: "password"})
	if err != nil {
		w.t.Fatal(err)
	}
	if token, err = w.sessions.IssueFor(ctx, s.ID, w.app.ID); err != nil {
		w.t.Fatal(err)
	}
	return token, s.ID
}

// cookie is a Cookie header of a person with a role.
func (w *world) cookie(role string) string {
	token, _ := w.session(role)
	return authn.CookieName(true) + "=" + token
}

// key makes an API key of a person with a role, and returns its text and id.
func (w *world) key(role string, n authn.NewAPIKey) (text, id string) {
	w.t.Helper()
	n.Name, n.Owner = "test", w.person(role)
	if n.Workspace == "" {
		n.Workspace = identity.DefaultWorkspace
		if role == "other" {
			n.Workspace = w.other
		}
	}
	k, text, err := w.keys.Create(context.Background(), systemPrincipal, n)
	if err != nil {
		w.t.Fatal(err)
	}
	return text, k.ID
}

// answer is what came back on a raw connection.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request as it is given: target and headers byte for byte.
func (w *world) do(method, target string, header http.Header, body string) answer {
	w.t.Helper()
	var b strings.Builder
	b.WriteString(method + " " + target + " HTTP/1.1\r\n")
	if header.Get("Host") == "" {
		b.WriteString("Host: " + appHost + "\r\n")
	}
	for name, values := range header {
		for _, v := range values {
			b.WriteString(name + ": " + v + "\r\n")
		}
	}
	if body != "" {
		b.WriteString("Content-Length: " + itoa(len(body)) + "\r\n")
	}
	b.WriteString("\r\n" + body)
	return w.raw(b.String(), method)
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

// raw writes bytes to a fresh connection and reads one answer. Status 0 means no answer.
func (w *world) raw(text, method string) answer {
	w.t.Helper()
	c := w.dial()
	defer func() { _ = c.Close() }()
	go func() { _, _ = io.WriteString(c, text) }()
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		return answer{}
	}
	body, _ := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(body)}
}

func (w *world) dial() net.Conn {
	w.t.Helper()
	c, err := net.Dial("tcp", w.front.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// with makes headers of "Name: value" lines.
func with(list ...string) http.Header {
	h := http.Header{}
	for _, line := range list {
		name, value, _ := strings.Cut(line, ": ")
		h[name] = append(h[name], value)
	}
	return h
}

// lines collects log lines.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// eventually waits for something that happens after an answer has been sent, such as its log line.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within 10 s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// gauge is the sum of a metric over its labels.
func gauge(t testing.TB, w *world, name string) float64 {
	t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return sum
}

// clock is the time of day plus what a test adds.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

var systemPrincipal = authz.SystemPrincipal("test")

// mainToken signs a person in on Sluice's own origin.
func (w *world) mainToken(role string) string {
	w.t.Helper()
	token, _, err := w.sessions.Start(context.Background(), w.person(role), authn.Meta{Method: "password"})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// cookieOn is the app's cookie under another name.
func (w *world) cookieOn(role, name string) string {
	token, _ := w.session(role)
	return name + "=" + token
}
