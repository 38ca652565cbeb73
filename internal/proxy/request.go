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

// Request is what arrived at an app. Nothing changes it after it was created, so every step sees
// the same request. Its body is the only part that is still on its way.
type Request struct {
	p    *Proxy
	app  *app.App
	up   *upstream
	http *http.Request
	w    http.ResponseWriter // for the limits and deadlines of the body; answers go through reply

	id    string // as in the log
	start time.Time
	peer  string // the address of the client
	// audience is what a session cookie must have been issued for. On the host name of Sluice's own
	// pages the browser sends Sluice's own cookie, because ports do not separate cookies (RFC 6265
	// section 8.5).
	audience string

	// path is canonical, rawQuery as on the wire, and query what the builder will read in it; nil
	// for none. They are empty where the target could not be read.
	path, rawQuery string
	query          url.Values

	// told says that a reverse proxy only tells of the request and keeps its body.
	told bool
	// requester is known already where the request stands for one that was refused. It has no other
	// way in than the right of its requester.
	requester *requester
	memory    *memory
}

// newRequest is a request to an app whose target was not read yet. e is its event.
func newRequest(p *Proxy, a *app.App, w http.ResponseWriter, r *http.Request, e *web.Event, m *memory) Request {
	if sent := r.Header["Authorization"]; len(sent) == 1 && a.Kind.IsPageToken(sent[0]) {
		// The pages of some builders send a constant in this header. It is no credential: the
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

// readTarget judges method and request target as they stood on the wire. net/http has parsed the
// target into a URL already. That reading is not used, because the builder will read the target
// again.
func (q *Request) readTarget() error {
	if !known(q.http.Method) {
		return problem.New(problem.Method, "Sluice does not pass this method on.").WithRule("method").
			WithNext("Use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.")
	}
	target := q.http.RequestURI
	if len(target) > profile.MaxTarget {
		return problem.New(problem.Invalid, "The address is longer than 8 KiB.").WithRule("path.length")
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

// oddities refuses what is legal in HTTP and read differently by different servers.
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

// safe is RFC 9110 section 9.2.1.
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

// signInURL is where a browser that did not navigate here can go to sign in: the entrance of the
// app's own origin, which finds out whether there is a session and makes the round trip to Sluice's
// own pages otherwise.
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

// upgrading reports whether the request asks for another protocol. Judge has refused what must not.
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

// lookup answers whose objects are, for the person who asks.
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

// accounts are those of the app's builder; nil if it has none.
func (q *Request) accounts() *builder.Accounts {
	if q.app.Bridge == nil {
		return nil
	}
	return q.app.Bridge.Accounts
}

// setPageCookies gives the browser of somebody who is signed in the cookies that the builder's
// pages look for, or takes them away.
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

// atHome names an account's own workspace: it may hold what is another one's, and is entered from
// its own.
func (q *Request) atHome(b builder.OnBehalf) builder.OnBehalf {
	if accounts := q.accounts(); b.Account != "" && accounts != nil {
		if home := accounts.HomeOf(b.Account); home != "" {
			b.Workspace = home
		}
	}
	return b
}

// requester is whoever asks: a person, a program, or a stranger.
type requester struct {
	// shown is the credential, good or not. Its principal is nobody for strangers.
	shown authn.Credential
	// refused says that it is not good here, and badToken that it is a key or a token.
	refused, badToken bool
}

// who is the principal that asks.
func (c *requester) who() *authz.Principal { return &c.shown.Principal }

// sharesKey reports whether the request came with a key or token, good or not. Pages of other
// origins may read the answer to it, because the browser adds nothing to such a request.
func (c *requester) sharesKey() bool {
	kind := c.shown.Kind
	return c.badToken || !c.refused && (kind == authn.CredentialKey || kind == authn.CredentialAccess)
}

// authenticate finds out who asks. No credential at all is a stranger. One that is not good is an
// error, so that nobody believes to be signed in when they are not; the requester then says whose
// it was, for the log.
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

// checkAddress refuses an API key in the address, where logs and browsers keep it. It would not be
// read there, and must not reach the builder.
func (q *Request) checkAddress() error {
	if !authn.ContainsKey(q.http.RequestURI) {
		return nil
	}
	return problem.New(
		problem.Invalid,
		"An API key stands in the address of this request, where it is not read and others may see it.",
	).WithRule("key in address").
		WithNext("Send it in the header Authorization, as Bearer, and replace this key: addresses are kept in logs.")
}

// checkCrossSite refuses a change that a page of another origin makes a signed-in browser send.
// Only a holder sends keys and tokens. Sluice's own cookies are SameSite=Lax. This check is the
// second line, and the only one between apps on one host name, which are one site.
func (q *Request) checkCrossSite() error {
	if err := q.p.crossSite.Check(q.http); err != nil {
		return problem.New(problem.Denied, "This request was made by a page of another site.").
			WithRule("cross-site request").
			WithNext("Open the builder from Sluice and try again.").WithCause(err)
	}
	return nil
}
