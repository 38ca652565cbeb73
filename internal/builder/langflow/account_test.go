package langflow

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"sluice/internal/builder"
	"sluice/internal/builder/langflow/langflowtest"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// adopt is a user that existed in Langflow, adopted into w1.
func adopt(f *langflowtest.Server, store *kept) *langflowtest.User {
	u := f.Add("old hand", "their own password")
	u.Put(langflowtest.Flows, &langflowtest.Thing{Name: "Old flow", Endpoint: "old"})
	store.accounts = map[string]builder.Account{u.ID: {ID: u.ID, Username: u.Username, Workspace: "w1", Adopted: true}}
	return u
}

func TestAccount_Adopted(t *testing.T) {
	eachMode(t, func(t *testing.T, f *langflowtest.Server, mode builder.Mode) {
		store := &kept{}
		u := adopt(f, store)
		b := lfBridge(t, lfConfig(t, f, mode, store))
		l := actsFor("w1", "ann")
		l.Account = u.ID
		if got, err := enters(t, f, b, l, profile.Endpoint{}); err != nil || got.ID != u.ID {
			t.Fatalf("%+v, %v", got, err)
		}
		if changed := u.Password != "their own password"; changed != (mode == SignIn) {
			t.Errorf("its password changed: %v", changed)
		}
		own, err := b.Accounts.Own(context.Background(), actsFor("w1", "ann"))
		if err != nil || own == u.ID || !cmp.Equal(b.Accounts.Of(actsFor("w1", "bob")), []string{own, u.ID}) ||
			len(b.Accounts.Of(actsFor("w2", "ann"))) != 0 {
			t.Errorf("own %q, all %v, %v", own, b.Accounts.Of(actsFor("w1", "bob")), err)
		}
		f.With(func() { u.Active = false })
		if mode == External {
			return
		}
		again := lfBridge(t, lfConfig(t, f, mode, store))
		if got, err := enters(t, f, again, l, profile.Endpoint{}); err != nil || got.ID != u.ID ||
			u.Password == "their own password" {
			t.Errorf("switched off: %+v, %v", got, err)
		}
		f.With(func() { delete(f.Users, u.ID) })
		if _, err := enters(t, f, lfBridge(t, lfConfig(t, f, mode, store)), l, profile.Endpoint{}); err == nil ||
			!strings.Contains(problem.Of(err).Detail, "no longer exists in Langflow") {
			t.Errorf("deleted: %v", err)
		}
	})
}

// TestAccount_ExternalFallback: an account that an assertion cannot open is entered in another way,
// or refused with the reason.
func TestAccount_ExternalFallback(t *testing.T) {
	f, store := langflowtest.Start(t), &kept{}
	f.External = &signingKey().PublicKey
	u := adopt(f, store)
	l := actsFor("w1", "ann")
	l.Account = u.ID
	for _, c := range []struct {
		what string
		cut  func(*builder.BridgeConfig)
		want string
	}{
		{"the secret key and the superuser", func(*builder.BridgeConfig) {}, ""},
		{"the superuser", func(c *builder.BridgeConfig) { c.Access.SecretKey = "" }, ""},
		{
			"nothing",
			func(c *builder.BridgeConfig) { c.Access.SecretKey, c.Access.Password = "", "" },
			"external authentication opens only",
		},
	} {
		cfg := lfConfig(t, f, External, store)
		if c.want != "" {
			cfg.Accounts = []builder.Account{{ID: u.ID, Username: u.Username, Workspace: "w1", Adopted: true}}
		}
		c.cut(&cfg)
		got, err := enters(t, f, lfBridge(t, cfg), l, profile.Endpoint{})
		if c.want == "" && (err != nil || got.ID != u.ID) ||
			c.want != "" && !strings.Contains(problem.Of(err).Detail, c.want) {
			t.Errorf("with %s: %+v, %v", c.what, got, err)
		}
	}
}

