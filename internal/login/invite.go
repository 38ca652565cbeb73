package login

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/identity"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

// maxInvitations bounds the open invitations of a workspace.
const maxInvitations = 500

// Invitation is an open invitation to a workspace.
type Invitation struct {
	ID, WorkspaceID, Email string
	// Role is a role's id.
	Role                 string
	CreatedAt, ExpiresAt time.Time
}

// Invited is the outcome of Invite.
type Invited struct {
	Invitation
	// Added tells that the person had an account and belongs to the workspace now; there is no link then.
	Added bool
	// Link makes the account; it is shown once, to be copied. Mailed tells that it was mailed too.
	Link   string
	Mailed bool
}

func workspaceResource(id, name string) authz.Resource {
	return authz.Resource{Type: "Workspace", ID: id, Workspace: id, Name: name}
}

// Invite brings somebody into a workspace by their address: who has an account is added at once and told by mail, who has none gets a link that makes one. It needs MemberManage in the workspace.
func (l *Logins) Invite(ctx context.Context, actor authz.Principal, workspaceID, email, role string) (Invited, error) {
	w, err := l.inviting(ctx, actor, workspaceID)
	if err != nil {
		return Invited{}, err
	}
	email, err = identity.CleanEmail(email)
	if err == nil && email == "" {
		err = problem.New(problem.Invalid, "Enter an e-mail address.").WithField("email")
	}
	if err != nil {
		return Invited{}, err
	}
	if _, ok := l.cfg.People.Role(role); !ok {
		return Invited{}, problem.New(problem.Invalid, "The role is not known.").WithField("role")
	}
	c, found, err := l.cfg.People.Credential(ctx, email)
	if err != nil {
		return Invited{}, err
	}
	if found {
		if found, err = l.ownsAddress(ctx, c); err != nil {
			return Invited{}, err
		}
	}
	if found {
		return l.addMember(ctx, actor, w, c, role)
	}
	open, err := q.New(l.cfg.DB.Read()).InvitationsOf(ctx, workspaceID)
	if err != nil {
		return Invited{}, fmt.Errorf("counting invitations: %w", err)
	}
	if len(open) >= maxInvitations {
		return Invited{}, problem.Newf(problem.Conflict, "%d invitations are open, which is the most there can be.", maxInvitations).WithNext("Take back some of them.")
	}
	return l.newInvitation(ctx, actor, w, email, role)
}

// ownsAddress reports whether an account's address may stand for its person: it was proven, or an admin or the person themselves entered it here. What only an identity provider says without vouching for
// it may be anybody's; such a person gets a link like everybody who is new.
func (l *Logins) ownsAddress(ctx context.Context, c identity.Credential) (bool, error) {
	if c.EmailVerified || c.PasswordHash != "" {
		return true, nil
	}
	links, err := q.New(l.cfg.DB.Read()).LinksOf(ctx, c.UserID)
	if err != nil {
		return false, fmt.Errorf("reading linked identities: %w", err)
	}
	return len(links) == 0, nil
}

// inviting checks the right and names the workspace.
func (l *Logins) inviting(ctx context.Context, actor authz.Principal, workspaceID string) (identity.Workspace, error) {
	w, err := l.cfg.People.Workspace(ctx, actor, workspaceID)
	if err != nil {
		return w, err
	}
	return w, l.cfg.Gate.Check(ctx, actor, authz.MemberManage, workspaceResource(w.ID, w.Name))
}

func (l *Logins) addMember(ctx context.Context, actor authz.Principal, w identity.Workspace, c identity.Credential, role string) (Invited, error) {
	if who, ok := l.cfg.People.Principal(c.UserID); ok && who.Role(w.ID) != "" {
		return Invited{}, problem.New(problem.Conflict, "This person belongs to the workspace already.").WithField("email")
	}
	err := l.cfg.Gate.DoDetail(ctx, actor, authz.MemberManage, workspaceResource(w.ID, w.Name), c.Username+" added as "+l.cfg.People.RoleName(role), func(tx *db.Tx) error {
		if err := l.cfg.People.Join(ctx, tx, w.ID, c.UserID, role); err != nil {
			return err
		}
		return l.send(ctx, tx, mail.AddedToWorkspace{Name: c.Username, WorkspaceName: w.Name, AddedBy: actor.Name, DashboardLink: l.link("/flows", "")}, c.Email)
	})
	return Invited{Invitation: Invitation{WorkspaceID: w.ID, Email: c.Email, Role: role}, Added: true, Mailed: l.MailConfigured()}, err
}

