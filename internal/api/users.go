package api

import (
	"time"

	"sluice/internal/identity"
	"sluice/internal/problem"
)

// Account is a person's account.
type Account struct {
	ID            string     `json:"id"`
	Username      string     `json:"username" example:"ann"`
	Name          string     `json:"name" example:"Ann Example"`
	Email         string     `json:"email" example:"ann@example.com"`
	EmailVerified bool       `json:"email_verified" doc:"Whether the person has confirmed the address."`
	Role          string     `json:"role" doc:"The id of the role in the default workspace. Empty for none." example:"viewer"`
	Superuser     bool       `json:"superuser"`
	Active        bool       `json:"active" doc:"Whether the person can sign in."`
	Waiting       bool       `json:"waiting" doc:"Whether the person is waiting for approval."`
	HasPassword   bool       `json:"has_password"`
	CreatedAt     time.Time  `json:"created_at"`
	LastSignInAt  *time.Time `json:"last_sign_in_at,omitempty" doc:"Left out for never."`
}

func accountOf(u identity.User) Account {
	return Account{
		ID:            u.ID,
		Username:      u.Username,
		Name:          u.Name,
		Email:         u.Email,
		EmailVerified: u.EmailVerified,
		Role:          u.Role,
		Superuser:     u.Superuser,
		Active:        u.Active,
		Waiting:       u.Waiting,
		HasPassword:   u.HasPassword,
		CreatedAt:     u.CreatedAt.UTC(),
		LastSignInAt:  moment(u.LastSignInAt),
	}
}

type usersInput struct {
	Paging
	Query string `query:"q" maxLength:"100" doc:"A part of a username, name or email address." example:"ann"`
}

func listUsers(x *visit, in *usersInput) (list[Account], error) {
	rows, total, err := x.cfg.People.List(x, x.who, identity.Filter{
		Query:  in.Query,
		Limit:  in.Limit,
		Offset: in.Offset,
	})
	return listOf(rows, total, accountOf), err
}

type newUserInput struct {
	Body struct {
		Username  string `json:"username" minLength:"2" maxLength:"64" doc:"2 to 64 letters, digits, dots, dashes or underscores." example:"ann"`
		Email     string `json:"email,omitempty" maxLength:"254" example:"ann@example.com"`
		Name      string `json:"name,omitempty" maxLength:"100" example:"Ann Example"`
		Password  string `json:"password,omitempty" maxLength:"1024" doc:"At least 15 characters. Without a password, the answer contains a one-time link that sets it."`
		Role      string `json:"role,omitempty" maxLength:"64" doc:"The id of the role in the workspace. If left out, viewer." example:"viewer"`
		Workspace string `json:"workspace,omitempty" maxLength:"64" doc:"The id of the workspace in which the role applies. If left out, the default workspace." example:"default"`
		Superuser bool   `json:"superuser,omitempty" doc:"Whether the person is a superuser, who can do everything." example:"false"`
		Active    *bool  `json:"active,omitempty" doc:"Whether the person can sign in. If left out, true." example:"true"`
	}
}

// newAccount is a new account. If it was created without a password, it comes with a link that sets
// one.
type newAccount struct {
	Account
	Link *link `json:"link,omitempty" doc:"Shown once; give it to the person. If it is missing and no password was given, create a reset link."`
}

// link is a one-time link.
type link struct {
	URL       string    `json:"url" doc:"Works once."`
	ExpiresAt time.Time `json:"expires_at"`
}

func createUser(x *visit, in *newUserInput) (newAccount, error) {
	b := in.Body
	if _, ok := x.cfg.People.WorkspaceName(b.Workspace); b.Workspace != "" && !ok {
		return newAccount{}, problem.New(problem.Invalid, "There is no such workspace.").WithField("workspace")
	}
	u, err := x.cfg.People.Create(x, x.who, identity.NewUser{
		Username:  b.Username,
		Email:     b.Email,
		Name:      b.Name,
		Password:  b.Password,
		Role:      b.Role,
		Workspace: b.Workspace,
		Superuser: b.Superuser,
		Active:    b.Active == nil || *b.Active,
	})
	if err != nil || b.Password != "" {
		return newAccount{Account: accountOf(u)}, err
	}
	// The account exists. Failing to create a link is not a reason to report otherwise.
	l, err := resetLink(x, u.ID)
	if err != nil {
		x.event.Cause = err
		return newAccount{Account: accountOf(u)}, nil
	}
	return newAccount{Account: accountOf(u), Link: &l}, nil
}

