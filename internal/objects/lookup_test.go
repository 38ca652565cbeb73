package objects_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
)

func TestOwner_IsAWorkspaceAndAnAccountThatThePersonMayEnter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		who *authz.Principal
		// in is the workspace of the request; here if it is empty.
		in string
		// object returns the requested object, and records it first if the case wants that.
		object func(w *world) string
		want   func(w *world) objects.Place
		fails  problem.Kind
		// asked is how often the builder is asked.
		asked int
	}{
		"the workspace's": {
			object: func(w *world) string { w.record(w.sales, here, w.ours.ID); return w.sales },
			want:   func(w *world) objects.Place { return objects.Place{Workspace: here, Account: w.ours.ID} },
		},
		"another workspace's": {
			object: func(w *world) string { w.record(w.payroll, there, w.theirs.ID); return w.payroll },
			fails:  problem.NotFound,
		},
		"another workspace's, for a member of both": {
			who:    bob,
			object: func(w *world) string { w.record(w.payroll, there, w.theirs.ID); return w.payroll },
			want:   func(w *world) objects.Place { return objects.Place{Workspace: there, Account: w.theirs.ID} },
		},
		"the workspace's, in an account that is not known yet": {
			object: func(w *world) string { w.record(w.sales, here, ""); return w.sales },
			want:   func(w *world) objects.Place { return objects.Place{Workspace: here, Account: w.ours.ID} },
			asked:  1,
		},
		"the workspace's, and in none of its accounts": {
			object: func(w *world) string { w.record(nowhere, here, ""); return nowhere },
			fails:  problem.NotFound,
			asked:  1,
		},
		"the workspace's, in the account of another one": {
			who:    bob,
			object: func(w *world) string { w.record(w.payroll, here, w.theirs.ID); return w.payroll },
			want:   func(w *world) objects.Place { return objects.Place{Workspace: here, Account: w.theirs.ID} },
		},
		"the workspace's, in an account that is gone": {
			object: func(w *world) string { w.record(w.sales, here, "gone"); return w.sales },
			fails:  problem.NotFound,
		},
		"the workspace's, in somebody else's own account": {
			object: func(w *world) string { w.record(w.diary, here, w.bobs.ID); return w.diary },
			fails:  problem.NotFound,
		},
		"the workspace's, in the person's own account": {
			who:    bob,
			object: func(w *world) string { w.record(w.diary, here, w.bobs.ID); return w.diary },
			want:   func(w *world) objects.Place { return objects.Place{Workspace: here, Account: w.bobs.ID} },
		},
		"nobody's, in the workspace's account": {
			object: func(w *world) string { return w.sales },
			want:   func(w *world) objects.Place { return objects.Place{Workspace: here, Account: w.ours.ID} },
			asked:  1,
		},
		"nobody's, in the account of another workspace": {
			who:    bob,
			object: func(w *world) string { return w.payroll },
			fails:  problem.NotFound,
			asked:  2, // in the workspace's account, and in Bob's
		},
		"nobody's, while nothing says which workspace": {
			in:     "none",
			object: func(w *world) string { return w.sales },
			fails:  problem.NotFound,
		},
		"no id that the builder gives out": {
			object: func(w *world) string { return strings.ReplaceAll(w.sales, "-", "") },
			fails:  problem.NotFound,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, who, at := c.object(w), ann, objects.Place{Workspace: here}
			if c.who != nil {
				who = c.who
			}
			if c.in == "none" {
				at.Workspace = ""
			}
			var want objects.Place
			if c.want != nil {
				want = c.want(w)
				want.Kind = flow.Chatflow
			}
			got, err := w.lookup(who).Owner(t.Context(), at, flow.Chatflow, id)
			fails(t, err, c.fails)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if n := w.flowsAsked(); n != c.asked {
				t.Errorf("the builder was asked %d times, want %d", n, c.asked)
			}
		})
	}
}

