package secret

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/secret"
	"sluice/internal/problem"
)

// MaxCredentials is how many credentials a workspace can have.
const MaxCredentials = maxCredentials

// PreparedCredential is a checked and sealed credential that is ready to be stored.
type PreparedCredential struct{ row q.Credential }

// Resource is the credential as the gate sees it.
func (p PreparedCredential) Resource() authz.Resource { return view(p.row).Resource() }

// Prepare checks a credential that was kept elsewhere and seals it, before any transaction is open. It asks no right: whoever calls Insert with the result has decided that it may be added. The workspace
// may be made in the same transaction.
func (v *Vault) Prepare(workspaceID, createdBy string, n NewCredential) (out PreparedCredential, err error) {
	if err := v.clean(&n); err != nil {
		return out, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return out, fmt.Errorf("making an id: %w", err)
	}
	sealed, err := v.seal(n.Values, workspaceID, id.String())
	if err != nil {
		return out, err
	}
	now := v.cfg.Now().UnixMilli()
	out.row = q.Credential{
		ID: id.String(), WorkspaceID: workspaceID, Name: n.Name, NameKey: strings.ToLower(n.Name), Kind: n.Kind, Fields: strings.Join(fieldsOf(n.Values), " "),
		DataSealed: sealed, Roles: strings.Join(n.Roles, " "), CreatedBy: createdBy, CreatedAt: now, UpdatedAt: now, RotatedAt: now,
	}
	return out, nil
}

// Insert stores a prepared credential within the caller's transaction. Errors: problem.Conflict if the name is taken in the workspace, or the vault is full.
func (v *Vault) Insert(ctx context.Context, tx *db.Tx, p PreparedCredential) error {
	err := insertCredential(ctx, tx, p.row)
	if db.IsUnique(err) {
		return problem.Newf(problem.Conflict, "There is a credential %q in the workspace already.", p.row.Name).WithField("name")
	}
	return err
}
