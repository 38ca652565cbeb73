package console

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/internal/app"
	"sluice/internal/authn"
	"sluice/internal/authz"
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

// maxBody is the largest request body in bytes. The largest form, with every field at its limit,
// takes about 4 KiB.
const maxBody = 64 << 10

// Config configures a Console. Everything except SecureCookies, Trust and Now is required.
type Config struct {
	Gate     *authz.Gate
	People   *identity.People
	Sessions *authn.Sessions
	Keys     *authn.Keys
	// Credentials resolves credentials to principals; nil: only session cookies and Keys are
	// accepted.
	Credentials *authn.Credentials
	// Secrets shows and rotates Sluice's own secrets. SecretWarnings are sentences about secrets
	// that were not used or are poorly protected.
	Secrets        *secret.Rotator
	SecretWarnings []string
	Logins         *login.Logins
	Factors        *factor.Factors
	Providers      *sso.Providers
	SSO            *sso.SSO
	SignUps        *signup.SignUps
	Invitations    *signup.Invitations
	Setup          *signup.Setup
	Apps           *app.Apps
	// Vault keeps the workspaces' credentials.
	Vault *secret.Vault
	// Mail is the outbox. Mail delivery may be unconfigured.
	Mail *mail.Outbox
	// MainOrigin returns the origin of Sluice's own pages for a browser that requested this Host,
	// e.g. "http://127.0.0.1:3000".
	MainOrigin func(requestHost string) string
	// Listens returns where a reverse proxy on this machine reaches Sluice: host and port.
	Listens func() string
	// SecureCookies overrides whether cookies carry Secure; nil follows the scheme that the browser
	// used.
	SecureCookies *bool
	// Trust determines which proxies in front of Sluice are believed.
	Trust web.Trust
	// Now is the clock.
	Now func() time.Time
	// Log gets one line per request.
	Log *slog.Logger
}

// Console serves Sluice's own pages. It authenticates each request, enforces what its route needs,
// and turns the errors of handlers into answers, each in one place. The pages do the rest.
type Console struct {
	shared      *shared
	credentials *authn.Credentials
	sessions    *authn.Sessions
	confirm     *confirmPages
	log         *slog.Logger
}

// New creates the handler of all routes. It panics if two routes are the same, which a test would
// detect.
func New(c Config) http.Handler {
	if c.Credentials == nil {
		c.Credentials = &authn.Credentials{Sessions: c.Sessions, Keys: c.Keys}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	all := newPages(c)
	console := &Console{
		shared: &shared{
			gate:          c.Gate,
			people:        c.People,
			autoLogin:     c.Logins.AutoLogin,
			mainOrigin:    c.MainOrigin,
			secureCookies: c.SecureCookies,
			trust:         c.Trust,
			clock:         c.Now,
		},
		credentials: c.Credentials,
		sessions:    c.Sessions,
		confirm:     all.confirm,
		log:         c.Log,
	}
	rt := web.NewRouter(
		console.serve(route{pattern: "none", run: noSuchPage, needs: open}),
		console.serve(route{pattern: "none", run: noSuchMethod, needs: open}),
	)
	for _, row := range all.routes() {
		rt.Handle(row.method, row.pattern, console.serve(row))
	}
	rt.HandlePrefix(web.AssetPrefix, http.HandlerFunc(web.ServeAsset))
	return rt
}

func noSuchPage(*visit) error {
	return problem.New(problem.NotFound, "There is no page at this address.").
		WithNext("Check the address, or go to the start page.")
}

func noSuchMethod(x *visit) error {
	return problem.Newf(problem.Method, "This address does not take %s requests.", x.r.Method)
}

// serve runs a route: it authenticates, checks what the route needs, and turns an error into a page
// in one place.
func (c *Console) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x := &visit{
			shared: c.shared,
			w:      &answer{ResponseWriter: w},
			r:      r,
			event:  web.NewEvent(r, "console", c.shared.clock()),
		}
		x.event.Endpoint, x.event.Peer = rt.method+" "+rt.pattern, x.clientIP().String()
		x.policy.SetHeaders(x.w.Header(), x.https())
		if err := c.run(x, rt); err != nil {
			c.fail(x, err)
		}
		x.event.Status, x.event.Bytes = cmp.Or(x.w.status, http.StatusOK), x.w.bytes
		x.event.Log(r.Context(), c.log, x.now())
	}
}

func (c *Console) run(x *visit, rt route) error {
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, maxBody)
	var sameOrigin http.CrossOriginProtection
	if err := sameOrigin.Check(x.r); err != nil {
		return problem.New(problem.Denied, "This request came from another website and was refused.").
			WithNext("Open the page again and repeat the action.").
			WithRule("cross-origin request").
			WithCause(err)
	}
	if err := c.authenticate(x, rt.needs); err != nil {
		return err
	}
	if err := c.allowed(x, rt.needs); err != nil {
		return err
	}
	if x.r.Method == http.MethodPost {
		if err := parseForm(x); err != nil {
			return err
		}
		fresh, shown, err := c.confirm.takeProof(x)
		if shown || err != nil {
			return err
		}
		if fresh {
			if err := c.authenticate(x, rt.needs); err != nil {
				return err
			}
		}
	}
	return rt.run(x)
}

