//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// settlers is a Langflow that a team has worked with, and the Sluice that comes before it.
type settlers struct {
	l       *Langflow
	s       *Sluice
	app     string // Langflow's address at Sluice
	anna    settler
	bert    settler
	project string // Anna's flow in her project "Marketing"
}

// settler is a user of Langflow's own with a key and a flow in the default project.
type settler struct {
	Account
	key, flow string
}

// annasSecret is the value of a credential that Anna keeps in Langflow.
const annasSecret = "a value that nobody else reads"

// TestLangflowImport brings what people had in a Langflow of each release to Sluice, with the
// program as a user would run it.
func TestLangflowImport(t *testing.T) {
	for _, release := range releases() {
		t.Run(release, func(t *testing.T) {
			longSuite(t, 15*time.Minute)
			l := StartLangflow(t, release)
			w := &settlers{l: l}
			w.work(t)
			w.s = StartSluiceWith(t, langflowVariables, "--protect", l.URL)
			w.app = w.s.AppURL(t)
			for _, step := range []struct {
				name string
				run  func(*testing.T)
			}{
				{"a foreign or broken database leaves nothing", w.broken},
				{"a dry run tells and changes nothing", w.dryRun},
				{"the import, while Sluice runs", w.bring},
				{"people sign in with their old passwords", w.signIn},
				{"their clients go on with their old keys", w.oldKeys},
				{"projects stand as workspaces and credentials in their vaults", w.places},
				{"a second run brings nothing twice", w.again},
			} {
				if !t.Run(step.name, step.run) {
					t.FailNow()
				}
			}
		})
	}
}

// work is what the people did in Langflow before.
func (w *settlers) work(t *testing.T) {
	admin := w.l.SignIn(t, langflowAdmin) // Langflow takes five sign-ins a minute, of which Sluice needs some
	clients := map[string]*Client{}
	for _, p := range []struct {
		s    *settler
		name string
	}{{&w.anna, "anna"}, {&w.bert, "bert"}} {
		p.s.Account = Account{Username: p.name, Password: "the old password of " + p.name}
		w.l.AddUser(t, admin, p.s.Account)
		c := w.l.SignIn(t, p.s.Account)
		clients[p.name] = c
		p.s.flow = CreateFlow(t, c, EchoLangflow(t, c, "default of "+p.name))
		var key struct {
			APIKey string `json:"api_key"`
		}
		call(t, c, "POST", "/api/v1/api_key/", map[string]string{"name": "key of " + p.name}, &key)
		p.s.key = key.APIKey
	}
	call(
		t,
		admin,
		"POST",
		"/api/v1/users/",
		map[string]string{"username": "waiting", "password": "the old password of waiting"},
		nil,
	)
	anna := clients["anna"]
	call(
		t,
		anna,
		"POST",
		"/api/v1/variables/",
		map[string]any{"name": "Anna's key", "value": annasSecret, "type": "Credential", "default_fields": []string{}},
		nil,
	)
	var project struct{ ID string }
	call(
		t,
		anna,
		"POST",
		"/api/v1/projects/",
		map[string]any{"name": "Marketing", "description": "", "flows_list": []string{}, "components_list": []string{}},
		&project,
	)
	flow := EchoLangflow(t, anna, "leaflets")
	flow["folder_id"] = project.ID
	w.project = CreateFlow(t, anna, flow)
}

// importing runs the command. Langflow's key is in the environment, as in that of Langflow itself.
func (w *settlers) importing(t *testing.T, database string, more ...string) (string, error) {
	return w.s.Command(t, "", append([]string{"import", "langflow", "--database", database}, more...)...)
}

// people are the names that Sluice knows.
func (w *settlers) people(t *testing.T) string {
	out, err := w.s.Command(t, "", "user", "list")
	if err != nil {
		t.Fatalf("user list: %v\n%s", err, out)
	}
	return out
}

