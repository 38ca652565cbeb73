package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/login/signup"
	"sluice/internal/web"
)

// workspaceView is a workspace in the list.
type workspaceView struct {
	ID, Name string
	Members  int
	// Role is the visitor's own; "" means none.
	Role    string
	Current bool
}

func (w workspaceView) path(rest string) string { return "/workspaces/" + w.ID + rest }

// workspacesView is the list.
type workspacesView struct {
	Workspaces []workspaceView
	MayCreate  bool
}

func (x *visit) workspaceOf(w identity.Workspace) workspaceView {
	v := workspaceView{ID: w.ID, Name: w.Name, Members: w.Members, Current: w.ID == x.who.Workspace}
	if role := x.who.Role(w.ID); role != "" {
		v.Role = x.c.cfg.People.RoleName(role)
	}
	return v
}

func showWorkspaces(x *visit) error {
	list, err := x.c.cfg.People.Workspaces(x.r.Context(), x.who)
	if err != nil {
		return err
	}
	v := workspacesView{MayCreate: x.may(authz.WorkspaceCreate)}
	for _, w := range list {
		v.Workspaces = append(v.Workspaces, x.workspaceOf(w))
	}
	return x.render(http.StatusOK, workspacesPage(x.frame("Workspaces", "/workspaces"), v))
}

// newWorkspaceView is the form for a new workspace.
type newWorkspaceView struct {
	Name string
	// Apps can be offered to it; Offered are those that are ticked.
	Apps          []web.Option
	Offered       []string
	Problem, Next string
	Wrong         wrong
}

func (v newWorkspaceView) offers(id string) bool { return slices.Contains(v.Offered, id) }

// showNewWorkspace offers all apps to begin with: a workspace without one is of no use.
func showNewWorkspace(x *visit) error {
	v := newWorkspaceView{Apps: x.appOptions()}
	for _, o := range v.Apps {
		v.Offered = append(v.Offered, o.Value)
	}
	return x.render(http.StatusOK, newWorkspacePage(x.frame("New workspace", "/workspaces"), v))
}

func (x *visit) appOptions() []web.Option {
	var out []web.Option
	for _, a := range x.c.cfg.Apps.All() {
		out = append(out, web.Option{Value: a.ID, Label: a.Name, Hint: strings.TrimSpace(a.Kind.Title + " " + a.Version)})
	}
	return out
}

func addWorkspace(x *visit) error {
	offered := x.r.PostForm["app"]
	if len(offered) > 0 {
		// Offering asks for a fresh proof; it must not be missed when the workspace is there already.
		if err := x.c.cfg.Gate.Fresh(x.who); err != nil {
			return err
		}
	}
	w, err := x.c.cfg.People.CreateWorkspace(x.r.Context(), x.who, x.value("name"))
	if err == nil {
		for _, id := range offered {
			if err := x.c.cfg.Apps.Manager.Offer(x.r.Context(), x.who, id, w.ID); err != nil {
				return err
			}
		}
		return x.done("/workspaces/"+w.ID, "workspace")
	}
	m, ok := formMistake(err, "name")
	if !ok {
		return err
	}
	v := newWorkspaceView{Name: clipped(x.value("name"), 200), Apps: x.appOptions(), Offered: offered, Problem: m.Text, Next: m.Next, Wrong: m.Wrong}
	return x.render(m.status, newWorkspacePage(x.frame("New workspace", "/workspaces"), v))
}

// memberView is a person in a workspace.
type memberView struct {
	ID, Username, Name, Email, Role, RoleName string
	Superuser, Active, Oneself                bool
	LastSignInAt                              time.Time
}

// Title is what to call the person.
func (m memberView) Title() string { return personView{Name: m.Name, Username: m.Username}.Title() }

// Sub tells people of the same name apart.
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
	// Manage lets the visitor change members, Rename the name, Delete the workspace; Accounts lets them open people's pages, Keys everybody's API keys.
	Manage, Rename, Delete, Accounts, Keys bool
	// Vault lets the visitor open the workspace's vault.
	Vault bool
	// Mail tells that invitations are mailed.
	Mail bool
	// SecondFactor is what the workspace says about second factors, WithoutFactor how many active members have none.
	SecondFactor  string
	WithoutFactor int
	// Invited is the outcome of an invitation that has just been made.
	Invited *invitedView
	// Email and Role are what was typed into the invitation's form, Name into the name's.
	Email, Role, Name string
	Problem, Next     string
	Wrong             wrong
}

func (v workspacePageView) path(rest string) string { return v.Workspace.path(rest) }

func showWorkspace(x *visit) error {
	v, err := x.workspace(x.r.PathValue("id"))
	if err != nil {
		return err
	}
	return x.renderWorkspace(http.StatusOK, v)
}

func (x *visit) renderWorkspace(status int, v workspacePageView) error {
	return x.render(status, workspacePage(x.frame(v.Workspace.Name, "/workspaces"), v))
}

