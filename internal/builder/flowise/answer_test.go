package flowise

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/problem"
)

var upstreamUser = map[string]any{
	"id":                  "owner-id",
	"email":               "svc@sluice.internal",
	"name":                "Sluice",
	"activeWorkspaceId":   "w1",
	"isOrganizationAdmin": true,
	"isSSO":               false,
	"permissions":         []any{"organization", "workspace"},
}

func answer(t *testing.T, name string, c builder.AnswerContext) (int, map[string]any) {
	t.Helper()
	a, err := Kind().Answer(t.Context(), name, c)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var body map[string]any
	if err := json.Unmarshal(a.Body, &body); err != nil {
		t.Fatalf("%s: %s: %v", name, a.Body, err)
	}
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") ||
		a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: headers %v", name, a.Header)
	}
	return a.Status, body
}

func TestAnswer_User(t *testing.T) {
	ann := person
	ann.DisplayName, ann.Memberships = "Ann Author", []authz.Membership{{Workspace: "default", Role: authz.RoleUser}}
	boss := authz.Principal{
		Kind:        authz.Person,
		ID:          "p2",
		Name:        "boss",
		Email:       "boss@example.test",
		Memberships: []authz.Membership{{Workspace: "default", Role: authz.RoleAdmin}},
	}
	for _, c := range []struct {
		p     authz.Principal
		name  string
		admin bool
	}{{ann, "Ann Author", false}, {boss, "boss", true}} {
		status, got := answer(t, "user", builder.AnswerContext{Principal: c.p, Upstream: upstreamUser})
		if status != 200 || got["id"] != c.p.ID || got["email"] != c.p.Email || got["name"] != c.name ||
			got["activeWorkspaceId"] != "w1" {
			t.Errorf("%s: %d %v", c.name, status, got)
		}
		if got["isSSO"] != true || got["isOrganizationAdmin"] != c.admin {
			t.Errorf("%s: isSSO %v, isOrganizationAdmin %v", c.name, got["isSSO"], got["isOrganizationAdmin"])
		}
	}
	if upstreamUser["id"] != "owner-id" {
		t.Error("the shared description of the owner was changed")
	}
}

func TestAnswer_Stranger(t *testing.T) {
	p := Kind()
	for _, name := range []string{"user", "refresh"} {
		if _, err := p.Answer(t.Context(), name, builder.AnswerContext{Upstream: upstreamUser}); !problem.Is(
			err,
			problem.Unauthenticated,
		) {
			t.Errorf("%s for a stranger: %v", name, err)
		}
	}
	if _, err := p.Answer(t.Context(), "user", builder.AnswerContext{Principal: person}); !problem.Is(
		err,
		problem.Unavailable,
	) {
		t.Errorf("without a session upstream: %v", err)
	}
	if _, err := p.Answer(t.Context(), "nope", builder.AnswerContext{}); !problem.Is(err, problem.NotFound) {
		t.Errorf("an unknown answer: %v", err)
	}
}

func TestAnswer_ResolveAndLogout(t *testing.T) {
	signedOut := 0
	c := builder.AnswerContext{
		SignInURL: "http://127.0.0.1:3000/login?app=1", SignedOutURL: "http://127.0.0.1:3000/logout",
		SignOut: func(context.Context) error { signedOut++; return nil },
	}
	_, stranger := answer(t, "resolve", c)
	_, out := answer(t, "logout", c)
	if signedOut != 0 {
		t.Error("a stranger was signed out")
	}
	c.Principal = person
	_, known := answer(t, "resolve", c)
	_, _ = answer(t, "logout", c)
	got := []any{stranger["redirectUrl"], known["redirectUrl"], out["message"], out["redirectTo"], signedOut}
	if diff := cmp.Diff([]any{c.SignInURL, entry, "logged_out", c.SignedOutURL, 1}, got); diff != "" {
		t.Error(diff)
	}
	c.SignOut = func(context.Context) error { return errors.New("disk full") }
	if _, err := Kind().Answer(t.Context(), "logout", c); err == nil {
		t.Error("a sign-out that failed was reported as done")
	}
}

