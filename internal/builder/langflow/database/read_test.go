package database_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"sluice/internal/builder"
	"sluice/internal/builder/langflow/database"
	"sluice/internal/builder/langflow/langflowtest"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
)

// sqlite creates a database with these statements.
func sqlite(t testing.TB, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	d, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, s := range statements {
		if _, err := d.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return path
}

func written(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "langflow.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead_NotLangflow(t *testing.T) {
	folder := t.TempDir()
	own := dbtest.BarePostgres(t)
	dbtest.Open(t, db.Config{Postgres: own, Now: time.Now})
	for name, c := range map[string]struct{ name, want string }{
		"nothing":          {"", "No file is given"},
		"missing":          {filepath.Join(folder, "nowhere.db"), "There is no file"},
		"a folder":         {folder, "is not a file"},
		"a missing folder": {"sqlite:///" + folder + "/nowhere/langflow.db", "There is no file"},
		"an empty file":    {written(t, nil), "is empty"},
		"a text": {
			written(t, []byte("DROP TABLE user; -- a dump of some database, long enough to be looked at")),
			"is not an SQLite database",
		},
		"a short file":      {written(t, []byte("SQLite")), "is not an SQLite database"},
		"only the mark":     {written(t, []byte("SQLite format 3\x00")), "cannot be read"},
		"an empty database": {sqlite(t, "CREATE TABLE x (y)", "DROP TABLE x"), "has no tables"},
		"Flowise": {
			sqlite(t,
				"CREATE TABLE chat_flow (id)",
				"CREATE TABLE user (id)",
				"CREATE TABLE apikey (id)",
				"CREATE TABLE variable (id)",
			),
			"is Flowise's database, not Langflow's",
		},
		"n8n":            {sqlite(t, "CREATE TABLE workflow_entity (id)"), "is n8n's database"},
		"something else": {sqlite(t, "CREATE TABLE notes (id)"), "the table user, the table apikey"},
		"an old Langflow": {
			langflowtest.Databases(t)[3].File(t, "ALTER TABLE variable DROP COLUMN value"),
			"variable.value is missing",
		},
		"Sluice, on SQLite": {filepath.Join(sluiceFolder(t), db.FileName), "Sluice's own"},
		"another kind": {
			"mysql://root:secret@localhost/langflow",
			"does not keep its data in a database of this kind",
		},
		"a web address": {"https://langflow.example.com", "does not keep its data"},
		"no address":    {"postgresql://user:se cret@[::1", "This is not the address of a PostgreSQL"},
		"a wrong port": {
			"postgresql://user:secret@127.0.0.1:notaport/x",
			"This is not the address of a PostgreSQL",
		},
		"PostgreSQL down": {"postgresql+psycopg://user:secret@127.0.0.1:1/langflow", "does not answer"},
		"no such database": {
			strings.Replace(dbtest.BarePostgres(t), "/t", "/nowhere", 1),
			"does not exist",
		},
		"no such user": {
			strings.Replace(dbtest.BarePostgres(t), "sluice@", "nobody:secret@", 1),
			"role \"nobody\" does not exist",
		},
		"an empty PostgreSQL":  {dbtest.BarePostgres(t), "has no tables"},
		"Sluice on PostgreSQL": {own, "has no tables"},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := database.Read(context.Background(), c.name)
			p := problem.Of(err)
			if in != nil || p.Field != "--database" || !strings.Contains(p.Detail, c.want) {
				t.Errorf("%v: %s, %s", err, p.Field, p.Detail)
			}
			said := p.Detail + p.Next + fmt.Sprint(err)
			if strings.Contains(said, "secret") || strings.Contains(said, "se cret") {
				t.Errorf("the message contains the password: %s", said)
			}
		})
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("a file was created where there was no file: %v %v", left, err)
	}
}

func sluiceFolder(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	dbtest.Open(t, db.Config{Folder: folder, Now: time.Now})
	return folder
}

