package api

import (
	"time"

	"sluice/internal/app"
	"sluice/internal/authz"
	kinds "sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

func vaultRoutes() []route {
	const base = "/workspaces/{workspace}/credentials"
	return []route{
		{
			get,
			base,
			workspace(authz.CredentialView),
			"listCredentials",
			"The vault's credentials that are shared with your role, by name; values are never shown",
			answers(listCredentials),
		},
		{
			post,
			base,
			workspace(authz.CredentialManage),
			"createCredential",
			"Add a credential to the vault; its values are never shown again",
			created(createCredential),
		},
		{
			get,
			base + "/{credential}",
			workspace(authz.CredentialView),
			"getCredential",
			"One credential, without its values",
			answers(getCredential),
		},
		{
			patch,
			base + "/{credential}",
			workspace(authz.CredentialManage),
			"updateCredential",
			"Rename a credential, or share it with other roles",
			answers(updateCredential),
		},
		{
			post,
			base + "/{credential}/rotate",
			workspace(authz.CredentialManage),
			"rotateCredential",
			"Give a credential new values, in all apps that it is in",
			answers(rotateCredential),
		},
		{
			del,
			base + "/{credential}",
			workspace(authz.CredentialManage),
			"deleteCredential",
			"Delete a credential that is in no app, or take it out of all first",
			done(deleteCredential),
		},
		{
			get,
			base + "/{credential}/uses",
			workspace(authz.CredentialView),
			"listCredentialUses",
			"The apps that a credential is in, and the flows that use it there",
			answers(listCredentialUses),
		},
		{
			post,
			base + "/{credential}/uses",
			workspace(authz.CredentialUse),
			"putCredential",
			"Put a credential into an app, where flows can choose it",
			created(putCredential),
		},
		{
			post,
			base + "/{credential}/uses/refresh",
			workspace(authz.CredentialUse),
			"refreshCredentialUses",
			"Write the current values into all apps that a credential is in",
			answers(refreshCredentialUses),
		},
		{
			del,
			base + "/{credential}/uses/{app}",
			workspace(authz.CredentialUse),
			"withdrawCredential",
			"Take a credential out of an app; flows that use it there stop working",
			done(withdrawCredential),
		},
		{
			get,
			"/workspaces/{workspace}/credential-kinds/{app}",
			workspace(authz.CredentialManage),
			"listCredentialKinds",
			"The types of credential that an app supports, with their fields",
			answers(listCredentialKinds),
		},
	}
}

// CredentialPath names a credential in a path.
type CredentialPath struct {
	WorkspacePath
	Credential string `path:"credential" pattern:"^[A-Za-z0-9_-]{1,64}$" patternDescription:"an id of 1 to 64 letters, digits, dashes or underscores" doc:"A credential's id." example:"0199aaaa-0000-7000-8000-000000000003"`
}

// credential is a credential without its values.
type credential struct {
	ID        string    `json:"id"`
	Workspace string    `json:"workspace" example:"default"`
	Name      string    `json:"name" example:"OpenAI, team account"`
	Kind      string    `json:"kind" doc:"The builder's name for its type." example:"openAIApi"`
	Fields    []string  `json:"fields" nullable:"false" doc:"The names of its values." example:"[\"openAIApiKey\"]"`
	Roles     []string  `json:"roles" nullable:"false" doc:"The ids of the roles that can use it, in addition to people who manage the vault." example:"[\"user\"]"`
	Apps      []string  `json:"apps" nullable:"false" doc:"The ids of the apps that it is in."`
	Outdated  int       `json:"outdated" doc:"The number of apps that still have previous values because the builder was unreachable." example:"0"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	RotatedAt time.Time `json:"rotated_at" doc:"When its current values were set."`
}

func credentialOf(c secret.Credential) credential {
	out := credential{
		ID: c.ID, Workspace: c.Workspace, Name: c.Name, Kind: c.Kind, Fields: append([]string{},
			c.Fields...), Roles: append([]string{}, c.Roles...), Apps: []string{},
		CreatedBy: c.CreatedBy, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt, RotatedAt: c.RotatedAt,
	}
	for _, u := range c.Uses {
		out.Apps = append(out.Apps, u.App)
		if !u.Current {
			out.Outdated++
		}
	}
	return out
}

type credentialsInput struct {
	WorkspacePath
	Paging
}

func listCredentials(x *visit, in *credentialsInput) (list[credential], error) {
	rows, err := x.cfg.Vault.List(x, x.who, in.Workspace)
	return pageOf(rows, in.Paging, credentialOf), err
}

func getCredential(x *visit, in *CredentialPath) (credential, error) {
	c, err := x.cfg.Vault.Get(x, x.who, in.Workspace, in.Credential)
	return credentialOf(c), err
}

// newCredential describes a new credential.
type newCredential struct {
	Name   string            `json:"name" minLength:"1" maxLength:"80" doc:"1 to 80 printable characters, different from other credentials of the workspace." example:"OpenAI, team account"`
	Kind   string            `json:"kind" minLength:"1" maxLength:"80" doc:"The builder's name for its type." example:"openAIApi"`
	Values map[string]string `json:"values" doc:"The values by field, 1 to 32 of them, together at most 32 KiB." example:"{\"openAIApiKey\":\"sk-example\"}"`
	Roles  []string          `json:"roles,omitempty" nullable:"false" maxItems:"50" doc:"The ids of the roles that can use it. If empty, only people who manage the vault." example:"[\"user\"]"`
}

type newCredentialInput struct {
	WorkspacePath
	Body newCredential
}

func createCredential(x *visit, in *newCredentialInput) (credential, error) {
	b := in.Body
	c, err := x.cfg.Vault.Create(
		x,
		x.who,
		in.Workspace,
		secret.NewCredential{Name: b.Name, Kind: b.Kind, Values: b.Values, Roles: b.Roles},
	)
	return credentialOf(c), err
}

// credentialChange lists what to change; omitted fields keep their values.
type credentialChange struct {
	Name  *string   `json:"name,omitempty" minLength:"1" maxLength:"80" example:"OpenAI, team account"`
	Roles *[]string `json:"roles,omitempty" maxItems:"50" doc:"The ids of all roles that can use it from now on." example:"[\"user\"]"`
}

type updateCredentialInput struct {
	CredentialPath
	Body credentialChange
}

func updateCredential(x *visit, in *updateCredentialInput) (credential, error) {
	if in.Body.Name == nil && in.Body.Roles == nil {
		return credential{}, problem.New(problem.Invalid, "Give name or roles.").WithField("body")
	}
	if _, err := x.cfg.Vault.Change(x, x.who, in.Workspace, in.Credential,
		secret.CredentialChange{Name: in.Body.Name, Roles: in.Body.Roles}); err != nil {
		return credential{}, err
	}
	return getCredential(x, &in.CredentialPath)
}

// newValues replace the current values of a credential.
type newValues struct {
	Values map[string]string `json:"values" doc:"New values by field. Fields that are left out do not change." example:"{\"openAIApiKey\":\"sk-example\"}"`
}

type rotateCredentialInput struct {
	CredentialPath
	Body newValues
}

func rotateCredential(x *visit, in *rotateCredentialInput) (list[credentialUse], error) {
	uses, err := x.cfg.Apps.Credentials.Rotate(x, x.who, in.Workspace, in.Credential, in.Body.Values)
	return listOf(uses, len(uses), credentialUseOf), err
}

type deleteCredentialInput struct {
	CredentialPath
	Withdraw bool `query:"withdraw" doc:"Take it out of all apps first; flows that use it stop working." example:"true"`
}

func deleteCredential(x *visit, in *deleteCredentialInput) error {
	return x.cfg.Apps.Credentials.Delete(x, x.who, in.Workspace, in.Credential, in.Withdraw)
}

// credentialUse is a copy of a credential in an app.
type credentialUse struct {
	App     string     `json:"app_id"`
	AppName string     `json:"app" example:"Flowise"`
	Object  string     `json:"object_id" doc:"The id of the copy in the builder; flows name it."`
	PutBy   string     `json:"put_by"`
	PutAt   time.Time  `json:"put_at"`
	Current bool       `json:"current" doc:"Whether the copy has the current values."`
	Trouble string     `json:"trouble,omitempty" doc:"Why the update failed. Sluice tries again when the builder is back." example:"Nothing answers at 127.0.0.1:3001."`
	Next    string     `json:"next,omitempty" doc:"The next step."`
	Flows   []usedFlow `json:"flows,omitempty" doc:"The workspace's flows that use the copy. Left out if the builder was not asked or did not report them."`
}

// usedFlow is a flow that uses a credential.
type usedFlow struct {
	ID   string `json:"id"`
	Name string `json:"name" example:"Support"`
	Kind string `json:"kind" example:"chatflow"`
}

func credentialUseOf(u app.CredentialUse) credentialUse {
	out := credentialUse{
		App:     u.App,
		AppName: u.AppName,
		Object:  u.Object,
		PutBy:   u.PutBy,
		PutAt:   u.PutAt,
		Current: u.Current,
		Trouble: u.Trouble,
		Next:    u.Next,
	}
	if u.FlowsKnown {
		out.Flows = []usedFlow{}
	}
	for _, f := range u.Flows {
		out.Flows = append(out.Flows, usedFlow{f.ID, f.Name, string(f.Kind)})
	}
	return out
}

func listCredentialUses(x *visit, in *CredentialPath) (list[credentialUse], error) {
	uses, err := x.cfg.Apps.Credentials.Uses(x, x.who, in.Workspace, in.Credential)
	return listOf(uses, len(uses), credentialUseOf), err
}

// credentialTarget names an app.
type credentialTarget struct {
	App string `json:"app_id" minLength:"1" maxLength:"64" example:"0199aaaa-0000-7000-8000-000000000002"`
}

type putCredentialInput struct {
	CredentialPath
	Body credentialTarget
}

func putCredential(x *visit, in *putCredentialInput) (credentialUse, error) {
	use, err := x.cfg.Apps.Credentials.Put(x, x.who, in.Workspace, in.Body.App, in.Credential)
	return credentialUseOf(use), err
}

func refreshCredentialUses(x *visit, in *CredentialPath) (list[credentialUse], error) {
	uses, err := x.cfg.Apps.Credentials.Refresh(x, x.who, in.Workspace, in.Credential)
	return listOf(uses, len(uses), credentialUseOf), err
}

type withdrawCredentialInput struct {
	CredentialPath
	AppPath
}

func withdrawCredential(x *visit, in *withdrawCredentialInput) error {
	return x.cfg.Apps.Credentials.Withdraw(x, x.who, in.Workspace, in.App, in.Credential)
}

// credentialKind is a type of credential that a builder supports.
type credentialKind struct {
	Name   string            `json:"name" example:"openAIApi"`
	Label  string            `json:"label" example:"OpenAI API"`
	Fields []credentialField `json:"fields" nullable:"false"`
}

type credentialField struct {
	Name     string   `json:"name" example:"openAIApiKey"`
	Label    string   `json:"label" example:"OpenAI Api Key"`
	Secret   bool     `json:"secret" doc:"Whether the builder hides it on input."`
	Optional bool     `json:"optional"`
	Options  []string `json:"options,omitempty" doc:"The possible values. Left out if any value is possible."`
}

func credentialKindOf(k kinds.CredentialKind) credentialKind {
	out := credentialKind{Name: k.Name, Label: k.Label, Fields: []credentialField{}}
	for _, f := range k.Fields {
		out.Fields = append(out.Fields, credentialField{f.Name, f.Label, f.Secret, f.Optional, f.Options})
	}
	return out
}

type credentialKindsInput struct {
	WorkspacePath
	AppPath
	Paging
}

func listCredentialKinds(x *visit, in *credentialKindsInput) (list[credentialKind], error) {
	kinds, err := x.cfg.Apps.Credentials.Kinds(x, x.who, in.Workspace, in.App)
	return pageOf(kinds, in.Paging, credentialKindOf), err
}
