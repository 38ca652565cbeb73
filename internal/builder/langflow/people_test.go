package langflow

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/builder/flowise"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/problem"
)

// detail is the sentence that Langflow's page would show.
func detailOf(t testing.TB, a builder.Answer) string {
	t.Helper()
	var b errorBody
	if err := json.Unmarshal(a.Body, &b); err != nil {
		t.Fatalf("%s: %v", a.Body, err)
	}
	return b.Detail
}

func (h *house) user(id string) identity.User {
	h.t.Helper()
	u, err := h.people.Get(context.Background(), authz.SystemPrincipal("test"), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return u
}

func TestAdminPage_SuperusersOnly(t *testing.T) {
	h := newHouse(t, "1.6.8")
	admin, ann, bob := h.person("admin", true), h.person("ann", false), h.person("bob", false)
	stranger := authz.Principal{}
	for what, c := range map[string]struct {
		name, param, body string
	}{
		"list":         {"users.list", "", ""},
		"create":       {"users.create", "", `{"username":"eve","password":"` + goodPassword + `"}`},
		"see another":  {"users.get", bob.ID, ""},
		"promote":      {"users.update", ann.ID, `{"is_superuser":true}`},
		"demote":       {"users.update", admin.ID, `{"is_superuser":false}`},
		"rename":       {"users.update", ann.ID, `{"username":"root"}`},
		"deactivate":   {"users.update", bob.ID, `{"is_active":false}`},
		"password":     {"users.update", bob.ID, `{"password":"purple kettles on the sun"}`},
		"own password": {"users.update", ann.ID, `{"password":"purple kettles on the sun"}`},
		"delete":       {"users.delete", bob.ID, ""},
		"another person's password": {
			"users.reset-password",
			bob.ID,
			`{"current_password":"` + goodPassword + `","password":"purple kettles on the sun"}`,
		},
	} {
		if a := h.give(ann, c.name, c.param, "", c.body); a.Status != http.StatusForbidden &&
			a.Status != http.StatusNotFound {
			t.Errorf("%s by a user: %d %s", what, a.Status, a.Body)
		}
		if a := h.give(stranger, c.name, c.param, "", c.body); a.Status != http.StatusUnauthorized {
			t.Errorf("%s by a stranger: %d %s", what, a.Status, a.Body)
		}
	}
	if u := h.user(bob.ID); !u.Active || u.Superuser || u.Username != "bob" {
		t.Errorf("bob is %+v", u)
	}
	if u := h.user(ann.ID); u.Superuser || u.Username != "ann" {
		t.Errorf("ann is %+v", u)
	}
}

func TestAdminPage_ChangesPeople(t *testing.T) {
	h := newHouse(t, "1.6.8")
	admin := h.person("admin", true)
	var made person
	a := h.give(admin, "users.create", "", "", `{"username":"eve","password":"`+goodPassword+`"}`)
	if err := json.Unmarshal(a.Body, &made); err != nil || a.Status != http.StatusCreated || made.IsActive {
		t.Fatalf("made: %d %s", a.Status, a.Body)
	}
	if u := h.user(made.ID); u.Role != authz.RoleUser || !u.Waiting {
		t.Errorf("the new person is %+v", u)
	}
	for what, c := range map[string]struct{ body, want string }{
		"a weak password":   {`{"username":"zed","password":"short"}`, "too short"},
		"no password":       {`{"username":"zed"}`, "username and a password"},
		"a bad name":        {`{"username":"z z","password":"` + goodPassword + `"}`, "A username must have"},
		"nothing of a kind": {`{"username":5}`, "unexpected form"},
	} {
		if a := h.give(admin, "users.create", "", "", c.body); a.Status != http.StatusBadRequest ||
			!strings.Contains(detailOf(t, a), c.want) {
			t.Errorf("%s: %d %s", what, a.Status, a.Body)
		}
	}
	// The page sends the whole person after any change.
	whole := `{"username":"eva","password":"purple kettles on the sun","is_active":true,"is_superuser":true,` +
		`"profile_image":null,"optins":null}`
	if a := h.give(admin, "users.update", made.ID, "", whole); a.Status != http.StatusOK {
		t.Fatalf("changed: %d %s", a.Status, a.Body)
	}
	if u := h.user(made.ID); u.Username != "eva" || !u.Active || u.Waiting || !u.Superuser {
		t.Errorf("after the change: %+v", u)
	}
	if err := h.signIn("eva", "purple kettles on the sun"); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if a := h.give(admin, "users.update", made.ID, "",
		`{"username":"other","password":"short"}`); a.Status != http.StatusBadRequest ||
		h.user(made.ID).Username != "eva" {
		t.Errorf("a change that is half bad: %d %s, %+v", a.Status, a.Body, h.user(made.ID))
	}
	// Everything is valid until the name is refused, and nothing of it is stored.
	half := `{"username":"admin","password":"green kettles on the moon","is_active":false,"is_superuser":false}`
	if a := h.give(admin, "users.update", made.ID, "", half); a.Status != http.StatusBadRequest &&
		a.Status != http.StatusConflict {
		t.Errorf("a name that is taken: %d %s", a.Status, a.Body)
	}
	if u := h.user(made.ID); u.Username != "eva" || !u.Active || !u.Superuser {
		t.Errorf("a refused change left something behind: %+v", u)
	}
	if err := h.signIn("eva", "purple kettles on the sun"); err != nil {
		t.Errorf("the password after a refused change: %v", err)
	}
	if a := h.give(admin, "users.update", admin.ID, "", `{"is_active":false}`); a.Status != http.StatusForbidden ||
		detailOf(t, a) != "You can't deactivate your own user account" {
		t.Errorf("deactivating oneself: %d %s", a.Status, a.Body)
	}
	if a := h.give(admin, "users.delete", made.ID, "", ""); a.Status != http.StatusOK {
		t.Errorf("deleted: %d %s", a.Status, a.Body)
	}
	if a := h.give(admin, "users.get", made.ID, "", ""); a.Status != http.StatusNotFound {
		t.Errorf("the deleted person: %d %s", a.Status, a.Body)
	}
}

func TestPeople_FreshProof(t *testing.T) {
	h := newHouse(t, "1.13.0")
	admin, ann := h.person("admin", true), h.person("ann", false)
	h.now = h.now.Add(time.Hour)
	for what, c := range map[string]struct{ name, param, body, at string }{
		"a new person": {"users.create", "", `{"username":"eve","password":"` + goodPassword + `"}`, "/confirm"},
		"a superuser":  {"users.update", ann.ID, `{"is_superuser":true}`, "/confirm"},
		"a password":   {"users.update", ann.ID, `{"password":"purple kettles on the sun"}`, "/confirm"},
		"a deletion":   {"users.delete", ann.ID, "", "/confirm"},
		"a key":        {"keys.create", "", `{"name":"k"}`, "/account/keys"},
	} {
		a := h.give(admin, c.name, c.param, "", c.body)
		if a.Status != http.StatusForbidden || !strings.Contains(detailOf(t, a), "https://sluice.example"+c.at) ||
			a.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %d %v %s", what, a.Status, a.Header, a.Body)
		}
	}
	if u := h.user(ann.ID); u.Superuser {
		t.Errorf("ann is %+v", u)
	}
}

