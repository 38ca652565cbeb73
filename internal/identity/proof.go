package identity

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"sluice/internal/db"
	q "sluice/internal/db/q/identity"
	"sluice/internal/problem"
)

// The functions here write what a sign-in, a link or a changed password proves about a person.
// Package login decides that; each runs in the transaction of the step that it belongs to.

// SetEmail changes a person's address to one that was proven. An address that belongs to somebody
// else is Gone.
func (p *accountWriter) SetEmail(ctx context.Context, tx *db.Tx, userID, email string) error {
	err := q.New(tx).ChangeEmail(ctx, q.ChangeEmailParams{
		ID:              userID,
		Email:           email,
		EmailKey:        sql.NullString{String: strings.ToLower(email), Valid: true},
		EmailVerifiedAt: p.Now().UnixMilli(),
	})
	if db.IsUnique(err) {
		return problem.New(problem.Gone, "This address cannot be used.")
	}
	if err != nil {
		return fmt.Errorf("changing the address: %w", err)
	}
	return tx.Changed(ChangeKind, userID)
}

// SetEmailVerified notes that a person's address was proven to be theirs.
func (p *accountWriter) SetEmailVerified(ctx context.Context, tx *db.Tx, userID string) error {
	at := p.Now().UnixMilli()
	err := q.New(tx).SetEmailVerified(ctx, q.SetEmailVerifiedParams{ID: userID, EmailVerifiedAt: at})
	if err != nil {
		return fmt.Errorf("noting that the address is proven: %w", err)
	}
	return nil
}

// SetPassword stores the hash of a new password.
func (p *accountWriter) SetPassword(ctx context.Context, tx *db.Tx, userID, hash string) error {
	at := p.Now().UnixMilli()
	err := q.New(tx).SetAccountPassword(ctx, q.SetAccountPasswordParams{ID: userID, PasswordHash: hash, UpdatedAt: at})
	if err != nil {
		return fmt.Errorf("storing the password: %w", err)
	}
	return nil
}

// UpgradePassword replaces the hash of a person's password by a stronger one of the same password,
// unless the password has been changed since the credential was read.
func (p *accountWriter) UpgradePassword(ctx context.Context, tx *db.Tx, c Credential, hash string) error {
	_, err := q.New(tx).UpgradeAccountPassword(ctx, q.UpgradeAccountPasswordParams{
		ID: c.UserID, NewHash: hash, OldHash: c.PasswordHash,
	})
	if err != nil {
		return fmt.Errorf("storing the password: %w", err)
	}
	return nil
}

// NoteSignIn stores when a person last signed in: now.
func (p *accountWriter) NoteSignIn(ctx context.Context, tx *db.Tx, userID string) error {
	err := q.New(tx).TouchSignIn(ctx, q.TouchSignInParams{ID: userID, LastSignInAt: p.Now().UnixMilli()})
	if err != nil {
		return fmt.Errorf("noting the sign-in: %w", err)
	}
	return nil
}
