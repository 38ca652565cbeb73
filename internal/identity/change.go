package identity

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/identity"
	"sluice/internal/problem"
)

// Create creates a person. It requires UserCreate; for a superuser, on the whole installation.
func (p *People) Create(ctx context.Context, actor authz.Principal, n NewUser) (User, error) {
	row, err := p.prepare(ctx, actor, n)
	if err != nil {
		return User{}, err
	}
	res := authz.Resource{Type: "User", ID: row.account.ID, Name: row.account.Username}
	var made User
	err = p.cfg.Gate.DoDetail(ctx, actor, authz.UserCreate, res, describeNew(n, row.role), func(tx *db.Tx) error {
		made, err = p.Insert(ctx, tx, row)
		return err
	})
	return made, err
}

// CreateFirst creates the first superuser within the caller's transaction, for the setup link. It
// fails with Conflict if there is already an active superuser.
func (p *People) CreateFirst(ctx context.Context, tx *db.Tx, prepared Prepared) (User, error) {
	n, err := q.New(tx).CountActiveSuperusers(ctx)
	if err != nil {
		return User{}, fmt.Errorf("counting superusers: %w", err)
	}
	if n > 0 {
		return User{}, problem.New(problem.Conflict, "Sluice already has an admin.").
			WithNext("Sign in, or ask that admin for an account.")
	}
	return p.Insert(ctx, tx, prepared)
}

// Prepared is a checked new account with a hashed password, ready to be inserted.
type Prepared struct {
	account         q.InsertAccountParams
	workspace, role string
	waiting         bool
	verified        bool
}

// ID is the id that the account will have.
func (p Prepared) ID() string { return p.account.ID }

// PrepareFirst checks the details of the first superuser and hashes the password, before any
// transaction is open.
func (p *People) PrepareFirst(ctx context.Context, n NewUser) (Prepared, error) {
	n.Superuser, n.Active, n.Role = true, true, authz.RoleAdmin
	if n.Password == "" {
		return Prepared{}, invalid("password", "Choose a password of at least 15 characters.")
	}
	return p.Prepare(ctx, n)
}

// PrepareOperator is PrepareFirst for the superuser named in the operator's own configuration. It
// does not apply the password rules, and "" means no password.
func (p *People) PrepareOperator(ctx context.Context, username, password string) (Prepared, error) {
	out, err := p.Prepare(ctx, NewUser{Username: username, Role: authz.RoleAdmin, Superuser: true, Active: true})
	if err != nil || password == "" {
		return out, err
	}
	out.account.PasswordHash, err = p.cfg.Hasher.Hash(ctx, password)
	return out, err
}

// prepare checks early what policy would refuse, so that an actor without permission costs no
// password hash.
func (p *People) prepare(ctx context.Context, actor authz.Principal, n NewUser) (Prepared, error) {
	if err := p.cfg.Gate.Check(ctx, actor, authz.UserCreate, anybody()); err != nil {
		return Prepared{}, err
	}
	return p.Prepare(ctx, n)
}

