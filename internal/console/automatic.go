package console

import (
	"cmp"

	"sluice/internal/login"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// signInAutomatically lets a browser on this machine in without asking, where LANGFLOW_AUTO_LOGIN says so. Done tells that the answer is written. Nobody else is: whoever comes from another machine, by a
// name that may mean another machine, from another website or as a program finds the form, and so does who asks for it ("with=password").
func (x *visit) signInAutomatically(d destination) (done bool, err error) {
	if x.c.cfg.Logins.AutoLogin() == "" || x.r.URL.Query().Get("with") != "" || !web.OnThisMachine(x.r) || !web.Arrives(x.r) || x.passesOn() {
		return false, nil
	}
	progress, err := x.c.cfg.Logins.Automatic(x.r.Context(), login.Attempt{IP: x.event.Peer, UserAgent: x.r.UserAgent(), Device: x.cookie(deviceCookie), Destination: d.attempt()})
	switch e := problem.Of(err); {
	case err == nil:
		return true, x.advance(progress)
	case e.Kind == problem.Internal:
		return false, err
	default:
		x.event.Reason = cmp.Or(e.Rule, e.Kind.String())
		return false, nil
	}
}

// passesOn reports whether a reverse proxy stands in front of Sluice, as an app with a public address tells: then this machine is everybody's.
func (x *visit) passesOn() bool {
	for _, a := range x.c.cfg.Apps.All() {
		if a.PublicURL != "" && !web.LoopbackOrigin(a.PublicURL) {
			return true
		}
	}
	return false
}

// banner is what every page says as long as nobody is asked who they are; nil otherwise.
func (x *visit) banner() *web.Banner {
	name := x.c.cfg.Logins.AutoLogin()
	switch {
	case name == "":
		return nil
	case x.who.SignedIn() && !x.who.Automatic:
		return &web.Banner{Text: bannerText(name)}
	}
	return &web.Banner{Text: bannerText(name), Href: "/login?with=password", Action: "Sign in as somebody else"}
}

func bannerText(name string) string {
	return "Nobody is asked to sign in: whoever opens Sluice in a browser on this machine works as the superuser " + name + ". Set LANGFLOW_AUTO_LOGIN=False to end this."
}
