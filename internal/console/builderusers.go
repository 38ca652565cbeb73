package console

import (
	"cmp"
	"net/http"
	"strings"

	"sluice/internal/app"
	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// builderUser is a user of the builder.
type builderUser struct {
	ID, Username                string
	Active, Superuser, Adopted  bool
	Flows, Projects, Files      int
	WorkspaceID, Workspace, Who string
}

// holds describes what a user holds.
func (u builderUser) holds() string {
	if u.Flows == builder.UnknownCount {
		return "unknown"
	}
	parts := []string{web.Count(u.Flows, "flow")}
	if u.Projects > 0 {
		parts = append(parts, web.Count(u.Projects, "project"))
	}
	if u.Files > 0 {
		parts = append(parts, web.Count(u.Files, "file"))
	}
	return strings.Join(parts, ", ")
}

// own reports that Sluice has created the user for a workspace.
func (u builderUser) own() bool { return u.WorkspaceID != "" && !u.Adopted }

// builderUsersView is the list of the builder's users.
type builderUsersView struct {
	App   appView
	Setup *builder.AccountSetup
	Users []builderUser
	// Blind reports that it is unknown what some of the users hold.
	Blind         bool
	Problem, Next string
}

func (v builderUsersView) path(rest string) string {
	return "/admin/apps/" + v.App.ID + "/builder-users" + rest
}

// builderUserView is one user with the form that gives the user to a workspace.
type builderUserView struct {
	App  appView
	User builderUser
	// To lists the workspaces; if each person has an account, the people in them.
	To            []web.Option
	Chosen        string
	PerPerson     bool
	NewPassword   bool
	Problem, Next string
	Wrong         wrong
}

func (v builderUserView) path(rest string) string {
	return "/admin/apps/" + v.App.ID + "/builder-users/" + v.User.ID + rest
}

// showBuilderUsers lists the builder's users. If Sluice has no superuser there, the page says what
// to do.
func (p *adoptionPages) showBuilderUsers(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	v := builderUsersView{App: p.views.appOf(x, a), Setup: a.Kind.Accounts}
	users, err := p.apps.Adoption.BuilderUsers(x.r.Context(), x.who, a.ID)
	status := http.StatusOK
	if err != nil {
		m, ok := formMistake(err)
		if !ok {
			return err
		}
		status = m.status
		v.Problem = m.Text
		v.Next = cmp.Or(m.Next, "Give Sluice a superuser's name and password, or the secret key, on the "+
			"connection page.")
	}
	for _, u := range users {
		one := p.builderUserOf(x, u)
		v.Blind = v.Blind || one.Flows == builder.UnknownCount
		v.Users = append(v.Users, one)
	}
	return x.render(status, builderUsersPage(x.frame("Users of "+a.Name, "/admin/apps"), v))
}

func (p *adoptionPages) builderUserOf(x *visit, u app.BuilderUser) builderUser {
	out := builderUser{
		ID:          u.ID,
		Username:    u.Username,
		Active:      u.Active,
		Superuser:   u.Superuser,
		Adopted:     u.Adopted,
		Flows:       u.Flows,
		Projects:    u.Projects,
		Files:       u.Files,
		WorkspaceID: u.Workspace,
	}
	if u.Workspace != "" {
		out.Workspace = "another workspace"
		for _, o := range x.workspaceOptions() {
			if o.Value == u.Workspace {
				out.Workspace = o.Label
			}
		}
	}
	if u.Person != "" {
		out.Who = p.nameOf(x, u.Person)
	}
	return out
}

// nameOf returns a person's name for display.
func (p *adoptionPages) nameOf(x *visit, id string) string {
	if who, ok := p.people.Principal(id); ok {
		return cmp.Or(who.DisplayName, who.Name)
	}
	return "an inactive person"
}

// builderUser returns the user of the route.
func (p *adoptionPages) builderUser(x *visit, a *app.App) (builderUser, error) {
	users, err := p.apps.Adoption.BuilderUsers(x.r.Context(), x.who, a.ID)
	if err != nil {
		return builderUser{}, err
	}
	for _, u := range users {
		if u.ID == x.r.PathValue("user") {
			return p.builderUserOf(x, u), nil
		}
	}
	return builderUser{}, problem.Newf(problem.NotFound, "%s no longer has this user.", a.Name).
		WithNext("Open the list of its users.")
}

func (p *adoptionPages) showBuilderUser(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	return p.renderBuilderUser(x, http.StatusOK, a, builderUserView{})
}

func (p *adoptionPages) renderBuilderUser(x *visit, status int, a *app.App, v builderUserView) error {
	var err error
	if v.User, err = p.builderUser(x, a); err != nil {
		return err
	}
	if v.To, err = p.holders(x, a); err != nil {
		return err
	}
	v.App, v.PerPerson, v.NewPassword = p.views.appOf(x, a), a.PerPerson, newPasswords(a)
	v.Chosen = cmp.Or(v.Chosen, v.User.WorkspaceID, x.who.Workspace)
	return x.render(status, builderUserPage(x.frame(v.User.Username, "/admin/apps"), v))
}

// holders lists the workspaces that a user can be given to; if each person has an account, the
// people in them. A value is a workspace id, followed by a slash and a person's id in the list of
// people.
func (p *adoptionPages) holders(x *visit, a *app.App) ([]web.Option, error) {
	var out []web.Option
	for _, o := range x.workspaceOptions() {
		if !a.UsedIn(o.Value) {
			continue
		}
		if !a.PerPerson {
			out = append(out, o)
			continue
		}
		members, err := p.people.Members(x.r.Context(), x.who, o.Value)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			out = append(
				out,
				web.Option{Value: o.Value + "/" + m.UserID, Label: cmp.Or(m.Name, m.Username) + " (" + o.Label + ")"},
			)
		}
	}
	return out, nil
}

