package secret

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/internal/authz"
	"sluice/internal/db"
	q "sluice/internal/db/q/secret"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// credentialTable is the word for which credentials are sealed, credentialType their type as
// resources.
const (
	credentialTable = "credential"
	credentialType  = "Credential"
)

// Credential is the visible part of a credential: everything but its values. Times are UTC.
type Credential struct {
	// ID is a UUID. Workspace is the workspace that it belongs to; it never moves.
	ID, Workspace string
	// Name is unique in the workspace, regardless of case. Kind is the builder's name for the type
	// of credential, such as "openAIApi".
	Name, Kind string
	// Fields are the names of its values, sorted.
	Fields []string
	// Roles are the ids of the roles that can see and use it, besides people who manage the vault.
	Roles []string
	// CreatedBy is an account's id.
	CreatedBy string
	// RotatedAt is when its current values were given, UpdatedAt when anything last changed.
	CreatedAt, UpdatedAt, RotatedAt time.Time
	// Uses are the apps that it was put into: the places, without values.
	Uses []Placement
}

// Resource is the credential as the gate sees it.
func (c Credential) Resource() authz.Resource {
	return authz.Resource{Type: credentialType, ID: c.ID, Workspace: c.Workspace, Name: c.Name}
}

// Placement is a copy of a credential in an app.
type Placement struct {
	// App is an app's id, Object the id of the object that holds the copy there.
	App, Object string
	// PutBy is an account's id.
	PutBy string
	PutAt time.Time
	// Current reports whether the copy has the current values.
	Current bool
}

// Vault stores the credentials of workspaces. It accepts values but never returns them. Only the
// Opener does, which the console and the API do not have.
type Vault struct{ cfg VaultConfig }

// VaultConfig configures a Vault.
type VaultConfig struct {
	DB      *db.DB
	Gate    *authz.Gate
	People  *identity.People
	Keyring *Keyring
	// Now is the clock.
	Now func() time.Time
}

// Opener reads the values of a vault, for the code that puts them where they are used.
type Opener struct{ vault *Vault }

// NewVault creates a vault, and the only opener that can read from it.
func NewVault(c VaultConfig) (*Vault, *Opener) {
	v := &Vault{cfg: c}
	return v, &Opener{vault: v}
}

// Opened holds the values of a credential at one moment.
type Opened struct {
	Credential
	// Values are by field. They must reach nothing but the builder: no log, no message, no answer.
	Values map[string]string
	// Version shows later whether the values have changed since.
	Version int64
}

// Open reads a credential with its values. It requires CredentialUse for the app that the
// credential is put into, and that the credential is shared with the actor.
func (o *Opener) Open(ctx context.Context, actor authz.Principal, workspaceID, id, appID string) (Opened, error) {
	v := o.vault
	row, err := v.find(ctx, actor, workspaceID, id)
	if err != nil {
		return Opened{}, err
	}
	out := Opened{Credential: view(row), Version: row.RotatedAt}
	res := out.Resource()
	res.App = appID
	if err := v.cfg.Gate.Check(ctx, actor, authz.CredentialUse, res); err != nil {
		return Opened{}, err
	}
	out.Values, err = v.open(row)
	return out, err
}

// List returns the credentials of a workspace that the actor may see, by name, with their
// placements. It requires CredentialView.
func (v *Vault) List(ctx context.Context, actor authz.Principal, workspaceID string) ([]Credential, error) {
	if err := v.Enter(ctx, actor, authz.CredentialView, workspaceID); err != nil {
		return nil, err
	}
	rows, err := q.New(v.cfg.DB.Read()).CredentialsIn(ctx, workspaceID)
	if err != nil {
		return nil, fmt.Errorf("listing credentials: %w", err)
	}
	uses, err := q.New(v.cfg.DB.Read()).UsesIn(ctx, workspaceID)
	if err != nil {
		return nil, fmt.Errorf("listing where credentials are used: %w", err)
	}
	places := map[string][]Placement{}
	for _, u := range uses {
		places[u.CredentialID] = append(places[u.CredentialID], placement(u))
	}
	out := []Credential{}
	for _, row := range rows {
		if c := view(row); v.shared(actor, c) {
			c.Uses = places[c.ID]
			out = append(out, c)
		}
	}
	return out, nil
}

