package console

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// perPage is how many rows a page of a long list shows.
const perPage = 50

// personView is a person.
type personView struct {
	ID, Email, Username, Name string
	// Role is the name of the role in the default workspace; "" means none.
	Role                                string
	Superuser, Active, Waiting          bool
	HasPassword, EmailVerified, Oneself bool
	CreatedAt, LastSignInAt             time.Time
}

func (x *visit) personOf(u identity.User) personView {
	v := personView{
		ID: u.ID, Email: u.Email, Username: u.Username, Name: u.Name, Superuser: u.Superuser, Active: u.Active, Waiting: u.Waiting,
		HasPassword: u.HasPassword, EmailVerified: u.EmailVerified, Oneself: u.ID == x.who.ID, CreatedAt: u.CreatedAt, LastSignInAt: u.LastSignInAt,
	}
	if u.Role != "" {
		v.Role = x.c.cfg.People.RoleName(u.Role)
	}
	return v
}

// Title is what to call the person.
func (u personView) Title() string { return cmp.Or(u.Name, u.Username) }

// Sub tells people of the same name apart.
func (u personView) Sub() string {
	switch {
	case u.Email != "" && u.Name != "":
		return u.Username + " · " + u.Email
	case u.Email != "":
		return u.Email
	case u.Name != "":
		return u.Username
	}
	return ""
}

func (u personView) path(rest string) string { return "/admin/people/" + u.ID + rest }

// listing is where one is in a long list that can be searched.
type listing struct {
	Path, Query string
	// Extra are further parameters of the list, kept in its links.
	Extra  url.Values
	Total  int
	Number int // of the page, from 1
	Shown  int
}

// listingOf reads the page and the search from the address.
func (x *visit) listingOf(path string) (listing, error) {
	query := x.r.URL.Query()
	l := listing{Path: path, Query: strings.TrimSpace(query.Get("q"))}
	if len(l.Query) > 100 {
		return l, problem.New(problem.Invalid, "A search has at most 100 characters.").WithField("q")
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

// beyond reports whether the page asked for lies behind the last one.
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

// text counts what is shown, in one and several of a noun.
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

// peopleView is one page of the list.
type peopleView struct {
	listing
	People []personView
	Now    time.Time
}

// showPeople is the Admin Page.
func showPeople(x *visit) error {
	at, err := x.listingOf("/admin")
	if err != nil {
		return err
	}
	users, total, err := x.c.cfg.People.List(x.r.Context(), x.who, identity.Filter{Query: at.Query, Limit: perPage, Offset: at.offset()})
	if err != nil {
		return err
	}
	at.Total, at.Shown = total, len(users)
	if at.beyond() {
		x.redirect(at.url(at.pages()))
		return nil
	}
	v := peopleView{listing: at, Now: x.c.cfg.Now()}
	for _, u := range users {
		v.People = append(v.People, x.personOf(u))
	}
	page := x.frame("Admin Page", "/admin")
	page.Scripts = []string{"htmx.min.js"}
	return x.render(http.StatusOK, peoplePage(page, v))
}

// newPersonView is the form for a new person.
type newPersonView struct {
	Email, Username, Name, Role, Workspace string
	Active, Superuser                      bool
	Roles, Workspaces                      []web.Option
	Problem, Next                          string
	Wrong                                  wrong
}

func showNewPerson(x *visit) error {
	return x.renderNewPerson(http.StatusOK, newPersonView{Role: authz.RoleViewer, Active: true, Workspace: identity.DefaultWorkspace})
}

func (x *visit) renderNewPerson(status int, v newPersonView) error {
	v.Roles, v.Workspaces = x.roleOptions(), x.workspaceOptions()
	return x.render(status, newPersonPage(x.frame("New User", "/admin"), v))
}

// addPerson adds somebody; without a password the answer shows the one-time link with which they choose one.
func addPerson(x *visit) error {
	v := newPersonView{
		Email: x.value("email"), Username: x.value("username"), Name: x.value("name"), Role: x.value("role"), Workspace: x.value("workspace"),
		Superuser: x.value("superuser") == "true", Active: x.ticked("active", true),
	}
	u, err := x.create(v)
	if err != nil {
		m, ok := formMistake(err, "email", "username", "name", "password", "password_confirm", "role", "workspace")
		if !ok {
			return err
		}
		v.Problem, v.Next, v.Wrong = m.Text, m.Next, m.Wrong
		return x.renderNewPerson(m.status, v)
	}
	if x.field("password") == "" && v.Active {
		return x.showLink(u.ID)
	}
	return x.done(x.whereListed(u.Username), "person")
}

func (x *visit) create(v newPersonView) (identity.User, error) {
	password := x.field("password")
	if again, asked := x.r.PostForm["password_confirm"]; asked && again[0] != password {
		return identity.User{}, problem.New(problem.Invalid, "The two passwords differ. Type the same one twice.").WithField("password_confirm")
	}
	if _, ok := x.c.cfg.People.WorkspaceName(cmp.Or(v.Workspace, identity.DefaultWorkspace)); !ok {
		return identity.User{}, problem.New(problem.Invalid, "There is no such workspace any more.").WithField("workspace")
	}
	return x.c.cfg.People.Create(x.r.Context(), x.who, identity.NewUser{
		Email: v.Email, Username: v.Username, Name: v.Name, Password: password, Role: v.Role, Workspace: v.Workspace, Active: v.Active, Superuser: v.Superuser,
	})
}

// whereListed is the Admin Page as it shows a person: the list, or the search for them when the list has several pages.
func (x *visit) whereListed(username string) string {
	_, total, err := x.c.cfg.People.List(x.r.Context(), x.who, identity.Filter{Limit: 1})
	if err != nil || total <= perPage {
		return "/admin"
	}
	return "/admin?q=" + url.QueryEscape(username)
}

// ticked reads a checkbox that sends "false" first and "true" when it is ticked; without either it is what it is when nobody asked.
func (x *visit) ticked(name string, otherwise bool) bool {
	values := x.r.PostForm[name]
	if len(values) == 0 {
		return otherwise
	}
	return values[len(values)-1] == "true"
}

// roleOptions are the roles with what they mean.
func (x *visit) roleOptions() []web.Option {
	var out []web.Option
	for _, r := range x.c.cfg.People.Roles() {
		o := web.Option{Value: r.ID, Label: r.Name, Hint: r.Description}
		if !r.BuiltIn && o.Hint == "" {
			o.Hint = "A role of your own with " + web.Count(len(r.Permissions), "permission") + "."
		}
		out = append(out, o)
	}
	return out
}

// workspaceOptions are the workspaces that the visitor may work in.
func (x *visit) workspaceOptions() []web.Option {
	var out []web.Option
	for _, w := range x.c.cfg.People.WorkspacesOf(x.who) {
		out = append(out, web.Option{Value: w.ID, Label: w.Name})
	}
	return out
}
