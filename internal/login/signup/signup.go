package signup

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

// Config configures the parts of signing up.
type Config struct {
	DB       *db.DB
	Gate     *authz.Gate
	People   *identity.People
	Hasher   *identity.Hasher
	Sessions *authn.Sessions
	Logins   *login.Logins
	// ResetLife is the lifetime of a reset link (PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS), InviteLife
	// that of an invitation and of a verification link (INVITE_TOKEN_EXPIRY_IN_HOURS).
	ResetLife, InviteLife time.Duration
	// OpenSignUp lets strangers create accounts (SLUICE_OPEN_SIGN_UP). NewUserActive means that
	// they can sign in without an admin's approval (NEW_USER_IS_ACTIVE).
	OpenSignUp, NewUserActive bool
	// Now is the clock.
	Now func() time.Time
	// Log gets failures of background work.
	Log *slog.Logger
}

// SignUps manages the accounts that people create for themselves, and their links: to prove or
// change an address, and to reset a forgotten password.
type SignUps struct {
	cfg   Config
	later *later
}

// New creates SignUps. Close it before the database.
func New(c Config) *SignUps { return &SignUps{cfg: c, later: startLater()} }

// Close waits for work that was answered before it was done.
func (s *SignUps) Close() { s.later.stop() }

// Outcome is the result of a sign-up.
type Outcome int

const (
	// Done means that the account is active; the person can sign in.
	Done Outcome = iota
	// CheckMail means that an email with a link has been sent, if the address can be used.
	CheckMail
	// Waiting means that an admin has to approve the person.
	Waiting
)

// SignUpOpen reports whether strangers may create accounts.
func (s *SignUps) SignUpOpen() bool { return s.cfg.OpenSignUp }

// SignUp creates an account for a stranger: a viewer of the default workspace. With a mail server,
// the address must be proven first. Then an address that already has an account gets the same
// answer, and an email that explains it. Without a mail server a taken address is a Conflict,
// because no other answer would be true.
func (s *SignUps) SignUp(ctx context.Context, n identity.NewUser, m authn.Meta) (Outcome, error) {
	if !s.cfg.OpenSignUp {
		return 0, problem.New(problem.Denied, "Sign-up is closed.").
			WithNext("Ask an admin for an invitation.").
			WithRule("SLUICE_OPEN_SIGN_UP")
	}
	if n.Password == "" {
		return 0, problem.New(problem.Invalid, "Choose a password of at least 15 characters.").WithField("password")
	}
	byMail := s.cfg.Logins.MailConfigured()
	if byMail && n.Email == "" {
		return 0, problem.New(problem.Invalid, "Enter your email address; Sluice sends an email to confirm it.").
			WithField("email")
	}
	attempts := login.Counter{Subject: "sign-up:" + login.AddressPrefix(m.IP), Limit: login.AddressLimit}
	if err := s.cfg.Logins.Limits.Reserve(ctx, attempts); err != nil {
		return 0, err
	}
	n.Superuser, n.Role, n.Workspace, n.EmailVerified = false, authz.RoleViewer, "", false
	n.Active = s.cfg.NewUserActive && !byMail
	prepared, err := s.cfg.People.Prepare(ctx, n)
	if err != nil {
		return 0, err
	}
	if byMail {
		return CheckMail, s.signUpByMail(ctx, prepared, n, m)
	}
	if err := s.insert(ctx, prepared, m, func(*db.Tx, identity.User) error { return nil }); err != nil {
		return 0, err
	}
	if n.Active {
		return Done, nil
	}
	return Waiting, nil
}

func (s *SignUps) signUpByMail(
	ctx context.Context, prepared identity.Prepared, n identity.NewUser, m authn.Meta,
) error {
	known, found, err := s.cfg.People.Credential(ctx, n.Email)
	if err != nil {
		return err
	}
	if found {
		return s.later.do(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			err := s.cfg.DB.System(ctx, "links", func(tx *db.Tx) error { return s.resetMailIn(ctx, tx, known) })
			if err != nil {
				s.cfg.Log.Error("a mail about an existing account could not be written", "error", err)
			}
		})
	}
	return s.insert(ctx, prepared, m, func(tx *db.Tx, u identity.User) error { return s.verifyMailIn(ctx, tx, u) })
}

