package secret

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/secret"
	"sluice/internal/problem"
)

// Bounds of the vault.
const (
	// maxCredentials is the maximum number of credentials in a workspace.
	maxCredentials = 500
	// maxFields is the maximum number of values in a credential. The largest of Flowise's own types
	// has nine.
	maxFields = 32
	// maxValue bounds one value and maxValues all values of a credential together, in bytes. The
	// JSON of a service account has about 2,400.
	maxValue  = 16 << 10
	maxValues = 32 << 10
	// maxCredentialName is in characters.
	maxCredentialName = 80
	// maxSharedRoles is the maximum number of roles that a credential is shared with.
	maxSharedRoles = 50
)

// NewCredential describes a credential to create.
type NewCredential struct {
	// Name has 1 to 80 printable characters. Kind is the builder's name for the type of credential.
	Name, Kind string
	// Values are by field.
	Values map[string]string
	// Roles are the ids of the roles that it is shared with. Without any, only people who manage
	// the vault can use it.
	Roles []string
}

// CredentialChange is a change to a credential. Nil leaves a field unchanged.
type CredentialChange struct {
	Name  *string
	Roles *[]string
}

// Create creates a credential. Like every change, it requires CredentialManage.
func (v *Vault) Create(
	ctx context.Context,
	actor authz.Principal,
	workspaceID string,
	n NewCredential,
) (Credential, error) {
	if err := v.Enter(ctx, actor, authz.CredentialManage, workspaceID); err != nil {
		return Credential{}, err
	}
	p, err := v.Prepare(workspaceID, actor.ID, n)
	if err != nil {
		return Credential{}, err
	}
	made := view(p.row)
	return made, v.change(
		ctx,
		actor,
		made,
		"added, "+made.Kind+sharing(made.Roles),
		func(tx *db.Tx) error { return insertCredential(ctx, tx, p.row) },
	)
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
		return problem.Newf(problem.Conflict, "There are %d credentials in this workspace, which is the maximum.",
			maxCredentials).
			WithNext("Delete those that nobody uses.")
	}
	return q.New(tx).InsertCredential(ctx, q.InsertCredentialParams{
		ID:          row.ID,
		WorkspaceID: row.WorkspaceID,
		Name:        row.Name,
		NameKey:     row.NameKey,
		Kind:        row.Kind,
		Fields:      row.Fields,
		DataSealed:  row.DataSealed,
		Roles:       row.Roles,
		CreatedBy:   row.CreatedBy,
		CreatedAt:   row.CreatedAt,
	})
}

// Change renames a credential or shares it with other roles. Copies in builders keep their name
// until the next rotation.
func (v *Vault) Change(
	ctx context.Context,
	actor authz.Principal,
	workspaceID, id string,
	c CredentialChange,
) (Credential, error) {
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
			ID:          id,
			WorkspaceID: workspaceID,
			Name:        next.Name,
			NameKey:     strings.ToLower(next.Name),
			Roles:       strings.Join(next.Roles, " "),
			UpdatedAt:   next.UpdatedAt.UnixMilli(),
		})
		return changedOne(n, err)
	})
}

// Rotate gives a credential new values. Fields that are not named keep theirs, and unknown fields
// are refused. All copies in apps are outdated from then on.
func (v *Vault) Rotate(
	ctx context.Context,
	actor authz.Principal,
	workspaceID, id string,
	values map[string]string,
) (Credential, error) {
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
			return Credential{}, problem.Newf(problem.Invalid, "This credential has no field %.80q.", name).
				WithField("values").
				WithNext("Its fields are " + strings.Join(next.Fields, ", ") + ".")
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
	// The time is also the version, so two rotations must not share it.
	version := max(now, row.RotatedAt+1)
	err = v.change(ctx, actor, next, "new values of "+strings.Join(fieldsOf(values), ", "), func(tx *db.Tx) error {
		return rotateCredential(
			ctx,
			tx,
			q.RotateCredentialParams{
				ID:          id,
				WorkspaceID: workspaceID,
				DataSealed:  sealed,
				RotatedAt:   version,
				Now:         now,
				Former:      row.RotatedAt,
			},
		)
	})
	if err != nil {
		return Credential{}, err
	}
	return v.Get(ctx, actor, workspaceID, id)
}

func rotateCredential(ctx context.Context, tx *db.Tx, p q.RotateCredentialParams) error {
	// The lock makes sure that a copy that is just being created with the previous values does not
	// count as current.
	if err := tx.Ordered(); err != nil {
		return err
	}
	n, err := q.New(tx).RotateCredential(ctx, p)
	if err != nil {
		return fmt.Errorf("rotating a credential: %w", err)
	}
	if n == 0 {
		return problem.New(problem.Conflict, "Someone else changed this credential at the same time.").
			WithNext("Check it, then try again.")
	}
	if err := q.New(tx).OutdateUses(ctx, p.ID); err != nil {
		return fmt.Errorf("marking copies as outdated: %w", err)
	}
	return nil
}

