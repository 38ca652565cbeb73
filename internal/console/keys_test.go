package console

import (
	"context"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/identity"
)

// send posts a form in which names may stand several times.
func (b *browser) send(path string, form url.Values) reply {
	return b.do(http.MethodPost, path, strings.NewReader(form.Encode()))
}

var keyText = regexp.MustCompile(`sluice_[0-9A-Za-z]{46}`)

// madeKey creates a key and returns it with its id.
func (b *browser) madeKey(form url.Values) (key, id string) {
	b.s.t.Helper()
	page := b.send(keysPath, form).want(b.s.t, 200, "")
	key = keyText.FindString(page.body)
	for _, a := range selectAll(page.body, "a[href]") {
		if rest, ok := strings.CutPrefix(a.attrs["href"], keysPath+"/"); ok && !strings.Contains(rest, "/") {
			id = rest
		}
	}
	if key == "" || id == "" {
		b.s.t.Fatalf("no key was made: %.800s", main(page.body))
	}
	return key, id
}

// opens reports whether a key is accepted.
func (s *site) opens(key string) bool {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.url+"/flows", nil)
	fatal(s.t, err)
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Accept", "application/json")
	res, err := http.DefaultTransport.RoundTrip(r)
	fatal(s.t, err)
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func simpleKey(name string) url.Values {
	return url.Values{"name": {name}, "expires": {"30"}, "what": {"all"}, "where": {"all"}}
}

func TestKeys_FormToRevocation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "user")
	b := s.signedIn("ann")
	says(t, b.get(keysPath).want(t, 200, "").body, "No API key in Default workspace", "never more")
	form := b.get(keysPath+"/new").want(t, 200, "").body
	has(
		t,
		form,
		"input[name=action][value=flow:run][checked]",
		"input[name=action][value=flow:edit]",
		"input[name=what][value=some][checked]",
		"option[value=90][selected]",
	)
	hasNot(t, form, "input[name=action][value=flow:publish]", "input[name=action][value=user:view]", "input[name=flow]")
	says(t, form, "at most 365 days")

	page := b.send(keysPath, simpleKey("Nightly <run>")).want(t, 200, "")
	key := keyText.FindString(page.body)
	if page.header.Get("Cache-Control") != "no-store" || key == "" {
		t.Fatalf("the key is not shown, or may be stored: %q, %v", key, page.header)
	}
	has(t, page.body, "input[id=api-key][readonly][value="+key+"]", "button[data-copy=api-key]")
	says(t, page.body, "curl -sS "+s.url+"/api/v1/me", "-H 'Authorization: Bearer "+key+"'")
	if !s.opens(key) {
		t.Error("the key opens nothing")
	}
	list := b.get(keysPath).want(t, 200, "").body
	says(t, list, "Nightly <run>", key[:12], "Active", "Everything that its owner can do", "in 1 month")
	for _, path := range []string{keysPath, keysPath + "/new"} {
		if strings.Contains(b.get(path).body, key) {
			t.Errorf("%s shows the key", path)
		}
	}
	if strings.Contains(s.log.String(), key) {
		t.Error("the log holds the key")
	}
}

func TestKeys_RotateChangeRevoke(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "user")
	b := s.signedIn("ann")
	first, id := b.madeKey(simpleKey("Chat"))
	at := keysPath + "/" + id
	says(t, b.get(at).want(t, 200, "").body, "Chat", first[:12], "$SLUICE_API_KEY", "from everywhere")

	page := b.post(at+"/rotate", "overlap", "24").want(t, 200, "")
	second := keyText.FindString(page.body)
	says(t, page.body, "The previous secret works for another 24 hours")
	if second == first || !s.opens(first) || !s.opens(second) {
		t.Errorf(
			"after a rotation with an overlap the former key opens %t, the new one %t",
			s.opens(first),
			s.opens(second),
		)
	}
	for _, wrong := range []string{"", "x", "-1", "169", "99999999999999999999"} {
		has(t, b.post(at+"/rotate", "overlap", wrong).want(t, 400, "").body, "[role=alert]")
	}
	page = b.post(at+"/rotate", "overlap", "0").want(t, 200, "")
	third := keyText.FindString(page.body)
	says(t, page.body, "no longer works")
	if s.opens(second) || !s.opens(third) {
		t.Error("after a rotation without an overlap the former key still opens, or the new one does not")
	}

	change := simpleKey("Chat 2")
	change.Set("expires", "keep")
	change.Set("networks", "203.0.113.0/24\n2001:db8::1")
	change.Set("per_minute", "7")
	b.send(at, change).want(t, 303, at)
	shown := b.get(at).want(t, 200, "").body
	says(
		t,
		shown,
		"Chat 2",
		"203.0.113.0/24, 2001:db8::1/128",
		"7 a minute",
		"your own address is in none of them",
		"Saved.",
	)
	has(t, shown, "input[name=per_minute][value=7]")
	if s.opens(third) {
		t.Error("the key works from a foreign network")
	}

	says(t, b.get(at+"/revoke").want(t, 200, "").body, "Revoke “Chat 2”?", "stops at once")
	b.post(at+"/revoke").want(t, 303, keysPath)
	says(t, b.get(keysPath).body, "Revoked", "The key is revoked")
	gone := b.get(at).want(t, 200, "").body
	hasNot(t, gone, "form[action="+at+"/rotate]", "form[action="+at+"]")
	b.send(at, change).want(t, 409, "")
	b.post(at+"/rotate", "overlap", "0").want(t, 409, "")
	if text := s.log.String(); strings.Contains(text, first) || strings.Contains(text, third) {
		t.Error("the log holds a key")
	}
}

