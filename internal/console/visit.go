package console

import (
	"cmp"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/a-h/templ"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/web"
)

// visit is one request to a page, together with its principal. It reads the request, says what the
// person may see, and writes the answer: a page in its frame, or a redirect with a notice. It knows
// no pages: the capabilities that a handler needs are in the type that the handler belongs to.
type visit struct {
	shared *shared
	w      *answer
	r      *http.Request
	who    authz.Principal
	event  web.Event
	// policy can be widened by a handler before it renders.
	policy web.Policy
}

// shared is the state that all visits have in common.
type shared struct {
	gate   *authz.Gate
	people *identity.People
	// autoLogin names the superuser whose rights everyone on this machine has without signing in;
	// "" disables that.
	autoLogin     func() string
	mainOrigin    func(requestHost string) string
	secureCookies *bool
	trust         web.Trust
	clock         func() time.Time
}

// answer records status and size for the log.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

func (x *visit) now() time.Time { return x.shared.clock() }

// origin is the origin of Sluice's own pages for this browser.
func (x *visit) origin() string { return x.shared.mainOrigin(x.r.Host) }

// clientIP is the address that the request came from, as far as Sluice trusts the proxies on its
// way.
func (x *visit) clientIP() netip.Addr { return x.shared.trust.ClientIP(x.r) }

// https reports whether the browser used https.
func (x *visit) https() bool { return x.shared.trust.Scheme(x.r) == "https" }

// secure reports whether cookies carry Secure.
func (x *visit) secure() bool {
	if s := x.shared.secureCookies; s != nil {
		return *s
	}
	return x.https()
}

// meta returns the facts that are recorded about a sign-in.
func (x *visit) meta() authn.Meta {
	return authn.Meta{IP: x.event.Peer, UserAgent: x.r.UserAgent()}
}

// value returns a form field without surrounding blanks; field keeps them, for passwords.
func (x *visit) value(name string) string { return strings.TrimSpace(x.r.PostForm.Get(name)) }

func (x *visit) field(name string) string { return x.r.PostForm.Get(name) }

// ticked reads a checkbox that sends "false" first and, when it is ticked, also "true". Without the
// checkbox in the form it returns otherwise.
func (x *visit) ticked(name string, otherwise bool) bool {
	values := x.r.PostForm[name]
	if len(values) == 0 {
		return otherwise
	}
	return values[len(values)-1] == "true"
}

// allows reports whether the person may perform an action on a resource. It only shapes pages, and
// records nothing.
func (x *visit) allows(a authz.Action, res authz.Resource) bool {
	return x.shared.gate.Decide(x.who, a, res).Allowed
}

// may reports whether the person may perform an action that a route requires. It only shapes pages,
// and records nothing.
func (x *visit) may(a authz.Action) bool { return x.allows(a, need(a).resource()) }

// roleName returns the display name of a role.
func (x *visit) roleName(id string) string { return x.shared.people.RoleName(id) }

// roleIn returns the name of the person's own role in a workspace; "" means none.
func (x *visit) roleIn(workspace string) string {
	if role := x.who.Role(workspace); role != "" {
		return x.roleName(role)
	}
	return ""
}

// rightsText describes what the person may do in the current workspace.
func (x *visit) rightsText() string {
	if x.who.Superuser {
		return "Superuser"
	}
	return cmp.Or(x.roleIn(x.who.Workspace), "No role")
}

// roleOptions are the roles with their descriptions.
func (x *visit) roleOptions() []web.Option {
	var out []web.Option
	for _, r := range x.shared.people.Roles() {
		o := web.Option{Value: r.ID, Label: r.Name, Hint: r.Description}
		if !r.BuiltIn && o.Hint == "" {
			o.Hint = "A custom role with " + web.Count(len(r.Permissions), "permission") + "."
		}
		out = append(out, o)
	}
	return out
}

// workspaces are the workspaces that the person may work in.
func (x *visit) workspaces() []identity.Workspace { return x.shared.people.WorkspacesOf(x.who) }

