package proxy

import (
	"context"
	"io"
	"net"
	"net/http"

	"sluice/internal/app"
)

// Decision is what a test may see of a Verdict.
type Decision struct {
	Endpoint, Person                   string
	Delegated, Locked                  bool
	Workspace, Account, Flow           string
	Path, Query, Body, Instead, Reason string
	Named                              []string
}

// Decide takes a request through the steps from path to guard.
func (p *Proxy) Decide(a *app.App, w http.ResponseWriter, r *http.Request) (Decision, error) {
	x := &exchange{}
	x.begin(p, a, w, r, "app", p.cfg.Trust.ClientIP(r).String())
	defer x.memory.keep(0)
	if err := x.req.readTarget(); err != nil || r.Method == http.MethodOptions {
		return Decision{}, err
	}
	v, err := Judge(r.Context(), &x.req)
	d := Decision{
		Person:    v.requester.who().ID,
		Delegated: v.delegated,
		Locked:    v.locked,
		Workspace: v.place.Workspace,
		Account:   v.place.Account,
		Flow:      v.flow,
		Path:      v.match.Path,
		Query:     v.rawQuery,
		Body:      string(v.body.data),
		Instead:   v.instead,
		Reason:    v.reason,
		Named:     v.named,
	}
	if e := v.endpoint(); e != nil {
		d.Endpoint = e.Name
	}
	return d, err
}

// Held is how many bytes of bodies are in memory.
func (p *Proxy) Held() int64 { return p.held.Load() }

// Tap copies the traffic to the builders of all connected apps into writers, one for each
// connection. done lists the apps that are already tapped. No request may be running to an app that
// is not tapped.
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
