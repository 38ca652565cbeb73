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

// joinPages are for people who have no account or cannot get into theirs: sign-up, forgotten
// password, invitation.
type joinPages struct {
	attempts    *attempts
	logins      *login.Logins
	signUps     *signup.SignUps
	invitations *signup.Invitations
}

// linkClosedView explains why a link does not work and what to do next.
type linkClosedView struct {
	Title, Detail, Next string
	SignedIn            bool
}

// outcomeView is a page that only reports an outcome.
type outcomeView struct{ Title, Text, Href, Action string }

// signUpView is the form with which a stranger creates an account.
type signUpView struct {
	Email, Username, Name string
	// ByMail reports that the address is required, because a link is sent to it.
	ByMail        bool
	Problem, Next string
	Wait          time.Duration
	Wrong         wrong
}

func (p *joinPages) showSignUp(x *visit) error {
	if x.who.SignedIn() {
		x.redirect("/")
		return nil
	}
	if !p.signUps.SignUpOpen() {
		return signUpClosed()
	}
	return x.render(
		http.StatusOK,
		signUpPage(x.frame("Create an account", ""), signUpView{ByMail: p.logins.MailConfigured()}),
	)
}

func signUpClosed() error {
	return problem.New(problem.NotFound, "Only admins create accounts here.").
		WithNext("Ask an admin for an invitation, or sign in.")
}

func (p *joinPages) signUp(x *visit) error {
	if !p.signUps.SignUpOpen() {
		return signUpClosed()
	}
	v := signUpView{
		Email:    x.value("email"),
		Username: x.value("username"),
		Name:     x.value("name"),
		ByMail:   p.logins.MailConfigured(),
	}
	n := identity.NewUser{Email: v.Email, Username: v.Username, Name: v.Name, Password: x.field("password")}
	state, err := p.signUps.SignUp(x.r.Context(), n, x.meta())
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
		return renderOutcome(
			x,
			"Check your mail",
			"If "+v.Email+" can be used, a mail with a link is on its way to it. Open the link to confirm the address.",
			"/login",
			"Go to sign-in",
		)
	}
	return renderOutcome(
		x,
		"Waiting for approval",
		"An admin has to activate it before you can sign in.",
		"/login",
		"Go to sign-in",
	)
}

func renderOutcome(x *visit, title, text, href, action string) error {
	return x.render(http.StatusOK, outcomePage(x.frame(title, ""), outcomeView{title, text, href, action}))
}

// forgotView is the form that asks for a reset link.
type forgotView struct {
	Identifier    string
	Mail          bool
	Problem, Next string
	Wait          time.Duration
}

func (p *joinPages) showForgot(x *visit) error {
	return x.render(
		http.StatusOK,
		forgotPage(x.frame("Forgot your password?", ""), forgotView{Mail: p.logins.MailConfigured()}),
	)
}

// forgot gives the same answer whether or not the account exists.
func (p *joinPages) forgot(x *visit) error {
	v := forgotView{Identifier: clipped(x.value("identifier"), 254), Mail: p.logins.MailConfigured()}
	err := problem.New(problem.Invalid, "Enter your username or email address.")
	if x.value("identifier") != "" {
		asked := p.signUps.RequestReset(x.r.Context(), x.value("identifier"), x.event.Peer)
		if asked == nil {
			return renderOutcome(
				x,
				"Check your mail",
				"If an active account with an email address matches your entry, a link to set a new password is on "+
					"its way to it.",
				"/login",
				"Go to sign-in",
			)
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
	// HasAccount reports that the address has an account. SignedInAs is the person who opened the
	// page, if they are signed in, and Same reports that the address is theirs.
	HasAccount    bool
	SignedInAs    string
	Same          bool
	Problem, Next string
	Wrong         wrong
}

func (v inviteView) signInPath() string { return "/login?return=" + url.QueryEscape("/invite") }

// showInvite shows an invitation to the person with its link.
func (p *joinPages) showInvite(x *visit) error {
	v, err := p.invitation(x)
	if err != nil {
		return inviteLink.closed(x, err)
	}
	if inviteLink.keep(x) {
		return nil
	}
	return x.render(http.StatusOK, invitePage(x.frame("Invitation", ""), v))
}

func (p *joinPages) invitation(x *visit) (inviteView, error) {
	i, err := p.invitations.CheckInvite(x.r.Context(), inviteLink.token(x))
	v := inviteView{Email: i.Email, Workspace: i.WorkspaceName, Role: i.RoleName, HasAccount: i.HasAccount}
	if x.who.SignedIn() {
		v.SignedInAs, v.Same = x.who.Name, strings.EqualFold(x.who.Email, i.Email)
	}
	return v, err
}

// acceptInvite creates the account of the invited address, or adds the person who is signed in with
// that address to the workspace.
func (p *joinPages) acceptInvite(x *visit) error {
	v, err := p.invitation(x)
	if err != nil {
		return inviteLink.closed(x, err)
	}
	v.Username, v.Name = x.value("username"), x.value("name")
	token, progress := inviteLink.kept(x), login.Progress{Step: login.StepFinish}
	if x.who.SignedIn() {
		err = p.invitations.AcceptInviteAs(x.r.Context(), x.who, token)
	} else {
		progress, err = p.invitations.AcceptInvite(x.r.Context(), token, identity.NewUser{
			Username: v.Username,
			Name:     v.Name,
			Password: x.field("password"),
		}, x.meta())
	}
	if err == nil {
		inviteLink.forget(x)
		if x.who.SignedIn() {
			return x.done("/flows", "joined")
		}
		return p.attempts.advanceTo(x, progress, "/flows", "joined")
	}
	m, ok := formMistake(err, "username", "name", "password")
	if !ok {
		return inviteLink.closed(x, err)
	}
	v.Problem, v.Next, v.Wrong = m.Text, m.Next, m.Wrong
	return x.render(m.status, invitePage(x.frame("Invitation", ""), v))
}
