package console

import (
	"net/http"
	"net/url"
	"time"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// flowPages are the list of flows, the page that people land on.
type flowPages struct {
	views  *appViews
	apps   *app.Apps
	people *identity.People
}

// flowView is a flow of one of the apps.
type flowView struct {
	Name, Kind, App string
	// Owner is the owner's display name; "" if the owner is unknown.
	Owner string
	// Open leads into the builder: to the flow itself if its kind has a page.
	Open string
	// Switch is the workspace that the person has to switch to first; "" if they already work in
	// it.
	Switch    string
	UpdatedAt time.Time
}

// flowsView is the page that people land on.
type flowsView struct {
	listing
	Apps       []appView
	Flows      []flowView
	Workspace  string
	Workspaces []web.Option
	// MayEdit reports that the visitor can create flows here.
	MayEdit bool
	// Admin reports that the visitor can connect apps.
	Admin bool
	// Elsewhere reports that there are apps, but this workspace uses none of them.
	Elsewhere bool
	// Products names the products that Sluice recognizes.
	Products string
	Now      time.Time
}

func (v flowsView) workspaceURL(id string) string { return "/flows?workspace=" + url.QueryEscape(id) }

// workspaceName is the name of the displayed workspace.
func (v flowsView) workspaceName() string {
	for _, o := range v.Workspaces {
		if o.Value == v.Workspace {
			return o.Label
		}
	}
	return ""
}

func (p *flowPages) showFlows(x *visit) error {
	if closedHere(x) {
		x.setNotice("needs-factor")
		x.redirect(securityPath)
		return nil
	}
	at, err := listingOf(x, "/flows")
	if err != nil {
		return err
	}
	v := flowsView{
		listing:    at,
		Workspace:  x.who.Workspace,
		Workspaces: x.workspaceOptions(),
		Admin:      x.may(authz.AppManage),
		Products:   p.apps.Kinds.Products(),
		Now:        x.now(),
	}
	if asked := x.r.URL.Query().Get("workspace"); asked != "" {
		v.Workspace, v.Extra = asked, url.Values{"workspace": {asked}}
	}
	if v.workspaceName() == "" && v.Workspace != x.who.Workspace {
		return problem.New(problem.NotFound, "There is no such workspace, or you do not belong to it.").
			WithNext("Open your flows without a workspace in the address.")
	}
	for _, a := range p.apps.Visible(x.who) {
		v.Apps = append(v.Apps, p.views.appOf(x, a))
	}
	v.Elsewhere = v.Admin && len(v.Apps) == 0 && len(p.apps.All()) > 0
	if v.workspaceName() != "" {
		if err := p.listFlows(x, &v); err != nil {
			return err
		}
	}
	if v.beyond() {
		x.redirect(v.url(v.pages()))
		return nil
	}
	page := x.frame("Flows", "/flows")
	page.Scripts = []string{"htmx.min.js"}
	return x.render(http.StatusOK, flowsPage(page, v))
}

func (p *flowPages) listFlows(x *visit, v *flowsView) error {
	where := authz.Resource{Type: "Workspace", ID: v.Workspace, Workspace: v.Workspace}
	v.MayEdit = x.allows(authz.FlowEdit, where)
	if !x.allows(authz.FlowView, where) {
		return nil
	}
	flows, total, err := p.apps.Flows.List(
		x.r.Context(),
		x.who,
		flow.Filter{Workspace: v.Workspace, Query: v.Query, Limit: perPage, Offset: v.offset()},
	)
	v.Total, v.Shown = total, len(flows)
	for _, o := range flows {
		if a, ok := p.apps.ByID(o.App); ok {
			v.Flows = append(v.Flows, p.flowOf(x, a, o))
		}
	}
	return err
}

func (p *flowPages) flowOf(x *visit, a *app.App, o flow.Object) flowView {
	v := flowView{
		Name:      o.Name,
		Kind:      kindWord(a, o.Kind),
		App:       a.Name,
		UpdatedAt: o.UpdatedAt,
		Open:      "/enter?app=" + url.QueryEscape(a.ID),
	}
	if v.Name == "" {
		v.Name = "Without a name"
	}
	if who, ok := p.people.Principal(o.Owner); ok {
		v.Owner = who.Name
	}
	if o.Workspace != x.who.Workspace {
		v.Switch = o.Workspace
	}
	if path := canvas(a, o); path != "" {
		v.Open += "&return=" + url.QueryEscape(path)
	}
	return v
}

// canvas returns the page of a flow in its builder; "" if the flow has no addressable page.
func canvas(a *app.App, o flow.Object) string {
	if a.Kind.FlowPage == nil {
		return ""
	}
	return a.Kind.FlowPage(o.Kind, o.ID)
}

func kindWord(a *app.App, k flow.Kind) string {
	switch {
	case a.Kind.FlowWord != nil:
		return a.Kind.FlowWord(k)
	case k == flow.Agentflow:
		return "Agentflow"
	case k == flow.Assistantflow:
		return "Assistant"
	}
	return "Chatflow"
}

func flowsSub(v flowsView) string {
	if name := v.workspaceName(); name != "" {
		return "Flows in " + name + ", most recently changed first."
	}
	return ""
}

// closedHere reports whether the workspace that the visitor works in is closed to this session,
// because it has proven no second factor.
func closedHere(x *visit) bool {
	if x.who.Strong {
		return false
	}
	for _, w := range x.workspaces() {
		if w.ID == x.who.Workspace {
			return w.SecondFactor == identity.FactorRequired
		}
	}
	return false
}
