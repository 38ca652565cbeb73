package proxy

import (
	"net/http"

	"sluice/internal/app"
	"sluice/internal/web"
)

// Decide takes a request through the steps from target to guard, for benchmarks and fuzzing.
func (p *Proxy) Decide(a *app.App, w http.ResponseWriter, r *http.Request) error {
	x := &exchange{p: p, app: a, r: r, event: web.NewEvent(r, "app", p.cfg.Now())}
	x.w.ResponseWriter = w
	x.event.Peer = p.cfg.Trust.ClientIP(r).String()
	x.up = p.upstreamOf(a)
	return x.judge()
}

// FindAgain is when an id is asked for again that was not found, and another workspace's worth of them may be.
const FindAgain = findWindow + missKept
