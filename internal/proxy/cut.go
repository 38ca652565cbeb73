package proxy

import (
	"context"
	"net/http"
	"sync/atomic"
)

// cutter cuts an exchange when the session or the API key behind it is revoked or expires.
type cutter struct {
	cancel context.CancelFunc // of the delivery's context; nil if only its answer is cut
	fired  atomic.Bool
	over   chan struct{}
}

// hasFired reports whether the exchange was cut. A nil cutter never fires.
func (c *cutter) hasFired() bool { return c != nil && c.fired.Load() }

// release stops the watch when the exchange is over.
func (c *cutter) release() {
	if c == nil {
		return
	}
	close(c.over)
	if c.cancel != nil {
		c.cancel()
	}
}

// watchAnswer watches an answer that may last: an event stream, or a body of large or unknown
// length.
func watchAnswer(d *delivery, res *http.Response) error {
	const large = 1 << 20
	if d.reply.cut != nil || !d.revocable() || res.ContentLength >= 0 && res.ContentLength < large {
		return nil
	}
	body := res.Body
	d.watch(func() { _ = body.Close() })
	return nil
}