func TestAnswer_Account(t *testing.T) {
	c := builder.AnswerContext{Principal: person, Query: url.Values{"id": {person.ID}}, Now: testStart}
	if _, got := answer(t, "account", c); got["email"] != person.Email || got["credential"] != nil {
		t.Errorf("account: %v", got)
	}
	c.Query = url.Values{"id": {"owner-id"}}
	if _, err := Kind().Answer(t.Context(), "account", c); !problem.Is(err, problem.NotFound) {
		t.Errorf("another person's account: %v", err)
	}
}

func TestAnswer_Errors(t *testing.T) {
	denied := problem.New(problem.Denied, "You may view flows here, but not change them.").
		WithNext("Ask an admin.").
		WithRule("viewer")
	internal := http.Header{"X-Request-From": {"internal"}}
	cases := []struct {
		kind   string
		err    *problem.Error
		page   http.Header
		status int
		want   map[string]any
	}{
		{"flowise", problem.New(problem.Unauthenticated, "Your session has ended."), nil, 401, map[string]any{
			"statusCode": 401.0,
			"success":    false,
			"message":    "Invalid or Missing token",
			"detail":     "Your session has ended.",
			"requestId":  "r1",
		}},
		{"flowise", denied, nil, 403, map[string]any{
			"statusCode": 403.0, "success": false, "message": "You may view flows here, but not change them. " +
				"Ask an admin.", "error": "Forbidden",
			"next": "Ask an admin.", "rule": "viewer", "requestId": "r1",
		}},
		{"flowise", denied, internal, 423, map[string]any{
			"statusCode": 423.0,
			"success":    false,
			"message":    "You may view flows here, but not change them.",
			"error":      "Forbidden",
			"next":       "Ask an admin.", "rule": "viewer", "requestId": "r1",
		}},
		{"flowise", problem.New(problem.NotFound, "No such flow."), internal, 404, map[string]any{
			"statusCode": 404.0, "success": false, "message": "No such flow.", "requestId": "r1",
		}},
		{"generic", problem.New(problem.NotFound, "No such page."), internal, 404, map[string]any{
			"type":     "/problems/not-found",
			"title":    "Not found",
			"status":   404.0,
			"detail":   "No such page.",
			"instance": "r1",
		}},
	}
	for _, c := range cases {
		a := mustProfile(t, c.kind).ErrorFor(c.page, c.err, "r1")
		var got map[string]any
		if err := json.Unmarshal(a.Body, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" || a.Status != c.status {
			t.Errorf("%s %v: status %d, want %d; %s", c.kind, c.err.Kind, a.Status, c.status, diff)
		}
	}
}

func TestAnswer_RetryAfter(t *testing.T) {
	for _, kind := range []string{"flowise", "generic", "demo"} {
		a := mustProfile(t, kind).Error(problem.New(problem.Limited, "Slower.").WithRetryAfter(90*time.Second), "r1")
		if a.Status != 429 || a.Header.Get("Retry-After") != "90" ||
			a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", kind, a.Status, a.Header)
		}
	}
	if a := mustProfile(t, "generic").Error(problem.New(problem.Denied, "x"), ""); a.Header.Get(
		"Content-Type",
	) != problem.ContentType {
		t.Errorf("content type %q", a.Header.Get("Content-Type"))
	}
}

func TestPassthrough_Person(t *testing.T) {
	p := person
	p.DisplayName, p.Memberships = "Zoë\r\nX-Evil: 1", []authz.Membership{
		{Workspace: "a", Role: authz.RoleViewer},
		{Workspace: "b", Role: authz.RoleUser},
	}
	h := http.Header{}
	if err := (builder.Passthrough{}).Attach(t.Context(), h, builder.OnBehalf{Principal: p}, endpoint); err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		builder.HeaderUser:  {person.Name},
		builder.HeaderID:    {"p1"},
		builder.HeaderName:  {"Zo%C3%AB%0D%0AX-Evil:%201"},
		builder.HeaderEmail: {"ann@example.test"},
		builder.HeaderRole:  {"user"},
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
	h = http.Header{}
	if err := (builder.Passthrough{}).Attach(t.Context(), h, builder.OnBehalf{}, endpoint); err != nil || len(h) != 0 {
		t.Errorf("a stranger got %v, %v", h, err)
	}
}
