package db_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"sluice/internal/db"
	"sluice/internal/dbtest"
)

// newest is the number of the newest migration.
func newest(t *testing.T) int64 {
	t.Helper()
	migrations, err := goose.CollectMigrations("migrations", 0, goose.MaxVersion)
	if err != nil {
		t.Fatal(err)
	}
	return migrations[len(migrations)-1].Version
}

// raw opens the SQLite file of a folder without migrating it.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// stepBack creates a database without the newest migration, with one row that the earlier Sluice
// wrote.
func stepBack(t *testing.T, folder string) {
	t.Helper()
	ctx := context.Background()
	d, err := db.Open(ctx, db.Config{Folder: folder, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	data := raw(t, filepath.Join(folder, db.FileName))
	provider, err := goose.NewProvider(
		goose.DialectSQLite3,
		data,
		os.DirFS("migrations"),
		goose.WithLogger(goose.NopLogger()),
	)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Down(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := data.Exec("INSERT INTO meta (name, value) VALUES ('mark', 'before')"); err != nil {
		t.Fatal(err)
	}
	if err := data.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpen_CopiesTheFileBeforeMigrating(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	stepBack(t, folder)
	d := dbtest.Open(t, db.Config{Folder: folder, Now: time.Now})
	want := filepath.Join(folder, db.FileName+".before-"+fmt.Sprint(newest(t)))
	if d.Backup() != want {
		t.Fatalf("the copy is %q, want %q", d.Backup(), want)
	}
	info, err := os.Stat(want)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the copy has mode %v, want 0600", info.Mode().Perm())
	}
	var version int64
	var mark string
	data := raw(t, want)
	if err := data.QueryRow("SELECT MAX(version_id) FROM goose_db_version").Scan(&version); err != nil {
		t.Fatal(err)
	}
	if err := data.QueryRow("SELECT value FROM meta WHERE name = 'mark'").Scan(&mark); err != nil {
		t.Fatal(err)
	}
	if version != newest(t)-1 || mark != "before" {
		t.Errorf("the copy has schema %d and mark %q, want %d and before", version, mark, newest(t)-1)
	}
}

func TestOpen_CopiesOnlyWhatItMigrates(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, state := range []string{"new", "up to date"} {
		d, err := db.Open(context.Background(), db.Config{Folder: folder, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if d.Backup() != "" {
			t.Errorf("a database that is %s was copied to %s", state, d.Backup())
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := filepath.Glob(filepath.Join(folder, "*.before-*")); err != nil || len(found) > 0 {
		t.Errorf("copies: %v, %v", found, err)
	}
}

func TestOpen_KeepsThreeCopies(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	stepBack(t, folder)
	path := filepath.Join(folder, db.FileName)
	again := ".before-" + fmt.Sprint(newest(t))
	for _, name := range []string{".before-1", ".before-2", ".before-3", again, ".before-the-move"} {
		if err := os.WriteFile(path+name, []byte("older"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := dbtest.Open(t, db.Config{Folder: folder, Now: time.Now})
	found, err := filepath.Glob(path + ".before-*")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{path + ".before-2", path + ".before-3", d.Backup(), path + ".before-the-move"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
	if text, err := os.ReadFile(d.Backup()); err != nil || string(text) == "older" {
		t.Errorf("the copy of an earlier attempt was kept in place of this one: %v", err)
	}
}

func TestOpen_RefusesADatabaseOfANewerSluice(t *testing.T) {
	t.Parallel()
	open := map[string]func(t *testing.T) (db.Config, *sql.DB){
		"sqlite": func(t *testing.T) (db.Config, *sql.DB) {
			folder := t.TempDir()
			return db.Config{Folder: folder, Now: time.Now}, raw(t, filepath.Join(folder, db.FileName))
		},
		"postgres": func(t *testing.T) (db.Config, *sql.DB) {
			dsn := dbtest.Postgres(t)
			data, err := sql.Open("pgx", dsn+"&search_path="+db.Schema)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = data.Close() })
			return db.Config{Postgres: dsn, Now: time.Now}, data
		},
	}
	for engine, make := range open {
		t.Run(engine, func(t *testing.T) {
			ctx := context.Background()
			c, data := make(t)
			d, err := db.Open(ctx, c)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			_, err = data.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)")
			if err != nil {
				t.Fatal(err)
			}
			d, err = db.Open(ctx, c)
			if err == nil {
				_ = d.Close()
				t.Fatal("a database of a newer Sluice was opened")
			}
			want := "it has schema 9999, and this version supports up to schema " + fmt.Sprint(newest(t))
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		})
	}
}