// Delete deletes a credential that is in no app. Errors: problem.Conflict if it is in one.
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
			return problem.Newf(problem.Conflict, "This credential is in %d apps.", len(uses)).
				WithRule("credential in use").
				WithNext("Withdraw it from them first, or delete it with withdraw.")
		}
		n, err := q.New(tx).DeleteCredential(ctx, q.DeleteCredentialParams{ID: id, WorkspaceID: workspaceID})
		return changedOne(n, err)
	})
}

// manage reads a credential for an actor who may change it.
func (v *Vault) manage(ctx context.Context, actor authz.Principal, workspaceID, id string) (q.Credential, error) {
	row, err := v.find(ctx, actor, workspaceID, id)
	if err != nil {
		return row, err
	}
	return row, v.cfg.Gate.Check(ctx, actor, authz.CredentialManage, view(row).Resource())
}

func (v *Vault) change(
	ctx context.Context,
	actor authz.Principal,
	c Credential,
	detail string,
	fn func(*db.Tx) error,
) error {
	return v.cfg.Gate.DoDetail(ctx, actor, authz.CredentialManage, c.Resource(), detail, func(tx *db.Tx) error {
		err := fn(tx)
		if db.IsUnique(err) {
			return problem.New(problem.Conflict, "A credential with this name already exists in the workspace.").
				WithField("name")
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

// sharing describes for the audit entry which roles a credential is shared with.
func sharing(roles []string) string {
	if len(roles) == 0 {
		return ", shared with no role"
	}
	return ", shared with " + strings.Join(roles, " ")
}

// MaxCredentials is the maximum number of credentials in a workspace.
const MaxCredentials = maxCredentials

// PreparedCredential is a checked and sealed credential that is ready to be stored.
type PreparedCredential struct{ row q.Credential }

// Resource is the credential as the gate sees it.
func (p PreparedCredential) Resource() authz.Resource { return view(p.row).Resource() }

// Prepare checks and seals a credential that was stored elsewhere, before any transaction is open.
// It checks no permission: the caller of Insert has decided that the credential can be added. The
// same transaction may create the workspace.
func (v *Vault) Prepare(workspaceID, createdBy string, n NewCredential) (out PreparedCredential, err error) {
	if err := v.clean(&n); err != nil {
		return out, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return out, fmt.Errorf("creating an id: %w", err)
	}
	sealed, err := v.seal(n.Values, workspaceID, id.String())
	if err != nil {
		return out, err
	}
	now := v.cfg.Now().UnixMilli()
	out.row = q.Credential{
		ID:          id.String(),
		WorkspaceID: workspaceID,
		Name:        n.Name,
		NameKey:     strings.ToLower(n.Name),
		Kind:        n.Kind,
		Fields:      strings.Join(fieldsOf(n.Values), " "),
		DataSealed:  sealed,
		Roles:       strings.Join(n.Roles, " "),
		CreatedBy:   createdBy,
		CreatedAt:   now,
		UpdatedAt:   now,
		RotatedAt:   now,
	}
	return out, nil
}

// Insert stores a prepared credential within the caller's transaction. Errors: problem.Conflict if
// the name is taken in the workspace, or the vault is full.
func (v *Vault) Insert(ctx context.Context, tx *db.Tx, p PreparedCredential) error {
	err := insertCredential(ctx, tx, p.row)
	if db.IsUnique(err) {
		return problem.Newf(problem.Conflict, "A credential %q already exists in the workspace.", p.row.Name).
			WithField("name")
	}
	return err
}

// Place records, in the caller's transaction, that an app holds a copy of a credential under an id
// that Sluice chose. The copy is outdated until MarkCopied. A second copy in one app is a Conflict.
func (v *Vault) Place(ctx context.Context, tx *db.Tx, credentialID, appID, objectID, actorID string) error {
	err := q.New(tx).InsertCredentialUse(ctx, q.InsertCredentialUseParams{
		CredentialID: credentialID,
		AppID:        appID,
		ObjectID:     objectID,
		CreatedBy:    actorID,
		CreatedAt:    v.cfg.Now().UnixMilli(),
	})
	if db.IsUnique(err) {
		return problem.New(problem.Conflict, "This credential is already in the app.").WithField("app")
	}
	if err != nil {
		return fmt.Errorf("noting a copy: %w", err)
	}
	return nil
}

// PlacementIn returns the copy of a credential in an app, or NotFound.
func (v *Vault) PlacementIn(ctx context.Context, from db.Source, credentialID, appID string) (Placement, error) {
	use, err := q.New(from).GetCredentialUse(ctx, q.GetCredentialUseParams{CredentialID: credentialID, AppID: appID})
	if err != nil {
		return Placement{}, db.Found(err, "This credential is no longer in the app.")
	}
	return placement(use), nil
}

// MarkCopied records, in the caller's transaction, that an object in an app holds the values of a
// version. It reports whether that version is the current one. A copy that was withdrawn meanwhile
// is NotFound.
func (v *Vault) MarkCopied(
	ctx context.Context, tx *db.Tx, credentialID, appID, objectID string, version int64,
) (current bool, err error) {
	// A rotation takes the same lock. Either it comes before, and is seen here, or it comes after,
	// and marks the copy as outdated.
	if err := tx.Ordered(); err != nil {
		return false, err
	}
	_, err = q.New(tx).MarkUse(ctx, q.MarkUseParams{
		CredentialID: credentialID, AppID: appID, ObjectID: objectID, Version: version,
	})
	if err != nil {
		return false, fmt.Errorf("noting that a copy was made: %w", err)
	}
	p, err := v.PlacementIn(ctx, tx, credentialID, appID)
	return p.Current, err
}

// Displace removes, in the caller's transaction, the record that an app holds a copy of a
// credential.
func (v *Vault) Displace(ctx context.Context, tx *db.Tx, credentialID, appID string) error {
	_, err := q.New(tx).DeleteCredentialUse(ctx, q.DeleteCredentialUseParams{CredentialID: credentialID, AppID: appID})
	if err != nil {
		return fmt.Errorf("forgetting a copy: %w", err)
	}
	return nil
}

// StaleCopy is a credential whose copy in an app has older values.
type StaleCopy struct{ Credential, Workspace string }

// StaleCopies lists the outdated copies in an app, oldest first, at most 1000.
func (v *Vault) StaleCopies(ctx context.Context, appID string) ([]StaleCopy, error) {
	rows, err := q.New(v.cfg.DB.Read()).StaleUsesOfApp(ctx, appID)
	if err != nil {
		return nil, fmt.Errorf("listing outdated copies: %w", err)
	}
	out := make([]StaleCopy, len(rows))
	for i, r := range rows {
		out[i] = StaleCopy{Credential: r.CredentialID, Workspace: r.WorkspaceID}
	}
	return out, nil
}

// word is the form of kinds and field names. Both are identifiers in the builders.
var word = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,80}$`)

func (v *Vault) clean(n *NewCredential) (err error) {
	if n.Name, err = cleanCredentialName(n.Name); err != nil {
		return err
	}
	if n.Kind = strings.TrimSpace(n.Kind); !word.MatchString(n.Kind) {
		return problem.New(problem.Invalid, "The kind is the builder's name for the type of credential: 1 to 80 "+
			"letters, digits, dots, dashes and underscores.").
			WithField("kind").
			WithNext("For an OpenAI key in Flowise it is openAIApi.")
	}
	if err = checkValues(n.Values); err != nil {
		return err
	}
	n.Roles, err = v.cleanRoles(n.Roles)
	return err
}

func cleanCredentialName(s string) (string, error) {
	s = strings.Join(strings.Fields(s), " ")
	bad := strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
	if n := utf8.RuneCountInString(s); n < 1 || n > maxCredentialName || bad || !utf8.ValidString(s) {
		return "", problem.Newf(problem.Invalid, "A credential's name must have 1 to %d printable characters.",
			maxCredentialName).
			WithField("name")
	}
	return s, nil
}

// checkValues bounds the values. Its messages name fields, never values.
func checkValues(values map[string]string) error {
	refuse := func(format string, args ...any) error {
		return problem.Newf(problem.Invalid, format, args...).WithField("values")
	}
	if len(values) < 1 || len(values) > maxFields {
		return refuse("A credential must have 1 to %d fields.", maxFields)
	}
	total := 0
	for _, name := range fieldsOf(values) {
		value := values[name]
		total += len(value)
		switch {
		case !word.MatchString(name):
			return refuse("%.80q is not a field name: 1 to 80 letters, digits, dots, dashes and underscores.", name)
		case value == "":
			return refuse("The field %s is empty.", name)
		case len(value) > maxValue:
			return refuse("The value of %s has more than %d bytes.", name, maxValue)
		case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
			return refuse("The value of %s is not text (UTF-8 without NUL).", name)
		}
	}
	if total > maxValues {
		return refuse("The values have more than %d bytes together.", maxValues)
	}
	return nil
}

// fieldsOf returns the names of values, sorted.
func fieldsOf(values map[string]string) []string { return slices.Sorted(maps.Keys(values)) }

// cleanRoles sorts the ids of roles, all of which must exist.
func (v *Vault) cleanRoles(roles []string) ([]string, error) {
	roles = slices.Clone(roles)
	slices.Sort(roles)
	roles = slices.Compact(roles)
	if len(roles) > maxSharedRoles {
		return nil, problem.Newf(problem.Invalid, "A credential can be shared with at most %d roles.", maxSharedRoles).
			WithField("roles")
	}
	for _, id := range roles {
		if _, ok := v.cfg.People.Role(id); !ok {
			return nil, problem.Newf(problem.Invalid, "There is no role %.64q. Use user, viewer or the id of a "+
				"custom role.", id).
				WithField("roles")
		}
	}
	return roles, nil
}
