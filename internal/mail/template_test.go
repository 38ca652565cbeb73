package mail_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/dbtest"
	"sluice/internal/mail"
)

func writeTemplate(t testing.TB, source string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "invite.hbs")
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTemplate_Broken(t *testing.T) {
	t.Parallel()
	link := `<a href="{{registerLink}}">join</a>`
	for _, tt := range []struct {
		name, source string
		line         int
		problem      string
	}{
		{"unknown variable", link + "\n\n{{ workspace }}", 3, `uses "workspace"`},
		{"misspelled variable in triple braces", link + "\n{{{registerlink}}}", 2, `uses "registerlink"`},
		{"variable of another mail", link + "{{resetLink}}", 1, `uses "resetLink"`},
		{"path into a variable", link + "{{workspaceName.length}}", 1, `uses "workspaceName.length"`},
		{"outer context", link + "{{../workspaceName}}", 1, `uses "../workspaceName"`},
		{"everything", link + "{{this}}", 1, `uses "this"`},
		{"private data", link + "{{@root}}", 1, `uses "@root"`},
		{"unclosed block", "\n{{#if registerLink}}" + link, 2, "is not Handlebars"},
		{"unclosed expression", link + "\n{{workspaceName", 2, "is not Handlebars"},
		{"wrong closing", link + "\n{{#if workspaceName}}\n{{/unless}}", 3, "is not Handlebars"},
		{"partial", link + "\n{{> header}}", 2, "includes another template"},
		{"loop", link + "\n{{#each workspaceName}}x{{/each}}", 2, `uses the block "each"`},
		{"section", link + "\n{{#workspaceName}}x{{/workspaceName}}", 2, `uses the block "workspaceName"`},
		{"helper", link + "\n{{lookup workspaceName 1}}", 2, `uses "lookup" with parameters`},
		{"helper within a condition", link + "\n{{#if (equal workspaceName registerLink)}}x{{/if}}", 2, "uses an " +
			"expression"},
		{"unknown variable in a condition", link + "\n{{#if admin}}x{{/if}}", 2, `uses "admin"`},
		{"unknown variable in else", link + "{{#if workspaceName}}x{{else}}\n{{admin}}{{/if}}", 2, `uses "admin"`},
		{"no link", "<p>Welcome to {{workspaceName}}</p>", 0, "shows no link in an invitation"},
		{"link never shown", "{{#unless registerLink}}{{registerLink}}{{/unless}}", 0, "shows no link in an " +
			"invitation"},
		{"empty", "", 0, "shows no link in an invitation"},
		{"not text", "\xff\xfe" + link, 0, "is not a UTF-8 text"},
		{"too large", link + strings.Repeat("x", mail.MaxTemplate), 0, "is too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := writeTemplate(t, tt.source)
			_, err := mail.LoadTemplate(path)
			fault, ok := errors.AsType[*mail.TemplateError](err)
			if !ok {
				t.Fatalf("LoadTemplate = %v, want a *TemplateError", err)
			}
			if !strings.Contains(fault.Problem, tt.problem) || fault.Line != tt.line || fault.Path != path ||
				fault.Expected == "" {
				t.Errorf("fault %+v, want line %d and %q", fault, tt.line, tt.problem)
			}
		})
	}
}

func TestTemplate_Unreadable(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"missing": filepath.Join(t.TempDir(), "none.hbs"),
		"folder": t.TempDir()} {
		_, err := mail.LoadTemplate(path)
		if err == nil || !strings.Contains(err.Error(), path) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: %v, want an error that names the path once", name, err)
		}
	}
	if tpl, err := mail.LoadTemplate(""); tpl != nil || err != nil {
		t.Errorf("without a path: %v, %v", tpl, err)
	}
}

func withTemplate(t testing.TB, source string) func(*mail.Config) {
	t.Helper()
	loaded, err := mail.LoadTemplate(writeTemplate(t, source))
	if err != nil {
		t.Fatal(err)
	}
	return func(c *mail.Config) { c.Invite = loaded }
}

