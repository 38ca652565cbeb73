package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/factor"
	"sluice/internal/login/signup"
	"sluice/internal/web"
)

// workspacePages are the workspaces: members, invitations, apps, second factors.
type workspacePages struct {
	views       *appViews
	gate        *authz.Gate
	people      *identity.People
	logins      *login.Logins
	factors     *factor.Factors
	invitations *signup.Invitations
	apps        *app.Apps
}

// workspaceView is a workspace in the list.
type workspaceView struct {
	ID, Name string
	Members  int
	// Role is the visitor's own role; "" means none.
	Role    string
	Current bool
}

func (w workspaceView) path(rest string) string { return "/workspaces/" + w.ID + rest }

// workspacesView is the list.
type workspacesView struct {
	Workspaces []workspaceView
	MayCreate  bool
}

func workspaceOf(x *visit, w identity.Workspace) workspaceView {
	v := workspaceView{ID: w.ID, Name: w.Name, Members: w.Members, Current: w.ID == x.who.Workspace}
	if role := x.who.Role(w.ID); role != "" {
		v.Role = x.roleName(role)
	}
	return v
}

func (p *workspacePages) showWorkspaces(x *visit) error {
	list, err := p.people.Workspaces(x.r.Context(), x.who)
	if err != nil {
		return err
	}
	v := workspacesView{MayCreate: x.may(authz.WorkspaceCreate)}
	for _, w := range list {
		v.Workspaces = append(v.Workspaces, workspaceOf(x, w))
	}
	return x.render(http.StatusOK, workspacesPage(x.frame("Workspaces", "/workspaces"), v))
}

// newWorkspaceView is the form for a new workspace.
type newWorkspaceView struct {
	Name string
	// Apps can be offered to the workspace; Offered are the ticked ones.
	Apps          []web.Option
	Offered       []string
	Problem, Next string
	Wrong         wrong
}

func (v newWorkspaceView) offers(id string) bool { return slices.Contains(v.Offered, id) }

// showNewWorkspace ticks all apps at first, because a workspace without apps is of no use.
func (p *workspacePages) showNewWorkspace(x *visit) error {
	v := newWorkspaceView{Apps: p.appOptions(x)}
	for _, o := range v.Apps {
		v.Offered = append(v.Offered, o.Value)
	}
	return x.render(http.StatusOK, newWorkspacePage(x.frame("New workspace", "/workspaces"), v))
}

func (p *workspacePages) appOptions(x *visit) []web.Option {
	var out []web.Option
	for _, a := range p.apps.All() {
		out = append(
			out,
			web.Option{Value: a.ID, Label: a.Name, Hint: strings.TrimSpace(a.Kind.Title + " " + a.Version)},
		)
	}
	return out
}

func (p *workspacePages) addWorkspace(x *visit) error {
	offered := x.r.PostForm["app"]
	if len(offered) > 0 {
		// Offering requires a fresh proof. Ask for it before the workspace is created.
		if err := p.gate.Fresh(x.who); err != nil {
			return err
		}
	}
	w, err := p.people.CreateWorkspace(x.r.Context(), x.who, x.value("name"))
	if err == nil {
		for _, id := range offered {
			if err := p.apps.Manager.Offer(x.r.Context(), x.who, id, w.ID); err != nil {
				return err
			}
		}
		return x.done("/workspaces/"+w.ID, "workspace")
	}
	m, ok := formMistake(err, "name")
	if !ok {
		return err
	}
	v := newWorkspaceView{
		Name:    clipped(x.value("name"), 200),
		Apps:    p.appOptions(x),
		Offered: offered,
		Problem: m.Text,
		Next:    m.Next,
		Wrong:   m.Wrong,
	}
	return x.render(m.status, newWorkspacePage(x.frame("New workspace", "/workspaces"), v))
}

// memberView is a person in a workspace.
type memberView struct {
	ID, Username, Name, Email, Role, RoleName string
	Superuser, Active, Oneself                bool
	LastSignInAt                              time.Time
}

// Title is the person's display name.
func (m memberView) Title() string { return personView{Name: m.Name, Username: m.Username}.Title() }

// Sub distinguishes people with the same name.
func (m memberView) Sub() string {
	return personView{Name: m.Name, Username: m.Username, Email: m.Email}.Sub()
}

// invitationView is an open invitation.
type invitationView struct {
	ID, Email, Role string
	ExpiresAt       time.Time
	Expired         bool
}

// invitedView is the outcome of an invitation, shown once.
type invitedView struct {
	Email, Role   string
	Added, Mailed bool
	Link          string
	ExpiresAt     time.Time
}