func TestProfilePage(t *testing.T) {
	h := newHouse(t, "1.13.0")
	admin, ann := h.person("admin", true), h.person("ann", false)
	preferences := identity.UserUpdate{Preferences: problem.Some(json.RawMessage(`{"other":{"kept":true}}`))}
	if err := h.people.Update(context.Background(), ann, ann.ID, preferences); err != nil {
		t.Fatal(err)
	}
	if a := h.give(ann, "users.update", ann.ID, "",
		`{"profile_image":"Space/046-rocket.svg"}`); a.Status != http.StatusOK ||
		!strings.Contains(string(a.Body), `"profile_image":"Space/046-rocket.svg"`) {
		t.Fatalf("a picture: %d %s", a.Status, a.Body)
	}
	if a := h.give(ann, "users.update", ann.ID, "",
		`{"optins":{"dialog_dismissed":true}}`); a.Status != http.StatusOK ||
		!strings.Contains(string(a.Body), `"optins":{"dialog_dismissed":true}`) {
		t.Fatalf("optins: %d %s", a.Status, a.Body)
	}
	var kept map[string]any
	if err := json.Unmarshal([]byte(h.user(ann.ID).Preferences), &kept); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"other": map[string]any{"kept": true},
		"langflow": map[string]any{
			"profile_image": "Space/046-rocket.svg",
			"optins":        map[string]any{"dialog_dismissed": true},
		},
	}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{
		"../../secret", "/etc/passwd", "https://evil.example/x.svg", "Space/../x.svg", strings.Repeat("x", 200),
		"a\u2028b",
	} {
		body, _ := json.Marshal(map[string]string{"profile_image": bad})
		if a := h.give(ann, "users.update", ann.ID, "", string(body)); a.Status != http.StatusBadRequest {
			t.Errorf("a picture %q: %d %s", bad, a.Status, a.Body)
		}
	}
	if a := h.give(ann, "users.update", ann.ID, "", `{"optins":{"x":"<script>"}}`); a.Status != http.StatusBadRequest {
		t.Errorf("optins other than true and false: %d", a.Status)
	}
	if a := h.give(admin, "users.update", ann.ID, "",
		`{"profile_image":"Space/001.svg"}`); a.Status != http.StatusForbidden {
		t.Errorf("another person's picture: %d %s", a.Status, a.Body)
	}
	const next = "purple kettles on the sun"
	for what, c := range map[string]struct {
		body string
		want int
	}{
		"without the current password": {`{"password":"` + next + `"}`, 403},
		"a wrong current password":     {`{"current_password":"wrong","password":"` + next + `"}`, 400},
		"a weak one":                   {`{"current_password":"` + goodPassword + `","password":"short"}`, 400},
	} {
		if a := h.give(ann, "users.reset-password", ann.ID, "", c.body); a.Status != c.want {
			t.Errorf("%s: %d %s", what, a.Status, a.Body)
		}
	}
	if a := h.give(ann, "users.reset-password", ann.ID, "",
		`{"current_password":"`+goodPassword+`","password":"`+next+`"}`); a.Status != http.StatusOK {
		t.Errorf("a password: %d %s", a.Status, a.Body)
	}
	if _, err := h.logins.Password(context.Background(), login.Attempt{Identifier: "ann", Password: next}); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

