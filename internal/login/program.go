package login

import (
	"context"

	"sluice/internal/authn"
	"sluice/internal/problem"
)

// Grant is what a program signs in with.
type Grant struct {
	// Identifier is a username or an e-mail address, Password its password in clear.
	Identifier, Password string
	// Code is an authenticator app's code or a recovery code; "" for accounts without a second factor.
	Code string
	// Workspace is the id of the workspace to work in; "" leaves it to Sluice.
	Workspace string
	// IP is the client's address, UserAgent what it calls itself.
	IP, UserAgent string
}

// SignInProgram signs a program in with a person's password, for tokens. It meets the same limits and the same dispatcher as the form: a second factor is asked for in Code, what only a browser can do is
// problem.Denied with a word on what to do there, and offers are passed over. Errors are those of Password, and problem.NotFound for a workspace that the person does not belong to.
func (l *Logins) SignInProgram(ctx context.Context, g Grant) (authn.Pair, error) {
	p, err := l.Password(ctx, Attempt{Identifier: g.Identifier, Password: g.Password, IP: g.IP, UserAgent: g.UserAgent, program: true, workspace: g.Workspace})
	if err == nil && p.Step == StepFactor {
		if g.Code == "" {
			return authn.Pair{}, codeNeeded()
		}
		p, err = l.FactorCode(ctx, p.Token, g.Code, g.IP)
	}
	if err != nil {
		return authn.Pair{}, err
	}
	if p.Step != StepFinish {
		return authn.Pair{}, l.inBrowser(p.Step)
	}
	return p.Result.Tokens, nil
}

// inBrowser tells a program's owner which step they have to take themselves.
func (l *Logins) inBrowser(step Step) error {
	page := l.link("/login", "")
	switch step {
	case StepEnrol:
		return problem.New(problem.Denied, "A workspace of yours requires a second factor, and you have none yet.").WithRule("second-factor").
			WithNext("Sign in with a browser at " + page + " and set one up; then send its code here, or make an API key for the program.")
	case StepVerify:
		return problem.New(problem.Denied, "Your e-mail address is not confirmed yet.").WithRule("inactive account").
			WithNext("Open the link in the mail that you were sent; a new one can be had at " + page + ".")
	}
	return problem.New(problem.Denied, "This sign-in needs a browser.").WithRule("sign-in step").WithNext("Sign in at " + page + ", or make an API key for the program.")
}

// codeNeeded is told only to who knows the password.
func codeNeeded() error {
	return problem.New(problem.Unauthenticated, "This account has a second factor, and no code was sent.").WithField("code").WithRule("second-factor").
		WithNext("Send a code of the authenticator app, or a recovery code, in the field code. For programs that run by themselves make an API key.")
}

func noWorkspace() error {
	return problem.New(problem.NotFound, "There is no such workspace, or you do not belong to it.").WithField("workspace")
}
