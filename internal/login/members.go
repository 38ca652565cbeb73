package login

import (
	"context"
	"fmt"

	"sluice/internal/authz"
	q "sluice/internal/db/q/login"
	"sluice/internal/problem"
)

// WithoutFactor counts the active members of a workspace who have no second factor here. Somebody whose identity provider asks for one counts too: Sluice does not know before they come.
// It needs WorkspaceManage in the workspace.
func (l *Logins) WithoutFactor(ctx context.Context, actor authz.Principal, workspaceID string) (int, error) {
	name, ok := l.cfg.People.WorkspaceName(workspaceID)
	if !ok {
		return 0, problem.New(problem.NotFound, "There is no such workspace.")
	}
	if err := l.cfg.Gate.Check(ctx, actor, authz.WorkspaceManage, workspaceResource(workspaceID, name)); err != nil {
		return 0, err
	}
	n, err := q.New(l.cfg.DB.Read()).CountMembersWithoutFactor(ctx, workspaceID)
	if err != nil {
		return 0, fmt.Errorf("counting members without a second factor: %w", err)
	}
	return int(n), nil
}
