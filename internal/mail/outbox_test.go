package mail_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"sluice/internal/db"
	q "sluice/internal/db/q/mail"
	"sluice/internal/dbtest"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

// stored is a mail's row as a thief of the database sees it; claiming is the only query that reads
// bodies.
func stored(t *testing.T, d *db.DB, at time.Time) (row q.ClaimMailRow) {
	t.Helper()
	undo := errors.New("undo")
	err := d.Gated(context.Background(), func(tx *db.Tx) (err error) {
		if row, err = q.New(tx).ClaimMail(context.Background(),
			q.ClaimMailParams{Lease: "thief", LeaseUntil: at.UnixMilli(), Now: at.UnixMilli()}); err != nil {
			return err
		}
		return undo
	})
	if !errors.Is(err, undo) {
		t.Fatal(err)
	}
	return row
}

func TestOutbox_SealSendWipe(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		server := listen(t, startTLS)
		f := outbox(t, d, server.SMTP)
		f.put(reset(), ann)
		if i := f.only(); i.State != mail.Waiting || i.Kind != "password-reset" || i.To != ann ||
			i.Subject != "Set a new password" ||
			i.Attempts != 0 {
			t.Errorf("before: %+v", i)
		}
		row := stored(t, d, f.now)
		if row.BodySealed == "" || strings.Contains(fmt.Sprint(row), liveToken) {
			t.Error("the stored mail can be read")
		}
		f.deliver()
		got := server.mails()
		if len(got) != 1 || !strings.Contains(parse(t, got[0].data).text, liveToken) {
			t.Fatalf("received %d mails", len(got))
		}
		i := f.only()
		if i.State != mail.Sent || i.Attempts != 1 || i.FinishedAt.Before(f.now) || i.LastError != "" {
			t.Errorf("after: %+v", i)
		}
		if err := d.Gated(context.Background(),
			func(tx *db.Tx) error { return f.Retry(context.Background(), tx, i.ID) }); !problem.Is(
			err,
			problem.Conflict,
		) {
			t.Errorf("a sent mail was sent again: %v", err)
		}
		f.deliver()
		if n := len(server.mails()); n != 1 {
			t.Errorf("%d mails arrived, want 1", n)
		}
	})
}

func TestOutbox_Transaction(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := outbox(t, d, mail.SMTP{Host: "127.0.0.1", Port: 1})
		boom := errors.New("boom")
		err := d.Gated(context.Background(), func(tx *db.Tx) error {
			if err := f.Put(context.Background(), tx, reset(), ann); err != nil {
				return err
			}
			return boom
		})
		if _, total, _ := f.List(context.Background(), mail.Filter{}); !errors.Is(err, boom) || total != 0 {
			t.Errorf("%v, %d mails; want none", err, total)
		}
	})
}

func TestOutbox_PutWakes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := outbox(t, d, mail.SMTP{Host: "127.0.0.1", Port: 1})
		<-f.Wake() // at the start
		f.put(reset(), ann)
		select {
		case <-f.Wake():
		default:
			t.Error("the outbox sleeps on")
		}
	})
}

func TestOutbox_NoServer(t *testing.T) {
	t.Parallel()
	f := outbox(t, dbtest.SQLite(t), mail.SMTP{})
	if err := putOnce(f, reset(), ann); f.Configured() || !problem.Is(err, problem.Unavailable) {
		t.Errorf("Put = %v, want unavailable", err)
	}
	if _, err := f.Test(context.Background(), ann); !problem.Is(err, problem.Unavailable) {
		t.Errorf("Test = %v, want unavailable", err)
	}
	f.deliver()
}

