package console

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice/internal/builder"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// wrong holds the mistakes in a form, by field.
type wrong map[string]string

// setupView is the form for the first admin.
type setupView struct {
	Email, Username, Name string
	Problem               string
	Wrong                 wrong
}

// setupClosedView explains why the form is not available.
type setupClosedView struct {
	Title, Detail string
	HasAdmin      bool
}

// setupAppsView is the second step of the set-up.
type setupAppsView struct {
	Apps          []appView
	Form          appForm
	Problem, Next string
	// Ready is the id of an app that can be verified; empty if no app is ready yet.
	Ready string
}

func (v setupAppsView) skipWord() string {
	if v.Ready != "" {
		return "Go to the start page"
	}
	return "Do this later"
}

// loginView is the sign-in form.
type loginView struct {
	App, AppName, Return, State string
	Identifier                  string
	Problem, Next               string
	Wait                        time.Duration
	NoAdmin                     bool
	// SignUp reports that strangers may create accounts.
	SignUp bool
	// Providers are the ways to sign in by single sign-on. Passkeys reports that browsers support
	// passkeys at this address.
	Providers []sso.Button
	Passkeys  bool
	// Hidden reports that the password's form is behind a link, because only superusers may use it.
	Hidden bool
}

// query returns the destination, for links that keep it.
func (v loginView) query() string {
	return destination{app: v.App, back: v.Return, state: v.State}.query()
}

func (v loginView) others() bool { return len(v.Providers) > 0 || v.Passkeys }

// resetView is the form for a new password behind a one-time link.
type resetView struct {
	Username, Problem string
	Wrong             wrong
}

// check is one line of a checklist.
type check struct {
	Title, Detail string
	Done          bool
	// Failed is worse than not done. An Optional check does not count towards finishing the list.
	Failed, Optional bool
	Href, Action     string
}

func checkTone(c check) string {
	switch {
	case c.Done:
		return "tone-good"
	case c.Failed:
		return "tone-bad"
	}
	return "tone-plain"
}

func checkIcon(c check) string {
	switch {
	case c.Done:
		return "circle-check"
	case c.Failed:
		return "circle-alert"
	}
	return "circle-dashed"
}

// homeView is the start page.
type homeView struct {
	Name   string
	Apps   []appView
	Checks []check
	// Elsewhere reports that there are apps, but the person's current workspace uses none of them.
	Elsewhere bool
	// Products names the products that Sluice recognizes.
	Products string
}

// Open counts the required checks that are not done.
func (v homeView) Open() int {
	n := 0
	for _, c := range v.Checks {
		if !c.Done && !c.Optional {
			n++
		}
	}
	return n
}

func (v homeView) progress() string {
	done := 0
	for _, c := range v.Checks {
		if c.Done {
			done++
		}
	}
	return strconv.Itoa(done) + " of " + strconv.Itoa(len(v.Checks)) + " done"
}

func (v homeView) greeting() string { return "Hello, " + v.Name }

func (v homeView) summary() string {
	if len(v.Apps) == 0 {
		return ""
	}
	return "You are signed in to " + web.Count(len(v.Apps), "app") + " behind Sluice."
}

// appsView is the list of apps.
type appsView struct {
	Apps []appView
	// Products names the products that Sluice recognizes.
	Products string
}

// appForm is the form of an app as typed.
type appForm struct {
	URL, Name, PublicURL, OwnerEmail string
	Wrong                            wrong
}

// newAppView is the form for a new app, before and after the probe.
type newAppView struct {
	Form          appForm
	Found         *foundView
	Problem, Next string
}

// NeedsLogin reports that the builder has an owner whose credentials are needed.
func (v newAppView) NeedsLogin() bool {
	return v.Found != nil && v.Found.OwnerState == builder.OwnerPresent && v.Found.HasOwner
}

// NeedsChoice reports that there are several ways into the builder's accounts.
func (v newAppView) NeedsChoice() bool { return v.Found != nil && v.Found.HasAccounts }

// NeedsOwner reports that the builder has no owner yet.
func (v newAppView) NeedsOwner() bool { return v.Found != nil && v.Found.OwnerState == "none" }

func (v newAppView) command() string {
	return "sluice serve --protect " + cmp.Or(v.Form.URL, "http://127.0.0.1:3001")
}

func foundTone(v newAppView) web.Tone {
	if v.Found.Note != "" {
		return web.Warning
	}
	return web.Good
}

// appPageView is one app.
type appPageView struct {
	App       appView
	Published []string
	Flow      string
	// UsedIn are the workspaces that use the app, and Offerable the others. MayOffer lets the
	// viewer change that.
	UsedIn, Offerable []web.Option
	MayOffer          bool
	// HasAccounts reports that the builder keeps its users apart. Connection is how people get in;
	// "" until it is chosen. PerPerson reports that each person has their own account.
	HasAccounts bool
	Connection  string
	PerPerson   bool
	// FlowsAt is the part of a flow page's address before the flow's id; "" if it is unknown.
	FlowsAt       string
	Now           time.Time
	Problem, Next string
	Wrong         wrong
}

