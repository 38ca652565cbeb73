package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/objects"
	"sluice/internal/profile"
	"sluice/internal/web"
)

// Config of a Proxy. Apps, Sessions, Gate, MainOrigin, SignOut, Metrics and Log are needed; zero limits stand for the defaults.
type Config struct {
	// Apps are the connected apps.
	Apps *app.Registry
	// Sessions tells who a cookie belongs to.
	Sessions *authn.Sessions
	// Keys are the API keys; the builders' own pages for keys show them. Nil: there are none.
	Keys *authn.Keys
	// People and Logins are for builders' own pages that show and change people; nil: there are none. NewUserActive tells whether people who are added there may come in at once.
	People        *identity.People
	Logins        *login.Logins
	NewUserActive bool
	// Credentials tells who asks; nil: only session cookies and Keys do.
	Credentials *authn.Credentials
	// Gate decides.
	Gate *authz.Gate
	// SignOut ends the session of a principal, on all origins.
	SignOut func(ctx context.Context, p authz.Principal) error
	// Sign signs claims as a compact JWS, for apps behind a reverse proxy; nil: they get no assertions.
	Sign func(claims any) (string, error)
	// MainOrigin is the origin of Sluice's own pages for a browser that asked for this Host, e.g. "http://127.0.0.1:3000".
	MainOrigin func(requestHost string) string
	// Hosts are the names, without port, by which Sluice is reached besides IP addresses, localhost and the apps' public addresses.
	Hosts []string
	// SecureCookies overrides whether cookies on Sluice's own host name carry Secure; nil goes by the scheme that the browser used, as
	// cookies on other host names always do.
	SecureCookies *bool
	// Trust says which proxies in front of Sluice are believed.
	Trust web.Trust
	// MaxBody is the largest request body in bytes where the endpoint sets no limit; default 50 MiB.
	MaxBody int64
	// MaxStrangerBody is the largest body in bytes that somebody who is not signed in may have inspected; default 8 MiB.
	MaxStrangerBody int64
	// MaxHeld bounds the bytes of all bodies that are held in memory at a time to be inspected; default 128 MiB.
	MaxHeld int64
	// HeaderTimeout is how long a builder may take until its answer begins; default 5 minutes, because a flow may call a slow model.
	HeaderTimeout time.Duration
	// BodyTimeout is how long a client may pause while it sends a body or reads an answer; default 1 minute.
	BodyTimeout time.Duration
	// Metrics is where counters are registered.
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
	upstreams sync.Map // app id -> *upstream
	held      atomic.Int64
	metrics   metrics
	sayings   *sayings
	asked     sync.Pool // of *askedExchange
	fresh     builder.FreshKeys
}

// New makes a Proxy and registers its metrics.
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
	return &Proxy{cfg: c, metrics: newMetrics(c.Metrics), sayings: newSayings()}
}

func orDefault[T int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Close drops idle connections to the builders. Requests that are under way go on.
func (p *Proxy) Close() {
	p.upstreams.Range(func(_, v any) bool {
		v.(*upstream).transport.CloseIdleConnections()
		return true
	})
}

// Harden sets the limits that every listener of Sluice needs: the size of a request's head, how long it may take to arrive, and how long
// an idle connection stays. There is no limit on a whole request, because streams last; bodies have Config.BodyTimeout instead.
func Harden(s *http.Server) {
	s.MaxHeaderBytes = 32<<10 - 4096 // net/http adds 4 KiB
	s.ReadHeaderTimeout = 10 * time.Second
	s.IdleTimeout = 2 * time.Minute
	s.DisableGeneralOptionsHandler = true // "OPTIONS *" is refused like every target that is no path
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
}

// exchange is one request and its answer on their way through the steps.
type exchange struct {
	p   *Proxy
	app *app.App
	up  *upstream
	w   writer
	r   *http.Request

	path, rawQuery string        // canonical, and as on the wire
	query          url.Values    // nil if there is none
	match          profile.Match // what the path was classified as
	who            authz.Principal
	shown          authn.Credential // what who has shown
	refusedKey     bool             // a key or token was offered and is not good
	lend           authz.Principal  // who the builder's session is lent to: who, or nobody
	instead        string           // what Sluice answers a stranger in the builder's stead
	flow           string           // the flow's id, if the endpoint has one
	job            *flow.Job        // the run that the request names
	chats          []string         // the sessions that it names
	locked         bool             // the person may not change the flow that the answer shows
	at             objects.Place    // the workspace that it is about
	page           objects.Page     // of a list, if Sluice pages it
	everyPage      string           // the query for the pages of a builder that gives no whole list, up to the number
	sent           *http.Request    // what was sent to the builder, while that may be asked for further pages
	before         map[string]bool  // objects that were there before an import
	doomed         []string         // objects that go with what the request deletes
	frees          []func()         // what is given back at the end
	body           *heldBody        // nil unless held in memory
	origin         string           // of the app, as this browser sees it; see appOrigin
	cut            *cutter          // nil unless the exchange ends with its session
	retried        bool             // the builder refused the session once
	asker          string           // of a sub-request: which answers the reverse proxy understands
	cookiesFor     string           // see audience

	event web.Event
}

// serve takes a request for an app through all steps.
func (p *Proxy) serve(a *app.App, w http.ResponseWriter, r *http.Request) {
	x := &exchange{p: p, app: a, r: r, event: web.NewEvent(r, "app", p.cfg.Now())}
	x.w.ResponseWriter = w
	x.event.App = a.Slug
	x.event.Peer = p.cfg.Trust.ClientIP(r).String()
	x.up = p.upstreamOf(a)
	defer x.finish()
	if strings.HasPrefix(r.RequestURI, reservedPrefix) {
		x.serveReserved()
		return
	}
	if a.ForwardAuth() {
		x.refuse(x.notForwarded())
		return
	}
	if err := x.judge(); err != nil {
		x.refuse(err)
		return
	}
	x.deliver()
}

// judge takes the steps that decide. After it the request may be forwarded as it is described in x.
func (x *exchange) judge() error {
	if err := x.readTarget(); err != nil {
		return err
	}
	if x.r.Method == http.MethodOptions {
		return nil
	}
	x.classify()
	if err := x.authenticate(); err != nil {
		return err
	}
	if err := x.authorise(); err != nil {
		return err
	}
	if err := x.guard(); err != nil {
		return err
	}
	if err := x.inspectGuarded(); err != nil {
		return err
	}
	return x.restoreGraph()
}

// deliver gives the answer: Sluice's own where the endpoint has one, otherwise the builder's.
func (x *exchange) deliver() {
	switch {
	case x.r.Method == http.MethodOptions:
		x.preflight()
	case x.instead != "":
		x.answerItself(x.instead)
	case x.match.Endpoint.Own.Answer != "":
		x.answerItself(x.match.Endpoint.Own.Answer)
	default:
		x.forward()
	}
}
