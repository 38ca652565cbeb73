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
		return q.New(tx).SetAccountSuperuser(ctx, q.SetAccountSuperuserParams{ID: u.ID, Superuser: on, UpdatedAt: p.Now().UnixMilli()})
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
			if err := p.Hooks.Disabled(ctx, tx, u.ID); err != nil {
				return err
			}
		}
		if on && u.Waiting {
			if err := q.New(tx).SetAccountWaiting(ctx, q.SetAccountWaitingParams{ID: u.ID, Waiting: false, UpdatedAt: p.Now().UnixMilli()}); err != nil {
				return err
			}
		}
		return q.New(tx).SetAccountActive(ctx, q.SetAccountActiveParams{ID: u.ID, Active: on, UpdatedAt: p.Now().UnixMilli()})
	})
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

// change loads a person, asks the gate, and runs fn; the account's generation grows, so that every node decides anew.
func (p *People) change(ctx context.Context, actor authz.Principal, a authz.Action, userID, detail string, fn func(*db.Tx, User) error) error {
	u, err := p.load(ctx, q.New(p.DB.Read()), userID)
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
		if err := q.New(tx).BumpAccount(ctx, q.BumpAccountParams{ID: u.ID, UpdatedAt: p.Now().UnixMilli()}); err != nil {
			return fmt.Errorf("changing the account: %w", err)
		}
		return tx.Changed(ChangeKind, u.ID)
	})
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

// Names are what can be changed of an account by hand.
type Names struct{ Username, Email, Name string }

// SetNames changes somebody's username, address and full name. It needs UserUpdate. An address that an admin sets counts as unconfirmed.
func (p *People) SetNames(ctx context.Context, actor authz.Principal, userID string, n Names) error {
	return p.setNames(ctx, actor, authz.UserUpdate, userID, n)
}

// SetOwnName changes one's own full name.
func (p *People) SetOwnName(ctx context.Context, actor authz.Principal, name string) error {
	u, err := p.Get(ctx, actor, actor.ID)
	if err != nil {
		return err
	}
	return p.setNames(ctx, actor, authz.AccountUpdate, actor.ID, Names{Username: u.Username, Email: u.Email, Name: name})
}

func (p *People) setNames(ctx context.Context, actor authz.Principal, a authz.Action, userID string, n Names) (err error) {
	if n.Username, err = cleanUsername(n.Username); err != nil {
		return err
	}
	if n.Email, err = cleanEmail(n.Email); err != nil {
		return err
	}
	if n.Name, err = cleanName(n.Name); err != nil {
		return err
	}
	return p.change(ctx, actor, a, userID, "names changed", func(tx *db.Tx, u User) error {
		err := q.New(tx).UpdateAccountNames(ctx, q.UpdateAccountNamesParams{
			ID: u.ID, Email: n.Email, EmailKey: sql.NullString{String: key(n.Email), Valid: n.Email != ""}, Username: n.Username, UsernameKey: key(n.Username),
			Name: n.Name, UpdatedAt: p.Now().UnixMilli(),
		})
		if db.IsUnique(err) {
			return problem.New(problem.Conflict, "This username or e-mail address is taken.").WithField("username").WithNext("Choose another one.")
		}
		if err != nil || key(n.Email) == key(u.Email) {
			return err
		}
		return q.New(tx).SetEmailVerified(ctx, q.SetEmailVerifiedParams{ID: u.ID, EmailVerifiedAt: 0})
	})
}
