package objects_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/builder/flowise/flowisetest"
	"sluice/internal/builder/langflow/langflowtest"
	"sluice/internal/flow"
	"sluice/internal/objects"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

func TestParent_IsRememberedOrAskedFor(t *testing.T) {
	t.Parallel()
	const id, hint = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	rated := func() *flowisetest.Server {
		f := flowisetest.New()
		f.Lists["feedback/"+hint] = `[{"id":"` + id + `"}]`
		return f
	}
	for name, c := range map[string]struct {
		bridge func(t testing.TB) *builder.Bridge
		hint   string
		known  bool
		fails  problem.Kind
	}{
		"the builder knows": {
			bridge: func(t testing.TB) *builder.Bridge { return oneAccount(t, rated()) }, hint: hint,
		},
		"the builder does not know": {
			bridge: func(t testing.TB) *builder.Bridge { return oneAccount(t, flowisetest.New()) },
			hint:   hint,
			fails:  problem.NotFound,
		},
		"the builder is down": {
			bridge: func(t testing.TB) *builder.Bridge {
				f := rated()
				f.Down = true
				return oneAccount(t, f)
			},
			hint:  hint,
			fails: problem.Unavailable,
		},
		"the builder cannot be asked": {
			bridge: func(t testing.TB) *builder.Bridge { return newWorld(t).app.Bridge },
			hint:   hint,
			fails:  problem.NotFound,
		},
		"the builder is not connected": {
			bridge: func(testing.TB) *builder.Bridge { return nil }, hint: hint, fails: problem.NotFound,
		},
		"it is remembered": {
			bridge: func(testing.TB) *builder.Bridge { return nil }, known: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.app = &app.App{ID: appID, Bridge: c.bridge(t)}
			if c.known {
				w.flows.Learn(appID, id, hint)
			}
			got, job, err := w.lookup(ann).Parent(t.Context(), here, profile.Feedback, id, c.hint)
			fails(t, err, c.fails)
			if want := map[bool]string{true: hint}[c.fails == none]; got != want || job != nil {
				t.Errorf("it lies in %q (%v), want %q", got, job, want)
			}
			if _, ok := w.flows.Parent(appID, id); ok != (c.fails == none) {
				t.Errorf("it is remembered: %v", ok)
			}
		})
	}
}

func TestParent_OfAFileIsTheFirstKnownObjectInItsPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(w.sales, here, w.ours.ID)
	w.record(w.payroll, there, w.theirs.ID)
	for path, want := range map[string]string{
		w.sales + "/chat/a.txt":              w.sales,
		nowhere + "/" + w.sales + "/a.txt":   w.sales,
		w.payroll + "/" + w.sales + "/a.txt": w.payroll,
		nowhere + "/a.txt":                   "",
		"a.txt":                              "",
	} {
		got, _, err := w.lookup(ann).Parent(t.Context(), here, profile.File, path, "")
		fails(t, err, map[bool]problem.Kind{true: problem.NotFound}[want == ""])
		if got != want {
			t.Errorf("%s lies in %q, want %q", path, got, want)
		}
	}
}

func TestParent_OfARunIsItsFlowAndWhoStartedIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	started := flow.Job{Flow: w.sales, Person: ann.ID}
	if err := w.flows.StartJob(t.Context(), appID, "started", started); err != nil {
		t.Fatal(err)
	}
	w.flows.Learn(appID, "listed", w.sales)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx   context.Context
		id    string
		flow  string
		job   *flow.Job
		fails bool
		want  problem.Kind
	}{
		{ctx: t.Context(), id: "started", flow: w.sales, job: &started},
		{ctx: t.Context(), id: "listed", flow: w.sales, job: &flow.Job{Flow: w.sales}},
		{ctx: t.Context(), id: "unknown", fails: true, want: problem.NotFound},
		{ctx: canceled, id: "unread", fails: true, want: problem.Internal},
	} {
		id, job, err := w.lookup(ann).Parent(c.ctx, here, profile.Job, c.id, "")
		if c.fails != (err != nil) || c.fails && problem.Of(err).Kind != c.want {
			t.Errorf("%s: the error is %v", c.id, err)
		}
		if diff := cmp.Diff(c.job, job); diff != "" || id != c.flow {
			t.Errorf("%s lies in %q, want %q: %s", c.id, id, c.flow, diff)
		}
	}
}

