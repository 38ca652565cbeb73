package app

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"sluice/internal/builder"
	q "sluice/internal/db/q/app"
)

// bridges are the open bridges to builders, one for each connected app.
type bridges struct {
	accounts *accountStore
	// sign creates the assertions that Sluice signs for a builder.
	sign   func(claims any) (string, error)
	client *http.Client
	// origin and localOrigin are the origins of Sluice's own pages, see Config.
	origin, localOrigin func() string
	now                 func() time.Time
	log                 *slog.Logger

	background *background

	mu   sync.Mutex // guards open
	open map[string]bridgeEntry
}

type bridgeEntry struct {
	basis  string // the settings it was created from; others need a new bridge
	bridge *builder.Bridge
}

// of gives the app its bridge. It reuses the open one if the account and address are unchanged.
func (b *bridges) of(ctx context.Context, a *App, row q.App) error {
	if a.Pending {
		return nil
	}
	if a.Kind.Accounts != nil {
		return b.ofAccounts(ctx, a, row)
	}
	if a.Kind.Owner == nil {
		a.Bridge = a.Kind.Bridge(builder.BridgeConfig{Base: a.Upstream, Client: b.client, Now: b.now, Log: b.log})
		return nil
	}
	o, err := b.accounts.owner(row)
	if err != nil {
		return err
	}
	if a.NeedsOwner = o.Email == "" || o.Pending; a.NeedsOwner {
		b.drop(a.ID)
		return nil
	}
	a.OwnerEmail = o.Email
	a.Bridge = b.keep(a.ID, row.OwnerSealed+"\n"+row.UpstreamUrl, func() *builder.Bridge {
		return a.Kind.Bridge(builder.BridgeConfig{
			Base:   a.Upstream,
			Client: b.client,
			Now:    b.now,
			Log:    b.log,
			Access: builder.Access{Email: o.Email, Password: o.Password},
		})
	})
	return nil
}

// keep returns the bridge of an app. If the basis has changed, open creates a new bridge.
func (b *bridges) keep(id, basis string, open func() *builder.Bridge) *builder.Bridge {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[id].basis != basis {
		b.release(id)
		b.open[id] = bridgeEntry{basis: basis, bridge: open()}
	}
	return b.open[id].bridge
}

// current is the open bridge of an app, or nil.
func (b *bridges) current(id string) *builder.Bridge {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open[id].bridge
}

// drop closes the bridge of an app.
func (b *bridges) drop(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.release(id)
}

// retain closes the bridges of the apps for which kept returns false.
func (b *bridges) retain(kept func(id string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.open {
		if !kept(id) {
			b.release(id)
		}
	}
}

// release removes a bridge, which gives its session back in the background. The caller holds mu.
func (b *bridges) release(id string) {
	old := b.open[id].bridge
	delete(b.open, id)
	if old == nil {
		return
	}
	b.background.start(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		// A builder that is gone cannot take its session back; the session expires within a day.
		_ = old.Close(ctx)
	})
}

// forget removes a bridge that is already closed.
func (b *bridges) forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, id)
}

// close gives all upstream sessions back.
func (b *bridges) close(ctx context.Context) {
	b.mu.Lock()
	open := maps.Clone(b.open)
	b.mu.Unlock()
	for id, entry := range open {
		if err := entry.bridge.Close(ctx); err != nil {
			b.log.Info("a builder did not take its session back", "app", id, "error", err)
		}
	}
}
