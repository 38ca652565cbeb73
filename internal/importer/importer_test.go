package importer_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/builder"
	langflowkind "sluice/internal/builder/langflow"
	"sluice/internal/builder/langflow/langflowtest"
	"sluice/internal/db"
	qapp "sluice/internal/db/q/app"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/importer"
	"sluice/internal/sluicetest"
)

// langflow is the kind that is imported from.
var langflow = langflowkind.Kind()

// keys open what a database has encrypted.
func keys(t testing.TB, d langflowtest.Database) builder.Unsealer {
	t.Helper()
	k, err := langflow.Import.Unsealer(d.SecretKey)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// quick reads a QuickFile of a database, for tests that are not about passwords.
func quick(t testing.TB, d langflowtest.Database, statements ...string) *builder.Installation {
	t.Helper()
	return read(t, d.QuickFile(t, statements...))
}

// world is a running Sluice that is imported into.
type world struct {
	*sluicetest.Sluice
	*importer.Importer
	t testing.TB
}

func start(t testing.TB, lines ...string) *world {
	t.Helper()
	s := sluicetest.Start(t, lines...)
	return &world{Sluice: s, t: t, Importer: importer.New(importer.Config{
		DB:     s.DB,
		Gate:   s.Gate,
		People: s.Core.People,
		Hasher: s.Core.Hasher,
		Keys:   s.Core.Keys,
		Vault:  s.Core.Vault,
		Flows:  s.Apps.Flows,
		Kind:   langflow,
		Now:    time.Now,
		Log:    s.Core.Log,
	})}
}

// everywhere runs a test with Sluice on SQLite and on PostgreSQL.
func everywhere(t *testing.T, test func(t *testing.T, lines ...string)) {
	t.Run("sqlite", func(t *testing.T) { test(t) })
	t.Run("postgres", func(t *testing.T) {
		u, err := url.Parse(dbtest.Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		test(
			t,
			"DATABASE_TYPE=postgres",
			"DATABASE_HOST="+u.Hostname(),
			"DATABASE_PORT="+u.Port(),
			"DATABASE_NAME="+u.Path[1:],
			"DATABASE_USER="+u.User.Username(),
			"SECRETKEY_PATH="+t.TempDir(),
		)
	})
}

// langflow connects a Langflow, as far as the database is concerned: nothing has to run there.
func (w *world) langflow() string {
	w.t.Helper()
	id := uuid.NewString()
	err := w.Sluice.DB.Gated(context.Background(), func(tx *db.Tx) error {
		if err := qapp.New(tx).InsertApp(context.Background(), qapp.InsertAppParams{
			ID:          id,
			WorkspaceID: identity.DefaultWorkspace,
			Slug:        "langflow",
			Name:        "Langflow",
			Kind:        "langflow",
			UpstreamUrl: "http://127.0.0.1:1",
			PublicUrl:   "http://flows.example.com",
			Mode:        "proxy",
		}); err != nil {
			return err
		}
		return qapp.New(tx).
			OfferApp(context.Background(), qapp.OfferAppParams{AppID: id, WorkspaceID: identity.DefaultWorkspace})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func read(t testing.TB, name string) *builder.Installation {
	t.Helper()
	in, err := langflow.Import.Read(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func (w *world) plan(in *builder.Installation, o importer.Options) *importer.Plan {
	w.t.Helper()
	if o.Workspaces == "" {
		o.Workspaces = importer.ByProject
	}
	p, err := w.Plan(context.Background(), in, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) bring(in *builder.Installation, o importer.Options) *importer.Plan {
	w.t.Helper()
	p := w.plan(in, o)
	if err := w.Apply(context.Background(), sluicetest.Operator(), p, func(int, int) {}); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// item finds what became of something.
func item(t testing.TB, p *importer.Plan, k importer.Kind, name string) importer.Item {
	t.Helper()
	for _, i := range p.Items {
		if i.Kind == k && i.Name == name {
			return i
		}
	}
	t.Fatalf("the report says nothing of the %s %q", k, name)
	return importer.Item{}
}

// signIn asks for tokens as a program does, and returns the status.
func (w *world) signIn(name, password string) int {
	w.t.Helper()
	body, err := json.Marshal(map[string]string{"username": name, "password": password})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.Browser().
		With("Accept", "application/json").
		Do(http.MethodPost, "/api/v1/auth/token", "application/json", strings.NewReader(string(body))).
		Status
}

// me is who a key's holder is, "" if it opens nothing.
func (w *world) me(header, value string) string {
	w.t.Helper()
	answer := w.Browser().With("Accept", "application/json").With(header, value).Get("/api/v1/me")
	var who struct{ Username string }
	if answer.Status == http.StatusOK && json.Unmarshal([]byte(answer.Body), &who) != nil {
		w.t.Fatalf("me: %s", answer.Body)
	}
	return who.Username
}

func TestImport_EndToEnd(t *testing.T) {
	for _, r := range langflowtest.Databases(t) {
		t.Run(r.Name, func(t *testing.T) {
			engines := everywhere
			if strings.HasSuffix(r.Name, "-short") != strings.HasPrefix(r.Name, "old") {
				// The differences between the databases do not depend on Sluice's own engine.
				engines = func(t *testing.T, test func(t *testing.T, lines ...string)) { test(t) }
			}
			engines(t, func(t *testing.T, lines ...string) {
				w, database := start(t, lines...), r.File(t)
				if r.Name != "new-short" {
					database = r.QuickFile(t)
				}
				options := importer.Options{Keys: keys(t, r), Rename: map[string]string{"Çelik Ö": "celik"}}
				app := w.langflow()
				p := w.bring(read(t, database), options)
				w.checkPeople(r)
				w.checkKeys(r, p)
				w.checkVault(r, p)
				w.checkFlows(r, p, app)
				if _, err := audit.Verify(context.Background(), w.Sluice.DB); err != nil {
					t.Error(err)
				}
				again := w.plan(read(t, database), options)
				if n := again.Changes(); n != 0 {
					t.Errorf("a second run would bring %d things: %+v", n, again.Items)
				}
			})
		})
	}
}

func (w *world) checkPeople(r langflowtest.Database) {
	w.t.Helper()
	for name, here := range map[string]string{"ann": "ann", "bob@example.com": "bob@example.com", "admin": "admin",
		"Çelik Ö": "celik"} {
		if got := w.signIn(here, r.Users[name]); got != http.StatusOK {
			w.t.Errorf("%s signs in with the former password: %d", here, got)
		}
		if name != "ann" && name != "Çelik Ö" {
			continue
		}
		// The first sign-in has replaced Langflow's hash by one of our own.
		if got := w.signIn(here, r.Users[name]); got != http.StatusOK {
			w.t.Errorf("%s signs in again: %d", here, got)
		}
		if got := w.signIn(here, r.Users[name]+"!"); got != http.StatusUnauthorized {
			w.t.Errorf("%s with another password: %d", here, got)
		}
	}
	for _, name := range []string{"carol", "dave"} {
		if got := w.signIn(name, r.Users[name]); got != http.StatusForbidden {
			w.t.Errorf("%s, who is switched off: %d", name, got)
		}
	}
	for name, want := range map[string]struct{ super, active, waiting bool }{"admin": {true, true, false},
		"ann": {false, true, false}, "carol": {false, false, true}, "dave": {false, false, false}} {
		u, err := w.Sluice.People.Find(context.Background(), sluicetest.Operator(), name)
		if err != nil || u.Superuser != want.super || u.Active != want.active || u.Waiting != want.waiting {
			w.t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
}

func (w *world) checkKeys(r langflowtest.Database, p *importer.Plan) {
	w.t.Helper()
	for name, owner := range map[string]string{"ci": "ann", "nightly": "ann", "bob's": "bob", "operator": "admin"} {
		key := r.Keys[name]
		if got := w.me("X-Api-Key", key); got != owner {
			w.t.Errorf("the key %s as x-api-key is %q's", name, got)
		}
		if got := w.me("Authorization", "Bearer "+key); got != owner {
			w.t.Errorf("the key %s as bearer is %q's", name, got)
		}
		if got := w.me("X-Api-Key", key[:len(key)-1]+"-"); got != "" {
			w.t.Errorf("a key that is nearly %s is %q's", name, got)
		}
		if i := item(w.t, p, importer.KindKey, name); i.Outcome != importer.Added || strings.Contains(i.Why, key) {
			w.t.Errorf("%+v", i)
		}
	}
}

func (w *world) checkVault(r langflowtest.Database, p *importer.Plan) {
	w.t.Helper()
	for _, i := range p.Items {
		if i.Kind != importer.KindCredential || i.Outcome != importer.Added {
			continue
		}
		want := r.Credentials["OPENAI_API_KEY"]
		if i.User == "bob@example.com" {
			want = r.Credentials["OPENAI_API_KEY "]
		}
		var workspace string
		for _, ws := range w.Sluice.People.WorkspacesOf(authz.Principal{Superuser: true}) {
			if ws.Name == i.Workspace {
				workspace = ws.ID
			}
		}
		opened, err := w.Opener.Open(context.Background(), sluicetest.Operator(), workspace, i.Target, "")
		if err != nil || opened.Values["value"] != want || opened.Kind != "Credential" ||
			opened.Name != "OPENAI_API_KEY" {
			w.t.Errorf("%s of %s: %v %v", i.Name, i.User, opened.Values, err)
		}
	}
	if n := p.Count(importer.KindCredential, importer.Added); n != 2 {
		w.t.Errorf("%d credentials", n)
	}
}

func (w *world) checkFlows(r langflowtest.Database, p *importer.Plan, app string) {
	w.t.Helper()
	names := map[string]string{}
	for _, ws := range w.Sluice.People.WorkspacesOf(authz.Principal{Superuser: true}) {
		names[ws.ID] = ws.Name
	}
	got := map[string]string{}
	for name, id := range r.Flows {
		workspace, _, _ := w.Apps.Flows.Owner(app, id)
		got[name] = names[workspace]
		if account := w.Apps.Flows.Of(app).Account(id); account == "" || account != ownerOf(p, id, w.t) {
			w.t.Errorf("%s lies in the account %q", name, account)
		}
	}
	// Of two projects of one name, the first one met has it; which that is depends on their ids.
	for _, name := range []string{"Campaign", "Typed", "Billing"} {
		got[name] = strings.TrimSuffix(strings.TrimSuffix(got[name], " (ann)"), " (bob)")
	}
	want := map[string]string{
		"Support":  "ann",
		"Campaign": "Marketing",
		"Typed":    "Marketing",
		"Billing":  "Marketing",
		"Çelik's":  "celik",
		"Watch":    "admin",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Error(diff)
	}
	a, _, _ := w.Apps.Flows.Owner(app, r.Flows["Campaign"])
	if b, _, _ := w.Apps.Flows.Owner(app, r.Flows["Billing"]); a == b {
		w.t.Error("two people's projects of one name share a workspace")
	}
}

// ownerOf is the Langflow user to whom a flow belongs.
func ownerOf(p *importer.Plan, flow string, t testing.TB) string {
	t.Helper()
	for _, i := range p.Items {
		if i.Kind == importer.KindFlow && i.Origin == flow {
			return item(t, p, importer.KindAccount, i.User).Origin
		}
	}
	return ""
}
