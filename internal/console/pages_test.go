package console

import (
	"bytes"
	"context"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/a-h/templ"
)

func rendered(t *testing.T, page templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	if err := page.Render(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestEveryPage holds what is true of all pages: nothing inline, one heading, labelled inputs, no
// reference that leads nowhere.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("../web/assets/dist/sluice.css")
	if err != nil {
		t.Fatal(err)
	}
	classes := knownClasses(string(css))
	for name, component := range samples() {
		t.Run(name, func(t *testing.T) {
			page := rendered(t, component)
			has(t, page, "html[lang=en]", "main[id=main]", "a[href=#main]", "meta[name=viewport]")
			if n := len(selectAll(page, "h1")); n != 1 {
				t.Errorf("%d headings of the first level, want 1", n)
			}
			checkNothingInline(t, page)
			checkReferences(t, page)
			checkControls(t, page)
			checkClasses(t, page, classes)
		})
	}
}

func checkNothingInline(t *testing.T, page string) {
	t.Helper()
	for _, e := range parse(page) {
		if e.name == "style" || e.name == "script" && e.attrs["src"] == "" {
			t.Errorf("an inline <%s>", e.name)
		}
		for key, value := range e.attrs {
			if key == "style" || strings.HasPrefix(key, "on") ||
				strings.HasPrefix(strings.ToLower(value), "javascript:") {
				t.Errorf("<%s %s=%q> needs an exception from the policy", e.name, key, value)
			}
		}
		if src := e.attrs["src"]; src != "" && !strings.HasPrefix(src, "/.sluice/assets/") && e.name != "iframe" {
			t.Errorf("%q is loaded from elsewhere", src)
		}
	}
}

func checkReferences(t *testing.T, page string) {
	t.Helper()
	ids := map[string]bool{}
	for _, e := range selectAll(page, "[id]") {
		if ids[e.attrs["id"]] {
			t.Errorf("two elements have the id %q", e.attrs["id"])
		}
		ids[e.attrs["id"]] = true
	}
	for _, e := range parse(page) {
		for _, key := range []string{"for", "aria-describedby", "aria-labelledby", "data-copy", "data-reveal"} {
			for id := range strings.FieldsSeq(e.attrs[key]) {
				if !ids[id] {
					t.Errorf("<%s %s=%q>: there is no such element", e.name, key, id)
				}
			}
		}
	}
	if strings.Contains(page, `focusable="false"></svg>`) {
		t.Error("an icon is empty: its name is not in icons.txt")
	}
}

func checkControls(t *testing.T, page string) {
	t.Helper()
	labelled := map[string]bool{}
	for _, l := range selectAll(page, "label[for]") {
		labelled[l.attrs["for"]] = true
	}
	for _, e := range selectAll(page, "input") {
		kind := e.attrs["type"]
		named := labelled[e.attrs["id"]] || e.attrs["aria-label"] != "" || e.attrs["aria-hidden"] == "true"
		if kind != "hidden" && kind != "radio" && !named {
			t.Errorf("the input %q has no label", e.attrs["name"])
		}
		if kind == "password" && e.attrs["value"] != "" {
			t.Errorf("the password field %q is filled in", e.attrs["name"])
		}
	}
	for _, e := range selectAll(page, "select") {
		if !labelled[e.attrs["id"]] && e.attrs["aria-label"] == "" {
			t.Errorf("the list %q has no label", e.attrs["name"])
		}
	}
	for _, f := range selectAll(page, "form") {
		if !strings.HasPrefix(f.attrs["action"], "/") {
			t.Errorf("a form leads to %q", f.attrs["action"])
		}
	}
}

// checkClasses finds class names that the style sheet does not know: a slip in a template, or a
// style sheet that was not built again.
func checkClasses(t *testing.T, page string, known map[string]bool) {
	t.Helper()
	for _, e := range selectAll(page, "[class]") {
		for class := range strings.FieldsSeq(e.attrs["class"]) {
			if !known[class] {
				t.Errorf("<%s class=%q>: the style sheet has no .%s", e.name, e.attrs["class"], class)
			}
		}
	}
}

var classPattern = regexp.MustCompile(`\.([a-zA-Z][a-zA-Z0-9_-]*)`)

func knownClasses(css string) map[string]bool {
	known := map[string]bool{}
	for _, m := range classPattern.FindAllStringSubmatch(css, -1) {
		known[m[1]] = true
	}
	return known
}

// expectation is what a page holds and says.
type expectation struct{ has, says []string }

// doorExpectations are of the pages for people who come in, and of the apps.
func doorExpectations() map[string]expectation {
	return map[string]expectation{
		"setup": {
			has: []string{
				"form[method=post][action=/setup]",
				"input[name=email][type=email][required]",
				"input[name=username][required]",
				"input[name=password][autocomplete=new-password]",
				"button[data-reveal=f-password]",
			},
			says: []string{"Create the first admin", "At least 15 characters", "sluice user create"},
		},
		"setup-wrong": {
			has:  []string{"input[name=password][aria-invalid=true]", "input[name=email][value=ann@example.com]"},
			says: []string{"too short"},
		},
		"setup-closed": {says: []string{"no longer valid", "prints a new link", "--superuser"}},
		"setup-done":   {has: []string{"a[href=/login]"}},
		"setup-apps-owner": {
			has:  []string{"input[name=how][value=register]", "input[name=return][value=/setup/apps]"},
			says: []string{"Register the service owner"},
		},
		"setup-apps-login": {
			has:  []string{"input[name=owner_email]", "input[name=owner_password][type=password]"},
			says: []string{"did not accept"},
		},
		"setup-apps-none":  {has: []string{"input[name=url][type=url]"}},
		"setup-apps-ready": {says: []string{"Continue to Verify"}},
		"login": {
			has: []string{
				"input[name=identifier][autocomplete=username webauthn][autofocus]",
				"input[name=password][autocomplete=current-password]",
			},
		},
		"login-app": {
			has: []string{
				"input[name=identifier][value=ann]",
				"input[name=app][value=x]",
				"input[name=return][value=/canvas/1]",
				"[role=alert]",
			},
			says: []string{"to continue to"},
		},
		"login-wait":     {says: []string{"Try again in 2 minutes"}},
		"login-no-admin": {says: []string{"one-time link that Sluice printed"}},
		"signed-out":     {has: []string{"a[href=/login]"}},
		"home-admin": {
			has:  []string{"a[href=/admin]"},
			says: []string{"Open Flowise", "2 of 5 done", "Hello, Ann"},
		},
		"home-admin-nothing": {
			has:  []string{"a[href=/admin/apps/new]"},
			says: []string{"such as Flowise or Langflow."},
		},
		"apps-none": {
			says: []string{"No app is connected", "running Flowise or Langflow, or", "sluice serve --protect"},
		},
		"app-found": {
			has: []string{"input[name=owner_email]", "input[name=public_url]", "input[name=url][type=hidden]"},
		},
		"app-generic": {says: []string{"does not look like a builder"}},
		"app": {
			says: []string{
				"0c1f7c0e-5d6b-4c3e-9a55-1d2f3e4a5b6c",
				"Publish to everyone",
				"Offer to this workspace",
				"Detect",
			},
		},
		"app-removed": {has: []string{"input[id=owner-password][readonly]"}},
		"verify": {
			has:  []string{"[data-stream-check]", "[data-whoami]"},
			says: []string{"No way around Sluice", "127.0.0.1"},
		},
		"unowned": {
			has: []string{
				"input[type=checkbox][name=object][value=1][checked]",
				"button[name=what][value=all]",
				"select[name=workspace]",
			},
			says: []string{"Give all 2", "Credentials"},
		},
		"unowned-none":    {says: []string{"Everything has an owner"}},
		"unowned-nowhere": {says: []string{"No workspace uses this app"}},
		"forgot-no-mail":  {says: []string{"Ask an admin"}},
		"verify-email":    {has: []string{"form[method=post][action=/verify]"}, says: []string{"ann@example.com"}},
		"email-change":    {has: []string{"form[action=/email]", "form[action=/email/cancel]"}},
		"invite": {
			has:  []string{"input[name=username][required]", "input[name=password][type=password]"},
			says: []string{"Join Research"},
		},
		"invite-known": {has: []string{"a[href=/login?return=%2Finvite]"}},
		"invite-same":  {says: []string{"Join as ann"}},
		"invite-other": {has: []string{"form[action=/logout]"}, says: []string{"different address"}},
	}
}

// peopleExpectations are of the pages about people, and of those that they work with.
func peopleExpectations() map[string]expectation {
	return map[string]expectation{
		"flows-no-workspace": {says: []string{"You belong to no workspace"}},
		"people": {
			has: []string{
				"a[rel=next]",
				"a[rel=prev]",
				"input[type=search][hx-get=/admin]",
				"a[href=/admin/people/new]",
				"form[action=/admin/people/d/active]",
			},
			says: []string{"51–54 of 214 people", "No password yet", "New User", "Admin Page"},
		},
		"people-none": {says: []string{"“<zz>”"}},
		"person-link": {
			has:  []string{"input[id=one-time-link][readonly]", "button[data-copy=one-time-link]"},
			says: []string{"works once, and expires in 1 day"},
		},
		"person-off": {says: []string{"Activate bob", "last active superuser", "sluice user enable bob"}},
		"person-new": {
			has: []string{
				"input[name=username][required]",
				"input[name=password][type=password]",
				"input[name=password_confirm]",
				"input[type=checkbox][name=active][checked]",
				"input[type=checkbox][name=superuser]",
			},
			says: []string{"New User", "Confirm Password", "Superuser", "Active", "Save", "This username is taken"},
		},
		"person-left": {says: []string{"bob is out", "2 sessions are signed out"}},
		"person-waiting": {
			has:  []string{"form[action=/admin/people/d/active]"},
			says: []string{"is waiting for approval"},
		},
		"person-rights": {
			has:  []string{"a[aria-current=page]"},
			says: []string{"role Prompt author", "no policy permits it", "1 of 2 permissions"},
		},
		"person-remove": {has: []string{"input[name=heir]"}},
		"workspace": {
			has: []string{
				"select[name=role]",
				"form[action=/workspaces/default/members/b/remove]",
				"form[action=/workspaces/default/invitations/1/revoke]",
			},
			says: []string{"expired 1 hour ago"},
		},
		"workspace-invited": {
			has:  []string{"input[id=invitation-link][readonly]"},
			says: []string{"works once", "sends no mail"},
		},
		"workspace-added": {says: []string{"belongs to the workspace now", "A mail tells them"}},
		"role": {
			has: []string{
				"input[type=checkbox][name=permission][value=chatflows:view][checked]",
				"form[action=/admin/roles/x/delete]",
				"button[data-all]",
			},
		},
		"role-built-in": {has: []string{"a[href=/admin/roles/new?from=viewer]"}, says: []string{"cannot be changed"}},
		"mail-none":     {says: []string{"SMTP_HOST", "Everything works without"}},
		"mail-said":     {says: []string{"535 5.7.8", "It failed at: sign in", "EHLO"}},
		"mail": {
			has:  []string{"form[action=/admin/mail/1/retry]", "form[action=/admin/mail/3/discard]"},
			says: []string{"550 no such user"},
		},
		"mail-preview": {has: []string{"iframe[sandbox][src=/admin/mail/previews/password-reset/html]"}},
		"flows": {
			has: []string{
				"a[href=/enter?app=a&return=%2Fv2%2Fagentcanvas%2F1]",
				"input[type=search]",
				"input[name=return][value=/enter?app=b]",
			},
			says: []string{"Answers about invoices", "2 flows", "Switch and open"},
		},
		"flows-first":  {says: []string{"No flow in this workspace yet", "Open Flowise"}},
		"flows-no-app": {has: []string{"a[href=/admin/apps/new]"}},
		"workspace-new": {
			has: []string{"input[type=checkbox][name=app][value=b][checked]", "input[name=name][aria-invalid=true]"},
		},
		"flows-elsewhere": {has: []string{"a[href=/admin/apps]"}, says: []string{"No app is offered"}},
		"flows-search":    {says: []string{"“<zz>”"}},
		"account-devices": {says: []string{"This one", "Safari on iPhone"}},
		"security": {
			has:  []string{"input[name=old_password][autocomplete=current-password]", "form[data-passkey=create]"},
			says: []string{"3 of 10 left", "Work laptop", "ann@example.com"},
		},
		"security-none": {says: []string{"requires a second factor", "Passkeys cannot be created here"}},
		"confirm": {
			has: []string{
				"input[type=hidden][name=password][value=a new password]",
				"input[name=confirm_code][autocomplete=one-time-code]",
				"input[name=confirm_passkey][type=hidden]",
			},
		},
	}
}

func TestPagesSay(t *testing.T) {
	t.Parallel()
	all, tests := samples(), doorExpectations()
	maps.Copy(tests, peopleExpectations())
	maps.Copy(tests, langflowExpectations())
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			component, ok := all[name]
			if !ok {
				t.Fatal("there is no such sample")
			}
			page := rendered(t, component)
			has(t, page, test.has...)
			says(t, page, test.says...)
		})
	}
}

func TestPages_AllowedStepsOnly(t *testing.T) {
	t.Parallel()
	hasNot(
		t,
		rendered(t, samples()["flows-no-workspace"]),
		"a[href=/admin/apps/new]",
		"a[href=/admin/apps]",
		"a[href=/admin/people]",
	)
	viewer := rendered(t, samples()["flows-viewer-none"])
	hasNot(t, viewer, "a[href=/admin]", "a[href=/admin/apps]", "a[href=/admin/mail]", "a[href=/admin/roles]")
	has(t, viewer, "a[href=/flows]", "a[href=/workspaces]", "a[href=/account]")
	member := rendered(t, samples()["workspace-member"])
	hasNot(
		t,
		member,
		"form[action=/workspaces/default/invitations]",
		"form[action=/workspaces/default/name]",
		"select[name=role]",
		"a[href=/admin/people/a]",
	)
}
