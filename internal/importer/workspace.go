package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// workspacePlanner decides which workspace each user's own items and each project go to.
type workspacePlanner struct {
	*planning
	projects map[string]builder.InstalledProject
	placed   map[string]string // the workspace of each project
	one      string            // the single workspace for everything; "" if there are several
}

// plan decides about the workspaces of users and projects. Decisions of an earlier import remain.
func (p *workspacePlanner) plan() error {
	if mode := p.options.Workspaces; mode != ByProject && mode != ByUser {
		if err := p.findOne(mode); err != nil {
			return err
		}
	}
	for _, id := range p.holderIDs() {
		if err := p.home(id, p.holders[id]); err != nil {
			return err
		}
	}
	projects := slices.Clone(p.in.Projects)
	slices.SortFunc(projects, func(a, b builder.InstalledProject) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	for _, pr := range projects {
		p.projects[pr.ID] = pr
	}
	for _, pr := range projects {
		if h := p.holders[pr.User]; h != nil {
			if _, err := p.place(pr, h); err != nil {
				return err
			}
		}
	}
	p.settle()
	p.memberships()
	return nil
}

// findOne finds the workspace that everything goes to, or creates it.
func (p *workspacePlanner) findOne(text string) error {
	for id, name := range p.state.workspaces {
		if id == text || strings.EqualFold(name, text) {
			p.one = id
			return nil
		}
	}
	if _, err := uuid.Parse(text); err == nil {
		return problem.Newf(problem.NotFound, "There is no workspace with the id %s.", text).WithField("--workspaces")
	}
	w, err := p.im.cfg.People.PrepareWorkspace(text)
	if err != nil {
		return problem.Of(err).WithField("--workspaces")
	}
	p.one = w.ID
	p.made(w, Item{Name: w.Name})
	return nil
}

// made adds a new workspace to the plan.
func (p *workspacePlanner) made(w identity.Workspace, item Item) {
	p.result.workspaces = append(p.result.workspaces, w)
	p.state.workspaces[w.ID] = w.Name
	p.state.names[strings.ToLower(w.Name)] = true
	item.Kind, item.Target, item.Workspace, item.Outcome = KindWorkspace, w.ID, w.Name, Added
	p.add(item)
}

// earlier returns the workspace that an earlier import has chosen, if it still exists.
func (p *workspacePlanner) earlier(k Kind, id string) (workspace string, ok bool) {
	workspace, ok = p.state.origin(k, id)
	if ok {
		_, ok = p.state.workspaces[workspace]
	}
	return workspace, ok
}

func (p *workspacePlanner) home(user string, h *holder) error {
	home, ok := p.earlier(originHome, user)
	if !ok {
		home = p.one
		if home == "" {
			w, err := p.newWorkspace(h.username, h.username)
			if err != nil {
				return err
			}
			home = w.ID
			p.made(w, Item{
				Name:   h.username,
				User:   p.userName(user),
				Origin: user,
				Why:    "For the default project and the credentials of this user.",
			})
		}
		p.remember(originHome, user, home)
	}
	h.home, h.reach[home] = home, true
	return nil
}

// maxDepth is how deep projects can be nested; the builders' own pages create them one level deep.
const maxDepth = 8

// place decides which workspace a project, and everything in it, goes to.
func (p *workspacePlanner) place(pr builder.InstalledProject, h *holder) (string, error) {
	if at, ok := p.placed[pr.ID]; ok {
		return at, nil
	}
	root := pr
	for range maxDepth {
		above, ok := p.projects[root.Parent]
		if !ok || above.User != pr.User || above.ID == pr.ID {
			break
		}
		root = above
	}
	at, known := p.earlier(originProject, pr.ID)
	switch {
	case known:
	case p.one != "":
		at = p.one
	case p.options.Workspaces == ByUser, root.Default:
		at = h.home
	case root.ID != pr.ID:
		var err error
		if at, err = p.place(root, h); err != nil {
			return "", err
		}
	default:
		w, err := p.newWorkspace(pr.Name, h.username)
		if err != nil {
			return "", err
		}
		at = w.ID
		p.made(w, Item{Name: pr.Name, User: p.userName(pr.User), Origin: pr.ID})
	}
	if !known {
		p.remember(originProject, pr.ID, at)
	}
	p.placed[pr.ID], h.reach[at] = at, true
	return at, nil
}

// maxWorkspaceName is the longest name of a workspace, in characters.
const maxWorkspaceName = 60

// newWorkspace prepares a workspace with a unique name, because two with the same name would look
// the same in menus.
func (p *workspacePlanner) newWorkspace(name, owner string) (identity.Workspace, error) {
	if utf8.RuneCountInString(name) < 2 {
		name = strings.TrimSpace(name + " of " + owner)
	}
	for n := 0; ; n++ {
		suffix := ""
		switch {
		case n == 1 && name != owner:
			suffix = " (" + owner + ")"
		case n > 0:
			suffix = fmt.Sprintf(" %d", n+1)
		}
		full := trimTo(name, maxWorkspaceName-utf8.RuneCountInString(suffix)) + suffix
		if !p.state.names[strings.ToLower(full)] {
			return p.im.cfg.People.PrepareWorkspace(full)
		}
	}
}

func trimTo(s string, n int) string {
	if r := []rune(s); len(r) > max(n, 0) {
		return strings.TrimSpace(string(r[:max(n, 0)]))
	}
	return s
}

// settle gives new people their first membership.
func (p *workspacePlanner) settle() {
	for i, n := range p.result.people {
		home := p.holders[n.user].home
		p.result.people[i].prepared = n.prepared.In(home, p.roleIn(home, n.user))
	}
}

// memberships makes people members of the workspaces that their items go to, if the workspace or
// the person is new to the import. Existing memberships, and those revoked after an earlier import,
// are unchanged.
func (p *workspacePlanner) memberships() {
	fresh := map[string]bool{}
	for _, w := range p.result.workspaces {
		fresh[w.ID] = true
	}
	for _, id := range p.holderIDs() {
		h := p.holders[id]
		here, _ := p.im.cfg.People.Principal(h.id)
		for _, w := range slices.Sorted(maps.Keys(h.reach)) {
			joins := h.fresh && w != h.home || !h.fresh && (fresh[w] || p.matchedNow(id))
			if joins && here.Role(w) == "" {
				p.result.joins = append(p.result.joins, join{w, h.id, p.roleIn(w, id)})
			}
		}
	}
}

func (p *workspacePlanner) matchedNow(user string) bool {
	_, before := p.state.origin(KindPerson, user)
	return !before
}

// roleIn returns the role of a user in a workspace: admin in their own. In the single workspace for
// everything, only the installation's superusers become admins, and only if the import creates it;
// an import makes no one an admin of an existing workspace.
func (p *workspacePlanner) roleIn(workspace, user string) string {
	if workspace == p.one && !(p.users[user].Superuser && p.isNew(workspace)) {
		return authz.RoleUser
	}
	return authz.RoleAdmin
}

func (p *workspacePlanner) isNew(workspace string) bool {
	return slices.ContainsFunc(p.result.workspaces, func(w identity.Workspace) bool { return w.ID == workspace })
}