func (l *Logins) newInvitation(ctx context.Context, actor authz.Principal, w identity.Workspace, email, role string) (Invited, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Invited{}, fmt.Errorf("making an id: %w", err)
	}
	now := l.cfg.Now()
	out := Invited{Invitation: Invitation{ID: id.String(), WorkspaceID: w.ID, Email: email, Role: role, CreatedAt: now.UTC(), ExpiresAt: now.Add(l.cfg.InviteLife).UTC()}, Mailed: l.MailConfigured()}
	err = l.cfg.Gate.DoDetail(ctx, actor, authz.MemberManage, workspaceResource(w.ID, w.Name), email+" invited as "+l.cfg.People.RoleName(role), func(tx *db.Tx) error {
		if err := q.New(tx).DropInvitationsFor(ctx, q.DropInvitationsForParams{WorkspaceID: w.ID, EmailKey: strings.ToLower(email)}); err != nil {
			return fmt.Errorf("replacing an earlier invitation: %w", err)
		}
		if err := q.New(tx).InsertInvitation(ctx, q.InsertInvitationParams{
			ID: out.ID, WorkspaceID: w.ID, Email: email, EmailKey: strings.ToLower(email), Role: role, InvitedBy: actor.ID, CreatedAt: now.UnixMilli(), ExpiresAt: out.ExpiresAt.UnixMilli(),
		}); err != nil {
			return fmt.Errorf("storing the invitation: %w", err)
		}
		out.Link, err = l.inviteLinkIn(ctx, tx, actor, w, out.Invitation)
		return err
	})
	return out, err
}

func (l *Logins) inviteLinkIn(ctx context.Context, tx *db.Tx, actor authz.Principal, w identity.Workspace, i Invitation) (string, error) {
	if err := authn.DropTickets(ctx, tx, authn.PurposeInvite, i.ID); err != nil {
		return "", fmt.Errorf("replacing earlier links: %w", err)
	}
	token, expires, err := l.cfg.Sessions.NewTicket(ctx, tx, authn.PurposeInvite, authn.Ticket{Subject: i.ID, Audience: i.WorkspaceID}, l.cfg.InviteLife)
	if err != nil {
		return "", err
	}
	link := l.link("/invite", token)
	return link, l.send(ctx, tx, mail.WorkspaceInvite{WorkspaceName: w.Name, InvitedBy: actor.Name, RegisterLink: link, Expires: expires}, i.Email)
}

// Invitations lists the open invitations of a workspace, newest first.
func (l *Logins) Invitations(ctx context.Context, actor authz.Principal, workspaceID string) ([]Invitation, error) {
	if _, err := l.inviting(ctx, actor, workspaceID); err != nil {
		return nil, err
	}
	rows, err := q.New(l.cfg.DB.Read()).InvitationsOf(ctx, workspaceID)
	if err != nil {
		return nil, fmt.Errorf("listing invitations: %w", err)
	}
	out := make([]Invitation, len(rows))
	for i, r := range rows {
		out[i] = invitationOf(q.InvitationsForRow(r))
	}
	return out, nil
}

// RenewInvitation makes a new link for an open invitation and mails it again; the earlier one stops working.
func (l *Logins) RenewInvitation(ctx context.Context, actor authz.Principal, workspaceID, id string) (Invited, error) {
	w, row, err := l.openInvitation(ctx, actor, workspaceID, id)
	if err != nil {
		return Invited{}, err
	}
	out := Invited{Invitation: row, Mailed: l.MailConfigured()}
	out.ExpiresAt = l.cfg.Now().Add(l.cfg.InviteLife).UTC()
	err = l.cfg.Gate.DoDetail(ctx, actor, authz.MemberManage, workspaceResource(w.ID, w.Name), row.Email+" invited again", func(tx *db.Tx) error {
		if _, err := q.New(tx).RenewInvitation(ctx, q.RenewInvitationParams{ID: id, ExpiresAt: out.ExpiresAt.UnixMilli()}); err != nil {
			return fmt.Errorf("renewing the invitation: %w", err)
		}
		out.Link, err = l.inviteLinkIn(ctx, tx, actor, w, row)
		return err
	})
	return out, err
}

// RevokeInvitation takes an open invitation back.
func (l *Logins) RevokeInvitation(ctx context.Context, actor authz.Principal, workspaceID, id string) error {
	w, row, err := l.openInvitation(ctx, actor, workspaceID, id)
	if err != nil {
		return err
	}
	return l.cfg.Gate.DoDetail(ctx, actor, authz.MemberManage, workspaceResource(w.ID, w.Name), "invitation of "+row.Email+" taken back", func(tx *db.Tx) error {
		if err := authn.DropTickets(ctx, tx, authn.PurposeInvite, id); err != nil {
			return fmt.Errorf("ending the link: %w", err)
		}
		_, err := q.New(tx).DeleteInvitation(ctx, id)
		return err
	})
}

