package app

import (
	"context"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/db"
	q "sluice/internal/db/q/app"
	"sluice/internal/problem"
)

// Health is how an app answered when it was last looked at.
type Health struct {
	// OK means that the builder answered and the bridge, if it needs one, works.
	OK bool
	// Text is one sentence for people; Next what to do about trouble.
	Text, Next string
	// Version is what the builder says of itself.
	Version string
	// OwnerState is one of builder's Owner constants.
	OwnerState string
	// CheckedAt is when; zero for never.
	CheckedAt time.Time
}

// Health returns what was last seen of an app, from memory.
func (r *Registry) Health(id string) Health {
	if a, ok := r.ByID(id); ok && a.ForwardAuth() {
		return r.forwardAuthHealth(a)
	}
	if v, ok := r.health.Load(id); ok {
		return v.(Health)
	}
	return Health{Text: "Not looked at yet."}
}

// Check looks at an app now. It needs AppView.
func (r *Registry) Check(ctx context.Context, actor authz.Principal, id string) (Health, error) {
	a, err := r.find(ctx, actor, authz.AppView, id)
	if err != nil {
		return Health{}, err
	}
	return r.look(ctx, a), nil
}

// CheckAll looks at every app; the server runs it regularly. Pending apps become known here.
func (r *Registry) CheckAll(ctx context.Context, onlyPending bool) {
	for _, a := range r.All() {
		if !onlyPending || a.Pending {
			r.look(ctx, a)
		}
	}
}

func (r *Registry) look(ctx context.Context, a *App) Health {
	if a.ForwardAuth() {
		return r.forwardAuthHealth(a)
	}
	found, err := r.Kinds.Probe(ctx, r.Client, a.Upstream)
	var connecting error
	if _, named := r.named.Load(a.ID); named && err == nil && r.Kinds[found.Kind].Accounts != nil && a.NeedsOwner {
		connecting = r.connectByItself(ctx, authz.SystemPrincipal("serve"), a)
		if now, ok := r.ByID(a.ID); ok {
			a = now
		}
	}
	h := Health{CheckedAt: r.Now().UTC(), Version: found.Version, OwnerState: found.OwnerState}
	switch {
	case err != nil:
		p := problem.Of(err)
		h.Text, h.Next = p.Detail, p.Next
	case found.Kind != a.Kind.Name && !a.Pending && !a.Kind.Fallback:
		h.Text = "Something else answers at this address than before: " + found.Title + "."
		h.Next = "If that is intended, remove the app and add it again."
	case found.OwnerState == builder.OwnerNone:
		h.Text, h.Next = a.Name+" has no owner yet.", "Let Sluice register a service owner."
	case a.NeedsOwner && a.Kind.Accounts != nil:
		h.Text, h.Next = needsLangflow(a, connecting)
	case a.NeedsOwner:
		h.Text, h.Next = "Sluice has no account of "+a.Name+" yet.", "Enter the owner's e-mail address and password."
	default:
		h.OK, h.Text = true, "Answers."
		if a.BridgeMode != "" {
			mode, _ := a.Kind.Accounts.Mode(a.BridgeMode)
			h.Text = "Answers; people get in " + mode.How + "."
		}
		h = bridgeHealth(ctx, a, h)
	}
	if h.OK {
		if err := r.adoptOnce(ctx, a, false); err != nil {
			r.Log.Warn("what the builder already has could not be given to a workspace yet", "app", a.Name, "error", err)
		}
		r.refreshStale(ctx, a)
	}
	r.health.Store(a.ID, h)
	if err == nil {
		r.noteIdentity(ctx, a, found)
	}
	if now, ok := r.ByID(a.ID); ok && a.Pending && !now.Pending && now.Kind.Accounts != nil {
		// It is known now what there is to connect.
		return r.look(ctx, now)
	}
	return h
}

// needsLangflow says what a Langflow lacks that is not connected.
func needsLangflow(a *App, connecting error) (text, next string) {
	if connecting != nil {
		p := problem.Of(connecting)
		return p.Detail, p.Next
	}
	return "Nobody has chosen yet how Sluice gets into " + a.Name + ".", "Connect it on the apps page, or set LANGFLOW_SECRET_KEY, LANGFLOW_SUPERUSER and LANGFLOW_SUPERUSER_PASSWORD."
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

// noteIdentity stores what a pending app turned out to be, and a builder's new version.
func (r *Registry) noteIdentity(ctx context.Context, a *App, found builder.Found) {
	if !a.Pending && (found.Version == a.Version || found.Kind != a.Kind.Name) {
		return
	}
	err := r.change(ctx, authz.SystemPrincipal("health check"), authz.AppManage, a, "found "+found.Kind+" "+found.Version, func(tx *db.Tx) error {
		return q.New(tx).UpdateAppIdentity(ctx, q.UpdateAppIdentityParams{ID: a.ID, Kind: found.Kind, Version: found.Version, UpdatedAt: r.Now().UnixMilli()})
	})
	if err != nil {
		r.Log.Warn("what runs at an app's address could not be stored", "app", a.Name, "error", err)
	}
}
