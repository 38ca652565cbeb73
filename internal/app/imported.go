package app

import (
	"context"
	"fmt"

	"sluice/internal/db"
	q "sluice/internal/db/q/app"
)

// ImportedAccount is a builder account that an import gives to a workspace.
type ImportedAccount struct {
	// ID and Username are the builder's.
	ID, Username string
	// Workspace and Person are the owners of the account; no Person means the whole workspace.
	Workspace, Person string
	// From is the workspace to which an earlier adoption gave the account; "" without an adoption.
	From string
	// At is when the account was imported, in unix milliseconds.
	At int64
}

// ImportAccount records an account of a builder, in the importer's transaction. It leaves a
// recorded account alone, unless an adoption gave it to the whole workspace From: then it moves the
// account.
func ImportAccount(ctx context.Context, tx *db.Tx, appID string, a ImportedAccount) error {
	n, err := q.New(tx).ImportAccount(ctx, q.ImportAccountParams{
		AppID:       appID,
		UpstreamID:  a.ID,
		WorkspaceID: a.Workspace,
		PersonID:    a.Person,
		Username:    a.Username,
		CreatedAt:   a.At,
	})
	if err == nil && n == 0 && a.From != "" {
		_, err = q.New(tx).RebindAccount(ctx, q.RebindAccountParams{
			AppID:           appID,
			UpstreamID:      a.ID,
			WorkspaceID:     a.Workspace,
			PersonID:        a.Person,
			FormerWorkspace: a.From,
		})
	}
	if err != nil {
		return fmt.Errorf("noting an account of the builder: %w", err)
	}
	return nil
}

// Offer puts an app into a workspace, in the importer's transaction.
func Offer(ctx context.Context, tx *db.Tx, appID, workspaceID string) error {
	if err := q.New(tx).OfferApp(ctx, q.OfferAppParams{AppID: appID, WorkspaceID: workspaceID}); err != nil {
		return fmt.Errorf("putting the app into a workspace: %w", err)
	}
	return nil
}