func (l *Logins) openInvitation(ctx context.Context, actor authz.Principal, workspaceID, id string) (identity.Workspace, Invitation, error) {
	w, err := l.inviting(ctx, actor, workspaceID)
	if err != nil {
		return w, Invitation{}, err
	}
	r, err := q.New(l.cfg.DB.Read()).GetInvitation(ctx, id)
	if err == nil && (r.WorkspaceID != workspaceID || r.AcceptedAt > 0) {
		err = problem.New(problem.NotFound, "There is no such invitation; it may have been accepted.")
	}
	if err != nil {
		return w, Invitation{}, db.Found(err, "There is no such invitation; it may have been accepted.")
	}
	return w, invitationOf(q.InvitationsForRow(r)), nil
}

// InviteView is what the page of an invitation link shows.
type InviteView struct {
	Invitation
	WorkspaceName, RoleName string
	// HasAccount tells that the address has an account by now: its owner signs in to accept.
	HasAccount bool
}

// CheckInvite tells what a link invites to.
func (l *Logins) CheckInvite(ctx context.Context, token string) (InviteView, error) {
	t, err := l.cfg.Sessions.CheckTicket(ctx, authn.PurposeInvite, token)
	if err != nil {
		return InviteView{}, err
	}
	r, err := q.New(l.cfg.DB.Read()).GetInvitation(ctx, t.Subject)
	if err != nil {
		return InviteView{}, db.Found(err, "The invitation was taken back.")
	}
	name, ok := l.cfg.People.WorkspaceName(r.WorkspaceID)
	if !ok {
		return InviteView{}, problem.New(problem.Gone, "The workspace does not exist any more.")
	}
	_, found, err := l.cfg.People.Credential(ctx, r.Email)
	return InviteView{
		Invitation:    invitationOf(q.InvitationsForRow(r)),
		WorkspaceName: name, RoleName: l.cfg.People.RoleName(r.Role), HasAccount: found,
	}, err
}

// AcceptInvite spends the link, makes an account with the invited address, and signs its owner in.
func (l *Logins) AcceptInvite(ctx context.Context, token string, n identity.NewUser, m authn.Meta) (Progress, error) {
	v, err := l.CheckInvite(ctx, token)
	if err != nil {
		return Progress{}, err
	}
	if v.HasAccount {
		return Progress{}, problem.New(problem.Conflict, "There is an account with this address.").WithNext("Sign in, then open the invitation again.")
	}
	if n.Password == "" {
		return Progress{}, problem.New(problem.Invalid, "Choose a password of at least 15 characters.").WithField("password")
	}
	n.Email, n.Role, n.Workspace, n.Active, n.Superuser, n.EmailVerified = v.Email, v.Role, v.WorkspaceID, true, false, false
	prepared, err := l.cfg.People.Prepare(ctx, n)
	if err != nil {
		return Progress{}, err
	}
	err = l.insert(ctx, prepared, m, func(tx *db.Tx, _ identity.User) error { return l.spendInvite(ctx, tx, token, v) })
	if err != nil {
		return Progress{}, err
	}
	return l.identified(ctx, byLink(m, prepared.ID(), "invitation"), nothingMore)
}

// AcceptInviteAs spends the link for somebody who is signed in with the invited address.
func (l *Logins) AcceptInviteAs(ctx context.Context, p authz.Principal, token string) error {
	v, err := l.CheckInvite(ctx, token)
	if err != nil {
		return err
	}
	if !p.SignedIn() {
		return problem.New(problem.Unauthenticated, "Sign in first.")
	}
	if !strings.EqualFold(p.Email, v.Email) {
		return problem.New(problem.Denied, "This invitation was made for another address than yours.").WithNext("Ask for an invitation to your own address.")
	}
	return l.cfg.DB.System(ctx, "accepted invitation", func(tx *db.Tx) error {
		if err := l.spendInvite(ctx, tx, token, v); err != nil {
			return err
		}
		if p.Role(v.WorkspaceID) == "" {
			if err := l.cfg.People.Join(ctx, tx, v.WorkspaceID, p.ID, v.Role); err != nil {
				return err
			}
		}
		return l.cfg.Gate.Record(ctx, tx, p, authz.MemberManage, workspaceResource(v.WorkspaceID, v.WorkspaceName), audit.Done, "invitation accepted")
	})
}

func (l *Logins) spendInvite(ctx context.Context, tx *db.Tx, token string, v InviteView) error {
	if err := l.cfg.Sessions.UseTicket(ctx, tx, authn.PurposeInvite, token); err != nil {
		return err
	}
	n, err := q.New(tx).AcceptInvitation(ctx, q.AcceptInvitationParams{ID: v.ID, Now: l.cfg.Now().UnixMilli()})
	if err != nil {
		return fmt.Errorf("accepting the invitation: %w", err)
	}
	if n == 0 {
		return problem.New(problem.Gone, "This invitation has expired or was taken back.")
	}
	return nil
}
