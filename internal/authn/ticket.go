package authn

import (
	"context"
	"crypto/subtle"
	"fmt"
	"slices"
	"time"

	"sluice/internal/db"
	q "sluice/internal/db/q/authn"
	"sluice/internal/problem"
)

// The purposes of tickets.
const (
	purposeEnter = "enter"
	// PurposeSetup is the link that makes the first admin.
	PurposeSetup = "setup"
	// PurposeReset is the link with which a person sets a new password.
	PurposeReset = "reset"
	// PurposeInvite is an invitation to a workspace; the subject is the invitation's id.
	PurposeInvite = "invite"
	// PurposeVerify proves an e-mail address; the audience is the address.
	PurposeVerify = "verify"
	// PurposeEmailOld and PurposeEmailNew confirm a change of address at its two ends.
	PurposeEmailOld, PurposeEmailNew = "email-old", "email-new"
)

// enterCodeLife is how long a hand-over code to an app's origin is good: the browser follows the redirect at once.
const enterCodeLife = time.Minute

// Ticket is what a single-use token stands for.
type Ticket struct{ Subject, Audience string }

// NewTicket makes a single-use token within the caller's transaction. Only its keyed hash is stored.
func (s *Sessions) NewTicket(ctx context.Context, tx *db.Tx, purpose string, t Ticket, life time.Duration) (token string, expires time.Time, err error) {
	token, d, err := s.links.make()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("making a link: %w", err)
	}
	now := s.cfg.Now()
	expires = now.Add(life)
	err = q.New(tx).InsertTicket(ctx, q.InsertTicketParams{
		TokenHash: d.hex(), Purpose: purpose, Subject: t.Subject, Audience: t.Audience, CreatedAt: now.UnixMilli(), ExpiresAt: expires.UnixMilli(),
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("storing a link: %w", err)
	}
	return token, expires, nil
}

// CheckTicket tells what a token stands for without using it. Unknown tokens are NotFound, used and expired ones Gone.
func (s *Sessions) CheckTicket(ctx context.Context, purpose, token string) (Ticket, error) {
	row, err := s.ticket(ctx, q.New(s.cfg.DB.Read()), purpose, token)
	if err != nil {
		return Ticket{}, err
	}
	switch {
	case row.UsedAt > 0:
		return Ticket{}, problem.New(problem.Gone, "This link has been used. It works only once.").WithRule("single use")
	case row.ExpiresAt <= s.cfg.Now().UnixMilli():
		return Ticket{}, problem.New(problem.Gone, "This link has expired.").WithRule("link expiry")
	}
	return Ticket{Subject: row.Subject, Audience: row.Audience}, nil
}

// ticket reads the row of a token.
func (s *Sessions) ticket(ctx context.Context, queries *q.Queries, purpose, token string) (q.Ticket, error) {
	for _, under := range s.links.all() {
		d, ok := under.digest(token)
		if !ok {
			break
		}
		row, err := queries.GetTicket(ctx, q.GetTicketParams{TokenHash: d.hex(), Purpose: purpose})
		switch {
		case err == nil:
			return row, nil
		case !problem.Is(db.Found(err, "gone"), problem.NotFound):
			return row, fmt.Errorf("reading a link: %w", err)
		}
	}
	return q.Ticket{}, unknownTicket()
}

// UseTicket spends a token within the caller's transaction. Of two that try at the same time only one succeeds.
func (s *Sessions) UseTicket(ctx context.Context, tx *db.Tx, purpose, token string) error {
	if !wellFormed(token) {
		return unknownTicket()
	}
	for _, under := range s.links.all() {
		d, _ := under.digest(token)
		n, err := q.New(tx).UseTicket(ctx, q.UseTicketParams{Now: s.cfg.Now().UnixMilli(), TokenHash: d.hex(), Purpose: purpose})
		if err != nil {
			return fmt.Errorf("using a link: %w", err)
		}
		if n > 0 {
			return nil
		}
	}
	return problem.New(problem.Gone, "This link has been used, or it has expired.").WithRule("single use")
}

// DropTickets removes all tokens of a purpose and subject within the caller's transaction, so that they count no more.
func DropTickets(ctx context.Context, tx *db.Tx, purpose, subject string) error {
	if err := q.New(tx).DropTickets(ctx, q.DropTicketsParams{Purpose: purpose, Subject: subject}); err != nil {
		return fmt.Errorf("dropping links: %w", err)
	}
	return nil
}

// TicketUsed reports, within the caller's transaction, whether a token of this purpose, subject and audience has been
// spent.
func TicketUsed(ctx context.Context, tx *db.Tx, purpose string, t Ticket) (bool, error) {
	rows, err := q.New(tx).TicketsOf(ctx, q.TicketsOfParams{Purpose: purpose, Subject: t.Subject})
	if err != nil {
		return false, fmt.Errorf("reading links: %w", err)
	}
	return slices.ContainsFunc(rows, func(r q.Ticket) bool { return r.Audience == t.Audience && r.UsedAt > 0 }), nil
}

func unknownTicket() error {
	return problem.New(problem.NotFound, "This link is not one that Sluice made, or it has been replaced by a newer one.")
}

// NewEnterCode makes the code with which the browser of this session gets a cookie on an app's own origin: good for a minute, once. State is what that origin gave its
// browser before; the code works only together with it, so that nobody can be signed in as somebody else by a link (RFC 6749 section 10.12).
func (s *Sessions) NewEnterCode(ctx context.Context, p Principal, appID, state string) (code string, err error) {
	if !p.SignedIn() || p.SessionID == "" {
		return "", problem.New(problem.Unauthenticated, "Sign in first.")
	}
	if !wellFormed(state) {
		return "", problem.New(problem.Invalid, "The way back to the app was not complete.").WithNext("Open the app from Sluice again.").WithRule("enter state")
	}
	err = s.cfg.DB.System(ctx, "session cookies", func(tx *db.Tx) error {
		code, _, err = s.NewTicket(ctx, tx, purposeEnter, Ticket{Subject: p.SessionID, Audience: appID + " " + state}, enterCodeLife)
		return err
	})
	return code, err
}

// NewEnterState makes the value that an app's origin gives a browser before it sends it to Sluice's own origin.
func (s *Sessions) NewEnterState() (string, error) {
	state, _, err := s.links.make()
	return state, err
}

// RedeemEnterCode spends a code at the app, and in the browser, that it was made for and returns the cookie's token.
func (s *Sessions) RedeemEnterCode(ctx context.Context, code, appID, state string) (token string, err error) {
	t, err := s.CheckTicket(ctx, purposeEnter, code)
	if err != nil {
		return "", err
	}
	if subtle.ConstantTimeCompare([]byte(t.Audience), []byte(appID+" "+state)) != 1 {
		return "", unknownTicket()
	}
	err = s.cfg.DB.System(ctx, "session cookies", func(tx *db.Tx) error {
		if err := s.UseTicket(ctx, tx, purposeEnter, code); err != nil {
			return err
		}
		token, err = s.issueIn(ctx, tx, t.Subject, appID)
		return err
	})
	return token, err
}
