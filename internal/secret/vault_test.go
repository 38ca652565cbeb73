package secret_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	qaudit "sluice/internal/db/q/audit"
	q "sluice/internal/db/q/secret"
	"sluice/internal/dbtest"
	"sluice/internal/flow"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

var operator = authz.SystemPrincipal("cli")

// strongbox is a vault with people and two workspaces.
type strongbox struct {
	*secret.Vault
	opener *secret.Opener
	ring   *secret.Keyring
	people *identity.People
	gate   *authz.Gate
	db     *db.DB
	other  string // the second workspace
}

func openVault(t *testing.T, d *db.DB) *strongbox {
	t.Helper()
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	ring := open(t, d, t.TempDir())
	gate, err1 := authz.NewGate(authz.Config{DB: d, Now: time.Now, Log: log})
	hasher := identity.NewHasher(bcrypt.MinCost, nil)
	people, err2 := identity.New(ctx, identity.Config{
		DB: d, Gate: gate, Hasher: hasher, Now: time.Now, Log: log,
		Hooks: identity.Hooks{
			Disabled:         authn.EndDisabled,
			Removed:          flow.HandOver,
			WorkspaceDeleted: flow.ForgetProjects,
		},
	})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gate.Close(ctx); hasher.Close() })
	w, err := people.CreateWorkspace(ctx, operator, "Other")
	if err != nil {
		t.Fatal(err)
	}
	v, opener := secret.NewVault(secret.VaultConfig{DB: d, Gate: gate, People: people, Keyring: ring, Now: time.Now})
	return &strongbox{v, opener, ring, people, gate, d, w.ID}
}

// person is a person with a role in a workspace; the vault needs nothing else about people.
func person(workspace, role string) authz.Principal {
	return authz.Principal{
		Kind:        authz.Person,
		Strong:      true,
		ID:          workspace + role,
		Name:        role,
		Memberships: []authz.Membership{{Workspace: workspace, Role: role}},
	}
}

const canary = "sk-canary-9f1c"

