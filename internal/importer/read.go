package importer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Installation is what was read of a Langflow. Ids are UUIDs with dashes, times UTC, zero for never. Nothing in it was checked beyond its form.
type Installation struct {
	// Where names the database for people, without a password. Revision is Langflow's own mark of its schema's version.
	Where, Revision string

	users     []user
	keys      []key
	variables []variable
	projects  []project
	flows     []flowRow
	files     []file
	// examples counts flows of nobody, which Langflow ships; unreadable rows of each table that were left out.
	examples   int
	unreadable map[string]int
	// bridged are users whom Sluice's own assertions have made.
	bridged map[string]bool
}

type user struct {
	id, name, hash    string
	active, superuser bool
	signedIn, retired bool
	created           time.Time
}

type key struct {
	id, user, name   string
	stored           string // in clear, or encrypted
	hash             [32]byte
	hashed, active   bool
	created, expires time.Time
	timeless         bool // its end cannot be read
}

type variable struct {
	id, user, name, value string
	credential            bool
}

type project struct {
	id, user, name, parent string
	personal               bool
}

type flowRow struct {
	id, user, name, project string
	component               bool
	literals                int // secrets that stand in the flow itself
}

type file struct{ id, user, name string }

// Read reads all of Langflow's database that name stands for: the path of an SQLite file, or an address as LANGFLOW_DATABASE_URL has it. It changes nothing there. Errors say in a sentence what
// is wrong with the database: problem.Invalid, or problem.Unavailable for a server that does not answer.
func Read(ctx context.Context, name string) (in *Installation, err error) {
	s, err := open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	found, err := s.columns(ctx)
	if err != nil {
		return nil, err
	}
	if err := check(s.where, found); err != nil {
		return nil, err
	}
	if err := s.sound(ctx, found); err != nil {
		return nil, err
	}
	in = &Installation{Where: s.where, unreadable: map[string]int{}, bridged: map[string]bool{}}
	for _, part := range []struct {
		from table
		take func(map[string]text) bool
	}{
		{userTable, in.takeUser}, {keyTable, in.takeKey}, {variableTable, in.takeVariable}, {projectTable, in.takeProject}, {flowTable, in.takeFlow}, {fileTable, in.takeFile},
		{profileTable, in.takeProfile}, {revisionTable, func(row map[string]text) bool { in.Revision = row["version_num"].shown(); return true }},
	} {
		err := s.each(ctx, part.from, found, func(row map[string]text) {
			if !part.take(row) {
				in.unreadable[part.from.name]++
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return in, in.readFlows(ctx, s)
}

func (in *Installation) takeUser(row map[string]text) bool {
	id, ok := row["id"].id()
	created, _ := row["create_at"].moment()
	in.users = append(in.users, user{
		id: id, name: row["username"].value, hash: row["password"].value, active: row["is_active"].yes(), superuser: row["is_superuser"].yes(),
		signedIn: row["last_login_at"].given, retired: row["retired_at"].given, created: created,
	})
	if !ok || row["username"].value == "" {
		in.users = in.users[:len(in.users)-1]
		return false
	}
	return true
}

func (in *Installation) takeKey(row map[string]text) bool {
	id, ok := row["id"].id()
	owner, owned := row["user_id"].id()
	if !ok || !owned {
		return false
	}
	k := key{id: id, user: owner, name: row["name"].shown(), stored: row["api_key"].value, active: true}
	if flag := row["is_active"]; flag.given {
		k.active = flag.yes()
	}
	k.hash, k.hashed = row["api_key_hash"].digest()
	k.created, _ = row["created_at"].moment()
	k.expires, ok = row["expires_at"].moment()
	k.timeless = !ok
	in.keys = append(in.keys, k)
	return true
}

func (in *Installation) takeVariable(row map[string]text) bool {
	id, ok := row["id"].id()
	owner, owned := row["user_id"].id()
	if !ok || !owned {
		return false
	}
	in.variables = append(in.variables, variable{
		id: id, user: owner, name: row["name"].shown(), value: row["value"].value, credential: strings.EqualFold(row["type"].value, "Credential"),
	})
	return true
}

func (in *Installation) takeProject(row map[string]text) bool {
	if !row["user_id"].given {
		return true // the folder of the examples
	}
	id, ok := row["id"].id()
	owner, owned := row["user_id"].id()
	if !ok || !owned {
		return false
	}
	parent, _ := row["parent_id"].id()
	in.projects = append(in.projects, project{id: id, user: owner, name: row["name"].shown(), parent: parent, personal: row["is_personal"].yes()})
	return true
}

func (in *Installation) takeFlow(row map[string]text) bool {
	if !row["user_id"].given {
		in.examples++
		return true
	}
	id, ok := row["id"].id()
	owner, owned := row["user_id"].id()
	if !ok || !owned {
		return false
	}
	folder, _ := row["folder_id"].id()
	in.flows = append(in.flows, flowRow{id: id, user: owner, name: row["name"].shown(), project: folder, component: row["is_component"].yes()})
	return true
}

func (in *Installation) takeFile(row map[string]text) bool {
	id, ok := row["id"].id()
	owner, owned := row["user_id"].id()
	if ok && owned {
		in.files = append(in.files, file{id: id, user: owner, name: row["name"].shown()})
	}
	return ok && owned
}

// bridgedProvider is the name under which Langflow keeps people whom Sluice has vouched for; see its LANGFLOW_EXTERNAL_AUTH_PROVIDER.
const bridgedProvider = "sluice"

func (in *Installation) takeProfile(row map[string]text) bool {
	owner, ok := row["user_id"].id()
	if ok && strings.EqualFold(row["sso_provider"].value, bridgedProvider) {
		in.bridged[owner] = true
	}
	return ok
}

// maxFlow is the largest flow that is looked into, in bytes.
const maxFlow = 16 << 20

// readFlows looks into the flows for secrets that stand in them in clear.
func (in *Installation) readFlows(ctx context.Context, s *source) error {
	at := make(map[string]int, len(in.flows))
	for i, f := range in.flows {
		at[f.id] = i
	}
	rows, err := s.tx.QueryContext(ctx, `SELECT CAST(id AS TEXT), CASE WHEN length(CAST(data AS TEXT)) > $1 THEN NULL ELSE CAST(data AS TEXT) END FROM flow WHERE user_id IS NOT NULL`, maxFlow)
	if err != nil {
		return s.failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var data *string
		if err := rows.Scan(&id, &data); err != nil {
			return s.failed(err)
		}
		known, ok := text{value: id, given: true}.id()
		if i, listed := at[known]; ok && listed && data != nil {
			in.flows[i].literals = literals([]byte(*data))
		}
	}
	if err := rows.Err(); err != nil {
		return s.failed(err)
	}
	return nil
}

// defaultProjects are the names that Langflow has given to the project that every user begins with.
var defaultProjects = []string{"Starter Project", "My Collection", "My Projects"}

// isDefault reports whether a project is the one that its user began with.
func (p project) isDefault() bool { return p.personal || slices.Contains(defaultProjects, p.name) }
