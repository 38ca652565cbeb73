package database

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sluice/internal/builder"
)

// Read reads Langflow's whole database with this name: the path of an SQLite file, or an address in
// the form of LANGFLOW_DATABASE_URL. See builder.Import.
func Read(ctx context.Context, name string) (in *builder.Installation, err error) {
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
	r := &reading{in: &builder.Installation{Where: s.where}, bridged: map[string]bool{}, unreadable: map[string]int{}}
	if err := r.tables(ctx, s, found); err != nil {
		return nil, err
	}
	if err := r.secretsInFlows(ctx, s); err != nil {
		return nil, err
	}
	r.note()
	return r.in, nil
}

// reading is an Installation in progress.
type reading struct {
	in *builder.Installation
	// bridged are the users whose account was created because of Sluice's own assertions.
	bridged map[string]bool
	// examples counts the flows without an owner, which Langflow ships.
	examples int
	// typed counts the flows with secrets typed into them, and secrets these secrets.
	typed, secrets int
	// unreadable counts the skipped rows of each table.
	unreadable map[string]int
}

func (r *reading) tables(ctx context.Context, s *source, found map[string][]string) error {
	for _, part := range []struct {
		from table
		take func(map[string]text) bool
	}{
		{userTable, r.takeUser},
		{keyTable, r.takeKey},
		{variableTable, r.takeVariable},
		{projectTable, r.takeProject},
		{flowTable, r.takeFlow},
		{fileTable, r.takeFile},
		{profileTable, r.takeProfile},
		{revisionTable, r.takeRevision},
	} {
		err := s.each(ctx, part.from, found, func(row map[string]text) {
			if !part.take(row) {
				r.unreadable[part.from.name]++
			}
		})
		if err != nil {
			return err
		}
	}
	for i, u := range r.in.Users {
		r.in.Users[i].Bridged = r.bridged[u.ID]
	}
	return nil
}

func (r *reading) takeUser(row map[string]text) bool {
	id, ok := row["id"].id()
	if !ok || row["username"].value == "" {
		return false
	}
	created, _ := row["create_at"].moment()
	r.in.Users = append(r.in.Users, builder.InstalledUser{
		ID:        id,
		Name:      row["username"].value,
		Hash:      row["password"].value,
		Active:    row["is_active"].yes(),
		Superuser: row["is_superuser"].yes(),
		SignedIn:  row["last_login_at"].given,
		Retired:   row["retired_at"].given,
		Created:   created,
	})
	return true
}

// OwnKeyName is the name of the keys that the bridge creates in Langflow to run flows.
const OwnKeyName = "Sluice"

func (r *reading) takeKey(row map[string]text) bool {
	id, owner, ok := owned(row)
	if !ok {
		return false
	}
	k := builder.InstalledKey{
		ID:     id,
		User:   owner,
		Name:   row["name"].shown(),
		Stored: row["api_key"].value,
		Sealed: sealed(row["api_key"].value),
		Active: true,
	}
	k.Ours = k.Name == OwnKeyName
	if flag := row["is_active"]; flag.given {
		k.Active = flag.yes()
	}
	k.Hash, k.Hashed = row["api_key_hash"].digest()
	k.Created, _ = row["created_at"].moment()
	k.Expires, ok = row["expires_at"].moment()
	k.Timeless = !ok
	r.in.Keys = append(r.in.Keys, k)
	return true
}

func (r *reading) takeVariable(row map[string]text) bool {
	id, owner, ok := owned(row)
	if !ok {
		return false
	}
	name := row["name"].shown()
	r.in.Variables = append(r.in.Variables, builder.InstalledVariable{
		ID:      id,
		User:    owner,
		Name:    name,
		Value:   row["value"].value,
		Sealed:  sealed(row["value"].value),
		Secret:  strings.EqualFold(row["type"].value, credentialKind),
		Setting: strings.HasPrefix(name, "__"),
	})
	return true
}

func (r *reading) takeProject(row map[string]text) bool {
	if !row["user_id"].given {
		return true // the folder of the examples
	}
	id, owner, ok := owned(row)
	if !ok {
		return false
	}
	parent, _ := row["parent_id"].id()
	name := row["name"].shown()
	r.in.Projects = append(r.in.Projects, builder.InstalledProject{
		ID:      id,
		User:    owner,
		Name:    name,
		Parent:  parent,
		Default: row["is_personal"].yes() || slices.Contains(defaultProjects, name),
	})
	return true
}

