package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"sluice/internal/api"
)

// body is a good body of an operation; nil if it takes none.
func (s *site) body(op *huma.Operation) any {
	if op.RequestBody == nil {
		return nil
	}
	return s.spec.Example(op)
}

func TestWalk_Strangers(t *testing.T) {
	t.Parallel()
	s := furnished(t)
	stranger := s.stranger()
	spent := s.as("other")
	if a := spent.Post("/logout", nil); a.Status >= 400 {
		t.Fatalf("signing out: %d", a.Status)
	}
	for _, rt := range api.Routes() {
		if rt.Where == "anybody" {
			continue
		}
		op := s.spec.Operation(rt.ID)
		for name, r := range map[string]result{
			"no cookie":     stranger.send(rt.Method, s.path(rt.Path), s.body(op)),
			"ended session": spent.send(rt.Method, s.path(rt.Path), s.body(op)),
			"unknown cookie": caller{s, stranger.With("Cookie", "sluice_session="+strings.Repeat("A", 43))}.
				send(rt.Method, s.path(rt.Path), s.body(op)),
			"unknown token": caller{s, stranger.With("Authorization", "Bearer x")}.send(rt.Method, s.path(rt.Path),
				s.body(op)),
			"bad body": stranger.send(rt.Method, s.path(rt.Path), "{"),
		} {
			if r.Status != http.StatusUnauthorized {
				t.Errorf("%s %s with %s: %d, want 401: %.200s", rt.Method, rt.Path, name, r.Status, r.Body)
				continue
			}
			r.problem()
			r.as(s.spec, op)
		}
	}
}

// TestWalk_MissingPermission calls everything as a viewer, with good requests about other people's
// things. Calls that need a permission are refused and recorded; objects of other workspaces do not
// exist for the viewer.
func TestWalk_MissingPermission(t *testing.T) {
	t.Parallel()
	s := furnished(t)
	val := s.as("val")
	for _, rt := range api.Routes() {
		op, before := s.spec.Operation(rt.ID), s.denied("val")
		r := val.send(rt.Method, s.path(rt.Path), s.body(op))
		r.as(s.spec, op)
		switch rt.Where {
		case "", "anybody":
			if r.Status >= 500 && rt.ID != "verifyEmail" || r.Status == http.StatusForbidden {
				t.Errorf("%s: %d, but it is for everybody: %.200s", rt.ID, r.Status, r.Body)
			}
		case "workspace":
			if r.Status != http.StatusNotFound || s.denied("val") == before {
				t.Errorf("%s of a foreign workspace: %d, want 404 and a Denied entry: %.200s", rt.ID, r.Status, r.Body)
			}
		default:
			if r.Status != http.StatusForbidden || s.denied("val") == before {
				t.Errorf("%s: %d, want 403 and a Denied entry: %.200s", rt.ID, r.Status, r.Body)
			}
		}
	}
}

// TestWalk_Viewers is the same for the workspace that the viewer belongs to.
func TestWalk_Viewers(t *testing.T) {
	t.Parallel()
	s := furnished(t)
	s.ids["workspace"] = "default"
	val := s.as("val")
	for _, rt := range api.Routes() {
		if rt.Where != "workspace" {
			continue
		}
		op, before := s.spec.Operation(rt.ID), s.denied("val")
		r := val.send(rt.Method, s.path(rt.Path), s.body(op))
		if rt.Action == "workspace:view" {
			r.is(http.StatusOK)
			continue
		}
		if r.Status != http.StatusForbidden || s.denied("val") == before {
			t.Errorf("%s: %d, want 403 and a Denied entry: %.200s", rt.ID, r.Status, r.Body)
		}
	}
}

