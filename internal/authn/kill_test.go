package authn_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sluice/internal/db"
	q "sluice/internal/db/q/authn"
	"sluice/internal/dbtest"
)

// victim is the input of the child process of a kill test: where the data is, the refresh token
// that it holds, and whether it keeps the successor.
type victim struct {
	Folder, Postgres, Refresh string
	Mute                      bool
}

const victimVariable = "SLUICE_TEST_VICTIM"

func TestMain(m *testing.M) {
	if told := os.Getenv(victimVariable); told != "" {
		live(told)
	}
	os.Exit(m.Run())
}

// live refreshes until it is killed and says each token once it has it.
func live(told string) {
	var v victim
	t := &child{}
	if err := json.Unmarshal([]byte(told), &v); err != nil {
		t.Fatal(err)
	}
	d, err := db.Open(context.Background(), db.Config{Folder: v.Folder, Postgres: v.Postgres, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	o := open(t, d)
	for {
		p, err := o.tokens.Refresh(context.Background(), v.Refresh, program)
		if err != nil {
			t.Fatal(err)
		}
		if v.Mute {
			fmt.Println("rotated")
			select {}
		}
		v.Refresh = p.Refresh
		fmt.Println(p.Refresh)
	}
}

// child reports failures of the process that the test kills.
type child struct{ testing.TB }

func (*child) Helper()        {}
func (*child) Cleanup(func()) {}
func (*child) Fatal(args ...any) {
	slog.Error("the child process failed", "error", args)
	os.Exit(1)
}

// killed runs a victim, kills it after it has said some tokens, and returns the last one that it
// has said in full: that is what a program holds.
func killed(t *testing.T, v victim, after int) string {
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
	held, lines := "", bufio.NewReader(out)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		if held = strings.TrimSpace(line); n == after {
			if err := c.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = c.Wait()
	if held == "" {
		t.Fatal("the child said nothing")
	}
	return held
}

// TestKilledWhileRefreshing kills Sluice repeatedly at random moments while a program refreshes,
// and continues with the program's token.
func TestKilledWhileRefreshing(t *testing.T) {
	each := func(t *testing.T, c db.Config) {
		c.Now = time.Now
		var session, held string
		for round := range 6 {
			d, err := db.Open(context.Background(), c)
			if err != nil {
				t.Fatal(err)
			}
			o := open(t, d)
			if round == 0 {
				first := o.signIn(t, o.add(t, "ann").ID)
				session, held = first.SessionID, first.Refresh
			} else {
				p := o.next(t, held)
				if _, err := o.tokens.Verify(p.Access); err != nil || p.SessionID != session {
					t.Fatalf("round %d: %v", round, err)
				}
				held = p.Refresh
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			held = killed(t, victim{Folder: c.Folder, Postgres: c.Postgres, Refresh: held}, 7*round)
		}
	}
	t.Run("sqlite", func(t *testing.T) { each(t, db.Config{Folder: t.TempDir()}) })
	t.Run("postgres", func(t *testing.T) { each(t, db.Config{Postgres: dbtest.Postgres(t)}) })
}

// TestRefresh_KilledBeforeAnswer is the worst moment itself: the rotation is committed, and the
// process dies before the program hears of it.
func TestRefresh_KilledBeforeAnswer(t *testing.T) {
	each := func(t *testing.T, c db.Config) {
		c.Now = time.Now
		o := open(t, dbtest.Open(t, c))
		first := o.signIn(t, o.add(t, "ann").ID)
		if said := killed(t, victim{Folder: c.Folder, Postgres: c.Postgres, Refresh: first.Refresh, Mute: true},
			0); said != "rotated" {
			t.Fatalf("the child said %q", said)
		}
		f, err := q.New(o.db.Read()).GetRefreshFamily(context.Background(), first.SessionID)
		if err != nil || f.Generation != 2 {
			t.Fatalf("the rotation was not committed: generation %d, %v", f.Generation, err)
		}
		p := o.next(t, first.Refresh)
		if _, err := o.tokens.Verify(p.Access); err != nil {
			t.Error(err)
		}
		o.next(t, p.Refresh)
	}
	t.Run("sqlite", func(t *testing.T) { each(t, db.Config{Folder: t.TempDir()}) })
	t.Run("postgres", func(t *testing.T) { each(t, db.Config{Postgres: dbtest.Postgres(t)}) })
}
