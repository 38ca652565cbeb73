package proxy

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"

	"sluice/internal/app"
	"sluice/internal/flow"
	"sluice/internal/objects"
	"sluice/internal/problem"
)

// upstream is what the proxy keeps for one builder: a transport with its connections, and the counters with the app's name on them.
type upstream struct {
	address   string
	transport *http.Transport
	counters  counters
	objects   *flow.Objects  // whose its objects are
	making    sync.RWMutex   // read by creations, written by imports
	finder    objects.Finder // looks for what the map does not know
}

// upstreamOf finds or makes the upstream of an app. A changed address gets a new transport.
func (p *Proxy) upstreamOf(a *app.App) *upstream {
	if v, ok := p.upstreams.Load(a.ID); ok {
		if up := v.(*upstream); up.address == a.Upstream.Host {
			return up
		}
	}
	up := &upstream{address: a.Upstream.Host, transport: NewTransport(p.cfg.HeaderTimeout), counters: p.metrics.of(a.Slug), objects: p.cfg.Apps.Flows.Of(a.ID)}
	if old, ok := p.upstreams.Swap(a.ID, up); ok {
		old.(*upstream).transport.CloseIdleConnections()
	}
	return up
}

// NewTransport makes the transport to one builder. As many connections stay idle as there is concurrency: the two per host of
// http.DefaultTransport cost more than half of the throughput. HTTP/1.1 only, no proxy, and bodies stay as they are encoded.
func NewTransport(headerTimeout time.Duration) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConns:           0,
		MaxIdleConnsPerHost:    4096,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		DisableCompression:     true,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              protocols,
	}
}

// distrust gives up idle connections after a failure of the builder, once its answer was read. What Python programs did not expect makes some of their servers close the connection behind
// the answer without saying so, and whatever is sent over it next is lost.
func (u *upstream) distrust(status int) {
	if status >= http.StatusInternalServerError {
		u.transport.CloseIdleConnections()
	}
}

// bufferPool lends the buffers that answers are copied through.
type bufferPool struct{ pool sync.Pool }

// bufferSize is io.Copy's own; smaller ones are slower on large bodies.
const bufferSize = 32 << 10

// Get is httputil.BufferPool.
func (b *bufferPool) Get() []byte {
	if v, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return v[:]
	}
	return new([bufferSize]byte)[:]
}

// Put is httputil.BufferPool.
func (b *bufferPool) Put(buf []byte) {
	if len(buf) == bufferSize {
		b.pool.Put((*[bufferSize]byte)(buf))
	}
}

// silent takes the remarks of ReverseProxy; what matters of them is in the event.
var silent = log.New(io.Discard, "", 0)

// forward sends the request to the builder and its answer to the client.
func (x *exchange) forward() {
	x.prepareBody()
	if err := x.beginMaking(); err != nil {
		x.refuse(err)
		return
	}
	x.takePaging()
	x.watchFromStart()
	x.w.pause = x.p.cfg.BodyTimeout
	if !x.upgrading() {
		x.relay()
		return
	}
	rp := httputil.ReverseProxy{
		Rewrite: x.rewrite, Transport: x, BufferPool: &x.p.buffers, ModifyResponse: x.modify, ErrorHandler: x.failed, ErrorLog: silent,
	}
	rp.ServeHTTP(&x.w, x.r)
}

// prepareBody bounds a body in size and time that nobody has read yet.
func (x *exchange) prepareBody() {
	if x.r.ContentLength != 0 && x.body == nil {
		x.r.Body = x.patient(http.MaxBytesReader(x.w.ResponseWriter, x.r.Body, x.maxBody()))
	}
}

// errClientGone means that nobody waits for the answer any more.
var errClientGone = errors.New("the client closed the connection")

// failed is called by ReverseProxy when there is no answer to pass on.
func (x *exchange) failed(_ http.ResponseWriter, _ *http.Request, err error) {
	x.refuse(x.explain(err))
}

// explain turns what went wrong between Sluice and the builder into something to show.
func (x *exchange) explain(err error) error {
	var known *problem.Error
	var large *http.MaxBytesError
	var dial *net.OpError
	var timeout net.Error
	switch {
	case x.cut != nil && x.cut.fired.Load():
		return problem.New(problem.Unauthenticated, "Your session has ended.").WithRule("session ended").WithCause(err)
	case errors.As(err, &known):
		return err
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case x.client().Err() != nil:
		return errClientGone
	case errors.As(err, &dial) && dial.Op == "dial":
		return problem.Newf(problem.Unavailable, "%s does not answer. It may be starting, or it is down.", x.app.Name).
			WithRule("builder down").WithRetryAfter(5 * time.Second).WithCause(err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return problem.Newf(problem.Timeout, "%s took the request and did not begin to answer within %v.", x.app.Name, x.p.cfg.HeaderTimeout).
			WithRule("builder slow").WithCause(err)
	default:
		return problem.Newf(problem.Upstream, "%s broke off or gave an answer that is not HTTP.", x.app.Name).
			WithRule("builder broken").WithRetryAfter(5 * time.Second).WithCause(err)
	}
}

// client is done when the client is gone, and never for another reason.
func (x *exchange) client() context.Context {
	if x.cut != nil && x.cut.client != nil {
		return x.cut.client
	}
	return x.r.Context()
}
