package server

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"sluice/internal/api"
	"sluice/internal/builder/buildertest"
	"sluice/internal/builder/n8ntest"
)

// TestKinds_TablesAreSound reads the table of every kind that the server knows.
func TestKinds_TablesAreSound(t *testing.T) {
	t.Parallel()
	all, err := Kinds()
	if err != nil {
		t.Fatal(err)
	}
	all["n8n"] = n8ntest.Kind()
	// Langflow gives its settings to strangers in a short form, which its pages need, and in full
	// to those who are signed in.
	short := map[string][]string{"langflow": {"config"}}
	for name, k := range all {
		t.Run(name, func(t *testing.T) { buildertest.CheckTable(t, k, short[name]...) })
	}
}

// TestKinds_TheAPINamesThemAll compares the kinds with those that the API accepts for a new app.
// Only the server knows them, not the API.
func TestKinds_TheAPINamesThemAll(t *testing.T) {
	t.Parallel()
	all, err := Kinds()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, api.Prefix+"/openapi.json", nil)
	api.New(api.Config{Log: slog.New(slog.DiscardHandler)}).ServeHTTP(r, request)
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Enum []string }
			}
		}
	}
	if err := json.Unmarshal(r.Body.Bytes(), &doc); err != nil {
		t.Fatalf("%d: %v", r.Code, err)
	}
	want, found := slices.Sorted(maps.Keys(all)), 0
	for name, schema := range doc.Components.Schemas {
		enum := schema.Properties["kind"].Enum
		if !slices.Contains(enum, "generic") {
			continue
		}
		found++
		slices.Sort(enum)
		if !slices.Equal(enum, want) {
			t.Errorf("the API takes the kinds %v in %s, the server knows %v", enum, name, want)
		}
	}
	if found == 0 {
		t.Error("no schema of the API has the kinds")
	}
}
