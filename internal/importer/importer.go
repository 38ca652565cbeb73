package importer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/db"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/secret"
)

// Config configures an Importer.
type Config struct {
	DB     *db.DB
	Gate   *authz.Gate
	People *identity.People
	Hasher *identity.Hasher
	Keys   *authn.Keys
	Vault  *secret.Vault
	// Flows records the owners of flows.
	Flows *flow.Library
	// Kind is the imported product. It has an Import.
	Kind *builder.Kind
	// Now is the clock.
	Now func() time.Time
	// Log gets errors in the background.
	Log *slog.Logger
}

// Importer brings installations of one product into Sluice.
type Importer struct{ cfg Config }

// New creates an Importer.
func New(c Config) *Importer { return &Importer{cfg: c} }

// The ways in which projects become workspaces. Any other text names the single workspace for
// everything.
const (
	// ByProject creates a workspace for every project, and one for each user's default project.
	ByProject = "project"
	// ByUser creates a workspace for each user.
	ByUser = "user"
)

// Options control an import.
type Options struct {
	// Keys decrypt the encrypted values of the installation; nil: encrypted values are left out.
	Keys builder.Unsealer
	// App is the name, short name or id of the connected builder; "" selects the only connected
	// builder of the kind, if any.
	App string
	// Workspaces is ByProject, ByUser, or the name or id of a single workspace for everything. A
	// workspace with a new name is created.
	Workspaces string
	// Rename gives users of the installation a different username here. Match maps users of the
	// installation to existing people, by username or address.
	Rename, Match map[string]string
}

// Plan lists the changes of an import. It holds secrets; its Report does not.
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

// newcomer is a new person. user is the id in the installation; it determines the first membership,
// which is decided later.
type newcomer struct {
	prepared identity.Prepared
	user     string
}

type join struct{ workspace, person, role string }

// account is an account that gets bound to a workspace, and to a person if each person has their
// own account.
type account struct {
	id, workspace, person, username string
	from                            string // its current workspace; "" for none
}

type placement struct {
	object flow.Object
	from   string
}

type origin struct {
	kind       Kind
	id, target string
}

// planning is a plan under construction, shared by all steps.
type planning struct {
	im      *Importer
	ctx     context.Context
	product *builder.Kind
	in      *builder.Installation
	options Options
	state   *state
	result  *Plan

	users   map[string]builder.InstalledUser
	holders map[string]*holder // by the id of the installation's user
}

// holder is the person here who gets the items of a user of the installation.
type holder struct {
	id, username string
	superuser    bool
	fresh        bool
	home         string
	reach        map[string]bool // all workspaces that the user's projects go to
}

// Plan compares an Installation with Sluice's data. It changes nothing. Errors: problem.Invalid for
// options that match nothing, and for a secret key that decrypts none of the encrypted values.
func (im *Importer) Plan(ctx context.Context, in *builder.Installation, o Options) (*Plan, error) {
	s, err := load(ctx, &im.cfg, o.App)
	if err != nil {
		return nil, err
	}
	p := &planning{
		im:      im,
		ctx:     ctx,
		product: im.cfg.Kind,
		in:      in,
		options: o,
		state:   s,
		users:   map[string]builder.InstalledUser{},
		holders: map[string]*holder{},
		result:  &Plan{Report: Report{Database: in.Where, Revision: in.Revision, Items: []Item{}, Notes: []string{}}},
	}
	if s.app != nil {
		p.result.App, p.result.appID = s.app.Name, s.app.ID
	}
	people := &peoplePlanner{p}
	workspaces := &workspacePlanner{
		planning: p,
		projects: map[string]builder.InstalledProject{},
		placed:   map[string]string{},
	}
	keys := &keyPlanner{planning: p, met: map[[32]byte]bool{}}
	credentials := &credentialPlanner{p}
	objects := &objectPlanner{planning: p, workspaces: workspaces, used: map[string]bool{}}
	for _, step := range []func() error{
		p.checkSecretKey,
		people.plan,
		workspaces.plan,
		keys.plan,
		credentials.plan,
		objects.plan,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	p.note()
	slices.SortStableFunc(p.result.Items, func(a, b Item) int {
		return cmp.Or(
			cmp.Compare(slices.Index(Kinds(), a.Kind), slices.Index(Kinds(), b.Kind)),
			strings.Compare(a.User, b.User),
			strings.Compare(a.Name, b.Name),
			strings.Compare(a.Origin, b.Origin),
		)
	})
	return p.result, nil
}

func (p *planning) add(i Item) { p.result.Items = append(p.result.Items, i) }

func (p *planning) remember(k Kind, id, target string) {
	p.result.origins = append(p.result.origins, origin{k, id, target})
}

// userName returns the displayable name of a user of the installation.
func (p *planning) userName(id string) string {
	if u, ok := p.users[id]; ok {
		return builder.ShownName(u.Name)
	}
	return "a user who is not there any more"
}

// holderIDs lists the users of the installation whose items are imported, in the order of their
// names here.
func (p *planning) holderIDs() []string {
	return slices.SortedFunc(maps.Keys(p.holders), func(a, b string) int {
		return cmp.Or(strings.Compare(p.holders[a].username, p.holders[b].username), strings.Compare(a, b))
	})
}

// own reports whether Sluice itself created an account of the builder.
func (p *planning) own(user string) bool {
	a, ok := p.state.accounts[user]
	return ok && !a.Adopted || p.users[user].Bridged
}

// note adds notes about the import as a whole.
func (p *planning) note() {
	if p.state.app == nil {
		p.result.Notes = append(
			p.result.Notes,
			fmt.Sprintf(
				"No %s is connected to this Sluice, so the owners of flows cannot be recorded. Connect it and run "+
					"the import again to add the flows.",
				p.product.Title,
			),
		)
	}
	p.result.Notes = append(p.result.Notes, p.in.Notes...)
}
