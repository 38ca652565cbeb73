package proxy_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/identity"
)

// A Langflow user whose projects became separate workspaces holds objects of several: the account
// belongs to one, the flow to the other.
func TestReach_SharedAccount(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	ctx := context.Background()
	if err := w.apps.Flows.Move(ctx, systemPrincipal, w.app.ID, []string{w.oldFlow}, w.other, ""); err != nil {
		t.Fatal(err)
	}
	for name, c := range inOrder(map[string]struct {
		role, method, target, body string
		want                       int
		account                    *lfUser
	}{
		"by its workspace": {"other", "GET", "/api/v1/flows/" + w.oldFlow, "", 200, w.adopted},
		"changed by it":    {"other", "PATCH", "/api/v1/flows/" + w.oldFlow, `{"name":"New name"}`, 200, w.adopted},
		"run by it":        {"other", "POST", "/api/v1/run/" + w.oldFlow, `{"input_value":"x"}`, 200, w.adopted},
		"run by its name":  {"other", "POST", "/api/v1/run/old-hand", `{"input_value":"x"}`, 200, w.adopted},
		"by the account's": {"admin", "GET", "/api/v1/flows/" + w.oldFlow, "", 404, nil},
		"the account's":    {"other", "GET", "/api/v1/projects/" + w.adopted.Things["projects"][0].ID, "", 404, nil},
	}) {
		w.f.Take()
		got := w.call(c.role, c.method, c.target, c.body)
		log := slices.DeleteFunc(
			w.f.Take(),
			func(r lfRequest) bool { return strings.HasPrefix(r.Target, "/api/v1/flows/?") },
		)
		if got.status != c.want ||
			c.account != nil && (len(log) == 0 || log[len(log)-1].Account != c.account.Username) {
			t.Errorf("%s: %d %s, %+v", name, got.status, got.body, log)
		}
	}
	for role, want := range map[string][]string{"other": {w.flow, w.oldFlow}, "admin": {w.ownFlow}} {
		got := ids(t, w.call(role, "GET", "/api/v1/flows/", "").body)
		got = slices.DeleteFunc(got, func(id string) bool { return id != w.flow && id != w.oldFlow && id != w.ownFlow })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the list of %s: %s", role, diff)
		}
	}
}

func TestReach_ImportedKey(t *testing.T) {
	t.Parallel()
	w := newLangflowWorld(t, false)
	ctx := context.Background()
	if err := w.apps.Flows.Move(ctx, systemPrincipal, w.app.ID, []string{w.oldFlow}, w.other, ""); err != nil {
		t.Fatal(err)
	}
	user := w.person("user")
	bring := func(text string, also ...string) {
		sum, _ := authn.ImportedKeyHash(text)
		prepared, err := w.keys.PrepareImported(
			authn.ImportedKey{
				Owner:     user,
				Workspace: identity.DefaultWorkspace,
				Also:      also,
				Name:      "x",
				Prefix:    text[:12],
				Hash:      sum,
				Apps:      []string{w.app.ID},
			},
		)
		if err == nil {
			err = w.db.Gated(ctx, func(tx *db.Tx) error { return w.keys.InsertImported(ctx, tx, prepared) })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	wide, narrow := "sk-wide-wide-wide-wide-wide-wide-wide-wide", "sk-narrow-narrow-narrow-narrow-narrow-narrow"
	bring(wide, w.other)
	bring(narrow)
	run := func(key, place string) int {
		w.f.Take()
		got := w.do(
			"POST",
			"/api/v1/run/"+place,
			with("X-Api-Key: "+key, "Content-Type: application/json"),
			`{"input_value":"x"}`,
		)
		for _, r := range w.f.Take() {
			if r.Header.Get("X-Api-Key") == key || strings.Contains(r.Header.Get("Authorization"), key) {
				t.Errorf("Langflow gets the client's key")
			}
		}
		return got.status
	}
	// The owner is not in that workspace yet: a key is never more than its owner.
	if got := run(wide, w.oldFlow); got != http.StatusNotFound {
		t.Errorf("a workspace that its owner does not belong to: %d", got)
	}
	if err := w.db.Gated(ctx,
		func(tx *db.Tx) error { return w.people.Join(ctx, tx, w.other, user, authz.RoleUser) }); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key, place string
		want       int
	}{
		{wide, w.ownFlow, 200}, {wide, w.oldFlow, 200}, {wide, "old-hand", 200}, {narrow, w.ownFlow, 200}, {narrow,
			w.oldFlow, 404}, {"sk-unknown-unknown-unknown-unknown", w.ownFlow, 401},
	} {
		if got := run(c.key, c.place); got != c.want {
			t.Errorf("%.10s runs %s: %d, want %d", c.key, c.place, got, c.want)
		}
	}
}
