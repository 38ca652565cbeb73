package app

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
	"sluice/internal/problem"
)

// AccountAccess describes how Sluice gets into the accounts of a builder. In a change, empty
// secrets keep the stored ones.
type AccountAccess struct {
	// Mode is how people get into their accounts; "" means the best one that works, in the order
	// external, signed, sign-in.
	Mode builder.Mode
	// PerPerson gives each person of a workspace their own account, so that nothing is shared.
	PerPerson bool
	// SecretKey is the builder's; Superuser and Password belong to one of its superusers.
	SecretKey, Superuser, Password string
}

// jwksPath is where Sluice publishes its keys.
const jwksPath = "/.well-known/jwks.json"

// accountTime bounds how long a person waits for a page. A builder that has counted too many
// sign-ins may refuse all of them for a minute.
const accountTime = 25 * time.Second

// jwks is the address where a builder reads Sluice's keys. A builder on this machine reads them
// without TLS, which builders allow for loopback addresses only.
func (b *bridges) jwks(a *App) string {
	if local := b.localOrigin(); local != "" && isLoopback(a.Upstream.Hostname()) {
		return local + jwksPath
	}
	return b.origin() + jwksPath
}

// bridgeConfig is the configuration of a bridge into the accounts of an app's builder.
func (b *bridges) bridgeConfig(a *App, mode builder.Mode, perPerson bool, o owner) builder.BridgeConfig {
	appID := a.ID
	return builder.BridgeConfig{
		Base: a.Upstream, Client: b.client, Now: b.now, Log: b.log.With("app", a.Name),
		Access: builder.Access{SecretKey: o.SecretKey, Superuser: o.Superuser, Password: o.Password},
		AccountConfig: builder.AccountConfig{
			Mode: mode, PerPerson: perPerson, Workspace: a.WorkspaceID,
			Keep: func(ctx context.Context, account builder.Account, gone string) (builder.Account, error) {
				return b.accounts.keep(ctx, appID, account, gone)
			},
			Username: func(ctx context.Context, workspace, person string) (string, error) {
				return b.accounts.name(ctx, appID, workspace, person)
			},
			Sign: b.sign, Issuer: b.origin(), JWKS: b.jwks(a),
		},
	}
}

// ofAccounts gives a builder with accounts its bridge. It reuses the open one if the settings are
// unchanged, and sets its current accounts.
func (b *bridges) ofAccounts(ctx context.Context, a *App, row q.App) error {
	a.BridgeMode, a.PerPerson = builder.Mode(row.BridgeMode), row.PerPerson
	if a.NeedsOwner = a.BridgeMode == ""; a.NeedsOwner {
		b.drop(a.ID)
		return nil
	}
	o, err := b.accounts.owner(row)
	if err != nil {
		return err
	}
	a.OwnerEmail = o.Superuser
	accounts, err := b.accounts.list(ctx, a.ID)
	if err != nil {
		return err
	}
	basis := row.OwnerSealed + "\n" + row.UpstreamUrl + "\n" + row.BridgeMode + "\n" + strconv.FormatBool(row.PerPerson)
	a.Bridge = b.keep(a.ID, basis, func() *builder.Bridge {
		return a.Kind.Bridge(b.bridgeConfig(a, a.BridgeMode, a.PerPerson, o))
	})
	a.Bridge.Accounts.Set(accounts)
	return nil
}

// accountBridge is the bridge of a connected builder with accounts. Errors: problem.Invalid for
// other apps, problem.Conflict for one that is not connected.
func (a *App) accountBridge() (*builder.Bridge, error) {
	if a.Kind.Accounts == nil || a.Pending {
		return nil, problem.Newf(problem.Invalid, "%s has no accounts that Sluice can enter.", a.Name).
			WithField("app")
	}
	if a.Bridge == nil {
		return nil, problem.Newf(problem.Conflict, "%s is not connected yet.", a.Name).
			WithField("app").
			WithNext("Connect it on the apps page.")
	}
	return a.Bridge, nil
}

