package importer_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authz"
	"sluice/internal/builder/langflow/langflowtest"
	"sluice/internal/db"
	qapp "sluice/internal/db/q/app"
	qauthn "sluice/internal/db/q/authn"
	qidentity "sluice/internal/db/q/identity"
	q "sluice/internal/db/q/importer"
	qsecret "sluice/internal/db/q/secret"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/importer"
	"sluice/internal/problem"
	"sluice/internal/sluicetest"
)

var identityAll = identity.Filter{}

// where are the workspaces of flows by their names.
func where(p *importer.Plan) map[string]string {
	out := map[string]string{}
	for _, i := range p.Items {
		if i.Kind == importer.KindFlow {
			out[i.Name] = i.Workspace
		}
	}
	return out
}

func TestPlan_ProjectsToWorkspaces(t *testing.T) {
	r := langflowtest.Databases(t)[0]
	in := quick(t, r)
	w := start(t)
	w.langflow()
	rename := map[string]string{"Çelik Ö": "celik"}
	for mode, want := range map[string]map[string]string{
		importer.ByUser: {"Support": "ann", "Campaign": "ann", "Typed": "ann", "Billing": "bob",
			"Çelik's": "celik", "Watch": "admin"},
		identity.DefaultWorkspace: {"Support": "Default workspace", "Campaign": "Default workspace",
			"Typed":   "Default workspace",
			"Billing": "Default workspace",
			"Çelik's": "Default workspace",
			"Watch":   "Default workspace"},
		"The builders": {"Support": "The builders", "Campaign": "The builders",
			"Typed": "The builders", "Billing": "The builders", "Çelik's": "The builders", "Watch": "The builders"},
		strings.ToUpper("default workspace"): {"Support": "Default workspace", "Campaign": "Default workspace",
			"Typed":   "Default workspace",
			"Billing": "Default workspace",
			"Çelik's": "Default workspace",
			"Watch":   "Default workspace"},
	} {
		p := w.plan(in, importer.Options{Keys: keys(t, r), Workspaces: mode, Rename: rename})
		if diff := cmp.Diff(want, where(p)); diff != "" {
			t.Errorf("%s: %s", mode, diff)
		}
	}
	for _, mode := range []string{"x", "0199aaaa-0000-7000-8000-000000000001", strings.Repeat("x", 61)} {
		if _, err := w.Plan(context.Background(), in, importer.Options{Keys: keys(t, r), Workspaces: mode}); problem.Of(
			err,
		).Field != "--workspaces" {
			t.Errorf("%q: %v", mode, err)
		}
	}
}

