package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"sluice/internal/authz"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/web"
)

// perPage is how many people a page of the list shows.
const perPage = 50

func personOf(u identity.User) personView {
	return personView{
		ID: u.ID, Email: u.Email, Username: u.Username, Name: u.Name, Role: u.Role, Superuser: u.Superuser, Active: u.Active,
		HasPassword: u.HasPassword, CreatedAt: u.CreatedAt, LastSignInAt: u.LastSignInAt,
	}
}

func showPeople(x *visit) error {
	query := x.r.URL.Query()
	text := strings.TrimSpace(query.Get("q"))
	if len(text) > 100 {
		return problem.New(problem.Invalid, "A search has at most 100 characters.").WithField("q")
	}
	number, err := strconv.Atoi(query.Get("page"))
	if err != nil || number < 1 || number > 1_000_000 {
		number = 1
	}
	users, total, err := x.c.cfg.People.List(x.r.Context(), x.who, identity.Filter{Query: text, Limit: perPage, Offset: (number - 1) * perPage})
	if err != nil {
		return err
	}
	v := peopleView{Query: text, Total: total, Number: number, PerPage: perPage, Now: x.c.cfg.Now()}
	for _, u := range users {
		v.People = append(v.People, personOf(u))
	}
	if len(users) == 0 && total > 0 {
		x.redirect(v.pageURL(v.pages()))
		return nil
	}
	page := x.frame("People", "/admin/people")
	page.Scripts = []string{"htmx.min.js"}
	return x.render(http.StatusOK, peoplePage(page, v))
}

func showNewPerson(x *visit) error {
	return x.render(http.StatusOK, newPersonPage(x.frame("Add a person", "/admin/people"), newPersonView{Role: authz.RoleViewer}))
}

// addPerson adds somebody; without a password the answer shows the one-time link with which they choose one.
func addPerson(x *visit) error {
	v := newPersonView{Email: x.value("email"), Username: x.value("username"), Name: x.value("name"), Role: x.value("role")}
	password := x.field("password")
	u, err := x.c.cfg.People.Create(x.r.Context(), x.who, identity.NewUser{
		Email: v.Email, Username: v.Username, Name: v.Name, Password: password, Role: v.Role, Active: true,
	})
	if err != nil {
		m, ok := formMistake(err, "email", "username", "name", "password")
		if !ok {
			return err
		}
		v.Problem, v.Wrong = strings.TrimSpace(m.Text+" "+m.Next), m.Wrong
		return x.render(m.status, newPersonPage(x.frame("Add a person", "/admin/people"), v))
	}
	if password == "" {
		return x.showLink(u.ID)
	}
	return x.done("/admin/people/"+u.ID, "person")
}

func showPerson(x *visit) error {
	v, err := x.person(chi.URLParam(x.r, "id"))
	if err != nil {
		return err
	}
	return x.renderPerson(http.StatusOK, v)
}

func (x *visit) person(id string) (personPageView, error) {
	u, err := x.c.cfg.People.Get(x.r.Context(), x.who, id)
	return personPageView{User: personOf(u), Now: x.c.cfg.Now(), MaySuperuser: x.who.Superuser}, err
}

func (x *visit) renderPerson(status int, v personPageView) error {
	return x.render(status, personPage(x.frame(v.User.Title(), "/admin/people"), v))
}

// changed goes back to a person's page after a change, or shows on it why there was none.
func (x *visit) changed(id, notice string, err error) error {
	if err == nil {
		return x.done("/admin/people/"+id, notice)
	}
	m, ok := formMistake(err)
	if !ok {
		return err
	}
	v, lookup := x.person(id)
	if lookup != nil {
		return errors.Join(err, lookup)
	}
	v.Problem, v.Next = m.Text, m.Next
	return x.renderPerson(m.status, v)
}

func setRole(x *visit) error {
	id := chi.URLParam(x.r, "id")
	return x.changed(id, "role", x.c.cfg.People.SetRole(x.r.Context(), x.who, id, identity.DefaultWorkspace, x.value("role")))
}

func setSuperuser(x *visit) error {
	id, on := chi.URLParam(x.r, "id"), x.value("on") == "true"
	notice := map[bool]string{true: "superuser", false: "no-superuser"}[on]
	return x.changed(id, notice, x.c.cfg.People.SetSuperuser(x.r.Context(), x.who, id, on))
}

func setActive(x *visit) error {
	id, on := chi.URLParam(x.r, "id"), x.value("on") == "true"
	notice := map[bool]string{true: "enabled", false: "disabled"}[on]
	return x.changed(id, notice, x.c.cfg.People.SetActive(x.r.Context(), x.who, id, on))
}

func makeResetLink(x *visit) error { return x.showLink(chi.URLParam(x.r, "id")) }

// showLink makes a one-time link and shows it in the direct answer, the only place where it ever stands.
func (x *visit) showLink(id string) error {
	token, expires, err := x.c.cfg.Logins.ResetLink(x.r.Context(), x.who, id)
	if err != nil {
		return err
	}
	v, err := x.person(id)
	if err != nil {
		return err
	}
	v.Link, v.LinkExpires = x.c.cfg.MainOrigin(x.r.Host)+"/reset?token="+token, expires
	return x.renderPerson(http.StatusOK, v)
}

// roleOptions are the roles with what they mean.
func roleOptions() []web.Option {
	return []web.Option{
		{Value: authz.RoleViewer, Label: "Viewer", Hint: "Sees flows and runs them."},
		{Value: authz.RoleUser, Label: "User", Hint: "Also creates and changes flows."},
		{Value: authz.RoleAdmin, Label: "Admin", Hint: "Also manages credentials, apps and people, publishes flows, and writes code that runs on the builder."},
	}
}
