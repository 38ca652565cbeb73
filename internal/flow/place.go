package flow

import (
	"context"
	"fmt"

	"sluice/internal/db"
	q "sluice/internal/db/q/flow"
	"sluice/internal/problem"
)

// Place records within the caller's transaction whose an object is that was there before Sluice. One that lies in the workspace from and is nobody's, as everything that was adopted when its app was
// connected, moves to its own; "" moves nothing. It reports whether anything was changed, asks no right, and leaves alone what belongs to somebody.
func (l *Library) Place(ctx context.Context, tx *db.Tx, o Object, from string) (placed bool, err error) {
	if o.ID == "" || len(o.ID) > maxID || o.Workspace == "" {
		return false, problem.New(problem.Invalid, "An object needs an id and a workspace.").WithField("id")
	}
	now := l.cfg.Now().UnixMilli()
	n, err := q.New(tx).ClaimObject(ctx, q.ClaimObjectParams{
		AppID: o.App, ObjectID: o.ID, Kind: string(o.Kind), WorkspaceID: o.Workspace, OwnerID: o.Owner, UpstreamID: o.Account, Name: cleanName(o.Name), CreatedAt: now,
	})
	if err == nil && n == 0 && from != "" {
		n, err = q.New(tx).PlaceObject(ctx, q.PlaceObjectParams{
			AppID: o.App, ObjectID: o.ID, WorkspaceID: o.Workspace, OwnerID: o.Owner, UpstreamID: o.Account, FormerWorkspace: from, Now: now,
		})
	}
	if err != nil {
		return false, fmt.Errorf("recording an object: %w", err)
	}
	if n == 0 {
		return false, nil
	}
	return true, tx.Changed(ChangeKind, o.App+"/"+o.ID)
}
