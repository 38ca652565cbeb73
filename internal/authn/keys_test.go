package authn_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// keyNode is a node with API keys.
type keyNode struct {
	*node
	keys *authn.Keys
	t    testing.TB
}

func startKeys(t testing.TB, d *db.DB, maxAge time.Duration) *keyNode {
	t.Helper()
	n := &keyNode{node: start(t, d), t: t}
	var err error
	n.keys, err = authn.NewKeys(context.Background(), authn.KeyConfig{
		DB: d, Gate: n.gate, People: n.people, TokenKey: []byte(strings.Repeat("k",
			32)), MaxAge: maxAge, Now: n.Now, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *keyNode) person(id string) authz.Principal {
	n.t.Helper()
	p, ok := n.people.Principal(id)
	if !ok {
		n.t.Fatalf("%s is not in the directory", id)
	}
	return p
}

func (n *keyNode) make(owner authz.Principal, k authn.NewAPIKey) (authn.APIKey, string) {
	n.t.Helper()
	if k.Workspace == "" {
		k.Workspace = identity.DefaultWorkspace
	}
	if k.Name == "" {
		k.Name = "ci"
	}
	key, secret, err := n.keys.Create(context.Background(), owner, k)
	if err != nil {
		n.t.Fatal(err)
	}
	return key, secret
}

var home = netip.MustParseAddr("192.0.2.7")

var quiet = slog.New(slog.DiscardHandler)

func (n *keyNode) ask(header, value string, from netip.Addr) (authn.Credential, error) {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/prediction/x", nil)
	r.Header.Set(header, value)
	c := authn.Credentials{Sessions: n.sessions, Keys: n.keys}
	return c.Authenticate(r, authn.Place{Audience: authn.AudienceMain, From: from})
}

func (n *keyNode) use(secret string) (authn.Credential, error) {
	return n.ask("Authorization", "Bearer "+secret, home)
}

// rule is the rule of a refusal, "" for none.
func rule(err error) string {
	if err == nil {
		return ""
	}
	return problem.Of(err).Rule
}

func TestKeys_ActForOwner(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := startKeys(t, d, 0)
		ann := n.person(n.add(t, "ann").ID)
		key, secret := n.make(ann, authn.NewAPIKey{Scope: authn.KeyScope{Actions: []authz.Action{authz.FlowRun}}})
		for _, how := range [][2]string{{"Authorization", "Bearer " + secret}, {"Authorization", "bearer  " + secret},
			{"X-Api-Key", secret}} {
			c, err := n.ask(how[0], how[1], home)
			if err != nil || c.Principal.ID != ann.ID || c.Principal.KeyID != key.ID || c.Kind != authn.CredentialKey ||
				c.KeyPrefix != secret[:12] ||
				!c.Principal.Strong {
				t.Errorf("%s: %+v, %v", how[0], c, err)
			}
			if diff := cmp.Diff(&authz.Scope{Workspace: identity.DefaultWorkspace,
				Actions: []authz.Action{authz.FlowRun}}, c.Principal.Scope); diff != "" {
				t.Error(diff)
			}
		}
		one, _ := n.use(secret)
		two, _ := n.use(secret)
		if one.Principal.Scope != two.Principal.Scope {
			t.Error("each request has a scope of its own; decisions cannot be remembered")
		}
		after := startKeys(t, d, 0)
		if c, err := after.use(secret); err != nil || c.Principal.ID != ann.ID {
			t.Errorf("after a restart: %v", err)
		}
	})
}

