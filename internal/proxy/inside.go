package proxy

import (
	"context"
	"strings"

	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// flowParent reports whether what lies in a flow stands for that flow where a request names no other.
func flowParent(kind flow.Kind) bool {
	return kind == profile.Job || kind == profile.Message || kind == profile.ChatSession
}

// jobFlow is the flow of a run that goes on, as it was recorded when it began.
func (x *exchange) jobFlow(id string) (string, error) {
	j, err := x.p.cfg.Apps.Flows.Job(x.r.Context(), x.app.ID, id)
	if problem.Is(err, problem.NotFound) {
		var known bool
		if j.Flow, known = x.p.cfg.Apps.Flows.Parent(x.app.ID, id); !known {
			return "", noSuchObject()
		}
		err = nil // a list of the builder's has told of it, and not who started it
	}
	if err != nil {
		return "", err
	}
	x.job = &j
	return j.Flow, nil
}

// tellsFlows reports whether the builder can say in which flows a message or a chat lies.
func (x *exchange) tellsFlows() bool { return x.app.Bridge != nil && x.app.Bridge.FlowsOf != nil }

// messageFlow asks the builder in which flow a message lies.
func (x *exchange) messageFlow(id string) (string, error) {
	if !plainUUID(id) {
		return "", noSuchObject()
	}
	flows, err := x.liesIn(profile.Message, id)
	if err != nil {
		return "", err
	}
	if len(flows) != 1 {
		return "", noSuchObject()
	}
	return flows[0], nil
}

// liesIn asks the builder in which flows something lies, within bounds.
func (x *exchange) liesIn(kind flow.Kind, id string) ([]string, error) {
	asked := wanted{workspace: x.at.workspace, person: x.who.ID, kind: kind, id: id}
	if err := x.up.finder.begin(asked, x.p.cfg.Now()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), resolveTimeout)
	defer cancel()
	flows, err := x.app.Bridge.FlowsOf(ctx, x.inWorkspace(x.at.workspace), kind, id)
	if err == nil && len(flows) == 0 && kind == profile.Message {
		x.up.finder.miss(asked, x.p.cfg.Now())
	}
	return flows, err
}

// maxChat is the longest text of a chat session that is taken, in bytes.
const maxChat = 256

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
			if err := x.locateChat(id); err != nil {
				return err
			}
		}
		x.chats = append(x.chats, ids...)
	}
	return nil
}

func (x *exchange) locateChat(id string) error {
	if len(id) > maxChat {
		return noSuchChat()
	}
	library := x.p.cfg.Apps.Flows
	c, ok := library.ChatOf(x.app.ID, id)
	if !ok && x.flow == "" {
		// Nothing but the session says what the request is about.
		var err error
		if c, ok, err = x.askChat(id); err != nil {
			return err
		}
	}
	switch {
	case !ok:
		return nil
	case c.Workspace != x.at.workspace:
		return noSuchChat()
	case c.Flow != "" && !x.at.named:
		found, err := x.owner(flow.Chatflow, c.Flow)
		if err != nil {
			return err
		}
		return x.join(found)
	}
	return nil
}

// askChat asks the builder in which flows a session lies; all of them must be of the request's workspace.
func (x *exchange) askChat(id string) (c flow.Chat, ok bool, err error) {
	if !x.tellsFlows() {
		return c, false, nil
	}
	flows, err := x.liesIn(profile.ChatSession, id)
	if err != nil || len(flows) == 0 {
		return c, false, err
	}
	for _, f := range flows {
		found, err := x.owner(flow.Chatflow, f)
		if problem.Is(err, problem.NotFound) || err == nil && found.workspace != x.at.workspace {
			return c, false, noSuchChat()
		}
		if err != nil {
			return c, false, err
		}
	}
	c = flow.Chat{Workspace: x.at.workspace, Flow: flows[0]}
	x.p.cfg.Apps.Flows.LearnChat(x.app.ID, id, c)
	return c, true, nil
}

// keepChats remembers the sessions that a request uses in a flow.
func (x *exchange) keepChats(public bool) {
	if x.flow == "" {
		return
	}
	for _, id := range x.chats {
		x.p.cfg.Apps.Flows.LearnChat(x.app.ID, id, flow.Chat{Workspace: x.at.workspace, Flow: x.flow, Public: public})
	}
}

// noSuchChat is the one answer for sessions that cannot be used here.
func noSuchChat() error {
	return problem.New(problem.NotFound, "This session cannot be used here.").WithRule("session").WithNext("Use another text for the session.")
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
	if x.job == nil || x.job.Person != "" && x.job.Person == x.who.ID || x.mayEdit(x.flow, x.at.workspace, x.at.kind) {
		return nil
	}
	return problem.New(problem.Denied, "This run was started by somebody else.").WithRule("job").WithNext("Run the flow yourself, or ask for the right to edit it.")
}
