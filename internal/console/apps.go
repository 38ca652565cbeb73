package console

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// appOf is an app as the pages show it to this visitor.
func (x *visit) appOf(a *app.App) appView {
	h := x.c.cfg.Apps.Monitor.Health(a.ID)
	v := appView{
		ID: a.ID, Name: a.Name, Title: a.Kind.Title, Version: cmp.Or(h.Version, a.Version), Upstream: a.Upstream.String(), Origin: a.Origin(x.r.Host),
		Health: healthOf(a, h), Bridge: bridgeOf(a, h), Manage: x.c.cfg.Gate.Decide(x.who, authz.AppManage, a.Resource()).Allowed,
	}
	if a.Pending {
		v.Title, v.Version = "Waiting for an answer", ""
	}
	if a.ForwardAuth() {
		v.ForwardAuth, v.Asked, v.Title, v.Upstream = true, x.c.cfg.Apps.LastAsked(a), "Web app behind a reverse proxy", a.PublicURL
	}
	return v
}

// healthOf puts an app's health in words. Details are for those who manage it.
func healthOf(a *app.App, h app.Health) healthView {
	v := healthView{Detail: strings.TrimSpace(h.Text + " " + h.Next), CheckedAt: h.CheckedAt}
	switch {
	case a.ForwardAuth() && !h.OK:
		v.Tone, v.Word = web.Warning, "Waiting for its reverse proxy"
	case a.ForwardAuth():
		v.Tone, v.Word, v.Detail = web.Good, "Asked about", ""
	case h.OK:
		v.Tone, v.Word, v.Detail = web.Good, "Answering", ""
	case h.CheckedAt.IsZero():
		v.Tone, v.Word, v.Detail = web.Plain, "Not looked at yet", ""
	case a.Pending:
		v.Tone, v.Word = web.Warning, "Waiting"
	case a.NeedsOwner && h.OwnerState != "":
		v.Tone, v.Word = web.Warning, "Not connected"
	default:
		v.Tone, v.Word = web.Bad, "Not working"
	}
	return v
}

func bridgeOf(a *app.App, h app.Health) bridge {
	switch {
	case a.Pending:
		return bridgeBroken
	case a.Kind.Accounts != nil && a.NeedsOwner:
		return bridgeNeedsChoice
	case a.Kind.Accounts != nil && h.OK:
		return bridgeReady
	case a.Kind.Accounts != nil:
		return bridgeBroken
	case a.Kind.Owner == nil:
		return bridgeHeaders
	case a.NeedsOwner && h.OwnerState == "":
		return bridgeBroken
	case a.NeedsOwner && h.OwnerState == builder.OwnerNone:
		return bridgeNeedsOwner
	case a.NeedsOwner:
		return bridgeNeedsLogin
	case h.OK:
		return bridgeReady
	}
	return bridgeBroken
}

// looked makes sure that an app has been looked at once, so that its page can say something.
func (x *visit) looked(a *app.App) error {
	if !x.c.cfg.Apps.Monitor.Health(a.ID).CheckedAt.IsZero() {
		return nil
	}
	_, err := x.c.cfg.Apps.Monitor.Check(x.r.Context(), x.who, a.ID)
	return err
}

func showApps(x *visit) error {
	v := appsView{}
	for _, a := range x.c.cfg.Apps.All() {
		if x.c.cfg.Gate.Decide(x.who, authz.AppView, a.Resource()).Allowed {
			v.Apps = append(v.Apps, x.appOf(a))
		}
	}
	return x.render(http.StatusOK, appsPage(x.frame("Apps", "/admin/apps"), v))
}

func showNewApp(x *visit) error {
	return x.render(http.StatusOK, newAppPage(x.frame("Connect an app", "/admin/apps"), newAppView{}))
}

// formOf is what was typed about an app, without the password.
func (x *visit) formOf() appForm {
	return appForm{URL: x.value("url"), Name: x.value("name"), PublicURL: x.value("public_url"), OwnerEmail: x.value("owner_email")}
}

// findApp looks what runs at an address and shows it with the form for the rest.
func findApp(x *visit) error {
	v := newAppView{Form: x.formOf()}
	return x.renderFound(http.StatusOK, v, nil)
}

