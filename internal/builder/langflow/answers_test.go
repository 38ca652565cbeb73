package langflow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/dbtest"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// house answers real people in place of Langflow.
type house struct {
	t         testing.TB
	now       time.Time
	people    *identity.People
	keys      *authn.Keys
	logins    *login.Logins
	version   string
	signedOut int
}

const goodPassword = "orange teapots on the moon"

func newHouse(t testing.TB, version string) *house {
	t.Helper()
	h := &house{t: t, now: time.Date(2026, 11, 22, 10, 20, 30, 123456789, time.UTC), version: version}
	d, ctx, log, key := dbtest.SQLite(
		t,
	), context.Background(), slog.New(
		slog.DiscardHandler,
	), []byte(
		"0123456789abcdef0123456789abcdef",
	)
	now := func() time.Time { return h.now }
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	hasher := identity.NewHasher(bcrypt.MinCost, nil)
	gate, err := authz.NewGate(authz.Config{DB: d, StepUp: 15 * time.Minute, Now: now, Log: log})
	must(err)
	h.people, err = identity.New(ctx, identity.Config{
		DB: d, Gate: gate, Hasher: hasher, Now: now, Log: log,
		Hooks: identity.Hooks{
			Disabled:         authn.EndDisabled,
			Removed:          flow.HandOver,
			WorkspaceDeleted: flow.ForgetProjects,
		},
	})
	must(err)
	sessions, err := authn.New(
		ctx,
		authn.Config{
			DB:       d,
			Gate:     gate,
			People:   h.people,
			TokenKey: key,
			MaxAge:   time.Hour,
			MaxIdle:  time.Hour,
			Now:      now,
			Log:      log,
		},
	)
	must(err)
	h.keys, err = authn.NewKeys(ctx, authn.KeyConfig{
		DB:       d,
		Gate:     gate,
		People:   h.people,
		HashKeys: func() []authn.Key { return []authn.Key{{ID: "k", Value: key}} },
		MaxAge:   365 * 24 * time.Hour,
		Now:      now,
		Log:      log,
	})
	must(err)
	ring, err := secret.Open(ctx, secret.Config{DB: d, Folder: t.TempDir()})
	must(err)
	h.logins, err = login.New(
		ctx,
		login.Config{
			Keyring:  ring,
			DB:       d,
			Gate:     gate,
			People:   h.people,
			Hasher:   hasher,
			Sessions: sessions,
			TokenKey: key,
			Now:      now,
			Log:      log,
		},
	)
	must(err)
	t.Cleanup(func() { gate.Close(ctx); hasher.Close() })
	return h
}

// person creates a person and returns them in a session that has just been confirmed.
func (h *house) person(name string, superuser bool) authz.Principal {
	h.t.Helper()
	u, err := h.people.Create(
		context.Background(),
		authz.SystemPrincipal("test"),
		identity.NewUser{
			Username:  name,
			Password:  goodPassword,
			Role:      authz.RoleUser,
			Superuser: superuser,
			Active:    true,
		},
	)
	if err != nil {
		h.t.Fatal(err)
	}
	if superuser { // the recorded person had signed in before
		if err := h.signIn(name, goodPassword); err != nil {
			h.t.Fatal(err)
		}
	}
	p, _ := h.people.Principal(u.ID)
	p.Workspace, p.SessionID, p.ProvenAt = identity.DefaultWorkspace, "s-"+name, h.now
	return p
}

// signIn signs a person in with a password.
func (h *house) signIn(name, password string) error {
	_, err := h.logins.Password(context.Background(), login.Attempt{Identifier: name, Password: password})
	return err
}

// give returns an answer. It renders a refusal as the page would get it.
func (h *house) give(who authz.Principal, name, param, query, body string) builder.Answer {
	h.t.Helper()
	p := mustProfile(h.t, "langflow")
	q, err := url.ParseQuery(query)
	if err != nil {
		h.t.Fatal(err)
	}
	a, err := Kind().Answer(context.Background(), name, builder.AnswerContext{
		Principal:  who,
		SignInURL:  "https://sluice.example/login",
		AccountURL: "https://sluice.example/account",
		ConfirmURL: "https://sluice.example/confirm",
		KeysURL:    "https://sluice.example/account/keys",
		Query:      q,
		App:        "app-1",
		Param:      func(string) string { return param },
		Body:       func() ([]byte, error) { return []byte(body), nil },
		SignOut:    func(context.Context) error { h.signedOut++; return nil },
		May:        func(string, string) bool { return true },
		Keys:       h.keys,
		People:     h.people,
		Logins:     h.logins,
		Version:    h.version,
		Now:        h.now,
	})
	if err != nil {
		return builder.Answer{Answer: p.Error(problem.Of(err), "r1")}
	}
	return a
}

// shapeOf lists the members of a JSON value in their order with their types, one per line.
func shapeOf(t testing.TB, text []byte) string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	var out strings.Builder
	var walk func(path string)
	walk = func(path string) {
		token, err := d.Token()
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		switch v := token.(type) {
		case json.Delim:
			for d.More() {
				member := path + "[]"
				if v == '{' {
					name, err := d.Token()
					if err != nil {
						t.Fatal(err)
					}
					member = path + "." + anyID.ReplaceAllString(fmt.Sprint(name), "ID")
				}
				walk(member)
			}
			if _, err := d.Token(); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%s %s\n", path, string(v))
		case string:
			fmt.Fprintf(&out, "%s %s\n", path, kindOf(v))
		default:
			fmt.Fprintf(&out, "%s %T\n", path, v)
		}
	}
	walk("")
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("something follows in %s", text)
	}
	return out.String()
}

