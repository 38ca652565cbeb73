package console

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"sluice/internal/identity"
	"sluice/internal/login/factor"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// membershipView is a person's role in a workspace.
type membershipView struct{ WorkspaceID, Workspace, Role string }

// nameForm is the content of the form for names.
type nameForm struct{ Username, Email, Name string }

// personPageView is one person.
type personPageView struct {
	User personView
	Now  time.Time
	// Form holds the typed values; the same as User until someone changes them.
	Form        nameForm
	Memberships []membershipView
	Sessions    []sessionView
	Factors     factor.Set
	Links       []sso.Link
	// Roles are all roles. Joinable are the workspaces that the person does not belong to.
	Roles, Joinable []web.Option
	// Link is a one-time link that has just been created.
	Link        string
	LinkExpires time.Time
	// Mailable reports that a link can be mailed to them.
	Mailable bool
	// Left reports that the person was just deactivated. Ended is how many of their sessions that
	// revoked.
	Left          bool
	Ended         int
	Problem, Next string
	Wrong         wrong
}

func (v personPageView) action(name string) string { return v.User.path("/" + name) }

// api is the person's address in the API.
func (v personPageView) api(rest string) string { return "/api/v1/users/" + v.User.ID + rest }

func (v personPageView) superuserCommand() string {
	if v.User.Superuser {
		return "sluice user promote " + v.User.Username + " --no-superuser"
	}
	return "sluice user promote " + v.User.Username + " --superuser"
}

func (v personPageView) passwordText() string {
	if v.User.HasPassword {
		return "A one-time link lets them choose a new one. You never see it."
	}
	return "They have none yet and cannot sign in. Create a one-time link and send it to them."
}

func (v personPageView) endedText() string {
	switch v.Ended {
	case 0:
		return "No one was signed in to this account."
	case 1:
		return "1 session is signed out, and its running streams are cut off."
	}
	return web.Count(v.Ended, "session") + " are signed out, and their running streams are cut off."
}

