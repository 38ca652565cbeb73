package identity

import (
	"context"
	"fmt"

	"sluice/internal/db"
	q "sluice/internal/db/q/identity"
)

// Leave takes a membership away within the caller's transaction; it is the opposite of Join and asks no right either: an identity provider's groups have decided it.
func (p *accountWriter) Leave(ctx context.Context, tx *db.Tx, workspaceID, userID string) error {
	if err := q.New(tx).DeleteMembership(ctx, q.DeleteMembershipParams{WorkspaceID: workspaceID, AccountID: userID}); err != nil {
		return fmt.Errorf("ending the membership: %w", err)
	}
	if err := q.New(tx).BumpAccount(ctx, q.BumpAccountParams{ID: userID, UpdatedAt: p.Now().UnixMilli()}); err != nil {
		return fmt.Errorf("ending the membership: %w", err)
	}
	return tx.Changed(ChangeKind, userID)
}

// SuperuserIn gives or takes the superuser flag within the caller's transaction. It asks no right. The last active superuser keeps it: problem.Conflict.
func (p *People) SuperuserIn(ctx context.Context, tx *db.Tx, userID string, on bool) error {
	u, err := p.load(ctx, q.New(tx), userID)
	if err != nil {
		return err
	}
	if u.Superuser == on {
		return nil
	}
	if u.Active && !on {
		if err := keepOne(ctx, tx, u); err != nil {
			return err
		}
	}
	if err := q.New(tx).SetAccountSuperuser(ctx, q.SetAccountSuperuserParams{ID: userID, Superuser: on, UpdatedAt: p.Now().UnixMilli()}); err != nil {
		return fmt.Errorf("changing the superuser flag: %w", err)
	}
	return tx.Changed(ChangeKind, userID)
}
