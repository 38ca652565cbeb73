package proxy

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/objects"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// Verdict is the decision on a Request. It names the requester and either the way to the builder
// (on whose behalf, in which account, the target and the body) or the answer that Sluice gives
// instead. A Verdict does not change after Judge returns it.
//
// A Verdict that comes with an error holds everything known before the refusal, for the answer and
// the log.
type Verdict struct {
	Request *Request

	match     profile.Match
	requester requester
	// delegated reports that the request goes into the builder's session on behalf of the
	// requester. If it is false, the builder sees a stranger.
	delegated bool

	place objects.Place
	flow  string // the id of the flow that the request is about; "" for none
	named []string

	// locked reports that the requester may see a flow but not change it: the answer must tell the
	// builder's page that the flow is read-only.
	locked bool
	// body is the body for the builder if it was read; otherwise the client's body is streamed
	// through.
	body body
	// rawQuery is the query for the builder. paging is the page of a list that Sluice itself cuts
	// out of the builder's answer.
	rawQuery string
	paging   paging

	// instead names Sluice's own answer; "" if the builder answers. reason explains in the log why
	// the answer is not a refusal although the requester lacks the right.
	instead string
	reason  string
}

// endpoint is the row of the builder's table; nil for paths that are not in it.
func (v *Verdict) endpoint() *profile.Endpoint { return v.match.Endpoint }

// behalf returns the principal and the account that the request has at the builder.
func (v *Verdict) behalf() builder.OnBehalf {
	return behalfOf(v.Request, v.requester.who(), v.delegated, v.place)
}

func behalfOf(q *Request, who *authz.Principal, delegated bool, place objects.Place) builder.OnBehalf {
	b := builder.OnBehalf{Workspace: place.Workspace, Account: place.Account}
	if delegated {
		b.Principal = *who
	}
	return q.atHome(b)
}

// judge is a Verdict in the making.
type judge struct {
	naming
	requester requester
	delegated bool
	locked    bool
	rawQuery  string
	paging    paging
	instead   string
	reason    string
}

// Judge decides about a request. It takes the steps from classify to guard, in this order, for
// requests that Sluice forwards, requests that it answers itself, and requests that a reverse proxy
// asks about. It forwards nothing.
func Judge(ctx context.Context, req *Request) (v Verdict, err error) {
	pool := &req.p.judges
	j, ok := pool.Get().(*judge)
	if !ok {
		j = &judge{}
	}
	j.req, j.rawQuery, j.who = req, req.rawQuery, j.requester.who()
	defer func() {
		if broken := recover(); broken != nil {
			// Log the panic here, because the requester and the target would be lost further up.
			stack := string(debug.Stack())
			req.p.cfg.Log.Error("judging a request failed", "id", req.id, "panic", broken, "stack", stack)
			v, err = j.verdict(false), problem.Of(fmt.Errorf("panic: %v", broken)).WithRule("panic")
		}
	}()
	err = j.decide(ctx)
	v = j.verdict(err == nil)
	*j = judge{} // nothing of a request stays: only the Verdict outlives Judge
	pool.Put(j)
	return v, err
}

// decide takes the steps. It skips those that read the body if a reverse proxy only describes the
// request.
func (j *judge) decide(ctx context.Context) error {
	j.classify()
	if err := j.authenticate(); err != nil {
		return err
	}
	if err := j.authorize(ctx); err != nil {
		return err
	}
	if j.req.told {
		return nil
	}
	if err := j.checkBody(ctx); err != nil {
		return err
	}
	if err := j.guard(ctx); err != nil {
		return err
	}
	if err := j.addStoredFlow(ctx); err != nil {
		return err
	}
	takePaging(j)
	return nil
}

// verdict returns the decision so far.
func (j *judge) verdict(decided bool) Verdict {
	v := Verdict{
		Request:   j.req,
		match:     j.match,
		requester: j.requester,
		delegated: j.delegated,
		place:     j.place,
		flow:      j.flow,
		locked:    j.locked,
		body:      j.intake.body,
		rawQuery:  j.rawQuery,
		paging:    j.paging,
		instead:   j.instead,
		reason:    j.reason,
	}
	if e := j.match.Endpoint; decided && (e.Result.Deletes || e.Result.Renames) {
		v.named = j.naming.named()
	}
	if decided && v.instead == "" {
		v.instead = j.match.Endpoint.Own.Answer
	}
	return v
}

