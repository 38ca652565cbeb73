package factor_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"golang.org/x/crypto/bcrypt"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/authz"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/login"
	"sluice/internal/login/factor"
	"sluice/internal/problem"
)

// place is where Sluice's own pages are.
var place = factor.RelyingParty{ID: "sluice.example", Origin: "https://sluice.example"}

// device is a browser with an authenticator.
type device struct {
	rp   virtualwebauthn.RelyingParty
	auth virtualwebauthn.Authenticator
}

func newDevice() *device {
	return &device{
		rp:   virtualwebauthn.RelyingParty{ID: place.ID, Name: "Sluice", Origin: place.Origin},
		auth: virtualwebauthn.NewAuthenticator(),
	}
}

// freshKey generates a credential. It skips coordinates that begin with a zero byte, because the
// virtual authenticator would shorten them. Real ones do not.
func freshKey() virtualwebauthn.Credential {
	for {
		if k := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2); len(k.Key.AttestationData()) == 77 {
			return k
		}
	}
}

// create answers the options of a new passkey.
func (d *device) create(t testing.TB, options []byte) []byte {
	t.Helper()
	o, err := virtualwebauthn.ParseAttestationOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	k := freshKey()
	d.auth.Options.UserHandle = []byte(o.UserID)
	d.auth.AddCredential(k)
	return []byte(virtualwebauthn.CreateAttestationResponse(d.rp, d.auth, k, *o))
}

// get answers the options of a sign-in with the device's first passkey.
func (d *device) get(t testing.TB, options []byte) []byte {
	t.Helper()
	o, err := virtualwebauthn.ParseAssertionOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	k := d.auth.Credentials[0]
	if len(o.AllowCredentials) > 0 && !k.IsAllowedForAssertion(*o) {
		t.Fatal("the device's passkey is not requested")
	}
	return []byte(virtualwebauthn.CreateAssertionResponse(d.rp, d.auth, k, *o))
}

// enrolKey gives a person a passkey on a device.
func (h *house) enrolKey(t testing.TB, e factor.Enrolee, d *device, name string) factor.Enrolled {
	t.Helper()
	token, options, err := h.Factors.BeginPasskey(context.Background(), e, place)
	if err != nil {
		t.Fatal(err)
	}
	done, err := h.Factors.FinishPasskey(context.Background(), e, place, token, d.create(t, options), name)
	if err != nil {
		t.Fatalf("enrolling: %v", err)
	}
	return done
}