func (s *SignUps) insert(
	ctx context.Context, prepared identity.Prepared, m authn.Meta, also func(*db.Tx, identity.User) error,
) error {
	return s.cfg.DB.System(ctx, "sign-up", func(tx *db.Tx) error {
		u, err := s.cfg.People.Insert(ctx, tx, prepared)
		if err != nil {
			return err
		}
		who := authz.Principal{Kind: authz.Person, ID: u.ID, Name: u.Username, IP: m.IP}
		if err := s.cfg.Gate.Record(ctx, tx, who, authz.UserCreate, u.Resource(), audit.Done, "signed up"); err != nil {
			return err
		}
		return also(tx, u)
	})
}

func (s *SignUps) verifyMailIn(ctx context.Context, tx *db.Tx, u identity.User) error {
	if err := authn.DropTickets(ctx, tx, authn.PurposeVerify, u.ID); err != nil {
		return fmt.Errorf("replacing previous links: %w", err)
	}
	token, expires, err := s.cfg.Sessions.NewTicket(ctx, tx, authn.PurposeVerify,
		authn.Ticket{Subject: u.ID, Audience: u.Email}, s.cfg.InviteLife)
	if err != nil {
		return err
	}
	return s.cfg.Logins.Send(ctx, tx,
		mail.VerifyEmail{Name: u.Name, Email: u.Email, Link: s.cfg.Logins.Link("/verify", token), Expires: expires},
		u.Email)
}

// SendVerification sends the signed-in person an email with a link that proves their address.
func (s *SignUps) SendVerification(ctx context.Context, p authz.Principal) error {
	u, err := s.cfg.People.Get(ctx, p, p.ID)
	if err != nil {
		return err
	}
	switch {
	case u.Email == "":
		return problem.New(problem.Invalid, "Your account has no email address.").WithField("email")
	case u.EmailVerified:
		return problem.New(problem.Conflict, "Your address is already confirmed.")
	case !s.cfg.Logins.MailConfigured():
		return problem.New(problem.Unavailable, "This Sluice does not send email.")
	}
	if err := s.cfg.Logins.Limits.Reserve(ctx, s.asks(p.ID)); err != nil {
		return err
	}
	return s.cfg.DB.System(ctx, "links", func(tx *db.Tx) error { return s.verifyMailIn(ctx, tx, u) })
}

// CheckVerify returns the address that a link proves.
func (s *SignUps) CheckVerify(ctx context.Context, token string) (email string, err error) {
	t, err := s.cfg.Sessions.CheckTicket(ctx, authn.PurposeVerify, token)
	return t.Audience, err
}

// Verify redeems the link. An account that only waited for it becomes active, if new people do not
// need approval.
func (s *SignUps) Verify(ctx context.Context, token, ip string) (identity.User, error) {
	t, err := s.cfg.Sessions.CheckTicket(ctx, authn.PurposeVerify, token)
	if err != nil {
		return identity.User{}, err
	}
	system := authz.SystemPrincipal("verification link")
	u, err := s.cfg.People.Get(ctx, system, t.Subject)
	if err != nil {
		return identity.User{}, err
	}
	if u.Email != t.Audience {
		return identity.User{}, problem.New(problem.Gone, "The account has a different address now.")
	}
	err = s.cfg.DB.System(ctx, "verified address", func(tx *db.Tx) error {
		if err := s.cfg.Sessions.UseTicket(ctx, tx, authn.PurposeVerify, token); err != nil {
			return err
		}
		if err := s.cfg.People.SetEmailVerified(ctx, tx, u.ID); err != nil {
			return err
		}
		who := authz.Principal{Kind: authz.Person, ID: u.ID, Name: u.Username, IP: ip}
		return s.cfg.Gate.Record(ctx, tx, who, authz.AccountUpdate, u.Resource(), audit.Done,
			"email address confirmed")
	})
	if err == nil && u.Waiting && s.cfg.NewUserActive {
		err = s.cfg.People.Update(ctx, system, u.ID, identity.UserUpdate{Active: problem.Some(true)})
	}
	if err != nil {
		return identity.User{}, err
	}
	return s.cfg.People.Get(ctx, system, u.ID)
}

