package cli

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/hotp"

	"sluice/internal/authn"
	"sluice/internal/config"
	"sluice/internal/db"
	"sluice/internal/identity"
	"sluice/internal/login/factor"
	"sluice/internal/login/sso"
	"sluice/internal/server"
)

// host is a machine with Sluice's data on it.
type host struct {
	t   *testing.T
	env []string
}

// furnished has ann, who has an authenticator app, and a provider.
func furnished(t *testing.T) host {
	t.Helper()
	h := host{t, []string{"HOME=/home/ada", "PASSWORD_SALT_HASH_ROUNDS=4", "DATABASE_PATH=" + t.TempDir()}}
	h.inside(func(ctx context.Context, c *server.Core) {
		u, err := c.People.Create(
			ctx,
			operator(),
			identity.NewUser{
				Username: "ann",
				Email:    "ann@example.com",
				Password: "nobody waters the plastic ferns",
				Role:     "viewer",
				Active:   true,
			},
		)
		if err != nil {
			t.Fatal(err)
		}
		h.enrol(ctx, c, u.ID)
		if _, err := c.Providers.SaveProvider(ctx, operator(),
			sso.Provider{Slug: "company", Kind: sso.KindOIDC, Name: "Company account",
				Issuer: "https://login.example.com", ClientID: "sluice", ClientSecret: "a secret",
				Enabled: true}); err != nil {
			t.Fatal(err)
		}
	})
	return h
}

// inside opens the data as the server does.
func (h host) inside(fn func(context.Context, *server.Core)) {
	h.t.Helper()
	loaded, err := config.Load(config.Input{Environ: h.env})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx := context.Background()
	core, err := server.OpenCore(ctx, loaded.Values, slog.New(slog.DiscardHandler))
	if err != nil {
		h.t.Fatal(err)
	}
	defer core.Close(ctx)
	fn(ctx, core)
}

func (h host) enrol(ctx context.Context, c *server.Core, userID string) {
	h.t.Helper()
	p, _ := c.People.Principal(userID)
	err := c.DB.Gated(ctx, func(tx *db.Tx) error {
		_, s, err := c.Sessions.Begin(ctx, tx, userID, authn.Meta{Method: "password"})
		p.SessionID, p.ProvenAt = s.ID, s.ProvenAt
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	who := factor.Enrolee{Principal: p}
	offer, err := c.Factors.BeginTOTP(ctx, who)
	if err != nil {
		h.t.Fatal(err)
	}
	code, err := hotp.GenerateCode(offer.Secret, uint64(time.Now().Unix()/30))
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := c.Factors.FinishTOTP(ctx, who, offer.Token, code); err != nil {
		h.t.Fatal(err)
	}
}

// run runs a command line and returns what it printed; the exit code must be the given one.
func (h host) run(code int, args string) string {
	h.t.Helper()
	var out, errs strings.Builder
	if got := Main(strings.Fields(args), h.env, strings.NewReader(""), &out, &errs); got != code {
		h.t.Fatalf("sluice %s: exit code %d, want %d: %s%s", args, got, code, out.String(), errs.String())
	}
	return out.String() + errs.String()
}

func TestLostDevice(t *testing.T) {
	h := furnished(t)
	if got := h.run(exitDone, "user factors ann"); !strings.Contains(got, "authenticator app") ||
		!strings.Contains(got, "10 recovery codes are left.") {
		t.Errorf("factors: %s", got)
	}
	var asJSON struct {
		Factors []struct {
			Kind      string    `json:"kind"`
			CreatedAt time.Time `json:"created_at"`
		} `json:"factors"`
		Left int `json:"recovery_codes_left"`
	}
	if err := json.Unmarshal([]byte(h.run(exitDone, "user factors ann@example.com --json")), &asJSON); err != nil ||
		len(asJSON.Factors) != 1 ||
		asJSON.Factors[0].Kind != "totp" ||
		asJSON.Factors[0].CreatedAt.IsZero() ||
		asJSON.Left != 10 {
		t.Errorf("as JSON: %+v %v", asJSON, err)
	}
	if got := h.run(exitDone, "user remove-factors ann"); got != "ann no longer has a second factor. The next "+
		"sign-in does not ask for one.\n" {
		t.Errorf("removed: %s", got)
	}
	if got := h.run(exitFailed, "user remove-factors ann"); !strings.Contains(got, "ann has no second factor.") {
		t.Errorf("removed again: %s", got)
	}
	h.inside(func(ctx context.Context, c *server.Core) {
		u, err := c.People.Find(ctx, operator(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		sessions, err := c.Sessions.List(ctx, operator(), u.ID)
		if err != nil || len(sessions) != 1 || sessions[0].Strong {
			t.Errorf("sessions %+v %v", sessions, err)
		}
		if err := c.People.SetSecondFactor(ctx, operator(), identity.DefaultWorkspace,
			identity.FactorRequired); err != nil {
			t.Fatal(err)
		}
		h.enrol(ctx, c, u.ID)
	})
	if got := h.run(exitDone, "user remove-factors ann"); got != "ann no longer has a second factor. A workspace "+
		"requires one, so the next sign-in sets it up.\n" {
		t.Errorf("removed where one is required: %s", got)
	}
}

func TestProviderSwitch(t *testing.T) {
	h := furnished(t)
	state := func() (enabled bool) {
		h.inside(func(ctx context.Context, c *server.Core) {
			list, err := c.Providers.List(ctx, operator())
			if err != nil || len(list) != 1 || !list[0].HasSecret {
				t.Fatalf("%+v %v", list, err)
			}
			enabled = list[0].Enabled
		})
		return enabled
	}
	for command, want := range map[string]struct {
		out     string
		enabled bool
	}{"sign-in disable company": {"company: disabled\n", false}, "sign-in enable company": {"company: in use\n",
		true}} {
		if got := h.run(exitDone, command); got != want.out || state() != want.enabled {
			t.Errorf("%s: %q, enabled %v", command, got, state())
		}
	}
	h.run(exitDone, "sign-in disable company")
	const want = "SLUG     NAME             KIND  STATE     ISSUER\ncompany  Company account  oidc  disabled  " +
		"https://login.example.com\n"
	if got := h.run(exitDone, "sign-in providers"); got != want {
		t.Errorf("providers:\n%s", got)
	}
	if got := h.run(exitDone, "sign-in providers --json"); !strings.Contains(got, `"slug": "company"`) ||
		strings.Contains(got, "a secret") {
		t.Errorf("as JSON: %s", got)
	}
	h.run(exitFailed, "sign-in enable nothing")
}