func TestPeople_SignInAndOut(t *testing.T) {
	h := newHouse(t, "1.13.0")
	ann := h.person("ann", false)
	never := func() ([]byte, error) {
		t.Error("the passwords in requests are checked")
		return nil, errors.New("never")
	}
	c := builder.AnswerContext{
		SignInURL: "https://sluice.example/login",
		Body:      never,
		People:    h.people,
		Version:   "1.13.0",
	}
	if _, err := Kind().Answer(context.Background(), "login", c); !problem.Is(err, problem.Unauthenticated) ||
		!strings.Contains(problem.Of(err).Next, c.SignInURL) {
		t.Errorf("a stranger's password: %v", err)
	}
	if a := h.give(authz.Principal{}, "refresh", "", "", ""); a.Status != http.StatusUnauthorized {
		t.Errorf("a stranger's refresh: %d", a.Status)
	}
	for _, name := range []string{"login", "refresh"} {
		if a := h.give(ann, name, "", "", ""); string(
			a.Body,
		) != `{"access_token":"sluice","refresh_token":"sluice","token_type":"bearer"}` {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
	if h.give(authz.Principal{}, "logout", "", "", ""); h.signedOut != 0 {
		t.Error("no one was signed out")
	}
	if h.give(ann, "logout", "", "", ""); h.signedOut != 1 {
		t.Error("the session was not revoked")
	}
	if a := h.give(ann, "store-key", "", "", `{"api_key":"x"}`); a.Status != http.StatusForbidden {
		t.Errorf("a key of the store: %d %s", a.Status, a.Body)
	}
}

func TestKeysPage(t *testing.T) {
	h := newHouse(t, "1.13.0")
	ann, bob := h.person("ann", false), h.person("bob", false)
	var made shownKey
	created := h.give(ann, "keys.create", "", "", `{"name":"  ","expires_at":"2026-12-24T00:00:00Z"}`)
	if err := json.Unmarshal(created.Body, &made); err != nil {
		t.Fatal(err)
	}
	if made.Name != "Created in Langflow" || string(made.ExpiresAt) != `"2026-12-24T00:00:00Z"` ||
		made.UserID != ann.ID {
		t.Errorf("made %+v", made)
	}
	list := string(h.give(ann, "keys.list", "", "", "").Body)
	if strings.Contains(list, made.APIKey) || !strings.Contains(list, made.APIKey[:12]+"***") {
		t.Errorf("the list shows %s", list)
	}
	if got := string(h.give(bob, "keys.list", "", "", "").Body); strings.Contains(got, made.ID) {
		t.Errorf("another sees %s", got)
	}
	if a := h.give(bob, "keys.delete", made.ID, "", ""); a.Status != http.StatusBadRequest {
		t.Errorf("another person's key: %d %s", a.Status, a.Body)
	}
	for _, body := range []string{
		`{"name":"k","expires_at":"soon"}`, `{"name":"k","expires_at":"2036-01-01"}`,
		`{"name":"k","expires_at":"2020-01-01"}`, `{"name":7}`, "[]",
	} {
		if a := h.give(ann, "keys.create", "", "", body); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", body, a.Status, a.Body)
		}
	}
}

func TestPeople_Permissions(t *testing.T) {
	viewer := map[string]bool{"flows.get f1": true, "build f1": true, "projects.get p1": true, "flows.get p1": true}
	ask := func(body string) (builder.Answer, error) {
		return Kind().Answer(context.Background(), "permissions", builder.AnswerContext{
			Body: func() ([]byte, error) { return []byte(body), nil },
			May:  func(row, id string) bool { return viewer[row+" "+id] },
		})
	}
	for _, c := range [][2]string{
		{
			`{"resource_type":"flow","resource_ids":["f1","f2"]}`,
			`{"resource_type":"flow","permissions":{"f1":["read","execute"],"f2":[]}}`,
		},
		{
			`{"resource_type":"flow","resource_ids":["f1"],"actions":["write","read"]}`,
			`{"resource_type":"flow","permissions":{"f1":["read"]}}`,
		},
		{
			`{"resource_type":"project","resource_ids":["p1"]}`,
			`{"resource_type":"project","permissions":{"p1":["read"]}}`,
		},
		{
			`{"resource_type":"deployment","resource_ids":["f1"]}`,
			`{"resource_type":"deployment","permissions":{"f1":[]}}`,
		},
		{
			`{"resource_type":"flow","resource_ids":[]}`,
			`{"resource_type":"flow","permissions":{}}`,
		},
		{
			`{"resource_type":"flow","resource_ids":["f1"],"actions":["own","execute"]}`,
			`{"resource_type":"flow","permissions":{"f1":["execute"]}}`,
		},
	} {
		body, want := c[0], c[1]
		if a, err := ask(body); err != nil || string(a.Body) != want {
			t.Errorf("%s: %s, %v", body, a.Body, err)
		}
	}
	many, _ := json.Marshal(rightsQuestion{Type: "flow", IDs: make([]string, mostAsked+1)})
	if _, err := ask(string(many)); !problem.Is(err, problem.Invalid) {
		t.Errorf("too many: %v", err)
	}
}

func TestPeople_ViewerPages(t *testing.T) {
	h := newHouse(t, "1.6.8")
	ann := h.person("ann", false)
	if a := h.give(ann, "denied.save", "", "", `{"name":"x","locked":true}`); !a.Read {
		t.Errorf("a locked flow that a page saves automatically: %+v", a)
	}
	if a := h.give(ann, "denied.save", "", "", `{"name":"x","locked":false}`); a.Read ||
		a.Status != http.StatusForbidden ||
		!strings.Contains(detailOf(t, a), "Nothing was saved") {
		t.Errorf("a viewer's change: %d %s", a.Status, a.Body)
	}
	for _, c := range [][2]string{
		{
			`{"code":"x","template":{"a":{"value":1}},"field":"a","field_value":2}`,
			`{"outputs":false,"template":{"a":{"value":1}}}`,
		},
		{
			`{"template":{"a":1,"_frontend_node_flow_id":{"value":"f"},"is_refresh":false},"field":"a"}`,
			`{"outputs":false,"template":{"a":1}}`,
		},
		{
			`{"template":{"model":1,"_frontend_node_folder_id":{"value":"f"},"is_refresh":true},"field":"model"}`,
			`{"template":{"model":1}}`,
		},
	} {
		body, want := c[0], c[1]
		if a := h.give(ann, "denied.component", "", "", body); a.Status != http.StatusOK || string(a.Body) != want {
			t.Errorf("%s: %d %s", body, a.Status, a.Body)
		}
	}
	if a := h.give(ann, "denied.quiet", "", "", ""); string(a.Body) != "{}" {
		t.Errorf("quietly: %s", a.Body)
	}
	if a := h.give(ann, "denied.list", "", "", ""); string(a.Body) != "[]" {
		t.Errorf("a list: %s", a.Body)
	}
}

func TestPeople_PageToken(t *testing.T) {
	p := mustProfile(t, "langflow")
	for header, want := range map[string]bool{
		"Bearer sluice":      true,
		"bearer sluice":      false,
		"Bearer sluice ":     false,
		"Bearer sluice_0abc": false,
		"":                   false,
	} {
		if Kind().IsPageToken(header) != want || flowise.Kind().IsPageToken(header) {
			t.Errorf("IsPageToken(%q)", header)
		}
	}
	for _, c := range Kind().PageCookies() {
		if !p.OwnsCookie(c.Name) || c.HttpOnly || c.Value != pageToken {
			t.Errorf("cookie %+v", c)
		}
	}
}
