package identity_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

func TestPreferences(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		p, ctx := newPeople(t, d), context.Background()
		ann := principal(t, p, add(t, p, identity.NewUser{Username: "ann"}).ID)
		bob := add(t, p, identity.NewUser{Username: "bob"})
		const want = `{"langflow":{"profile_image":"Space/a.svg"}}`
		if err := p.Update(ctx, ann, ann.ID,
			identity.UserUpdate{Preferences: problem.Some(json.RawMessage(want))}); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"", "[]", `{"a":`, `{"a":"` + strings.Repeat("x", 4<<10) + `"}`} {
			if err := p.Update(ctx, ann, ann.ID,
				identity.UserUpdate{Preferences: problem.Some(json.RawMessage(bad))}); problem.Of(
				err,
			).Field != "preferences" {
				t.Errorf("Update(%.20q) = %v", bad, err)
			}
		}
		if u, err := p.Get(ctx, cli, ann.ID); err != nil || u.Preferences != want {
			t.Errorf("Get = %q, %v", u.Preferences, err)
		}
		if u, err := p.Get(ctx, cli, bob.ID); err != nil || u.Preferences != "" {
			t.Errorf("somebody else's: %q, %v", u.Preferences, err)
		}
		list, _, err := p.List(ctx, cli, identity.Filter{})
		if err != nil || len(list) != 2 || list[0].Preferences != want || list[0].UpdatedAt.IsZero() {
			t.Errorf("List = %+v, %v", list, err)
		}
		if err := p.Update(ctx, authz.Principal{}, authz.Principal{}.ID,
			identity.UserUpdate{Preferences: problem.Some(json.RawMessage("{}"))}); err == nil {
			t.Error("a stranger keeps preferences")
		}
	})
}
