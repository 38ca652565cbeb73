package secret

import (
	"context"
	"fmt"

	"sluice/internal/db"
	q "sluice/internal/db/q/secret"
	"sluice/internal/problem"
)

// Place notes, in the caller's transaction, that an app holds a copy of a credential under an id
// that Sluice chose. The copy counts as outdated until MarkCopied. A second copy in one app is a
// Conflict.
func (v *Vault) Place(ctx context.Context, tx *db.Tx, credentialID, appID, objectID, actorID string) error {
	err := q.New(tx).InsertCredentialUse(ctx, q.InsertCredentialUseParams{
		CredentialID: credentialID,
		AppID:        appID,
		ObjectID:     objectID,
		CreatedBy:    actorID,
		CreatedAt:    v.cfg.Now().UnixMilli(),
	})
	if db.IsUnique(err) {
		return problem.New(problem.Conflict, "This credential is in the app already.").WithField("app")
	}
	if err != nil {
		return fmt.Errorf("noting a copy: %w", err)
	}
	return nil
}

// PlacementIn returns the copy of a credential in an app; none is NotFound.
func (v *Vault) PlacementIn(ctx context.Context, from db.Source, credentialID, appID string) (Placement, error) {
	use, err := q.New(from).GetCredentialUse(ctx, q.GetCredentialUseParams{CredentialID: credentialID, AppID: appID})
	if err != nil {
		return Placement{}, db.Found(err, "This credential is not in the app any more.")
	}
	return placement(use), nil
}

// MarkCopied notes, in the caller's transaction, that an object in an app holds the values of a
// version. It reports whether that version is the current one. A copy that was withdrawn meanwhile
// is NotFound.
func (v *Vault) MarkCopied(
	ctx context.Context, tx *db.Tx, credentialID, appID, objectID string, version int64,
) (current bool, err error) {
	// A rotation takes the same lock: it comes before, and is seen here, or after, and outdates the
	// copy.
	if err := tx.Ordered(); err != nil {
		return false, err
	}
	_, err = q.New(tx).MarkUse(ctx, q.MarkUseParams{
		CredentialID: credentialID, AppID: appID, ObjectID: objectID, Version: version,
	})
	if err != nil {
		return false, fmt.Errorf("noting that a copy was made: %w", err)
	}
	p, err := v.PlacementIn(ctx, tx, credentialID, appID)
	return p.Current, err
}

// Displace removes, in the caller's transaction, the note that an app holds a copy of a credential.
func (v *Vault) Displace(ctx context.Context, tx *db.Tx, credentialID, appID string) error {
	_, err := q.New(tx).DeleteCredentialUse(ctx, q.DeleteCredentialUseParams{CredentialID: credentialID, AppID: appID})
	if err != nil {
		return fmt.Errorf("forgetting a copy: %w", err)
	}
	return nil
}

// StaleCopy is a credential whose copy in an app has older values.
type StaleCopy struct{ Credential, Workspace string }

// StaleCopies lists the outdated copies in an app, oldest first, up to 1000.
func (v *Vault) StaleCopies(ctx context.Context, appID string) ([]StaleCopy, error) {
	rows, err := q.New(v.cfg.DB.Read()).StaleUsesOfApp(ctx, appID)
	if err != nil {
		return nil, fmt.Errorf("listing outdated copies: %w", err)
	}
	out := make([]StaleCopy, len(rows))
	for i, r := range rows {
		out[i] = StaleCopy{Credential: r.CredentialID, Workspace: r.WorkspaceID}
	}
	return out, nil
}
