package authz

import "testing"

func TestScopePermits(t *testing.T) {
	flow := Resource{Type: "Flow", ID: "f1", App: "a1", Workspace: "w1"}
	app := Resource{Type: "App", ID: "a1", App: "a1", Workspace: "w1"}
	for name, c := range map[string]struct {
		scope    *Scope
		action   Action
		resource Resource
		want     bool
	}{
		"no scope":                  {nil, UserDelete, Resource{Type: "User"}, true},
		"all in its workspace":      {&Scope{Workspace: "w1"}, FlowEdit, flow, true},
		"another workspace":         {&Scope{Workspace: "w2"}, FlowRun, flow, false},
		"the installation, unnamed": {&Scope{Workspace: "w1"}, UserView, Resource{Type: "User"}, false},
		"the installation, named": {&Scope{Workspace: "w1", Actions: []Action{UserView}}, UserView,
			Resource{Type: "User"}, true},
		"what is one's own": {&Scope{Workspace: "w1"}, SessionView,
			Resource{Type: "Session", Owner: "u1"}, true},
		"an action that is named": {&Scope{Workspace: "w1", Actions: []Action{FlowRun}}, FlowRun, flow, true},
		"a class names its permissions": {&Scope{Workspace: "w1", Actions: []Action{FlowEdit}}, "chatflows:create",
			flow, true},
		"an action that is not": {&Scope{Workspace: "w1", Actions: []Action{FlowRun}}, FlowEdit, flow,
			false},
		"an app that is listed":            {&Scope{Workspace: "w1", Apps: []string{"a1"}}, FlowRun, flow, true},
		"an app that is not":               {&Scope{Workspace: "w1", Apps: []string{"a2"}}, FlowRun, flow, false},
		"a flow that is listed":            {&Scope{Workspace: "w1", Flows: []string{"f1"}}, FlowRun, flow, true},
		"a flow that is not":               {&Scope{Workspace: "w1", Flows: []string{"f2"}}, FlowRun, flow, false},
		"the shell of the app, with flows": {&Scope{Workspace: "w1", Flows: []string{"f1"}}, AppOpen, app, true},
		"a list, with flows":               {&Scope{Workspace: "w1", Flows: []string{"f1"}}, FlowView, app, false},
		"a flow's id on another type":      {&Scope{Workspace: "w1", Flows: []string{"a1"}}, FlowView, app, false},
		"dangerous, unnamed": {&Scope{Workspace: "w1"}, WorkspaceManage,
			Resource{Type: "Workspace", ID: "w1", Workspace: "w1"}, false},
		"dangerous, named": {&Scope{Workspace: "w1", Actions: []Action{WorkspaceManage}},
			WorkspaceManage, Resource{Type: "Workspace", ID: "w1", Workspace: "w1"}, true},
		"a further workspace":         {&Scope{Workspace: "w2", Also: []string{"w1"}}, FlowRun, flow, true},
		"named, in another workspace": {&Scope{Workspace: "w2", Actions: []Action{FlowRun}}, FlowRun, flow, false},
		"named, in another app": {&Scope{Workspace: "w1", Actions: []Action{FlowRun}, Apps: []string{"a2"}},
			FlowRun, flow, false},
		"named, another flow": {&Scope{Workspace: "w1", Actions: []Action{FlowRun}, Flows: []string{"f2"}},
			FlowRun, flow, false},
		"a part that is named": {&Scope{Workspace: "w1", Actions: []Action{"chatflows:create"}},
			"chatflows:create", flow, true},
		"another part of its class": {&Scope{Workspace: "w1", Actions: []Action{"chatflows:create"}},
			"chatflows:delete", flow, false},
		"in a workspace without an owner": {&Scope{Workspace: "w1"}, FlowView, Resource{Type: "Flow", Workspace: "w1"},
			true},
		"the parts of key:manage": {&Scope{Workspace: "w1", Actions: []Action{"keys:manage"}}, "keys:manage",
			flow, false},
		"keys, even if named": {&Scope{Workspace: "w1", Actions: []Action{KeyOwn}}, KeyOwn,
			Resource{Type: "ApiKey", Owner: "u1", Workspace: "w1"}, false},
		"one's own password": {&Scope{Workspace: "w1"}, AccountUpdate,
			Resource{Type: "User", ID: "u1", Owner: "u1"}, false},
	} {
		if got := c.scope.permits(c.action, c.resource); got != c.want {
			t.Errorf("%s: permits = %v, want %v", name, got, c.want)
		}
	}
}
