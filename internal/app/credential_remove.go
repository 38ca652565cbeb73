package app

import (
	"context"
	"errors"
	"slices"
	"sync"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/db"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// WithdrawCredential deletes the copy of a credential in an app. Flows that use it stop working. It needs CredentialUse of whoever put it there, of others CredentialManage. A builder that
// cannot be reached keeps its copy, and so the use stays: Errors are the builder's then.
func (r *Registry) WithdrawCredential(ctx context.Context, actor authz.Principal, workspaceID, appID, credentialID string) error {
	c, err := r.Vault.Get(ctx, actor, workspaceID, credentialID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(c.Uses, func(p secret.Placement) bool { return p.App == appID })
	if i < 0 {
		return problem.New(problem.NotFound, "This credential is not in the app.")
	}
	action := authz.CredentialManage
	if c.Uses[i].PutBy == actor.ID {
		action = authz.CredentialUse
	}
	res := c.Resource()
	res.App = appID
	if err := r.Gate.Check(ctx, actor, action, res); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), copyTime)
	defer cancel()
	lock, _ := r.copying.LoadOrStore(appID, &sync.Mutex{})
	mu := lock.(*sync.Mutex)
	mu.Lock()
	defer mu.Unlock()
	a, keeper, err := r.keeper(appID)
	if err != nil {
		return err
	}
	object := c.Uses[i].Object
	if err := keeper.Delete(ctx, object); err != nil {
		return err
	}
	return r.Gate.DoDetail(ctx, actor, action, res, "withdrawn from "+a.Name, func(tx *db.Tx) error {
		if err := r.Vault.Displace(ctx, tx, c.ID, appID); err != nil {
			return err
		}
		return r.Flows.ForgetIn(ctx, tx, appID, object)
	})
}

// DeleteCredential removes a credential. While it is in apps that is a Conflict, unless withdraw says to take it out of them first; if one of them cannot be reached, nothing more is done.
func (r *Registry) DeleteCredential(ctx context.Context, actor authz.Principal, workspaceID, credentialID string, withdraw bool) error {
	if withdraw {
		c, err := r.Vault.Get(ctx, actor, workspaceID, credentialID)
		if err != nil {
			return err
		}
		if err := r.Gate.Check(ctx, actor, authz.CredentialManage, c.Resource()); err != nil {
			return err
		}
		var failed []error
		for _, u := range c.Uses {
			failed = append(failed, r.WithdrawCredential(ctx, actor, workspaceID, u.App, credentialID))
		}
		if err := errors.Join(failed...); err != nil {
			return err
		}
	}
	return r.Vault.Delete(ctx, actor, workspaceID, credentialID)
}

// CredentialUses lists the copies of a credential, and the workspace's flows that use each, as far as the builders tell at once. It needs CredentialView.
func (r *Registry) CredentialUses(ctx context.Context, actor authz.Principal, workspaceID, credentialID string) ([]CredentialUse, error) {
	c, err := r.Vault.Get(ctx, actor, workspaceID, credentialID)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	uses := make([]CredentialUse, len(c.Uses))
	var all sync.WaitGroup
	for i, p := range c.Uses {
		uses[i] = CredentialUse{Placement: p, AppName: r.appName(p.App)}
		all.Go(func() { uses[i].Flows, uses[i].FlowsKnown = r.flowsWith(ctx, workspaceID, p) })
	}
	all.Wait()
	return uses, nil
}

// flowsWith asks a builder which flows of a workspace use a copy.
func (r *Registry) flowsWith(ctx context.Context, workspaceID string, p secret.Placement) ([]builder.FoundObject, bool) {
	_, keeper, err := r.keeper(p.App)
	if err != nil {
		return nil, false
	}
	found, err := keeper.FlowsWith(ctx, []string{p.Object})
	if err != nil {
		r.Log.Info("a builder did not tell which flows use a credential", "app", p.App, "error", err)
		return nil, false
	}
	return slices.DeleteFunc(found[p.Object], func(o builder.FoundObject) bool {
		owner, _, ok := r.Flows.Owner(p.App, o.ID)
		return !ok || owner != workspaceID
	}), true
}
