package console

import (
	"cmp"
	"net/http"
	"net/url"
	"time"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/factor"
	"sluice/internal/login/signup"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// peoplePages are the Admin Page: the accounts of the installation.
type peoplePages struct {
	people   *identity.People
	sessions *authn.Sessions
	logins   *login.Logins
	factors  *factor.Factors
	sso      *sso.SSO
	signUps  *signup.SignUps
}

// personView is a person.
type personView struct {
	ID, Email, Username, Name string
	// Role is the name of the role in the default workspace; "" means none.
	Role                                string
	Superuser, Active, Waiting          bool
	HasPassword, EmailVerified, Oneself bool
	CreatedAt, LastSignInAt             time.Time
}

func personOf(x *visit, u identity.User) personView {
	v := personView{
		ID:            u.ID,
		Email:         u.Email,
		Username:      u.Username,
		Name:          u.Name,
		Superuser:     u.Superuser,
		Active:        u.Active,
		Waiting:       u.Waiting,
		HasPassword:   u.HasPassword,
		EmailVerified: u.EmailVerified,
		Oneself:       u.ID == x.who.ID,
		CreatedAt:     u.CreatedAt,
		LastSignInAt:  u.LastSignInAt,
	}
	if u.Role != "" {
		v.Role = x.roleName(u.Role)
	}
	return v
}

// Title is the person's display name.
func (u personView) Title() string { return cmp.Or(u.Name, u.Username) }

// Sub distinguishes people with the same name.
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

// peopleView is one page of the list.
type peopleView struct {
	listing
	People []personView
	Now    time.Time
}

// showPeople is the Admin Page.
func (p *peoplePages) showPeople(x *visit) error {
	at, err := listingOf(x, "/admin")
	if err != nil {
		return err
	}
	users, total, err := p.people.List(
		x.r.Context(),
		x.who,
		identity.Filter{Query: at.Query, Limit: perPage, Offset: at.offset()},
	)
	if err != nil {
		return err
	}
	at.Total, at.Shown = total, len(users)
	if at.beyond() {
		x.redirect(at.url(at.pages()))
		return nil
	}
	v := peopleView{listing: at, Now: x.now()}
	for _, u := range users {
		v.People = append(v.People, personOf(x, u))
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

func (p *peoplePages) showNewPerson(x *visit) error {
	return p.renderNewPerson(
		x,
		http.StatusOK,
		newPersonView{Role: authz.RoleViewer, Active: true, Workspace: identity.DefaultWorkspace},
	)
}

func (p *peoplePages) renderNewPerson(x *visit, status int, v newPersonView) error {
	v.Roles, v.Workspaces = x.roleOptions(), x.workspaceOptions()
	return x.render(status, newPersonPage(x.frame("New User", "/admin"), v))
}

// addPerson adds a person. Without a password, the answer shows the one-time link with which they
// choose one.
func (p *peoplePages) addPerson(x *visit) error {
	v := newPersonView{
		Email:     x.value("email"),
		Username:  x.value("username"),
		Name:      x.value("name"),
		Role:      x.value("role"),
		Workspace: x.value("workspace"),
		Superuser: x.value("superuser") == "true",
		Active:    x.ticked("active", true),
	}
	u, err := p.create(x, v)
	if err != nil {
		m, ok := formMistake(err, "email", "username", "name", "password", "password_confirm", "role", "workspace")
		if !ok {
			return err
		}
		v.Problem, v.Next, v.Wrong = m.Text, m.Next, m.Wrong
		return p.renderNewPerson(x, m.status, v)
	}
	if x.field("password") == "" && v.Active {
		return p.showLink(x, u.ID)
	}
	return x.done(p.whereListed(x, u.Username), "person")
}

func (p *peoplePages) create(x *visit, v newPersonView) (identity.User, error) {
	password := x.field("password")
	if again, asked := x.r.PostForm["password_confirm"]; asked && again[0] != password {
		return identity.User{}, problem.New(problem.Invalid, "The two passwords differ. Enter the same one twice.").
			WithField("password_confirm")
	}
	if _, ok := p.people.WorkspaceName(cmp.Or(v.Workspace, identity.DefaultWorkspace)); !ok {
		return identity.User{}, problem.New(problem.Invalid, "This workspace no longer exists.").
			WithField("workspace")
	}
	return p.people.Create(x.r.Context(), x.who, identity.NewUser{
		Email:     v.Email,
		Username:  v.Username,
		Name:      v.Name,
		Password:  password,
		Role:      v.Role,
		Workspace: v.Workspace,
		Active:    v.Active,
		Superuser: v.Superuser,
	})
}

// whereListed returns the Admin Page that shows a person: the list, or a search for them if the
// list has several pages.
func (p *peoplePages) whereListed(x *visit, username string) string {
	_, total, err := p.people.List(x.r.Context(), x.who, identity.Filter{Limit: 1})
	if err != nil || total <= perPage {
		return "/admin"
	}
	return "/admin?q=" + url.QueryEscape(username)
}