// nameless signs in with the device's passkey and without a name.
func (h *house) nameless(t testing.TB, d *device) (login.Progress, error) {
	t.Helper()
	token, options, err := h.Factors.OfferPasskey(context.Background(), place, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	return h.Factors.Passkey(context.Background(), place, token, d.get(t, options),
		login.Attempt{IP: "192.0.2.1", UserAgent: "test"})
}

func TestPasskeys(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost).withMail(t, nothing), context.Background()
		u := h.Add(t, "ann")
		p := h.Enter(t, "ann")
		first, second := newDevice(), newDevice()
		if done := h.enrolKey(t, factor.Enrolee{Principal: p}, first, "  My   laptop "); len(
			done.Recovery,
		) != factor.RecoveryCodes {
			t.Errorf("recovery codes with the first passkey: %d", len(done.Recovery))
		}
		p = h.Refreshed(t, p)
		h.Step(time.Second)
		if done := h.enrolKey(t, factor.Enrolee{Principal: p}, second, ""); len(done.Recovery) != 0 || !p.Strong {
			t.Errorf("with the second passkey: %d recovery codes, strong %v", len(done.Recovery), p.Strong)
		}
		for name, device := range map[string]*device{"first": first, "second": second} {
			done, err := h.nameless(t, device)
			if err != nil || done.Step != login.StepFinish || done.Result.UserID != u.ID ||
				!done.Result.Session.Strong ||
				done.Result.Session.Method != "passkey" {
				t.Errorf("%s device: %+v, %v", name, done, err)
			}
		}
		f, err := h.Factors.List(ctx, p, u.ID)
		if err != nil || len(f.Passkeys) != 2 || f.Passkeys[0].Name != "My laptop" || f.Passkeys[1].Name != "Passkey" ||
			f.Passkeys[0].RP != place.ID ||
			f.Passkeys[0].UsedAt.IsZero() {
			t.Fatalf("%+v, %v", f, err)
		}
		if err := h.Factors.RenamePasskey(ctx, p, f.Passkeys[1].ID, "Telephone"); err != nil {
			t.Error(err)
		}
		h.Add(t, "bob")
		bob := h.Enter(t, "bob")
		bob.Strong = true
		for what, err := range map[string]error{
			"renames": h.Factors.RenamePasskey(ctx, bob, f.Passkeys[1].ID, "mine"),
			"removes": h.Factors.RemovePasskey(ctx, bob, f.Passkeys[1].ID),
		} {
			if !problem.Is(err, problem.NotFound) {
				t.Errorf("another person %s a passkey: %v", what, err)
			}
		}
		if err := h.Factors.RemovePasskey(ctx, p, f.Passkeys[0].ID); err != nil {
			t.Fatal(err)
		}
		if _, err := h.nameless(t, first); !problem.Is(err, problem.Unauthenticated) {
			t.Errorf("a removed passkey: %v", err)
		}
		if _, err := h.nameless(t, second); err != nil {
			t.Errorf("the other one: %v", err)
		}
		if err := h.Factors.RemovePasskey(ctx, p, f.Passkeys[1].ID); err != nil {
			t.Fatal(err)
		}
		if f, err := h.Factors.List(ctx, p, u.ID); err != nil || f.Any() || f.RecoveryLeft != 0 ||
			h.Refreshed(t, p).Strong {
			t.Errorf("after the last one: %+v, %v", f, err)
		}
		if n := h.Post.Count(); n != 4 {
			t.Errorf("%d mails, want one for each change", n)
		}
	})
}

