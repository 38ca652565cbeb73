package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/identity"
	"sluice/internal/problem"
)

// Workspace is a group of people with the flows that they share.
type Workspace struct {
	ID, Name string
	// SecondFactor is FactorOff, FactorEncouraged or FactorRequired.
	SecondFactor string
	// Members counts memberships.
	Members   int
	CreatedAt time.Time
}

// Member is a person in a workspace.
type Member struct {
	UserID, Username, Name, Email string
	// Role is a role's id.
	Role string
	// Superuser and Active are the account's flags.
	Superuser, Active bool
	// Since is when the membership began; LastSignInAt is zero for never.
	Since, LastSignInAt time.Time
}

func (p *workspaceBook) loadWorkspaces(ctx context.Context) error {
	rows, err := q.New(p.DB.Read()).AllWorkspaces(ctx)
	if err != nil {
		return err
	}
	known, strict := make(map[string]workplace, len(rows)), map[string]bool{}
	for _, r := range rows {
		known[r.ID] = workplace{r.Name, r.SecondFactor}
		if r.SecondFactor == FactorRequired {
			strict[r.ID] = true
		}
	}
	p.workspaces.Store(&known)
	p.Gate.SetStrict(strict)
	return nil
}

// workplace is what is known of a workspace in memory.
type workplace struct{ name, secondFactor string }

// WorkspaceName is a workspace's name from memory; ok is false if there is none with this id.
func (p *workspaceBook) WorkspaceName(id string) (name string, ok bool) {
	w, ok := (*p.workspaces.Load())[id]
	return w.name, ok
}

// WorkspacesOf lists the workspaces that somebody may work in, by name: their own, for superusers all.
func (p *workspaceBook) WorkspacesOf(who authz.Principal) []Workspace {
	var out []Workspace
	for id, w := range *p.workspaces.Load() {
		if who.Superuser || who.Role(id) != "" {
			out = append(out, Workspace{ID: id, Name: w.name, SecondFactor: w.secondFactor})
		}
	}
	slices.SortFunc(out, func(a, b Workspace) int { return strings.Compare(key(a.Name)+a.ID, key(b.Name)+b.ID) })
	return out
}

// Workspaces lists the workspaces that the actor may see, with the number of members.
func (p *workspaceBook) Workspaces(ctx context.Context, actor authz.Principal) ([]Workspace, error) {
	rows, err := q.New(p.DB.Read()).AllWorkspaces(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing workspaces: %w", err)
	}
	out := []Workspace{}
	for _, r := range rows {
		if p.Gate.Decide(actor, authz.WorkspaceView, workspaceResource(r.ID, r.Name)).Allowed {
			out = append(out, Workspace{ID: r.ID, Name: r.Name, SecondFactor: r.SecondFactor, Members: int(r.Members), CreatedAt: moment(r.CreatedAt)})
		}
	}
	return out, nil
}

// Workspace returns one workspace. Those of others are not found.
func (p *workspaceBook) Workspace(ctx context.Context, actor authz.Principal, id string) (Workspace, error) {
	row, err := q.New(p.DB.Read()).GetWorkspace(ctx, id)
	if err != nil {
		return Workspace{}, db.Found(err, noWorkspace().Detail)
	}
	if err := p.seeWorkspace(ctx, actor, id); err != nil {
		return Workspace{}, err
	}
	return Workspace{ID: row.ID, Name: row.Name, SecondFactor: row.SecondFactor, CreatedAt: moment(row.CreatedAt)}, nil
}

// seeWorkspace answers NotFound, and records the refusal, for workspaces that are not the actor's.
func (p *workspaceBook) seeWorkspace(ctx context.Context, actor authz.Principal, id string) error {
	name, ok := p.WorkspaceName(id)
	err := p.Gate.Check(ctx, actor, authz.WorkspaceView, workspaceResource(id, name))
	if !ok || problem.Is(err, problem.Denied) {
		return noWorkspace()
	}
	return err
}

func noWorkspace() *problem.Error {
	return problem.New(problem.NotFound, "There is no such workspace, or you do not belong to it.")
}

func workspaceResource(id, name string) authz.Resource {
	return authz.Resource{Type: "Workspace", ID: id, Workspace: id, Name: name}
}

