package proxy

import (
	"strings"

	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// locateChats judges the chat sessions that a request names, after everything else of it has its place. A session that another workspace uses is not found. One that nobody uses is no
// harm: nothing lies in it.
func (x *exchange) locateChats() error {
	for _, ref := range x.match.Endpoint.Objects {
		if ref.Kind != profile.ChatSession {
			continue
		}
		ids, err := x.idsAt(ref)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if x.at, err = x.lookup().Chat(x.r.Context(), x.at, x.flow, id); err != nil {
				return err
			}
		}
		x.chats = append(x.chats, ids...)
	}
	return nil
}

// keepChats remembers the sessions that a request uses in a flow.
func (x *exchange) keepChats(public bool) {
	if x.flow == "" {
		return
	}
	for _, id := range x.chats {
		x.p.cfg.Apps.Flows.LearnChat(x.app.ID, id, flow.Chat{Workspace: x.at.Workspace, Flow: x.flow, Public: public})
	}
}

// editing are the permissions that mean that somebody may change flows.
var editing = []authz.Action{"chatflows:update", "agentflows:update"}

// mayEdit reports whether the person may change a flow, without recording anything.
func (x *exchange) mayEdit(flowID, workspace string, kind flow.Kind) bool {
	res := authz.Resource{Type: "Flow", ID: flowID, App: x.app.ID, Workspace: workspace, Name: x.app.Name}
	for _, a := range editing {
		agent := strings.HasPrefix(string(a), "agentflows:")
		if agent == (kind == flow.Agentflow) && x.p.cfg.Gate.Decide(x.who, a, res).Allowed {
			return true
		}
	}
	return false
}

// checkStarter keeps a run to who started it, and to those who may change the flow.
func (x *exchange) checkStarter() error {
	if x.job == nil || x.job.Person != "" && x.job.Person == x.who.ID || x.mayEdit(x.flow, x.at.Workspace, x.at.Kind) {
		return nil
	}
	return problem.New(problem.Denied, "This run was started by somebody else.").WithRule("job").WithNext("Run the flow yourself, or ask for the right to edit it.")
}