// authenticate determines the principal, from session cookie, access token or API key. On routes
// that need no sign-in, an invalid cookie is ignored, so that it never blocks the sign-in page; the
// answer removes the cookie.
func (c *Console) authenticate(x *visit, n need) error {
	place := authn.Place{Audience: authn.AudienceMain, Secure: x.secure(), From: x.clientIP()}
	shown, err := c.credentials.Authenticate(x.r, place)
	shown.Limits.SetHeaders(x.w.Header())
	who := shown.Principal
	if err != nil {
		if authn.TokenTrouble(err) {
			return err
		}
		c.sessions.ClearCookie(x.w, x.secure())
		if n != open {
			return err
		}
		who = authz.Principal{}
	}
	who.IP = x.event.Peer
	x.who = who
	if who.SignedIn() {
		x.event.Person, x.event.Name, x.event.Session = who.ID, who.Name, who.SessionID
		x.event.Key, x.event.KeyPrefix = who.KeyID, shown.KeyPrefix
	}
	return nil
}

// allowed is the first check of a route; the capabilities decide again about the actual object.
func (c *Console) allowed(x *visit, n need) error {
	switch {
	case n == open:
		return nil
	case !x.who.SignedIn():
		return problem.New(problem.Unauthenticated, "Sign in first.").WithRule("sign-in required")
	case n == person:
		return nil
	}
	return c.shared.gate.Check(x.r.Context(), x.who, authz.Action(n), n.resource())
}

func parseForm(x *visit) error {
	err := x.r.ParseForm()
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooLarge):
		return problem.Newf(problem.TooLarge, "A form can have at most %d KiB.", maxBody>>10)
	}
	return problem.New(problem.Invalid, "The form could not be read.").WithCause(err)
}

// fail answers with an error in the form that the client understands.
func (c *Console) fail(x *visit, err error) {
	if web.ClientGone(x.r, err) {
		x.event.Reason, x.w.status = "client gone", web.StatusClientGone
		return
	}
	e := problem.Of(err)
	x.event.Reason, x.event.Cause = cmp.Or(e.Rule, e.Kind.String()), e.Unwrap()
	byScript := x.r.Header.Get("HX-Request") != ""
	if e.Kind == problem.StepUp && x.who.SignedIn() && (web.WantsPage(x.r) || byScript) {
		shown := c.confirm.askToConfirm(x, e)
		if shown == nil {
			return
		}
		e = problem.Of(shown)
		x.event.Cause = e.Unwrap()
	}
	reads := x.r.Method == http.MethodGet
	toSignIn := e.Kind == problem.Unauthenticated && reads
	switch {
	case e.Kind == problem.Denied && e.Rule == "second-factor" && reads && web.WantsPage(x.r):
		x.setNotice("needs-factor")
		x.redirect(securityPath)
	case e.Kind == problem.Denied && reads && atAdmin(x) && web.WantsPage(x.r):
		x.setNotice("not-admin")
		x.redirect("/flows")
	case toSignIn && byScript:
		x.w.Header().Set("HX-Redirect", wayToSignIn(x))
		problem.WriteJSON(x.w, e, x.event.ID)
	case toSignIn && web.WantsPage(x.r):
		x.redirect(wayToSignIn(x))
	case web.WantsPage(x.r):
		web.WriteProblemUnder(x.w, x.r, x.banner(), e, x.event.ID)
	default:
		problem.WriteJSON(x.w, e, x.event.ID)
	}
}

// atAdmin reports whether the request is for the Admin Page or a page below it. A person without
// access to it is redirected to the flows, which everyone can see.
func atAdmin(x *visit) bool {
	return x.r.URL.Path == "/admin" || strings.HasPrefix(x.r.URL.Path, "/admin/")
}

// wayToSignIn returns the sign-in page with a way back to the page of this request.
func wayToSignIn(x *visit) string {
	if back := web.ReturnTo(x.r.URL.RequestURI()); back != "/" {
		return "/login?return=" + url.QueryEscape(back)
	}
	return "/login"
}

// setTheme stores the chosen theme, without a script.
func setTheme(x *visit) error {
	web.SetTheme(x.w, x.field("theme"), x.secure())
	x.redirect(web.ReturnTo(x.field("return")))
	return nil
}

func favicon(x *visit) error {
	x.redirect(web.AssetURL("logo.svg"))
	return nil
}

// robots excludes search engines from everything.
func robots(x *visit) error {
	x.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := x.w.Write([]byte("User-agent: *\nDisallow: /\n"))
	return err
}