func resetLink(x *visit, userID string) (link, error) {
	token, expires, err := x.cfg.SignUps.ResetLink(x, x.who, userID)
	return link{
		URL:       x.cfg.MainOrigin(x.r.Host) + "/reset?token=" + token,
		ExpiresAt: expires.UTC().Truncate(time.Millisecond),
	}, err
}

func getUser(x *visit, in *UserPath) (Account, error) {
	u, err := x.cfg.People.Get(x, x.who, in.User)
	return accountOf(u), err
}

type updateUserInput struct {
	UserPath
	Body userChange
}

// userChange is a change of a person, applied completely or not at all.
type userChange struct {
	Username  opt[string] `json:"username,omitempty" minLength:"2" maxLength:"64" doc:"2 to 64 letters, digits, dots, dashes or underscores." example:"ann"`
	Email     opt[string] `json:"email,omitempty" maxLength:"254" doc:"Unconfirmed until the person confirms it. Empty for none." example:"ann@example.com"`
	Name      opt[string] `json:"name,omitempty" maxLength:"100" doc:"The full name; empty for none." example:"Ann Example"`
	Role      opt[string] `json:"role,omitempty" maxLength:"64" doc:"The id of the role in the default workspace. Empty removes the membership."`
	Superuser opt[bool]   `json:"superuser,omitempty" doc:"Whether the person is a superuser, who can do everything."`
	Active    opt[bool]   `json:"active,omitempty" doc:"Whether the person can sign in. False signs out all sessions and cuts off streams at once."`
}

// updateUser applies all given changes in one transaction.
func updateUser(x *visit, in *updateUserInput) (Account, error) {
	b := in.Body
	u := identity.UserUpdate{
		Username:  b.Username.given(),
		Email:     b.Email.given(),
		Name:      b.Name.given(),
		Role:      b.Role.given(),
		Superuser: b.Superuser.given(),
		Active:    b.Active.given(),
	}
	if !u.Username.Set && !u.Email.Set && !u.Name.Set && !u.Role.Set && !u.Superuser.Set && !u.Active.Set {
		return Account{}, problem.New(problem.Invalid, "Give something to change: username, email, name, role, "+
			"superuser or active.").
			WithField("body")
	}
	if err := x.cfg.People.Update(x, x.who, in.User, u); err != nil {
		return Account{}, err
	}
	return getUser(x, &in.UserPath)
}

type deleteUserInput struct {
	UserPath
	Heir string `query:"heir" pattern:"^[A-Za-z0-9_-]{1,64}$" patternDescription:"an id of 1 to 64 letters, digits, dashes or underscores" doc:"The id of the person who takes over everything this person owns."`
}

func deleteUser(x *visit, in *deleteUserInput) error {
	return x.cfg.People.Remove(x, x.who, in.User, in.Heir)
}

func createResetLink(x *visit, in *UserPath) (link, error) { return resetLink(x, in.User) }

type rightsInput struct {
	UserPath
	Where
}

func listRights(x *visit, in *rightsInput) (list[right], error) {
	return rightsOf(x, in.User, in.Workspace)
}

type sessionsInput struct {
	UserPath
	Paging
}

// listSessions checks first that the person exists, because an unknown person would look like one
// without sessions.
func listSessions(x *visit, in *sessionsInput) (list[session], error) {
	if _, err := x.cfg.People.Get(x, x.who, in.User); err != nil {
		return list[session]{}, err
	}
	return sessionsOf(x, in.User, in.Paging)
}

func endSessions(x *visit, in *UserPath) error {
	if _, err := x.cfg.People.Get(x, x.who, in.User); err != nil {
		return err
	}
	return x.cfg.Sessions.RevokeAll(x, x.who, in.User, "")
}
