package console

import (
	"net/http"
	"strings"

	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// rolePages are the roles of the installation.
type rolePages struct {
	gate   *authz.Gate
	people *identity.People
}

// roleView is a role in the list.
type roleView struct {
	ID, Name, Description string
	BuiltIn               bool
	Count                 int
}

// rolesView is the page of roles: the list, and a comparison of their permissions.
type rolesView struct {
	Roles  []roleView
	Groups []matrixGroup
}

// matrixGroup is a group of permissions with the answer of each role.
type matrixGroup struct {
	Name string
	Rows []matrixRow
}

// matrixRow is a permission, and whether each role has it, in the order of the list.
type matrixRow struct {
	Title, Name string
	Has         []bool
}

// permits returns, for every permission, whether a role has it. It asks the policies, because a
// separate list could become wrong.
func (p *rolePages) permits(x *visit, r identity.Role) map[authz.Action]bool {
	probe := authz.Principal{
		Kind:        authz.Person,
		ID:          "role:" + r.ID,
		Memberships: []authz.Membership{{Workspace: identity.DefaultWorkspace, Role: r.ID}},
	}
	has := map[authz.Action]bool{}
	for _, perm := range authz.Permissions() {
		has[perm.Name] = p.gate.Decide(
			probe,
			perm.Name,
			authz.Resource{Type: "Workspace", Workspace: identity.DefaultWorkspace},
		).Allowed
	}
	return has
}

func (p *rolePages) showRoles(x *visit) error {
	var v rolesView
	var columns []map[authz.Action]bool
	for _, r := range p.people.Roles() {
		has := p.permits(x, r)
		view := roleView{ID: r.ID, Name: r.Name, Description: r.Description, BuiltIn: r.BuiltIn}
		for _, yes := range has {
			if yes {
				view.Count++
			}
		}
		v.Roles, columns = append(v.Roles, view), append(columns, has)
	}
	for _, perm := range authz.Permissions() {
		if len(v.Groups) == 0 || v.Groups[len(v.Groups)-1].Name != perm.Group {
			v.Groups = append(v.Groups, matrixGroup{Name: perm.Group})
		}
		row := matrixRow{Title: perm.Title, Name: string(perm.Name)}
		for _, has := range columns {
			row.Has = append(row.Has, has[perm.Name])
		}
		last := &v.Groups[len(v.Groups)-1]
		last.Rows = append(last.Rows, row)
	}
	return x.render(http.StatusOK, rolesPage(x.frame("Roles", "/admin/roles"), v))
}

// permissionView is a checkbox of the editor.
type permissionView struct {
	Title, Name string
	Has         bool
}

// ID is the element's id: names contain colons, which are special in selectors.
func (p permissionView) ID() string { return "p-" + strings.ReplaceAll(p.Name, ":", "-") }

// permissionGroup is a row of the editor.
type permissionGroup struct {
	Name        string
	Permissions []permissionView
}

// rolePageView is one role, to view or to change.
type rolePageView struct {
	// ID is empty for a new role.
	ID, Name, Description string
	BuiltIn               bool
	Groups                []permissionGroup
	Problem, Next         string
	Wrong                 wrong
}

func (v rolePageView) action() string {
	if v.ID == "" {
		return "/admin/roles"
	}
	return "/admin/roles/" + v.ID
}

func (v rolePageView) call() string {
	body := ` {"name": "Prompt author", "permissions": ["app:open", "chatflows:view"]}`
	if v.ID == "" {
		return "POST /api/v1/roles" + body
	}
	return "PUT /api/v1/roles/" + v.ID + body
}

func groupsOf(has func(authz.Action) bool) []permissionGroup {
	var groups []permissionGroup
	for _, perm := range authz.Permissions() {
		if len(groups) == 0 || groups[len(groups)-1].Name != perm.Group {
			groups = append(groups, permissionGroup{Name: perm.Group})
		}
		last := &groups[len(groups)-1]
		last.Permissions = append(
			last.Permissions,
			permissionView{Title: perm.Title, Name: string(perm.Name), Has: has(perm.Name)},
		)
	}
	return groups
}

// showNewRole starts with the permissions of another role, if one is named, because most roles are
// variations of another.
func (p *rolePages) showNewRole(x *visit) error {
	v := rolePageView{}
	has := map[authz.Action]bool{}
	if from, ok := p.people.Role(x.r.URL.Query().Get("from")); ok {
		has = p.permits(x, from)
	}
	v.Groups = groupsOf(func(a authz.Action) bool { return has[a] })
	return x.render(http.StatusOK, rolePage(x.frame("New role", "/admin/roles"), v))
}

func (p *rolePages) showRole(x *visit) error {
	r, ok := p.people.Role(x.r.PathValue("id"))
	if !ok {
		return problem.New(problem.NotFound, "There is no such role.").WithNext("Open the list of roles.")
	}
	has := p.permits(x, r)
	v := rolePageView{
		ID:          r.ID,
		Name:        r.Name,
		Description: r.Description,
		BuiltIn:     r.BuiltIn,
		Groups:      groupsOf(func(a authz.Action) bool { return has[a] }),
	}
	return x.render(http.StatusOK, rolePage(x.frame(r.Name, "/admin/roles"), v))
}

func roleForm(x *visit, id string) identity.Role {
	return identity.Role{
		ID:          id,
		Name:        x.value("name"),
		Description: x.value("description"),
		Permissions: x.r.PostForm["permission"],
	}
}

func (p *rolePages) addRole(x *visit) error {
	r := roleForm(x, "")
	if _, err := p.people.CreateRole(x.r.Context(), x.who, r); err != nil {
		return p.roleMistake(x, r, err)
	}
	return x.done("/admin/roles", "custom-role")
}

func (p *rolePages) changeRole(x *visit) error {
	r := roleForm(x, x.r.PathValue("id"))
	if err := p.people.UpdateRole(x.r.Context(), x.who, r); err != nil {
		return p.roleMistake(x, r, err)
	}
	return x.done("/admin/roles", "custom-role")
}

func (p *rolePages) deleteRole(x *visit) error {
	id := x.r.PathValue("id")
	err := p.people.DeleteRole(x.r.Context(), x.who, id)
	if err == nil {
		return x.done("/admin/roles", "no-role")
	}
	r, ok := p.people.Role(id)
	if !ok {
		return err
	}
	return p.roleMistake(x, r, err)
}

// roleMistake shows the editor again with the submitted values.
func (p *rolePages) roleMistake(x *visit, r identity.Role, err error) error {
	m, ok := formMistake(err, "name", "description", "permissions")
	if !ok {
		return err
	}
	chosen := map[authz.Action]bool{}
	for _, name := range r.Permissions {
		chosen[authz.Action(name)] = true
	}
	v := rolePageView{
		ID:          r.ID,
		Name:        clipped(r.Name, 200),
		Description: clipped(r.Description, 1000),
		Groups:      groupsOf(func(a authz.Action) bool { return chosen[a] }),
		Problem:     m.Text,
		Next:        m.Next,
		Wrong:       m.Wrong,
	}
	if text := m.Wrong["permissions"]; text != "" {
		v.Problem = text
	}
	return x.render(m.status, rolePage(x.frame("Role", "/admin/roles"), v))
}
