package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"sluice/internal/flow"
)

// objectPlanner decides about the owners of flows, and of other objects that stay in the builder
// with their ids: projects, variables and files. Without a connected builder there is nothing to
// record them for.
type objectPlanner struct {
	*planning
	workspaces *workspacePlanner
	used       map[string]bool // workspaces in which the app is used
}

func (p *objectPlanner) plan() error {
	p.bindAccounts()
	for _, pr := range p.in.Projects {
		p.object(KindProject, flow.Project, pr.User, pr.ID, pr.Name, p.workspaces.placed[pr.ID])
	}
	for _, f := range p.in.Flows {
		at := ""
		if pr, ok := p.workspaces.projects[f.Project]; ok && pr.User == f.User {
			at = p.workspaces.placed[pr.ID]
		}
		p.object(KindFlow, flow.Chatflow, f.User, f.ID, f.Name, at)
	}
	for _, v := range p.in.Variables {
		p.object(KindVariable, flow.Variable, v.User, v.ID, v.Name, "")
	}
	for _, f := range p.in.Files {
		p.object(KindFile, flow.StoredFile, f.User, f.ID, f.Name, "")
	}
	if p.state.app == nil {
		return nil
	}
	for _, h := range p.holders {
		p.used[h.home] = true
	}
	for _, w := range slices.Sorted(maps.Keys(p.used)) {
		if !p.state.offered[w] {
			p.result.offers = append(p.result.offers, w)
		}
	}
	return nil
}

// bindAccounts binds each user of the installation to the workspace of their own items, so that the
// bridge takes Sluice's people into that account.
func (p *objectPlanner) bindAccounts() {
	if p.state.app == nil {
		return
	}
	for _, id := range p.holderIDs() {
		h := p.holders[id]
		item := Item{
			Kind:      KindAccount,
			Name:      p.userName(id),
			Origin:    id,
			Target:    id,
			Workspace: p.state.workspaces[h.home],
			Outcome:   Added,
		}
		bound := account{id: id, workspace: h.home, username: p.userName(id)}
		if p.state.app.PerPerson {
			bound.person = h.id
		}
		here, known := p.state.accounts[id]
		switch {
		case known && here.WorkspaceID == p.state.app.WorkspaceID && here.WorkspaceID != h.home &&
			here.PersonID == "":
			bound.from = here.WorkspaceID
			item.Outcome = Moved
			item.Why = "From the workspace " + p.state.workspaces[bound.from] + ", for which it was adopted."
		case known:
			item.Outcome, item.Workspace = There, p.state.workspaces[here.WorkspaceID]
		}
		if item.Outcome != There {
			p.result.accounts = append(p.result.accounts, bound)
		}
		p.add(item)
	}
}

func (p *objectPlanner) object(kind Kind, as flow.Kind, user, id, name, workspace string) {
	item := Item{Kind: kind, Name: name, User: p.userName(user), Origin: id}
	h := p.holders[user]
	switch {
	case h == nil:
		item.Outcome, item.Why = Skipped, "Its user is not brought."
		if _, ok := p.users[user]; ok && p.own(user) {
			return // objects in accounts that Sluice created are known already
		}
	case p.state.app == nil:
		item.Outcome, item.Why = Skipped, fmt.Sprintf("No %s is connected.", p.product.Title)
	default:
		workspace = cmp.Or(workspace, h.home)
		p.used[workspace] = true
		item.Target, item.Workspace = id, p.state.workspaces[workspace]
		p.place(&item, flow.Object{
			App:       p.result.appID,
			ID:        id,
			Kind:      as,
			Workspace: workspace,
			Owner:     h.id,
			Account:   user,
			Name:      name,
		})
	}
	p.add(item)
}

// place compares an object with its current owner here. An object that was adopted when the app was
// connected belongs to no person, and moves to its own.
func (p *objectPlanner) place(item *Item, o flow.Object) {
	here, known := p.state.objects[o.ID]
	from := ""
	switch {
	case !known:
		item.Outcome = Added
	case here.OwnerID == "" && here.WorkspaceID == p.state.app.WorkspaceID:
		if here.WorkspaceID == o.Workspace {
			item.Outcome = There
			if here.UpstreamID == o.Account {
				return
			}
		}
		from = here.WorkspaceID
		item.Outcome = Moved
		item.Why = "From the workspace " + p.state.workspaces[from] + ", where it had no owner."
	case here.WorkspaceID == o.Workspace:
		item.Outcome = There
		return
	default:
		item.Outcome, item.Workspace = There, p.state.workspaces[here.WorkspaceID]
		item.Why = fmt.Sprintf("Belongs to the workspace %s here, and stays there.", item.Workspace)
		return
	}
	p.result.objects = append(p.result.objects, placement{o, from})
}