// ChangeEmail begins a change of the person's own address. The old and the new address each get a
// link, and both must be opened. People with a password must enter it again. The answer does not
// reveal whether the new address belongs to another account. If it does, only the old address gets
// an email, and the change never completes.
func (s *SignUps) ChangeEmail(ctx context.Context, p authz.Principal, password, newEmail string) error {
	if !s.cfg.Logins.MailConfigured() {
		return problem.New(problem.Unavailable, "This Sluice does not send email, so a new address cannot be "+
			"confirmed.").
			WithNext("Ask an admin to change it.")
	}
	newEmail, err := identity.CleanEmail(newEmail)
	if err != nil {
		return err
	}
	c, err := s.cfg.Logins.ConfirmPassword(ctx, p, password, "password")
	if err != nil {
		return err
	}
	if newEmail == "" || strings.EqualFold(newEmail, c.Email) {
		return problem.New(problem.Invalid, "This is already your address.").WithField("email")
	}
	_, taken, err := s.cfg.People.Credential(ctx, newEmail)
	if err != nil {
		return err
	}
	pair, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("creating an id: %w", err)
	}
	target := authn.Ticket{Subject: p.ID, Audience: newEmail + " " + pair.String()}
	res := authz.Resource{Type: "User", ID: p.ID, Name: p.Name, Owner: p.ID}
	return s.cfg.Gate.DoDetail(ctx, p, authz.AccountUpdate, res, "change of email address requested",
		func(tx *db.Tx) error {
			ends := []struct{ purpose, to string }{{authn.PurposeEmailNew, newEmail}, {authn.PurposeEmailOld, c.Email}}
			for _, end := range ends {
				if err := authn.DropTickets(ctx, tx, end.purpose, p.ID); err != nil {
					return fmt.Errorf("replacing previous links: %w", err)
				}
				token, expires, err := s.cfg.Sessions.NewTicket(ctx, tx, end.purpose, target, s.cfg.InviteLife)
				if err != nil {
					return err
				}
				old := end.purpose == authn.PurposeEmailOld
				if old && c.Email == "" {
					// There is no old address to ask, so its half counts as confirmed.
					if err := s.cfg.Sessions.UseTicket(ctx, tx, end.purpose, token); err != nil {
						return err
					}
					continue
				}
				if !old && taken {
					continue
				}
				m := mail.EmailChangeConfirm{
					Name:     p.DisplayName,
					OldEmail: c.Email,
					NewEmail: newEmail,
					ToOld:    old,
					Link:     s.cfg.Logins.Link("/email", token),
					Expires:  expires,
				}
				if err := s.cfg.Logins.Send(ctx, tx, m, end.to); err != nil {
					return err
				}
			}
			return nil
		})
}

// EmailChange is the change that a link confirms.
type EmailChange struct {
	// NewEmail is the new address. ToOld means that the link went to the old one.
	NewEmail string
	ToOld    bool
	userID   string
	audience string
	purpose  string
}

// CheckEmailChange returns the change that a link confirms.
func (s *SignUps) CheckEmailChange(ctx context.Context, token string) (EmailChange, error) {
	purpose := authn.PurposeEmailNew
	t, err := s.cfg.Sessions.CheckTicket(ctx, purpose, token)
	if problem.Is(err, problem.NotFound) {
		purpose = authn.PurposeEmailOld
		t, err = s.cfg.Sessions.CheckTicket(ctx, purpose, token)
	}
	if err != nil {
		return EmailChange{}, err
	}
	address, _, _ := strings.Cut(t.Audience, " ")
	return EmailChange{
		NewEmail: address,
		ToOld:    purpose == authn.PurposeEmailOld,
		userID:   t.Subject,
		audience: t.Audience,
		purpose:  purpose,
	}, nil
}