func TestOutbox_Retries(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		server := listen(t, startTLS, func(s *mailServer) { s.onRcpt = refuses(450, "greylisted") })
		f := outbox(t, d, server.SMTP)
		start := f.now
		f.put(reset(), ann)
		var waits []time.Duration
		for range 200 {
			f.deliver()
			i := f.only()
			if i.State != mail.Waiting {
				break
			}
			// The next try is counted from the end of this one.
			waits = append(waits, i.DueAt.Sub(f.clock()).Truncate(time.Minute))
			f.pass(i.DueAt.Sub(f.clock()))
		}
		if diff := cmp.Diff([]time.Duration{1, 2, 4, 8, 16, 32, 60, 60}, minutes(waits[:8])); diff != "" {
			t.Errorf("waits in minutes (-want +got):\n%s", diff)
		}
		i := f.only()
		if i.State != mail.Failed || i.Trouble != mail.TroubleLater || i.LastError != "450 greylisted" ||
			i.Attempts != server.connections() {
			t.Errorf("at the end: %+v after %d conversations", i, server.connections())
		}
		if tried := f.clock().Sub(start); tried != mail.GiveUpAfter {
			t.Errorf("given up after %v, want %v", tried, mail.GiveUpAfter)
		}
	})
}

func minutes(in []time.Duration) []time.Duration {
	out := make([]time.Duration, len(in))
	for i, d := range in {
		out[i] = d / time.Minute
	}
	return out
}

func TestOutbox_RefusedRecipient(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var open atomic.Bool
		server := listen(t, startTLS, func(s *mailServer) {
			s.onRcpt = func(to string) error {
				if open.Load() {
					return nil
				}
				return refuses(550, "no such user")(to)
			}
		})
		f := outbox(t, d, server.SMTP)
		f.put(reset(), ann)
		f.deliver()
		i := f.only()
		if i.State != mail.Failed || i.Trouble != mail.TroubleRecipient || i.LastError != "550 no such user" ||
			i.Attempts != 1 {
			t.Fatalf("%+v", i)
		}
		if s, err := f.Status(context.Background()); err != nil || s.Failed != 1 || s.Waiting != 0 ||
			!s.PausedUntil.IsZero() {
			t.Errorf("status %+v, %v: one recipient is no reason to pause", s, err)
		}
		open.Store(true)
		f.pass(24 * time.Hour)
		f.deliver()
		if n := len(server.mails()); n != 0 {
			t.Fatalf("a failed mail was tried again by itself: %d", n)
		}
		if err := d.Gated(context.Background(),
			func(tx *db.Tx) error { return f.Retry(context.Background(), tx, i.ID) }); err != nil {
			t.Fatal(err)
		}
		f.deliver()
		if n := len(server.mails()); n != 1 || f.only().State != mail.Sent {
			t.Errorf("%d mails, state %s", n, f.only().State)
		}
	})
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		server := listen(t, startTLS)
		f := outbox(t, d, server.SMTP)
		ctx := context.Background()
		f.put(reset(), ann)
		id := f.only().ID
		discard := func(id string) error {
			return d.Gated(ctx,
				func(tx *db.Tx) error { return f.Discard(ctx, tx, id) })
		}
		if err := discard(id); err != nil {
			t.Fatal(err)
		}
		f.deliver()
		if len(server.mails()) != 0 || f.only().State != mail.Discarded {
			t.Errorf("a discarded mail went out: %+v", f.only())
		}
		if err := discard(id); !problem.Is(err, problem.Conflict) {
			t.Errorf("discarding twice: %v", err)
		}
		if err := d.Gated(ctx, func(tx *db.Tx) error { return f.Retry(ctx, tx, id) }); !problem.Is(
			err,
			problem.Conflict,
		) {
			t.Errorf("a discarded mail can be sent: %v", err)
		}
		if err := discard("none"); !problem.Is(err, problem.NotFound) {
			t.Errorf("discarding what is not there: %v", err)
		}
		if _, err := f.Get(ctx, "none"); !problem.Is(err, problem.NotFound) {
			t.Errorf("getting what is not there: %v", err)
		}
		f.pass(mail.KeepFor + time.Hour)
		f.deliver()
		if _, err := f.Get(ctx, id); !problem.Is(err, problem.NotFound) {
			t.Errorf("kept too long: %v", err)
		}
	})
}

