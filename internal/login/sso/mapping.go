package sso

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/login"
	"sluice/internal/problem"
)

// grant is a role that a group gives.
type grant struct{ workspace, role, group string }

// grants returns the roles that the groups give: the strongest one in each workspace. Mappings
// whose workspace or role no longer exists give nothing.
func (ac *accounts) grants(p Provider, groups []string) []grant {
	var out []grant
	for _, m := range p.Mappings {
		_, workspace := ac.people.WorkspaceName(m.Workspace)
		_, role := ac.people.Role(m.Role)
		if !workspace || !role || !slices.Contains(groups, m.Group) {
			continue
		}
		i := slices.IndexFunc(out, func(g grant) bool { return g.workspace == m.Workspace })
		switch {
		case i < 0:
			out = append(out, grant{m.Workspace, m.Role, m.Group})
		case strength(m.Role) > strength(out[i].role):
			out[i] = grant{m.Workspace, m.Role, m.Group}
		}
	}
	return out
}

// strength ranks roles: the built-in ones from most to least powerful, then the custom ones. Among
// custom roles the first mapping wins.
func strength(role string) int {
	if i := slices.Index(authz.Roles(), role); i >= 0 {
		return len(authz.Roles()) - i
	}
	return 0
}

// change is one membership that groups change.
type change struct {
	grant
	from string // the current role, "" for none
	kind changeKind
}

type changeKind int

const (
	changeKeep changeKind = iota // nothing to do
	changeGive
	changeTake
	changeForget // changed by hand, so it no longer belongs to the provider
	changeStays  // given by hand or by another provider, so it does not concern this one
)

// plan compares the roles that groups give with those of a person. held are all roles of the
// person, given those that this provider gave, each by workspace.
func plan(wanted []grant, held, given map[string]string) []change {
	var out []change
	for _, g := range wanted {
		role, before := held[g.workspace], given[g.workspace]
		switch {
		case role != "" && before == "":
			out = append(out, change{g, role, changeStays})
		case role != "" && role != before:
			out = append(out, change{g, role, changeForget})
		case role == g.role:
			out = append(out, change{g, role, changeKeep})
		default:
			out = append(out, change{g, role, changeGive})
		}
	}
	for workspace, before := range given {
		if slices.ContainsFunc(wanted, func(g grant) bool { return g.workspace == workspace }) {
			continue
		}
		kind := changeTake
		if held[workspace] != before {
			kind = changeForget
		}
		out = append(out, change{grant{workspace: workspace}, held[workspace], kind})
	}
	slices.SortFunc(out, func(a, b change) int { return strings.Compare(a.workspace, b.workspace) })
	return out
}

// memberships returns a person's roles and those that a provider gave them, by workspace.
func memberships(
	ctx context.Context, queries *q.Queries, providerID, userID string,
) (held, given map[string]string, err error) {
	held, given = map[string]string{}, map[string]string{}
	rows, err := queries.MembershipsOf(ctx, userID)
	if err != nil {
		return nil, nil, fmt.Errorf("reading roles: %w", err)
	}
	for _, r := range rows {
		held[r.WorkspaceID] = r.Role
	}
	from, err := queries.ProviderRolesOf(ctx, q.ProviderRolesOfParams{ProviderID: providerID, AccountID: userID})
	if err != nil {
		return nil, nil, fmt.Errorf("reading roles that a provider gave: %w", err)
	}
	for _, r := range from {
		given[r.WorkspaceID] = r.Role
	}
	return held, given, nil
}

// person is the person whose roles change, for audit entries.
type person struct{ id, username, ip string }

// applyRoles sets a person's roles according to the groups, within the caller's transaction.
// Without any mapping a provider does not decide about roles.
func (ac *accounts) applyRoles(ctx context.Context, tx *db.Tx, p Provider, who person, wanted []grant) error {
	held, given, err := memberships(ctx, q.New(tx), p.ID, who.id)
	if err != nil {
		return err
	}
	for _, c := range plan(wanted, held, given) {
		if err := ac.applyChange(ctx, tx, p, who, c); err != nil {
			return err
		}
	}
	return nil
}

