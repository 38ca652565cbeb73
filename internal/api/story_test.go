package api_test

import (
	"context"
	"net/http"
	"net/url"
	"sluice/internal/flow"
	"strings"
	"testing"
	"time"

	"sluice/internal/sluicetest"
)

const another = "another good battery staple"

func TestPeople(t *testing.T) { onBoth(t, people) }

func people(t *testing.T, environ ...string) {
	s := newSite(t, environ...)
	root := s.as("root")

	made := root.call("createUser", map[string]any{"username": "ann", "email": "ann@example.com", "name": "Ann"}).
		is(http.StatusCreated)
	id, link := made.text("id"), made.text("link.url")
	if made.field("has_password") != false || !strings.HasPrefix(link, s.MainOrigin("")+"/reset?token=") ||
		made.text("link.expires_at") == "" ||
		made.text("role") != "viewer" {
		t.Fatalf("a person without a password: %s", made.Body)
	}
	// The link works once, for the person.
	visitor := s.Browser()
	_, token, _ := strings.Cut(link, "token=")
	visitor.Get("/reset?token=" + token)
	if a := visitor.Post("/reset", url.Values{"password": {sluicetest.Password}}); a.Status != http.StatusSeeOther {
		t.Fatalf("the link does not work: %d", a.Status)
	}
	ann := s.as("ann")
	ann.call("getUser", nil, "user", id).is(http.StatusForbidden)

	with := root.call("createUser",
		map[string]any{"username": "bob", "password": sluicetest.Password, "role": "user", "active": false}).
		is(http.StatusCreated)
	if with.field("link") != nil || with.field("waiting") != true || with.field("active") != false {
		t.Errorf("a person with a password who may not come in: %s", with.Body)
	}
	if d := root.call("createUser",
		map[string]any{"username": "ANN"}).is(http.StatusConflict).problem(); d.Field != "username" {
		t.Errorf("the same name again: %+v", d)
	}
	for field, v := range map[string]any{"username": "a b", "email": "no address", "role": "king",
		"password": "password", "workspace": "nowhere", "name": "a\u202eb"} {
		body := map[string]any{"username": "carl"}
		body[field] = v
		if d := root.call("createUser", body).is(http.StatusBadRequest).problem(); d.Field != field {
			t.Errorf("bad %s: %+v", field, d)
		}
	}

	if items := root.list("listUsers", "?q", "AN"); len(items) != 1 {
		t.Errorf("search found %d", len(items))
	}
	page := root.call("listUsers", nil, "?limit", "2", "?offset", "3").is(http.StatusOK)
	if len(page.field("items").([]any)) != 1 || page.field("total") != 4.0 {
		t.Errorf("the last page: %s", page.Body)
	}
	for _, q := range []string{"%", "_", "!", "'", "ﬀ"} {
		if items := root.list("listUsers", "?q", q); len(items) != 0 {
			t.Errorf("search for %q found %d", q, len(items))
		}
	}

	got := root.call("updateUser", map[string]any{"name": "Ann Other"}, "user", id).is(http.StatusOK)
	if got.text("name") != "Ann Other" || got.text("email") != "ann@example.com" || got.text("username") != "ann" {
		t.Errorf("a new name alone: %s", got.Body)
	}
	root.call("updateUser", map[string]any{"username": "bob"}, "user", id).is(http.StatusConflict)
	root.call("updateUser", map[string]any{"role": "user"}, "user", id).is(http.StatusOK)
	for want, bodies := range map[int][]map[string]any{
		http.StatusBadRequest: {{}, {"name": nil}, {"active": nil}, {"role": "no such role", "active": false},
			{"active": false, "username": "a b"}},
		http.StatusConflict: {{"username": "bob", "superuser": true}, {"active": false, "username": "bob"}},
	} {
		for _, body := range bodies {
			root.call("updateUser", body, "user", id).is(want)
		}
	}
	if got := root.call("getUser", nil, "user", id); got.text("role") != "user" || got.field("superuser") != false ||
		got.field("active") != true ||
		got.text("username") != "ann" ||
		got.text("email") != "ann@example.com" {
		t.Errorf("a refused change left something behind: %s", got.Body)
	}
	both := root.call("updateUser", map[string]any{"name": "Ann Both", "superuser": true}, "user", id).is(http.StatusOK)
	if both.text("name") != "Ann Both" || both.field("superuser") != true || both.text("email") != "ann@example.com" {
		t.Errorf("two changes at once: %s", both.Body)
	}
	root.call("updateUser", map[string]any{"superuser": false}, "user", id).is(http.StatusOK)
	if n := len(root.list("listSessions", "user", id)); n != 2 {
		t.Errorf("%d sessions", n)
	}
	root.call("endSessions", nil, "user", id).is(http.StatusNoContent)
	ann.call("getMe", nil).is(http.StatusUnauthorized)

	ann = s.as("ann")
	root.call("updateUser", map[string]any{"active": false}, "user", id).is(http.StatusOK)
	ann.call("getMe", nil).is(http.StatusUnauthorized)
	me := root.call("getMe", nil).text("id")
	for _, body := range []map[string]any{{"superuser": false}, {"active": false}} {
		if d := root.call("updateUser", body, "user", me).is(http.StatusConflict).problem(); !strings.Contains(
			d.Detail,
			"last active superuser",
		) {
			t.Errorf("%v: %+v", body, d)
		}
	}
	root.call("deleteUser", nil, "user", me).is(http.StatusConflict)
	root.call("deleteUser", nil, "user", id, "?heir", id).is(http.StatusBadRequest)
	root.call("deleteUser", nil, "user", id, "?heir", me).is(http.StatusNoContent)
	root.call("deleteUser", nil, "user", id).is(http.StatusNotFound)
}

