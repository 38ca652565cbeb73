package mail_test

import (
	"flag"
	"os"
	"path/filepath"
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

func TestMailsReadAsIntended(t *testing.T) {
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
func TestMailsHoldOneLinkAndLoadNothing(t *testing.T) {
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

func TestPreviewOfAnUnknownMail(t *testing.T) {
	f := outbox(t, dbtest.SQLite(t), mail.SMTP{})
	if _, err := f.Preview("../layout"); !problem.Is(err, problem.NotFound) {
		t.Errorf("Preview = %v, want not found", err)
	}
}

func TestALinkThatIsNoWebAddressIsRefused(t *testing.T) {
	f := outbox(t, dbtest.SQLite(t), mail.SMTP{Host: "127.0.0.1", Port: 1})
	for _, link := range []string{
		"javascript:alert(1)", "/reset?token=x", "https://", "https://a.example/\r\nBcc: x@evil.example", "https://u:p@a.example/", "https://a.example/\" onclick=\"x",
		"https://a.example/" + strings.Repeat("x", 3000), "https://a.example/\u202e",
	} {
		if err := putOnce(f, mail.PasswordReset{Link: link, Expires: time.Now()}, ann); err == nil {
			t.Errorf("a mail with the link %q was taken", link)
		}
	}
}
