package console

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/internal/app"
	"sluice/internal/authz"
	"sluice/internal/builder/demo"
	"sluice/internal/flow"
	"sluice/internal/identity"
)

func TestWorkspaces(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	dora := s.add("dora", "viewer")
	b, theirs := s.signedIn("root"), s.signedIn("dora")
	says(t, b.get("/workspaces").want(t, 200, "").body, "Default workspace", "One workspace is enough")
	hasNot(t, theirs.get("/workspaces").want(t, 200, "").body, "a[href=/workspaces/new]")
	for _, name := range []string{"", "x", strings.Repeat("n", 61), "bad\u202ename", "null\x00"} {
		has(t, b.post("/workspaces", "name", name).want(t, 400, "").body, "input[name=name][aria-invalid=true]")
	}
	made := b.post("/workspaces", "name", "Research")
	if made.status != 303 || !strings.HasPrefix(made.location, "/workspaces/") {
		t.Fatalf("making a workspace: %d %q", made.status, made.location)
	}
	page := made.location
	says(t, b.get(page).want(t, 200, "").body, "Invite the people", "Research", "You")
	theirs.get(page).want(t, 404, "")
	theirs.post(page+"/name", "name", "Mine").want(t, 404, "")

	b.post(page+"/invitations", "email", "dora@example.test", "role", "admin").want(t, 200, "")
	own := theirs.get(page).want(t, 200, "").body
	has(t, own, "form[action="+page+"/invitations]", "form[action="+page+"/name]", "select[name=role]")
	hasNot(t, own, "form[action="+page+"/delete]", "a[href=/admin/people/"+dora.ID+"]")
	theirs.post(page+"/name", "name", "Deep research").want(t, 303, page)
	theirs.post(page+"/delete").want(t, 403, "")
	has(t, theirs.post(page+"/name", "name", "").want(t, 400, "").body, "input[name=name][aria-invalid=true]")

	switcher := theirs.get("/flows").body
	has(t, switcher, "form[action=/workspace]", "button[name=workspace][aria-current=true]")
	theirs.post("/workspace", "workspace", strings.TrimPrefix(page, "/workspaces/"), "return", "/workspaces").
		want(t, 303, "/workspaces")
	says(t, theirs.get("/flows").body, "Flows in Deep research")
	theirs.post("/workspace", "workspace", "of-nobody", "return", "/").want(t, 404, "")
	theirs.post("/workspace", "workspace", "default", "return", "//evil.example").want(t, 303, "/")

	b.post(page+"/members/"+dora.ID+"/role", "role", "viewer").want(t, 303, page)
	theirs.post(page+"/invitations", "email", "x@example.test", "role", "viewer").want(t, 403, "")
	b.post(page+"/members/"+dora.ID+"/role", "role", "").want(t, 400, "")
	b.post(page+"/members/"+dora.ID+"/remove").want(t, 303, page)
	theirs.get(page).want(t, 404, "")
	b.post("/workspaces/default/delete").want(t, 409, "")
	b.post(page+"/delete").want(t, 303, "/workspaces")
	b.get(page).want(t, 404, "")
}

func TestRoles(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	cid := s.add("cid", "viewer")
	b := s.signedIn("root")
	says(t, b.get("/admin/roles").want(t, 200, "").body, "Admin", "Viewer", "Create chatflows", "chatflows:create")
	says(t, b.get("/admin/roles/viewer").want(t, 200, "").body, "cannot be changed", "See chatflows")
	has(t, b.get("/admin/roles/new?from=viewer").want(t, 200, "").body, "input[value=chatflows:view][checked]")
	b.get("/admin/roles/nothing").want(t, 404, "")

	form := func(path, name string, permissions ...string) reply {
		return b.do(
			http.MethodPost,
			path,
			strings.NewReader(url.Values{"name": {name}, "permission": permissions}.Encode()),
		)
	}
	none := form("/admin/roles", "Author").want(t, 400, "")
	says(t, none.body, "Choose at least one permission")
	has(t, none.body, "input[name=name][value=Author]")
	has(
		t,
		form("/admin/roles", "Viewer", "chatflows:view").want(t, 400, "").body,
		"input[name=name][aria-invalid=true]",
		"input[value=chatflows:view][checked]",
	)
	form("/admin/roles", strings.Repeat("n", 51), "chatflows:view").want(t, 400, "")
	form("/admin/roles", "", "chatflows:view").want(t, 400, "")
	form("/admin/roles", "Author", "user:delete").want(t, 400, "")
	form("/admin/roles", "Author", "app:open", "chatflows:view").want(t, 303, "/admin/roles")
	form("/admin/roles", "author", "chatflows:view").want(t, 409, "")
	form("/admin/roles/viewer", "Mine", "chatflows:view").want(t, 409, "")

	var id string
	for _, r := range s.people.Roles() {
		if r.Name == "Author" {
			id = r.ID
		}
	}
	person := "/admin/people/" + cid.ID
	b.post(person+"/role", "role", id, "workspace", "default").want(t, 303, person)
	rights := b.get(person+"/rights").want(t, 200, "").body
	says(t, rights, "role Author", "no policy permits it", "2 of ")
	form("/admin/roles/"+id, "Author", "app:open", "chatflows:view", "chatflows:create").want(t, 303, "/admin/roles")
	says(t, b.get(person+"/rights?workspace=default").body, "3 of ")
	b.get(person+"/rights?workspace=nowhere").want(t, 404, "")
	b.post("/admin/roles/"+id+"/delete").want(t, 409, "")
	b.post(person+"/role", "role", "viewer").want(t, 303, person)
	b.post("/admin/roles/"+id+"/delete").want(t, 303, "/admin/roles")
	b.post("/admin/roles/"+id+"/delete").want(t, 404, "")
}