func TestMyself(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	val, second, root := s.as("val"), s.as("val"), s.as("root")
	me := val.call("getMe", nil).is(http.StatusOK)
	if me.text("username") != "val" || me.text("workspace") != "default" || me.text("session_id") == "" {
		t.Errorf("me: %s", me.Body)
	}
	if got := val.call("updateMe",
		map[string]any{"name": "Val Viewer"}).is(http.StatusOK).text("name"); got != "Val Viewer" {
		t.Errorf("name %q", got)
	}
	if d := val.call("changePassword",
		map[string]any{"old_password": "wrong",
			"password": another}).is(http.StatusBadRequest).problem(); d.Field != "old_password" {
		t.Errorf("a wrong password: %+v", d)
	}
	if d := val.call("changePassword",
		map[string]any{"old_password": sluicetest.Password,
			"password": "short"}).is(http.StatusBadRequest).problem(); d.Field != "password" {
		t.Errorf("a weak password: %+v", d)
	}
	val.call("changePassword", map[string]any{"old_password": sluicetest.Password, "password": another}).
		is(http.StatusNoContent)
	second.call("getMe", nil).is(http.StatusUnauthorized)

	// Sessions: people can revoke their own; other people's do not exist for them.
	own := root.call("getMe", nil).text("session_id")
	val.call("endMySession", nil, "session", own).is(http.StatusNotFound)
	root.call("getMe", nil).is(http.StatusOK)
	third := s.as("root")
	if n := len(root.list("listMySessions")); n != 2 {
		t.Errorf("%d sessions", n)
	}
	root.call("endMyOtherSessions", nil).is(http.StatusNoContent)
	third.call("getMe", nil).is(http.StatusUnauthorized)
	root.call("endMySession", nil, "session", own).is(http.StatusNoContent)
	root.call("getMe", nil).is(http.StatusUnauthorized)

	// A wrong password in a body is an error of the body, not a missing sign-in.
	if r := val.call("changeEmail",
		map[string]any{"password": "wrong", "email": "val@example.org"}); r.Status != http.StatusBadRequest {
		t.Errorf("a wrong password for a new address: %d %s", r.Status, r.Body)
	}
	val.call("changeEmail", map[string]any{"password": another, "email": "val@example.org"}).is(http.StatusNoContent)
	val.call("verifyEmail", nil).is(http.StatusNoContent)
	rights := val.list("listMyRights")
	allowed := map[string]bool{}
	for _, r := range rights {
		allowed[r.(map[string]any)["permission"].(string)] = r.(map[string]any)["allowed"].(bool)
	}
	if !allowed["chatflows:view"] || allowed["chatflows:create"] {
		t.Errorf("a viewer's rights: %v", allowed)
	}
}

