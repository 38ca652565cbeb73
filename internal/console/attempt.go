package console

import (
	"net/url"
	"strings"
	"time"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/login"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// attempts lead a browser through its attempt to sign in, step by step, to the person's
// destination. A cookie binds the attempt to the browser; package login decides the next step.
type attempts struct {
	logins   *login.Logins
	sessions *authn.Sessions
	apps     *app.Apps
	bounces  bounces
}

// attemptCookie binds an attempt to sign in to one browser between its steps.
const attemptCookie = "sluice_attempt"

// deviceCookie identifies a browser that has signed in before, so that guesses from elsewhere do
// not slow it down.
const deviceCookie = "sluice_device"

// deviceAge is how long a browser is remembered, in seconds.
const deviceAge = 180 * 24 * 3600

// destination is where a person wants to go after signing in: an app and a path in it, or one of
// Sluice's own pages.
type destination struct{ app, back, state string }

// destinationOf reads a destination from a query or a form. It checks the path; the app is looked
// up when it is needed.
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

// loops reports whether a page would lead back to signing in, or to signing out.
func loops(path string) bool {
	for _, p := range []string{"/login", "/logout", "/enter", "/setup", "/reset", "/signup", "/forgot", "/sso"} {
		if rest, ok := strings.CutPrefix(path, p); ok &&
			(rest == "" || rest[0] == '?' || rest[0] == '/' && p != "/setup") {
			return true
		}
	}
	return false
}

// query returns the destination as the sign-in pages carry it in their addresses.
func (d destination) query() string {
	q := url.Values{"return": {d.back}}
	if d.app != "" {
		q.Set("app", d.app)
	}
	if d.state != "" {
		q.Set("state", d.state)
	}
	return "?" + q.Encode()
}

// attempt returns the destination as an attempt stores it.
func (d destination) attempt() login.Destination {
	return login.Destination{App: d.app, Return: d.back, State: d.state}
}

func destinationAfter(p login.Progress) destination {
	return destination{app: p.Destination.App, back: web.ReturnTo(p.Destination.Return), state: p.Destination.State}
}

func (at *attempts) wanted(d destination) (*app.App, bool) {
	if d.app == "" {
		return nil, false
	}
	return at.apps.ByID(d.app)
}

// leadsTo returns the app that the person wants to reach. The form's answer finally redirects to
// the app's origin, and browsers apply form-action to redirects too.
func (at *attempts) leadsTo(x *visit, d destination) (*app.App, bool) {
	a, ok := at.wanted(d)
	if ok {
		x.policy.FormAction = []string{a.Origin(x.r.Host)}
	}
	return a, ok
}

// advance leads the browser to the page that the dispatcher chose: the next step, or the final
// page, which shows whether the browser kept its cookie.
func (at *attempts) advance(x *visit, p login.Progress) error {
	x.redirect(at.keep(x, p))
	return nil
}

// advanceTo is advance for people who came with a link: they arrive at a page with a notice about
// the result.
func (at *attempts) advanceTo(x *visit, p login.Progress, to, notice string) error {
	x.setNotice(notice)
	if p.Step == login.StepFinish {
		p.Destination.Return = to
	}
	return at.advance(x, p)
}

// keep sets the cookies for the attempt's current step, and returns the page of that step.
func (at *attempts) keep(x *visit, p login.Progress) string {
	if p.Step != login.StepFinish {
		x.setCookie(attemptCookie, p.Token, "/login", int(login.AttemptLife/time.Second))
		return stepPages[p.Step]
	}
	at.forgetAttempt(x)
	at.signedIn(x, *p.Result)
	return "/login/done" + destinationAfter(p).query()
}

// signedIn gives the browser its session. A previous session is not revoked, because it may be
// another person's.
func (at *attempts) signedIn(x *visit, result login.Result) {
	at.sessions.SetCookie(x.w, result.Token, x.secure())
	x.setCookie(deviceCookie, result.Device, "/login", deviceAge)
	if who, ok := at.sessions.Lookup(result.Token, authn.AudienceMain); ok {
		x.who = who
		x.who.IP = x.event.Peer
		x.event.Person, x.event.Name, x.event.Session = who.ID, who.Name, result.Session.ID
	}
}

func (at *attempts) forgetAttempt(x *visit) {
	if x.cookie(attemptCookie) != "" {
		x.setCookie(attemptCookie, "", "/login", -1)
	}
}

// atStep runs a handler only for a browser whose attempt is at this step. It leads any other
// browser to the page of its current step, or back to the beginning. The dispatcher decides that,
// also when a step itself discovers a change (the attempt expired, or continued in another tab).
func (at *attempts) atStep(step login.Step, run func(*visit, login.Progress) error) func(*visit) error {
	return func(x *visit) error {
		p, err := at.logins.Where(x.r.Context(), x.cookie(attemptCookie))
		if err != nil {
			return at.attemptOver(x, err)
		}
		if p.Step != step {
			return at.advance(x, p)
		}
		return at.attemptOver(x, run(x, p))
	}
}

// attemptOver redirects a browser whose attempt has expired or is at another step. It returns any
// other error.
func (at *attempts) attemptOver(x *visit, err error) error {
	if err == nil {
		return nil
	}
	e := problem.Of(err)
	switch {
	case e.Kind == problem.NotFound || e.Kind == problem.Gone:
		x.event.Reason = e.Kind.String()
		at.forgetAttempt(x)
		return x.done("/login", "attempt-over")
	case e.Kind == problem.Conflict && e.Rule == "sign-in step":
		p, where := at.logins.Where(x.r.Context(), x.cookie(attemptCookie))
		if where != nil {
			return where
		}
		return at.advance(x, p)
	}
	return err
}

// onward is sendOn for people who come from signing in. If the destination does not recognize them,
// it sends them back here; the third return in a row stops the loop.
func (at *attempts) onward(x *visit, d destination) error {
	if !at.bounces.again(x.who.SessionID, d.app, d.back, x.now()) {
		return at.sendOn(x, d)
	}
	q, again := requestOf(x), "/login"+d.query()
	a, ok := at.wanted(d)
	if !ok {
		return diagnose(
			x,
			"You are caught in a redirect loop",
			"You are signed in here, but "+shown(d.back)+" sent you back to sign in, three times in ten seconds.",
			again,
			q,
			[]causeView{{
				"Sluice recognizes your session in some requests but not in others",
				"If several Sluices answer for this address, they must share one database and one set of keys, or " +
					"each browser must always reach the same one.",
				nil,
			}},
		)
	}
	origin := a.Origin(x.r.Host)
	return diagnose(
		x,
		"You are caught in a redirect loop",
		"You are signed in here, but "+a.Name+" at "+origin+" sent you back to sign in, three times in ten "+
			"seconds.",
		again,
		q,
		q.circling(a.Name, origin),
	)
}

// sendOn redirects a signed-in person to their destination. An app with a port instead of a public
// address is reached on this very host name, where the browser already has its cookie. The state of
// a browser that came from another name of this machine is of no use there.
func (at *attempts) sendOn(x *visit, d destination) error {
	a, ok := at.wanted(d)
	switch {
	case d.app != "" && !ok:
		return problem.New(problem.NotFound, "The app that you came from no longer exists.").
			WithNext("Open Sluice's start page to see your apps.")
	case !ok:
		x.redirect(d.back)
		return nil
	}
	origin := a.Origin(x.r.Host)
	if strings.HasPrefix(origin, "http://") && x.secure() {
		// The browser does not send a Secure cookie to the app's http address, and would be
		// redirected back and forth forever.
		text := "%s has no address on https, and Sluice itself is used on https."
		return problem.Newf(problem.Conflict, text, a.Name).
			WithNext("An admin can give the app a public address that begins with https://.").
			WithRule("app address")
	}
	to := origin + "/.sluice/enter?return=" + url.QueryEscape(d.back)
	if d.state != "" && a.PublicURL != "" {
		if err := at.apps.CheckOpen(x.r.Context(), x.who, a); err != nil {
			return err
		}
		code, err := at.sessions.NewEnterCode(x.r.Context(), x.who, a.ID, d.state)
		if err != nil {
			return err
		}
		to += "&code=" + url.QueryEscape(code)
	}
	x.redirect(to)
	return nil
}

// stepOf returns the content of a step's page, and allows the page's form to lead to the app.
func (at *attempts) stepOf(x *visit, p login.Progress) stepView {
	d := destinationAfter(p)
	v := stepView{Account: p.Account, StartOver: "/login" + d.query()}
	if a, ok := at.leadsTo(x, d); ok {
		v.AppName = a.Name
	}
	return v
}
