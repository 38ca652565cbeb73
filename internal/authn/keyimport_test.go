package authn_test

import (
	"context"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// langflowKey is a key as Langflow makes them.
const langflowKey = "sk-Ttmu6Ue86glq1EM_3g0YbgKKyXnGiP-4pr66QVy1mK4"

// bring imports a key of ann's.
func (n *keyNode) bring(text string, k authn.ImportedKey) authn.PreparedKey {
	n.t.Helper()
	ctx := context.Background()
	var ok bool
	if k.Hash, ok = authn.ImportedKeyHash(text); !ok {
		n.t.Fatalf("%q is no key", text)
	}
	if k.Workspace == "" {
		k.Workspace = identity.DefaultWorkspace
	}
	k.Prefix = text[:12]
	prepared, err := n.keys.PrepareImported(k)
	if err == nil {
		err = n.db.Gated(ctx, func(tx *db.Tx) error { return n.keys.InsertImported(ctx, tx, prepared) })
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return prepared
}

func TestKeyImport_Use(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := startKeys(t, d, 0)
		ctx := context.Background()
		ann := n.person(n.add(t, "ann").ID)
		made := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
		id := n.bring(langflowKey, authn.ImportedKey{Owner: ann.ID, Name: "ci", CreatedAt: made}).ID()
		for _, header := range []string{"Authorization", "X-Api-Key"} {
			value := langflowKey
			if header == "Authorization" {
				value = "Bearer " + value
			}
			c, err := n.ask(header, value, home)
			if err != nil || c.Principal.ID != ann.ID || c.Principal.KeyID != id || c.Kind != authn.CredentialKey ||
				c.KeyPrefix != langflowKey[:12] {
				t.Errorf("%s: %+v, %v", header, c, err)
			}
		}
		view, err := n.keys.Get(ctx, ann, id)
		if err != nil || !view.Imported || !view.CreatedAt.Equal(made) || !view.IssuedAt.After(made) ||
			view.Prefix != langflowKey[:12] ||
			!view.Usable ||
			view.Name != "ci" {
			t.Errorf("%+v, %v", view, err)
		}
		// After a rotation it is an ordinary Sluice key; the previous secret works until the
		// overlap is over.
		rotated, fresh, err := n.keys.Rotate(ctx, ann, id, authn.Rotation{Overlap: time.Hour})
		if err != nil || rotated.ID != id || !strings.HasPrefix(fresh, "sluice_") {
			t.Fatalf("%+v, %v", rotated, err)
		}
		if view, err = n.keys.Get(ctx, ann, id); err != nil || view.Imported {
			t.Errorf("rotated it still counts as imported: %+v, %v", view, err)
		}
		for _, secret := range []string{langflowKey, fresh} {
			if c, err := n.use(secret); err != nil || c.Principal.KeyID != id {
				t.Errorf("%.12s in the overlap: %v", secret, err)
			}
		}
		n.step(time.Hour)
		if _, err := n.use(langflowKey); rule(err) != "key rotated" {
			t.Errorf("after the overlap: %v", err)
		}
		if err := n.keys.Revoke(ctx, ann, id); err != nil {
			t.Fatal(err)
		}
		if _, err := n.use(fresh); rule(err) != "key revoked" {
			t.Errorf("revoked: %v", err)
		}
	})
}

func TestAnImportedKeyEndsWithItsOwnerItsTimeAndTheOrganizationsMaximum(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 30*days)
	n.stop()
	ctx := context.Background()
	u := n.add(t, "ann")
	now := n.Now()
	capped := n.bring(
		langflowKey,
		authn.ImportedKey{Owner: u.ID, CreatedAt: now.Add(-400 * days), Expires: now.Add(300 * days)},
	)
	if life := capped.ExpiresAt().Sub(now); life != 30*days {
		t.Errorf("it is good for %s; the maximum counts from the import", life)
	}
	short := "sk-short-short-short-short-short"
	n.bring(short, authn.ImportedKey{Owner: u.ID, Expires: now.Add(days)})
	if _, err := n.keys.PrepareImported(authn.ImportedKey{Owner: u.ID, Workspace: identity.DefaultWorkspace,
		Expires: now.Add(-time.Second)}); !problem.Is(
		err,
		problem.Invalid,
	) {
		t.Errorf("an expired one: %v", err)
	}
	n.step(days)
	if _, err := n.use(short); rule(err) != "key expired" {
		t.Errorf("at its own end: %v", err)
	}
	if _, err := n.use(langflowKey); err != nil {
		t.Error(err)
	}
	if err := n.people.Update(ctx, authz.SystemPrincipal("test"), u.ID,
		identity.UserUpdate{Active: problem.Some(false)}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.use(langflowKey); rule(err) != "key owner" {
		t.Errorf("of somebody who was switched off: %v", err)
	}
}

