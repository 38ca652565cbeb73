package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/signup"
	"sluice/internal/problem"
)

// linkClosedView says why a link does not work and how to get on.
type linkClosedView struct {
	Title, Detail, Next string
	SignedIn            bool
}

// outcomeView is a quiet page that says what has happened.
type outcomeView struct{ Title, Text, Href, Action string }

// signUpView is the form with which a stranger makes an account.
type signUpView struct {
	Email, Username, Name string
	// ByMail tells that the address is needed, because a link is sent to it.
	ByMail        bool
	Problem, Next string
	Wait          time.Duration
	Wrong         wrong
}

func showSignUp(x *visit) error {
	if x.who.SignedIn() {
		x.redirect("/")
		return nil
	}
	if !x.c.cfg.SignUps.SignUpOpen() {
		return signUpClosed()
	}
	return x.render(http.StatusOK, signUpPage(x.frame("Create an account", ""), signUpView{ByMail: x.c.cfg.Logins.MailConfigured()}))
}

func signUpClosed() error {
	return problem.New(problem.NotFound, "Accounts are made by an admin here.").WithNext("Ask an admin for an invitation, or sign in.")
}

func signUp(x *visit) error {
	if !x.c.cfg.SignUps.SignUpOpen() {
		return signUpClosed()
	}
	v := signUpView{Email: x.value("email"), Username: x.value("username"), Name: x.value("name"), ByMail: x.c.cfg.Logins.MailConfigured()}
	n := identity.NewUser{Email: v.Email, Username: v.Username, Name: v.Name, Password: x.field("password")}
	state, err := x.c.cfg.SignUps.SignUp(x.r.Context(), n, x.meta())
	if err != nil {
		m, ok := formMistake(err, "email", "username", "name", "password")
		if !ok {
			return err
		}
		e := problem.Of(err)
		e.SetHeaders(x.w.Header())
		v.Problem, v.Next, v.Wait, v.Wrong = m.Text, m.Next, e.RetryAfter, m.Wrong
		return x.render(m.status, signUpPage(x.frame("Create an account", ""), v))
	}
	switch state {
	case signup.Done:
		return x.done("/login", "account")
	case signup.CheckMail:
		return x.outcome("Check your mail", "If "+v.Email+" can be used, a mail with a link is on its way to it. Open the link to confirm the address.", "/login", "Go to sign-in")
	}
	return x.outcome("Your account waits", "An admin has to activate it before you can sign in.", "/login", "Go to sign-in")
}

func (x *visit) outcome(title, text, href, action string) error {
	return x.render(http.StatusOK, outcomePage(x.frame(title, ""), outcomeView{title, text, href, action}))
}

// forgotView is the form that asks for a reset link.
type forgotView struct {
	Identifier    string
	Mail          bool
	Problem, Next string
	Wait          time.Duration
}

func showForgot(x *visit) error {
	return x.render(http.StatusOK, forgotPage(x.frame("Forgot your password?", ""), forgotView{Mail: x.c.cfg.Logins.MailConfigured()}))
}

// forgot gives the same answer whether there is such an account or not.
func forgot(x *visit) error {
	v := forgotView{Identifier: clipped(x.value("identifier"), 254), Mail: x.c.cfg.Logins.MailConfigured()}
	err := problem.New(problem.Invalid, "Enter your username or e-mail address.")
	if x.value("identifier") != "" {
		asked := x.c.cfg.SignUps.RequestReset(x.r.Context(), x.value("identifier"), x.event.Peer)
		if asked == nil {
			return x.outcome("Check your mail", "If there is an active account with an e-mail address under what you entered, a link that sets a new password is on its way to it.", "/login", "Go to sign-in")
		}
		err = problem.Of(asked)
	}
	m, ok := formMistake(err)
	if !ok {
		return err
	}
	err.SetHeaders(x.w.Header())
	v.Problem, v.Next, v.Wait = m.Text, m.Next, err.RetryAfter
	return x.render(m.status, forgotPage(x.frame("Forgot your password?", ""), v))
}

// inviteView is the page behind an invitation.
type inviteView struct {
	Email, Workspace, Role string
	Username, Name         string
	// HasAccount tells that the address has an account; SignedInAs is who opened the page, if anybody, and Same that it is the owner of that address.
	HasAccount    bool
	SignedInAs    string
	Same          bool
	Problem, Next string
	Wrong         wrong
}

func (v inviteView) signInPath() string { return "/login?return=" + url.QueryEscape("/invite") }

var inviteClosed = closedLink{Cookie: inviteCookie, Path: "/invite", Title: "Invitation", Next: "Ask whoever invited you for a new one."}

// showInvite shows an invitation to whoever has its link.
func showInvite(x *visit) error {
	v, err := x.invitation()
	if err != nil {
		return x.linkClosed(inviteClosed, err)
	}
	if x.keepToken(inviteCookie, "/invite") {
		return nil
	}
	return x.render(http.StatusOK, invitePage(x.frame("Invitation", ""), v))
}

func (x *visit) invitation() (inviteView, error) {
	i, err := x.c.cfg.Invitations.CheckInvite(x.r.Context(), x.tokenOf(inviteCookie))
	v := inviteView{Email: i.Email, Workspace: i.WorkspaceName, Role: i.RoleName, HasAccount: i.HasAccount}
	if x.who.SignedIn() {
		v.SignedInAs, v.Same = x.who.Name, strings.EqualFold(x.who.Email, i.Email)
	}
	return v, err
}

// acceptInvite makes the account of the invited address, or lets the person who is signed in with it into the workspace.
func acceptInvite(x *visit) error {
	v, err := x.invitation()
	if err != nil {
		return x.linkClosed(inviteClosed, err)
	}
	v.Username, v.Name = x.value("username"), x.value("name")
	token, progress := x.cookie(inviteCookie), login.Progress{Step: login.StepFinish}
	if x.who.SignedIn() {
		err = x.c.cfg.Invitations.AcceptInviteAs(x.r.Context(), x.who, token)
	} else {
		progress, err = x.c.cfg.Invitations.AcceptInvite(x.r.Context(), token, identity.NewUser{Username: v.Username, Name: v.Name, Password: x.field("password")}, x.meta())
	}
	if err == nil {
		x.setCookie(inviteCookie, "", "/invite", -1)
		if x.who.SignedIn() {
			return x.done("/flows", "joined")
		}
		return x.advanceTo(progress, "/flows", "joined")
	}
	m, ok := formMistake(err, "username", "name", "password")
	if !ok {
		return x.linkClosed(inviteClosed, err)
	}
	v.Problem, v.Next, v.Wrong = m.Text, m.Next, m.Wrong
	return x.render(m.status, invitePage(x.frame("Invitation", ""), v))
}
