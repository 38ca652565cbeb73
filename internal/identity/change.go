package identity

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/db/q"
	"sluice/internal/problem"
)

// Create adds a person. It needs UserCreate, for a superuser on the whole installation.
func (p *People) Create(ctx context.Context, actor authz.Principal, n NewUser) (User, error) {
	row, role, err := p.prepare(ctx, actor, n)
	if err != nil {
		return User{}, err
	}
	res := authz.Resource{Type: "User", ID: row.ID, Name: row.Username, Workspace: DefaultWorkspace}
	if n.Superuser {
		res.Workspace = ""
	}
	var made User
	err = p.Gate.DoDetail(ctx, actor, authz.UserCreate, res, describeNew(n, role), func(tx *db.Tx) error {
		made, err = p.insert(ctx, tx, row, role)
		return err
	})
	return made, err
}

// CreateFirst adds the first superuser within the caller's transaction, for the set-up link. It fails with Conflict when there is one already.
func (p *People) CreateFirst(ctx context.Context, tx *db.Tx, prepared Prepared) (User, error) {
	n, err := tx.CountActiveSuperusers(ctx)
	if err != nil {
		return User{}, fmt.Errorf("counting superusers: %w", err)
	}
	if n > 0 {
		return User{}, problem.New(problem.Conflict, "Sluice has an admin already.").WithNext("Sign in, or ask that admin for an account.")
	}
	return p.insert(ctx, tx, prepared.row, prepared.role)
}

// Prepared is a checked new account with its password hashed, ready to be inserted.
type Prepared struct {
	row  q.InsertAccountParams
	role string
}

// PrepareFirst checks the details of the first superuser and hashes the password, before any transaction is open.
func (p *People) PrepareFirst(ctx context.Context, n NewUser) (Prepared, error) {
	n.Superuser, n.Active, n.Role = true, true, authz.RoleAdmin
	if n.Password == "" {
		return Prepared{}, invalid("password", "Choose a password of at least 15 characters.")
	}
	row, role, err := p.check(ctx, n)
	return Prepared{row: row, role: role}, err
}

// prepare refuses early what policy will refuse, so that nobody without the right costs a password hash.
func (p *People) prepare(ctx context.Context, actor authz.Principal, n NewUser) (q.InsertAccountParams, string, error) {
	res := anybody()
	if n.Superuser {
		res.Workspace = ""
	}
	if err := p.Gate.Check(ctx, actor, authz.UserCreate, res); err != nil {
		return q.InsertAccountParams{}, "", err
	}
	return p.check(ctx, n)
}