func TestWorkspaces(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root, val := s.as("root"), s.as("val")
	id := root.call("createWorkspace", map[string]any{"name": "Research"}).is(http.StatusCreated).text("id")
	lead := s.Add("lead", "viewer", false)
	root.call("setMemberRole", map[string]any{"role": "admin"}, "workspace", id, "user", lead.ID).
		is(http.StatusNoContent)

	// A workspace's admin manages its members and nothing else; for others it is not there.
	admin := s.as("lead")
	admin.call("updateWorkspace", map[string]any{"name": "Applied Research"}, "workspace", id).is(http.StatusNoContent)
	admin.call("updateWorkspace", map[string]any{"name": "Mine"}, "workspace", "default").is(http.StatusForbidden)
	if got := admin.call("getWorkspace", nil, "workspace",
		id).is(http.StatusOK).text("name"); got != "Applied Research" {
		t.Errorf("name %q", got)
	}
	if n := len(admin.list("listMembers", "workspace", id)); n != 2 {
		t.Errorf("%d members", n)
	}
	admin.call("deleteWorkspace", nil, "workspace", id).is(http.StatusForbidden)
	admin.call("listUsers", nil).is(http.StatusForbidden)
	valID := val.call("getMe", nil).text("id")
	admin.call("setMemberRole", map[string]any{"role": "user"}, "workspace", id, "user", valID).is(http.StatusNotFound)
	val.call("getWorkspace", nil, "workspace", id).is(http.StatusNotFound)
	if n := len(val.list("listWorkspaces")); n != 1 {
		t.Errorf("a viewer of one workspace sees %d", n)
	}
	val.call("switchWorkspace", map[string]any{"workspace": id}).is(http.StatusNotFound)

	// A person with an account is added at once; a person without one gets a link.
	added := admin.call("invite", map[string]any{"email": "val@example.com", "role": "viewer"}, "workspace", id).
		is(http.StatusCreated)
	if added.field("added") != true || added.field("link") != nil || added.field("invitation") != nil {
		t.Errorf("somebody with an account: %s", added.Body)
	}
	val.call("switchWorkspace", map[string]any{"workspace": id}).is(http.StatusNoContent)
	if got := val.call("getMe", nil).text("workspace"); got != id {
		t.Errorf("val works in %q", got)
	}
	guest := admin.call("invite", map[string]any{"email": "guest@example.com", "role": "user"}, "workspace", id).
		is(http.StatusCreated)
	open := admin.list("listInvitations", "workspace", id)
	if guest.text("link") == "" || len(open) != 1 ||
		strings.Contains(admin.call("listInvitations", nil, "workspace", id).Body, "token") {
		t.Errorf("somebody without an account: %s, open %v", guest.Body, open)
	}
	invitation := guest.text("invitation.id")
	if again := admin.call("renewInvitation", nil, "workspace", id, "invitation",
		invitation).is(http.StatusOK); again.text(
		"link",
	) == guest.text(
		"link",
	) {
		t.Error("the new link is the old one")
	}
	root.call("revokeInvitation", nil, "workspace", "default", "invitation", invitation).is(http.StatusNotFound)
	admin.call("revokeInvitation", nil, "workspace", id, "invitation", invitation).is(http.StatusNoContent)

	admin.call("removeMember", nil, "workspace", id, "user", valID).is(http.StatusNoContent)
	val.call("listMembers", nil, "workspace", id).is(http.StatusNotFound)
	root.call("deleteWorkspace", nil, "workspace", "default").is(http.StatusConflict)
	root.call("deleteWorkspace", nil, "workspace", id).is(http.StatusNoContent)
	root.call("getWorkspace", nil, "workspace", id).is(http.StatusNotFound)
}

