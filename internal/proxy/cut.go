package proxy

import (
	"context"
	"net/http"
	"sync/atomic"
)

// cutter ends an exchange when the session or the API key behind it ends.
type cutter struct {
	client context.Context    // of the client's connection, if the request's own context can be cut
	cancel context.CancelFunc // of the request's own context
	fired  atomic.Bool
	over   chan struct{}
}

// watchFromStart puts requests that may wait long for the first byte of their answer, or that leave HTTP, under watch before they are
// sent. Other streams are found out when their answer begins; see watchAnswer.
func (x *exchange) watchFromStart() {
	waits := x.match.Endpoint.Stream && !safe(x.r.Method)
	if !x.revocable() || !waits && !x.upgrading() {
		return
	}
	client := x.r.Context()
	ctx, cancel := context.WithCancel(client)
	x.watch(cancel)
	x.cut.client, x.cut.cancel = client, cancel
	x.r = x.r.WithContext(ctx)
}

// watchAnswer puts an answer that may last under watch: an event stream, or one whose length is not known or large.
func (x *exchange) watchAnswer(res *http.Response) {
	const large = 1 << 20
	if x.cut != nil || !x.revocable() || res.ContentLength >= 0 && res.ContentLength < large {
		return
	}
	body := res.Body
	x.watch(func() { _ = body.Close() })
}

// revocable reports whether there is something behind the exchange that can end.
func (x *exchange) revocable() bool { return x.who.SessionID != "" || x.who.KeyID != "" }

// ended is closed when what is behind the exchange ends.
func (x *exchange) ended() <-chan struct{} {
	if x.who.KeyID != "" {
		return x.p.cfg.Keys.Done(x.who.KeyID)
	}
	return x.p.cfg.Sessions.Done(x.who.SessionID)
}

func (x *exchange) watch(stop func()) {
	c := &cutter{over: make(chan struct{})}
	ended := x.ended()
	x.cut = c
	go func() {
		select {
		case <-ended:
			c.fired.Store(true)
			stop()
		case <-c.over:
		}
	}()
}

// release ends the watch; the exchange is over.
func (c *cutter) release() {
	if c == nil {
		return
	}
	close(c.over)
	if c.cancel != nil {
		c.cancel()
	}
}