// CreateWorkspace adds a workspace; its creator becomes its admin. It needs WorkspaceCreate.
func (p *People) CreateWorkspace(ctx context.Context, actor authz.Principal, name string) (Workspace, error) {
	if err := p.Gate.Check(ctx, actor, authz.WorkspaceCreate, authz.Resource{Type: "Workspace"}); err != nil {
		return Workspace{}, err
	}
	name, err := cleanWorkspaceName(name)
	if err != nil {
		return Workspace{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Workspace{}, fmt.Errorf("making an id: %w", err)
	}
	w, now := Workspace{ID: id.String(), Name: name, CreatedAt: p.Now().UTC()}, p.Now().UnixMilli()
	err = p.Gate.Do(ctx, actor, authz.WorkspaceCreate, authz.Resource{Type: "Workspace", ID: w.ID, Name: name}, func(tx *db.Tx) error {
		if err := q.New(tx).InsertWorkspace(ctx, q.InsertWorkspaceParams{ID: w.ID, Name: name, CreatedAt: now}); err != nil {
			return fmt.Errorf("adding the workspace: %w", err)
		}
		if err := tx.Changed(WorkspaceChange, w.ID); err != nil {
			return err
		}
		if actor.Kind != authz.Person {
			return nil
		}
		w.Members = 1
		return p.join(ctx, tx, w.ID, actor.ID, authz.RoleAdmin)
	})
	return w, err
}

// join puts a membership in force within the caller's transaction.
func (p *accountWriter) join(ctx context.Context, tx *db.Tx, workspaceID, userID, role string) error {
	now := p.Now().UnixMilli()
	if err := q.New(tx).PutMembership(ctx, q.PutMembershipParams{WorkspaceID: workspaceID, AccountID: userID, Role: role, CreatedAt: now}); err != nil {
		return fmt.Errorf("adding the membership: %w", err)
	}
	if err := q.New(tx).BumpAccount(ctx, q.BumpAccountParams{ID: userID, UpdatedAt: now}); err != nil {
		return fmt.Errorf("adding the membership: %w", err)
	}
	return tx.Changed(ChangeKind, userID)
}

// Join gives somebody a role in a workspace within the caller's transaction. It asks no right: an accepted invitation has decided it.
func (p *accountWriter) Join(ctx context.Context, tx *db.Tx, workspaceID, userID, role string) error {
	return p.join(ctx, tx, workspaceID, userID, role)
}

func cleanWorkspaceName(name string) (string, error) {
	clean, err := cleanName(name)
	if n := utf8.RuneCountInString(clean); err != nil || n < 2 || n > 60 {
		return "", invalid("name", "A workspace's name has 2 to 60 printable characters.")
	}
	return clean, nil
}

// RenameWorkspace needs WorkspaceManage in it.
func (p *workspaceBook) RenameWorkspace(ctx context.Context, actor authz.Principal, id, name string) error {
	return p.changeWorkspace(ctx, actor, id, "renamed", func(tx *db.Tx) error {
		clean, err := cleanWorkspaceName(name)
		if err != nil {
			return err
		}
		_, err = q.New(tx).RenameWorkspace(ctx, q.RenameWorkspaceParams{ID: id, Name: clean})
		return err
	})
}

// DeleteWorkspace removes an empty workspace: one that no object of a builder belongs to, but projects, which are folders that some builders make by themselves. The default one stays. It needs WorkspaceCreate, as whoever deletes could make it anew.
func (p *People) DeleteWorkspace(ctx context.Context, actor authz.Principal, id string) error {
	if err := p.Gate.Check(ctx, actor, authz.WorkspaceCreate, authz.Resource{Type: "Workspace", ID: id}); err != nil {
		return err
	}
	if id == DefaultWorkspace {
		return problem.New(problem.Conflict, "The default workspace stays.")
	}
	members, err := p.Members(ctx, actor, id)
	if err != nil {
		return err
	}
	return p.changeWorkspace(ctx, actor, id, "deleted", func(tx *db.Tx) error {
		n, err := q.New(tx).CountObjectsOfWorkspace(ctx, id)
		if err != nil {
			return fmt.Errorf("counting objects: %w", err)
		}
		if n > 0 {
			return problem.Newf(problem.Conflict, "%d objects of builders belong to this workspace.", n).WithNext("Delete them in the builder, or assign them to another workspace.")
		}
		if err := p.Hooks.WorkspaceDeleted(ctx, tx, id); err != nil {
			return err
		}
		if _, err := q.New(tx).DeleteWorkspace(ctx, id); err != nil {
			return fmt.Errorf("deleting the workspace: %w", err)
		}
		for _, m := range members {
			if err := q.New(tx).BumpAccount(ctx, q.BumpAccountParams{ID: m.UserID, UpdatedAt: p.Now().UnixMilli()}); err != nil {
				return fmt.Errorf("ending a membership: %w", err)
			}
			if err := tx.Changed(ChangeKind, m.UserID); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *workspaceBook) changeWorkspace(ctx context.Context, actor authz.Principal, id, detail string, fn func(*db.Tx) error) error {
	if err := p.seeWorkspace(ctx, actor, id); err != nil {
		return err
	}
	name, _ := p.WorkspaceName(id)
	return p.Gate.DoDetail(ctx, actor, authz.WorkspaceManage, workspaceResource(id, name), detail, func(tx *db.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Changed(WorkspaceChange, id)
	})
}

// Members lists the people of a workspace by username.
func (p *People) Members(ctx context.Context, actor authz.Principal, workspaceID string) ([]Member, error) {
	if err := p.seeWorkspace(ctx, actor, workspaceID); err != nil {
		return nil, err
	}
	rows, err := q.New(p.DB.Read()).MembersOf(ctx, workspaceID)
	if err != nil {
		return nil, fmt.Errorf("listing members: %w", err)
	}
	out := make([]Member, len(rows))
	for i, r := range rows {
		out[i] = Member{
			UserID: r.ID, Username: r.Username, Name: r.Name, Email: r.Email, Role: r.Role, Superuser: r.Superuser, Active: r.Active,
			Since: moment(r.CreatedAt), LastSignInAt: moment(r.LastSignInAt),
		}
	}
	return out, nil
}

// SetRole gives a member a role in a workspace; "" takes the membership away. It needs MemberManage in the workspace. The last active admin of a workspace can be taken away by
// superusers only: nobody else could bring one back.
func (p *People) SetRole(ctx context.Context, actor authz.Principal, userID, workspaceID, role string) error {
	step, err := p.planMembership(ctx, actor, userID, workspaceID, role)
	if err != nil {
		return err
	}
	return p.Gate.DoAll(ctx, actor, *step)
}

func (p *People) planMembership(
	ctx context.Context, actor authz.Principal, userID, workspaceID, role string,
) (*authz.Step, error) {
	if role != "" {
		if err := p.checkRole(role); err != nil {
			return nil, err
		}
	}
	if err := p.seeWorkspace(ctx, actor, workspaceID); err != nil {
		return nil, err
	}
	name, _ := p.WorkspaceName(workspaceID)
	res := workspaceResource(workspaceID, name)
	if err := p.Gate.Check(ctx, actor, authz.MemberManage, res); err != nil {
		return nil, err
	}
	u, err := p.load(ctx, q.New(p.DB.Read()), userID)
	if err != nil {
		return nil, err
	}
	who, _ := p.directoryEntry(userID)
	current := who.Role(workspaceID)
	if !actor.Superuser && current == "" {
		// Admins of a workspace bring people in by invitation; whether an account exists elsewhere is not theirs to find out.
		return nil, problem.New(problem.NotFound, "There is no such person in this workspace.").WithNext("Invite them.")
	}
	detail := fmt.Sprintf("%s: %s to %s", u.Username, p.RoleName(current), p.RoleName(role))
	return &authz.Step{Action: authz.MemberManage, Resource: res, Detail: detail, Change: func(tx *db.Tx) error {
		if current == authz.RoleAdmin && role != authz.RoleAdmin && u.Active && !actor.Superuser {
			if err := keepAdmin(ctx, tx, workspaceID); err != nil {
				return err
			}
		}
		if role != "" {
			return p.join(ctx, tx, workspaceID, userID, role)
		}
		err := q.New(tx).DeleteMembership(ctx, q.DeleteMembershipParams{WorkspaceID: workspaceID, AccountID: userID})
		if err != nil {
			return fmt.Errorf("ending the membership: %w", err)
		}
		err = q.New(tx).BumpAccount(ctx, q.BumpAccountParams{ID: userID, UpdatedAt: p.Now().UnixMilli()})
		if err != nil {
			return fmt.Errorf("ending the membership: %w", err)
		}
		return tx.Changed(ChangeKind, userID)
	}}, nil
}

func keepAdmin(ctx context.Context, tx *db.Tx, workspaceID string) error {
	if err := tx.Ordered(); err != nil {
		return err
	}
	n, err := q.New(tx).CountRole(ctx, q.CountRoleParams{WorkspaceID: workspaceID, Role: authz.RoleAdmin})
	if err != nil {
		return fmt.Errorf("counting admins: %w", err)
	}
	if n <= 1 {
		return problem.New(problem.Conflict, "This is the workspace's last admin.").WithNext("Make somebody else an admin first.")
	}
	return nil
}

// directoryEntry returns a principal from memory whether active or not.
func (p *People) directoryEntry(userID string) (authz.Principal, bool) {
	v, ok := p.directory.Load(userID)
	if !ok {
		return authz.Principal{}, false
	}
	return v.(entry).principal, true
}
