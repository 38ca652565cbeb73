package langflow

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// Langflow's admin page and its profile page show and change Sluice's people.

// person is a person in the form of Langflow's UserRead.
type person struct {
	ID           string          `json:"id"`
	Username     string          `json:"username"`
	ProfileImage *string         `json:"profile_image"`
	StoreAPIKey  *string         `json:"store_api_key"`
	IsActive     bool            `json:"is_active"`
	IsSuperuser  bool            `json:"is_superuser"`
	CreateAt     string          `json:"create_at"`
	UpdatedAt    string          `json:"updated_at"`
	LastLoginAt  *string         `json:"last_login_at"`
	Optins       json.RawMessage `json:"optins"`
}

// preferences are what Langflow's pages remember about a person. In identity.User.Preferences they
// are stored under the builder's kind.
type preferences struct {
	ProfileImage *string         `json:"profile_image,omitempty"`
	Optins       json.RawMessage `json:"optins,omitempty"`
}

// newOptins are the optins of a person who has not seen the dialogs yet.
const newOptins = `{"github_starred":false,"dialog_dismissed":false,"discord_clicked":false}`

func (c asked) person(u identity.User) person {
	kept := preferencesOf(u)
	out := person{
		ID: u.ID, Username: u.Username, ProfileImage: kept.ProfileImage, IsActive: u.Active, IsSuperuser: u.Superuser,
		CreateAt: c.timeText(
			u.CreatedAt,
		), UpdatedAt: c.timeText(u.UpdatedAt), LastLoginAt: c.timeOrNull(u.LastSignInAt), Optins: kept.Optins,
	}
	if out.Optins == nil {
		out.Optins = json.RawMessage(newOptins)
	}
	return out
}

// preferencesOf reads the preferences that Langflow's pages stored. Unreadable ones were not stored
// by these pages.
func preferencesOf(u identity.User) preferences {
	var all map[string]preferences
	if json.Unmarshal([]byte(u.Preferences), &all) != nil {
		return preferences{}
	}
	return all[name]
}

// self is the person who sent the request.
func (c asked) self(ctx context.Context) (person, error) {
	if err := c.signedIn(); err != nil {
		return person{}, err
	}
	u, err := c.People.Get(ctx, c.Principal, c.Principal.ID)
	return c.person(u), err
}

func answerWhoami(ctx context.Context, c asked) (builder.Answer, error) {
	user, err := c.self(ctx)
	if err != nil {
		return builder.Answer{}, err
	}
	return builder.JSON(http.StatusOK, user), nil
}

// peoplePage is a part of the list of people.
type peoplePage struct {
	TotalCount int      `json:"total_count"`
	Users      []person `json:"users"`
	// DeletionRequests is new in 1.13: the people who asked to be erased. Here it is always empty.
	DeletionRequests *struct{} `json:"deletion_requests,omitempty"`
}

func answerUsers(ctx context.Context, c asked) (builder.Answer, error) {
	if err := c.signedIn(); err != nil {
		return builder.Answer{}, err
	}
	skip, limit := c.number("skip", 0), c.number("limit", 10)
	if limit == 0 {
		limit = 10
	}
	rows, total, err := c.People.List(
		ctx,
		c.Principal,
		identity.Filter{Query: c.Query.Get("search"), Offset: skip, Limit: min(limit, 200)},
	)
	if err != nil {
		return builder.Answer{}, err
	}
	out := peoplePage{TotalCount: total, Users: make([]person, len(rows))}
	for i, u := range rows {
		out.Users[i] = c.person(u)
	}
	if !c.old() {
		out.DeletionRequests = &struct{}{}
	}
	return builder.JSON(http.StatusOK, out), nil
}

// number is a query parameter that is a count. An invalid or missing number means the default.
func (c asked) number(name string, otherwise int) int {
	n, err := strconv.Atoi(c.Query.Get(name))
	if err != nil || n < 0 || n > 1<<30 {
		return otherwise
	}
	return n
}

