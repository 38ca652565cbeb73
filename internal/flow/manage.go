package flow

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/flow"
	"sluice/internal/problem"
)

// Filter narrows a list of flows.
type Filter struct {
	// Workspace is the one whose flows are listed; "" is the one that the actor works in.
	Workspace string
	// Query is a part of a name; empty lists all.
	Query string
	// Limit is 1 to 200, 0 means 50. Offset skips rows.
	Limit, Offset int
}

// List returns the flows of a workspace, of all apps, the last changed first, and how many there are in all. It needs FlowView there.
func (l *Library) List(ctx context.Context, actor authz.Principal, f Filter) ([]Object, int, error) {
	if f.Workspace == "" {
		f.Workspace = actor.Workspace
	}
	if err := l.cfg.Gate.Check(ctx, actor, authz.FlowView, authz.Resource{Type: "Flow", Workspace: f.Workspace}); err != nil {
		return nil, 0, err
	}
	if f.Limit <= 0 || f.Limit > 200 {
		f.Limit = 50
	}
	pattern := likePattern(f.Query)
	total, err := q.New(l.cfg.DB.Read()).CountFlowsOfWorkspace(ctx, q.CountFlowsOfWorkspaceParams{WorkspaceID: f.Workspace, Pattern: pattern})
	if err != nil {
		return nil, 0, fmt.Errorf("counting flows: %w", err)
	}
	rows, err := q.New(l.cfg.DB.Read()).FlowsOfWorkspace(ctx, q.FlowsOfWorkspaceParams{
		WorkspaceID: f.Workspace, Pattern: pattern, RowLimit: int32(f.Limit), RowOffset: int32(min(max(f.Offset, 0), 1<<30)),
	})
	if err != nil {
		return nil, 0, fmt.Errorf("listing flows: %w", err)
	}
	list := make([]Object, len(rows))
	for i, r := range rows {
		list[i] = object(r)
	}
	return list, int(total), nil
}

// NamesOfOthers lists the names of an app's objects of a kind that belong to other workspaces than this one. For Sluice itself: nobody may be shown them.
func (l *Library) NamesOfOthers(ctx context.Context, appID string, kind Kind, workspaceID string) ([]string, error) {
	names, err := q.New(l.cfg.DB.Read()).NamesOfOthers(ctx, q.NamesOfOthersParams{AppID: appID, Kind: string(kind), WorkspaceID: workspaceID})
	if err != nil {
		return nil, fmt.Errorf("listing names: %w", err)
	}
	return names, nil
}

// OfApp lists all objects of an app. It needs ObjectAdopt.
func (l *Library) OfApp(ctx context.Context, actor authz.Principal, appID string) ([]Object, error) {
	if err := l.cfg.Gate.Check(ctx, actor, authz.ObjectAdopt, authz.Resource{Type: "App", ID: appID}); err != nil {
		return nil, err
	}
	rows, err := q.New(l.cfg.DB.Read()).ObjectsOfApp(ctx, appID)
	if err != nil {
		return nil, fmt.Errorf("listing objects: %w", err)
	}
	list := make([]Object, len(rows))
	for i, r := range rows {
		list[i] = object(r)
	}
	return list, nil
}

func object(r q.Object) Object {
	return Object{
		App: r.AppID, ID: r.ObjectID, Kind: Kind(r.Kind), Workspace: r.WorkspaceID, Owner: r.OwnerID, Account: r.UpstreamID, Name: r.Name,
		CreatedAt: time.UnixMilli(r.CreatedAt).UTC(), UpdatedAt: time.UnixMilli(r.UpdatedAt).UTC(),
	}
}

// likePattern makes a LIKE pattern, escaped with "!", from what somebody typed; "" stays "".
func likePattern(query string) string {
	query = strings.ToLower(strings.TrimSpace(query))
	if query == "" {
		return ""
	}
	if len(query) > 200 {
		query = strings.ToValidUTF8(query[:200], "")
	}
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(query) + "%"
}

// Adopt gives objects that nobody owns to the workspace and owner that each names. It needs ObjectAdopt there. Objects that have an owner already are left alone; it returns how many
// were adopted.
func (l *Library) Adopt(ctx context.Context, actor authz.Principal, appID, workspaceID string, objects []Object) (adopted int, err error) {
	res := authz.Resource{Type: "App", ID: appID, Workspace: workspaceID}
	err = l.cfg.Gate.DoDetail(ctx, actor, authz.ObjectAdopt, res, fmt.Sprintf("adopted up to %d objects", len(objects)), func(tx *db.Tx) error {
		for _, o := range objects {
			o.App, o.Workspace = appID, workspaceID
			_, err := q.New(tx).GetObject(ctx, q.GetObjectParams{AppID: appID, ObjectID: o.ID})
			if err == nil {
				continue
			}
			if !problem.Is(db.Found(err, "none"), problem.NotFound) {
				return fmt.Errorf("reading an object: %w", err)
			}
			if _, err := l.claim(ctx, tx, []Object{o}); err != nil {
				return err
			}
			adopted++
		}
		return nil
	})
	if err != nil {
		adopted = 0
	}
	return adopted, err
}

// Move gives objects that are owned already to another workspace and owner. It needs ObjectAdopt in that workspace and in theirs.
func (l *Library) Move(ctx context.Context, actor authz.Principal, appID string, ids []string, workspaceID, ownerID string) error {
	for _, id := range ids {
		from, _, ok := l.Owner(appID, id)
		if err := l.cfg.Gate.Check(ctx, actor, authz.ObjectAdopt, authz.Resource{Type: "App", ID: appID, Workspace: from}); err != nil {
			return err
		}
		if !ok {
			return problem.New(problem.NotFound, "There is no such object.").WithField("id")
		}
	}
	res := authz.Resource{Type: "App", ID: appID, Workspace: workspaceID}
	return l.cfg.Gate.DoDetail(ctx, actor, authz.ObjectAdopt, res, fmt.Sprintf("moved %d objects", len(ids)), func(tx *db.Tx) error {
		for _, id := range ids {
			n, err := q.New(tx).MoveObject(ctx, q.MoveObjectParams{AppID: appID, ObjectID: id, WorkspaceID: workspaceID, OwnerID: ownerID, UpdatedAt: l.cfg.Now().UnixMilli()})
			if err != nil {
				return fmt.Errorf("moving an object: %w", err)
			}
			if n == 0 {
				return problem.New(problem.NotFound, "There is no such object.").WithField("id")
			}
			if err := tx.Changed(ChangeKind, appID+"/"+id); err != nil {
				return err
			}
		}
		return nil
	})
}
