package db_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/db"
	"sluice/internal/dbtest"
)

// owners says which package writes which tables. Every table has one owner; the others read it,
// call the owner's methods in their transaction, or are called by a hook. Only the rotation of the
// vault's keys is not a query: Tx.ReplaceSealed writes new ciphertext of the same value into
// whatever table holds it.
var owners = map[string][]string{
	"db":       {"change", "meta"},
	"audit":    {"audit"},
	"mail":     {"mail"},
	"identity": {"account", "membership", "role", "workspace"},
	"secret":   {"credential", "credential_use", "secret_key", "signing_key"},
	"authn":    {"api_key", "api_key_usage", "refresh_family", "session", "session_cookie", "ticket"},
	"login": {
		"guess", "invitation", "linked_identity", "passkey", "pending", "provider", "provider_role", "provider_session",
		"recovery_code", "recovery_key", "totp",
	},
	"flow":     {"build_job", "object"},
	"app":      {"adoption", "app", "app_workspace", "builder_account", "published_flow"},
	"importer": {"import_origin"},
}

// cascades are the rows that go with a row of another owner's table: the database deletes them, no
// query does.
var cascades = []string{
	"api_key with account",
	"api_key with workspace",
	"app_workspace with workspace",
	"build_job with app",
	"builder_account with workspace",
	"credential with workspace",
	"credential_use with app",
	"invitation with workspace",
	"linked_identity with account",
	"object with app",
	"passkey with account",
	"provider_role with account",
	"provider_role with workspace",
	"provider_session with session",
	"recovery_code with account",
	"recovery_key with account",
	"session with account",
	"totp with account",
}

func ownerOf(table string) string {
	for owner, tables := range owners {
		if slices.Contains(tables, table) {
			return owner
		}
	}
	return ""
}

// createTable matches a table of a migration with its columns.
var createTable = regexp.MustCompile(`(?s)CREATE TABLE (\w+) \((.*?)\n\);`)

// eachTable calls fn for every table that the migrations create.
func eachTable(t *testing.T, fn func(table, columns string)) {
	t.Helper()
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations found: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		for _, m := range createTable.FindAllStringSubmatch(up, -1) {
			fn(m[1], m[2])
		}
	}
}

func TestOwners_EveryTable(t *testing.T) {
	t.Parallel()
	var listed, created []string
	for tables := range maps.Values(owners) {
		listed = append(listed, tables...)
	}
	eachTable(t, func(table, _ string) { created = append(created, table) })
	slices.Sort(listed)
	slices.Sort(created)
	if diff := cmp.Diff(created, listed); diff != "" {
		t.Errorf("tables created and tables that have an owner differ (-created +listed):\n%s", diff)
	}
}

func TestOwners_Cascades(t *testing.T) {
	t.Parallel()
	reference := regexp.MustCompile(`REFERENCES (\w+) \(\w+\) ON DELETE`)
	var found []string
	eachTable(t, func(table, columns string) {
		for _, m := range reference.FindAllStringSubmatch(columns, -1) {
			if ownerOf(table) != ownerOf(m[1]) {
				found = append(found, table+" with "+m[1])
			}
		}
	})
	slices.Sort(found)
	if diff := cmp.Diff(found, cascades); diff != "" {
		t.Errorf("cascades in the migrations and listed ones differ (-found +listed):\n%s", diff)
	}
}

// query is one named query of queries/<owner>.
type query struct{ owner, name, sql string }

func queries(t *testing.T) []query {
	t.Helper()
	files, err := filepath.Glob("queries/*/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no queries found: %v", err)
	}
	named := regexp.MustCompile(`(?m)^-- name: (\w+) :\w+$`)
	comment := regexp.MustCompile(`(?m)--.*$`)
	var out []query
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		marks := named.FindAllStringSubmatchIndex(string(text), -1)
		if len(marks) == 0 {
			t.Errorf("%s: no queries", file)
		}
		for i, m := range marks {
			end := len(text)
			if i+1 < len(marks) {
				end = marks[i+1][0]
			}
			sql := comment.ReplaceAllString(string(text[m[1]:end]), "")
			out = append(out, query{filepath.Base(filepath.Dir(file)), string(text[m[2]:m[3]]), sql})
		}
	}
	return out
}

// target matches what a statement writes: the table, and the keyword before it.
var target = regexp.MustCompile(
	`(?i)\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM|REPLACE\s+INTO|MERGE\s+INTO|TRUNCATE)\s+"?(\w+)`,
)

// written returns the tables that a query writes. The UPDATE of an upsert writes the INSERT's
// table, and FOR UPDATE only locks.
func written(q query) (tables []string) {
	sql := regexp.MustCompile(`(?i)\bDO\s+UPDATE\s+SET\b|\bFOR\s+UPDATE\b`).ReplaceAllString(q.sql, "")
	for _, m := range target.FindAllStringSubmatch(sql, -1) {
		tables = append(tables, m[2])
	}
	return tables
}

func TestOwners_WriteOwnTablesOnly(t *testing.T) {
	t.Parallel()
	writes := 0
	for _, q := range queries(t) {
		if owners[q.owner] == nil {
			t.Errorf("queries/%s: no such owner", q.owner)
			continue
		}
		for _, table := range written(q) {
			writes++
			if !slices.Contains(owners[q.owner], table) {
				t.Errorf(
					"queries/%s: %s writes %s, which is %s's; call a method of that package, or let it call a hook",
					q.owner,
					q.name,
					table,
					ownerOf(table),
				)
			}
		}
	}
	if writes < 100 {
		t.Errorf("only %d statements were recognized as writes; the test reads the queries wrongly", writes)
	}
}

