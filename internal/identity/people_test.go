package identity_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/problem"
)

var cli = authz.SystemPrincipal("cli")

const password = "nobody waters the plastic ferns"

// people is the capability together with the gate that it works behind.
type people struct {
	*identity.People
	gate *authz.Gate
}

func newPeople(t testing.TB, d *db.DB) *people {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	gate, err := authz.NewGate(authz.Config{DB: d, Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	hasher := identity.NewHasher(bcrypt.MinCost, nil)
	p, err := identity.New(context.Background(), identity.Config{
		DB: d, Gate: gate, Hasher: hasher, Now: time.Now, Log: log,
		Hooks: identity.Hooks{
			Disabled:         authn.EndDisabled,
			Removed:          flow.HandOver,
			WorkspaceDeleted: flow.ForgetProjects,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gate.Close(context.Background()); hasher.Close() })
	return &people{People: p, gate: gate}
}

func add(t testing.TB, p *people, n identity.NewUser) identity.User {
	t.Helper()
	n.Active = true
	u, err := p.Create(context.Background(), cli, n)
	if err != nil {
		t.Fatalf("adding %s: %v", n.Username, err)
	}
	return u
}

func principal(t testing.TB, p *people, id string) authz.Principal {
	t.Helper()
	who, ok := p.Principal(id)
	if !ok {
		t.Fatalf("%s is not in the directory, or inactive", id)
	}
	return who
}

func TestCreateAndFind(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		p, ctx := newPeople(t, d), context.Background()
		u := add(
			t,
			p,
			identity.NewUser{
				Username: "Ann",
				Email:    "Ann@Example.com",
				Name:     "Ann  Archer",
				Password: password,
				Role:     authz.RoleUser,
			},
		)
		if u.Name != "Ann Archer" || u.Role != authz.RoleUser || !u.HasPassword || u.Superuser || !u.Active {
			t.Errorf("made %+v", u)
		}
		for _, name := range []string{"ann", "ANN", " ann@example.com "} {
			if got, err := p.Find(ctx, cli, name); err != nil || got.ID != u.ID {
				t.Errorf("Find(%q) = %v, %v", name, got.ID, err)
			}
		}
		if _, err := p.Find(ctx, cli, "nobody"); !problem.Is(err, problem.NotFound) {
			t.Errorf("Find(nobody) = %v", err)
		}
		add(t, p, identity.NewUser{Username: "bob"})
		add(t, p, identity.NewUser{Username: "carl"})
		for _, n := range []identity.NewUser{{Username: "ANN"}, {Username: "other", Email: "ann@example.COM"}} {
			if _, err := p.Create(ctx, cli, n); !problem.Is(err, problem.Conflict) {
				t.Errorf("Create(%+v) = %v, want conflict", n, err)
			}
		}
	})
}

func TestCreate_BadInput(t *testing.T) {
	t.Parallel()
	p := newPeople(t, dbtest.SQLite(t))
	for name, c := range map[string]struct {
		user  identity.NewUser
		field string
	}{
		"empty username":     {identity.NewUser{}, "username"},
		"blank in username":  {identity.NewUser{Username: "a b"}, "username"},
		"at in username":     {identity.NewUser{Username: "a@b"}, "username"},
		"confusable":         {identity.NewUser{Username: "аnn"}, "username"},
		"long username":      {identity.NewUser{Username: strings.Repeat("a", 65)}, "username"},
		"no address":         {identity.NewUser{Username: "ann", Email: "ann"}, "email"},
		"header in address":  {identity.NewUser{Username: "ann", Email: "ann@example.com\r\nBcc: x@y.z"}, "email"},
		"name with address":  {identity.NewUser{Username: "ann", Email: "Ann <ann@example.com>"}, "email"},
		"long address":       {identity.NewUser{Username: "ann", Email: strings.Repeat("a", 250) + "@x.yz"}, "email"},
		"control in name":    {identity.NewUser{Username: "ann", Name: "Ann\x00"}, "name"},
		"direction override": {identity.NewUser{Username: "ann", Name: "Ann\u202egnp.exe"}, "name"},
		"long name":          {identity.NewUser{Username: "ann", Name: strings.Repeat("n", 101)}, "name"},
		"unknown role":       {identity.NewUser{Username: "ann", Role: "root"}, "role"},
		"weak password":      {identity.NewUser{Username: "ann", Password: "hunter2"}, "password"},
	} {
		_, err := p.Create(context.Background(), cli, c.user)
		if e := problem.Of(err); e.Kind != problem.Invalid || e.Field != c.field {
			t.Errorf("%s: %v (field %q), want invalid %s", name, err, e.Field, c.field)
		}
	}
}

func TestList_SearchAndPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		p, ctx := newPeople(t, d), context.Background()
		for i := range 25 {
			add(t, p, identity.NewUser{Username: fmt.Sprintf("user%02d", i), Name: "Person_" + fmt.Sprint(i)})
		}
		page, total, err := p.List(ctx, cli, identity.Filter{Limit: 10, Offset: 20})
		if err != nil || total != 25 || len(page) != 5 || page[0].Username != "user20" {
			t.Errorf("third page: %d of %d, %v", len(page), total, err)
		}
		for query, want := range map[string]int{"USER2": 5, "person_1": 11, "%": 0, "_": 25, "!": 0, "x": 0,
			strings.Repeat("u", 500): 0} {
			if _, total, err := p.List(ctx, cli, identity.Filter{Query: query}); err != nil || total != want {
				t.Errorf("search %.20q finds %d (%v), want %d", query, total, err, want)
			}
		}
	})
}

