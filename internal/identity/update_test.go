package identity_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/audit"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

// details are the details of the audit entries about people and members after a position, with
// their outcomes.
func details(t *testing.T, p *people, d *db.DB, after int64) (out []string) {
	t.Helper()
	p.gate.Flush(context.Background())
	entries, err := audit.After(context.Background(), d, after, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, string(e.Outcome)+": "+e.Detail)
	}
	return out
}

func last(t *testing.T, p *people, d *db.DB) int64 {
	t.Helper()
	p.gate.Flush(context.Background())
	n, err := audit.Last(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestUpdate_AllOrNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		p, ctx := newPeople(t, d), context.Background()
		ann := add(t, p, identity.NewUser{Username: "ann", Name: "Ann", Email: "ann@example.com", Role: authz.RoleUser})
		add(t, p, identity.NewUser{Username: "bob", Email: "bob@example.com"})
		root := principal(t, p, add(t, p, identity.NewUser{Username: "root", Superuser: true}).ID)
		admin := principal(t, p, add(t, p, identity.NewUser{Username: "adm", Role: authz.RoleAdmin}).ID)
		off, on := problem.Some(false), problem.Some(true)
		for name, c := range map[string]struct {
			actor authz.Principal
			id    string
			u     identity.UserUpdate
			want  problem.Kind
		}{
			"a name that is taken": {root, ann.ID, identity.UserUpdate{Active: off, Username: problem.Some("bob")},
				problem.Conflict},
			"an address that is taken": {root, ann.ID,
				identity.UserUpdate{Superuser: on, Email: problem.Some("BOB@example.com")}, problem.Conflict},
			"a bad name": {root, ann.ID, identity.UserUpdate{Active: off, Username: problem.Some("a b")},
				problem.Invalid},
			"no such role": {root, ann.ID,
				identity.UserUpdate{Name: problem.Some("X"), Role: problem.Some("none")}, problem.Invalid},
			"a right too few": {admin, ann.ID, identity.UserUpdate{Role: problem.Some("viewer"), Superuser: on},
				problem.Denied},
			"the last superuser": {root, root.ID, identity.UserUpdate{Name: problem.Some("X"), Superuser: off},
				problem.Conflict},
			"others' preferences": {root, ann.ID,
				identity.UserUpdate{Active: off, Preferences: problem.Some(json.RawMessage(`{}`))}, problem.Denied},
		} {
			before, err := p.Get(ctx, cli, c.id)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Update(ctx, c.actor, c.id, c.u); !problem.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
			if after, err := p.Get(ctx, cli, c.id); err != nil || !cmp.Equal(before, after) {
				t.Errorf("%s: something was changed: %s, %v", name, cmp.Diff(before, after), err)
			}
		}
	})
}

func TestUpdate_TwoFieldsAreTwoEntries(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		p, ctx := newPeople(t, d), context.Background()
		ann := add(t, p, identity.NewUser{Username: "ann", Email: "ann@example.com", Role: authz.RoleUser})
		add(t, p, identity.NewUser{Username: "root", Superuser: true})
		seq := last(t, p, d)
		u := identity.UserUpdate{
			Username:  problem.Some("anna"),
			Role:      problem.Some(authz.RoleAdmin),
			Superuser: problem.Some(true),
			Active:    problem.Some(false),
		}
		if err := p.Update(ctx, cli, ann.ID, u); err != nil {
			t.Fatal(err)
		}
		want := []string{"done: names changed", "done: ann: User to Admin", "done: superuser on", "done: disabled"}
		if diff := cmp.Diff(want, details(t, p, d, seq)); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		got, err := p.Get(ctx, cli, ann.ID)
		if err != nil || got.Username != "anna" || got.Role != authz.RoleAdmin || !got.Superuser || got.Active {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestUpdate_AFailureIsRecordedAlone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		p, ctx := newPeople(t, d), context.Background()
		root := add(t, p, identity.NewUser{Username: "root", Superuser: true})
		seq := last(t, p, d)
		u := identity.UserUpdate{Name: problem.Some("Root"), Active: problem.Some(false)}
		if err := p.Update(ctx, cli, root.ID, u); !problem.Is(err, problem.Conflict) {
			t.Fatal(err)
		}
		want := []string{"failed: root is the last active superuser."}
		if diff := cmp.Diff(want, details(t, p, d, seq)); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
	})
}

func TestUpdate_AbsentFieldsStay(t *testing.T) {
	t.Parallel()
	p, ctx := newPeople(t, dbtest.SQLite(t)), context.Background()
	ann := add(t, p, identity.NewUser{Username: "ann", Name: "Ann", Email: "ann@example.com", EmailVerified: true})
	for _, c := range []struct {
		u                     identity.UserUpdate
		username, name, email string
		verified              bool
	}{
		{identity.UserUpdate{}, "ann", "Ann", "ann@example.com", true},
		{identity.UserUpdate{Name: problem.Some("Ann  Other")}, "ann", "Ann Other", "ann@example.com", true},
		{identity.UserUpdate{Username: problem.Some("anna")}, "anna", "Ann Other", "ann@example.com", true},
		{identity.UserUpdate{Email: problem.Some("new@example.com")}, "anna", "Ann Other", "new@example.com", false},
		{identity.UserUpdate{Email: problem.Opt[string]{Set: true, Null: true}}, "anna", "Ann Other", "", false},
		{identity.UserUpdate{Name: problem.Some("")}, "anna", "", "", false},
	} {
		if err := p.Update(ctx, cli, ann.ID, c.u); err != nil {
			t.Fatalf("%+v: %v", c.u, err)
		}
		got, err := p.Get(ctx, cli, ann.ID)
		if err != nil || got.Username != c.username || got.Name != c.name || got.Email != c.email ||
			got.EmailVerified != c.verified {
			t.Errorf("%+v: %+v, %v", c.u, got, err)
		}
	}
}

func TestUpdate_OwnName(t *testing.T) {
	t.Parallel()
	p, ctx := newPeople(t, dbtest.SQLite(t)), context.Background()
	ann := principal(t, p, add(t, p, identity.NewUser{Username: "ann", Role: authz.RoleViewer}).ID)
	bob := add(t, p, identity.NewUser{Username: "bob", Role: authz.RoleViewer})
	name := identity.UserUpdate{Name: problem.Some("New"), Own: true}
	if err := p.Update(ctx, ann, ann.ID, name); err != nil {
		t.Errorf("one's own name: %v", err)
	}
	if err := p.Update(ctx, ann, bob.ID, name); !problem.Is(err, problem.Denied) {
		t.Errorf("somebody else's name: %v", err)
	}
	for _, u := range []identity.UserUpdate{
		{Name: problem.Some("Newer")},
		{Name: problem.Some("Newer"), Username: problem.Some("anna"), Own: true},
		{Name: problem.Some("Newer"), Email: problem.Some("a@example.com"), Own: true},
	} {
		if err := p.Update(ctx, ann, ann.ID, u); !problem.Is(err, problem.Denied) {
			t.Errorf("%+v: %v", u, err)
		}
	}
	if got, err := p.Get(ctx, cli, ann.ID); err != nil || got.Name != "New" || got.Username != "ann" ||
		got.Email != "" {
		t.Errorf("%+v, %v", got, err)
	}
}
