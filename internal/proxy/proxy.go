package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/web"
)

// Config configures a Proxy. Apps, Sessions, Gate, MainOrigin, SignOut, Metrics and Log are
// required; zero limits mean the defaults.
type Config struct {
	// Apps are the connected apps.
	Apps *app.Registry
	// Sessions resolves session cookies to principals.
	Sessions *authn.Sessions
	// Keys are the API keys, which the builders' own pages for keys show. Nil disables them.
	Keys *authn.Keys
	// People and Logins serve the builders' own pages that show and change people; nil disables
	// these pages. NewUserActive reports whether people who are added there can sign in
	// immediately.
	People        *identity.People
	Logins        *login.Logins
	NewUserActive bool
	// Credentials resolves credentials to principals; nil: only session cookies and Keys are
	// accepted.
	Credentials *authn.Credentials
	// Gate makes the authorization decisions.
	Gate *authz.Gate
	// SignOut revokes the session of a principal, on all origins.
	SignOut func(ctx context.Context, p authz.Principal) error
	// Sign signs claims as a compact JWS, for apps behind a reverse proxy; nil: they get no
	// assertions.
	Sign func(claims any) (string, error)
	// MainOrigin returns the origin of Sluice's own pages for a browser that requested this Host,
	// e.g. "http://127.0.0.1:3000".
	MainOrigin func(requestHost string) string
	// Hosts are the names, without port, by which browsers reach Sluice in addition to IP
	// addresses, localhost and the apps' public addresses.
	Hosts []string
	// SecureCookies overrides whether cookies on Sluice's own host name carry Secure. Nil follows
	// the scheme that the browser used, as cookies on other host names always do.
	SecureCookies *bool
	// Trust determines which proxies in front of Sluice are believed.
	Trust web.Trust
	// MaxBody is the largest request body in bytes if the endpoint sets no limit; default 50 MiB.
	MaxBody int64
	// MaxStrangerBody is the largest body in bytes that is inspected for a stranger; default 8 MiB.
	MaxStrangerBody int64
	// MaxHeld bounds the total bytes of bodies that are in memory for inspection at the same time;
	// default 128 MiB.
	MaxHeld int64
	// HeaderTimeout is how long a builder may take to begin its answer; default 5 minutes, because
	// a flow may call a slow model.
	HeaderTimeout time.Duration
	// BodyTimeout is how long a client may pause while it sends a body or reads an answer; default
	// 1 minute.
	BodyTimeout time.Duration
	// Metrics registers the counters.
	Metrics prometheus.Registerer
	// Log gets one line per request.
	Log *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Proxy is the data plane. It is safe for concurrent use.
type Proxy struct {
	cfg       Config
	crossSite http.CrossOriginProtection
	buffers   bufferPool
	upstreams sync.Map     // app id -> *upstream
	held      atomic.Int64 // bytes of bodies in memory
	metrics   metrics
	asserted  *assertionCache
	asked     sync.Pool // of *subRequest
	judges    sync.Pool // of *judge
	fresh     builder.FreshKeys
}

// New creates a Proxy and registers its metrics.
func New(c Config) *Proxy {
	orDefault(&c.MaxBody, 50<<20)
	orDefault(&c.MaxStrangerBody, 8<<20)
	orDefault(&c.MaxHeld, 128<<20)
	orDefault(&c.HeaderTimeout, 5*time.Minute)
	orDefault(&c.BodyTimeout, time.Minute)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Credentials == nil {
		c.Credentials = &authn.Credentials{Sessions: c.Sessions, Keys: c.Keys}
	}
	return &Proxy{cfg: c, metrics: newMetrics(c.Metrics), asserted: newAssertionCache()}
}

func orDefault[T int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Close closes idle connections to the builders. Requests under way continue.
func (p *Proxy) Close() {
	p.upstreams.Range(func(_, v any) bool {
		v.(*upstream).transport.CloseIdleConnections()
		return true
	})
}

// Harden sets the limits that every Sluice listener needs: the size of a request's head, how long
// it may take to arrive, and how long an idle connection stays open. There is no limit on a whole
// request, because streams last; bodies have Config.BodyTimeout instead.
func Harden(s *http.Server) {
	s.MaxHeaderBytes = 32<<10 - 4096 // net/http adds 4 KiB
	s.ReadHeaderTimeout = 10 * time.Second
	s.IdleTimeout = 2 * time.Minute
	s.DisableGeneralOptionsHandler = true // refuseForm refuses "OPTIONS *"
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
}

// exchange holds everything that one request needs in memory, in one allocation.
type exchange struct {
	req     Request
	memory  memory
	verdict Verdict
	reply   reply
}

// begin prepares for a request that a client sends from an address.
func (x *exchange) begin(p *Proxy, a *app.App, w http.ResponseWriter, r *http.Request, front, peer string) {
	x.memory = memory{all: &p.held, most: p.cfg.MaxHeld}
	x.reply.event = web.NewEvent(r, front, p.cfg.Now())
	x.reply.event.App, x.reply.event.Peer = a.Slug, peer
	x.reply.w.ResponseWriter = w
	x.req = newRequest(p, a, w, r, &x.reply.event, &x.memory)
	x.reply.req = &x.req
}

// serve takes a request for an app through all steps.
func (p *Proxy) serve(a *app.App, w http.ResponseWriter, r *http.Request) {
	x := &exchange{}
	x.begin(p, a, w, r, "app", p.cfg.Trust.ClientIP(r).String())
	reply := &x.reply
	defer reply.finish()
	if strings.HasPrefix(r.RequestURI, reservedPrefix) {
		serveReserved(reply)
		return
	}
	if a.ForwardAuth() {
		reply.refuse(notForwarded(a))
		return
	}
	err := x.req.readTarget()
	reply.notePath(x.req.path, nil)
	switch {
	case err != nil:
		reply.refuse(err)
		return
	case r.Method == http.MethodOptions:
		reply.preflight()
		return
	}
	v := &x.verdict
	*v, err = Judge(r.Context(), &x.req)
	reply.note(v)
	switch {
	case err != nil:
		reply.refuse(err)
	case v.instead != "":
		reply.answerInstead(r.Context(), v)
	default:
		forward(reply, v)
	}
}

// upstreamOf finds or creates the upstream of an app. A changed address gets a new transport.
func (p *Proxy) upstreamOf(a *app.App) *upstream {
	if v, ok := p.upstreams.Load(a.ID); ok {
		if up := v.(*upstream); up.address == a.Upstream.Host {
			return up
		}
	}
	up := &upstream{
		address:   a.Upstream.Host,
		transport: NewTransport(p.cfg.HeaderTimeout),
		counters:  p.metrics.of(a.Slug),
		objects:   p.cfg.Apps.Flows.Of(a.ID),
	}
	if old, ok := p.upstreams.Swap(a.ID, up); ok {
		old.(*upstream).transport.CloseIdleConnections()
	}
	return up
}
