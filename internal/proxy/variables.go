package proxy

import (
	"slices"

	"sluice/internal/flow"
	"sluice/internal/problem"
)

// checkSharedNames keeps objects apart that flows name without an id, where the builder has one set of names for all
// workspaces: a flow must not name another workspace's, or read all of them, and no two workspaces can have one with the
// same name.
func (x *exchange) checkSharedNames() error {
	shared := x.app.Kind.Shared
	if shared == nil || x.body == nil || x.at.Workspace == "" {
		return nil
	}
	naming := x.givesName(shared.Kind)
	if !naming && !shared.Mentions(x.body.data) {
		return nil
	}
	others, err := x.p.cfg.Apps.Flows.NamesOfOthers(x.r.Context(), x.app.ID, shared.Kind, x.at.Workspace)
	if err != nil || len(others) == 0 {
		return err
	}
	if naming {
		name, err := x.body.textAt("name")
		if err != nil {
			return err
		}
		if slices.Contains(others, name) {
			return problem.New(problem.Conflict, "This name is taken.").WithField("name").WithRule("variable name").
				WithNext(shared.Taken)
		}
	}
	if shared.Foreign(x.body.data, others) {
		return problem.New(problem.NotFound, "There is no such variable here.").WithRule("variable").WithNext(shared.Form)
	}
	return nil
}

// givesName reports whether the request gives an object of a kind its name.
func (x *exchange) givesName(kind flow.Kind) bool {
	e := x.match.Endpoint
	if e.Result.Creates == kind {
		return true
	}
	return e.Result.Renames && len(e.Objects) == 1 && e.Objects[0].Kind == kind
}
