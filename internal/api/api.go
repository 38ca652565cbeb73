package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

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

// Prefix is the path under which everything lies. A version keeps what it has; fields and operations may be added.
const Prefix = "/api/v1"

// maxBody is the largest request body in bytes.
const maxBody = 64 << 10

// bodyTime is how long a client may take to send a body.
const bodyTime = 10 * time.Second

// Config of an API. Everything but SecureCookies, Trust and Now is needed.
type Config struct {
	DB       *db.DB
	Gate     *authz.Gate
	People   *identity.People
	Sessions *authn.Sessions
	Keys     *authn.Keys
	// Tokens makes and ends the tokens of programs.
	Tokens *authn.Tokens
	// Credentials tells who asks; nil: only session cookies and Keys do.
	Credentials *authn.Credentials
	Logins      *login.Logins
	Factors     *factor.Factors
	Providers   *sso.Providers
	SSO         *sso.SSO
	SignUps     *signup.SignUps
	Invitations *signup.Invitations
	Apps        *app.Registry
	// Vault keeps the workspaces' credentials.
	Vault *secret.Vault
	// Mail is the outbox; there need not be a mail server.
	Mail *mail.Outbox
	// StepUp is how long a proof of identity is good for what is dangerous; 0 means for the whole session.
	StepUp time.Duration
	// MainOrigin is the origin of Sluice's own pages for a client that asked for this Host, for links.
	MainOrigin func(requestHost string) string
	// SecureCookies overrides whether the session cookie carries Secure; nil goes by the scheme that the browser used.
	SecureCookies *bool
	// Trust says which proxies in front of Sluice are believed.
	Trust web.Trust
	// Now is the clock.
	Now func() time.Time
	// Log gets one line per request.
	Log *slog.Logger
}

// API serves the operations, their description and the page that shows it.
type API struct {
	cfg  Config
	mux  *chi.Mux
	spec *huma.OpenAPI
}

// New makes the handler of everything under Prefix.
func New(c Config) (*API, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Credentials == nil {
		c.Credentials = &authn.Credentials{Sessions: c.Sessions, Keys: c.Keys}
	}
	a := &API{cfg: c, mux: chi.NewRouter()}
	a.mux.NotFound(a.serve(nil, "none", func(x *visit) error { return noSuchPath() }))
	a.mux.MethodNotAllowed(a.serve(nil, "none", a.noSuchMethod))
	h := huma.NewAPI(humaConfig(), a)
	for _, rt := range routes() {
		rt.add(h, rt.operation())
	}
	a.spec = h.OpenAPI()
	if err := a.describe(); err != nil {
		return nil, fmt.Errorf("describing the API: %w", err)
	}
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Handle implements huma.Adapter: it hangs an operation into the router, behind the steps that all requests take.
func (a *API) Handle(op *huma.Operation, run func(huma.Context)) {
	handler := a.serve(op, op.OperationID, func(x *visit) error {
		run(&exchange{below: newContext(op, x), x: x})
		return nil
	})
	a.mux.Method(op.Method, Prefix+op.Path, handler)
	if op.Method == http.MethodGet {
		a.mux.Method(http.MethodHead, Prefix+op.Path, handler)
	}
}

func noSuchPath() error {
	return problem.New(problem.NotFound, "There is nothing at this path.").WithNext("See " + Prefix + "/docs for what there is.")
}

// noSuchMethod names the methods that the path takes (RFC 9110 section 15.5.6).
func (a *API) noSuchMethod(x *visit) error {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if a.mux.Match(chi.NewRouteContext(), method, x.r.URL.Path) {
			x.w.Header().Add("Allow", method)
		}
	}
	return problem.Newf(problem.Method, "This path does not take %.20q requests.", x.r.Method)
}
