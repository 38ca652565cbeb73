package signup

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

// Invitations brings people into workspaces by their address.
type Invitations struct {
	cfg     Config
	signUps *SignUps
}

// NewInvitations creates Invitations. New accounts are created through signUps.
func NewInvitations(c Config, signUps *SignUps) *Invitations {
	return &Invitations{cfg: c, signUps: signUps}
}

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
	// Added means that the person had an account and now belongs to the workspace. Then Link is "".
	Added bool
	// Link creates the account. It is shown only this once, to be copied. Mailed means that it was
	// also sent by email.
	Link   string
	Mailed bool
}

// Invite brings a person into a workspace by their address. A person with an account is added at
// once and notified by email; anyone else gets a link that creates an account. It requires
// MemberManage in the workspace.
func (iv *Invitations) Invite(
	ctx context.Context, actor authz.Principal, workspaceID, email, role string,
) (Invited, error) {
	w, err := iv.inviting(ctx, actor, workspaceID)
	if err != nil {
		return Invited{}, err
	}
	email, err = identity.CleanEmail(email)
	if err == nil && email == "" {
		err = problem.New(problem.Invalid, "Enter an email address.").WithField("email")
	}
	if err != nil {
		return Invited{}, err
	}
	if _, ok := iv.cfg.People.Role(role); !ok {
		return Invited{}, problem.New(problem.Invalid, "There is no such role.").WithField("role")
	}
	c, found, err := iv.cfg.People.Credential(ctx, email)
	if err != nil {
		return Invited{}, err
	}
	if found {
		if found, err = iv.ownsAddress(ctx, c); err != nil {
			return Invited{}, err
		}
	}
	if found {
		return iv.addMember(ctx, actor, w, c, role)
	}
	open, err := q.New(iv.cfg.DB.Read()).InvitationsOf(ctx, workspaceID)
	if err != nil {
		return Invited{}, fmt.Errorf("counting invitations: %w", err)
	}
	if len(open) >= maxInvitations {
		const full = "%d invitations are open, which is the maximum."
		return Invited{}, problem.Newf(problem.Conflict, full, maxInvitations).WithNext("Revoke some of them.")
	}
	return iv.newInvitation(ctx, actor, w, email, role)
}

// ownsAddress reports whether an account's address can be trusted to be its person's: it was
// proven, or an admin or the person entered it here. An address that only an identity provider
// states, without vouching for it, may belong to anyone. Such a person gets a link like a newcomer.
func (iv *Invitations) ownsAddress(ctx context.Context, c identity.Credential) (bool, error) {
	if c.EmailVerified || c.PasswordHash != "" {
		return true, nil
	}
	links, err := q.New(iv.cfg.DB.Read()).LinksOf(ctx, c.UserID)
	if err != nil {
		return false, fmt.Errorf("reading linked identities: %w", err)
	}
	return len(links) == 0, nil
}

// inviting checks the permission and returns the workspace.
func (iv *Invitations) inviting(
	ctx context.Context, actor authz.Principal, workspaceID string,
) (identity.Workspace, error) {
	w, err := iv.cfg.People.Workspace(ctx, actor, workspaceID)
	if err != nil {
		return w, err
	}
	return w, iv.cfg.Gate.Check(ctx, actor, authz.MemberManage, login.WorkspaceResource(w.ID, w.Name))
}

func (iv *Invitations) addMember(
	ctx context.Context, actor authz.Principal, w identity.Workspace, c identity.Credential, role string,
) (Invited, error) {
	if who, ok := iv.cfg.People.Principal(c.UserID); ok && who.Role(w.ID) != "" {
		return Invited{}, problem.New(problem.Conflict, "This person is already a member of the workspace.").
			WithField("email")
	}
	err := iv.cfg.Gate.DoDetail(ctx, actor, authz.MemberManage, login.WorkspaceResource(w.ID, w.Name),
		c.Username+" added as "+iv.cfg.People.RoleName(role),
		func(tx *db.Tx) error {
			if err := iv.cfg.People.Join(ctx, tx, w.ID, c.UserID, role); err != nil {
				return err
			}
			return iv.cfg.Logins.Send(
				ctx,
				tx,
				mail.AddedToWorkspace{
					Name:          c.Username,
					WorkspaceName: w.Name,
					AddedBy:       actor.Name,
					DashboardLink: iv.cfg.Logins.Link("/flows", ""),
				},
				c.Email,
			)
		})
	return Invited{
		Invitation: Invitation{WorkspaceID: w.ID, Email: c.Email, Role: role},
		Added:      true,
		Mailed:     iv.cfg.Logins.MailConfigured(),
	}, err
}

