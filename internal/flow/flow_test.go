package flow_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authz"
	"sluice/internal/db"
	qapp "sluice/internal/db/q/app"
	qidentity "sluice/internal/db/q/identity"
	"sluice/internal/dbtest"
	"sluice/internal/flow"
	"sluice/internal/problem"
)

const (
	appID = "app-1"
	one   = "11111111-1111-4111-8111-111111111111"
	two   = "22222222-2222-4222-8222-222222222222"
)

var operator = authz.SystemPrincipal("cli")

// library opens a library on a database with one app and the workspaces a and b.
// steps is a clock of which no two readings are the same, so that "last changed" has one answer.
func steps() func() time.Time {
	var n atomic.Int64
	start := time.Now()
	return func() time.Time { return start.Add(time.Duration(n.Add(1)) * time.Millisecond) }
}

func library(t testing.TB, d *db.DB) *flow.Library {
	t.Helper()
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	gate, err := authz.NewGate(authz.Config{DB: d, Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gate.Close(ctx) })
	err = d.Gated(ctx, func(tx *db.Tx) error {
		var errs []error
		for _, w := range []string{"a", "b"} {
			errs = append(
				errs,
				qidentity.New(tx).
					InsertWorkspaceIfAbsent(ctx,
						qidentity.InsertWorkspaceIfAbsentParams{ID: w, Name: "Workspace " + w, CreatedAt: 1}),
			)
		}
		if _, err := qapp.New(tx).GetApp(ctx, appID); err != nil {
			errs = append(
				errs,
				qapp.New(tx).
					InsertApp(ctx, qapp.InsertAppParams{ID: appID, WorkspaceID: "a", Slug: "x", Name: "X", Kind: "demo",
						UpstreamUrl: "http://127.0.0.1:1", CreatedAt: 1}),
			)
		}
		return errors.Join(errs...)
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := flow.New(ctx, flow.Config{DB: d, Gate: gate, Now: steps(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func object(id, workspace, name string) flow.Object {
	return flow.Object{App: appID, ID: id, Kind: flow.Chatflow, Workspace: workspace, Name: name, Owner: "somebody"}
}

// person is an admin of a workspace.
func person(workspace string) authz.Principal {
	return authz.Principal{
		Kind: authz.Person, ID: "p-" +
			workspace, Name: workspace, Workspace: workspace, Memberships: []authz.Membership{{Workspace: workspace,
			Role: authz.RoleAdmin}},
	}
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAdopt_FirstWins(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l, other, ctx := library(t, d), library(t, d), context.Background()
		fatal(t, l.Claim(ctx, object(one, "a", "First"), object("plain-id", "a", "")))
		for name, lib := range map[string]*flow.Library{"here": l, "another library on the database": other,
			"after a restart": library(t, d)} {
			for _, id := range []string{one, strings.ToUpper(one), "plain-id"} {
				if w, k, ok := lib.Owner(appID, id); !ok || w != "a" || k != flow.Chatflow {
					t.Errorf("%s: %s belongs to %q (%q), %v", name, id, w, k, ok)
				}
			}
			if _, _, ok := lib.Owner("another app", one); ok {
				t.Errorf("%s: the same id in another app is owned", name)
			}
		}
		if err := l.Claim(ctx, object(two, "b", ""), object(one, "b", "Stolen")); !problem.Is(err, problem.Conflict) {
			t.Errorf("claiming what another workspace has: %v, want conflict", err)
		}
		if _, _, ok := l.Owner(appID, two); ok {
			t.Error("half of a refused claim is in force")
		}
		fatal(t, l.Claim(ctx, object(one, "a", "Again")))
		if w, _, _ := l.Owner(appID, one); w != "a" {
			t.Errorf("it belongs to %q now", w)
		}
		fatal(t, l.Forget(ctx, appID, one, "never there"))
		if _, _, ok := l.Owner(appID, one); ok {
			t.Error("a forgotten object is still owned")
		}
		fatal(t, l.Claim(ctx, object(one, "b", "")))
		if w, _, _ := l.Owner(appID, one); w != "b" {
			t.Errorf("a forgotten id cannot be claimed: %q", w)
		}
	})
}

func TestList_WorkspaceOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l, ctx := library(t, d), context.Background()
		fatal(
			t,
			l.Claim(
				ctx,
				object(one, "a", "Answer 100% of mails"),
				object(two, "a", "Billing"),
				object("other", "b", "Billing of b"),
			),
		)
		fatal(
			t,
			l.Claim(ctx, flow.Object{App: appID, ID: "tool", Kind: flow.Tool, Workspace: "a", Name: "Billing tool"}),
		)
		names := func(actor authz.Principal, f flow.Filter) []string {
			t.Helper()
			list, total, err := l.List(ctx, actor, f)
			fatal(t, err)
			out := []string{fmt.Sprint(total)}
			for _, o := range list {
				out = append(out, o.Name)
			}
			return out
		}
		fatal(t, l.Save(ctx, flow.Act{App: appID}, two, flow.Saved{Name: "Billing,  renamed\x00"}))
		for name, c := range map[string]struct {
			actor authz.Principal
			f     flow.Filter
			want  []string
		}{
			"all, last changed first": {person("a"), flow.Filter{}, []string{"2", "Billing, renamed", "Answer 100% " +
				"of mails"}},
			"a page": {person("a"), flow.Filter{Limit: 1, Offset: 1}, []string{"2", "Answer 100% " +
				"of mails"}},
			"a search":             {person("a"), flow.Filter{Query: "BILL"}, []string{"1", "Billing, renamed"}},
			"a percent sign":       {person("a"), flow.Filter{Query: "100%"}, []string{"1", "Answer 100% of mails"}},
			"an underscore":        {person("a"), flow.Filter{Query: "_"}, []string{"0"}},
			"the other workspace":  {person("b"), flow.Filter{}, []string{"1", "Billing of b"}},
			"a superuser's choice": {operator, flow.Filter{Workspace: "b"}, []string{"1", "Billing of b"}},
		} {
			if diff := cmp.Diff(c.want, names(c.actor, c.f)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		if _, _, err := l.List(ctx, person("b"), flow.Filter{Workspace: "a"}); !problem.Is(err, problem.Denied) {
			t.Errorf("listing a foreign workspace: %v", err)
		}
	})
}

func TestAdopt_MovesOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l, ctx := library(t, d), context.Background()
		fatal(t, l.Claim(ctx, object(one, "a", "")))
		n, err := l.Adopt(
			ctx,
			person("b"),
			appID,
			"b",
			[]flow.Object{object(one, "", ""), object(two, "", "Left over")},
		)
		if err != nil || n != 1 {
			t.Fatalf("adopted %d, %v; want the one that nobody owns", n, err)
		}
		if w, _, _ := l.Owner(appID, one); w != "a" {
			t.Errorf("adoption has moved an owned object to %q", w)
		}
		if w, _, _ := l.Owner(appID, two); w != "b" {
			t.Errorf("the adopted object belongs to %q", w)
		}
		if _, err := l.Adopt(ctx, person("a"), appID, "b", []flow.Object{object("x", "", "")}); !problem.Is(
			err,
			problem.Denied,
		) {
			t.Errorf("adopting into a foreign workspace: %v", err)
		}
		for who, p := range map[string]authz.Principal{"whose it is": person("a"), "who wants it": person("b")} {
			if err := l.Move(ctx, p, appID, []string{one}, "b", ""); !problem.Is(err, problem.Denied) {
				t.Errorf("%s moves it alone: %v", who, err)
			}
		}
		fatal(t, l.Move(ctx, operator, appID, []string{one}, "b", "p-b"))
		if w, _, _ := l.Owner(appID, one); w != "b" {
			t.Errorf("after the move it belongs to %q", w)
		}
		if err := l.Move(ctx, operator, appID, []string{"nowhere"}, "b", ""); !problem.Is(err, problem.NotFound) {
			t.Errorf("moving what is not there: %v", err)
		}
		list, err := l.OfApp(ctx, operator, appID)
		if err != nil || len(list) != 2 || list[0].Owner != "p-b" {
			t.Errorf("all objects: %+v, %v", list, err)
		}
	})
}

func TestParentsAreRemembered(t *testing.T) {
	t.Parallel()
	l := library(t, dbtest.SQLite(t))
	l.Learn(appID, "run-1", one)
	if p, ok := l.Parent(appID, "run-1"); !ok || p != one {
		t.Errorf("parent %q, %v", p, ok)
	}
	if _, ok := l.Parent("another app", "run-1"); ok {
		t.Error("another app's run is known")
	}
}

// BenchmarkOwner is the look-up on every request, among 100 000 objects.
func BenchmarkOwner(b *testing.B) {
	l := library(b, dbtest.SQLite(b))
	objects := make([]flow.Object, 100_000)
	for i := range objects {
		objects[i] = object(fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i), []string{"a", "b"}[i%2], "")
	}
	if err := l.Claim(context.Background(), objects...); err != nil {
		b.Fatal(err)
	}
	of := l.Of(appID)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, _, ok := of.Owner(objects[i%len(objects)].ID); !ok {
			b.Fatal("not found")
		}
	}
}