func TestOwner_WithoutAccountsIsWhatWasRecorded(t *testing.T) {
	t.Parallel()
	for name, bridge := range map[string]func(t testing.TB) *builder.Bridge{
		"a builder with one account": func(t testing.TB) *builder.Bridge {
			return oneAccount(t, flowisetest.New())
		},
		"a builder that is not connected yet": func(testing.TB) *builder.Bridge { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.app = &app.App{ID: appID, Bridge: bridge(t)}
			w.record(w.payroll, there, "")
			got, err := w.lookup(ann).Owner(t.Context(), objects.Place{Workspace: here}, flow.Chatflow, w.payroll)
			fails(t, err, none)
			if diff := cmp.Diff(objects.Place{Workspace: there, Kind: flow.Chatflow}, got); diff != "" {
				t.Error(diff)
			}
			_, err = w.lookup(ann).Owner(t.Context(), objects.Place{Workspace: here}, flow.Chatflow, w.sales)
			fails(t, err, problem.NotFound)
		})
	}
}

func TestOwner_RemembersWhatTheBuilderSaid(t *testing.T) {
	t.Parallel()
	for name, recorded := range map[string]bool{"an object of nobody": false, "an object in an unknown account": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if recorded {
				w.record(w.sales, here, "")
			}
			for range 2 {
				_, err := w.lookup(ann).Owner(t.Context(), objects.Place{Workspace: here}, flow.Chatflow, w.sales)
				fails(t, err, none)
			}
			if n := w.flowsAsked(); n != 1 {
				t.Errorf("the builder was asked %d times", n)
			}
			owners := w.flows.Of(appID)
			workspace, kind, ok := owners.Owner(w.sales)
			if !ok || workspace != here || kind != flow.Chatflow || owners.Account(w.sales) != w.ours.ID {
				t.Errorf("recorded is %v: %s of %s in %s", ok, kind, workspace, owners.Account(w.sales))
			}
		})
	}
}

func TestOwner_KeepsTheKindThatWasAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var id string
	w.With(func() { id = w.ours.Put(langflowtest.Variables, &langflowtest.Thing{Name: "token"}).ID })
	got, err := w.lookup(ann).Owner(t.Context(), objects.Place{Workspace: here}, flow.Variable, id)
	fails(t, err, none)
	want := objects.Place{Workspace: here, Kind: flow.Variable, Account: w.ours.ID}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOwner_BuilderThatIsDownSaysNothingAboutAnId(t *testing.T) {
	t.Parallel()
	for name, recorded := range map[string]bool{"an object of nobody": false, "an object in an unknown account": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if recorded {
				w.record(w.sales, here, "")
			}
			// The account's session exists before the builder stops.
			_, err := w.lookup(ann).Owner(t.Context(), objects.Place{Workspace: here}, flow.Chatflow, nowhere)
			fails(t, err, problem.NotFound)
			w.With(func() { w.Down = true })
			_, err = w.lookup(ann).Owner(t.Context(), objects.Place{Workspace: here}, flow.Chatflow, w.sales)
			fails(t, err, problem.Unavailable)
			w.With(func() { w.Down = false })
			_, err = w.lookup(ann).Owner(t.Context(), objects.Place{Workspace: here}, flow.Chatflow, w.sales)
			fails(t, err, none)
		})
	}
}

func TestOwner_UnknownIdIsNotAskedForAgainAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		after time.Duration
		who   *authz.Principal
		asked int
	}{
		{after: 0, who: ann, asked: 1},
		{after: 0, who: ann, asked: 1},
		{after: 5*time.Second - 1, who: ann, asked: 1},
		{after: 0, who: bob, asked: 3}, // in two accounts: the id that Ann got is hers
		{after: 1, who: ann, asked: 4},
	} {
		w.now = w.now.Add(c.after)
		_, err := w.lookup(c.who).Owner(t.Context(), objects.Place{Workspace: here}, flow.Chatflow, nowhere)
		fails(t, err, problem.NotFound)
		if n := w.flowsAsked(); n != c.asked {
			t.Errorf("%s, %s later: the builder was asked %d times, want %d", c.who.ID, c.after, n, c.asked)
		}
	}
}