// Every page is checked when it is read. Overwritten pages are reported and never read as something
// else.
func TestRead_DamagedPages(t *testing.T) {
	const pageSize = 1024
	path := langflowtest.Databases(t)[3].File(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	in := func(path string) *builder.Installation {
		read, err := database.Read(context.Background(), path)
		if err != nil {
			if problem.Of(err).Field != "--database" {
				t.Errorf("%v", err)
			}
			return nil
		}
		read.Where = ""
		return read
	}
	good := in(path)
	if good == nil {
		t.Fatal("the whole database cannot be read")
	}
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for at := pageSize; at < len(whole); at += pageSize {
		for _, fill := range []func([]byte){func(b []byte) { clear(b) }, func(b []byte) {
			for i := range b {
				b[i] = byte(random.Uint32())
			}
		}} {
			broken := bytes.Clone(whole)
			fill(broken[at : at+pageSize])
			switch got := in(written(t, broken)); {
			case got == nil:
				refused++
			case cmp.Diff(good, got) != "":
				t.Errorf("with page %d overwritten: %s", at/pageSize+1, cmp.Diff(good, got))
			}
		}
	}
	if refused < len(whole)/pageSize {
		t.Errorf("only %d of %d damages are reported", refused, 2*len(whole)/pageSize)
	}
	for _, size := range []int{100, pageSize, 5*pageSize + 17, len(whole) / 2, len(whole) - pageSize, len(whole) - 1} {
		if got := in(written(t, whole[:size])); got != nil && cmp.Diff(good, got) != "" {
			t.Errorf("cut to %d bytes: %s", size, cmp.Diff(good, got))
		}
	}
}

// folderOf describes all files next to a database.
func folderOf(t testing.TB, path string) map[string]string {
	t.Helper()
	out := map[string]string{}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(filepath.Dir(path), f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[f.Name()] = string(content)
	}
	return out
}

// users counts the imported users.
func users(t testing.TB, name string) int {
	t.Helper()
	in, err := database.Read(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	return len(in.Users)
}

const another = `INSERT INTO user (id, username, password, is_active, is_superuser, create_at, updated_at)
	VALUES (lower(hex(randomblob(16))), 'late', 'x', 1, 0, '2026-01-01', '2026-01-01')`

func TestRead_ChangesNothing(t *testing.T) {
	langflow := langflowtest.Databases(t)[3]
	clean := langflow.File(t)
	base := users(t, clean)
	t.Run("at rest", func(t *testing.T) {
		before := folderOf(t, clean)
		users(t, "sqlite+aiosqlite:///"+clean+"?check_same_thread=false")
		if diff := cmp.Diff(before, folderOf(t, clean)); diff != "" {
			t.Error(diff)
		}
	})
	// Langflow runs: its committed data counts, even if it is only in the write-ahead log.
	live := langflow.File(t)
	d, err := sql.Open("sqlite", live+"?_pragma=journal_mode(WAL)&_pragma=wal_autocheckpoint(0)")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.SetMaxOpenConns(1)
	if _, err := d.Exec(another); err != nil {
		t.Fatal(err)
	}
	t.Run("in use", func(t *testing.T) {
		before := folderOf(t, live)
		if n := users(t, live); n != base+1 {
			t.Errorf("%d users, want the late one too", n)
		}
		after := folderOf(t, live)
		delete(before, "langflow.db-shm") // readers record their position there
		delete(after, "langflow.db-shm")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Error(diff)
		}
		if _, err := d.Exec(strings.Replace(another, "'late'", "'later'", 1)); err != nil {
			t.Errorf("Langflow cannot write afterwards: %v", err)
		}
	})
	t.Run("killed", func(t *testing.T) {
		// A crash or a copy leaves a log that was not written back, and no lock.
		path := filepath.Join(t.TempDir(), "langflow.db")
		for _, suffix := range []string{"", "-wal"} {
			content, err := os.ReadFile(live + suffix)
			if err == nil {
				err = os.WriteFile(path+suffix, content, 0o400)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		before := folderOf(t, path)
		if n := users(t, path); n != base+2 {
			t.Errorf("%d users, want both late ones", n)
		}
		if diff := cmp.Diff(before, folderOf(t, path)); diff != "" {
			t.Error(diff)
		}
	})
}

// onPostgres copies a database of testdata into PostgreSQL, with the types that Langflow uses
// there.
func onPostgres(t testing.TB, path string) string {
	t.Helper()
	ctx := context.Background()
	address := dbtest.BarePostgres(t)
	to, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close(ctx)
	from, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	for _, table := range []string{"user", "apikey", "variable", "folder", "flow", "file", "alembic_version"} {
		copyTable(t, from, to, table)
	}
	return address
}

func copyTable(t testing.TB, from *sql.DB, to *pgx.Conn, table string) {
	t.Helper()
	rows, err := from.Query(`SELECT * FROM "` + table + `"`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var columns, casts []string
	for i, name := range names {
		kind := "text"
		switch {
		case name == "id" || name == "parent_id" || name == "folder_id" || name == "user_id":
			kind = "uuid"
		case strings.HasPrefix(name, "is_"):
			kind = "boolean"
		case table == "apikey" && strings.HasSuffix(name, "_at"):
			kind = "timestamptz"
		case strings.HasSuffix(name, "_at"):
			kind = "timestamp"
		case name == "data" || name == "optins":
			kind = "json"
		}
		columns = append(columns, `"`+name+`" `+kind)
		casts = append(casts, fmt.Sprintf("CAST(CAST($%d AS text) AS %s)", i+1, kind))
	}
	ctx := context.Background()
	if _, err := to.Exec(ctx, `CREATE TABLE "`+table+`" (`+strings.Join(columns, ", ")+`)`); err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, targets := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		args := make([]any, len(names))
		for i, v := range values {
			if v.Valid {
				args[i] = v.String
			}
		}
		insert := `INSERT INTO "` + table + `" VALUES (` + strings.Join(casts, ", ") + `)`
		if _, err := to.Exec(ctx, insert, args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestRead_PostgreSQLEqualsSQLite(t *testing.T) {
	for _, d := range langflowtest.Databases(t) {
		t.Run(d.Name, func(t *testing.T) {
			path := d.File(t)
			address := onPostgres(t, path)
			read := func(name string) *builder.Installation {
				in, err := database.Read(context.Background(), name)
				if err != nil {
					t.Fatal(err)
				}
				in.Where = ""
				return in
			}
			want := read(path)
			for _, scheme := range []string{"postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg"} {
				if diff := cmp.Diff(want, read(strings.Replace(address, "postgres", scheme, 1))); diff != "" {
					t.Fatalf("%s: %s", scheme, diff)
				}
			}
			without, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			without.User = url.UserPassword("reader", "secret")
			admin, err := pgx.Connect(context.Background(), address)
			if err != nil {
				t.Fatal(err)
			}
			defer admin.Close(context.Background())
			for _, c := range []struct{ grant, want string }{
				{
					`DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
					"has no tables that this user can read",
				},
				{`GRANT SELECT ON "user", apikey TO reader`, "the table variable"},
			} {
				if _, err := admin.Exec(context.Background(), c.grant); err != nil {
					t.Fatal(err)
				}
				_, err := database.Read(context.Background(), without.String())
				if !strings.Contains(problem.Of(err).Detail, c.want) {
					t.Errorf("without rights: %v", err)
				}
			}
		})
	}
}
