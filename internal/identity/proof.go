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

// The functions here record facts about a person that a sign-in, a link or a changed password has
// proven. Package login decides about them. Each runs in the transaction of its step.

// SetEmail changes a person's address to a proven one. An address of another account is Gone.
func (p *accountWriter) SetEmail(ctx context.Context, tx *db.Tx, userID, email string) error {
	err := q.New(tx).ChangeEmail(ctx, q.ChangeEmailParams{
		ID:              userID,
		Email:           email,
		EmailKey:        sql.NullString{String: strings.ToLower(email), Valid: true},
		EmailVerifiedAt: p.cfg.Now().UnixMilli(),
	})
	if db.IsUnique(err) {
		return problem.New(problem.Gone, "This address cannot be used.")
	}
	if err != nil {
		return fmt.Errorf("changing the address: %w", err)
	}
	return tx.Changed(ChangeKind, userID)
}

// SetEmailVerified records that a person has proven their address.
func (p *accountWriter) SetEmailVerified(ctx context.Context, tx *db.Tx, userID string) error {
	at := p.cfg.Now().UnixMilli()
	err := q.New(tx).SetEmailVerified(ctx, q.SetEmailVerifiedParams{ID: userID, EmailVerifiedAt: at})
	if err != nil {
		return fmt.Errorf("noting that the address is proven: %w", err)
	}
	return nil
}

// SetPassword stores the hash of a new password.
func (p *accountWriter) SetPassword(ctx context.Context, tx *db.Tx, userID, hash string) error {
	at := p.cfg.Now().UnixMilli()
	err := q.New(tx).SetAccountPassword(ctx, q.SetAccountPasswordParams{ID: userID, PasswordHash: hash, UpdatedAt: at})
	if err != nil {
		return fmt.Errorf("storing the password: %w", err)
	}
	return nil
}

// UpgradePassword replaces the hash of a person's password with a stronger one of the same
// password, unless the password has changed since the credential was read.
func (p *accountWriter) UpgradePassword(ctx context.Context, tx *db.Tx, c Credential, hash string) error {
	_, err := q.New(tx).UpgradeAccountPassword(ctx, q.UpgradeAccountPasswordParams{
		ID: c.UserID, NewHash: hash, OldHash: c.PasswordHash,
	})
	if err != nil {
		return fmt.Errorf("storing the password: %w", err)
	}
	return nil
}

// NoteSignIn records now as the time of a person's last sign-in.
func (p *accountWriter) NoteSignIn(ctx context.Context, tx *db.Tx, userID string) error {
	err := q.New(tx).TouchSignIn(ctx, q.TouchSignInParams{ID: userID, LastSignInAt: p.cfg.Now().UnixMilli()})
	if err != nil {
		return fmt.Errorf("noting the sign-in: %w", err)
	}
	return nil
}

// accountWriter writes accounts and memberships in the transactions of other packages, which have
// decided about the change.
type accountWriter struct{ cfg Config }

// Admit gives a new person a role in one more workspace, within the transaction that has inserted
// them. That transaction already announces the account to the nodes.
func (p *accountWriter) Admit(ctx context.Context, tx *db.Tx, workspaceID string, who Prepared, role string) error {
	err := q.New(tx).PutMembership(ctx, q.PutMembershipParams{
		WorkspaceID: workspaceID,
		AccountID:   who.account.ID,
		Role:        role,
		CreatedAt:   p.cfg.Now().UnixMilli(),
	})
	if err != nil {
		return fmt.Errorf("adding the membership: %w", err)
	}
	return nil
}

// Leave removes a membership within the caller's transaction. It is the opposite of Join and checks
// no permission either: an identity provider's groups have decided it.
func (p *accountWriter) Leave(ctx context.Context, tx *db.Tx, workspaceID, userID string) error {
	if err := q.New(tx).DeleteMembership(ctx, q.DeleteMembershipParams{
		WorkspaceID: workspaceID,
		AccountID:   userID,
	}); err != nil {
		return fmt.Errorf("ending the membership: %w", err)
	}
	if err := q.New(tx).BumpAccount(ctx, q.BumpAccountParams{
		ID:        userID,
		UpdatedAt: p.cfg.Now().UnixMilli(),
	}); err != nil {
		return fmt.Errorf("ending the membership: %w", err)
	}
	return tx.Changed(ChangeKind, userID)
}

// join creates a membership within the caller's transaction.
func (p *accountWriter) join(ctx context.Context, tx *db.Tx, workspaceID, userID, role string) error {
	now := p.cfg.Now().UnixMilli()
	if err := q.New(tx).PutMembership(ctx, q.PutMembershipParams{
		WorkspaceID: workspaceID,
		AccountID:   userID,
		Role:        role,
		CreatedAt:   now,
	}); err != nil {
		return fmt.Errorf("adding the membership: %w", err)
	}
	if err := q.New(tx).BumpAccount(ctx, q.BumpAccountParams{ID: userID, UpdatedAt: now}); err != nil {
		return fmt.Errorf("adding the membership: %w", err)
	}
	return tx.Changed(ChangeKind, userID)
}

// Join gives a person a role in a workspace within the caller's transaction. It checks no
// permission: an accepted invitation has decided it.
func (p *accountWriter) Join(ctx context.Context, tx *db.Tx, workspaceID, userID, role string) error {
	return p.join(ctx, tx, workspaceID, userID, role)
}
