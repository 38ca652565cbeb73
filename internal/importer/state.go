package importer

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sluice/internal/builder"
	q "sluice/internal/db/q/importer"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// The kinds in import_origin besides those of items: the workspaces that a user's own items and a
// project went to.
const (
	originHome    Kind = "home"
	originProject Kind = "project"
)

// state is the part of Sluice's data that a plan depends on.
type state struct {
	app        *q.App // nil if no builder of this kind is connected
	offered    map[string]bool
	origins    map[Kind]map[string]string
	people     map[string]person // by id
	taken      map[string]string // username or address -> id
	workspaces map[string]string // id -> name
	names      map[string]bool   // names of workspaces, in lower case
	vault      map[string]bool   // workspace/name of credentials
	vaultSize  map[string]int
	keys       map[string]int // live keys of each person
	objects    map[string]q.Object
	accounts   map[string]q.ImportAccountsRow
}

type person struct {
	id, username string
	superuser    bool
}

// load reads the state. appName is Options.App.
func load(ctx context.Context, c *Config, appName string) (*state, error) {
	s := &state{
		offered:    map[string]bool{},
		origins:    map[Kind]map[string]string{},
		people:     map[string]person{},
		taken:      map[string]string{},
		workspaces: map[string]string{},
		names:      map[string]bool{},
		vault:      map[string]bool{},
		vaultSize:  map[string]int{},
		keys:       map[string]int{},
		objects:    map[string]q.Object{},
		accounts:   map[string]q.ImportAccountsRow{},
	}
	read := q.New(c.DB.Read())
	for _, part := range []func(context.Context, *q.Queries) error{s.loadOrigins, s.loadPeople, s.loadVault} {
		if err := part(ctx, read); err != nil {
			return nil, err
		}
	}
	if err := s.loadKeys(ctx, read, c.Now()); err != nil {
		return nil, err
	}
	if err := s.findApp(ctx, read, c.Kind, appName); err != nil || s.app == nil {
		return s, err
	}
	return s, s.loadApp(ctx, read)
}

func (s *state) loadOrigins(ctx context.Context, read *q.Queries) error {
	rows, err := read.ImportOrigins(ctx)
	if err != nil {
		return fmt.Errorf("reading what was imported before: %w", err)
	}
	for _, r := range rows {
		kind := Kind(r.Kind)
		if s.origins[kind] == nil {
			s.origins[kind] = map[string]string{}
		}
		s.origins[kind][r.OriginID] = r.TargetID
	}
	return nil
}

func (s *state) loadPeople(ctx context.Context, read *q.Queries) error {
	rows, err := read.ImportNames(ctx)
	if err != nil {
		return fmt.Errorf("reading the people: %w", err)
	}
	for _, r := range rows {
		s.people[r.ID] = person{r.ID, r.Username, r.Superuser}
		s.taken[r.UsernameKey] = r.ID
		if r.EmailKey != "" {
			s.taken[r.EmailKey] = r.ID
		}
	}
	workspaces, err := read.AllWorkspaces(ctx)
	if err != nil {
		return fmt.Errorf("reading the workspaces: %w", err)
	}
	for _, w := range workspaces {
		s.workspaces[w.ID] = w.Name
		s.names[strings.ToLower(w.Name)] = true
	}
	return nil
}

func (s *state) loadVault(ctx context.Context, read *q.Queries) error {
	rows, err := read.CredentialNames(ctx)
	if err != nil {
		return fmt.Errorf("reading the vault: %w", err)
	}
	for _, r := range rows {
		s.vault[r.WorkspaceID+"/"+r.NameKey] = true
		s.vaultSize[r.WorkspaceID]++
	}
	return nil
}

func (s *state) loadKeys(ctx context.Context, read *q.Queries, now time.Time) error {
	rows, err := read.LiveKeyCounts(ctx, now.UnixMilli())
	if err != nil {
		return fmt.Errorf("counting API keys: %w", err)
	}
	for _, r := range rows {
		s.keys[r.AccountID] = int(r.Live)
	}
	return nil
}

// findApp finds the connected builder of a kind by its name, short name or id; without a name it
// takes the only one.
func (s *state) findApp(ctx context.Context, read *q.Queries, kind *builder.Kind, name string) error {
	rows, err := read.AllApps(ctx)
	if err != nil {
		return fmt.Errorf("reading the apps: %w", err)
	}
	var found []q.App
	for _, r := range rows {
		named := name == r.ID || strings.EqualFold(name, r.Name) || strings.EqualFold(name, r.Slug)
		if named && r.Kind != kind.Name {
			return problem.Newf(problem.Invalid, "The app %s is no %s.", r.Name, kind.Title).WithField("--app")
		}
		if r.Kind == kind.Name && (name == "" || named) {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 1:
		s.app = &found[0]
		return nil
	case len(found) > 1:
		return problem.Newf(problem.Invalid, "Several connected apps of the kind %s fit.", kind.Title).
			WithField("--app").
			WithNext("Name the one that this database belongs to, by its id.")
	case name != "":
		return problem.Newf(problem.Invalid, "There is no app %.80q.", name).WithField("--app").
			WithNext("Connect " + kind.Title + " first, or leave this out: then people, keys and credentials are " +
				"brought, and whose flow is whose in a second run.")
	}
	return nil
}

func (s *state) loadApp(ctx context.Context, read *q.Queries) error {
	offered, err := read.WorkspacesOfApp(ctx, s.app.ID)
	if err != nil {
		return fmt.Errorf("reading where the app is used: %w", err)
	}
	for _, id := range offered {
		s.offered[id] = true
	}
	objects, err := read.ObjectsOfApp(ctx, s.app.ID)
	if err != nil {
		return fmt.Errorf("reading the ownership map: %w", err)
	}
	for _, o := range objects {
		s.objects[o.ObjectID] = o
	}
	accounts, err := read.ImportAccounts(ctx, s.app.ID)
	if err != nil {
		return fmt.Errorf("reading the accounts: %w", err)
	}
	for _, a := range accounts {
		s.accounts[a.UpstreamID] = a
	}
	return nil
}

// origin returns the target of an item that was imported before.
func (s *state) origin(k Kind, id string) (target string, ok bool) {
	target, ok = s.origins[k][id]
	return target, ok
}

// whose returns the person with a username or address.
func (s *state) whose(name string) (person, bool) {
	id, ok := s.taken[identity.NameKey(name)]
	return s.people[id], ok
}
