package login

import (
	"context"

	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/identity"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

// SetPassword gives somebody else a password and ends their sessions. It needs UserReset, as a reset link does, which can do the same. Who has an address is told by mail. One's own is
// changed with ChangePassword, which asks for the present one.
func (l *Logins) SetPassword(ctx context.Context, actor authz.Principal, userID, password string) error {
	if err := l.cfg.Gate.Check(ctx, actor, authz.UserReset, authz.Resource{Type: "User"}); err != nil {
		return err
	}
	if actor.Kind == authz.Person && actor.ID == userID {
		return problem.New(problem.Denied, "Your own password is changed with the present one.").WithRule("own password").WithNext("Use the account page.")
	}
	u, err := l.cfg.People.Get(ctx, actor, userID)
	if err != nil {
		return err
	}
	if err := identity.CheckPassword(password, u.Username, u.Email, u.Name); err != nil {
		return err
	}
	// Asked before the costly hash; the gate asks again.
	if err := l.cfg.Gate.Fresh(actor); err != nil {
		return err
	}
	stored, err := l.cfg.Hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	return l.cfg.Gate.DoDetail(ctx, actor, authz.UserReset, u.Resource(), "password set", func(tx *db.Tx) error {
		m := mail.PasswordChanged{Name: u.Name, At: l.cfg.Now(), IP: actor.IP, ResetPage: l.link("/forgot", "")}
		if err := l.send(ctx, tx, m, u.Email); err != nil {
			return err
		}
		return l.setPassword(ctx, tx, u.ID, stored, "")
	})
}
