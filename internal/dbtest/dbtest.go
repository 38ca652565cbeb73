package dbtest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sluice/internal/db"
)

// Each runs a test on every engine, each time with an empty database that is closed at the end.
// SLUICEDEV_POSTGRES=off skips PostgreSQL, which helps when running the same tests a hundred times.
func Each(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	if leftOut() {
		return
	}
	t.Run("postgres", func(t *testing.T) { test(t, Open(t, db.Config{Postgres: Postgres(t), Now: time.Now})) })
}

// SQLite opens an empty SQLite database in a temporary folder.
func SQLite(t testing.TB) *db.DB {
	t.Helper()
	return Open(t, db.Config{Folder: Folder(t), Now: time.Now})
}

// migrated is the file of a SQLite database with all migrations and nothing else. It is created
// once.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "sluice-dbtest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	d, err := db.Open(context.Background(), db.Config{Folder: dir, Now: time.Now})
	if err != nil {
		return nil, err
	}
	// The last connection moves everything into the one file when it closes.
	if err := d.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, db.FileName))
})

// Folder creates a data folder with an empty, already migrated SQLite database.
func Folder(t testing.TB) string {
	t.Helper()
	text, err := migrated()
	if err != nil {
		t.Fatalf("creating a database to copy: %v", err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, db.FileName), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// Open opens a database and closes it when the test ends.
func Open(t testing.TB, c db.Config) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), c)
	if err != nil {
		t.Fatalf("opening the database: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("closing the database: %v", err)
		}
	})
	return d
}

// leftOut reports whether the tests are to run without PostgreSQL.
func leftOut() bool { return os.Getenv("SLUICEDEV_POSTGRES") == "off" }

// required reports whether a missing PostgreSQL is a failure.
func required() bool { return os.Getenv("SLUICEDEV_POSTGRES") == "require" }
