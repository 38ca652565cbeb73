package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/db"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

const (
	// copyTime bounds the work on one copy of a credential in a builder.
	copyTime = 20 * time.Second
	// lookTime bounds a question to a builder while somebody waits for a page.
	lookTime = 5 * time.Second
	// copyTries is how often a copy is made anew because the credential was rotated in between.
	copyTries = 3
)

// CredentialUse is a copy of a credential in an app.
type CredentialUse struct {
	secret.Placement
	// AppName is what people read.
	AppName string
	// Trouble tells why the copy was not brought up to date just now, Next what to do; both are empty otherwise.
	Trouble, Next string
	// Flows are those of the workspace that use the copy, as far as FlowsKnown.
	Flows      []builder.FoundObject
	FlowsKnown bool
}

// keeper is what an app keeps credentials with.
func (r *Registry) keeper(appID string) (*App, *builder.Credentials, error) {
	a, ok := r.ByID(appID)
	if !ok {
		return nil, nil, problem.New(problem.NotFound, "There is no such app. It may have been removed.")
	}
	switch {
	case a.Pending || a.NeedsOwner:
		return nil, nil, problem.Newf(problem.Conflict, "%s is not connected yet.", a.Name).WithField("app").WithNext("Give Sluice its owner account on the apps page.")
	case a.Bridge == nil || a.Bridge.Credentials == nil:
		return nil, nil, problem.Newf(problem.Conflict, "%s keeps no credentials that Sluice can write.", a.Name).WithField("app").WithNext("Flowise does.")
	}
	return a, a.Bridge.Credentials, nil
}

// KeepsCredentials reports whether credentials can be put into an app now.
func (r *Registry) KeepsCredentials(a *App) bool {
	_, _, err := r.keeper(a.ID)
	return err == nil
}

// CredentialKinds asks an app of the workspace which types of credential it knows. It needs CredentialManage there.
func (r *Registry) CredentialKinds(ctx context.Context, actor authz.Principal, workspaceID, appID string) ([]builder.CredentialKind, error) {
	if err := r.Vault.Enter(ctx, actor, authz.CredentialManage, workspaceID); err != nil {
		return nil, err
	}
	a, keeper, err := r.keeper(appID)
	if err != nil {
		return nil, err
	}
	if !a.UsedIn(workspaceID) {
		return nil, notUsedHere(a)
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	return keeper.Kinds(ctx)
}

func notUsedHere(a *App) error {
	return problem.Newf(problem.Conflict, "%s is not used in this workspace.", a.Name).WithField("app").WithNext("Ask an admin of the whole installation to add the app to the workspace.")
}

// PutCredential makes a copy of a credential in an app, where everybody who may edit the workspace's flows can choose it by name. It needs CredentialUse for the app, and that
// the credential is shared with the actor. If the builder cannot be reached the copy is noted and made later; the use tells.
func (r *Registry) PutCredential(ctx context.Context, actor authz.Principal, workspaceID, appID, credentialID string) (CredentialUse, error) {
	c, err := r.Vault.Get(ctx, actor, workspaceID, credentialID)
	if err != nil {
		return CredentialUse{}, err
	}
	res := c.Resource()
	res.App = appID
	if err := r.Gate.Check(ctx, actor, authz.CredentialUse, res); err != nil {
		return CredentialUse{}, err
	}
	a, _, err := r.keeper(appID)
	if err != nil {
		return CredentialUse{}, err
	}
	if !a.UsedIn(workspaceID) {
		return CredentialUse{}, notUsedHere(a)
	}
	object, err := uuid.NewRandom()
	if err != nil {
		return CredentialUse{}, fmt.Errorf("making an id: %w", err)
	}
	err = r.Gate.DoDetail(ctx, actor, authz.CredentialUse, res, "put into "+a.Name, func(tx *db.Tx) error {
		err := r.Vault.Place(ctx, tx, c.ID, appID, object.String(), actor.ID)
		if problem.Is(err, problem.Conflict) {
			return problem.Newf(problem.Conflict, "This credential is in %s already.", a.Name).WithField("app")
		}
		return err
	})
	if err != nil {
		return CredentialUse{}, err
	}
	// What was noted is made even if nobody waits for it any more.
	return r.refreshUse(context.WithoutCancel(ctx), workspaceID, c.ID, appID)
}

// RotateCredential gives a credential new values and brings every copy up to date. Copies that could not be are outdated; they are mended when their builder answers again.
func (r *Registry) RotateCredential(ctx context.Context, actor authz.Principal, workspaceID, credentialID string, values map[string]string) ([]CredentialUse, error) {
	c, err := r.Vault.Rotate(ctx, actor, workspaceID, credentialID, values)
	if err != nil {
		return nil, err
	}
	return r.refreshAll(context.WithoutCancel(ctx), c)
}

// RefreshUses writes the present values into every copy of a credential, and makes copies anew that somebody has deleted in the builder. It needs CredentialUse.
func (r *Registry) RefreshUses(ctx context.Context, actor authz.Principal, workspaceID, credentialID string) ([]CredentialUse, error) {
	c, err := r.Vault.Get(ctx, actor, workspaceID, credentialID)
	if err != nil {
		return nil, err
	}
	if err := r.Gate.DoDetail(ctx, actor, authz.CredentialUse, c.Resource(), "copies refreshed", func(*db.Tx) error { return nil }); err != nil {
		return nil, err
	}
	return r.refreshAll(context.WithoutCancel(ctx), c)
}

// refreshAll asks all builders at the same time, because one that is down would hold up the others.
func (r *Registry) refreshAll(ctx context.Context, c secret.Credential) ([]CredentialUse, error) {
	uses, failed := make([]CredentialUse, len(c.Uses)), make([]error, len(c.Uses))
	var all sync.WaitGroup
	for i, u := range c.Uses {
		all.Go(func() { uses[i], failed[i] = r.refreshUse(ctx, c.Workspace, c.ID, u.App) })
	}
	all.Wait()
	return uses, errors.Join(failed...)
}

// refreshUse brings one copy up to date. That a builder does not take it is no error: the use tells.
func (r *Registry) refreshUse(ctx context.Context, workspaceID, credentialID, appID string) (CredentialUse, error) {
	trouble := r.copyCredential(ctx, workspaceID, credentialID, appID)
	c, err := r.Vault.Get(ctx, authz.SystemPrincipal("vault"), workspaceID, credentialID)
	if err != nil {
		return CredentialUse{}, err
	}
	i := slices.IndexFunc(c.Uses, func(p secret.Placement) bool { return p.App == appID })
	if i < 0 {
		return CredentialUse{}, problem.New(problem.NotFound, "This credential is not in the app any more.")
	}
	use := CredentialUse{Placement: c.Uses[i], AppName: r.appName(appID)}
	if trouble == nil {
		return use, nil
	}
	p := problem.Of(trouble)
	if p.Kind == problem.Internal {
		return use, trouble
	}
	use.Trouble, use.Next = p.Detail, p.Next
	return use, nil
}

func (r *Registry) appName(id string) string {
	if a, ok := r.ByID(id); ok {
		return a.Name
	}
	return "A removed app"
}

// copyCredential writes a credential into a builder and notes whether the copy has the present values. One at a time for an app; should another node write older values at the same
// moment, it finds that out by the version and writes again.
func (r *Registry) copyCredential(ctx context.Context, workspaceID, credentialID, appID string) error {
	lock, _ := r.copying.LoadOrStore(appID, &sync.Mutex{})
	mu := lock.(*sync.Mutex)
	mu.Lock()
	defer mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, copyTime)
	defer cancel()
	a, keeper, err := r.keeper(appID)
	if err != nil {
		return err
	}
	for range copyTries {
		current, err := r.writeCopy(ctx, a, keeper, workspaceID, credentialID)
		if err != nil || current {
			return err
		}
	}
	return problem.New(problem.Conflict, "The credential is being rotated again and again.").WithNext("Refresh its copies when that is over.")
}

