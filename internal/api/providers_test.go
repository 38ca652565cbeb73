package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sluice/internal/api"
	"sluice/internal/db"
	qlogin "sluice/internal/db/q/login"
	"sluice/internal/login"
	"sluice/internal/login/sso"
	"sluice/internal/sluicetest"
)

func TestProviders(t *testing.T) { onBoth(t, providers) }

func providers(t *testing.T, environ ...string) {
	s := newSite(t, environ...)
	root := s.as("root")
	made := root.call("addProvider", map[string]any{
		"slug":          "company",
		"kind":          "oidc",
		"name":          "Company",
		"issuer":        "http://127.0.0.1:9",
		"client_id":     "sluice",
		"client_secret": clientSecret,
		"domains": []string{
			"@Example.com",
		}, "group_claim": "groups", "mappings": []map[string]any{{"group": "authors", "workspace": "default",
			"role": "user"}},
	}).is(http.StatusCreated)
	id, base := made.text("id"), s.MainOrigin("")+"/sso/company"
	if made.field("enabled") != false || made.field("has_secret") != true ||
		made.text("redirect_uri") != base+"/callback" ||
		made.text("back_channel_logout_uri") != base+"/back-channel-logout" {
		t.Errorf("made: %s", made.Body)
	}
	if got := strings.Join(made.texts("scopes"), " ") + " " +
		strings.Join(made.texts("domains"), " "); got != "openid profile email example.com" {
		t.Errorf("scopes and domains: %s", got)
	}
	if d := root.call("addProvider",
		map[string]any{"slug": "company", "kind": "oidc", "name": "Other", "issuer": "http://127.0.0.1:9",
			"client_id": "sluice"}).is(http.StatusConflict).problem(); d.Field != "slug" {
		t.Errorf("the same slug again: %+v", d)
	}
	for field, v := range map[string]any{
		"slug":      "Company!",
		"name":      "a\u202eb",
		"issuer":    "http://login.example.com",
		"client_id": " ",
		"scopes":    []string{"profile"},
		"domains":   []string{"no domain"},
		"mappings":  []map[string]any{{"group": "g", "workspace": "nowhere", "role": "user"}}, "group_claim": "a\tb",
	} {
		body := map[string]any{
			"slug":        "other",
			"kind":        "oidc",
			"name":        "Other",
			"issuer":      "https://login.example.com",
			"client_id":   "sluice",
			"group_claim": "groups",
		}
		body[field] = v
		if d := root.call("addProvider", body).is(http.StatusBadRequest).problem(); d.Field != field {
			t.Errorf("bad %s: %+v", field, d)
		}
	}

	// Fields that are left out do not change; empty ones are removed.
	got := root.call("updateProvider",
		map[string]any{"name": "Company account", "domains": []string{}, "create_accounts": true}, "provider", id).
		is(http.StatusOK)
	if got.text("name") != "Company account" || len(got.texts("domains")) != 0 ||
		got.field("create_accounts") != true ||
		got.field("has_secret") != true ||
		got.text("group_claim") != "groups" ||
		len(got.field("mappings").([]any)) != 1 ||
		got.text("client_id") != "sluice" {
		t.Errorf("changed: %s", got.Body)
	}
	if again := root.call("getProvider", nil, "provider", id).is(http.StatusOK); again.Body != got.Body {
		t.Errorf("read again: %s, was %s", again.Body, got.Body)
	}
	if n := len(root.list("listProviders")); n != 1 {
		t.Errorf("%d providers", n)
	}
	for _, rt := range api.Routes() {
		if rt.Method == http.MethodGet &&
			strings.Contains(
				root.send("GET", s.path(strings.ReplaceAll(rt.Path, "{provider}", id)), nil).Body,
				clientSecret,
			) {
			t.Errorf("%s shows the client secret", rt.ID)
		}
	}
	root.call("removeProvider", nil, "provider", id).is(http.StatusNoContent)
	root.call("removeProvider", nil, "provider", id).is(http.StatusNotFound)
	root.call("updateProvider", map[string]any{"enabled": true}, "provider", id).is(http.StatusNotFound)
}

