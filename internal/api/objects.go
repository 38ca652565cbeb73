package api

import (
	kinds "sluice/internal/builder"
	"sluice/internal/problem"
)

type appWorkspacesInput struct {
	AppPath
	Paging
}

func listAppWorkspaces(x *visit, in *appWorkspacesInput) (list[team], error) {
	if _, err := getApp(x, &in.AppPath); err != nil {
		return list[team]{}, err
	}
	a, ok := x.cfg.Apps.ByID(in.App)
	if !ok {
		return list[team]{}, problem.New(problem.NotFound, "There is no such app. It may have been removed.")
	}
	var used []string
	for _, id := range a.Workspaces {
		if _, ok := x.cfg.People.WorkspaceName(id); ok {
			used = append(used, id)
		}
	}
	return pageOf(used, in.Paging, func(id string) team {
		name, _ := x.cfg.People.WorkspaceName(id)
		return team{ID: id, Name: name}
	}), nil
}

type useInput struct {
	AppPath
	WorkspacePath
}

func offerApp(x *visit, in *useInput) error {
	return x.cfg.Apps.Manager.Offer(x, x.who, in.App, in.Workspace)
}

func withdrawApp(x *visit, in *useInput) error {
	return x.cfg.Apps.Manager.Withdraw(x, x.who, in.App, in.Workspace)
}

// thing is an object in a builder.
type thing struct {
	ID   string `json:"id" doc:"The builder's own id." example:"0c6a6b5e-6c1c-4d3f-9d65-0a2f5c1e7b11"`
	Kind string `json:"kind" example:"agentflow"`
	Name string `json:"name" example:"Support"`
}

type unownedInput struct {
	AppPath
	Paging
}

func listUnownedObjects(x *visit, in *unownedInput) (list[thing], error) {
	rows, err := x.cfg.Apps.Adoption.Unowned(x, x.who, in.App)
	return pageOf(rows, in.Paging, func(o kinds.FoundObject) thing { return thing{o.ID, string(o.Kind), o.Name} }), err
}

type adoptInput struct {
	AppPath
	Body struct {
		Workspace string   `json:"workspace" minLength:"1" maxLength:"100" doc:"The workspace that they will belong to. It must use the app." example:"default"`
		Owner     string   `json:"owner,omitempty" maxLength:"100" doc:"The id of the person who will own them. If left out, no one."`
		IDs       []string `json:"ids,omitempty" maxItems:"1000" doc:"The ids of the objects. If left out, all unassigned objects."`
	}
}

// adopted reports how many objects were adopted.
type adopted struct {
	Adopted int `json:"adopted" doc:"The number of adopted objects." example:"12"`
}

func adoptObjects(x *visit, in *adoptInput) (adopted, error) {
	n, err := x.cfg.Apps.Adoption.Adopt(x, x.who, in.App, in.Body.IDs, in.Body.Workspace, in.Body.Owner)
	return adopted{n}, err
}
