package login

import (
	"context"
	"fmt"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/identity"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

// SignUpState is how a sign-up ended.
type SignUpState int

const (
	// SignUpDone means that the account is active; the person can sign in.
	SignUpDone SignUpState = iota
	// SignUpCheckMail means that a mail with a link is under way, if the address can be used.
	SignUpCheckMail
	// SignUpWaiting means that an admin has to let the person in.
	SignUpWaiting
)

// SignUpOpen reports whether strangers may make accounts.
func (l *Logins) SignUpOpen() bool { return l.cfg.OpenSignUp }

// SignUp makes an account for a stranger: a viewer of the default workspace. With a mail server the address must be proven first, and an address that has an account already gets the
// same answer and a mail that says so; without one a taken address is a Conflict, because nothing else could be told truthfully.
func (l *Logins) SignUp(ctx context.Context, n identity.NewUser, m authn.Meta) (SignUpState, error) {
	if !l.cfg.OpenSignUp {
		return 0, problem.New(problem.Denied, "Sign-up is closed.").WithNext("Ask an admin for an invitation.").WithRule("SLUICE_OPEN_SIGN_UP")
	}
	if n.Password == "" {
		return 0, problem.New(problem.Invalid, "Choose a password of at least 15 characters.").WithField("password")
	}
	byMail := l.MailConfigured()
	if byMail && n.Email == "" {
		return 0, problem.New(problem.Invalid, "Enter your e-mail address; it will be confirmed by mail.").WithField("email")
	}
	if err := l.reserve(ctx, []counter{{"sign-up:" + addressPrefix(m.IP), addressLimit}}); err != nil {
		return 0, err
	}
	n.Superuser, n.Role, n.Workspace, n.EmailVerified = false, authz.RoleViewer, "", false
	n.Active = l.cfg.NewUserActive && !byMail
	prepared, err := l.cfg.People.Prepare(ctx, n)
	if err != nil {
		return 0, err
	}
	if byMail {
		return SignUpCheckMail, l.signUpByMail(ctx, prepared, n, m)
	}
	if err := l.insert(ctx, prepared, m, func(*db.Tx, identity.User) error { return nil }); err != nil {
		return 0, err
	}
	if n.Active {
		return SignUpDone, nil
	}
	return SignUpWaiting, nil
}

func (l *Logins) signUpByMail(ctx context.Context, prepared identity.Prepared, n identity.NewUser, m authn.Meta) error {
	known, found, err := l.cfg.People.Credential(ctx, n.Email)
	if err != nil {
		return err
	}
	if found {
		return l.later.do(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			if err := l.cfg.DB.System(ctx, "links", func(tx *db.Tx) error { return l.resetMailIn(ctx, tx, known) }); err != nil {
				l.cfg.Log.Error("a mail about an existing account could not be written", "error", err)
			}
		})
	}
	return l.insert(ctx, prepared, m, func(tx *db.Tx, u identity.User) error { return l.verifyMailIn(ctx, tx, u) })
}

func (l *Logins) insert(ctx context.Context, prepared identity.Prepared, m authn.Meta, also func(*db.Tx, identity.User) error) error {
	return l.cfg.DB.System(ctx, "sign-up", func(tx *db.Tx) error {
		u, err := l.cfg.People.Insert(ctx, tx, prepared)
		if err != nil {
			return err
		}
		who := authz.Principal{Kind: authz.Person, ID: u.ID, Name: u.Username, IP: m.IP}
		if err := l.cfg.Gate.Record(ctx, tx, who, authz.UserCreate, u.Resource(), audit.Done, "signed up"); err != nil {
			return err
		}
		return also(tx, u)
	})
}

func (l *Logins) verifyMailIn(ctx context.Context, tx *db.Tx, u identity.User) error {
	if err := authn.DropTickets(ctx, tx, authn.PurposeVerify, u.ID); err != nil {
		return fmt.Errorf("replacing earlier links: %w", err)
	}
	token, expires, err := l.cfg.Sessions.NewTicket(ctx, tx, authn.PurposeVerify, authn.Ticket{Subject: u.ID, Audience: u.Email}, l.cfg.InviteLife)
	if err != nil {
		return err
	}
	return l.send(ctx, tx, mail.VerifyEmail{Name: u.Name, Email: u.Email, Link: l.link("/verify", token), Expires: expires}, u.Email)
}

// SendVerification mails the signed-in person a link that proves their address.
func (l *Logins) SendVerification(ctx context.Context, p authz.Principal) error {
	u, err := l.cfg.People.Get(ctx, p, p.ID)
	if err != nil {
		return err
	}
	switch {
	case u.Email == "":
		return problem.New(problem.Invalid, "Your account has no e-mail address.").WithField("email")
	case u.EmailVerified:
		return problem.New(problem.Conflict, "Your address is confirmed already.")
	case !l.MailConfigured():
		return problem.New(problem.Unavailable, "This Sluice sends no mail.")
	}
	if err := l.reserve(ctx, []counter{{"ask:" + l.mac("guess", p.ID), askLimit}}); err != nil {
		return err
	}
	return l.cfg.DB.System(ctx, "links", func(tx *db.Tx) error { return l.verifyMailIn(ctx, tx, u) })
}

// CheckVerify tells which address a link proves.
func (l *Logins) CheckVerify(ctx context.Context, token string) (email string, err error) {
	t, err := l.cfg.Sessions.CheckTicket(ctx, authn.PurposeVerify, token)
	return t.Audience, err
}

// Verify spends the link. An account that only waited for it becomes active if new people may come in by themselves.
func (l *Logins) Verify(ctx context.Context, token, ip string) (identity.User, error) {
	t, err := l.cfg.Sessions.CheckTicket(ctx, authn.PurposeVerify, token)
	if err != nil {
		return identity.User{}, err
	}
	system := authz.SystemPrincipal("verification link")
	u, err := l.cfg.People.Get(ctx, system, t.Subject)
	if err != nil {
		return identity.User{}, err
	}
	if u.Email != t.Audience {
		return identity.User{}, problem.New(problem.Gone, "The account has another address by now.")
	}
	err = l.cfg.DB.System(ctx, "verified address", func(tx *db.Tx) error {
		if err := l.cfg.Sessions.UseTicket(ctx, tx, authn.PurposeVerify, token); err != nil {
			return err
		}
		if err := l.cfg.People.SetEmailVerified(ctx, tx, u.ID); err != nil {
			return err
		}
		who := authz.Principal{Kind: authz.Person, ID: u.ID, Name: u.Username, IP: ip}
		return l.cfg.Gate.Record(ctx, tx, who, authz.AccountUpdate, u.Resource(), audit.Done, "e-mail address confirmed")
	})
	if err == nil && u.Waiting && l.cfg.NewUserActive {
		err = l.cfg.People.SetActive(ctx, system, u.ID, true)
	}
	if err != nil {
		return identity.User{}, err
	}
	return l.cfg.People.Get(ctx, system, u.ID)
}
