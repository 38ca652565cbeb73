package importer_test

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

	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/importer"
	"sluice/internal/problem"
)

// sqlite makes a database with these statements.
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

func TestWhatIsNoDatabaseOfLangflowsIsToldInASentence(t *testing.T) {
	folder := t.TempDir()
	own := dbtest.BarePostgres(t)
	dbtest.Open(t, db.Config{Postgres: own, Now: time.Now})
	for name, c := range map[string]struct{ database, want string }{
		"nothing":              {"", "No file is named"},
		"missing":              {filepath.Join(folder, "nowhere.db"), "There is no file"},
		"a folder":             {folder, "is not a file"},
		"a missing folder":     {"sqlite:///" + folder + "/nowhere/langflow.db", "There is no file"},
		"an empty file":        {written(t, nil), "is empty"},
		"a text":               {written(t, []byte("DROP TABLE user; -- a dump of some database, long enough to be looked at")), "is no SQLite database"},
		"a short file":         {written(t, []byte("SQLite")), "is no SQLite database"},
		"only the mark":        {written(t, []byte("SQLite format 3\x00")), "cannot be read"},
		"an empty database":    {sqlite(t, "CREATE TABLE x (y)", "DROP TABLE x"), "has no tables"},
		"Flowise":              {sqlite(t, "CREATE TABLE chat_flow (id)", "CREATE TABLE user (id)", "CREATE TABLE apikey (id)", "CREATE TABLE variable (id)"), "is Flowise's database, not Langflow's"},
		"n8n":                  {sqlite(t, "CREATE TABLE workflow_entity (id)"), "is n8n's database"},
		"something else":       {sqlite(t, "CREATE TABLE notes (id)"), "the table user, the table apikey"},
		"an old Langflow":      {changed(t, recipes(t)[3], "ALTER TABLE variable DROP COLUMN value"), "variable.value is missing"},
		"Sluice, on SQLite":    {filepath.Join(sluiceFolder(t), db.FileName), "Sluice's own"},
		"another kind":         {"mysql://root:secret@localhost/langflow", "does not keep its data in a database of this kind"},
		"a web address":        {"https://langflow.example.com", "does not keep its data"},
		"no address":           {"postgresql://user:se cret@[::1", "This is no address of a PostgreSQL"},
		"a wrong port":         {"postgresql://user:secret@127.0.0.1:notaport/x", "This is no address of a PostgreSQL"},
		"PostgreSQL down":      {"postgresql+psycopg://user:secret@127.0.0.1:1/langflow", "does not answer"},
		"no such database":     {strings.Replace(dbtest.BarePostgres(t), "/t", "/nowhere", 1), "does not exist"},
		"no such user":         {strings.Replace(dbtest.BarePostgres(t), "sluice@", "nobody:secret@", 1), "role \"nobody\" does not exist"},
		"an empty PostgreSQL":  {dbtest.BarePostgres(t), "has no tables"},
		"Sluice on PostgreSQL": {own, "has no tables"},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := importer.Read(context.Background(), c.database)
			p := problem.Of(err)
			if in != nil || p.Field != "--database" || !strings.Contains(p.Detail, c.want) {
				t.Errorf("%v: %s, %s", err, p.Field, p.Detail)
			}
			if said := p.Detail + p.Next + fmt.Sprint(err); strings.Contains(said, "secret") || strings.Contains(said, "se cret") {
				t.Errorf("the password is told: %s", said)
			}
		})
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("something was made where nothing was: %v %v", left, err)
	}
}

func sluiceFolder(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	dbtest.Open(t, db.Config{Folder: folder, Now: time.Now})
	return folder
}

// Every page that is read is checked: what was overwritten is told, and never read as something else.
func TestDamagedPagesAreNeverReadAsSomethingElse(t *testing.T) {
	const pageSize = 1024
	r := recipes(t)[3]
	whole, err := os.ReadFile(r.database())
	if err != nil {
		t.Fatal(err)
	}
	w := start(t)
	report := func(path string) []importer.Item {
		in, err := importer.Read(context.Background(), path)
		if err != nil {
			if problem.Of(err).Field != "--database" {
				t.Errorf("%v", err)
			}
			return nil
		}
		p, err := w.Plan(context.Background(), in, importer.Options{Keys: r.keys(t), Workspaces: importer.ByProject})
		if err != nil {
			return nil
		}
		for i := range p.Items {
			p.Items[i].Target = "" // made anew each time
		}
		return p.Items
	}
	good := report(r.database())
	if len(good) == 0 {
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
			switch got := report(written(t, broken)); {
			case got == nil:
				refused++
			case cmp.Diff(good, got) != "":
				t.Errorf("with page %d overwritten: %s", at/pageSize+1, cmp.Diff(good, got))
			}
		}
	}
	if refused < len(whole)/pageSize {
		t.Errorf("only %d of %d damages are told", refused, 2*len(whole)/pageSize)
	}
	for _, size := range []int{100, pageSize, 5*pageSize + 17, len(whole) / 2, len(whole) - pageSize, len(whole) - 1} {
		if got := report(written(t, whole[:size])); got != nil && cmp.Diff(good, got) != "" {
			t.Errorf("cut to %d bytes: %s", size, cmp.Diff(good, got))
		}
	}
}