func TestKeys_FormKeepsMistake(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "user")
	b := s.signedIn("ann")
	tomorrow := time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	for what, test := range map[string]struct {
		change url.Values
		has    string
		says   string
	}{
		"no name": {url.Values{"name": {""}}, "input[name=name][aria-invalid=true]", "needs a name"},
		"no day": {
			url.Values{"expires": {"date"}, "date": {"31.12.2030"}},
			"select[name=expires][aria-invalid=true]",
			"2030-12-31",
		},
		"a past day": {
			url.Values{"expires": {"date"}, "date": {"2020-01-01"}},
			"select[name=expires][aria-invalid=true]",
			"is in the past",
		},
		"a day too late": {
			url.Values{"expires": {"date"}, "date": {"2100-01-01"}},
			"select[name=expires][aria-invalid=true]",
			"at most 365 days",
		},
		"an end not named": {url.Values{"expires": {"9000"}}, "select[name=expires][aria-invalid=true]", "Choose when"},
		"nothing ticked":   {url.Values{"what": {"some"}}, "p[id=actions-error]", "Select at least one"},
		"nothing chosen":   {url.Values{"what": {""}}, "p[id=actions-error]", "Choose what"},
		"beyond one's own": {
			url.Values{"what": {"some"}, "action": {"user:create"}},
			"p[id=actions-error]",
			"Select at least one",
		},
		"no app ticked": {url.Values{"where": {"apps"}}, "p[id=apps-error]", "at least one app"},
		"a foreign flow": {
			url.Values{"where": {"flows"}, "flow": {"of-somebody-else"}},
			"p[id=flows-error]",
			"at least one flow",
		},
		"no network": {
			url.Values{"networks": {"192.0.2.0/33"}},
			"textarea[name=networks][aria-invalid=true]",
			"is not a network",
		},
		"no number": {
			url.Values{"per_minute": {"many"}},
			"input[name=per_minute][aria-invalid=true]",
			"not a whole number",
		},
		"a number too big": {
			url.Values{"per_day": {"99999999999999999999"}},
			"input[name=per_day][aria-invalid=true]",
			"must be between",
		},
		"below nothing": {url.Values{"per_day": {"-1"}}, "input[name=per_day][aria-invalid=true]", "must be between"},
	} {
		t.Run(what, func(t *testing.T) {
			form := simpleKey("Kept name")
			for name, values := range test.change {
				form[name] = values
			}
			page := b.send(keysPath, form).want(t, 400, "").body
			has(t, page, test.has)
			says(t, page, test.says)
			if test.change["name"] == nil {
				has(t, page, "input[name=name][value=Kept name]")
			}
		})
	}
	form := simpleKey("Until tomorrow")
	form.Set("expires", "date")
	form.Set("date", tomorrow)
	b.madeKey(form)
	says(t, b.get(keysPath).body, "Until tomorrow", "Expires soon")
}