func TestPlan_OneWorkspaceNoAdmins(t *testing.T) {
	r := langflowtest.Databases(t)[0]
	w := start(t)
	app := w.langflow()
	w.bring(quick(t, r), importer.Options{Keys: keys(t, r), Workspaces: identity.DefaultWorkspace})
	for _, name := range []string{"ann", "bob", "carol", "admin"} {
		u, err := w.Sluice.People.Find(context.Background(), sluicetest.Operator(), name)
		if err != nil || u.Role != authz.RoleUser {
			t.Errorf("%s is %q of the workspace that was there before: %v", name, u.Role, err)
		}
	}
	// Two credentials of one name came together.
	var names []string
	rows, err := qsecret.New(w.Sluice.DB.Read()).CredentialsIn(context.Background(), identity.DefaultWorkspace)
	for _, c := range rows {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff(2, len(names)); err != nil || diff != "" || !strings.HasPrefix(names[0], "OPENAI_API_KEY") ||
		names[0] == names[1] {
		t.Errorf("%v %v", names, err)
	}
	accounts, err := q.New(w.Sluice.DB.Read()).ImportAccounts(context.Background(), app)
	for _, a := range accounts {
		if a.WorkspaceID != identity.DefaultWorkspace || !a.Adopted || a.PersonID != "" {
			t.Errorf("%+v", a)
		}
	}
	if err != nil || len(accounts) != 5 {
		t.Errorf("%d accounts, %v", len(accounts), err)
	}
}

func TestPlan_ExistingPeople(t *testing.T) {
	r := langflowtest.Databases(t)[0]
	w := start(t)
	app := w.langflow()
	ann := w.Add("Ann", authz.RoleViewer, false)
	in := quick(t, r)
	p := w.plan(in, importer.Options{Keys: keys(t, r)})
	if i := item(t, p, importer.KindPerson, "ann"); i.Outcome != importer.Skipped ||
		!strings.Contains(i.Why, "--match") {
		t.Errorf("%+v", i)
	}
	for _, k := range []importer.Kind{importer.KindKey, importer.KindFlow, importer.KindCredential} {
		for _, i := range p.Items {
			if i.Kind == k && i.User == "ann" && i.Outcome != importer.Skipped {
				t.Errorf("of somebody who is not brought: %+v", i)
			}
		}
	}
	p = w.plan(in, importer.Options{Keys: keys(t, r), Rename: map[string]string{"ann": "ann.l"}})
	if i := item(t, p, importer.KindPerson, "ann"); i.Outcome != importer.Added || i.Target == ann.ID ||
		!strings.Contains(i.Why, "ann.l") {
		t.Errorf("renamed: %+v", i)
	}
	p = w.bring(in, importer.Options{Keys: keys(t, r), Match: map[string]string{"ann": "ann@example.com"}})
	if i := item(t, p, importer.KindPerson, "ann"); i.Outcome != importer.Added || i.Target != ann.ID {
		t.Errorf("matched: %+v", i)
	}
	if got := w.signIn("ann", sluicetest.Password); got != 200 {
		t.Errorf("she keeps her password of here: %d", got)
	}
	if got := w.signIn("ann", r.Users["ann"]); got != 401 {
		t.Errorf("and gets no other: %d", got)
	}
	if got := w.me("X-Api-Key", r.Keys["ci"]); got != "Ann" {
		t.Errorf("her key of there is %q's", got)
	}
	me, _ := w.Sluice.People.Principal(ann.ID)
	if home, _, _ := w.Apps.Flows.Owner(app, r.Flows["Campaign"]); me.Role(home) != authz.RoleAdmin ||
		me.Role(identity.DefaultWorkspace) != authz.RoleViewer {
		t.Errorf("her roles: %+v", me.Memberships)
	}
	for flag, o := range map[string]importer.Options{
		"--rename": {Rename: map[string]string{"nobody": "x"}},
		"--match":  {Match: map[string]string{"ann": "nobody"}},
		"--app":    {App: "elsewhere"},
	} {
		o.Workspaces, o.Keys = importer.ByProject, keys(t, r)
		if _, err := w.Plan(context.Background(), in, o); problem.Of(err).Field != flag {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestPlan_RevokedStaysRevoked(t *testing.T) {
	r := langflowtest.Databases(t)[0]
	in := quick(t, r)
	w := start(t)
	ctx := context.Background()
	p := w.bring(in, importer.Options{Keys: keys(t, r)})
	key := item(t, p, importer.KindKey, "ci").Target
	err := w.Sluice.DB.Gated(ctx, func(tx *db.Tx) error {
		_, err := qauthn.New(tx).DeleteKey(ctx, key)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	carol := item(t, p, importer.KindPerson, "carol").Target
	if err := w.Sluice.DB.Gated(ctx,
		func(tx *db.Tx) error { _, err := qidentity.New(tx).DeleteAccount(ctx, carol); return err }); err != nil {
		t.Fatal(err)
	}
	again := w.plan(in, importer.Options{Keys: keys(t, r)})
	if i := item(t, again, importer.KindKey, "ci"); i.Outcome != importer.There {
		t.Errorf("a key that was removed: %+v", i)
	}
	if i := item(t, again, importer.KindPerson, "carol"); i.Outcome != importer.Skipped ||
		!strings.Contains(i.Why, "deleted here") {
		t.Errorf("somebody who was deleted: %+v", i)
	}
	if n := again.Changes(); n != 0 {
		t.Errorf("%d changes: %+v", n, again.Items)
	}
}

func TestPlan_FlowsAfterConnection(t *testing.T) {
	r := langflowtest.Databases(t)[3]
	in := quick(t, r)
	w := start(t)
	ctx := context.Background()
	first := w.bring(in, importer.Options{Keys: keys(t, r)})
	if n := first.Count(importer.KindFlow, importer.Skipped); n != 6 || len(first.Notes) == 0 ||
		!strings.Contains(first.Notes[0], "No Langflow is connected") {
		t.Errorf("%d flows, %v", n, first.Notes)
	}
	app := w.langflow()
	// Objects adopted at the first connection have no owner and move; objects with an owner do not.
	err := w.Sluice.DB.Gated(ctx, func(tx *db.Tx) error {
		for id, owner := range map[string]string{r.Flows["Support"]: "", r.Flows["Campaign"]: "somebody"} {
			if _, err := w.Apps.Flows.Place(ctx, tx,
				flow.Object{App: app, ID: id, Kind: flow.Chatflow, Workspace: identity.DefaultWorkspace,
					Owner: owner}, ""); err != nil {
				return err
			}
		}
		user := item(t, first, importer.KindPerson, "ann").Origin
		_, err := qapp.New(tx).
			ImportAccount(ctx, qapp.ImportAccountParams{AppID: app, UpstreamID: user,
				WorkspaceID: identity.DefaultWorkspace, Username: "ann"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	second := w.bring(in, importer.Options{Keys: keys(t, r)})
	for name, want := range map[string]importer.Outcome{"Support": importer.Moved, "Campaign": importer.There,
		"Typed": importer.Added, "Billing": importer.Added, "Çelik's": importer.Skipped} {
		if i := item(t, second, importer.KindFlow, name); i.Outcome != want {
			t.Errorf("%+v, want %s", i, want)
		}
	}
	if i := item(t, second, importer.KindAccount, "ann"); i.Outcome != importer.Moved || i.Workspace != "ann" {
		t.Errorf("%+v", i)
	}
	if ws, _, _ := w.Apps.Flows.Owner(app, r.Flows["Campaign"]); ws != identity.DefaultWorkspace {
		t.Errorf("a flow of somebody's was taken to %s", ws)
	}
	if n := w.plan(in, importer.Options{Keys: keys(t, r)}).Changes(); n != 0 {
		t.Errorf("a third run would bring %d things", n)
	}
	offered, err := q.New(w.Sluice.DB.Read()).WorkspacesOfApp(ctx, app)
	if err != nil || len(offered) < 6 {
		t.Errorf("the app is used in %v, %v", offered, err)
	}
}

func TestPlan_AccountPerPerson(t *testing.T) {
	r := langflowtest.Databases(t)[3]
	w := start(t)
	app := w.langflow()
	ctx := context.Background()
	if err := w.Sluice.DB.Gated(ctx, func(tx *db.Tx) error {
		return qapp.New(tx).SetAppBridge(ctx, qapp.SetAppBridgeParams{ID: app, BridgeMode: "", PerPerson: true})
	}); err != nil {
		t.Fatal(err)
	}
	p := w.bring(quick(t, r), importer.Options{Keys: keys(t, r)})
	accounts, err := q.New(w.Sluice.DB.Read()).ImportAccounts(ctx, app)
	for _, a := range accounts {
		if want := item(t, p, importer.KindPerson, a.Username).Target; a.PersonID != want {
			t.Errorf("the account of %s is %q's, want %q", a.Username, a.PersonID, want)
		}
	}
	if err != nil || len(accounts) != 5 {
		t.Errorf("%d accounts, %v", len(accounts), err)
	}
}

func TestPlan_WrongSecretKey(t *testing.T) {
	w := start(t)
	for _, r := range langflowtest.Databases(t) {
		in := quick(t, r)
		other, err := langflow.Import.Unsealer("anotherkey")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Plan(context.Background(), in,
			importer.Options{Keys: other, Workspaces: importer.ByProject}); !problem.Is(
			err,
			problem.Invalid,
		) ||
			!strings.Contains(problem.Of(err).Detail, "opens none of the") {
			t.Errorf("%s: %v", r.Name, err)
		}
		if _, err := w.Plan(context.Background(), in, importer.Options{Workspaces: importer.ByProject}); !problem.Is(
			err,
			problem.Invalid,
		) ||
			problem.Of(err).Field != "--secret-key-file" {
			t.Errorf("%s without a key: %v", r.Name, err)
		}
	}
	w.nothingImported()
}

func TestPlan_UnreadableValues(t *testing.T) {
	r := langflowtest.Databases(t)[2]
	in := quick(t, r,
		`UPDATE variable SET value = 'gAAAAABnot-of-this-key' WHERE name = 'OPENAI_API_KEY'`,
		`UPDATE apikey SET api_key = 'gAAAAABnot-of-this-key' WHERE name = 'ci'`,
		`UPDATE apikey SET api_key = 'a key of another form altogether' WHERE name = 'nightly'`,
		`UPDATE apikey SET is_active = 0 WHERE name = 'operator'`,
		`UPDATE user SET password = 'scrypt$1$2' WHERE username = 'bob@example.com'`,
	)
	w := start(t)
	p := w.bring(in, importer.Options{Keys: keys(t, r)})
	for name, want := range map[string]string{"ci": "another secret key", "nightly": "does not look like",
		"operator": "switched off"} {
		if i := item(t, p, importer.KindKey, name); i.Outcome != importer.Skipped || !strings.Contains(i.Why, want) {
			t.Errorf("%+v", i)
		}
	}
	if i := item(t, p, importer.KindPerson, "bob@example.com"); i.Outcome != importer.Added ||
		!strings.Contains(i.Why, "reset-link") {
		t.Errorf("%+v", i)
	}
	if n := p.Count(importer.KindCredential, importer.Skipped); n != 1 {
		t.Errorf("%d credentials left out", n)
	}
	if got := w.me("X-Api-Key", r.Keys["bob's"]); got != "bob" {
		t.Errorf("the rest goes on: %q", got)
	}
}

func TestPlan_DefaultPassword(t *testing.T) {
	r := langflowtest.Databases(t)[3]
	for _, guess := range []string{"langflow", "admin", "something of their own"} {
		hash, err := bcrypt.GenerateFromPassword([]byte(guess), 4)
		if err != nil {
			t.Fatal(err)
		}
		w := start(t)
		p := w.bring(
			quick(t, r, `UPDATE user SET password = '`+string(hash)+`' WHERE username = 'admin'`),
			importer.Options{Keys: keys(t, r)},
		)
		i, want := item(t, p, importer.KindPerson, "admin"), 401
		if guess == "something of their own" {
			want = 200
		}
		if got := w.signIn("admin", guess); got != want ||
			strings.Contains(i.Why, "anyone can guess") != (want == 401) {
			t.Errorf("%s: %d, %+v", guess, got, i)
		}
	}
}

func TestPlan_Overtaken(t *testing.T) {
	r := langflowtest.Databases(t)[0]
	everywhere(t, func(t *testing.T, lines ...string) {
		w := start(t, lines...)
		in := quick(t, r)
		ctx := context.Background()
		one, two := w.plan(in, importer.Options{Keys: keys(t, r)}), w.plan(in, importer.Options{Keys: keys(t, r)})
		w.Add("dave", authz.RoleViewer, false)
		if err := w.Apply(ctx, sluicetest.Operator(), one, func(int, int) {}); !problem.Is(err, problem.Conflict) ||
			one.Applied {
			t.Errorf("a name was taken meanwhile: %v", err)
		}
		_, n, err := w.Sluice.People.List(ctx, sluicetest.Operator(), identityAll)
		if err != nil || n != 1 {
			t.Errorf("%d people, %v", n, err)
		}
		one = w.plan(in, importer.Options{Keys: keys(t, r), Rename: map[string]string{"dave": "dave2"}})
		if err := w.Apply(ctx, sluicetest.Operator(), one, func(int, int) {}); err != nil {
			t.Fatal(err)
		}
		if err := w.Apply(ctx, sluicetest.Operator(), two, func(int, int) {}); !problem.Is(err, problem.Conflict) {
			t.Errorf("the same things twice: %v", err)
		}
		if err := w.Apply(ctx, authz.Principal{Kind: authz.Person, ID: "x"},
			w.plan(in, importer.Options{Keys: keys(t, r)}), func(int, int) {}); !problem.Is(
			err,
			problem.Denied,
		) {
			t.Errorf("by somebody: %v", err)
		}
	})
}

func TestPlan_HostileNames(t *testing.T) {
	r := langflowtest.Databases(t)[3]
	in := quick(
		t,
		r,
		`UPDATE folder SET name = char(27) || '[31mred' || char(10) || 'line' WHERE name = 'Marketing'`,
		`UPDATE flow SET name = CAST(x'ff00fe41' AS TEXT) WHERE name = 'Campaign'`,
		`UPDATE user SET username = 'x' || char(27) || '[2J' WHERE username = 'carol'`,
		`UPDATE folder SET parent_id = id WHERE name = 'Starter Project'`,
		`UPDATE flow SET data = '{"nodes":[' WHERE name = 'Typed'`,
		`UPDATE user SET is_superuser = 'yes, please' WHERE username = 'dave'`,
		`UPDATE apikey SET created_at = 'the day before yesterday' WHERE name = 'nightly'`,
		`UPDATE variable SET name = printf('%.*c', 5000, 'v') WHERE name = 'OPENAI_API_KEY'`,
		`INSERT INTO user (id, username, password, is_active, is_superuser, create_at, updated_at) VALUES ('not a uuid', 'eve', 'x', 1, 1, '', '')`,
	)
	w := start(t)
	w.langflow()
	p := w.bring(in, importer.Options{Keys: keys(t, r)})
	for _, i := range p.Items {
		for _, text := range []string{i.Name, i.User, i.Workspace, i.Why} {
			if strings.ContainsAny(text, "\x1b\n\x00") || len(text) > 1000 {
				t.Errorf("%q", text)
			}
		}
	}
	if i := item(t, p, importer.KindPerson, "dave"); i.Outcome != importer.Added {
		t.Errorf("%+v", i)
	}
	if u, err := w.Sluice.People.Find(context.Background(), sluicetest.Operator(), "dave"); err != nil || u.Superuser {
		t.Errorf("what is no boolean made a superuser: %+v %v", u, err)
	}
	if got := w.me("X-Api-Key", r.Keys["nightly"]); got != "ann" {
		t.Errorf("a key whose birth cannot be read: %q", got)
	}
	if !strings.Contains(strings.Join(p.Notes, " "), "1 rows of the table user") {
		t.Errorf("%v", p.Notes)
	}
}