func TestRoles_EveryNode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := newPeople(t, dbtest.Open(t, db.Config{Folder: dir, Now: time.Now}))
	two := newPeople(t, dbtest.Open(t, db.Config{Folder: dir, Now: time.Now}))
	ctx := context.Background()
	u := add(t, one, identity.NewUser{Username: "ann", Role: authz.RoleViewer})
	before := principal(t, one, u.ID)
	if err := one.SetRole(ctx, cli, u.ID, identity.DefaultWorkspace, authz.RoleUser); err != nil {
		t.Fatal(err)
	}
	after := principal(t, one, u.ID)
	if after.Role(identity.DefaultWorkspace) != authz.RoleUser || after.Generation <= before.Generation {
		t.Errorf("on this node: %+v", after)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		if who, ok := two.Principal(u.ID); ok && who.Role(identity.DefaultWorkspace) == authz.RoleUser {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the other node never heard of it")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestRights(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	p, ctx := newPeople(t, d), context.Background()
	root := add(t, p, identity.NewUser{Username: "root", Superuser: true, Role: authz.RoleAdmin})
	admin := principal(t, p, add(t, p, identity.NewUser{Username: "adam", Role: authz.RoleAdmin}).ID)
	viewer := principal(t, p, add(t, p, identity.NewUser{Username: "vic", Role: authz.RoleViewer}).ID)
	denied := map[string]error{
		"admin adds an account":    first(p.Create(ctx, admin, identity.NewUser{Username: "new"})),
		"admin lists all accounts": second(p.List(ctx, admin, identity.Filter{})),
		"viewer lists":             second(p.List(ctx, viewer, identity.Filter{})),
		"viewer reads another":     first(p.Get(ctx, viewer, root.ID)),
		"viewer creates":           first(p.Create(ctx, viewer, identity.NewUser{Username: "x"})),
		"viewer raises herself":    p.SetRole(ctx, viewer, viewer.ID, identity.DefaultWorkspace, authz.RoleAdmin),
		"viewer disables nobody": p.Update(
			ctx,
			viewer,
			"no-such-id",
			identity.UserUpdate{Active: problem.Some(false)},
		),
		"admin makes a superuser": p.Update(
			ctx,
			admin,
			viewer.ID,
			identity.UserUpdate{Superuser: problem.Some(true)},
		),
		"admin adds a superuser":       first(p.Create(ctx, admin, identity.NewUser{Username: "y", Superuser: true})),
		"admin disables the superuser": p.Update(ctx, admin, root.ID, identity.UserUpdate{Active: problem.Some(false)}),
	}
	for what, err := range denied {
		if !problem.Is(err, problem.Denied) {
			t.Errorf("%s: %v, want denied", what, err)
		}
	}
	if u, err := p.Get(ctx, viewer, viewer.ID); err != nil || u.Username != "vic" {
		t.Errorf("people may not see themselves: %v", err)
	}
	p.gate.Flush(ctx)
	list, err := audit.After(ctx, d, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	recorded := 0
	for _, e := range list {
		if e.Outcome == audit.Denied {
			recorded += int(e.Times)
		}
	}
	if recorded < len(denied) {
		t.Errorf("%d refusals are recorded, of %d", recorded, len(denied))
	}
}

func TestUpdate_LastSuperuser(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		p, ctx := newPeople(t, d), context.Background()
		if p.HasAdmin() {
			t.Fatal("an empty installation has an admin")
		}
		a := add(t, p, identity.NewUser{Username: "aa", Superuser: true})
		b := add(t, p, identity.NewUser{Username: "bb", Superuser: true})
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, u := range []identity.User{a, b} {
			wg.Go(func() { errs[i] = p.Update(ctx, cli, u.ID, identity.UserUpdate{Active: problem.Some(false)}) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("both at once: %v and %v; exactly one must be refused", errs[0], errs[1])
		}
		if !p.HasAdmin() {
			t.Error("nobody is left")
		}
		for _, u := range []identity.User{a, b} {
			if _, active := p.Principal(u.ID); active {
				if err := p.Update(ctx, cli, u.ID, identity.UserUpdate{Superuser: problem.Some(false)}); !problem.Is(
					err,
					problem.Conflict,
				) {
					t.Errorf("demoting the last one: %v, want conflict", err)
				}
			}
		}
	})
}

func first[T any](_ T, err error) error          { return err }
func second[T, U any](_ T, _ U, err error) error { return err }
