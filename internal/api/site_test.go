package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"sluice/internal/api"
	"sluice/internal/app"
	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/dbtest"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/login/sso"
	"sluice/internal/problem"
	"sluice/internal/secret"
	"sluice/internal/sluicetest"
)

// site is a running Sluice with a superuser (root), a viewer of the default workspace (val), and
// one object of every kind.
type site struct {
	*sluicetest.Sluice
	t    *testing.T
	spec api.Described
	// ids of the objects, by the name of the path parameter.
	ids map[string]string
}

// newSite takes further NAME=VALUE lines of configuration.
func newSite(t *testing.T, environ ...string) *site {
	t.Helper()
	// Nothing listens on port 9 of the loopback address: mails wait in the outbox.
	environ = append(environ, "SMTP_HOST=127.0.0.1", "SMTP_PORT=9", "SENDER_EMAIL=sluice@example.com")
	s := &site{Sluice: sluicetest.Start(t, environ...), t: t}
	var err error
	if s.spec, err = api.Describe(); err != nil {
		t.Fatal(err)
	}
	s.Add("root", "admin", true)
	s.Add("val", "viewer", false)
	return s
}

// onBoth runs a test on SQLite and on PostgreSQL: what one stores, the other may refuse.
func onBoth(t *testing.T, test func(t *testing.T, environ ...string)) {
	t.Run("sqlite", func(t *testing.T) { test(t) })
	t.Run("postgres", func(t *testing.T) {
		u, err := url.Parse(dbtest.Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		test(
			t,
			"DATABASE_TYPE=postgres",
			"DATABASE_HOST="+u.Hostname(),
			"DATABASE_PORT="+u.Port(),
			"DATABASE_NAME="+strings.TrimPrefix(u.Path, "/"),
			"DATABASE_USER="+u.User.Username(),
		)
	})
}

// clientSecret is what no answer may hold.
const clientSecret = "a secret of the provider"

// furnished adds one object of every kind that a path can name. None belongs to val.
func furnished(t *testing.T, environ ...string) *site {
	t.Helper()
	s := newSite(t, environ...)
	ctx, operator := context.Background(), sluicetest.Operator()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	other := s.Add("other", "user", false)
	w, err := s.People.CreateWorkspace(ctx, operator, "Research")
	must(err)
	must(s.People.SetRole(ctx, operator, other.ID, w.ID, "user"))
	r, err := s.People.CreateRole(ctx, operator, identity.Role{Name: "Author", Permissions: []string{"chatflows:view"}})
	must(err)
	a, err := s.Apps.Manager.Add(ctx, operator, app.Spec{URL: app.DemoURL})
	must(err)
	must(
		s.Apps.Flows.Claim(
			ctx,
			flow.Object{App: a.ID, ID: "1", Kind: flow.Chatflow, Workspace: identity.DefaultWorkspace},
		),
	)
	must(s.Apps.Publications.Publish(ctx, operator, a.ID, "1"))
	i, err := s.Invitations.Invite(ctx, operator, w.ID, "guest@example.com", "viewer")
	must(err)
	p, err := s.Providers.SaveProvider(
		ctx,
		operator,
		sso.Provider{
			Slug:         "acme",
			Kind:         sso.KindOIDC,
			Name:         "Acme",
			Issuer:       "http://127.0.0.1:9",
			ClientID:     "sluice",
			ClientSecret: clientSecret,
		},
	)
	must(err)
	k, _, err := s.Keys.Create(ctx, operator, authn.NewAPIKey{Owner: other.ID, Workspace: w.ID, Name: "nightly run"})
	must(err)
	c, err := s.Vault.Create(
		ctx,
		operator,
		w.ID,
		secret.NewCredential{
			Name:   "Team key",
			Kind:   "openAIApi",
			Values: map[string]string{"openAIApiKey": clientSecret},
		},
	)
	must(err)
	root := s.as("root")
	sessions := root.list("listMySessions")
	mails := root.list("listMails")
	s.ids = map[string]string{
		"user":       other.ID,
		"workspace":  w.ID,
		"role":       r.ID,
		"app":        a.ID,
		"flow":       "1",
		"invitation": i.ID,
		"kind":       "test",
		"passkey":    "KMnV2Tq3Yx0oVw",
		"provider":   p.ID,
		"key":        k.ID,
		"credential": c.ID,
		"session":    sessions[0].(map[string]any)["id"].(string), "mail": mails[0].(map[string]any)["id"].(string),
	}
	return s
}

// path fills in the ids of the furnished site.
func (s *site) path(path string) string {
	for name, id := range s.ids {
		path = strings.ReplaceAll(path, "{"+name+"}", id)
	}
	return api.Prefix + path
}

// caller is a person who calls the API.
type caller struct {
	s *site
	*sluicetest.Client
}

func (s *site) as(username string) caller { return caller{s, s.SignedIn(username)} }

func (s *site) stranger() caller { return caller{s, s.Browser()} }

// result is an answer.
type result struct {
	sluicetest.Answer
	t *testing.T
}

// send sends a body as JSON; nil sends none.
func (c caller) send(method, path string, body any) result {
	c.s.t.Helper()
	if body == nil {
		return result{c.Do(method, path, "", nil), c.s.t}
	}
	text, ok := body.(string)
	if !ok {
		encoded, err := json.Marshal(body)
		if err != nil {
			c.s.t.Fatal(err)
		}
		text = string(encoded)
	}
	return result{c.Do(method, path, "application/json", bytes.NewReader([]byte(text))), c.s.t}
}

// call calls an operation by its id. pairs name and fill the path's parameters; a pair beginning
// with "?" is a query. The answer must be as the description promises.
func (c caller) call(id string, body any, pairs ...string) result {
	c.s.t.Helper()
	op := c.s.spec.Operation(id)
	if op == nil {
		c.s.t.Fatalf("there is no operation %s", id)
	}
	path, query := api.Prefix+op.Path, url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if name, ok := strings.CutPrefix(pairs[i], "?"); ok {
			query.Set(name, pairs[i+1])
		} else {
			path = strings.ReplaceAll(path, "{"+pairs[i]+"}", pairs[i+1])
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	r := c.send(op.Method, path, body)
	r.as(c.s.spec, op)
	return r
}

// as checks an answer against the description.
func (r result) as(spec api.Described, op *huma.Operation) {
	r.t.Helper()
	if wrong := spec.Mismatch(op, strconv.Itoa(r.Status), []byte(r.Body)); wrong != "" {
		r.t.Errorf("%s answered %d, unlike its description: %s\n%.300s", op.OperationID, r.Status, wrong, r.Body)
	}
}

// is fails the test unless the answer has this status.
func (r result) is(status int) result {
	r.t.Helper()
	if r.Status != status {
		r.t.Fatalf("status %d, want %d: %.400s", r.Status, status, r.Body)
	}
	return r
}

// field is a field of the answer, a path with dots.
func (r result) field(path string) any {
	r.t.Helper()
	var v any
	if err := json.Unmarshal([]byte(r.Body), &v); err != nil {
		r.t.Fatalf("the answer is not JSON: %.200s", r.Body)
	}
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			r.t.Fatalf("no %s in %.300s", path, r.Body)
		}
		v = m[name]
	}
	return v
}