// The options for the browser decide how much the passkey proves.
func TestPasskey_Options(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	u := h.Add(t, "ann")
	e := factor.Enrolee{Principal: h.Enter(t, "ann")}
	d := newDevice()
	h.enrolKey(t, e, d, "")
	e.Principal = h.Refreshed(t, e.Principal)
	_, options, err := h.Factors.BeginPasskey(ctx, e, place)
	if err != nil {
		t.Fatal(err)
	}
	var create struct {
		PublicKey struct {
			RP                     struct{ ID string }
			User                   struct{ ID, Name string }
			Attestation            string
			Timeout                int
			ExcludeCredentials     []struct{ ID string }
			AuthenticatorSelection struct{ ResidentKey, UserVerification string }
		}
	}
	if err := json.Unmarshal(options, &create); err != nil {
		t.Fatal(err)
	}
	k := create.PublicKey
	if k.RP.ID != place.ID || k.User.ID != base64.RawURLEncoding.EncodeToString([]byte(u.ID)) || k.User.Name != "ann" ||
		k.Attestation != "none" ||
		k.Timeout != 300_000 ||
		k.AuthenticatorSelection.ResidentKey != "required" ||
		k.AuthenticatorSelection.UserVerification != "required" {
		t.Errorf("%+v", k)
	}
	if len(k.ExcludeCredentials) != 1 ||
		k.ExcludeCredentials[0].ID != base64.RawURLEncoding.EncodeToString(d.auth.Credentials[0].ID) {
		t.Errorf("passkeys that are there already: %+v", k.ExcludeCredentials)
	}
	_, options, err = h.Factors.OfferPasskey(ctx, place, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	var get struct {
		PublicKey struct {
			RPID, UserVerification string
			AllowCredentials       []any
		}
	}
	if err := json.Unmarshal(options,
		&get); err != nil || get.PublicKey.RPID != place.ID || get.PublicKey.UserVerification != "required" ||
		len(get.PublicKey.AllowCredentials) != 0 {
		t.Errorf("%+v, %v", get, err)
	}
}

func TestPasskey_SecondFactor(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		h.Add(t, "ann")
		key := newDevice()
		h.enrolKey(t, factor.Enrolee{Principal: h.Enter(t, "ann")}, key, "")
		at, other := h.atFactor(t, "ann"), h.atFactor(t, "ann")
		token, options, err := h.Factors.OfferFactorPasskey(ctx, at.Token, place)
		if err != nil {
			t.Fatal(err)
		}
		answer := key.get(t, options)
		if _, err := h.Factors.FactorPasskey(ctx, other.Token, place, token, answer); !problem.Is(err,
			problem.NotFound) {
			t.Errorf("the ceremony of another attempt: %v", err)
		}
		if _, err := h.Factors.Passkey(ctx, place, token, answer, login.Attempt{}); !problem.Is(err, problem.NotFound) {
			t.Errorf("the ceremony of a second factor signs in without a name: %v", err)
		}
		done, err := h.Factors.FactorPasskey(ctx, at.Token, place, token, answer)
		if err != nil || done.Step != login.StepFinish || !done.Result.Session.Strong ||
			done.Result.Session.Method != "password + passkey" {
			t.Fatalf("%+v, %v", done, err)
		}
		if _, err := h.Factors.FactorPasskey(ctx, other.Token, place, token, answer); !problem.Is(err,
			problem.NotFound) {
			t.Errorf("the same answer again: %v", err)
		}
		elsewhere := factor.RelyingParty{ID: "other.example", Origin: "https://other.example"}
		if _, _, err := h.Factors.OfferFactorPasskey(ctx, other.Token, elsewhere); !strings.Contains(
			problem.Of(err).Detail,
			"belong to sluice.example",
		) {
			t.Errorf("on another host name: %v", err)
		}
	})
}

// refused is one way to present a passkey that must not be accepted. It may change the device, the
// options that it sees, and the answer.
type refused struct {
	name   string
	device func(d *device)
	answer func(t *testing.T, h *house, options, answer []byte) []byte
	want   problem.Kind
}