// Prepare checks the details of a new account and hashes its password. It checks no permission: the
// caller of Insert has decided that the account can be created.
func (p *People) Prepare(ctx context.Context, n NewUser) (out Prepared, err error) {
	row := &out.account
	if row.Username, err = cleanUsername(n.Username); err != nil {
		return out, err
	}
	if row.Email, err = cleanEmail(n.Email); err != nil {
		return out, err
	}
	if row.Name, err = cleanName(n.Name); err != nil {
		return out, err
	}
	out.role, out.workspace = cmp.Or(n.Role, authz.RoleViewer), cmp.Or(n.Workspace, DefaultWorkspace)
	if err := p.checkRole(out.role); err != nil {
		return out, err
	}
	if n.Password != "" {
		if err := p.CheckPassword(n.Password, row.Username, row.Email, row.Name); err != nil {
			return out, err
		}
		if row.PasswordHash, err = p.cfg.Hasher.Hash(ctx, n.Password); err != nil {
			return out, err
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return out, fmt.Errorf("creating an id: %w", err)
	}
	row.ID, row.UsernameKey, row.Superuser, row.Active, row.CreatedAt = id.String(), key(
		row.Username,
	), n.Superuser, n.Active, p.cfg.Now().UnixMilli()
	row.EmailKey = sql.NullString{String: key(row.Email), Valid: row.Email != ""}
	out.waiting, out.verified = !n.Active, n.EmailVerified
	return out, nil
}

// Insert stores a prepared account with its first membership, within the caller's transaction.
func (p *People) Insert(ctx context.Context, tx *db.Tx, n Prepared) (User, error) {
	row := n.account
	if err := q.New(tx).InsertAccount(ctx, row); err != nil {
		if db.IsUnique(err) {
			return User{}, problem.New(problem.Conflict, "This username or email address is taken.").
				WithField("username").
				WithNext("Choose another one.")
		}
		return User{}, fmt.Errorf("adding the account: %w", err)
	}
	if n.waiting {
		if err := q.New(tx).SetAccountWaiting(ctx, q.SetAccountWaitingParams{
			ID:        row.ID,
			Waiting:   true,
			UpdatedAt: row.CreatedAt,
		}); err != nil {
			return User{}, fmt.Errorf("adding the account: %w", err)
		}
	}
	if n.verified {
		if err := q.New(tx).SetEmailVerified(ctx, q.SetEmailVerifiedParams{
			ID:              row.ID,
			EmailVerifiedAt: row.CreatedAt,
		}); err != nil {
			return User{}, fmt.Errorf("adding the account: %w", err)
		}
	}
	if err := q.New(tx).PutMembership(ctx, q.PutMembershipParams{
		WorkspaceID: n.workspace,
		AccountID:   row.ID,
		Role:        n.role,
		CreatedAt:   row.CreatedAt,
	}); err != nil {
		return User{}, fmt.Errorf("adding the membership: %w", err)
	}
	if err := tx.Changed(ChangeKind, row.ID); err != nil {
		return User{}, err
	}
	return p.load(ctx, q.New(tx), row.ID)
}

func describeNew(n NewUser, role string) string {
	if n.Superuser {
		return "superuser, role " + role
	}
	return "role " + role
}

// keepOne refuses to remove the last active superuser. The numbering lock serializes two such
// changes, so that they cannot both succeed.
func keepOne(ctx context.Context, tx *db.Tx, u User) error {
	if err := tx.Ordered(); err != nil {
		return err
	}
	n, err := q.New(tx).CountActiveSuperusers(ctx)
	if err != nil {
		return fmt.Errorf("counting superusers: %w", err)
	}
	if n <= 1 {
		return problem.Newf(problem.Conflict, "%s is the last active superuser.", u.Username).
			WithNext("Give another person the superuser role first.")
	}
	return nil
}

// Credential holds the data with which package login verifies a password.
type Credential struct {
	UserID, Username, PasswordHash string
	// Email is the account's address. It may be empty.
	Email string
	// Active people may sign in. Waiting people have never been approved. EmailVerified means that
	// the address was proven, Superuser that the person may do anything.
	Active, Waiting, EmailVerified, Superuser bool
}

// Credential finds the account with this username or email address; found is false if no account
// has it. It checks no permission: it is for signing in only.
func (p *People) Credential(ctx context.Context, emailOrUsername string) (c Credential, found bool, err error) {
	row, err := q.New(p.cfg.DB.Read()).FindAccount(ctx, key(emailOrUsername))
	if err := db.Found(err, "nobody"); problem.Is(err, problem.NotFound) {
		return Credential{}, false, nil
	}
	if err != nil {
		return Credential{}, false, fmt.Errorf("finding the account: %w", err)
	}
	return credentialOf(row), true, nil
}

// CredentialOf is Credential by account id.
func (p *People) CredentialOf(ctx context.Context, userID string) (Credential, error) {
	row, err := q.New(p.cfg.DB.Read()).GetAccount(ctx, userID)
	if err != nil {
		return Credential{}, db.Found(err, "There is no such person.")
	}
	return credentialOf(q.FindAccountRow(row)), nil
}

func credentialOf(r q.FindAccountRow) Credential {
	return Credential{
		UserID:        r.ID,
		Username:      r.Username,
		PasswordHash:  r.PasswordHash,
		Email:         r.Email,
		Active:        r.Active,
		Waiting:       r.Waiting,
		EmailVerified: r.EmailVerifiedAt > 0,
		Superuser:     r.Superuser,
	}
}

// Resource is the account as the gate sees it, for packages that act on people.
func (u User) Resource() authz.Resource { return u.resource() }

// UserUpdate is a change to a person. Absent fields stay unchanged; null means the zero value.
type UserUpdate struct {
	// Username, Email and Name require UserUpdate. A changed address is unverified.
	Username, Email, Name problem.Opt[string]
	// Own means that the person changes their own Name, which requires only AccountUpdate.
	Own bool
	// Role is the role in the default workspace, "" for none. It requires MemberManage there.
	Role problem.Opt[string]
	// Superuser requires UserUpdate and a superuser. The last active superuser cannot lose it.
	Superuser problem.Opt[bool]
	// Active requires UserDisable. Turning it off revokes all sessions and closes all streams. The
	// last active superuser stays active.
	Active problem.Opt[bool]
	// Preferences are settings that builders' own pages remember about the signed-in person: a JSON
	// object of at most 4 KiB. They require AccountUpdate, and no decision depends on them.
	Preferences problem.Opt[json.RawMessage]
}

// maxPreferences is the maximum length of preferences in bytes.
const maxPreferences = 4 << 10

// Update changes a person in one transaction: all given fields, or none. Each required permission
// is decided first, and each kind of change has its own audit entry: names, role, superuser,
// active, preferences. The steps in also are other packages' changes of the same person; they run
// in the same transaction.
func (p *People) Update(
	ctx context.Context, actor authz.Principal, userID string, u UserUpdate, also ...authz.Step,
) error {
	var steps []authz.Step
	for _, plan := range []func(context.Context, authz.Principal, string, UserUpdate) (*authz.Step, error){
		p.planNames, p.planRole, p.planSuperuser, p.planActive, p.planPreferences,
	} {
		step, err := plan(ctx, actor, userID, u)
		if err != nil {
			return err
		}
		if step != nil {
			steps = append(steps, *step)
		}
	}
	if steps = append(steps, also...); len(steps) == 0 {
		return nil
	}
	return p.cfg.Gate.DoAll(ctx, actor, steps...)
}

// planned returns the step for a change of one person. fn gets the person as the transaction finds
// them. The account's generation grows, so that every node decides again.
func (p *People) planned(
	ctx context.Context, actor authz.Principal, a authz.Action, userID, detail string, fn func(*db.Tx, User) error,
) (*authz.Step, error) {
	u, err := p.load(ctx, q.New(p.cfg.DB.Read()), userID)
	if err != nil {
		// People who may not see others must not learn from the answer which ids exist.
		if denied := p.cfg.Gate.Check(ctx, actor, a, anybody()); denied != nil {
			return nil, denied
		}
		return nil, err
	}
	return &authz.Step{Action: a, Resource: u.resource(), Detail: detail, Change: func(tx *db.Tx) error {
		u, err := p.load(ctx, q.New(tx), userID)
		if err != nil {
			return err
		}
		if err := fn(tx, u); err != nil {
			return err
		}
		if err := q.New(tx).BumpAccount(ctx, q.BumpAccountParams{
			ID:        u.ID,
			UpdatedAt: p.cfg.Now().UnixMilli(),
		}); err != nil {
			return fmt.Errorf("changing the account: %w", err)
		}
		return tx.Changed(ChangeKind, u.ID)
	}}, nil
}

// change carries out a planned change of one person alone.
func (p *People) change(
	ctx context.Context, actor authz.Principal, a authz.Action, userID, detail string, fn func(*db.Tx, User) error,
) error {
	step, err := p.planned(ctx, actor, a, userID, detail, fn)
	if err != nil {
		return err
	}
	return p.cfg.Gate.DoAll(ctx, actor, *step)
}

func (p *People) planNames(
	ctx context.Context,
	actor authz.Principal,
	userID string,
	c UserUpdate,
) (*authz.Step, error) {
	if !c.Username.Set && !c.Email.Set && !c.Name.Set {
		return nil, nil
	}
	for _, f := range []struct {
		field *problem.Opt[string]
		clean func(string) (string, error)
	}{{&c.Username, cleanUsername}, {&c.Email, cleanEmail}, {&c.Name, cleanName}} {
		if !f.field.Set {
			continue
		}
		text, err := f.clean(f.field.Value)
		if err != nil {
			return nil, err
		}
		f.field.Value = text
	}
	action := authz.UserUpdate
	if c.Own && userID == actor.ID && !c.Username.Set && !c.Email.Set {
		action = authz.AccountUpdate
	}
	return p.planned(ctx, actor, action, userID, "names changed", func(tx *db.Tx, u User) error {
		username, email := c.Username.Or(u.Username), c.Email.Or(u.Email)
		err := q.New(tx).UpdateAccountNames(ctx, q.UpdateAccountNamesParams{
			ID:          u.ID,
			Email:       email,
			EmailKey:    sql.NullString{String: key(email), Valid: email != ""},
			Username:    username,
			UsernameKey: key(username),
			Name:        c.Name.Or(u.Name),
			UpdatedAt:   p.cfg.Now().UnixMilli(),
		})
		if db.IsUnique(err) {
			return problem.New(problem.Conflict, "This username or email address is taken.").
				WithField("username").WithNext("Choose another one.")
		}
		if err != nil || key(email) == key(u.Email) {
			return err
		}
		return q.New(tx).SetEmailVerified(ctx, q.SetEmailVerifiedParams{ID: u.ID, EmailVerifiedAt: 0})
	})
}

func (p *People) planSuperuser(
	ctx context.Context, actor authz.Principal, userID string, c UserUpdate,
) (*authz.Step, error) {
	if !c.Superuser.Set {
		return nil, nil
	}
	if err := p.cfg.Gate.Check(ctx, actor, authz.UserUpdate, authz.Resource{Type: "User", ID: userID}); err != nil {
		return nil, err
	}
	on := c.Superuser.Value
	detail := map[bool]string{true: "superuser on", false: "superuser off"}[on]
	return p.planned(ctx, actor, authz.UserUpdate, userID, detail, func(tx *db.Tx, u User) error {
		if u.Superuser && !on {
			if err := keepOne(ctx, tx, u); err != nil {
				return err
			}
		}
		return q.New(tx).SetAccountSuperuser(ctx, q.SetAccountSuperuserParams{
			ID: u.ID, Superuser: on, UpdatedAt: p.cfg.Now().UnixMilli(),
		})
	})
}

func (p *People) planActive(
	ctx context.Context,
	actor authz.Principal,
	userID string,
	c UserUpdate,
) (*authz.Step, error) {
	if !c.Active.Set {
		return nil, nil
	}
	on := c.Active.Value
	detail := map[bool]string{true: "enabled", false: "disabled"}[on]
	return p.planned(ctx, actor, authz.UserDisable, userID, detail, func(tx *db.Tx, u User) error {
		now := p.cfg.Now().UnixMilli()
		if u.Superuser && u.Active && !on {
			if err := keepOne(ctx, tx, u); err != nil {
				return err
			}
		}
		if !on {
			if err := p.cfg.Hooks.Disabled(ctx, tx, u.ID); err != nil {
				return err
			}
		}
		if on && u.Waiting {
			err := q.New(tx).SetAccountWaiting(ctx, q.SetAccountWaitingParams{ID: u.ID, Waiting: false, UpdatedAt: now})
			if err != nil {
				return err
			}
		}
		return q.New(tx).SetAccountActive(ctx, q.SetAccountActiveParams{ID: u.ID, Active: on, UpdatedAt: now})
	})
}

func (p *People) planPreferences(
	ctx context.Context, actor authz.Principal, userID string, c UserUpdate,
) (*authz.Step, error) {
	if !c.Preferences.Set {
		return nil, nil
	}
	text := c.Preferences.Value
	var object map[string]json.RawMessage
	if len(text) > maxPreferences || json.Unmarshal(text, &object) != nil {
		return nil, invalid("preferences", "Preferences are a JSON object of at most 4 KiB.")
	}
	if userID != actor.ID {
		return nil, problem.New(problem.Denied, "People can change only their own preferences.").WithRule("own account")
	}
	u, err := p.Get(ctx, actor, userID)
	if err != nil {
		return nil, err
	}
	change := func(tx *db.Tx) error {
		err := q.New(tx).SetPreferences(ctx, q.SetPreferencesParams{
			ID: u.ID, Preferences: string(text), UpdatedAt: p.cfg.Now().UnixMilli(),
		})
		if err != nil {
			return fmt.Errorf("keeping preferences: %w", err)
		}
		return nil
	}
	step := authz.Step{
		Action:   authz.AccountUpdate,
		Resource: u.resource(),
		Detail:   "preferences changed",
		Change:   change,
	}
	return &step, nil
}

func (p *People) planRole(
	ctx context.Context,
	actor authz.Principal,
	userID string,
	c UserUpdate,
) (*authz.Step, error) {
	if !c.Role.Set {
		return nil, nil
	}
	return p.planMembership(ctx, actor, userID, DefaultWorkspace, c.Role.Value)
}

// Remove deletes an account for good. The person's objects go to an heir; without an heir it is
// refused while the person owns anything. It requires UserDelete.
func (p *People) Remove(ctx context.Context, actor authz.Principal, userID, heirID string) error {
	if err := p.cfg.Gate.Check(ctx, actor, authz.UserDelete, anybody()); err != nil {
		return err
	}
	if userID == heirID {
		return invalid("heir", "Choose another person as the new owner.")
	}
	if heirID != "" {
		if _, active := p.Principal(heirID); !active {
			return invalid("heir", "The new owner must be an active person.")
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
			return problem.Newf(problem.Conflict, "%s owns %d objects.", u.Username, owned).
				WithField("heir").
				WithNext("Choose the new owner.")
		}
		if owned > 0 {
			if err := p.cfg.Hooks.Removed(ctx, tx, u.ID, heirID); err != nil {
				return err
			}
		}
		_, err = q.New(tx).DeleteAccount(ctx, u.ID)
		return err
	})
}

