package authn

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/authn"
	"sluice/internal/problem"
)

// List returns the live sessions of a person, last used first. People can see their own sessions;
// other people's require SessionView.
func (s *Sessions) List(ctx context.Context, actor Principal, userID string) ([]Session, error) {
	if err := s.cfg.Gate.Check(ctx, actor, authz.SessionView, authz.Resource{
		Type:  "Session",
		Owner: userID,
	}); err != nil {
		return nil, err
	}
	rows, err := q.New(s.cfg.DB.Read()).SessionsOf(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("listing sessions: %w", err)
	}
	now := s.cfg.Now()
	out := make([]Session, 0, len(rows))
	for _, r := range rows {
		v := fromRow(r)
		v.Current = v.ID == actor.SessionID
		if v.ExpiresAt.After(now) && (v.Current || v.Program || v.SeenAt.Add(s.cfg.MaxIdle).After(now)) {
			out = append(out, v)
		}
	}
	return out, nil
}

func fromRow(r q.Session) Session {
	return Session{
		ID:        r.ID,
		UserID:    r.AccountID,
		IP:        r.Ip,
		UserAgent: r.UserAgent,
		Method:    r.Method,
		CreatedAt: time.UnixMilli(r.CreatedAt).UTC(),
		SeenAt:    time.UnixMilli(r.SeenAt).UTC(),
		ExpiresAt: time.UnixMilli(r.ExpiresAt).UTC(),
		Strong:    r.Strong,
		ProvenAt:  time.UnixMilli(r.ProvenAt).UTC(),
		Program:   r.Program,
	}
}

// Revoke revokes a session at once and closes its streams. People can revoke their own sessions;
// other people's require SessionEnd. An unknown session is NotFound, and so is another person's
// session without that permission.
func (s *Sessions) Revoke(ctx context.Context, actor Principal, sessionID string) error {
	row, err := q.New(s.cfg.DB.Read()).GetSession(ctx, sessionID)
	if err != nil {
		return db.Found(err, noSession().Detail)
	}
	res := authz.Resource{Type: "Session", ID: row.ID, Owner: row.AccountID}
	if !s.cfg.Gate.Decide(actor, authz.SessionEnd, res).Allowed {
		// The audit records a refusal, but the answer is NotFound: it must not reveal the ids of
		// other people's sessions.
		if err := s.cfg.Gate.Check(ctx, actor, authz.SessionEnd, res); err != nil {
			return noSession()
		}
	}
	return s.cfg.Gate.Do(ctx, actor, authz.SessionEnd, res, func(tx *db.Tx) error { return s.EndIn(ctx, tx, row.ID) })
}

// EndIn revokes a session within the caller's transaction.
func (s *Sessions) EndIn(ctx context.Context, tx *db.Tx, sessionID string) error {
	// Every change of sessions takes the numbering lock before any row. Two transactions that took
	// them in opposite order would deadlock.
	if err := tx.Ordered(); err != nil {
		return err
	}
	if _, err := q.New(tx).DeleteSession(ctx, sessionID); err != nil {
		return fmt.Errorf("ending the session: %w", err)
	}
	return tx.Changed(ChangeKind, sessionID)
}

// RevokeAll revokes all sessions of a person except one ("" for no exception).
func (s *Sessions) RevokeAll(ctx context.Context, actor Principal, userID, exceptSessionID string) error {
	res := authz.Resource{Type: "Session", Owner: userID}
	return s.cfg.Gate.DoDetail(ctx, actor, authz.SessionEnd, res, "all sessions", func(tx *db.Tx) error {
		return s.EndAllIn(ctx, tx, userID, exceptSessionID)
	})
}

// EndAllIn revokes all sessions of a person except one, within the caller's transaction.
func (s *Sessions) EndAllIn(ctx context.Context, tx *db.Tx, userID, exceptSessionID string) error {
	ids, err := q.New(tx).SessionIDsOf(ctx, userID)
	if err != nil {
		return fmt.Errorf("listing sessions: %w", err)
	}
	for _, id := range ids {
		if id == exceptSessionID {
			continue
		}
		if err := s.EndIn(ctx, tx, id); err != nil {
			return err
		}
	}
	return nil
}

// EndEverything revokes every session of every person, with all access and refresh tokens, on all
// nodes (EXPIRE_AUTH_TOKENS_ON_RESTART).
func (s *Sessions) EndEverything(ctx context.Context, actor Principal, why string) error {
	return s.cfg.Gate.DoDetail(
		ctx,
		actor,
		authz.SessionEnd,
		authz.Resource{Type: "Session"},
		why,
		func(tx *db.Tx) error {
			if _, err := q.New(tx).DeleteAllSessions(ctx); err != nil {
				return fmt.Errorf("ending all sessions: %w", err)
			}
			return tx.Changed(ChangeKind, everySession)
		},
	)
}

