package signup

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

// ResetLink creates a link with which a person sets a new password. It requires UserReset on the
// person. Earlier links of the person stop working.
func (s *SignUps) ResetLink(
	ctx context.Context, actor authz.Principal, userID string,
) (token string, expires time.Time, err error) {
	if err := s.cfg.Gate.Check(ctx, actor, authz.UserReset,
		authz.Resource{Type: "User", Workspace: identity.DefaultWorkspace}); err != nil {
		return "", time.Time{}, err
	}
	u, err := s.cfg.People.Get(ctx, actor, userID)
	if err != nil {
		return "", time.Time{}, err
	}
	err = s.cfg.Gate.Do(ctx, actor, authz.UserReset, u.Resource(), func(tx *db.Tx) error {
		token, expires, err = s.newResetIn(ctx, tx, u)
		return err
	})
	return token, expires, err
}

// MailResetLink is ResetLink for a person with an address: the link goes to them by email, and the
// actor never sees it. Errors: problem.Unavailable without a mail server, problem.Conflict without
// an address.
func (s *SignUps) MailResetLink(ctx context.Context, actor authz.Principal, userID string) error {
	if err := s.cfg.Gate.Check(ctx, actor, authz.UserReset, authz.Resource{Type: "User"}); err != nil {
		return err
	}
	u, err := s.cfg.People.Get(ctx, actor, userID)
	switch {
	case err != nil:
		return err
	case !s.cfg.Logins.MailConfigured():
		return problem.New(problem.Unavailable, "This Sluice does not send email.").
			WithNext("Create a single-use link and send it yourself.")
	case u.Email == "":
		return problem.Newf(problem.Conflict, "%s has no email address.", u.Username).
			WithNext("Create a single-use link and send it yourself.")
	}
	return s.cfg.Gate.DoDetail(ctx, actor, authz.UserReset, u.Resource(), "link mailed", func(tx *db.Tx) error {
		token, expires, err := s.newResetIn(ctx, tx, u)
		if err != nil {
			return err
		}
		link := s.cfg.Logins.Link("/reset", token)
		if u.HasPassword {
			return s.cfg.Logins.Send(ctx, tx, mail.PasswordReset{Name: u.Name, Link: link, Expires: expires}, u.Email)
		}
		return s.cfg.Logins.Send(ctx, tx,
			mail.AccountCreated{Name: u.Name, Username: u.Username, Link: link, Expires: expires}, u.Email)
	})
}

// newResetIn creates a reset token; earlier ones of the person stop working.
func (s *SignUps) newResetIn(
	ctx context.Context, tx *db.Tx, u identity.User,
) (token string, expires time.Time, err error) {
	if err := authn.DropTickets(ctx, tx, authn.PurposeReset, u.ID); err != nil {
		return "", time.Time{}, fmt.Errorf("replacing previous links: %w", err)
	}
	life := s.cfg.ResetLife
	if !u.HasPassword {
		life = firstPasswordLife
	}
	return s.cfg.Sessions.NewTicket(ctx, tx, authn.PurposeReset, authn.Ticket{Subject: u.ID}, life)
}

// CheckReset returns the person whose password a token sets.
func (s *SignUps) CheckReset(ctx context.Context, token string) (identity.User, error) {
	t, err := s.cfg.Sessions.CheckTicket(ctx, authn.PurposeReset, token)
	if err != nil {
		return identity.User{}, err
	}
	u, err := s.cfg.People.Get(ctx, authz.SystemPrincipal("reset link"), t.Subject)
	if err == nil && !u.Active {
		err = problem.New(problem.Denied, "Your account is not active.").
			WithNext("Ask an admin to activate it.").
			WithRule("inactive account")
	}
	return u, err
}

// Reset redeems the token, sets the password and revokes all sessions of the person. Then it signs
// them in. A person with a second factor still has to prove it, so that an email alone does not
// open the account.
func (s *SignUps) Reset(ctx context.Context, token, newPassword string, m authn.Meta) (login.Progress, error) {
	u, err := s.CheckReset(ctx, token)
	if err != nil {
		return login.Progress{}, err
	}
	if err := s.cfg.People.CheckPassword(newPassword, u.Username, u.Email, u.Name); err != nil {
		return login.Progress{}, err
	}
	stored, err := s.cfg.Hasher.Hash(ctx, newPassword)
	if err != nil {
		return login.Progress{}, err
	}
	return s.cfg.Logins.Begin(ctx, byLink(m, u.ID, "reset link"), func(tx *db.Tx) error {
		if err := s.cfg.Sessions.UseTicket(ctx, tx, authn.PurposeReset, token); err != nil {
			return err
		}
		who := authz.Principal{Kind: authz.Person, ID: u.ID, Name: u.Username, IP: m.IP}
		if err := s.cfg.Gate.Record(ctx, tx, who, authz.AccountUpdate, u.Resource(), audit.Done,
			"password set by reset link"); err != nil {
			return err
		}
		return s.cfg.Logins.StorePassword(ctx, tx, u.ID, stored, "")
	})
}

// retryLater is the RetryAfter of a full queue.
const retryLater = time.Minute

// RequestReset sends a reset link to the person with this username or address, if such a person
// exists, may sign in and has an address. The answer is the same, and comes as fast, in every case:
// nil, or Limited and Unavailable, which depend only on the requester.
func (s *SignUps) RequestReset(ctx context.Context, identifier, ip string) error {
	if !s.cfg.Logins.MailConfigured() {
		return problem.New(problem.Unavailable, "This Sluice does not send email.").
			WithNext("Ask an admin for a link to set a new password.")
	}
	if len(identifier) > 254 {
		return nil
	}
	identifier = strings.ToLower(strings.TrimSpace(identifier))
	address := login.Counter{Subject: "ask-address:" + login.AddressPrefix(ip), Limit: login.AddressLimit}
	if err := s.cfg.Logins.Limits.Reserve(ctx, s.asks(identifier), address); err != nil {
		return err
	}
	return s.later.do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.mailReset(ctx, identifier); err != nil {
			s.cfg.Log.Error("a reset link could not be mailed", "error", err)
		}
	})
}

func (s *SignUps) mailReset(ctx context.Context, identifier string) error {
	c, found, err := s.cfg.People.Credential(ctx, identifier)
	if err != nil || !found || !c.Active || c.Email == "" {
		return err
	}
	return s.cfg.DB.System(ctx, "links", func(tx *db.Tx) error { return s.resetMailIn(ctx, tx, c) })
}

// resetMailIn creates a reset link and its email. Earlier links stop working.
func (s *SignUps) resetMailIn(ctx context.Context, tx *db.Tx, c identity.Credential) error {
	if err := authn.DropTickets(ctx, tx, authn.PurposeReset, c.UserID); err != nil {
		return fmt.Errorf("replacing previous links: %w", err)
	}
	token, expires, err := s.cfg.Sessions.NewTicket(ctx, tx, authn.PurposeReset, authn.Ticket{Subject: c.UserID},
		s.cfg.ResetLife)
	if err != nil {
		return err
	}
	return s.cfg.Logins.Send(ctx, tx,
		mail.PasswordReset{Name: c.Username, Link: s.cfg.Logins.Link("/reset", token), Expires: expires}, c.Email)
}
