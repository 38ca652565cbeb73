package server_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sluice/internal/db"
	"sluice/internal/mail"
	"sluice/internal/server"
	"sluice/internal/sluicetest"
)

// mailbox is the session of a mail server that takes everything.
type mailbox chan string

func (m mailbox) Reset()                               {}
func (m mailbox) Logout() error                        { return nil }
func (m mailbox) Mail(string, *smtp.MailOptions) error { return nil }
func (m mailbox) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (m mailbox) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	m <- string(data)
	return err
}

func TestMail_SentAtOnce(t *testing.T) {
	t.Parallel()
	box := make(mailbox, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	back := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return box, nil }))
	go func() { _ = back.Serve(l) }()
	t.Cleanup(func() { _ = back.Close() })
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	s := sluicetest.Start(
		t,
		"SMTP_HOST=127.0.0.1",
		"SMTP_PORT="+port,
		"SMTP_SECURE=false",
		"SENDER_EMAIL=Flows <flows@example.com>",
	)
	ctx := context.Background()
	err = s.DB.Gated(ctx, func(tx *db.Tx) error {
		return s.Mail.Put(
			ctx,
			tx,
			mail.AddedToWorkspace{WorkspaceName: "Research", DashboardLink: s.MainOrigin("") + "/flows"},
			mail.Address{Email: "ann@example.com"},
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case data := <-box:
		if !strings.Contains(data, "From: \"Flows\" <flows@example.com>") || !strings.Contains(data, "@[127.0.0.1]>") {
			t.Errorf("the mail:\n%s", data)
		}
	// Sooner than the job's schedule, so it must have been woken.
	case <-time.After(10 * time.Second):
		t.Fatal("the mail does not leave")
	}
}

func TestMail_BrokenInvitationTemplate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "invite.hbs")
	if err := os.WriteFile(path, []byte("<p>\n{{workspace}}</p>"), 0o600); err != nil {
		t.Fatal(err)
	}
	core, err := server.OpenCore(
		context.Background(),
		sluicetest.Values(t, "WORKSPACE_INVITE_TEMPLATE_PATH="+path),
		slog.New(slog.DiscardHandler),
	)
	if err == nil {
		core.Close(context.Background())
		t.Fatal("started with a template that cannot be used")
	}
	for _, want := range []string{"WORKSPACE_INVITE_TEMPLATE_PATH", path, "line 2", `"workspace"`,
		"{{workspaceName}}"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}
