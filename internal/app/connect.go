package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
	"sluice/internal/problem"
)

// Owner is a builder's owner account.
type Owner struct{ Email, Password string }

// serviceEmail is the address of the owner that Sluice registers. The domain can never receive mail
// (RFC 6762 appendix G lists .internal for private use).
const serviceEmail = "service@sluice.internal"

// Connector gives Sluice its way into a builder, tests it and stores it.
type Connector struct {
	registry *Registry
	bridges  *bridges
	accounts *accountStore
	adoption *Adoption
	db       *db.DB
	client   *http.Client
	// configured holds the configured credentials of a builder with accounts.
	configured owner
	origin     func() string
	now        func() time.Time
	log        *slog.Logger
	attempts   sync.Map // app id -> *sync.Mutex: one connection attempt at a time
	named      sync.Map // ids of the apps that the configuration names
}

// Connect gives Sluice the builder's owner account. With an empty Owner it registers a service
// owner if the builder has no owner yet; otherwise it tests the credentials. It needs AppManage.
// Errors of the builder keep their kind: Unauthenticated for wrong credentials, Conflict if an
// owner already exists.
func (c *Connector) Connect(ctx context.Context, actor authz.Principal, id string, given Owner) error {
	a, err := c.registry.find(ctx, actor, authz.AppManage, id)
	if err != nil {
		return err
	}
	if a.Pending {
		return problem.New(problem.Unavailable, "Nothing has responded at this address yet.").
			WithNext("Start the builder, then check the app again.")
	}
	if a.Kind.Owner == nil {
		return problem.Newf(problem.Invalid, "%s needs no owner account.", a.Kind.Title)
	}
	defer c.connecting(id)()
	if err := c.connect(ctx, actor, a, given); err != nil {
		return err
	}
	if a, ok := c.registry.ByID(id); ok {
		if err := c.adoption.adoptOnce(ctx, a, true); err != nil {
			// The health check tries again as soon as the builder answers.
			c.log.Warn(
				"what the builder already has could not be given to a workspace yet",
				"app",
				a.Name,
				"error",
				err,
			)
		}
	}
	return nil
}

func (c *Connector) connect(ctx context.Context, actor authz.Principal, a *App, given Owner) error {
	if given.Email == "" && given.Password == "" {
		return c.register(ctx, actor, a)
	}
	if given.Email == "" || len(given.Email) > 254 || given.Password == "" || len(given.Password) > 200 {
		return problem.New(problem.Invalid, "Enter the owner's email address and password.").WithField("owner_email")
	}
	if err := c.testOwner(ctx, a, owner{Email: given.Email, Password: given.Password}); err != nil {
		return err
	}
	return c.keepOwner(ctx, actor, a, owner{Email: given.Email, Password: given.Password}, "owner account connected")
}

// testOwner signs in once. It closes the bridge's own session first, because two sign-ins at once
// break some builders.
func (c *Connector) testOwner(ctx context.Context, a *App, o owner) error {
	if old := c.bridges.current(a.ID); old != nil {
		// The old account may be gone, which may be why a person enters a new one.
		_ = old.Close(ctx)
		defer c.registry.reopen(a.ID)
	}
	return a.Kind.Owner.Test(ctx, c.client, a.Upstream, builder.OwnerAccount{Email: o.Email, Password: o.Password})
}

// register creates the service owner. Its password is stored before it is used.
func (c *Connector) register(ctx context.Context, actor authz.Principal, a *App) error {
	row, err := q.New(c.db.Read()).GetApp(ctx, a.ID)
	if err != nil {
		return fmt.Errorf("reading the app: %w", err)
	}
	o, err := c.accounts.owner(row)
	if err != nil {
		return err
	}
	if o.Email != "" && !o.Pending {
		return problem.New(problem.Conflict, "Sluice already has an owner account of this builder.")
	}
	if !o.Pending {
		o = owner{Email: serviceEmail, Password: a.Kind.Owner.NewPassword(), Made: true, Pending: true}
		if err := c.keepOwner(ctx, actor, a, o, "service owner prepared"); err != nil {
			return err
		}
	}
	err = a.Kind.Owner.Register(
		ctx,
		c.client,
		a.Upstream,
		builder.OwnerAccount{Name: "Sluice service owner", Email: o.Email, Password: o.Password},
	)
	if problem.Is(err, problem.Conflict) && c.testOwner(ctx, a, o) == nil {
		// An earlier attempt registered it and was interrupted.
		err = nil
	}
	if err != nil {
		if problem.Is(err, problem.Conflict) {
			return errors.Join(err, c.keepOwner(ctx, actor, a, owner{}, "the builder has another owner"))
		}
		return err
	}
	o.Pending = false
	return c.keepOwner(ctx, actor, a, o, "service owner registered")
}

func (c *Connector) keepOwner(ctx context.Context, actor authz.Principal, a *App, o owner, detail string) error {
	text := ""
	if o.Email != "" {
		var err error
		if text, err = c.accounts.sealOwner(a.ID, o); err != nil {
			return err
		}
	}
	return c.registry.change(ctx, actor, authz.AppManage, a, detail, func(tx *db.Tx) error {
		return q.New(tx).
			SetAppOwner(ctx, q.SetAppOwnerParams{ID: a.ID, OwnerSealed: text, UpdatedAt: c.now().UnixMilli()})
	})
}

// connecting makes sure that only one attempt to connect an app runs at a time. The caller must
// call done at the end.
func (c *Connector) connecting(id string) (done func()) {
	lock, _ := c.attempts.LoadOrStore(id, &sync.Mutex{})
	mu := lock.(*sync.Mutex)
	mu.Lock()
	return mu.Unlock
}