// classify finds the endpoint. A path that is not in the table has none, and authorize refuses it.
func (j *judge) classify() {
	if m, ok := j.req.app.Profile.Match(j.req.http.Method, j.req.path); ok {
		j.match = m
	}
}

// authenticate determines the requester.
func (j *judge) authenticate() (err error) {
	if known := j.req.requester; known != nil {
		j.requester = *known
		return nil
	}
	j.requester, err = j.req.authenticate()
	return err
}

// rights are the requester's rights on the objects that the request names so far.
func (j *judge) rights() rights {
	return rights{gate: j.req.p.cfg.Gate, app: j.req.app, who: j.who, place: j.place, flow: j.flow}
}

// authorize decides whether the request is allowed, and whether it goes into the builder's session
// on behalf of the requester. A person's right and a flow's publication are two separate ways in;
// only the right opens the session.
func (j *judge) authorize(ctx context.Context) error {
	e := j.match.Endpoint
	if j.req.app.Pending {
		return problem.Newf(problem.Unavailable, "Nothing has responded yet at the address of %s.", j.req.app.Name).
			WithRule("app pending").WithRetryAfter(5 * time.Second).
			WithNext("Start the builder. Sluice checks again automatically.")
	}
	if e == nil {
		return j.unlisted()
	}
	if e.Blocked != "" {
		return j.closed()
	}
	j.place.Workspace = j.who.Workspace
	if err := j.checkUpgrade(ctx); err != nil {
		return err
	}
	if len(e.Flow) > 0 && !refersToBody(e) {
		err := j.readFlow(ctx)
		if problem.Is(err, problem.NotFound) && !j.who.SignedIn() {
			return needSignIn() // a stranger does not learn which runs and names exist
		}
		if err != nil {
			return err
		}
	}
	open, err := j.open(ctx)
	if err != nil {
		return err
	}
	if !j.who.SignedIn() {
		switch {
		case !open && e.Own.Stranger != "":
			j.instead = e.Own.Stranger
			return nil
		case !open:
			return needSignIn()
		}
		return j.checkInside(ctx)
	}
	if err := j.permit(ctx, open); err != nil {
		return j.admitAsStranger(ctx, open, err)
	}
	j.delegated = true
	return nil
}

// permit decides about a signed-in person's request: its place, whether the app is used there, and
// whether the person has the right.
func (j *judge) permit(ctx context.Context, open bool) error {
	e := j.match.Endpoint
	if err := j.locate(ctx); err != nil {
		return err
	}
	r := j.rights()
	switch err := r.use(e); {
	case err == nil:
		j.keepChats(false)
		j.locked = e.Result.Locked != "" && !r.edit()
		return j.checkStarter(r)
	case err != errNoRight:
		return err
	case open && j.who.KeyID == "":
		return err // they come in as strangers may; that is not a refusal to record
	case j.mayAnswerInstead():
		j.answerInstead(e.Name)
		return nil
	}
	return r.checkAny(ctx, e.Action, e.Asks(j.place.Kind))
}

// checkStarter limits a run to the person who started it, and to people who can change the flow.
func (j *judge) checkStarter(r rights) error {
	if j.job == nil || j.job.Person != "" && j.job.Person == j.who.ID || r.edit() {
		return nil
	}
	return problem.New(problem.Denied, "Another person started this run.").WithRule("job").
		WithNext("Run the flow yourself, or ask for permission to edit it.")
}

// mayAnswerInstead reports whether Sluice may answer a request without the right to it: it comes
// from the builder's own page, and the table has an answer for it. This keeps the page working: a
// viewer's page that saves an unchanged flow must not show an error.
func (j *judge) mayAnswerInstead() bool {
	return j.match.Endpoint.Own.Denied != "" && j.req.requester == nil && !j.req.told &&
		j.who.SignedIn() && j.who.KeyID == "" &&
		j.req.app.Profile.PageCall(j.req.http.Header)
}

// answerInstead makes Sluice answer instead of refusing. The log still shows a refusal. The audit
// does not, because it records what people try, not what a page does in the background.
func (j *judge) answerInstead(why string) {
	j.instead, j.reason = j.match.Endpoint.Own.Denied, "denied quietly: "+why
}

