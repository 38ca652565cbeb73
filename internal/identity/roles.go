package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"unicode/utf8"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/identity"
	"sluice/internal/problem"
)

const (
	// RoleChange is the kind of changes of custom roles.
	RoleChange = "role"
	// WorkspaceChange is the kind of changes of workspaces.
	WorkspaceChange = "workspace"
)

// maxRoles bounds how many custom roles there may be; each is a policy that decisions meet.
const maxRoles = 100

// Role is a built-in or custom role.
type Role struct {
	// ID stands in memberships: "admin", "user", "viewer", or a UUID.
	ID, Name, Description string
	// Permissions of a custom role, by name; empty for built-in ones, which policy files describe.
	Permissions []string
	// BuiltIn roles cannot be changed.
	BuiltIn bool
}

func builtInRoles() []Role {
	return []Role{
		{ID: authz.RoleAdmin, Name: "Admin", Description: "May do everything in the workspace.", BuiltIn: true},
		{ID: authz.RoleUser, Name: "User", Description: "Creates and manages flows, and runs them.", BuiltIn: true},
		{ID: authz.RoleViewer, Name: "Viewer", Description: "Reads and runs flows.", BuiltIn: true},
	}
}

// followRolesAndWorkspaces loads what decisions and names need and keeps it true.
func (p *People) followRolesAndWorkspaces(ctx context.Context) error {
	p.DB.Subscribe(RoleChange, func(string) {
		if err := p.loadRoles(context.Background()); err != nil {
			p.Log.Error("the roles could not be read again; the former ones stay in force", "error", err)
		}
	})
	p.DB.Subscribe(WorkspaceChange, func(string) {
		if err := p.loadWorkspaces(context.Background()); err != nil {
			p.Log.Error("the workspaces could not be read again", "error", err)
		}
	})
	if err := p.loadRoles(ctx); err != nil {
		return fmt.Errorf("loading roles: %w", err)
	}
	if err := p.loadWorkspaces(ctx); err != nil {
		return fmt.Errorf("loading workspaces: %w", err)
	}
	return nil
}

func (p *roleBook) loadRoles(ctx context.Context) error {
	rows, err := q.New(p.DB.Read()).AllRoles(ctx)
	if err != nil {
		return err
	}
	roles := builtInRoles()
	var custom []authz.CustomRole
	for _, r := range rows {
		permissions := strings.Fields(r.Permissions)
		roles = append(roles, Role{ID: r.ID, Name: r.Name, Description: r.Description, Permissions: permissions})
		custom = append(custom, authz.CustomRole{ID: r.ID, Permissions: permissions})
	}
	if err := p.Gate.SetRoles(custom); err != nil {
		return err
	}
	p.roles.Store(&roles)
	return nil
}

// Roles lists the built-in roles and then the custom ones by name, from memory. It is no secret which roles exist.
func (p *roleBook) Roles() []Role { return *p.roles.Load() }

// Role finds a role by id.
func (p *roleBook) Role(id string) (Role, bool) {
	i := slices.IndexFunc(p.Roles(), func(r Role) bool { return r.ID == id })
	if i < 0 {
		return Role{}, false
	}
	return p.Roles()[i], true
}

// RoleName is the display name of a role's id.
func (p *roleBook) RoleName(id string) string {
	if r, ok := p.Role(id); ok {
		return r.Name
	}
	return authz.RoleTitle(id)
}

func (p *roleBook) checkRole(id string) error {
	if _, ok := p.Role(id); !ok {
		return invalid("role", "The role is not known; expected is admin, user, viewer or the id of a custom role.")
	}
	return nil
}

// CreateRole adds a custom role. It needs RoleManage, as do changing and deleting one.
func (p *roleBook) CreateRole(ctx context.Context, actor authz.Principal, r Role) (Role, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Role{}, fmt.Errorf("making an id: %w", err)
	}
	r.ID, r.BuiltIn = id.String(), false
	if err := p.Gate.Check(ctx, actor, authz.RoleManage, authz.Resource{Type: "Role"}); err != nil {
		return Role{}, err
	}
	if err := r.clean(); err != nil {
		return Role{}, err
	}
	if len(p.Roles()) >= maxRoles+len(builtInRoles()) {
		return Role{}, problem.Newf(problem.Conflict, "There are %d custom roles, which is the most there can be.", maxRoles)
	}
	err = p.changeRole(ctx, actor, r, "created: "+strings.Join(r.Permissions, " "), func(tx *db.Tx) error {
		return q.New(tx).InsertRole(ctx, q.InsertRoleParams{
			ID: r.ID, Name: r.Name, NameKey: key(r.Name), Description: r.Description, Permissions: strings.Join(r.Permissions, " "), CreatedAt: p.Now().UnixMilli(),
		})
	})
	return r, err
}

// UpdateRole changes a custom role; everybody who holds it has the new rights on the next request.
func (p *roleBook) UpdateRole(ctx context.Context, actor authz.Principal, r Role) error {
	if err := p.customRole(ctx, actor, r.ID); err != nil {
		return err
	}
	if err := r.clean(); err != nil {
		return err
	}
	return p.changeRole(ctx, actor, r, "changed to: "+strings.Join(r.Permissions, " "), func(tx *db.Tx) error {
		_, err := q.New(tx).UpdateRole(ctx, q.UpdateRoleParams{
			ID: r.ID, Name: r.Name, NameKey: key(r.Name), Description: r.Description, Permissions: strings.Join(r.Permissions, " "), UpdatedAt: p.Now().UnixMilli(),
		})
		return err
	})
}

