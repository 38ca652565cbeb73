package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/identity"
	"sluice/internal/problem"
)

// DefaultWorkspace is the workspace that every installation has.
const DefaultWorkspace = "default"

// ChangeKind is the kind under which changes of accounts and memberships are announced
// (db.Tx.Changed); the item is the account's id.
const ChangeKind = "account"

// User is an account as shown to people who are permitted to see it.
type User struct {
	// ID is a UUIDv7.
	ID string
	// Email may be empty; Username never is. Name is the full name and may be empty.
	Email, Username, Name string
	// Superuser means that the person may do anything, Active that they may sign in.
	Superuser, Active bool
	// Role is the role in the default workspace; "" means none.
	Role string
	// Waiting means that no one has approved this person yet. They are inactive.
	Waiting bool
	// EmailVerified means that the person has proven the address to be theirs.
	EmailVerified bool
	// HasPassword is false until a reset link has set the first password.
	HasPassword bool
	// CreatedAt, UpdatedAt and LastSignInAt are UTC; a zero LastSignInAt means never.
	CreatedAt, UpdatedAt, LastSignInAt time.Time
	// Preferences are those that UserUpdate set last: a JSON object, or "".
	Preferences string
}

// NewUser describes a person to create.
type NewUser struct {
	// Email may be empty.
	Email string
	// Username is required.
	Username string
	// Name is the full name; may be empty.
	Name string
	// Password is in clear. Empty means that a reset link will set it.
	Password string
	// Role is the role in Workspace. Empty means viewer.
	Role string
	// Superuser and Active are the account's flags.
	Superuser, Active bool
	// EmailVerified is set if the address was proven before the account was created, by an emailed
	// invitation.
	EmailVerified bool
	// Workspace is where the person gets Role. Empty means the default workspace.
	Workspace string
}

// Filter narrows a list of people.
type Filter struct {
	// Query is a part of a username, name or email address. Empty lists everyone.
	Query string
	// Limit is 1 to 200, 0 means 50. Offset skips rows.
	Limit, Offset int
}

// Config configures People.
type Config struct {
	DB     *db.DB
	Gate   *authz.Gate
	Hasher *Hasher
	// Products are names that passwords must not be built from: Sluice's own and those of the
	// builders.
	Products []string
	// Now is the clock.
	Now func() time.Time
	// Log gets failures to follow changes.
	Log *slog.Logger
	// Hooks are the effects on dependent packages.
	Hooks Hooks
}

// Hooks are the effects of changes here on dependent packages, such as revoking the sessions of a
// person who is deactivated. They run in the transaction of the change and fail it with their
// error. All are required.
type Hooks struct {
	// Disabled runs when a person is deactivated. Their sessions must not come back when the
	// account does.
	Disabled func(ctx context.Context, tx *db.Tx, userID string) error
	// Removed runs before the deletion of an account whose objects go to an heir.
	Removed func(ctx context.Context, tx *db.Tx, userID, heirID string) error
	// WorkspaceDeleted runs before the deletion of a workspace that contains nothing but empty
	// projects.
	WorkspaceDeleted func(ctx context.Context, tx *db.Tx, workspaceID string) error
}

// People manages accounts, with the directory in memory, and with them roles, workspaces, and what
// other packages write about an account in their own transactions.
type People struct {
	cfg Config
	*roleBook
	*workspaceBook
	*accountWriter

	superusers atomic.Int64

	reload    sync.Mutex // held while accounts are read into directory
	directory sync.Map   // account id -> entry
}

type entry struct {
	principal authz.Principal
	active    bool
}