func TestParent_OfAMessageIsItsOneFlow(t *testing.T) {
	t.Parallel()
	const id = "33333333-3333-4333-8333-333333333333"
	for name, c := range map[string]struct {
		id    string
		in    func(w *world) []string
		fails problem.Kind
		// asked is how often the builder is asked when the message is looked for twice.
		asked int
	}{
		"in a flow": {id: id, in: func(w *world) []string { return []string{w.sales} }, asked: 1},
		"in two": {
			id:    id,
			in:    func(w *world) []string { return []string{w.sales, w.diary} },
			fails: problem.NotFound,
			asked: 2,
		},
		"in none": {id: id, in: func(*world) []string { return nil }, fails: problem.NotFound, asked: 1},
		"an id of other shape": {
			id:    "1",
			in:    func(w *world) []string { return []string{w.sales} },
			fails: problem.NotFound,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, f := range c.in(w) {
				w.says(w.ours, langflowtest.Message{ID: c.id, Flow: f, Session: "chat"})
			}
			for range 2 {
				got, job, err := w.lookup(ann).Parent(t.Context(), here, profile.Message, c.id, "")
				fails(t, err, c.fails)
				if want := map[bool]string{true: w.sales}[c.fails == none]; got != want || job != nil {
					t.Errorf("it lies in %q (%v), want %q", got, job, want)
				}
			}
			if n := w.messagesAsked(); n != c.asked {
				t.Errorf("the builder was asked %d times, want %d", n, c.asked)
			}
		})
	}
}

func TestParent_BuilderThatIsDownSaysNothingAboutAMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(w.ours, langflowtest.Message{ID: nowhere, Flow: w.sales})
	// The account's session exists before the builder stops.
	_, _, err := w.lookup(ann).Parent(t.Context(), here, profile.Message, w.payroll, "")
	fails(t, err, problem.NotFound)
	w.With(func() { w.Down = true })
	_, _, err = w.lookup(ann).Parent(t.Context(), here, profile.Message, nowhere, "")
	fails(t, err, problem.Unavailable)
	w.With(func() { w.Down = false })
	got, _, err := w.lookup(ann).Parent(t.Context(), here, profile.Message, nowhere, "")
	fails(t, err, none)
	if got != w.sales {
		t.Errorf("it lies in %q", got)
	}
}