// TestProviders_DisableWithStaleSession: what its settings name may be gone by the time that it
// must be turned off.
func TestProviders_DisableWithStaleSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root := s.as("root")
	w := root.call("createWorkspace", map[string]any{"name": "Research"}).is(http.StatusCreated).text("id")
	id := root.call("addProvider", map[string]any{
		"slug":          "company",
		"kind":          "oidc",
		"name":          "Company",
		"issuer":        "http://127.0.0.1:9",
		"client_id":     "sluice",
		"client_secret": clientSecret,
		"enabled":       true,
		"group_claim":   "groups",
		"mappings":      []map[string]any{{"group": "authors", "workspace": w, "role": "user"}},
	}).is(http.StatusCreated).text("id")
	root.call("deleteWorkspace", nil, "workspace", w).is(http.StatusNoContent)
	if n := len(s.Providers.SignInButtons()); n != 1 {
		t.Fatalf("%d buttons", n)
	}
	if got := root.call("updateProvider", map[string]any{"enabled": false}, "provider",
		id).is(http.StatusOK); got.field(
		"enabled",
	) != false ||
		got.field("has_secret") != true {
		t.Errorf("stopped: %s", got.Body)
	}
	if n := len(s.Providers.SignInButtons()); n != 0 {
		t.Errorf("%d buttons", n)
	}
	if d := root.call("updateProvider", map[string]any{"enabled": true, "name": "New"}, "provider",
		id).is(http.StatusBadRequest).problem(); d.Field != "mappings" {
		t.Errorf("with its mapping: %+v", d)
	}
	root.call("updateProvider", map[string]any{"enabled": true}, "provider", id).is(http.StatusOK)
	if n := len(s.Providers.SignInButtons()); n != 1 {
		t.Errorf("%d buttons", n)
	}
}

// TestCheckProvider asks a provider that answers and one that does not.
func TestCheckProvider(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root := s.as("root")
	mux := http.NewServeMux()
	there := httptest.NewServer(mux)
	t.Cleanup(there.Close)
	answer := func(path string, v any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(v); err != nil {
				t.Error(err)
			}
		})
	}
	answer("/.well-known/openid-configuration", map[string]any{
		"issuer": there.URL, "authorization_endpoint": there.URL + "/auth", "token_endpoint": there.URL +
			"/token", "jwks_uri": there.URL + "/keys",
		"response_types_supported": []string{"code"}, "id_token_signing_alg_values_supported": []string{"RS256"},
	})
	answer("/keys", map[string]any{"keys": []any{}})
	for issuer, want := range map[string]string{there.URL: "good", "http://127.0.0.1:9": "bad"} {
		slug := "p-" + want
		id := root.call("addProvider",
			map[string]any{"slug": slug, "kind": "oidc", "name": slug, "issuer": issuer, "client_id": "sluice",
				"client_secret": clientSecret}).
			is(http.StatusCreated).
			text("id")
		found := root.list("checkProvider", "provider", id)
		if first := found[0].(map[string]any); first["level"] != want || first["text"] == "" {
			t.Errorf("%s: %v", issuer, found)
		}
	}
	if d := root.call("checkProvider", nil, "provider", "nothing").is(http.StatusNotFound).problem(); d.Detail == "" {
		t.Errorf("unknown: %+v", d)
	}
}

// TestIdentities: people can see and unlink their identities, but never the last way to sign in.
func TestIdentities(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx := context.Background()
	p, err := s.Providers.SaveProvider(
		ctx,
		sluicetest.Operator(),
		sso.Provider{
			Slug:         "acme",
			Kind:         sso.KindOIDC,
			Name:         "Acme",
			Issuer:       "http://127.0.0.1:9",
			ClientID:     "sluice",
			ClientSecret: clientSecret,
			Enabled:      true,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	root, val := s.as("root"), s.as("val")
	id := val.call("getMe", nil).text("id")
	link := func() {
		now := time.Now().UnixMilli()
		if err := s.DB.Gated(ctx, func(tx *db.Tx) error {
			return qlogin.New(tx).InsertLink(ctx,
				qlogin.InsertLinkParams{ProviderID: p.ID, Subject: "0815", AccountID: id, Label: "val@acme.example",
					CreatedAt: now})
		}); err != nil {
			t.Fatal(err)
		}
	}
	if got := val.list("listMyIdentities"); len(got) != 0 {
		t.Errorf("before: %v", got)
	}
	val.call("unlinkIdentity", nil, "provider", p.ID).is(http.StatusNotFound)
	link()
	for _, rows := range [][]any{val.list("listMyIdentities"), root.list("listIdentities", "user", id)} {
		if len(rows) != 1 || rows[0].(map[string]any)["label"] != "val@acme.example" ||
			rows[0].(map[string]any)["provider_name"] != "Acme" {
			t.Errorf("identities: %v", rows)
		}
	}
	if got := root.list("listMyIdentities"); len(got) != 0 {
		t.Errorf("root's: %v", got)
	}
	root.call("unlinkIdentity", nil, "provider", p.ID).is(http.StatusNotFound)
	val.call("listIdentities", nil, "user", id).is(http.StatusForbidden)

	root.call("setSignIn", map[string]any{"password": login.PasswordSuperusers}).is(http.StatusNoContent)
	val.call("unlinkIdentity", nil, "provider", p.ID).is(http.StatusConflict)
	root.call("setSignIn", map[string]any{"password": login.PasswordEveryone}).is(http.StatusNoContent)
	val.call("unlinkIdentity", nil, "provider", p.ID).is(http.StatusNoContent)
	if got := val.list("listMyIdentities"); len(got) != 0 {
		t.Errorf("after: %v", got)
	}
}
