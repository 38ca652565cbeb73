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
// has about 4 KiB.
const maxBody = 64 << 10

// Config of a Console. Everything but SecureCookies, Trust and Now is needed.
type Config struct {
	Gate     *authz.Gate
	People   *identity.People
	Sessions *authn.Sessions
	Keys     *authn.Keys
	// Credentials tells who asks; nil: only session cookies and Keys do.
	Credentials *authn.Credentials
	// Secrets shows and rotates Sluice's own secrets; SecretWarnings are sentences about those that
	// were not used or are not well kept.
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
	// Mail is the outbox; it need not be configured.
	Mail *mail.Outbox
	// MainOrigin is the origin of Sluice's own pages for a browser that asked for this Host, e.g.
	// "http://127.0.0.1:3000".
	MainOrigin func(requestHost string) string
	// Listens is where a reverse proxy on this machine reaches Sluice: host and port.
	Listens func() string
	// SecureCookies overrides whether cookies carry Secure; nil goes by the scheme that the browser
	// used.
	SecureCookies *bool
	// Trust says which proxies in front of Sluice are believed.
	Trust web.Trust
	// Now is the clock.
	Now func() time.Time
	// Log gets one line per request.
	Log *slog.Logger
}

// Console serves Sluice's own pages: it finds out who asks, holds every route to what it needs, and
// turns the errors of handlers into answers, each in one place. Behind it stand the pages.
type Console struct {
	shared      *shared
	credentials *authn.Credentials
	sessions    *authn.Sessions
	confirm     *confirmPages
	log         *slog.Logger
}

// New creates the handler of all routes. It panics if two routes are the same, which a test would
// find.
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
		WithNext("Check the address, or begin at the start page.")
}

func noSuchMethod(x *visit) error {
	return problem.Newf(problem.Method, "This address does not take %s requests.", x.r.Method)
}

// serve runs a route: it authenticates, asks what the route needs, and turns an error into a page
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
		return problem.New(problem.Denied, "This request came from another website and was not carried out.").
			WithNext("Open the page again and repeat what you did there.").
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

// authenticate finds out who asks, by session cookie, access token or API key. A cookie that is not
// in order counts as none where nobody has to be signed in, so that it never closes the way to the
// sign-in page; the answer takes such a cookie away.
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

// allowed is the door of a route; the capabilities decide again on the very object.
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
		return problem.Newf(problem.TooLarge, "A form may have at most %d KiB.", maxBody>>10)
	}
	return problem.New(problem.Invalid, "The form could not be read.").WithCause(err)
}

// fail answers with an error in the form that the other side reads.
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

// atAdmin reports whether the request asked for the Admin Page or one below it. A person who may
// not see it lands where everybody works.
func atAdmin(x *visit) bool {
	return x.r.URL.Path == "/admin" || strings.HasPrefix(x.r.URL.Path, "/admin/")
}

// wayToSignIn is the sign-in page, which leads back to the page of this request.
func wayToSignIn(x *visit) string {
	if back := web.ReturnTo(x.r.URL.RequestURI()); back != "/" {
		return "/login?return=" + url.QueryEscape(back)
	}
	return "/login"
}

// setTheme remembers the look without a script.
func setTheme(x *visit) error {
	web.SetTheme(x.w, x.field("theme"), x.secure())
	x.redirect(web.ReturnTo(x.field("return")))
	return nil
}

func favicon(x *visit) error {
	x.redirect(web.AssetURL("logo.svg"))
	return nil
}

// robots keeps search engines out of all of it.
func robots(x *visit) error {
	x.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := x.w.Write([]byte("User-agent: *\nDisallow: /\n"))
	return err
}
