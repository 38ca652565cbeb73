package sso

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// accounts turns a provider's assertion about a person into an account and its roles.
type accounts struct {
	db     *db.DB
	gate   *authz.Gate
	people *identity.People
	now    func() time.Time
}

// verdict is the result of judging an assertion.
type verdict struct {
	// account is the linked person; its id is "" without one.
	account identity.Credential
	link    q.LinkedIdentity
	// newcomer is the account to create. It is set only without an account.
	newcomer identity.NewUser
	// refusal is why the person cannot sign in; nil if they can, as far as the provider is
	// concerned.
	refusal *problem.Error
	grants  []grant
	super   bool
}

// judge decides what a sign-in means. It changes nothing. It finds accounts by provider and
// subject, never by an address.
func (ac *accounts) judge(ctx context.Context, p *provider, a assertion) (v verdict, err error) {
	v.grants, v.super = ac.grants(p.Provider, a.Groups), p.superuserMember(a.Groups)
	if linked, err := ac.findLinked(ctx, p, a, &v); linked || err != nil {
		return v, err
	}
	v.newcomer = p.newcomer(a)
	if v.refusal = p.mayCome(a); v.refusal != nil {
		return v, nil
	}
	if email := v.newcomer.Email; email != "" {
		_, taken, err := ac.people.Credential(ctx, email)
		if err != nil {
			return v, err
		}
		if taken {
			// The account may belong to this very person, who signed in twice at once. Its link was
			// committed with it.
			if linked, err := ac.findLinked(ctx, p, a, &v); linked || err != nil {
				return v, err
			}
			v.refusal = problem.Newf(problem.Conflict, "An account with the address %s already exists, and it "+
				"is not linked to %s.", email, p.Name).
				WithRule("no link by address").
				WithNext("Sign in to that account another way, and link " + p.Name + " on the page of your " +
					"account. If you cannot, ask an admin.")
			return v, nil
		}
	}
	v.newcomer.Username, err = ac.freeUsername(ctx, v.newcomer.Username)
	return v, err
}

// findLinked looks for the account that an identity is linked to.
func (ac *accounts) findLinked(ctx context.Context, p *provider, a assertion, v *verdict) (found bool, err error) {
	v.link, err = q.New(ac.db.Read()).FindLink(ctx, q.FindLinkParams{ProviderID: p.ID, Subject: a.Subject})
	if problem.Is(db.Found(err, "no link"), problem.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("finding the account: %w", err)
	}
	v.account, err = ac.people.CredentialOf(ctx, v.link.AccountID)
	return err == nil, err
}

// freeUsername appends digits until the name is free.
func (ac *accounts) freeUsername(ctx context.Context, base string) (string, error) {
	name := base
	for i := 2; ; i++ {
		_, taken, err := ac.people.Credential(ctx, name)
		if err != nil || !taken {
			return name, err
		}
		if i <= 20 {
			name = base + "-" + strconv.Itoa(i)
			continue
		}
		n, err := rand.Int(rand.Reader, big.NewInt(1e9))
		if err != nil {
			return "", fmt.Errorf("choosing a username: %w", err)
		}
		name = base + "-" + n.String()
	}
}

// admit returns the account of an identity, after creating or updating it.
func (ac *accounts) admit(ctx context.Context, p *provider, a assertion, ip string) (userID string, err error) {
	for range 3 {
		v, err := ac.judge(ctx, p, a)
		switch {
		case err != nil:
			return "", err
		case v.refusal != nil:
			return "", v.refusal
		case v.account.UserID != "":
			return v.account.UserID, ac.renew(ctx, p, a, v, ip)
		}
		userID, err = ac.create(ctx, p, a, v, ip)
		// Someone else may have taken the name, or the person may have signed in twice at once.
		// Then judge again.
		if !problem.Is(err, problem.Conflict) && !db.IsUnique(err) {
			return userID, err
		}
	}
	return "", problem.New(problem.Conflict, "The account could not be created: its name or address was taken "+
		"at the same moment.").
		WithNext("Try again.")
}

// renew updates a known person's roles.
func (ac *accounts) renew(ctx context.Context, p *provider, a assertion, v verdict, ip string) error {
	who := person{v.account.UserID, v.account.Username, ip}
	return ac.db.System(ctx, "provider groups", func(tx *db.Tx) error {
		if err := q.New(tx).TouchLink(
			ctx,
			q.TouchLinkParams{ProviderID: p.ID, Subject: a.Subject, Label: a.Label, UsedAt: ac.now().UnixMilli()},
		); err != nil {
			return fmt.Errorf("noting the sign-in: %w", err)
		}
		return ac.applyGroups(ctx, tx, p.Provider, who, v)
	})
}

// applyGroups sets roles and the superuser flag according to the groups.
func (ac *accounts) applyGroups(ctx context.Context, tx *db.Tx, p Provider, who person, v verdict) error {
	if len(p.Mappings) > 0 {
		if err := ac.applyRoles(ctx, tx, p, who, v.grants); err != nil {
			return err
		}
	}
	return ac.applySuperuser(ctx, tx, p, who, v.link.Superuser, v.super)
}

// create creates an account, links it, and gives it the roles of its groups. Without mappings it
// becomes a viewer of the default workspace; with mappings it gets exactly their roles.
func (ac *accounts) create(ctx context.Context, p *provider, a assertion, v verdict, ip string) (string, error) {
	prepared, err := ac.people.Prepare(ctx, v.newcomer)
	if err != nil {
		return "", err
	}
	err = ac.db.System(ctx, "provider accounts", func(tx *db.Tx) error {
		u, err := ac.people.Insert(ctx, tx, prepared)
		if err != nil {
			return err
		}
		if err := ac.gate.Record(ctx, tx, p.principal(ip), authz.UserCreate, u.Resource(), audit.Done,
			"created at the first sign-in as "+plain(a.Label, 200)); err != nil {
			return err
		}
		if err := ac.insertLink(ctx, tx, p, a, u.ID); err != nil {
			return err
		}
		if err := noteGiven(ctx, tx, p.Provider, u.ID, identity.DefaultWorkspace, v.newcomer.Role); err != nil {
			return err
		}
		return ac.applyGroups(ctx, tx, p.Provider, person{u.ID, u.Username, ip}, v)
	})
	return prepared.ID(), err
}

func (ac *accounts) insertLink(ctx context.Context, tx *db.Tx, p *provider, a assertion, userID string) error {
	now := ac.now().UnixMilli()
	if err := q.New(tx).InsertLink(
		ctx,
		q.InsertLinkParams{
			ProviderID: p.ID,
			Subject:    a.Subject,
			AccountID:  userID,
			Label:      a.Label,
			CreatedAt:  now,
			UsedAt:     now,
		},
	); err != nil {
		return fmt.Errorf("linking: %w", err)
	}
	return nil
}
