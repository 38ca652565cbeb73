package authz

import (
	"sort"
	"strings"
)

// Permission is one entry of the list that custom roles are made from: a finer name for a part of a traffic action. A policy that permits the action permits all its
// permissions; a custom role permits exactly those that it lists.
//
// The names are Flowise's own (its roles page, version 3.1.4), so that people who know them find them; a few are Sluice's where Flowise has none.
type Permission struct {
	// Name is the text in policies and roles, such as "chatflows:create".
	Name Action
	// Class is the action that it is a part of.
	Class Action
	// Group and Title are for people.
	Group, Title string
}

// grants lists the permissions: group, class, and "name=title" of each.
var grants = []struct {
	group string
	class Action
	names string
}{
	{"Builder", AppOpen, "app:open=Open the builder's pages"},
	{"Chatflows and agentflows", FlowView, "chatflows:view=See chatflows|agentflows:view=See agentflows"},
	{"Chatflows and agentflows", FlowRun, "chatflows:run=Run chatflows|agentflows:run=Run agentflows"},
	{"Chatflows and agentflows", FlowEdit, "chatflows:create=Create chatflows|chatflows:update=Change chatflows|chatflows:duplicate=Duplicate chatflows|chatflows:delete=Delete chatflows|" +
		"chatflows:export=Export chatflows|chatflows:import=Import chatflows|agentflows:create=Create agentflows|agentflows:update=Change agentflows|" +
		"agentflows:duplicate=Duplicate agentflows|agentflows:delete=Delete agentflows|agentflows:export=Export agentflows|agentflows:import=Import agentflows"},
	{"Chatflows and agentflows", FlowPublish, "chatflows:config=Configure and publish chatflows|chatflows:domains=Set the allowed domains of chatflows|" +
		"agentflows:config=Configure and publish agentflows|agentflows:domains=Set the allowed domains of agentflows"},
	{"Executions", FlowView, "executions:view=See executions"},
	{"Executions", FlowEdit, "executions:update=Change executions|executions:delete=Delete executions"},
	{"Assistants", FlowView, "assistants:view=See assistants"},
	{"Assistants", FlowEdit, "assistants:create=Create assistants|assistants:update=Change assistants|assistants:delete=Delete assistants"},
	{"Document stores", FlowView, "documentStores:view=See document stores"},
	{"Document stores", FlowEdit, "documentStores:create=Create document stores|documentStores:update=Change document stores|documentStores:delete=Delete document stores|" +
		"documentStores:add-loader=Add loaders|documentStores:delete-loader=Delete loaders|documentStores:preview-process=Preview and process loaders|documentStores:upsert-config=Upsert and configure vector stores"},
	{"Templates", FlowView, "templates:marketplace=See the marketplace|templates:custom=See own templates"},
	{"Templates", FlowEdit, "templates:custom-delete=Delete own templates|templates:flowexport=Save flows as templates"},
	{"Templates", BuilderCode, "templates:toolexport=Save tools as templates"},
	{"Tools", FlowView, "tools:view=See tools"},
	{"Tools", BuilderCode, "tools:create=Create tools (code)|tools:update=Change tools (code)|tools:delete=Delete tools|tools:export=Export tools|code:run=Run custom functions|mcp-servers:manage=Manage MCP servers"},
	{"Variables", FlowView, "variables:view=See variables"},
	{"Variables", FlowEdit, "variables:create=Create variables|variables:update=Change variables|variables:delete=Delete variables"},
	{"Credentials", FlowEdit, "credentials:use=Choose credentials by name in flows"},
	{"Credentials", BuilderManage, "credentials:view=See credentials|credentials:create=Create credentials|credentials:update=Change credentials|credentials:delete=Delete credentials"},
	{"Credential vault", CredentialView, "credential:view=See the vault's credentials that are shared with the role (never their values)"},
	{"Credential vault", CredentialUse, "credential:use=Put such credentials into apps"},
	{"Credential vault", CredentialManage, "credential:manage=Add, share, rotate and delete all credentials of the vault"},
	{"API keys on the builder's own page", BuilderManage, "apikeys:view=See one's own API keys there|apikeys:create=Create API keys there|apikeys:update=Change API keys there|apikeys:delete=Delete API keys there"},
	{"Workspace", WorkspaceView, "members:view=See the workspace's members"},
	{"Workspace", KeyManage, "keys:manage=See, limit and revoke everybody's API keys"},
	{"Workspace", MemberManage, "members:manage=Invite people and set their roles"},
}

// Permissions is the whole list in the order in which it is shown.
func Permissions() []Permission {
	var out []Permission
	for _, g := range grants {
		for _, entry := range strings.Split(g.names, "|") {
			name, title, _ := strings.Cut(entry, "=")
			out = append(out, Permission{Name: Action(name), Class: g.class, Group: g.group, Title: title})
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return groupRank(out[i].Group) < groupRank(out[j].Group) })
	return out
}

func groupRank(group string) int {
	for i, g := range grants {
		if g.group == group {
			return i
		}
	}
	return len(grants)
}

// classes maps every permission to its action.
var classes = func() map[Action]Action {
	m := map[Action]Action{}
	for _, p := range Permissions() {
		m[p.Name] = p.Class
	}
	return m
}()

// ClassOf is the action that a permission is a part of; an action is its own class.
func ClassOf(a Action) Action {
	if class, ok := classes[a]; ok {
		return class
	}
	return a
}

// wholeClass is the action of a permission that is all there is of it: capabilities ask for the action itself then.
func wholeClass(name Action) (class Action, whole bool) {
	class = ClassOf(name)
	parts := 0
	for _, c := range classes {
		if c == class {
			parts++
		}
	}
	return class, parts == 1 && class != name
}

// IsPermission reports whether a name can stand in a custom role.
func IsPermission(name string) bool {
	_, ok := classes[Action(name)]
	return ok
}
