package flow_test

import (
	"context"
	"testing"
	"time"

	"sluice/internal/dbtest"
	"sluice/internal/flow"
	"sluice/internal/problem"
)

func TestJobs_EveryNode(t *testing.T) {
	t.Parallel()
	d, ctx := dbtest.SQLite(t), context.Background()
	here, there := library(t, d), library(t, d)
	j := flow.Job{Flow: one, Person: "anna"}
	if err := here.StartJob(ctx, appID, "job-1", j); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*flow.Library{"where it was started": here, "elsewhere": there} {
		if got, err := l.Job(ctx, appID, "job-1"); err != nil || got != j {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if _, err := l.Job(ctx, "another app", "job-1"); !problem.Is(err, problem.NotFound) {
			t.Errorf("%s, of another app: %v", name, err)
		}
	}
	if err := here.StartJob(ctx, appID, "job-1", j); err != nil {
		t.Errorf("the same once more: %v", err)
	}
	if err := there.StartJob(ctx, appID, "job-1", flow.Job{Flow: two, Person: "bert"}); !problem.Is(
		err,
		problem.Conflict,
	) {
		t.Errorf("a job was taken over: %v", err)
	}
	if err := here.StartJob(ctx, appID, "", j); !problem.Is(err, problem.Invalid) {
		t.Errorf("a job without an id: %v", err)
	}
	if err := here.PruneJobs(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := library(t, d).Job(ctx, appID, "job-1"); err != nil {
		t.Errorf("a job of today is forgotten: %v", err)
	}
	if err := here.PruneJobs(ctx, time.Now().Add(25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := library(t, d).Job(ctx, appID, "job-1"); !problem.Is(err, problem.NotFound) {
		t.Errorf("a job of yesterday: %v", err)
	}
}

func TestChats_FirstWorkspace(t *testing.T) {
	t.Parallel()
	l := library(t, dbtest.SQLite(t))
	l.LearnChat(appID, "chat", flow.Chat{Workspace: "a"})
	l.LearnChat(appID, "chat", flow.Chat{Workspace: "b", Flow: two})
	if c, _ := l.ChatOf(appID, "chat"); c != (flow.Chat{Workspace: "a"}) {
		t.Errorf("it is %+v", c)
	}
	l.LearnChat(appID, "chat", flow.Chat{Workspace: "a", Flow: one})
	if c, _ := l.ChatOf(appID, "chat"); c != (flow.Chat{Workspace: "a", Flow: one}) {
		t.Errorf("its flow was not learned: %+v", c)
	}
	if _, ok := l.ChatOf("another app", "chat"); ok {
		t.Error("another app knows it")
	}
}

func TestObjects_AccountLearnedLater(t *testing.T) {
	t.Parallel()
	l, ctx := library(t, dbtest.SQLite(t)), context.Background()
	for _, o := range []flow.Object{{ID: one, Workspace: "a"}, {ID: one, Workspace: "a", Account: "u1"},
		{ID: one, Workspace: "a", Account: "u2"}, {ID: two, Workspace: "b"}} {
		o.App, o.Kind = appID, flow.Chatflow
		if err := l.Claim(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.Of(appID).Account(one); got != "u1" {
		t.Errorf("the account is %q", got)
	}
	if err := l.Bind(ctx, appID, two, "u3"); err != nil {
		t.Fatal(err)
	}
	if err := l.Bind(ctx, appID, "unknown", "u3"); err != nil {
		t.Errorf("an unknown object: %v", err)
	}
	if got := l.Of(appID).Account(two); got != "u3" {
		t.Errorf("the bound account is %q", got)
	}
	if ws, _, _ := l.Owner(appID, two); ws != "b" {
		t.Errorf("binding moved it to %q", ws)
	}
}
