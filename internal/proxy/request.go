package proxy

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/objects"
	"sluice/internal/problem"
	"sluice/internal/profile"
	"sluice/internal/web"
)

// Request is a request to an app. It does not change after it is created, so every step sees the
// same request. Only its body is still arriving.
type Request struct {
	p    *Proxy
	app  *app.App
	up   *upstream
	http *http.Request
	w    http.ResponseWriter // for the limits and deadlines of the body; answers go through reply

	id    string // as in the log
	start time.Time
	peer  string // the address of the client
	// audience is the audience that a session cookie must have been issued for. On the host name of
	// Sluice's own pages the browser sends Sluice's own cookie, because ports do not separate
	// cookies (RFC 6265 section 8.5).
	audience string

	// path is canonical, and rawQuery is as on the wire. query is rawQuery as the builder will read
	// it; nil without a query. All three are empty if the target could not be read.
	path, rawQuery string
	query          url.Values

	// told reports that a reverse proxy only describes the request and keeps its body.
	told bool
	// requester is known in advance if the request replaces one that was refused. Such a request
	// relies on its requester's right alone.
	requester *requester
	memory    *memory
}

// newRequest creates a request to an app, with the target still unread. e is its event.
func newRequest(p *Proxy, a *app.App, w http.ResponseWriter, r *http.Request, e *web.Event, m *memory) Request {
	if sent := r.Header["Authorization"]; len(sent) == 1 && a.Kind.IsPageToken(sent[0]) {
		// The pages of some builders send a constant in this header. It is not a credential; the
		// session cookie beside it is.
		delete(r.Header, "Authorization")
	}
	audience := a.ID
	if hostname(r.Host) == originHostname(p.cfg.MainOrigin(r.Host)) {
		audience = authn.AudienceMain
	}
	return Request{
		p:        p,
		app:      a,
		up:       p.upstreamOf(a),
		http:     r,
		w:        w,
		id:       e.ID,
		start:    e.Start,
		peer:     e.Peer,
		audience: audience,
		memory:   m,
	}
}

// readTarget judges the method and the request target as they were on the wire. It ignores the URL
// that net/http parsed from the target, because the builder will parse the target again.
func (q *Request) readTarget() error {
	if !known(q.http.Method) {
		return problem.New(problem.Method, "Sluice does not forward this method.").WithRule("method").
			WithNext("Use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.")
	}
	target := q.http.RequestURI
	if len(target) > profile.MaxTarget {
		return problem.New(problem.Invalid, "The URL is longer than 8 KiB.").WithRule("path.length")
	}
	path, query, _ := strings.Cut(target, "?")
	canonical, err := profile.Canonical(path)
	if err != nil {
		return err
	}
	q.path, q.rawQuery = canonical, query
	if query != "" {
		if q.query, err = q.app.Profile.Query(query); err != nil {
			return err
		}
	}
	return oddities(q.http)
}

func known(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions:
		return true
	}
	return false
}

// oddities refuses requests that are legal in HTTP but that servers read differently.
func oddities(r *http.Request) error {
	hasBody := r.ContentLength != 0
	if safe(r.Method) && hasBody {
		return problem.Newf(problem.Invalid, "A %s request has no body here.", r.Method).WithRule("body.method")
	}
	if hasBody && len(r.Header["Content-Type"]) > 1 {
		return problem.New(problem.Invalid, "The request names its content type twice.").
			WithRule("body.type").WithField("Content-Type")
	}
	return nil
}

// safe reports whether a method is safe (RFC 9110 section 9.2.1).
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// appOrigin is the origin of the app as this browser sees it, e.g. "https://flows.example.com".
func (q *Request) appOrigin() string {
	if q.app.PublicURL == "" && q.p.cfg.Trust.Scheme(q.http) == "https" {
		return "https://" + q.http.Host
	}
	return q.app.Origin(q.http.Host)
}

// scheme is "https" or "http" as the browser used it.
func (q *Request) scheme() string {
	if strings.HasPrefix(q.app.PublicURL, "https://") {
		return "https"
	}
	return q.p.cfg.Trust.Scheme(q.http)
}

// mainOrigin is the origin of Sluice's own pages as this browser sees it.
func (q *Request) mainOrigin() string { return q.p.cfg.MainOrigin(q.http.Host) }

// signInURL is where a browser that did not navigate here can sign in: the entrance on the app's
// own origin. The entrance checks for a session, and otherwise starts the round trip to Sluice's
// own pages.
func (q *Request) signInURL() string { return q.appOrigin() + reservedPrefix + "enter?return=%2F" }

// wayBack is the path to which a browser returns after signing in.
func (q *Request) wayBack() string {
	if q.http.Method != http.MethodGet || q.path == "" {
		return "/"
	}
	if q.rawQuery != "" {
		return web.ReturnTo(q.path + "?" + q.rawQuery)
	}
	return web.ReturnTo(q.path)
}