// Other products' keys begin with "sk-" too. An app that has a sign-in of its own gets them;
// elsewhere they are as wrong as any other.
func TestKeyImport_ForeignKeys(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ann := n.person(n.add(t, "ann").ID)
	n.bring(langflowKey, authn.ImportedKey{Owner: ann.ID})
	c := authn.Credentials{Sessions: n.sessions, Keys: n.keys}
	for _, tt := range []struct {
		name, header, value string
		ownSignIn           bool
		kind                authn.CredentialKind
		refused             bool
	}{
		{"ours", "Authorization", "Bearer " + langflowKey, false, authn.CredentialKey, false},
		{"ours, where the app has keys too", "Authorization", "Bearer " + langflowKey, true, authn.CredentialKey,
			false},
		{"ours as x-api-key there", "X-Api-Key", langflowKey, true, authn.CredentialKey, false},
		{"theirs", "Authorization", "Bearer sk-proj-somebody-elses-key-0123456789", false, authn.CredentialNone, true},
		{"theirs, where the app has keys too", "Authorization", "Bearer sk-proj-somebody-elses-key-0123456789", true,
			authn.CredentialNone, false},
		{"theirs as x-api-key there", "X-Api-Key", "sk-proj-somebody-elses-key-0123456789", true, authn.CredentialNone,
			false},
		{"too short for one", "X-Api-Key", "sk-short", false, authn.CredentialNone, true},
		{"no key's characters", "X-Api-Key", "sk-" + strings.Repeat("ä", 30), false, authn.CredentialNone, true},
		{"very long", "X-Api-Key", "sk-" + strings.Repeat("a", 4000), false, authn.CredentialNone, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set(tt.header, tt.value)
			got, err := c.Authenticate(
				r,
				authn.Place{Audience: authn.AudienceMain, From: home, OwnSignIn: tt.ownSignIn},
			)
			if got.Kind != tt.kind || (err != nil) != tt.refused || tt.refused && rule(err) != "credential" {
				t.Errorf("%+v, %v", got, err)
			}
			got.Strip(r.Header)
			if gone := r.Header.Get(tt.header) == ""; gone != (tt.kind == authn.CredentialKey) {
				t.Errorf("what is forwarded: %v", r.Header)
			}
		})
	}
}

// A leaked digest is not a key, and a Sluice key is never mistaken for an imported one.
func TestKeyImport_HashIsNoKey(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ann := n.person(n.add(t, "ann").ID)
	n.bring(langflowKey, authn.ImportedKey{Owner: ann.ID})
	sum, _ := authn.ImportedKeyHash(langflowKey)
	for _, text := range []string{"sk-" + string(sum[:]), "sk-" + hex.EncodeToString(sum[:]),
		hex.EncodeToString(sum[:])} {
		if c, err := n.use(text); err == nil {
			t.Errorf("%q is %s's", text, c.Principal.Name)
		}
	}
	_, own := n.make(ann, authn.NewAPIKey{})
	if _, ok := authn.ImportedKeyHash(own); ok {
		t.Error("a key of Sluice's own could be imported")
	}
}

// TestFurtherWorkspaces_OnlyImportedKeysHaveAny: they survive a change of scope, and no one can
// request them.
func TestFurtherWorkspaces_OnlyImportedKeysHaveAny(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ctx := context.Background()
	other, err := n.people.CreateWorkspace(ctx, cli, "Other")
	if err != nil {
		t.Fatal(err)
	}
	ann := n.person(n.add(t, "ann").ID)
	own, _ := n.make(ann, authn.NewAPIKey{Scope: authn.KeyScope{Also: []string{other.ID}}})
	if len(own.Scope.Also) != 0 {
		t.Errorf("a new key has the further workspaces %v", own.Scope.Also)
	}
	imported := n.bring(langflowKey, authn.ImportedKey{Owner: ann.ID, Also: []string{other.ID}}).ID()
	for name, c := range map[string]struct {
		id   string
		also []string
	}{
		"a key of Sluice's own": {own.ID, nil},
		"an imported key":       {imported, []string{other.ID}},
	} {
		wish := authn.KeyScope{Actions: []authz.Action{authz.FlowRun}, Also: []string{"elsewhere"}}
		got, err := n.keys.Update(ctx, ann, c.id, authn.APIKeyChange{Scope: &wish})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(authn.KeyScope{Actions: wish.Actions, Also: c.also}, got.Scope); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
