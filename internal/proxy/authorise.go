package proxy

import (
	"time"

	"sluice/internal/authz"
	"sluice/internal/objects"
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
	x.at.Workspace = x.who.Workspace
	if err := x.checkUpgrade(); err != nil {
		return err
	}
	if len(e.Flow) > 0 && !refersToBody(e) {
		_, err := x.flowID()
		if problem.Is(err, problem.NotFound) && !x.who.SignedIn() {
			return needSignIn() // a stranger learns nothing about which runs and names there are
		}
		if err != nil {
			return err
		}
	}
	open, err := x.open()
	if err != nil {
		return err
	}
	if !x.who.SignedIn() {
		switch {
		case !open && e.Own.Stranger != "":
			x.instead = e.Own.Stranger
			return nil
		case !open:
			return needSignIn()
		}
		return x.checkInside()
	}
	if err := x.permit(open); err != nil {
		return x.strangers(open, err)
	}
	x.lend = x.who
	return nil
}

// permit decides about a signed-in person's request: where it happens, whether the app is used there, and whether they have the right.
func (x *exchange) permit(open bool) error {
	e := x.match.Endpoint
	if err := x.locate(); err != nil {
		return err
	}
	if err := x.checkUsed(); err != nil {
		return err
	}
	if e.Shared && !x.who.Superuser && len(x.app.Workspaces) > 1 {
		return problem.New(problem.Denied, "This concerns all workspaces.").WithRule("shared").WithNext("Ask an admin of the whole installation.")
	}
	if x.allowed(x.resource()) {
		x.keepChats(false)
		x.locked = e.Result.Locked != "" && !x.mayEdit(x.flow, x.at.Workspace, x.at.Kind)
		return x.checkStarter()
	}
	if open && x.who.KeyID == "" {
		// They come in as strangers may; that is no refusal to record.
		return errAsStranger
	}
	if x.mayGoOn() {
		x.goOn(e.Name)
		return nil
	}
	return x.checkAny(e.Action, e.Asks(x.at.Kind))
}

// errAsStranger means that a person has no right of their own.
var errAsStranger = problem.New(problem.Denied, "You have no right to use this flow.").WithRule("no right")

// strangers lets a person who has no right through where strangers are let through, without the builder's session. A key never does more than it is meant for.
func (x *exchange) strangers(open bool, why error) error {
	if !open || x.who.KeyID != "" && x.match.Endpoint.Public != profile.PublicAlways || !problem.Is(why, problem.Denied) && !problem.Is(why, problem.NotFound) {
		return why
	}
	x.at = objects.Place{}
	if workspace, kind, ok := x.up.objects.Owner(x.flow); ok {
		x.at = objects.Place{Workspace: workspace, Named: true, Kind: kind}
	}
	return x.checkInside()
}

// checkInside makes sure that what a stranger names lies in the flow which is open to them, and that a run or a chat is not one of the people who work in it. Runs and chats of other
// strangers are known by ids that cannot be guessed.
func (x *exchange) checkInside() error {
	for _, ref := range x.match.Endpoint.Objects {
		if !ref.Inside() {
			continue
		}
		if ref.In == profile.InBody {
			if err := x.inspect(); err != nil {
				return err
			}
		}
		ids, err := x.idsAt(ref)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if !x.isInside(ref, id) {
				return objects.NotFound()
			}
		}
	}
	if x.job != nil && x.job.Person != "" && x.job.Person != x.who.ID {
		return objects.NotFound()
	}
	x.keepChats(true)
	return nil
}

// isInside reports whether something lies in the request's flow, as far as strangers are concerned.
func (x *exchange) isInside(ref profile.IDRef, id string) bool {
	if ref.Kind == profile.ChatSession {
		c, known := x.p.cfg.Apps.Flows.ChatOf(x.app.ID, id)
		x.chats = append(x.chats, id)
		return len(id) <= objects.MaxChat && (!known || c.Public && c.Flow == x.flow)
	}
	parent, err := x.parent(ref, id)
	return err == nil && parent == x.flow
}

// open reports whether the endpoint takes strangers for this request.
func (x *exchange) open() (bool, error) {
	switch x.match.Endpoint.Public {
	case profile.PublicAlways:
		return true, nil
	case profile.PublicFlow:
		id, err := x.flowID()
		return err == nil && id != "" && x.published(), err
	}
	return false, nil
}

// published reports whether the request's flow is open to strangers: an admin has published it, it belongs to a workspace, and the app is used there. It
// says where the request happens.
func (x *exchange) published() bool {
	if !x.app.Published(x.flow) {
		return false
	}
	workspace, kind, ok := x.up.objects.Owner(x.flow)
	if !ok || !x.app.UsedIn(workspace) {
		return false
	}
	if !x.who.SignedIn() {
		x.at = objects.Place{Workspace: workspace, Named: true, Kind: kind}
	}
	return true
}

// check asks the gate about a further action; it records a refusal.
func (x *exchange) check(a authz.Action) error {
	return x.p.cfg.Gate.Check(x.r.Context(), x.who, a, x.resource())
}

// resource is what rights are asked about: the flow if the request names one, otherwise the app.
func (x *exchange) resource() authz.Resource {
	res := authz.Resource{Type: "App", ID: x.app.ID, App: x.app.ID, Workspace: x.at.Workspace, Name: x.app.Name}
	if x.match.Endpoint == nil {
		res.Workspace = x.app.WorkspaceID // Sluice's own paths are about the app itself
	}
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
