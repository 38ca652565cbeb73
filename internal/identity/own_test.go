package identity_test

import (
	"context"
	"testing"

	"sluice/internal/db"
	"sluice/internal/db/q"
	"sluice/internal/identity"
)

// own puts an object of a builder into the ownership map.
func own(t *testing.T, d *db.DB, objectID, ownerID string) {
	t.Helper()
	ctx := context.Background()
	err := d.Tx(ctx, func(tx *db.Tx) error {
		if err := tx.InsertApp(ctx, q.InsertAppParams{ID: "app", WorkspaceID: identity.DefaultWorkspace, Slug: "app", UpstreamUrl: "http://127.0.0.1:1"}); err != nil {
			return err
		}
		_, err := tx.ClaimObject(ctx, q.ClaimObjectParams{AppID: "app", ObjectID: objectID, Kind: "chatflow", WorkspaceID: identity.DefaultWorkspace, OwnerID: ownerID})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func objectKey(objectID string) q.GetObjectParams {
	return q.GetObjectParams{AppID: "app", ObjectID: objectID}
}