// renderFound shows the form of an app with what runs at its address, and with what was wrong before, if anything was.
func (x *visit) renderFound(status int, v newAppView, before error) error {
	found, err := x.c.cfg.Apps.Manager.Look(x.r.Context(), x.who, app.Spec{URL: v.Form.URL})
	if err == nil {
		v.Found = x.foundOf(found)
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

// addApp connects the app, and gives Sluice the owner's account at once if it was entered.
func addApp(x *visit) error {
	form := x.formOf()
	a, err := x.c.cfg.Apps.Manager.Add(x.r.Context(), x.who, app.Spec{URL: form.URL, Name: form.Name, PublicURL: form.PublicURL})
	if err != nil {
		return x.renderFound(http.StatusOK, newAppView{Form: form}, err)
	}
	if form.OwnerEmail != "" {
		if err := x.connect(a.ID, app.Owner{Email: form.OwnerEmail, Password: x.field("owner_password")}); err != nil {
			return x.renderApp(a.ID, err)
		}
	}
	if a.Kind.Accounts != nil {
		return x.toConnection(a)
	}
	return x.done("/admin/apps/"+a.ID, "app")
}

// toConnection goes on with a Langflow that was just added: to the choice of how people get in, unless the configuration has answered it.
func (x *visit) toConnection(a *app.App) error {
	if _, err := x.c.cfg.Apps.Monitor.Check(x.r.Context(), x.who, a.ID); err != nil {
		return err
	}
	if now, ok := x.c.cfg.Apps.ByID(a.ID); ok && !now.NeedsOwner {
		return x.done("/admin/apps/"+a.ID, "langflow")
	}
	return x.done("/admin/apps/"+a.ID+"/connection", "langflow-added")
}

// one finds the app of the route for somebody who may see it.
func (x *visit) one() (*app.App, error) {
	a, ok := x.c.cfg.Apps.ByID(x.r.PathValue("id"))
	if !ok {
		return nil, problem.New(problem.NotFound, "There is no such app. It may have been removed.").WithNext("Open the list of apps.")
	}
	return a, x.c.cfg.Gate.Check(x.r.Context(), x.who, authz.AppView, a.Resource())
}

func showApp(x *visit) error {
	a, err := x.one()
	if err != nil {
		return err
	}
	return x.renderApp(a.ID, nil)
}

// renderApp shows an app's page, and on it why something did not work.
func (x *visit) renderApp(id string, before error) error {
	v, err := x.appPage(id)
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

func (x *visit) appPage(id string) (appPageView, error) {
	a, ok := x.c.cfg.Apps.ByID(id)
	if !ok {
		return appPageView{}, problem.New(problem.NotFound, "There is no such app. It may have been removed.")
	}
	if err := x.looked(a); err != nil {
		return appPageView{}, err
	}
	if now, ok := x.c.cfg.Apps.ByID(id); ok {
		a = now
	}
	flows, err := x.c.cfg.Apps.Publications.List(x.r.Context(), x.who, id)
	v := appPageView{App: x.appOf(a), Published: flows, MayOffer: x.may(authz.WorkspaceManage), Now: x.c.cfg.Now()}
	v.Langflow, v.Connection, v.PerPerson = a.Kind.Accounts != nil && !a.Pending, modeTitle(a.Kind.Accounts, a.BridgeMode), a.PerPerson
	for _, o := range x.workspaceOptions() {
		if a.UsedIn(o.Value) {
			v.UsedIn = append(v.UsedIn, o)
		} else {
			v.Offerable = append(v.Offerable, o)
		}
	}
	return v, err
}

// checkApp looks at an app now.
func checkApp(x *visit) error {
	a, err := x.one()
	if err != nil {
		return err
	}
	if _, err := x.c.cfg.Apps.Monitor.Check(x.r.Context(), x.who, a.ID); err != nil {
		return err
	}
	if x.r.Header.Get("HX-Request") != "" {
		return x.renderApp(a.ID, nil)
	}
	return x.done("/admin/apps/"+a.ID, "checked")
}

// connect gives Sluice the owner's account and looks at the app again, so that its state is the new one.
func (x *visit) connect(id string, owner app.Owner) error {
	if err := x.c.cfg.Apps.Connector.Connect(x.r.Context(), x.who, id, owner); err != nil {
		return err
	}
	_, err := x.c.cfg.Apps.Monitor.Check(x.r.Context(), x.who, id)
	return err
}

func connectApp(x *visit) error {
	a, err := x.one()
	if err != nil {
		return err
	}
	owner := app.Owner{}
	if x.value("how") != "register" {
		owner = app.Owner{Email: x.value("owner_email"), Password: x.field("owner_password")}
		if owner.Email == "" || owner.Password == "" {
			err = problem.New(problem.Invalid, "Enter the owner's e-mail address and password.")
		}
	}
	if err == nil {
		err = x.connect(a.ID, owner)
	}
	fromSetup := x.value("return") == "/setup/apps"
	switch {
	case err == nil && fromSetup:
		return x.done("/setup/apps", "bridge")
	case err == nil:
		return x.done("/admin/apps/"+a.ID, "bridge")
	case fromSetup:
		return x.renderSetupApps(err)
	}
	return x.renderApp(a.ID, err)
}

func publishFlow(x *visit) error {
	a, err := x.one()
	if err != nil {
		return err
	}
	flow := x.value("flow_id")
	if flow == "" {
		return x.renderApp(a.ID, problem.New(problem.Invalid, "Enter a flow's id.").WithField("flow_id"))
	}
	if err := x.c.cfg.Apps.Publications.Publish(x.r.Context(), x.who, a.ID, flow); err != nil {
		return x.renderApp(a.ID, err)
	}
	return x.done("/admin/apps/"+a.ID, "published")
}

func unpublishFlow(x *visit) error {
	a, err := x.one()
	if err != nil {
		return err
	}
	if err := x.c.cfg.Apps.Publications.Unpublish(x.r.Context(), x.who, a.ID, x.r.PathValue("flow")); err != nil {
		return err
	}
	return x.done("/admin/apps/"+a.ID, "unpublished")
}

func showRemoveApp(x *visit) error {
	a, err := x.one()
	if err != nil {
		return err
	}
	return x.render(http.StatusOK, removeAppPage(x.frame("Remove "+a.Name, "/admin/apps"), appPageView{App: x.appOf(a)}))
}

// removeApp disconnects an app. The account that Sluice had made in the builder is shown once: without it nobody could ever get in again.
func removeApp(x *visit) error {
	a, err := x.one()
	if err != nil {
		return err
	}
	owner, err := x.c.cfg.Apps.Manager.Remove(x.r.Context(), x.who, a.ID)
	if err != nil {
		return err
	}
	if owner.Email == "" {
		return x.done("/admin/apps", "removed")
	}
	v := removedAppView{App: x.appOf(a), Email: owner.Email, Password: owner.Password}
	return x.render(http.StatusOK, removedAppPage(x.frame("Removed "+a.Name, "/admin/apps"), v))
}

// showSetupApps is the second step of the set-up: what --protect found, and what is missing to connect it.
func showSetupApps(x *visit) error { return x.renderSetupApps(nil) }

func (x *visit) renderSetupApps(before error) error {
	v := setupAppsView{Form: appForm{URL: x.value("url")}}
	status := http.StatusOK
	if before != nil {
		m, ok := formMistake(before, "url")
		if !ok {
			return before
		}
		status, v.Problem, v.Next, v.Form.Wrong = m.status, m.Text, m.Next, m.Wrong
	}
	for _, a := range slices.Clone(x.c.cfg.Apps.All()) {
		if err := x.looked(a); err != nil {
			return err
		}
		if now, ok := x.c.cfg.Apps.ByID(a.ID); ok {
			a = now
		}
		view := x.appOf(a)
		v.Apps = append(v.Apps, view)
		if v.Ready == "" && (view.Bridge == bridgeReady || view.Bridge == bridgeHeaders) {
			v.Ready = view.ID
		}
	}
	return x.render(status, setupAppsPage(x.frame("Connect your builder", ""), v))
}

// addSetupApp connects what runs at an address, with its own name and the next free port.
func addSetupApp(x *visit) error {
	if _, err := x.c.cfg.Apps.Manager.Add(x.r.Context(), x.who, app.Spec{URL: x.value("url")}); err != nil {
		return x.renderSetupApps(err)
	}
	x.redirect("/setup/apps")
	return nil
}

// clipped shortens what is shown again in a form.
func clipped(s string, most int) string {
	if len(s) > most {
		return ""
	}
	return s
}
