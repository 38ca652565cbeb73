package secret

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/secret"
	"sluice/internal/problem"
)

// NewCredential is what a credential is made from.
type NewCredential struct {
	// Name has 1 to 80 printable characters, Kind is the builder's word for its type.
	Name, Kind string
	// Values by field.
	Values map[string]string
	// Roles are the ids of the roles that it is shared with; none: only those who manage the vault use it.
	Roles []string
}

// CredentialChange says what to change of a credential; nil leaves a thing as it is.
type CredentialChange struct {
	Name  *string
	Roles *[]string
}

// Create adds a credential. It needs CredentialManage, as do all changes.
func (v *Vault) Create(ctx context.Context, actor authz.Principal, workspaceID string, n NewCredential) (Credential, error) {
	if err := v.Enter(ctx, actor, authz.CredentialManage, workspaceID); err != nil {
		return Credential{}, err
	}
	p, err := v.Prepare(workspaceID, actor.ID, n)
	if err != nil {
		return Credential{}, err
	}
	made := view(p.row)
	return made, v.change(ctx, actor, made, "added, "+made.Kind+sharing(made.Roles), func(tx *db.Tx) error { return insertCredential(ctx, tx, p.row) })
}

func insertCredential(ctx context.Context, tx *db.Tx, row q.Credential) error {
	if err := tx.Ordered(); err != nil {
		return err
	}
	n, err := q.New(tx).CountCredentialsIn(ctx, row.WorkspaceID)
	if err != nil {
		return fmt.Errorf("counting credentials: %w", err)
	}
	if n >= maxCredentials {
		return problem.Newf(problem.Conflict, "There are %d credentials in this workspace, which is the most there can be.", maxCredentials).WithNext("Delete those that nobody uses.")
	}
	return q.New(tx).InsertCredential(ctx, q.InsertCredentialParams{
		ID: row.ID, WorkspaceID: row.WorkspaceID, Name: row.Name, NameKey: row.NameKey, Kind: row.Kind, Fields: row.Fields, DataSealed: row.DataSealed,
		Roles: row.Roles, CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt,
	})
}

// Change renames a credential or shares it with other roles. Copies in builders keep the name that they have until the next rotation.
func (v *Vault) Change(ctx context.Context, actor authz.Principal, workspaceID, id string, c CredentialChange) (Credential, error) {
	row, err := v.manage(ctx, actor, workspaceID, id)
	if err != nil {
		return Credential{}, err
	}
	next := view(row)
	var done []string
	if c.Name != nil {
		if next.Name, err = cleanCredentialName(*c.Name); err != nil {
			return Credential{}, err
		}
		done = append(done, "renamed")
	}
	if c.Roles != nil {
		if next.Roles, err = v.cleanRoles(*c.Roles); err != nil {
			return Credential{}, err
		}
		done = append(done, strings.TrimPrefix(sharing(next.Roles), ", "))
	}
	next.UpdatedAt = v.cfg.Now().UTC()
	return next, v.change(ctx, actor, next, strings.Join(done, ", "), func(tx *db.Tx) error {
		n, err := q.New(tx).UpdateCredential(ctx, q.UpdateCredentialParams{
			ID: id, WorkspaceID: workspaceID, Name: next.Name, NameKey: strings.ToLower(next.Name), Roles: strings.Join(next.Roles, " "), UpdatedAt: next.UpdatedAt.UnixMilli(),
		})
		return changedOne(n, err)
	})
}

