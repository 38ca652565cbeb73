package db_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/db"
	q "sluice/internal/db/q/db"
	qidentity "sluice/internal/db/q/identity"
	"sluice/internal/dbtest"
)

func TestTx_RollBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		boom := errors.New("boom")
		err := d.Gated(ctx, func(tx *db.Tx) error {
			if err := q.New(tx).PutMeta(ctx, q.PutMetaParams{Name: "a", Value: "1"}); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("Tx = %v, want boom", err)
		}
		if v, err := q.New(d.Read()).GetMeta(ctx, "a"); err == nil {
			t.Errorf("the value %q survived the rollback", v)
		}
	})
}

func TestTx_ConcurrentWriters(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		const writers, each = 8, 25
		var wg sync.WaitGroup
		errs := make(chan error, writers*each)
		for w := range writers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for range each {
					errs <- d.Gated(ctx, func(tx *db.Tx) error { return tx.Changed("count", fmt.Sprint(w)) })
				}
			}()
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
		if last, err := q.New(d.Read()).LastChange(ctx); err != nil || last != writers*each {
			t.Errorf("last change = %d, %v; want %d", last, err, writers*each)
		}
	})
}

func TestTx_Subscribers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var got []string
		d.Subscribe("account", func(item string) { got = append(got, item) })
		d.Subscribe("other", func(string) { t.Error("a subscriber of another kind was called") })
		ctx := context.Background()
		err := d.Gated(
			ctx,
			func(tx *db.Tx) error { return errors.Join(tx.Changed("account", "a"), tx.Changed("account", "b")) },
		)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"a", "b"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestChanges_AnotherNode(t *testing.T) {
	t.Parallel()
	open := map[string]func(t *testing.T) db.Config{
		"sqlite":   func(t *testing.T) db.Config { return db.Config{Folder: t.TempDir(), Now: time.Now} },
		"postgres": func(t *testing.T) db.Config { return db.Config{Postgres: dbtest.Postgres(t), Now: time.Now} },
	}
	for engine, config := range open {
		t.Run(engine, func(t *testing.T) {
			c := config(t)
			one, two := dbtest.Open(t, c), dbtest.Open(t, c)
			heard := make(chan string, 100)
			two.Subscribe("session", func(item string) { heard <- item })
			ctx := context.Background()
			for i := range 20 {
				if err := one.Gated(ctx,
					func(tx *db.Tx) error { return tx.Changed("session", fmt.Sprint(i)) }); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 20 {
				select {
				case item := <-heard:
					if item != fmt.Sprint(i) {
						t.Fatalf("heard %q, want %d: out of order", item, i)
					}
				case <-time.After(10 * time.Second):
					t.Fatalf("the other node never heard of change %d", i)
				}
			}
		})
	}
}

func TestUniqueViolationIsRecognized(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		insert := func(id string) error {
			return d.Gated(ctx, func(tx *db.Tx) error {
				return qidentity.New(tx).
					InsertAccount(ctx, qidentity.InsertAccountParams{ID: id, Email: "A@x",
						EmailKey: sql.NullString{String: "a@x", Valid: true}, Username: id, UsernameKey: id})
			})
		}
		if err := insert("1"); err != nil {
			t.Fatal(err)
		}
		if err := insert("2"); !db.IsUnique(err) {
			t.Errorf("a second account with the same e-mail: %v, want a unique violation", err)
		}
		if err := insert("1"); !db.IsUnique(err) {
			t.Errorf("a second account with the same id: %v, want a unique violation", err)
		}
	})
}

func TestOpen_Twice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx := context.Background()
	for i := range 2 {
		d, err := db.Open(ctx, db.Config{Folder: dir, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			err = d.Gated(
				ctx,
				func(tx *db.Tx) error { return q.New(tx).PutMeta(ctx, q.PutMetaParams{Name: "k", Value: "v"}) },
			)
		} else {
			_, err = q.New(d.Read()).GetMeta(ctx, "k")
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, db.FileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("database file: %v %v, want mode 0600", info, err)
	}
}

func TestOpen_NotADatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, db.FileName)
	garbage := []byte(
		"this is not a database, it is a text that somebody put here by mistake, long enough to be looked at",
	)
	if err := os.WriteFile(path, garbage, 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := db.Open(context.Background(), db.Config{Folder: dir, Now: time.Now}); err == nil {
		d.Close()
		t.Fatal("Open accepted a text file")
	}
	if left, err := os.ReadFile(path); err != nil || string(left) != string(garbage) {
		t.Error("Open changed a file that is not its own")
	}
}
