package proxy_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/profile"
	"sluice/internal/secret"
)

// upstreamServer is anything that listens as a builder.
type upstreamServer interface{ url() *url.URL }

// connect adds the builder as an app, gives Sluice its owner account and publishes a flow.
func (w *world) connect(d *db.DB, f upstreamServer, o options) {
	w.t.Helper()
	ctx, system := context.Background(), authz.SystemPrincipal("test")
	keys, err := secret.Open(ctx, secret.Config{DB: d, Folder: w.t.TempDir()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.apps, err = app.New(ctx, app.Config{
		DB: d, Gate: w.gate, Keyring: keys, Client: &http.Client{}, ListenHost: "127.0.0.1", FirstPort: 4000, Now: w.clock.now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.apps.Close(ctx) })
	spec := app.Spec{URL: f.url().String(), Kind: o.kind, PublicURL: o.public, Name: "Flowise"}
	if o.kind == "" {
		spec.Kind = profile.KindFlowise
	}
	switch o.public {
	case "":
		spec.PublicURL = appOrigin
	case "-":
		spec.PublicURL = ""
	}
	a, err := w.apps.Add(ctx, system, spec)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, bridged := f.(*fixture); bridged && spec.Kind == profile.KindFlowise {
		if err := w.apps.Connect(ctx, system, a.ID, app.Owner{Email: "owner@example.test", Password: "Owner-Password-1"}); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.apps.Publish(ctx, system, a.ID, publicFlow); err != nil {
		w.t.Fatal(err)
	}
	w.app, _ = w.apps.ByID(a.ID)
}