// TestAccount_ModeChange: a workspace keeps its account when the mode changes.
func TestAccount_ModeChange(t *testing.T) {
	f, store := langflowtest.Start(t), &kept{}
	f.External = &signingKey().PublicKey
	first := map[builder.Mode]string{}
	for _, start := range allModes {
		workspace := "w-" + string(start)
		for _, mode := range append([]builder.Mode{start}, allModes...) {
			u, err := enters(
				t,
				f,
				lfBridge(t, lfConfig(t, f, mode, store)),
				actsFor(workspace, "ann"),
				profile.Endpoint{},
			)
			if err != nil {
				t.Fatalf("%s after %s: %v", mode, start, err)
			}
			if first[start] == "" {
				first[start] = u.ID
			}
			if u.ID != first[start] {
				t.Errorf("%s after %s: the account is another one", mode, start)
			}
		}
	}
	if len(store.gone) != 0 {
		t.Errorf("accounts were abandoned: %v", store.gone)
	}
}

func TestKeys(t *testing.T) {
	eachMode(t, func(t *testing.T, f *langflowtest.Server, mode builder.Mode) {
		store, clock := &kept{}, &movedClock{}
		f.Now = clock.now
		cfg := lfConfig(t, f, mode, store)
		cfg.Now = clock.now
		b := lfBridge(t, cfg)
		run := profile.Endpoint{Upstream: profile.UpstreamKey}
		f.With(func() { f.NoKeys = true })
		_, err := enters(t, f, b, actsFor("w1", "ann"), run)
		if p := problem.Of(err); p.Kind != problem.Unavailable || !strings.Contains(p.Detail, "LANGFLOW_SECRET_KEY") ||
			!strings.Contains(p.Next, "token_urlsafe") {
			t.Errorf("no Fernet key: %v", err)
		}
		f.With(func() { f.NoKeys = false })
		clock.advance(time.Minute)
		h := http.Header{}
		if err := b.Attach(context.Background(), h, actsFor("w1", "ann"), &run); err != nil || len(h) != 1 ||
			asks(t, f, h).Username != "sluice-w1" {
			t.Fatalf("%v, %v", h, err)
		}
		if kept := store.list(); len(kept) != 1 || kept[0].Key != h.Get("X-Api-Key") {
			t.Errorf("kept: %d accounts, key %v", len(kept), kept[0].Key != "")
		}
		if b.Rejected(context.Background(), h) {
			t.Error("a key that Langflow knows was replaced")
		}
		f.With(func() { clear(f.Named("sluice-w1").Keys) })
		if !b.Rejected(context.Background(), h) {
			t.Error("a key that Langflow does not know was not replaced")
		}
		if u, err := enters(t, f, b, actsFor("w1", "ann"), run); err != nil || u.Username != "sluice-w1" {
			t.Errorf("after: %+v, %v", u, err)
		}
	})
}