// Get returns one credential. It requires CredentialView, and that the credential is shared with
// the actor. Otherwise the credential is not found.
func (v *Vault) Get(ctx context.Context, actor authz.Principal, workspaceID, id string) (Credential, error) {
	row, err := v.find(ctx, actor, workspaceID, id)
	if err != nil {
		return Credential{}, err
	}
	c := view(row)
	uses, err := q.New(v.cfg.DB.Read()).UsesOfCredential(ctx, id)
	if err != nil {
		return Credential{}, fmt.Errorf("listing where a credential is used: %w", err)
	}
	for _, u := range uses {
		c.Uses = append(c.Uses, placement(u))
	}
	return c, nil
}

// Manages reports whether the actor manages the vault of a workspace.
func (v *Vault) Manages(actor authz.Principal, workspaceID string) bool {
	return v.cfg.Gate.Decide(
		actor,
		authz.CredentialManage,
		authz.Resource{Type: credentialType, Workspace: workspaceID},
	).Allowed
}

// Enter checks a permission in a workspace's vault. A workspace that the actor does not belong to
// is not found. A custom role may open the vault without seeing who else belongs to the workspace.
func (v *Vault) Enter(ctx context.Context, actor authz.Principal, action authz.Action, workspaceID string) error {
	if actor.Role(workspaceID) == "" {
		if _, err := v.cfg.People.Workspace(ctx, actor, workspaceID); err != nil {
			return err
		}
	}
	return v.cfg.Gate.Check(ctx, actor, action, authz.Resource{Type: credentialType, Workspace: workspaceID})
}

// find reads a credential for an actor who may see it.
func (v *Vault) find(ctx context.Context, actor authz.Principal, workspaceID, id string) (q.Credential, error) {
	if err := v.Enter(ctx, actor, authz.CredentialView, workspaceID); err != nil {
		return q.Credential{}, err
	}
	row, err := q.New(v.cfg.DB.Read()).GetCredential(ctx, q.GetCredentialParams{ID: id, WorkspaceID: workspaceID})
	if err != nil {
		return q.Credential{}, db.Found(err, noCredential().Detail)
	}
	if !v.shared(actor, view(row)) {
		return q.Credential{}, noCredential()
	}
	return row, nil
}

func noCredential() *problem.Error {
	return problem.New(
		problem.NotFound,
		"There is no such credential in this workspace, or it is not shared with your role.",
	)
}

// shared reports whether an actor may see a credential at all.
func (v *Vault) shared(actor authz.Principal, c Credential) bool {
	return v.Manages(actor, c.Workspace) || slices.Contains(c.Roles, cmp.Or(actor.Role(c.Workspace), "-"))
}

func (v *Vault) open(row q.Credential) (map[string]string, error) {
	clear, err := v.cfg.Keyring.seal.openText(row.DataSealed, credentialTable, credentialPlace(row.WorkspaceID, row.ID))
	if err != nil {
		return nil, err
	}
	var values map[string]string
	if err := json.Unmarshal(clear, &values); err != nil {
		// The cause could quote a value.
		return nil, fmt.Errorf("reading the credential %s: it is damaged", row.ID)
	}
	return values, nil
}

func (v *Vault) seal(values map[string]string, workspaceID, id string) (string, error) {
	clear, err := json.Marshal(values)
	if err != nil {
		return "", fmt.Errorf("encoding a credential: its values cannot be encoded")
	}
	return v.cfg.Keyring.seal.sealText(clear, credentialTable, credentialPlace(workspaceID, id))
}

// credentialPlace is the place that a credential is sealed for, as in the list of sealed columns. A
// row that is moved to another workspace does not open there.
func credentialPlace(workspaceID, id string) string { return workspaceID + "/" + id }

func view(row q.Credential) Credential {
	return Credential{
		ID:        row.ID,
		Workspace: row.WorkspaceID,
		Name:      row.Name,
		Kind:      row.Kind,
		Fields:    strings.Fields(row.Fields),
		Roles:     strings.Fields(row.Roles),
		CreatedBy: row.CreatedBy,
		CreatedAt: time.UnixMilli(row.CreatedAt).UTC(),
		UpdatedAt: time.UnixMilli(row.UpdatedAt).UTC(),
		RotatedAt: time.UnixMilli(row.RotatedAt).UTC(),
	}
}

func placement(u q.CredentialUse) Placement {
	return Placement{
		App:     u.AppID,
		Object:  u.ObjectID,
		PutBy:   u.CreatedBy,
		PutAt:   time.UnixMilli(u.CreatedAt).UTC(),
		Current: u.Current,
	}
}
