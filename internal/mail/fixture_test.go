package mail_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"sluice/internal/db"
	"sluice/internal/mail"
	"sluice/internal/secret"
)

var ann = mail.Address{Name: "Ann Example", Email: "ann@example.com"}

// fixture is an outbox with a clock that stands still until it is moved.
type fixture struct {
	*mail.Outbox
	t   *testing.T
	db  *db.DB
	log *bytes.Buffer

	mu  sync.Mutex
	now time.Time
}

func outbox(t *testing.T, d *db.DB, server mail.SMTP, set ...func(*mail.Config)) *fixture {
	t.Helper()
	return outboxIn(t, d, t.TempDir(), server, set...)
}

func outboxIn(t *testing.T, d *db.DB, keys string, server mail.SMTP, set ...func(*mail.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, db: d, log: &bytes.Buffer{}, now: time.Date(2025, 11, 21, 19, 30, 0, 0, time.UTC)}
	c := mail.Config{
		DB:   d,
		SMTP: server,
		Host: "sluice.example.com",
		Now:  f.clock,
		Log:  slog.New(slog.NewTextHandler(f.log, nil)),
	}
	sealed(t, d, keys, &c)
	for _, s := range set {
		s(&c)
	}
	var err error
	if f.Outbox, err = mail.New(c); err != nil {
		t.Fatal(err)
	}
	return f
}

func sealed(t testing.TB, d *db.DB, keys string, c *mail.Config) {
	t.Helper()
	ring, err := secret.Open(context.Background(), secret.Config{DB: d, Folder: keys})
	if err != nil {
		t.Fatal(err)
	}
	c.Seal = func(data []byte, row string) ([]byte, error) { return ring.Seal(data, "mail", row) }
	c.Open = func(data []byte, row string) ([]byte, error) { return ring.Open(data, "mail", row) }
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fixture) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

const liveToken = "live-token-123456789"

func reset() mail.PasswordReset {
	return mail.PasswordReset{
		Name:    "Ann",
		Link:    "https://sluice.example.com/reset?token=" + liveToken,
		Expires: time.Date(2025, 11, 21, 19, 45, 0, 0, time.UTC),
	}
}

func (f *fixture) put(m mail.Message, to mail.Address) {
	f.t.Helper()
	if err := f.db.Gated(context.Background(),
		func(tx *db.Tx) error { return f.Put(context.Background(), tx, m, to) }); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) deliver() {
	f.t.Helper()
	if err := f.Deliver(context.Background(), f.clock()); err != nil {
		f.t.Fatal(err)
	}
}

// only returns the one mail of the outbox.
func (f *fixture) only() mail.Item {
	f.t.Helper()
	items, total, err := f.List(context.Background(), mail.Filter{})
	if err != nil || total != 1 || len(items) != 1 {
		f.t.Fatalf("the outbox holds %d mails, %v; want 1", total, err)
	}
	return items[0]
}