func TestAccount_Finds(t *testing.T) {
	eachMode(t, func(t *testing.T, f *langflowtest.Server, mode builder.Mode) {
		ctx, store := context.Background(), &kept{}
		old := adopt(f, store)
		b := lfBridge(t, lfConfig(t, f, mode, store))
		own, err := b.Accounts.Own(ctx, actsFor("w1", "ann"))
		if err != nil {
			t.Fatal(err)
		}
		mine := langflowtest.Thing{ID: uuid.NewString(), Name: "New flow", Endpoint: "new"}
		shipped := langflowtest.Thing{ID: uuid.NewString(), Name: "An example"}
		f.With(func() {
			u := f.Users[own]
			u.Put(langflowtest.Flows, &mine)
			u.Put(langflowtest.Flows, &shipped).UserID = "" // readable, but not its own
			u.Put(langflowtest.Flows, &langflowtest.Thing{Endpoint: "old"})
		})
		for id, want := range map[string]string{
			mine.ID:                              own,
			old.Things[langflowtest.Flows][0].ID: old.ID,
			shipped.ID:                           "",
			uuid.NewString():                     "",
			"no id":                              "",
		} {
			account, found, err := b.Accounts.Find(ctx, actsFor("w1", "ann"), flow.Chatflow, id)
			if want == "" && !problem.Is(err, problem.NotFound) ||
				want != "" &&
					(err != nil || account != want || found.ID != id || found.Account != want ||
						found.Kind != flow.Chatflow) {
				t.Errorf("%s is in %q: %+v, %v", id, account, found, err)
			}
		}
		if _, _, err := b.Accounts.Find(ctx, actsFor("w2", "ann"), flow.Chatflow, mine.ID); !problem.Is(
			err,
			problem.NotFound,
		) {
			t.Errorf("another workspace finds it: %v", err)
		}
		project := old.Things[langflowtest.Projects][0].ID
		if account, found, err := b.Accounts.Find(ctx, actsFor("w1", "ann"), flow.Project, project); err != nil ||
			account != old.ID ||
			found.Name != "Starter Project" {
			t.Errorf("the project is in %q: %+v, %v", account, found, err)
		}
		if id, err := b.Accounts.FlowNamed(ctx, actsFor("w1", "ann"), "new"); err != nil || id != mine.ID {
			t.Errorf("new is %q, %v", id, err)
		}
		other := old.Things[langflowtest.Flows][0].ID
		if id, err := b.Accounts.FlowNamed(ctx, actsFor("w1", "ann"), "old"); err != nil || id == other {
			t.Errorf("of two flows with one name, the own account's comes first: %q, %v", id, err)
		}
		if _, err := b.Accounts.FlowNamed(ctx, actsFor("w2", "ann"), "new"); !problem.Is(err, problem.NotFound) {
			t.Errorf("another workspace: %v", err)
		}
		all, err := b.Inventory(ctx)
		if err != nil ||
			!slices.Contains(
				all,
				builder.FoundObject{ID: mine.ID, Name: "New flow", Kind: flow.Chatflow, Account: own},
			) ||
			len(all) != 6 {
			t.Errorf("inventory: %v, %v", all, err)
		}
	})
}

func TestAccount_Publishes(t *testing.T) {
	f, store := langflowtest.Start(t), &kept{}
	u := adopt(f, store)
	b := lfBridge(t, lfConfig(t, f, Signed, store))
	for _, public := range []bool{true, false} {
		if err := b.SetPublic(context.Background(), u.ID, u.Things[langflowtest.Flows][0].ID, public); err != nil ||
			(u.Things[langflowtest.Flows][0].Access == "PUBLIC") != public {
			t.Errorf("public %v: %s, %v", public, u.Things[langflowtest.Flows][0].Access, err)
		}
	}
	if err := b.SetPublic(context.Background(), u.ID, uuid.NewString(), true); !problem.Is(err, problem.NotFound) {
		t.Errorf("an unknown flow: %v", err)
	}
}

func TestUsers(t *testing.T) {
	eachMode(t, func(t *testing.T, f *langflowtest.Server, mode builder.Mode) {
		u := adopt(f, &kept{})
		b := lfBridge(t, lfConfig(t, f, mode, &kept{}))
		users, err := b.Users.List(context.Background())
		if err != nil || len(users) != 2 {
			t.Fatalf("%+v, %v", users, err)
		}
		for _, got := range users {
			want := 1
			switch {
			case got.Superuser:
				want = 0
			case mode == SignIn:
				want = builder.UnknownCount
			}
			if got.Flows != want {
				t.Errorf("%s has %d flows, want %d", got.Username, got.Flows, want)
			}
		}
		if u.Password != "their own password" {
			t.Error("looking changed a password")
		}
	})
}

