package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"sluice/internal/app"
	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// adoptionPages let workspaces adopt what a builder held before it was connected to Sluice: single
// objects, and users with everything they hold.
type adoptionPages struct {
	views  *appViews
	people *identity.People
	apps   *app.Apps
}

// unownedObject is an object in a builder that belongs to no workspace.
type unownedObject struct{ ID, Name string }

// unownedGroup is the unowned objects of one kind.
type unownedGroup struct {
	Name    string
	Objects []unownedObject
}

// unownedView lists the unowned objects with the form that gives them to a workspace.
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

func (p *adoptionPages) showUnowned(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	return p.renderUnowned(x, http.StatusOK, a, unownedView{Workspace: x.who.Workspace})
}

func (p *adoptionPages) renderUnowned(x *visit, status int, a *app.App, v unownedView) error {
	found, err := p.apps.Adoption.Unowned(x.r.Context(), x.who, a.ID)
	if err != nil {
		return err
	}
	v.App, v.Groups, v.Total = p.views.appOf(x, a), groupedByKind(found), len(found)
	for _, o := range x.workspaceOptions() {
		if a.UsedIn(o.Value) {
			v.Workspaces = append(v.Workspaces, o)
		}
	}
	return x.render(status, unownedPage(x.frame("Unassigned items", "/admin/apps"), v))
}

// kindNames are the plural names of the kinds, in display order.
var kindNames = []struct {
	kind flow.Kind
	name string
}{
	{flow.Project, "Projects"},
	{flow.Chatflow, "Chatflows"},
	{flow.Agentflow, "Agentflows"},
	{flow.Assistantflow, "Assistants' flows"},
	{flow.Assistant, "Assistants"},
	{flow.DocumentStore, "Document stores"},
	{flow.Tool, "Tools"},
	{flow.Credential, "Credentials"},
	{flow.Variable, "Variables"},
	{flow.MCPServer, "MCP servers"},
	{flow.Template, "Templates"},
	{flow.APIKey, "API keys"},
	{flow.Dataset, "Datasets"},
	{flow.Evaluator, "Evaluators"},
	{flow.Evaluation, "Evaluations"},
	{flow.StoredFile, "Files"},
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
			slices.SortFunc(
				g.Objects,
				func(a, b unownedObject) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) },
			)
			groups = append(groups, g)
		}
	}
	return groups
}

// adopt gives the ticked objects, or all of them, to a workspace. The person who adopts them
// becomes their owner, and can pass the ownership on.
func (p *adoptionPages) adopt(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	v := unownedView{Workspace: x.value("workspace"), Chosen: x.r.PostForm["object"]}
	ids := v.Chosen
	if x.value("what") == "all" {
		ids = nil
	} else if len(ids) == 0 {
		err = problem.New(problem.Invalid, "Select the items to assign, or assign all of them.")
	}
	if err == nil {
		_, err = p.apps.Adoption.Adopt(x.r.Context(), x.who, a.ID, ids, v.Workspace, x.who.ID)
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
	return p.renderUnowned(x, m.status, a, v)
}
