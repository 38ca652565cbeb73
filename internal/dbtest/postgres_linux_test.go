package dbtest

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/internal/db"
)

// TestPostgres_DatabaseReuse proves that the next test finds nothing of the one before, neither
// rows nor a changed schema nor a connection.
func TestPostgres_DatabaseReuse(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name, statement string
		again           bool
	}{
		{"nothing", "SELECT 1", true},
		{"a row", "INSERT INTO workspace (id, name, created_at) VALUES ('w', 'W', 1)", true},
		{"a column", "ALTER TABLE workspace ADD COLUMN x TEXT", false},
		{"a default", "ALTER TABLE workspace ALTER COLUMN name SET DEFAULT 'x'", false},
		{"no index", "DROP INDEX linked_identity_account", false},
		{"a table", "CREATE TABLE x (y TEXT)", false},
		{"a schema", "CREATE SCHEMA x", false},
		{"a migration less", "DELETE FROM goose_db_version WHERE version_id = 8", false},
		{"a setting", "ALTER DATABASE current SET work_mem = '1MB'", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var used string
			t.Run("first", func(t *testing.T) {
				used = Postgres(t)
				_, name, _ := strings.Cut(strings.TrimSuffix(used, "?sslmode=disable"), "@")
				_, name, _ = strings.Cut(name, "/")
				// The connection stays open, as that of a test that was not careful does.
				conn, err := pgx.Connect(ctx, used)
				if err != nil {
					t.Fatal(err)
				}
				statement := strings.ReplaceAll(c.statement, "DATABASE current", "DATABASE "+name)
				if _, err := conn.Exec(ctx, "SET search_path = "+db.Schema+"; "+statement); err != nil {
					t.Fatal(err)
				}
			})
			next := Postgres(t)
			if (next == used) != c.again {
				t.Errorf("after %s the next database is %s, the one before was %s", c.name, next, used)
			}
			conn, err := pgx.Connect(ctx, next)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(ctx)
			if is, err := fingerprint(ctx, conn); err != nil || is != templateIs {
				t.Errorf("after %s the next database is not like the template (%v)", c.name, err)
			}
			if rows, err := usedTables(ctx, conn); err != nil || len(rows) > 0 {
				t.Errorf("after %s there are rows in %v (%v)", c.name, rows, err)
			}
		})
	}
}
