package proxy

import (
	"context"
	"slices"
	"strings"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/objects"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// rights asks the Gate what one principal may do with one resource of an app: the flow, or else the
// app itself.
type rights struct {
	gate  *authz.Gate
	app   *app.App
	who   *authz.Principal
	place objects.Place
	flow  string
}

// resource is the resource of every question to the Gate.
func (r rights) resource() authz.Resource {
	res := authz.Resource{
		Type:      "App",
		ID:        r.app.ID,
		App:       r.app.ID,
		Workspace: r.place.Workspace,
		Name:      r.app.Name,
	}
	if r.flow != "" {
		res.Type, res.ID = "Flow", r.flow
	}
	return res
}

// use decides whether the principal may use a row of the table. The app must be used in the
// workspace, a row about all workspaces needs a superuser, and the principal must have one of the
// row's permissions. It records nothing. Errors: problem.NotFound, problem.Denied; errNoRight if
// only a permission is missing.
func (r rights) use(e *profile.Endpoint) error {
	if r.place.Workspace != "" && !r.app.UsedIn(r.place.Workspace) {
		return problem.Newf(problem.NotFound, "%s is not used in the workspace that you work in.", r.app.Name).
			WithRule("app not in workspace").
			WithNext("Switch to another workspace in Sluice, or ask an admin to add the app to this one.")
	}
	if e.Shared && !r.who.Superuser && len(r.app.Workspaces) > 1 {
		return problem.New(problem.Denied, "This concerns all workspaces.").WithRule("shared").
			WithNext("Ask an admin of the whole installation.")
	}
	if !r.any(e.Action, e.Asks(r.place.Kind)) {
		return errNoRight
	}
	return nil
}

// errNoRight means that a person has none of the permissions that would suffice.
var errNoRight = problem.New(problem.Denied, "You do not have permission to use this flow.").WithRule("no right")

// any reports whether the principal has one of several permissions, or the action if the list is
// empty. It records nothing.
func (r rights) any(action authz.Action, asked []authz.Action) bool {
	res := r.resource()
	if len(asked) == 0 {
		return r.gate.Decide(*r.who, action, res).Allowed
	}
	return slices.ContainsFunc(asked, func(a authz.Action) bool { return r.gate.Decide(*r.who, a, res).Allowed })
}

// checkAny is any, and records a refusal.
func (r rights) checkAny(ctx context.Context, action authz.Action, asked []authz.Action) error {
	if len(asked) == 0 {
		return r.check(ctx, action)
	}
	if r.any(action, asked) {
		return nil
	}
	return r.check(ctx, asked[0])
}

// check requires one action and records a refusal.
func (r rights) check(ctx context.Context, a authz.Action) error {
	return r.gate.Check(ctx, *r.who, a, r.resource())
}

// either reports whether the principal has a permission, or the whole action. It records nothing.
func (r rights) either(action, permission authz.Action) bool {
	res := r.resource()
	return r.gate.Decide(*r.who, permission, res).Allowed || r.gate.Decide(*r.who, action, res).Allowed
}

// set reports whether the principal may set the keys that a rule covers.
func (r rights) set(rule *profile.BodyRule) bool {
	return rule.Action != "" && r.who.SignedIn() && r.any(rule.Action, rule.Asks(r.place.Kind))
}

// editing are the permissions that let a person change flows.
var editing = []authz.Action{"chatflows:update", "agentflows:update"}

// edit reports whether the principal may change the flow. It records nothing.
func (r rights) edit() bool {
	res := r.resource()
	res.Type, res.ID = "Flow", r.flow
	return slices.ContainsFunc(editing, func(a authz.Action) bool {
		agent := strings.HasPrefix(string(a), "agentflows:")
		return agent == (r.place.Kind == flow.Agentflow) && r.gate.Decide(*r.who, a, res).Allowed
	})
}