// defaultProjects are the names that Langflow has used for the project that every user starts with.
var defaultProjects = []string{"Starter Project", "My Collection", "My Projects"}

func (r *reading) takeFlow(row map[string]text) bool {
	if !row["user_id"].given {
		r.examples++
		return true
	}
	id, owner, ok := owned(row)
	if !ok {
		return false
	}
	folder, _ := row["folder_id"].id()
	r.in.Flows = append(r.in.Flows, builder.InstalledFlow{
		ID:      id,
		User:    owner,
		Name:    row["name"].shown(),
		Project: folder,
	})
	return true
}

func (r *reading) takeFile(row map[string]text) bool {
	id, owner, ok := owned(row)
	if ok {
		r.in.Files = append(r.in.Files, builder.InstalledFile{ID: id, User: owner, Name: row["name"].shown()})
	}
	return ok
}

// bridgedProvider is the provider name under which Langflow stores people for whom Sluice vouched;
// see its LANGFLOW_EXTERNAL_AUTH_PROVIDER.
const bridgedProvider = "sluice"

func (r *reading) takeProfile(row map[string]text) bool {
	owner, ok := row["user_id"].id()
	if ok && strings.EqualFold(row["sso_provider"].value, bridgedProvider) {
		r.bridged[owner] = true
	}
	return ok
}

func (r *reading) takeRevision(row map[string]text) bool {
	r.in.Revision = row["version_num"].shown()
	return true
}

// owned reads the ids of a row and of its user.
func owned(row map[string]text) (id, user string, ok bool) {
	id, ok = row["id"].id()
	user, has := row["user_id"].id()
	return id, user, ok && has
}

// maxFlow is the largest flow that is searched for secrets, in bytes.
const maxFlow = 16 << 20

// secretsInFlows counts the secrets that are typed into flows.
func (r *reading) secretsInFlows(ctx context.Context, s *source) error {
	known := make(map[string]bool, len(r.in.Flows))
	for _, f := range r.in.Flows {
		known[f.ID] = true
	}
	rows, err := s.tx.QueryContext(ctx, `SELECT CAST(id AS TEXT),
		CASE WHEN length(CAST(data AS TEXT)) > $1 THEN NULL ELSE CAST(data AS TEXT) END
		FROM flow WHERE user_id IS NOT NULL`, maxFlow)
	if err != nil {
		return s.failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var stored string
		var data *string
		if err := rows.Scan(&stored, &data); err != nil {
			return s.failed(err)
		}
		id, ok := text{value: stored, given: true}.id()
		if !ok || !known[id] || data == nil {
			continue
		}
		if n := literals([]byte(*data)); n > 0 {
			r.typed, r.secrets = r.typed+1, r.secrets+n
		}
	}
	if err := rows.Err(); err != nil {
		return s.failed(err)
	}
	return nil
}

// note says what is not imported, and what people should do themselves.
func (r *reading) note() {
	add := func(format string, args ...any) { r.in.Notes = append(r.in.Notes, fmt.Sprintf(format, args...)) }
	if r.examples > 0 {
		add("Langflow's own examples (%s) have no owner and stay there.", flows(r.examples))
	}
	generic := 0
	for _, v := range r.in.Variables {
		if !v.Secret {
			generic++
		}
	}
	if generic > 0 {
		add("Variables of type Generic are not secrets. The values of %d stay in Langflow, where flows find "+
			"them.", generic)
	}
	if r.typed > 0 {
		add("%d secrets are typed directly into %s. Everyone who may see such a flow can read them. Move them "+
			"into variables.", r.secrets, flows(r.typed))
	}
	for _, t := range tables() {
		if n := r.unreadable[t.name]; n > 0 {
			add("%d rows of the table %s cannot be read and are not imported.", n, t.name)
		}
	}
}

// flows is a number of flows for people.
func flows(n int) string {
	if n == 1 {
		return "1 flow"
	}
	return fmt.Sprintf("%d flows", n)
}
