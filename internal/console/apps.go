package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/problem"
)

// appPages are the pages of connected apps: the list, connecting and removing apps, the workspaces
// that use an app, and its published flows.
type appPages struct {
	views *appViews
	apps  *app.Apps
}

func (p *appPages) showApps(x *visit) error {
	v := appsView{Products: p.apps.Kinds.Products()}
	for _, a := range p.apps.All() {
		if x.allows(authz.AppView, a.Resource()) {
			v.Apps = append(v.Apps, p.views.appOf(x, a))
		}
	}
	return x.render(http.StatusOK, appsPage(x.frame("Apps", "/admin/apps"), v))
}

func (p *appPages) showNewApp(x *visit) error {
	return x.render(http.StatusOK, newAppPage(x.frame("Connect an app", "/admin/apps"), newAppView{}))
}

// formOf returns the app form as typed, without the password.
func formOf(x *visit) appForm {
	return appForm{
		URL:        x.value("url"),
		Name:       x.value("name"),
		PublicURL:  x.value("public_url"),
		OwnerEmail: x.value("owner_email"),
	}
}

// findApp detects the product at an address and shows it with the form for the rest.
func (p *appPages) findApp(x *visit) error {
	v := newAppView{Form: formOf(x)}
	return p.renderFound(x, http.StatusOK, v, nil)
}

// renderFound shows the form of an app with the product that was detected at its address, and with
// the previous mistake, if any.
func (p *appPages) renderFound(x *visit, status int, v newAppView, before error) error {
	found, err := p.apps.Manager.Look(x.r.Context(), x.who, app.Spec{URL: v.Form.URL})
	if err == nil {
		v.Found = p.views.foundOf(x, found)
		v.Form.Name = cmp.Or(v.Form.Name, found.Title)
	}
	if before != nil {
		err = before
	}
	if err != nil {
		fields := []string{"name", "public_url", "owner_email"}
		if v.Found == nil {
			fields = []string{"url"}
		}
		m, ok := formMistake(err, fields...)
		if !ok {
			return err
		}
		status, v.Problem, v.Next, v.Form.Wrong = m.status, m.Text, m.Next, m.Wrong
	}
	return x.render(status, newAppPage(x.frame("Connect an app", "/admin/apps"), v))
}

// addApp connects the app, and signs Sluice in to the owner's account if the form has its
// credentials.
func (p *appPages) addApp(x *visit) error {
	form := formOf(x)
	a, err := p.apps.Manager.Add(
		x.r.Context(),
		x.who,
		app.Spec{URL: form.URL, Name: form.Name, PublicURL: form.PublicURL},
	)
	if err != nil {
		return p.renderFound(x, http.StatusOK, newAppView{Form: form}, err)
	}
	if form.OwnerEmail != "" {
		if err := p.connect(x, a.ID, app.Owner{
			Email:    form.OwnerEmail,
			Password: x.field("owner_password"),
		}); err != nil {
			return p.renderApp(x, a.ID, err)
		}
	}
	if a.Kind.Accounts != nil {
		return p.toConnection(x, a)
	}
	return x.done("/admin/apps/"+a.ID, "app")
}

// toConnection continues after a builder with accounts was added. It leads to the choice of how
// people get in, unless the configuration already answers that.
func (p *appPages) toConnection(x *visit, a *app.App) error {
	if _, err := p.apps.Monitor.Check(x.r.Context(), x.who, a.ID); err != nil {
		return err
	}
	if now, ok := p.apps.ByID(a.ID); ok && !now.NeedsOwner {
		return x.done("/admin/apps/"+a.ID, "way-chosen")
	}
	return x.done("/admin/apps/"+a.ID+"/connection", "choose-way")
}

func (p *appPages) showApp(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	return p.renderApp(x, a.ID, nil)
}

// renderApp shows an app's page, including the reason why something failed.
func (p *appPages) renderApp(x *visit, id string, before error) error {
	v, err := p.appPage(x, id)
	if err != nil {
		return errors.Join(before, err)
	}
	status := http.StatusOK
	if before != nil {
		m, ok := formMistake(before, "flow_id")
		if !ok {
			return before
		}
		status, v.Problem, v.Next, v.Wrong = m.status, m.Text, m.Next, m.Wrong
		v.Flow = clipped(x.value("flow_id"), 64)
	}
	page := x.frame(v.App.Name, "/admin/apps")
	page.Scripts = []string{"htmx.min.js"}
	return x.render(status, appPage(page, v))
}

func (p *appPages) appPage(x *visit, id string) (appPageView, error) {
	a, ok := p.apps.ByID(id)
	if !ok {
		return appPageView{}, problem.New(problem.NotFound, "There is no such app. It may have been removed.")
	}
	if err := p.views.ensureChecked(x, a); err != nil {
		return appPageView{}, err
	}
	if now, ok := p.apps.ByID(id); ok {
		a = now
	}
	flows, err := p.apps.Publications.List(x.r.Context(), x.who, id)
	v := appPageView{App: p.views.appOf(x, a), Published: flows, MayOffer: x.may(authz.WorkspaceManage), Now: x.now()}
	v.HasAccounts = a.Kind.Accounts != nil && !a.Pending
	v.Connection = modeTitle(a.Kind.Accounts, a.BridgeMode)
	v.PerPerson = a.PerPerson
	v.FlowsAt = canvas(a, flow.Object{Kind: flow.Chatflow})
	for _, o := range x.workspaceOptions() {
		if a.UsedIn(o.Value) {
			v.UsedIn = append(v.UsedIn, o)
		} else {
			v.Offerable = append(v.Offerable, o)
		}
	}
	return v, err
}

