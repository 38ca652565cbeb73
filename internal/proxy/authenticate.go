package proxy

import (
	"net/netip"

	"sluice/internal/authn"
	"sluice/internal/problem"
)

// authenticate finds out who asks. No credential at all is a stranger; one that is not good is an error, so that nobody believes to be
// signed in when they are not.
func (x *exchange) authenticate() error {
	if err := x.checkAddress(); err != nil {
		return err
	}
	if sent := x.r.Header["Authorization"]; len(sent) == 1 && x.app.Kind.IsPageToken(sent[0]) {
		delete(x.r.Header, "Authorization") // no credential: the session cookie beside it is
	}
	from, _ := netip.ParseAddr(x.event.Peer)
	shown, err := x.p.cfg.Credentials.Authenticate(x.r, authn.Place{
		Audience: x.audience(), Secure: x.secureCookies(), From: from, OwnSignIn: x.app.Kind.Fallback,
	})
	shown.Limits.SetHeaders(x.w.Header())
	who := shown.Principal
	x.event.Person, x.event.Name, x.event.Session, x.event.Key, x.event.KeyPrefix = who.ID, who.Name, who.SessionID, who.KeyID, shown.KeyPrefix
	if err != nil {
		x.refusedKey = authn.TokenTrouble(err)
		return err
	}
	who.IP = x.event.Peer
	x.who, x.shown = who, shown
	if shown.Kind == authn.CredentialSession {
		return x.checkCrossSite()
	}
	return nil
}

// checkAddress refuses an API key in the address, where logs and browsers keep it. It would not be read there, and must not reach the builder.
func (x *exchange) checkAddress() error {
	if !authn.ContainsKey(x.r.RequestURI) {
		return nil
	}
	x.event.Path = "(an API key)"
	if x.match.Endpoint != nil {
		x.event.Path = x.match.Endpoint.Pattern
	}
	return problem.New(problem.Invalid, "An API key stands in the address of this request, where it is not read and others may see it.").WithRule("key in address").
		WithNext("Send it in the header Authorization, as Bearer, and replace this key: addresses are kept in logs.")
}

// secureCookies reports whether the session cookie of this origin carries Secure and the __Host- prefix.
func (x *exchange) secureCookies() bool {
	if s := x.p.cfg.SecureCookies; s != nil && x.audience() == authn.AudienceMain {
		return *s
	}
	return x.scheme() == "https"
}

// audience is what a session cookie must have been issued for. On the host name of Sluice's own pages the browser sends Sluice's own
// cookie, because ports do not separate cookies (RFC 6265 section 8.5).
func (x *exchange) audience() string {
	if x.cookiesFor == "" {
		x.cookiesFor = x.app.ID
		if hostname(x.r.Host) == originHostname(x.p.cfg.MainOrigin(x.r.Host)) {
			x.cookiesFor = authn.AudienceMain
		}
	}
	return x.cookiesFor
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

// checkCrossSite refuses a change that a page of another origin makes a signed-in browser send. Keys and tokens are sent by nobody but who holds them. Sluice's own cookies are SameSite=Lax;
// this is the second line, and the only one between apps on one host name, which are one site.
func (x *exchange) checkCrossSite() error {
	if err := x.p.crossSite.Check(x.r); err != nil {
		return problem.New(problem.Denied, "This request was made by a page of another site.").WithRule("cross-site request").
			WithNext("Open the builder from Sluice and try again.").WithCause(err)
	}
	return nil
}
