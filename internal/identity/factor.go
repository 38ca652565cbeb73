package identity

import (
	"context"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/identity"
	"sluice/internal/problem"
)

// What a workspace says about second factors, from least to most.
const (
	// FactorOff leaves it to the people.
	FactorOff = "off"
	// FactorEncouraged offers to set one up at each sign-in.
	FactorEncouraged = "encouraged"
	// FactorRequired closes the workspace to sessions without one.
	FactorRequired = "required"
)

// SecondFactorFor is the strictest policy of the workspaces that somebody belongs to.
func (p *workspaceBook) SecondFactorFor(who authz.Principal) string {
	strictest := FactorOff
	known := *p.workspaces.Load()
	for _, m := range who.Memberships {
		switch known[m.Workspace].secondFactor {
		case FactorRequired:
			return FactorRequired
		case FactorEncouraged:
			strictest = FactorEncouraged
		}
	}
	if who.Superuser && strictest == FactorOff {
		// Superusers need no membership; the default workspace stands for them.
		return known[DefaultWorkspace].secondFactor
	}
	return strictest
}

// SetSecondFactor needs WorkspaceManage in the workspace. Whoever requires a second factor must have proven one: otherwise they would lock themselves out with this very act.
func (p *workspaceBook) SetSecondFactor(ctx context.Context, actor authz.Principal, workspaceID, policy string) error {
	switch policy {
	case FactorOff, FactorEncouraged, FactorRequired:
	default:
		return invalid("second_factor", "A second factor is off, encouraged or required.")
	}
	if err := p.seeWorkspace(ctx, actor, workspaceID); err != nil {
		return err
	}
	name, _ := p.WorkspaceName(workspaceID)
	if err := p.Gate.Check(ctx, actor, authz.WorkspaceManage, workspaceResource(workspaceID, name)); err != nil {
		return err
	}
	if policy == FactorRequired && !actor.Strong {
		return problem.New(problem.Conflict, "You would close the workspace to yourself: this session has no second factor.").WithField("second_factor").
			WithNext("Set one up on your account page first.")
	}
	return p.changeWorkspace(ctx, actor, workspaceID, "second factor "+policy, func(tx *db.Tx) error {
		_, err := q.New(tx).SetSecondFactor(ctx, q.SetSecondFactorParams{ID: workspaceID, SecondFactor: policy})
		return err
	})
}