// folderOf tells everything about the files beside a database.
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

func people(t testing.TB, w *world, r recipe, path string) int {
	t.Helper()
	p, err := w.Plan(context.Background(), read(t, path), importer.Options{Keys: r.keys(t), Workspaces: importer.ByProject})
	if err != nil {
		t.Fatal(err)
	}
	return p.Count(importer.KindPerson, importer.Added)
}

const another = `INSERT INTO user (id, username, password, is_active, is_superuser, create_at, updated_at) VALUES (lower(hex(randomblob(16))), 'late', 'x', 1, 0, '2026-01-01', '2026-01-01')`

func TestADatabaseIsReadAsItIsAndStaysAsItIs(t *testing.T) {
	r := recipes(t)[3]
	w := start(t)
	clean := changed(t, r)
	base := people(t, w, r, clean)
	t.Run("at rest", func(t *testing.T) {
		before := folderOf(t, clean)
		people(t, w, r, "sqlite+aiosqlite:///"+clean+"?check_same_thread=false")
		if diff := cmp.Diff(before, folderOf(t, clean)); diff != "" {
			t.Error(diff)
		}
	})
	// Langflow runs: what it has committed counts, though it stands in the write-ahead log only.
	live := changed(t, r)
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
		if n := people(t, w, r, live); n != base+1 {
			t.Errorf("%d people, want the late one too", n)
		}
		after := folderOf(t, live)
		delete(before, "langflow.db-shm") // readers mark there how far they read
		delete(after, "langflow.db-shm")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Error(diff)
		}
		if _, err := d.Exec(strings.Replace(another, "'late'", "'later'", 1)); err != nil {
			t.Errorf("Langflow cannot write afterwards: %v", err)
		}
	})
	t.Run("killed", func(t *testing.T) {
		// What a crash leaves, or a copy: a log that was not written back, and nobody who locks it.
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
		if n := people(t, w, r, path); n != base+2 {
			t.Errorf("%d people, want both late ones", n)
		}
		if diff := cmp.Diff(before, folderOf(t, path)); diff != "" {
			t.Error(diff)
		}
	})
}

// onPostgres copies a database of testdata into PostgreSQL, with the types that Langflow has there.
func onPostgres(t testing.TB, database string) string {
	t.Helper()
	ctx := context.Background()
	address := dbtest.BarePostgres(t)
	to, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close(ctx)
	from, err := sql.Open("sqlite", database)
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
		if _, err := to.Exec(ctx, `INSERT INTO "`+table+`" VALUES (`+strings.Join(casts, ", ")+`)`, args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestPostgreSQLReadsLikeTheFile(t *testing.T) {
	for _, r := range recipes(t) {
		t.Run(r.name, func(t *testing.T) {
			database := r.quickDatabase(t)
			address := onPostgres(t, database)
			w := start(t)
			items := func(name string) []importer.Item {
				p := w.plan(read(t, name), importer.Options{Keys: r.keys(t)})
				for i := range p.Items {
					p.Items[i].Target = ""
				}
				return p.Items
			}
			want := items(database)
			for _, scheme := range []string{"postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg"} {
				if diff := cmp.Diff(want, items(strings.Replace(address, "postgres", scheme, 1))); diff != "" {
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
				{`DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$`, "has no tables that this user may read"},
				{`GRANT SELECT ON "user", apikey TO reader`, "the table variable"},
			} {
				if _, err := admin.Exec(context.Background(), c.grant); err != nil {
					t.Fatal(err)
				}
				if _, err := importer.Read(context.Background(), without.String()); !strings.Contains(problem.Of(err).Detail, c.want) {
					t.Errorf("without rights: %v", err)
				}
			}
		})
	}
}
