package login

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sluice/internal/authn"
	"sluice/internal/db"
	"sluice/internal/identity"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

// retryLater is the RetryAfter of a full queue.
const retryLater = time.Minute

// askLimit slows down who asks for mails: each lands in somebody's mailbox.
var askLimit = limit{5, 15 * time.Minute}

// RequestReset sends a reset link to the person with this username or address, if there is one who may come in and has an address. The answer is the same, and comes as fast,
// whether there is or not: nil, or Limited and Unavailable, which depend on the asker alone.
func (l *Logins) RequestReset(ctx context.Context, identifier, ip string) error {
	if !l.MailConfigured() {
		return problem.New(problem.Unavailable, "This Sluice sends no mail.").WithNext("Ask an admin for a link that sets a new password.")
	}
	if len(identifier) > 254 {
		return nil
	}
	identifier = strings.ToLower(strings.TrimSpace(identifier))
	counters := []counter{{"ask:" + l.mac("guess", identifier), askLimit}, {"ask-address:" + addressPrefix(ip), addressLimit}}
	if err := l.reserve(ctx, counters); err != nil {
		return err
	}
	return l.later.do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := l.mailReset(ctx, identifier); err != nil {
			l.cfg.Log.Error("a reset link could not be mailed", "error", err)
		}
	})
}

func (l *Logins) mailReset(ctx context.Context, identifier string) error {
	c, found, err := l.cfg.People.Credential(ctx, identifier)
	if err != nil || !found || !c.Active || c.Email == "" {
		return err
	}
	return l.cfg.DB.System(ctx, "links", func(tx *db.Tx) error { return l.resetMailIn(ctx, tx, c) })
}

// resetMailIn makes a reset link and its mail; earlier links stop working.
func (l *Logins) resetMailIn(ctx context.Context, tx *db.Tx, c identity.Credential) error {
	if err := authn.DropTickets(ctx, tx, authn.PurposeReset, c.UserID); err != nil {
		return fmt.Errorf("replacing earlier links: %w", err)
	}
	token, expires, err := l.cfg.Sessions.NewTicket(ctx, tx, authn.PurposeReset, authn.Ticket{Subject: c.UserID}, l.cfg.ResetLife)
	if err != nil {
		return err
	}
	return l.send(ctx, tx, mail.PasswordReset{Name: c.Username, Link: l.link("/reset", token), Expires: expires}, c.Email)
}
