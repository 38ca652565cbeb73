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
	// AttemptLife is how long a person may take from the first factor to the last step.
	AttemptLife = 15 * time.Minute
)

// Step is one step of signing in. The steps never call one another: each changes the attempt and
// asks the dispatcher what comes next.
type Step string

// The steps, in the order in which the dispatcher checks for them.
const (
	// StepIdentify proves a first factor. The person is not known yet.
	StepIdentify Step = "identify"
	// StepVerify waits until the person has opened the link in their email.
	StepVerify Step = "verify"
	// StepFactor requires a second factor that the person has.
	StepFactor Step = "factor"
	// StepEnrol sets up a second factor that the person does not have yet.
	StepEnrol Step = "enrol"
	// StepInvitation offers workspaces that the person's proven address was invited to.
	StepInvitation Step = "invitation"
	// StepFinish creates the session.
	StepFinish Step = "finish"
)

// Names of factors, as listed by an attempt and a session's method.
const (
	FactorPassword = "password"
	// FactorLink is a setup, reset or invitation link. The person got it by email or from an admin.
	FactorLink = "link"
	FactorTOTP = "totp"
	// FactorPasskey always includes user verification, so it combines possession with knowledge or
	// biometrics (NIST SP 800-63B-4 section 3.1.7).
	FactorPasskey  = "passkey"
	FactorRecovery = "recovery code"
	FactorSSO      = "sso"
	// FactorSSOStrong is a provider whose second factor Sluice is configured to trust, or that has
	// named one (amr, RFC 8176).
	FactorSSOStrong = "sso with second factor"
)

// apiMethod is the method of a program that signed in with a person's password.
const apiMethod = "password (API)"

// Destination is where a browser wanted to go before the sign-in: a path, on an app's origin if App
// is set, with the state that this origin gave the browser.
type Destination struct{ App, Return, State string }

// ProviderSession is the identity provider's side of a session.
type ProviderSession struct{ ProviderID, Subject, SID, IDToken string }

// State is the progress of one browser from the first factor to a session. It is stored in the
// table pending, under a cookie of that browser.
type State struct {
	token string
	// Account is the id of the person whom a first factor has proven. Method is how.
	Account, Method string
	// Factors are the proven factors, Skipped the declined offers.
	Factors []string
	Skipped []Step
	// IP, UserAgent and Device (the device cookie) describe the browser.
	IP, UserAgent, Device string
	Destination           Destination
	// Provider is what single sign-on stores with the session; nil for other methods.
	Provider *ProviderSession
	// Program reports that tokens are wanted instead of a cookie, and Workspace where they work; ""
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

// Principal is the person whom the first factor has proven, for audit entries and for steps that
// change their account. They have no session, and no permissions beyond their own account.
func (s State) Principal(people *identity.People) authz.Principal {
	p := authz.Principal{Kind: authz.Person, ID: s.Account, IP: s.IP}
	if known, ok := people.Principal(s.Account); ok {
		p.Name, p.Email, p.DisplayName = known.Name, known.Email, known.DisplayName
	}
	return p
}

// Progress is the state of an attempt after a step.
type Progress struct {
	// Step is the next step.
	Step Step
	// Token is the value of the attempt's cookie; "" if the attempt is over.
	Token string
	// Result is the session. It is set only with StepFinish.
	Result *Result
	// Destination is where the browser wanted to go.
	Destination Destination
	// Account is the person's username and Email their address, once a first factor has proven
	// their identity.
	Account, Email string
	// MaySkip means that StepEnrol is optional.
	MaySkip bool
}

// Result is the outcome of a sign-in.
type Result struct {
	// Tokens are the tokens of a program; zero for browsers.
	Tokens authn.Pair
	// Token is the session cookie's value, Device the device cookie's.
	Token, Device string
	// Session is the new session. UserID is the id of its person.
	Session authn.Session
	UserID  string
}

// standing holds the facts about a person that the dispatcher needs besides the attempt itself.
type standing struct {
	account identity.Credential
	// factors means that the person has a second factor, mail that links can be mailed.
	factors, mail bool
	// policy is the strictest second-factor policy of their workspaces.
	policy string
	// invited means that there are open invitations for their proven address.
	invited bool
}

// next is the dispatcher: the one place that decides what an attempt has to do before it becomes a
// session. If a step cannot be completed, the caller explains why: see refusal.
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

// refusal returns why a person who has proven their identity cannot sign in. It returns nil if they
// only need to open a link in their email.
func refusal(s standing) error {
	switch {
	case s.account.Active:
		return nil
	case s.account.Waiting && s.mail && s.account.Email != "" && !s.account.EmailVerified:
		return nil
	}
	return notActive(s.account)
}

// notActive is only for people who have proven their identity.
func notActive(c identity.Credential) error {
	if c.Waiting {
		return problem.New(problem.Denied, "Your account is waiting for approval.").
			WithNext("An admin must activate it. If you received an email to confirm your address, open its link " +
				"first.").
			WithRule("inactive account")
	}
	return problem.New(problem.Denied, "Your account is not active.").
		WithNext("Ask an admin to activate it.").
		WithRule("inactive account")
}

// standing reads the facts that the dispatcher needs.
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

// invited reports whether an address has an invitation to a workspace that its person does not
// belong to.
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

// Begin begins an attempt after a first factor, when the person is known. The dispatcher decides
// about the next step. also may be nil; it runs in the transaction that stores the outcome.
func (l *Logins) Begin(ctx context.Context, a State, also func(*db.Tx) error) (Progress, error) {
	a.token, a.UserAgent = "", Clip(a.UserAgent, 300)
	return l.Advance(ctx, a, also)
}

// Load returns the attempt behind a cookie if this step is next, and problem.Conflict otherwise. An
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
		return a, s, problem.New(problem.Conflict, "This is not the current step of the sign-in.").
			WithNext("Continue with the current step.").
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

// Where returns the progress of the attempt behind a cookie, and finishes it if nothing is left to
// do. An attempt that is over is NotFound or Gone.
func (l *Logins) Where(ctx context.Context, token string) (Progress, error) {
	a, err := l.read(ctx, token)
	if err != nil {
		return Progress{}, err
	}
	return l.Advance(ctx, a, nil)
}

// SkipEnrol declines to set up a second factor if the policy only encourages it.
func (l *Logins) SkipEnrol(ctx context.Context, token string) (Progress, error) {
	a, s, err := l.load(ctx, token, StepEnrol)
	if err != nil {
		return Progress{}, err
	}
	if s.policy == identity.FactorRequired {
		return Progress{}, problem.New(problem.Denied, "One of your workspaces requires a second factor.").
			WithRule("second-factor").
			WithNext("Set one up to continue.")
	}
	a.Skipped = append(a.Skipped, StepEnrol)
	return l.Advance(ctx, a, nil)
}

// Advance asks the dispatcher for the next step. It creates the session, or stores the attempt for
// the browser's next step, in one transaction with the changes of the step. also may be nil.
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
// transaction with the changes of the last step.
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

// beginSession creates the session, with a cookie or with tokens, and stores the provider's side of
// it.
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

// Confirmed records that the person of a session has proven their identity again, in one
// transaction with the changes that spend the proof. how names the proof for the audit trail;
// strong means that it was a second factor. also may be nil.
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

// Clip cuts text from a browser or a provider to n bytes.
func Clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}