// checkApp checks an app immediately.
func (p *appPages) checkApp(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	if _, err := p.apps.Monitor.Check(x.r.Context(), x.who, a.ID); err != nil {
		return err
	}
	if x.r.Header.Get("HX-Request") != "" {
		return p.renderApp(x, a.ID, nil)
	}
	return x.done("/admin/apps/"+a.ID, "checked")
}

// connect gives Sluice the owner's account and checks the app again, so that its state is current.
func (p *appPages) connect(x *visit, id string, owner app.Owner) error {
	if err := p.apps.Connector.Connect(x.r.Context(), x.who, id, owner); err != nil {
		return err
	}
	_, err := p.apps.Monitor.Check(x.r.Context(), x.who, id)
	return err
}

func (p *appPages) connectApp(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	owner := app.Owner{}
	if x.value("how") != "register" {
		owner = app.Owner{Email: x.value("owner_email"), Password: x.field("owner_password")}
		if owner.Email == "" || owner.Password == "" {
			err = problem.New(problem.Invalid, "Enter the owner's email address and password.")
		}
	}
	if err == nil {
		err = p.connect(x, a.ID, owner)
	}
	fromSetup := x.value("return") == "/setup/apps"
	switch {
	case err == nil && fromSetup:
		return x.done("/setup/apps", "bridge")
	case err == nil:
		return x.done("/admin/apps/"+a.ID, "bridge")
	case fromSetup:
		return p.renderSetupApps(x, err)
	}
	return p.renderApp(x, a.ID, err)
}

func (p *appPages) publishFlow(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	id := x.value("flow_id")
	if id == "" {
		return p.renderApp(x, a.ID, problem.New(problem.Invalid, "Enter a flow's id.").WithField("flow_id"))
	}
	if err := p.apps.Publications.Publish(x.r.Context(), x.who, a.ID, id); err != nil {
		return p.renderApp(x, a.ID, err)
	}
	return x.done("/admin/apps/"+a.ID, "published")
}

func (p *appPages) unpublishFlow(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	if err := p.apps.Publications.Unpublish(x.r.Context(), x.who, a.ID, x.r.PathValue("flow")); err != nil {
		return err
	}
	return x.done("/admin/apps/"+a.ID, "unpublished")
}

func (p *appPages) showRemoveApp(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	return x.render(
		http.StatusOK,
		removeAppPage(x.frame("Remove "+a.Name, "/admin/apps"), appPageView{App: p.views.appOf(x, a)}),
	)
}

// removeApp disconnects an app. It shows the account that Sluice created in the builder once,
// because without it no one could ever get in again.
func (p *appPages) removeApp(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	owner, err := p.apps.Manager.Remove(x.r.Context(), x.who, a.ID)
	if err != nil {
		return err
	}
	if owner.Email == "" {
		return x.done("/admin/apps", "removed")
	}
	v := removedAppView{App: p.views.appOf(x, a), Email: owner.Email, Password: owner.Password}
	return x.render(http.StatusOK, removedAppPage(x.frame("Removed "+a.Name, "/admin/apps"), v))
}

// showSetupApps is the second step of the set-up: it shows the builders that --protect found, and
// the steps that are missing to connect them.
func (p *appPages) showSetupApps(x *visit) error { return p.renderSetupApps(x, nil) }

func (p *appPages) renderSetupApps(x *visit, before error) error {
	v := setupAppsView{Form: appForm{URL: x.value("url")}}
	status := http.StatusOK
	if before != nil {
		m, ok := formMistake(before, "url")
		if !ok {
			return before
		}
		status, v.Problem, v.Next, v.Form.Wrong = m.status, m.Text, m.Next, m.Wrong
	}
	for _, a := range slices.Clone(p.apps.All()) {
		if err := p.views.ensureChecked(x, a); err != nil {
			return err
		}
		if now, ok := p.apps.ByID(a.ID); ok {
			a = now
		}
		view := p.views.appOf(x, a)
		v.Apps = append(v.Apps, view)
		if v.Ready == "" && (view.Bridge == bridgeReady || view.Bridge == bridgeHeaders) {
			v.Ready = view.ID
		}
	}
	return x.render(status, setupAppsPage(x.frame("Connect your builder", ""), v))
}

// addSetupApp connects the builder at an address, with its own name and the next free port.
func (p *appPages) addSetupApp(x *visit) error {
	if _, err := p.apps.Manager.Add(x.r.Context(), x.who, app.Spec{URL: x.value("url")}); err != nil {
		return p.renderSetupApps(x, err)
	}
	x.redirect("/setup/apps")
	return nil
}

// offerApp makes an app available to the people of a workspace.
func (p *appPages) offerApp(x *visit) error {
	return p.changeUse(x, x.value("workspace"), "offered", p.apps.Manager.Offer)
}

// withdrawApp withdraws an app from a workspace. Everything in the app stays.
func (p *appPages) withdrawApp(x *visit) error {
	return p.changeUse(x, x.r.PathValue("workspace"), "withdrawn", p.apps.Manager.Withdraw)
}

func (p *appPages) changeUse(
	x *visit,
	workspace, notice string,
	change func(context.Context, authz.Principal, string, string) error,
) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	if err := change(x.r.Context(), x.who, a.ID, workspace); err != nil {
		return err
	}
	return x.done("/admin/apps/"+a.ID, notice)
}