func TestKeys_OtherPersons(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ctx := context.Background()
	ann, bob, root := n.person(n.add(t, "ann").ID), n.person(n.add(t, "bob").ID), n.add(t, "root")
	if err := n.people.SetRole(ctx, cli, root.ID, identity.DefaultWorkspace, authz.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	admin := n.person(root.ID)
	key, secret := n.make(ann, authn.NewAPIKey{})
	name := "other"
	for what, try := range map[string]func(p authz.Principal) error{
		"get": func(p authz.Principal) error { _, err := n.keys.Get(ctx, p, key.ID); return err },
		"update": func(p authz.Principal) error {
			_, err := n.keys.Update(ctx, p, key.ID, authn.APIKeyChange{Name: &name})
			return err
		},
		"rotate": func(p authz.Principal) error {
			_, _, err := n.keys.Rotate(ctx, p, key.ID, authn.Rotation{})
			return err
		},
		"revoke": func(p authz.Principal) error { return n.keys.Revoke(ctx, p, key.ID) },
	} {
		if err := try(bob); !problem.Is(err, problem.NotFound) {
			t.Errorf("%s by somebody else: %v", what, err)
		}
		asKey, err := n.use(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := try(asKey.Principal); !problem.Is(err, problem.Denied) {
			t.Errorf("%s by the key itself: %v", what, err)
		}
	}
	if _, _, err := n.keys.Create(ctx, bob,
		authn.NewAPIKey{Owner: ann.ID, Workspace: identity.DefaultWorkspace, Name: "x"}); !problem.Is(
		err,
		problem.Denied,
	) {
		t.Errorf("a key in somebody else's name: %v", err)
	}
	if _, _, err := n.keys.Rotate(ctx, admin, key.ID, authn.Rotation{}); !problem.Is(err, problem.Denied) {
		t.Errorf("an admin could see a key by rotating it: %v", err)
	}
	if _, err := n.keys.Update(ctx, admin, key.ID, authn.APIKeyChange{Scope: &authn.KeyScope{}}); !problem.Is(
		err,
		problem.Denied,
	) {
		t.Errorf("an admin changes what a key may do: %v", err)
	}
	if list, err := n.keys.List(ctx, admin, authn.KeyFilter{Workspace: identity.DefaultWorkspace}); err != nil ||
		len(list) != 1 ||
		list[0].OwnerName != "ann" ||
		!list[0].Usable {
		t.Errorf("an admin's list: %+v, %v", list, err)
	}
	if _, err := n.keys.List(ctx, bob, authn.KeyFilter{Workspace: identity.DefaultWorkspace}); !problem.Is(
		err,
		problem.Denied,
	) {
		t.Errorf("everybody's list: %v", err)
	}
	if list, err := n.keys.List(ctx, bob, authn.KeyFilter{}); err != nil || len(list) != 0 {
		t.Errorf("bob's list: %v, %v", list, err)
	}
	if err := n.keys.Revoke(ctx, admin, key.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := n.use(secret); rule(err) != "key revoked" {
		t.Errorf("after the admin revoked it: %v", err)
	}
}

func TestKeys_ReasonsForHolderOnly(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ctx := context.Background()
	ann := n.person(n.add(t, "ann").ID)
	_, secret := n.make(
		ann,
		authn.NewAPIKey{
			Expires:  n.Now().Add(time.Hour),
			Networks: []string{"192.0.2.0/24", "::ffff:198.51.100.0/120", "2001:db8::/32"},
		},
	)
	_, other := n.make(ann, authn.NewAPIKey{})
	unknown := badKey(t, n, "sluice_"+strings.Repeat("a", 46))
	for i := range len(secret) {
		for _, c := range "aZ0-_. " {
			changed := secret[:i] + string(c) + secret[i+1:]
			if changed == secret {
				continue
			}
			if got := badKey(t, n, changed); got != unknown {
				t.Fatalf("%d %q: %q, want %q", i, c, got, unknown)
			}
		}
	}
	for from, want := range map[string]string{
		"192.0.2.7":        "",
		"::ffff:192.0.2.7": "",
		"198.51.100.9":     "",
		"2001:db8::1":      "",
		"198.51.101.9":     "key network",
		"2001:db9::1":      "key network",
		"::1":              "key network",
	} {
		if _, err := n.ask("X-Api-Key", secret, netip.MustParseAddr(from)); rule(err) != want {
			t.Errorf("from %s: %v", from, err)
		}
	}
	if _, err := n.use(secret); err != nil {
		t.Fatal(err)
	}
	n.step(time.Hour)
	if _, err := n.use(secret); rule(err) != "key expired" || !problem.Is(err, problem.Unauthenticated) {
		t.Errorf("expired: %v", err)
	}
	if err := n.people.Update(ctx, cli, ann.ID, identity.UserUpdate{Active: problem.Some(false)}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.use(other); rule(err) != "key owner" {
		t.Errorf("of somebody who was shut out: %v", err)
	}
	if err := n.people.Update(ctx, cli, ann.ID, identity.UserUpdate{Active: problem.Some(true)}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.use(other); err != nil {
		t.Errorf("let in again: %v", err)
	}
	if err := n.people.SetRole(ctx, cli, ann.ID, identity.DefaultWorkspace, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := n.use(other); rule(err) != "key owner" {
		t.Errorf("without a membership: %v", err)
	}
	n.gate.Flush(ctx)
	var denied int64
	entries, err := audit.After(ctx, n.db, 0, 500)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Action == string(authz.KeyUse) {
			denied += e.Times
		}
		if strings.Contains(e.Detail+e.ResourceName, secret[12:]) {
			t.Error("the audit record holds a key")
		}
	}
	if denied < 6 {
		t.Errorf("%d refused uses are recorded", denied)
	}
}

// badKey is the whole answer to a key that must not be good.
func badKey(t *testing.T, n *keyNode, text string) string {
	t.Helper()
	_, err := n.ask("X-Api-Key", text, home)
	if !problem.Is(err, problem.Unauthenticated) {
		t.Fatalf("%q: %v", text, err)
	}
	e := problem.Of(err)
	return e.Detail + e.Next + e.Rule
}

// TestAKey_HasEachDigitAsLikelyAsAnother: of the 256 values of a byte, 248 are spread over 62
// digits, and the others are skipped.
func TestAKey_HasEachDigitAsLikelyAsAnother(t *testing.T) {
	var random []byte
	for b := range 16 {
		random = append(random, byte(240+b))
	}
	for b := range 48 {
		random = append(random, byte(b))
	}
	key, err := authn.MakeKeyOf(bytes.NewReader(random))
	if err != nil {
		t.Fatal(err)
	}
	const want = "sluice_" + "stuvwxyz" + "0123456789ABCDEFGHIJKLMNOPQRSTUV"
	if got := key[:len(key)-6]; got != want || !authn.KeyFormed(key) {
		t.Errorf("%s, want %s and a checksum", key, want)
	}
	if key, err := authn.MakeKeyOf(bytes.NewReader(random[:20])); err == nil {
		t.Errorf("%s was made of too little", key)
	}
}
