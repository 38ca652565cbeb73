package login

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// Step is one step of signing in. The steps never call one another: each changes the attempt and asks the dispatcher what comes next.
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
	// StepFinish makes the session.
	StepFinish Step = "finish"
)

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

// next is the dispatcher: the one place that decides what an attempt has to do before it becomes a session. A step that cannot be passed is the caller's to explain: see refusal.
func next(a attempt, s standing) Step {
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

// refusal tells somebody who has proven who they are why they cannot come in; nil if a link in their mail is all that they lack.
func refusal(s standing) error {
	switch {
	case s.account.Active:
		return nil
	case s.account.Waiting && s.mail && s.account.Email != "" && !s.account.EmailVerified:
		return nil
	}
	return notActive(s.account)
}

// standing reads what the dispatcher needs to know.
func (l *Logins) standing(ctx context.Context, a attempt) (s standing, err error) {
	if a.Account == "" {
		return s, nil
	}
	if s.account, err = l.cfg.People.CredentialOf(ctx, a.Account); err != nil {
		return s, err
	}
	s.mail = l.MailConfigured()
	if s.factors, err = l.hasFactors(ctx, a.Account); err != nil {
		return s, err
	}
	who, _ := l.cfg.People.Principal(a.Account)
	s.policy = l.cfg.People.SecondFactorFor(who)
	if s.account.EmailVerified && s.account.Email != "" {
		open, err := l.invitationsFor(ctx, s.account.Email)
		if err != nil {
			return s, err
		}
		s.invited = slices.ContainsFunc(open, func(i Invitation) bool { return who.Role(i.WorkspaceID) == "" })
	}
	return s, nil
}

// hasFactors reports whether a person has a second factor.
func (l *Logins) hasFactors(ctx context.Context, userID string) (bool, error) {
	totp, err := q.New(l.cfg.DB.Read()).CountTOTP(ctx, userID)
	if err != nil {
		return false, fmt.Errorf("reading second factors: %w", err)
	}
	passkeys, err := q.New(l.cfg.DB.Read()).CountPasskeys(ctx, userID)
	if err != nil {
		return false, fmt.Errorf("reading second factors: %w", err)
	}
	return totp+passkeys > 0, nil
}

// advance asks the dispatcher what comes next and does it: it makes the session, or keeps the attempt for the browser's next step, in one transaction with what the step adds.
func (l *Logins) advance(ctx context.Context, a attempt, also func(*db.Tx) error) (Progress, error) {
	s, err := l.standing(ctx, a)
	if err != nil {
		return Progress{}, err
	}
	step := next(a, s)
	p := Progress{Step: step, Token: a.token, Destination: a.Destination, Account: s.account.Username, Email: s.account.Email}
	if step == StepVerify {
		if err := refusal(s); err != nil {
			l.cfg.Gate.RecordLater(a.principal(l.cfg.People), authz.AccountSignIn, authz.Resource{Type: "User", ID: a.Account, Name: s.account.Username, Owner: a.Account}, audit.Denied, a.Method)
			return Progress{}, err
		}
	}
	if step == StepFinish {
		return l.finished(ctx, a, p, also)
	}
	p.MaySkip = step == StepEnrol && s.policy != identity.FactorRequired
	err = l.cfg.DB.System(ctx, "attempts", func(tx *db.Tx) error {
		if err := also(tx); err != nil {
			return err
		}
		if a.token != "" {
			return l.replace(ctx, tx, purposeAttempt, a.token, a.Account, a)
		}
		p.Token, err = l.hold(ctx, tx, purposeAttempt, a.Account, a, AttemptLife)
		return err
	})
	return p, err
}

// invitationsFor lists the open invitations of an address.
func (l *Logins) invitationsFor(ctx context.Context, email string) ([]Invitation, error) {
	rows, err := q.New(l.cfg.DB.Read()).InvitationsFor(ctx, q.InvitationsForParams{EmailKey: strings.ToLower(email), Now: l.cfg.Now().UnixMilli()})
	if err != nil {
		return nil, fmt.Errorf("reading invitations: %w", err)
	}
	out := make([]Invitation, len(rows))
	for i, r := range rows {
		out[i] = invitationOf(r)
	}
	return out, nil
}

// notActive is told only to somebody who has proven who they are.
func notActive(c identity.Credential) error {
	if c.Waiting {
		return problem.New(problem.Denied, "Your account is waiting for approval.").WithNext("An admin has to activate it; if you were sent a mail to confirm your address, open its link first.").WithRule("inactive account")
	}
	return problem.New(problem.Denied, "Your account is not active.").WithNext("Ask an admin to activate it.").WithRule("inactive account")
}
