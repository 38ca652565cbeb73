package login

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"

	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// Who may sign in with a password.
const (
	// PasswordEveryone lets everybody who has one.
	PasswordEveryone = "everyone"
	// PasswordSuperusers leaves it to superusers, so that somebody can come in when the identity provider does not answer; all others use single sign-on or a passkey.
	PasswordSuperusers = "superusers"
)

const (
	passwordPolicyName = "sign-in.password"
	// ChangeKind is the kind of changes of how people sign in: the password policy and providers.
	ChangeKind = "sign-in"
)

// policy is what everybody's sign-in goes by, in memory.
type policy struct{ superusersOnly atomic.Bool }

func (l *Logins) loadPolicy(ctx context.Context) error {
	value, err := db.Meta(ctx, l.cfg.DB.Read(), passwordPolicyName)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("reading who may use a password: %w", err)
	}
	l.policy.superusersOnly.Store(value == PasswordSuperusers)
	return nil
}

// PasswordPolicy is PasswordEveryone or PasswordSuperusers, from memory.
func (l *Logins) PasswordPolicy() string {
	if l.policy.superusersOnly.Load() {
		return PasswordSuperusers
	}
	return PasswordEveryone
}

// SetPasswordPolicy says who may sign in with a password. It needs SignInManage.
func (l *Logins) SetPasswordPolicy(ctx context.Context, actor authz.Principal, value string) error {
	if value != PasswordEveryone && value != PasswordSuperusers {
		return problem.New(problem.Invalid, "Passwords are for everyone or for superusers.").WithField("password")
	}
	return l.cfg.Gate.DoDetail(ctx, actor, authz.SignInManage, authz.Resource{Type: "SignIn"}, "passwords for "+value, func(tx *db.Tx) error {
		if err := tx.PutMeta(ctx, passwordPolicyName, value); err != nil {
			return fmt.Errorf("storing who may use a password: %w", err)
		}
		return tx.Changed(ChangeKind, "password")
	})
}

// mayUsePassword is asked after the password was right, so that it tells nothing to others.
func (l *Logins) mayUsePassword(c identity.Credential) error {
	if c.Superuser || l.PasswordPolicy() == PasswordEveryone {
		return nil
	}
	return problem.New(problem.Denied, "Passwords are only for superusers here.").WithNext("Sign in with single sign-on or a passkey.").WithRule("password policy")
}
