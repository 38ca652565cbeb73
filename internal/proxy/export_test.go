package proxy

import (
	"context"
	"io"
	"net"
	"net/http"

	"sluice/internal/app"
)

// Decide takes a request through the steps from target to guard, for benchmarks and fuzzing.
func (p *Proxy) Decide(a *app.App, w http.ResponseWriter, r *http.Request) error {
	x := &exchange{}
	x.begin(p, a, w, r, "app", p.cfg.Trust.ClientIP(r).String())
	if err := x.req.readTarget(); err != nil || r.Method == http.MethodOptions {
		return err
	}
	_, err := Judge(r.Context(), &x.req)
	return err
}

// Tap copies what is sent to the builders of all connected apps into writers, one for each connection. What was tapped
// before is remembered in done. No request may be under way to an app that has not been tapped.
func (p *Proxy) Tap(done map[any]bool, wire func() io.Writer) {
	for _, a := range p.cfg.Apps.All() {
		t := p.upstreamOf(a).transport
		if done[t] {
			continue
		}
		done[t] = true
		dial := t.DialContext
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return tappedConn{c, wire()}, nil
		}
	}
}

type tappedConn struct {
	net.Conn
	wire io.Writer
}

// Write copies what is sent.
func (c tappedConn) Write(b []byte) (int, error) {
	_, _ = c.wire.Write(b)
	return c.Conn.Write(b)
}