// ConfirmEmailChange redeems the link of one address. done means that it was the second link and
// the address has changed.
func (s *SignUps) ConfirmEmailChange(ctx context.Context, token, ip string) (done bool, err error) {
	change, err := s.CheckEmailChange(ctx, token)
	if err != nil {
		return false, err
	}
	u, err := s.cfg.People.Get(ctx, authz.SystemPrincipal("e-mail link"), change.userID)
	if err != nil {
		return false, err
	}
	who, active := s.cfg.People.Principal(u.ID)
	if !active {
		return false, problem.New(problem.Gone, "The account is not active.")
	}
	who.IP = ip
	err = s.cfg.Gate.DoDetail(ctx, who, authz.AccountUpdate, u.Resource(),
		"change of email address confirmed by one address",
		func(tx *db.Tx) error {
			// Both links may be opened at the same moment.
			if err := tx.Ordered(); err != nil {
				return err
			}
			if err := s.cfg.Sessions.UseTicket(ctx, tx, change.purpose, token); err != nil {
				return err
			}
			other := authn.PurposeEmailOld
			if change.ToOld {
				other = authn.PurposeEmailNew
			}
			var err error
			done, err = authn.TicketUsed(ctx, tx, other, authn.Ticket{Subject: u.ID, Audience: change.audience})
			if err != nil || !done {
				return err
			}
			return s.setEmail(ctx, tx, u.ID, change.NewEmail)
		})
	return done && err == nil, err
}

func (s *SignUps) setEmail(ctx context.Context, tx *db.Tx, userID, email string) error {
	if err := s.cfg.People.SetEmail(ctx, tx, userID, email); err != nil {
		return err
	}
	// Reset links that were sent to the old address must stop working.
	if err := authn.DropTickets(ctx, tx, authn.PurposeReset, userID); err != nil {
		return fmt.Errorf("using up reset links: %w", err)
	}
	return nil
}

// CancelEmailChange cancels the change that a link belongs to. The links at both addresses stop
// working.
func (s *SignUps) CancelEmailChange(ctx context.Context, token string) error {
	change, err := s.CheckEmailChange(ctx, token)
	if err != nil {
		return err
	}
	return s.cfg.DB.System(ctx, "links", func(tx *db.Tx) error {
		for _, purpose := range []string{authn.PurposeEmailOld, authn.PurposeEmailNew} {
			if err := authn.DropTickets(ctx, tx, purpose, change.userID); err != nil {
				return fmt.Errorf("completing the change: %w", err)
			}
		}
		return nil
	})
}

// byLink is the attempt of a person who came with a one-time link.
func byLink(m authn.Meta, account, method string) login.State {
	return login.State{
		Account:   account,
		Method:    method,
		Factors:   []string{login.FactorLink},
		IP:        m.IP,
		UserAgent: m.UserAgent,
	}
}

// askLimit slows down requests for emails, because each one ends up in a person's mailbox.
var askLimit = login.Limit{Free: 5, Most: 15 * time.Minute}

// asks counts the emails that were requested for one account, or for one name.
func (s *SignUps) asks(of string) login.Counter {
	return login.Counter{Subject: "ask:" + s.cfg.Logins.Hash("guess", of), Limit: askLimit}
}

// ResendVerification sends the email again that an attempt at StepVerify waits for.
func (s *SignUps) ResendVerification(ctx context.Context, attemptToken string) error {
	a, err := s.cfg.Logins.Load(ctx, attemptToken, login.StepVerify)
	if err != nil {
		return err
	}
	u, err := s.cfg.People.Get(ctx, a.Principal(s.cfg.People), a.Account)
	if err != nil {
		return err
	}
	if err := s.cfg.Logins.Limits.Reserve(ctx, s.asks(a.Account)); err != nil {
		return err
	}
	return s.cfg.DB.System(ctx, "links", func(tx *db.Tx) error { return s.verifyMailIn(ctx, tx, u) })
}