func TestOwner_FloodOfUnknownIdsDoesNotReachTheBuilder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	look := func(in string) error {
		_, err := w.lookup(bob).Owner(t.Context(), objects.Place{Workspace: in}, flow.Chatflow, uuid.NewString())
		return err
	}
	for range 40 {
		fails(t, look(there), problem.NotFound)
	}
	for _, c := range []struct {
		in    string
		after time.Duration
		fails problem.Kind
	}{
		{in: there, fails: problem.Limited},
		{in: here, fails: problem.NotFound}, // each workspace has its own bound
		{in: there, after: 10*time.Second - 1, fails: problem.Limited},
		{in: there, after: 1, fails: problem.NotFound},
	} {
		before := w.flowsAsked()
		w.now = w.now.Add(c.after)
		fails(t, look(c.in), c.fails)
		if asked := w.flowsAsked() > before; asked == (c.fails == problem.Limited) {
			t.Errorf("in %s, %s later: the builder was asked: %v", c.in, c.after, asked)
		}
	}
}

func TestOwner_EverythingIsAskedForAgainAfterFindAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	look := func(id string) error {
		_, err := w.lookup(ann).Owner(t.Context(), objects.Place{Workspace: here}, flow.Chatflow, id)
		return err
	}
	for range 40 {
		fails(t, look(uuid.NewString()), problem.NotFound)
	}
	w.now = w.now.Add(objects.FindAgain)
	for range 40 {
		fails(t, look(uuid.NewString()), problem.NotFound)
	}
}

