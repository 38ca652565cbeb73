package app

import (
	"context"
	"fmt"
	"slices"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
	"sluice/internal/flow"
	"sluice/internal/problem"
)

// UsedIn reports whether people use the app in a workspace.
func (a *App) UsedIn(workspaceID string) bool { return slices.Contains(a.Workspaces, workspaceID) }

// installation is the resource for what concerns all workspaces: only superusers may decide about it.
func (a *App) installation() authz.Resource {
	return authz.Resource{Type: "App", ID: a.ID, Name: a.Name}
}

// Offer lets the people of a workspace use the app. It needs WorkspaceManage for the whole installation.
func (r *Registry) Offer(ctx context.Context, actor authz.Principal, id, workspaceID string) error {
	return r.changeUse(ctx, actor, id, "offered to workspace "+workspaceID, func(tx *db.Tx) error {
		if _, err := q.New(tx).GetWorkspace(ctx, workspaceID); err != nil {
			return db.Found(err, "There is no such workspace.")
		}
		return q.New(tx).OfferApp(ctx, q.OfferAppParams{AppID: id, WorkspaceID: workspaceID})
	})
}

// Withdraw ends the use of the app in a workspace. What belongs to the workspace stays, and is there again when the app is offered again.
func (r *Registry) Withdraw(ctx context.Context, actor authz.Principal, id, workspaceID string) error {
	return r.changeUse(ctx, actor, id, "withdrawn from workspace "+workspaceID, func(tx *db.Tx) error {
		n, err := q.New(tx).WithdrawApp(ctx, q.WithdrawAppParams{AppID: id, WorkspaceID: workspaceID})
		if err == nil && n == 0 {
			return problem.New(problem.NotFound, "The app is not used in this workspace.")
		}
		return err
	})
}

func (r *Registry) changeUse(ctx context.Context, actor authz.Principal, id, detail string, fn func(*db.Tx) error) error {
	a, ok := r.ByID(id)
	if !ok {
		a = &App{ID: id}
	}
	if err := r.Gate.Check(ctx, actor, authz.WorkspaceManage, a.installation()); err != nil {
		return err
	}
	if !ok {
		return problem.New(problem.NotFound, "There is no such app. It may have been removed.")
	}
	return r.Gate.DoDetail(ctx, actor, authz.WorkspaceManage, a.installation(), detail, func(tx *db.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Changed(ChangeKind, id)
	})
}

// inventory asks the builder for all of its objects. A builder that Sluice knows nothing about has none.
func (r *Registry) inventory(ctx context.Context, a *App) ([]builder.FoundObject, error) {
	if a.Bridge == nil || a.Bridge.Inventory == nil {
		return nil, nil
	}
	return a.Bridge.Inventory(ctx)
}

// Unowned asks the builder for its objects and lists those that belong to no workspace. It needs ObjectAdopt.
func (r *Registry) Unowned(ctx context.Context, actor authz.Principal, id string) ([]builder.FoundObject, error) {
	a, err := r.find(ctx, actor, authz.ObjectAdopt, id)
	if err != nil {
		return nil, err
	}
	return r.unowned(ctx, a)
}

func (r *Registry) unowned(ctx context.Context, a *App) ([]builder.FoundObject, error) {
	all, err := r.inventory(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("asking %s for its objects: %w", a.Name, err)
	}
	return slices.DeleteFunc(all, func(o builder.FoundObject) bool {
		_, _, owned := r.Flows.Owner(a.ID, o.ID)
		return owned
	}), nil
}

// Adopt gives objects that nobody owns to a workspace and a person in it; no ids mean all of them. It needs ObjectAdopt there, and returns how many were adopted.
func (r *Registry) Adopt(ctx context.Context, actor authz.Principal, id string, ids []string, workspaceID, ownerID string) (int, error) {
	a, err := r.find(ctx, actor, authz.ObjectAdopt, id)
	if err != nil {
		return 0, err
	}
	if !a.UsedIn(workspaceID) {
		return 0, problem.Newf(problem.Invalid, "%s is not used in this workspace.", a.Name).WithField("workspace_id").WithNext("Add the app to the workspace first.")
	}
	found, err := r.unowned(ctx, a)
	if err != nil {
		return 0, err
	}
	if a.Bridge != nil && a.Bridge.Accounts != nil {
		// What an account holds belongs where the account does.
		found = slices.DeleteFunc(found, func(o builder.FoundObject) bool {
			return a.Bridge.Accounts.HomeOf(o.Account) != workspaceID
		})
	}
	if len(ids) > 0 {
		found = slices.DeleteFunc(found, func(o builder.FoundObject) bool { return !slices.Contains(ids, o.ID) })
	}
	return r.adopt(ctx, actor, a, found, workspaceID, ownerID)
}

func (r *Registry) adopt(ctx context.Context, actor authz.Principal, a *App, found []builder.FoundObject, workspaceID, ownerID string) (int, error) {
	objects := make([]flow.Object, len(found))
	for i, o := range found {
		objects[i] = flow.Object{ID: o.ID, Name: o.Name, Kind: o.Kind, Owner: ownerID, Account: o.Account}
	}
	adopted, err := r.Flows.Adopt(ctx, actor, a.ID, workspaceID, objects)
	if err != nil {
		return 0, err
	}
	return adopted, r.markAdopted(ctx, a)
}

func (r *Registry) markAdopted(ctx context.Context, a *App) error {
	err := r.DB.System(ctx, "adoption", func(tx *db.Tx) error {
		return q.New(tx).MarkAdopted(ctx, q.MarkAdoptedParams{AppID: a.ID, AdoptedAt: r.Now().UnixMilli()})
	})
	if err == nil {
		r.adopted.Store(a.ID, true)
	}
	return err
}

// adoptOnce gives what a builder already has to the app's first workspace, once in the app's life: when it is connected while there is one workspace only, and for
// apps that were connected before Sluice knew workspaces. Nothing disappears from people's lists by that. Later, or with several workspaces, an admin decides.
func (r *Registry) adoptOnce(ctx context.Context, a *App, connecting bool) error {
	if _, done := r.adopted.Load(a.ID); done || a.Pending || a.NeedsOwner {
		return nil
	}
	_, err := q.New(r.DB.Read()).AdoptedAt(ctx, a.ID)
	if err == nil {
		r.adopted.Store(a.ID, true)
		return nil
	}
	if !problem.Is(db.Found(err, "not yet"), problem.NotFound) {
		return fmt.Errorf("reading whether the app's objects were adopted: %w", err)
	}
	workspaces, err := q.New(r.DB.Read()).AllWorkspaces(ctx)
	if err != nil {
		return fmt.Errorf("listing workspaces: %w", err)
	}
	if connecting && len(workspaces) > 1 {
		return r.markAdopted(ctx, a)
	}
	if a.Kind.Accounts != nil {
		return r.adoptSuperuser(ctx, a)
	}
	found, err := r.unowned(ctx, a)
	if err != nil {
		return err
	}
	n, err := r.adopt(ctx, authz.SystemPrincipal("adoption"), a, found, a.WorkspaceID, "")
	if err == nil && n > 0 {
		r.Log.Info("objects that the builder already had belong to a workspace now", "app", a.Name, "objects", n, "workspace", a.WorkspaceID)
	}
	return err
}