func (iv *Invitations) newInvitation(
	ctx context.Context, actor authz.Principal, w identity.Workspace, email, role string,
) (Invited, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Invited{}, fmt.Errorf("creating an id: %w", err)
	}
	now := iv.cfg.Now()
	out := Invited{
		Invitation: Invitation{
			ID:          id.String(),
			WorkspaceID: w.ID,
			Email:       email,
			Role:        role,
			CreatedAt:   now.UTC(),
			ExpiresAt:   now.Add(iv.cfg.InviteLife).UTC(),
		},
		Mailed: iv.cfg.Logins.MailConfigured(),
	}
	err = iv.cfg.Gate.DoDetail(ctx, actor, authz.MemberManage, login.WorkspaceResource(w.ID, w.Name),
		email+" invited as "+iv.cfg.People.RoleName(role),
		func(tx *db.Tx) error {
			if err := q.New(tx).DropInvitationsFor(ctx,
				q.DropInvitationsForParams{WorkspaceID: w.ID, EmailKey: strings.ToLower(email)}); err != nil {
				return fmt.Errorf("replacing a previous invitation: %w", err)
			}
			if err := q.New(tx).InsertInvitation(ctx, q.InsertInvitationParams{
				ID:          out.ID,
				WorkspaceID: w.ID,
				Email:       email,
				EmailKey:    strings.ToLower(email),
				Role:        role,
				InvitedBy:   actor.ID,
				CreatedAt:   now.UnixMilli(),
				ExpiresAt:   out.ExpiresAt.UnixMilli(),
			}); err != nil {
				return fmt.Errorf("storing the invitation: %w", err)
			}
			out.Link, err = iv.inviteLinkIn(ctx, tx, actor, w, out.Invitation)
			return err
		})
	return out, err
}

func (iv *Invitations) inviteLinkIn(
	ctx context.Context, tx *db.Tx, actor authz.Principal, w identity.Workspace, i Invitation,
) (string, error) {
	if err := authn.DropTickets(ctx, tx, authn.PurposeInvite, i.ID); err != nil {
		return "", fmt.Errorf("replacing previous links: %w", err)
	}
	token, expires, err := iv.cfg.Sessions.NewTicket(ctx, tx, authn.PurposeInvite,
		authn.Ticket{Subject: i.ID, Audience: i.WorkspaceID}, iv.cfg.InviteLife)
	if err != nil {
		return "", err
	}
	link := iv.cfg.Logins.Link("/invite", token)
	return link, iv.cfg.Logins.Send(ctx, tx,
		mail.WorkspaceInvite{WorkspaceName: w.Name, InvitedBy: actor.Name, RegisterLink: link, Expires: expires},
		i.Email)
}

// List returns the open invitations of a workspace, newest first.
func (iv *Invitations) List(ctx context.Context, actor authz.Principal, workspaceID string) ([]Invitation, error) {
	if _, err := iv.inviting(ctx, actor, workspaceID); err != nil {
		return nil, err
	}
	rows, err := q.New(iv.cfg.DB.Read()).InvitationsOf(ctx, workspaceID)
	if err != nil {
		return nil, fmt.Errorf("listing invitations: %w", err)
	}
	out := make([]Invitation, len(rows))
	for i, r := range rows {
		out[i] = invitationOf(q.InvitationsForRow(r))
	}
	return out, nil
}

// RenewInvitation creates a new link for an open invitation and sends it by email again. The
// earlier link stops working.
func (iv *Invitations) RenewInvitation(
	ctx context.Context, actor authz.Principal, workspaceID, id string,
) (Invited, error) {
	w, row, err := iv.openInvitation(ctx, actor, workspaceID, id)
	if err != nil {
		return Invited{}, err
	}
	out := Invited{Invitation: row, Mailed: iv.cfg.Logins.MailConfigured()}
	out.ExpiresAt = iv.cfg.Now().Add(iv.cfg.InviteLife).UTC()
	err = iv.cfg.Gate.DoDetail(ctx, actor, authz.MemberManage, login.WorkspaceResource(w.ID, w.Name),
		row.Email+" invited again",
		func(tx *db.Tx) error {
			if _, err := q.New(tx).RenewInvitation(ctx,
				q.RenewInvitationParams{ID: id, ExpiresAt: out.ExpiresAt.UnixMilli()}); err != nil {
				return fmt.Errorf("renewing the invitation: %w", err)
			}
			out.Link, err = iv.inviteLinkIn(ctx, tx, actor, w, row)
			return err
		})
	return out, err
}