func TestJoin_EverythingLiesInOneWorkspaceAndOneAccount(t *testing.T) {
	t.Parallel()
	at := func(workspace, account string, named bool) objects.Place {
		return objects.Place{Workspace: workspace, Account: account, Named: named}
	}
	for name, c := range map[string]struct {
		at, found objects.Place
		want      objects.Place
		fails     problem.Kind
	}{
		"the first object says where": {
			at: at(here, "", false), found: at(here, "a", false), want: at(here, "a", true),
		},
		"the first object may lie in another workspace of the person's": {
			at: at(here, "", false), found: at(there, "b", false), want: at(there, "b", true),
		},
		"a second one in the same place": {
			at: at(here, "a", true), found: at(here, "a", false), want: at(here, "a", true),
		},
		"a second one in another account": {
			at: at(here, "a", true), found: at(here, "b", false), fails: problem.NotFound,
		},
		"a second one in another workspace": {
			at: at(here, "a", true), found: at(there, "a", false), fails: problem.NotFound,
		},
		"the first object of others": {
			at: at(here, "", false), found: at("elsewhere", "c", false), fails: problem.NotFound,
		},
	} {
		got, err := objects.Lookup{Who: bob}.Join(c.at, c.found)
		fails(t, err, c.fails)
		if c.fails != none {
			c.want = c.at
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestReached_AreTheAccountsThatHoldSomethingOfTheWorkspace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(w.sales, here, w.ours.ID)
	w.record(w.payroll, here, w.theirs.ID) // it was moved here
	w.record(w.diary, here, w.bobs.ID)
	w.record(nowhere, here, "gone")
	for _, c := range []struct {
		who  *authz.Principal
		in   string
		want []string
	}{
		{ann, here, []string{w.ours.ID, w.theirs.ID}},
		{bob, here, []string{w.ours.ID, w.bobs.ID, w.theirs.ID}},
		{bob, there, []string{w.theirs.ID}},
	} {
		l := w.lookup(c.who)
		got := l.Reached(l.Accounts(), c.in, builder.OnBehalf{Principal: *c.who, Workspace: c.in})
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s in %s: %s", c.who.ID, c.in, diff)
		}
	}
}

func TestFlowNamed_IsAnIdOrAnEndpointNameOfTheWorkspace(t *testing.T) {
	t.Parallel()
	stranger := &authz.Principal{Kind: authz.Anonymous}
	for name, c := range map[string]struct {
		who   *authz.Principal
		in    string
		text  func(w *world) string
		want  func(w *world) string
		fails problem.Kind
		asked bool
	}{
		"an id": {
			who: stranger, in: here,
			text: func(w *world) string { return w.payroll },
			want: func(w *world) string { return w.payroll },
		},
		"an id in another spelling": {
			who: stranger, in: here,
			text: func(w *world) string { return "{" + strings.ToUpper(strings.ReplaceAll(w.sales, "-", "")) + "}" },
			want: func(w *world) string { return w.sales },
		},
		"a name": {
			who: ann, in: here, asked: true,
			text: func(*world) string { return "sales" },
			want: func(w *world) string { return w.sales },
		},
		"a name of another workspace": {
			who: bob, in: here, asked: true,
			text:  func(*world) string { return "payroll" },
			fails: problem.NotFound,
		},
		"a name in an account that holds something of the workspace": {
			who: ann, in: here, asked: true,
			text: func(w *world) string { w.record(w.payroll, here, w.theirs.ID); return "payroll" },
			want: func(w *world) string { return w.payroll },
		},
		"a name, from a stranger": {
			who: stranger, in: here,
			text:  func(*world) string { return "sales" },
			fails: problem.NotFound,
		},
		"a name, in no workspace": {
			who: ann, in: "",
			text:  func(*world) string { return "sales" },
			fails: problem.NotFound,
		},
		"a text that is longer than any name": {
			who: ann, in: here,
			text:  func(*world) string { return strings.Repeat("n", 256) },
			fails: problem.NotFound,
		},
		"a name, while the builder is down": {
			who: ann, in: here,
			text: func(w *world) string {
				w.With(func() { w.Down = true })
				return "sales"
			},
			fails: problem.Unavailable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.With(func() {
				w.ours.Get(langflowtest.Flows, w.sales).Endpoint = "sales"
				w.theirs.Get(langflowtest.Flows, w.payroll).Endpoint = "payroll"
			})
			text, want := c.text(w), ""
			if c.want != nil {
				want = c.want(w)
			}
			got, err := w.lookup(c.who).FlowNamed(t.Context(), c.in, text)
			fails(t, err, c.fails)
			if got != want {
				t.Errorf("%q stands for %q, want %q", text, got, want)
			}
			if asked := w.flowsAsked() > 0; asked != c.asked {
				t.Errorf("the builder was asked: %v", asked)
			}
		})
	}
}

func TestFlowNamed_WithoutAccountsThereAreIdsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.app = &app.App{ID: appID, Bridge: oneAccount(t, flowisetest.New())}
	_, err := w.lookup(ann).FlowNamed(t.Context(), here, "sales")
	fails(t, err, problem.NotFound)
	got, err := w.lookup(ann).FlowNamed(t.Context(), here, w.sales)
	fails(t, err, none)
	if got != w.sales {
		t.Errorf("the id stands for %q", got)
	}
}

func TestFlowNamed_LooksInTenOtherWorkspacesAtMost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	accounts := []builder.Account{account(w.ours, here, "")}
	for i := range 15 {
		name := fmt.Sprintf("other%d", i)
		w.With(func() {
			u := w.Add(name, "", "moved")
			accounts = append(accounts, account(u, name, ""))
		})
		other := accounts[len(accounts)-1]
		w.record(langflowtest.FlowID(&langflowtest.User{ID: other.ID}, "moved"), here, other.ID)
	}
	w.app.Bridge.Accounts.Set(accounts)
	_, err := w.lookup(ann).FlowNamed(t.Context(), here, "unknown")
	fails(t, err, problem.NotFound)
	if n := w.flowsAsked(); n != 1+10 {
		t.Errorf("%d accounts were asked", n)
	}
}
