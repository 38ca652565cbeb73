package login

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

const (
	purposeAttempt = "attempt"
	// AttemptLife is how long somebody may take from the first factor to the last step.
	AttemptLife = 15 * time.Minute
)

// Step is one step of signing in. The steps never call one another: each changes the attempt and
// asks the dispatcher what comes next.
type Step string

// The steps, in the order in which the dispatcher asks for them.
const (
	// StepIdentify proves a first factor: nobody is known yet.
	StepIdentify Step = "identify"
	// StepVerify waits until the person has opened the link in their mail.
	StepVerify Step = "verify"
	// StepFactor asks for a second factor that the person has.
	StepFactor Step = "factor"
	// StepEnrol sets up a second factor that the person does not have yet.
	StepEnrol Step = "enrol"
	// StepInvitation offers workspaces that the person's proven address was invited to.
	StepInvitation Step = "invitation"
	// StepFinish creates the session.
	StepFinish Step = "finish"
)

// The names of factors, as an attempt and a session's method list them.
const (
	FactorPassword = "password"
	// FactorLink is a set-up, reset or invitation link: it came to the person by mail or by an
	// admin's hand.
	FactorLink = "link"
	FactorTOTP = "totp"
	// FactorPasskey is always with user verification, so that it is possession and knowledge or
	// biometry in one (NIST SP 800-63B-4 section 3.1.7).
	FactorPasskey  = "passkey"
	FactorRecovery = "recovery code"
	FactorSSO      = "sso"
	// FactorSSOStrong is a provider whose second factor Sluice was told to trust, or that has named
	// one (amr, RFC 8176).
	FactorSSOStrong = "sso with second factor"
)

// apiMethod is the method of a program that signed in with a person's password.
const apiMethod = "password (API)"

// Destination is where a browser wanted to go before it had to sign in: a path, on an app's origin
// if App is set, with the state that origin gave the browser.
type Destination struct{ App, Return, State string }

// ProviderSession is the identity provider's side of a session.
type ProviderSession struct{ ProviderID, Subject, SID, IDToken string }

// State is how far one browser has come from the first factor to a session. It is kept in the table
// pending, under the cookie of that browser.
type State struct {
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
	Provider *ProviderSession
	// Program tells that tokens are wanted instead of a cookie, and Workspace where they work; ""
	// leaves it to Sluice.
	Program   bool
	Workspace string
}

// strong reports whether more than one factor was proven.
func (s State) strong() bool {
	return slices.ContainsFunc(s.Factors, func(f string) bool {
		return f == FactorPasskey || f == FactorSSOStrong || f == FactorTOTP || f == FactorRecovery
	})
}

// method names all factors, for the list of sessions.
func (s State) method() string {
	names := []string{s.Method}
	for _, f := range s.Factors {
		if f == FactorTOTP || f == FactorRecovery || f == FactorPasskey && s.Method != FactorPasskey {
			names = append(names, f)
		}
	}
	return strings.Join(names, " + ")
}

