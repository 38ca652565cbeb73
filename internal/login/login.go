package login

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/identity"
	"sluice/internal/mail"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// Config of Logins.
type Config struct {
	DB       *db.DB
	Gate     *authz.Gate
	People   *identity.People
	Hasher   *identity.Hasher
	Sessions *authn.Sessions
	// Tokens makes the tokens of programs that sign in.
	Tokens *authn.Tokens
	// Keyring seals what waits for a browser, and the secrets of second factors and providers.
	Keyring *secret.Keyring
	// TokenKey keys the hashes of names and device cookies.
	TokenKey []byte
	// Mail takes the mails; it need not be configured.
	Mail *mail.Outbox
	// BaseURL is the origin of Sluice's own pages, for links in mails (APP_URL).
	BaseURL func() string
	// ResetLife is how long a reset link is good (PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS), InviteLife an invitation and a verification (INVITE_TOKEN_EXPIRY_IN_HOURS).
	ResetLife, InviteLife time.Duration
	// OpenSignUp lets strangers make accounts (SLUICE_OPEN_SIGN_UP); NewUserActive says whether these may come in without an admin (NEW_USER_IS_ACTIVE).
	OpenSignUp, NewUserActive bool
	// AutoLogin is the username of the superuser as whom browsers on this machine are signed in without being asked (LANGFLOW_AUTO_LOGIN, LANGFLOW_SUPERUSER); "" asks everybody.
	AutoLogin string
	// HTTP asks identity providers; see ProviderClient, which nil stands for.
	HTTP *http.Client
	// Now is the clock.
	Now func() time.Time
	// Log gets what could not be written in the background.
	Log *slog.Logger
}

// Logins is the capability.
type Logins struct {
	cfg       Config
	later     *later
	policy    policy
	providers providers
}

// New makes Logins and follows changes of how people sign in. Close it before the database.
func New(ctx context.Context, c Config) (*Logins, error) {
	if c.HTTP == nil {
		c.HTTP = ProviderClient(providerTime, nil)
	}
	l := &Logins{cfg: c, later: startLater()}
	c.DB.Subscribe(ChangeKind, func(string) {
		ctx := context.Background()
		if err := errors.Join(l.loadPolicy(ctx), l.loadProviders(ctx)); err != nil {
			c.Log.Error("how people sign in could not be read again; what was known stays in force", "error", err)
		}
	})
	return l, errors.Join(l.loadPolicy(ctx), l.loadProviders(ctx))
}

// Close waits for work that was answered before it was done.
func (l *Logins) Close() { l.later.stop() }

// Attempt is one try to sign in; Identifier and Password are for passwords only.
type Attempt struct {
	// Identifier is a username or an e-mail address.
	Identifier string
	// Password in clear.
	Password string
	// IP is the client's address, UserAgent what its browser calls itself, Device the value of its device cookie or "".
	IP, UserAgent, Device string
	// Destination is where the browser goes when it has signed in.
	Destination Destination

	program   bool
	workspace string
}

// begun is the attempt whose first factor has just been proven.
func (a Attempt) begun(account, method string, factors ...string) attempt {
	out := attempt{Account: account, Method: method, Factors: factors, IP: a.IP, UserAgent: clipped(a.UserAgent, 300), Device: a.Device, Destination: a.Destination}
	if a.program {
		// Nobody is there to answer an offer.
		out.Program, out.Workspace, out.Skipped, out.Method = true, a.workspace, []Step{StepEnrol, StepInvitation}, apiMethod
	}
	return out
}

// Result of a sign-in.
type Result struct {
	// Tokens are what a program gets; zero for browsers.
	Tokens authn.Pair
	// Token is the session cookie's value, Device the device cookie's.
	Token, Device string
	// Session is the new session, UserID its person.
	Session authn.Session
	UserID  string
}

// Password proves a first factor. Every wrong attempt gets the same problem.Unauthenticated; too many get Limited, a full hash queue Unavailable, both with RetryAfter.
func (l *Logins) Password(ctx context.Context, a Attempt) (Progress, error) {
	if len(a.Identifier) > 254 || len(a.Password) > identity.MaxPassword {
		return Progress{}, notRight()
	}
	identifier := strings.ToLower(strings.TrimSpace(a.Identifier))
	credential, found, err := l.cfg.People.Credential(ctx, identifier)
	if err != nil {
		return Progress{}, err
	}
	counters := l.counters(identifier, a.IP, l.knownDevice(a.Device, credential.UserID))
	if err := l.reserve(ctx, counters); err != nil {
		return Progress{}, err
	}
	ok, upgrade, err := l.cfg.Hasher.Verify(ctx, credential.PasswordHash, a.Password)
	if err != nil {
		l.unreserve(counters)
		return Progress{}, err
	}
	if !ok || !found {
		l.recordWrong(a, credential, found)
		return Progress{}, notRight()
	}
	if err := l.mayUsePassword(credential); err != nil {
		l.recordWrong(a, credential, found)
		return Progress{}, err
	}
	if !l.cfg.Sessions.MayWorkIn(credential.UserID, a.workspace) {
		l.unreserve(counters)
		return Progress{}, noWorkspace()
	}
	if upgrade {
		l.upgrade(ctx, credential, a.Password)
	}
	return l.identified(ctx, a.begun(credential.UserID, factorPassword, factorPassword), func(tx *db.Tx) error {
		return l.forgive(ctx, tx, counters, true)
	})
}

// notRight is the one answer to every sign-in that fails.
func notRight() error {
	return problem.New(problem.Unauthenticated, "That username or password is not right.").WithNext("Try again, or ask an admin for a link that sets a new password.")
}