func (p *peoplePages) showPerson(x *visit) error {
	v, err := p.person(x, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	return p.renderPerson(x, http.StatusOK, v)
}

func (p *peoplePages) person(x *visit, id string) (personPageView, error) {
	u, err := p.people.Get(x.r.Context(), x.who, id)
	if err != nil {
		return personPageView{}, err
	}
	sessions, err := sessionsOf(x, p.sessions, id)
	v := personPageView{
		User:     personOf(x, u),
		Now:      x.now(),
		Form:     nameForm{Username: u.Username, Email: u.Email, Name: u.Name},
		Sessions: sessions,
		Roles:    x.roleOptions(),
	}
	if err == nil {
		v.Factors, err = p.factors.List(x.r.Context(), x.who, id)
	}
	if err == nil {
		v.Links, err = p.sso.Links(x.r.Context(), x.who, id)
	}
	v.Mailable = u.Email != "" && u.Active && p.logins.MailConfigured()
	// The directory also keeps the memberships of inactive people.
	who, _ := p.people.Principal(id)
	for _, w := range x.workspaces() {
		if role := who.Role(w.ID); role != "" {
			v.Memberships = append(v.Memberships, membershipView{w.ID, w.Name, role})
		} else {
			v.Joinable = append(v.Joinable, web.Option{Value: w.ID, Label: w.Name})
		}
	}
	return v, err
}

func (p *peoplePages) renderPerson(x *visit, status int, v personPageView) error {
	return x.render(status, personPage(x.frame(v.User.Title(), "/admin"), v))
}

// changed returns to a person's page after a change, or shows there why it failed.
func (p *peoplePages) changed(x *visit, id, notice string, err error) error {
	if err == nil {
		return x.done("/admin/people/"+id, notice)
	}
	return p.personMistake(x, id, err, func(*personPageView) {})
}

// personMistake shows a mistake on a person's page; fill restores the typed values.
func (p *peoplePages) personMistake(
	x *visit,
	id string,
	err error,
	fill func(*personPageView),
	fields ...string,
) error {
	m, ok := formMistake(err, fields...)
	if !ok {
		return err
	}
	v, lookup := p.person(x, id)
	if lookup != nil {
		return errors.Join(err, lookup)
	}
	v.Problem, v.Next, v.Wrong = m.Text, m.Next, m.Wrong
	fill(&v)
	return p.renderPerson(x, m.status, v)
}

func (p *peoplePages) setNames(x *visit) error {
	id, n := x.r.PathValue("id"), nameForm{x.value("username"), x.value("email"), x.value("name")}
	change := identity.UserUpdate{
		Username: problem.Some(n.Username),
		Email:    problem.Some(n.Email),
		Name:     problem.Some(n.Name),
	}
	if err := p.people.Update(x.r.Context(), x.who, id, change); err != nil {
		return p.personMistake(x, id, err, func(v *personPageView) { v.Form = n }, "username", "email", "name")
	}
	return x.done("/admin/people/"+id, "names")
}

// setRole gives a role in a workspace; an empty role removes the membership.
func (p *peoplePages) setRole(x *visit) error {
	id, workspace := x.r.PathValue("id"), x.value("workspace")
	if workspace == "" {
		workspace = identity.DefaultWorkspace
	}
	return p.changed(x, id, "role", p.people.SetRole(x.r.Context(), x.who, id, workspace, x.value("role")))
}

func (p *peoplePages) setSuperuser(x *visit) error {
	id, on := x.r.PathValue("id"), x.value("on") == "true"
	notice := map[bool]string{true: "superuser", false: "no-superuser"}[on]
	return p.changed(
		x,
		id,
		notice,
		p.people.Update(x.r.Context(), x.who, id, identity.UserUpdate{Superuser: problem.Some(on)}),
	)
}

// setActive activates a person, or deactivates a leaver. Deactivation revokes everything in one
// step, and the answer lists what that was.
func (p *peoplePages) setActive(x *visit) error {
	id, on := x.r.PathValue("id"), x.value("on") == "true"
	if on {
		err := p.people.Update(x.r.Context(), x.who, id, identity.UserUpdate{Active: problem.Some(true)})
		if err == nil && x.value("return") == "/admin" {
			return x.done("/admin", "enabled")
		}
		return p.changed(x, id, "enabled", err)
	}
	before, err := sessionsOf(x, p.sessions, id)
	if err != nil {
		return err
	}
	if err := p.people.Update(x.r.Context(), x.who, id, identity.UserUpdate{Active: problem.Some(false)}); err != nil {
		return p.changed(x, id, "", err)
	}
	v, err := p.person(x, id)
	if err != nil {
		return err
	}
	v.Left, v.Ended = true, len(before)
	return p.renderPerson(x, http.StatusOK, v)
}

// removeFactors is for people who have lost their device. The admin must first confirm their own
// identity, and the person is notified.
func (p *peoplePages) removeFactors(x *visit) error {
	id := x.r.PathValue("id")
	return p.changed(x, id, "factors-removed", p.factors.RemoveFactors(x.r.Context(), x.who, id))
}

func (p *peoplePages) endAllSessions(x *visit) error {
	id := x.r.PathValue("id")
	return p.changed(x, id, "their-end", p.sessions.RevokeAll(x.r.Context(), x.who, id, x.who.SessionID))
}

// mailResetLink sends the link to the person; the admin who requests it never sees it.
func (p *peoplePages) mailResetLink(x *visit) error {
	id := x.r.PathValue("id")
	return p.changed(x, id, "link-mailed", p.signUps.MailResetLink(x.r.Context(), x.who, id))
}

func (p *peoplePages) createResetLink(x *visit) error { return p.showLink(x, x.r.PathValue("id")) }

// showLink creates a one-time link and shows it directly in the answer, the only place where it
// ever appears.
func (p *peoplePages) showLink(x *visit, id string) error {
	token, expires, err := p.signUps.ResetLink(x.r.Context(), x.who, id)
	if err != nil {
		return err
	}
	v, err := p.person(x, id)
	if err != nil {
		return err
	}
	v.Link, v.LinkExpires = x.origin()+"/reset?token="+token, expires
	return p.renderPerson(x, http.StatusOK, v)
}

// removePersonView is the confirmation before an account is deleted for good.
type removePersonView struct {
	User          personView
	Heir          string
	Problem, Next string
	Wrong         wrong
}

func (p *peoplePages) showRemovePerson(x *visit) error {
	u, err := p.people.Get(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	return x.render(
		http.StatusOK,
		removePersonPage(x.frame("Delete "+u.Username, "/admin"), removePersonView{User: personOf(x, u)}),
	)
}

// removePerson deletes an account; the person's objects go to the heir.
func (p *peoplePages) removePerson(x *visit) error {
	u, err := p.people.Get(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	v := removePersonView{User: personOf(x, u), Heir: x.value("heir")}
	if err = p.remove(x, u, v.Heir); err == nil {
		return x.done("/admin", "deleted")
	}
	m, ok := formMistake(err, "heir")
	if !ok {
		return err
	}
	v.Problem, v.Next, v.Wrong, v.Heir = m.Text, m.Next, m.Wrong, clipped(v.Heir, 254)
	return x.render(m.status, removePersonPage(x.frame("Delete "+u.Username, "/admin"), v))
}

func (p *peoplePages) remove(x *visit, u identity.User, heir string) error {
	if u.ID == x.who.ID {
		return problem.New(problem.Conflict, "This is your own account.").WithNext("Another superuser can delete it.")
	}
	heirID := ""
	if heir != "" {
		h, err := p.people.Find(x.r.Context(), x.who, heir)
		if problem.Is(err, problem.NotFound) {
			return problem.New(problem.Invalid, "No one has this username or email address.").
				WithField("heir")
		}
		if err != nil {
			return err
		}
		heirID = h.ID
	}
	return p.people.Remove(x.r.Context(), x.who, u.ID, heirID)
}

// rightView is one line of the rights of a person: an action, and whether they may perform it.
type rightView struct {
	Title, Name string
	Allowed     bool
	// Why names the policies that decided, in words.
	Why string
}

// rightGroup is a group of lines.
type rightGroup struct {
	Name   string
	Rights []rightView
}

// rightsView shows the rights of a person in one workspace.
type rightsView struct {
	User       personView
	Workspace  string
	Workspaces []web.Option
	Role       string
	Groups     []rightGroup
	Allowed    int
	Total      int
}

func (p *peoplePages) showRights(x *visit) error {
	u, err := p.people.Get(x.r.Context(), x.who, x.r.PathValue("id"))
	if err != nil {
		return err
	}
	workspace := x.r.URL.Query().Get("workspace")
	if workspace == "" {
		workspace = identity.DefaultWorkspace
	}
	if _, ok := p.people.WorkspaceName(workspace); !ok {
		return problem.New(problem.NotFound, "There is no such workspace.")
	}
	rights, err := p.people.WhatCan(x.r.Context(), x.who, u.ID, workspace)
	if err != nil {
		return err
	}
	who, _ := p.people.Principal(u.ID)
	v := rightsView{
		User:       personOf(x, u),
		Workspace:  workspace,
		Workspaces: x.workspaceOptions(),
		Groups:     p.rightGroups(x, rights, u.Active),
		Total:      len(rights),
	}
	if role := who.Role(workspace); role != "" {
		v.Role = x.roleName(role)
	}
	for _, r := range rights {
		if r.Allowed {
			v.Allowed++
		}
	}
	return x.render(http.StatusOK, rightsPage(x.frame("What can "+u.Username+" do?", "/admin"), v))
}

func (p *peoplePages) rightGroups(x *visit, rights []identity.Right, active bool) []rightGroup {
	var groups []rightGroup
	for _, r := range rights {
		if len(groups) == 0 || groups[len(groups)-1].Name != r.Group {
			groups = append(groups, rightGroup{Name: r.Group})
		}
		last := &groups[len(groups)-1]
		last.Rights = append(
			last.Rights,
			rightView{Title: r.Title, Name: string(r.Name), Allowed: r.Allowed, Why: p.whyText(x, r, active)},
		)
	}
	return groups
}

// whyText names the policies that decided; a custom role's policy is named after the role.
func (p *peoplePages) whyText(x *visit, r identity.Right, active bool) string {
	if len(r.Policies) == 0 {
		if !active {
			return "inactive account"
		}
		return "no policy permits it"
	}
	names := make([]string, len(r.Policies))
	for i, id := range r.Policies {
		names[i] = id
		if role, ok := p.people.Role(strings.TrimPrefix(id, "role:")); ok && !role.BuiltIn {
			names[i] = "role " + role.Name
		}
	}
	return strings.Join(names, ", ")
}
