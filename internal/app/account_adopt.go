package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
	"sluice/internal/flow"
	"sluice/internal/problem"
)

// BuilderUser is a user of a builder and its place in Sluice.
type BuilderUser struct {
	builder.User
	// Workspace and Person are the owners of the user's account. They are empty for users that
	// Sluice does not use.
	Workspace, Person string
	// Adopted reports that the user was adopted. If a user has a workspace but was not adopted,
	// Sluice created it.
	Adopted bool
}

// BuilderUsers lists the users of an app's builder, with how much each holds and which workspace it
// belongs to. It needs ObjectAdopt.
func (d *Adoption) BuilderUsers(ctx context.Context, actor authz.Principal, appID string) ([]BuilderUser, error) {
	_, b, err := d.adoptable(ctx, actor, appID)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, accountTime)
	defer cancel()
	users, err := b.Users.List(ctx)
	if err != nil {
		return nil, err
	}
	accounts, err := d.accounts.list(ctx, appID)
	if err != nil {
		return nil, err
	}
	out := make([]BuilderUser, len(users))
	for i, u := range users {
		out[i].User = u
		if at := slices.IndexFunc(accounts, func(a builder.Account) bool { return a.ID == u.ID }); at >= 0 {
			account := &accounts[at]
			out[i].Workspace, out[i].Person, out[i].Adopted = account.Workspace, account.Person, account.Adopted
		}
	}
	return out, nil
}

func (d *Adoption) adoptable(ctx context.Context, actor authz.Principal, appID string) (*App, *builder.Bridge, error) {
	a, err := d.registry.findWithAccounts(ctx, actor, authz.ObjectAdopt, appID)
	if err != nil {
		return nil, nil, err
	}
	b, err := a.accountBridge()
	return a, b, err
}

// AdoptUser gives a user of the builder, with everything it holds, to a workspace or to one person
// in it. Its flows stay where they are, with their ids, and people of the workspace enter its
// account to use them. AdoptUser needs ObjectAdopt in the workspace and returns how many objects
// were adopted. In sign-in mode the user gets a new password, so that the previous one no longer
// works.
func (d *Adoption) AdoptUser(
	ctx context.Context,
	actor authz.Principal,
	appID, upstreamUserID, workspaceID, personID string,
) (int, error) {
	a, b, err := d.adoptable(ctx, actor, appID)
	if err != nil {
		return 0, err
	}
	res := authz.Resource{Type: "App", ID: a.ID, App: a.ID, Workspace: workspaceID, Name: a.Name}
	if err := d.gate.Check(ctx, actor, authz.ObjectAdopt, res); err != nil {
		return 0, err
	}
	if err := d.mayHold(ctx, a, workspaceID, personID); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*accountTime)
	defer cancel()
	user, err := b.Users.Get(ctx, upstreamUserID)
	if err != nil {
		return 0, err
	}
	return d.bind(
		ctx,
		actor,
		a,
		builder.Account{ID: user.ID, Username: user.Username, Workspace: workspaceID, Person: personID, Adopted: true},
	)
}

// mayHold checks that accounts of an app's builder can belong to a workspace and a person.
func (d *Adoption) mayHold(ctx context.Context, a *App, workspaceID, personID string) error {
	if !a.UsedIn(workspaceID) {
		return problem.Newf(problem.Invalid, "%s is not used in this workspace.", a.Name).
			WithField("workspace_id").
			WithNext("Add the app to the workspace first.")
	}
	if personID == "" {
		if a.PerPerson {
			return problem.Newf(problem.Invalid, "In %s each person has a separate account.", a.Name).
				WithField("person_id").
				WithNext("Choose the person who will own the flows.")
		}
		return nil
	}
	members, err := q.New(d.db.Read()).MembersOf(ctx, workspaceID)
	if err != nil {
		return fmt.Errorf("listing the members of a workspace: %w", err)
	}
	if !slices.ContainsFunc(members, func(m q.MembersOfRow) bool { return m.ID == personID }) {
		return problem.New(problem.Invalid, "This person is not a member of the workspace.").WithField("person_id")
	}
	return nil
}

// bind stores an adopted account and adopts its objects. If Sluice cannot get into the account,
// nothing changes.
func (d *Adoption) bind(ctx context.Context, actor authz.Principal, a *App, account builder.Account) (int, error) {
	res := authz.Resource{Type: "App", ID: a.ID, App: a.ID, Workspace: account.Workspace, Name: a.Name}
	fresh := false
	err := d.gate.DoDetail(
		ctx,
		actor,
		authz.ObjectAdopt,
		res,
		"adopted the builder's user "+account.Username+" ("+account.ID+")",
		func(tx *db.Tx) error {
			row, err := q.New(tx).GetBuilderAccount(ctx, q.GetBuilderAccountParams{AppID: a.ID, UpstreamID: account.ID})
			switch {
			case err == nil && !row.Adopted:
				return problem.Newf(problem.Conflict, "%q is an account that Sluice created for a workspace.",
					account.Username).
					WithField("user")
			case err != nil && !problem.Is(db.Found(err, "none"), problem.NotFound):
				return fmt.Errorf("reading a builder's account: %w", err)
			}
			fresh = err != nil
			if former := d.accounts.read(row); !fresh {
				account.Password, account.Key = former.Password, former.Key
			}
			if _, err := d.accounts.keepIn(ctx, tx, a.ID, account); err != nil {
				return err
			}
			return tx.Changed(ChangeKind, a.ID)
		},
	)
	if err != nil {
		return 0, err
	}
	n, err := d.claimHoldings(ctx, actor, a.ID, account)
	if err != nil && fresh {
		return 0, errors.Join(err, d.unbind(context.WithoutCancel(ctx), actor, a, account))
	}
	return n, err
}

