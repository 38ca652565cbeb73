package login

import (
	"context"
	"slices"
	"strings"
	"time"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

const (
	purposeAttempt = "attempt"
	// AttemptLife is how long somebody may take from the first factor to the last step.
	AttemptLife = 15 * time.Minute
)

// Destination is where a browser wanted to go before it had to sign in: a path, on an app's origin if App is set, with the state that origin gave the browser.
type Destination struct{ App, Return, State string }

// The names of factors, as an attempt and a session's method list them.
const (
	factorPassword = "password"
	// factorLink is a set-up, reset or invitation link: it came to the person by mail or by an admin's hand.
	factorLink = "link"
	factorTOTP = "totp"
	// factorPasskey is always with user verification, so that it is possession and knowledge or biometry in one (NIST SP 800-63B-4 section 3.1.7).
	factorPasskey  = "passkey"
	factorRecovery = "recovery code"
	factorSSO      = "sso"
	// factorSSOStrong is a provider whose second factor Sluice was told to trust, or that has named one (amr, RFC 8176).
	factorSSOStrong = "sso with second factor"
)

// attempt is one browser's way from the first factor to a session. It lives in the table pending, under the cookie of that browser.
type attempt struct {
	token string
	// Account is who a first factor has proven; Method says how.
	Account, Method string
	// Factors are those that were proven, Skipped the offers that were declined.
	Factors []string
	Skipped []Step
	// IP, UserAgent and Device (the device cookie) are the browser's.
	IP, UserAgent, Device string
	Destination           Destination
	// Provider is what single sign-on wants to keep with the session; nil for other methods.
	Provider *providerSession
	// Program tells that tokens are wanted instead of a cookie, and Workspace where they work; "" leaves it to Sluice.
	Program   bool
	Workspace string
}

// apiMethod is the method of a program that signed in with a person's password.
const apiMethod = "password (API)"

// providerSession is the provider's side of a session.
type providerSession struct{ ProviderID, Subject, SID, IDToken string }

// strong reports whether more than one factor was proven.
func (a attempt) strong() bool {
	return slices.ContainsFunc(a.Factors, func(f string) bool {
		return f == factorPasskey || f == factorSSOStrong || f == factorTOTP || f == factorRecovery
	})
}

// method names all factors, for the list of sessions.
func (a attempt) method() string {
	names := []string{a.Method}
	for _, f := range a.Factors {
		if f == factorTOTP || f == factorRecovery || f == factorPasskey && a.Method != factorPasskey {
			names = append(names, f)
		}
	}
	return strings.Join(names, " + ")
}

// principal is the person whom the first factor has proven, for entries and for steps that change their account. They have no session and no rights beyond their own account.
func (a attempt) principal(people *identity.People) authz.Principal {
	p := authz.Principal{Kind: authz.Person, ID: a.Account, IP: a.IP}
	if known, ok := people.Principal(a.Account); ok {
		p.Name, p.Email, p.DisplayName = known.Name, known.Email, known.DisplayName
	}
	return p
}

// Progress is where an attempt stands.
type Progress struct {
	// Step is what comes next.
	Step Step
	// Token is the value of the attempt's cookie; "" once there is nothing to keep.
	Token string
	// Result is the session; only with StepFinish.
	Result *Result
	// Destination is where the browser wanted to go.
	Destination Destination
	// Account is the person's username and Email their address, once a first factor has proven who they are.
	Account, Email string
	// MaySkip tells that StepEnrol is an offer and no demand.
	MaySkip bool
}

// identified begins an attempt after a first factor: the person is known. What comes next is the dispatcher's to say.
func (l *Logins) identified(ctx context.Context, a attempt, also func(*db.Tx) error) (Progress, error) {
	a.token = ""
	return l.advance(ctx, a, also)
}

// loadAttempt returns the attempt behind a cookie if it stands at this step.
func (l *Logins) loadAttempt(ctx context.Context, token string, step Step) (attempt, error) {
	a, err := l.readAttempt(ctx, token)
	if err != nil {
		return a, err
	}
	s, err := l.standing(ctx, a)
	if err != nil {
		return a, err
	}
	if next(a, s) != step {
		return a, problem.New(problem.Conflict, "This step of signing in is not due.").WithNext("Go on where the sign-in stands.").WithRule("sign-in step")
	}
	return a, nil
}

func (l *Logins) readAttempt(ctx context.Context, token string) (attempt, error) {
	var a attempt
	_, err := l.held(ctx, purposeAttempt, token, &a)
	a.token = token
	return a, err
}

// Where tells where the attempt behind a cookie stands, and finishes it if nothing is left to do. An attempt that is over is NotFound or Gone.
func (l *Logins) Where(ctx context.Context, token string) (Progress, error) {
	a, err := l.readAttempt(ctx, token)
	if err != nil {
		return Progress{}, err
	}
	return l.advance(ctx, a, nothingMore)
}

func nothingMore(*db.Tx) error { return nil }

// finished makes the session of an attempt, in one transaction with what the last step adds.
func (l *Logins) finished(ctx context.Context, a attempt, p Progress, also func(*db.Tx) error) (Progress, error) {
	m := authn.Meta{IP: a.IP, UserAgent: a.UserAgent, Method: a.method(), Strong: a.strong(), Program: a.Program, Workspace: a.Workspace}
	result, err := l.finish(ctx, a.Account, m, a.Provider, func(tx *db.Tx) error {
		if a.token != "" {
			if err := l.take(ctx, tx, purposeAttempt, a.token); err != nil {
				return err
			}
		}
		return also(tx)
	})
	if err != nil {
		return Progress{}, err
	}
	p.Step, p.Token, p.Result = StepFinish, "", &result
	return p, nil
}

// clipped cuts what a browser says of itself to n bytes.
func clipped(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}
