package proxy_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/builder/buildertest"
	"sluice/internal/db"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/secret"
)

// upstreamServer is anything that listens as a builder.
type upstreamServer interface{ url() *url.URL }

// products are all kinds of builder. Reading their tables takes longer than most tests, and no test
// changes a kind.
var products struct {
	once  sync.Once
	kinds builder.Kinds
}

func kinds(t testing.TB) builder.Kinds {
	t.Helper()
	products.once.Do(func() { products.kinds = buildertest.Kinds(t) })
	return products.kinds
}

// connect adds the builder as an app, gives Sluice its owner account and publishes a flow.
func (w *world) connect(d *db.DB, f upstreamServer, o options) {
	w.t.Helper()
	ctx, system := context.Background(), authz.SystemPrincipal("test")
	keys, err := secret.Open(ctx, secret.Config{DB: d, Folder: w.t.TempDir()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.apps, err = app.New(ctx, app.Config{
		Kinds: kinds(
			w.t,
		), DB: d, Gate: w.gate, Keyring: keys, Client: &http.Client{}, ListenHost: "127.0.0.1", FirstPort: 4000,
		Now: w.clock.now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.apps.Close(ctx) })
	spec := app.Spec{URL: f.url().String(), Kind: o.kind, PublicURL: o.public, Name: "Flowise"}
	if o.kind == "" {
		spec.Kind = "flowise"
	}
	switch o.public {
	case "":
		spec.PublicURL = appOrigin
	case "-":
		spec.PublicURL = ""
	}
	a, err := w.apps.Manager.Add(ctx, system, spec)
	if err != nil {
		w.t.Fatal(err)
	}
	if lf, ok := f.(interface{ access() app.AccountAccess }); ok {
		w.connectLangflow(a, lf.access())
		return
	}
	if _, bridged := f.(*fixture); bridged && spec.Kind == "flowise" {
		if err := w.apps.Connector.Connect(ctx, system, a.ID,
			app.Owner{Email: "owner@example.test", Password: "Owner-Password-1"}); err != nil {
			w.t.Fatal(err)
		}
	}
	w.own(a.ID, identity.DefaultWorkspace, corpusOwned...)
	if err := w.apps.Publications.Publish(ctx, system, a.ID, publicFlow); err != nil {
		w.t.Fatal(err)
	}
	w.app, _ = w.apps.ByID(a.ID)
}

// connectLangflow tells Sluice how it gets into a Langflow.
func (w *world) connectLangflow(a *app.App, access app.AccountAccess) {
	w.t.Helper()
	if err := w.apps.Connector.ConnectAccounts(context.Background(), systemPrincipal, a.ID, access); err != nil {
		w.t.Fatal(err)
	}
	w.app, _ = w.apps.ByID(a.ID)
}

// corpusOwned are the flows of these tests, and the objects that the attack corpus names as tenant
// A's.
var corpusOwned = []string{
	publicFlow, privateFlow, "33333333-3333-4333-8333-333333333333", "44444444-4444-4444-8444-444444444444",
	"55555555-5555-4555-8555-555555555555",
	"66666666-6666-4666-8666-666666666666", "77777777-7777-4777-8777-777777777777",
	"aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
}

// own gives objects to a workspace.
func (w *world) own(appID, workspace string, ids ...string) {
	w.t.Helper()
	objects := make([]flow.Object, len(ids))
	for i, id := range ids {
		objects[i] = flow.Object{App: appID, ID: id, Kind: flow.Chatflow, Workspace: workspace}
	}
	if err := w.apps.Flows.Claim(context.Background(), objects...); err != nil {
		w.t.Fatal(err)
	}
}