// DeleteRole removes a custom role that nobody holds.
func (p *roleBook) DeleteRole(ctx context.Context, actor authz.Principal, id string) error {
	if err := p.customRole(ctx, actor, id); err != nil {
		return err
	}
	r, _ := p.Role(id)
	return p.changeRole(ctx, actor, r, "deleted", func(tx *db.Tx) error {
		if err := tx.Ordered(); err != nil {
			return err
		}
		n, err := q.New(tx).CountMembershipsWithRole(ctx, id)
		if err != nil {
			return fmt.Errorf("counting who holds the role: %w", err)
		}
		if n > 0 {
			return problem.Newf(problem.Conflict, "%d memberships have this role.", n).WithNext("Give those people another role first.")
		}
		_, err = q.New(tx).DeleteRole(ctx, id)
		return err
	})
}

func (p *roleBook) customRole(ctx context.Context, actor authz.Principal, id string) error {
	if err := p.Gate.Check(ctx, actor, authz.RoleManage, authz.Resource{Type: "Role", ID: id}); err != nil {
		return err
	}
	r, ok := p.Role(id)
	switch {
	case !ok:
		return problem.New(problem.NotFound, "There is no such role.")
	case r.BuiltIn:
		return problem.New(problem.Conflict, "Built-in roles cannot be changed.").WithNext("Make a custom role with the permissions that you want.")
	}
	return nil
}

func (p *roleBook) changeRole(ctx context.Context, actor authz.Principal, r Role, detail string, fn func(*db.Tx) error) error {
	return p.Gate.DoDetail(ctx, actor, authz.RoleManage, authz.Resource{Type: "Role", ID: r.ID, Name: r.Name}, detail, func(tx *db.Tx) error {
		if err := fn(tx); err != nil {
			if db.IsUnique(err) {
				return problem.New(problem.Conflict, "There is a role with this name already.").WithField("name")
			}
			return err
		}
		return tx.Changed(RoleChange, r.ID)
	})
}

func (r *Role) clean() error {
	r.Name = strings.Join(strings.Fields(r.Name), " ")
	r.Description = strings.TrimSpace(r.Description)
	if n := utf8.RuneCountInString(r.Name); n < 2 || n > 50 || !utf8.ValidString(r.Name) {
		return invalid("name", "A role's name has 2 to 50 characters.")
	}
	for _, b := range builtInRoles() {
		if key(r.Name) == key(b.Name) {
			return invalid("name", "This is the name of a built-in role.")
		}
	}
	if utf8.RuneCountInString(r.Description) > 200 {
		return invalid("description", "A description has at most 200 characters.")
	}
	if len(r.Permissions) == 0 {
		return invalid("permissions", "Choose at least one permission.")
	}
	for _, name := range r.Permissions {
		if !authz.IsPermission(name) {
			return problem.Newf(problem.Invalid, "There is no permission %.40q.", name).WithField("permissions")
		}
	}
	slices.Sort(r.Permissions)
	r.Permissions = slices.Compact(r.Permissions)
	return nil
}

// Right is one line of "what can this person do?".
type Right struct {
	authz.Permission
	// Allowed is the answer, Policies the policies that made it.
	Allowed  bool
	Policies []string
}

// WhatCan answers for every permission whether a person has it in a workspace. It needs UserView, or to ask about oneself.
func (p *People) WhatCan(ctx context.Context, actor authz.Principal, userID, workspaceID string) ([]Right, error) {
	u, err := p.Get(ctx, actor, userID)
	if err != nil {
		return nil, err
	}
	who, active := p.Principal(u.ID)
	// What a second factor would open is asked of the session, not of the person.
	who.Strong = true
	rights := make([]Right, 0, 64)
	for _, permission := range authz.Permissions() {
		r := Right{Permission: permission}
		if active {
			d := p.Gate.Decide(who, permission.Name, authz.Resource{Type: "Workspace", Workspace: workspaceID})
			r.Allowed, r.Policies = d.Allowed, d.Policies
		}
		rights = append(rights, r)
	}
	return rights, nil
}

// Remove deletes an account for good. What the person owns goes to another one; without an heir it is refused while they own anything. It needs UserDelete.
func (p *People) Remove(ctx context.Context, actor authz.Principal, userID, heirID string) error {
	if err := p.Gate.Check(ctx, actor, authz.UserDelete, anybody()); err != nil {
		return err
	}
	if userID == heirID {
		return invalid("heir", "Choose somebody else to take over.")
	}
	if heirID != "" {
		if _, active := p.Principal(heirID); !active {
			return invalid("heir", "Whoever takes over must be an active person.")
		}
	}
	return p.change(ctx, actor, authz.UserDelete, userID, "deleted", func(tx *db.Tx, u User) error {
		if u.Superuser && u.Active {
			if err := keepOne(ctx, tx, u); err != nil {
				return err
			}
		}
		owned, err := q.New(tx).CountObjectsOfOwner(ctx, u.ID)
		if err != nil {
			return fmt.Errorf("counting what the person owns: %w", err)
		}
		if owned > 0 && heirID == "" {
			return problem.Newf(problem.Conflict, "%s owns %d objects.", u.Username, owned).WithField("heir").WithNext("Choose who takes them over.")
		}
		if owned > 0 {
			if err := p.Hooks.Removed(ctx, tx, u.ID, heirID); err != nil {
				return err
			}
		}
		_, err = q.New(tx).DeleteAccount(ctx, u.ID)
		return err
	})
}