func (s *strongbox) add(t *testing.T, name string, roles ...string) secret.Credential {
	t.Helper()
	c, err := s.Create(context.Background(), person("default", "admin"), "default", secret.NewCredential{
		Name: name, Kind: "openAIApi", Values: map[string]string{"openAIApiKey": canary, "organization": "acme"},
		Roles: roles,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestVault_NeverShown(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := context.Background(), openVault(t, d)
		made := s.add(t, "  OpenAI   main ", "user")
		got, err := s.Get(ctx, operator, "default", made.ID)
		if err != nil || got.Name != "OpenAI main" ||
			!cmp.Equal(got.Fields, []string{"openAIApiKey", "organization"}) ||
			!cmp.Equal(got.Roles, []string{"user"}) {
			t.Fatalf("Get = %+v, %v", got, err)
		}
		if text := fmt.Sprintf("%+v %#v", got, got); strings.Contains(text, canary) {
			t.Errorf("what may be seen holds the value: %s", text)
		}
		row, err := q.New(d.Read()).GetCredential(ctx, q.GetCredentialParams{ID: made.ID, WorkspaceID: "default"})
		if err != nil || strings.Contains(fmt.Sprintf("%+v", row), canary) {
			t.Errorf("the row holds the value in clear: %+v, %v", row, err)
		}
		opened, err := s.opener.Open(ctx, operator, "default", made.ID, "a1")
		if want := map[string]string{"openAIApiKey": canary, "organization": "acme"}; err != nil ||
			!cmp.Equal(opened.Values, want) {
			t.Errorf("Open = %v, %v", opened.Values, err)
		}
		_, err = s.Create(
			ctx,
			operator,
			"default",
			secret.NewCredential{Name: "openai MAIN", Kind: "x", Values: map[string]string{"a": "b"}},
		)
		if !problem.Is(err, problem.Conflict) || problem.Of(err).Field != "name" {
			t.Errorf("a second one with the name = %v, want a conflict", err)
		}
		if _, err = s.Create(ctx, operator, s.other,
			secret.NewCredential{Name: "openai MAIN", Kind: "x", Values: map[string]string{"a": "b"}}); err != nil {
			t.Errorf("the same name in another workspace = %v", err)
		}
	})
}

func TestVault_MovedCredential(t *testing.T) {
	t.Parallel()
	ctx, d := context.Background(), dbtest.SQLite(t)
	s := openVault(t, d)
	made, twin := s.add(t, "one"), s.add(t, "two")
	row, err := q.New(d.Read()).GetCredential(ctx, q.GetCredentialParams{ID: made.ID, WorkspaceID: "default"})
	if err != nil {
		t.Fatal(err)
	}
	move := func(from, to string) {
		t.Helper()
		err := d.Gated(ctx, func(tx *db.Tx) error {
			_, err := q.New(tx).DeleteCredential(ctx, q.DeleteCredentialParams{ID: row.ID, WorkspaceID: from})
			return errors.Join(err, q.New(tx).InsertCredential(ctx, q.InsertCredentialParams{
				ID: row.ID, WorkspaceID: to, Name: row.Name, NameKey: row.NameKey, Kind: row.Kind, Fields: row.Fields,
				DataSealed: row.DataSealed, CreatedAt: row.CreatedAt,
			}))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	move("default", s.other)
	if got, err := s.opener.Open(ctx, operator, s.other, made.ID, "a1"); err == nil ||
		problem.Is(err, problem.NotFound) {
		t.Errorf("moved to another workspace: %v, %v; want that it is there and does not open", got.Fields, err)
	}
	move(s.other, "default")
	if _, err := s.opener.Open(ctx, operator, "default", made.ID, "a1"); err != nil {
		t.Errorf("moved back it does not open: %v", err)
	}
	other, err := q.New(d.Read()).GetCredential(ctx, q.GetCredentialParams{ID: twin.ID, WorkspaceID: "default"})
	if err == nil {
		column := db.SealedColumn{Table: "credential", Column: "data_sealed", Row: "id"}
		err = d.Gated(ctx, func(tx *db.Tx) error {
			return tx.ReplaceSealed(ctx, column, db.SealedValue{Row: twin.ID, Text: other.DataSealed}, row.DataSealed)
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.opener.Open(ctx, operator, "default", twin.ID, "a1"); err == nil {
		t.Error("the value of one row opens in another one")
	}
}

func TestVault_Permissions(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), openVault(t, dbtest.SQLite(t))
	shared, private := s.add(t, "shared", "user", "viewer"), s.add(t, "private")
	foreign := person(s.other, "admin")
	for _, c := range []struct {
		who               authz.Principal
		sees              int
		shared, private   problem.Kind // of Get
		use, manage, list problem.Kind
	}{
		{person("default", "admin"), 2, 0, 0, 0, 0, 0},
		{person("default", "user"), 1, 0, problem.NotFound, 0, problem.Denied, 0},
		{person("default", "viewer"), 0, problem.Denied, problem.Denied, problem.Denied, problem.Denied,
			problem.Denied},
		{foreign, 0, problem.NotFound, problem.NotFound, problem.NotFound, problem.NotFound, problem.NotFound},
		{authz.Principal{}, 0, problem.Unauthenticated, problem.Unauthenticated, problem.Unauthenticated,
			problem.Unauthenticated, problem.Unauthenticated},
	} {
		kind := func(err error) problem.Kind {
			if err == nil {
				return 0
			}
			return problem.Of(err).Kind
		}
		list, err := s.List(ctx, c.who, "default")
		_, gotShared := s.Get(ctx, c.who, "default", shared.ID)
		_, gotPrivate := s.Get(ctx, c.who, "default", private.ID)
		_, used := s.opener.Open(ctx, c.who, "default", shared.ID, "a1")
		_, managed := s.Rotate(ctx, c.who, "default", shared.ID, map[string]string{"organization": "new"})
		got := []problem.Kind{kind(err), kind(gotShared), kind(gotPrivate), kind(used), kind(managed)}
		if want := []problem.Kind{c.list, c.shared, c.private, c.use, c.manage}; len(list) != c.sees ||
			!cmp.Equal(got, want) {
			t.Errorf("%s of %v: %d, %v; want %d, %v", c.who.Name, c.who.Memberships, len(list), got, c.sees, want)
		}
	}
	// The id of one workspace is nothing in another.
	if _, err := s.Get(ctx, foreign, s.other, shared.ID); !problem.Is(err, problem.NotFound) {
		t.Errorf("asked for in another workspace = %v", err)
	}
	if _, err := s.Change(ctx, operator, "default", shared.ID,
		secret.CredentialChange{Roles: &[]string{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.opener.Open(ctx, person("default", "user"), "default", shared.ID, "a1"); !problem.Is(
		err,
		problem.NotFound,
	) {
		t.Errorf("used after it is shared no more = %v", err)
	}
}

func TestVault_CustomRole(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), openVault(t, dbtest.SQLite(t))
	role, err := s.people.CreateRole(
		ctx,
		operator,
		identity.Role{Name: "Integrator", Permissions: []string{"credential:view", "credential:use"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	c := s.add(t, "one", role.ID)
	who := person("default", role.ID)
	if _, err := s.opener.Open(ctx, who, "default", c.ID, "a1"); err != nil {
		t.Errorf("used by a role with the permissions = %v", err)
	}
	if err := s.Delete(ctx, who, "default", c.ID); !problem.Is(err, problem.Denied) {
		t.Errorf("deleted by it = %v, want denied", err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := context.Background(), openVault(t, d)
		c := s.add(t, "one")
		before, err := s.opener.Open(ctx, operator, "default", c.ID, "a1")
		if err != nil {
			t.Fatal(err)
		}
		for _, values := range []map[string]string{nil, {"unknown": "x"}, {"openAIApiKey": ""},
			{"openAIApiKey": strings.Repeat("x", 17<<10)}} {
			if _, err := s.Rotate(ctx, operator, "default", c.ID, values); !problem.Is(err, problem.Invalid) {
				t.Errorf("Rotate to fields %d = %v, want invalid", len(values), err)
			}
		}
		if _, err := s.Rotate(ctx, operator, "default", c.ID, map[string]string{"openAIApiKey": "sk-new"}); err != nil {
			t.Fatal(err)
		}
		after, err := s.opener.Open(ctx, operator, "default", c.ID, "a1")
		if want := map[string]string{"openAIApiKey": "sk-new", "organization": "acme"}; err != nil ||
			!cmp.Equal(after.Values, want) ||
			after.Version <= before.Version {
			t.Errorf(
				"after the rotation: %v of version %d after %d, %v",
				after.Values,
				after.Version,
				before.Version,
				err,
			)
		}
	})
}

func TestVault_AuditWithoutValues(t *testing.T) {
	t.Parallel()
	ctx, d := context.Background(), dbtest.SQLite(t)
	s := openVault(t, d)
	c := s.add(t, "one", "user")
	_, err1 := s.Rotate(ctx, operator, "default", c.ID, map[string]string{"openAIApiKey": canary + "-2"})
	_, err2 := s.Rotate(ctx, operator, "default", c.ID, map[string]string{canary: "x"})
	_, err3 := s.Create(
		ctx,
		operator,
		"default",
		secret.NewCredential{Name: "two", Kind: "k", Values: map[string]string{"a": canary + "\x00"}},
	)
	err4 := s.Delete(ctx, operator, "default", c.ID)
	if err1 != nil || err2 == nil || err3 == nil || err4 != nil || strings.Contains(err3.Error(), canary) {
		t.Fatalf("%v, %v, %v, %v", err1, err2, err3, err4)
	}
	entries, err := qaudit.New(d.Read()).AuditAfter(ctx, qaudit.AuditAfterParams{Seq: 0, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%+v", entries)
	if strings.Contains(text, canary) {
		t.Errorf("the record holds a value: %s", text)
	}
	for _, want := range []string{"added, openAIApi, shared with user", "new values of openAIApiKey", "deleted"} {
		if !strings.Contains(text, want) {
			t.Errorf("the record does not say %q", want)
		}
	}
}

func TestVault_BadInput(t *testing.T) {
	t.Parallel()
	ctx, s := context.Background(), openVault(t, dbtest.SQLite(t))
	good := map[string]string{"key": "v"}
	many := map[string]string{}
	for i := range 33 {
		many[fmt.Sprintf("f%d", i)] = "v"
	}
	for _, c := range []struct {
		field string
		n     secret.NewCredential
	}{
		{"name", secret.NewCredential{Kind: "k", Values: good}},
		{"name", secret.NewCredential{Name: strings.Repeat("n", 81), Kind: "k", Values: good}},
		{"name", secret.NewCredential{Name: "a\x1b[31m", Kind: "k", Values: good}},
		{"name", secret.NewCredential{Name: "\xff", Kind: "k", Values: good}},
		{"kind", secret.NewCredential{Name: "n", Values: good}},
		{"kind", secret.NewCredential{Name: "n", Kind: "a b", Values: good}},
		{"values", secret.NewCredential{Name: "n", Kind: "k"}},
		{"values", secret.NewCredential{Name: "n", Kind: "k", Values: many}},
		{"values", secret.NewCredential{Name: "n", Kind: "k", Values: map[string]string{"a b": "v"}}},
		{"values", secret.NewCredential{Name: "n", Kind: "k", Values: map[string]string{"a": ""}}},
		{"values", secret.NewCredential{Name: "n", Kind: "k", Values: map[string]string{"a": "\xff"}}},
		{"values", secret.NewCredential{Name: "n", Kind: "k",
			Values: map[string]string{"a": strings.Repeat("x", 16<<10), "b": strings.Repeat("x", 16<<10), "c": "x"}}},
		{"roles", secret.NewCredential{Name: "n", Kind: "k", Values: good, Roles: []string{"nobody"}}},
	} {
		_, err := s.Create(ctx, operator, "default", c.n)
		if !problem.Is(err, problem.Invalid) || problem.Of(err).Field != c.field {
			t.Errorf("Create(%.60q, %q) = %v, want invalid %s", c.n.Name, c.n.Kind, err, c.field)
		}
	}
	if list, err := s.List(ctx, operator, "default"); err != nil || len(list) != 0 {
		t.Errorf("List = %v, %v", list, err)
	}
}

func TestVault_KeyRotation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := context.Background(), openVault(t, d)
		c := s.add(t, "one")
		sealed := func() string {
			row, err := q.New(d.Read()).GetCredential(ctx, q.GetCredentialParams{ID: c.ID, WorkspaceID: "default"})
			if err != nil {
				t.Fatal(err)
			}
			return row.DataSealed
		}
		before := sealed()
		rotator := secret.NewRotator(s.ring, s.gate)
		if err := rotator.Rotate(ctx, operator, secret.VaultKey, nil); err != nil {
			t.Fatal(err)
		}
		if sealed()[:6] == before[:6] {
			t.Error("the credential was not sealed anew")
		}
		if opened, err := s.opener.Open(ctx, operator, "default", c.ID, "a1"); err != nil ||
			opened.Values["openAIApiKey"] != canary {
			t.Errorf("after it: %v", err)
		}
	})
}
