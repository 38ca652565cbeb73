package login

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/identity"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

// ChangeEmail begins a change of one's own address: both ends get a link, and both must be opened. The password is asked again, of those who have one. The answer does not tell whether the new address
// belongs to somebody else; then only the old end gets its mail and the change never completes.
func (l *Logins) ChangeEmail(ctx context.Context, p authz.Principal, password, newEmail string) error {
	if !l.MailConfigured() {
		return problem.New(problem.Unavailable, "This Sluice sends no mail, so a new address cannot be confirmed.").WithNext("Ask an admin to change it.")
	}
	newEmail, err := identity.CleanEmail(newEmail)
	if err != nil {
		return err
	}
	c, err := l.confirmPassword(ctx, p, password, "password")
	if err != nil {
		return err
	}
	if newEmail == "" || strings.EqualFold(newEmail, c.Email) {
		return problem.New(problem.Invalid, "This is your address already.").WithField("email")
	}
	_, taken, err := l.cfg.People.Credential(ctx, newEmail)
	if err != nil {
		return err
	}
	pair, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("making an id: %w", err)
	}
	target := authn.Ticket{Subject: p.ID, Audience: newEmail + " " + pair.String()}
	res := authz.Resource{Type: "User", ID: p.ID, Name: p.Name, Owner: p.ID}
	return l.cfg.Gate.DoDetail(ctx, p, authz.AccountUpdate, res, "change of e-mail address asked for", func(tx *db.Tx) error {
		ends := []struct{ purpose, to string }{{authn.PurposeEmailNew, newEmail}, {authn.PurposeEmailOld, c.Email}}
		for _, end := range ends {
			if err := authn.DropTickets(ctx, tx, end.purpose, p.ID); err != nil {
				return fmt.Errorf("replacing earlier links: %w", err)
			}
			token, expires, err := l.cfg.Sessions.NewTicket(ctx, tx, end.purpose, target, l.cfg.InviteLife)
			if err != nil {
				return err
			}
			old := end.purpose == authn.PurposeEmailOld
			if old && c.Email == "" {
				// There is no old end to ask; its half counts as confirmed.
				if err := l.cfg.Sessions.UseTicket(ctx, tx, end.purpose, token); err != nil {
					return err
				}
				continue
			}
			if !old && taken {
				continue
			}
			m := mail.EmailChangeConfirm{Name: p.DisplayName, OldEmail: c.Email, NewEmail: newEmail, ToOld: old, Link: l.link("/email", token), Expires: expires}
			if err := l.send(ctx, tx, m, end.to); err != nil {
				return err
			}
		}
		return nil
	})
}

// confirmPassword asks for somebody's own password again; guesses are limited like sign-ins. Field is the input to name. Who has no password must have proven otherwise, shortly before, to be themselves.
func (l *Logins) confirmPassword(ctx context.Context, p authz.Principal, password, field string) (identity.Credential, error) {
	if !p.SignedIn() {
		return identity.Credential{}, problem.New(problem.Unauthenticated, "Sign in first.")
	}
	c, err := l.cfg.People.CredentialOf(ctx, p.ID)
	if err != nil {
		return c, err
	}
	if c.PasswordHash == "" {
		return c, l.confirmFresh(p)
	}
	counters := []counter{{"change:" + l.mac("guess", p.ID), deviceLimit}}
	if err := l.reserve(ctx, counters); err != nil {
		return c, err
	}
	ok, _, err := l.cfg.Hasher.Verify(ctx, c.PasswordHash, password)
	if err != nil || ok {
		l.unreserve(counters)
	}
	if err != nil {
		return c, err
	}
	if !ok {
		return c, problem.New(problem.Invalid, "The present password is not right.").WithField(field)
	}
	return c, nil
}

// confirmFresh stands in for the password of somebody who has none: a browser's session in which they have just proven to be themselves. A program's key must never become a password.
func (l *Logins) confirmFresh(p authz.Principal) error {
	if p.SessionID == "" {
		return problem.New(problem.Denied, "Without a password this is done in a browser that is signed in.").WithRule("step-up")
	}
	return l.cfg.Gate.Fresh(p)
}

// EmailChange is what a link of a change of address stands for.
type EmailChange struct {
	// NewEmail is the address to be; ToOld tells that the link went to the old one.
	NewEmail string
	ToOld    bool
	userID   string
	audience string
	purpose  string
}

// CheckEmailChange tells what a link confirms.
func (l *Logins) CheckEmailChange(ctx context.Context, token string) (EmailChange, error) {
	purpose := authn.PurposeEmailNew
	t, err := l.cfg.Sessions.CheckTicket(ctx, purpose, token)
	if problem.Is(err, problem.NotFound) {
		purpose = authn.PurposeEmailOld
		t, err = l.cfg.Sessions.CheckTicket(ctx, purpose, token)
	}
	if err != nil {
		return EmailChange{}, err
	}
	address, _, _ := strings.Cut(t.Audience, " ")
	return EmailChange{NewEmail: address, ToOld: purpose == authn.PurposeEmailOld, userID: t.Subject, audience: t.Audience, purpose: purpose}, nil
}

// ConfirmEmailChange spends one end's link; done tells that it was the second one and the address has changed.
func (l *Logins) ConfirmEmailChange(ctx context.Context, token, ip string) (done bool, err error) {
	change, err := l.CheckEmailChange(ctx, token)
	if err != nil {
		return false, err
	}
	u, err := l.cfg.People.Get(ctx, authz.SystemPrincipal("e-mail link"), change.userID)
	if err != nil {
		return false, err
	}
	who, active := l.cfg.People.Principal(u.ID)
	if !active {
		return false, problem.New(problem.Gone, "The account is not active.")
	}
	who.IP = ip
	err = l.cfg.Gate.DoDetail(ctx, who, authz.AccountUpdate, u.Resource(), "change of e-mail address confirmed at one end", func(tx *db.Tx) error {
		// The two ends may be opened at the same moment.
		if err := tx.Ordered(); err != nil {
			return err
		}
		if err := l.cfg.Sessions.UseTicket(ctx, tx, change.purpose, token); err != nil {
			return err
		}
		other := map[string]string{authn.PurposeEmailOld: authn.PurposeEmailNew, authn.PurposeEmailNew: authn.PurposeEmailOld}[change.purpose]
		var err error
		done, err = authn.TicketUsed(ctx, tx, other, authn.Ticket{Subject: u.ID, Audience: change.audience})
		if err != nil || !done {
			return err
		}
		return l.setEmail(ctx, tx, u.ID, change.NewEmail)
	})
	return done && err == nil, err
}

func (l *Logins) setEmail(ctx context.Context, tx *db.Tx, userID, email string) error {
	if err := l.cfg.People.SetEmail(ctx, tx, userID, email); err != nil {
		return err
	}
	// Reset links that went to the old address must not work any more.
	if err := authn.DropTickets(ctx, tx, authn.PurposeReset, userID); err != nil {
		return fmt.Errorf("spending reset links: %w", err)
	}
	return nil
}

// CancelEmailChange spends the link at the old end and ends the change.
func (l *Logins) CancelEmailChange(ctx context.Context, token string) error {
	change, err := l.CheckEmailChange(ctx, token)
	if err != nil {
		return err
	}
	return l.cfg.DB.System(ctx, "links", func(tx *db.Tx) error {
		for _, purpose := range []string{authn.PurposeEmailOld, authn.PurposeEmailNew} {
			if err := authn.DropTickets(ctx, tx, purpose, change.userID); err != nil {
				return fmt.Errorf("ending the change: %w", err)
			}
		}
		return nil
	})
}
