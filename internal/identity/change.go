package identity

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/identity"
	"sluice/internal/problem"
)

// Create adds a person. It needs UserCreate, for a superuser on the whole installation.
func (p *People) Create(ctx context.Context, actor authz.Principal, n NewUser) (User, error) {
	row, err := p.prepare(ctx, actor, n)
	if err != nil {
		return User{}, err
	}
	res := authz.Resource{Type: "User", ID: row.account.ID, Name: row.account.Username}
	var made User
	err = p.Gate.DoDetail(ctx, actor, authz.UserCreate, res, describeNew(n, row.role), func(tx *db.Tx) error {
		made, err = p.Insert(ctx, tx, row)
		return err
	})
	return made, err
}

// CreateFirst adds the first superuser within the caller's transaction, for the set-up link. It fails with Conflict when there is one already.
func (p *People) CreateFirst(ctx context.Context, tx *db.Tx, prepared Prepared) (User, error) {
	n, err := q.New(tx).CountActiveSuperusers(ctx)
	if err != nil {
		return User{}, fmt.Errorf("counting superusers: %w", err)
	}
	if n > 0 {
		return User{}, problem.New(problem.Conflict, "Sluice has an admin already.").WithNext("Sign in, or ask that admin for an account.")
	}
	return p.Insert(ctx, tx, prepared)
}

// Prepared is a checked new account with its password hashed, ready to be inserted.
type Prepared struct {
	account         q.InsertAccountParams
	workspace, role string
	waiting         bool
	verified        bool
}

// ID is the id that the account will have.
func (p Prepared) ID() string { return p.account.ID }

// PrepareFirst checks the details of the first superuser and hashes the password, before any transaction is open.
func (p *People) PrepareFirst(ctx context.Context, n NewUser) (Prepared, error) {
	n.Superuser, n.Active, n.Role = true, true, authz.RoleAdmin
	if n.Password == "" {
		return Prepared{}, invalid("password", "Choose a password of at least 15 characters.")
	}
	return p.Prepare(ctx, n)
}

// PrepareOperator is PrepareFirst for the superuser whom the operator's own configuration names: the password rules are not asked, and "" is none.
func (p *People) PrepareOperator(ctx context.Context, username, password string) (Prepared, error) {
	out, err := p.Prepare(ctx, NewUser{Username: username, Role: authz.RoleAdmin, Superuser: true, Active: true})
	if err != nil || password == "" {
		return out, err
	}
	out.account.PasswordHash, err = p.Hasher.Hash(ctx, password)
	return out, err
}

// prepare refuses early what policy will refuse, so that nobody without the right costs a password hash.
func (p *People) prepare(ctx context.Context, actor authz.Principal, n NewUser) (Prepared, error) {
	if err := p.Gate.Check(ctx, actor, authz.UserCreate, anybody()); err != nil {
		return Prepared{}, err
	}
	return p.Prepare(ctx, n)
}

// Prepare checks the details of a new account and hashes its password. It asks no right: whoever calls Insert with the result has decided that the account may be made.
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
		if row.PasswordHash, err = p.Hasher.Hash(ctx, n.Password); err != nil {
			return out, err
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return out, fmt.Errorf("making an id: %w", err)
	}
	row.ID, row.UsernameKey, row.Superuser, row.Active, row.CreatedAt = id.String(), key(row.Username), n.Superuser, n.Active, p.Now().UnixMilli()
	row.EmailKey = sql.NullString{String: key(row.Email), Valid: row.Email != ""}
	out.waiting, out.verified = !n.Active, n.EmailVerified
	return out, nil
}

// Insert adds a prepared account with its first membership, within the caller's transaction.
func (p *People) Insert(ctx context.Context, tx *db.Tx, n Prepared) (User, error) {
	row := n.account
	if err := q.New(tx).InsertAccount(ctx, row); err != nil {
		if db.IsUnique(err) {
			return User{}, problem.New(problem.Conflict, "This username or e-mail address is taken.").WithField("username").WithNext("Choose another one.")
		}
		return User{}, fmt.Errorf("adding the account: %w", err)
	}
	if n.waiting {
		if err := q.New(tx).SetAccountWaiting(ctx, q.SetAccountWaitingParams{ID: row.ID, Waiting: true, UpdatedAt: row.CreatedAt}); err != nil {
			return User{}, fmt.Errorf("adding the account: %w", err)
		}
	}
	if n.verified {
		if err := q.New(tx).SetEmailVerified(ctx, q.SetEmailVerifiedParams{ID: row.ID, EmailVerifiedAt: row.CreatedAt}); err != nil {
			return User{}, fmt.Errorf("adding the account: %w", err)
		}
	}
	if err := q.New(tx).PutMembership(ctx, q.PutMembershipParams{WorkspaceID: n.workspace, AccountID: row.ID, Role: n.role, CreatedAt: row.CreatedAt}); err != nil {
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

// keepOne refuses to take away the last active superuser. The numbering lock keeps two such changes from passing each other.
func keepOne(ctx context.Context, tx *db.Tx, u User) error {
	if err := tx.Ordered(); err != nil {
		return err
	}
	n, err := q.New(tx).CountActiveSuperusers(ctx)
	if err != nil {
		return fmt.Errorf("counting superusers: %w", err)
	}
	if n <= 1 {
		return problem.Newf(problem.Conflict, "%s is the last active superuser.", u.Username).WithNext("Make somebody else a superuser first.")
	}
	return nil
}

// Credential is what package login needs to verify a password.
type Credential struct {
	UserID, Username, PasswordHash string
	// Email is the account's address; may be empty.
	Email string
	// Active people may come in; Waiting ones were never let in. EmailVerified tells that the address was proven, Superuser may everything.
	Active, Waiting, EmailVerified, Superuser bool
}

// Credential finds the account with this username or e-mail address; found is false if there is none. It asks no right: it is for signing in only.
func (p *People) Credential(ctx context.Context, emailOrUsername string) (c Credential, found bool, err error) {
	row, err := q.New(p.DB.Read()).FindAccount(ctx, key(emailOrUsername))
	if err := db.Found(err, "nobody"); problem.Is(err, problem.NotFound) {
		return Credential{}, false, nil
	}
	if err != nil {
		return Credential{}, false, fmt.Errorf("finding the account: %w", err)
	}
	return credentialOf(row), true, nil
}

// CredentialOf is Credential by id.
func (p *People) CredentialOf(ctx context.Context, userID string) (Credential, error) {
	row, err := q.New(p.DB.Read()).GetAccount(ctx, userID)
	if err != nil {
		return Credential{}, db.Found(err, "There is no such person.")
	}
	return credentialOf(q.FindAccountRow(row)), nil
}

func credentialOf(r q.FindAccountRow) Credential {
	return Credential{
		UserID: r.ID, Username: r.Username, PasswordHash: r.PasswordHash, Email: r.Email, Active: r.Active, Waiting: r.Waiting,
		EmailVerified: r.EmailVerifiedAt > 0, Superuser: r.Superuser,
	}
}

// Resource is the account as the gate sees it, for packages that act on people.
func (u User) Resource() authz.Resource { return u.resource() }