func TestRoles(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root, val := s.as("root"), s.as("val")
	valID := val.call("getMe", nil).text("id")
	made := root.call("createRole",
		map[string]any{"name": "Author", "permissions": []string{"app:open", "chatflows:view", "chatflows:create"}}).
		is(http.StatusCreated)
	id := made.text("id")
	if d := root.call("createRole",
		map[string]any{"name": "author",
			"permissions": []string{"app:open"}}).is(http.StatusConflict).problem(); d.Field != "name" {
		t.Errorf("the same name again: %+v", d)
	}
	if d := root.call("createRole",
		map[string]any{"name": "Odd",
			"permissions": []string{"fly"}}).is(http.StatusBadRequest).problem(); d.Field != "permissions" {
		t.Errorf("an unknown permission: %+v", d)
	}
	root.call("updateUser", map[string]any{"role": id}, "user", valID).is(http.StatusOK)
	can := func(permission string) bool {
		for _, r := range root.list("listRights", "user", valID) {
			if line := r.(map[string]any); line["permission"] == permission {
				return line["allowed"].(bool)
			}
		}
		t.Fatalf("no permission %s", permission)
		return false
	}
	if !can("chatflows:create") || can("chatflows:delete") {
		t.Error("a custom role does not give what it lists")
	}
	root.call("updateRole", map[string]any{"name": "Author", "permissions": []string{"app:open"}}, "role", id).
		is(http.StatusNoContent)
	if can("chatflows:create") {
		t.Error("a changed role does not count at once")
	}
	root.call("updateRole", map[string]any{"name": "Boss", "permissions": []string{"app:open"}}, "role", "admin").
		is(http.StatusConflict)
	root.call("deleteRole", nil, "role", id).is(http.StatusConflict)
	root.call("updateUser", map[string]any{"role": "viewer"}, "user", valID).is(http.StatusOK)
	root.call("deleteRole", nil, "role", id).is(http.StatusNoContent)
	if n := len(val.list("listRoles")); n != 3 {
		t.Errorf("%d roles", n)
	}
	val.call("getRole", nil, "role", "viewer").is(http.StatusOK)
	if total := val.call("listPermissions", nil, "?limit", "1", "?offset",
		"5").is(http.StatusOK).field("total").(float64); total < 50 {
		t.Errorf("%v permissions", total)
	}
}

