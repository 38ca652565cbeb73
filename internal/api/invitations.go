package api

import (
	"time"

	"sluice/internal/login/signup"
)

// invitation is an open invitation to a workspace.
type invitation struct {
	ID        string    `json:"id"`
	Email     string    `json:"email" example:"ann@example.com"`
	Role      string    `json:"role" doc:"A role's id." example:"user"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

func invitationOf(i signup.Invitation) invitation {
	return invitation{i.ID, i.Email, i.Role, i.CreatedAt.UTC(), i.ExpiresAt.UTC()}
}

// invited is the outcome of an invitation.
type invited struct {
	Invitation *invitation `json:"invitation,omitempty" doc:"Left out if the person had an account and is now a member of the workspace."`
	Added      bool        `json:"added" doc:"Whether the person had an account and was added at once."`
	Mailed     bool        `json:"mailed" doc:"Whether a mail is on its way."`
	Link       string      `json:"link,omitempty" doc:"Creates the account. Shown once; works once."`
}

func invitedOf(i signup.Invited) invited {
	out := invited{Added: i.Added, Mailed: i.Mailed, Link: i.Link}
	if !i.Added {
		open := invitationOf(i.Invitation)
		out.Invitation = &open
	}
	return out
}

type invitationsInput struct {
	WorkspacePath
	Paging
}

func listInvitations(x *visit, in *invitationsInput) (list[invitation], error) {
	rows, err := x.cfg.Invitations.List(x, x.who, in.Workspace)
	return pageOf(rows, in.Paging, invitationOf), err
}

type inviteInput struct {
	WorkspacePath
	Body struct {
		Email string `json:"email" minLength:"3" maxLength:"254" doc:"The email address of the person to invite." example:"ann@example.com"`
		Role  string `json:"role" minLength:"1" maxLength:"64" doc:"A role's id." example:"user"`
	}
}

func invite(x *visit, in *inviteInput) (invited, error) {
	i, err := x.cfg.Invitations.Invite(x, x.who, in.Workspace, in.Body.Email, in.Body.Role)
	return invitedOf(i), err
}

type invitationInput struct {
	WorkspacePath
	Invitation string `path:"invitation" pattern:"^[A-Za-z0-9_-]{1,64}$" patternDescription:"an id of 1 to 64 letters, digits, dashes or underscores" doc:"An invitation's id." example:"0199aaaa-0000-7000-8000-000000000005"`
}

func renewInvitation(x *visit, in *invitationInput) (invited, error) {
	i, err := x.cfg.Invitations.RenewInvitation(x, x.who, in.Workspace, in.Invitation)
	return invitedOf(i), err
}

func revokeInvitation(x *visit, in *invitationInput) error {
	return x.cfg.Invitations.RevokeInvitation(x, x.who, in.Workspace, in.Invitation)
}
