package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
	"sluice/internal/flow"
	"sluice/internal/problem"
)

// Adoption gives workspaces the objects that a builder had before it was connected.
type Adoption struct {
	registry *Registry
	accounts *accountStore
	flows    *flow.Library
	db       *db.DB
	gate     *authz.Gate
	now      func() time.Time
	log      *slog.Logger
	adopted  sync.Map // ids of the apps whose objects were adopted once
}

// inventory asks the builder for all its objects. A builder that Sluice knows nothing about has
// none.
func (d *Adoption) inventory(ctx context.Context, a *App) ([]builder.FoundObject, error) {
	if a.Bridge == nil || a.Bridge.Inventory == nil {
		return nil, nil
	}
	return a.Bridge.Inventory(ctx)
}

// Unowned asks the builder for its objects and lists those that belong to no workspace. It needs
// ObjectAdopt.
func (d *Adoption) Unowned(ctx context.Context, actor authz.Principal, id string) ([]builder.FoundObject, error) {
	a, err := d.registry.find(ctx, actor, authz.ObjectAdopt, id)
	if err != nil {
		return nil, err
	}
	return d.unowned(ctx, a)
}

func (d *Adoption) unowned(ctx context.Context, a *App) ([]builder.FoundObject, error) {
	all, err := d.inventory(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("asking %s for its objects: %w", a.Name, err)
	}
	return slices.DeleteFunc(all, func(o builder.FoundObject) bool {
		_, _, owned := d.flows.Owner(a.ID, o.ID)
		return owned
	}), nil
}

// Adopt gives unassigned objects to a workspace and a person in it; no ids means all of them. It
// needs ObjectAdopt there, and returns how many were adopted.
func (d *Adoption) Adopt(
	ctx context.Context,
	actor authz.Principal,
	id string,
	ids []string,
	workspaceID, ownerID string,
) (int, error) {
	a, err := d.registry.find(ctx, actor, authz.ObjectAdopt, id)
	if err != nil {
		return 0, err
	}
	if !a.UsedIn(workspaceID) {
		return 0, problem.Newf(problem.Invalid, "%s is not used in this workspace.", a.Name).
			WithField("workspace_id").
			WithNext("Add the app to the workspace first.")
	}
	found, err := d.unowned(ctx, a)
	if err != nil {
		return 0, err
	}
	if a.Bridge != nil && a.Bridge.Accounts != nil {
		// The objects in an account belong to the account's workspace.
		found = slices.DeleteFunc(found, func(o builder.FoundObject) bool {
			return a.Bridge.Accounts.HomeOf(o.Account) != workspaceID
		})
	}
	if len(ids) > 0 {
		found = slices.DeleteFunc(found, func(o builder.FoundObject) bool { return !slices.Contains(ids, o.ID) })
	}
	return d.adopt(ctx, actor, a, found, workspaceID, ownerID)
}

func (d *Adoption) adopt(
	ctx context.Context,
	actor authz.Principal,
	a *App,
	found []builder.FoundObject,
	workspaceID, ownerID string,
) (int, error) {
	objects := make([]flow.Object, len(found))
	for i, o := range found {
		objects[i] = flow.Object{ID: o.ID, Name: o.Name, Kind: o.Kind, Owner: ownerID, Account: o.Account}
	}
	adopted, err := d.flows.Adopt(ctx, actor, a.ID, workspaceID, objects)
	if err != nil {
		return 0, err
	}
	return adopted, d.markAdopted(ctx, a)
}

func (d *Adoption) markAdopted(ctx context.Context, a *App) error {
	err := d.db.System(ctx, "adoption", func(tx *db.Tx) error {
		return q.New(tx).MarkAdopted(ctx, q.MarkAdoptedParams{AppID: a.ID, AdoptedAt: d.now().UnixMilli()})
	})
	if err == nil {
		d.adopted.Store(a.ID, true)
	}
	return err
}

// adoptOnce gives a builder's existing objects to the app's first workspace, once in the app's
// life. This happens when the app is connected while Sluice has only one workspace, and for apps
// that were connected before Sluice had workspaces. It keeps objects from disappearing from
// people's lists. Later, or with several workspaces, an admin decides.
func (d *Adoption) adoptOnce(ctx context.Context, a *App, connecting bool) error {
	if _, done := d.adopted.Load(a.ID); done || a.Pending || a.NeedsOwner {
		return nil
	}
	_, err := q.New(d.db.Read()).AdoptedAt(ctx, a.ID)
	if err == nil {
		d.adopted.Store(a.ID, true)
		return nil
	}
	if !problem.Is(db.Found(err, "not yet"), problem.NotFound) {
		return fmt.Errorf("reading whether the app's objects were adopted: %w", err)
	}
	workspaces, err := q.New(d.db.Read()).AllWorkspaces(ctx)
	if err != nil {
		return fmt.Errorf("listing workspaces: %w", err)
	}
	if connecting && len(workspaces) > 1 {
		return d.markAdopted(ctx, a)
	}
	if a.Kind.Accounts != nil {
		return d.adoptSuperuser(ctx, a)
	}
	found, err := d.unowned(ctx, a)
	if err != nil {
		return err
	}
	n, err := d.adopt(ctx, authz.SystemPrincipal("adoption"), a, found, a.WorkspaceID, "")
	if err == nil && n > 0 {
		d.log.Info(
			"objects that the builder already had belong to a workspace now",
			"app",
			a.Name,
			"objects",
			n,
			"workspace",
			a.WorkspaceID,
		)
	}
	return err
}