// SetRole gives a member a role in a workspace; "" removes the membership. It requires MemberManage
// in the workspace. Only superusers can remove the last active admin of a workspace, because no one
// else could appoint another.
func (p *People) SetRole(ctx context.Context, actor authz.Principal, userID, workspaceID, role string) error {
	step, err := p.planMembership(ctx, actor, userID, workspaceID, role)
	if err != nil {
		return err
	}
	return p.cfg.Gate.DoAll(ctx, actor, *step)
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
	if err := p.cfg.Gate.Check(ctx, actor, authz.MemberManage, res); err != nil {
		return nil, err
	}
	u, err := p.load(ctx, q.New(p.cfg.DB.Read()), userID)
	if err != nil {
		return nil, err
	}
	who, _ := p.directoryEntry(userID)
	current := who.Role(workspaceID)
	if !actor.Superuser && current == "" {
		// Admins of a workspace bring people in by invitation. They must not learn whether an
		// account exists elsewhere.
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
		err = q.New(tx).BumpAccount(ctx, q.BumpAccountParams{ID: userID, UpdatedAt: p.cfg.Now().UnixMilli()})
		if err != nil {
			return fmt.Errorf("ending the membership: %w", err)
		}
		return tx.Changed(ChangeKind, userID)
	}}, nil
}