// RevokeInvitation revokes an open invitation.
func (iv *Invitations) RevokeInvitation(ctx context.Context, actor authz.Principal, workspaceID, id string) error {
	w, row, err := iv.openInvitation(ctx, actor, workspaceID, id)
	if err != nil {
		return err
	}
	return iv.cfg.Gate.DoDetail(ctx, actor, authz.MemberManage, login.WorkspaceResource(w.ID, w.Name),
		"invitation of "+row.Email+" revoked",
		func(tx *db.Tx) error {
			if err := authn.DropTickets(ctx, tx, authn.PurposeInvite, id); err != nil {
				return fmt.Errorf("revoking the link: %w", err)
			}
			_, err := q.New(tx).DeleteInvitation(ctx, id)
			return err
		})
}

func (iv *Invitations) openInvitation(
	ctx context.Context, actor authz.Principal, workspaceID, id string,
) (identity.Workspace, Invitation, error) {
	w, err := iv.inviting(ctx, actor, workspaceID)
	if err != nil {
		return w, Invitation{}, err
	}
	r, err := q.New(iv.cfg.DB.Read()).GetInvitation(ctx, id)
	if err == nil && (r.WorkspaceID != workspaceID || r.AcceptedAt > 0) {
		err = problem.New(problem.NotFound, "There is no such invitation; it may have been accepted.")
	}
	if err != nil {
		return w, Invitation{}, db.Found(err, "There is no such invitation; it may have been accepted.")
	}
	return w, invitationOf(q.InvitationsForRow(r)), nil
}

// InviteView holds the data for the page of an invitation link.
type InviteView struct {
	Invitation
	WorkspaceName, RoleName string
	// HasAccount means that the address now has an account. Its owner signs in to accept.
	HasAccount bool
}

// CheckInvite returns the invitation of a link.
func (iv *Invitations) CheckInvite(ctx context.Context, token string) (InviteView, error) {
	t, err := iv.cfg.Sessions.CheckTicket(ctx, authn.PurposeInvite, token)
	if err != nil {
		return InviteView{}, err
	}
	r, err := q.New(iv.cfg.DB.Read()).GetInvitation(ctx, t.Subject)
	if err != nil {
		return InviteView{}, db.Found(err, "The invitation was revoked.")
	}
	name, ok := iv.cfg.People.WorkspaceName(r.WorkspaceID)
	if !ok {
		return InviteView{}, problem.New(problem.Gone, "The workspace no longer exists.")
	}
	_, found, err := iv.cfg.People.Credential(ctx, r.Email)
	return InviteView{
		Invitation:    invitationOf(q.InvitationsForRow(r)),
		WorkspaceName: name, RoleName: iv.cfg.People.RoleName(r.Role), HasAccount: found,
	}, err
}

// AcceptInvite redeems the link, creates an account with the invited address, and signs its owner
// in.
func (iv *Invitations) AcceptInvite(
	ctx context.Context, token string, n identity.NewUser, m authn.Meta,
) (login.Progress, error) {
	v, err := iv.CheckInvite(ctx, token)
	if err != nil {
		return login.Progress{}, err
	}
	if v.HasAccount {
		return login.Progress{}, problem.New(problem.Conflict, "An account with this address already exists.").
			WithNext("Sign in, then open the invitation again.")
	}
	if n.Password == "" {
		return login.Progress{}, problem.New(problem.Invalid, "Choose a password of at least 15 characters.").
			WithField("password")
	}
	n.Email, n.Role, n.Workspace = v.Email, v.Role, v.WorkspaceID
	n.Active, n.Superuser, n.EmailVerified = true, false, false
	prepared, err := iv.cfg.People.Prepare(ctx, n)
	if err != nil {
		return login.Progress{}, err
	}
	err = iv.signUps.insert(ctx, prepared, m,
		func(tx *db.Tx, _ identity.User) error { return iv.spendInvite(ctx, tx, token, v) })
	if err != nil {
		return login.Progress{}, err
	}
	return iv.cfg.Logins.Begin(ctx, byLink(m, prepared.ID(), "invitation"), nil)
}

// AcceptInviteAs redeems the link for a person who is signed in with the invited address.
func (iv *Invitations) AcceptInviteAs(ctx context.Context, p authz.Principal, token string) error {
	v, err := iv.CheckInvite(ctx, token)
	if err != nil {
		return err
	}
	if !p.SignedIn() {
		return problem.New(problem.Unauthenticated, "Sign in first.")
	}
	if !strings.EqualFold(p.Email, v.Email) {
		return problem.New(problem.Denied, "This invitation is for another address.").
			WithNext("Ask for an invitation to your own address.")
	}
	return iv.cfg.DB.System(ctx, "accepted invitation", func(tx *db.Tx) error {
		if err := iv.spendInvite(ctx, tx, token, v); err != nil {
			return err
		}
		if p.Role(v.WorkspaceID) == "" {
			if err := iv.cfg.People.Join(ctx, tx, v.WorkspaceID, p.ID, v.Role); err != nil {
				return err
			}
		}
		return iv.cfg.Gate.Record(ctx, tx, p, authz.MemberManage,
			login.WorkspaceResource(v.WorkspaceID, v.WorkspaceName), audit.Done, "invitation accepted")
	})
}

