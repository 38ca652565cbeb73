package mail_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/mail"
)

// victim is the input of the child process of a kill test.
type victim struct {
	Folder, Postgres string
	Keys             string
	SMTP             mail.SMTP
	Deliver          bool
}

const victimVariable = "SLUICE_TEST_VICTIM"

func TestMain(m *testing.M) {
	if told := os.Getenv(victimVariable); told != "" {
		live(told)
		return
	}
	os.Exit(m.Run())
}

// live puts a mail into the outbox, reports that, and continues until it is killed.
func live(told string) {
	var v victim
	t := &child{}
	if err := json.Unmarshal([]byte(told), &v); err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(context.Background(), db.Config{Folder: v.Folder, Postgres: v.Postgres})
	if err != nil {
		t.Fatal(err)
	}
	c := mail.Config{DB: d, SMTP: v.SMTP, Host: "sluice.example.com", Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	sealed(t, d, v.Keys, &c)
	box, err := mail.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Gated(context.Background(),
		func(tx *db.Tx) error { return box.Put(context.Background(), tx, reset(), ann) }); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("stored\n")
	if v.Deliver {
		_ = box.Deliver(context.Background(), time.Now())
	}
	select {}
}

// child reports failures of the process that the test kills.
type child struct{ testing.TB }

func (*child) Helper() {}
func (*child) Fatal(args ...any) {
	slog.Error("the child process failed", "error", args)
	os.Exit(1)
}

// start runs a victim until it has stored its mail.
func start(t *testing.T, v victim) *exec.Cmd {
	t.Helper()
	told, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), victimVariable+"="+string(told))
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "stored\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	return c
}

func kill(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
}

// eachEngine is for tests whose data several processes open.
func eachEngine(t *testing.T, test func(t *testing.T, c db.Config)) {
	t.Run("sqlite", func(t *testing.T) { test(t, db.Config{Folder: dbtest.Folder(t)}) })
	t.Run("postgres", func(t *testing.T) { test(t, db.Config{Postgres: dbtest.Postgres(t)}) })
}

func TestKilledAfterPut(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, c db.Config) {
		server := listen(t, startTLS)
		keys := t.TempDir()
		kill(
			t,
			start(
				t,
				victim{Folder: c.Folder, Postgres: c.Postgres, Keys: keys, SMTP: mail.SMTP{Host: "127.0.0.1", Port: 1}},
			),
		)

		f := outboxIn(t, dbtest.Open(t, c), keys, server.SMTP)
		f.now = time.Now()
		f.deliver()
		if got := server.mails(); len(got) != 1 || !strings.Contains(parse(t, got[0].data).text, liveToken) ||
			f.only().State != mail.Sent {
			t.Errorf("%d mails arrived, state %s", len(got), f.only().State)
		}
	})
}

func TestKilledWhileSending(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, c db.Config) {
		reached, release := make(chan struct{}, 1), make(chan struct{})
		slow := listen(t, plain, func(s *mailServer) {
			s.onData = func(*smtp.Conn, io.Reader) error {
				reached <- struct{}{}
				<-release
				return errDropped
			}
		})
		keys := t.TempDir()
		slow.SMTP.Roots = nil
		child := start(t, victim{Folder: c.Folder, Postgres: c.Postgres, Keys: keys, SMTP: slow.SMTP, Deliver: true})
		<-reached
		kill(t, child)
		close(release)

		server := listen(t, startTLS)
		f := outboxIn(t, dbtest.Open(t, c), keys, server.SMTP)
		f.now = time.Now()
		f.deliver()
		if i := f.only(); i.State != mail.Sending || len(server.mails()) != 0 {
			t.Fatalf("the lease was not kept: %+v", i)
		}
		f.pass(6 * time.Minute)
		f.deliver()
		if i := f.only(); i.State != mail.Sent || i.Attempts != 2 || len(server.mails()) != 1 {
			t.Errorf("%+v, %d mails arrived", i, len(server.mails()))
		}
	})
}

// The worst moment: the server has the mail, the process dies before it can note that. The mail is
// sent twice under one Message-ID, and never lost.
func TestOutbox_KilledAfterAcceptance(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, c db.Config) {
		taken, release := make(chan string, 1), make(chan struct{})
		first := listen(t, plain, func(s *mailServer) {
			s.onData = func(_ *smtp.Conn, r io.Reader) error {
				data, err := io.ReadAll(r)
				taken <- string(data)
				<-release
				return err
			}
		})
		keys := t.TempDir()
		first.SMTP.Roots = nil
		child := start(t, victim{Folder: c.Folder, Postgres: c.Postgres, Keys: keys, SMTP: first.SMTP, Deliver: true})
		once := <-taken
		kill(t, child)
		close(release)

		server := listen(t, startTLS)
		f := outboxIn(t, dbtest.Open(t, c), keys, server.SMTP)
		f.now = time.Now().Add(6 * time.Minute)
		f.deliver()
		got := server.mails()
		if len(got) != 1 {
			t.Fatalf("%d mails arrived", len(got))
		}
		if a, b := parse(t, once).header.Get("Message-ID"), parse(t, got[0].data).header.Get("Message-ID"); a == "" ||
			a != b {
			t.Errorf("Message-ID %q, then %q", a, b)
		}
	})
}