func (r result) text(path string) string {
	r.t.Helper()
	s, _ := r.field(path).(string)
	return s
}

// list calls an operation and returns its items.
func (c caller) list(id string, pairs ...string) []any {
	c.s.t.Helper()
	return c.call(id, nil, pairs...).is(http.StatusOK).field("items").([]any)
}

// problem reads the answer as a problem document and checks its form.
func (r result) problem() problem.Document {
	r.t.Helper()
	var d problem.Document
	if err := json.Unmarshal([]byte(r.Body), &d); err != nil || d.Status != r.Status || d.Title == "" ||
		d.Instance == "" ||
		r.Header.Get("Content-Type") != problem.ContentType {
		r.t.Errorf("status %d is no problem document (%s): %.300s", r.Status, r.Header.Get("Content-Type"), r.Body)
	}
	return d
}

// denied counts the refusals in the record.
func (s *site) denied(actor string) int64 {
	s.t.Helper()
	s.Gate.Flush(context.Background())
	entries, err := audit.After(context.Background(), s.DB, 0, 10_000)
	if err != nil {
		s.t.Fatal(err)
	}
	var n int64
	for _, e := range entries {
		if e.Outcome == audit.Denied && e.ActorName == actor {
			n += e.Times
		}
	}
	return n
}

func jsonNumber(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