// TestKeys_OneFlow: the offered flows, the stored flows, and a terminal line that runs the flow at
// the app's own address.
func TestKeys_OneFlow(t *testing.T) {
	t.Parallel()
	s, ctx := newSite(t), context.Background()
	ann := s.add("ann", "user")
	f := newFlowise(t, "", "")
	a, err := s.apps.Manager.Ensure(ctx, authz.SystemPrincipal("serve"), app.Spec{URL: f.url, Name: "Flows"})
	fatal(t, err)
	other, err := s.people.CreateWorkspace(ctx, authz.SystemPrincipal("test"), "Research")
	fatal(t, err)
	for _, o := range []flow.Object{
		{ID: "f1", Kind: flow.Chatflow, Workspace: identity.DefaultWorkspace, Owner: ann.ID, Name: "Invoices"},
		{ID: "f2", Kind: flow.Agentflow, Workspace: identity.DefaultWorkspace, Name: "Complaints"},
		{ID: "f3", Kind: flow.Chatflow, Workspace: other.ID, Name: "Secret research"},
	} {
		o.App = a.ID
		fatal(t, s.flows.Claim(ctx, o))
	}
	b := s.signedIn("ann")
	page := b.get(keysPath+"/new").want(t, 200, "").body
	has(t, page, "input[name=flow][value=f1]", "input[name=flow][value=f2]", "input[name=app][value="+a.ID+"]")
	hasNot(t, page, "input[name=flow][value=f3]")

	form := url.Values{
		"name":    {"One flow"},
		"expires": {"latest"},
		"what":    {"some"},
		"action":  {"flow:run", "flow:view"},
		"where":   {"flows"},
		"flow":    {"f2"},
	}
	made := b.send(keysPath, form).want(t, 200, "").body
	says(
		t,
		made,
		"Try it: this runs Complaints",
		"curl -sS "+a.Origin(strings.TrimPrefix(s.url, "http://"))+"/api/v1/prediction/f2",
		`-d '{"question": "Hello"}'`,
	)
	list, err := s.keys.List(ctx, authz.SystemPrincipal("test"), authn.KeyFilter{Owner: ann.ID})
	fatal(t, err)
	if scope := list[0].Scope; len(scope.Apps) != 1 || scope.Apps[0] != a.ID || len(scope.Flows) != 1 ||
		len(scope.Actions) != 2 {
		t.Errorf("the key's scope is %+v", scope)
	}
	at := keysPath + "/" + list[0].ID
	has(
		t,
		b.get(at).body,
		"input[name=flow][value=f2][checked]",
		"input[name=action][value=flow:view][checked]",
		"input[name=where][value=flows][checked]",
	)
	says(t, b.get(keysPath).body, "Run flows; See flows", "Complaints")

	// Saving keeps entries that can no longer be selected.
	fatal(t, s.flows.Forget(ctx, a.ID, "f2"))
	form.Set("expires", "keep")
	form["action"] = []string{"flow:run"}
	b.send(at, form).want(t, 303, at)
	kept, err := s.keys.Get(ctx, authz.SystemPrincipal("test"), list[0].ID)
	fatal(t, err)
	if scope := kept.Scope; len(scope.Flows) != 1 || scope.Flows[0] != "f2" || len(scope.Apps) != 1 ||
		len(scope.Actions) != 1 {
		t.Errorf("after saving, the key's scope is %+v", scope)
	}
}

// TestKeys_TerminalLine runs it as people do: by a shell.
func TestKeys_TerminalLine(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("ann", "viewer")
	b := s.signedIn("ann")
	page := b.send(keysPath, simpleKey("it's mine")).want(t, 200, "").body
	lines := selectAll(page, "textarea[id=curl]")
	if len(lines) != 1 {
		t.Fatal("there is no line")
	}
	_, rest, _ := strings.Cut(page[strings.Index(page, `id="curl"`):], ">")
	text, _, _ := strings.Cut(rest, "</textarea>")
	text = strings.NewReplacer("&#39;", "'", "&#34;", `"`, "&amp;", "&", "/api/v1/me", "/flows").Replace(text)
	out, err := exec.Command("sh", "-c", text+" -o /dev/null -w '%{http_code}'").CombinedOutput()
	if err != nil || string(out) != "200" {
		t.Errorf("%s\nanswers %s, %v", text, out, err)
	}
}

