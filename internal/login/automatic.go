package login

import (
	"context"
	"errors"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/problem"
)

// automaticLimit bounds how many sessions a program on this machine can make by looking like a browser.
var automaticLimit = limit{60, 30 * time.Second}

// AutoLogin is the username of the superuser as whom browsers on this machine are signed in without being asked; "" if everybody is asked.
func (l *Logins) AutoLogin() string { return l.cfg.AutoLogin }

// Automatic signs a browser in as the superuser of AutoLogin, without any proof: the session is marked as such until the person proves to be themselves. The caller has made sure that the browser runs on
// this machine and that it is a person who came to Sluice. Errors: problem.Denied where the account asks for more than that, such as a second factor; problem.Limited.
func (l *Logins) Automatic(ctx context.Context, a Attempt) (Progress, error) {
	c, found, err := l.cfg.People.Credential(ctx, l.cfg.AutoLogin)
	if err != nil {
		return Progress{}, err
	}
	if l.cfg.AutoLogin == "" || !found || !c.Superuser || !c.Active {
		return Progress{}, notAutomatic()
	}
	begun := a.begun(c.UserID, authn.MethodAutomatic)
	begun.Skipped = []Step{StepEnrol, StepInvitation}
	s, err := l.standing(ctx, begun)
	if err != nil {
		return Progress{}, err
	}
	if next(begun, s) != StepFinish {
		return Progress{}, notAutomatic()
	}
	if err := l.reserve(ctx, []counter{{"automatic", automaticLimit}}); err != nil {
		return Progress{}, err
	}
	return l.identified(ctx, begun, nothingMore)
}

func notAutomatic() error {
	return problem.New(problem.Denied, "Nobody is signed in automatically: the account asks for more than that.").WithNext("Sign in.").WithRule("automatic sign-in")
}

// EnsureAutomatic makes the superuser of AutoLogin if there is nobody of that name; without a password it has none, and a reset link gives it one. Errors: problem.Conflict if the name is somebody's who is not an active superuser.
func (l *Logins) EnsureAutomatic(ctx context.Context, password string) (made bool, err error) {
	name := l.cfg.AutoLogin
	if made, err = l.automaticIsThere(ctx); made || err != nil {
		return false, err
	}
	prepared, err := l.cfg.People.PrepareOperator(ctx, name, password)
	if err != nil {
		return false, err
	}
	err = l.cfg.DB.System(ctx, "configured people", func(tx *db.Tx) error {
		u, err := l.cfg.People.Insert(ctx, tx, prepared)
		if err != nil {
			return err
		}
		return l.cfg.Gate.Record(ctx, tx, authz.SystemPrincipal("serve"), authz.UserCreate, u.Resource(), audit.Done, "superuser made for LANGFLOW_AUTO_LOGIN")
	})
	if problem.Is(err, problem.Conflict) {
		// Another node that starts at the same time may have been faster.
		there, again := l.automaticIsThere(ctx)
		if there {
			err = nil
		}
		return false, errors.Join(err, again)
	}
	return err == nil, err
}

// automaticIsThere reports whether the superuser of AutoLogin exists.
func (l *Logins) automaticIsThere(ctx context.Context) (bool, error) {
	c, found, err := l.cfg.People.Credential(ctx, l.cfg.AutoLogin)
	switch {
	case err != nil || !found:
		return false, err
	case !c.Superuser || !c.Active:
		return false, problem.Newf(problem.Conflict, "LANGFLOW_AUTO_LOGIN would sign everybody in as %q (LANGFLOW_SUPERUSER), who is not an active superuser.", c.Username).
			WithNext("Choose another name, or run: sluice user promote " + c.Username)
	}
	return true, nil
}
