package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"sluice/internal/flow"
)

// planObjects decides whose the flows are, and what else stays in Langflow with its id: projects, variables and files. Without a connected Langflow there is nothing that they could be written down for.
func (p *planning) planObjects() error {
	used := map[string]bool{}
	p.planAccounts()
	for _, pr := range p.in.projects {
		p.planObject(KindProject, flow.Project, pr.user, pr.id, pr.name, p.placed[pr.id], used)
	}
	for _, f := range p.in.flows {
		at := ""
		if pr, ok := p.projects[f.project]; ok && pr.user == f.user {
			at = p.placed[pr.id]
		}
		p.planObject(KindFlow, flow.Chatflow, f.user, f.id, f.name, at, used)
	}
	for _, v := range p.in.variables {
		p.planObject(KindVariable, flow.Variable, v.user, v.id, v.name, "", used)
	}
	for _, f := range p.in.files {
		p.planObject(KindFile, flow.StoredFile, f.user, f.id, f.name, "", used)
	}
	if p.state.app == nil {
		return nil
	}
	for _, h := range p.holders {
		used[h.home] = true
	}
	for _, w := range slices.Sorted(maps.Keys(used)) {
		if !p.state.offered[w] {
			p.plan.offers = append(p.plan.offers, w)
		}
	}
	return nil
}

// planAccounts binds each Langflow user to the workspace of their own things, so that Sluice carries its people into that account.
func (p *planning) planAccounts() {
	if p.state.app == nil {
		return
	}
	for _, id := range p.holderIDs() {
		h, item := p.holders[id], Item{Kind: KindAccount, Name: p.userName(id), Origin: id, Target: id, Outcome: Added}
		item.Workspace = p.state.workspaces[h.home]
		bound := account{id: id, workspace: h.home, username: p.userName(id)}
		if p.state.app.PerPerson {
			bound.person = h.id
		}
		here, known := p.state.accounts[id]
		switch {
		case known && here.WorkspaceID == p.state.app.WorkspaceID && here.WorkspaceID != h.home && here.PersonID == "":
			bound.from = here.WorkspaceID
			item.Outcome, item.Why = Moved, "From the workspace "+p.state.workspaces[bound.from]+", for which it was adopted."
		case known:
			item.Outcome, item.Workspace = There, p.state.workspaces[here.WorkspaceID]
		}
		if item.Outcome != There {
			p.plan.accounts = append(p.plan.accounts, bound)
		}
		p.add(item)
	}
}

func (p *planning) planObject(kind Kind, as flow.Kind, user, id, name, workspace string, used map[string]bool) {
	item := Item{Kind: kind, Name: name, User: p.userName(user), Origin: id}
	h := p.holders[user]
	switch {
	case h == nil:
		item.Outcome, item.Why = Skipped, "Its user is not brought."
		if u, ok := p.users[user]; ok && p.own(u.id) {
			return // what lies in accounts of Sluice's own is known already
		}
	case p.state.app == nil:
		item.Outcome, item.Why = Skipped, "No Langflow is connected."
	default:
		workspace = cmp.Or(workspace, h.home)
		used[workspace] = true
		item.Target, item.Workspace = id, p.state.workspaces[workspace]
		p.planPlacement(&item, flow.Object{App: p.plan.appID, ID: id, Kind: as, Workspace: workspace, Owner: h.id, Account: user, Name: name})
	}
	p.add(item)
}

// own reports whether Sluice has made an account of Langflow's itself.
func (p *planning) own(user string) bool {
	a, ok := p.state.accounts[user]
	return ok && !a.Adopted || p.in.bridged[user]
}

// planPlacement compares with whose the object is here. What was adopted when the app was connected belongs to no person, and moves to its own.
func (p *planning) planPlacement(item *Item, o flow.Object) {
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
		item.Outcome, item.Why = Moved, "From the workspace "+p.state.workspaces[from]+", where nobody owned it."
	case here.WorkspaceID == o.Workspace:
		item.Outcome = There
		return
	default:
		item.Outcome, item.Workspace = There, p.state.workspaces[here.WorkspaceID]
		item.Why = fmt.Sprintf("Belongs to the workspace %s here, and stays there.", item.Workspace)
		return
	}
	p.plan.objects = append(p.plan.objects, placement{o, from})
}

// note says what concerns the whole.
func (p *planning) note() error {
	add := func(format string, args ...any) { p.plan.Notes = append(p.plan.Notes, fmt.Sprintf(format, args...)) }
	if p.state.app == nil {
		add("No Langflow is connected to this Sluice, so that nobody's flows can be written down. Connect it and run the import again: what was brought stays, the flows follow.")
	}
	if p.in.examples > 0 {
		add("Langflow's own examples (%s) are nobody's and stay there.", KindFlow.Words(p.in.examples))
	}
	generic := 0
	for _, v := range p.in.variables {
		if !v.credential {
			generic++
		}
	}
	if generic > 0 {
		add("Variables of type Generic are no secrets: the values of %d stay in Langflow, where flows find them.", generic)
	}
	flows, literals := 0, 0
	for _, f := range p.in.flows {
		if f.literals > 0 {
			flows, literals = flows+1, literals+f.literals
		}
	}
	if flows > 0 {
		add("Secrets are typed into flows themselves, %d into %s. Whoever may see such a flow may read them; put them into variables.", literals, KindFlow.Words(flows))
	}
	for _, t := range tables() {
		if n := p.in.unreadable[t.name]; n > 0 {
			add("%d rows of the table %s cannot be read and are left out.", n, t.name)
		}
	}
	return nil
}
