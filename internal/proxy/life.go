package proxy

import (
	"context"
	"net/http"
	"slices"

	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/problem"
)

// act says for the audit record who does something to a flow by this request, and in which app.
func (x *exchange) act() flow.Act {
	return flow.Act{Who: x.who, App: x.app.ID, AppName: x.app.Name}
}

// creation is how the audit record calls what the endpoint creates.
func (x *exchange) creation() string {
	e := x.match.Endpoint
	if e.Result.Imports || slices.Contains(e.Permissions, "chatflows:import") {
		return flow.Imported
	}
	return flow.Created
}

// recordFlow records what the request was about a flow, as far as its answer alone tells: a run, a
// change of what strangers may do, and what the builder refused. Creations, deletions and saves are
// recorded with their objects.
func (x *exchange) recordFlow(status int) error {
	e, flows := x.match.Endpoint, x.p.cfg.Apps.Flows
	failed := status >= http.StatusBadRequest
	switch {
	case e.Runs && x.flow != "":
		flows.Ran(x.act(), x.flow, status)
	case !changes(x.r.Method):
	case e.Action == authz.FlowPublish && x.flow != "":
		if failed {
			flows.Failed(x.act(), authz.FlowPublish, x.flow, status)
			return nil
		}
		if err := flows.Expose(context.WithoutCancel(x.r.Context()), x.act(), x.flow); err != nil {
			return problem.New(problem.Unavailable, "It was done, but Sluice could not record it.").
				WithRule("change not recorded").WithCause(err)
		}
	case failed && (e.Result.Creates.IsFlow() || e.Result.Imports || x.flow != "" && (e.Result.Deletes || e.Result.Renames)):
		flows.Failed(x.act(), authz.FlowEdit, x.flow, status)
	}
	return nil
}

// changes reports whether a method may change something.
func changes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// marksPublic is what the body says of the builder's own mark of flows that are open to strangers;
// nil: nothing.
func (x *exchange) marksPublic() *bool {
	if x.body == nil {
		return nil
	}
	for i := range x.match.Endpoint.Body {
		rule := &x.match.Endpoint.Body[i]
		for _, f := range x.body.fields {
			if rule.Mark != "" && string(f.key) == rule.Mark {
				public := rule.Needs(rule.Mark, f.value)
				return &public
			}
		}
	}
	return nil
}
