package authn_test

import (
	"context"
	"fmt"
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

const days = 24 * time.Hour

func TestKeysEndWhenTheOrganisationSays(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 30*days)
	ctx := context.Background()
	ann := n.person(n.add(t, "ann").ID)
	_, _, err := n.keys.Create(ctx, ann, authn.NewAPIKey{Workspace: identity.DefaultWorkspace, Name: "x", Expires: n.Now().Add(31 * days)})
	if !problem.Is(err, problem.Invalid) || !strings.Contains(problem.Of(err).Detail, "at most 30 days") || rule(err) != "SLUICE_API_KEY_MAX_DAYS" {
		t.Errorf("31 days: %v", err)
	}
	if _, _, err := n.keys.Create(ctx, ann, authn.NewAPIKey{Workspace: identity.DefaultWorkspace, Name: "x", Expires: n.Now()}); !problem.Is(err, problem.Invalid) {
		t.Errorf("an end that is past: %v", err)
	}
	key, secret := n.make(ann, authn.NewAPIKey{})
	if d := key.ExpiresAt.Sub(key.IssuedAt); d != 30*days {
		t.Errorf("without a wish it lasts %s", d)
	}
	late := key.IssuedAt.Add(31 * days)
	if _, err := n.keys.Update(ctx, ann, key.ID, authn.APIKeyChange{Expires: &late}); !problem.Is(err, problem.Invalid) {
		t.Errorf("prolonged to 31 days: %v", err)
	}
	// The maximum was lowered: what was made before ends then.
	strict := startKeys(t, n.db, 10*days)
	strict.step(10*days - time.Minute)
	if _, err := strict.use(secret); err != nil {
		t.Error(err)
	}
	strict.step(time.Minute + time.Second)
	if _, err := strict.use(secret); rule(err) != "key expired" {
		t.Errorf("older than the new maximum: %v", err)
	}
	free := startKeys(t, n.db, 0)
	endless, _ := free.make(ann, authn.NewAPIKey{})
	if !endless.ExpiresAt.IsZero() {
		t.Errorf("without a maximum it ends %s", endless.ExpiresAt)
	}
}

func TestRotationOverlaps(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := startKeys(t, d, 0)
		ctx := context.Background()
		ann := n.person(n.add(t, "ann").ID)
		key, first := n.make(ann, authn.NewAPIKey{Expires: n.Now().Add(5 * days)})
		if _, _, err := n.keys.Rotate(ctx, ann, key.ID, authn.Rotation{Overlap: 7*days + time.Second}); !problem.Is(err, problem.Invalid) {
			t.Errorf("an overlap of more than a week: %v", err)
		}
		n.step(days)
		rotated, second, err := n.keys.Rotate(ctx, ann, key.ID, authn.Rotation{Overlap: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if life := rotated.ExpiresAt.Sub(rotated.IssuedAt); rotated.ID != key.ID || rotated.Prefix != second[:12] || life < 5*days-time.Second || life > 5*days || rotated.FormerUntil.IsZero() {
			t.Errorf("rotated: %+v", rotated)
		}
		for _, secret := range []string{first, second} {
			if c, err := n.use(secret); err != nil || c.Principal.KeyID != key.ID {
				t.Errorf("during the overlap: %v", err)
			}
		}
		n.step(time.Hour)
		if _, err := n.use(first); rule(err) != "key rotated" {
			t.Errorf("after the overlap: %v", err)
		}
		if _, third, err := n.keys.Rotate(ctx, ann, key.ID, authn.Rotation{}); err != nil {
			t.Error(err)
		} else if _, err := n.use(third); err != nil {
			t.Error(err)
		}
		if _, err := n.use(second); rule(err) != "key rotated" {
			t.Errorf("without overlap: %v", err)
		}
		n.step(5*days + time.Second)
		if _, _, err := n.keys.Rotate(ctx, ann, key.ID, authn.Rotation{}); !problem.Is(err, problem.Conflict) {
			t.Errorf("an expired key: %v", err)
		}
	})
}

func TestKeysHoldOnEveryNodeAndEndTheirStreams(t *testing.T) {
	dir := t.TempDir()
	one := startKeys(t, dbtest.Open(t, db.Config{Folder: dir, Now: time.Now}), 0)
	two := startKeys(t, dbtest.Open(t, db.Config{Folder: dir, Now: time.Now}), 0)
	ctx := context.Background()
	u := one.add(t, "ann")
	ann := one.person(u.ID)
	usable := func(n *keyNode, secret string) func() bool {
		return func() bool { _, err := n.use(secret); return err == nil }
	}
	ended := func(c <-chan struct{}) func() bool {
		return func() bool {
			select {
			case <-c:
				return true
			default:
				return false
			}
		}
	}
	key, secret := one.make(ann, authn.NewAPIKey{})
	until(t, "the key on the other node", usable(two, secret))
	here, there := one.keys.Done(key.ID), two.keys.Done(key.ID)
	name := "renamed"
	if _, err := one.keys.Update(ctx, ann, key.ID, authn.APIKeyChange{Name: &name}); err != nil {
		t.Fatal(err)
	}
	if ended(here)() {
		t.Error("a new name ends streams")
	}
	if err := one.keys.Revoke(ctx, ann, key.ID); err != nil {
		t.Fatal(err)
	}
	if !ended(here)() {
		t.Error("the streams of a revoked key go on")
	}
	until(t, "the end of streams on the other node", ended(there))
	if _, err := two.use(secret); rule(err) != "key revoked" {
		t.Errorf("on the other node: %v", err)
	}
	narrowed, _ := one.make(ann, authn.NewAPIKey{})
	stream := one.keys.Done(narrowed.ID)
	if _, err := one.keys.Update(ctx, ann, narrowed.ID, authn.APIKeyChange{Scope: &authn.KeyScope{Actions: []authz.Action{authz.FlowView}}}); err != nil {
		t.Fatal(err)
	}
	if !ended(stream)() {
		t.Error("the streams of a narrowed key go on")
	}
	third, _ := two.make(two.person(u.ID), authn.NewAPIKey{})
	stream = two.keys.Done(third.ID)
	if err := one.people.Update(ctx, cli, u.ID, identity.UserUpdate{Active: problem.Some(false)}); err != nil {
		t.Fatal(err)
	}
	until(t, "the end of streams of somebody who was shut out", ended(stream))
}

