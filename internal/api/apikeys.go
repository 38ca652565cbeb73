package api

import (
	"time"

	"sluice/internal/authn"
	"sluice/internal/authz"
)

// keyScope bounds what a key may do.
type keyScope struct {
	Actions []string `json:"actions,omitempty" maxItems:"64" doc:"Actions such as flow:run, or permissions such as chatflows:view. If left out, everything that the owner can do in the workspace, except dangerous actions, which must be named." example:"flow:run"`
	Apps    []string `json:"apps,omitempty" maxItems:"50" doc:"Ids of apps. If left out, all apps."`
	Flows   []string `json:"flows,omitempty" maxItems:"200" doc:"Ids of flows. If left out, all flows. With flows, the key runs only these and sees no lists."`
}

func (s keyScope) scope() authn.KeyScope {
	out := authn.KeyScope{Apps: s.Apps, Flows: s.Flows}
	for _, a := range s.Actions {
		out.Actions = append(out.Actions, authz.Action(a))
	}
	return out
}

// Key is the visible part of an API key.
type Key struct {
	ID            string     `json:"id"`
	Name          string     `json:"name" example:"nightly run"`
	Prefix        string     `json:"prefix" doc:"The beginning of the key, to recognize it by." example:"sluice_Ab3dE"`
	OwnerID       string     `json:"owner_id" doc:"The person for whom the key acts."`
	Owner         string     `json:"owner" doc:"Their username." example:"ann"`
	Workspace     string     `json:"workspace" doc:"The id of the workspace that the key works in." example:"default"`
	WorkspaceName string     `json:"workspace_name" example:"Default workspace"`
	Scope         keyScope   `json:"scope"`
	Networks      []string   `json:"networks" nullable:"false" doc:"Networks in CIDR form from which it can be used. If empty, from everywhere."`
	PerMinute     int64      `json:"per_minute" doc:"The most requests in a minute of the UTC clock, on all nodes together. 0 for no limit."`
	PerDay        int64      `json:"per_day" doc:"The same for a day."`
	UsedToday     *int64     `json:"used_today,omitempty" doc:"The number of today's requests that are used or reserved. Only for single keys with a daily limit."`
	CreatedAt     time.Time  `json:"created_at"`
	IssuedAt      time.Time  `json:"issued_at" doc:"The creation time of its current secret."`
	ExpiresAt     *time.Time `json:"expires_at,omitempty" doc:"Left out for never."`
	RevokedAt     *time.Time `json:"revoked_at,omitempty"`
	FormerUntil   *time.Time `json:"former_until,omitempty" doc:"When the secret from before the last rotation expires."`
	LastUsedAt    *time.Time `json:"last_used_at,omitempty" doc:"To the minute; left out for never."`
	LastUsedIP    string     `json:"last_used_ip,omitempty" example:"192.0.2.7"`
	Usable        bool       `json:"usable" doc:"Whether it works now: it is not revoked or expired, and its owner has access."`
}

func keyOf(k authn.APIKey) Key {
	out := Key{
		ID:            k.ID,
		Name:          k.Name,
		Prefix:        k.Prefix,
		OwnerID:       k.Owner,
		Owner:         k.OwnerName,
		Workspace:     k.Workspace,
		WorkspaceName: k.WorkspaceName,
		Scope: keyScope{
			Apps:  k.Scope.Apps,
			Flows: k.Scope.Flows,
		}, Networks: []string{}, PerMinute: k.PerMinute, PerDay: k.PerDay,
		CreatedAt:   k.CreatedAt,
		IssuedAt:    k.IssuedAt,
		ExpiresAt:   moment(k.ExpiresAt),
		RevokedAt:   moment(k.RevokedAt),
		FormerUntil: moment(k.FormerUntil),
		LastUsedAt:  moment(k.LastUsedAt), LastUsedIP: k.LastUsedIP, Usable: k.Usable,
	}
	for _, a := range k.Scope.Actions {
		out.Scope.Actions = append(out.Scope.Actions, string(a))
	}
	for _, n := range k.Networks {
		out.Networks = append(out.Networks, n.String())
	}
	return out
}

// countedKeyOf adds the details that are shown only for single keys.
func countedKeyOf(k authn.APIKey) Key {
	out := keyOf(k)
	if k.PerDay > 0 {
		out.UsedToday = &k.UsedToday
	}
	return out
}

// shownKey is a key with its secret, which is shown only once.
type shownKey struct {
	Key
	Secret string `json:"secret" doc:"The key itself. It is shown only once." example:"sluice_0123456789abcdefghijABCDEFGHIJ0123456789abcdef"`
}

type keysInput struct {
	Paging
	Workspace string `query:"workspace" pattern:"^[A-Za-z0-9_-]{1,64}$" patternDescription:"an id of 1 to 64 letters, digits, dashes or underscores" doc:"Only keys of this workspace. If left out, keys of all workspaces."`
}

func listKeys(x *visit, in *keysInput) (list[Key], error) {
	rows, err := x.cfg.Keys.List(x, x.who, authn.KeyFilter{Owner: x.who.ID, Workspace: in.Workspace})
	return pageOf(rows, in.Paging, keyOf), err
}