// admitAsStranger admits a person without the right wherever strangers are admitted, without the
// builder's session. A key never does more than it is meant for.
func (j *judge) admitAsStranger(ctx context.Context, open bool, why error) error {
	if !open || j.who.KeyID != "" && j.match.Endpoint.Public != profile.PublicAlways ||
		!problem.Is(why, problem.Denied) && !problem.Is(why, problem.NotFound) {
		return why
	}
	j.place = objects.Place{}
	if workspace, kind, ok := j.req.up.objects.Owner(j.flow); ok {
		j.place = objects.Place{Workspace: workspace, Named: true, Kind: kind}
	}
	return j.checkInside(ctx)
}

// open reports whether the endpoint admits strangers for this request.
func (j *judge) open(ctx context.Context) (bool, error) {
	if j.req.requester != nil {
		return false, nil
	}
	switch j.match.Endpoint.Public {
	case profile.PublicAlways:
		return true, nil
	case profile.PublicFlow:
		err := j.readFlow(ctx)
		return err == nil && j.flow != "" && j.published(), err
	}
	return false, nil
}

// published reports whether the request's flow is open to strangers: an admin has published it, it
// belongs to a workspace, and the app is used there. A stranger's request takes place in that
// workspace.
func (j *judge) published() bool {
	if !j.req.app.Published(j.flow) {
		return false
	}
	workspace, kind, ok := j.req.up.objects.Owner(j.flow)
	if !ok || !j.req.app.UsedIn(workspace) {
		return false
	}
	if !j.who.SignedIn() {
		j.place = objects.Place{Workspace: workspace, Named: true, Kind: kind}
	}
	return true
}

// checkUpgrade judges a request to leave HTTP. WebSocket (RFC 6455) is the only protocol allowed,
// and only at endpoints that support it, for signed-in people, from pages of the app itself.
// Browsers send cookies with WebSocket handshakes of any page, without CORS, so the Origin header
// is the whole defense (RFC 6455 section 10.2).
func (j *judge) checkUpgrade(ctx context.Context) error {
	upgrade := j.req.http.Header["Upgrade"]
	if upgrade == nil {
		return nil
	}
	if len(upgrade) != 1 || !strings.EqualFold(upgrade[0], "websocket") || j.req.http.Method != http.MethodGet {
		return problem.New(problem.Invalid, "Only WebSocket connections can be upgraded here.").
			WithField("Upgrade").WithRule("upgrade")
	}
	if !j.who.SignedIn() {
		return needSignIn()
	}
	if !j.match.Endpoint.Upgrade {
		return problem.New(problem.Invalid, "There is no WebSocket at this address.").
			WithField("Upgrade").WithRule("upgrade")
	}
	origin := j.req.http.Header["Origin"]
	if len(origin) != 1 || !strings.EqualFold(origin[0], j.req.appOrigin()) {
		return problem.New(problem.Denied, "WebSocket connections are accepted only from the app's own pages.").
			WithField("Origin").WithRule("upgrade.origin")
	}
	return j.rights().check(ctx, authz.FlowRun)
}

// unlisted is the refusal for a path without an endpoint. Strangers do not learn which paths exist.
func (j *judge) unlisted() error {
	if !j.who.SignedIn() {
		return needSignIn()
	}
	return problem.New(problem.NotFound, "Sluice does not allow this path.").
		WithRule("not in the route table").
		WithNext("If a page of the builder needs it, report the request's id to the operator of Sluice.")
}

// closed is the refusal for an endpoint that is closed to everyone.
func (j *judge) closed() error {
	if !j.who.SignedIn() {
		return needSignIn()
	}
	return problem.New(problem.Denied, j.match.Endpoint.Blocked).WithRule("closed: " + j.match.Endpoint.Name)
}

func needSignIn() error {
	return problem.New(problem.Unauthenticated, "Sign in to Sluice to use this.").WithRule("not signed in")
}

// refersToBody reports whether the body names the flow.
func refersToBody(e *profile.Endpoint) bool {
	for _, ref := range e.Flow {
		if ref.In == profile.InBody {
			return true
		}
	}
	return false
}