func (r *Registry) writeCopy(ctx context.Context, a *App, keeper *builder.Credentials, workspaceID, credentialID string) (current bool, err error) {
	opened, err := r.Opener.Open(ctx, authz.SystemPrincipal("vault"), workspaceID, credentialID, a.ID)
	if err != nil {
		return false, err
	}
	use, err := r.Vault.PlacementIn(ctx, r.DB.Read(), credentialID, a.ID)
	if err != nil {
		return false, err
	}
	claim := func(id string) error {
		return r.Flows.Claim(ctx, flow.Object{App: a.ID, ID: id, Kind: flow.Credential, Workspace: workspaceID, Owner: use.PutBy, Name: opened.Name})
	}
	// Claimed before it is made, the copy is never without an owner.
	if err := claim(use.Object); err != nil {
		return false, err
	}
	id, err := keeper.Put(ctx, builder.Credential{ID: use.Object, Name: opened.Name, Kind: opened.Kind, Values: opened.Values})
	if err != nil {
		return false, err
	}
	if id != use.Object {
		if err := errors.Join(claim(id), r.Flows.Forget(ctx, a.ID, use.Object)); err != nil {
			return false, err
		}
	}
	err = r.DB.System(ctx, "credential copies", func(tx *db.Tx) error {
		current, err = r.Vault.MarkCopied(ctx, tx, credentialID, a.ID, id, opened.Version)
		return err
	})
	if problem.Is(err, problem.NotFound) {
		// Another node has withdrawn it at the same moment.
		return false, errors.Join(err, keeper.Delete(ctx, id), r.Flows.Forget(ctx, a.ID, id))
	}
	return current, err
}

// refreshStale mends the copies in an app that a rotation could not reach; the health check calls it when the builder answers.
func (r *Registry) refreshStale(ctx context.Context, a *App) {
	if r.Vault == nil || !r.KeepsCredentials(a) {
		return
	}
	stale, err := r.Vault.StaleCopies(ctx, a.ID)
	if err != nil {
		r.Log.Error("outdated copies of credentials could not be listed", "app", a.Name, "error", err)
		return
	}
	for _, use := range stale {
		if err := r.copyCredential(ctx, use.Workspace, use.Credential, a.ID); err != nil {
			r.Log.Warn("a credential's copy is still outdated", "app", a.Name, "credential", use.Credential, "error", err)
			continue
		}
		r.Log.Info("a credential's copy has the present values again", "app", a.Name, "credential", use.Credential)
	}
}
