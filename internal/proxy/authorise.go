package proxy

import (
	"time"

	"sluice/internal/authz"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// authorise decides whether the request may go on, and whether the builder's session is lent to it. A person's right and a flow's
// publication are two ways in; only the first one lends the session.
func (x *exchange) authorise() error {
	e := x.match.Endpoint
	if x.app.Pending {
		return problem.Newf(problem.Unavailable, "Nothing has answered yet at the address of %s.", x.app.Name).WithRule("app pending").
			WithRetryAfter(5 * time.Second).WithNext("Start the builder; Sluice looks again by itself.")
	}
	if e == nil {
		return x.unlisted()
	}
	if e.Blocked != "" {
		return x.closed()
	}
	if err := x.checkUpgrade(); err != nil {
		return err
	}
	if len(e.Flow) > 0 && !refersToBody(e) {
		if _, err := x.flowID(); err != nil {
			return err
		}
	}
	open, err := x.open()
	if err != nil {
		return err
	}
	if !x.who.SignedIn() {
		if !open {
			return needSignIn()
		}
		return nil
	}
	if open && !x.p.cfg.Gate.Decide(x.who, e.Action, x.resource()).Allowed {
		return nil
	}
	if err := x.check(e.Action); err != nil {
		return err
	}
	x.lend = x.who
	return nil
}

// open reports whether the endpoint takes strangers for this request.
func (x *exchange) open() (bool, error) {
	switch x.match.Endpoint.Public {
	case profile.PublicAlways:
		return true, nil
	case profile.PublicFlow:
		id, err := x.flowID()
		return err == nil && id != "" && x.app.Published(id), err
	}
	return false, nil
}

// check asks the gate about a further action; it records a refusal.
func (x *exchange) check(a authz.Action) error {
	return x.p.cfg.Gate.Check(x.r.Context(), x.who, a, x.resource())
}

// resource is what rights are asked about: the flow if the request names one, otherwise the app.
func (x *exchange) resource() authz.Resource {
	res := authz.Resource{Type: "App", ID: x.app.ID, Workspace: x.app.WorkspaceID, Name: x.app.Name}
	if x.flow != "" {
		res.Type, res.ID = "Flow", x.flow
	}
	return res
}

// unlisted is the refusal for a path without an endpoint. Strangers learn nothing about which paths there are.
func (x *exchange) unlisted() error {
	if !x.who.SignedIn() {
		return needSignIn()
	}
	return problem.New(problem.NotFound, "This path is not one that Sluice lets through.").WithRule("not in the route table").
		WithNext("If a page of the builder needs it, tell the people who run Sluice the request's id.")
}

// closed is the refusal for an endpoint that is closed for everybody.
func (x *exchange) closed() error {
	if !x.who.SignedIn() {
		return needSignIn()
	}
	return problem.New(problem.Denied, x.match.Endpoint.Blocked).WithRule("closed: " + x.match.Endpoint.Name)
}

func needSignIn() error {
	return problem.New(problem.Unauthenticated, "Sign in to Sluice to use this.").WithRule("not signed in")
}