func TestWrittenTables(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string][]string{
		"SELECT * FROM account FOR UPDATE": nil,
		"insert into account (id) values ($1) on conflict (id) do update set id = excluded.id": {"account"},
		"UPDATE session SET seen_at = $1": {"session"},
		"WITH gone AS (DELETE FROM mail RETURNING id) INSERT\nINTO audit SELECT * FROM gone": {"mail", "audit"},
		`DELETE FROM "object" WHERE app_id IN (SELECT id FROM app)`:                          {"object"},
	} {
		if got := written(query{sql: sql}); !slices.Equal(got, want) {
			t.Errorf("%s writes %q, want %q", sql, got, want)
		}
	}
}

// goFiles parses every file of the program that is not generated. Paths are relative to the
// repository's root.
func goFiles(t *testing.T, fn func(path string, file *ast.File, set *token.FileSet)) {
	t.Helper()
	root, count := "../..", 0
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil || ast.IsGenerated(file) {
			return err
		}
		count++
		rel, err := filepath.Rel(root, path)
		fn(filepath.ToSlash(rel), file, set)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if count < 100 {
		t.Fatalf("only %d files found; the test looks in the wrong place", count)
	}
}

const generated = `"sluice/internal/db/q/`

// TestOwners_Queries lets a package, and its parts, import its own queries only. Tests may
// import the queries of others to prepare and check rows.
func TestOwners_Queries(t *testing.T) {
	t.Parallel()
	imports := 0
	goFiles(t, func(path string, file *ast.File, _ *token.FileSet) {
		for _, spec := range file.Imports {
			owner, ok := strings.CutPrefix(spec.Path.Value, generated)
			if !ok || strings.HasSuffix(path, "_test.go") {
				continue
			}
			imports++
			if owner = strings.Trim(owner, `"`); !strings.HasPrefix(path, "internal/"+owner+"/") {
				t.Errorf("%s imports the queries of %s: call a method of that package instead", path, owner)
			}
		}
	})
	if imports < len(owners) {
		t.Errorf("only %d imports of queries found", imports)
	}
}

// TestStatementsAreGenerated keeps SQL in queries/: no package except db runs its own statement on
// a Tx or a Reader, and a Reader's statements do not write.
func TestStatementsAreGenerated(t *testing.T) {
	t.Parallel()
	writing := map[string]bool{}
	used := map[string]bool{}
	for _, q := range queries(t) {
		writing[q.name] = writing[q.name] || len(written(q)) > 0
		used[q.name] = false
	}
	raw := []string{"ExecContext", "PrepareContext", "QueryContext", "QueryRowContext"}
	goFiles(t, func(path string, file *ast.File, set *token.FileSet) {
		ast.Inspect(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			name := sel.Sel.Name
			used[name] = true
			test := strings.HasSuffix(path, "_test.go")
			if slices.Contains(raw, name) && !test && !mayOpen(path) {
				t.Errorf("%s: %s runs a statement; write a query in internal/db/queries", set.Position(sel.Pos()), name)
			}
			if writing[name] && onReader(sel.X) {
				t.Errorf("%s: %s writes, and Read is for reads", set.Position(sel.Pos()), name)
			}
			return true
		})
	})
	for _, q := range queries(t) {
		if !used[q.name] {
			t.Errorf("queries/%s: nothing uses %s", q.owner, q.name)
		}
	}
}

// onReader reports whether x is q.New(….Read()).
func onReader(x ast.Expr) bool {
	call, ok := x.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return false
	}
	arg, ok := call.Args[0].(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := arg.Fun.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Read"
}

// TestOwners_TwoWaysToWrite holds that writing transactions are begun by authz.Gate and by
// DB.System only, and that the table of housekeeping is what System is called with.
func TestOwners_TwoWaysToWrite(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	goFiles(t, func(path string, file *ast.File, set *token.FileSet) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Gated" &&
				!strings.HasPrefix(path, "internal/authz/") {
				t.Errorf("%s: Gated is authz's; call Gate.Do or DB.System", set.Position(sel.Pos()))
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "System" || len(call.Args) != 3 {
				return true
			}
			name, ok := call.Args[1].(*ast.BasicLit)
			if !ok || name.Kind != token.STRING {
				t.Errorf("%s: name the housekeeping with a literal", set.Position(call.Pos()))
				return true
			}
			text := strings.Trim(name.Value, `"`)
			used[text] = true
			if db.Housekeeping()[text] == "" {
				t.Errorf("%s: %q is not in the table housekeeping", set.Position(call.Pos()), text)
			}
			return true
		})
		for _, spec := range file.Imports {
			if spec.Path.Value == `"database/sql"` && !mayOpen(path) {
				text, err := os.ReadFile(filepath.Join("../..", path))
				if err != nil {
					t.Fatal(err)
				}
				if regexp.MustCompile(`sql\.Open(DB)?\(|BeginTx\(`).Match(text) {
					t.Errorf("%s opens a database of its own", path)
				}
			}
		}
	})
	for name, reason := range db.Housekeeping() {
		if !used[name] {
			t.Errorf("nothing uses the housekeeping %q", name)
		}
		if !strings.HasSuffix(reason, ".") {
			t.Errorf("housekeeping %q: the reason is no sentence: %q", name, reason)
		}
	}
}

// mayOpen reports whether a file may open a database and run statements in it: Sluice's, or another
// product's to import it, or a test fake's.
func mayOpen(path string) bool {
	return strings.HasPrefix(path, "internal/db/") || others.MatchString(path)
}

// others are the packages for the databases of other products.
var others = regexp.MustCompile(`^internal/builder/\w+/(database|\w+test)/`)

func TestSystem_UnknownName(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	err := d.System(t.Context(), "something", func(*db.Tx) error { t.Error("it ran"); return nil })
	if err == nil {
		t.Error("an unknown name was accepted")
	}
}