func (v appPageView) path(rest string) string { return "/admin/apps/" + v.App.ID + rest }

// removedAppView shows, only once, the account that Sluice created in a builder.
type removedAppView struct {
	App             appView
	Email, Password string
}

// verifyView is what the Verify page shows about the current request.
type verifyView struct {
	App            appView
	Setup          bool
	Verified       bool
	Checks         []check
	Person, Rights string
	IP             string
	Chain          []string
	ProxyHint      string
}

func (v verifyView) chainText() string { return strings.Join(v.Chain, " ← ") }

func (v verifyView) here() string {
	if v.Setup {
		return "/admin/apps/" + v.App.ID + "/verify?setup=1"
	}
	return "/admin/apps/" + v.App.ID + "/verify"
}

// navigation returns the entries of the frame: flows and workspaces for everyone, the rest for
// people who may use it.
func navigation(admin, apps bool, active string) []web.NavItem {
	var items []web.NavItem
	if admin {
		items = append(items, web.NavItem{Href: "/", Label: "Home", Icon: "house"})
	}
	items = append(items, web.NavItem{Href: "/flows", Label: "Flows", Icon: "workflow"})
	if apps {
		items = append(items, web.NavItem{Href: "/admin/apps", Label: "Apps", Icon: "blocks"})
	}
	items = append(items, web.NavItem{Href: "/workspaces", Label: "Workspaces", Icon: "layers"})
	if admin {
		items = append(
			items,
			web.NavItem{Href: "/admin", Label: "People", Icon: "users"},
			web.NavItem{Href: "/admin/roles", Label: "Roles", Icon: "id-card"},
			web.NavItem{
				Href:  signInPath,
				Label: "Sign-in",
				Icon:  "log-in",
			},
			web.NavItem{Href: "/admin/mail", Label: "Mail", Icon: "mail"},
			web.NavItem{Href: secretsPath, Label: "Secrets", Icon: "lock"},
		)
	}
	for i := range items {
		items[i].Active = items[i].Href == active
	}
	return items
}

// personMenu returns the entries of the person's own menu, except signing out.
func personMenu(admin bool) []web.NavItem {
	items := []web.NavItem{{Href: "/account", Label: "Your account", Icon: "user-round"}}
	if admin {
		items = append(items, web.NavItem{Href: "/admin", Label: "Admin Page", Icon: "users"})
	}
	return items
}

// perPage is how many rows a page of a long list has.
const perPage = 50

// listing is a position in a long, searchable list.
type listing struct {
	Path, Query string
	// Extra are further parameters of the list, kept in its links.
	Extra  url.Values
	Total  int
	Number int // of the page, from 1
	Shown  int
}

// listingOf reads the page and the search from the address.
func listingOf(x *visit, path string) (listing, error) {
	query := x.r.URL.Query()
	l := listing{Path: path, Query: strings.TrimSpace(query.Get("q"))}
	if len(l.Query) > 100 {
		return l, problem.New(problem.Invalid, "A search can have at most 100 characters.").WithField("q")
	}
	number, err := strconv.Atoi(query.Get("page"))
	if err != nil || number < 1 || number > 1_000_000 {
		number = 1
	}
	l.Number = number
	return l, nil
}

func (l listing) offset() int { return (l.Number - 1) * perPage }

func (l listing) pages() int { return max(1, (l.Total+perPage-1)/perPage) }

// beyond reports whether the requested page is after the last one.
func (l listing) beyond() bool { return l.Shown == 0 && l.Total > 0 }

func (l listing) url(n int) string {
	if n < 1 || n > l.pages() {
		return ""
	}
	q := url.Values{"page": {strconv.Itoa(n)}}
	for name, values := range l.Extra {
		q[name] = values
	}
	if l.Query != "" {
		q.Set("q", l.Query)
	}
	return l.Path + "?" + q.Encode()
}

func (l listing) pageText() string {
	if l.pages() == 1 {
		return ""
	}
	return "Page " + strconv.Itoa(l.Number) + " of " + strconv.Itoa(l.pages())
}

// text counts the displayed rows, with a noun in singular or plural.
func (l listing) text(one, many string) string {
	switch {
	case l.Total == 1:
		return "1 " + one
	case l.pages() == 1:
		return strconv.Itoa(l.Total) + " " + many
	}
	first := l.offset() + 1
	return strconv.Itoa(first) + "–" + strconv.Itoa(first+l.Shown-1) + " of " + strconv.Itoa(l.Total) + " " + many
}

// clipped drops a text that is too long to show again in a form.
func clipped(s string, most int) string {
	if len(s) > most {
		return ""
	}
	return s
}
