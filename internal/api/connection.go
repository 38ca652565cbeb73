package api

import (
	"sluice/internal/app"
	"sluice/internal/authz"
	kinds "sluice/internal/builder"
)

// connectionRoutes connect a builder that keeps its users apart, and give its users to workspaces.
func connectionRoutes() []route {
	return []route{
		{
			get,
			"/apps/{app}/connection",
			apps(authz.AppManage),
			"getConnection",
			"How people enter the accounts of a builder that separates its users, without secrets",
			answers(getConnection),
		},
		{
			put,
			"/apps/{app}/connection",
			apps(authz.AppManage),
			"setConnection",
			"Choose how people enter the accounts of such a builder, after a successful test",
			answers(setConnection),
		},
		{
			post,
			"/apps/{app}/trials",
			apps(authz.AppManage),
			"tryConnection",
			"Test each method of entering such a builder with the given and stored credentials; changes nothing in " +
				"Sluice",
			answers(tryConnection),
		},
		{
			get,
			"/apps/{app}/builder-users",
			apps(authz.ObjectAdopt),
			"listBuilderUsers",
			"The users of a builder that separates them, with their objects and their workspace",
			answers(listBuilderUsers),
		},
		{
			put,
			"/apps/{app}/builder-users/{user}",
			apps(authz.ObjectAdopt),
			"adoptBuilderUser",
			"Adopt a user of a builder, with all its objects, for a workspace or a person in it",
			answers(adoptBuilderUser),
		},
		{
			del,
			"/apps/{app}/builder-users/{user}",
			apps(authz.ObjectAdopt),
			"releaseBuilderUser",
			"Release an adopted user; its flows stay in the builder and belong to no one in Sluice",
			done(releaseBuilderUser),
		},
	}
}

// connection is how people get into the accounts of a builder that keeps its users apart.
type connection struct {
	Mode         string `json:"mode" doc:"external: the builder verifies what Sluice signs. signed: Sluice signs with the shared secret key. sign-in: Sluice signs each account in with a password. Empty until it is connected." example:"signed"`
	PerPerson    bool   `json:"per_person" doc:"Whether each person of a workspace has an account. Otherwise they share one, with its flows."`
	Superuser    string `json:"superuser" doc:"The name of the builder's superuser that Sluice uses." example:"administrator"`
	HasSecretKey bool   `json:"has_secret_key" doc:"Whether Sluice has the secret key of the builder."`
	HasPassword  bool   `json:"has_password" doc:"Whether Sluice has the superuser's password."`
	External     string `json:"external_settings" doc:"The lines of the builder's .env file that make it trust Sluice, for the mode external."`
}

func getConnection(x *visit, in *AppPath) (connection, error) {
	c, err := x.cfg.Apps.Connector.Connection(x, x.who, in.App)
	return connection{string(c.Mode), c.PerPerson, c.Superuser, c.HasSecretKey, c.HasPassword, c.ExternalLines}, err
}

// accessInput is how Sluice gets into a builder. Omitted fields keep their stored values.
type accessInput struct {
	AppPath
	Body struct {
		Mode      string `json:"mode,omitempty" enum:"external,signed,sign-in" doc:"If left out, the best mode that works." example:"signed"`
		PerPerson bool   `json:"per_person,omitempty" doc:"Give each person of a workspace a separate account, so that nothing is shared."`
		SecretKey string `json:"secret_key,omitempty" maxLength:"4096" doc:"The secret key with which the builder signs its tokens. It is tested, stored encrypted, and never shown." example:"as in the builder's environment"`
		Superuser string `json:"superuser,omitempty" maxLength:"255" doc:"The name of a superuser of the builder." example:"administrator"`
		Password  string `json:"password,omitempty" maxLength:"4096" doc:"That superuser's password. It is tested, stored encrypted, and never shown." example:"the superuser's password"`
	}
}

func (in *accessInput) access() app.AccountAccess {
	b := in.Body
	return app.AccountAccess{
		Mode:      kinds.Mode(b.Mode),
		PerPerson: b.PerPerson,
		SecretKey: b.SecretKey,
		Superuser: b.Superuser,
		Password:  b.Password,
	}
}

