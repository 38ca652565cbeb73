package authz

import (
	"sort"
	"strings"
)

// Permission is one entry of the list that custom roles are composed from: a finer name for a part
// of a traffic action. A policy that permits the action permits all its permissions; a custom role
// permits exactly those that it lists.
//
// The names come from Flowise's roles page (version 3.1.4), so that people who know them find them.
// Sluice adds a few of its own for things that Flowise has no name for.
type Permission struct {
	// Name is the text in policies and roles, such as "chatflows:create".
	Name Action
	// Class is the action that the permission is a part of.
	Class Action
	// Group and Title are for people.
	Group, Title string
}

// grants lists the permissions by group and class; each is "name=title".
var grants = []struct {
	group string
	class Action
	names []string
}{
	{"Builder", AppOpen, []string{"app:open=Open the builder's pages"}},
	{"Chatflows and agentflows", FlowView, []string{
		"chatflows:view=See chatflows",
		"agentflows:view=See agentflows",
	}},
	{"Chatflows and agentflows", FlowRun, []string{
		"chatflows:run=Run chatflows",
		"agentflows:run=Run agentflows",
	}},
	{"Chatflows and agentflows", FlowEdit, []string{
		"chatflows:create=Create chatflows",
		"chatflows:update=Change chatflows",
		"chatflows:duplicate=Duplicate chatflows",
		"chatflows:delete=Delete chatflows",
		"chatflows:export=Export chatflows",
		"chatflows:import=Import chatflows",
		"agentflows:create=Create agentflows",
		"agentflows:update=Change agentflows",
		"agentflows:duplicate=Duplicate agentflows",
		"agentflows:delete=Delete agentflows",
		"agentflows:export=Export agentflows",
		"agentflows:import=Import agentflows",
	}},
	{"Chatflows and agentflows", FlowPublish, []string{
		"chatflows:config=Configure and publish chatflows",
		"chatflows:domains=Set the allowed domains of chatflows",
		"agentflows:config=Configure and publish agentflows",
		"agentflows:domains=Set the allowed domains of agentflows",
	}},
	{"Executions", FlowView, []string{"executions:view=See executions"}},
	{"Executions", FlowEdit, []string{
		"executions:update=Change executions",
		"executions:delete=Delete executions",
	}},
	{"Assistants", FlowView, []string{"assistants:view=See assistants"}},
	{"Assistants", FlowEdit, []string{
		"assistants:create=Create assistants",
		"assistants:update=Change assistants",
		"assistants:delete=Delete assistants",
	}},
	{"Document stores", FlowView, []string{"documentStores:view=See document stores"}},
	{"Document stores", FlowEdit, []string{
		"documentStores:create=Create document stores",
		"documentStores:update=Change document stores",
		"documentStores:delete=Delete document stores",
		"documentStores:add-loader=Add loaders",
		"documentStores:delete-loader=Delete loaders",
		"documentStores:preview-process=Preview and process loaders",
		"documentStores:upsert-config=Upsert and configure vector stores",
	}},
	{"Templates", FlowView, []string{
		"templates:marketplace=See the marketplace",
		"templates:custom=See own templates",
	}},
	{"Templates", FlowEdit, []string{
		"templates:custom-delete=Delete own templates",
		"templates:flowexport=Save flows as templates",
	}},
	{"Templates", BuilderCode, []string{"templates:toolexport=Save tools as templates"}},
	{"Tools", FlowView, []string{"tools:view=See tools"}},
	{"Tools", BuilderCode, []string{
		"tools:create=Create tools (code)",
		"tools:update=Change tools (code)",
		"tools:delete=Delete tools",
		"tools:export=Export tools",
		"code:run=Run custom functions",
		"mcp-servers:manage=Manage MCP servers",
	}},
	{"Variables", FlowView, []string{"variables:view=See variables"}},
	{"Variables", FlowEdit, []string{
		"variables:create=Create variables",
		"variables:update=Change variables",
		"variables:delete=Delete variables",
	}},
	{"Credentials", FlowEdit, []string{"credentials:use=Choose credentials by name in flows"}},
	{"Credentials", BuilderManage, []string{
		"credentials:view=See credentials",
		"credentials:create=Create credentials",
		"credentials:update=Change credentials",
		"credentials:delete=Delete credentials",
	}},
	{"Credential vault", CredentialView, []string{
		"credential:view=See the vault's credentials that are shared with the role (never their values)",
	}},
	{"Credential vault", CredentialUse, []string{"credential:use=Put such credentials into apps"}},
	{"Credential vault", CredentialManage, []string{
		"credential:manage=Add, share, rotate and delete all credentials of the vault",
	}},
	{"API keys on the builder's own page", BuilderManage, []string{
		"apikeys:view=See your own API keys there",
		"apikeys:create=Create API keys there",
		"apikeys:update=Change API keys there",
		"apikeys:delete=Delete API keys there",
	}},
	{"Workspace", WorkspaceView, []string{"members:view=See the workspace's members"}},
	{"Workspace", KeyManage, []string{"keys:manage=See, limit and revoke all API keys"}},
	{"Workspace", MemberManage, []string{"members:manage=Invite people and set their roles"}},
}

// Permissions is the whole list in the order in which it is shown.
func Permissions() []Permission {
	var out []Permission
	for _, g := range grants {
		for _, entry := range g.names {
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

// wholeClass returns the action of a permission, and whether the permission is its only part. Then
// capabilities ask for the action itself.
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

// IsPermission reports whether a custom role can contain a name.
func IsPermission(name string) bool {
	_, ok := classes[Action(name)]
	return ok
}