// TestNewUser walks the steps of Langflow's page "Manage users as an administrator".
func TestNewUser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("administrator", "superuser")
	b := s.signedIn("administrator")
	has(t, b.get("/flows").body, "a[href=/admin]")
	has(t, b.get("/admin").want(t, 200, "").body, "a[href=/admin/people/new]")
	const password = "seven unlikely herons nap"
	differ := b.post("/admin/people", "username", "newby", "password", password, "password_confirm", password+"!").
		want(t, 400, "")
	has(t, differ.body, "input[name=password_confirm][aria-invalid=true]", "input[name=username][value=newby]")
	for name, bad := range map[string][]string{
		"cyrillic":  {"username", "аdministrator"},
		"missing":   {"username", ""},
		"overlong":  {"username", strings.Repeat("a", 65)},
		"an at":     {"username", "a@b"},
		"address":   {"username", "fine", "email", "not an address"},
		"role":      {"username", "fine", "role", "emperor"},
		"workspace": {"username", "fine", "workspace", "nowhere"},
		"name":      {"username", "fine", "name", "bad\u202ename"},
	} {
		if got := b.post("/admin/people", bad...); got.status != 400 {
			t.Errorf("%s: %d, want 400", name, got.status)
		}
	}
	b.post("/admin/people", "username", "newby", "password", password, "password_confirm", password, "active", "true").
		want(t, 303, "/admin")
	says(t, b.get("/admin").body, "newby", "The new user is added")
	theirs := s.browser()
	theirs.post("/login", "identifier", "newby", "password", password).want(t, 303, "/")
	theirs.get("/").want(t, 303, "/flows")
	theirs.get("/admin").want(t, 303, "/flows")
	says(t, theirs.get("/flows").want(t, 200, "").body, "That page is for superusers")
	theirs.get("/admin/people/new").want(t, 303, "/flows")

	b.post("/admin/people", "username", "off", "password", password, "active", "false").want(t, 303, "/admin")
	says(
		t,
		s.browser().post("/login", "identifier", "off", "password", password).want(t, 403, "").body,
		"waiting for approval",
	)
	b.post("/admin/people", "username", "boss", "password", password, "superuser", "true").want(t, 303, "/admin")
	boss := s.browser()
	boss.post("/login", "identifier", "boss", "password", password).want(t, 303, "/")
	boss.get("/admin").want(t, 200, "")
}

func TestDeletingAPerson(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root := s.add("root", "superuser")
	cid, heir := s.add("cid", "user"), s.add("heir", "user")
	f := newFlowise(t, "", "")
	a, err := s.apps.Manager.Ensure(context.Background(), authz.SystemPrincipal("serve"), app.Spec{URL: f.url})
	fatal(t, err)
	fatal(t, s.flows.Claim(context.Background(), flow.Object{
		App:       a.ID,
		ID:        "f1",
		Kind:      flow.Chatflow,
		Workspace: identity.DefaultWorkspace,
		Owner:     cid.ID,
		Name:      "Invoices",
	}))
	b, page := s.signedIn("root"), "/admin/people/"+cid.ID
	says(t, b.get(page+"/remove").want(t, 200, "").body, "New owner")
	has(t, b.post(page+"/remove").want(t, 409, "").body, "input[name=heir][aria-invalid=true]")
	has(
		t,
		b.post(page+"/remove", "heir", "nobody").want(t, 400, "").body,
		"input[name=heir][value=nobody][aria-invalid=true]",
	)
	b.post(page+"/remove", "heir", "cid").want(t, 400, "")
	b.post("/admin/people/"+root.ID+"/remove").want(t, 409, "")
	b.post(page+"/remove", "heir", "heir@example.test").want(t, 303, "/admin")
	b.get(page).want(t, 404, "")
	s.signedIn("heir").get("/flows").want(t, 200, "")
	_ = heir
}

