package proxy

import (
	"cmp"
	"io"
	"net/http"
	"time"

	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// bridged reports whether the request goes into a session that the builder may have forgotten.
func (x *exchange) bridged() bool {
	return x.lend.SignedIn() && x.match.Endpoint.Upstream != profile.UpstreamNone && x.app.Profile.HoldsSession()
}

// RoundTrip is the transport of the exchange: it adds the builder's session, and when the builder has forgotten it (it was restarted, say)
// renews it and sends the request once more. A 401, or a 403 to a key, means that the builder did nothing, so that any method may be repeated.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := x.attach(req); err != nil {
		return nil, err
	}
	if list := x.match.Endpoint.Result.List; list != nil && (x.everyPage != "" || list.Accounts) {
		x.sent = req
	}
	res, err := x.up.transport.RoundTrip(req)
	if err != nil || !x.refusesSession(res.StatusCode) || !x.bridged() {
		return res, err
	}
	return x.renew(req, res)
}

// refusesSession reports whether a status may mean that the builder does not know what the bridge has attached.
func (x *exchange) refusesSession(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden && x.match.Endpoint.Upstream == profile.UpstreamKey
}

func (x *exchange) attach(req *http.Request) error {
	if x.app.Bridge == nil {
		if !x.bridged() {
			return nil
		}
		return problem.Newf(problem.Unavailable, "Sluice has no account of %s yet.", x.app.Name).WithRule("no owner account").
			WithNext("An admin can give it one on Sluice's apps page.")
	}
	if err := x.attachFlowKey(req); err != nil {
		return err
	}
	return x.app.Bridge.Attach(req.Context(), req.Header, x.lent(), x.match.Endpoint)
}

// lent says for whom and where the request goes into the builder's session.
func (x *exchange) lent() builder.OnBehalf {
	return x.atHome(builder.OnBehalf{Principal: x.lend, Workspace: x.at.Workspace, Account: x.at.Account})
}

// atHome names an account's own workspace: it may hold what is another one's, and is entered from its own.
func (x *exchange) atHome(l builder.OnBehalf) builder.OnBehalf {
	if accounts := x.accounts(); l.Account != "" && accounts != nil {
		l.Workspace = cmp.Or(accounts.HomeOf(l.Account), l.Workspace)
	}
	return l
}

// attachFlowKey adds the builder's own key of a flow that asks for one, where somebody with a right of their own runs it. Strangers get what the builder gives strangers.
func (x *exchange) attachFlowKey(req *http.Request) error {
	kind := x.match.Endpoint.Adds.FlowKey
	if kind == "" || x.app.Bridge.FlowKey == nil || !x.lend.SignedIn() {
		return nil
	}
	key, err := x.app.Bridge.FlowKey(req.Context(), kind, x.flow)
	if err != nil || key == "" {
		return err
	}
	req.Header["Authorization"] = []string{"Bearer " + key}
	return nil
}

// renew has the session renewed and repeats the request if it still can.
func (x *exchange) renew(req *http.Request, refused *http.Response) (*http.Response, error) {
	switch renewed := x.app.Bridge.Rejected(req.Context(), req.Header); {
	case !renewed && refused.StatusCode == http.StatusForbidden:
		return refused, nil // about what was asked for, and not about the key
	case !renewed:
		discard(refused)
		return nil, x.noSession()
	}
	discard(refused)
	x.retried = true
	again := req.Clone(req.Context())
	if req.Body != nil && req.Body != http.NoBody {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		again.Body = body
	}
	x.rewriteHeader(again.Header)
	if err := x.attach(again); err != nil {
		return nil, err
	}
	res, err := x.up.transport.RoundTrip(again)
	if err == nil && res.StatusCode == http.StatusUnauthorized {
		discard(res)
		return nil, x.noSession()
	}
	return res, err
}

// noSession stands for a 401 of the builder that cannot be mended now. It must not reach the browser: the builder's pages would take it
// for the end of the person's own session, and send them in circles.
func (x *exchange) noSession() error {
	return problem.Newf(problem.Unavailable, "%s does not accept Sluice's session at the moment.", x.app.Name).WithRule("builder's session").
		WithRetryAfter(2 * time.Second).WithNext("Try again in a few seconds; if it stays, ask an admin to look at Sluice's apps page.")
}

// discard reads the rest of a short answer, so that its connection can be used again.
func discard(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10)
	_ = res.Body.Close()
}