// A mail server that is down for a day: few attempts, nothing lost, and everything out as soon as
// it is back.
func TestOutbox_DayLongOutage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const people = 30
		port := freePort(t)
		down := mail.SMTP{Host: "127.0.0.1", Port: port}
		keys := t.TempDir()
		f := outboxIn(t, d, keys, down)
		for n := range people {
			f.put(reset(), mail.Address{Email: fmt.Sprintf("p%d@example.com", n)})
		}
		attempts := 0
		for range 24 * 4 {
			f.deliver()
			f.pass(15 * time.Minute)
		}
		items, total, err := f.List(context.Background(), mail.Filter{Limit: 200})
		if err != nil || total != people {
			t.Fatalf("%d mails, %v", total, err)
		}
		for _, i := range items {
			attempts += i.Attempts
			if i.State != mail.Waiting || i.Attempts > 0 && i.Trouble != mail.TroubleConnect {
				t.Errorf("%+v", i)
			}
		}
		if attempts < 24*4 || attempts > 24*4*5 {
			t.Errorf("%d attempts in a day, want a handful in each round", attempts)
		}
		if n := strings.Count(f.log.String(), "accepts no mail"); n != 1 {
			t.Errorf("the failure was logged %d times, want once:\n%s", n, f.log)
		}
		server := listen(t, startTLS)
		// The server comes back while Sluice was restarted: another process, the same keys and
		// data.
		back := outboxIn(t, d, keys, server.SMTP)
		back.now = f.now.Add(time.Minute)
		back.deliver()
		back.deliver()
		if n := len(server.mails()); n != people {
			t.Errorf("%d of %d mails arrived", n, people)
		}
	})
}

func TestOutbox_Pause(t *testing.T) {
	t.Parallel()
	server := listen(t, startTLS, withAuth)
	server.SMTP.Password = "wrong-secret-word"
	f := outbox(t, dbtest.SQLite(t), server.SMTP)
	for n := range 20 {
		f.put(reset(), mail.Address{Email: fmt.Sprintf("p%d@example.com", n)})
	}
	f.deliver()
	first := server.connections()
	if first == 0 || first > 5 {
		t.Errorf("%d sign-ins with a wrong password, want at most 5: providers lock accounts", first)
	}
	f.deliver()
	if again := server.connections(); again != first {
		t.Errorf("the pause was not kept: %d, then %d", first, again)
	}
	s, err := f.Status(context.Background())
	if err != nil || s.PausedUntil.IsZero() || s.Waiting != 20 {
		t.Errorf("status %+v, %v", s, err)
	}
	items, _, err := f.List(context.Background(), mail.Filter{State: mail.Waiting, Limit: 200})
	if err != nil || strings.Contains(fmt.Sprint(items, f.log), "wrong-secret-word") {
		t.Errorf("the password shows: %v", err)
	}
}

func TestOutbox_SeveralNodes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const nodes, people = 3, 40
		var busy, most atomic.Int64
		server := listen(t, startTLS, func(s *mailServer) {
			s.onData = func(*smtp.Conn, io.Reader) error {
				defer busy.Add(-1)
				for n := busy.Add(1); ; {
					if top := most.Load(); n <= top || most.CompareAndSwap(top, n) {
						return nil
					}
				}
			}
		})
		keys := t.TempDir()
		var boxes []*fixture
		for range nodes {
			boxes = append(boxes, outboxIn(t, d, keys, server.SMTP))
		}
		for n := range people {
			boxes[0].put(reset(), mail.Address{Email: fmt.Sprintf("p%d@example.com", n)})
		}
		var wg sync.WaitGroup
		errs := make(chan error, nodes)
		for _, b := range boxes {
			wg.Go(func() { errs <- b.Deliver(context.Background(), b.clock()) })
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Error(err)
			}
		}
		// A node that lost a race for one mail leaves the rest to the others; together they leave
		// none.
		boxes[0].deliver()
		times := map[string]int{}
		for _, m := range server.mails() {
			times[m.to]++
		}
		for n := range people {
			if to := fmt.Sprintf("p%d@example.com", n); times[to] != 1 {
				t.Errorf("%s got %d mails", to, times[to])
			}
		}
		if most.Load() > 5*nodes {
			t.Errorf("%d conversations at once, want at most 5 a node", most.Load())
		}
	})
}