func (iv *Invitations) spendInvite(ctx context.Context, tx *db.Tx, token string, v InviteView) error {
	if err := iv.cfg.Sessions.UseTicket(ctx, tx, authn.PurposeInvite, token); err != nil {
		return err
	}
	n, err := q.New(tx).AcceptInvitation(ctx, q.AcceptInvitationParams{ID: v.ID, Now: iv.cfg.Now().UnixMilli()})
	if err != nil {
		return fmt.Errorf("accepting the invitation: %w", err)
	}
	if n == 0 {
		return problem.New(problem.Gone, "This invitation has expired or was revoked.")
	}
	return nil
}

// WaitingInvitations lists the workspaces that are offered to an attempt at StepInvitation.
func (iv *Invitations) WaitingInvitations(ctx context.Context, attemptToken string) ([]InviteView, error) {
	a, err := iv.cfg.Logins.Load(ctx, attemptToken, login.StepInvitation)
	if err != nil {
		return nil, err
	}
	return iv.offeredTo(ctx, a)
}

func (iv *Invitations) offeredTo(ctx context.Context, a login.State) ([]InviteView, error) {
	who, _ := iv.cfg.People.Principal(a.Account)
	open, err := iv.invitationsFor(ctx, who.Email)
	if err != nil {
		return nil, err
	}
	var out []InviteView
	for _, i := range open {
		if name, ok := iv.cfg.People.WorkspaceName(i.WorkspaceID); ok && who.Role(i.WorkspaceID) == "" {
			out = append(
				out,
				InviteView{
					Invitation:    i,
					WorkspaceName: name,
					RoleName:      iv.cfg.People.RoleName(i.Role),
					HasAccount:    true,
				},
			)
		}
	}
	return out, nil
}

// AnswerInvitations accepts the invitations with these ids and leaves the others open. Then the
// sign-in continues.
func (iv *Invitations) AnswerInvitations(
	ctx context.Context, attemptToken string, accepted []string,
) (login.Progress, error) {
	a, err := iv.cfg.Logins.Load(ctx, attemptToken, login.StepInvitation)
	if err != nil {
		return login.Progress{}, err
	}
	offered, err := iv.offeredTo(ctx, a)
	if err != nil {
		return login.Progress{}, err
	}
	a.Skipped = append(a.Skipped, login.StepInvitation)
	return iv.cfg.Logins.Advance(ctx, a, func(tx *db.Tx) error {
		for _, v := range offered {
			if !slices.Contains(accepted, v.ID) {
				continue
			}
			if err := iv.acceptIn(ctx, tx, a, v); err != nil {
				return err
			}
		}
		return nil
	})
}

func (iv *Invitations) acceptIn(ctx context.Context, tx *db.Tx, a login.State, v InviteView) error {
	n, err := q.New(tx).AcceptInvitation(ctx, q.AcceptInvitationParams{ID: v.ID, Now: iv.cfg.Now().UnixMilli()})
	if err != nil {
		return err
	}
	if n == 0 {
		return problem.New(problem.Gone, "The invitation to "+v.WorkspaceName+" has expired or was revoked.")
	}
	if err := iv.cfg.People.Join(ctx, tx, v.WorkspaceID, a.Account, v.Role); err != nil {
		return err
	}
	return iv.cfg.Gate.Record(ctx, tx, a.Principal(iv.cfg.People), authz.MemberManage,
		login.WorkspaceResource(v.WorkspaceID, v.WorkspaceName), audit.Done, "invitation accepted")
}

func invitationOf(r q.InvitationsForRow) Invitation {
	return Invitation{
		ID:          r.ID,
		WorkspaceID: r.WorkspaceID,
		Email:       r.Email,
		Role:        r.Role,
		CreatedAt:   time.UnixMilli(r.CreatedAt).UTC(),
		ExpiresAt:   time.UnixMilli(r.ExpiresAt).UTC(),
	}
}

// invitationsFor lists the open invitations of an address.
func (iv *Invitations) invitationsFor(ctx context.Context, email string) ([]Invitation, error) {
	rows, err := q.New(iv.cfg.DB.Read()).InvitationsFor(ctx, q.InvitationsForParams{
		EmailKey: strings.ToLower(email),
		Now:      iv.cfg.Now().UnixMilli(),
	})
	if err != nil {
		return nil, fmt.Errorf("reading invitations: %w", err)
	}
	out := make([]Invitation, len(rows))
	for i, r := range rows {
		out[i] = invitationOf(r)
	}
	return out, nil
}
