package api

import (
	"cmp"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/factor"
	"sluice/internal/login/signup"
	"sluice/internal/login/sso"
	"sluice/internal/mail"
	"sluice/internal/problem"
	"sluice/internal/secret"
	"sluice/internal/web"
)

// Prefix is the path under which the whole API is. Fields and operations may be added to a version,
// but never removed.
const Prefix = "/api/v1"

// maxBody is the largest request body in bytes.
const maxBody = 64 << 10

// bodyTime is how long a client may take to send a body.
const bodyTime = 10 * time.Second

// Config configures an API. Everything except SecureCookies, Trust and Now is required.
type Config struct {
	DB       *db.DB
	Gate     *authz.Gate
	People   *identity.People
	Sessions *authn.Sessions
	Keys     *authn.Keys
	// Tokens issues and revokes the tokens of programs.
	Tokens *authn.Tokens
	// Credentials resolves credentials to principals; nil: only session cookies and Keys are
	// accepted.
	Credentials *authn.Credentials
	Logins      *login.Logins
	Factors     *factor.Factors
	Providers   *sso.Providers
	SSO         *sso.SSO
	SignUps     *signup.SignUps
	Invitations *signup.Invitations
	Apps        *app.Apps
	// Vault keeps the workspaces' credentials.
	Vault *secret.Vault
	// Mail is the outbox. A mail server is optional.
	Mail *mail.Outbox
	// StepUp is how long a proof of identity covers dangerous requests; 0 means for the whole
	// session.
	StepUp time.Duration
	// MainOrigin returns the origin of Sluice's own pages for a client that requested this Host.
	// Links use it.
	MainOrigin func(requestHost string) string
	// SecureCookies overrides whether the session cookie carries Secure; nil follows the scheme
	// that the browser used.
	SecureCookies *bool
	// Trust determines which proxies in front of Sluice are believed.
	Trust web.Trust
	// Now is the clock.
	Now func() time.Time
	// Log gets one line per request.
	Log *slog.Logger
}

// API serves the operations, their description and the page that shows it. The operations are built
// for the first request and described for the first reader, because starting up needs neither.
type API struct {
	cfg       Config
	built     func() operations
	described func() (description, error)
}

// operations are the routes and huma's model of them.
type operations struct {
	router *web.Router
	spec   *huma.OpenAPI
}

// New creates the handler of everything under Prefix.
func New(c Config) *API {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Credentials == nil {
		c.Credentials = &authn.Credentials{Sessions: c.Sessions, Keys: c.Keys}
	}
	a := &API{cfg: c}
	a.built, a.described = sync.OnceValue(a.build), sync.OnceValues(a.describe)
	return a
}

func (a *API) build() operations {
	router := web.NewRouter(
		a.serve(nil, "none", func(*visit) error { return noSuchPath() }),
		a.serve(nil, "none", noSuchMethod),
	)
	h := huma.NewAPI(humaConfig(), adapter{a, router})
	for _, rt := range routes() {
		rt.add(h, rt.operation())
	}
	router.Handle(http.MethodGet, Prefix+"/openapi.json", a.serve(nil, "openapi", showJSON))
	router.Handle(http.MethodGet, Prefix+"/openapi.yaml", a.serve(nil, "openapi", showYAML))
	router.Handle(http.MethodGet, Prefix+"/docs", a.serve(nil, "docs", a.showDocs))
	onlyProblems(h.OpenAPI().Components.Schemas)
	return operations{router, h.OpenAPI()}
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.built().router.ServeHTTP(w, r) }

// adapter implements huma.Adapter: it adds operations to the router, behind the steps that all
// requests take.
type adapter struct {
	api *API
	*web.Router
}

// Handle adds an operation.
func (a adapter) Handle(op *huma.Operation, run func(huma.Context)) {
	a.Router.Handle(op.Method, Prefix+op.Path, a.api.serve(op, op.OperationID, func(x *visit) error {
		run(&exchange{below: newContext(op, x), x: x})
		return nil
	}))
}

func noSuchPath() error {
	return problem.New(problem.NotFound, "No operation has this path.").
		WithNext("See " + Prefix + "/docs for the operations.")
}

func noSuchMethod(x *visit) error {
	return problem.Newf(problem.Method, "This path does not take %.20q requests.", x.r.Method)
}

// serve runs a handler behind the steps that every request takes. op is nil for public resources
// that are not operations.
func (a *API) serve(op *huma.Operation, endpoint string, run func(*visit) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x := &visit{
			Context: r.Context(),
			API:     a,
			w:       &answer{ResponseWriter: w},
			r:       r,
			event:   web.NewEvent(r, "api", a.cfg.Now()),
		}
		x.event.Endpoint, x.event.Peer = endpoint, a.cfg.Trust.ClientIP(r).String()
		web.Policy{}.SetHeaders(x.w.Header(), a.cfg.Trust.Scheme(r) == "https")
		x.w.Header().Set("Cache-Control", "no-store")
		if err := x.enter(op); err != nil {
			x.fail(err)
		} else if err := run(x); err != nil {
			x.fail(err)
		}
		x.event.Status, x.event.Bytes = cmp.Or(x.w.status, http.StatusOK), x.w.bytes
		x.event.Log(r.Context(), a.cfg.Log, a.cfg.Now())
	}
}
