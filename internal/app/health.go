package app

import (
	"context"
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

// Health is the state of an app at its last check.
type Health struct {
	// OK means that the builder answered and the bridge, if it needs one, works.
	OK bool
	// Text is one sentence for people; Next says what to do about trouble.
	Text, Next string
	// Version is the version that the builder reports.
	Version string
	// OwnerState is one of builder's Owner constants.
	OwnerState string
	// CheckedAt is the time of the check; zero for never.
	CheckedAt time.Time
}

// Monitor checks the apps and remembers their health.
type Monitor struct {
	registry    *Registry
	connector   *Connector
	adoption    *Adoption
	credentials *Credentials
	kinds       builder.Kinds
	client      *http.Client
	now         func() time.Time
	log         *slog.Logger
	health      sync.Map // app id -> Health
}

// Health returns the result of an app's last check, from memory.
func (m *Monitor) Health(id string) Health {
	if a, ok := m.registry.ByID(id); ok && a.ForwardAuth() {
		return m.forwardAuthHealth(a)
	}
	if v, ok := m.health.Load(id); ok {
		return v.(Health)
	}
	return Health{Text: "Not checked yet."}
}

// Check checks an app now. It needs AppView.
func (m *Monitor) Check(ctx context.Context, actor authz.Principal, id string) (Health, error) {
	a, err := m.registry.find(ctx, actor, authz.AppView, id)
	if err != nil {
		return Health{}, err
	}
	return m.look(ctx, a), nil
}

// CheckAll checks every app; the server runs it regularly. It also identifies pending apps.
func (m *Monitor) CheckAll(ctx context.Context, onlyPending bool) {
	for _, a := range m.registry.All() {
		if !onlyPending || a.Pending {
			m.look(ctx, a)
		}
	}
}

func (m *Monitor) look(ctx context.Context, a *App) Health {
	if a.ForwardAuth() {
		return m.forwardAuthHealth(a)
	}
	found, err := m.kinds.Probe(ctx, m.client, a.Upstream)
	var connecting error
	if _, named := m.connector.named.Load(a.ID); named && err == nil && m.kinds[found.Kind].Accounts != nil &&
		a.NeedsOwner {
		connecting = m.connector.connectByItself(ctx, authz.SystemPrincipal("serve"), a)
		if now, ok := m.registry.ByID(a.ID); ok {
			a = now
		}
	}
	h := Health{CheckedAt: m.now().UTC(), Version: found.Version, OwnerState: found.OwnerState}
	switch {
	case err != nil:
		p := problem.Of(err)
		h.Text, h.Next = p.Detail, p.Next
	case found.Kind != a.Kind.Name && !a.Pending && !a.Kind.Fallback:
		h.Text = "A different product responds at this address: " + found.Title + "."
		h.Next = "If that is intended, remove the app and add it again."
	case found.OwnerState == builder.OwnerNone:
		h.Text, h.Next = a.Name+" has no owner yet.", "Let Sluice register a service owner."
	case a.NeedsOwner && a.Kind.Accounts != nil:
		h.Text, h.Next = needsAccounts(a, connecting)
	case a.NeedsOwner:
		h.Text, h.Next = "Sluice has no account of "+a.Name+" yet.", "Enter the owner's email address and password."
	default:
		h.OK, h.Text = true, "Answers."
		if a.BridgeMode != "" {
			mode, _ := a.Kind.Accounts.Mode(a.BridgeMode)
			h.Text = "Answers; people get in " + mode.How + "."
		}
		h = bridgeHealth(ctx, a, h)
	}
	if h.OK {
		if err := m.adoption.adoptOnce(ctx, a, false); err != nil {
			m.log.Warn(
				"what the builder already has could not be given to a workspace yet",
				"app",
				a.Name,
				"error",
				err,
			)
		}
		m.credentials.refreshStale(ctx, a)
	}
	m.health.Store(a.ID, h)
	if err == nil {
		m.noteIdentity(ctx, a, found)
	}
	if now, ok := m.registry.ByID(a.ID); ok && a.Pending && !now.Pending && now.Kind.Accounts != nil {
		// The app's kind has just become known, so there is more to connect.
		return m.look(ctx, now)
	}
	return h
}

// needsAccounts says what is missing to connect a builder with accounts.
func needsAccounts(a *App, connecting error) (text, next string) {
	if connecting != nil {
		p := problem.Of(connecting)
		return p.Detail, p.Next
	}
	return "Not connected: no method has been chosen to enter " + a.Name + ".", a.Kind.Accounts.Texts.NotConnected
}

// bridgeHealth makes sure that the bridge has a session.
func bridgeHealth(ctx context.Context, a *App, h Health) Health {
	if a.Bridge == nil || a.Bridge.Connect == nil {
		return h
	}
	if err := a.Bridge.Connect(ctx); err != nil {
		p := problem.Of(err)
		h.OK, h.Text, h.Next = false, p.Detail, p.Next
	}
	return h
}

// noteIdentity stores the identity of an app that was pending, and a builder's new version.
func (m *Monitor) noteIdentity(ctx context.Context, a *App, found builder.Found) {
	if !a.Pending && (found.Version == a.Version || found.Kind != a.Kind.Name) {
		return
	}
	err := m.registry.change(
		ctx,
		authz.SystemPrincipal("health check"),
		authz.AppManage,
		a,
		"found "+found.Kind+" "+found.Version,
		func(tx *db.Tx) error {
			return q.New(tx).
				UpdateAppIdentity(ctx,
					q.UpdateAppIdentityParams{ID: a.ID, Kind: found.Kind, Version: found.Version,
						UpdatedAt: m.now().UnixMilli()})
		},
	)
	if err != nil {
		m.log.Warn("what runs at an app's address could not be stored", "app", a.Name, "error", err)
	}
}

// forwardAuthHealth is the health of a forward-auth app. All that Sluice knows of it is the reverse
// proxy's requests.
func (m *Monitor) forwardAuthHealth(a *App) Health {
	h := Health{CheckedAt: m.now().UTC(), OwnerState: builder.OwnerNotApplicable}
	if m.registry.LastAsked(a).IsZero() {
		h.Text, h.Next = "No reverse proxy has sent a request yet.", "Put the snippet into its configuration, "+
			"reload it, and open "+a.PublicURL+"."
		return h
	}
	h.OK, h.Text = true, "A reverse proxy asks Sluice about each request."
	return h
}