func TestTrials(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*langflowtest.Server, *builder.BridgeConfig)
		want map[builder.Mode]string // "" if it works, else a part of the message
	}{
		{
			"all works",
			func(f *langflowtest.Server, _ *builder.BridgeConfig) { f.External = &signingKey().PublicKey },
			map[builder.Mode]string{"external": "", "signed": "", "sign-in": ""},
		},
		{
			"no external authentication",
			func(*langflowtest.Server, *builder.BridgeConfig) {},
			map[builder.Mode]string{
				"external": "LANGFLOW_EXTERNAL_AUTH_JWKS_URL=https://sluice.example.com/.well-known/jwks.json",
				"signed":   "",
				"sign-in":  "",
			},
		},
		{"another issuer", func(f *langflowtest.Server, c *builder.BridgeConfig) {
			f.External, c.Issuer = &signingKey().PublicKey, "https://other.example.com"
		}, map[builder.Mode]string{"external": "but refuses it", "signed": "", "sign-in": ""}},
		{
			"another key",
			func(f *langflowtest.Server, _ *builder.BridgeConfig) { f.Secret = strings.Repeat("x", 43) },
			map[builder.Mode]string{
				"external": "ignores Sluice's assertion",
				"signed":   "secret keys differ",
				"sign-in":  "",
			},
		},
		{
			"nothing given",
			func(_ *langflowtest.Server, c *builder.BridgeConfig) { c.Access.SecretKey, c.Access.Password = "", "" },
			map[builder.Mode]string{
				"external": "ignores Sluice's assertion",
				"signed":   "does not have LANGFLOW_SECRET_KEY",
				"sign-in":  "needs a Langflow superuser",
			},
		},
		{
			"the wrong password",
			func(_ *langflowtest.Server, c *builder.BridgeConfig) { c.Access.Password = "guess" },
			map[builder.Mode]string{
				"external": "ignores Sluice's assertion",
				"signed":   "did not accept the superuser",
				"sign-in":  "did not accept the superuser",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := langflowtest.Start(t)
			cfg := lfConfig(t, f, "", &kept{})
			c.set(f, &cfg)
			got := try(context.Background(), withJWKS(cfg, "https://sluice.example.com/.well-known/jwks.json"))
			if len(got) != 3 {
				t.Fatalf("%d trials", len(got))
			}
			for _, trial := range got {
				want := c.want[trial.Mode]
				if trial.OK != (want == "") || !strings.Contains(trial.Detail+" "+trial.Next, want) {
					t.Errorf("%+v, want %q", trial, want)
				}
			}
			if n := f.Count("POST /api/v1/login"); n > 1 {
				t.Errorf("%d sign-ins", n)
			}
		})
	}
}

// TestTrial_PlainJWKS: Langflow reads keys without TLS only from its own machine.
func TestTrial_PlainJWKS(t *testing.T) {
	f := langflowtest.Start(t)
	for jwks, want := range map[string]string{
		"http://sluice.lan/.well-known/jwks.json":     "only from an https address",
		"http://127.0.0.1:3000/.well-known/jwks.json": "LANGFLOW_EXTERNAL_AUTH_TOKEN_HEADER=X-Sluice-Assertion",
	} {
		got := try(context.Background(), withJWKS(lfConfig(t, f, "", &kept{}), jwks))[0]
		if got.OK || !strings.Contains(got.Detail+got.Next, want) {
			t.Errorf("%s: %+v", jwks, got)
		}
	}
}

func BenchmarkLangflowAttach(b *testing.B) {
	for _, mode := range allModes {
		for _, up := range []profile.Upstream{profile.UpstreamSession, profile.UpstreamKey} {
			b.Run(string(mode)+map[profile.Upstream]string{profile.UpstreamKey: " key"}[up], func(b *testing.B) {
				f := langflowtest.Start(b)
				f.External = &signingKey().PublicKey
				bridge := lfBridge(b, lfConfig(b, f, mode, &kept{}))
				l, e, ctx := actsFor("w1", "ann"), &profile.Endpoint{Upstream: up}, context.Background()
				h := http.Header{}
				if err := bridge.Attach(ctx, h, l, e); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					clear(h)
					if err := bridge.Attach(ctx, h, l, e); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
