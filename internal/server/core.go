package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"runtime"
	"strconv"
	"time"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder/langflow/database"
	"sluice/internal/config"
	"sluice/internal/db"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/factor"
	"sluice/internal/login/signup"
	"sluice/internal/login/sso"
	"sluice/internal/mail"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// Core holds the services that the server and the command line share.
type Core struct {
	// Values are the checked configuration.
	Values config.Values
	// Log gets everything except answers.
	Log *slog.Logger

	DB       *db.DB
	Keyring  *secret.Keyring
	Mail     *mail.Outbox
	Gate     *authz.Gate
	Hasher   *identity.Hasher
	People   *identity.People
	Sessions *authn.Sessions
	Keys     *authn.Keys
	Tokens   *authn.Tokens
	// Credentials is the one place where requests become principals.
	Credentials *authn.Credentials
	// Logins leads people to a session; the rest are the parts of signing in.
	Logins      *login.Logins
	Factors     *factor.Factors
	Providers   *sso.Providers
	SSO         *sso.SSO
	SignUps     *signup.SignUps
	Invitations *signup.Invitations
	Setup       *signup.Setup
	// Vault keeps the workspaces' credentials. Opener is only for the code that puts them into
	// builders.
	Vault  *secret.Vault
	Opener *secret.Opener
}

// OpenCore opens the database and creates the services. The caller closes it.
func OpenCore(ctx context.Context, v config.Values, log *slog.Logger) (*Core, error) {
	c := &Core{Values: v, Log: log}
	if err := c.open(ctx); err != nil {
		c.Close(ctx)
		return nil, err
	}
	return c, nil
}

func (c *Core) open(ctx context.Context) (err error) {
	if c.DB, err = db.Open(ctx, databaseConfig(c.Values.Database)); err != nil {
		return explain(err, "DATABASE_PATH", c.Values.Database.Folder)
	}
	if copied := c.DB.Backup(); copied != "" {
		c.Log.Info("the database was copied before it was brought up to date", "copy", copied)
	}
	if c.Keyring, err = secret.Open(ctx, c.secretConfig()); err != nil {
		return explain(err, "SECRETKEY_PATH", c.Values.Secrets.Folder)
	}
	if err = c.openMail(); err != nil {
		return err
	}
	if c.Gate, err = authz.NewGate(authz.Config{DB: c.DB, StepUp: c.Values.StepUp, Now: time.Now,
		Log: c.Log}); err != nil {
		return err
	}
	c.Hasher = identity.NewHasher(c.Values.PasswordHashRounds, extraProcessor(runtime.GOMAXPROCS(0)))
	c.People, err = identity.New(ctx, identity.Config{
		DB:       c.DB,
		Gate:     c.Gate,
		Hasher:   c.Hasher,
		Products: []string{"sluice", "flowise", "langflow"},
		Hooks: identity.Hooks{
			Disabled:         authn.EndDisabled,
			Removed:          flow.HandOver,
			WorkspaceDeleted: flow.ForgetProjects,
		},
		Now: time.Now,
		Log: c.Log,
	})
	if err != nil {
		return err
	}
	c.Vault, c.Opener = secret.NewVault(
		secret.VaultConfig{DB: c.DB, Gate: c.Gate, People: c.People, Keyring: c.Keyring, Now: time.Now},
	)
	if c.Sessions, err = authn.New(ctx, authn.Config{
		DB:          c.DB,
		Gate:        c.Gate,
		People:      c.People,
		SessionKeys: keysOf(c.Keyring.SessionKeys),
		HashKeys:    keysOf(c.Keyring.TokenKeys),
		MaxAge:      c.Values.SessionMax, MaxIdle: c.Values.SessionIdle, Now: time.Now, Log: c.Log,
	}); err != nil {
		return err
	}
	if c.Keys, err = authn.NewKeys(ctx, authn.KeyConfig{
		DB:       c.DB,
		Gate:     c.Gate,
		People:   c.People,
		HashKeys: keysOf(c.Keyring.TokenKeys),
		MaxAge:   c.Values.KeyLife,
		Now:      time.Now,
		Log:      c.Log,
	}); err != nil {
		return err
	}
	c.Tokens = c.openTokens()
	c.Credentials = &authn.Credentials{Sessions: c.Sessions, Keys: c.Keys, Access: c.Tokens.Verify}
	return c.openLogins(ctx)
}

