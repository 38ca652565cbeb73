package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
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
	// lookTime bounds a request to a builder while a person waits for a page.
	lookTime = 5 * time.Second
	// copyTries is how often a copy is written again because the credential was rotated in between.
	copyTries = 3
)

// CredentialUse is a copy of a credential in an app.
type CredentialUse struct {
	secret.Placement
	// AppName is the name that people read.
	AppName string
	// Trouble says why the copy could not be updated just now, and Next what to do; both are empty
	// otherwise.
	Trouble, Next string
	// Flows are the workspace's flows that use the copy, if FlowsKnown.
	Flows      []builder.FoundObject
	FlowsKnown bool
}

// Credentials manages the copies of the vault's credentials in builders.
type Credentials struct {
	registry *Registry
	vault    *secret.Vault
	opener   *secret.Opener
	flows    *flow.Library
	db       *db.DB
	gate     *authz.Gate
	now      func() time.Time
	log      *slog.Logger
	copying  sync.Map // app id -> *sync.Mutex: one copy at a time
}

// keeper returns an app and its store of credentials.
func (k *Credentials) keeper(appID string) (*App, *builder.Credentials, error) {
	a, ok := k.registry.ByID(appID)
	if !ok {
		return nil, nil, problem.New(problem.NotFound, "There is no such app. It may have been removed.")
	}
	switch {
	case a.Pending || a.NeedsOwner:
		return nil, nil, problem.Newf(problem.Conflict, "%s is not connected yet.", a.Name).
			WithField("app").
			WithNext("Give Sluice its owner account on the apps page.")
	case a.Bridge == nil || a.Bridge.Credentials == nil:
		return nil, nil, problem.Newf(problem.Conflict, "%s has no credentials that Sluice can write.", a.Name).
			WithField("app").
			WithNext(k.keepersText())
	}
	return a, a.Bridge.Credentials, nil
}

// keepersText names, as a sentence, the products in which Sluice can store credentials.
func (k *Credentials) keepersText() string {
	var titles []string
	for _, name := range k.registry.Kinds.Names() {
		if kind := k.registry.Kinds[name]; kind.KeepsCredentials {
			titles = append(titles, kind.Title)
		}
	}
	if len(titles) == 1 {
		return titles[0] + " does."
	}
	return strings.Join(titles, ", ") + " do."
}

// Keep reports whether credentials can be put into an app now.
func (k *Credentials) Keep(a *App) bool {
	_, _, err := k.keeper(a.ID)
	return err == nil
}

// Kinds asks an app of the workspace which types of credential it knows. It needs CredentialManage
// there.
func (k *Credentials) Kinds(
	ctx context.Context,
	actor authz.Principal,
	workspaceID, appID string,
) ([]builder.CredentialKind, error) {
	if err := k.vault.Enter(ctx, actor, authz.CredentialManage, workspaceID); err != nil {
		return nil, err
	}
	a, keeper, err := k.keeper(appID)
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
	return problem.Newf(problem.Conflict, "%s is not used in this workspace.", a.Name).
		WithField("app").
		WithNext("Ask an admin of the whole installation to add the app to the workspace.")
}

// Put copies a credential into an app, where everyone who may edit the workspace's flows can choose
// it by name. It needs CredentialUse for the app, and the credential must be shared with the actor.
// If the builder cannot be reached, the copy is noted and written later; the returned use says so.
func (k *Credentials) Put(
	ctx context.Context,
	actor authz.Principal,
	workspaceID, appID, credentialID string,
) (CredentialUse, error) {
	c, err := k.vault.Get(ctx, actor, workspaceID, credentialID)
	if err != nil {
		return CredentialUse{}, err
	}
	res := c.Resource()
	res.App = appID
	if err := k.gate.Check(ctx, actor, authz.CredentialUse, res); err != nil {
		return CredentialUse{}, err
	}
	a, _, err := k.keeper(appID)
	if err != nil {
		return CredentialUse{}, err
	}
	if !a.UsedIn(workspaceID) {
		return CredentialUse{}, notUsedHere(a)
	}
	object, err := uuid.NewRandom()
	if err != nil {
		return CredentialUse{}, fmt.Errorf("creating an id: %w", err)
	}
	err = k.gate.DoDetail(ctx, actor, authz.CredentialUse, res, "put into "+a.Name, func(tx *db.Tx) error {
		err := k.vault.Place(ctx, tx, c.ID, appID, object.String(), actor.ID)
		if problem.Is(err, problem.Conflict) {
			return problem.Newf(problem.Conflict, "This credential is already in %s.", a.Name).WithField("app")
		}
		return err
	})
	if err != nil {
		return CredentialUse{}, err
	}
	// A noted copy is written even if the caller no longer waits for it.
	return k.refreshUse(context.WithoutCancel(ctx), workspaceID, c.ID, appID)
}