// access fills in stored values for missing ones and, for a superuser, configured values.
// Configured credentials also open Sluice, so they are only sent on behalf of a person who has
// them.
func (c *Connector) access(ctx context.Context, actor authz.Principal, a *App, given AccountAccess) (owner, error) {
	if len(given.SecretKey) > 4096 || len(given.Superuser) > 255 || len(given.Password) > 4096 {
		return owner{}, problem.New(problem.Invalid, "One of the secrets is too long.").WithField("secret_key")
	}
	if _, ok := a.Kind.Accounts.Mode(given.Mode); !ok && given.Mode != "" {
		return owner{}, problem.Newf(problem.Invalid, "%q is not a method to enter %s.", given.Mode, a.Kind.Title).
			WithField("mode").
			WithNext("Use " + a.Kind.Accounts.ModeNames() + ".")
	}
	row, err := q.New(c.db.Read()).GetApp(ctx, a.ID)
	if err != nil {
		return owner{}, db.Found(err, "There is no such app. It may have been removed.")
	}
	o, err := c.accounts.owner(row)
	if err != nil {
		return o, err
	}
	if given.SecretKey != "" {
		o.SecretKey = given.SecretKey
	}
	if given.Superuser != "" && given.Superuser != o.Superuser {
		o.Superuser, o.Password = given.Superuser, ""
	}
	if given.Password != "" {
		o.Password = given.Password
	}
	if actor.Superuser {
		o = c.orConfigured(o)
	}
	return o, nil
}

// TryAccounts tests each mode with the given and stored credentials, and says what to set if it
// does not work. It needs AppManage, and changes nothing in Sluice.
func (c *Connector) TryAccounts(
	ctx context.Context,
	actor authz.Principal,
	id string,
	given AccountAccess,
) ([]builder.Trial, error) {
	a, err := c.registry.findWithAccounts(ctx, actor, authz.AppManage, id)
	if err != nil {
		return nil, err
	}
	o, err := c.access(ctx, actor, a, given)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, accountTime)
	defer cancel()
	return a.Kind.Accounts.Test(ctx, c.bridges.bridgeConfig(a, "", given.PerPerson, o)), nil
}

// ConnectAccounts sets how people get into the accounts of a builder, after testing that it works.
// It needs AppManage.
func (c *Connector) ConnectAccounts(ctx context.Context, actor authz.Principal, id string, given AccountAccess) error {
	a, err := c.registry.findWithAccounts(ctx, actor, authz.AppManage, id)
	if err != nil {
		return err
	}
	defer c.connecting(id)()
	return c.connectAccounts(ctx, actor, a, given)
}

func (c *Connector) connectAccounts(ctx context.Context, actor authz.Principal, a *App, given AccountAccess) error {
	o, err := c.access(ctx, actor, a, given)
	if err != nil {
		return err
	}
	if given.Mode, err = c.choose(ctx, a, given, o); err != nil {
		return err
	}
	if err := c.keepAccess(ctx, actor, a, given, o); err != nil {
		return err
	}
	if a, ok := c.registry.ByID(a.ID); ok {
		c.afterConnecting(ctx, a)
	}
	return nil
}

// choose returns the given mode if it works. If no mode is given, it returns the best one that
// works.
func (c *Connector) choose(ctx context.Context, a *App, given AccountAccess, o owner) (builder.Mode, error) {
	ctx, cancel := context.WithTimeout(ctx, accountTime)
	defer cancel()
	var failed *problem.Error
	for _, trial := range a.Kind.Accounts.Test(ctx, c.bridges.bridgeConfig(a, "", given.PerPerson, o)) {
		switch {
		case given.Mode != "" && trial.Mode != given.Mode:
		case trial.OK:
			return trial.Mode, nil
		default:
			failed = problem.Newf(problem.Conflict, "%s", trial.Detail).WithField("mode").WithNext(trial.Next)
		}
	}
	if failed == nil || given.Mode == "" {
		failed = problem.Newf(problem.Conflict, "No method to enter %s works with the given credentials.", a.Name).
			WithField("mode").
			WithNext(a.Kind.Accounts.Texts.NoWay)
	}
	return "", failed
}