// New loads the directory and follows changes. It creates the default workspace if it is missing.
func New(ctx context.Context, c Config) (*People, error) {
	if c.Hooks.Disabled == nil || c.Hooks.Removed == nil || c.Hooks.WorkspaceDeleted == nil {
		return nil, errors.New("identity: a hook is missing")
	}
	p := &People{
		cfg:           c,
		roleBook:      &roleBook{cfg: c},
		workspaceBook: &workspaceBook{cfg: c},
		accountWriter: &accountWriter{c},
	}
	err := c.DB.System(ctx, "first workspace", func(tx *db.Tx) error {
		return q.New(tx).InsertWorkspaceIfAbsent(ctx, q.InsertWorkspaceIfAbsentParams{
			ID:        DefaultWorkspace,
			Name:      "Default workspace",
			CreatedAt: c.Now().UnixMilli(),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("creating the default workspace: %w", err)
	}
	// Subscribing first means that a change during the load is applied after it and never lost.
	c.DB.Subscribe(ChangeKind, func(id string) {
		if err := p.refresh(context.Background(), id); err != nil {
			c.Log.Error("an account could not be read again; it is closed until it can", "account", id, "error", err)
			p.directory.Delete(id)
		}
	})
	if err := p.loadAll(ctx); err != nil {
		return nil, fmt.Errorf("loading the directory: %w", err)
	}
	return p, p.followRolesAndWorkspaces(ctx)
}

func (p *People) loadAll(ctx context.Context) error {
	p.reload.Lock()
	defer p.reload.Unlock()
	accounts, err := q.New(p.cfg.DB.Read()).AllAccounts(ctx)
	if err != nil {
		return err
	}
	rows, err := q.New(p.cfg.DB.Read()).AllMemberships(ctx)
	if err != nil {
		return err
	}
	held := map[string][]authz.Membership{}
	for _, m := range rows {
		held[m.AccountID] = append(held[m.AccountID], authz.Membership{Workspace: m.WorkspaceID, Role: m.Role})
	}
	for _, a := range accounts {
		p.directory.Store(a.ID, entry{active: a.Active, principal: authz.Principal{
			Kind: authz.Person, ID: a.ID, Name: a.Username, Email: a.Email, DisplayName: a.Name, Superuser: a.Superuser,
			Memberships: held[a.ID], Generation: uint64(a.Generation),
		}})
	}
	heads, err := q.New(p.cfg.DB.Read()).ForeignPasswords(ctx)
	if err != nil {
		return err
	}
	for _, head := range heads {
		p.cfg.Hasher.Expect(head)
	}
	return p.countSuperusers(ctx)
}

func (p *People) refresh(ctx context.Context, id string) error {
	p.reload.Lock()
	defer p.reload.Unlock()
	a, err := q.New(p.cfg.DB.Read()).GetAccount(ctx, id)
	if err := db.Found(err, "gone"); problem.Is(err, problem.NotFound) {
		p.directory.Delete(id)
		return p.countSuperusers(ctx)
	}
	if err != nil {
		return err
	}
	if a.Active {
		p.cfg.Hasher.Expect(a.PasswordHash)
	}
	memberships, err := q.New(p.cfg.DB.Read()).MembershipsOf(ctx, id)
	if err != nil {
		return err
	}
	e := entry{active: a.Active, principal: authz.Principal{
		Kind:        authz.Person,
		ID:          a.ID,
		Name:        a.Username,
		Email:       a.Email,
		DisplayName: a.Name,
		Superuser:   a.Superuser,
		Generation:  uint64(a.Generation),
	}}
	for _, m := range memberships {
		e.principal.Memberships = append(e.principal.Memberships, authz.Membership{
			Workspace: m.WorkspaceID,
			Role:      m.Role,
		})
	}
	p.directory.Store(id, e)
	return p.countSuperusers(ctx)
}

func (p *People) countSuperusers(ctx context.Context) error {
	n, err := q.New(p.cfg.DB.Read()).CountActiveSuperusers(ctx)
	p.superusers.Store(n)
	return err
}

// Principal returns an active person from memory.
func (p *People) Principal(userID string) (authz.Principal, bool) {
	v, ok := p.directory.Load(userID)
	if !ok {
		return authz.Principal{}, false
	}
	e := v.(entry)
	return e.principal, e.active
}

// HasAdmin reports from memory whether there is an active superuser.
func (p *People) HasAdmin() bool { return p.superusers.Load() > 0 }

// List returns people by username, and the total number of matches. It requires UserView.
func (p *People) List(ctx context.Context, actor authz.Principal, f Filter) ([]User, int, error) {
	if err := p.cfg.Gate.Check(ctx, actor, authz.UserView, anybody()); err != nil {
		return nil, 0, err
	}
	if f.Limit <= 0 || f.Limit > 200 {
		f.Limit = 50
	}
	pattern := likePattern(f.Query)
	total, err := q.New(p.cfg.DB.Read()).CountAccounts(ctx, pattern)
	if err != nil {
		return nil, 0, fmt.Errorf("counting people: %w", err)
	}
	rows, err := q.New(p.cfg.DB.Read()).ListAccounts(ctx, q.ListAccountsParams{
		WorkspaceID: DefaultWorkspace,
		Pattern:     pattern,
		RowLimit:    int32(f.Limit),
		RowOffset:   int32(min(max(f.Offset, 0), 1<<30)),
	})
	if err != nil {
		return nil, 0, fmt.Errorf("listing people: %w", err)
	}
	users := make([]User, len(rows))
	for i, r := range rows {
		users[i] = User{
			ID:            r.ID,
			Email:         r.Email,
			Username:      r.Username,
			Name:          r.Name,
			Superuser:     r.Superuser,
			Active:        r.Active,
			Role:          r.Role,
			HasPassword:   r.PasswordHash != "",
			CreatedAt:     moment(r.CreatedAt),
			UpdatedAt:     moment(r.UpdatedAt),
			LastSignInAt:  moment(r.LastSignInAt),
			Waiting:       r.Waiting,
			EmailVerified: r.EmailVerifiedAt > 0,
			Preferences:   r.Preferences,
		}
	}
	return users, int(total), nil
}

// likePattern turns a typed query into a LIKE pattern, escaped with "!"; "" stays "".
func likePattern(query string) string {
	query = key(query)
	if query == "" || len(query) > 200 {
		return query
	}
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(query) + "%"
}

// Get returns one account. It requires UserView, unless the account is the actor's own.
func (p *People) Get(ctx context.Context, actor authz.Principal, id string) (User, error) {
	if actor.Kind != authz.Person || actor.ID != id {
		if err := p.cfg.Gate.Check(ctx, actor, authz.UserView, anybody()); err != nil {
			return User{}, err
		}
	}
	return p.load(ctx, q.New(p.cfg.DB.Read()), id)
}

// Find returns the account with this username or email address. It requires UserView.
func (p *People) Find(ctx context.Context, actor authz.Principal, emailOrUsername string) (User, error) {
	if err := p.cfg.Gate.Check(ctx, actor, authz.UserView, anybody()); err != nil {
		return User{}, err
	}
	row, err := q.New(p.cfg.DB.Read()).FindAccount(ctx, key(emailOrUsername))
	if err != nil {
		return User{}, db.Found(err, "No one has this username or email address.")
	}
	return p.load(ctx, q.New(p.cfg.DB.Read()), row.ID)
}

func (p *People) load(ctx context.Context, queries *q.Queries, id string) (User, error) {
	a, err := queries.GetAccount(ctx, id)
	if err != nil {
		return User{}, db.Found(err, "There is no such person.")
	}
	u := User{
		ID:            a.ID,
		Email:         a.Email,
		Username:      a.Username,
		Name:          a.Name,
		Superuser:     a.Superuser,
		Active:        a.Active,
		HasPassword:   a.PasswordHash != "",
		CreatedAt:     moment(a.CreatedAt),
		UpdatedAt:     moment(a.UpdatedAt),
		LastSignInAt:  moment(a.LastSignInAt),
		Waiting:       a.Waiting,
		EmailVerified: a.EmailVerifiedAt > 0,
		Preferences:   a.Preferences,
	}
	memberships, err := queries.MembershipsOf(ctx, id)
	if err != nil {
		return User{}, fmt.Errorf("reading roles: %w", err)
	}
	for _, m := range memberships {
		if m.WorkspaceID == DefaultWorkspace {
			u.Role = m.Role
		}
	}
	return u, nil
}

// anybody is the resource for questions about people in general. Accounts belong to the whole
// installation; admins of a workspace manage its memberships.
func anybody() authz.Resource { return authz.Resource{Type: "User"} }

// resource is the account as authz sees it.
func (u User) resource() authz.Resource {
	return authz.Resource{Type: "User", ID: u.ID, Name: u.Username, Owner: u.ID}
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// CheckPassword reports why a new password is not acceptable: too short, too long, or easy to
// guess. An attacker first tries facts about the person (username, email, name), so these make a
// password guessable. So do the names of the workspaces and of the products in use. The problem's
// Field is "password".
func (p *People) CheckPassword(password string, about ...string) error {
	names := append(about[:len(about):len(about)], p.cfg.Products...)
	for _, w := range *p.workspaces.Load() {
		names = append(names, w.name)
	}
	return checkPassword(password, names)
}

// WhatCan reports for every permission whether a person has it in a workspace. It requires
// UserView, unless actors ask about themselves.
func (p *People) WhatCan(ctx context.Context, actor authz.Principal, userID, workspaceID string) ([]Right, error) {
	u, err := p.Get(ctx, actor, userID)
	if err != nil {
		return nil, err
	}
	who, active := p.Principal(u.ID)
	// A second factor depends on the session and not on the person, so assume one.
	who.Strong = true
	rights := make([]Right, 0, 64)
	for _, permission := range authz.Permissions() {
		r := Right{Permission: permission}
		if active {
			d := p.cfg.Gate.Decide(who, permission.Name, authz.Resource{Type: "Workspace", Workspace: workspaceID})
			r.Allowed, r.Policies = d.Allowed, d.Policies
		}
		rights = append(rights, r)
	}
	return rights, nil
}

// Right is one line in the list of a person's permissions.
type Right struct {
	authz.Permission
	// Allowed is the answer. Policies are the ids of the policies that decided it.
	Allowed  bool
	Policies []string
}

// Members lists the people of a workspace by username.
func (p *People) Members(ctx context.Context, actor authz.Principal, workspaceID string) ([]Member, error) {
	if err := p.seeWorkspace(ctx, actor, workspaceID); err != nil {
		return nil, err
	}
	rows, err := q.New(p.cfg.DB.Read()).MembersOf(ctx, workspaceID)
	if err != nil {
		return nil, fmt.Errorf("listing members: %w", err)
	}
	out := make([]Member, len(rows))
	for i, r := range rows {
		out[i] = Member{
			UserID:       r.ID,
			Username:     r.Username,
			Name:         r.Name,
			Email:        r.Email,
			Role:         r.Role,
			Superuser:    r.Superuser,
			Active:       r.Active,
			Since:        moment(r.CreatedAt),
			LastSignInAt: moment(r.LastSignInAt),
		}
	}
	return out, nil
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

// directoryEntry returns a principal from memory, active or not.
func (p *People) directoryEntry(userID string) (authz.Principal, bool) {
	v, ok := p.directory.Load(userID)
	if !ok {
		return authz.Principal{}, false
	}
	return v.(entry).principal, true
}

// followRolesAndWorkspaces loads roles and workspaces into memory and follows their changes.
func (p *People) followRolesAndWorkspaces(ctx context.Context) error {
	p.cfg.DB.Subscribe(RoleChange, func(string) {
		if err := p.loadRoles(context.Background()); err != nil {
			p.cfg.Log.Error("the roles could not be read again; the previous ones stay in force", "error", err)
		}
	})
	p.cfg.DB.Subscribe(WorkspaceChange, func(string) {
		if err := p.loadWorkspaces(context.Background()); err != nil {
			p.cfg.Log.Error("the workspaces could not be read again", "error", err)
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
