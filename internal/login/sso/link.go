package sso

import (
	"context"
	"fmt"
	"time"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/login"
	"sluice/internal/problem"
)

// Link is an identity at a provider that is linked to an account.
type Link struct {
	// Provider is the provider's id, ProviderName its name. Label is the person's display name
	// there.
	Provider, ProviderName, Label string
	CreatedAt, UsedAt             time.Time
}

// Links lists the identities that are linked to an account. People can see their own; other
// people's require UserView.
func (s *SSO) Links(ctx context.Context, actor authz.Principal, userID string) ([]Link, error) {
	if _, err := s.cfg.People.Get(ctx, actor, userID); err != nil {
		return nil, err
	}
	rows, err := q.New(s.cfg.DB.Read()).LinksOf(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("reading linked identities: %w", err)
	}
	out := []Link{}
	for _, r := range rows {
		if p, ok := s.providers.byID(r.ProviderID); ok {
			out = append(out,
				Link{p.ID, p.Name, r.Label, time.UnixMilli(r.CreatedAt).UTC(), time.UnixMilli(r.UsedAt).UTC()})
		}
	}
	return out, nil
}

// linkTo links an identity to the signed-in person. An identity of another account stays with it.
func (s *SSO) linkTo(ctx context.Context, p *provider, who authz.Principal, a assertion) error {
	taken := problem.Newf(problem.Conflict, "This identity at %s is already linked to another account.", p.Name).
		WithNext("Sign in with it, or sign out at " + p.Name + " and choose another identity there.")
	return s.cfg.Gate.DoDetail(ctx, who, authz.AccountFactors, login.OwnAccount(who),
		"linked to "+plain(a.Label, 200)+" at "+p.Slug,
		func(tx *db.Tx) error {
			if err := tx.Ordered(); err != nil {
				return err
			}
			rows, err := q.New(tx).LinksOf(ctx, who.ID)
			if err != nil {
				return fmt.Errorf("reading linked identities: %w", err)
			}
			for _, r := range rows {
				if r.ProviderID == p.ID && r.Subject == a.Subject {
					return problem.New(problem.Conflict, "This identity is already linked to your account.")
				}
				if r.ProviderID == p.ID {
					return problem.Newf(problem.Conflict, "Your account is linked to another identity at %s.", p.Name).
						WithNext("Unlink that one first.")
				}
			}
			if err := s.accounts.insertLink(ctx, tx, p, a, who.ID); err != nil {
				if db.IsUnique(err) {
					return taken
				}
				return err
			}
			v := verdict{grants: s.accounts.grants(p.Provider, a.Groups), super: p.superuserMember(a.Groups)}
			return s.accounts.applyGroups(ctx, tx, p.Provider, person{who.ID, who.Name, who.IP}, v)
		})
}

// Unlink removes an identity from the person's own account, with the roles that its groups gave, so
// that no one keeps roles that the provider would take back. It is refused if the identity is the
// last way to sign in.
func (s *SSO) Unlink(ctx context.Context, who authz.Principal, providerID string) error {
	p, ok := s.providers.byID(providerID)
	if !ok {
		return noProvider()
	}
	return s.cfg.Gate.DoDetail(ctx, who, authz.AccountFactors, login.OwnAccount(who), "unlinked from "+p.Slug,
		func(tx *db.Tx) error {
			// Two concurrent calls must not leave a person without any way to sign in.
			if err := tx.Ordered(); err != nil {
				return err
			}
			rows, err := q.New(tx).LinksOf(ctx, who.ID)
			if err != nil {
				return fmt.Errorf("reading linked identities: %w", err)
			}
			gave := false
			for _, r := range rows {
				gave = gave || r.ProviderID == p.ID && r.Superuser
			}
			if err := s.anotherWay(ctx, tx, who.ID, providerID, rows); err != nil {
				return err
			}
			if err := s.accounts.takeBack(ctx, tx, p.Provider, who, gave); err != nil {
				return err
			}
			n, err := q.New(tx).DeleteLink(ctx, q.DeleteLinkParams{ProviderID: providerID, AccountID: who.ID})
			if err == nil && n == 0 {
				return problem.Newf(problem.NotFound, "Your account is not linked to %s.", p.Name)
			}
			return err
		})
}