func TestKeysOfOthers(t *testing.T) {
	t.Parallel()
	s, ctx := newSite(t), context.Background()
	ann := s.add("ann", "admin")
	s.add("bob", "user")
	eve := s.add("eve", "viewer")
	other, err := s.people.CreateWorkspace(ctx, authz.SystemPrincipal("test"), "Research")
	fatal(t, err)
	fatal(t, s.people.SetRole(ctx, authz.SystemPrincipal("test"), eve.ID, other.ID, authz.RoleAdmin))
	admin, bob, rival := s.signedIn("ann"), s.signedIn("bob"), s.signedIn("eve")
	key, id := bob.madeKey(simpleKey("Bob's"))
	const list = "/workspaces/default/keys"

	says(t, admin.get(list).want(t, 200, "").body, "Bob's", "bob", key[:12])
	has(t, admin.get("/workspaces/default").body, "a[href="+list+"]")
	hasNot(t, bob.get("/workspaces/default").body, "a[href="+list+"]")
	if page := admin.get(list).body; strings.Contains(page, key) {
		t.Error("an admin sees the key")
	}
	for path, status := range map[string]int{
		keysPath + "/" + id:                                   404,
		keysPath + "/" + id + "/revoke":                       404,
		"/workspaces/" + other.ID + "/keys/" + id + "/revoke": 404,
	} {
		admin.get(path).want(t, status, "")
	}
	admin.post(keysPath+"/"+id+"/rotate", "overlap", "0").want(t, 404, "")
	admin.post(keysPath+"/"+id+"/revoke").want(t, 404, "")
	bob.get(list).want(t, 403, "")
	rival.get(list).want(t, 403, "")
	rival.post("/workspaces/"+other.ID+"/keys/"+id+"/revoke").want(t, 404, "")
	rival.get(keysPath+"/"+id).want(t, 404, "")
	says(t, rival.get("/workspaces/"+other.ID+"/keys").want(t, 200, "").body, "No API key in this workspace")
	if !s.opens(key) {
		t.Fatal("the key was ended by somebody who may not")
	}
	says(
		t,
		admin.get(list+"/"+id+"/revoke").want(t, 200, "").body,
		"of bob",
		"DELETE /api/v1/workspaces/default/keys/"+id,
	)
	admin.post(list+"/"+id+"/revoke").want(t, 303, list)
	if s.opens(key) {
		t.Error("a revoked key opens")
	}

	// Keys make no keys, and a key of the workspace that one does not work in is only counted.
	own, ownID := admin.madeKey(simpleKey("Ann's"))
	bob.post(list+"/"+ownID+"/revoke").want(t, 404, "")
	bob.get(list+"/"+ownID+"/revoke").want(t, 404, "")
	program := s.browser()
	program.header.Set("Authorization", "Bearer "+own)
	program.get(keysPath).want(t, 403, "")
	program.send(keysPath, simpleKey("more")).want(t, 403, "")
	fatal(t, s.people.SetRole(ctx, authz.SystemPrincipal("test"), ann.ID, other.ID, authz.RoleViewer))
	admin.post("/workspace", "workspace", other.ID, "return", keysPath).want(t, 303, keysPath)
	page := admin.get(keysPath).want(t, 200, "").body
	says(t, page, "No API key in Research", "You have 1 key in other workspaces")
}

func TestKeys_FreshProof(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *options) { o.stepUp = 10 * time.Minute })
	s.add("ann", "user")
	b := s.signedIn("ann")
	s.clock.forward(11 * time.Minute)
	form := url.Values{
		"name":    {"Two actions"},
		"expires": {"30"},
		"what":    {"some"},
		"action":  {"flow:run", "flow:view"},
		"where":   {"all"},
	}
	asked := b.send(keysPath, form)
	if asked.status == 200 || keyText.MatchString(asked.body) {
		t.Fatalf("a key was made without a fresh proof: %d", asked.status)
	}
	has(
		t,
		asked.body,
		"input[name=confirm_password]",
		"input[type=hidden][name=action][value=flow:run]",
		"input[type=hidden][name=action][value=flow:view]",
	)
	form.Set("confirm_password", goodPassword)
	key, _ := b.madeKey(form)
	if !s.opens(key) && !strings.HasPrefix(key, "sluice_") {
		t.Error("no key after the proof")
	}
	says(t, b.get(keysPath).body, "Run flows; See flows")
}

// TestKeys_ActionsHaveTexts finds actions that came later than the form.
func TestKeys_ActionsHaveTexts(t *testing.T) {
	t.Parallel()
	known := map[authz.Action]bool{}
	for _, g := range keyActions() {
		for _, a := range g.Actions {
			if known[a.Action] {
				t.Errorf("%s stands there twice", a.Action)
			}
			known[a.Action] = true
		}
	}
	for _, a := range grantable() {
		if !known[a] {
			t.Errorf("a key may be for %s, and the form does not know it", a)
		}
		delete(known, a)
	}
	for a := range known {
		t.Errorf("no key can be for %s", a)
	}
}
