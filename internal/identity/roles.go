package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
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

// maxRoles bounds the number of custom roles, because each is a policy that every decision
// evaluates.
const maxRoles = 100

// Role is a built-in or custom role.
type Role struct {
	// ID is the value in memberships: "admin", "user", "viewer", or a UUID.
	ID, Name, Description string
	// Permissions are the names of a custom role's permissions. They are empty for built-in roles,
	// which policy files describe.
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

func (p *roleBook) loadRoles(ctx context.Context) error {
	rows, err := q.New(p.cfg.DB.Read()).AllRoles(ctx)
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
	if err := p.cfg.Gate.SetRoles(custom); err != nil {
		return err
	}
	p.roles.Store(&roles)
	return nil
}

// Roles lists the built-in roles and then the custom ones by name, from memory. The list is not
// secret.
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

// CreateRole creates a custom role. Creating, changing and deleting roles requires RoleManage.
func (p *roleBook) CreateRole(ctx context.Context, actor authz.Principal, r Role) (Role, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Role{}, fmt.Errorf("creating an id: %w", err)
	}
	r.ID, r.BuiltIn = id.String(), false
	if err := p.cfg.Gate.Check(ctx, actor, authz.RoleManage, authz.Resource{Type: "Role"}); err != nil {
		return Role{}, err
	}
	if err := r.clean(); err != nil {
		return Role{}, err
	}
	if len(p.Roles()) >= maxRoles+len(builtInRoles()) {
		return Role{}, problem.Newf(problem.Conflict, "There are %d custom roles, which is the most there "+
			"can be.", maxRoles)
	}
	err = p.changeRole(ctx, actor, r, "created: "+strings.Join(r.Permissions, " "), func(tx *db.Tx) error {
		return q.New(tx).InsertRole(ctx, q.InsertRoleParams{
			ID:          r.ID,
			Name:        r.Name,
			NameKey:     key(r.Name),
			Description: r.Description,
			Permissions: strings.Join(r.Permissions, " "),
			CreatedAt:   p.cfg.Now().UnixMilli(),
		})
	})
	return r, err
}

// UpdateRole changes a custom role. The new permissions apply to everyone who has it from the next
// request on.
func (p *roleBook) UpdateRole(ctx context.Context, actor authz.Principal, r Role) error {
	if err := p.customRole(ctx, actor, r.ID); err != nil {
		return err
	}
	if err := r.clean(); err != nil {
		return err
	}
	return p.changeRole(ctx, actor, r, "changed to: "+strings.Join(r.Permissions, " "), func(tx *db.Tx) error {
		_, err := q.New(tx).UpdateRole(ctx, q.UpdateRoleParams{
			ID:          r.ID,
			Name:        r.Name,
			NameKey:     key(r.Name),
			Description: r.Description,
			Permissions: strings.Join(r.Permissions, " "),
			UpdatedAt:   p.cfg.Now().UnixMilli(),
		})
		return err
	})
}

// DeleteRole deletes a custom role that no one has.
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
			return problem.Newf(problem.Conflict, "%d memberships have this role.", n).
				WithNext("Give those people another role first.")
		}
		_, err = q.New(tx).DeleteRole(ctx, id)
		return err
	})
}

func (p *roleBook) customRole(ctx context.Context, actor authz.Principal, id string) error {
	if err := p.cfg.Gate.Check(ctx, actor, authz.RoleManage, authz.Resource{Type: "Role", ID: id}); err != nil {
		return err
	}
	r, ok := p.Role(id)
	switch {
	case !ok:
		return problem.New(problem.NotFound, "There is no such role.")
	case r.BuiltIn:
		return problem.New(problem.Conflict, "Built-in roles cannot be changed.").
			WithNext("Make a custom role with the permissions that you want.")
	}
	return nil
}

func (p *roleBook) changeRole(
	ctx context.Context,
	actor authz.Principal,
	r Role,
	detail string,
	fn func(*db.Tx) error,
) error {
	return p.cfg.Gate.DoDetail(ctx, actor, authz.RoleManage, authz.Resource{
		Type: "Role",
		ID:   r.ID,
		Name: r.Name,
	}, detail, func(tx *db.Tx) error {
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

// roleBook keeps the built-in and custom roles, in memory and in the database.
type roleBook struct {
	cfg   Config
	roles atomic.Pointer[[]Role]
}