// workspace gathers what the page of a workspace shows to this visitor.
func (x *visit) workspace(id string) (workspacePageView, error) {
	w, err := x.c.cfg.People.Workspace(x.r.Context(), x.who, id)
	if err != nil {
		return workspacePageView{}, err
	}
	res := authz.Resource{Type: "Workspace", ID: w.ID, Workspace: w.ID, Name: w.Name}
	v := workspacePageView{
		Workspace: x.workspaceOf(w), Now: x.c.cfg.Now(), Roles: x.roleOptions(), Role: authz.RoleViewer, Name: w.Name, Mail: x.c.cfg.Logins.MailConfigured(),
		Manage: x.c.cfg.Gate.Decide(x.who, authz.MemberManage, res).Allowed, Rename: x.c.cfg.Gate.Decide(x.who, authz.WorkspaceManage, res).Allowed,
		Delete: w.ID != identity.DefaultWorkspace && x.may(authz.WorkspaceCreate), Accounts: x.may(authz.UserView),
		Keys: x.c.cfg.Gate.Decide(x.who, authz.KeyManage, res).Allowed, Vault: x.c.cfg.Gate.Decide(x.who, authz.CredentialView, res).Allowed,
	}
	members, err := x.c.cfg.People.Members(x.r.Context(), x.who, id)
	if err != nil {
		return v, err
	}
	for _, m := range members {
		v.Members = append(v.Members, memberView{
			ID: m.UserID, Username: m.Username, Name: m.Name, Email: m.Email, Role: m.Role, RoleName: x.c.cfg.People.RoleName(m.Role), Superuser: m.Superuser,
			Active: m.Active, Oneself: m.UserID == x.who.ID, LastSignInAt: m.LastSignInAt,
		})
	}
	v.Workspace.Members, v.SecondFactor = len(members), w.SecondFactor
	if v.Rename {
		if v.WithoutFactor, err = x.c.cfg.Factors.WithoutFactor(x.r.Context(), x.who, id); err != nil {
			return v, err
		}
	}
	for _, a := range x.c.cfg.Apps.All() {
		if v.Accounts && a.UsedIn(id) {
			v.Apps = append(v.Apps, x.appOf(a))
		}
	}
	return v, x.addInvitations(&v)
}

func (x *visit) addInvitations(v *workspacePageView) error {
	if !v.Manage {
		return nil
	}
	open, err := x.c.cfg.Invitations.List(x.r.Context(), x.who, v.Workspace.ID)
	for _, i := range open {
		v.Invitations = append(v.Invitations, invitationView{
			ID: i.ID, Email: i.Email, Role: x.c.cfg.People.RoleName(i.Role), ExpiresAt: i.ExpiresAt, Expired: !i.ExpiresAt.After(v.Now),
		})
	}
	return err
}

// workspaceMistake shows on a workspace's page what was wrong; fill puts back what was typed.
func (x *visit) workspaceMistake(id string, err error, fill func(*workspacePageView), fields ...string) error {
	m, ok := formMistake(err, fields...)
	if !ok {
		return err
	}
	v, lookup := x.workspace(id)
	if lookup != nil {
		return errors.Join(err, lookup)
	}
	v.Problem, v.Next, v.Wrong = m.Text, m.Next, m.Wrong
	fill(&v)
	return x.renderWorkspace(m.status, v)
}

func renameWorkspace(x *visit) error {
	id, name := x.r.PathValue("id"), x.value("name")
	if err := x.c.cfg.People.RenameWorkspace(x.r.Context(), x.who, id, name); err != nil {
		return x.workspaceMistake(id, err, func(v *workspacePageView) { v.Name = clipped(name, 200) }, "name")
	}
	return x.done("/workspaces/"+id, "renamed")
}

func deleteWorkspace(x *visit) error {
	id := x.r.PathValue("id")
	if err := x.c.cfg.People.DeleteWorkspace(x.r.Context(), x.who, id); err != nil {
		return x.workspaceMistake(id, err, func(*workspacePageView) {})
	}
	return x.done("/workspaces", "no-workspace")
}

func setMemberRole(x *visit) error {
	id := x.r.PathValue("id")
	role := x.value("role")
	if role == "" {
		role = "none chosen" // an empty role would take the membership away
	}
	if err := x.c.cfg.People.SetRole(x.r.Context(), x.who, x.r.PathValue("person"), id, role); err != nil {
		return x.workspaceMistake(id, err, func(*workspacePageView) {})
	}
	return x.done("/workspaces/"+id, "member")
}

func removeMember(x *visit) error {
	id, person := x.r.PathValue("id"), x.r.PathValue("person")
	if err := x.c.cfg.People.SetRole(x.r.Context(), x.who, person, id, ""); err != nil {
		return x.workspaceMistake(id, err, func(*workspacePageView) {})
	}
	if person == x.who.ID && !x.who.Superuser {
		return x.done("/workspaces", "no-member")
	}
	return x.done("/workspaces/"+id, "no-member")
}

// invite brings somebody into a workspace; the answer shows the link, and nothing else ever does.
func invite(x *visit) error {
	id, email, role := x.r.PathValue("id"), x.value("email"), x.value("role")
	out, err := x.c.cfg.Invitations.Invite(x.r.Context(), x.who, id, email, role)
	if err != nil {
		return x.workspaceMistake(id, err, func(v *workspacePageView) { v.Email, v.Role = clipped(email, 254), role }, "email", "role")
	}
	return x.showInvited(id, out)
}

func renewInvitation(x *visit) error {
	id := x.r.PathValue("id")
	out, err := x.c.cfg.Invitations.RenewInvitation(x.r.Context(), x.who, id, x.r.PathValue("invitation"))
	if err != nil {
		return err
	}
	return x.showInvited(id, out)
}

func (x *visit) showInvited(id string, out signup.Invited) error {
	v, err := x.workspace(id)
	if err != nil {
		return err
	}
	v.Invited = &invitedView{Email: out.Email, Role: x.c.cfg.People.RoleName(out.Role), Added: out.Added, Mailed: out.Mailed, Link: out.Link, ExpiresAt: out.ExpiresAt}
	return x.renderWorkspace(http.StatusOK, v)
}

func revokeInvitation(x *visit) error {
	id := x.r.PathValue("id")
	if err := x.c.cfg.Invitations.RevokeInvitation(x.r.Context(), x.who, id, x.r.PathValue("invitation")); err != nil {
		return err
	}
	return x.done("/workspaces/"+id, "revoked")
}
