package identity

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/identity"
	"sluice/internal/problem"
)

// UserUpdate says what changes about a person. Absent fields stay as they are; null is the same as
// the zero value.
type UserUpdate struct {
	// Username, Email and Name need UserUpdate. An address that is changed counts as unconfirmed.
	Username, Email, Name problem.Opt[string]
	// Own tells that the person changes their own Name, which needs AccountUpdate only.
	Own bool
	// Role is the one in the default workspace, "" for none. It needs MemberManage there.
	Role problem.Opt[string]
	// Superuser needs UserUpdate and a superuser. The last active superuser cannot lose it.
	Superuser problem.Opt[bool]
	// Active needs UserDisable. Turning it off ends all sessions and streams; the last active
	// superuser stays active.
	Active problem.Opt[bool]
	// Preferences are what builders' own pages remember about the signed-in person: a JSON object
	// of at most 4 KiB. They need AccountUpdate, and nothing is decided by them.
	Preferences problem.Opt[json.RawMessage]
}

// maxPreferences is the greatest length of preferences in bytes.
const maxPreferences = 4 << 10

// Update changes a person in one transaction: everything that is given, or nothing. Each right that
// the change needs is decided before, and each kind of change has an audit entry of its own: names,
// role, superuser, active, preferences. The steps in also, which are other packages' changes of the
// same person, belong to the same transaction.
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
	return p.Gate.DoAll(ctx, actor, steps...)
}

// planned is the step of a change of one person: fn gets the person as the transaction finds them.
// The account's generation grows, so that every node decides anew.
func (p *People) planned(
	ctx context.Context, actor authz.Principal, a authz.Action, userID, detail string, fn func(*db.Tx, User) error,
) (*authz.Step, error) {
	u, err := p.load(ctx, q.New(p.DB.Read()), userID)
	if err != nil {
		// Whoever may not see people must not learn from the answer which ids exist.
		if denied := p.Gate.Check(ctx, actor, a, anybody()); denied != nil {
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
		if err := q.New(tx).BumpAccount(ctx, q.BumpAccountParams{ID: u.ID, UpdatedAt: p.Now().UnixMilli()}); err != nil {
			return fmt.Errorf("changing the account: %w", err)
		}
		return tx.Changed(ChangeKind, u.ID)
	}}, nil
}

// change makes a planned change of one person alone.
func (p *People) change(
	ctx context.Context, actor authz.Principal, a authz.Action, userID, detail string, fn func(*db.Tx, User) error,
) error {
	step, err := p.planned(ctx, actor, a, userID, detail, fn)
	if err != nil {
		return err
	}
	return p.Gate.DoAll(ctx, actor, *step)
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
			UpdatedAt:   p.Now().UnixMilli(),
		})
		if db.IsUnique(err) {
			return problem.New(problem.Conflict, "This username or e-mail address is taken.").
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
	if err := p.Gate.Check(ctx, actor, authz.UserUpdate, authz.Resource{Type: "User", ID: userID}); err != nil {
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
			ID: u.ID, Superuser: on, UpdatedAt: p.Now().UnixMilli(),
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
		now := p.Now().UnixMilli()
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
		return nil, problem.New(problem.Denied, "Everybody keeps their own preferences.").WithRule("own account")
	}
	u, err := p.Get(ctx, actor, userID)
	if err != nil {
		return nil, err
	}
	change := func(tx *db.Tx) error {
		err := q.New(tx).SetPreferences(ctx, q.SetPreferencesParams{
			ID: u.ID, Preferences: string(text), UpdatedAt: p.Now().UnixMilli(),
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
