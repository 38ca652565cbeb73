package api_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"sluice/internal/api"
)

func TestSpec_EveryRoute(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := s.stranger().send("GET", api.Prefix+"/openapi.json", nil).is(http.StatusOK)
	if r.Header.Get("Content-Type") != "application/openapi+json" {
		t.Errorf("content type %q", r.Header.Get("Content-Type"))
	}
	var doc struct {
		OpenAPI string `json:"openapi"`
		Servers []struct{ URL string }
		Paths   map[string]map[string]struct {
			OperationID, Summary, Description string
			Tags                              []string
			Parameters                        []struct {
				Name, In, Description string
				Required              bool
			}
			RequestBody *struct {
				Content map[string]struct{ Example any }
			}
			Responses map[string]any
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(r.Body), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || len(doc.Servers) != 1 || doc.Servers[0].URL != api.Prefix {
		t.Errorf("openapi %q, servers %v", doc.OpenAPI, doc.Servers)
	}
	described, ids := 0, map[string]bool{}
	for _, operations := range doc.Paths {
		described += len(operations)
	}
	if want := len(api.Routes()); described != want {
		t.Errorf("%d operations are described, %d are routed", described, want)
	}
	for _, rt := range api.Routes() {
		op, ok := doc.Paths[rt.Path][strings.ToLower(rt.Method)]
		if !ok || op.OperationID != rt.ID || op.Summary == "" ||
			!strings.HasPrefix(op.Description, "Permitted for: ") ||
			len(op.Tags) != 1 ||
			op.Responses["default"] == nil {
			t.Errorf("%s %s is not described: %+v", rt.Method, rt.Path, op)
		}
		if ids[rt.ID] {
			t.Errorf("the id %s is used twice", rt.ID)
		}
		ids[rt.ID] = true
		for _, part := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(rt.Path, -1) {
			found := false
			for _, p := range op.Parameters {
				found = found || p.Name == part[1] && p.In == "path" && p.Required && p.Description != ""
			}
			if !found {
				t.Errorf("%s: the parameter %s of the path is not described", rt.ID, part[1])
			}
		}
		if op.RequestBody != nil && op.RequestBody.Content["application/json"].Example == nil {
			t.Errorf("%s: its body has no example", rt.ID)
		}
	}
	for _, ref := range regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(r.Body, -1) {
		if doc.Components.Schemas[ref[1]] == nil {
			t.Errorf("the schema %s is referred to and not there", ref[1])
		}
	}
	for name := range doc.Components.Schemas {
		if !strings.Contains(r.Body, `"#/components/schemas/`+name+`"`) {
			t.Errorf("nothing refers to the schema %s", name)
		}
	}
}

// TestSpec_YAMLEqualsJSON compares the two forms of the description.
func TestSpec_YAMLEqualsJSON(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var a, b any
	if err := json.Unmarshal([]byte(s.stranger().send("GET", api.Prefix+"/openapi.json", nil).is(http.StatusOK).Body),
		&a); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(s.stranger().send("GET", api.Prefix+"/openapi.yaml", nil).is(http.StatusOK).Body),
		&b); err != nil {
		t.Fatal(err)
	}
	x, _ := json.Marshal(a)
	y, err := json.Marshal(b)
	if err != nil || string(x) != string(y) {
		t.Errorf("the YAML differs (%v): %d and %d bytes", err, len(x), len(y))
	}
}

func TestDocsPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, c := range []caller{s.stranger(), s.as("val")} {
		r := c.send("GET", api.Prefix+"/docs", nil).is(http.StatusOK)
		for _, rt := range api.Routes() {
			if !strings.Contains(r.Body, `id="`+rt.ID+`"`) {
				t.Errorf("%s is not on the page", rt.ID)
			}
		}
		if policy := r.Header.Get("Content-Security-Policy"); !strings.HasPrefix(
			policy,
			"default-src 'none'; script-src 'self';",
		) {
			t.Errorf("policy %q", policy)
		}
		for _, outside := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(r.Body, -1) {
			if !strings.HasPrefix(outside[1], "/") && !strings.HasPrefix(outside[1], "#") {
				t.Errorf("the page loads or leads to %s", outside[1])
			}
		}
		if strings.Contains(r.Body, "<style") || strings.Contains(r.Body, " style=") ||
			regexp.MustCompile(`<script>|\son\w+=`).MatchString(r.Body) {
			t.Error("the page has something inline")
		}
	}
}