func TestOutbox_Full(t *testing.T) {
	t.Parallel()
	f := outbox(t, dbtest.SQLite(t), mail.SMTP{Host: "127.0.0.1", Port: 1})
	ctx := context.Background()
	err := f.db.Gated(ctx, func(tx *db.Tx) error {
		for n := range mail.MaxWaiting - 1 {
			if err := q.New(tx).InsertMail(ctx,
				q.InsertMailParams{ID: fmt.Sprint(n), Kind: "test", Recipient: "x@example.com", BodySealed: "x", Now: 1,
					GiveUpAt: 2}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	f.put(reset(), ann)
	if err := putOnce(f, reset(), ann); !problem.Is(err, problem.Unavailable) {
		t.Errorf("mail %d: %v, want unavailable", mail.MaxWaiting+1, err)
	}
}

func TestOutbox_UnreadableMail(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		server := listen(t, startTLS)
		f := outbox(t, d, server.SMTP)
		ctx := context.Background()
		err := d.Gated(ctx, func(tx *db.Tx) error {
			return q.New(tx).
				InsertMail(ctx, q.InsertMailParams{ID: "0", Kind: "test", Recipient: "x@example.com",
					BodySealed: "AAAA", Now: f.now.UnixMilli(), GiveUpAt: f.now.Add(time.Hour).UnixMilli()})
		})
		if err != nil {
			t.Fatal(err)
		}
		f.put(reset(), ann)
		f.deliver()
		i, err := f.Get(ctx, "0")
		if err != nil || i.State != mail.Failed || i.Trouble != mail.TroubleUnreadable {
			t.Errorf("%+v, %v", i, err)
		}
		if n := len(server.mails()); n != 1 {
			t.Errorf("%d mails arrived, want the other one", n)
		}
	})
}

func TestOutbox_List(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		f := outbox(t, d, mail.SMTP{Host: "127.0.0.1", Port: 1})
		for n := range 5 {
			f.put(reset(), mail.Address{Email: fmt.Sprintf("p%d_x@example.com", n)})
			f.pass(time.Second)
		}
		f.put(
			mail.AddedToWorkspace{WorkspaceName: "Research 100%", DashboardLink: "https://sluice.example.com/flows"},
			ann,
		)
		for _, tt := range []struct {
			name   string
			filter mail.Filter
			want   []string
			total  int
		}{
			{"newest first", mail.Filter{Limit: 2}, []string{"ann@example.com", "p4_x@example.com"}, 6},
			{"next page", mail.Filter{Limit: 2, Offset: 2}, []string{"p3_x@example.com", "p2_x@example.com"}, 6},
			{"beyond the end", mail.Filter{Offset: 100}, []string{}, 6},
			{"recipient", mail.Filter{Query: "ANN@"}, []string{"ann@example.com"}, 1},
			{"subject, with a sign that LIKE knows", mail.Filter{Query: "100%"}, []string{"ann@example.com"}, 1},
			{"underscore is no joker", mail.Filter{Query: "0_x@", State: mail.Waiting}, []string{"p0_x@example.com"},
				1},
			{"percent is no joker", mail.Filter{Query: "a%n"}, []string{}, 0},
			{"state", mail.Filter{State: mail.Sent}, []string{}, 0},
		} {
			items, total, err := f.List(context.Background(), tt.filter)
			got := []string{}
			for _, i := range items {
				got = append(got, i.To.Email)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || total != tt.total || err != nil {
				t.Errorf("%s: %d in all, %v (-want +got):\n%s", tt.name, total, err, diff)
			}
		}
	})
}

// When Sluice stops while a server is slow, the mail waits and is not blamed.
func TestOutbox_StopDuringSend(t *testing.T) {
	d := dbtest.SQLite(t)
	reached, release := make(chan struct{}), make(chan struct{})
	server := listen(t, startTLS, func(s *mailServer) {
		s.onRcpt = func(string) error {
			close(reached)
			<-release
			return nil
		}
	})
	f := outbox(t, d, server.SMTP)
	f.put(reset(), ann)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Deliver(ctx, f.clock()) }()
	<-reached
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	close(release)
	if i := f.only(); i.State != mail.Waiting || i.Trouble != "" || !strings.Contains(i.LastError, "stopped") {
		t.Errorf("%+v", i)
	}
	if strings.Contains(f.log.String(), "accepts no mail") {
		t.Error("the server was blamed")
	}
}
