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
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// planWorkspaces decides where each user's own things and each project go. What was decided in an earlier run holds.
func (p *planning) planWorkspaces() error {
	if mode := p.options.Workspaces; mode != ByProject && mode != ByUser {
		if err := p.findOne(mode); err != nil {
			return err
		}
	}
	for _, id := range p.holderIDs() {
		if err := p.planHome(id, p.holders[id]); err != nil {
			return err
		}
	}
	projects := slices.Clone(p.in.projects)
	slices.SortFunc(projects, func(a, b project) int { return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.id, b.id)) })
	for _, pr := range projects {
		p.projects[pr.id] = pr
	}
	for _, pr := range projects {
		if h := p.holders[pr.user]; h != nil {
			if _, err := p.place(pr, h); err != nil {
				return err
			}
		}
	}
	p.settle()
	p.planMemberships()
	return nil
}

// holderIDs are the Langflow users whose things are brought, in the order of their names here.
func (p *planning) holderIDs() []string {
	return slices.SortedFunc(maps.Keys(p.holders), func(a, b string) int {
		return cmp.Or(strings.Compare(p.holders[a].username, p.holders[b].username), strings.Compare(a, b))
	})
}

// findOne finds the workspace that everything goes to, or makes it.
func (p *planning) findOne(text string) error {
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

// made adds a workspace to the plan.
func (p *planning) made(w identity.Workspace, item Item) {
	p.plan.workspaces = append(p.plan.workspaces, w)
	p.state.workspaces[w.ID] = w.Name
	p.state.names[strings.ToLower(w.Name)] = true
	item.Kind, item.Target, item.Workspace, item.Outcome = KindWorkspace, w.ID, w.Name, Added
	p.add(item)
}

// earlier is the workspace that an earlier run has chosen, if it is still there.
func (p *planning) earlier(k Kind, id string) (workspace string, ok bool) {
	workspace, ok = p.state.origin(k, id)
	if ok {
		_, ok = p.state.workspaces[workspace]
	}
	return workspace, ok
}

func (p *planning) planHome(user string, h *holder) error {
	home, ok := p.earlier(originHome, user)
	if !ok {
		home = p.one
		if home == "" {
			w, err := p.newWorkspace(h.username, h.username)
			if err != nil {
				return err
			}
			home = w.ID
			p.made(w, Item{Name: h.username, User: p.userName(user), Origin: user, Why: "For the default project and the credentials of this user."})
		}
		p.remember(originHome, user, home)
	}
	h.home, h.reach[home] = home, true
	return nil
}

// maxDepth is how deep projects may lie in one another; Langflow's pages make them one deep.
const maxDepth = 8

// place decides where a project goes, and so what lies in it.
func (p *planning) place(pr project, h *holder) (string, error) {
	if at, ok := p.placed[pr.id]; ok {
		return at, nil
	}
	root := pr
	for range maxDepth {
		above, ok := p.projects[root.parent]
		if !ok || above.user != pr.user || above.id == pr.id {
			break
		}
		root = above
	}
	at, known := p.earlier(originProject, pr.id)
	switch {
	case known:
	case p.one != "":
		at = p.one
	case p.options.Workspaces == ByUser, root.isDefault():
		at = h.home
	case root.id != pr.id:
		var err error
		if at, err = p.place(root, h); err != nil {
			return "", err
		}
	default:
		w, err := p.newWorkspace(pr.name, h.username)
		if err != nil {
			return "", err
		}
		at = w.ID
		p.made(w, Item{Name: pr.name, User: p.userName(pr.user), Origin: pr.id})
	}
	if !known {
		p.remember(originProject, pr.id, at)
	}
	p.placed[pr.id], h.reach[at] = at, true
	return at, nil
}

// maxWorkspaceName is the length of a workspace's name, in characters.
const maxWorkspaceName = 60

// newWorkspace prepares a workspace whose name nobody else's has: two of one name could not be told apart in menus.
func (p *planning) newWorkspace(name, owner string) (identity.Workspace, error) {
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
func (p *planning) settle() {
	for i, n := range p.plan.people {
		home := p.holders[n.user].home
		p.plan.people[i].prepared = n.prepared.In(home, p.roleIn(home, n.user))
	}
}

// planMemberships makes people members of the workspaces that are made for them. What is a membership already, or was one and was ended, stays as it is.
func (p *planning) planMemberships() {
	fresh := map[string]bool{}
	for _, w := range p.plan.workspaces {
		fresh[w.ID] = true
	}
	for _, id := range p.holderIDs() {
		h := p.holders[id]
		here, _ := p.im.cfg.People.Principal(h.id)
		for _, w := range slices.Sorted(maps.Keys(h.reach)) {
			if (h.fresh && w != h.home || !h.fresh && (fresh[w] || p.matchedNow(id))) && here.Role(w) == "" {
				p.plan.joins = append(p.plan.joins, join{w, h.id, p.roleIn(w, id)})
			}
		}
	}
}

func (p *planning) matchedNow(user string) bool {
	_, before := p.state.origin(KindPerson, user)
	return !before
}

// roleIn is admin of what is one's own. In the one workspace for all, Langflow's superusers are; in one that was there before, nobody is by an import.
func (p *planning) roleIn(workspace, user string) string {
	if workspace == p.one && !(p.users[user].superuser && p.isNew(workspace)) {
		return authz.RoleUser
	}
	return authz.RoleAdmin
}

func (p *planning) isNew(workspace string) bool {
	return slices.ContainsFunc(p.plan.workspaces, func(w identity.Workspace) bool { return w.ID == workspace })
}