func (ac *accounts) applyChange(ctx context.Context, tx *db.Tx, p Provider, who person, c change) (err error) {
	forget := func() error {
		err := q.New(tx).DeleteProviderRole(ctx,
			q.DeleteProviderRoleParams{ProviderID: p.ID, AccountID: who.id, WorkspaceID: c.workspace})
		if err != nil {
			return fmt.Errorf("recording the origin of a role: %w", err)
		}
		return nil
	}
	switch c.kind {
	case changeKeep, changeStays:
		return nil
	case changeForget:
		return forget()
	case changeTake:
		if err = forget(); err == nil {
			err = ac.people.Leave(ctx, tx, c.workspace, who.id)
		}
	case changeGive:
		if err = ac.people.Join(ctx, tx, c.workspace, who.id, c.role); err == nil {
			err = noteGiven(ctx, tx, p, who.id, c.workspace, c.role)
		}
	}
	if err != nil {
		return err
	}
	name, _ := ac.people.WorkspaceName(c.workspace)
	detail := fmt.Sprintf("%s: %s to %s", who.username, ac.people.RoleName(c.from), ac.people.RoleName(c.role))
	if c.group != "" {
		detail += " by group " + plain(c.group, maxGroupName)
	}
	return ac.gate.Record(ctx, tx, p.principal(who.ip), authz.MemberManage, login.WorkspaceResource(c.workspace, name),
		audit.Done, detail)
}

func noteGiven(ctx context.Context, tx *db.Tx, p Provider, userID, workspace, role string) error {
	if err := q.New(tx).PutProviderRole(ctx,
		q.PutProviderRoleParams{ProviderID: p.ID, AccountID: userID, WorkspaceID: workspace, Role: role}); err != nil {
		return fmt.Errorf("recording the origin of a role: %w", err)
	}
	return nil
}

// applySuperuser gives the superuser flag to members of the provider's superuser group, and takes
// it from people who have left the group, if the group gave it. The last active superuser keeps it.
func (ac *accounts) applySuperuser(ctx context.Context, tx *db.Tx, p Provider, who person, gave, member bool) error {
	account, err := q.New(tx).GetAccount(ctx, who.id)
	if err != nil {
		return fmt.Errorf("reading the account: %w", err)
	}
	set := member && !account.Superuser
	if !set && (member || !gave) {
		return nil
	}
	if account.Superuser != set {
		err := ac.people.SuperuserIn(ctx, tx, who.id, set)
		if problem.Is(err, problem.Conflict) {
			return ac.gate.Record(ctx, tx, p.principal(who.ip), authz.UserUpdate, accountResource(account),
				audit.Failed, "superuser kept: "+problem.Of(err).Detail)
		}
		if err != nil {
			return err
		}
		detail := map[bool]string{true: "superuser on by group", false: "superuser off: no longer in the group"}[set]
		if err := ac.gate.Record(ctx, tx, p.principal(who.ip), authz.UserUpdate, accountResource(account), audit.Done,
			detail); err != nil {
			return err
		}
	}
	if err := q.New(tx).SetLinkSuperuser(ctx,
		q.SetLinkSuperuserParams{ProviderID: p.ID, AccountID: who.id, Superuser: set}); err != nil {
		return fmt.Errorf("recording the origin of a superuser: %w", err)
	}
	return nil
}

func accountResource(a q.GetAccountRow) authz.Resource {
	return authz.Resource{Type: "User", ID: a.ID, Name: a.Username, Owner: a.ID}
}

// takeBack removes the roles and the superuser flag that a provider's groups gave a person. It does
// not remove the last active superuser.
func (ac *accounts) takeBack(ctx context.Context, tx *db.Tx, p Provider, who authz.Principal, superuser bool) error {
	if superuser {
		if err := ac.people.SuperuserIn(ctx, tx, who.ID, false); err != nil {
			return err
		}
	}
	if len(p.Mappings) == 0 {
		return nil
	}
	return ac.applyRoles(ctx, tx, p, person{who.ID, who.Name, who.IP}, nil)
}