func forged(member string, value any) func(*testing.T, *house, []byte, []byte) []byte {
	return func(t *testing.T, _ *house, _, answer []byte) []byte {
		var all map[string]any
		if err := json.Unmarshal(answer, &all); err != nil {
			t.Fatal(err)
		}
		if inner, name, ok := strings.Cut(member, "."); ok {
			all[inner].(map[string]any)[name] = value
		} else {
			all[member] = value
		}
		out, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func refusals(bob string) []refused {
	encoded := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return []refused{
		{"another origin", func(d *device) { d.rp.Origin = "https://evil.example" }, nil, problem.Unauthenticated},
		{"another port", func(d *device) { d.rp.Origin = "https://sluice.example:8443" }, nil, problem.Unauthenticated},
		{"without TLS", func(d *device) { d.rp.Origin = "http://sluice.example" }, nil, problem.Unauthenticated},
		{"a host below", func(d *device) { d.rp.Origin = "https://a.sluice.example" }, nil, problem.Unauthenticated},
		{"another relying party", func(d *device) { d.rp.ID = "evil.example" }, nil, problem.Unauthenticated},
		{"no user was present", func(d *device) { d.auth.Options.UserNotPresent = true }, nil, problem.Unauthenticated},
		{"the person was not " +
			"verified", func(d *device) { d.auth.Options.UserNotVerified = true }, nil, problem.Unauthenticated},
		{"it can be backed up all " +
			"at once", func(d *device) { d.auth.Options.BackupEligible = true }, nil, problem.Unauthenticated},
		{"it is backed up and " +
			"cannot be", func(d *device) { d.auth.Options.BackupState = true }, nil, problem.Unauthenticated},
		{"no user handle", func(d *device) { d.auth.Options.UserHandle = nil }, nil, problem.Unauthenticated},
		{"an unknown user " +
			"handle", func(d *device) { d.auth.Options.UserHandle = []byte("nobody") }, nil, problem.Unauthenticated},
		{"another person's user handle", nil, forged("response.userHandle", encoded(bob)), problem.Unauthenticated},
		{"another key", func(d *device) {
			id := d.auth.Credentials[0].ID
			d.auth.Credentials[0] = freshKey()
			d.auth.Credentials[0].ID = id
		}, nil, problem.Unauthenticated},
		{"an unknown credential", func(d *device) {
			d.auth.Credentials[0].ID = []byte("unknown credential, 32 " +
				"bytes long")
		}, nil, problem.Unauthenticated},
		{"another signature", nil, forged("response.signature", encoded("not a signature")), problem.Unauthenticated},
		{"another challenge", nil, func(t *testing.T, h *house, _, answer []byte) []byte {
			return forged(
				"response.clientDataJSON",
				encoded(`{"type":"webauthn.get","challenge":"AAAA","origin":"https://sluice.example"}`),
			)(t, h, nil, answer)
		}, problem.Unauthenticated},
		{"another ceremony", nil, func(t *testing.T, h *house, _, answer []byte) []byte {
			return forged(
				"response.clientDataJSON",
				encoded(`{"type":"webauthn.create","challenge":"AAAA","origin":"https://sluice.example"}`),
			)(t, h, nil, answer)
		}, problem.Unauthenticated},
		{"id and raw id differ", nil, forged("rawId", encoded("another")), problem.Invalid},
		{"another type", nil, forged("type", "password"), problem.Invalid},
		{"without JSON", nil, func(*testing.T, *house, []byte, []byte) []byte { return []byte("}{") }, problem.Invalid},
		{"nothing", nil, func(*testing.T, *house, []byte, []byte) []byte { return nil }, problem.Invalid},
		{
			"two answers",
			nil,
			func(_ *testing.T, _ *house, _, answer []byte) []byte { return append(answer, answer...) },
			problem.Invalid,
		},
		{"too much", nil, func(_ *testing.T, _ *house, _, answer []byte) []byte {
			return append(answer, []byte(strings.Repeat(" ", 40<<10))...)
		}, problem.Invalid},
	}
}

func TestPasskey_RefusedAssertions(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	h.Add(t, "ann")
	bob := h.Add(t, "bob")
	key := newDevice()
	h.enrolKey(t, factor.Enrolee{Principal: h.Enter(t, "ann")}, key, "")
	for _, tt := range refusals(bob.ID) {
		t.Run(tt.name, func(t *testing.T) {
			bad := &device{rp: key.rp, auth: key.auth}
			bad.auth.Credentials = []virtualwebauthn.Credential{key.auth.Credentials[0]}
			if tt.device != nil {
				tt.device(bad)
			}
			token, options, err := h.Factors.OfferPasskey(ctx, place, "192.0.2.1")
			if err != nil {
				t.Fatal(err)
			}
			answer := bad.get(t, options)
			if tt.answer != nil {
				answer = tt.answer(t, h, options, answer)
			}
			if p, err := h.Factors.Passkey(ctx, place, token, answer, login.Attempt{}); !problem.Is(err, tt.want) ||
				p.Result != nil {
				t.Errorf("%+v, %v; want %v", p, err, tt.want)
			}
			if _, err := h.Factors.Passkey(ctx, place, token, key.get(t, options), login.Attempt{}); !problem.Is(err,
				problem.NotFound) {
				t.Errorf("the challenge is good for a second answer: %v", err)
			}
		})
	}
	if _, err := h.nameless(t, key); err != nil {
		t.Errorf("the unchanged device: %v", err)
	}
}

func TestPasskey_Replay(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	h.Add(t, "ann")
	key := newDevice()
	h.enrolKey(t, factor.Enrolee{Principal: h.Enter(t, "ann")}, key, "")
	token, options, err := h.Factors.OfferPasskey(ctx, place, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	answer := key.get(t, options)
	if _, err := h.Factors.Passkey(ctx, place, token, answer, login.Attempt{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Factors.Passkey(ctx, place, token, answer, login.Attempt{}); !problem.Is(err, problem.NotFound) {
		t.Errorf("the same answer again: %v", err)
	}
	token, _, err = h.Factors.OfferPasskey(ctx, place, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Factors.Passkey(ctx, place, token, answer, login.Attempt{}); !problem.Is(err,
		problem.Unauthenticated) {
		t.Errorf("the answer to an earlier challenge: %v", err)
	}
	token, options, err = h.Factors.OfferPasskey(ctx, place, "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Factors.Passkey(ctx, factor.RelyingParty{ID: place.ID, Origin: "https://sluice.example:8443"}, token,
		key.get(t, options), login.Attempt{}); !problem.Is(
		err,
		problem.NotFound,
	) {
		t.Errorf("a ceremony from another origin: %v", err)
	}
	h.Step(factor.CeremonyLife)
	if _, err := h.Factors.Passkey(ctx, place, token, key.get(t, options), login.Attempt{}); !problem.Is(err,
		problem.Gone) {
		t.Errorf("too late: %v", err)
	}
}

func TestPasskey_Copied(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost), context.Background()
		h.Add(t, "ann")
		key := newDevice()
		h.enrolKey(t, factor.Enrolee{Principal: h.Enter(t, "ann")}, key, "")
		for _, tt := range []struct {
			counter uint32
			good    bool
		}{{7, true}, {8, true}, {8, false}, {3, false}, {0, false}, {9, true}} {
			key.auth.Credentials[0].Counter = tt.counter
			if _, err := h.nameless(t, key); (err == nil) != tt.good ||
				!tt.good && !strings.Contains(problem.Of(err).Detail, "counter went backwards") {
				t.Errorf("counter %d: %v, want accepted %v", tt.counter, err, tt.good)
			}
		}
		h.Gate.Flush(ctx)
		list, err := audit.After(ctx, h.DB, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		noted := false
		for _, e := range list {
			noted = noted ||
				e.Outcome == audit.Denied && e.ActorName == "ann" && strings.Contains(e.Detail, "may have been copied")
		}
		if !noted {
			t.Errorf("nothing in the audit: %+v", list)
		}
	})
}

func TestPasskey_RefusedEnrollments(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	h.Add(t, "ann")
	h.Add(t, "bob")
	e, bob := factor.Enrolee{Principal: h.Enter(t, "ann")}, factor.Enrolee{Principal: h.Enter(t, "bob")}
	for name, change := range map[string]func(d *device){
		"another origin":              func(d *device) { d.rp.Origin = "https://evil.example" },
		"another relying party":       func(d *device) { d.rp.ID = "evil.example" },
		"the person was not verified": func(d *device) { d.auth.Options.UserNotVerified = true },
		"no user was present":         func(d *device) { d.auth.Options.UserNotPresent = true },
		"backed up and cannot be":     func(d *device) { d.auth.Options.BackupState = true },
	} {
		token, options, err := h.Factors.BeginPasskey(ctx, e, place)
		if err != nil {
			t.Fatal(err)
		}
		d := newDevice()
		change(d)
		if _, err := h.Factors.FinishPasskey(ctx, e, place, token, d.create(t, options), ""); !problem.Is(err,
			problem.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := h.Factors.FinishPasskey(ctx, e, place, token, newDevice().create(t, options), ""); !problem.Is(err,
			problem.NotFound) {
			t.Errorf("%s, then a second answer: %v", name, err)
		}
	}
	token, options, err := h.Factors.BeginPasskey(ctx, e, place)
	if err != nil {
		t.Fatal(err)
	}
	d := newDevice()
	answer := d.create(t, options)
	if _, err := h.Factors.FinishPasskey(ctx, bob, place, token, answer, ""); !problem.Is(err, problem.NotFound) {
		t.Errorf("another person's ceremony: %v", err)
	}
	for _, name := range []string{strings.Repeat("x", 61), "a\x00b", "a\u202eb"} {
		if _, err := h.Factors.FinishPasskey(ctx, e, place, token, answer, name); problem.Of(err).Field != "name" {
			t.Errorf("the name %q: %v", name, err)
		}
	}
	if _, err := h.Factors.FinishPasskey(ctx, e, place, token, answer, ""); err != nil {
		t.Fatal(err)
	}
	// The same credential for a second account would let one person sign in as another.
	token, options, err = h.Factors.BeginPasskey(ctx, bob, place)
	if err != nil {
		t.Fatal(err)
	}
	o, err := virtualwebauthn.ParseAttestationOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	again := []byte(virtualwebauthn.CreateAttestationResponse(d.rp, d.auth, d.auth.Credentials[0], *o))
	if _, err := h.Factors.FinishPasskey(ctx, bob, place, token, again, ""); !problem.Is(err, problem.Conflict) {
		t.Errorf("a credential that another account has: %v", err)
	}
	if f, err := h.Factors.List(ctx, bob.Principal, bob.Principal.ID); err != nil || f.Any() || f.RecoveryLeft != 0 {
		t.Errorf("part of a refused enrollment was stored: %+v, %v", f, err)
	}
}

func TestPasskey_InactivePerson(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	u := h.Add(t, "ann")
	key := newDevice()
	h.enrolKey(t, factor.Enrolee{Principal: h.Enter(t, "ann")}, key, "")
	if err := h.People.Update(ctx, cli, u.ID, identity.UserUpdate{Active: problem.Some(false)}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.nameless(t, key); !problem.Is(err, problem.Denied) {
		t.Errorf("an inactive person: %v", err)
	}
	if err := h.People.Remove(ctx, cli, u.ID, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := h.nameless(t, key); !problem.Is(err, problem.Unauthenticated) {
		t.Errorf("a deleted person: %v", err)
	}
}

func TestPasskey_OffersBounded(t *testing.T) {
	t.Parallel()
	h, ctx := build(t, dbtest.SQLite(t), bcrypt.MinCost), context.Background()
	offered := 0
	var last error
	for range 400 {
		if _, _, last = h.Factors.OfferPasskey(ctx, place, "2001:db8::1"); last == nil {
			offered++
		}
	}
	if e := problem.Of(last); e.Kind != problem.Limited || e.RetryAfter <= 0 || offered > 200 {
		t.Errorf("%d ceremonies wait for one address, then %v", offered, last)
	}
	if _, _, err := h.Factors.OfferPasskey(ctx, place, "2001:db8::ffff"); !problem.Is(err, problem.Limited) {
		t.Errorf("another address of the same network: %v", err)
	}
	if _, _, err := h.Factors.OfferPasskey(ctx, place, "192.0.2.1"); err != nil {
		t.Errorf("another person: %v", err)
	}
	h.Step(factor.CeremonyLife)
	if _, _, err := h.Factors.OfferPasskey(ctx, place, "2001:db8::1"); err != nil {
		t.Errorf("later: %v", err)
	}
}

func TestRelyingPartyOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ origin, id, normal, next string }{
		{"https://sluice.example", "sluice.example", "https://sluice.example", ""},
		{"https://Sluice.Example:8443", "sluice.example", "https://sluice.example:8443", ""},
		{"http://localhost:3000", "localhost", "http://localhost:3000", ""},
		{"http://sluice.localhost:3000", "sluice.localhost", "http://sluice.localhost:3000", ""},
		{"http://127.0.0.1:3000", "", "", "Open http://localhost:3000 instead."},
		{"https://127.0.0.1", "", "", "Open https://localhost instead."},
		{"http://[::1]:3000", "", "", "Open http://localhost:3000 instead."},
		{"https://192.0.2.1", "", "", "host name"},
		{"http://sluice.example", "", "", "https://"},
		{"sluice.example", "", "", ""},
		{"ftp://sluice.example", "", "", ""},
		{"", "", "", ""},
		{"https://", "", "", ""},
		{"https://a b", "", "", ""},
	} {
		rp, err := factor.RelyingPartyOf(tt.origin)
		if (err == nil) != (tt.id != "") || rp.ID != tt.id || rp.Origin != tt.normal ||
			!strings.Contains(problem.Of(err).Next, tt.next) {
			t.Errorf("%q: %+v, %v", tt.origin, rp, err)
		}
		if e := problem.Of(err); err != nil && e.Kind != problem.Invalid {
			t.Errorf("%q: %v", tt.origin, err)
		}
	}
}

func TestLostDevice(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		h, ctx := build(t, d, bcrypt.MinCost).withMail(t, nothing), context.Background()
		root := h.Root(t)
		u := h.Add(t, "ann")
		key := newDevice()
		p := h.Enter(t, "ann")
		codes := h.enrolKey(t, factor.Enrolee{Principal: p}, key, "").Recovery
		h.EnrolApp(t, h.Refreshed(t, p))
		done, err := h.Factors.FactorCode(ctx, h.atFactor(t, "ann").Token, codes[3], "192.0.2.1")
		if err != nil || done.Step != login.StepFinish || !done.Result.Session.Strong {
			t.Fatalf("a recovery code: %+v, %v", done, err)
		}
		if m := h.Post.Mails()[len(h.Post.Mails())-1]; !strings.Contains(m, "One of your recovery codes was used") ||
			!strings.Contains(m, "9 left") {
			t.Errorf("the mail: %s", m)
		}
		session := done.Result.Token
		if err := h.Factors.RemoveFactors(ctx, h.Principal(t, u.ID), u.ID); !problem.Is(err, problem.Denied) {
			t.Errorf("people remove factors without proof: %v", err)
		}
		if err := h.Factors.RemoveFactors(ctx, root, "nobody"); !problem.Is(err, problem.NotFound) {
			t.Errorf("the factors of an unknown person: %v", err)
		}
		boss := h.Enter(t, "root")
		h.enrolKey(t, factor.Enrolee{Principal: boss}, newDevice(), "")
		if err := h.Factors.RemoveFactors(ctx, boss, boss.ID); !problem.Is(err, problem.StepUp) {
			t.Errorf("an admin's weak session removes the admin's own factors: %v", err)
		}
		before := h.Post.Count()
		if err := h.Factors.RemoveFactors(ctx, root, u.ID); err != nil {
			t.Fatal(err)
		}
		if m := h.Post.Mails()[len(h.Post.Mails())-1]; h.Post.Count() != before+1 ||
			!strings.Contains(m, "All second factors were removed") ||
			!strings.Contains(m, "by root") {
			t.Errorf("the mail: %s", m)
		}
		if err := h.Factors.RemoveFactors(ctx, root, u.ID); !problem.Is(err, problem.Conflict) {
			t.Errorf("nothing to remove: %v", err)
		}
		if h.Who(t, session).Strong {
			t.Error("a session stays strong by a removed factor")
		}
		if _, err := h.nameless(t, key); !problem.Is(err, problem.Unauthenticated) {
			t.Errorf("the lost passkey: %v", err)
		}
		if _, err := h.Try("ann", password, "192.0.2.1", ""); err != nil {
			t.Errorf("the password alone: %v", err)
		}
		f, err := h.Factors.List(ctx, authz.Principal{Kind: authz.Person, ID: u.ID}, u.ID)
		if err != nil || f.Any() || f.RecoveryLeft != 0 {
			t.Errorf("%+v, %v", f, err)
		}
		if _, ok := h.Sessions.Lookup(session, authn.AudienceMain); !ok {
			t.Error("the session ended")
		}
	})
}
