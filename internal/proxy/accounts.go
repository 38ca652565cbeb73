package proxy

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/problem"
)

// Some builders, such as Langflow, keep their users apart themselves. Each workspace works in accounts of such a builder, and every object lies in one of them: the map says
// in which, and the request goes there. What the map does not know yet is looked for in the accounts of the workspace that the person works in.

// accounts is the app's bridge where the builder has accounts; nil for the others.
func (x *exchange) accounts() *builder.Accounts {
	if x.app.Bridge == nil {
		return nil
	}
	return x.app.Bridge.Accounts
}

// inWorkspace says for whom and where something is looked up, before anything is lent.
func (x *exchange) inWorkspace(workspace string) builder.OnBehalf {
	return builder.OnBehalf{Principal: x.who, Workspace: workspace}
}

// owner finds whose an object is. On a builder with accounts it also finds the account, and nobody's objects in accounts of the workspace are claimed on the way.
func (x *exchange) owner(kind flow.Kind, id string) (place, error) {
	workspace, known, ok := x.up.objects.Owner(id)
	accounts := x.accounts()
	if accounts == nil {
		if !ok {
			return place{}, noSuchObject()
		}
		return place{workspace: workspace, kind: known}, nil
	}
	if !ok {
		return x.discover(accounts, kind, id)
	}
	if !x.belongsTo(workspace) {
		return place{}, noSuchObject()
	}
	found := place{workspace: workspace, kind: known, account: x.up.objects.Account(id)}
	if found.account == "" {
		account, _, err := x.find(accounts, workspace, known, id)
		if err != nil {
			return place{}, err
		}
		found.account = account
		if err := x.p.cfg.Apps.Flows.Bind(x.r.Context(), x.app.ID, id, account); err != nil {
			return place{}, err
		}
	}
	if !x.enters(accounts, found.account) {
		return place{}, noSuchObject()
	}
	return found, nil
}

// enters reports whether the person may be carried into an account: it is one of those of the workspace that it belongs to, for them. What an account holds may be another workspace's (it was moved, or a project was
// imported as a workspace of its own); the map says whose, and has been asked.
func (x *exchange) enters(accounts *builder.Accounts, account string) bool {
	home := accounts.HomeOf(account)
	return home != "" && slices.Contains(accounts.Of(x.inWorkspace(home)), account)
}

// reached are the accounts from which lists are put together: those of the workspace, and others that hold something of it.
func (x *exchange) reached(accounts *builder.Accounts) []string {
	list := accounts.Of(x.lent())
	for _, account := range x.up.objects.AccountsIn(x.at.workspace) {
		if !slices.Contains(list, account) && x.enters(accounts, account) {
			list = append(slices.Clip(list), account)
		}
	}
	return list
}

// discover looks for an object that nobody owns, and claims it for the workspace whose account holds it.
func (x *exchange) discover(accounts *builder.Accounts, kind flow.Kind, id string) (place, error) {
	workspace := x.at.workspace
	account, found, err := x.find(accounts, workspace, kind, id)
	if err != nil {
		return place{}, err
	}
	if home := accounts.HomeOf(account); home != workspace {
		return place{}, noSuchObject()
	}
	if found.Kind == "" {
		found.Kind = kind
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), claimTimeout)
	defer cancel()
	err = x.p.cfg.Apps.Flows.Found(ctx, x.app.ID, flow.Object{App: x.app.ID, ID: id, Name: found.Name, Kind: found.Kind, Workspace: workspace, Account: account})
	if problem.Is(err, problem.Conflict) {
		return place{}, noSuchObject() // somebody else was faster
	}
	return place{workspace: workspace, kind: found.Kind, account: account}, err
}

// find asks the builder which account of a workspace holds an object, within bounds.
func (x *exchange) find(accounts *builder.Accounts, workspace string, kind flow.Kind, id string) (account string, found builder.FoundObject, err error) {
	if !plainUUID(id) || workspace == "" {
		return "", found, noSuchObject()
	}
	asked := wanted{workspace: workspace, person: x.who.ID, kind: kind, id: id}
	if err := x.up.finder.begin(asked, x.p.cfg.Now()); err != nil {
		return "", found, err
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), resolveTimeout)
	defer cancel()
	account, found, err = accounts.Find(ctx, x.inWorkspace(workspace), kind, id)
	if problem.Is(err, problem.NotFound) {
		x.up.finder.miss(asked, x.p.cfg.Now())
		return "", found, noSuchObject()
	}
	return account, found, err
}

// plainUUID reports whether an id is a UUID in the form that builders with accounts give out (RFC 9562 section 4, in either case).
func plainUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	_, err := uuid.Parse(id)
	return err == nil
}

// join adds an object's place to that of the request: all that a request names lies in one workspace, and in one account.
func (x *exchange) join(found place) error {
	if x.at.named && (found.workspace != x.at.workspace || found.account != x.at.account) || !x.belongsTo(found.workspace) {
		return noSuchObject()
	}
	x.at.workspace, x.at.account, x.at.named = found.workspace, found.account, true
	return nil
}

// entered is the account that the request went into, of a builder that has accounts.
func (x *exchange) entered(ctx context.Context) (string, error) {
	accounts := x.accounts()
	if accounts == nil || x.at.account != "" {
		return x.at.account, nil
	}
	return accounts.Own(ctx, x.lent())
}