// SwitchWorkspace moves a session to another workspace, on all origins at once. The person must
// belong to it, or be a superuser; otherwise the workspace is not found.
func (s *Sessions) SwitchWorkspace(ctx context.Context, p Principal, workspaceID string) error {
	if !p.SignedIn() || p.SessionID == "" {
		return problem.New(problem.Unauthenticated, "Sign in first.")
	}
	if !worksIn(s.cfg.People, p, workspaceID) {
		return problem.New(problem.NotFound, "There is no such workspace, or you do not belong to it.")
	}
	return s.cfg.DB.System(ctx, "session workspace", func(tx *db.Tx) error {
		if _, err := q.New(tx).SetSessionWorkspace(ctx, q.SetSessionWorkspaceParams{
			ID:          p.SessionID,
			WorkspaceID: workspaceID,
		}); err != nil {
			return fmt.Errorf("switching the workspace: %w", err)
		}
		return tx.Changed(ChangeKind, p.SessionID)
	})
}

// EndDisabled deletes, in the caller's transaction, the sessions of a deactivated person. It
// announces nothing: the change of the account already closes them on every node.
func EndDisabled(ctx context.Context, tx *db.Tx, userID string) error {
	if err := q.New(tx).DeleteSessionsOfAccount(ctx, userID); err != nil {
		return fmt.Errorf("ending the sessions of a disabled person: %w", err)
	}
	return nil
}

// Maintain writes last-seen times and removes old sessions and tickets. The server runs it every
// half minute.
func (s *Sessions) Maintain(ctx context.Context, now time.Time) error {
	errs := []error{s.writeSeen(ctx), s.prune(ctx, now)}
	for _, id := range s.table.ended(now.UnixMilli(), s.cfg.MaxIdle.Milliseconds()) {
		s.drop(id.String())
	}
	s.table.sweep()
	return errors.Join(errs...)
}

