package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"sluice/internal/problem"
)

// delivery takes one judged request to the builder, and the builder's answer back through the
// filters.
type delivery struct {
	v       *Verdict
	r       *http.Request // the client's; its context ends when the credential is revoked
	trip    trip
	results results
	reply   *reply
}

// forward sends a judged request to the builder and the builder's answer to the client.
func forward(a *reply, v *Verdict) {
	d := delivery{v: v, r: v.Request.http, trip: newTrip(v, &a.renewed), reply: a}
	d.results = results{v: v, trip: &d.trip}
	defer d.end()
	if d.results.mustBeRecorded() {
		ctx, cancel := outlive(d.r.Context(), v.Request.p.cfg.HeaderTimeout)
		defer cancel()
		d.r = d.r.WithContext(ctx)
	}
	if err := d.results.begin(d.r.Context()); err != nil {
		a.refuse(err)
		return
	}
	d.watchFromStart()
	a.w.pause = v.Request.p.cfg.BodyTimeout
	if !v.Request.upgrading() {
		d.relay()
		return
	}
	rp := httputil.ReverseProxy{
		Rewrite:        d.rewrite,
		Transport:      &d.trip,
		BufferPool:     &v.Request.p.buffers,
		ModifyResponse: d.filter,
		ErrorHandler:   func(_ http.ResponseWriter, _ *http.Request, err error) { a.refuse(d.explain(err)) },
		ErrorLog:       silent,
	}
	rp.ServeHTTP(&a.w, d.r)
}

// outlive returns a context that lasts longer than ctx by a grace period. A client that hangs up
// does not stop work that the builder has started, and Sluice needs the answer to record it.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(out, func() { timer.Stop() })
	})
	return out, func() { stop(); cancel() }
}

// end releases what the delivery holds.
func (d *delivery) end() {
	d.reply.cut.release()
	d.results.end()
}