func TestTemplate_OperatorsTexts(t *testing.T) {
	t.Parallel()
	own := withTemplate(
		t,
		`{{! ours }}<h1>{{workspaceName}}</h1>{{#if registerLink}}<a href="{{{registerLink}}}">Join</a>{{else}}<a href="{{dashboardLink}}">Open</a>{{/if}}`,
	)
	f := outbox(t, dbtest.SQLite(t), mail.SMTP{}, own)
	invite, err := f.Preview("workspace-invite")
	if err != nil {
		t.Fatal(err)
	}
	want := `<h1>Research</h1><a href="https://sluice.example.com/register?token&#61;sample">Join</a>`
	if invite.HTML != want {
		t.Errorf("invitation %q, want %q", invite.HTML, want)
	}
	if !strings.Contains(invite.Text, "https://sluice.example.com/register?token=sample") {
		t.Error("the text form lost the link")
	}
	added, err := f.Preview("added-to-workspace")
	if err != nil {
		t.Fatal(err)
	}
	if want := `<h1>Research</h1><a href="https://sluice.example.com/flows">Open</a>`; added.HTML != want {
		t.Errorf("added %q, want %q", added.HTML, want)
	}
	if other, err := f.Preview("password-reset"); err != nil || strings.Contains(other.HTML, "<h1>Research") {
		t.Errorf("the template is used for other mails: %v", err)
	}
}

func TestTemplate_WithoutDashboardLink(t *testing.T) {
	t.Parallel()
	f := outbox(t, dbtest.SQLite(t), mail.SMTP{}, withTemplate(t, `<a href="{{registerLink}}">{{workspaceName}}</a>`))
	added, err := f.Preview("added-to-workspace")
	if err != nil || !strings.Contains(added.HTML, "https://sluice.example.com/flows") {
		t.Errorf("the added mail has no link: %v\n%s", err, added.HTML)
	}
}

// A workspace's name must not become part of the mail's markup, whichever braces the operator
// chose.
func TestTemplate_Escaping(t *testing.T) {
	t.Parallel()
	server := listen(t, plain)
	for name, set := range map[string][]func(*mail.Config){
		"built in": nil, "operator's": {withTemplate(t,
			`{{workspaceName}} {{{workspaceName}}} {{&workspaceName}} <a title="{{{workspaceName}}}" href="{{registerLink}}">x</a>`)},
	} {
		t.Run(name, func(t *testing.T) {
			f := outbox(t, dbtest.SQLite(t), server.SMTP, set...)
			before := len(server.mails())
			f.put(
				mail.WorkspaceInvite{
					WorkspaceName: "A<script>&\"'`b\r\nBcc: x@evil.example\n\n.\r\n",
					RegisterLink:  "https://sluice.example.com/register?token=a&b=c",
				},
				ann,
			)
			f.deliver()
			got := server.mails()
			if len(got) != before+1 {
				t.Fatalf("%d mails arrived", len(got)-before)
			}
			parsed := parse(t, got[before].data)
			if strings.Contains(parsed.html, "<script") || strings.Contains(parsed.html, "\"'") {
				t.Errorf("not escaped:\n%s", parsed.html)
			}
			if parsed.header.Get("Bcc") != "" || strings.Contains(parsed.text, "\nBcc") {
				t.Errorf("the name broke its line: %v\n%s", parsed.header, parsed.text)
			}
		})
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		`<a href="{{registerLink}}">{{workspaceName}}</a>`,
		"{{#if registerLink}}{{{registerLink}}}{{else}}{{dashboardLink}}{{/if}}",
		"{{#if", "{{{{raw}}}} {{{{/raw}}}}", "{{~registerLink~}}", "{{!-- c --}}{{registerLink}}",
		"{{[registerLink]}}", "{{#unless dashboardLink}}{{registerLink}}{{/unless}}",
		"{{^}}", "{{> x}}", "{{\"a\"}}", "\\{{a}}", "{{a.[}}",
	} {
		f.Add(seed, "A <b>")
	}
	dir := f.TempDir()
	path := filepath.Join(dir, "t.hbs")
	f.Fuzz(func(t *testing.T, source, workspace string) {
		if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		loaded, err := mail.LoadTemplate(path)
		if err != nil {
			if _, ok := errors.AsType[*mail.TemplateError](err); !ok {
				t.Fatalf("%v is no *TemplateError", err)
			}
			return
		}
		checkRendering(t, loaded, source, workspace)
	})
}

// checkRendering checks that an accepted template shows the link, and adds no markup of its own.
func checkRendering(t *testing.T, loaded *mail.Template, source, workspace string) {
	t.Helper()
	html, ok := mail.RenderInvite(loaded, "<i>"+workspace, "https://sluice.example.com/r?a&b")
	if !ok {
		t.Fatal("an accepted template does not render")
	}
	if !strings.Contains(html, "https://sluice.example.com/r?a&amp;b") {
		t.Errorf("the link is not shown: %q", html)
	}
	if strings.Contains(html, "<i>") && !strings.Contains(source, "<") {
		t.Errorf("the workspace's name became markup: %q", html)
	}
}