func (p *People) check(ctx context.Context, n NewUser) (row q.InsertAccountParams, role string, err error) {
	if row.Username, err = cleanUsername(n.Username); err != nil {
		return row, "", err
	}
	if row.Email, err = cleanEmail(n.Email); err != nil {
		return row, "", err
	}
	if row.Name, err = cleanName(n.Name); err != nil {
		return row, "", err
	}
	if role = n.Role; role == "" {
		role = authz.RoleViewer
	}
	if err := checkRole(role); err != nil {
		return row, "", err
	}
	if n.Password != "" {
		if err := CheckPassword(n.Password, row.Username, row.Email, row.Name); err != nil {
			return row, "", err
		}
		if row.PasswordHash, err = p.Hasher.Hash(ctx, n.Password); err != nil {
			return row, "", err
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return row, "", fmt.Errorf("making an id: %w", err)
	}
	row.ID, row.UsernameKey, row.Superuser, row.Active, row.CreatedAt = id.String(), key(row.Username), n.Superuser, n.Active, p.Now().UnixMilli()
	row.EmailKey = sql.NullString{String: key(row.Email), Valid: row.Email != ""}
	return row, role, nil
}

func (p *People) insert(ctx context.Context, tx *db.Tx, row q.InsertAccountParams, role string) (User, error) {
	if err := tx.InsertAccount(ctx, row); err != nil {
		if db.IsUnique(err) {
			return User{}, problem.New(problem.Conflict, "This username or e-mail address is taken.").WithField("username").WithNext("Choose another one.")
		}
		return User{}, fmt.Errorf("adding the account: %w", err)
	}
	if err := tx.PutMembership(ctx, q.PutMembershipParams{WorkspaceID: DefaultWorkspace, AccountID: row.ID, Role: role, CreatedAt: row.CreatedAt}); err != nil {
		return User{}, fmt.Errorf("adding the membership: %w", err)
	}
	if err := tx.Changed(ChangeKind, row.ID); err != nil {
		return User{}, err
	}
	return p.load(ctx, tx.Queries, row.ID)
}

func describeNew(n NewUser, role string) string {
	if n.Superuser {
		return "superuser, role " + role
	}
	return "role " + role
}

func checkRole(role string) error {
	if !slices.Contains(authz.Roles(), role) {
		return invalid("role", "The role is not known; expected is admin, user or viewer.")
	}
	return nil
}

// SetRole gives a role in a workspace; "" takes the membership away. It needs UserUpdate on the person.
func (p *People) SetRole(ctx context.Context, actor authz.Principal, userID, workspaceID, role string) error {
	if role != "" {
		if err := checkRole(role); err != nil {
			return err
		}
	}
	return p.change(ctx, actor, authz.UserUpdate, userID, "role "+authz.RoleTitle(role), func(tx *db.Tx, u User) error {
		if role == "" {
			return tx.DeleteMembership(ctx, q.DeleteMembershipParams{WorkspaceID: workspaceID, AccountID: u.ID})
		}
		return tx.PutMembership(ctx, q.PutMembershipParams{WorkspaceID: workspaceID, AccountID: u.ID, Role: role, CreatedAt: p.Now().UnixMilli()})
	})
}

// SetSuperuser gives or takes the superuser flag. Only a superuser may; the last active one cannot lose it.
func (p *People) SetSuperuser(ctx context.Context, actor authz.Principal, userID string, on bool) error {
	detail := map[bool]string{true: "superuser on", false: "superuser off"}[on]
	if err := p.Gate.Check(ctx, actor, authz.UserUpdate, authz.Resource{Type: "User", ID: userID}); err != nil {
		return err
	}
	return p.change(ctx, actor, authz.UserUpdate, userID, detail, func(tx *db.Tx, u User) error {
		if u.Superuser && !on {
			if err := keepOne(ctx, tx, u); err != nil {
				return err
			}
		}
		return tx.SetAccountSuperuser(ctx, q.SetAccountSuperuserParams{ID: u.ID, Superuser: on, UpdatedAt: p.Now().UnixMilli()})
	})
}

// SetActive lets a person in or keeps them out. Turning it off ends all their sessions and streams; the last active superuser cannot be turned off.
func (p *People) SetActive(ctx context.Context, actor authz.Principal, userID string, on bool) error {
	detail := map[bool]string{true: "enabled", false: "disabled"}[on]
	return p.change(ctx, actor, authz.UserDisable, userID, detail, func(tx *db.Tx, u User) error {
		if u.Superuser && u.Active && !on {
			if err := keepOne(ctx, tx, u); err != nil {
				return err
			}
		}
		if !on {
			// Sessions are package authn's, but they must not come back to life when the account does: one change, one transaction.
			if err := tx.DeleteSessionsOfAccount(ctx, u.ID); err != nil {
				return err
			}
		}
		return tx.SetAccountActive(ctx, q.SetAccountActiveParams{ID: u.ID, Active: on, UpdatedAt: p.Now().UnixMilli()})
	})
}

// keepOne refuses to take away the last active superuser. The numbering lock keeps two such changes from passing each other.
func keepOne(ctx context.Context, tx *db.Tx, u User) error {
	if err := tx.Ordered(); err != nil {
		return err
	}
	n, err := tx.CountActiveSuperusers(ctx)
	if err != nil {
		return fmt.Errorf("counting superusers: %w", err)
	}
	if n <= 1 {
		return problem.Newf(problem.Conflict, "%s is the last active superuser.", u.Username).WithNext("Make somebody else a superuser first.")
	}
	return nil
}

// change loads a person, asks the gate, and runs fn; the account's generation grows, so that every node decides anew.
func (p *People) change(ctx context.Context, actor authz.Principal, a authz.Action, userID, detail string, fn func(*db.Tx, User) error) error {
	u, err := p.load(ctx, p.DB.Read(), userID)
	if err != nil {
		// Whoever may not see people must not learn from the answer which ids exist.
		if denied := p.Gate.Check(ctx, actor, a, anybody()); denied != nil {
			return denied
		}
		return err
	}
	return p.Gate.DoDetail(ctx, actor, a, u.resource(), detail, func(tx *db.Tx) error {
		if err := fn(tx, u); err != nil {
			return err
		}
		if err := tx.BumpAccount(ctx, q.BumpAccountParams{ID: u.ID, UpdatedAt: p.Now().UnixMilli()}); err != nil {
			return fmt.Errorf("changing the account: %w", err)
		}
		return tx.Changed(ChangeKind, u.ID)
	})
}

// Credential is what package login needs to verify a password.
type Credential struct {
	UserID, Username, PasswordHash string
	Active                         bool
}

// Credential finds the account with this username or e-mail address; found is false if there is none. It asks no right: it is for signing in only.
func (p *People) Credential(ctx context.Context, emailOrUsername string) (c Credential, found bool, err error) {
	row, err := p.DB.Read().FindAccount(ctx, key(emailOrUsername))
	if err := db.Found(err, "nobody"); problem.Is(err, problem.NotFound) {
		return Credential{}, false, nil
	}
	if err != nil {
		return Credential{}, false, fmt.Errorf("finding the account: %w", err)
	}
	return Credential{UserID: row.ID, Username: row.Username, PasswordHash: row.PasswordHash, Active: row.Active}, true, nil
}

// CredentialOf is Credential by id.
func (p *People) CredentialOf(ctx context.Context, userID string) (Credential, error) {
	row, err := p.DB.Read().GetAccount(ctx, userID)
	if err != nil {
		return Credential{}, db.Found(err, "There is no such person.")
	}
	return Credential{UserID: row.ID, Username: row.Username, PasswordHash: row.PasswordHash, Active: row.Active}, nil
}

// Resource is the account as the gate sees it, for packages that act on people.
func (u User) Resource() authz.Resource { return u.resource() }
