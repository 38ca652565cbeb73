package login

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/identity"
	"sluice/internal/mail"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// Config configures Logins.
type Config struct {
	DB       *db.DB
	Gate     *authz.Gate
	People   *identity.People
	Hasher   *identity.Hasher
	Sessions *authn.Sessions
	// Tokens creates the tokens of programs that sign in.
	Tokens *authn.Tokens
	// Keyring seals data that waits for a browser.
	Keyring *secret.Keyring
	// TokenKey keys the hashes of names and device cookies.
	TokenKey []byte
	// Mail takes the emails. It need not be configured.
	Mail *mail.Outbox
	// BaseURL is the origin of Sluice's own pages, for links in emails (APP_URL).
	BaseURL func() string
	// AutoLogin is the username of the superuser as whom browsers on this machine are signed in
	// automatically (LANGFLOW_AUTO_LOGIN, LANGFLOW_SUPERUSER). "" makes everyone sign in.
	AutoLogin string
	// Now is the clock.
	Now func() time.Time
	// Log gets failures of background work.
	Log *slog.Logger
}

// Password policies: who may sign in with a password.
const (
	// PasswordEveryone permits everyone who has a password.
	PasswordEveryone = "everyone"
	// PasswordSuperusers permits only superusers, so that someone can sign in when the identity
	// provider does not answer. Everyone else uses single sign-on or a passkey.
	PasswordSuperusers = "superusers"
)

const (
	passwordPolicyName = "sign-in.password"
	// ChangeKind is the kind of changes to how people sign in: the password policy and providers.
	ChangeKind = "sign-in"
)

// automaticLimit bounds how many sessions a program on this machine can create by imitating a
// browser.
var automaticLimit = Limit{Free: 60, Most: 30 * time.Second}

// Logins takes people from a first factor to a session.
type Logins struct {
	// Limits count guesses, and Pending stores data that waits for a browser. The parts use both
	// too.
	Limits  *Limits
	Pending *Pending

	cfg   Config
	key   hashKey
	hooks Hooks
	// superusersOnly is the password policy.
	superusersOnly atomic.Bool
}

// Hooks are functions of the parts that signing in needs but cannot import. The server connects
// them before the first request.
type Hooks struct {
	// FactorCode proves the second factor of an attempt with a code (factor.Factors.FactorCode).
	FactorCode func(ctx context.Context, attemptToken, code, ip string) (Progress, error)
	// KeepSession stores the provider's side of a new session (sso.Providers.KeepSession), in the
	// transaction that creates the session.
	KeepSession func(ctx context.Context, tx *db.Tx, sessionID string, s ProviderSession) error
}

// New creates Logins and follows changes of the password policy. Sign-ins that need a part fail
// until Connect is called.
func New(ctx context.Context, c Config) (*Logins, error) {
	key := hashKey(c.TokenKey)
	l := &Logins{
		Limits:  &Limits{db: c.DB, key: key, now: c.Now, log: c.Log},
		Pending: &Pending{db: c.DB, keyring: c.Keyring, key: key, now: c.Now},
		cfg:     c,
		key:     key,
		hooks: Hooks{
			FactorCode: func(context.Context, string, string, string) (Progress, error) {
				return Progress{}, errors.New("second factors are not connected")
			},
			KeepSession: func(context.Context, *db.Tx, string, ProviderSession) error {
				return errors.New("identity providers are not connected")
			},
		},
	}
	c.DB.Subscribe(ChangeKind, func(string) {
		if err := l.loadPolicy(context.Background()); err != nil {
			c.Log.Error("the sign-in settings could not be reloaded; the previous ones stay in force", "error", err)
		}
	})
	return l, l.loadPolicy(ctx)
}

// Connect sets the hooks. Call it once, before the first sign-in.
func (l *Logins) Connect(h Hooks) { l.hooks = h }

// Hash is the keyed hash of a text for one purpose, for values that must not be in the database in
// clear.
func (l *Logins) Hash(purpose, text string) string { return l.key.hash(purpose, text) }

// PruneGuesses removes counters that have expired. The server runs it regularly.
func (l *Logins) PruneGuesses(ctx context.Context, now time.Time) error {
	return l.Limits.prune(ctx, now)
}

