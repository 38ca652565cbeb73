package langflow

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
)

// accounts are the Langflow users that Sluice works in, and the homes they belong to.
type accounts struct {
	cfg   *builder.BridgeConfig
	wire  *wire
	admin *admin
	work  *worker
	dir   atomic.Pointer[directory]

	mu       sync.Mutex // held while dir is replaced; also guards creating
	creating map[homeKey]*singleFlight
}

func newAccounts(cfg *builder.BridgeConfig, w *wire, ad *admin, work *worker) *accounts {
	ac := &accounts{cfg: cfg, wire: w, admin: ad, work: work, creating: map[homeKey]*singleFlight{}}
	ac.dir.Store(newDirectory(nil))
	ac.set(cfg.Accounts)
	return ac
}

// set replaces the list of accounts. Accounts that stay the same keep the sessions they have in
// use.
func (ac *accounts) set(accounts []builder.Account) {
	ac.mu.Lock()
	defer ac.mu.Unlock()
	before := ac.dir.Load()
	list := make([]*entry, len(accounts))
	for i, a := range accounts {
		if e := before.byID[a.ID]; e != nil {
			list[i] = e.changed(a)
		} else {
			list[i] = newEntry(a)
		}
	}
	ac.dir.Store(newDirectory(list))
}

// of is Accounts.Of.
func (ac *accounts) of(o builder.OnBehalf) []string { return ac.ids(ac.dir.Load(), o) }

// workspaceOf is Accounts.HomeOf.
func (ac *accounts) workspaceOf(account string) string {
	if e := ac.dir.Load().byID[account]; e != nil {
		return e.Workspace
	}
	return ""
}

// homeOf is the home of a principal's new objects: the person's own in per-person mode. API keys of
// a workspace and Sluice itself have no home of their own; they use the workspace's.
func (ac *accounts) homeOf(o builder.OnBehalf) homeKey {
	home := homeKey{workspace: o.Workspace}
	if home.workspace == "" {
		home.workspace = o.Principal.Workspace
	}
	if ac.cfg.PerPerson && o.Kind == authz.Person {
		home.person = o.ID
	}
	return home
}

// ids are the ids of Of. Without per-person mode the workspace's accounts come first. For a person,
// the accounts that belong to that person alone follow.
func (ac *accounts) ids(d *directory, o builder.OnBehalf) []string {
	home := ac.homeOf(o)
	shared := d.of[home]
	if ac.cfg.PerPerson || o.Kind != authz.Person {
		return shared
	}
	home.person = o.ID
	mine := d.of[home]
	switch {
	case len(mine) == 0:
		return shared
	case len(shared) == 0:
		return mine
	}
	return slices.Concat(shared, mine)
}

// enter returns the account that a request goes into.
func (ac *accounts) enter(ctx context.Context, o builder.OnBehalf) (*entry, error) {
	dir := ac.dir.Load()
	if o.Account != "" {
		e := dir.byID[o.Account]
		if e == nil || e.Workspace != o.Workspace || e.Person != "" && e.Person != o.ID {
			return nil, problem.New(problem.NotFound, "There is no such object in this workspace.")
		}
		return e, nil
	}
	home := ac.homeOf(o)
	if e := dir.own[home]; e != nil {
		return e, nil
	}
	return ac.createOwn(ctx, home)
}

// own is Accounts.Own.
func (ac *accounts) own(ctx context.Context, o builder.OnBehalf) (string, error) {
	o.Account = ""
	e, err := ac.enter(ctx, o)
	if err != nil {
		return "", unavailable(err)
	}
	return e.ID, nil
}

// createOwn returns the account for a home's new objects. If it does not exist, it is created once
// for all callers that need it.
func (ac *accounts) createOwn(ctx context.Context, home homeKey) (*entry, error) {
	if home.workspace == "" {
		return nil, problem.New(problem.Denied, "No workspace is selected.").WithNext("Choose a workspace first.")
	}
	ac.mu.Lock()
	flight := ac.creating[home]
	if flight == nil {
		flight = &singleFlight{}
		ac.creating[home] = flight
	}
	ac.mu.Unlock()
	err := flight.do(ctx, ac.work, func(ctx context.Context) error {
		if ac.dir.Load().own[home] != nil {
			return nil
		}
		_, err := ac.create(ctx, home, "")
		return err
	})
	if err != nil {
		return nil, err
	}
	e := ac.dir.Load().own[home]
	if e == nil {
		return nil, problem.New(problem.Unavailable, "The workspace's account in Langflow has just changed.").
			WithRetryAfter(time.Second)
	}
	return e, nil
}

// create creates the account of a home in Langflow and in Sluice. It replaces the account with the
// id gone.
func (ac *accounts) create(ctx context.Context, home homeKey, gone string) (builder.Account, error) {
	name, err := ac.cfg.Username(ctx, home.workspace, home.person)
	if err != nil {
		return builder.Account{}, fmt.Errorf("naming an account in Langflow: %w", err)
	}
	a := builder.Account{Username: name, Workspace: home.workspace, Person: home.person}
	if ac.cfg.Mode == External {
		_, u, err := ac.wire.assertTested(ctx, home, name)
		if err != nil {
			return builder.Account{}, err
		}
		a.ID, a.Username = u.ID, u.Username
		return ac.keep(ctx, a, gone)
	}
	root, err := ac.admin.session(ctx)
	if err != nil {
		return builder.Account{}, err
	}
	made, err := ac.admin.createUser(ctx, root, &a)
	if err != nil {
		return builder.Account{}, err
	}
	kept, err := ac.keep(ctx, a, gone)
	if err == nil && made && kept.ID != a.ID {
		// Another node was faster, under another name.
		ac.admin.deleteUser(ctx, root, a.ID)
	}
	return kept, err
}

// keep stores an account and starts using it.
func (ac *accounts) keep(ctx context.Context, a builder.Account, gone string) (builder.Account, error) {
	kept, err := ac.cfg.Keep(ctx, a, gone)
	if err != nil {
		return builder.Account{}, fmt.Errorf("storing an account of Langflow: %w", err)
	}
	ac.mu.Lock()
	defer ac.mu.Unlock()
	ac.dir.Store(ac.dir.Load().with(kept, gone))
	return kept, nil
}

// lost handles an account that Langflow no longer knows. Sluice's own accounts are created again; a
// person must decide about adopted ones.
func (ac *accounts) lost(ctx context.Context, e *entry) error {
	if e.Adopted {
		return problem.Newf(problem.Conflict, "The adopted user %q no longer exists in Langflow.", e.Username).
			WithNext("Undo the adoption on the app's page, or restore Langflow's database.")
	}
	ac.cfg.Log.Warn(
		"Langflow no longer knows an account: its database was replaced, or the account was deleted; Sluice "+
			"creates it again, without the flows that it held",
		"username", e.Username,
		"former_id", e.ID,
		"workspace", e.Workspace,
	)
	fresh, err := ac.create(ctx, homeKey{e.Workspace, e.Person}, e.ID)
	if err != nil {
		return err
	}
	return problem.Newf(problem.Gone, "Langflow lost the account %q; Sluice created it again with the "+
		"id %s.", e.Username, fresh.ID).
		WithRetryAfter(time.Second)
}
