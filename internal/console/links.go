package console

import (
	"net/http"

	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// The one-time links bring their token in the query once. It goes into a short-lived cookie for the page alone, and the address is
// cleaned by a redirect, so that it stays out of histories, screenshots and logs.
const (
	setupCookie = "sluice_setup"
	resetCookie = "sluice_reset"
	linkAge     = 30 * 60 // seconds
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
	if err := x.c.cfg.Logins.CheckSetup(x.r.Context(), token); err != nil {
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
	result, err := x.c.cfg.Logins.ClaimSetup(x.r.Context(), token, n, x.meta())
	if err == nil {
		x.setCookie(setupCookie, "", "/setup", -1)
		x.signedIn(result)
		return x.done("/setup/apps", "welcome")
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

// showReset shows the form for a new password to whoever has a person's one-time link.
func showReset(x *visit) error {
	token := x.r.URL.Query().Get("token")
	if token == "" {
		token = x.cookie(resetCookie)
	}
	u, err := x.c.cfg.Logins.CheckReset(x.r.Context(), token)
	if err != nil {
		return x.resetClosed(err)
	}
	if x.keepToken(resetCookie, "/reset") {
		return nil
	}
	return x.render(http.StatusOK, resetPage(x.frame("Choose a password", ""), resetView{Username: u.Username}))
}

func (x *visit) resetClosed(err error) error {
	e := problem.Of(err)
	switch e.Kind {
	case problem.NotFound, problem.Gone, problem.Denied:
	default:
		return err
	}
	x.setCookie(resetCookie, "", "/reset", -1)
	x.event.Reason = e.Kind.String()
	return x.render(e.Kind.Status(), resetClosedPage(x.frame("Choose a password", ""), e.Detail))
}

// reset sets the password and signs the person in.
func reset(x *visit) error {
	token := x.cookie(resetCookie)
	result, err := x.c.cfg.Logins.Reset(x.r.Context(), token, x.field("password"), x.meta())
	if err == nil {
		x.setCookie(resetCookie, "", "/reset", -1)
		x.signedIn(result)
		return x.done("/", "password")
	}
	m, ok := formMistake(err, "password")
	if !ok {
		return x.resetClosed(err)
	}
	u, lookup := x.c.cfg.Logins.CheckReset(x.r.Context(), token)
	if lookup != nil {
		return x.resetClosed(lookup)
	}
	return x.render(m.status, resetPage(x.frame("Choose a password", ""), resetView{Username: u.Username, Problem: m.Text + " " + m.Next, Wrong: m.Wrong}))
}