// badBodies are bodies that must be refused, each with the field that has to be named ("*" for
// any).
func (s *site) badBodies(op *huma.Operation) map[string][2]any {
	schema := s.spec.Body(op)
	with := func(name string, v any) map[string]any {
		out := s.spec.Example(op)
		out[name] = v
		return out
	}
	out := map[string][2]any{
		"nothing": {
			"",
			"body",
		}, "not JSON": {`{"a":`, "body"}, "trailing": {`{} {}`, "body"}, "null": {"null", "body"},
		"a list": {"[]", "body"}, "a text": {`"x"`, "body"}, "a number": {"1e999", "body"},
		"bad UTF-8": {
			"{\"name\":\"\xff\"}",
			"body",
		}, "NUL": {`{"name":"\u0000"}`, "body"}, "deep": {strings.Repeat("[", 200), "body"},
		"twice": {
			`{"x":1,"X":2}`,
			"body",
		}, "unknown field": {with("no_such_field", 1), "no_such_field"}, "too large": {`{"a":"` +
			strings.Repeat("a", 70<<10) + `"}`, ""},
	}
	for name, p := range schema.Properties {
		for label, v := range map[string]any{"boolean": true, "number": 1.5, "text": "x", "list": []any{1},
			"object": map[string]any{"a": 1}} {
			if label != map[string]string{"string": "text", "boolean": "boolean", "array": "list",
				"object": "object"}[s.spec.Type(p)] {
				out[name+" as "+label] = [2]any{with(name, v), name}
			}
		}
		if p.MaxLength != nil {
			out[name+" overlong"] = [2]any{with(name, strings.Repeat("x", *p.MaxLength+1)), name}
		}
		if p.MinLength != nil && *p.MinLength > 0 {
			out[name+" empty"] = [2]any{with(name, ""), name}
		}
	}
	for _, name := range schema.Required {
		missing := s.spec.Example(op)
		delete(missing, name)
		out[name+" missing"] = [2]any{missing, name}
		out[name+" null"] = [2]any{with(name, nil), name}
	}
	return out
}

func TestWalk_BadBodies(t *testing.T) { onBoth(t, badBodiesAreNamed) }

func badBodiesAreNamed(t *testing.T, environ ...string) {
	s := furnished(t, environ...)
	root := s.as("root")
	cases := 0
	for _, rt := range api.Routes() {
		op := s.spec.Operation(rt.ID)
		if op.RequestBody == nil {
			r := root.send(rt.Method, s.path(rt.Path), "{}")
			if rt.Method != http.MethodGet && (r.Status != http.StatusBadRequest || r.problem().Field != "body") {
				t.Errorf("%s with a body that it does not take: %d", rt.ID, r.Status)
			}
			continue
		}
		for name, bad := range s.badBodies(op) {
			cases++
			r := root.send(rt.Method, s.path(rt.Path), bad[0])
			want := http.StatusBadRequest
			if name == "too large" {
				want = http.StatusRequestEntityTooLarge
			}
			d := r.problem()
			field, _, _ := strings.Cut(d.Field, "[")
			if r.Status != want || field != bad[1] {
				t.Errorf(
					"%s with %s: %d, field %q, want %d and %q: %s",
					rt.ID,
					name,
					r.Status,
					d.Field,
					want,
					bad[1],
					d.Detail,
				)
			}
			if strings.Contains(r.Body, "xxxxx") || strings.Contains(d.Detail, "Go ") {
				t.Errorf("%s with %s shows the value or its insides: %.200s", rt.ID, name, r.Body)
			}
		}
		r := result{root.Do(rt.Method, s.path(rt.Path), "text/plain", strings.NewReader("{}")), t}
		if r.Status != http.StatusBadRequest || r.problem().Field != "Content-Type" {
			t.Errorf("%s with text/plain: %d", rt.ID, r.Status)
		}
	}
	if cases < 150 {
		t.Errorf("only %d bad bodies were tried", cases)
	}
}

func TestWalk_BadPathsAndQueries(t *testing.T) { onBoth(t, badPathsAndQueries) }