// answerCreateUser adds a person who may build flows in the workspace of the person who adds them,
// as Langflow's users may. LANGFLOW_NEW_USER_IS_ACTIVE decides whether they can sign in at once.
func answerCreateUser(ctx context.Context, c asked) (builder.Answer, error) {
	if err := c.signedIn(); err != nil {
		return builder.Answer{}, err
	}
	wish, err := decode[struct{ Username, Password string }](c)
	if err != nil {
		return builder.Answer{}, err
	}
	if wish.Password == "" {
		return builder.Answer{}, problem.New(problem.Invalid, "A new user needs a username and a password.").
			WithField("password")
	}
	u, err := c.People.Create(ctx, c.Principal, identity.NewUser{
		Username:  wish.Username,
		Password:  wish.Password,
		Role:      authz.RoleUser,
		Workspace: c.Principal.Workspace,
		Active:    c.NewUserActive,
	})
	switch {
	case problem.Is(err, problem.Conflict):
		return builder.Answer{}, problem.New(problem.Invalid, "This username is unavailable.").WithField("username")
	case err != nil:
		return builder.Answer{}, c.onPage(err)
	}
	return builder.JSON(http.StatusCreated, c.person(u)), nil
}

func answerGetUser(ctx context.Context, c asked) (builder.Answer, error) {
	if err := c.signedIn(); err != nil {
		return builder.Answer{}, err
	}
	u, err := c.People.Get(ctx, c.Principal, c.Param("user"))
	if err != nil {
		return builder.Answer{}, noSuchUser(err)
	}
	return builder.JSON(http.StatusOK, c.person(u)), nil
}

func noSuchUser(err error) error {
	if problem.Is(err, problem.NotFound) {
		return problem.New(problem.NotFound, "User not found")
	}
	return err
}

// userChange is what Langflow's pages send to change a person. Missing or null fields stay
// unchanged. The admin page always sends all of a person's fields.
type userChange struct {
	Username     *string         `json:"username"`
	Password     *string         `json:"password"`
	IsActive     *bool           `json:"is_active"`
	IsSuperuser  *bool           `json:"is_superuser"`
	ProfileImage *string         `json:"profile_image"`
	Optins       json.RawMessage `json:"optins"`
}

func answerUpdateUser(ctx context.Context, c asked) (builder.Answer, error) {
	if err := c.signedIn(); err != nil {
		return builder.Answer{}, err
	}
	change, err := decode[userChange](c)
	if err != nil {
		return builder.Answer{}, err
	}
	u, err := c.People.Get(ctx, c.Principal, c.Param("user"))
	if err != nil {
		return builder.Answer{}, noSuchUser(err)
	}
	if err := c.mayChange(u, change); err != nil {
		return builder.Answer{}, err
	}
	if err := c.changePerson(ctx, u, change); err != nil {
		return builder.Answer{}, c.onPage(err)
	}
	if u, err = c.People.Get(ctx, c.Principal, u.ID); err != nil {
		return builder.Answer{}, err
	}
	return builder.JSON(http.StatusOK, c.person(u)), nil
}

// mayChange makes the checks that later steps do not make, before anything is changed.
func (c asked) mayChange(u identity.User, change userChange) error {
	self := u.ID == c.Principal.ID
	switch {
	case self && change.IsActive != nil && !*change.IsActive:
		return problem.New(problem.Denied, "You can't deactivate your own user account").WithRule("own account")
	case !self && (change.ProfileImage != nil && !same(change.ProfileImage, preferencesOf(u).ProfileImage)):
		return problem.New(problem.Denied, "People choose their own picture.").
			WithRule("own account").
			WithField("profile_image")
	case change.ProfileImage != nil && !pictureForm.MatchString(*change.ProfileImage):
		return problem.New(problem.Invalid, "This is not one of Langflow's pictures.").WithField("profile_image")
	case change.Password != nil && *change.Password != "":
		return c.People.CheckPassword(*change.Password, u.Username, u.Email, u.Name)
	}
	return nil
}