// Rotate gives a credential new values and updates every copy. Copies that could not be updated are
// marked as outdated and fixed when their builder answers again.
func (k *Credentials) Rotate(
	ctx context.Context,
	actor authz.Principal,
	workspaceID, credentialID string,
	values map[string]string,
) ([]CredentialUse, error) {
	c, err := k.vault.Rotate(ctx, actor, workspaceID, credentialID, values)
	if err != nil {
		return nil, err
	}
	return k.refreshAll(context.WithoutCancel(ctx), c)
}

// Refresh writes the current values into every copy of a credential, and restores copies that were
// deleted in the builder. It needs CredentialUse.
func (k *Credentials) Refresh(
	ctx context.Context,
	actor authz.Principal,
	workspaceID, credentialID string,
) ([]CredentialUse, error) {
	c, err := k.vault.Get(ctx, actor, workspaceID, credentialID)
	if err != nil {
		return nil, err
	}
	if err := k.gate.DoDetail(ctx, actor, authz.CredentialUse, c.Resource(), "copies refreshed",
		func(*db.Tx) error { return nil }); err != nil {
		return nil, err
	}
	return k.refreshAll(context.WithoutCancel(ctx), c)
}

// refreshAll asks all builders concurrently, because one that is down would delay the others.
func (k *Credentials) refreshAll(ctx context.Context, c secret.Credential) ([]CredentialUse, error) {
	uses, failed := make([]CredentialUse, len(c.Uses)), make([]error, len(c.Uses))
	var all sync.WaitGroup
	for i, u := range c.Uses {
		all.Go(func() { uses[i], failed[i] = k.refreshUse(ctx, c.Workspace, c.ID, u.App) })
	}
	all.Wait()
	return uses, errors.Join(failed...)
}

// refreshUse updates one copy. If a builder refuses it, that is not an error: the use reports it.
func (k *Credentials) refreshUse(ctx context.Context, workspaceID, credentialID, appID string) (CredentialUse, error) {
	trouble := k.copyCredential(ctx, workspaceID, credentialID, appID)
	c, err := k.vault.Get(ctx, authz.SystemPrincipal("vault"), workspaceID, credentialID)
	if err != nil {
		return CredentialUse{}, err
	}
	i := slices.IndexFunc(c.Uses, func(p secret.Placement) bool { return p.App == appID })
	if i < 0 {
		return CredentialUse{}, problem.New(problem.NotFound, "This credential is no longer in the app.")
	}
	use := CredentialUse{Placement: c.Uses[i], AppName: k.appName(appID)}
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

func (k *Credentials) appName(id string) string {
	if a, ok := k.registry.ByID(id); ok {
		return a.Name
	}
	return "A removed app"
}

// copyCredential writes a credential into a builder and notes whether the copy has the current
// values. Only one copy runs at a time for an app. If another node writes older values at the same
// moment, the version reveals it, and copyCredential writes again.
func (k *Credentials) copyCredential(ctx context.Context, workspaceID, credentialID, appID string) error {
	lock, _ := k.copying.LoadOrStore(appID, &sync.Mutex{})
	mu := lock.(*sync.Mutex)
	mu.Lock()
	defer mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, copyTime)
	defer cancel()
	a, keeper, err := k.keeper(appID)
	if err != nil {
		return err
	}
	for range copyTries {
		current, err := k.writeCopy(ctx, a, keeper, workspaceID, credentialID)
		if err != nil || current {
			return err
		}
	}
	return problem.New(problem.Conflict, "The credential is being rotated repeatedly.").
		WithNext("Refresh its copies afterwards.")
}

func (k *Credentials) writeCopy(
	ctx context.Context,
	a *App,
	keeper *builder.Credentials,
	workspaceID, credentialID string,
) (current bool, err error) {
	opened, err := k.opener.Open(ctx, authz.SystemPrincipal("vault"), workspaceID, credentialID, a.ID)
	if err != nil {
		return false, err
	}
	use, err := k.vault.PlacementIn(ctx, k.db.Read(), credentialID, a.ID)
	if err != nil {
		return false, err
	}
	claim := func(id string) error {
		return k.flows.Claim(
			ctx,
			flow.Object{
				App:       a.ID,
				ID:        id,
				Kind:      flow.Credential,
				Workspace: workspaceID,
				Owner:     use.PutBy,
				Name:      opened.Name,
			},
		)
	}
	// The copy is recorded before it is written, so it is never without an owner.
	if err := claim(use.Object); err != nil {
		return false, err
	}
	id, err := keeper.Put(
		ctx,
		builder.Credential{ID: use.Object, Name: opened.Name, Kind: opened.Kind, Values: opened.Values},
	)
	if err != nil {
		return false, err
	}
	if id != use.Object {
		if err := errors.Join(claim(id), k.flows.Forget(ctx, a.ID, use.Object)); err != nil {
			return false, err
		}
	}
	err = k.db.System(ctx, "credential copies", func(tx *db.Tx) error {
		current, err = k.vault.MarkCopied(ctx, tx, credentialID, a.ID, id, opened.Version)
		return err
	})
	if problem.Is(err, problem.NotFound) {
		// Another node withdrew it at the same moment.
		return false, errors.Join(err, keeper.Delete(ctx, id), k.flows.Forget(ctx, a.ID, id))
	}
	return current, err
}

