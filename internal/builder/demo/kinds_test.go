package demo

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"sluice/internal/builder"
	"sluice/internal/builder/flowise"
	"sluice/internal/builder/generic"
	"sluice/internal/builder/langflow"
	"sluice/internal/profile"
)

// allKinds are the products that Sluice knows, combined as in the server.
func allKinds() builder.Kinds {
	kinds, err := builder.NewKinds(Kind(), flowise.Kind(), langflow.Kind(), generic.Kind())
	if err != nil {
		panic(err)
	}
	return kinds
}

func mustProfile(tb testing.TB, kind string, open ...string) *profile.Profile {
	tb.Helper()
	p, err := allKinds()[kind].Load(builder.Options{Open: open})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// look detects what runs at an address, as the server does.
func look(ctx context.Context, base *url.URL) (builder.Found, error) {
	return allKinds().Probe(ctx, http.DefaultClient, base)
}