func (c *Connector) keepAccess(ctx context.Context, actor authz.Principal, a *App, given AccountAccess, o owner) error {
	sealed, err := c.accounts.sealOwner(a.ID, o)
	if err != nil {
		return err
	}
	detail := "connected, " + string(given.Mode)
	if given.PerPerson {
		detail += ", an account for each person"
	}
	return c.registry.change(ctx, actor, authz.AppManage, a, detail, func(tx *db.Tx) error {
		return q.New(tx).SetAppBridge(ctx, q.SetAppBridgeParams{
			ID:          a.ID,
			OwnerSealed: sealed,
			BridgeMode:  string(given.Mode),
			PerPerson:   given.PerPerson,
			UpdatedAt:   c.now().UnixMilli(),
		})
	})
}

// afterConnecting creates the first workspace's account and adopts existing objects. If this fails,
// the health check does it as soon as the builder answers.
func (c *Connector) afterConnecting(ctx context.Context, a *App) {
	ctx, cancel := context.WithTimeout(ctx, accountTime)
	defer cancel()
	b, err := a.accountBridge()
	if err == nil {
		err = b.Connect(ctx)
	}
	if err == nil {
		err = c.adoption.adoptOnce(ctx, a, true)
	}
	if err != nil {
		c.log.Warn("a builder is connected, and not everything is ready yet", "app", a.Name, "error", err)
	}
}

// connectByItself connects a builder with accounts if no way in is chosen yet. It uses the best way
// that works with the configured credentials. It runs for apps that the operator names, on the
// command line or as a superuser. No one else may make Sluice send its superuser's password to an
// address.
func (c *Connector) connectByItself(ctx context.Context, actor authz.Principal, a *App) error {
	if a.Pending || a.Kind.Accounts == nil || !a.NeedsOwner {
		return nil
	}
	defer c.connecting(a.ID)()
	if now, ok := c.registry.ByID(a.ID); !ok || !now.NeedsOwner {
		return nil // another attempt was faster
	}
	err := c.connectAccounts(ctx, actor, a, AccountAccess{})
	if now, ok := c.registry.ByID(a.ID); err == nil && ok {
		c.log.Info(
			"a builder was connected with what the configuration says",
			"app",
			a.Name,
			"mode",
			string(now.BridgeMode),
		)
	}
	return err
}

// Connection describes how Sluice gets into the accounts of a builder, without secrets.
type Connection struct {
	// Mode is the chosen one; "" until the app is connected. PerPerson reports that each person has
	// their own account.
	Mode      builder.Mode
	PerPerson bool
	// Superuser is the name of the builder's superuser whose account Sluice has. HasSecretKey and
	// HasPassword report that Sluice has these secrets.
	Superuser                 string
	HasSecretKey, HasPassword bool
	// ExternalLines are the settings that would make this builder trust Sluice, as lines of a .env
	// file.
	ExternalLines string
}

// Connection describes how Sluice gets into the accounts of an app's builder. It needs AppManage.
// Errors: problem.Invalid for other apps.
func (c *Connector) Connection(ctx context.Context, actor authz.Principal, id string) (Connection, error) {
	a, err := c.registry.findWithAccounts(ctx, actor, authz.AppManage, id)
	if err != nil {
		return Connection{}, err
	}
	row, err := q.New(c.db.Read()).GetApp(ctx, a.ID)
	if err != nil {
		return Connection{}, db.Found(err, "There is no such app. It may have been removed.")
	}
	o, err := c.accounts.owner(row)
	if err != nil {
		return Connection{}, err
	}
	if actor.Superuser {
		o = c.orConfigured(o)
	}
	return Connection{
		Mode:          a.BridgeMode,
		PerPerson:     a.PerPerson,
		Superuser:     o.Superuser,
		HasSecretKey:  o.SecretKey != "",
		HasPassword:   o.Password != "",
		ExternalLines: a.Kind.Accounts.TrustLines(c.origin(), c.bridges.jwks(a)),
	}, nil
}

// orConfigured fills missing stored values of a builder with configured ones. A password is only
// used together with its name.
func (c *Connector) orConfigured(o owner) owner {
	o.SecretKey = cmp.Or(o.SecretKey, c.configured.SecretKey)
	if c.configured.Password == "" {
		return o
	}
	if o.Superuser == "" {
		o.Superuser = c.configured.Superuser
	}
	if o.Password == "" && o.Superuser == c.configured.Superuser {
		o.Password = c.configured.Password
	}
	return o
}
