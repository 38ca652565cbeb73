package login

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// verdict is what Sluice makes of what a provider says.
type verdict struct {
	// account is the linked person's; "" for none.
	account identity.Credential
	link    q.LinkedIdentity
	// newcomer is the account to be made; only without an account.
	newcomer identity.NewUser
	// refusal is why the person cannot come in; nil if they can, as far as the provider is concerned.
	refusal *problem.Error
	grants  []grant
	super   bool
}

// judge decides what a sign-in means. It changes nothing. Accounts are found by provider and subject, never by an address.
func (l *Logins) judge(ctx context.Context, p *provider, a assertion) (v verdict, err error) {
	v.grants, v.super = l.grants(p.Provider, a.Groups), p.superuserMember(a.Groups)
	if linked, err := l.findLinked(ctx, p, a, &v); linked || err != nil {
		return v, err
	}
	v.newcomer = p.newcomer(a)
	if v.refusal = p.mayCome(a); v.refusal != nil {
		return v, nil
	}
	if email := v.newcomer.Email; email != "" {
		_, taken, err := l.cfg.People.Credential(ctx, email)
		if err != nil {
			return v, err
		}
		if taken {
			// The account may be this very person's, who came in twice at once; its link was committed with it.
			if linked, err := l.findLinked(ctx, p, a, &v); linked || err != nil {
				return v, err
			}
			v.refusal = problem.Newf(problem.Conflict, "There is an account with the address %s already, and it is not linked to %s.", email, p.Name).WithRule("no link by address").
				WithNext("Sign in to that account another way, and link " + p.Name + " on the page of your account. If you cannot, ask an admin.")
			return v, nil
		}
	}
	v.newcomer.Username, err = l.freeUsername(ctx, v.newcomer.Username)
	return v, err
}

// findLinked looks for the account that an identity is linked to.
func (l *Logins) findLinked(ctx context.Context, p *provider, a assertion, v *verdict) (found bool, err error) {
	v.link, err = q.New(l.cfg.DB.Read()).FindLink(ctx, q.FindLinkParams{ProviderID: p.ID, Subject: a.Subject})
	if problem.Is(db.Found(err, "no link"), problem.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("finding the account: %w", err)
	}
	v.account, err = l.cfg.People.CredentialOf(ctx, v.link.AccountID)
	return err == nil, err
}

// mayCome refuses people without an account where the settings make none for them.
func (p Provider) mayCome(a assertion) *problem.Error {
	const next = "Ask an admin for an account; then link %s on the page of your account."
	if !p.CreateAccounts {
		return problem.Newf(problem.Denied, "%s knows you, but there is no account here that is linked to you there.", p.Name).WithNext(fmt.Sprintf(next, p.Name)).WithRule("no account")
	}
	if len(p.Domains) == 0 {
		return nil
	}
	email, verified, _ := p.email(a)
	_, domain, _ := strings.Cut(email, "@")
	switch {
	case email == "" || !verified:
		return problem.Newf(problem.Denied, "%s does not vouch for an e-mail address of yours, and accounts are made only for some domains.", p.Name).WithNext(fmt.Sprintf(next, p.Name)).WithRule("domains")
	case !slices.Contains(p.Domains, strings.ToLower(domain)):
		return problem.Newf(problem.Denied, "No account is made for addresses of %s.", domain).WithNext(fmt.Sprintf(next, p.Name)).WithRule("domains")
	}
	return nil
}

// freeUsername appends digits until nobody has the name.
func (l *Logins) freeUsername(ctx context.Context, base string) (string, error) {
	name := base
	for i := 2; ; i++ {
		_, taken, err := l.cfg.People.Credential(ctx, name)
		if err != nil || !taken {
			return name, err
		}
		if i <= 20 {
			name = base + "-" + strconv.Itoa(i)
			continue
		}
		n, err := rand.Int(rand.Reader, big.NewInt(1e9))
		if err != nil {
			return "", fmt.Errorf("making a username: %w", err)
		}
		name = base + "-" + n.String()
	}
}