// CreateWorkspace creates a workspace and makes its creator an admin of it. It requires
// WorkspaceCreate.
func (p *People) CreateWorkspace(ctx context.Context, actor authz.Principal, name string) (Workspace, error) {
	if err := p.cfg.Gate.Check(ctx, actor, authz.WorkspaceCreate, authz.Resource{Type: "Workspace"}); err != nil {
		return Workspace{}, err
	}
	name, err := cleanWorkspaceName(name)
	if err != nil {
		return Workspace{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Workspace{}, fmt.Errorf("creating an id: %w", err)
	}
	w, now := Workspace{ID: id.String(), Name: name, CreatedAt: p.cfg.Now().UTC()}, p.cfg.Now().UnixMilli()
	err = p.cfg.Gate.Do(ctx, actor, authz.WorkspaceCreate, authz.Resource{
		Type: "Workspace",
		ID:   w.ID,
		Name: name,
	}, func(tx *db.Tx) error {
		if err := q.New(tx).InsertWorkspace(ctx, q.InsertWorkspaceParams{
			ID:        w.ID,
			Name:      name,
			CreatedAt: now,
		}); err != nil {
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

// DeleteWorkspace deletes an empty workspace: no builder objects belong to it except projects,
// which are folders that some builders create automatically. The default workspace cannot be
// deleted. The action is WorkspaceCreate, because a person who can delete a workspace can also
// create it again.
func (p *People) DeleteWorkspace(ctx context.Context, actor authz.Principal, id string) error {
	if err := p.cfg.Gate.Check(ctx, actor, authz.WorkspaceCreate, authz.Resource{
		Type: "Workspace",
		ID:   id,
	}); err != nil {
		return err
	}
	if id == DefaultWorkspace {
		return problem.New(problem.Conflict, "The default workspace cannot be deleted.")
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
			return problem.Newf(problem.Conflict, "%d objects of builders belong to this workspace.", n).
				WithNext("Delete them in the builder, or assign them to another workspace.")
		}
		if err := p.cfg.Hooks.WorkspaceDeleted(ctx, tx, id); err != nil {
			return err
		}
		if _, err := q.New(tx).DeleteWorkspace(ctx, id); err != nil {
			return fmt.Errorf("deleting the workspace: %w", err)
		}
		for _, m := range members {
			if err := q.New(tx).BumpAccount(ctx, q.BumpAccountParams{
				ID:        m.UserID,
				UpdatedAt: p.cfg.Now().UnixMilli(),
			}); err != nil {
				return fmt.Errorf("ending a membership: %w", err)
			}
			if err := tx.Changed(ChangeKind, m.UserID); err != nil {
				return err
			}
		}
		return nil
	})
}

// PrepareImported checks an imported account. Like Prepare, it checks no permission. Use In to set
// the first membership of the result.
func (p *People) PrepareImported(n ImportedUser) (out Prepared, err error) {
	row := &out.account
	if row.Username, err = cleanUsername(n.Username); err != nil {
		return out, err
	}
	if row.Email, err = cleanEmail(n.Email); err != nil {
		return out, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return out, fmt.Errorf("creating an id: %w", err)
	}
	now := p.cfg.Now().UnixMilli()
	row.ID, row.UsernameKey, row.Superuser, row.Active, row.PasswordHash, row.CreatedAt = id.String(), key(
		row.Username,
	), n.Superuser, n.Active, n.Hash, now
	if made := n.CreatedAt.UnixMilli(); !n.CreatedAt.IsZero() && made < now {
		row.CreatedAt = made
	}
	row.EmailKey = sql.NullString{String: key(row.Email), Valid: row.Email != ""}
	out.workspace, out.role, out.waiting = DefaultWorkspace, authz.RoleViewer, n.Waiting && !n.Active
	return out, nil
}

// SuperuserIn sets the superuser flag within the caller's transaction. It checks no permission. The
// last active superuser keeps it: problem.Conflict.
func (p *People) SuperuserIn(ctx context.Context, tx *db.Tx, userID string, on bool) error {
	u, err := p.load(ctx, q.New(tx), userID)
	if err != nil {
		return err
	}
	if u.Superuser == on {
		return nil
	}
	if u.Active && !on {
		if err := keepOne(ctx, tx, u); err != nil {
			return err
		}
	}
	if err := q.New(tx).SetAccountSuperuser(ctx, q.SetAccountSuperuserParams{
		ID:        userID,
		Superuser: on,
		UpdatedAt: p.cfg.Now().UnixMilli(),
	}); err != nil {
		return fmt.Errorf("changing the superuser flag: %w", err)
	}
	return tx.Changed(ChangeKind, userID)
}
