package importer

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/secret"
)

// Config of an Importer.
type Config struct {
	DB     *db.DB
	Gate   *authz.Gate
	People *identity.People
	Hasher *identity.Hasher
	Keys   *authn.Keys
	Vault  *secret.Vault
	// Flows writes down whose the flows are.
	Flows *flow.Library
	// Now is the clock.
	Now func() time.Time
	// Log gets what goes wrong in the background.
	Log *slog.Logger
}

// Importer is the capability.
type Importer struct{ cfg Config }

// New creates an Importer.
func New(c Config) *Importer { return &Importer{cfg: c} }

// The ways in which projects become workspaces; any other text names the one workspace that everything goes to.
const (
	// ByProject makes a workspace of every project, and one for each user's default project.
	ByProject = "project"
	// ByUser makes a workspace for each user.
	ByUser = "user"
)

// Options say how to import.
type Options struct {
	// Keys open what Langflow has encrypted; nil: what is encrypted is left out.
	Keys *secret.LangflowKeys
	// App is the name, short name or id of the connected Langflow; "" is the only one there is, if there is one.
	App string
	// Workspaces is ByProject, ByUser, or the name or id of one workspace for all. A name that there is not yet is made.
	Workspaces string
	// Rename gives Langflow users another username here. Match says that a Langflow user is somebody who is here already, by username or address.
	Rename, Match map[string]string
}

// Plan is what an import will do. It holds secrets; its Report does not.
type Plan struct {
	Report

	appID      string
	workspaces []identity.Workspace
	people     []newcomer
	joins      []join
	keys       []authn.PreparedKey
	vault      []secret.PreparedCredential
	accounts   []account
	objects    []placement
	offers     []string
	origins    []origin
}

// newcomer is a new person. The Langflow user tells the first membership, which is decided later.
type newcomer struct {
	prepared identity.Prepared
	user     string
}

type join struct{ workspace, person, role string }

// account is bound to a workspace, and where each person has their own, to one.
type account struct {
	id, workspace, person, username string
	from                            string // the workspace that it is bound to now; "" for none
}

type placement struct {
	object flow.Object
	from   string
}

type origin struct {
	kind       Kind
	id, target string
}

// planning is a plan in the making.
type planning struct {
	im      *Importer
	ctx     context.Context
	in      *Installation
	options Options
	state   *state
	plan    *Plan

	holders  map[string]*holder // by Langflow user
	users    map[string]user
	projects map[string]project
	placed   map[string]string // project -> workspace
	one      string            // the one workspace for all; "" if there are several
	hashes   map[[32]byte]bool // keys that were met
}

// holder is somebody here to whom a Langflow user's things go.
type holder struct {
	id, username string
	superuser    bool
	fresh        bool
	home         string
	reach        map[string]bool // all workspaces that the user's projects go to
}

// Plan compares an Installation with what Sluice has. It changes nothing. Errors: problem.Invalid for options that fit nothing, and for a secret key that opens nothing of what is encrypted.
func (im *Importer) Plan(ctx context.Context, in *Installation, o Options) (*Plan, error) {
	s, err := im.load(ctx, o.App)
	if err != nil {
		return nil, err
	}
	p := &planning{
		im: im, ctx: ctx, in: in, options: o, state: s, holders: map[string]*holder{}, users: map[string]user{}, projects: map[string]project{}, placed: map[string]string{}, hashes: map[[32]byte]bool{},
		plan: &Plan{Report: Report{Database: in.Where, Revision: in.Revision, Items: []Item{}, Notes: []string{}}},
	}
	if s.app != nil {
		p.plan.App, p.plan.appID = s.app.Name, s.app.ID
	}
	for _, step := range []func() error{p.checkSecretKey, p.checkNames, p.planPeople, p.planWorkspaces, p.planKeys, p.planCredentials, p.planObjects, p.note} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(p.plan.Items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(slices.Index(Kinds(), a.Kind), slices.Index(Kinds(), b.Kind)), strings.Compare(a.User, b.User), strings.Compare(a.Name, b.Name), strings.Compare(a.Origin, b.Origin))
	})
	return p.plan, nil
}

func (p *planning) add(i Item) { p.plan.Items = append(p.plan.Items, i) }

func (p *planning) remember(k Kind, id, target string) {
	p.plan.origins = append(p.plan.origins, origin{k, id, target})
}

// userName is the name of a Langflow user as it can be shown.
func (p *planning) userName(id string) string {
	if u, ok := p.users[id]; ok {
		return shown(u.name)
	}
	return "a user who is not there any more"
}
