package api

import (
	"cmp"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// visit is one request and what is known about it. Huma hands nothing but a context to a handler;
// so the visit is the request's context, and who asks stays a parameter of every call that a
// handler makes.
type visit struct {
	context.Context
	*API
	w     *answer
	r     *http.Request
	who   authz.Principal
	kind  authn.CredentialKind // by what it is known who asks
	event web.Event
	// failed is the error that is being answered; its kind decides the status.
	failed *problem.Error
}

// answer notes status and size for the log.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *answer) WriteHeader(status int) {
	a.status = cmp.Or(a.status, status)
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.status = cmp.Or(a.status, http.StatusOK)
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController set the deadline of the body.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// below lets exchange embed huma's context under a name of its own, because it has a method
// Context.
type below = huma.Context

// exchange is huma's view of a visit.
type exchange struct {
	below
	x *visit
}

func newContext(op *huma.Operation, x *visit) huma.Context { return humago.NewContext(op, x.r, x.w) }

// Context is the visit itself; see there.
func (e *exchange) Context() context.Context { return e.x }

// SetStatus begins the answer. For errors that huma found, the problem that they became decides.
func (e *exchange) SetStatus(status int) {
	if e.x.failed != nil {
		status = e.x.failed.Kind.Status()
	}
	e.below.SetStatus(status)
}

// enter asks in this order: who asks, does the request of a browser come from this site, may they
// knock at all, is it well formed.
func (x *visit) enter(op *huma.Operation) error {
	if op == nil {
		return x.authenticateIfPossible()
	}
	if err := x.admit(needOf(op)); err != nil {
		return err
	}
	if err := strictQuery(x.r); err != nil {
		return err
	}
	return expectedBody(op, x.r)
}

// admit finds out who asks and whether they may knock. Where nobody has to be signed in nothing is
// read that could say who asks; a page of another site is refused all the same, so that nobody
// tries passwords through the browsers of their visitors.
func (x *visit) admit(n need) error {
	if n.where == toAnybody {
		return x.checkCrossSite()
	}
	if err := x.authenticate(); err != nil {
		return err
	}
	return x.allowed(n)
}

// authenticate finds out who asks: by session cookie, access token or API key.
func (x *visit) authenticate() error {
	shown, err := x.credential()
	who := shown.Principal
	x.event.Person, x.event.Name, x.event.Session, x.event.Key, x.event.KeyPrefix = who.ID, who.Name, who.SessionID,
		who.KeyID, shown.KeyPrefix
	if err != nil {
		if authn.TokenTrouble(err) {
			x.w.Header().Set("WWW-Authenticate", authn.Challenge(err))
		}
		return err
	}
	if !who.SignedIn() {
		x.w.Header().Set("WWW-Authenticate", authn.Challenge(nil))
		return problem.New(problem.Unauthenticated, "Sign in first.").WithRule("sign-in required").
			WithNext("Send the session cookie of somebody who is signed in, or an access token or API key in the " +
				"Authorization header.")
	}
	who.IP = x.event.Peer
	if who.Automatic {
		// Nobody was asked for a password: programs that find such a session get what its person
		// may as a member of workspaces, and nothing as a superuser.
		who.Superuser = false
	}
	x.who, x.kind = who, shown.Kind
	if shown.Kind == authn.CredentialSession {
		return x.checkCrossSite()
	}
	return nil
}

func (x *visit) credential() (authn.Credential, error) {
	if authn.ContainsKey(x.r.RequestURI) {
		x.event.Path = "(an API key)"
		return authn.Credential{}, problem.New(problem.Invalid, "An API key stands in the address of this request, "+
			"where it is not read and others may see it.").WithRule("key in address").
			WithNext("Send it in the header Authorization, as Bearer, and replace this key: addresses are kept in " +
				"logs.")
	}
	shown, err := x.cfg.Credentials.Authenticate(x.r, authn.Place{
		Audience: authn.AudienceMain,
		Secure:   x.secure(),
		From:     x.cfg.Trust.ClientIP(x.r),
	})
	shown.Limits.SetHeaders(x.w.Header())
	return shown, err
}

// checkCrossSite refuses a change that a page of another site makes a signed-in browser send. Keys
// and tokens are sent by nobody but who holds them.
func (x *visit) checkCrossSite() error {
	var guard http.CrossOriginProtection
	if err := guard.Check(x.r); err != nil {
		return problem.New(problem.Denied, "This request came from another website and was not carried out.").
			WithRule("cross-origin request").WithCause(err)
	}
	return nil
}

// authenticateIfPossible is for what strangers may see too: who asks only changes a page's frame.
func (x *visit) authenticateIfPossible() error {
	if who, err := x.cfg.Sessions.Authenticate(x.r, authn.AudienceMain, x.secure()); err == nil {
		x.who = who
	}
	return nil
}

// allowed is the door of a route. What lies in a workspace or an app is decided, and recorded, by
// the capability on the very object.
func (x *visit) allowed(n need) error {
	if n.where != onInstallation {
		return nil
	}
	return x.cfg.Gate.Check(x, x.who, n.action, authz.Resource{Type: "System"})
}

// secure reports whether the session cookie carries Secure.
func (x *visit) secure() bool {
	if s := x.cfg.SecureCookies; s != nil {
		return *s
	}
	return x.cfg.Trust.Scheme(x.r) == "https"
}