// PruneAttempts removes abandoned attempts, and all other expired data that waited for a browser.
// The server runs it regularly.
func (l *Logins) PruneAttempts(ctx context.Context, now time.Time) error {
	return l.Pending.prune(ctx, now)
}

// MailConfigured reports whether Sluice can send email. Without it, each link is shown to the admin
// who requests it.
func (l *Logins) MailConfigured() bool { return l.cfg.Mail != nil && l.cfg.Mail.Configured() }

// Send puts an email into the outbox within the caller's transaction. It does nothing without an
// address or a mail server.
func (l *Logins) Send(ctx context.Context, tx *db.Tx, m mail.Message, to string) error {
	if to == "" || !l.MailConfigured() {
		return nil
	}
	return l.cfg.Mail.Put(ctx, tx, m, mail.Address{Email: to})
}

// Link is an address on Sluice's own pages, with a token unless that is "".
func (l *Logins) Link(path, token string) string {
	base := ""
	if l.cfg.BaseURL != nil {
		base = l.cfg.BaseURL()
	}
	if token == "" {
		return base + path
	}
	return base + path + "?token=" + url.QueryEscape(token)
}

// Attempt is one attempt to sign in. Identifier and Password are for passwords only.
type Attempt struct {
	// Identifier is a username or an email address.
	Identifier string
	// Password is in clear.
	Password string
	// IP is the client's address, UserAgent the name that its browser sends, and Device the value
	// of its device cookie or "".
	IP, UserAgent, Device string
	// Destination is where the browser goes after the sign-in.
	Destination Destination

	program   bool
	workspace string
}

// Identified is the state of an attempt whose first factor has just been proven.
func (a Attempt) Identified(account, method string, factors ...string) State {
	out := State{
		Account:     account,
		Method:      method,
		Factors:     factors,
		IP:          a.IP,
		UserAgent:   a.UserAgent,
		Device:      a.Device,
		Destination: a.Destination,
	}
	if a.program {
		// A program cannot answer an offer.
		out.Program, out.Workspace, out.Method = true, a.workspace, apiMethod
		out.Skipped = []Step{StepEnrol, StepInvitation}
	}
	return out
}

// Password proves a first factor. Every wrong attempt gets the same problem.Unauthenticated. Too
// many attempts get Limited, and a full hash queue Unavailable, both with RetryAfter.
func (l *Logins) Password(ctx context.Context, a Attempt) (Progress, error) {
	if len(a.Identifier) > 254 || len(a.Password) > identity.MaxPassword {
		return Progress{}, notRight()
	}
	identifier := strings.ToLower(strings.TrimSpace(a.Identifier))
	credential, found, err := l.cfg.People.Credential(ctx, identifier)
	if err != nil {
		return Progress{}, err
	}
	counters := l.Limits.signIn(identifier, a.IP, l.Limits.KnownDevice(a.Device, credential.UserID))
	if err := l.Limits.Reserve(ctx, counters...); err != nil {
		return Progress{}, err
	}
	ok, upgrade, err := l.cfg.Hasher.Verify(ctx, credential.PasswordHash, a.Password)
	if err != nil {
		l.Limits.Unreserve(counters...)
		return Progress{}, err
	}
	if !ok || !found {
		l.recordWrong(a, credential, found)
		return Progress{}, notRight()
	}
	if err := l.MayUsePassword(credential); err != nil {
		l.recordWrong(a, credential, found)
		return Progress{}, err
	}
	if !l.cfg.Sessions.MayWorkIn(credential.UserID, a.workspace) {
		l.Limits.Unreserve(counters...)
		return Progress{}, noWorkspace()
	}
	if upgrade {
		l.upgrade(ctx, credential, a.Password)
	}
	return l.Begin(ctx, a.Identified(credential.UserID, FactorPassword, FactorPassword), func(tx *db.Tx) error {
		return l.Limits.Forgive(ctx, tx, counters...)
	})
}

// notRight is the one answer to every sign-in that fails.
func notRight() error {
	return problem.New(problem.Unauthenticated, "Wrong username or password.").
		WithNext("Try again, or ask an admin for a link to set a new password.")
}

