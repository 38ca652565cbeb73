package api

import (
	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// role is a built-in or custom role.
type role struct {
	ID          string   `json:"id" example:"viewer"`
	Name        string   `json:"name" example:"Viewer"`
	Description string   `json:"description"`
	Permissions []string `json:"permissions" nullable:"false" doc:"Of a custom role; built-in roles are written as policies."`
	BuiltIn     bool     `json:"built_in"`
}

func roleOf(r identity.Role) role {
	return role{r.ID, r.Name, r.Description, append([]string{}, r.Permissions...), r.BuiltIn}
}

func listRoles(x *visit, in *Paging) (list[role], error) {
	return pageOf(x.cfg.People.Roles(), *in, roleOf), nil
}

func getRole(x *visit, in *RolePath) (role, error) {
	r, ok := x.cfg.People.Role(in.Role)
	if !ok {
		return role{}, problem.New(problem.NotFound, "There is no such role.")
	}
	return roleOf(r), nil
}

// roleSpec describes a custom role.
type roleSpec struct {
	Name        string   `json:"name" minLength:"2" maxLength:"50" doc:"2 to 50 characters, different from other roles' names." example:"Flow author"`
	Description string   `json:"description,omitempty" maxLength:"200" example:"Writes and runs chatflows."`
	Permissions []string `json:"permissions" nullable:"false" minItems:"1" maxItems:"200" doc:"Names from the list of permissions." example:"[\"app:open\",\"chatflows:view\",\"chatflows:create\"]"`
}

func (s roleSpec) role(id string) identity.Role {
	return identity.Role{ID: id, Name: s.Name, Description: s.Description, Permissions: s.Permissions}
}

type newRoleInput struct{ Body roleSpec }

func createRole(x *visit, in *newRoleInput) (role, error) {
	r, err := x.cfg.People.CreateRole(x, x.who, in.Body.role(""))
	return roleOf(r), err
}

type updateRoleInput struct {
	RolePath
	Body roleSpec
}

func updateRole(x *visit, in *updateRoleInput) error {
	return x.cfg.People.UpdateRole(x, x.who, in.Body.role(in.Role))
}

func deleteRole(x *visit, in *RolePath) error {
	return x.cfg.People.DeleteRole(x, x.who, in.Role)
}

// permission is one entry of the list of permissions for roles.
type permission struct {
	Name  string `json:"name" example:"chatflows:create"`
	Title string `json:"title" example:"Create chatflows"`
	Group string `json:"group" example:"Chatflows and agentflows"`
	Part  string `json:"part_of" doc:"The action that it is part of." example:"flow:edit"`
}

func permissionOf(p authz.Permission) permission {
	return permission{string(p.Name), p.Title, p.Group, string(p.Class)}
}

func listPermissions(_ *visit, in *Paging) (list[permission], error) {
	return pageOf(authz.Permissions(), *in, permissionOf), nil
}
