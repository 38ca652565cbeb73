package console

import (
	"net/http"
	"strings"
	"time"

	"sluice/internal/authn"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/signup"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// accountPages are a person's own account: profile, sessions and workspaces.
type accountPages struct {
	people   *identity.People
	logins   *login.Logins
	sessions *authn.Sessions
	signUps  *signup.SignUps
}

// sessionView is one place where a person is signed in.
type sessionView struct {
	ID, Device, IP    string
	SeenAt, CreatedAt time.Time
	Current           bool
}

// accountView is a page of the visitor's own account.
type accountView struct {
	User personView
	Now  time.Time
	// Mail reports that links can be mailed.
	Mail bool
	// NewEmail is the new address as typed.
	NewEmail string
	// At names the form that Problem and Wrong belong to: "name", "email", "profile" or "".
	At            string
	Problem, Next string
	Wait          time.Duration
	Wrong         wrong
}

// ownWorkspace is one of the visitor's workspaces.
type ownWorkspace struct {
	ID, Name, Role string
	Current        bool
}

// accountTab is one of the account's pages.
type accountTab struct{ Href, Label string }

var accountTabs = []accountTab{
	{"/account", "Profile"},
	{"/account/security", "Security"},
	{"/account/devices", "Devices"},
	{keysPath, "API keys"},
	{"/account/workspaces", "Workspaces"},
}

func (p *accountPages) showAccount(x *visit) error {
	return p.renderAccount(x, http.StatusOK, accountView{})
}

func (p *accountPages) renderAccount(x *visit, status int, v accountView) error {
	u, err := p.people.Get(x.r.Context(), x.who, x.who.ID)
	if err != nil {
		return err
	}
	v.User, v.Now, v.Mail = personOf(x, u), x.now(), p.logins.MailConfigured()
	return x.render(status, accountPage(x.frame("Your account", "/account"), v))
}

func (p *accountPages) showOwnWorkspaces(x *visit) error {
	var list []ownWorkspace
	for _, w := range x.workspaces() {
		own := ownWorkspace{ID: w.ID, Name: w.Name, Current: w.ID == x.who.Workspace}
		if role := x.who.Role(w.ID); role != "" {
			own.Role = x.roleName(role)
		}
		list = append(list, own)
	}
	return x.render(http.StatusOK, ownWorkspacesPage(x.frame("Your workspaces", "/account"), list))
}

func (p *accountPages) showDevices(x *visit) error {
	sessions, err := sessionsOf(x, p.sessions, x.who.ID)
	if err != nil {
		return err
	}
	return x.render(http.StatusOK, devicesPage(x.frame("Your devices", "/account"), sessions, x.now()))
}

func sessionsOf(x *visit, from *authn.Sessions, userID string) ([]sessionView, error) {
	sessions, err := from.List(x.r.Context(), x.who, userID)
	if err != nil {
		return nil, err
	}
	var out []sessionView
	for _, s := range sessions {
		out = append(out, sessionView{
			ID:        s.ID,
			Device:    sessionName(s),
			IP:        s.IP,
			SeenAt:    s.SeenAt,
			CreatedAt: s.CreatedAt,
			Current:   s.Current,
		})
	}
	return out, nil
}

// sessionName describes the signed-in device or program.
func sessionName(s authn.Session) string {
	if !s.Program {
		return deviceName(s.UserAgent)
	}
	// Programs identify themselves by a product token (RFC 9110 section 10.1.5).
	if product, _, _ := strings.Cut(s.UserAgent, " "); product != "" && len(product) <= 60 {
		return "API client " + product
	}
	return "API client"
}

// accountMistake shows a mistake at the form of the account page that it belongs to.
func (p *accountPages) accountMistake(x *visit, v accountView, err error, fields ...string) error {
	m, ok := formMistake(err, fields...)
	if !ok {
		return err
	}
	e := problem.Of(err)
	e.SetHeaders(x.w.Header())
	v.Problem, v.Next, v.Wait, v.Wrong = m.Text, m.Next, e.RetryAfter, m.Wrong
	return p.renderAccount(x, m.status, v)
}

func (p *accountPages) changeName(x *visit) error {
	if err := p.people.Update(x.r.Context(), x.who, x.who.ID, identity.UserUpdate{
		Name: problem.Some(x.value("name")),
		Own:  true,
	}); err != nil {
		return p.accountMistake(x, accountView{At: "name"}, err, "name")
	}
	return x.done("/account", "name")
}

// changeEmail sends a link to both addresses. It asks for the password again, because an unattended
// screen must not be enough to take over the account.
func (p *accountPages) changeEmail(x *visit) error {
	email := x.value("email")
	if err := p.signUps.ChangeEmail(x.r.Context(), x.who, x.field("password"), email); err != nil {
		v := accountView{At: "email", NewEmail: clipped(email, 254)}
		e := problem.Of(err)
		if e.Field == "password" {
			err = e.WithField("email_password")
		}
		return p.accountMistake(x, v, err, "email", "email_password")
	}
	return x.done("/account", "email-asked")
}

func (p *accountPages) sendVerification(x *visit) error {
	if err := p.signUps.SendVerification(x.r.Context(), x.who); err != nil {
		return p.accountMistake(x, accountView{At: "profile"}, err)
	}
	return x.done("/account", "verify-sent")
}

// switchWorkspace switches the session to another workspace and returns to the page.
func (p *accountPages) switchWorkspace(x *visit) error {
	if err := p.sessions.SwitchWorkspace(x.r.Context(), x.who, x.value("workspace")); err != nil {
		return err
	}
	x.redirect(web.ReturnTo(x.field("return")))
	return nil
}

func (p *accountPages) endSession(x *visit) error {
	if err := p.sessions.Revoke(x.r.Context(), x.who, x.r.PathValue("id")); err != nil &&
		!problem.Is(err, problem.NotFound) {
		return err
	}
	return x.done("/account/devices", "session")
}

func (p *accountPages) endOtherSessions(x *visit) error {
	if err := p.sessions.RevokeAll(x.r.Context(), x.who, x.who.ID, x.who.SessionID); err != nil {
		return err
	}
	return x.done("/account/devices", "sessions")
}

// named maps a mark in a User-Agent header to the name that people know. The order matters, because
// browsers also include the marks of those that they imitate.
type named struct{ mark, name string }

var browsers = []named{
	{"Edg/", "Edge"},
	{"EdgA/", "Edge"},
	{"OPR/", "Opera"},
	{"Vivaldi/", "Vivaldi"},
	{"SamsungBrowser/", "Samsung Internet"},
	{"Firefox/", "Firefox"},
	{"FxiOS/", "Firefox"},
	{"CriOS/", "Chrome"},
	{"Chromium/", "Chromium"},
	{"Chrome/", "Chrome"},
	{"Safari/", "Safari"},
	{"curl/", "curl"},
	{"python", "A Python program"},
	{"Go-http-client", "A Go program"},
}

var systems = []named{
	{"iPhone", "iPhone"},
	{"iPad", "iPad"},
	{"Android", "Android"},
	{"CrOS", "ChromeOS"},
	{"Windows", "Windows"},
	{"Mac OS X", "Mac"},
	{"Linux", "Linux"},
}

// deviceName describes the device that a User-Agent header claims to be. It helps people recognize
// their own devices, and proves nothing.
func deviceName(userAgent string) string {
	browser, system := markedAs(browsers, userAgent), markedAs(systems, userAgent)
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	case system != "":
		return system
	}
	return "An unknown device"
}

func markedAs(list []named, text string) string {
	for _, n := range list {
		if strings.Contains(text, n.mark) {
			return n.name
		}
	}
	return ""
}