func TestWhatIsNotedOfAKey(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ctx := context.Background()
	ann := n.person(n.add(t, "ann").ID)
	key, secret := n.make(ann, authn.NewAPIKey{
		Name: "  nightly run ", Networks: []string{"192.0.2.9", "10.1.2.3/8, ::ffff:192.0.2.0/120"}, PerMinute: 5, PerDay: 10,
		Scope: authn.KeyScope{Actions: []authz.Action{"chatflows:view", authz.FlowRun, authz.FlowRun}, Flows: []string{"b", "a"}},
	})
	if _, err := n.use(secret); err != nil {
		t.Fatal(err)
	}
	if err := n.keys.Maintain(ctx, n.Now()); err != nil {
		t.Fatal(err)
	}
	got, err := n.keys.Get(ctx, ann, key.ID)
	if err != nil {
		t.Fatal(err)
	}
	if since := n.Now().Sub(got.LastUsedAt); got.LastUsedIP != home.String() || since < 0 || since > 2*time.Minute || got.LastUsedAt.Second() != 0 {
		t.Errorf("last used %s from %s", got.LastUsedAt, got.LastUsedIP)
	}
	if got.UsedToday < 1 || got.UsedToday > 10 {
		t.Errorf("used %d today", got.UsedToday)
	}
	want := authn.KeyScope{Actions: []authz.Action{"chatflows:view", authz.FlowRun}, Flows: []string{"a", "b"}}
	if diff := cmp.Diff(want, got.Scope); diff != "" {
		t.Error(diff)
	}
	if text := fmt.Sprint(got.Networks); text != "[10.0.0.0/8 192.0.2.0/24 192.0.2.9/32]" || got.Name != "nightly run" {
		t.Errorf("networks %s, name %q", text, got.Name)
	}
}

func TestKeysThatCannotBeMade(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ctx := context.Background()
	ann := n.person(n.add(t, "ann").ID)
	for what, k := range map[string]authn.NewAPIKey{
		"name":       {},
		"workspace":  {Name: "x", Workspace: "elsewhere"},
		"actions":    {Name: "x", Scope: authn.KeyScope{Actions: []authz.Action{"everything"}}},
		"flows":      {Name: "x", Scope: authn.KeyScope{Flows: []string{"a b"}}},
		"apps":       {Name: "x", Scope: authn.KeyScope{Apps: []string{""}}},
		"networks":   {Name: "x", Networks: []string{"10.0.0.0/33"}},
		"per_minute": {Name: "x", PerMinute: -1},
		"per_day":    {Name: "x", PerDay: 1 << 40},
	} {
		if what != "workspace" {
			k.Workspace = identity.DefaultWorkspace
		}
		if _, _, err := n.keys.Create(ctx, ann, k); err == nil || problem.Of(err).Field != what {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, a := range []authz.Action{authz.KeyOwn, authz.KeyManage, "keys:manage", authz.AccountFactors, authz.AccountUpdate, authz.KeyUse, authz.AccountSignIn} {
		if _, _, err := n.keys.Create(ctx, ann, authn.NewAPIKey{Name: "x", Workspace: identity.DefaultWorkspace, Scope: authn.KeyScope{Actions: []authz.Action{a}}}); err == nil {
			t.Errorf("a key may have %s", a)
		}
	}
	for _, bad := range []string{"", "10.0.0.0/33", "10.0.0", "fe80::1%eth0", "::ffff:10.0.0.0/8", "example.com", "10.0.0.0/8/8"} {
		if bad == "" {
			continue
		}
		if _, _, err := n.keys.Create(ctx, ann, authn.NewAPIKey{Name: "x", Workspace: identity.DefaultWorkspace, Networks: []string{bad}}); err == nil {
			t.Errorf("%q counts as a network", bad)
		}
	}
	for i := range 101 {
		_, _, err := n.keys.Create(ctx, ann, authn.NewAPIKey{Name: "x", Workspace: identity.DefaultWorkspace})
		if i < 100 && err != nil {
			t.Fatalf("key %d: %v", i+1, err)
		}
		if i == 100 && !problem.Is(err, problem.Conflict) {
			t.Errorf("the 101st key: %v", err)
		}
	}
}

func TestAnOldProofOfIdentityMakesNoKeys(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	gate, err := authz.NewGate(authz.Config{DB: n.db, StepUp: 15 * time.Minute, Now: n.Now, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close(context.Background())
	keys, err := authn.NewKeys(context.Background(), authn.KeyConfig{DB: n.db, Gate: gate, People: n.people, TokenKey: []byte(strings.Repeat("k", 32)), Now: n.Now, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	token, _ := n.signIn(t, n.add(t, "ann").ID)
	make := func() error {
		_, _, err := keys.Create(context.Background(), principalOf(n.node, token), authn.NewAPIKey{Name: "x", Workspace: identity.DefaultWorkspace})
		return err
	}
	if err := make(); err != nil {
		t.Error(err)
	}
	n.step(16 * time.Minute)
	if err := make(); !problem.Is(err, problem.StepUp) {
		t.Errorf("16 minutes after the sign-in: %v", err)
	}
}