func setConnection(x *visit, in *accessInput) (connection, error) {
	if err := x.cfg.Apps.Connector.ConnectAccounts(x, x.who, in.App, in.access()); err != nil {
		return connection{}, err
	}
	return getConnection(x, &in.AppPath)
}

// trial is the result of testing one way.
type trial struct {
	Mode   string `json:"mode" example:"signed"`
	OK     bool   `json:"ok" doc:"Whether it works now."`
	Detail string `json:"detail" doc:"The observation behind the result."`
	Next   string `json:"next,omitempty" doc:"The setting to change or the next step."`
}

func tryConnection(x *visit, in *accessInput) (list[trial], error) {
	rows, err := x.cfg.Apps.Connector.TryAccounts(x, x.who, in.App, in.access())
	return listOf(rows, len(rows), func(t kinds.Trial) trial {
		return trial{string(t.Mode), t.OK, t.Detail, t.Next}
	}), err
}

// builderUser is a user of a builder.
type builderUser struct {
	ID        string `json:"id" doc:"The builder's own id." example:"8a2f7b3c-21d4-4a8e-9b11-6a1f0d5c3e77"`
	Username  string `json:"username" example:"administrator"`
	Active    bool   `json:"active"`
	Superuser bool   `json:"superuser" doc:"Whether it is a superuser there."`
	Flows     *int   `json:"flows,omitempty" doc:"The number of its flows. Left out where Sluice cannot count them." example:"12"`
	Projects  *int   `json:"projects,omitempty" doc:"The same as flows." example:"3"`
	Files     *int   `json:"files,omitempty" doc:"The same as flows." example:"0"`
	Workspace string `json:"workspace,omitempty" doc:"The id of its workspace. Left out for users that Sluice does not use." example:"default"`
	Person    string `json:"person,omitempty" doc:"The id of its person, if each person has one."`
	Adopted   bool   `json:"adopted" doc:"Whether it was adopted. Other accounts with a workspace were created by Sluice."`
}

func builderUserOf(u app.BuilderUser) builderUser {
	return builderUser{
		ID:        u.ID,
		Username:  u.Username,
		Active:    u.Active,
		Superuser: u.Superuser,
		Flows:     counted(u.Flows),
		Projects:  counted(u.Projects),
		Files:     counted(u.Files),
		Workspace: u.Workspace,
		Person:    u.Person,
		Adopted:   u.Adopted,
	}
}

// counted returns nil for an unknown count.
func counted(n int) *int {
	if n == kinds.UnknownCount {
		return nil
	}
	return &n
}

type builderUsersInput struct {
	AppPath
	Paging
}

func listBuilderUsers(x *visit, in *builderUsersInput) (list[builderUser], error) {
	rows, err := x.cfg.Apps.Adoption.BuilderUsers(x, x.who, in.App)
	return pageOf(rows, in.Paging, builderUserOf), err
}

// BuilderUserPath names a user of a builder in a path.
type BuilderUserPath struct {
	AppPath
	User string `path:"user" pattern:"^[A-Za-z0-9-]{1,64}$" patternDescription:"an id of 1 to 64 letters, digits or dashes" doc:"The user's id in the builder." example:"8a2f7b3c-21d4-4a8e-9b11-6a1f0d5c3e77"`
}

type adoptUserInput struct {
	BuilderUserPath
	Body struct {
		Workspace string `json:"workspace_id" minLength:"1" maxLength:"100" doc:"The workspace that the user's flows will belong to. It must use the app." example:"default"`
		Person    string `json:"person_id,omitempty" maxLength:"100" doc:"The person in the workspace who will own them. Required if each person has an account."`
	}
}

func adoptBuilderUser(x *visit, in *adoptUserInput) (adopted, error) {
	n, err := x.cfg.Apps.Adoption.AdoptUser(x, x.who, in.App, in.User, in.Body.Workspace, in.Body.Person)
	return adopted{n}, err
}

func releaseBuilderUser(x *visit, in *BuilderUserPath) error {
	return x.cfg.Apps.Adoption.UnadoptUser(x, x.who, in.App, in.User)
}
