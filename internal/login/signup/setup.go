package signup

import (
	"context"
	"errors"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/problem"
)

// Setup creates the first superusers.
type Setup struct{ cfg Config }

// NewSetup creates Setup.
func NewSetup(c Config) *Setup { return &Setup{cfg: c} }

const (
	// SetupLife is the lifetime of a setup link.
	SetupLife = 30 * time.Minute
	// firstPasswordLife is the lifetime of the link with which a new person sets a first password.
	firstPasswordLife = 24 * time.Hour
)

// SetupLink creates the token of the one-time link for the first admin. It returns Conflict once an
// admin exists. The link makes the person who can read the server's output the first admin, and not
// simply the first visitor.
func (st *Setup) SetupLink(ctx context.Context) (token string, expires time.Time, err error) {
	if st.cfg.People.HasAdmin() {
		return "", time.Time{}, problem.New(problem.Conflict, "Sluice already has an admin.")
	}
	err = st.cfg.DB.System(ctx, "setup link", func(tx *db.Tx) error {
		token, expires, err = st.cfg.Sessions.NewTicket(ctx, tx, authn.PurposeSetup, authn.Ticket{}, SetupLife)
		return err
	})
	return token, expires, err
}

// CheckSetup reports whether a setup token can still be used: NotFound for an unknown one, Gone for
// an expired or used one.
func (st *Setup) CheckSetup(ctx context.Context, token string) error {
	_, err := st.cfg.Sessions.CheckTicket(ctx, authn.PurposeSetup, token)
	if err == nil && st.cfg.People.HasAdmin() {
		err = problem.New(problem.Gone, "Sluice already has an admin.").
			WithNext("Sign in, or ask that admin for an account.")
	}
	return err
}

// ClaimSetup redeems the token, creates the first superuser and signs them in.
func (st *Setup) ClaimSetup(
	ctx context.Context, token string, n identity.NewUser, m authn.Meta,
) (login.Progress, error) {
	if err := st.CheckSetup(ctx, token); err != nil {
		return login.Progress{}, err
	}
	prepared, err := st.cfg.People.PrepareFirst(ctx, n)
	if err != nil {
		return login.Progress{}, err
	}
	var made identity.User
	err = st.cfg.DB.System(ctx, "first admin", func(tx *db.Tx) error {
		// Two valid links used at the same time must not create two admins.
		if err := tx.Ordered(); err != nil {
			return err
		}
		if err := st.cfg.Sessions.UseTicket(ctx, tx, authn.PurposeSetup, token); err != nil {
			return err
		}
		if made, err = st.cfg.People.CreateFirst(ctx, tx, prepared); err != nil {
			return err
		}
		who := authz.Principal{Kind: authz.Person, ID: made.ID, Name: made.Username, IP: m.IP}
		res := authz.Resource{Type: "User", ID: made.ID, Name: made.Username}
		return st.cfg.Gate.Record(ctx, tx, who, authz.SetupClaim, res, audit.Done, "first superuser")
	})
	if err != nil {
		return login.Progress{}, err
	}
	return st.cfg.Logins.Begin(ctx, byLink(m, made.ID, "setup link"), nil)
}

// publishedPassword is Langflow's previous default, which every scanner tries (CVE-2026-13446).
const publishedPassword = "langflow"

// EnsureSuperuser creates the superuser named by LANGFLOW_SUPERUSER and LANGFLOW_SUPERUSER_PASSWORD
// unless a superuser exists. It does not change an existing one or their password. The password
// rules do not apply, because the operator chose the password; weak means that they would have
// refused it. The builder's published default is accepted only if no other host can try it.
func (st *Setup) EnsureSuperuser(
	ctx context.Context, username, password string, onlyLoopback bool,
) (made, weak bool, err error) {
	if password == "" || st.cfg.People.HasAdmin() {
		return false, false, nil
	}
	if password == publishedPassword && !onlyLoopback {
		return false, false, problem.New(problem.Invalid, "LANGFLOW_SUPERUSER_PASSWORD is the published "+
			"default, and Sluice does not listen on the loopback address only.").
			WithNext("Choose another password, or set HOST=127.0.0.1.")
	}
	weak = st.cfg.People.CheckPassword(password, username) != nil
	prepared, err := st.cfg.People.PrepareOperator(ctx, username, password)
	if err != nil {
		return false, weak, err
	}
	err = st.cfg.DB.System(ctx, "configured people", func(tx *db.Tx) error {
		// Two nodes that start together must not create two superusers.
		if err := tx.Ordered(); err != nil {
			return err
		}
		u, err := st.cfg.People.CreateFirst(ctx, tx, prepared)
		if err != nil {
			return err
		}
		return st.cfg.Gate.Record(ctx, tx, authz.SystemPrincipal("serve"), authz.UserCreate, u.Resource(), audit.Done,
			"superuser created from LANGFLOW_SUPERUSER")
	})
	switch p := problem.Of(err); {
	case err == nil:
		return true, weak, nil
	case st.cfg.People.HasAdmin():
		// Another node was faster.
		return false, weak, nil
	case p.Kind == problem.Conflict:
		return false, weak, problem.Newf(problem.Conflict, "LANGFLOW_SUPERUSER names %q, a person who is not a "+
			"superuser.", username).
			WithNext("Choose another name, or run: sluice user promote " + username)
	}
	return false, weak, err
}

// EnsureAutomatic creates the superuser of AutoLogin if no account has that name. Without a
// password the account has none, and a reset link sets one. Errors: problem.Conflict if the name
// belongs to an account that is not an active superuser.
func (st *Setup) EnsureAutomatic(ctx context.Context, password string) (made bool, err error) {
	name := st.cfg.Logins.AutoLogin()
	if made, err = st.automaticIsThere(ctx); made || err != nil {
		return false, err
	}
	prepared, err := st.cfg.People.PrepareOperator(ctx, name, password)
	if err != nil {
		return false, err
	}
	err = st.cfg.DB.System(ctx, "configured people", func(tx *db.Tx) error {
		u, err := st.cfg.People.Insert(ctx, tx, prepared)
		if err != nil {
			return err
		}
		return st.cfg.Gate.Record(ctx, tx, authz.SystemPrincipal("serve"), authz.UserCreate, u.Resource(), audit.Done,
			"superuser created for LANGFLOW_AUTO_LOGIN")
	})
	if problem.Is(err, problem.Conflict) {
		// Another node that starts at the same time may have been faster.
		there, again := st.automaticIsThere(ctx)
		if there {
			err = nil
		}
		return false, errors.Join(err, again)
	}
	return err == nil, err
}

// automaticIsThere reports whether the superuser of AutoLogin exists.
func (st *Setup) automaticIsThere(ctx context.Context) (bool, error) {
	c, found, err := st.cfg.People.Credential(ctx, st.cfg.Logins.AutoLogin())
	switch {
	case err != nil || !found:
		return false, err
	case !c.Superuser || !c.Active:
		return false, problem.Newf(problem.Conflict, "LANGFLOW_AUTO_LOGIN would sign everyone in as %q "+
			"(LANGFLOW_SUPERUSER), who is not an active superuser.", c.Username).
			WithNext("Choose another name, or run: sluice user promote " + c.Username)
	}
	return true, nil
}
