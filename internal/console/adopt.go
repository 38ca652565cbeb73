package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// offerApp lets the people of a workspace use an app.
func offerApp(x *visit) error {
	return x.changeUse(x.value("workspace"), "offered", x.c.cfg.Apps.Manager.Offer)
}

// withdrawApp ends the use of an app in a workspace. What lies there stays.
func withdrawApp(x *visit) error {
	return x.changeUse(x.r.PathValue("workspace"), "withdrawn", x.c.cfg.Apps.Manager.Withdraw)
}

func (x *visit) changeUse(workspace, notice string, change func(context.Context, authz.Principal, string, string) error) error {
	a, err := x.one()
	if err != nil {
		return err
	}
	if err := change(x.r.Context(), x.who, a.ID, workspace); err != nil {
		return err
	}
	return x.done("/admin/apps/"+a.ID, notice)
}

// unownedObject is something in a builder that belongs to no workspace.
type unownedObject struct{ ID, Name string }

// unownedGroup are those of one kind.
type unownedGroup struct {
	Name    string
	Objects []unownedObject
}

// unownedView lists them with the form that gives them to a workspace.
type unownedView struct {
	App           appView
	Groups        []unownedGroup
	Total         int
	Workspaces    []web.Option
	Workspace     string
	Chosen        []string
	Problem, Next string
	Wrong         wrong
}

func (v unownedView) chosen(id string) bool { return slices.Contains(v.Chosen, id) }

func showUnowned(x *visit) error {
	a, err := x.one()
	if err != nil {
		return err
	}
	return x.renderUnowned(http.StatusOK, a, unownedView{Workspace: x.who.Workspace})
}

func (x *visit) renderUnowned(status int, a *app.App, v unownedView) error {
	found, err := x.c.cfg.Apps.Adoption.Unowned(x.r.Context(), x.who, a.ID)
	if err != nil {
		return err
	}
	v.App, v.Groups, v.Total = x.appOf(a), groupedByKind(found), len(found)
	for _, o := range x.workspaceOptions() {
		if a.UsedIn(o.Value) {
			v.Workspaces = append(v.Workspaces, o)
		}
	}
	return x.render(status, unownedPage(x.frame("What nobody owns", "/admin/apps"), v))
}

// kindNames are the kinds in the order in which they are shown, in the plural.
var kindNames = []struct {
	kind flow.Kind
	name string
}{
	{flow.Project, "Projects"}, {flow.Chatflow, "Chatflows"}, {flow.Agentflow, "Agentflows"}, {flow.Assistantflow, "Assistants' flows"}, {flow.Assistant, "Assistants"},
	{flow.DocumentStore, "Document stores"}, {flow.Tool, "Tools"}, {flow.Credential, "Credentials"}, {flow.Variable, "Variables"},
	{flow.MCPServer, "MCP servers"}, {flow.Template, "Templates"}, {flow.APIKey, "API keys"}, {flow.Dataset, "Datasets"}, {flow.Evaluator, "Evaluators"},
	{flow.Evaluation, "Evaluations"}, {flow.StoredFile, "Files"},
}

func groupedByKind(found []builder.FoundObject) []unownedGroup {
	var groups []unownedGroup
	for _, k := range kindNames {
		g := unownedGroup{Name: k.name}
		for _, o := range found {
			if o.Kind == k.kind {
				g.Objects = append(g.Objects, unownedObject{ID: o.ID, Name: cmp.Or(o.Name, "Without a name")})
			}
		}
		if len(g.Objects) > 0 {
			slices.SortFunc(g.Objects, func(a, b unownedObject) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
			groups = append(groups, g)
		}
	}
	return groups
}

// adopt gives what is ticked, or all of it, to a workspace. The giver becomes the owner, who can hand it on.
func adopt(x *visit) error {
	a, err := x.one()
	if err != nil {
		return err
	}
	v := unownedView{Workspace: x.value("workspace"), Chosen: x.r.PostForm["object"]}
	ids := v.Chosen
	if x.value("what") == "all" {
		ids = nil
	} else if len(ids) == 0 {
		err = problem.New(problem.Invalid, "Tick what you want to give, or give all of it.")
	}
	if err == nil {
		_, err = x.c.cfg.Apps.Adoption.Adopt(x.r.Context(), x.who, a.ID, ids, v.Workspace, x.who.ID)
	}
	if err == nil {
		return x.done("/admin/apps/"+a.ID+"/unowned", "adopted")
	}
	if e := problem.Of(err); e.Field == "workspace_id" {
		err = e.WithField("workspace")
	}
	m, ok := formMistake(err, "workspace")
	if !ok {
		return err
	}
	v.Problem, v.Next, v.Wrong = m.Text, m.Next, m.Wrong
	return x.renderUnowned(m.status, a, v)
}
