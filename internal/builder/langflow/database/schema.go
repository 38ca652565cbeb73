package database

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sluice/internal/db"
)

// table describes how to read one of Langflow's tables: the columns that every version from 1.0 on
// has, and those that were added later or may be missing.
type table struct {
	name        string
	need, may   []string
	dispensable bool // a version without the table can still be read
}

var (
	userTable = table{
		name: "user",
		need: []string{"id", "username", "password", "is_active", "is_superuser"},
		may:  []string{"last_login_at", "create_at", "retired_at"},
	}
	keyTable = table{
		name: "apikey",
		need: []string{"id", "user_id", "api_key"},
		may:  []string{"name", "is_active", "created_at", "expires_at", "api_key_hash"},
	}
	variableTable = table{name: "variable", need: []string{"id", "user_id", "name", "value"}, may: []string{"type"}}
	projectTable  = table{
		name: "folder",
		need: []string{"id", "name", "user_id"},
		may:  []string{"parent_id", "is_personal"},
	}
	flowTable     = table{name: "flow", need: []string{"id", "name", "user_id", "data"}, may: []string{"folder_id"}}
	fileTable     = table{name: "file", need: []string{"id", "user_id", "name"}, dispensable: true}
	profileTable  = table{name: "sso_user_profile", need: []string{"user_id", "sso_provider"}, dispensable: true}
	revisionTable = table{name: "alembic_version", need: []string{"version_num"}}
)

func tables() []table {
	return []table{
		userTable,
		keyTable,
		variableTable,
		projectTable,
		flowTable,
		fileTable,
		profileTable,
		revisionTable,
	}
}

// others are tables that identify the databases of other products.
var others = []struct{ table, product string }{
	{"chat_flow", "Flowise's"},
	{"account_identity", "Sluice's own"},
	{"api_key_usage", "Sluice's own"},
	{"workflow_entity", "n8n's"},
}

// columns lists the columns of each table, in lower case. It skips Sluice's own tables, which may
// be in the same PostgreSQL database.
func (s *source) columns(ctx context.Context) (map[string][]string, error) {
	query := `SELECT m.name, p.name FROM sqlite_master m, pragma_table_info(m.name) p
		WHERE m.type = 'table' ORDER BY m.name, p.cid LIMIT 20000`
	if s.postgres {
		query = `SELECT table_name, column_name FROM information_schema.columns
			WHERE table_schema = ANY (current_schemas(false)) AND table_schema <> '` + db.Schema + `'
			ORDER BY table_name, ordinal_position LIMIT 20000`
	}
	rows, err := s.tx.QueryContext(ctx, query)
	if err != nil {
		return nil, damaged(s.where, err)
	}
	defer rows.Close()
	found := map[string][]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, damaged(s.where, err)
		}
		found[strings.ToLower(table)] = append(found[strings.ToLower(table)], strings.ToLower(column))
	}
	if err := rows.Err(); err != nil {
		return nil, damaged(s.where, err)
	}
	return found, nil
}

// check makes sure that this is a Langflow database of a version that can be read.
func check(where string, found map[string][]string) error {
	for _, o := range others {
		if _, ok := found[o.table]; ok {
			return wrongDatabase("%s is %s database, not Langflow's.", where, o.product)
		}
	}
	if len(found) == 0 {
		return wrongDatabase("%s has no tables that this user can read.", where).
			WithNext("Start Langflow with it once. On PostgreSQL, use a user who can read Langflow's tables.")
	}
	var missing []string
	for _, t := range tables() {
		columns, ok := found[t.name]
		switch {
		case !ok && !t.dispensable:
			missing = append(missing, "the table "+t.name)
		case ok:
			for _, c := range t.need {
				if !slices.Contains(columns, c) {
					missing = append(missing, t.name+"."+c)
				}
			}
		}
	}
	if len(missing) > 0 {
		return wrongDatabase("%s is not a database of Langflow 1.0 or later: %s is missing.",
			where, strings.Join(missing[:min(len(missing), 5)], ", ")).
			WithNext("Upgrade Langflow and start it once, so that it updates its database.")
	}
	return nil
}

// sound makes SQLite verify all pages of the tables that are read. Otherwise an overwritten page
// would be read as other people's data.
func (s *source) sound(ctx context.Context, found map[string][]string) error {
	if s.postgres {
		return nil
	}
	for _, t := range tables() {
		if _, ok := found[t.name]; !ok {
			continue
		}
		var verdict string
		row := s.tx.QueryRowContext(ctx, fmt.Sprintf(`PRAGMA integrity_check(%q)`, t.name))
		if err := row.Scan(&verdict); err != nil {
			return damaged(s.where, err)
		}
		if verdict != "ok" {
			return damaged(s.where, fmt.Errorf("table %s: %.200s", t.name, verdict))
		}
	}
	return nil
}

// maxRows is how many rows of a table are read. Langflow's own pages cannot handle that many.
const maxRows = 200_000

// maxText is how much of a value is read, in characters. No usable name, hash or secret is longer.
const maxText = 64 << 10

// each calls fn with the rows of a table. A row has values by the names of the columns that the
// table needs and may have.
func (s *source) each(ctx context.Context, t table, found map[string][]string, fn func(row map[string]text)) error {
	columns, ok := found[t.name]
	if !ok {
		return nil
	}
	names := slices.Concat(t.need, t.may)
	terms := make([]string, len(names))
	for i, name := range names {
		terms[i] = fmt.Sprintf(`substr(CAST(%q AS TEXT), 1, %d)`, name, maxText)
		if !slices.Contains(columns, name) || name == "data" {
			terms[i] = "NULL"
		}
	}
	query := fmt.Sprintf(`SELECT %s FROM %q ORDER BY 1 LIMIT %d`, strings.Join(terms, ", "), t.name, maxRows+1)
	rows, err := s.tx.QueryContext(ctx, query)
	if err != nil {
		return s.failed(err)
	}
	defer rows.Close()
	values, targets := make([]*string, len(names)), make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	n := 0
	for rows.Next() {
		if n++; n > maxRows {
			return wrongDatabase("The table %s has more than %d rows, which is more than Sluice imports.",
				t.name, maxRows)
		}
		if err := rows.Scan(targets...); err != nil {
			return s.failed(err)
		}
		row := make(map[string]text, len(names))
		for i, name := range names {
			if values[i] != nil {
				row[name] = text{value: *values[i], given: true}
			}
		}
		fn(row)
	}
	if err := rows.Err(); err != nil {
		return s.failed(err)
	}
	return nil
}

// failed explains a failed query: the file is damaged, or permissions are missing.
func (s *source) failed(err error) error {
	if s.postgres {
		return notReached(s.where, err)
	}
	return damaged(s.where, err)
}
