package dbtest

import (
	"context"
	"os"
	"testing"
	"time"

	"sluice/internal/db"
)

// Each runs a test on every engine, each time with an empty database that is closed at the end.
func Each(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Open(t, db.Config{Postgres: Postgres(t), Now: time.Now})) })
}

// SQLite opens an empty SQLite database in a temporary folder.
func SQLite(t testing.TB) *db.DB {
	t.Helper()
	return Open(t, db.Config{Folder: t.TempDir(), Now: time.Now})
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

// required reports whether a missing PostgreSQL is a failure.
func required() bool { return os.Getenv("SLUICEDEV_POSTGRES") == "require" }