// Principal is the person whom the first factor has proven, for entries and for steps that change
// their account. They have no session and no rights beyond their own account.
func (s State) Principal(people *identity.People) authz.Principal {
	p := authz.Principal{Kind: authz.Person, ID: s.Account, IP: s.IP}
	if known, ok := people.Principal(s.Account); ok {
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
	// Account is the person's username and Email their address, once a first factor has proven who
	// they are.
	Account, Email string
	// MaySkip tells that StepEnrol is an offer and no demand.
	MaySkip bool
}

// Result of a sign-in.
type Result struct {
	// Tokens are what a program gets; zero for browsers.
	Tokens authn.Pair
	// Token is the session cookie's value, Device the device cookie's.
	Token, Device string
	// Session is the new session, UserID its person.
	Session authn.Session
	UserID  string
}

// standing is what the dispatcher knows of the person besides the attempt itself.
type standing struct {
	account identity.Credential
	// factors tells that the person has a second factor, mail that links can be mailed.
	factors, mail bool
	// policy is what their workspaces say about second factors.
	policy string
	// invited tells that invitations wait for their proven address.
	invited bool
}

// next is the dispatcher: the one place that decides what an attempt has to do before it becomes a
// session. A step that cannot be passed is the caller's to explain: see refusal.
func next(a State, s standing) Step {
	switch {
	case a.Account == "":
		return StepIdentify
	case !s.account.Active:
		return StepVerify
	case s.factors && !a.strong():
		return StepFactor
	case !s.factors && !a.strong() && s.policy == identity.FactorRequired:
		return StepEnrol
	case !s.factors && !a.strong() && s.policy == identity.FactorEncouraged && !slices.Contains(a.Skipped, StepEnrol):
		return StepEnrol
	case s.invited && !slices.Contains(a.Skipped, StepInvitation):
		return StepInvitation
	}
	return StepFinish
}

// refusal tells somebody who has proven who they are why they cannot come in; nil if a link in
// their mail is all that they lack.
func refusal(s standing) error {
	switch {
	case s.account.Active:
		return nil
	case s.account.Waiting && s.mail && s.account.Email != "" && !s.account.EmailVerified:
		return nil
	}
	return notActive(s.account)
}

// notActive is told only to somebody who has proven who they are.
func notActive(c identity.Credential) error {
	if c.Waiting {
		return problem.New(problem.Denied, "Your account is waiting for approval.").
			WithNext("An admin has to activate it; if you were sent a mail to confirm your address, open its link " +
				"first.").
			WithRule("inactive account")
	}
	return problem.New(problem.Denied, "Your account is not active.").
		WithNext("Ask an admin to activate it.").
		WithRule("inactive account")
}

// standing reads what the dispatcher needs to know.
func (l *Logins) standing(ctx context.Context, a State) (s standing, err error) {
	if a.Account == "" {
		return s, nil
	}
	if s.account, err = l.cfg.People.CredentialOf(ctx, a.Account); err != nil {
		return s, err
	}
	s.mail = l.MailConfigured()
	if s.factors, err = l.HasFactors(ctx, a.Account); err != nil {
		return s, err
	}
	who, _ := l.cfg.People.Principal(a.Account)
	s.policy = l.cfg.People.SecondFactorFor(who)
	if s.account.EmailVerified && s.account.Email != "" {
		s.invited, err = l.invited(ctx, who, s.account.Email)
	}
	return s, err
}

// HasFactors reports whether a person has a second factor.
func (l *Logins) HasFactors(ctx context.Context, userID string) (bool, error) {
	n, err := CountFactors(ctx, q.New(l.cfg.DB.Read()), userID)
	return n > 0, err
}

// CountFactors counts the second factors that a person has: an authenticator app and passkeys.
func CountFactors(ctx context.Context, queries *q.Queries, userID string) (int64, error) {
	totp, err := queries.CountTOTP(ctx, userID)
	if err != nil {
		return 0, fmt.Errorf("reading second factors: %w", err)
	}
	passkeys, err := queries.CountPasskeys(ctx, userID)
	if err != nil {
		return 0, fmt.Errorf("reading second factors: %w", err)
	}
	return totp + passkeys, nil
}

// invited reports whether an address was invited to a workspace that its person does not belong to.
func (l *Logins) invited(ctx context.Context, who authz.Principal, email string) (bool, error) {
	rows, err := q.New(l.cfg.DB.Read()).InvitationsFor(ctx, q.InvitationsForParams{
		EmailKey: strings.ToLower(email),
		Now:      l.cfg.Now().UnixMilli(),
	})
	if err != nil {
		return false, fmt.Errorf("reading invitations: %w", err)
	}
	return slices.ContainsFunc(rows, func(r q.InvitationsForRow) bool { return who.Role(r.WorkspaceID) == "" }), nil
}

// Begin begins an attempt after a first factor: the person is known. What comes next is the
// dispatcher's to say. Also may be nil; it runs in the transaction that stores the outcome.
func (l *Logins) Begin(ctx context.Context, a State, also func(*db.Tx) error) (Progress, error) {
	a.token, a.UserAgent = "", Clip(a.UserAgent, 300)
	return l.Advance(ctx, a, also)
}

// Load returns the attempt behind a cookie if it stands at this step, else problem.Conflict. An
// attempt that is over is NotFound or Gone.
func (l *Logins) Load(ctx context.Context, token string, step Step) (State, error) {
	a, _, err := l.load(ctx, token, step)
	return a, err
}

func (l *Logins) load(ctx context.Context, token string, step Step) (State, standing, error) {
	a, err := l.read(ctx, token)
	if err != nil {
		return a, standing{}, err
	}
	s, err := l.standing(ctx, a)
	if err != nil {
		return a, s, err
	}
	if next(a, s) != step {
		return a, s, problem.New(problem.Conflict, "This step of signing in is not due.").
			WithNext("Go on where the sign-in stands.").
			WithRule("sign-in step")
	}
	return a, s, nil
}

func (l *Logins) read(ctx context.Context, token string) (State, error) {
	var a State
	_, err := l.Pending.Held(ctx, purposeAttempt, token, &a)
	a.token = token
	return a, err
}

// Where tells where the attempt behind a cookie stands, and finishes it if nothing is left to do.
// An attempt that is over is NotFound or Gone.
func (l *Logins) Where(ctx context.Context, token string) (Progress, error) {
	a, err := l.read(ctx, token)
	if err != nil {
		return Progress{}, err
	}
	return l.Advance(ctx, a, nil)
}

// SkipEnrol declines to set up a second factor, where the policy only encourages it.
func (l *Logins) SkipEnrol(ctx context.Context, token string) (Progress, error) {
	a, s, err := l.load(ctx, token, StepEnrol)
	if err != nil {
		return Progress{}, err
	}
	if s.policy == identity.FactorRequired {
		return Progress{}, problem.New(problem.Denied, "A workspace of yours requires a second factor.").
			WithRule("second-factor").
			WithNext("Set one up to go on.")
	}
	a.Skipped = append(a.Skipped, StepEnrol)
	return l.Advance(ctx, a, nil)
}

// Advance asks the dispatcher what comes next and does it: it creates the session, or keeps the
// attempt for the browser's next step, in one transaction with what the step adds. Also may be nil.
func (l *Logins) Advance(ctx context.Context, a State, also func(*db.Tx) error) (Progress, error) {
	if also == nil {
		also = func(*db.Tx) error { return nil }
	}
	s, err := l.standing(ctx, a)
	if err != nil {
		return Progress{}, err
	}
	step := next(a, s)
	p := Progress{
		Step:        step,
		Token:       a.token,
		Destination: a.Destination,
		Account:     s.account.Username,
		Email:       s.account.Email,
	}
	if step == StepVerify {
		if err := refusal(s); err != nil {
			res := authz.Resource{Type: "User", ID: a.Account, Name: s.account.Username, Owner: a.Account}
			l.cfg.Gate.RecordLater(a.Principal(l.cfg.People), authz.AccountSignIn, res, audit.Denied, a.Method)
			return Progress{}, err
		}
	}
	if step == StepFinish {
		result, err := l.finish(ctx, a, also)
		if err != nil {
			return Progress{}, err
		}
		p.Token, p.Result = "", &result
		return p, nil
	}
	p.MaySkip = step == StepEnrol && s.policy != identity.FactorRequired
	err = l.cfg.DB.System(ctx, "attempts", func(tx *db.Tx) error {
		if err := also(tx); err != nil {
			return err
		}
		if a.token != "" {
			return l.Pending.Replace(ctx, tx, purposeAttempt, a.token, a.Account, a)
		}
		p.Token, err = l.Pending.Hold(ctx, tx, purposeAttempt, a.Account, a, AttemptLife)
		return err
	})
	return p, err
}

// finish creates the session of an attempt and everything that goes with a sign-in, in one
// transaction with what the last step adds.
func (l *Logins) finish(ctx context.Context, a State, also func(*db.Tx) error) (Result, error) {
	device, err := l.Limits.newDevice(a.Account)
	if err != nil {
		return Result{}, err
	}
	r := Result{Device: device, UserID: a.Account}
	err = l.cfg.DB.System(ctx, "sign-in", func(tx *db.Tx) error {
		if a.token != "" {
			if err := l.Pending.Take(ctx, tx, purposeAttempt, a.token); err != nil {
				return err
			}
		}
		if err := also(tx); err != nil {
			return err
		}
		if err := l.beginSession(ctx, tx, a, &r); err != nil {
			return err
		}
		if err := l.cfg.People.NoteSignIn(ctx, tx, a.Account); err != nil {
			return err
		}
		account, err := q.New(tx).GetAccount(ctx, a.Account)
		if err != nil {
			return fmt.Errorf("reading the account: %w", err)
		}
		who := authz.Principal{Kind: authz.Person, ID: a.Account, Name: account.Username, IP: a.IP}
		res := authz.Resource{Type: "User", ID: a.Account, Name: account.Username}
		return l.cfg.Gate.Record(ctx, tx, who, authz.AccountSignIn, res, audit.Done, a.method())
	})
	return r, err
}

// beginSession creates the session, as a cookie or as tokens, and keeps the provider's side of it.
func (l *Logins) beginSession(ctx context.Context, tx *db.Tx, a State, r *Result) (err error) {
	m := authn.Meta{
		IP:        a.IP,
		UserAgent: a.UserAgent,
		Method:    a.method(),
		Strong:    a.strong(),
		Program:   a.Program,
		Workspace: a.Workspace,
	}
	if a.Program {
		r.Tokens, r.Session, err = l.cfg.Tokens.Begin(ctx, tx, a.Account, m)
	} else {
		r.Token, r.Session, err = l.cfg.Sessions.Begin(ctx, tx, a.Account, m)
	}
	if err != nil || a.Provider == nil {
		return err
	}
	return l.hooks.KeepSession(ctx, tx, r.Session.ID, *a.Provider)
}

// Confirmed notes that the person of a session has proven anew who they are, in one transaction
// with what the proof uses up. How names the proof for the audit trail; strong tells that it was a
// second factor. Also may be nil.
func (l *Logins) Confirmed(
	ctx context.Context, p authz.Principal, how string, strong bool, also func(*db.Tx) error,
) error {
	return l.cfg.DB.System(ctx, "step-up", func(tx *db.Tx) error {
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		if err := l.cfg.Sessions.Prove(ctx, tx, p.SessionID, strong); err != nil {
			return err
		}
		return l.cfg.Gate.Record(
			ctx, tx, p, authz.AccountSignIn, OwnAccount(p), audit.Done, "identity confirmed: "+how)
	})
}

// OwnAccount is a person's own account as the gate sees it.
func OwnAccount(p authz.Principal) authz.Resource {
	return authz.Resource{Type: "User", ID: p.ID, Name: p.Name, Owner: p.ID}
}

// WorkspaceResource is a workspace as the gate sees it.
func WorkspaceResource(id, name string) authz.Resource {
	return authz.Resource{Type: "Workspace", ID: id, Workspace: id, Name: name}
}

// Clip cuts what a browser or a provider says to n bytes.
func Clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}
