package console

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/a-h/templ"

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

// maxBody is the largest request body in bytes. The largest form, with every field at its limit, has about 4 KiB.
const maxBody = 64 << 10

// Config of a Console. Everything but SecureCookies, Trust and Now is needed.
type Config struct {
	Gate     *authz.Gate
	People   *identity.People
	Sessions *authn.Sessions
	Keys     *authn.Keys
	// Credentials tells who asks; nil: only session cookies and Keys do.
	Credentials *authn.Credentials
	// Secrets shows and rotates Sluice's own secrets; SecretWarnings are sentences about those that were not used or are not well kept.
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
	// MainOrigin is the origin of Sluice's own pages for a browser that asked for this Host, e.g. "http://127.0.0.1:3000".
	MainOrigin func(requestHost string) string
	// Listens is where a reverse proxy on this machine reaches Sluice: host and port.
	Listens func() string
	// SecureCookies overrides whether cookies carry Secure; nil goes by the scheme that the browser used.
	SecureCookies *bool
	// Trust says which proxies in front of Sluice are believed.
	Trust web.Trust
	// Now is the clock.
	Now func() time.Time
	// Log gets one line per request.
	Log *slog.Logger
}

// Console serves Sluice's own pages.
type Console struct {
	cfg     Config
	bounces bounces
}

// New makes the handler of all routes. It panics if two routes are the same, which a test would find.
func New(c Config) http.Handler {
	if c.Credentials == nil {
		c.Credentials = &authn.Credentials{Sessions: c.Sessions, Keys: c.Keys}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	console := &Console{cfg: c}
	rt := web.NewRouter(
		console.serve(route{pattern: "none", run: noSuchPage, needs: open}),
		console.serve(route{pattern: "none", run: noSuchMethod, needs: open}),
	)
	for _, row := range console.routes() {
		rt.Handle(row.method, row.pattern, console.serve(row))
	}
	rt.HandlePrefix(web.AssetPrefix, http.HandlerFunc(web.ServeAsset))
	return rt
}

func noSuchPage(*visit) error {
	return problem.New(problem.NotFound, "There is no page at this address.").WithNext("Check the address, or begin at the start page.")
}

func noSuchMethod(x *visit) error {
	return problem.Newf(problem.Method, "This address does not take %s requests.", x.r.Method)
}

// visit is one request to the console and what is known about it.
type visit struct {
	c     *Console
	w     *answer
	r     *http.Request
	who   authz.Principal
	event web.Event
	// policy may be widened by a handler before it renders.
	policy web.Policy
}

// answer notes status and size for the log.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// serve runs a route: it authenticates, asks what the route needs, and turns an error into a page in one place.
func (c *Console) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x := &visit{c: c, w: &answer{ResponseWriter: w}, r: r, event: web.NewEvent(r, "console", c.cfg.Now())}
		x.event.Endpoint, x.event.Peer = rt.method+" "+rt.pattern, c.cfg.Trust.ClientIP(r).String()
		x.policy.SetHeaders(x.w.Header(), x.https())
		if err := x.run(rt); err != nil {
			x.fail(err)
		}
		x.event.Status, x.event.Bytes = cmp.Or(x.w.status, http.StatusOK), x.w.bytes
		x.event.Log(r.Context(), c.cfg.Log, c.cfg.Now())
	}
}

func (x *visit) run(rt route) error {
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, maxBody)
	var guard http.CrossOriginProtection
	if err := guard.Check(x.r); err != nil {
		return problem.New(problem.Denied, "This request came from another website and was not carried out.").
			WithNext("Open the page again and repeat what you did there.").WithRule("cross-origin request").WithCause(err)
	}
	if err := x.authenticate(rt.needs); err != nil {
		return err
	}
	if err := x.allowed(rt.needs); err != nil {
		return err
	}
	if x.r.Method == http.MethodPost {
		if err := x.parseForm(); err != nil {
			return err
		}
		if shown, err := x.confirm(rt.needs); shown || err != nil {
			return err
		}
	}
	return rt.run(x)
}

// authenticate finds out who asks, by session cookie, access token or API key. A cookie that is not in order counts as none where nobody has to be signed in, so that the way to the
// sign-in page is never closed by it; the answer takes such a cookie away.
func (x *visit) authenticate(n need) error {
	shown, err := x.c.cfg.Credentials.Authenticate(x.r, authn.Place{Audience: authn.AudienceMain, Secure: x.secure(), From: x.c.cfg.Trust.ClientIP(x.r)})
	shown.Limits.SetHeaders(x.w.Header())
	who := shown.Principal
	if err != nil {
		if authn.TokenTrouble(err) {
			return err
		}
		x.c.cfg.Sessions.ClearCookie(x.w, x.secure())
		if n != open {
			return err
		}
		who = authz.Principal{}
	}
	who.IP = x.event.Peer
	x.who = who
	if who.SignedIn() {
		x.event.Person, x.event.Name, x.event.Session, x.event.Key, x.event.KeyPrefix = who.ID, who.Name, who.SessionID, who.KeyID, shown.KeyPrefix
	}
	return nil
}

// allowed is the door of a route; the capabilities decide again on the very object.
func (x *visit) allowed(n need) error {
	switch {
	case n == open:
		return nil
	case !x.who.SignedIn():
		return problem.New(problem.Unauthenticated, "Sign in first.").WithRule("sign-in required")
	case n == person:
		return nil
	}
	return x.c.cfg.Gate.Check(x.r.Context(), x.who, authz.Action(n), n.resource())
}

