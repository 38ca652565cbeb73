package app_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
)

func TestForwardAuthApp(t *testing.T) {
	t.Parallel()
	ctx, keys := context.Background(), t.TempDir()
	d := dbtest.SQLite(t)
	r := open(t, d, keys)
	a, err := r.Manager.Add(
		ctx,
		operator,
		app.Spec{Mode: app.ModeForwardAuth, PublicURL: "https://Flows.example.com:443/"},
	)
	if err != nil {
		t.Fatal(err)
	}
	if !a.ForwardAuth() || a.PublicURL != "https://flows.example.com" || a.Name != "flows.example.com" || a.Port != 0 ||
		a.Pending ||
		a.Upstream.Host != "" {
		t.Errorf("%+v", a)
	}
	if found, ok := r.ByHost("flows.example.com"); !ok || found.ID != a.ID {
		t.Error("it is not found by its host")
	}
	if h, err := r.Monitor.Check(ctx, operator, a.ID); err != nil || h.OK || h.Next == "" {
		t.Errorf("before the first sub-request: %+v, %v", h, err)
	}
	if e, err := r.Monitor.Exposure(ctx, operator, a.ID); err != nil || e.State != "unknown" {
		t.Errorf("exposure: %+v, %v", e, err)
	}
	first := time.Now().Add(-time.Hour)
	r.Asked(a, first)
	if h := r.Monitor.Health(a.ID); !h.OK || r.LastAsked(a).UnixMilli() != first.UnixMilli() {
		t.Errorf("after it: %+v, %v", h, r.LastAsked(a))
	}
	other := open(t, d, keys)
	waitFor(t, func() bool {
		now, _ := other.ByID(a.ID)
		return other.Monitor.Health(a.ID).OK && now.SeenAt.UnixMilli() == first.UnixMilli()
	})
	later := first.Add(2 * time.Second)
	r.Asked(a, later)
	if got := r.LastAsked(a); got.UnixMilli() != later.UnixMilli() {
		t.Errorf("last request %v, want %v", got, later)
	}
	if o, err := r.Manager.Remove(ctx, operator, a.ID); err != nil || o.Email != "" {
		t.Errorf("removing it: %+v, %v", o, err)
	}
}

// waitFor waits for what happens in the background.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen within 10 s")
		}
	}
}

func TestForwardAuth_Refused(t *testing.T) {
	t.Parallel()
	r := open(t, dbtest.SQLite(t), t.TempDir())
	add := func(s app.Spec) error {
		_, err := r.Manager.Add(context.Background(), operator, s)
		return err
	}
	if err := add(app.Spec{Mode: app.ModeForwardAuth, PublicURL: "https://flows.example.com"}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		spec  app.Spec
		kind  problem.Kind
		field string
	}{
		{app.Spec{Mode: app.ModeForwardAuth}, problem.Invalid, "public_url"},
		{app.Spec{Mode: app.ModeForwardAuth, PublicURL: "flows.example.com"}, problem.Invalid, "public_url"},
		{app.Spec{Mode: app.ModeForwardAuth, PublicURL: "https://flows.example.com/path"}, problem.Invalid,
			"public_url"},
		{app.Spec{Mode: app.ModeForwardAuth, PublicURL: "https://a;return.example.com"}, problem.Invalid, "public_url"},
		{app.Spec{Mode: app.ModeForwardAuth, PublicURL: "https://$host"}, problem.Invalid, "public_url"},
		{app.Spec{Mode: app.ModeForwardAuth, PublicURL: "https://FLOWS.example.com"}, problem.Conflict, "public_url"},
		{app.Spec{Mode: app.ModeForwardAuth, PublicURL: "http://flows.example.com"}, problem.Conflict, "public_url"},
		{app.Spec{Mode: app.ModeForwardAuth, PublicURL: "https://b.example.com", Kind: "flowise"}, problem.Invalid,
			"kind"},
		{app.Spec{Mode: "magic", PublicURL: "https://b.example.com"}, problem.Invalid, "mode"},
		{app.Spec{URL: "demo", PublicURL: "https://flows.example.com"}, problem.Conflict, "public_url"},
	} {
		err := add(tt.spec)
		if e := problem.Of(err); err == nil || e.Kind != tt.kind || e.Field != tt.field {
			t.Errorf("%+v: %v", tt.spec, err)
		}
	}
	if _, err := r.Manager.Look(context.Background(), operator,
		app.Spec{Mode: app.ModeForwardAuth, PublicURL: "https://b.example.com"}); !problem.Is(
		err,
		problem.Invalid,
	) {
		t.Errorf("looking: %v", err)
	}
	if _, err := r.Manager.Add(context.Background(), authz.Principal{},
		app.Spec{Mode: app.ModeForwardAuth, PublicURL: "https://b.example.com"}); !problem.Is(
		err,
		problem.Unauthenticated,
	) {
		t.Errorf("a stranger: %v", err)
	}
	if n := len(r.All()); n != 1 || !strings.HasPrefix(r.All()[0].Upstream.String(), "forward-auth:") {
		t.Errorf("%d apps", n)
	}
}
