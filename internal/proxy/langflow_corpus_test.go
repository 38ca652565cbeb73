package proxy_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/flow"
	"sluice/internal/identity"
)

// The fixtures of the corpus, see its README.
const (
	lfPublic  = "11111111-1111-4111-8111-11111111aaaa"
	lfPrivate = "22222222-2222-4222-8222-22222222aaaa"
	lfForeign = "33333333-3333-4333-8333-33333333aaaa" // tenant B's
	lfJob     = "44444444-4444-4444-8444-44444444aaaa"
	lfOthers  = "55555555-5555-4555-8555-55555555aaaa" // another person's job
	lfProject = "77777777-7777-4777-8777-77777777aaaa"
	lfMsg     = "88888888-8888-4888-8888-88888888aaaa"
)

// lfStock is what the corpus has in place of the source of a component that the instance ships
// with.
const lfStock = "<source text of the stock ChatInput component of the fixture version>"

// langflowNotYet lists what later issues enforce, like notYet.
var langflowNotYet = map[string]string{
	"lf-053": "addresses in tweaks: egress guard",
	"lf-063": "tokens of webhooks",
}

// langflowCorpus is the Langflow of the corpus.
type langflowCorpus struct{ *lfUpstream }

func (c langflowCorpus) flows() (public, private string) { return lfPublic, lfPrivate }

func (c langflowCorpus) prepare(r row) {
	c.Take()
	c.With(func() { c.Answer = func(lfRequest) *lfAnswer { return lfReply(r) } })
}

func (c langflowCorpus) arrived() []arrival {
	var list []arrival
	for _, g := range c.Take() {
		var raw strings.Builder
		raw.WriteString(g.Method + " " + g.Target + "\n")
		_ = g.Header.Write(&raw)
		list = append(list, arrival{g.Method, g.Target, g.Body, raw.String(), g.Header, false})
	}
	return list
}

// lfReply is the builder's answer to a row.
func lfReply(r row) *lfAnswer {
	a := &lfAnswer{Status: 200, Kind: "application/json", Body: `{"ok":true}`}
	path, _, _ := strings.Cut(r.Path, "?")
	switch {
	case r.Class == "cookie-policy":
		a.Header = http.Header{"Set-Cookie": {"refresh_token_lf=SLUICE-MARKER; SameSite=None"}}
	case r.Class == "secret-leak":
		a.Body = `[{"id":"` + lfMsg + `","name":"KEY","type":"Credential","value":"SLUICE-MARKER"}]`
	case r.Class == "info-leak":
		a.Status, a.Kind = 500, "application/json"
		a.Body = `{"detail":"Traceback (most recent call last):\n  File \"/app/langflow/api/v1/flows.py\", line 1\nSLUICE-MARKER"}`
	case path == "/api/v1/projects/"+lfProject:
		a.Body = `{"ok":true,"flows":[]}`
	case r.Method == "GET" && lfLists(path):
		a.Body = `[]`
	}
	return a
}

// lfLists reports whether a path is one of Langflow's lists.
func lfLists(path string) bool {
	switch strings.TrimSuffix(path, "/") {
	case "/api/v1/flows", "/api/v1/projects", "/api/v1/variables", "/api/v2/files", "/api/v1/monitor/messages":
		return true
	}
	return false
}

// newLangflowCorpus makes the world of the corpus: what tenant A and tenant B have, in the accounts
// of each.
func newLangflowCorpus(t *testing.T) (*world, langflowCorpus) {
	t.Helper()
	c := langflowCorpus{startLangflow(t, false)}
	c.With(func() { c.Components = lfComponents() })
	w := newWorld(t, c.lfUpstream, options{kind: "langflow"})
	w.person("other")
	a, b := c.account(w, identity.DefaultWorkspace), c.account(w, w.other)
	c.With(func() {
		home := a.Put("projects", &lfThing{ID: lfProject, Name: "Project"})
		for _, id := range []string{lfPublic, lfPrivate} {
			a.Put(
				"flows",
				&lfThing{
					ID:     id,
					Name:   "Flow " + id[:1],
					Folder: home.ID,
					Data:   json.RawMessage(`{"nodes":[],"edges":[]}`),
				},
			)
		}
		a.Messages = []lfMessage{{ID: lfMsg, Flow: lfPrivate, Session: "sess-a", Text: "hello"}}
		b.Put("flows", &lfThing{ID: lfForeign, Name: "Theirs"})
	})
	library := w.apps.Flows
	claim := func(account *lfUser, workspace string, kind flow.Kind, ids ...string) {
		for _, id := range ids {
			if err := library.Claim(t.Context(),
				flow.Object{App: w.app.ID, ID: id, Kind: kind, Name: id, Workspace: workspace,
					Account: account.ID}); err != nil {
				t.Fatal(err)
			}
		}
	}
	claim(a, identity.DefaultWorkspace, flow.Chatflow, lfPublic, lfPrivate)
	claim(a, identity.DefaultWorkspace, flow.Project, lfProject)
	claim(b, w.other, flow.Chatflow, lfForeign)
	for id, j := range map[string]flow.Job{lfJob: {Flow: lfPrivate, Person: w.person("viewer")},
		lfOthers: {Flow: lfPrivate, Person: w.person("admin")}} {
		if err := library.StartJob(t.Context(), w.app.ID, id, j); err != nil {
			t.Fatal(err)
		}
	}
	library.LearnChat(w.app.ID, "sess-a", flow.Chat{Workspace: identity.DefaultWorkspace, Flow: lfPrivate})
	if err := w.apps.Publications.Publish(t.Context(), systemPrincipal, w.app.ID, lfPublic); err != nil {
		t.Fatal(err)
	}
	w.app, _ = w.apps.ByID(w.app.ID)
	return w, c
}

// lfComponents are those that the instance ships with.
func lfComponents() map[string]map[string]any {
	code := map[string]any{"type": "code", "name": "code", "value": lfStock}
	input := map[string]any{
		"display_name": "Chat Input",
		"template":     map[string]any{"_type": "Component", "code": code},
	}
	return map[string]map[string]any{"input_output": {"ChatInput": input}}
}

// account is the account that a workspace works in.
func (c langflowCorpus) account(w *world, workspace string) *lfUser {
	w.t.Helper()
	id, err := w.app.Bridge.Accounts.Own(
		context.Background(),
		builder.OnBehalf{Principal: authz.SystemPrincipal("test"), Workspace: workspace},
	)
	if err != nil {
		w.t.Fatal(err)
	}
	var u *lfUser
	c.With(func() { u = c.Users[id] })
	return u
}

func TestLangflowCorpus(t *testing.T) {
	t.Parallel()
	w, c := newLangflowCorpus(t)
	w.runCorpus(t, c, corpus(t, "langflow"), langflowNotYet)
}

// TestLangflowVariants sends what the corpus does not have: its attacks on the other routes of
// their class, everything of one tenant's as the other, and what the pages and programs do all day.
func TestLangflowVariants(t *testing.T) {
	t.Parallel()
	w, c := newLangflowCorpus(t)
	w.runCorpus(t, c, corpus(t, "langflow-more"), nil)
}
