package identity_test

import (
	"context"
	"testing"

	"sluice/internal/db"
	qapp "sluice/internal/db/q/app"
	qflow "sluice/internal/db/q/flow"
	"sluice/internal/identity"
)

// own puts an object of a builder into the ownership map.
func own(t *testing.T, d *db.DB, objectID, ownerID string) {
	t.Helper()
	ctx := context.Background()
	err := d.Gated(ctx, func(tx *db.Tx) error {
		if err := qapp.New(tx).InsertApp(ctx,
			qapp.InsertAppParams{ID: "app", WorkspaceID: identity.DefaultWorkspace, Slug: "app",
				UpstreamUrl: "http://127.0.0.1:1"}); err != nil {
			return err
		}
		_, err := qflow.New(tx).
			ClaimObject(ctx, qflow.ClaimObjectParams{AppID: "app", ObjectID: objectID, Kind: "chatflow",
				WorkspaceID: identity.DefaultWorkspace, OwnerID: ownerID})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func objectKey(objectID string) qflow.GetObjectParams {
	return qflow.GetObjectParams{AppID: "app", ObjectID: objectID}
}
