package api

import (
	"time"

	"sluice/internal/identity"
	"sluice/internal/problem"
)

// team is a workspace.
type team struct {
	ID           string     `json:"id" example:"default"`
	Name         string     `json:"name" example:"Default workspace"`
	SecondFactor string     `json:"second_factor,omitempty" doc:"Its rule for second factors: off, encouraged or required. Left out if only the name is shown." example:"off"`
	Members      *int       `json:"members,omitempty" doc:"The number of its members. Only in lists." example:"3"`
	CreatedAt    *time.Time `json:"created_at,omitempty" doc:"Left out if only the name is shown."`
}

func teamOf(w identity.Workspace) team {
	return team{ID: w.ID, Name: w.Name, SecondFactor: w.SecondFactor, CreatedAt: moment(w.CreatedAt)}
}

func countedTeamOf(w identity.Workspace) team {
	out := teamOf(w)
	out.Members = &w.Members
	return out
}

func listWorkspaces(x *visit, in *Paging) (list[team], error) {
	rows, err := x.cfg.People.Workspaces(x, x.who)
	return pageOf(rows, *in, countedTeamOf), err
}

// workspaceName is a new name.
type workspaceName struct {
	Name string `json:"name" minLength:"2" maxLength:"60" doc:"2 to 60 printable characters." example:"Research"`
}

type newWorkspaceInput struct{ Body workspaceName }

func createWorkspace(x *visit, in *newWorkspaceInput) (team, error) {
	w, err := x.cfg.People.CreateWorkspace(x, x.who, in.Body.Name)
	return teamOf(w), err
}

func getWorkspace(x *visit, in *WorkspacePath) (team, error) {
	w, err := x.cfg.People.Workspace(x, x.who, in.Workspace)
	return teamOf(w), err
}

type updateWorkspaceInput struct {
	WorkspacePath
	Body workspaceChange
}

// workspaceChange is a change to a workspace.
type workspaceChange struct {
	Name         *string `json:"name,omitempty" minLength:"2" maxLength:"60" doc:"2 to 60 printable characters." example:"Research"`
	SecondFactor *string `json:"second_factor,omitempty" enum:"off,encouraged,required" doc:"required: only sessions with a second factor have access. encouraged: each sign-in offers to set one up."`
}

func updateWorkspace(x *visit, in *updateWorkspaceInput) error {
	switch b := in.Body; {
	case b.Name != nil && b.SecondFactor == nil:
		return x.cfg.People.RenameWorkspace(x, x.who, in.Workspace, *b.Name)
	case b.Name == nil && b.SecondFactor != nil:
		return x.cfg.People.SetSecondFactor(x, x.who, in.Workspace, *b.SecondFactor)
	}
	return problem.New(problem.Invalid, "Change one thing at a time: name or second_factor.").WithField("body")
}

func deleteWorkspace(x *visit, in *WorkspacePath) error {
	return x.cfg.People.DeleteWorkspace(x, x.who, in.Workspace)
}

// member is a person in a workspace.
type member struct {
	UserID       string     `json:"user_id"`
	Username     string     `json:"username" example:"ann"`
	Name         string     `json:"name" example:"Ann Example"`
	Email        string     `json:"email" example:"ann@example.com"`
	Role         string     `json:"role" doc:"A role's id." example:"user"`
	Superuser    bool       `json:"superuser"`
	Active       bool       `json:"active"`
	Since        time.Time  `json:"since"`
	LastSignInAt *time.Time `json:"last_sign_in_at,omitempty" doc:"Left out for never."`
}

func memberOf(m identity.Member) member {
	return member{
		m.UserID,
		m.Username,
		m.Name,
		m.Email,
		m.Role,
		m.Superuser,
		m.Active,
		m.Since.UTC(),
		moment(m.LastSignInAt),
	}
}

type membersInput struct {
	WorkspacePath
	Paging
}

func listMembers(x *visit, in *membersInput) (list[member], error) {
	rows, err := x.cfg.People.Members(x, x.who, in.Workspace)
	return pageOf(rows, in.Paging, memberOf), err
}

type setMemberInput struct {
	WorkspacePath
	UserPath
	Body struct {
		Role string `json:"role" minLength:"1" maxLength:"64" doc:"A role's id." example:"user"`
	}
}

func setMemberRole(x *visit, in *setMemberInput) error {
	return x.cfg.People.SetRole(x, x.who, in.User, in.Workspace, in.Body.Role)
}

type removeMemberInput struct {
	WorkspacePath
	UserPath
}

func removeMember(x *visit, in *removeMemberInput) error {
	return x.cfg.People.SetRole(x, x.who, in.User, in.Workspace, "")
}
