package login

import (
	"context"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// publishedPassword is Langflow's former default, which every scanner tries (CVE-2026-13446).
const publishedPassword = "langflow"

// EnsureSuperuser makes the superuser that LANGFLOW_SUPERUSER and LANGFLOW_SUPERUSER_PASSWORD name, if there is no superuser yet; an existing one is left alone, password and all. The password rules are not asked,
// because it is the operator's own; weak tells that they would have refused it. The builder's published default is accepted only where nobody but this host can try it.
func (l *Logins) EnsureSuperuser(ctx context.Context, username, password string, onlyLoopback bool) (made, weak bool, err error) {
	if password == "" || l.cfg.People.HasAdmin() {
		return false, false, nil
	}
	if password == publishedPassword && !onlyLoopback {
		return false, false, problem.New(problem.Invalid, "LANGFLOW_SUPERUSER_PASSWORD is the published default, and Sluice listens on more than the loopback address.").
			WithNext("Choose a password of your own, or HOST=127.0.0.1.")
	}
	weak = identity.CheckPassword(password, username) != nil
	prepared, err := l.cfg.People.PrepareOperator(ctx, username, password)
	if err != nil {
		return false, weak, err
	}
	err = l.cfg.DB.System(ctx, "configured people", func(tx *db.Tx) error {
		// Two nodes that start together must not make two.
		if err := tx.Ordered(); err != nil {
			return err
		}
		u, err := l.cfg.People.CreateFirst(ctx, tx, prepared)
		if err != nil {
			return err
		}
		return l.cfg.Gate.Record(ctx, tx, authz.SystemPrincipal("serve"), authz.UserCreate, u.Resource(), audit.Done, "superuser made from LANGFLOW_SUPERUSER")
	})
	switch p := problem.Of(err); {
	case err == nil:
		return true, weak, nil
	case l.cfg.People.HasAdmin():
		// Another node was faster.
		return false, weak, nil
	case p.Kind == problem.Conflict:
		return false, weak, problem.Newf(problem.Conflict, "LANGFLOW_SUPERUSER names %q, which is somebody who is not a superuser.", username).
			WithNext("Choose another name, or run: sluice user promote " + username)
	}
	return false, weak, err
}
