package api

import (
	"slices"
	"time"

	"sluice/internal/app"
	"sluice/internal/authz"
	kinds "sluice/internal/builder"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// builder is a connected app. Fields that only admins may see are omitted for others.
type builder struct {
	ID     string          `json:"id"`
	Slug   string          `json:"slug" example:"flowise"`
	Name   string          `json:"name" example:"Flowise"`
	Kind   string          `json:"kind" doc:"flowise, langflow, generic or demo. Empty until the app has responded." example:"flowise"`
	Mode   string          `json:"mode" doc:"proxy: requests pass through Sluice. forward-auth: a reverse proxy forwards, and asks Sluice about each request." example:"proxy"`
	Origin string          `json:"origin" doc:"Where people open it." example:"http://127.0.0.1:3001"`
	Admin  *builderDetails `json:"admin,omitempty" doc:"Only for people who can see the app's settings."`
}

// builderDetails is for admins.
type builderDetails struct {
	Version    string     `json:"version" example:"3.1.4"`
	Upstream   string     `json:"upstream" doc:"Where Sluice reaches the builder. Empty if a reverse proxy forwards to it." example:"http://127.0.0.1:3000"`
	PublicURL  string     `json:"public_url" doc:"The origin for people. Empty if the app has a separate port."`
	Port       int        `json:"port" doc:"0 for an app with a host name." example:"3001"`
	Workspace  string     `json:"workspace" doc:"The id of its workspace." example:"default"`
	Pending    bool       `json:"pending" doc:"Whether nothing has responded there yet."`
	NeedsOwner bool       `json:"needs_owner" doc:"Whether Sluice needs the builder's owner account."`
	OwnerEmail string     `json:"owner_email"`
	Health     health     `json:"health"`
	VerifiedAt *time.Time `json:"verified_at,omitempty" doc:"Left out for never."`
	AskedAt    *time.Time `json:"asked_at,omitempty" doc:"When a reverse proxy last request about a forward-auth app; left out for never."`
	CreatedAt  time.Time  `json:"created_at"`
}

// health is how an app answered the last check.
type health struct {
	OK         bool       `json:"ok"`
	Text       string     `json:"text" doc:"One sentence." example:"It answers."`
	Next       string     `json:"next,omitempty" doc:"The next step if there is a problem."`
	Version    string     `json:"version,omitempty" doc:"The version that the builder reports." example:"3.1.4"`
	OwnerState string     `json:"owner_state,omitempty" doc:"none, present or n/a." example:"present"`
	CheckedAt  *time.Time `json:"checked_at,omitempty" doc:"Left out for never."`
}

func healthOf(h app.Health) health {
	return health{h.OK, h.Text, h.Next, h.Version, h.OwnerState, moment(h.CheckedAt)}
}

// builderOf shapes an app for the person who requests it.
func builderOf(x *visit, a *app.App) builder {
	out := builder{ID: a.ID, Slug: a.Slug, Name: a.Name, Mode: a.Mode, Origin: a.Origin(x.r.Host)}
	if a.Profile != nil {
		out.Kind = a.Kind.Name
	}
	if x.cfg.Gate.Decide(x.who, authz.AppView, a.Resource()).Allowed {
		out.Admin = &builderDetails{
			Version:    a.Version,
			PublicURL:  a.PublicURL,
			Port:       a.Port,
			Workspace:  a.WorkspaceID,
			Pending:    a.Pending,
			NeedsOwner: a.NeedsOwner,
			OwnerEmail: a.OwnerEmail,
			Health:     healthOf(x.cfg.Apps.Monitor.Health(a.ID)),
			VerifiedAt: moment(a.VerifiedAt),
			AskedAt:    moment(x.cfg.Apps.LastAsked(a)),
			CreatedAt:  a.CreatedAt.UTC(),
		}
		if !a.ForwardAuth() {
			out.Admin.Upstream = a.Upstream.String()
		}
	}
	return out
}

type appsInput struct {
	Paging
	All bool `query:"all" doc:"Instead, all apps whose settings you can see, in any workspace." example:"true"`
}

func listApps(x *visit, in *appsInput) (list[builder], error) {
	rows := x.cfg.Apps.Visible(x.who)
	if in.All {
		rows = slices.DeleteFunc(slices.Clone(x.cfg.Apps.All()), func(a *app.App) bool {
			return !x.cfg.Gate.Decide(x.who, authz.AppView, a.Resource()).Allowed
		})
	}
	return pageOf(rows, in.Paging, func(a *app.App) builder { return builderOf(x, a) }), nil
}

// appSpec describes a new app.
type appSpec struct {
	URL       string `json:"url,omitempty" maxLength:"300" doc:"The builder's address: scheme, host and port; or demo for the built-in one. Left out for forward-auth." example:"http://127.0.0.1:3000"`
	Mode      string `json:"mode,omitempty" enum:"proxy,forward-auth" doc:"If left out, proxy. forward-auth is for an app to which a reverse proxy forwards; it needs public_url." example:"proxy"`
	Kind      string `json:"kind,omitempty" enum:"flowise,langflow,generic,demo" doc:"If left out, Sluice detects it." example:"flowise"`
	PublicURL string `json:"public_url,omitempty" maxLength:"300" doc:"The origin for people. If left out, the next free port." example:"https://flows.example.com"`
	Name      string `json:"name,omitempty" maxLength:"80" doc:"The name that people see. If left out, the product's name." example:"Flowise"`
}

func (s appSpec) spec() app.Spec {
	return app.Spec{URL: s.URL, Mode: s.Mode, Kind: s.Kind, PublicURL: s.PublicURL, Name: s.Name}
}

type appSpecInput struct{ Body appSpec }

// found describes the product at an address.
type found struct {
	Kind       string `json:"kind" example:"flowise"`
	Title      string `json:"title" example:"Flowise"`
	Version    string `json:"version" example:"3.1.4"`
	OwnerState string `json:"owner_state" doc:"Whether it has an owner account: none, present or n/a." example:"present"`
	Evidence   string `json:"evidence" doc:"The observation behind the result."`
	Note       string `json:"note,omitempty" doc:"A warning."`
	// Supports is empty if versions do not differ.
	Supports []string `json:"supports,omitempty" doc:"The features of this version, in sentences, where versions differ."`
}

func foundOf(f kinds.Found) found {
	return found{f.Kind, f.Title, f.Version, f.OwnerState, f.Evidence, f.Note, f.Supports}
}

func lookAtApp(x *visit, in *appSpecInput) (found, error) {
	f, err := x.cfg.Apps.Manager.Look(x, x.who, in.Body.spec())
	return foundOf(f), err
}

func addApp(x *visit, in *appSpecInput) (builder, error) {
	a, err := x.cfg.Apps.Manager.Add(x, x.who, in.Body.spec())
	if err != nil {
		return builder{}, err
	}
	return builderOf(x, a), nil
}

// getApp reads from memory, so it checks the right itself. Without the right, every id is refused,
// known or not.
func getApp(x *visit, in *AppPath) (builder, error) {
	a, known := x.cfg.Apps.ByID(in.App)
	res := authz.Resource{Type: "App", Workspace: identity.DefaultWorkspace}
	if known {
		res = a.Resource()
	}
	if err := x.cfg.Gate.Check(x, x.who, authz.AppView, res); err != nil {
		return builder{}, err
	}
	if !known {
		return builder{}, problem.New(problem.NotFound, "There is no such app. It may have been removed.")
	}
	return builderOf(x, a), nil
}

type ownerInput struct {
	AppPath
	Body struct {
		Email    string `json:"email,omitempty" maxLength:"254" doc:"The owner's email address. Without email and password, Sluice registers a service owner if the builder has none." example:"owner@example.com"`
		Password string `json:"password,omitempty" maxLength:"200" doc:"The owner's password. It is tested, stored encrypted, and never shown." example:"the builder's password"`
	}
}

func connectApp(x *visit, in *ownerInput) error {
	return x.cfg.Apps.Connector.Connect(x, x.who, in.App, app.Owner{Email: in.Body.Email, Password: in.Body.Password})
}

func checkApp(x *visit, in *AppPath) (health, error) {
	h, err := x.cfg.Apps.Monitor.Check(x, x.who, in.App)
	return healthOf(h), err
}

// exposure reports whether the builder is reachable around Sluice.
type exposure struct {
	State string `json:"state" doc:"closed, open or unknown." example:"closed"`
	Text  string `json:"text"`
	Next  string `json:"next,omitempty"`
}

func getExposure(x *visit, in *AppPath) (exposure, error) {
	e, err := x.cfg.Apps.Monitor.Exposure(x, x.who, in.App)
	return exposure{e.State, e.Text, e.Next}, err
}

func markVerified(x *visit, in *AppPath) error {
	return x.cfg.Apps.Manager.MarkVerified(x, x.who, in.App)
}

// removed is the answer to removing an app.
type removed struct {
	Owner *owner `json:"owner,omitempty" doc:"The builder's owner account, if Sluice registered it. Shown once: no one else knows it."`
}

// owner is a builder's owner account.
type owner struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

func removeApp(x *visit, in *AppPath) (removed, error) {
	o, err := x.cfg.Apps.Manager.Remove(x, x.who, in.App)
	if err != nil || o.Email == "" {
		return removed{}, err
	}
	return removed{Owner: &owner{o.Email, o.Password}}, nil
}

type publishedInput struct {
	AppPath
	Paging
}

func listPublishedFlows(x *visit, in *publishedInput) (list[string], error) {
	rows, err := x.cfg.Apps.Publications.List(x, x.who, in.App)
	return pageOf(rows, in.Paging, func(id string) string { return id }), err
}

type flowInput struct {
	AppPath
	Flow string `path:"flow" pattern:"^[A-Za-z0-9._~:@-]{1,100}$" patternDescription:"an id of 1 to 100 characters that are valid in a URL path" doc:"The flow's id in the builder: the end of its address there." example:"0c6a6b5e-6c1c-4d3f-9d65-0a2f5c1e7b11"`
}

func publishFlow(x *visit, in *flowInput) error {
	return x.cfg.Apps.Publications.Publish(x, x.who, in.App, in.Flow)
}

func unpublishFlow(x *visit, in *flowInput) error {
	return x.cfg.Apps.Publications.Unpublish(x, x.who, in.App, in.Flow)
}
