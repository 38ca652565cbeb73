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

// visit is one request and everything known about it. Huma passes only a context to a handler, so
// the visit is itself the request's context, and the principal remains a parameter of every call
// that a handler makes.
type visit struct {
	context.Context
	*API
	w     *answer
	r     *http.Request
	who   authz.Principal
	kind  authn.CredentialKind // the kind of credential that identified who
	event web.Event
	// failed is the error in the answer; its kind determines the status.
	failed *problem.Error
}

// answer records status and size for the log.
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

// below lets exchange embed huma's context under a different name, because it has a method named
// Context.
type below = huma.Context

// exchange is huma's view of a visit.
type exchange struct {
	below
	x *visit
}

func newContext(op *huma.Operation, x *visit) huma.Context { return humago.NewContext(op, x.r, x.w) }

// Context returns the visit itself.
func (e *exchange) Context() context.Context { return e.x }

// SetStatus begins the answer. For errors that huma found, the resulting problem determines the
// status.
func (e *exchange) SetStatus(status int) {
	if e.x.failed != nil {
		status = e.x.failed.Kind.Status()
	}
	e.below.SetStatus(status)
}

// enter checks in this order: who the principal is, whether a browser's request comes from this
// site, whether the principal may use the route, and whether the request is well formed.
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

// admit determines the principal and checks whether they may use the route. Public routes ignore
// all credentials. They still refuse requests from pages of another site, so that no site can try
// passwords through the browsers of its visitors.
func (x *visit) admit(n need) error {
	if n.where == toAnybody {
		return x.checkCrossSite()
	}
	if err := x.authenticate(); err != nil {
		return err
	}
	return x.allowed(n)
}

// authenticate determines the principal by session cookie, access token or API key.
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
			WithNext("Send the session cookie of a person who is signed in, or an access token or API key in the " +
				"Authorization header.")
	}
	who.IP = x.event.Peer
	if who.Automatic {
		// The person was signed in without a password. Programs that find such a session get the
		// person's rights as a member of workspaces, but none of a superuser.
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
		return authn.Credential{}, problem.New(problem.Invalid, "The URL of this request contains an "+
			"API key. Keys in URLs are not accepted, because others can see them.").WithRule("key in address").
			WithNext("Send the key in the header Authorization as Bearer, and replace this key, because URLs " +
				"are stored in logs.")
	}
	shown, err := x.cfg.Credentials.Authenticate(x.r, authn.Place{
		Audience: authn.AudienceMain,
		Secure:   x.secure(),
		From:     x.cfg.Trust.ClientIP(x.r),
	})
	shown.Limits.SetHeaders(x.w.Header())
	return shown, err
}

// checkCrossSite refuses a change that a page of another site makes a signed-in browser send. Only
// their holders send keys and tokens.
func (x *visit) checkCrossSite() error {
	var guard http.CrossOriginProtection
	if err := guard.Check(x.r); err != nil {
		return problem.New(problem.Denied, "This request came from another website and was refused.").
			WithRule("cross-origin request").WithCause(err)
	}
	return nil
}

// authenticateIfPossible is for pages that strangers may see too: the principal only changes a
// page's frame.
func (x *visit) authenticateIfPossible() error {
	if who, err := x.cfg.Sessions.Authenticate(x.r, authn.AudienceMain, x.secure()); err == nil {
		x.who = who
	}
	return nil
}

// allowed is the first check of a route. Rights in a workspace or an app are decided, and recorded,
// by the capability on the actual object.
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