// openLogins creates the parts of signing in and connects them.
func (c *Core) openLogins(ctx context.Context) (err error) {
	v := c.Values
	if c.Logins, err = login.New(ctx, login.Config{
		DB:        c.DB,
		Gate:      c.Gate,
		People:    c.People,
		Hasher:    c.Hasher,
		Sessions:  c.Sessions,
		Tokens:    c.Tokens,
		Keyring:   c.Keyring,
		TokenKey:  c.Keyring.TokenKey(),
		Mail:      c.Mail,
		BaseURL:   func() string { return BaseURL(v) },
		AutoLogin: autoLogin(v),
		Now:       time.Now,
		Log:       c.Log,
	}); err != nil {
		return err
	}
	c.Factors = factor.New(factor.Config{
		DB:       c.DB,
		Gate:     c.Gate,
		People:   c.People,
		Sessions: c.Sessions,
		Logins:   c.Logins,
		Keyring:  c.Keyring,
		Now:      time.Now,
	})
	if c.Providers, err = sso.NewProviders(ctx, sso.Config{
		DB:       c.DB,
		Gate:     c.Gate,
		People:   c.People,
		Sessions: c.Sessions,
		Logins:   c.Logins,
		Keyring:  c.Keyring,
		HTTP:     sso.ProviderClient(10*time.Second, nil),
		Now:      time.Now,
		Log:      c.Log,
	}); err != nil {
		return err
	}
	c.SSO = sso.New(c.Providers)
	signUp := signup.Config{
		DB:            c.DB,
		Gate:          c.Gate,
		People:        c.People,
		Hasher:        c.Hasher,
		Sessions:      c.Sessions,
		Logins:        c.Logins,
		ResetLife:     v.ResetLife,
		InviteLife:    v.InviteLife,
		OpenSignUp:    v.OpenSignUp,
		NewUserActive: v.NewUserActive,
		Now:           time.Now,
		Log:           c.Log,
	}
	c.SignUps = signup.New(signUp)
	c.Invitations = signup.NewInvitations(signUp, c.SignUps)
	c.Setup = signup.NewSetup(signUp)
	c.Logins.Connect(login.Hooks{FactorCode: c.Factors.FactorCode, KeepSession: c.Providers.KeepSession})
	return nil
}

func (c *Core) openTokens() *authn.Tokens {
	v := c.Values
	return authn.NewTokens(authn.TokenConfig{
		Sessions: c.Sessions, Mail: c.Mail, AccountPage: func() string { return BaseURL(v) + "/account" },
		AccessKeys: keysOf(
			c.Keyring.AccessKeys,
		), RefreshKeys: keysOf(c.Keyring.RefreshKeys), HashKeys: keysOf(c.Keyring.TokenKeys),
		Issuer:      v.TokenIssuer,
		Audience:    v.TokenAudience,
		AccessLife:  v.AccessLife,
		RefreshLife: v.RefreshLife,
		Grace:       v.RefreshGrace,
	})
}

// Close stops the background work and closes the database.
func (c *Core) Close(ctx context.Context) {
	if c.SignUps != nil {
		c.SignUps.Close()
	}
	if c.Providers != nil {
		c.Providers.Close()
	}
	if c.Keys != nil {
		if err := c.Keys.Close(ctx); err != nil {
			c.Log.Error("giving back what API keys did not use", "error", err)
		}
	}
	if c.Gate != nil {
		c.Gate.Close(ctx)
	}
	if c.Hasher != nil {
		c.Hasher.Close()
	}
	if c.DB != nil {
		if err := c.DB.Close(); err != nil {
			c.Log.Error("closing the database", "error", err)
		}
	}
}