// Rotate gives a credential new values. Fields that are not named keep theirs; fields that it does not have are refused. All copies in apps count as outdated from then on.
func (v *Vault) Rotate(ctx context.Context, actor authz.Principal, workspaceID, id string, values map[string]string) (Credential, error) {
	row, err := v.manage(ctx, actor, workspaceID, id)
	if err != nil {
		return Credential{}, err
	}
	next := view(row)
	if len(values) == 0 {
		return Credential{}, problem.New(problem.Invalid, "Give at least one new value.").WithField("values")
	}
	for _, name := range fieldsOf(values) {
		if !slices.Contains(next.Fields, name) {
			return Credential{}, problem.Newf(problem.Invalid, "This credential has no field %.80q.", name).WithField("values").WithNext("Its fields are " + strings.Join(next.Fields, ", ") + ".")
		}
	}
	all, err := v.open(row)
	if err != nil {
		return Credential{}, err
	}
	maps.Copy(all, values)
	if err := checkValues(all); err != nil {
		return Credential{}, err
	}
	sealed, err := v.seal(all, workspaceID, id)
	if err != nil {
		return Credential{}, err
	}
	now := v.cfg.Now().UnixMilli()
	// The time is the version too, so that two rotations must not share it.
	version := max(now, row.RotatedAt+1)
	err = v.change(ctx, actor, next, "new values of "+strings.Join(fieldsOf(values), ", "), func(tx *db.Tx) error {
		return rotateCredential(ctx, tx, q.RotateCredentialParams{ID: id, WorkspaceID: workspaceID, DataSealed: sealed, RotatedAt: version, Now: now, Former: row.RotatedAt})
	})
	if err != nil {
		return Credential{}, err
	}
	return v.Get(ctx, actor, workspaceID, id)
}

func rotateCredential(ctx context.Context, tx *db.Tx, p q.RotateCredentialParams) error {
	// The lock keeps a copy that is just being made with the former values from counting as current.
	if err := tx.Ordered(); err != nil {
		return err
	}
	n, err := q.New(tx).RotateCredential(ctx, p)
	if err != nil {
		return fmt.Errorf("rotating a credential: %w", err)
	}
	if n == 0 {
		return problem.New(problem.Conflict, "Somebody else has changed this credential at the same moment.").WithNext("Look at it again, then repeat.")
	}
	if err := q.New(tx).OutdateUses(ctx, p.ID); err != nil {
		return fmt.Errorf("marking copies as outdated: %w", err)
	}
	return nil
}

// Delete removes a credential that is in no app. Errors: problem.Conflict if it is in one.
func (v *Vault) Delete(ctx context.Context, actor authz.Principal, workspaceID, id string) error {
	row, err := v.manage(ctx, actor, workspaceID, id)
	if err != nil {
		return err
	}
	return v.change(ctx, actor, view(row), "deleted", func(tx *db.Tx) error {
		if err := tx.Ordered(); err != nil {
			return err
		}
		uses, err := q.New(tx).UsesOfCredential(ctx, id)
		if err != nil {
			return fmt.Errorf("listing where a credential is used: %w", err)
		}
		if len(uses) > 0 {
			return problem.Newf(problem.Conflict, "This credential is in %d apps.", len(uses)).WithRule("credential in use").WithNext("Withdraw it from them first, or say that deleting does so.")
		}
		n, err := q.New(tx).DeleteCredential(ctx, q.DeleteCredentialParams{ID: id, WorkspaceID: workspaceID})
		return changedOne(n, err)
	})
}

// manage reads a credential for somebody who may change it.
func (v *Vault) manage(ctx context.Context, actor authz.Principal, workspaceID, id string) (q.Credential, error) {
	row, err := v.find(ctx, actor, workspaceID, id)
	if err != nil {
		return row, err
	}
	return row, v.cfg.Gate.Check(ctx, actor, authz.CredentialManage, view(row).Resource())
}

func (v *Vault) change(ctx context.Context, actor authz.Principal, c Credential, detail string, fn func(*db.Tx) error) error {
	return v.cfg.Gate.DoDetail(ctx, actor, authz.CredentialManage, c.Resource(), detail, func(tx *db.Tx) error {
		err := fn(tx)
		if db.IsUnique(err) {
			return problem.New(problem.Conflict, "There is a credential with this name in the workspace already.").WithField("name")
		}
		return err
	})
}

func changedOne(n int64, err error) error {
	if err == nil && n == 0 {
		return noCredential()
	}
	return err
}

// sharing says in the record with which roles something is shared.
func sharing(roles []string) string {
	if len(roles) == 0 {
		return ", shared with no role"
	}
	return ", shared with " + strings.Join(roles, " ")
}