// refreshStale fixes the copies in an app that a rotation could not reach. The health check calls
// it when the builder answers.
func (k *Credentials) refreshStale(ctx context.Context, a *App) {
	if k.vault == nil || !k.Keep(a) {
		return
	}
	stale, err := k.vault.StaleCopies(ctx, a.ID)
	if err != nil {
		k.log.Error("outdated copies of credentials could not be listed", "app", a.Name, "error", err)
		return
	}
	for _, use := range stale {
		if err := k.copyCredential(ctx, use.Workspace, use.Credential, a.ID); err != nil {
			k.log.Warn(
				"a credential's copy is still outdated",
				"app",
				a.Name,
				"credential",
				use.Credential,
				"error",
				err,
			)
			continue
		}
		k.log.Info("a credential's copy has the current values again", "app", a.Name, "credential", use.Credential)
	}
}

// Withdraw deletes the copy of a credential in an app. Flows that use it stop working. It needs
// CredentialUse from the person who put it there, and CredentialManage from others. A builder that
// cannot be reached keeps its copy. The use then remains, and Withdraw returns the builder's error.
func (k *Credentials) Withdraw(
	ctx context.Context,
	actor authz.Principal,
	workspaceID, appID, credentialID string,
) error {
	c, err := k.vault.Get(ctx, actor, workspaceID, credentialID)
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
	if err := k.gate.Check(ctx, actor, action, res); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), copyTime)
	defer cancel()
	lock, _ := k.copying.LoadOrStore(appID, &sync.Mutex{})
	mu := lock.(*sync.Mutex)
	mu.Lock()
	defer mu.Unlock()
	a, keeper, err := k.keeper(appID)
	if err != nil {
		return err
	}
	object := c.Uses[i].Object
	if err := keeper.Delete(ctx, object); err != nil {
		return err
	}
	return k.gate.DoDetail(ctx, actor, action, res, "withdrawn from "+a.Name, func(tx *db.Tx) error {
		if err := k.vault.Displace(ctx, tx, c.ID, appID); err != nil {
			return err
		}
		return k.flows.ForgetIn(ctx, tx, appID, object)
	})
}

// Delete removes a credential. If it is in apps, the error is a Conflict, unless withdraw is set:
// then it is taken out of them first. If one of them cannot be reached, the credential remains.
func (k *Credentials) Delete(
	ctx context.Context,
	actor authz.Principal,
	workspaceID, credentialID string,
	withdraw bool,
) error {
	if withdraw {
		c, err := k.vault.Get(ctx, actor, workspaceID, credentialID)
		if err != nil {
			return err
		}
		if err := k.gate.Check(ctx, actor, authz.CredentialManage, c.Resource()); err != nil {
			return err
		}
		var failed []error
		for _, u := range c.Uses {
			failed = append(failed, k.Withdraw(ctx, actor, workspaceID, u.App, credentialID))
		}
		if err := errors.Join(failed...); err != nil {
			return err
		}
	}
	return k.vault.Delete(ctx, actor, workspaceID, credentialID)
}

// Uses lists the copies of a credential and the workspace's flows that use each, as far as the
// builders answer in time. It needs CredentialView.
func (k *Credentials) Uses(
	ctx context.Context,
	actor authz.Principal,
	workspaceID, credentialID string,
) ([]CredentialUse, error) {
	c, err := k.vault.Get(ctx, actor, workspaceID, credentialID)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	uses := make([]CredentialUse, len(c.Uses))
	var all sync.WaitGroup
	for i, p := range c.Uses {
		uses[i] = CredentialUse{Placement: p, AppName: k.appName(p.App)}
		all.Go(func() { uses[i].Flows, uses[i].FlowsKnown = k.flowsWith(ctx, workspaceID, p) })
	}
	all.Wait()
	return uses, nil
}

// flowsWith asks a builder which flows of a workspace use a copy.
func (k *Credentials) flowsWith(
	ctx context.Context,
	workspaceID string,
	p secret.Placement,
) ([]builder.FoundObject, bool) {
	_, keeper, err := k.keeper(p.App)
	if err != nil {
		return nil, false
	}
	found, err := keeper.FlowsWith(ctx, []string{p.Object})
	if err != nil {
		k.log.Info("a builder did not report which flows use a credential", "app", p.App, "error", err)
		return nil, false
	}
	return slices.DeleteFunc(found[p.Object], func(o builder.FoundObject) bool {
		owner, _, ok := k.flows.Owner(p.App, o.ID)
		return !ok || owner != workspaceID
	}), true
}