func (l *Logins) recordWrong(a Attempt, c identity.Credential, found bool) {
	res := authz.Resource{Type: "User"}
	if found {
		res.ID, res.Name, res.Owner = c.UserID, c.Username, c.UserID
	}
	l.cfg.Gate.RecordLater(authz.Principal{IP: a.IP}, authz.AccountSignIn, res, audit.Denied, "password")
}

// upgrade stores a hash with more rounds. A failure only means that the next sign-in tries again.
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

// Grant holds the credentials of a program that signs in.
type Grant struct {
	// Identifier is a username or an email address. Password is in clear.
	Identifier, Password string
	// Code is an authenticator app's code or a recovery code; "" for accounts without a second
	// factor.
	Code string
	// Workspace is the id of the workspace to work in; "" lets Sluice choose.
	Workspace string
	// IP is the client's address, UserAgent the name that it sends.
	IP, UserAgent string
}

// SignInProgram signs a program in with a person's password, for tokens. It is subject to the same
// limits and the same dispatcher as the form. The second factor comes in Code, a step that needs a
// browser is problem.Denied with a hint, and offers are skipped. Errors are those of Password, and
// problem.NotFound for a workspace that the person does not belong to.
func (l *Logins) SignInProgram(ctx context.Context, g Grant) (authn.Pair, error) {
	p, err := l.Password(ctx, Attempt{
		Identifier: g.Identifier,
		Password:   g.Password,
		IP:         g.IP,
		UserAgent:  g.UserAgent,
		program:    true,
		workspace:  g.Workspace,
	})
	if err == nil && p.Step == StepFactor {
		if g.Code == "" {
			return authn.Pair{}, codeNeeded()
		}
		p, err = l.hooks.FactorCode(ctx, p.Token, g.Code, g.IP)
	}
	if err != nil {
		return authn.Pair{}, err
	}
	if p.Step != StepFinish {
		return authn.Pair{}, l.inBrowser(p.Step)
	}
	return p.Result.Tokens, nil
}

// inBrowser names the step that a program's owner has to take themselves.
func (l *Logins) inBrowser(step Step) error {
	page := l.Link("/login", "")
	switch step {
	case StepEnrol:
		return problem.New(problem.Denied, "One of your workspaces requires a second factor, and you have none yet.").
			WithRule("second-factor").
			WithNext("Sign in with a browser at " + page +
				" and set one up. Then send its code here, or create an API key for the program.")
	case StepVerify:
		return problem.New(problem.Denied, "Your email address is not confirmed yet.").
			WithRule("inactive account").
			WithNext("Open the link in the email that you received, or request a new one at " + page + ".")
	}
	return problem.New(problem.Denied, "This sign-in needs a browser.").
		WithRule("sign-in step").
		WithNext("Sign in at " + page + ", or create an API key for the program.")
}

// codeNeeded is only for people who know the password.
func codeNeeded() error {
	return problem.New(problem.Unauthenticated, "This account has a second factor, and no code was sent.").
		WithField("code").
		WithRule("second-factor").
		WithNext("Send a code of the authenticator app, or a recovery code, in the field code." +
			" Create an API key for programs that run unattended.")
}

func noWorkspace() error {
	return problem.New(problem.NotFound, "There is no such workspace, or you are not a member of it.").
		WithField("workspace")
}

// AutoLoginVariable is the variable that signs browsers on this machine in automatically.
const AutoLoginVariable = "LANGFLOW_AUTO_LOGIN"

// AutoLogin is the username of the superuser as whom browsers on this machine are signed in
// automatically; "" if everyone has to sign in.
func (l *Logins) AutoLogin() string { return l.cfg.AutoLogin }

// Automatic signs a browser in as the superuser of AutoLogin, without any proof. The session is
// marked as automatic until the person proves their identity. The caller has made sure that the
// browser runs on this machine and that a person has opened Sluice in it. Errors: problem.Denied if
// the account requires more, such as a second factor; problem.Limited.
func (l *Logins) Automatic(ctx context.Context, a Attempt) (Progress, error) {
	c, found, err := l.cfg.People.Credential(ctx, l.cfg.AutoLogin)
	if err != nil {
		return Progress{}, err
	}
	if l.cfg.AutoLogin == "" || !found || !c.Superuser || !c.Active {
		return Progress{}, notAutomatic()
	}
	begun := a.Identified(c.UserID, authn.MethodAutomatic)
	begun.Skipped = []Step{StepEnrol, StepInvitation}
	s, err := l.standing(ctx, begun)
	if err != nil {
		return Progress{}, err
	}
	if next(begun, s) != StepFinish {
		return Progress{}, notAutomatic()
	}
	if err := l.Limits.Reserve(ctx, Counter{Subject: "automatic", Limit: automaticLimit}); err != nil {
		return Progress{}, err
	}
	return l.Begin(ctx, begun, nil)
}