// adoptBuilderUser gives a user and everything it holds to a workspace.
func (p *adoptionPages) adoptBuilderUser(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	workspace, person, _ := strings.Cut(x.value("to"), "/")
	_, err = p.apps.Adoption.AdoptUser(x.r.Context(), x.who, a.ID, x.r.PathValue("user"), workspace, person)
	if err == nil {
		return x.done("/admin/apps/"+a.ID+"/builder-users", "user-adopted")
	}
	if e := problem.Of(err); e.Field == "workspace_id" || e.Field == "person_id" {
		err = e.WithField("to")
	}
	m, ok := formMistake(err, "to")
	if !ok {
		return err
	}
	return p.renderBuilderUser(
		x,
		m.status,
		a,
		builderUserView{Chosen: clipped(x.value("to"), 200), Problem: m.Text, Next: m.Next, Wrong: m.Wrong},
	)
}

// releaseBuilderUser takes the user out of its workspace again.
func (p *adoptionPages) releaseBuilderUser(x *visit) error {
	a, err := p.views.find(x)
	if err != nil {
		return err
	}
	err = p.apps.Adoption.UnadoptUser(x.r.Context(), x.who, a.ID, x.r.PathValue("user"))
	if err == nil {
		return x.done("/admin/apps/"+a.ID+"/builder-users", "user-released")
	}
	m, ok := formMistake(err)
	if !ok {
		return err
	}
	return p.renderBuilderUser(x, m.status, a, builderUserView{Problem: m.Text, Next: m.Next})
}

// newPasswords reports whether adopted users get a new password.
func newPasswords(a *app.App) bool {
	mode, _ := a.Kind.Accounts.Mode(a.BridgeMode)
	return mode.NewPasswords
}

// givenCount is the text of the button, with the number of flows.
func givenCount(u builderUser) string {
	if u.Flows <= 0 {
		return "Adopt this user"
	}
	return "Adopt this user with " + web.Count(u.Flows, "flow")
}

func holderLabel(perPerson bool) string {
	if perPerson {
		return "Assign to"
	}
	return "Assign to"
}
