package console

import (
	"net/http"
	"strings"

	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/login/signup"
	"sluice/internal/problem"
)

// linkPages are the pages behind one-time links: set-up, a new password, a confirmed address, a
// changed address.
type linkPages struct {
	attempts *attempts
	setup    *signup.Setup
	signUps  *signup.SignUps
	people   *identity.People
}

// The cookies of the one-time links.
const (
	setupCookie  = "sluice_setup"
	resetCookie  = "sluice_reset"
	verifyCookie = "sluice_verify"
	emailCookie  = "sluice_email"
	inviteCookie = "sluice_invite"
)

// linkAge is how long the token of a link is kept in its cookie, in seconds.
const linkAge = 30 * 60

// singleUseLink is a kind of link that works once, in a mail or in the server's output. Such a link
// brings its token in the query. The token goes into a short-lived cookie for the link's page
// alone, and a redirect removes it from the address, so that it stays out of histories, screenshots
// and logs.
type singleUseLink struct {
	// Cookie keeps the token, Path is the page, Title its title.
	Cookie, Path, Title string
	// Next says what to do after a link that does not work.
	Next string
}

var (
	setupLink = singleUseLink{Cookie: setupCookie, Path: "/setup", Title: "Set up Sluice"}
	resetLink = singleUseLink{
		Cookie: resetCookie,
		Path:   "/reset",
		Title:  "Choose a password",
		Next:   "Ask for a new link. Your old password, if you have one, still works.",
	}
	verifyLink = singleUseLink{
		Cookie: verifyCookie,
		Path:   "/verify",
		Title:  "Confirm your address",
		Next:   "If your address is not confirmed yet, your account page can send a new link.",
	}
	emailLink = singleUseLink{
		Cookie: emailCookie,
		Path:   "/email",
		Title:  "Change of address",
		Next:   "You can start again on your account page.",
	}
	inviteLink = singleUseLink{
		Cookie: inviteCookie,
		Path:   "/invite",
		Title:  "Invitation",
		Next:   "Ask the person who invited you for a new one.",
	}
)

// keep moves the token from the address into the cookie; true means that the answer is written.
func (l singleUseLink) keep(x *visit) bool {
	token := x.r.URL.Query().Get("token")
	if token == "" || len(token) > 200 {
		return false
	}
	x.setCookie(l.Cookie, token, l.Path, linkAge)
	x.redirect(l.Path)
	return true
}

// token is the token that the link's page works with: from the address, or from the cookie after
// the redirect.
func (l singleUseLink) token(x *visit) string {
	if token := x.r.URL.Query().Get("token"); token != "" {
		return token
	}
	return l.kept(x)
}

// kept is the token in the cookie; "" for none.
func (l singleUseLink) kept(x *visit) string { return x.cookie(l.Cookie) }

// forget removes the cookie.
func (l singleUseLink) forget(x *visit) { x.setCookie(l.Cookie, "", l.Path, -1) }

// closed shows why a link does not work: it was used, has expired, is unknown, or is for an
// inactive account. It returns any other error.
func (l singleUseLink) closed(x *visit, err error) error {
	e := problem.Of(err)
	switch e.Kind {
	case problem.NotFound, problem.Gone, problem.Denied:
	default:
		return err
	}
	l.forget(x)
	x.event.Reason = e.Kind.String()
	v := linkClosedView{
		Title:    "This link is no longer valid",
		Detail:   e.Detail,
		Next:     strings.TrimSpace(e.Next + " " + l.Next),
		SignedIn: x.who.SignedIn(),
	}
	return x.render(e.Kind.Status(), linkClosedPage(x.frame(l.Title, ""), v))
}

// showSetup shows the form for the first admin to a person with the link that the server printed.
func (p *linkPages) showSetup(x *visit) error {
	token := setupLink.token(x)
	if token == "" && x.who.SignedIn() && x.may(authz.AppManage) {
		x.redirect("/setup/apps")
		return nil
	}
	if err := p.setup.CheckSetup(x.r.Context(), token); err != nil {
		return p.setupClosed(x, token, err)
	}
	if setupLink.keep(x) {
		return nil
	}
	return x.render(http.StatusOK, setupPage(x.frame("Set up Sluice", ""), setupView{}))
}

// setupClosed explains why the form is not available and what to do next.
func (p *linkPages) setupClosed(x *visit, token string, err error) error {
	e := problem.Of(err)
	if e.Kind == problem.Internal || e.Kind == problem.Unavailable {
		return err
	}
	v := setupClosedView{Title: "This link is no longer valid", Detail: e.Detail, HasAdmin: p.people.HasAdmin()}
	switch {
	case v.HasAdmin:
		v.Title, v.Detail = "Sluice is already set up", "Sign in, or ask an admin for an account."
	case token == "":
		v.Title = "Open the one-time link"
		v.Detail = "Sluice printed it when it started. Only people who can read that output can create the first admin."
	}
	setupLink.forget(x)
	x.event.Reason = e.Kind.String()
	return x.render(e.Kind.Status(), setupClosedPage(x.frame("Set up Sluice", ""), v))
}