var (
	anyID    = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	anyTime  = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?(.*)$`)
	constant = map[string]bool{
		"auto_login":     true,
		"session nobody": true,
		"logout":         true,
		"keys.delete":    true,
		"users.delete":   true,
		"permissions":    true,
	}
)

func kindOf(s string) string {
	if anyID.MatchString(s) {
		return "id"
	}
	if m := anyTime.FindStringSubmatch(s); m != nil {
		return "time" + m[2]
	}
	return "text"
}

// sameShape compares shapes. A value may be null in one recording and not in another.
func sameShape(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		path, _, _ := strings.Cut(g[i], " ")
		if strings.HasSuffix(w[i], " <nil>") && strings.HasPrefix(w[i], path+" ") {
			g[i] = w[i]
		}
	}
	return cmp.Diff(w, g)
}

// steps creates the state in which Langflow gave the recorded answer, and returns Sluice's answer.
func (h *house) recorded(admin, ann authz.Principal, name string) builder.Answer {
	const nobody = "00000000-0000-4000-8000-000000000000"
	key := func() string {
		var made shownKey
		if err := json.Unmarshal(h.give(admin, "keys.create", "", "", `{"name":"k1"}`).Body, &made); err != nil {
			h.t.Fatal(err)
		}
		return made.ID
	}
	switch name {
	case "session nobody":
		return h.give(authz.Principal{}, "session", "", "", "")
	case "users.list":
		return h.give(admin, name, "", "skip=0&limit=1", "")
	case "users.create":
		return h.give(admin, name, "", "", `{"username":"bert","password":"`+goodPassword+`"}`)
	case "users.create taken":
		return h.give(admin, "users.create", "", "", `{"username":"ann","password":"`+goodPassword+`"}`)
	case "users.update":
		return h.give(admin, name, ann.ID, "", `{"is_active":true}`)
	case "users.update nobody":
		return h.give(admin, "users.update", nobody, "", `{"is_active":true}`)
	case "users.get", "users.delete":
		return h.give(admin, name, ann.ID, "", "")
	case "users.delete self":
		return h.give(admin, "users.delete", admin.ID, "", "")
	case "keys.create":
		return h.give(admin, name, "", "", `{"name":"k1"}`)
	case "keys.list":
		key()
		return h.give(admin, name, "", "", "")
	case "keys.delete":
		return h.give(admin, name, key(), "", "")
	case "keys.delete none":
		return h.give(admin, "keys.delete", nobody, "", "")
	case "permissions":
		return h.give(
			admin,
			name,
			"",
			"",
			`{"resource_type":"flow","resource_ids":["00000000-0000-4000-8000-000000000001"]}`,
		)
	}
	return h.give(admin, name, "", "", "")
}

func TestAnswers_Shapes(t *testing.T) {
	for release, version := range map[string]string{"new": "1.13.0", "old": "1.6.8"} {
		data, err := os.ReadFile("testdata/answers_" + release + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var r struct {
				Answer string
				Status int
				Body   string
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			t.Run(release+"/"+r.Answer, func(t *testing.T) {
				h := newHouse(t, version)
				got := h.recorded(h.person("admin", true), h.person("ann", false), r.Answer)
				if got.Status != r.Status {
					t.Fatalf("%d %s, Langflow answers %d", got.Status, got.Body, r.Status)
				}
				if constant[r.Answer] && string(got.Body) != r.Body {
					t.Errorf("%s, Langflow answers %s", got.Body, r.Body)
				}
				var refusal errorBody
				if got.Status >= 400 && json.Unmarshal(got.Body, &refusal) == nil && refusal.Detail != "" {
					// Sluice's own members follow the sentence.
					got.Body, _ = json.Marshal(map[string]string{"detail": refusal.Detail})
					if !constant[r.Answer] && string(got.Body) != r.Body {
						t.Errorf("%s, Langflow answers %s", got.Body, r.Body)
					}
				}
				want := shapeOf(t, []byte(r.Body))
				if release == "old" {
					// It names the zone only after a change.
					want = strings.ReplaceAll(want, " timeZ", " time")
				}
				if diff := sameShape(shapeOf(t, got.Body), want); diff != "" {
					t.Errorf("%s\n%s", got.Body, diff)
				}
			})
		}
	}
}

func TestAnswers_EveryRow(t *testing.T) {
	p := mustProfile(t, "langflow")
	used := map[string]bool{}
	for _, e := range p.Endpoints() {
		for _, name := range []string{e.Own.Answer, e.Own.Stranger, e.Own.Denied} {
			if used[name] = true; name != "" && answers()[name] == nil {
				t.Errorf("%s: there is no answer %q", e.Name, name)
			}
		}
	}
	for name := range answers() {
		if !used[name] {
			t.Errorf("no row uses the answer %q", name)
		}
	}
	for kind, rows := range actionRows {
		for action, name := range rows {
			if p.Endpoint(name) == nil {
				t.Errorf("%s of a %s is judged by the row %q, which does not exist", action, kind, name)
			}
		}
	}
}