func (x *visit) parseForm() error {
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
func (x *visit) fail(err error) {
	if web.ClientGone(x.r, err) {
		x.event.Reason, x.w.status = "client gone", web.StatusClientGone
		return
	}
	e := problem.Of(err)
	x.event.Reason, x.event.Cause = cmp.Or(e.Rule, e.Kind.String()), e.Unwrap()
	if e.Kind == problem.StepUp && x.who.SignedIn() && (web.WantsPage(x.r) || x.r.Header.Get("HX-Request") != "") {
		shown := x.askToConfirm(e)
		if shown == nil {
			return
		}
		e = problem.Of(shown)
		x.event.Cause = e.Unwrap()
	}
	toSignIn := e.Kind == problem.Unauthenticated && x.r.Method == http.MethodGet
	switch {
	case e.Kind == problem.Denied && e.Rule == "second-factor" && x.r.Method == http.MethodGet && web.WantsPage(x.r):
		x.setNotice("needs-factor")
		x.redirect(securityPath)
	case e.Kind == problem.Denied && x.r.Method == http.MethodGet && x.atAdmin() && web.WantsPage(x.r):
		x.setNotice("not-admin")
		x.redirect("/flows")
	case toSignIn && x.r.Header.Get("HX-Request") != "":
		x.w.Header().Set("HX-Redirect", x.signInPath())
		problem.WriteJSON(x.w, e, x.event.ID)
	case toSignIn && web.WantsPage(x.r):
		x.redirect(x.signInPath())
	case web.WantsPage(x.r):
		web.WriteProblemUnder(x.w, x.r, x.banner(), e, x.event.ID)
	default:
		problem.WriteJSON(x.w, e, x.event.ID)
	}
}

// atAdmin reports whether the Admin Page or one below it was asked for. Whoever may not see it lands where everybody works.
func (x *visit) atAdmin() bool {
	return x.r.URL.Path == "/admin" || strings.HasPrefix(x.r.URL.Path, "/admin/")
}

func (x *visit) signInPath() string {
	if back := web.ReturnTo(x.r.URL.RequestURI()); back != "/" {
		return "/login?return=" + url.QueryEscape(back)
	}
	return "/login"
}

// https reports whether the browser came by https.
func (x *visit) https() bool { return x.c.cfg.Trust.Scheme(x.r) == "https" }

// secure reports whether cookies carry Secure.
func (x *visit) secure() bool {
	if s := x.c.cfg.SecureCookies; s != nil {
		return *s
	}
	return x.https()
}

// render writes a page in the frame, under the visit's policy.
func (x *visit) render(status int, page templ.Component) error {
	x.policy.SetHeaders(x.w.Header(), x.https())
	return web.Render(x.w, x.r, status, page)
}

// redirect sends the browser on with a GET (RFC 9110 section 15.4.4).
func (x *visit) redirect(to string) {
	h := x.w.Header()
	h.Set("Location", to)
	h.Set("Cache-Control", "no-store")
	x.w.WriteHeader(http.StatusSeeOther)
}

// done redirects after a change, with a word on what was done.
func (x *visit) done(to, notice string) error {
	x.setNotice(notice)
	x.redirect(to)
	return nil
}

// frame is the frame of a page; active is the navigation's entry that it belongs to.
func (x *visit) frame(title, active string) web.Page {
	p := web.Page{Title: title, Theme: web.ThemeOf(x.r), Path: web.ReturnTo(x.r.URL.RequestURI()), Banner: x.banner()}
	p.Notice, p.NoticeTone = x.takeNotice()
	if x.r.Method != http.MethodGet {
		p.Path = cmp.Or(active, "/")
	}
	if x.who.SignedIn() {
		p.Person = &web.Person{Name: cmp.Or(x.who.DisplayName, x.who.Name), Email: x.who.Email, Role: x.rightsText(), Menu: personMenu(x.may(authz.UserView))}
		p.Nav = navigation(x.may(authz.UserView), x.may(authz.AppView), active)
		for _, w := range x.c.cfg.People.WorkspacesOf(x.who) {
			p.Workspaces = append(p.Workspaces, web.Workspace{ID: w.ID, Name: w.Name, Current: w.ID == x.who.Workspace})
		}
	}
	return p
}

// may reports whether the person has the right that a route with this need asks for; only for a page's shape.
func (x *visit) may(a authz.Action) bool {
	return x.c.cfg.Gate.Decide(x.who, a, need(a).resource()).Allowed
}

// value is a form field without blanks around it; field keeps them, for passwords.
func (x *visit) value(name string) string { return strings.TrimSpace(x.r.PostForm.Get(name)) }

func (x *visit) field(name string) string { return x.r.PostForm.Get(name) }

// rightsText says what the visitor may in the present workspace, in words.
func (x *visit) rightsText() string {
	if x.who.Superuser {
		return "Superuser"
	}
	if role := x.who.Role(x.who.Workspace); role != "" {
		return x.c.cfg.People.RoleName(role)
	}
	return "No role"
}

// meta is what is noted of a sign-in.
func (x *visit) meta() authn.Meta {
	return authn.Meta{IP: x.event.Peer, UserAgent: x.r.UserAgent()}
}