// upgrading reports whether the request asks for another protocol. Judge has already refused
// forbidden upgrades.
func (q *Request) upgrading() bool { return q.http.Header["Upgrade"] != nil }

// secureCookies reports whether the session cookie of this origin carries Secure and the __Host-
// prefix.
func (q *Request) secureCookies() bool {
	if s := q.p.cfg.SecureCookies; s != nil && q.audience == authn.AudienceMain {
		return *s
	}
	return q.scheme() == "https"
}

func originHostname(origin string) string {
	const scheme = len("http://")
	if len(origin) < scheme {
		return ""
	}
	host := origin[scheme:]
	if origin[4] == 's' {
		host = origin[scheme+1:]
	}
	return hostname(host)
}

// lookup resolves the owners of objects, on behalf of the requester.
func (q *Request) lookup(who *authz.Principal) objects.Lookup {
	return objects.Lookup{
		App:    q.app,
		Owners: q.up.objects,
		Flows:  q.p.cfg.Apps.Flows,
		Finder: &q.up.finder,
		Who:    who,
		Now:    q.p.cfg.Now,
	}
}

// accounts returns the accounts of the app's builder; nil if it has none.
func (q *Request) accounts() *builder.Accounts {
	if q.app.Bridge == nil {
		return nil
	}
	return q.app.Bridge.Accounts
}

// setPageCookies gives a signed-in browser the cookies that the builder's pages look for, or
// removes them.
func (q *Request) setPageCookies(h http.Header, away bool) {
	for _, template := range q.app.Kind.PageCookies() {
		c := *template
		c.Path, c.Domain, c.Secure, c.SameSite = "/", "", q.scheme() == "https", http.SameSiteLaxMode
		if away {
			c.Value, c.MaxAge = "", -1
		}
		h.Add("Set-Cookie", c.String())
	}
}

// atHome replaces the workspace by the account's own: an account may hold objects of other
// workspaces, but is always entered from its own.
func (q *Request) atHome(b builder.OnBehalf) builder.OnBehalf {
	if accounts := q.accounts(); b.Account != "" && accounts != nil {
		if home := accounts.HomeOf(b.Account); home != "" {
			b.Workspace = home
		}
	}
	return b
}

// requester is the sender of a request: a person, a program, or a stranger.
type requester struct {
	// shown is the credential, valid or not. For strangers its principal is empty.
	shown authn.Credential
	// refused reports that shown is not valid here, and badToken that the refused credential is a
	// key or a token.
	refused, badToken bool
}

// who returns the requester's principal.
func (c *requester) who() *authz.Principal { return &c.shown.Principal }

// sharesKey reports whether the request came with a key or token, valid or not. Pages of other
// origins may read the answer to it, because the browser adds nothing to such a request.
func (c *requester) sharesKey() bool {
	kind := c.shown.Kind
	return c.badToken || !c.refused && (kind == authn.CredentialKey || kind == authn.CredentialAccess)
}

// authenticate determines the requester. A request without a credential comes from a stranger. An
// invalid credential is an error, so that people who believe they are signed in notice that they
// are not. The requester then records whose credential it was, for the log.
func (q *Request) authenticate() (requester, error) {
	if err := q.checkAddress(); err != nil {
		return requester{}, err
	}
	from, _ := netip.ParseAddr(q.peer)
	shown, err := q.p.cfg.Credentials.Authenticate(q.http, authn.Place{
		Audience:  q.audience,
		Secure:    q.secureCookies(),
		From:      from,
		OwnSignIn: q.app.Kind.Fallback,
	})
	c := requester{shown: shown}
	if err != nil {
		c.refused, c.badToken = true, authn.TokenTrouble(err)
		return c, err
	}
	c.shown.Principal.IP = q.peer
	if shown.Kind == authn.CredentialSession {
		return c, q.checkCrossSite()
	}
	return c, nil
}

// checkAddress refuses an API key in the address, where logs and browsers keep it. Sluice would not
// read it there, and it must not reach the builder.
func (q *Request) checkAddress() error {
	if !authn.ContainsKey(q.http.RequestURI) {
		return nil
	}
	return problem.New(
		problem.Invalid,
		"The URL of this request contains an API key. Keys in URLs are not accepted, because others can see them.",
	).WithRule("key in address").
		WithNext("Send the key in the header Authorization as Bearer, and replace this key, because URLs are stored " +
			"in logs.")
}

// checkCrossSite refuses a change that a page of another origin makes a signed-in browser send.
// Requests with keys and tokens need no check, because only their holders can send them. Sluice's
// own cookies are SameSite=Lax. This check is the second line of defense, and the only one between
// apps on one host name, which are one site.
func (q *Request) checkCrossSite() error {
	if err := q.p.crossSite.Check(q.http); err != nil {
		return problem.New(problem.Denied, "A page of another site sent this request.").
			WithRule("cross-site request").
			WithNext("Open the builder from Sluice and try again.").WithCause(err)
	}
	return nil
}