func (s *Sessions) writeSeen(ctx context.Context) error {
	s.mu.Lock()
	seen := s.dirty
	s.dirty = map[uuid.UUID]int64{}
	s.mu.Unlock()
	if len(seen) == 0 {
		return nil
	}
	return s.cfg.DB.System(ctx, "session uses", func(tx *db.Tx) error {
		if err := tx.Ordered(); err != nil {
			return err
		}
		for id, at := range seen {
			if err := q.New(tx).TouchSession(ctx, q.TouchSessionParams{ID: id.String(), SeenAt: at}); err != nil {
				return fmt.Errorf("noting when a session was used: %w", err)
			}
			// Other nodes must not treat a session as idle that is used here.
			if err := tx.Changed(ChangeKind, id.String()); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Sessions) prune(ctx context.Context, now time.Time) error {
	return s.cfg.DB.System(ctx, "old sessions", func(tx *db.Tx) error {
		// Wait an extra hour: another node may be about to write a later last-seen time.
		ids, err := q.New(tx).ExpiredSessions(ctx, q.ExpiredSessionsParams{
			Now:       now.UnixMilli(),
			IdleSince: now.Add(-s.cfg.MaxIdle - time.Hour).UnixMilli(),
		})
		if err != nil {
			return fmt.Errorf("finding ended sessions: %w", err)
		}
		for _, id := range ids {
			if err := s.EndIn(ctx, tx, id); err != nil {
				return err
			}
		}
		if _, err := q.New(tx).PruneTickets(ctx, now.Add(-24*time.Hour).UnixMilli()); err != nil {
			return fmt.Errorf("removing old tickets: %w", err)
		}
		return nil
	})
}

func noSession() *problem.Error {
	return problem.New(problem.NotFound, "There is no such session. It may have been revoked.")
}

// Prove records, within the caller's transaction, that the person of a session has just proven
// their identity. strong means that they used a second factor.
func (s *Sessions) Prove(ctx context.Context, tx *db.Tx, sessionID string, strong bool) error {
	n, err := q.New(tx).ProveSession(ctx, q.ProveSessionParams{
		ID:     sessionID,
		Now:    s.cfg.Now().UnixMilli(),
		Strong: strong,
	})
	if err != nil {
		return fmt.Errorf("noting the proof of identity: %w", err)
	}
	if n == 0 {
		return noSession()
	}
	return tx.Changed(ChangeKind, sessionID)
}

// Weaken removes the mark of a second factor from all sessions of a person, within the caller's
// transaction, because the factor is gone.
func (s *Sessions) Weaken(ctx context.Context, tx *db.Tx, userID string) error {
	if err := q.New(tx).WeakenSessions(ctx, userID); err != nil {
		return fmt.Errorf("noting that the factor is gone: %w", err)
	}
	ids, err := q.New(tx).SessionIDsOf(ctx, userID)
	if err != nil {
		return fmt.Errorf("listing sessions: %w", err)
	}
	for _, id := range ids {
		if err := tx.Changed(ChangeKind, id); err != nil {
			return err
		}
	}
	return nil
}

// Purposes of tickets.
const (
	purposeEnter = "enter"
	// PurposeSetup is the link that creates the first admin.
	PurposeSetup = "setup"
	// PurposeReset is the link with which a person sets a new password.
	PurposeReset = "reset"
	// PurposeInvite is an invitation to a workspace; the subject is the invitation's id.
	PurposeInvite = "invite"
	// PurposeVerify proves an email address; the audience is the address.
	PurposeVerify = "verify"
	// PurposeEmailOld and PurposeEmailNew confirm a change of address at the old and the new one.
	PurposeEmailOld, PurposeEmailNew = "email-old", "email-new"
)

// enterCodeLife is how long a hand-over code to an app's origin works. It can be short, because the
// browser follows the redirect at once.
const enterCodeLife = time.Minute

// Ticket is what a single-use token grants.
type Ticket struct{ Subject, Audience string }

// NewTicket creates a single-use token within the caller's transaction. Only its keyed hash is
// stored.
func (s *Sessions) NewTicket(
	ctx context.Context,
	tx *db.Tx,
	purpose string,
	t Ticket,
	life time.Duration,
) (token string, expires time.Time, err error) {
	token, d, err := s.links.make()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("creating a link: %w", err)
	}
	now := s.cfg.Now()
	expires = now.Add(life)
	err = q.New(tx).InsertTicket(ctx, q.InsertTicketParams{
		TokenHash: d.hex(),
		Purpose:   purpose,
		Subject:   t.Subject,
		Audience:  t.Audience,
		CreatedAt: now.UnixMilli(),
		ExpiresAt: expires.UnixMilli(),
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("storing a link: %w", err)
	}
	return token, expires, nil
}

// CheckTicket returns the ticket of a token without using it. Unknown tokens are NotFound; used and
// expired ones are Gone.
func (s *Sessions) CheckTicket(ctx context.Context, purpose, token string) (Ticket, error) {
	row, err := s.ticket(ctx, q.New(s.cfg.DB.Read()), purpose, token)
	if err != nil {
		return Ticket{}, err
	}
	switch {
	case row.UsedAt > 0:
		return Ticket{}, problem.New(problem.Gone, "This link has been used. It works only "+
			"once.").WithRule("single use")
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

// UseTicket redeems a token within the caller's transaction. Of two concurrent attempts only one
// succeeds.
func (s *Sessions) UseTicket(ctx context.Context, tx *db.Tx, purpose, token string) error {
	if !wellFormed(token) {
		return unknownTicket()
	}
	for _, under := range s.links.all() {
		d, _ := under.digest(token)
		n, err := q.New(tx).UseTicket(ctx, q.UseTicketParams{
			Now:       s.cfg.Now().UnixMilli(),
			TokenHash: d.hex(),
			Purpose:   purpose,
		})
		if err != nil {
			return fmt.Errorf("using a link: %w", err)
		}
		if n > 0 {
			return nil
		}
	}
	return problem.New(problem.Gone, "This link has been used, or it has expired.").WithRule("single use")
}

// DropTickets removes all tokens of a purpose and subject within the caller's transaction, so that
// they no longer work.
func DropTickets(ctx context.Context, tx *db.Tx, purpose, subject string) error {
	if err := q.New(tx).DropTickets(ctx, q.DropTicketsParams{Purpose: purpose, Subject: subject}); err != nil {
		return fmt.Errorf("dropping links: %w", err)
	}
	return nil
}

// TicketUsed reports, within the caller's transaction, whether a token of this purpose, subject and
// audience has been redeemed.
func TicketUsed(ctx context.Context, tx *db.Tx, purpose string, t Ticket) (bool, error) {
	rows, err := q.New(tx).TicketsOf(ctx, q.TicketsOfParams{Purpose: purpose, Subject: t.Subject})
	if err != nil {
		return false, fmt.Errorf("reading links: %w", err)
	}
	return slices.ContainsFunc(rows, func(r q.Ticket) bool { return r.Audience == t.Audience && r.UsedAt > 0 }), nil
}

func unknownTicket() error {
	return problem.New(problem.NotFound, "Sluice did not create this link, or a newer one has replaced it.")
}

// NewEnterCode creates the code with which the browser of this session gets a cookie on an app's
// own origin. The code works once, within a minute. state is the value that the app's origin gave
// its browser before. The code works only together with it, so that a link cannot sign people in as
// someone else (RFC 6749 section 10.12).
func (s *Sessions) NewEnterCode(ctx context.Context, p Principal, appID, state string) (code string, err error) {
	if !p.SignedIn() || p.SessionID == "" {
		return "", problem.New(problem.Unauthenticated, "Sign in first.")
	}
	if !wellFormed(state) {
		return "", problem.New(problem.Invalid, "The way back to the app was not complete.").
			WithNext("Open the app from Sluice again.").WithRule("enter state")
	}
	err = s.cfg.DB.System(ctx, "session cookies", func(tx *db.Tx) error {
		code, _, err = s.NewTicket(ctx, tx, purposeEnter, Ticket{
			Subject:  p.SessionID,
			Audience: appID + " " + state,
		}, enterCodeLife)
		return err
	})
	return code, err
}

// NewEnterState creates the value that an app's origin gives a browser before it sends the browser
// to Sluice's own origin.
func (s *Sessions) NewEnterState() (string, error) {
	state, _, err := s.links.make()
	return state, err
}

// RedeemEnterCode redeems a code and returns the cookie's token. The app and the browser must be
// the ones that the code was created for.
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
