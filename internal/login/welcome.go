package login

import (
	"context"
	"slices"
	"time"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/login"
	"sluice/internal/problem"
)

// ResendVerification mails the link again that an attempt at StepVerify waits for.
func (l *Logins) ResendVerification(ctx context.Context, attemptToken string) error {
	a, err := l.loadAttempt(ctx, attemptToken, StepVerify)
	if err != nil {
		return err
	}
	u, err := l.cfg.People.Get(ctx, a.principal(l.cfg.People), a.Account)
	if err != nil {
		return err
	}
	if err := l.reserve(ctx, []counter{{"ask:" + l.mac("guess", a.Account), askLimit}}); err != nil {
		return err
	}
	return l.cfg.DB.System(ctx, "links", func(tx *db.Tx) error { return l.verifyMailIn(ctx, tx, u) })
}

// WaitingInvitations lists the workspaces that an attempt at StepInvitation is offered.
func (l *Logins) WaitingInvitations(ctx context.Context, attemptToken string) ([]InviteView, error) {
	a, err := l.loadAttempt(ctx, attemptToken, StepInvitation)
	if err != nil {
		return nil, err
	}
	return l.offeredTo(ctx, a)
}

func (l *Logins) offeredTo(ctx context.Context, a attempt) ([]InviteView, error) {
	who, _ := l.cfg.People.Principal(a.Account)
	open, err := l.invitationsFor(ctx, who.Email)
	if err != nil {
		return nil, err
	}
	var out []InviteView
	for _, i := range open {
		if name, ok := l.cfg.People.WorkspaceName(i.WorkspaceID); ok && who.Role(i.WorkspaceID) == "" {
			out = append(out, InviteView{Invitation: i, WorkspaceName: name, RoleName: l.cfg.People.RoleName(i.Role), HasAccount: true})
		}
	}
	return out, nil
}

// AnswerInvitations accepts the invitations with these ids and leaves the others open; then the sign-in goes on.
func (l *Logins) AnswerInvitations(ctx context.Context, attemptToken string, accepted []string) (Progress, error) {
	a, err := l.loadAttempt(ctx, attemptToken, StepInvitation)
	if err != nil {
		return Progress{}, err
	}
	offered, err := l.offeredTo(ctx, a)
	if err != nil {
		return Progress{}, err
	}
	a.Skipped = append(a.Skipped, StepInvitation)
	return l.advance(ctx, a, func(tx *db.Tx) error {
		for _, v := range offered {
			if !slices.Contains(accepted, v.ID) {
				continue
			}
			if err := l.acceptIn(ctx, tx, a, v); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *Logins) acceptIn(ctx context.Context, tx *db.Tx, a attempt, v InviteView) error {
	n, err := q.New(tx).AcceptInvitation(ctx, q.AcceptInvitationParams{ID: v.ID, Now: l.cfg.Now().UnixMilli()})
	if err != nil {
		return err
	}
	if n == 0 {
		return problem.New(problem.Gone, "The invitation to "+v.WorkspaceName+" has expired or was taken back.")
	}
	if err := l.cfg.People.Join(ctx, tx, v.WorkspaceID, a.Account, v.Role); err != nil {
		return err
	}
	return l.cfg.Gate.Record(ctx, tx, a.principal(l.cfg.People), authz.MemberManage, workspaceResource(v.WorkspaceID, v.WorkspaceName), audit.Done, "invitation accepted")
}

func invitationOf(r q.InvitationsForRow) Invitation {
	return Invitation{ID: r.ID, WorkspaceID: r.WorkspaceID, Email: r.Email, Role: r.Role, CreatedAt: time.UnixMilli(r.CreatedAt).UTC(), ExpiresAt: time.UnixMilli(r.ExpiresAt).UTC()}
}