func TestApps(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root, val := s.as("root"), s.as("val")
	if got := root.call("lookAtApp", map[string]any{"url": "demo"}).is(http.StatusOK); got.text("kind") != "demo" {
		t.Errorf("the demo looks like %s", got.Body)
	}
	for _, address := range []string{"ftp://127.0.0.1", "http://127.0.0.1:1/path", "http://user:pass@127.0.0.1", "x"} {
		if d := root.call("addApp",
			map[string]any{"url": address}).is(http.StatusBadRequest).problem(); d.Field != "url" {
			t.Errorf("%s: %+v", address, d)
		}
	}
	if r := root.call("addApp", map[string]any{"url": "http://127.0.0.1:9"}); r.Status != http.StatusBadGateway {
		t.Errorf("nothing listens there: %d", r.Status)
	}
	made := root.call("addApp", map[string]any{"url": "demo", "name": "Try it"}).is(http.StatusCreated)
	id := made.text("id")
	if made.text("name") != "Try it" || !strings.HasPrefix(made.text("admin.upstream"), "http://127.0.0.1:") {
		t.Errorf("the new app: %s", made.Body)
	}
	seen := val.list("listApps")
	if len(seen) != 1 || seen[0].(map[string]any)["admin"] != nil || seen[0].(map[string]any)["origin"] == "" {
		t.Errorf("a viewer sees %v", seen)
	}
	if n := len(val.list("listApps", "?all", "true")); n != 0 {
		t.Errorf("a viewer sees the settings of %d apps", n)
	}
	elsewhere := root.call("createWorkspace", map[string]any{"name": "Elsewhere"}).is(http.StatusCreated).text("id")
	root.call("switchWorkspace", map[string]any{"workspace": elsewhere}).is(http.StatusNoContent)
	if here, all := len(root.list("listApps")), len(root.list("listApps", "?all", "true")); here != 0 || all != 1 {
		t.Errorf("in a workspace without apps root sees %d, in all %d", here, all)
	}
	val.call("getApp", nil, "app", id).is(http.StatusForbidden)
	root.call("checkApp", nil, "app", id).is(http.StatusOK)
	if got := root.call("getExposure", nil, "app", id).is(http.StatusOK).text("state"); got != "closed" {
		t.Errorf("exposure %q", got)
	}
	root.call("connectApp", map[string]any{}, "app", id).is(http.StatusBadRequest)
	root.call("markVerified", nil, "app", id).is(http.StatusNoContent)
	if root.call("getApp", nil, "app", id).is(http.StatusOK).text("admin.verified_at") == "" {
		t.Error("not marked")
	}
	root.call("publishFlow", nil, "app", id, "flow", "flow-1").is(http.StatusNotFound)
	if err := s.Apps.Flows.Claim(context.Background(),
		flow.Object{App: id, ID: "flow-1", Kind: flow.Chatflow, Workspace: "default"}); err != nil {
		t.Fatal(err)
	}
	root.call("publishFlow", nil, "app", id, "flow", "flow-1").is(http.StatusNoContent)
	if got := root.list("listPublishedFlows", "app", id); len(got) != 1 || got[0] != "flow-1" {
		t.Errorf("published: %v", got)
	}
	root.call("unpublishFlow", nil, "app", id, "flow", "flow-1").is(http.StatusNoContent)
	if got := root.list("listPublishedFlows", "app", id); len(got) != 0 {
		t.Errorf("published: %v", got)
	}
	if left := root.call("removeApp", nil, "app", id).is(http.StatusOK); left.field("owner") != nil {
		t.Errorf("an owner of the demo: %s", left.Body)
	}
	root.call("getApp", nil, "app", id).is(http.StatusNotFound)
}

// tried waits for the first attempt at a person's only mail. Nothing listens, so the mail then
// waits for the next attempt.
func (c caller) tried(to string) map[string]any {
	c.s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		mails := c.list("listMails", "?q", to)
		if len(mails) != 1 {
			c.s.t.Fatalf("mails: %v", mails)
		}
		if letter := mails[0].(map[string]any); letter["state"] == "waiting" && letter["trouble"] == "connect" {
			return letter
		}
	}
	c.s.t.Fatalf("the mail to %s was not tried", to)
	return nil
}

// TestAppsInWorkspaces: an app is used where it was offered, and nowhere else.
func TestAppsInWorkspaces(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root := s.as("root")
	id := root.call("addApp", map[string]any{"url": "demo"}).is(http.StatusCreated).text("id")
	w := root.call("createWorkspace", map[string]any{"name": "Research"}).is(http.StatusCreated).text("id")
	lead := s.Add("lead", "viewer", false)
	root.call("setMemberRole", map[string]any{"role": "admin"}, "workspace", w, "user", lead.ID).
		is(http.StatusNoContent)
	admin := s.as("lead")
	admin.call("switchWorkspace", map[string]any{"workspace": w}).is(http.StatusNoContent)
	uses := func() [2]int {
		return [2]int{len(admin.list("listApps")), len(root.list("listAppWorkspaces", "app", id))}
	}
	if got := uses(); got != [2]int{0, 1} {
		t.Errorf("before it is offered: %v", got)
	}
	admin.call("offerApp", nil, "app", id, "workspace", w).is(http.StatusForbidden)
	admin.call("adoptObjects", map[string]any{"workspace": w}, "app", id).is(http.StatusForbidden)
	root.call("adoptObjects", map[string]any{"workspace": w}, "app", id).is(http.StatusBadRequest)
	root.call("offerApp", nil, "app", id, "workspace", w).is(http.StatusNoContent)
	if got := uses(); got != [2]int{1, 2} {
		t.Errorf("offered: %v", got)
	}
	// Checking the app adopts its existing objects once; the rest goes to the admin's choice.
	root.call("checkApp", nil, "app", id).is(http.StatusOK)
	left := len(root.list("listUnownedObjects", "app", id))
	if n := root.call("adoptObjects", map[string]any{"workspace": w}, "app",
		id).is(http.StatusCreated).field("adopted"); n != float64(
		left,
	) {
		t.Errorf("%v adopted of %d", n, left)
	}
	if left := root.list("listUnownedObjects", "app", id); len(left) != 0 {
		t.Errorf("nobody owns %v", left)
	}
	root.call("withdrawApp", nil, "app", id, "workspace", w).is(http.StatusNoContent)
	if got := uses(); got != [2]int{0, 1} {
		t.Errorf("withdrawn: %v", got)
	}
}

