package importer

import (
	"context"
	"fmt"
	"strings"

	q "sluice/internal/db/q/importer"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// The kinds of import_origin beside those of items: the workspaces that a user's own things and a project went to.
const (
	originHome    Kind = "home"
	originProject Kind = "project"
)

// state is what Sluice has, as far as a plan depends on it.
type state struct {
	app        *q.App // nil: no Langflow is connected
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

func (im *Importer) load(ctx context.Context, appName string) (*state, error) {
	s := &state{
		offered: map[string]bool{}, origins: map[Kind]map[string]string{}, people: map[string]person{}, taken: map[string]string{}, workspaces: map[string]string{}, names: map[string]bool{},
		vault: map[string]bool{}, vaultSize: map[string]int{}, keys: map[string]int{}, objects: map[string]q.Object{}, accounts: map[string]q.ImportAccountsRow{},
	}
	for _, part := range []func(context.Context, *state) error{im.loadOrigins, im.loadPeople, im.loadVault, im.loadKeys} {
		if err := part(ctx, s); err != nil {
			return nil, err
		}
	}
	if err := im.findApp(ctx, s, appName); err != nil || s.app == nil {
		return s, err
	}
	return s, im.loadApp(ctx, s)
}

func (im *Importer) loadOrigins(ctx context.Context, s *state) error {
	rows, err := q.New(im.cfg.DB.Read()).ImportOrigins(ctx)
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

func (im *Importer) loadPeople(ctx context.Context, s *state) error {
	rows, err := q.New(im.cfg.DB.Read()).ImportNames(ctx)
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
	workspaces, err := q.New(im.cfg.DB.Read()).AllWorkspaces(ctx)
	if err != nil {
		return fmt.Errorf("reading the workspaces: %w", err)
	}
	for _, w := range workspaces {
		s.workspaces[w.ID] = w.Name
		s.names[strings.ToLower(w.Name)] = true
	}
	return nil
}

func (im *Importer) loadVault(ctx context.Context, s *state) error {
	rows, err := q.New(im.cfg.DB.Read()).CredentialNames(ctx)
	if err != nil {
		return fmt.Errorf("reading the vault: %w", err)
	}
	for _, r := range rows {
		s.vault[r.WorkspaceID+"/"+r.NameKey] = true
		s.vaultSize[r.WorkspaceID]++
	}
	return nil
}

func (im *Importer) loadKeys(ctx context.Context, s *state) error {
	rows, err := q.New(im.cfg.DB.Read()).LiveKeyCounts(ctx, im.cfg.Now().UnixMilli())
	if err != nil {
		return fmt.Errorf("counting API keys: %w", err)
	}
	for _, r := range rows {
		s.keys[r.AccountID] = int(r.Live)
	}
	return nil
}

// langflowKind is the kind of apps that a Langflow is connected as.
const langflowKind = "langflow"

// findApp finds the connected Langflow by its name, short name or id; without one it is the only one there is.
func (im *Importer) findApp(ctx context.Context, s *state, name string) error {
	rows, err := q.New(im.cfg.DB.Read()).AllApps(ctx)
	if err != nil {
		return fmt.Errorf("reading the apps: %w", err)
	}
	var found []q.App
	for _, r := range rows {
		named := name == r.ID || strings.EqualFold(name, r.Name) || strings.EqualFold(name, r.Slug)
		if named && r.Kind != langflowKind {
			return problem.Newf(problem.Invalid, "The app %s is no Langflow.", r.Name).WithField("--app")
		}
		if r.Kind == langflowKind && (name == "" || named) {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 1:
		s.app = &found[0]
		return nil
	case len(found) > 1:
		return problem.New(problem.Invalid, "Several connected Langflows fit.").WithField("--app").WithNext("Name the one that this database belongs to, by its id.")
	case name != "":
		return problem.Newf(problem.Invalid, "There is no app %.80q.", name).WithField("--app").WithNext("Connect Langflow first, or leave this out: then people, keys and credentials are brought, and whose flow is whose in a second run.")
	}
	return nil
}

func (im *Importer) loadApp(ctx context.Context, s *state) error {
	offered, err := q.New(im.cfg.DB.Read()).WorkspacesOfApp(ctx, s.app.ID)
	if err != nil {
		return fmt.Errorf("reading where the app is used: %w", err)
	}
	for _, id := range offered {
		s.offered[id] = true
	}
	objects, err := q.New(im.cfg.DB.Read()).ObjectsOfApp(ctx, s.app.ID)
	if err != nil {
		return fmt.Errorf("reading the ownership map: %w", err)
	}
	for _, o := range objects {
		s.objects[o.ObjectID] = o
	}
	accounts, err := q.New(im.cfg.DB.Read()).ImportAccounts(ctx, s.app.ID)
	if err != nil {
		return fmt.Errorf("reading the accounts: %w", err)
	}
	for _, a := range accounts {
		s.accounts[a.UpstreamID] = a
	}
	return nil
}

// origin is what became of something that was brought before.
func (s *state) origin(k Kind, id string) (target string, ok bool) {
	target, ok = s.origins[k][id]
	return target, ok
}

// whose is the person with a username or address.
func (s *state) whose(name string) (person, bool) {
	id, ok := s.taken[identity.NameKey(name)]
	return s.people[id], ok
}