// claimSetup creates the first admin and signs them in.
func (p *linkPages) claimSetup(x *visit) error {
	token := setupLink.kept(x)
	v := setupView{Email: x.value("email"), Username: x.value("username"), Name: x.value("name")}
	n := identity.NewUser{
		Email:     v.Email,
		Username:  v.Username,
		Name:      v.Name,
		Password:  x.field("password"),
		Superuser: true,
		Active:    true,
	}
	progress, err := p.setup.ClaimSetup(x.r.Context(), token, n, x.meta())
	if err == nil {
		setupLink.forget(x)
		return p.attempts.advanceTo(x, progress, "/setup/apps", "welcome")
	}
	if k := problem.Of(err).Kind; k == problem.NotFound || k == problem.Gone || p.people.HasAdmin() {
		return p.setupClosed(x, token, err)
	}
	m, ok := formMistake(err, "email", "username", "name", "password")
	if !ok {
		return err
	}
	v.Problem, v.Wrong = m.Text+" "+m.Next, m.Wrong
	return x.render(m.status, setupPage(x.frame("Set up Sluice", ""), v))
}

// showReset shows the form for a new password to the person with the one-time link.
func (p *linkPages) showReset(x *visit) error {
	u, err := p.signUps.CheckReset(x.r.Context(), resetLink.token(x))
	if err != nil {
		return resetLink.closed(x, err)
	}
	if resetLink.keep(x) {
		return nil
	}
	return x.render(http.StatusOK, resetPage(x.frame("Choose a password", ""), resetView{Username: u.Username}))
}

// reset sets the password and signs the person in.
func (p *linkPages) reset(x *visit) error {
	token := resetLink.kept(x)
	progress, err := p.signUps.Reset(x.r.Context(), token, x.field("password"), x.meta())
	if err == nil {
		resetLink.forget(x)
		return p.attempts.advanceTo(x, progress, "/", "password")
	}
	m, ok := formMistake(err, "password")
	if !ok {
		return resetLink.closed(x, err)
	}
	u, lookup := p.signUps.CheckReset(x.r.Context(), token)
	if lookup != nil {
		return resetLink.closed(x, lookup)
	}
	return x.render(m.status, resetPage(
		x.frame("Choose a password", ""),
		resetView{Username: u.Username, Problem: m.Text + " " + m.Next, Wrong: m.Wrong},
	))
}

// showVerifyEmail shows a button: mail scanners open links, and opening alone must not prove
// anything.
func (p *linkPages) showVerifyEmail(x *visit) error {
	email, err := p.signUps.CheckVerify(x.r.Context(), verifyLink.token(x))
	if err != nil {
		return verifyLink.closed(x, err)
	}
	if verifyLink.keep(x) {
		return nil
	}
	return x.render(http.StatusOK, verifyEmailPage(x.frame("Confirm your address", ""), email))
}

func (p *linkPages) verifyEmail(x *visit) error {
	u, err := p.signUps.Verify(x.r.Context(), verifyLink.kept(x), x.event.Peer)
	if err != nil {
		return verifyLink.closed(x, err)
	}
	verifyLink.forget(x)
	v := outcomeView{
		Title:  "Your address is confirmed",
		Text:   u.Email + " is yours.",
		Href:   "/login",
		Action: "Sign in",
	}
	if !u.Active {
		v.Text += " An admin has to activate the account before you can sign in."
	}
	if x.who.SignedIn() {
		v.Href, v.Action = "/account", "Go to your account"
	}
	return x.render(http.StatusOK, outcomePage(x.frame("Address confirmed", ""), v))
}

// showEmailChange shows the question for one of the two addresses of a change.
func (p *linkPages) showEmailChange(x *visit) error {
	change, err := p.signUps.CheckEmailChange(x.r.Context(), emailLink.token(x))
	if err != nil {
		return emailLink.closed(x, err)
	}
	if emailLink.keep(x) {
		return nil
	}
	return x.render(http.StatusOK, emailChangePage(x.frame("Change of address", ""), change.NewEmail, change.ToOld))
}

func (p *linkPages) confirmEmailChange(x *visit) error {
	done, err := p.signUps.ConfirmEmailChange(x.r.Context(), emailLink.kept(x), x.event.Peer)
	if err != nil {
		return emailLink.closed(x, err)
	}
	emailLink.forget(x)
	v := outcomeView{
		Title:  "One address is confirmed",
		Text:   "The address changes when the link in the other mail has been opened too.",
		Href:   "/account",
		Action: "Go to your account",
	}
	if done {
		v.Title = "Your address is changed"
		v.Text = "Both addresses have confirmed it. From now on, sign in with the new address or with your username."
	}
	return x.render(http.StatusOK, outcomePage(x.frame("Change of address", ""), v))
}

func (p *linkPages) cancelEmailChange(x *visit) error {
	if err := p.signUps.CancelEmailChange(x.r.Context(), emailLink.kept(x)); err != nil {
		return emailLink.closed(x, err)
	}
	emailLink.forget(x)
	v := outcomeView{
		Title: "The change is stopped",
		Text: "Your address is unchanged. If you did not request a change, someone knows your password: choose a " +
			"new one now.",
		Href:   "/account",
		Action: "Go to your account",
	}
	return x.render(http.StatusOK, outcomePage(x.frame("Change of address", ""), v))
}