// signedIn begins the attempt of somebody whom the provider has identified, after their account was made or their roles were brought up to date.
func (l *Logins) signedIn(ctx context.Context, p *provider, r round, c Callback, a assertion) (*Progress, error) {
	userID, err := l.admit(ctx, p, a, c.IP)
	if err != nil {
		return nil, err
	}
	factor := factorSSO
	if p.TrustFactor && strongly(a) {
		factor = factorSSOStrong
	}
	at := attempt{
		Account: userID, Method: p.method(), Factors: []string{factor}, IP: c.IP, UserAgent: clipped(c.UserAgent, 300), Device: c.Device, Destination: r.Destination,
		Provider: &providerSession{ProviderID: p.ID, Subject: a.Subject, SID: a.SID, IDToken: a.IDToken},
	}
	progress, err := l.identified(ctx, at, func(tx *db.Tx) error {
		return l.forgive(ctx, tx, []counter{beginCounter(c.IP)}, true)
	})
	if err != nil {
		return nil, err
	}
	return &progress, nil
}

// admit returns the account of an identity, made or brought up to date.
func (l *Logins) admit(ctx context.Context, p *provider, a assertion, ip string) (userID string, err error) {
	for range 3 {
		v, err := l.judge(ctx, p, a)
		switch {
		case err != nil:
			return "", err
		case v.refusal != nil:
			return "", v.refusal
		case v.account.UserID != "":
			return v.account.UserID, l.renew(ctx, p, a, v, ip)
		}
		userID, err = l.create(ctx, p, a, v, ip)
		// Somebody else may have taken the name, or the person may have come in twice at once: then judge anew.
		if !problem.Is(err, problem.Conflict) && !db.IsUnique(err) {
			return userID, err
		}
	}
	return "", problem.New(problem.Conflict, "The account could not be made: its name or its address was taken at the same moment.").WithNext("Try again.")
}

// renew brings a known person's roles up to date.
func (l *Logins) renew(ctx context.Context, p *provider, a assertion, v verdict, ip string) error {
	who := person{v.account.UserID, v.account.Username, ip}
	return l.cfg.DB.System(ctx, "provider groups", func(tx *db.Tx) error {
		if err := q.New(tx).TouchLink(ctx, q.TouchLinkParams{ProviderID: p.ID, Subject: a.Subject, Label: a.Label, UsedAt: l.cfg.Now().UnixMilli()}); err != nil {
			return fmt.Errorf("noting the sign-in: %w", err)
		}
		return l.applyGroups(ctx, tx, p.Provider, who, v)
	})
}

// applyGroups makes roles and the superuser flag what the groups say.
func (l *Logins) applyGroups(ctx context.Context, tx *db.Tx, p Provider, who person, v verdict) error {
	if len(p.Mappings) > 0 {
		if err := l.applyRoles(ctx, tx, p, who, v.grants); err != nil {
			return err
		}
	}
	return l.applySuperuser(ctx, tx, p, who, v.link.Superuser, v.super)
}

// create makes an account, links it, and gives it the roles of its groups: without any mapping that of a viewer of the default workspace, with mappings exactly what they say.
func (l *Logins) create(ctx context.Context, p *provider, a assertion, v verdict, ip string) (string, error) {
	prepared, err := l.cfg.People.Prepare(ctx, v.newcomer)
	if err != nil {
		return "", err
	}
	err = l.cfg.DB.System(ctx, "provider accounts", func(tx *db.Tx) error {
		u, err := l.cfg.People.Insert(ctx, tx, prepared)
		if err != nil {
			return err
		}
		if err := l.cfg.Gate.Record(ctx, tx, p.principal(ip), authz.UserCreate, u.Resource(), audit.Done, "made at the first sign-in as "+plain(a.Label, 200)); err != nil {
			return err
		}
		if err := l.insertLink(ctx, tx, p, a, u.ID); err != nil {
			return err
		}
		if err := noteGiven(ctx, tx, p.Provider, u.ID, identity.DefaultWorkspace, v.newcomer.Role); err != nil {
			return err
		}
		return l.applyGroups(ctx, tx, p.Provider, person{u.ID, u.Username, ip}, v)
	})
	return prepared.ID(), err
}

func (l *Logins) insertLink(ctx context.Context, tx *db.Tx, p *provider, a assertion, userID string) error {
	now := l.cfg.Now().UnixMilli()
	if err := q.New(tx).InsertLink(ctx, q.InsertLinkParams{ProviderID: p.ID, Subject: a.Subject, AccountID: userID, Label: a.Label, CreatedAt: now, UsedAt: now}); err != nil {
		return fmt.Errorf("linking: %w", err)
	}
	return nil
}