func TestFlows(t *testing.T) {
	t.Parallel()
	s, ctx := newSite(t), context.Background()
	s.add("root", "superuser")
	ann, eve := s.add("ann", "user"), s.add("eve", "viewer")
	f := newFlowise(t, "", "")
	a, err := s.apps.Manager.Ensure(ctx, authz.SystemPrincipal("serve"), app.Spec{URL: f.url})
	fatal(t, err)
	w, err := s.people.CreateWorkspace(ctx, authz.SystemPrincipal("test"), "Research")
	fatal(t, err)
	fatal(t, s.people.SetRole(ctx, authz.SystemPrincipal("test"), eve.ID, w.ID, authz.RoleViewer))
	b, root := s.signedIn("ann"), s.signedIn("root")
	says(t, b.get("/flows").want(t, 200, "").body, "No flow in this workspace yet", "Open the builder and create one")

	for _, o := range []flow.Object{
		{ID: "f1", Kind: flow.Chatflow, Workspace: identity.DefaultWorkspace, Owner: ann.ID, Name: "Invoices <b>"},
		{ID: "f2", Kind: flow.Agentflow, Workspace: identity.DefaultWorkspace, Name: "Complaints"},
		{ID: "f3", Kind: flow.Chatflow, Workspace: w.ID, Name: "Secret research"},
		{ID: "c1", Kind: flow.Credential, Workspace: identity.DefaultWorkspace, Name: "OpenAI"},
	} {
		o.App = a.ID
		fatal(t, s.flows.Claim(ctx, o))
	}
	page := b.get("/flows").want(t, 200, "").body
	says(t, page, "Invoices <b>", "ann", "Complaints", "2 flows", "Agentflow")
	for _, no := range []string{"Secret research", "OpenAI", "<b>"} {
		if strings.Contains(page, no) {
			t.Errorf("the page holds %q", no)
		}
	}
	has(
		t,
		page,
		"a[href=/enter?app="+a.ID+"&return=%2Fcanvas%2Ff1]",
		"a[href=/enter?app="+a.ID+"&return=%2Fv2%2Fagentcanvas%2Ff2]",
	)
	says(t, b.get("/flows?q=inv").body, "Invoices", "1 flow")
	says(t, b.get("/flows?q=%3Cscript").want(t, 200, "").body, "No such flow")
	b.get("/flows?q="+strings.Repeat("a", 101)).want(t, 400, "")
	b.get("/flows?page=9").want(t, 303, "/flows?page=1")
	b.get("/flows?workspace="+w.ID).want(t, 404, "")
	b.get("/flows?workspace=nowhere").want(t, 404, "")
	says(t, root.get("/flows?workspace="+w.ID).want(t, 200, "").body, "Secret research")
	says(t, s.signedIn("eve").get("/flows?workspace="+w.ID).want(t, 200, "").body, "Secret research")
}

// TestWorkspaces_App runs the demo builder and gives what was made around Sluice to a workspace.
func TestWorkspaces_App(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("root", "superuser")
	handler, err := demo.NewServer(demo.Config{File: filepath.Join(t.TempDir(), "flows.json"), Now: time.Now})
	fatal(t, err)
	demo := httptest.NewServer(handler)
	t.Cleanup(demo.Close)
	b := s.signedIn("root")
	made := b.post("/workspaces", "name", "Research")
	workspace := strings.TrimPrefix(made.location, "/workspaces/")
	says(t, b.get("/workspaces/new").body, "New workspace")
	added := b.post("/admin/apps", "url", demo.URL, "name", "Demo")
	if added.status != 303 {
		t.Fatalf("adding the demo: %d %s", added.status, main(added.body))
	}
	page := added.location
	has(
		t,
		b.get(page).want(t, 200, "").body,
		"form[action="+page+"/workspaces/default/withdraw]",
		"select[name=workspace]",
		"a[href="+page+"/unowned]",
	)
	b.post(page+"/workspaces", "workspace", workspace).want(t, 303, page)
	has(t, b.get("/workspaces/new").body, "input[type=checkbox][name=app][checked]")
	support := b.post("/workspaces", "name", "Support", "app", strings.TrimPrefix(page, "/admin/apps/")).location
	says(t, b.get(support).body, "Demo")
	says(t, b.get("/workspaces/"+workspace).body, "Demo")
	b.post(page+"/workspaces", "workspace", "nowhere").want(t, 404, "")

	res, err := http.Post(
		demo.URL+"/api/flows",
		"application/json",
		strings.NewReader(`{"name": "Made around", "reply": "hello"}`),
	)
	fatal(t, err)
	_ = res.Body.Close()
	unowned := b.get(page+"/unowned").want(t, 200, "").body
	says(t, unowned, "Made around", "Chatflows")
	b.post(page+"/unowned", "workspace", workspace).want(t, 400, "")
	b.post(page+"/unowned", "workspace", "nowhere", "what", "all").want(t, 400, "")
	b.post(page+"/unowned", "workspace", workspace, "what", "all").want(t, 303, page+"/unowned")
	says(t, b.get(page+"/unowned").body, "Everything has an owner")
	says(t, b.get("/flows?workspace="+workspace).body, "Made around")

	b.post(page+"/workspaces/"+workspace+"/withdraw").want(t, 303, page)
	b.post(page+"/workspaces/default/withdraw").want(t, 303, page)
	b.post(page+"/workspaces/"+strings.TrimPrefix(support, "/workspaces/")+"/withdraw").want(t, 303, page)
	says(t, b.get(page).want(t, 200, "").body, "No workspace uses this app")
}