// claimHoldings gives everything in an account to its workspace.
func (d *Adoption) claimHoldings(
	ctx context.Context,
	actor authz.Principal,
	appID string,
	account builder.Account,
) (int, error) {
	a, ok := d.registry.ByID(appID)
	if !ok {
		return 0, problem.New(problem.NotFound, "There is no such app. It may have been removed.")
	}
	b, err := a.accountBridge()
	if err != nil {
		return 0, err
	}
	found, err := b.Accounts.Holdings(ctx, account.ID)
	if err != nil {
		return 0, err
	}
	objects := make([]flow.Object, len(found))
	for i, o := range found {
		objects[i] = flow.Object{ID: o.ID, Name: o.Name, Kind: o.Kind, Owner: account.Person, Account: account.ID}
	}
	return d.flows.Adopt(ctx, actor, appID, account.Workspace, objects)
}

// UnadoptUser undoes an adoption. The user's flows stay in the builder, no longer belong to a
// workspace, and are not published any more. It needs ObjectAdopt in that workspace.
func (d *Adoption) UnadoptUser(ctx context.Context, actor authz.Principal, appID, upstreamUserID string) error {
	a, _, err := d.adoptable(ctx, actor, appID)
	if err != nil {
		return err
	}
	row, err := q.New(d.db.Read()).
		GetBuilderAccount(ctx, q.GetBuilderAccountParams{AppID: appID, UpstreamID: upstreamUserID})
	if err := db.Found(err, "This user is not adopted."); err != nil {
		return err
	}
	if !row.Adopted {
		return problem.Newf(problem.Conflict, "%q is an account that Sluice created for a workspace, not an adopted "+
			"one.", row.Username).
			WithField("user")
	}
	return d.unbind(ctx, actor, a, d.accounts.read(row))
}

func (d *Adoption) unbind(ctx context.Context, actor authz.Principal, a *App, account builder.Account) error {
	res := authz.Resource{Type: "App", ID: a.ID, App: a.ID, Workspace: account.Workspace, Name: a.Name}
	return d.gate.DoDetail(
		ctx,
		actor,
		authz.ObjectAdopt,
		res,
		"undid the adoption of the builder's user "+account.Username+" ("+account.ID+")",
		func(tx *db.Tx) error {
			ids, err := q.New(tx).ObjectsOfAccount(ctx, q.ObjectsOfAccountParams{AppID: a.ID, UpstreamID: account.ID})
			if err != nil {
				return fmt.Errorf("listing what an account holds: %w", err)
			}
			for _, id := range ids {
				if _, err := q.New(tx).UnpublishFlow(ctx, q.UnpublishFlowParams{AppID: a.ID, FlowID: id}); err != nil {
					return fmt.Errorf("closing a flow: %w", err)
				}
			}
			if err := d.flows.ForgetIn(ctx, tx, a.ID, ids...); err != nil {
				return err
			}
			if _, err := q.New(tx).DeleteBuilderAccount(ctx,
				q.DeleteBuilderAccountParams{AppID: a.ID, UpstreamID: account.ID}); err != nil {
				return fmt.Errorf("forgetting a builder's account: %w", err)
			}
			return tx.Changed(ChangeKind, a.ID)
		},
	)
}

// adoptSuperuser gives the objects of the builder's superuser to the app's first workspace, at the
// first connection. These are the flows of an operator who used the builder with an automatic
// login. An admin decides about other users.
func (d *Adoption) adoptSuperuser(ctx context.Context, a *App) error {
	b, err := a.accountBridge()
	if err != nil || a.PerPerson {
		return errors.Join(err, d.markAdopted(ctx, a))
	}
	user, held, err := b.Users.Superuser(ctx)
	if problem.Is(err, problem.Conflict) || err == nil && held == 0 {
		// Without a superuser's name and password Sluice cannot look at any flows.
		return d.markAdopted(ctx, a)
	}
	if err != nil {
		return err
	}
	n, err := d.bind(
		ctx,
		authz.SystemPrincipal("adoption"),
		a,
		builder.Account{ID: user.ID, Username: user.Username, Workspace: a.WorkspaceID, Adopted: true},
	)
	if err != nil {
		return err
	}
	d.log.Info(
		"what the builder's superuser has built belongs to a workspace now",
		"app",
		a.Name,
		"objects",
		n,
		"workspace",
		a.WorkspaceID,
	)
	return d.markAdopted(ctx, a)
}