// workspaceOptions are the workspaces that the person may work in.
func (x *visit) workspaceOptions() []web.Option {
	var out []web.Option
	for _, w := range x.workspaces() {
		out = append(out, web.Option{Value: w.ID, Label: w.Name})
	}
	return out
}

// workspaceName returns the name of a workspace; "" if it does not exist.
func (x *visit) workspaceName(id string) string {
	name, _ := x.shared.people.WorkspaceName(id)
	return name
}

// frame returns the frame of a page; active is the entry of the navigation that it belongs to.
func (x *visit) frame(title, active string) web.Page {
	p := web.Page{
		Title:  title,
		Theme:  web.ThemeOf(x.r),
		Path:   web.ReturnTo(x.r.URL.RequestURI()),
		Banner: x.banner(),
	}
	p.Notice, p.NoticeTone = x.takeNotice()
	if x.r.Method != http.MethodGet {
		p.Path = cmp.Or(active, "/")
	}
	if x.who.SignedIn() {
		p.Person = &web.Person{
			Name:  cmp.Or(x.who.DisplayName, x.who.Name),
			Email: x.who.Email,
			Role:  x.rightsText(),
			Menu:  personMenu(x.may(authz.UserView)),
		}
		p.Nav = navigation(x.may(authz.UserView), x.may(authz.AppView), active)
		for _, w := range x.workspaces() {
			own := web.Workspace{ID: w.ID, Name: w.Name, Current: w.ID == x.who.Workspace}
			p.Workspaces = append(p.Workspaces, own)
		}
	}
	return p
}

// banner is the warning on every page while people are signed in without being asked; nil
// otherwise.
func (x *visit) banner() *web.Banner {
	name := x.shared.autoLogin()
	switch {
	case name == "":
		return nil
	case x.who.SignedIn() && !x.who.Automatic:
		return &web.Banner{Text: bannerText(name)}
	}
	return &web.Banner{Text: bannerText(name), Href: "/login?with=password", Action: "Sign in as someone else"}
}

func bannerText(name string) string {
	return "No sign-in is required: anyone who opens Sluice in a browser on this machine works as the superuser " +
		name + ". Set " + login.AutoLoginVariable + "=False to end this."
}

// render writes a page in the frame, under the visit's policy.
func (x *visit) render(status int, page templ.Component) error {
	x.policy.SetHeaders(x.w.Header(), x.https())
	return web.Render(x.w, x.r, status, page)
}

// redirect sends the browser to another address with a GET (RFC 9110 section 15.4.4).
func (x *visit) redirect(to string) {
	h := x.w.Header()
	h.Set("Location", to)
	h.Set("Cache-Control", "no-store")
	x.w.WriteHeader(http.StatusSeeOther)
}

// done redirects after a change, with a notice about it.
func (x *visit) done(to, notice string) error {
	x.setNotice(notice)
	x.redirect(to)
	return nil
}

// setNotice keeps a notice for the next page.
func (x *visit) setNotice(name string) {
	if notices[name] != "" {
		x.setCookie(noticeCookie, name, "/", 30)
	}
}

// takeNotice returns the notice that the last answer left, and removes it.
func (x *visit) takeNotice() (text string, tone web.Tone) {
	c, err := x.r.Cookie(noticeCookie)
	if err != nil {
		return "", web.Good
	}
	x.setCookie(noticeCookie, "", "/", -1)
	if c.Value == "not-admin" || c.Value == "attempt-over" || c.Value == "needs-factor" {
		tone = web.Info
	}
	return notices[c.Value], tone
}

// cookie returns the value of one of the console's own cookies; "" for none.
func (x *visit) cookie(name string) string {
	c, err := x.r.Cookie(name)
	if err != nil || len(c.Value) > 500 {
		return ""
	}
	return c.Value
}

// setCookie sets a small cookie of the console for one path; age is in seconds, and -1 removes the
// cookie.
func (x *visit) setCookie(name, value, path string, age int) {
	http.SetCookie(x.w, &http.Cookie{
		Name:     name,
		Value:    value,
		Path:     path,
		MaxAge:   age,
		HttpOnly: true,
		Secure:   x.secure(),
		SameSite: http.SameSiteLaxMode,
	})
}