// extraProcessor gives Go one processor more than there are cores while passwords are hashed. The
// hashing thread has a low priority; when the kernel makes it wait, it would otherwise keep a
// processor from the traffic. At other times the extra processor only gets in the way (it costs
// about a tenth of the throughput on one core).
func extraProcessor(cores int) func(busy bool) {
	return func(busy bool) {
		if busy {
			runtime.GOMAXPROCS(cores + 1)
		} else {
			runtime.GOMAXPROCS(cores)
		}
	}
}

func databaseConfig(d config.Database) db.Config {
	if d.Type != "postgres" {
		return db.Config{Folder: d.Folder, Now: time.Now}
	}
	mode := "disable"
	if d.SSL {
		mode = "verify-full"
	}
	dsn := url.URL{
		Scheme: "postgres", User: url.UserPassword(d.User, d.Password.Reveal()), Host: net.JoinHostPort(d.Host,
			strconv.Itoa(d.Port)), Path: "/" + d.Name,
		RawQuery: url.Values{"sslmode": {mode}, "connect_timeout": {"10"}}.Encode(),
	}
	return db.Config{Postgres: dsn.String(), Now: time.Now}
}

// keysOf adapts the keys of a secret for package authn. Each call returns the current keys.
func keysOf(ask func() []secret.Key) func() []authn.Key {
	return func() []authn.Key {
		keys := ask()
		out := make([]authn.Key, len(keys))
		for i, k := range keys {
			out[i] = authn.Key{ID: k.ID, Value: k.Value}
		}
		return out
	}
}

// secretConfig locates Sluice's own secrets, and says how long the things that they sign or encrypt
// live.
func (c *Core) secretConfig() secret.Config {
	v := c.Values
	out := secret.Config{
		DB:          c.DB,
		Folder:      v.Secrets.Folder,
		Given:       map[secret.Name]secret.Given{},
		FormerRoot:  v.Secrets.Former.Reveal(),
		KeepRoot:    v.Secrets.KeepRoot,
		RootTrouble: database.KeyTrouble, Now: time.Now, Log: c.Log,
		Lives: map[secret.Name]time.Duration{
			secret.AccessToken: v.AccessLife, secret.RefreshToken: v.RefreshLife, secret.Session: v.SessionMax,
			secret.TokenHash: max(v.ResetLife, v.InviteLife, v.RefreshLife, keyLife(v)),
		},
	}
	for name, g := range v.Secrets.Given {
		out.Given[secret.Name(name)] = secret.Given{Text: g.Value.Reveal(), As: g.Name, Where: g.Where}
	}
	if v.Secrets.AWS {
		out.AWS = &secret.AWS{
			AccessKey: v.Secrets.AWSAccessKey.Reveal(),
			SecretKey: v.Secrets.AWSSecretKey.Reveal(),
			Region:    v.Secrets.AWSRegion,
			Name:      v.Secrets.AWSName, Prefix: v.Secrets.AWSPrefix,
		}
	}
	return out
}

// keyLife is how long an API key can last; without a maximum, so long that it never matters.
func keyLife(v config.Values) time.Duration {
	if v.KeyLife == 0 {
		return 100 * 365 * 24 * time.Hour
	}
	return v.KeyLife
}

// explain turns the operating system's error about a folder into a sentence that names the
// variable.
func explain(err error, variable, value string) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf(
			"%s: %q cannot be written by this user; expected is a folder that Sluice may create files in: %w",
			variable,
			value,
			err,
		)
	case errors.Is(err, fs.ErrExist), errors.Is(err, errNotFolder):
		return fmt.Errorf("%s: %q is not a folder; expected is a folder: %w", variable, value, err)
	case problem.Of(err).Kind != problem.Internal:
		p := problem.Of(err)
		return fmt.Errorf("%s %s", p.Detail, p.Next)
	}
	return fmt.Errorf("opening the data (%s): %w", variable, err)
}