func badPathsAndQueries(t *testing.T, environ ...string) {
	s := furnished(t, environ...)
	root := s.as("root")
	for _, rt := range api.Routes() {
		op := s.spec.Operation(rt.ID)
		good := s.path(rt.Path)
		for _, p := range op.Parameters {
			if p.In != "path" {
				continue
			}
			for label, id := range map[string]string{
				"unknown":       "0199aaaa-ffff-7000-8000-ffffffffffff",
				"escaped slash": "a%2fb",
				"blank":         "a%20b",
				"NUL":           "a%00",
				"not ASCII":     "%C3%BC",
				"not UTF-8":     "%ff",
				"quote":         "'%20OR%201=1--", "long": strings.Repeat("a", 300), "upwards": "%2e%2e",
			} {
				path := strings.ReplaceAll(good, "/"+s.ids[p.Name], "/"+id)
				r := root.send(rt.Method, path, s.body(op))
				idempotent := label == "unknown" &&
					(rt.ID == "unpublishFlow" || rt.ID == "publishFlow" || rt.ID == "withdrawApp")
				// The demo builder knows no flows of its own to compare with: an id of the right
				// form is taken.
				plainFlow := p.Name == "flow" && (label == "upwards" || label == "unknown")
				if !idempotent && !plainFlow && r.Status != http.StatusBadRequest && r.Status != http.StatusNotFound {
					t.Errorf("%s with a %s id for %s: %d: %.200s", rt.ID, label, p.Name, r.Status, r.Body)
				}
				if r.Status >= 500 {
					t.Errorf("%s with a %s id for %s: %d: %.200s", rt.ID, label, p.Name, r.Status, r.Body)
				}
			}
		}
		queries := map[string]string{
			"?no_such=1": "no_such",
			"?x=%zz":     "query",
			"?x=1&x=2":   "x",
			"?x=%00":     "x",
			"?x=%ff":     "x",
			"?a;b=1":     "query",
		}
		for _, p := range op.Parameters {
			if p.In == "query" && p.Schema.Type == "integer" {
				for _, bad := range []string{"x", "-1", "99999999999999999999", "1&" + p.Name + "=1"} {
					queries["?"+p.Name+"="+bad] = p.Name
				}
			}
			if p.In == "query" && p.Schema.MaxLength != nil {
				queries["?"+p.Name+"="+strings.Repeat("x", *p.Schema.MaxLength+1)] = p.Name
			}
			if p.In == "query" && p.Schema.Pattern != "" {
				queries["?"+p.Name+"=a/b"] = p.Name
			}
		}
		for query, field := range queries {
			r := root.send(rt.Method, good+query, s.body(op))
			if d := r.problem(); r.Status != http.StatusBadRequest || d.Field != field {
				t.Errorf("%s %s: %d, field %q, want 400 and %q: %s", rt.ID, query, r.Status, d.Field, field, d.Detail)
			}
		}
	}
}

func TestWalk_UnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root := s.as("root")
	for _, path := range []string{"", "/", "/nothing", "/users/", "/users//sessions", "/me/", "/openapi", "/../me",
		"/users%2f"} {
		if r := root.send("GET", api.Prefix+path, nil); r.Status != http.StatusNotFound &&
			r.Status != http.StatusBadRequest &&
			r.Status != http.StatusSeeOther {
			t.Errorf("%q: %d: %.200s", path, r.Status, r.Body)
		}
	}
	r := root.send("PUT", api.Prefix+"/users", nil)
	if got := strings.Join(r.Header.Values("Allow"), " "); r.Status != http.StatusMethodNotAllowed ||
		got != "GET HEAD POST" {
		t.Errorf("PUT /users: %d, Allow %q", r.Status, got)
	}
	r.problem()
	if r := root.send("HEAD", api.Prefix+"/me", nil); r.Status != http.StatusOK || r.Body != "" {
		t.Errorf("HEAD /me: %d %q", r.Status, r.Body)
	}
}

func TestWalk_OtherOrigins(t *testing.T) {
	t.Parallel()
	s := furnished(t)
	for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "http://evil.example"}} {
		root := s.as("root")
		root.Header = http.Header{}
		evil := caller{s, root.With(header[0], header[1])}
		for _, rt := range api.Routes() {
			if rt.Method == http.MethodGet {
				continue
			}
			r := evil.send(rt.Method, s.path(rt.Path), s.body(s.spec.Operation(rt.ID)))
			if r.Status != http.StatusForbidden || r.problem().Rule != "cross-origin request" {
				t.Errorf("%s with %s: %d", rt.ID, fmt.Sprint(header), r.Status)
			}
		}
	}
}
