package objects_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/builder/flowise"
	"sluice/internal/builder/flowise/flowisetest"
	"sluice/internal/builder/langflow"
	"sluice/internal/builder/langflow/langflowtest"
	"sluice/internal/db"
	qapp "sluice/internal/db/q/app"
	qidentity "sluice/internal/db/q/identity"
	"sluice/internal/dbtest"
	"sluice/internal/flow"
	"sluice/internal/objects"
	"sluice/internal/problem"
)

const (
	appID       = "app-1"
	here, there = "here", "there"
	// nowhere is the id of no object.
	nowhere = "99999999-9999-4999-8999-999999999999"
)

// Ann works here, Bob here and there.
var (
	ann = member("ann", here)
	bob = member("bob", here, there)
)

func member(id string, workspaces ...string) *authz.Principal {
	p := &authz.Principal{Kind: authz.Person, ID: id, Name: id, Workspace: workspaces[0]}
	for _, w := range workspaces {
		p.Memberships = append(p.Memberships, authz.Membership{Workspace: w, Role: authz.RoleAdmin})
	}
	return p
}

// world is an app in front of a builder with accounts, and what Sluice remembers of it. Nothing is
// recorded at first.
type world struct {
	*langflowtest.Server
	t      testing.TB
	flows  *flow.Library
	app    *app.App
	finder objects.Finder
	now    time.Time
	// ours is the account of the first workspace, with the flow sales; theirs of the second, with
	// the flow payroll; bobs is only Bob's, with the flow diary.
	ours, theirs, bobs    *langflowtest.User
	sales, payroll, diary string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		Server: langflowtest.Start(t),
		t:      t,
		flows:  newLibrary(t),
		now:    time.Now(),
	}
	w.With(func() {
		w.ours, w.theirs = w.Add("ours", "", "sales"), w.Add("theirs", "", "payroll")
		w.bobs = w.Add("bobs", "", "diary")
	})
	w.sales, w.payroll = langflowtest.FlowID(w.ours, "sales"), langflowtest.FlowID(w.theirs, "payroll")
	w.diary = langflowtest.FlowID(w.bobs, "diary")
	w.app = &app.App{ID: appID, Bridge: connect(t, langflow.Kind(), builder.BridgeConfig{
		Base:   w.Base(),
		Access: builder.Access{SecretKey: langflowtest.Secret},
		AccountConfig: builder.AccountConfig{
			Mode:      langflow.Signed,
			Workspace: here,
			Accounts: []builder.Account{
				account(w.ours, here, ""),
				account(w.theirs, there, ""),
				account(w.bobs, here, bob.ID),
			},
		},
	})}
	return w
}

func account(u *langflowtest.User, workspace, person string) builder.Account {
	return builder.Account{ID: u.ID, Username: u.Username, Workspace: workspace, Person: person}
}

func connect(t testing.TB, kind *builder.Kind, c builder.BridgeConfig) *builder.Bridge {
	t.Helper()
	c.Client, c.Now, c.Log = &http.Client{Timeout: 30 * time.Second}, time.Now, slog.New(slog.DiscardHandler)
	b := kind.Bridge(c)
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	return b
}

// oneAccount is the bridge to a builder with one account for everyone.
func oneAccount(t testing.TB, f *flowisetest.Server) *builder.Bridge {
	t.Helper()
	base, err := url.Parse(f.Listen(t))
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, flowise.Kind(), builder.BridgeConfig{
		Base:   base,
		Access: builder.Access{Email: flowisetest.Email, Password: flowisetest.Password},
	})
}

// newLibrary is the map of an installation with one app and two workspaces.
func newLibrary(t testing.TB) *flow.Library {
	t.Helper()
	ctx, log, d := context.Background(), slog.New(slog.DiscardHandler), dbtest.SQLite(t)
	gate, err := authz.NewGate(authz.Config{DB: d, Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gate.Close(ctx) })
	err = d.Gated(ctx, func(tx *db.Tx) error {
		var errs []error
		for _, id := range []string{here, there} {
			errs = append(errs, qidentity.New(tx).InsertWorkspaceIfAbsent(ctx,
				qidentity.InsertWorkspaceIfAbsentParams{ID: id, Name: id, CreatedAt: 1}))
		}
		return errors.Join(append(errs, qapp.New(tx).InsertApp(ctx, qapp.InsertAppParams{
			ID:          appID,
			WorkspaceID: here,
			Slug:        "x",
			Name:        "X",
			Kind:        "x",
			UpstreamUrl: "http://127.0.0.1:1",
			CreatedAt:   1,
		}))...)
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := flow.New(ctx, flow.Config{DB: d, Gate: gate, Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// lookup looks up objects for a person.
func (w *world) lookup(who *authz.Principal) objects.Lookup {
	return objects.Lookup{
		App:    w.app,
		Owners: w.flows.Of(appID),
		Flows:  w.flows,
		Finder: &w.finder,
		Who:    who,
		Now:    func() time.Time { return w.now },
	}
}

// record gives a flow to a workspace; account is the builder's that holds it.
func (w *world) record(id, workspace, account string) {
	w.t.Helper()
	record(w.t, w.flows, flow.Object{ID: id, Workspace: workspace, Account: account})
}

func record(t testing.TB, l *flow.Library, list ...flow.Object) {
	t.Helper()
	for i := range list {
		list[i].App = appID
		if list[i].Kind == "" {
			list[i].Kind = flow.Chatflow
		}
	}
	if err := l.Claim(t.Context(), list...); err != nil {
		t.Fatal(err)
	}
}

// flowsAsked counts the requests for flows to the builder.
func (w *world) flowsAsked() int { return w.CountAll("GET /api/v1/flows/") }

// messagesAsked counts the requests for messages to the builder.
func (w *world) messagesAsked() int { return w.Count("GET /api/v1/monitor/messages") }

// says lets an account hold messages.
func (w *world) says(u *langflowtest.User, messages ...langflowtest.Message) {
	w.With(func() { u.Messages = append(u.Messages, messages...) })
}

// fails checks the kind of an error; none wants no error.
func fails(t testing.TB, err error, want problem.Kind) {
	t.Helper()
	switch {
	case want == none && err != nil:
		t.Errorf("it fails: %v", err)
	case want != none && !problem.Is(err, want):
		t.Errorf("the error is %v, want %s", err, want)
	}
}

// none stands for no error in tables: nothing that is looked up may fail with problem.Internal.
const none problem.Kind = 0
