package proxy

import (
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/problem"
)

// authenticate finds out who asks. No credential at all is a stranger; one that is not good is an error, so that nobody believes to be
// signed in when they are not. Bearer tokens and API keys are further branches here and nowhere else.
func (x *exchange) authenticate() error {
	who, err := x.credential()
	if err != nil {
		return err
	}
	who.IP = x.event.Peer
	x.who = who
	x.event.Person, x.event.Name, x.event.Session = who.ID, who.Name, who.SessionID
	if who.SignedIn() {
		return x.checkCrossSite()
	}
	return nil
}

func (x *exchange) credential() (authz.Principal, error) {
	if x.r.Header["Cookie"] == nil {
		return authz.Principal{}, nil
	}
	return x.p.cfg.Sessions.Authenticate(x.r, x.audience(), x.secureCookies())
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
	if hostname(x.r.Host) == originHostname(x.p.cfg.MainOrigin(x.r.Host)) {
		return authn.AudienceMain
	}
	return x.app.ID
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

// checkCrossSite refuses a change that a page of another origin makes a signed-in browser send. Sluice's own cookies are SameSite=Lax;
// this is the second line, and the only one between apps on one host name, which are one site.
func (x *exchange) checkCrossSite() error {
	if err := x.p.crossSite.Check(x.r); err != nil {
		return problem.New(problem.Denied, "This request was made by a page of another site.").WithRule("cross-site request").
			WithNext("Open the builder from Sluice and try again.").WithCause(err)
	}
	return nil
}