func notAutomatic() error {
	return problem.New(problem.Denied, "Automatic sign-in is not possible: the account requires more steps.").
		WithNext("Sign in.").
		WithRule("automatic sign-in")
}

// SignOut revokes the session of a request, on all origins.
func (l *Logins) SignOut(ctx context.Context, p authz.Principal) error {
	err := l.cfg.Sessions.Revoke(ctx, p, p.SessionID)
	if problem.Is(err, problem.NotFound) {
		return nil
	}
	return err
}

// ConfirmPassword verifies a person's own password again. Guesses are limited like sign-ins. field
// is the input to name in the error. A person without a password must have proven their identity in
// another way shortly before.
func (l *Logins) ConfirmPassword(
	ctx context.Context, p authz.Principal, password, field string,
) (identity.Credential, error) {
	if !p.SignedIn() {
		return identity.Credential{}, problem.New(problem.Unauthenticated, "Sign in first.")
	}
	c, err := l.cfg.People.CredentialOf(ctx, p.ID)
	if err != nil {
		return c, err
	}
	if c.PasswordHash == "" {
		return c, l.confirmFresh(p)
	}
	guesses := Counter{Subject: "change:" + l.Hash("guess", p.ID), Limit: deviceLimit}
	if err := l.Limits.Reserve(ctx, guesses); err != nil {
		return c, err
	}
	ok, _, err := l.cfg.Hasher.Verify(ctx, c.PasswordHash, password)
	if err != nil || ok {
		l.Limits.Unreserve(guesses)
	}
	if err != nil {
		return c, err
	}
	if !ok {
		return c, problem.New(problem.Invalid, "The current password is wrong.").WithField(field)
	}
	return c, nil
}

// confirmFresh replaces the password for people who have none: they need a browser session in which
// they have just proven their identity. A program's key must never turn into a password.
func (l *Logins) confirmFresh(p authz.Principal) error {
	if p.SessionID == "" {
		return problem.New(problem.Denied, "Without a password, change this in a browser where you are signed in.").
			WithRule("step-up")
	}
	return l.cfg.Gate.Fresh(p)
}

// ChangePassword sets the person's own password and revokes their other sessions. It verifies the
// old password if they have one. Guesses at it are limited like sign-ins.
func (l *Logins) ChangePassword(ctx context.Context, p authz.Principal, oldPassword, newPassword string) error {
	c, err := l.ConfirmPassword(ctx, p, oldPassword, "old_password")
	if err != nil {
		return err
	}
	if err := l.cfg.People.CheckPassword(newPassword, p.Name, p.Email, p.DisplayName); err != nil {
		return err
	}
	stored, err := l.cfg.Hasher.Hash(ctx, newPassword)
	if err != nil {
		return err
	}
	return l.cfg.Gate.DoDetail(ctx, p, authz.AccountUpdate, OwnAccount(p), "password changed", func(tx *db.Tx) error {
		if err := l.tellPasswordChanged(ctx, tx, p.DisplayName, p.IP, c.Email); err != nil {
			return err
		}
		return l.StorePassword(ctx, tx, p.ID, stored, p.SessionID)
	})
}

// SetPassword sets another person's password and revokes their sessions. It requires UserReset,
// like a reset link, which has the same effect. A person with an address is notified by email.
// People change their own password with ChangePassword, which requires the current one.
func (l *Logins) SetPassword(ctx context.Context, actor authz.Principal, userID, password string) error {
	step, err := l.PlanPassword(ctx, actor, userID, password)
	if err != nil {
		return err
	}
	return l.cfg.Gate.DoAll(ctx, actor, step)
}

