package console

import (
	"net/http"
	"net/url"
	"strings"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/login"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// deviceCookie tells a browser that has signed in before from a stranger's, so that guesses from elsewhere do not slow it down.
const deviceCookie = "sluice_device"

// deviceAge is how long a browser is remembered, in seconds.
const deviceAge = 180 * 24 * 3600

// destination is where somebody wants to go after signing in: an app and a path there, or a page of Sluice's own.
type destination struct{ app, back, state string }

// destinationOf reads a destination from a query or a form. The path is checked; the app is looked up when it is used.
func destinationOf(v url.Values) destination {
	d := destination{app: v.Get("app"), back: web.ReturnTo(v.Get("return")), state: v.Get("state")}
	if len(d.app) > 64 {
		d.app = ""
	}
	if len(d.state) > 100 {
		d.state = ""
	}
	if d.app == "" && loops(d.back) {
		d.back = "/"
	}
	return d
}

// loops reports whether a page would lead back to signing in, or out.
func loops(path string) bool {
	for _, p := range []string{"/login", "/logout", "/enter", "/setup", "/reset", "/signup", "/forgot", "/sso"} {
		if rest, ok := strings.CutPrefix(path, p); ok && (rest == "" || rest[0] == '?' || rest[0] == '/' && p != "/setup") {
			return true
		}
	}
	return false
}

func (d destination) wanted(c *Console) (*app.App, bool) {
	if d.app == "" {
		return nil, false
	}
	return c.cfg.Apps.ByID(d.app)
}

// showLogin shows the form. Whoever is signed in goes on.
func showLogin(x *visit) error {
	d := destinationOf(x.r.URL.Query())
	if x.who.SignedIn() && !(x.who.Automatic && x.r.URL.Query().Get("with") != "") {
		return x.onward(d)
	}
	if done, err := x.signInAutomatically(d); done || err != nil {
		return err
	}
	x.forgetAttempt()
	return x.loginForm(http.StatusOK, d, loginView{})
}

func (x *visit) loginForm(status int, d destination, v loginView) error {
	v.App, v.Return, v.State = d.app, d.back, d.state
	v.NoAdmin, v.SignUp = !x.c.cfg.People.HasAdmin(), x.c.cfg.SignUps.SignUpOpen()
	v.Providers, v.Passkeys = x.c.cfg.Providers.SignInButtons(), x.passkeys().Here
	v.Hidden = x.c.cfg.Logins.PasswordPolicy() == login.PasswordSuperusers && v.others() && x.r.URL.Query().Get("with") != "password" && (x.r.Method == http.MethodGet || x.r.URL.Path != "/login")
	if a, ok := x.leadsTo(d); ok {
		v.AppName = a.Name
	}
	page := x.frame("Sign in", "")
	page.Scripts = []string{"passkey.js"}
	return x.render(status, loginPage(page, v))
}

// leadsTo is the app that somebody wants to go to. The answer to the page's form leads to its origin in the end, and browsers hold form-action against redirects too.
func (x *visit) leadsTo(d destination) (*app.App, bool) {
	a, ok := d.wanted(x.c)
	if ok {
		x.policy.FormAction = []string{a.Origin(x.r.Host)}
	}
	return a, ok
}

// signIn takes the form. A wrong one comes back with the name typed and one text for every reason.
func signIn(x *visit) error {
	d := destinationOf(x.r.PostForm)
	attempt := login.Attempt{
		Identifier: x.value("identifier"), Password: x.field("password"), IP: x.event.Peer, UserAgent: x.r.UserAgent(), Device: x.cookie(deviceCookie),
		Destination: d.attempt(),
	}
	progress, err := x.c.cfg.Logins.Password(x.r.Context(), attempt)
	if err == nil {
		return x.advance(progress)
	}
	identifier := attempt.Identifier
	if len(identifier) > 254 {
		identifier = ""
	}
	return x.signInMistake(err, d, identifier)
}

// signInMistake shows the sign-in page again with what was wrong.
func (x *visit) signInMistake(err error, d destination, identifier string) error {
	e := problem.Of(err)
	switch e.Kind {
	case problem.Unauthenticated, problem.Denied, problem.Limited, problem.Unavailable:
	case problem.Invalid, problem.NotFound, problem.Gone, problem.Conflict:
		// A passkey's answer that could not be used, or that came too late.
	default:
		return err
	}
	x.event.Reason = e.Kind.String()
	e.SetHeaders(x.w.Header())
	return x.loginForm(e.Kind.Status(), d, loginView{Identifier: identifier, Problem: e.Detail, Next: e.Next, Wait: e.RetryAfter})
}

// loginDone is where every sign-in ends: a browser that brings its session goes on. One that does not would be asked to sign in for ever, so it is told why instead.
func loginDone(x *visit) error {
	d := destinationOf(x.r.URL.Query())
	if x.who.SignedIn() {
		return x.onward(d)
	}
	q := x.request()
	return x.diagnose("You signed in, but your browser did not bring the session back",
		"Sluice gave your browser a cookie that says who you are, and the browser came back without it.", "/login"+d.query(), q, lostSession(q))
}

// onward is goOn for those who come from signing in, where a place that does not know them sends them to again. The third time in a row ends it.
func (x *visit) onward(d destination) error {
	if !x.c.bounces.again(x.who.SessionID, d.app, d.back, x.c.cfg.Now()) {
		return x.goOn(d)
	}
	q, again := x.request(), "/login"+d.query()
	a, ok := d.wanted(x.c)
	if !ok {
		return x.diagnose("You are being sent in circles", "You are signed in here, and yet "+shown(d.back)+" sent you back to sign in, three times in ten seconds.", again, q, []causeView{{
			"Your session is known to some requests and not to others", "If several Sluices answer for this address, they must share one database and one set of keys, or each browser must always reach the same one.", nil,
		}})
	}
	origin := a.Origin(x.r.Host)
	return x.diagnose("You are being sent in circles", "You are signed in here, and yet "+a.Name+" at "+origin+" sent you back to sign in, three times in ten seconds.", again, q, x.circling(q, a.Name, origin))
}

// signedIn gives the browser its session. The old one, if there was one, stays where it is: it may be somebody else's.
func (x *visit) signedIn(result login.Result) {
	x.c.cfg.Sessions.SetCookie(x.w, result.Token, x.secure())
	x.setCookie(deviceCookie, result.Device, "/login", deviceAge)
	if who, ok := x.c.cfg.Sessions.Lookup(result.Token, authn.AudienceMain); ok {
		x.who = who
		x.who.IP = x.event.Peer
		x.event.Person, x.event.Name, x.event.Session = who.ID, who.Name, result.Session.ID
	}
}

// goOn sends somebody who is signed in to where they wanted. An app with a port instead of a public address is sent to on this very host
// name, where the browser has its cookie already; the state of a browser that came from another name of this machine is of no use there.
func (x *visit) goOn(d destination) error {
	a, ok := d.wanted(x.c)
	switch {
	case d.app != "" && !ok:
		return problem.New(problem.NotFound, "The app that you came from is not there any more.").WithNext("Open Sluice's start page to see your apps.")
	case !ok:
		x.redirect(d.back)
		return nil
	}
	origin := a.Origin(x.r.Host)
	if strings.HasPrefix(origin, "http://") && x.secure() {
		// The browser keeps a Secure cookie from the app's http address, and would be sent to and fro for ever.
		return problem.Newf(problem.Conflict, "%s has no address on https, and Sluice itself is used on https.", a.Name).
			WithNext("An admin can give the app a public address that begins with https://.").WithRule("app address")
	}
	to := origin + "/.sluice/enter?return=" + url.QueryEscape(d.back)
	if d.state != "" && a.PublicURL != "" {
		if err := x.c.cfg.Apps.CheckOpen(x.r.Context(), x.who, a); err != nil {
			return err
		}
		code, err := x.c.cfg.Sessions.NewEnterCode(x.r.Context(), x.who, a.ID, d.state)
		if err != nil {
			return err
		}
		to += "&code=" + url.QueryEscape(code)
	}
	x.redirect(to)
	return nil
}

// enter leads from Sluice's own pages into an app: by its own entrance, which comes back for a code if that origin needs a cookie.
func enter(x *visit) error {
	d := destinationOf(x.r.URL.Query())
	d.state = ""
	a, ok := d.wanted(x.c)
	if !ok {
		return problem.New(problem.NotFound, "There is no such app. It may have been removed.").WithNext("Open the start page to see your apps.")
	}
	if err := x.c.cfg.Apps.CheckOpen(x.r.Context(), x.who, a); err != nil {
		return err
	}
	return x.goOn(d)
}

// showLogout asks, because a link or a picture on another page must not sign anybody out; it is also the page after signing out.
func showLogout(x *visit) error {
	name := ""
	if x.who.SignedIn() {
		name = x.who.Name
	}
	page := x.frame("Sign out", "")
	return x.render(http.StatusOK, logoutPage(page, name))
}

// signOut ends the session on every origin, and where it came from single sign-on the provider's as well.
func signOut(x *visit) error {
	elsewhere := ""
	if x.who.SignedIn() {
		var err error
		if elsewhere, err = x.c.cfg.Providers.SignOutElsewhere(x.r.Context(), x.who, x.c.cfg.MainOrigin(x.r.Host)); err != nil {
			return err
		}
		if err := x.c.cfg.Logins.SignOut(x.r.Context(), x.who); err != nil {
			return err
		}
	}
	x.c.cfg.Sessions.ClearCookie(x.w, x.secure())
	if elsewhere != "" {
		x.who = authz.Principal{}
		return x.sendAway(awayView{"You are signed out of Sluice", "Your identity provider is told as well; it brings you back here.", elsewhere, "Sign out there too"})
	}
	x.redirect("/logout")
	return nil
}

// setTheme remembers the look without a script.
func setTheme(x *visit) error {
	web.SetTheme(x.w, x.field("theme"), x.secure())
	x.redirect(web.ReturnTo(x.field("return")))
	return nil
}

func favicon(x *visit) error {
	x.redirect(web.AssetURL("logo.svg"))
	return nil
}

// robots keeps search engines out of all of it.
func robots(x *visit) error {
	x.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := x.w.Write([]byte("User-agent: *\nDisallow: /\n"))
	return err
}

// cookie is the value of a cookie of the console's own; "" for none.
func (x *visit) cookie(name string) string {
	c, err := x.r.Cookie(name)
	if err != nil || len(c.Value) > 500 {
		return ""
	}
	return c.Value
}