// pictureForm is the name of one of Langflow's own pictures, such as "Space/046-rocket.svg".
var pictureForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 _.-]{0,80}(/[A-Za-z0-9][A-Za-z0-9 _.-]{0,80})?$`)

func same(a, b *string) bool { return a != nil && b != nil && *a == *b }

// changePerson applies the fields that differ, in one transaction.
func (c asked) changePerson(ctx context.Context, u identity.User, change userChange) error {
	var update identity.UserUpdate
	if change.Username != nil && *change.Username != u.Username {
		update.Username = problem.Some(*change.Username)
	}
	if change.IsSuperuser != nil && *change.IsSuperuser != u.Superuser {
		update.Superuser = problem.Some(*change.IsSuperuser)
	}
	if change.IsActive != nil && *change.IsActive != u.Active {
		update.Active = problem.Some(*change.IsActive)
	}
	kept := preferencesOf(u)
	next := kept
	if change.ProfileImage != nil {
		next.ProfileImage = change.ProfileImage
	}
	if len(change.Optins) > 0 && string(change.Optins) != "null" {
		next.Optins = change.Optins
	}
	if u.ID == c.Principal.ID &&
		(!same(next.ProfileImage, kept.ProfileImage) || string(next.Optins) != string(kept.Optins)) {
		text, err := preferencesWith(u, next)
		if err != nil {
			return err
		}
		update.Preferences = problem.Some(text)
	}
	var also []authz.Step
	if change.Password != nil && *change.Password != "" {
		step, err := c.Logins.PlanPassword(ctx, c.Principal, u.ID, *change.Password)
		if err != nil {
			return err
		}
		also = append(also, step)
	}
	return c.People.Update(ctx, c.Principal, u.ID, update, also...)
}

// preferencesWith returns all of a person's preferences with those of Langflow's pages replaced.
// Those of other builders' pages are unchanged.
func preferencesWith(u identity.User, next preferences) (json.RawMessage, error) {
	var optins map[string]bool
	if next.Optins != nil && json.Unmarshal(next.Optins, &optins) != nil {
		return nil, problem.New(problem.Invalid, "Send an object whose values are true or false.").
			WithField("optins")
	}
	all := map[string]json.RawMessage{}
	_ = json.Unmarshal([]byte(u.Preferences), &all) // a person may have no preferences yet
	own, err := json.Marshal(next)
	if err != nil {
		return nil, err
	}
	all[name] = own
	return json.Marshal(all)
}

// answerDeleteUser removes a person for good. Their objects pass to the person who removes them,
// because Langflow's page cannot ask for an heir and nothing must be lost.
func answerDeleteUser(ctx context.Context, c asked) (builder.Answer, error) {
	if err := c.signedIn(); err != nil {
		return builder.Answer{}, err
	}
	id := c.Param("user")
	if id == c.Principal.ID {
		return builder.Answer{}, problem.New(problem.Invalid, "You can't delete your own user account")
	}
	if err := c.People.Remove(ctx, c.Principal, id, c.Principal.ID); err != nil {
		return builder.Answer{}, c.onPage(noSuchUser(err))
	}
	return builder.JSON(http.StatusOK, detailBody{"User deleted"}), nil
}

// answerResetPassword changes the person's own password. It refuses old versions of the page, which
// do not ask for the current password: an unattended screen would be enough.
func answerResetPassword(ctx context.Context, c asked) (builder.Answer, error) {
	if err := c.signedIn(); err != nil {
		return builder.Answer{}, err
	}
	if c.Param("user") != c.Principal.ID {
		return builder.Answer{}, problem.New(problem.NotFound, "You can't change another user's password")
	}
	wish, err := decode[struct {
		Current  string `json:"current_password"`
		Password string `json:"password"`
	}](c)
	if err != nil {
		return builder.Answer{}, err
	}
	if wish.Current == "" {
		return builder.Answer{}, problem.Newf(problem.Denied, "Change your password at %s, which asks for your "+
			"current "+
			"password.", c.AccountURL).
			WithRule("own password")
	}
	if err := c.Logins.ChangePassword(ctx, c.Principal, wish.Current, wish.Password); err != nil {
		return builder.Answer{}, c.onPage(err)
	}
	return answerWhoami(ctx, c)
}
