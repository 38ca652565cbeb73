package console

import (
	"net/http"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/factor"
	"sluice/internal/login/signup"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
)

// signInPages are the sign-in page and the page after signing out.
type signInPages struct {
	attempts  *attempts
	logins    *login.Logins
	sessions  *authn.Sessions
	people    *identity.People
	factors   *factor.Factors
	providers *sso.Providers
	signUps   *signup.SignUps
	apps      *app.Apps
}

// showLogin shows the form. A person who is already signed in is sent onward.
func (s *signInPages) showLogin(x *visit) error {
	d := destinationOf(x.r.URL.Query())
	if x.who.SignedIn() && !(x.who.Automatic && x.r.URL.Query().Get("with") != "") {
		return s.attempts.onward(x, d)
	}
	if done, err := s.signInAutomatically(x, d); done || err != nil {
		return err
	}
	s.attempts.forgetAttempt(x)
	return s.loginForm(x, http.StatusOK, d, loginView{})
}

func (s *signInPages) loginForm(x *visit, status int, d destination, v loginView) error {
	v.App, v.Return, v.State = d.app, d.back, d.state
	v.NoAdmin, v.SignUp = !s.people.HasAdmin(), s.signUps.SignUpOpen()
	v.Providers, v.Passkeys = s.providers.SignInButtons(), passkeysAt(x).Here
	v.Hidden = s.logins.PasswordPolicy() == login.PasswordSuperusers && v.others() &&
		x.r.URL.Query().Get("with") != "password" &&
		(x.r.Method == http.MethodGet || x.r.URL.Path != "/login")
	if a, ok := s.attempts.leadsTo(x, d); ok {
		v.AppName = a.Name
	}
	page := x.frame("Sign in", "")
	page.Scripts = []string{"passkey.js"}
	return x.render(status, loginPage(page, v))
}

// signIn takes the form. After a failure, the form comes back with the typed name and one text for
// every reason.
func (s *signInPages) signIn(x *visit) error {
	d := destinationOf(x.r.PostForm)
	attempt := login.Attempt{
		Identifier:  x.value("identifier"),
		Password:    x.field("password"),
		IP:          x.event.Peer,
		UserAgent:   x.r.UserAgent(),
		Device:      x.cookie(deviceCookie),
		Destination: d.attempt(),
	}
	progress, err := s.logins.Password(x.r.Context(), attempt)
	if err == nil {
		return s.attempts.advance(x, progress)
	}
	identifier := attempt.Identifier
	if len(identifier) > 254 {
		identifier = ""
	}
	return s.signInMistake(x, err, d, identifier)
}

// signInMistake shows the sign-in page again with the mistake.
func (s *signInPages) signInMistake(x *visit, err error, d destination, identifier string) error {
	e := problem.Of(err)
	switch e.Kind {
	case problem.Unauthenticated, problem.Denied, problem.Limited, problem.Unavailable:
	case problem.Invalid, problem.NotFound, problem.Gone, problem.Conflict:
		// A passkey's answer that was unusable or too late.
	default:
		return err
	}
	x.event.Reason = e.Kind.String()
	e.SetHeaders(x.w.Header())
	return s.loginForm(
		x,
		e.Kind.Status(),
		d,
		loginView{Identifier: identifier, Problem: e.Detail, Next: e.Next, Wait: e.RetryAfter},
	)
}

// loginDone is where every sign-in arrives in the end. A browser that brings its session is sent
// onward. One that does not would be asked to sign in forever, so it gets an explanation instead.
func (s *signInPages) loginDone(x *visit) error {
	d := destinationOf(x.r.URL.Query())
	if x.who.SignedIn() {
		return s.attempts.onward(x, d)
	}
	q := requestOf(x)
	return diagnose(
		x,
		"You signed in, but your browser did not bring the session back",
		"Sluice gave your browser a session cookie, but the browser came back without it.",
		"/login"+d.query(),
		q,
		lostSession(q),
	)
}

// enter leads from Sluice's own pages into an app: to the app's entrance, which comes back for a
// code if its origin needs a cookie.
func (s *signInPages) enter(x *visit) error {
	d := destinationOf(x.r.URL.Query())
	d.state = ""
	a, ok := s.attempts.wanted(d)
	if !ok {
		return problem.New(problem.NotFound, "There is no such app. It may have been removed.").
			WithNext("Open the start page to see your apps.")
	}
	if err := s.apps.CheckOpen(x.r.Context(), x.who, a); err != nil {
		return err
	}
	return s.attempts.sendOn(x, d)
}

// showLogout asks first, because a link or a picture on another page must not sign people out. It
// is also the page after signing out.
func (s *signInPages) showLogout(x *visit) error {
	name := ""
	if x.who.SignedIn() {
		name = x.who.Name
	}
	page := x.frame("Sign out", "")
	return x.render(http.StatusOK, logoutPage(page, name))
}

// signOut revokes the session on every origin, and also at the provider if it came from single
// sign-on.
func (s *signInPages) signOut(x *visit) error {
	elsewhere := ""
	if x.who.SignedIn() {
		var err error
		if elsewhere, err = s.providers.SignOutElsewhere(x.r.Context(), x.who, x.origin()); err != nil {
			return err
		}
		if err := s.logins.SignOut(x.r.Context(), x.who); err != nil {
			return err
		}
	}
	s.sessions.ClearCookie(x.w, x.secure())
	if elsewhere != "" {
		x.who = authz.Principal{}
		return sendAway(x, awayView{
			"You are signed out of Sluice",
			"Your identity provider can sign you out too, and then returns you here.",
			elsewhere,
			"Sign out there too",
		})
	}
	x.redirect("/logout")
	return nil
}

func (s *signInPages) offerPasskey(x *visit) error {
	rp, err := relyingParty(x)
	if err != nil {
		return err
	}
	return x.offer(s.factors.OfferPasskey(x.r.Context(), rp, x.event.Peer))
}

// signInByPasskey signs in without a name, because the passkey identifies the person.
func (s *signInPages) signInByPasskey(x *visit) error {
	d := destinationOf(x.r.PostForm)
	token, response, ok := passkeyAnswer(x)
	if !ok {
		return s.loginForm(x, http.StatusBadRequest, d, loginView{
			Problem: "Passkeys need JavaScript, which this browser did not run.",
			Next:    "Sign in another way.",
		})
	}
	rp, err := relyingParty(x)
	if err != nil {
		return err
	}
	attempt := login.Attempt{
		IP:          x.event.Peer,
		UserAgent:   x.r.UserAgent(),
		Device:      x.cookie(deviceCookie),
		Destination: d.attempt(),
	}
	progress, err := s.factors.Passkey(x.r.Context(), rp, token, response, attempt)
	if err != nil {
		return s.signInMistake(x, err, d, "")
	}
	return s.attempts.advance(x, progress)
}