func (w *settlers) broken(t *testing.T) {
	before := w.people(t)
	dir := t.TempDir()
	copied, err := os.ReadFile(w.l.Database())
	if err != nil {
		t.Fatal(err)
	}
	torn := slices.Clone(copied)
	for i := len(torn) / 4; i < len(torn)*3/4; i++ {
		torn[i] = 0xA5
	}
	files := map[string]string{
		"another product's": filepath.Join(w.s.Home, "data", "sluice.sqlite"),
		"not there":         filepath.Join(dir, "nothing.db"),
	}
	for name, content := range map[string][]byte{"no database": []byte("users: anna, bert\n"), "empty": nil,
		"cut off": copied[:len(copied)/2], "torn": torn} {
		files[name] = filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".db")
		if err := os.WriteFile(files[name], content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, file := range files {
		out, err := w.importing(t, file, "--yes")
		if err == nil || len(strings.TrimSpace(out)) < 30 || strings.Contains(out, "panic") ||
			strings.Contains(out, "goroutine") {
			t.Errorf("%s: %v, it says %q", name, err, out)
		}
	}
	if after := w.people(t); after != before {
		t.Errorf("people before:\n%s\nand after:\n%s", before, after)
	}
}

func (w *settlers) dryRun(t *testing.T) {
	before := w.people(t)
	out, err := w.importing(t, w.l.Database(), "--dry-run")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, part := range []string{"anna", "bert", "waiting", "Marketing", "Anna's key", "key of bert", "dry run"} {
		if !strings.Contains(out, part) {
			t.Errorf("the dry run does not tell of %q:\n%s", part, out)
		}
	}
	if strings.Contains(out, annasSecret) || strings.Contains(out, w.anna.key) {
		t.Error("the dry run tells secrets")
	}
	if out, err := w.importing(t, w.l.Database()); err == nil || !strings.Contains(out, "--yes") {
		t.Errorf("without --yes it ends with %v:\n%s", err, out)
	}
	if after := w.people(t); after != before {
		t.Errorf("people before:\n%s\nand after:\n%s", before, after)
	}
}

func (w *settlers) bring(t *testing.T) {
	report := filepath.Join(t.TempDir(), "report.json")
	out, err := w.importing(t, w.l.Database(), "--yes", "--report", report)
	if err != nil || !strings.Contains(out, "Done: ") {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(report)
	if err != nil || !strings.Contains(string(text), w.project) || strings.Contains(string(text), annasSecret) {
		t.Errorf("the report: %v\n%.600s", err, text)
	}
}

func (w *settlers) signIn(t *testing.T) {
	for _, p := range []settler{w.anna, w.bert} {
		lf := w.s.Enter(t, w.s.SignIn(t, p.Account))
		lf.Header = http.Header{}
		w.s.p.until(
			t,
			"flow of "+p.Username,
			func() bool { return lf.Get("/api/v1/flows/"+p.flow).Status == http.StatusOK },
		)
	}
	waiting := url.Values{"identifier": {"waiting"}, "password": {"the old password of waiting"}}
	if r := NewClient(t, w.s.URL).PostForm("/login", waiting); r.Status == http.StatusSeeOther {
		t.Error("somebody whom Langflow has not let in yet signs in")
	}
}

func (w *settlers) oldKeys(t *testing.T) {
	program := NewClient(t, w.app)
	for _, r := range []struct {
		key, flow string
		runs      bool
	}{{w.anna.key, w.anna.flow, true}, {w.anna.key, w.project, true}, {w.bert.key, w.bert.flow, true}, {w.bert.key,
		w.anna.flow, false}, {w.anna.key, w.bert.flow, false}, {w.anna.key + "x", w.anna.flow, false}} {
		a := RunFlow(program, r.key, r.flow, "asked as ever")
		if ran := a.Status == http.StatusOK && strings.Contains(a.Body, "asked as ever"); ran != r.runs {
			t.Errorf("the key …%s on flow %s: %d %.300s", r.key[len(r.key)-4:], r.flow, a.Status, a.Body)
		}
	}
}

func (w *settlers) places(t *testing.T) {
	root := w.s.SignIn(t, langflowAdmin)
	var workspaces struct {
		Items []struct{ ID, Name string }
	}
	call(t, root, "GET", "/api/v1/workspaces", nil, &workspaces)
	ids := map[string]string{}
	for _, space := range workspaces.Items {
		ids[space.Name] = space.ID
	}
	for _, name := range []string{"anna", "bert", "Marketing"} {
		if ids[name] == "" {
			t.Fatalf("there is no workspace %q: %v", name, ids)
		}
	}
	for name, want := range map[string]bool{"anna": true, "bert": false, "Marketing": false} {
		if a := root.Get("/api/v1/workspaces/" + ids[name] + "/credentials"); a.Status != http.StatusOK ||
			strings.Contains(a.Body, "Anna's key") != want {
			t.Errorf("the vault of %s: %d %.300s", name, a.Status, a.Body)
		}
	}
	for _, c := range []struct {
		who          settler
		space        string
		sees, hidden []string
	}{
		{w.anna, "anna", []string{w.anna.flow}, []string{w.project, w.bert.flow}},
		{w.anna, "Marketing", []string{w.project}, []string{w.anna.flow, w.bert.flow}},
		{w.bert, "bert", []string{w.bert.flow}, []string{w.anna.flow, w.project}},
	} {
		main := w.s.SignIn(t, c.who.Account)
		if a := main.PostForm("/workspace", url.Values{"workspace": {ids[c.space]}}); a.Status != http.StatusSeeOther {
			t.Errorf("%s goes into the workspace %s: %d %.200s", c.who.Username, c.space, a.Status, a.Body)
		}
		lf := w.s.Enter(t, main)
		lf.Header = http.Header{}
		list := lf.Get("/api/v1/flows/?get_all=true&header_flows=false")
		for _, id := range c.sees {
			if !strings.Contains(list.Body, id) {
				t.Errorf("%s in %s does not see %s: %d %.300s", c.who.Username, c.space, id, list.Status, list.Body)
			}
		}
		for _, id := range c.hidden {
			if strings.Contains(list.Body, id) {
				t.Errorf("%s in %s sees %s", c.who.Username, c.space, id)
			}
		}
	}
}

// again brings nothing twice. Some time after its start Langflow creates a key of its own for each
// user ("MCP Project …"), on a slow machine after the first import. Such a key is brought by the
// next one, once.
func (w *settlers) again(t *testing.T) {
	before := w.people(t)
	brought := map[string]bool{}
	await(t, "import that finds nothing to import", func() bool {
		report := filepath.Join(t.TempDir(), "report.json")
		out, err := w.importing(t, w.l.Database(), "--yes", "--report", report)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if strings.Contains(out, "nothing to import") {
			return true
		}
		for _, i := range newItems(t, report) {
			if i.Kind != "key" || !strings.HasPrefix(i.Name, "MCP Project ") || brought[i.Origin] {
				t.Fatalf("a later import brings the %s %q (%s) again:\n%s", i.Kind, i.Name, i.Origin, out)
			}
			brought[i.Origin] = true
		}
		return false
	}, func() string { return "" })
	if after := w.people(t); after != before {
		t.Errorf("people before:\n%s\nand after:\n%s", before, after)
	}
}

// importItem is one object in a report.
type importItem struct{ Kind, Name, Origin, Outcome string }

// newItems are the things that an import has brought, by its report.
func newItems(t *testing.T, report string) (out []importItem) {
	t.Helper()
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var r struct{ Items []importItem }
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	for _, i := range r.Items {
		if i.Outcome == "new" || i.Outcome == "moved" {
			out = append(out, i)
		}
	}
	if len(out) == 0 {
		t.Fatalf("an import that has brought something reports nothing: %s", text)
	}
	return out
}