// PlanPassword is SetPassword as a step of a larger change; see identity.People.Update.
func (l *Logins) PlanPassword(ctx context.Context, actor authz.Principal, userID, password string) (authz.Step, error) {
	if err := l.cfg.Gate.Check(ctx, actor, authz.UserReset, authz.Resource{Type: "User"}); err != nil {
		return authz.Step{}, err
	}
	if actor.Kind == authz.Person && actor.ID == userID {
		return authz.Step{}, problem.New(problem.Denied, "Changing your own password requires the current one.").
			WithRule("own password").
			WithNext("Use the account page.")
	}
	u, err := l.cfg.People.Get(ctx, actor, userID)
	if err != nil {
		return authz.Step{}, err
	}
	if err := l.cfg.People.CheckPassword(password, u.Username, u.Email, u.Name); err != nil {
		return authz.Step{}, err
	}
	// Check before the costly hash. The gate checks again.
	if err := l.cfg.Gate.Fresh(actor); err != nil {
		return authz.Step{}, err
	}
	stored, err := l.cfg.Hasher.Hash(ctx, password)
	if err != nil {
		return authz.Step{}, err
	}
	change := func(tx *db.Tx) error {
		if err := l.tellPasswordChanged(ctx, tx, u.Name, actor.IP, u.Email); err != nil {
			return err
		}
		return l.StorePassword(ctx, tx, u.ID, stored, "")
	}
	return authz.Step{Action: authz.UserReset, Resource: u.Resource(), Detail: "password set", Change: change}, nil
}

func (l *Logins) tellPasswordChanged(ctx context.Context, tx *db.Tx, name, ip, email string) error {
	m := mail.PasswordChanged{Name: name, At: l.cfg.Now(), IP: ip, ResetPage: l.Link("/forgot", "")}
	return l.Send(ctx, tx, m, email)
}

// StorePassword stores a hash, revokes the sessions that the old password may have opened, and
// invalidates all reset links. keepSession is the id of the one session that stays; "" for none.
func (l *Logins) StorePassword(ctx context.Context, tx *db.Tx, userID, stored, keepSession string) error {
	if err := l.cfg.People.SetPassword(ctx, tx, userID, stored); err != nil {
		return err
	}
	if err := authn.DropTickets(ctx, tx, authn.PurposeReset, userID); err != nil {
		return fmt.Errorf("using up reset links: %w", err)
	}
	return l.cfg.Sessions.EndAllIn(ctx, tx, userID, keepSession)
}

func (l *Logins) loadPolicy(ctx context.Context) error {
	value, err := db.Meta(ctx, l.cfg.DB.Read(), passwordPolicyName)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("reading who may use a password: %w", err)
	}
	l.superusersOnly.Store(value == PasswordSuperusers)
	return nil
}

// PasswordPolicy is PasswordEveryone or PasswordSuperusers, from memory.
func (l *Logins) PasswordPolicy() string {
	if l.superusersOnly.Load() {
		return PasswordSuperusers
	}
	return PasswordEveryone
}

// SetPasswordPolicy sets who may sign in with a password. It requires SignInManage.
func (l *Logins) SetPasswordPolicy(ctx context.Context, actor authz.Principal, value string) error {
	if value != PasswordEveryone && value != PasswordSuperusers {
		return problem.New(problem.Invalid, "Passwords can be allowed for everyone or for superusers.").
			WithField("password")
	}
	res := authz.Resource{Type: "SignIn"}
	return l.cfg.Gate.DoDetail(ctx, actor, authz.SignInManage, res, "passwords for "+value, func(tx *db.Tx) error {
		if err := tx.PutMeta(ctx, passwordPolicyName, value); err != nil {
			return fmt.Errorf("storing who may use a password: %w", err)
		}
		return tx.Changed(ChangeKind, "password")
	})
}

// MayUsePassword is checked only after a correct password, so that it reveals nothing to others.
func (l *Logins) MayUsePassword(c identity.Credential) error {
	if c.Superuser || l.PasswordPolicy() == PasswordEveryone {
		return nil
	}
	return problem.New(problem.Denied, "Only superusers can use a password here.").
		WithNext("Sign in with single sign-on or a passkey.").
		WithRule("password policy")
}