func TestMail(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root := s.as("root")
	if got := root.call("getMailStatus", nil).is(http.StatusOK); got.field("configured") != true ||
		got.text("sender") == "" {
		t.Errorf("status: %s", got.Body)
	}
	s.as("val").call("verifyEmail", nil).is(http.StatusNoContent)
	letter := root.tried("val@")
	if letter["kind"] != "verify-email" || letter["to"] != "val@example.com" {
		t.Errorf("mail %v", letter)
	}
	id := letter["id"].(string)
	root.call("discardMail", nil, "mail", id).is(http.StatusNoContent)
	root.call("discardMail", nil, "mail", id).is(http.StatusConflict)
	root.call("retryMail", nil, "mail", id).is(http.StatusConflict)
	if got := root.list("listMails", "?state", "discarded"); len(got) != 1 {
		t.Errorf("discarded: %v", got)
	}
	root.call("listMails", nil, "?state", "lost").is(http.StatusBadRequest)

	test := root.call("sendTestMail", map[string]any{"to": "ann@example.com"}).is(http.StatusOK)
	if test.field("ok") != false || test.text("trouble") != "connect" || test.text("advice") == "" {
		t.Errorf("a test without a server: %s", test.Body)
	}
	if d := root.call("sendTestMail",
		map[string]any{"to": "no address"}).is(http.StatusBadRequest).problem(); d.Detail == "" {
		t.Errorf("a bad address: %+v", d)
	}
	for _, kind := range root.list("listPreviews") {
		if got := root.call("getPreview", nil, "kind", kind.(string)).is(http.StatusOK); got.text("subject") == "" ||
			got.text("text") == "" {
			t.Errorf("%v: %s", kind, got.Body)
		}
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	root, val := s.as("root"), s.as("val")
	val.call("listUsers", nil).is(http.StatusForbidden)
	first := root.call("listAudit", nil, "?limit", "1").is(http.StatusOK)
	total := first.field("total").(float64)
	if n := len(first.field("items").([]any)); n != 1 || total < 3 {
		t.Fatalf("%d entries of %v", n, total)
	}
	var after, denied float64
	for {
		items := root.list("listAudit", "?after", jsonNumber(after), "?limit", "2")
		if len(items) == 0 {
			break
		}
		for _, i := range items {
			e := i.(map[string]any)
			if e["seq"] != after+1 {
				t.Fatalf("entry %v follows %v", e["seq"], after)
			}
			after++
			if e["outcome"] == "denied" && e["actor_name"] == "val" && e["action"] == "user:view" {
				denied++
			}
		}
	}
	if denied != 1 {
		t.Errorf("the refusal is recorded %v times", denied)
	}
	if got := root.call("verifyAudit", nil).is(http.StatusOK); got.field("intact") != true ||
		got.field("entries") != after {
		t.Errorf("verdict %s after %v entries", got.Body, after)
	}
}