// workspacePageView is one workspace.
type workspacePageView struct {
	Workspace   workspaceView
	Members     []memberView
	Invitations []invitationView
	Apps        []appView
	Roles       []web.Option
	Now         time.Time
	// Manage lets the visitor change members, Rename change the name, Delete delete the workspace,
	// Accounts open people's pages, and Keys see everyone's API keys.
	Manage, Rename, Delete, Accounts, Keys bool
	// Vault lets the visitor open the workspace's vault.
	Vault bool
	// Mail reports that invitations are mailed.
	Mail bool
	// SecondFactor is the workspace's policy for second factors, and WithoutFactor is how many
	// active members have none.
	SecondFactor  string
	WithoutFactor int
	// Invited is the outcome of an invitation that has just been created.
	Invited *invitedView
	// Email and Role are the typed values of the invitation's form, and Name that of the name's
	// form.
	Email, Role, Name string
	Problem, Next     string
	Wrong             wrong
}

func (v workspacePageView) path(rest string) string { return v.Workspace.path(rest) }

func (p *workspacePages) showWorkspace(x *visit) error {
	v, err := p.workspace(x, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	return p.renderWorkspace(x, http.StatusOK, v)
}

func (p *workspacePages) renderWorkspace(x *visit, status int, v workspacePageView) error {
	return x.render(status, workspacePage(x.frame(v.Workspace.Name, "/workspaces"), v))
}

// workspace gathers the content of a workspace's page for this visitor.
func (p *workspacePages) workspace(x *visit, id string) (workspacePageView, error) {
	w, err := p.people.Workspace(x.r.Context(), x.who, id)
	if err != nil {
		return workspacePageView{}, err
	}
	res := authz.Resource{Type: "Workspace", ID: w.ID, Workspace: w.ID, Name: w.Name}
	v := workspacePageView{
		Workspace: workspaceOf(x, w),
		Now:       x.now(),
		Roles:     x.roleOptions(),
		Role:      authz.RoleViewer,
		Name:      w.Name,
		Mail:      p.logins.MailConfigured(),
		Manage:    x.allows(authz.MemberManage, res),
		Rename:    x.allows(authz.WorkspaceManage, res),
		Delete:    w.ID != identity.DefaultWorkspace && x.may(authz.WorkspaceCreate),
		Accounts:  x.may(authz.UserView),
		Keys:      x.allows(authz.KeyManage, res),
		Vault:     x.allows(authz.CredentialView, res),
	}
	members, err := p.people.Members(x.r.Context(), x.who, id)
	if err != nil {
		return v, err
	}
	for _, m := range members {
		v.Members = append(v.Members, memberView{
			ID:           m.UserID,
			Username:     m.Username,
			Name:         m.Name,
			Email:        m.Email,
			Role:         m.Role,
			RoleName:     x.roleName(m.Role),
			Superuser:    m.Superuser,
			Active:       m.Active,
			Oneself:      m.UserID == x.who.ID,
			LastSignInAt: m.LastSignInAt,
		})
	}
	v.Workspace.Members, v.SecondFactor = len(members), w.SecondFactor
	if v.Rename {
		if v.WithoutFactor, err = p.factors.WithoutFactor(x.r.Context(), x.who, id); err != nil {
			return v, err
		}
	}
	for _, a := range p.apps.All() {
		if v.Accounts && a.UsedIn(id) {
			v.Apps = append(v.Apps, p.views.appOf(x, a))
		}
	}
	return v, p.addInvitations(x, &v)
}

func (p *workspacePages) addInvitations(x *visit, v *workspacePageView) error {
	if !v.Manage {
		return nil
	}
	open, err := p.invitations.List(x.r.Context(), x.who, v.Workspace.ID)
	for _, i := range open {
		v.Invitations = append(v.Invitations, invitationView{
			ID:        i.ID,
			Email:     i.Email,
			Role:      x.roleName(i.Role),
			ExpiresAt: i.ExpiresAt,
			Expired:   !i.ExpiresAt.After(v.Now),
		})
	}
	return err
}

// workspaceMistake shows a mistake on a workspace's page; fill restores the typed values.
func (p *workspacePages) workspaceMistake(
	x *visit,
	id string,
	err error,
	fill func(*workspacePageView),
	fields ...string,
) error {
	m, ok := formMistake(err, fields...)
	if !ok {
		return err
	}
	v, lookup := p.workspace(x, id)
	if lookup != nil {
		return errors.Join(err, lookup)
	}
	v.Problem, v.Next, v.Wrong = m.Text, m.Next, m.Wrong
	fill(&v)
	return p.renderWorkspace(x, m.status, v)
}

func (p *workspacePages) renameWorkspace(x *visit) error {
	id, name := x.r.PathValue("id"), x.value("name")
	if err := p.people.RenameWorkspace(x.r.Context(), x.who, id, name); err != nil {
		return p.workspaceMistake(x, id, err, func(v *workspacePageView) { v.Name = clipped(name, 200) }, "name")
	}
	return x.done("/workspaces/"+id, "renamed")
}

func (p *workspacePages) deleteWorkspace(x *visit) error {
	id := x.r.PathValue("id")
	if err := p.people.DeleteWorkspace(x.r.Context(), x.who, id); err != nil {
		return p.workspaceMistake(x, id, err, func(*workspacePageView) {})
	}
	return x.done("/workspaces", "no-workspace")
}

func (p *workspacePages) setMemberRole(x *visit) error {
	id := x.r.PathValue("id")
	role := x.value("role")
	if role == "" {
		role = "none chosen" // an empty role would remove the membership
	}
	if err := p.people.SetRole(x.r.Context(), x.who, x.r.PathValue("person"), id, role); err != nil {
		return p.workspaceMistake(x, id, err, func(*workspacePageView) {})
	}
	return x.done("/workspaces/"+id, "member")
}

func (p *workspacePages) removeMember(x *visit) error {
	id, person := x.r.PathValue("id"), x.r.PathValue("person")
	if err := p.people.SetRole(x.r.Context(), x.who, person, id, ""); err != nil {
		return p.workspaceMistake(x, id, err, func(*workspacePageView) {})
	}
	if person == x.who.ID && !x.who.Superuser {
		return x.done("/workspaces", "no-member")
	}
	return x.done("/workspaces/"+id, "no-member")
}

// invite invites a person into a workspace. Only this answer ever shows the link.
func (p *workspacePages) invite(x *visit) error {
	id, email, role := x.r.PathValue("id"), x.value("email"), x.value("role")
	out, err := p.invitations.Invite(x.r.Context(), x.who, id, email, role)
	if err != nil {
		return p.workspaceMistake(
			x,
			id,
			err,
			func(v *workspacePageView) { v.Email, v.Role = clipped(email, 254), role },
			"email",
			"role",
		)
	}
	return p.showInvited(x, id, out)
}

func (p *workspacePages) renewInvitation(x *visit) error {
	id := x.r.PathValue("id")
	out, err := p.invitations.RenewInvitation(x.r.Context(), x.who, id, x.r.PathValue("invitation"))
	if err != nil {
		return err
	}
	return p.showInvited(x, id, out)
}

func (p *workspacePages) showInvited(x *visit, id string, out signup.Invited) error {
	v, err := p.workspace(x, id)
	if err != nil {
		return err
	}
	v.Invited = &invitedView{
		Email:     out.Email,
		Role:      x.roleName(out.Role),
		Added:     out.Added,
		Mailed:    out.Mailed,
		Link:      out.Link,
		ExpiresAt: out.ExpiresAt,
	}
	return p.renderWorkspace(x, http.StatusOK, v)
}

func (p *workspacePages) revokeInvitation(x *visit) error {
	id := x.r.PathValue("id")
	if err := p.invitations.RevokeInvitation(x.r.Context(), x.who, id, x.r.PathValue("invitation")); err != nil {
		return err
	}
	return x.done("/workspaces/"+id, "revoked")
}

var secondFactorOptions = []web.Option{
	{Value: identity.FactorOff, Label: "Optional", Hint: "Each person decides."},
	{
		Value: identity.FactorEncouraged,
		Label: "Encouraged",
		Hint:  "People without one are asked at each sign-in to set one up, and can postpone it.",
	},
	{
		Value: identity.FactorRequired,
		Label: "Required",
		Hint: "From the next request, sessions without one have no access to the workspace. People without one set " +
			"it up at their next sign-in.",
	},
}

// withoutFactorText describes whom a stricter choice would affect.
func (v workspacePageView) withoutFactorText() string {
	switch v.WithoutFactor {
	case 0:
		return "All active members have one."
	case 1:
		return "1 active member has none yet."
	}
	return web.Count(v.WithoutFactor, "active member") + " have none yet."
}

func (p *workspacePages) setSecondFactor(x *visit) error {
	id := x.r.PathValue("id")
	if err := p.people.SetSecondFactor(x.r.Context(), x.who, id, x.value("second_factor")); err != nil {
		return p.workspaceMistake(x, id, err, func(*workspacePageView) {})
	}
	return x.done("/workspaces/"+id, "second-factor")
}
