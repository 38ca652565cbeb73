package authn_test

import (
	"context"
	"fmt"
	"net/netip"
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

func TestKeysEndWhenTheOrganizationSays(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 30*days)
	ctx := context.Background()
	ann := n.person(n.add(t, "ann").ID)
	_, _, err := n.keys.Create(
		ctx,
		ann,
		authn.NewAPIKey{Workspace: identity.DefaultWorkspace, Name: "x", Expires: n.Now().Add(31 * days)},
	)
	if !problem.Is(err, problem.Invalid) || !strings.Contains(problem.Of(err).Detail, "at most 30 days") ||
		rule(err) != "SLUICE_API_KEY_MAX_DAYS" {
		t.Errorf("31 days: %v", err)
	}
	if _, _, err := n.keys.Create(ctx, ann,
		authn.NewAPIKey{Workspace: identity.DefaultWorkspace, Name: "x", Expires: n.Now()}); !problem.Is(
		err,
		problem.Invalid,
	) {
		t.Errorf("an end that is past: %v", err)
	}
	key, secret := n.make(ann, authn.NewAPIKey{})
	if d := key.ExpiresAt.Sub(key.IssuedAt); d != 30*days {
		t.Errorf("without a wish it lasts %s", d)
	}
	late := key.IssuedAt.Add(31 * days)
	if _, err := n.keys.Update(ctx, ann, key.ID, authn.APIKeyChange{Expires: &late}); !problem.Is(
		err,
		problem.Invalid,
	) {
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
		if _, _, err := n.keys.Rotate(ctx, ann, key.ID, authn.Rotation{Overlap: 7*days + time.Second}); !problem.Is(
			err,
			problem.Invalid,
		) {
			t.Errorf("an overlap of more than a week: %v", err)
		}
		n.step(days)
		rotated, second, err := n.keys.Rotate(ctx, ann, key.ID, authn.Rotation{Overlap: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if life := rotated.ExpiresAt.Sub(rotated.IssuedAt); rotated.ID != key.ID || rotated.Prefix != second[:12] ||
			life < 5*days-time.Second ||
			life > 5*days ||
			rotated.FormerUntil.IsZero() {
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

func TestKeyLife_NodesAndStreams(t *testing.T) {
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
	if _, err := one.keys.Update(ctx, ann, narrowed.ID,
		authn.APIKeyChange{Scope: &authn.KeyScope{Actions: []authz.Action{authz.FlowView}}}); err != nil {
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

func TestKeyLife_Usage(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ctx := context.Background()
	ann := n.person(n.add(t, "ann").ID)
	key, secret := n.make(ann, authn.NewAPIKey{
		Name: "  nightly run ", Networks: []string{"192.0.2.9",
			"10.1.2.3/8, ::ffff:192.0.2.0/120"}, PerMinute: 5, PerDay: 10,
		Scope: authn.KeyScope{
			Actions: []authz.Action{"chatflows:view", authz.FlowRun, authz.FlowRun},
			Flows:   []string{"b", "a"},
		},
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
	if since := n.Now().Sub(got.LastUsedAt); got.LastUsedIP != home.String() || since < 0 || since > 2*time.Minute ||
		got.LastUsedAt.Second() != 0 {
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

func TestKeyLife_CreateRefused(t *testing.T) {
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
	for _, a := range []authz.Action{authz.KeyOwn, authz.KeyManage, "keys:manage", authz.AccountFactors,
		authz.AccountUpdate, authz.KeyUse, authz.AccountSignIn} {
		if _, _, err := n.keys.Create(ctx, ann,
			authn.NewAPIKey{Name: "x", Workspace: identity.DefaultWorkspace,
				Scope: authn.KeyScope{Actions: []authz.Action{a}}}); err == nil {
			t.Errorf("a key may have %s", a)
		}
	}
	for _, bad := range []string{"", "10.0.0.0/33", "10.0.0", "fe80::1%eth0", "::ffff:10.0.0.0/8", "example.com",
		"10.0.0.0/8/8"} {
		if bad == "" {
			continue
		}
		if _, _, err := n.keys.Create(ctx, ann,
			authn.NewAPIKey{Name: "x", Workspace: identity.DefaultWorkspace, Networks: []string{bad}}); err == nil {
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

func TestKeyLife_StaleProof(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	gate, err := authz.NewGate(authz.Config{DB: n.db, StepUp: 15 * time.Minute, Now: n.Now, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close(context.Background())
	keys, err := authn.NewKeys(
		context.Background(),
		authn.KeyConfig{
			DB:       n.db,
			Gate:     gate,
			People:   n.people,
			TokenKey: []byte(strings.Repeat("k", 32)),
			Now:      n.Now,
			Log:      quiet,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	token, _ := n.signIn(t, n.add(t, "ann").ID)
	make := func() error {
		_, _, err := keys.Create(
			context.Background(),
			principalOf(n.node, token),
			authn.NewAPIKey{Name: "x", Workspace: identity.DefaultWorkspace},
		)
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

func TestKey_EndsExactlyWhenItSays(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 30*days)
	n.stop()
	ctx := context.Background()
	ann := n.person(n.add(t, "ann").ID)
	key, secret := n.make(ann, authn.NewAPIKey{Expires: n.Now().Add(30 * days)})
	if d := key.ExpiresAt.Sub(key.IssuedAt); d != 30*days {
		t.Errorf("the longest life lasts %s", d)
	}
	n.step(30*days - time.Millisecond)
	if _, err := n.use(secret); err != nil {
		t.Errorf("a millisecond before its end: %v", err)
	}
	n.step(time.Millisecond)
	if _, err := n.use(secret); rule(err) != "key expired" {
		t.Errorf("at its end: %v", err)
	}
	if _, _, err := n.keys.Rotate(ctx, ann, key.ID, authn.Rotation{}); !problem.Is(err, problem.Conflict) {
		t.Errorf("rotated at its end: %v", err)
	}
}

func TestRotate_Overlap(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ann := n.person(n.add(t, "ann").ID)
	key, _ := n.make(ann, authn.NewAPIKey{})
	for overlap, good := range map[time.Duration]bool{
		-time.Second:         false,
		0:                    true,
		7 * days:             true,
		7*days + time.Second: false,
	} {
		_, _, err := n.keys.Rotate(context.Background(), ann, key.ID, authn.Rotation{Overlap: overlap})
		if good && err != nil || !good && problem.Of(err).Detail != "The overlap must be between 0 and 7 days." {
			t.Errorf("%s: %v", overlap, err)
		}
	}
}

// TestRotate_LastsAsLongAsBefore: but not longer than keys may last by now.
func TestRotate_LastsAsLongAsBefore(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 30*days)
	n.stop()
	ann := n.person(n.add(t, "ann").ID)
	short, _ := n.make(ann, authn.NewAPIKey{Expires: n.Now().Add(5 * days)})
	long, _ := n.make(ann, authn.NewAPIKey{})
	strict := startKeys(t, n.db, 10*days)
	strict.stopped.Store(n.stopped.Load())
	for _, c := range []struct {
		keys *keyNode
		id   string
		want time.Duration
	}{{n, long.ID, 30 * days}, {n, short.ID, 5 * days}, {strict, short.ID, 5 * days}, {strict, long.ID, 10 * days}} {
		got, _, err := c.keys.keys.Rotate(context.Background(), ann, c.id, authn.Rotation{})
		if err != nil || got.ExpiresAt.Sub(got.IssuedAt) != c.want {
			t.Errorf("lasts %s, want %s (%v)", got.ExpiresAt.Sub(got.IssuedAt), c.want, err)
		}
	}
}

func TestKeys_InAWorkspace(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ctx := context.Background()
	other, err := n.people.CreateWorkspace(ctx, cli, "Other")
	if err != nil {
		t.Fatal(err)
	}
	ann, bob := n.add(t, "ann"), n.add(t, "bob")
	if err := n.people.SetRole(ctx, cli, ann.ID, other.ID, authz.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	here, _ := n.make(n.person(ann.ID), authn.NewAPIKey{Name: "here"})
	n.step(time.Second) // the newest is listed first
	there, _ := n.make(n.person(ann.ID), authn.NewAPIKey{Name: "there", Workspace: other.ID})
	names := func(p authz.Principal, f authn.KeyFilter) string {
		list, err := n.keys.List(ctx, p, f)
		if err != nil {
			return problem.Of(err).Kind.String()
		}
		out := ""
		for _, k := range list {
			out += k.Name + " "
		}
		return out
	}
	for what, c := range map[string]struct{ got, want string }{
		"one's own": {names(n.person(ann.ID), authn.KeyFilter{}), "there here "},
		"one's own in a workspace": {names(n.person(ann.ID), authn.KeyFilter{Owner: ann.ID, Workspace: other.ID}),
			"there "},
		"all of a workspace": {names(n.person(ann.ID), authn.KeyFilter{Workspace: other.ID}), "there "},
		"of a workspace of others": {names(n.person(bob.ID), authn.KeyFilter{Workspace: other.ID}),
			problem.NotFound.String()},
		"of a workspace that is none": {names(cli, authn.KeyFilter{Workspace: "none"}), problem.NotFound.String()},
		"of somebody, everywhere":     {names(cli, authn.KeyFilter{Owner: ann.ID}), "there here "},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", what, c.got, c.want)
		}
	}
	if k, err := n.keys.GetIn(ctx, n.person(ann.ID), other.ID, there.ID); err != nil || k.Name != "there" {
		t.Errorf("a key of the workspace: %+v, %v", k, err)
	}
	if k, err := n.keys.GetIn(ctx, n.person(ann.ID), other.ID, here.ID); !problem.Is(err, problem.NotFound) ||
		k.ID != "" {
		t.Errorf("a key of another workspace: %+v, %v", k, err)
	}
	if k, err := n.keys.GetIn(ctx, n.person(bob.ID), other.ID, there.ID); !problem.Is(err, problem.NotFound) ||
		k.ID != "" {
		t.Errorf("asked by somebody from elsewhere: %+v, %v", k, err)
	}
}

func TestKeys_AreMadeByTheirOwnerOrTheCommandLine(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ann, bob := n.add(t, "ann"), n.add(t, "bob")
	k := authn.NewAPIKey{Owner: ann.ID, Name: "x", Workspace: identity.DefaultWorkspace, PerMinute: 1_000_000_000}
	for name, c := range map[string]struct {
		actor authz.Principal
		rule  string
	}{
		"the owner":        {n.person(ann.ID), ""},
		"the command line": {cli, ""},
		"somebody else":    {n.person(bob.ID), "owner only"},
	} {
		made, _, err := n.keys.Create(context.Background(), c.actor, k)
		if rule(err) != c.rule || err == nil && made.Name != "x" {
			t.Errorf("%s: %+v, %v", name, made, err)
		}
	}
}

func TestUpdate_ReturnsTheChangedKey(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ann := n.person(n.add(t, "ann").ID)
	key, _ := n.make(ann, authn.NewAPIKey{})
	name := "renamed"
	got, err := n.keys.Update(context.Background(), ann, key.ID, authn.APIKeyChange{Name: &name})
	if err != nil || got.ID != key.ID || got.Name != name {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestImportedKeyHash_TakesWhatCanBeAKey(t *testing.T) {
	for text, want := range map[string]bool{
		"sk-" + strings.Repeat("a", 16):  false,
		"sk-" + strings.Repeat("a", 17):  true,
		"sk-" + strings.Repeat("a", 197): true,
		"sk-" + strings.Repeat("a", 198): false,
		strings.Repeat("a", 40):          false,
		"sk-" + strings.Repeat(" ", 17):  false,
	} {
		if _, ok := authn.ImportedKeyHash(text); ok != want {
			t.Errorf("%.30q of %d: %v, want %v", text, len(text), ok, want)
		}
	}
}

// TestMaintain_ForgetsOldKeys: a key is kept for thirty days after it expires, so that its user
// gets the reason. The entry that replaces it in memory contains nothing of it.
func TestMaintain_ForgetsOldKeys(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	n.stop()
	ctx := context.Background()
	ann := n.person(n.add(t, "ann").ID)
	maintain := func() {
		t.Helper()
		if err := n.keys.Maintain(ctx, n.Now()); err != nil {
			t.Fatal(err)
		}
	}
	var old []string
	for range 3 {
		_, secret := n.make(ann, authn.NewAPIKey{
			Expires:  n.Now().Add(days),
			Networks: []string{"192.0.2.0/24"},
			Scope:    authn.KeyScope{Flows: []string{"old"}},
		})
		old = append(old, secret)
	}
	n.step(31*days - time.Minute)
	maintain()
	for i, secret := range old {
		if _, err := n.use(secret); rule(err) != "key expired" {
			t.Errorf("key %d within thirty days of its end: %v", i, err)
		}
	}
	n.step(2 * time.Minute)
	maintain()
	list, err := n.keys.List(ctx, ann, authn.KeyFilter{})
	if err != nil || len(list) != 0 {
		t.Errorf("%d keys are left, %v", len(list), err)
	}
	for i, secret := range old {
		if _, err := n.use(secret); err == nil || rule(err) == "key expired" {
			t.Errorf("key %d after thirty days: %v", i, err)
		}
	}
	for i := range 5 {
		flows := []string{fmt.Sprintf("f%d", i)}
		key, secret := n.make(ann, authn.NewAPIKey{Scope: authn.KeyScope{Flows: flows}})
		c, err := n.ask("X-Api-Key", secret, netip.MustParseAddr("198.51.100.1"))
		if err != nil || c.Principal.KeyID != key.ID {
			t.Errorf("new key %d: %+v, %v", i, c.Principal, err)
			continue
		}
		if diff := cmp.Diff(flows, c.Principal.Scope.Flows); diff != "" {
			t.Errorf("new key %d: %s", i, diff)
		}
	}
	for i, secret := range old {
		if c, err := n.use(secret); err == nil {
			t.Errorf("old key %d is %s now", i, c.Principal.KeyID)
		}
	}
}

// TestScopes_ThatKeysShare: a scope that several keys have stays as long as one of them has it.
func TestScopes_ThatKeysShare(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ctx := context.Background()
	ann := n.person(n.add(t, "ann").ID)
	scope := authn.KeyScope{Flows: []string{"shared"}}
	first, _ := n.make(ann, authn.NewAPIKey{Scope: scope})
	second, _ := n.make(ann, authn.NewAPIKey{Scope: scope})
	_, third := n.make(ann, authn.NewAPIKey{Scope: scope})
	for i, id := range []string{first.ID, second.ID} {
		other := authn.KeyScope{Flows: []string{fmt.Sprintf("f%d", i)}}
		if _, err := n.keys.Update(ctx, ann, id, authn.APIKeyChange{Scope: &other}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := n.use(third)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(scope.Flows, c.Principal.Scope.Flows); diff != "" {
		t.Error(diff)
	}
}

func TestCreate_Bounds(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	ann := n.person(n.add(t, "ann").ID)
	many := func(count int, format string) (out []string) {
		for i := range count {
			out = append(out, fmt.Sprintf(format, i))
		}
		return out
	}
	actions := func(count int) (out []authz.Action) {
		for range count {
			out = append(out, authz.FlowRun)
		}
		return out
	}
	long := strings.Repeat("a", 100)
	for name, c := range map[string]struct {
		most, more authn.NewAPIKey
		field      string
	}{
		"name": {authn.NewAPIKey{Name: long}, authn.NewAPIKey{Name: long + "a"}, "name"},
		"actions": {authn.NewAPIKey{Scope: authn.KeyScope{Actions: actions(64)}},
			authn.NewAPIKey{Scope: authn.KeyScope{Actions: actions(65)}}, "scope"},
		"apps": {
			authn.NewAPIKey{Scope: authn.KeyScope{Apps: many(50, "a%d")}},
			authn.NewAPIKey{Scope: authn.KeyScope{Apps: many(51, "a%d")}},
			"scope",
		},
		"flows": {
			authn.NewAPIKey{Scope: authn.KeyScope{Flows: many(200, "f%d")}},
			authn.NewAPIKey{Scope: authn.KeyScope{Flows: many(201, "f%d")}},
			"scope",
		},
		"id": {
			authn.NewAPIKey{Scope: authn.KeyScope{Flows: []string{long, "!~"}}},
			authn.NewAPIKey{Scope: authn.KeyScope{Flows: []string{long + "a"}}},
			"flows",
		},
		"characters of an id": {
			authn.NewAPIKey{Scope: authn.KeyScope{Apps: []string{"~"}}},
			authn.NewAPIKey{Scope: authn.KeyScope{Apps: []string{"\x7f"}}},
			"apps",
		},
		"networks": {
			authn.NewAPIKey{Networks: many(50, "10.0.%d.0/24")},
			authn.NewAPIKey{Networks: many(51, "10.0.%d.0/24")},
			"networks",
		},
		"IPv4 as IPv6": {
			authn.NewAPIKey{Networks: []string{"::ffff:0.0.0.0/96"}},
			authn.NewAPIKey{Networks: []string{"::ffff:0.0.0.0/95"}},
			"networks",
		},
		"requests": {authn.NewAPIKey{PerDay: 1_000_000_000}, authn.NewAPIKey{PerDay: 1_000_000_001}, "per_day"},
	} {
		for _, k := range []*authn.NewAPIKey{&c.most, &c.more} {
			k.Workspace = identity.DefaultWorkspace
			if k.Name == "" {
				k.Name = "ci"
			}
		}
		if _, _, err := n.keys.Create(context.Background(), ann, c.most); err != nil {
			t.Errorf("%s, the most: %v", name, err)
		}
		if _, _, err := n.keys.Create(context.Background(), ann, c.more); problem.Of(err).Field != c.field {
			t.Errorf("%s, more: %v", name, err)
		}
	}
}

// TestMaintain_NotesEachKeysUse: to the minute, and no use again that comes within a minute of a
// noted one.
func TestMaintain_NotesEachKeysUse(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	minute := time.Now().UTC().Truncate(time.Minute)
	n.stopped.Store(minute.Add(30 * time.Second).UnixNano())
	ctx := context.Background()
	ann := n.person(n.add(t, "ann").ID)
	secrets := map[string]string{}
	for range 3 {
		key, secret := n.make(ann, authn.NewAPIKey{})
		secrets[key.ID] = secret
	}
	for _, c := range []struct {
		step time.Duration
		want time.Time
	}{
		{0, minute},
		{time.Minute - time.Millisecond, minute},
		{time.Millisecond, minute.Add(time.Minute)},
	} {
		n.step(c.step)
		for _, secret := range secrets {
			if _, err := n.use(secret); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.keys.Maintain(ctx, n.Now()); err != nil {
			t.Fatal(err)
		}
		for id := range secrets {
			if key, err := n.keys.Get(ctx, ann, id); err != nil || !key.LastUsedAt.Equal(c.want) {
				t.Errorf("used at %s, noted is %s, want %s (%v)", n.Now().UTC(), key.LastUsedAt, c.want, err)
			}
		}
	}
}

// TestRotate_TheFormerSecretEndsWithTheOverlap: to the millisecond, also for those who look at the
// key.
func TestRotate_TheFormerSecretEndsWithTheOverlap(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	n.stop()
	ctx := context.Background()
	ann := n.person(n.add(t, "ann").ID)
	key, former := n.make(ann, authn.NewAPIKey{})
	if _, _, err := n.keys.Rotate(ctx, ann, key.ID, authn.Rotation{Overlap: time.Hour}); err != nil {
		t.Fatal(err)
	}
	end := n.Now().Add(time.Hour)
	for _, c := range []struct {
		step time.Duration
		rule string
		told time.Time
	}{{time.Hour - time.Millisecond, "", end.UTC()}, {time.Millisecond, "key rotated", time.Time{}}} {
		n.step(c.step)
		if _, err := n.use(former); rule(err) != c.rule {
			t.Errorf("%s before the end: %v, want the rule %q", end.Sub(n.Now()), err, c.rule)
		}
		if got, err := n.keys.Get(ctx, ann, key.ID); err != nil || !got.FormerUntil.Equal(c.told) {
			t.Errorf(
				"%s before the end: its end is told as %s, want %s (%v)",
				end.Sub(n.Now()),
				got.FormerUntil,
				c.told,
				err,
			)
		}
	}
}

// TestStreams_EndWithTheirKey: when the key expires, and not before.
func TestStreams_EndWithTheirKey(t *testing.T) {
	n := startKeys(t, dbtest.SQLite(t), 0)
	n.stop()
	key, _ := n.make(n.person(n.add(t, "ann").ID), authn.NewAPIKey{Expires: n.Now().Add(time.Hour)})
	stream := n.keys.Done(key.ID)
	for _, c := range []struct {
		step  time.Duration
		ended bool
	}{{time.Hour - time.Millisecond, false}, {time.Millisecond, true}} {
		n.step(c.step)
		if err := n.keys.Maintain(context.Background(), n.Now()); err != nil {
			t.Fatal(err)
		}
		ended := false
		select {
		case <-stream:
			ended = true
		default:
		}
		if ended != c.ended {
			t.Errorf("%s before the key's end: the stream has ended: %v", key.ExpiresAt.Sub(n.Now()), ended)
		}
	}
}
