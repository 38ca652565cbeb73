package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
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

func (p *workspaceBook) loadWorkspaces(ctx context.Context) error {
	rows, err := q.New(p.cfg.DB.Read()).AllWorkspaces(ctx)
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
	p.cfg.Gate.SetStrict(strict)
	return nil
}

// workplace is the part of a workspace that is held in memory.
type workplace struct{ name, secondFactor string }

// WorkspaceName returns a workspace's name from memory. ok is false if the id is unknown.
func (p *workspaceBook) WorkspaceName(id string) (name string, ok bool) {
	w, ok := (*p.workspaces.Load())[id]
	return w.name, ok
}

// WorkspacesOf lists the workspaces that a person may work in, by name: their own, or all for
// superusers.
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
	rows, err := q.New(p.cfg.DB.Read()).AllWorkspaces(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing workspaces: %w", err)
	}
	out := []Workspace{}
	for _, r := range rows {
		if p.cfg.Gate.Decide(actor, authz.WorkspaceView, workspaceResource(r.ID, r.Name)).Allowed {
			out = append(out, Workspace{
				ID:           r.ID,
				Name:         r.Name,
				SecondFactor: r.SecondFactor,
				Members:      int(r.Members),
				CreatedAt:    moment(r.CreatedAt),
			})
		}
	}
	return out, nil
}

// Workspace returns one workspace. One that the actor does not belong to is not found.
func (p *workspaceBook) Workspace(ctx context.Context, actor authz.Principal, id string) (Workspace, error) {
	row, err := q.New(p.cfg.DB.Read()).GetWorkspace(ctx, id)
	if err != nil {
		return Workspace{}, db.Found(err, noWorkspace().Detail)
	}
	if err := p.seeWorkspace(ctx, actor, id); err != nil {
		return Workspace{}, err
	}
	return Workspace{ID: row.ID, Name: row.Name, SecondFactor: row.SecondFactor, CreatedAt: moment(row.CreatedAt)}, nil
}

// seeWorkspace returns NotFound, and records the refusal, for a workspace that the actor may not
// see.
func (p *workspaceBook) seeWorkspace(ctx context.Context, actor authz.Principal, id string) error {
	name, ok := p.WorkspaceName(id)
	err := p.cfg.Gate.Check(ctx, actor, authz.WorkspaceView, workspaceResource(id, name))
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

func cleanWorkspaceName(name string) (string, error) {
	clean, err := cleanName(name)
	if n := utf8.RuneCountInString(clean); err != nil || n < 2 || n > 60 {
		return "", invalid("name", "A workspace's name has 2 to 60 printable characters.")
	}
	return clean, nil
}

// RenameWorkspace renames a workspace. It requires WorkspaceManage there.
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

func (p *workspaceBook) changeWorkspace(
	ctx context.Context,
	actor authz.Principal,
	id, detail string,
	fn func(*db.Tx) error,
) error {
	if err := p.seeWorkspace(ctx, actor, id); err != nil {
		return err
	}
	name, _ := p.WorkspaceName(id)
	return p.cfg.Gate.DoDetail(
		ctx,
		actor,
		authz.WorkspaceManage,
		workspaceResource(id, name),
		detail,
		func(tx *db.Tx) error {
			if err := fn(tx); err != nil {
				return err
			}
			return tx.Changed(WorkspaceChange, id)
		},
	)
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
		return problem.New(problem.Conflict, "This is the workspace's last admin.").
			WithNext("Give another member the role Admin first.")
	}
	return nil
}

// workspaceBook keeps the workspaces and their second-factor policies, in memory and in the
// database.
type workspaceBook struct {
	cfg        Config
	workspaces atomic.Pointer[map[string]workplace] // by id
}

// SecondFactorFor returns the strictest policy of the workspaces that a person belongs to.
func (p *workspaceBook) SecondFactorFor(who authz.Principal) string {
	strictest := FactorOff
	known := *p.workspaces.Load()
	for _, m := range who.Memberships {
		switch known[m.Workspace].secondFactor {
		case FactorRequired:
			return FactorRequired
		case FactorEncouraged:
			strictest = FactorEncouraged
		}
	}
	if who.Superuser && strictest == FactorOff {
		// Superusers need no membership; the policy of the default workspace applies to them.
		return known[DefaultWorkspace].secondFactor
	}
	return strictest
}

// SetSecondFactor sets a workspace's policy. It requires WorkspaceManage there. A person who makes
// a second factor required must have proven one, because otherwise they would lock themselves out.
func (p *workspaceBook) SetSecondFactor(ctx context.Context, actor authz.Principal, workspaceID, policy string) error {
	switch policy {
	case FactorOff, FactorEncouraged, FactorRequired:
	default:
		return invalid("second_factor", "A second factor is off, encouraged or required.")
	}
	if err := p.seeWorkspace(ctx, actor, workspaceID); err != nil {
		return err
	}
	name, _ := p.WorkspaceName(workspaceID)
	if err := p.cfg.Gate.Check(ctx, actor, authz.WorkspaceManage, workspaceResource(workspaceID, name)); err != nil {
		return err
	}
	if policy == FactorRequired && !actor.Strong {
		return problem.New(problem.Conflict, "You would close the workspace to yourself: this session has no second "+
			"factor.").
			WithField("second_factor").
			WithNext("Set one up on your account page first.")
	}
	return p.changeWorkspace(ctx, actor, workspaceID, "second factor "+policy, func(tx *db.Tx) error {
		_, err := q.New(tx).SetSecondFactor(ctx, q.SetSecondFactorParams{ID: workspaceID, SecondFactor: policy})
		return err
	})
}

// PrepareWorkspace checks the name of a workspace and gives it an id. It checks no permission.
func (p *workspaceBook) PrepareWorkspace(name string) (Workspace, error) {
	name, err := cleanWorkspaceName(name)
	if err != nil {
		return Workspace{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Workspace{}, fmt.Errorf("creating an id: %w", err)
	}
	return Workspace{ID: id.String(), Name: name, CreatedAt: p.cfg.Now().UTC()}, nil
}

// InsertWorkspaces stores prepared workspaces, without members, within the caller's transaction. It
// announces a single change, because nodes read all workspaces again at each one.
func (p *workspaceBook) InsertWorkspaces(ctx context.Context, tx *db.Tx, list []Workspace) error {
	for _, w := range list {
		if err := q.New(tx).InsertWorkspace(ctx, q.InsertWorkspaceParams{
			ID:        w.ID,
			Name:      w.Name,
			CreatedAt: w.CreatedAt.UnixMilli(),
		}); err != nil {
			return fmt.Errorf("adding a workspace: %w", err)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return tx.Changed(WorkspaceChange, list[0].ID)
}

// Policies of a workspace about second factors, from least to most strict.
const (
	// FactorOff leaves the choice to each person.
	FactorOff = "off"
	// FactorEncouraged offers to set one up at each sign-in.
	FactorEncouraged = "encouraged"
	// FactorRequired closes the workspace to sessions without a second factor.
	FactorRequired = "required"
)