func (l *Logins) unreserve(counters []counter) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := l.cfg.DB.System(ctx, "guess counters", func(tx *db.Tx) error { return l.forgive(ctx, tx, counters, false) })
	if err != nil {
		l.cfg.Log.Warn("an attempt that was not judged stays counted", "error", err)
	}
}

func (l *Logins) recordWrong(a Attempt, c identity.Credential, found bool) {
	res := authz.Resource{Type: "User"}
	if found {
		res.ID, res.Name, res.Owner = c.UserID, c.Username, c.UserID
	}
	l.cfg.Gate.RecordLater(authz.Principal{IP: a.IP}, authz.AccountSignIn, res, audit.Denied, "password")
}

// upgrade stores a hash with more rounds. It is a by-product: a failure only means that the next sign-in tries again.
func (l *Logins) upgrade(ctx context.Context, c identity.Credential, password string) {
	stored, err := l.cfg.Hasher.Hash(ctx, password)
	if err == nil {
		err = l.cfg.DB.System(ctx, "password upgrade", func(tx *db.Tx) error {
			return l.cfg.People.UpgradePassword(ctx, tx, c, stored)
		})
	}
	if err != nil {
		l.cfg.Log.Warn("a password hash could not be upgraded", "account", c.UserID, "error", err)
	}
}

// finish makes the session and everything that goes with a sign-in, in one transaction with what the caller adds.
func (l *Logins) finish(ctx context.Context, userID string, m authn.Meta, provider *providerSession, also func(*db.Tx) error) (Result, error) {
	device, err := l.newDevice(userID)
	if err != nil {
		return Result{}, err
	}
	r := Result{Device: device, UserID: userID}
	err = l.cfg.DB.System(ctx, "sign-in", func(tx *db.Tx) error {
		if err := also(tx); err != nil {
			return err
		}
		if m.Program {
			r.Tokens, r.Session, err = l.cfg.Tokens.Begin(ctx, tx, userID, m)
		} else {
			r.Token, r.Session, err = l.cfg.Sessions.Begin(ctx, tx, userID, m)
		}
		if err != nil {
			return err
		}
		if err := l.keepProvider(ctx, tx, r.Session.ID, provider); err != nil {
			return err
		}
		if err := l.cfg.People.NoteSignIn(ctx, tx, userID); err != nil {
			return err
		}
		account, err := q.New(tx).GetAccount(ctx, userID)
		if err != nil {
			return fmt.Errorf("reading the account: %w", err)
		}
		who := authz.Principal{Kind: authz.Person, ID: userID, Name: account.Username, IP: m.IP}
		return l.cfg.Gate.Record(ctx, tx, who, authz.AccountSignIn, authz.Resource{Type: "User", ID: userID, Name: account.Username}, audit.Done, m.Method)
	})
	return r, err
}

// keepProvider notes which session of an identity provider a session came from.
func (l *Logins) keepProvider(ctx context.Context, tx *db.Tx, sessionID string, p *providerSession) error {
	if p == nil {
		return nil
	}
	sealed, err := l.cfg.Keyring.Seal([]byte(p.IDToken), "provider_session", sessionID)
	if err == nil {
		err = q.New(tx).InsertProviderSession(ctx, q.InsertProviderSessionParams{
			SessionID: sessionID, ProviderID: p.ProviderID, Subject: p.Subject, Sid: p.SID, IDTokenSealed: base64.StdEncoding.EncodeToString(sealed),
		})
	}
	if err != nil {
		return fmt.Errorf("noting the provider's session: %w", err)
	}
	return nil
}

// SignOut ends the session that a request came with, on all origins.
func (l *Logins) SignOut(ctx context.Context, p authz.Principal) error {
	err := l.cfg.Sessions.Revoke(ctx, p, p.SessionID)
	if problem.Is(err, problem.NotFound) {
		return nil
	}
	return err
}

// ChangePassword sets one's own password and ends one's other sessions. The old one must be right, if there is one; guesses at it are limited like sign-ins.
func (l *Logins) ChangePassword(ctx context.Context, p authz.Principal, oldPassword, newPassword string) error {
	c, err := l.confirmPassword(ctx, p, oldPassword, "old_password")
	if err != nil {
		return err
	}
	if err := identity.CheckPassword(newPassword, p.Name, p.Email, p.DisplayName); err != nil {
		return err
	}
	stored, err := l.cfg.Hasher.Hash(ctx, newPassword)
	if err != nil {
		return err
	}
	res := authz.Resource{Type: "User", ID: p.ID, Name: p.Name, Owner: p.ID}
	return l.cfg.Gate.DoDetail(ctx, p, authz.AccountUpdate, res, "password changed", func(tx *db.Tx) error {
		if err := l.send(ctx, tx, mail.PasswordChanged{Name: p.DisplayName, At: l.cfg.Now(), IP: p.IP, ResetPage: l.link("/forgot", "")}, c.Email); err != nil {
			return err
		}
		return l.setPassword(ctx, tx, p.ID, stored, p.SessionID)
	})
}

// setPassword stores a hash, ends the sessions that the old password may have opened, and spends all reset links.
func (l *Logins) setPassword(ctx context.Context, tx *db.Tx, userID, stored, keepSession string) error {
	if err := l.cfg.People.SetPassword(ctx, tx, userID, stored); err != nil {
		return err
	}
	if err := authn.DropTickets(ctx, tx, authn.PurposeReset, userID); err != nil {
		return fmt.Errorf("spending reset links: %w", err)
	}
	return l.cfg.Sessions.EndAllIn(ctx, tx, userID, keepSession)
}