func TestChat_BelongsToTheWorkspaceThatUsesIt(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("c", objects.MaxChat)
	place := func(workspace, account string, named bool) objects.Place {
		return objects.Place{Workspace: workspace, Account: account, Named: named}
	}
	for name, c := range map[string]struct {
		id string
		// named means that another object of the request already determined the place; flow is the
		// request's flow.
		named bool
		flow  string
		// before is what happened.
		before func(w *world)
		want   func(w *world) objects.Place
		fails  problem.Kind
		asked  int
	}{
		"nobody has used it":                           {id: "new", asked: 1},
		"nobody has used it, in a request with a flow": {id: "new", flow: nowhere},
		"the longest":                                  {id: longest, asked: 1},
		"a longer one":                                 {id: longest + "c", fails: problem.NotFound},
		"the workspace has used it, in an unknown flow": {
			id:     "chat",
			before: func(w *world) { w.flows.LearnChat(appID, "chat", flow.Chat{Workspace: here}) },
		},
		"the workspace has used it in a flow": {
			id: "chat",
			before: func(w *world) {
				w.record(w.sales, here, w.ours.ID)
				w.flows.LearnChat(appID, "chat", flow.Chat{Workspace: here, Flow: w.sales})
			},
			want: func(w *world) objects.Place { return place(here, w.ours.ID, true) },
		},
		"the workspace has used it in a flow, and the request names something else": {
			id:    "chat",
			named: true,
			before: func(w *world) {
				w.record(w.sales, here, w.ours.ID)
				w.flows.LearnChat(appID, "chat", flow.Chat{Workspace: here, Flow: w.sales})
			},
		},
		"the workspace has used it in a flow that is gone": {
			id: "chat",
			before: func(w *world) {
				w.flows.LearnChat(appID, "chat", flow.Chat{Workspace: here, Flow: nowhere})
			},
			fails: problem.NotFound,
		},
		"another workspace has used it": {
			id: "chat",
			before: func(w *world) {
				w.flows.LearnChat(appID, "chat", flow.Chat{Workspace: there, Flow: w.payroll})
			},
			fails: problem.NotFound,
		},
		"the builder has it in a flow of the workspace": {
			id:     "chat",
			before: func(w *world) { w.says(w.ours, langflowtest.Message{Flow: w.sales, Session: "chat"}) },
			want:   func(w *world) objects.Place { return place(here, w.ours.ID, true) },
			asked:  1,
		},
		"the builder has it in a flow of another workspace": {
			id: "chat",
			before: func(w *world) {
				w.record(w.payroll, there, w.theirs.ID)
				w.says(w.ours, langflowtest.Message{Flow: w.payroll, Session: "chat"})
			},
			fails: problem.NotFound,
			asked: 1,
		},
		"the builder has it in flows of two workspaces": {
			id: "chat",
			before: func(w *world) {
				w.record(w.payroll, there, w.theirs.ID)
				w.says(w.ours, langflowtest.Message{Flow: w.sales, Session: "chat"},
					langflowtest.Message{Flow: w.payroll, Session: "chat"})
			},
			fails: problem.NotFound,
			asked: 1,
		},
		"the builder has it in a flow that does not exist": {
			id:     "chat",
			before: func(w *world) { w.says(w.ours, langflowtest.Message{Flow: nowhere, Session: "chat"}) },
			fails:  problem.NotFound,
			asked:  1,
		},
		"the builder is down": {
			id:     "chat",
			before: func(w *world) { w.With(func() { w.Down = true }) },
			fails:  problem.Unavailable,
		},
		"the builder cannot be asked": {
			id:     "chat",
			before: func(w *world) { w.app = &app.App{ID: appID, Bridge: oneAccount(w.t, flowisetest.New())} },
		},
		"the builder is not connected": {
			id:     "chat",
			before: func(w *world) { w.app = &app.App{ID: appID} },
		},
	} {
		for _, who := range []*authz.Principal{ann, bob} {
			t.Run(name+", "+who.ID, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				if c.before != nil {
					c.before(w)
				}
				at := place(here, "", false)
				if c.named {
					at = place(here, w.ours.ID, true)
				}
				want := at
				if c.want != nil {
					want = c.want(w)
				}
				got, err := w.lookup(who).Chat(t.Context(), at, c.flow, c.id)
				fails(t, err, c.fails)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
				if n := w.CountAs("GET /api/v1/monitor/messages", "ours"); n != c.asked {
					t.Errorf("the builder was asked %d times, want %d", n, c.asked)
				}
			})
		}
	}
}

func TestChat_OneThatNobodyUsesMayBeUsedAtAnyTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := objects.Place{Workspace: here}
	got, err := w.lookup(ann).Chat(t.Context(), at, "", "chat")
	fails(t, err, none)
	if got != at {
		t.Errorf("a chat that nobody uses lies in %+v", got)
	}
	w.says(w.ours, langflowtest.Message{Flow: w.sales, Session: "chat"})
	for range 2 {
		got, err = w.lookup(ann).Chat(t.Context(), at, "", "chat")
		fails(t, err, none)
		if want := (objects.Place{Workspace: here, Account: w.ours.ID, Named: true}); got != want {
			t.Errorf("it lies in %+v, want %+v", got, want)
		}
	}
	if n := w.messagesAsked(); n != 2 {
		t.Errorf("the builder was asked %d times, want once for each news", n)
	}
}

func TestChat_ThatMayNotBeLookedIntoIsNotUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(w.ours, langflowtest.Message{Flow: w.sales, Session: "chat"})
	at := objects.Place{Workspace: here}
	for range 39 {
		_, err := w.lookup(ann).Owner(t.Context(), at, flow.Chatflow, uuid.NewString())
		fails(t, err, problem.NotFound)
	}
	// The fortieth question is for the chat; there is none left for its flow.
	for range 2 {
		_, err := w.lookup(ann).Chat(t.Context(), at, "", "chat")
		fails(t, err, problem.Limited)
	}
	if _, ok := w.flows.ChatOf(appID, "chat"); ok {
		t.Error("it is remembered as the workspace's")
	}
}

func TestStandsForFlow(t *testing.T) {
	for kind, want := range map[flow.Kind]bool{
		profile.Job:         true,
		profile.Message:     true,
		profile.ChatSession: true,
		profile.Execution:   false,
		profile.File:        false,
		flow.Chatflow:       false,
	} {
		if got := objects.StandsForFlow(kind); got != want {
			t.Errorf("%s: %v", kind, got)
		}
	}
}
