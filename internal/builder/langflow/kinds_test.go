package langflow

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"sluice/internal/builder"
	"sluice/internal/builder/demo"
	"sluice/internal/builder/flowise"
	"sluice/internal/builder/generic"
	"sluice/internal/profile"
)

// allKinds are the products that Sluice knows, combined as in the server.
func allKinds() builder.Kinds {
	kinds, err := builder.NewKinds(demo.Kind(), flowise.Kind(), Kind(), generic.Kind())
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

const (
	flowA = "11111111-1111-4111-8111-111111111111"
	flowB = "22222222-2222-4222-8222-222222222222"
)

func sendJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// serve is the address of a server that lives as long as the test.
func serve(t *testing.T, h http.HandlerFunc) *url.URL {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