// anotherWay refuses if a person could not sign in without a provider.
func (s *SSO) anotherWay(ctx context.Context, tx *db.Tx, userID, providerID string, links []q.LinkedIdentity) error {
	account, err := q.New(tx).GetAccount(ctx, userID)
	if err != nil {
		return fmt.Errorf("reading the account: %w", err)
	}
	if account.PasswordHash != "" && (account.Superuser || s.cfg.Logins.PasswordPolicy() == login.PasswordEveryone) {
		return nil
	}
	passkeys, err := q.New(tx).CountPasskeys(ctx, userID)
	if err != nil {
		return fmt.Errorf("counting passkeys: %w", err)
	}
	if passkeys > 0 {
		return nil
	}
	for _, r := range links {
		if p, ok := s.providers.byID(r.ProviderID); ok && p.Enabled && r.ProviderID != providerID {
			return nil
		}
	}
	return problem.New(problem.Conflict, "This is your only way to sign in.").
		WithNext("Set a password or add a passkey first.").
		WithRule("last way to sign in")
}

// mayConfirmThere checks that a fresh sign-in at the provider can prove the person's identity: they
// are linked to it, and have no second factor that it would bypass.
func (s *SSO) mayConfirmThere(ctx context.Context, p *provider, who authz.Principal) error {
	if p.Kind == KindGitHub {
		return problem.Newf(problem.Conflict, "%s cannot confirm your identity again.", p.Name).
			WithNext("Sign out and sign in again. To avoid this, set up a password, a passkey or an " +
				"authenticator app right after signing in.")
	}
	if _, err := s.linkOf(ctx, p, who.ID); err != nil {
		return err
	}
	if p.TrustFactor {
		return nil
	}
	has, err := s.cfg.Logins.HasFactors(ctx, who.ID)
	if err == nil && has {
		return problem.New(problem.Conflict, "You have a second factor; confirm with it.").WithRule("step-up")
	}
	return err
}

// linkOf is a person's identity at a provider.
func (s *SSO) linkOf(ctx context.Context, p *provider, userID string) (q.LinkedIdentity, error) {
	rows, err := q.New(s.cfg.DB.Read()).LinksOf(ctx, userID)
	if err != nil {
		return q.LinkedIdentity{}, fmt.Errorf("reading linked identities: %w", err)
	}
	for _, r := range rows {
		if r.ProviderID == p.ID {
			return r, nil
		}
	}
	return q.LinkedIdentity{}, problem.Newf(problem.Conflict, "Your account is not linked to %s.", p.Name).
		WithNext("Confirm another way.")
}

// confirmedThere records that the person of a session has proven their identity again: with the
// same identity, by a sign-in at the provider that is younger than the question (auth_time).
func (s *SSO) confirmedThere(ctx context.Context, p *provider, r round, who authz.Principal, a assertion) error {
	link, err := s.linkOf(ctx, p, who.ID)
	if err != nil {
		return err
	}
	if link.Subject != a.Subject {
		return problem.Newf(problem.Denied, "You signed in at %s with a different identity than the one linked "+
			"to your account.", p.Name).
			WithNext("Start again and sign in there with the linked identity.").
			WithRule("step-up")
	}
	if a.AuthTime.IsZero() || a.AuthTime.Before(time.UnixMilli(r.Begun).Add(-leeway)) {
		return problem.Newf(problem.Denied, "%s did not confirm your identity again (auth_time).", p.Name).
			WithNext("Confirm another way, or sign out and sign in again.").
			WithRule("step-up")
	}
	strong := p.TrustFactor && strongly(a)
	has, err := s.cfg.Logins.HasFactors(ctx, who.ID)
	if err != nil {
		return err
	}
	if has && !strong {
		return problem.Newf(problem.Denied, "You have a second factor, but %s did not ask for one.", p.Name).
			WithNext("Confirm with your second factor.").
			WithRule("step-up")
	}
	return s.cfg.Logins.Confirmed(ctx, who, p.method(), strong, nil)
}
