package mail_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/dbtest"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMessage_Golden(t *testing.T) {
	t.Parallel()
	f := outbox(t, dbtest.SQLite(t), mail.SMTP{})
	for _, kind := range mail.Previews() {
		r, err := f.Preview(kind)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, kind+".txt", "Subject: "+r.Subject+"\n\n"+r.Text)
		golden(t, kind+".html", r.HTML)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// A mail holds one link, the same in both forms, and loads nothing.
func TestMessage_OneLink(t *testing.T) {
	t.Parallel()
	f := outbox(t, dbtest.SQLite(t), mail.SMTP{})
	address := regexp.MustCompile(`https?://[^\s"<]+`)
	loads := regexp.MustCompile(`(?i)<(img|script|link|iframe|object|embed)|src=|url\(|@import|background=`)
	for _, kind := range mail.Previews() {
		r, err := f.Preview(kind)
		if err != nil {
			t.Fatal(err)
		}
		links := map[string]bool{}
		for _, l := range append(address.FindAllString(r.Text, -1), address.FindAllString(r.HTML, -1)...) {
			links[l] = true
		}
		if want := 1; kind != "test" && len(links) != want || kind == "test" && len(links) != 0 {
			t.Errorf("%s holds the links %v", kind, links)
		}
		if found := loads.FindString(r.HTML); found != "" {
			t.Errorf("%s loads something: %q", kind, found)
		}
	}
}

// A mail without a sample would be rendered for the first time in the transaction that sends it,
// and a mistake in its templates would undo what a person has done there.
func TestMessage_Samples(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "message.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, m := range mail.Samples() {
		shown[reflect.TypeOf(m).Name()] = true
	}
	found := 0
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv == nil || f.Name.Name != "Kind" {
			continue
		}
		found++
		if name := f.Recv.List[0].Type.(*ast.Ident).Name; !shown[name] {
			t.Errorf("%s has no row in samples", name)
		}
	}
	if found != len(shown) {
		t.Errorf("message.go has %d mails, and %d are shown", found, len(shown))
	}
	used := map[string]bool{"layout": true}
	for _, kind := range mail.Previews() {
		used[kind] = true
	}
	templates, err := filepath.Glob("templates/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range templates {
		if name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)); !used[name] {
			t.Errorf("%s belongs to no mail that is shown", path)
		}
	}
}

func TestPreview_UnknownMail(t *testing.T) {
	t.Parallel()
	f := outbox(t, dbtest.SQLite(t), mail.SMTP{})
	if _, err := f.Preview("../layout"); !problem.Is(err, problem.NotFound) {
		t.Errorf("Preview = %v, want not found", err)
	}
}

func TestMessage_BadLink(t *testing.T) {
	t.Parallel()
	f := outbox(t, dbtest.SQLite(t), mail.SMTP{Host: "127.0.0.1", Port: 1})
	for _, link := range []string{
		"javascript:alert(1)", "/reset?token=x", "https://", "https://a.example/\r\nBcc: x@evil.example",
		"https://u:p@a.example/", "https://a.example/\" onclick=\"x",
		"https://a.example/" + strings.Repeat("x", 3000), "https://a.example/\u202e",
	} {
		if err := putOnce(f, mail.PasswordReset{Link: link, Expires: time.Now()}, ann); err == nil {
			t.Errorf("a mail with the link %q was taken", link)
		}
	}
}
