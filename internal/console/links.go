package console

import (
	"net/http"
	"strings"

	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// The one-time links bring their token in the query once. It goes into a short-lived cookie for the page alone, and the address is
// cleaned by a redirect, so that it stays out of histories, screenshots and logs.
const (
	setupCookie  = "sluice_setup"
	resetCookie  = "sluice_reset"
	verifyCookie = "sluice_verify"
	emailCookie  = "sluice_email"
	inviteCookie = "sluice_invite"
	linkAge      = 30 * 60 // seconds
)

// keepToken moves the token of a link from the address into a cookie; true means that the answer is written.
func (x *visit) keepToken(cookie, path string) bool {
	token := x.r.URL.Query().Get("token")
	if token == "" || len(token) > 200 {
		return false
	}
	x.setCookie(cookie, token, path, linkAge)
	x.redirect(path)
	return true
}

// showSetup shows the form for the first admin to whoever has the link that the server printed.
func showSetup(x *visit) error {
	token := x.r.URL.Query().Get("token")
	if token == "" {
		token = x.cookie(setupCookie)
	}
	if token == "" && x.who.SignedIn() && x.may(authz.AppManage) {
		x.redirect("/setup/apps")
		return nil
	}
	if err := x.c.cfg.Setup.CheckSetup(x.r.Context(), token); err != nil {
		return x.setupClosed(token, err)
	}
	if x.keepToken(setupCookie, "/setup") {
		return nil
	}
	return x.render(http.StatusOK, setupPage(x.frame("Set up Sluice", ""), setupView{}))
}

// setupClosed says why there is no form and how to get on.
func (x *visit) setupClosed(token string, err error) error {
	e := problem.Of(err)
	if e.Kind == problem.Internal || e.Kind == problem.Unavailable {
		return err
	}
	v := setupClosedView{Title: "This link is no longer valid", Detail: e.Detail, HasAdmin: x.c.cfg.People.HasAdmin()}
	switch {
	case v.HasAdmin:
		v.Title, v.Detail = "Sluice is set up already", "There is an admin. Sign in, or ask them for an account."
	case token == "":
		v.Title, v.Detail = "Open the one-time link", "Sluice printed it when it started. Only whoever can read that may make the first admin."
	}
	x.setCookie(setupCookie, "", "/setup", -1)
	x.event.Reason = e.Kind.String()
	return x.render(e.Kind.Status(), setupClosedPage(x.frame("Set up Sluice", ""), v))
}

// claimSetup makes the first admin and signs them in.
func claimSetup(x *visit) error {
	token := x.cookie(setupCookie)
	v := setupView{Email: x.value("email"), Username: x.value("username"), Name: x.value("name")}
	n := identity.NewUser{Email: v.Email, Username: v.Username, Name: v.Name, Password: x.field("password"), Superuser: true, Active: true}
	progress, err := x.c.cfg.Setup.ClaimSetup(x.r.Context(), token, n, x.meta())
	if err == nil {
		x.setCookie(setupCookie, "", "/setup", -1)
		return x.advanceTo(progress, "/setup/apps", "welcome")
	}
	if k := problem.Of(err).Kind; k == problem.NotFound || k == problem.Gone || x.c.cfg.People.HasAdmin() {
		return x.setupClosed(token, err)
	}
	m, ok := formMistake(err, "email", "username", "name", "password")
	if !ok {
		return err
	}
	v.Problem, v.Wrong = m.Text+" "+m.Next, m.Wrong
	return x.render(m.status, setupPage(x.frame("Set up Sluice", ""), v))
}

// tokenOf is the token that a link's page works with: the address's, or the cookie's after the redirect.
func (x *visit) tokenOf(cookie string) string {
	if token := x.r.URL.Query().Get("token"); token != "" {
		return token
	}
	return x.cookie(cookie)
}

// closedLink is the page behind a link that does not work: spent, expired, unknown, or for an account that is not active.
type closedLink struct {
	Cookie, Path, Title string
	// Next says how to get on.
	Next string
}

// linkClosed shows why a link does not work; err is returned if that is not the reason.
func (x *visit) linkClosed(c closedLink, err error) error {
	e := problem.Of(err)
	switch e.Kind {
	case problem.NotFound, problem.Gone, problem.Denied:
	default:
		return err
	}
	x.setCookie(c.Cookie, "", c.Path, -1)
	x.event.Reason = e.Kind.String()
	v := linkClosedView{Title: "This link is no longer valid", Detail: e.Detail, Next: strings.TrimSpace(e.Next + " " + c.Next), SignedIn: x.who.SignedIn()}
	return x.render(e.Kind.Status(), linkClosedPage(x.frame(c.Title, ""), v))
}

var resetClosed = closedLink{Cookie: resetCookie, Path: "/reset", Title: "Choose a password", Next: "Ask for a new link. Your old password, if you have one, still works."}

// showReset shows the form for a new password to whoever has a person's one-time link.
func showReset(x *visit) error {
	u, err := x.c.cfg.SignUps.CheckReset(x.r.Context(), x.tokenOf(resetCookie))
	if err != nil {
		return x.linkClosed(resetClosed, err)
	}
	if x.keepToken(resetCookie, "/reset") {
		return nil
	}
	return x.render(http.StatusOK, resetPage(x.frame("Choose a password", ""), resetView{Username: u.Username}))
}

// reset sets the password and signs the person in.
func reset(x *visit) error {
	token := x.cookie(resetCookie)
	progress, err := x.c.cfg.SignUps.Reset(x.r.Context(), token, x.field("password"), x.meta())
	if err == nil {
		x.setCookie(resetCookie, "", "/reset", -1)
		return x.advanceTo(progress, "/", "password")
	}
	m, ok := formMistake(err, "password")
	if !ok {
		return x.linkClosed(resetClosed, err)
	}
	u, lookup := x.c.cfg.SignUps.CheckReset(x.r.Context(), token)
	if lookup != nil {
		return x.linkClosed(resetClosed, lookup)
	}
	return x.render(m.status, resetPage(x.frame("Choose a password", ""), resetView{Username: u.Username, Problem: m.Text + " " + m.Next, Wrong: m.Wrong}))
}

var verifyClosed = closedLink{Cookie: verifyCookie, Path: "/verify", Title: "Confirm your address", Next: "If your address is not confirmed yet, your account page can send a new link."}

// showVerifyEmail shows a button: mail scanners open links, and opening alone must not prove anything.
func showVerifyEmail(x *visit) error {
	email, err := x.c.cfg.SignUps.CheckVerify(x.r.Context(), x.tokenOf(verifyCookie))
	if err != nil {
		return x.linkClosed(verifyClosed, err)
	}
	if x.keepToken(verifyCookie, "/verify") {
		return nil
	}
	return x.render(http.StatusOK, verifyEmailPage(x.frame("Confirm your address", ""), email))
}

func verifyEmail(x *visit) error {
	u, err := x.c.cfg.SignUps.Verify(x.r.Context(), x.cookie(verifyCookie), x.event.Peer)
	if err != nil {
		return x.linkClosed(verifyClosed, err)
	}
	x.setCookie(verifyCookie, "", "/verify", -1)
	v := outcomeView{Title: "Your address is confirmed", Text: u.Email + " is yours.", Href: "/login", Action: "Sign in"}
	if !u.Active {
		v.Text += " An admin has to activate the account before you can sign in."
	}
	if x.who.SignedIn() {
		v.Href, v.Action = "/account", "Go to your account"
	}
	return x.render(http.StatusOK, outcomePage(x.frame("Address confirmed", ""), v))
}

var emailClosed = closedLink{Cookie: emailCookie, Path: "/email", Title: "Change of address", Next: "You can begin again on your account page."}

// showEmailChange shows what one end of a change of address is asked.
func showEmailChange(x *visit) error {
	change, err := x.c.cfg.SignUps.CheckEmailChange(x.r.Context(), x.tokenOf(emailCookie))
	if err != nil {
		return x.linkClosed(emailClosed, err)
	}
	if x.keepToken(emailCookie, "/email") {
		return nil
	}
	return x.render(http.StatusOK, emailChangePage(x.frame("Change of address", ""), change.NewEmail, change.ToOld))
}

func confirmEmailChange(x *visit) error {
	done, err := x.c.cfg.SignUps.ConfirmEmailChange(x.r.Context(), x.cookie(emailCookie), x.event.Peer)
	if err != nil {
		return x.linkClosed(emailClosed, err)
	}
	x.setCookie(emailCookie, "", "/email", -1)
	v := outcomeView{Title: "One half is done", Text: "The address changes as soon as the link in the other mail has been opened too.", Href: "/account", Action: "Go to your account"}
	if done {
		v.Title, v.Text = "Your address is changed", "Both ends have confirmed it. Sign in with the new address, or with your username, from now on."
	}
	return x.render(http.StatusOK, outcomePage(x.frame("Change of address", ""), v))
}

func cancelEmailChange(x *visit) error {
	if err := x.c.cfg.SignUps.CancelEmailChange(x.r.Context(), x.cookie(emailCookie)); err != nil {
		return x.linkClosed(emailClosed, err)
	}
	x.setCookie(emailCookie, "", "/email", -1)
	v := outcomeView{
		Title: "The change is stopped", Text: "Your address stays as it was. If you had not asked for a change, somebody knows your password: choose a new one now.",
		Href: "/account", Action: "Go to your account",
	}
	return x.render(http.StatusOK, outcomePage(x.frame("Change of address", ""), v))
}
