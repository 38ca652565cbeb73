package login

import (
	"context"
	"fmt"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/identity"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

const (
	// SetupLife is how long a set-up link is good.
	SetupLife = 30 * time.Minute
	// firstPasswordLife is how long the link is good with which a new person sets a first password.
	firstPasswordLife = 24 * time.Hour
)

// SetupLink makes the one-time link's token for the first admin. It is Conflict once there is one: whoever comes first must not own the place, only whoever reads the server's output.
func (l *Logins) SetupLink(ctx context.Context) (token string, expires time.Time, err error) {
	if l.cfg.People.HasAdmin() {
		return "", time.Time{}, problem.New(problem.Conflict, "Sluice has an admin already.")
	}
	err = l.cfg.DB.System(ctx, "setup link", func(tx *db.Tx) error {
		token, expires, err = l.cfg.Sessions.NewTicket(ctx, tx, authn.PurposeSetup, authn.Ticket{}, SetupLife)
		return err
	})
	return token, expires, err
}

// CheckSetup reports whether a set-up token can still be used: NotFound for an unknown one, Gone for an expired or spent one.
func (l *Logins) CheckSetup(ctx context.Context, token string) error {
	_, err := l.cfg.Sessions.CheckTicket(ctx, authn.PurposeSetup, token)
	if err == nil && l.cfg.People.HasAdmin() {
		err = problem.New(problem.Gone, "Sluice has an admin already.").WithNext("Sign in, or ask that admin for an account.")
	}
	return err
}

// ClaimSetup spends the token, makes the first superuser and signs them in, all in one transaction.
func (l *Logins) ClaimSetup(ctx context.Context, token string, n identity.NewUser, m authn.Meta) (Progress, error) {
	if err := l.CheckSetup(ctx, token); err != nil {
		return Progress{}, err
	}
	prepared, err := l.cfg.People.PrepareFirst(ctx, n)
	if err != nil {
		return Progress{}, err
	}
	var made identity.User
	err = l.cfg.DB.System(ctx, "first admin", func(tx *db.Tx) error {
		// Two valid links used at the same time must not make two admins.
		if err := tx.Ordered(); err != nil {
			return err
		}
		if err := l.cfg.Sessions.UseTicket(ctx, tx, authn.PurposeSetup, token); err != nil {
			return err
		}
		if made, err = l.cfg.People.CreateFirst(ctx, tx, prepared); err != nil {
			return err
		}
		who := authz.Principal{Kind: authz.Person, ID: made.ID, Name: made.Username, IP: m.IP}
		res := authz.Resource{Type: "User", ID: made.ID, Name: made.Username}
		return l.cfg.Gate.Record(ctx, tx, who, authz.SetupClaim, res, audit.Done, "first superuser")
	})
	if err != nil {
		return Progress{}, err
	}
	return l.identified(ctx, byLink(m, made.ID, "setup link"), nothingMore)
}

// byLink is the attempt of somebody who came with a one-time link.
func byLink(m authn.Meta, account, method string) attempt {
	return attempt{Account: account, Method: method, Factors: []string{factorLink}, IP: m.IP, UserAgent: clipped(m.UserAgent, 300)}
}

// ResetLink makes a link with which a person sets a new password. It needs UserReset on the person. Earlier links of the person stop working.
func (l *Logins) ResetLink(ctx context.Context, actor authz.Principal, userID string) (token string, expires time.Time, err error) {
	if err := l.cfg.Gate.Check(ctx, actor, authz.UserReset, authz.Resource{Type: "User", Workspace: identity.DefaultWorkspace}); err != nil {
		return "", time.Time{}, err
	}
	u, err := l.cfg.People.Get(ctx, actor, userID)
	if err != nil {
		return "", time.Time{}, err
	}
	err = l.cfg.Gate.Do(ctx, actor, authz.UserReset, u.Resource(), func(tx *db.Tx) error {
		token, expires, err = l.newResetIn(ctx, tx, u)
		return err
	})
	return token, expires, err
}

// MailResetLink is ResetLink for who has an address: the link goes to them by mail, and the actor never sees it. Errors: problem.Unavailable without a mail server, problem.Conflict without an address.
func (l *Logins) MailResetLink(ctx context.Context, actor authz.Principal, userID string) error {
	if err := l.cfg.Gate.Check(ctx, actor, authz.UserReset, authz.Resource{Type: "User"}); err != nil {
		return err
	}
	u, err := l.cfg.People.Get(ctx, actor, userID)
	switch {
	case err != nil:
		return err
	case !l.MailConfigured():
		return problem.New(problem.Unavailable, "This Sluice sends no mail.").WithNext("Make a one-time link and send it yourself.")
	case u.Email == "":
		return problem.Newf(problem.Conflict, "%s has no e-mail address.", u.Username).WithNext("Make a one-time link and send it yourself.")
	}
	return l.cfg.Gate.DoDetail(ctx, actor, authz.UserReset, u.Resource(), "link mailed", func(tx *db.Tx) error {
		token, expires, err := l.newResetIn(ctx, tx, u)
		if err != nil {
			return err
		}
		link := l.link("/reset", token)
		if u.HasPassword {
			return l.send(ctx, tx, mail.PasswordReset{Name: u.Name, Link: link, Expires: expires}, u.Email)
		}
		return l.send(ctx, tx, mail.AccountCreated{Name: u.Name, Username: u.Username, Link: link, Expires: expires}, u.Email)
	})
}

// newResetIn makes a reset token; earlier ones of the person stop working.
func (l *Logins) newResetIn(ctx context.Context, tx *db.Tx, u identity.User) (token string, expires time.Time, err error) {
	if err := authn.DropTickets(ctx, tx, authn.PurposeReset, u.ID); err != nil {
		return "", time.Time{}, fmt.Errorf("replacing earlier links: %w", err)
	}
	life := l.cfg.ResetLife
	if !u.HasPassword {
		life = firstPasswordLife
	}
	return l.cfg.Sessions.NewTicket(ctx, tx, authn.PurposeReset, authn.Ticket{Subject: u.ID}, life)
}

// CheckReset tells whose password a token sets.
func (l *Logins) CheckReset(ctx context.Context, token string) (identity.User, error) {
	t, err := l.cfg.Sessions.CheckTicket(ctx, authn.PurposeReset, token)
	if err != nil {
		return identity.User{}, err
	}
	u, err := l.cfg.People.Get(ctx, authz.SystemPrincipal("reset link"), t.Subject)
	if err == nil && !u.Active {
		err = problem.New(problem.Denied, "Your account is not active.").WithNext("Ask an admin to activate it.").WithRule("inactive account")
	}
	return u, err
}

// Reset spends the token, sets the password and ends all sessions of the person. They are signed in anew; who has a second factor is asked for it, so that mail alone does not open the account.
func (l *Logins) Reset(ctx context.Context, token, newPassword string, m authn.Meta) (Progress, error) {
	u, err := l.CheckReset(ctx, token)
	if err != nil {
		return Progress{}, err
	}
	if err := identity.CheckPassword(newPassword, u.Username, u.Email, u.Name); err != nil {
		return Progress{}, err
	}
	stored, err := l.cfg.Hasher.Hash(ctx, newPassword)
	if err != nil {
		return Progress{}, err
	}
	return l.identified(ctx, byLink(m, u.ID, "reset link"), func(tx *db.Tx) error {
		if err := l.cfg.Sessions.UseTicket(ctx, tx, authn.PurposeReset, token); err != nil {
			return err
		}
		who := authz.Principal{Kind: authz.Person, ID: u.ID, Name: u.Username, IP: m.IP}
		if err := l.cfg.Gate.Record(ctx, tx, who, authz.AccountUpdate, u.Resource(), audit.Done, "password set by reset link"); err != nil {
			return err
		}
		return l.setPassword(ctx, tx, u.ID, stored, "")
	})
}