// explain turns a failure between Sluice and the builder into an error to show.
func (d *delivery) explain(err error) error {
	var known *problem.Error
	var large *http.MaxBytesError
	var dial *net.OpError
	var timeout net.Error
	req := d.v.Request
	switch {
	case d.reply.cut.hasFired():
		return problem.New(problem.Unauthenticated, "Your session has ended.").
			WithRule("session ended").WithCause(err)
	case errors.As(err, &known):
		return err
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case req.http.Context().Err() != nil:
		return errClientGone
	case errors.As(err, &dial) && dial.Op == "dial":
		return problem.Newf(
			problem.Unavailable,
			"%s does not answer. It may be starting, or it is down.",
			req.app.Name,
		).WithRule("builder down").WithRetryAfter(5 * time.Second).WithCause(err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return problem.Newf(
			problem.Timeout,
			"%s received the request but did not start to answer within %v.",
			req.app.Name, req.p.cfg.HeaderTimeout,
		).WithRule("builder slow").WithCause(err)
	default:
		return problem.Newf(problem.Upstream, "%s closed the connection or sent an answer that is not HTTP.",
			req.app.Name).
			WithRule("builder broken").
			WithRetryAfter(5 * time.Second).
			WithCause(err)
	}
}

// relay carries an ordinary request to the builder and its answer back. It does the work of
// httputil.ReverseProxy (which still serves upgrades) without its copies: one pass both judges and
// copies the headers, because header maps are most of what a Go proxy allocates. Informational
// answers and request trailers stop here, because no step has judged them.
func (d *delivery) relay() {
	out, arriving := d.outgoing()
	if arriving != nil {
		// The transport may still be reading the body when the answer is complete; net/http forbids
		// that after the handler returns.
		defer func() { _ = arriving.Close() }()
	}
	res, err := d.trip.RoundTrip(out)
	if err != nil {
		d.unanswered(err)
		d.reply.refuse(d.explain(err))
		return
	}
	defer d.v.Request.up.distrust(res.StatusCode)
	defer func() { _ = res.Body.Close() }()
	dropHops(res.Header)
	d.results.sent = out
	if err := d.filter(res); err != nil {
		d.reply.refuse(d.explain(err))
		return
	}
	w := &d.reply.w
	h := w.Header()
	for name, values := range res.Header {
		h[name] = values
	}
	for name := range res.Trailer {
		h.Add("Trailer", name)
	}
	w.WriteHeader(res.StatusCode)
	if d.copyBody(res) != nil {
		// Breaking the connection is the only way to signal an incomplete answer to the client.
		panic(http.ErrAbortHandler)
	}
	for name, values := range res.Trailer {
		h[http.TrailerPrefix+name] = values
	}
}

// unanswered records an action that the builder may have performed without answering: the builder
// broke off or took too long, or the client hung up. A builder that was never reached has done
// nothing.
func (d *delivery) unanswered(err error) {
	var own *problem.Error
	var dial *net.OpError
	if errors.As(err, &own) || errors.As(err, &dial) && dial.Op == "dial" {
		return
	}
	_ = d.results.recordStatus(d.r.Context(), noAnswer)
}

// outgoing builds the request for the builder in the form that rewrite expects. arriving is the
// client's body if it is streamed through; otherwise nil.
func (d *delivery) outgoing() (out *http.Request, arriving io.Closer) {
	h := make(http.Header, len(d.r.Header)+8)
	for name, values := range d.r.Header {
		if !hop(name) {
			h[name] = values
		}
	}
	dropNamed(h, d.r.Header["Connection"])
	if h["User-Agent"] == nil {
		h["User-Agent"] = noUserAgent
	}
	req := http.Request{
		Method:     d.r.Method,
		URL:        new(url.URL),
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     h,
	}
	if d.r.ContentLength != 0 && !d.v.body.held {
		body := &passedBody{from: d.v.Request.arriving(d.v.Request.maxBody(d.v.endpoint()))}
		req.Body, req.ContentLength, arriving = body, d.r.ContentLength, body
	}
	out = req.WithContext(d.r.Context())
	d.rewrite(&httputil.ProxyRequest{In: d.r, Out: out})
	return out, arriving
}

// rewrite turns a copy of the client's request into the builder's. Hop-by-hop headers, including
// those that Connection names, are already gone, so the client cannot remove anything that is set
// here.
func (d *delivery) rewrite(pr *httputil.ProxyRequest) {
	d.trip.target(pr.Out.URL, d.v.match.Path, d.v.rawQuery)
	pr.Out.Host = ""
	d.trip.rewriteHeader(pr.Out.Header)
	if d.results.reads() || getsScript(d.v) {
		askPlain(pr.Out.Header)
	}
	if t := pr.In.Header["Content-Type"]; t != nil {
		// The body was judged as this type; "Connection: Content-Type" must not change it.
		pr.Out.Header["Content-Type"] = t
	}
	if b := d.v.body; b.held && pr.In.ContentLength != 0 {
		pr.Out.Body, pr.Out.ContentLength = b.reader(), int64(len(b.data))
		pr.Out.GetBody = func() (io.ReadCloser, error) { return b.reader(), nil }
		pr.Out.TransferEncoding = nil
	}
}

// filter runs an answer through the filters.
func (d *delivery) filter(res *http.Response) error {
	for i := range filters {
		if err := filters[i].apply(d, res); err != nil {
			return err
		}
		if d.reply.w.switched {
			return nil
		}
	}
	return nil
}

// copyBody copies the answer's body to the client. A body of unknown length is flushed as it
// arrives; the head of a stream does not wait for its first event.
func (d *delivery) copyBody(res *http.Response) error {
	live, w, buffers := res.ContentLength < 0, &d.reply.w, &d.v.Request.p.buffers
	control := http.NewResponseController(w.ResponseWriter)
	if live && (w.stream || d.v.endpoint().Stream) {
		if err := control.Flush(); err != nil {
			return err
		}
	}
	buf := buffers.Get()
	defer buffers.Put(buf)
	for {
		n, err := res.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			if live {
				if err := control.Flush(); err != nil {
					return err
				}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// watchFromStart watches requests from before they are sent if they may wait long for the first
// byte of their answer, or leave HTTP. Other streams are detected when their answer begins; see
// watchAnswer.
func (d *delivery) watchFromStart() {
	waits := d.v.endpoint().Stream && !safe(d.r.Method)
	if !d.revocable() || !waits && !d.v.Request.upgrading() {
		return
	}
	ctx, cancel := context.WithCancel(d.r.Context())
	d.watch(cancel)
	d.reply.cut.cancel = cancel
	d.r = d.r.WithContext(ctx)
}

// revocable reports whether a revocable credential is behind the exchange.
func (d *delivery) revocable() bool {
	who := d.v.requester.who()
	return who.SessionID != "" || who.KeyID != ""
}

// watch calls stop when the credential behind the exchange is no longer valid.
func (d *delivery) watch(stop func()) {
	c := &cutter{over: make(chan struct{})}
	d.reply.cut = c
	who, cfg := d.v.requester.who(), &d.v.Request.p.cfg
	var revoked <-chan struct{}
	if who.KeyID != "" {
		revoked = cfg.Keys.Done(who.KeyID)
	} else {
		revoked = cfg.Sessions.Done(who.SessionID)
	}
	go func() {
		select {
		case <-revoked:
			c.fired.Store(true)
			stop()
		case <-c.over:
		}
	}()
}