type newKeyInput struct {
	Body struct {
		Name      string     `json:"name" minLength:"1" maxLength:"100" doc:"The name that people see." example:"nightly run"`
		Workspace string     `json:"workspace,omitempty" maxLength:"64" doc:"The id of one of your workspaces. If left out, the current one." example:"default"`
		Scope     *keyScope  `json:"scope,omitempty" doc:"Its permissions. If left out, everything that its owner can do in the workspace."`
		Networks  []string   `json:"networks,omitempty" maxItems:"50" doc:"Networks in CIDR form, or single addresses." example:"192.0.2.0/24"`
		PerMinute int64      `json:"per_minute,omitempty" minimum:"0" maximum:"1000000000" doc:"The most requests in a minute. 0 for no limit." example:"60"`
		PerDay    int64      `json:"per_day,omitempty" minimum:"0" maximum:"1000000000" doc:"The most requests in a day. 0 for no limit." example:"10000"`
		ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When it expires. If left out, the latest time permitted."`
	}
}

func createKey(x *visit, in *newKeyInput) (shownKey, error) {
	b := in.Body
	n := authn.NewAPIKey{
		Workspace: b.Workspace,
		Name:      b.Name,
		Networks:  b.Networks,
		PerMinute: b.PerMinute,
		PerDay:    b.PerDay,
	}
	if n.Workspace == "" {
		n.Workspace = x.who.Workspace
	}
	if b.Scope != nil {
		n.Scope = b.Scope.scope()
	}
	if b.ExpiresAt != nil {
		n.Expires = *b.ExpiresAt
	}
	k, secret, err := x.cfg.Keys.Create(x, x.who, n)
	return shownKey{keyOf(k), secret}, err
}

// KeyPath names an API key in a path.
type KeyPath struct {
	Key string `path:"key" pattern:"^[A-Za-z0-9_-]{1,64}$" patternDescription:"an id of 1 to 64 letters, digits, dashes or underscores" doc:"An API key's id, which is not the key." example:"0199aaaa-0000-7000-8000-000000000004"`
}

func getKey(x *visit, in *KeyPath) (Key, error) {
	k, err := x.cfg.Keys.Get(x, x.who, in.Key)
	return countedKeyOf(k), err
}

// keyChange changes the fields of a key that are given.
type keyChange struct {
	Name      *string    `json:"name,omitempty" minLength:"1" maxLength:"100" example:"nightly run"`
	Scope     *keyScope  `json:"scope,omitempty" doc:"Replaces the current scope. Only the owner can change it."`
	Networks  *[]string  `json:"networks,omitempty" maxItems:"50" doc:"Replaces the current networks." example:"192.0.2.0/24"`
	PerMinute *int64     `json:"per_minute,omitempty" minimum:"0" maximum:"1000000000" example:"60"`
	PerDay    *int64     `json:"per_day,omitempty" minimum:"0" maximum:"1000000000" example:"10000"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"A new expiry time."`
}

func (c keyChange) change() authn.APIKeyChange {
	out := authn.APIKeyChange{
		Name:      c.Name,
		Networks:  c.Networks,
		PerMinute: c.PerMinute,
		PerDay:    c.PerDay,
		Expires:   c.ExpiresAt,
	}
	if c.Scope != nil {
		scope := c.Scope.scope()
		out.Scope = &scope
	}
	return out
}

type updateKeyInput struct {
	KeyPath
	Body keyChange
}

func updateKey(x *visit, in *updateKeyInput) (Key, error) {
	k, err := x.cfg.Keys.Update(x, x.who, in.Key, in.Body.change())
	return keyOf(k), err
}

type rotateKeyInput struct {
	KeyPath
	Body struct {
		OverlapHours int        `json:"overlap_hours,omitempty" minimum:"0" maximum:"168" doc:"The number of hours for which the previous secret keeps working." example:"24"`
		ExpiresAt    *time.Time `json:"expires_at,omitempty" doc:"When it expires. If left out, it gets the same lifetime again."`
	}
}

func rotateKey(x *visit, in *rotateKeyInput) (shownKey, error) {
	r := authn.Rotation{Overlap: time.Duration(in.Body.OverlapHours) * time.Hour}
	if in.Body.ExpiresAt != nil {
		r.Expires = *in.Body.ExpiresAt
	}
	k, secret, err := x.cfg.Keys.Rotate(x, x.who, in.Key, r)
	return shownKey{keyOf(k), secret}, err
}

func revokeKey(x *visit, in *KeyPath) error { return x.cfg.Keys.Revoke(x, x.who, in.Key) }

type workspaceKeysInput struct {
	WorkspacePath
	Paging
}

func listWorkspaceKeys(x *visit, in *workspaceKeysInput) (list[Key], error) {
	rows, err := x.cfg.Keys.List(x, x.who, authn.KeyFilter{Workspace: in.Workspace})
	return pageOf(rows, in.Paging, keyOf), err
}

type workspaceKeyInput struct {
	WorkspacePath
	KeyPath
}

func getWorkspaceKey(x *visit, in *workspaceKeyInput) (Key, error) {
	k, err := x.cfg.Keys.GetIn(x, x.who, in.Workspace, in.Key)
	return countedKeyOf(k), err
}

type updateWorkspaceKeyInput struct {
	WorkspacePath
	KeyPath
	Body keyChange
}

func updateWorkspaceKey(x *visit, in *updateWorkspaceKeyInput) (Key, error) {
	if _, err := x.cfg.Keys.GetIn(x, x.who, in.Workspace, in.Key); err != nil {
		return Key{}, err
	}
	k, err := x.cfg.Keys.Update(x, x.who, in.Key, in.Body.change())
	return keyOf(k), err
}

func revokeWorkspaceKey(x *visit, in *workspaceKeyInput) error {
	if _, err := x.cfg.Keys.GetIn(x, x.who, in.Workspace, in.Key); err != nil {
		return err
	}
	return x.cfg.Keys.Revoke(x, x.who, in.Key)
}
