package authn_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/audit"
	"sluice/internal/authn"
	"sluice/internal/db"
	q "sluice/internal/db/q/authn"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/mail"
	"sluice/internal/problem"
)

const accessLife, refreshLife, grace = 6 * time.Hour, 10 * 24 * time.Hour, time.Minute

// keys are a secret's keys that a test can replace; the first is in use.
type keys struct{ list atomic.Pointer[[]authn.Key] }

func (k *keys) get() []authn.Key { return *k.list.Load() }

func (k *keys) set(names ...string) {
	var list []authn.Key
	for _, n := range names {
		list = append(list, authn.Key{ID: "id-" + n, Value: []byte(strings.Repeat(n, 32)[:32])})
	}
	k.list.Store(&list)
}

// office is a node whose programs have tokens.
type office struct {
	*node
	tokens                *authn.Tokens
	access, refresh, hash keys
}

func open(t testing.TB, d *db.DB, change ...func(*authn.TokenConfig)) *office {
	t.Helper()
	o := &office{node: start(t, d)}
	o.access.set("a")
	o.refresh.set("r")
	o.hash.set("h")
	c := authn.TokenConfig{
		Sessions: o.sessions, AccessKeys: o.access.get, RefreshKeys: o.refresh.get, HashKeys: o.hash.get,
		Issuer: "Flowise", Audience: `Flo"wise`, AccessLife: accessLife, RefreshLife: refreshLife, Grace: grace,
	}
	for _, f := range change {
		f(&c)
	}
	o.tokens = authn.NewTokens(c)
	return o
}

var program = authn.Meta{IP: "192.0.2.9", UserAgent: "report/1.0", Method: "password (API)", Strong: true}

func (o *office) signIn(t testing.TB, userID string) authn.Pair {
	t.Helper()
	var p authn.Pair
	err := o.db.Gated(context.Background(), func(tx *db.Tx) (err error) {
		p, _, err = o.tokens.Begin(context.Background(), tx, userID, program)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (o *office) next(t testing.TB, refresh string) authn.Pair {
	t.Helper()
	p, err := o.tokens.Refresh(context.Background(), refresh, program)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// refuses wants problem.Unauthenticated with these words.
func refuses(t testing.TB, what string, err error, words string) {
	t.Helper()
	if !problem.Is(err, problem.Unauthenticated) || !strings.Contains(problem.Of(err).Detail, words) {
		t.Errorf("%s: %v, want a refusal that says %q", what, err, words)
	}
}

func (o *office) refused(t testing.TB, what, access, words string) {
	t.Helper()
	p, err := o.tokens.Verify(access)
	refuses(t, what, err, words)
	if p.ID != "" {
		t.Errorf("%s: refused, and yet it is %s", what, p.ID)
	}
}

func TestTokens_AccessToken(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	u := o.add(t, "ann")
	pair := o.signIn(t, u.ID)
	for _, what := range []string{"first", "known"} {
		p, err := o.tokens.Verify(pair.Access)
		if err != nil || p.ID != u.ID || p.Name != "ann" || p.SessionID != pair.SessionID || !p.Strong ||
			p.ProvenAt.IsZero() ||
			p.Workspace != "default" {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
	part := strings.Split(pair.Access, ".")
	var header, body map[string]any
	for i, into := range []*map[string]any{&header, &body} {
		text, err := base64.RawURLEncoding.DecodeString(part[i])
		if err != nil || json.Unmarshal(text, into) != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if len(header) != 3 || header["alg"] != "HS256" || header["typ"] != "JWT" || header["kid"] != "id-a" {
		t.Errorf("header %v", header)
	}
	if len(body) != 7 || body["iss"] != "Flowise" || body["aud"] != `Flo"wise` || body["sub"] != u.ID ||
		body["sid"] != pair.SessionID ||
		body["jti"] == "" ||
		body["exp"].(float64)-body["iat"].(float64) != accessLife.Seconds() ||
		int64(body["exp"].(float64)) != pair.AccessExpires.Unix() {
		t.Errorf("claims %v", body)
	}
	if _, ok := o.sessions.Lookup(pair.Refresh, authn.AudienceMain); ok {
		t.Error("a refresh token is a session cookie")
	}
	list, err := o.sessions.List(context.Background(), authn.Principal{Kind: cli.Kind, ID: "x", Superuser: true}, u.ID)
	if err != nil || len(list) != 1 || !list[0].Program || list[0].Method != program.Method ||
		list[0].UserAgent != program.UserAgent {
		t.Errorf("the list of sessions: %+v, %v", list, err)
	}
	if rows, err := q.New(o.db.Read()).AllCookies(context.Background()); err != nil || len(rows) != 0 {
		t.Errorf("the sign-in of a program left %d cookies behind", len(rows))
	}
}

func TestAccessTokenEnds(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	u := o.add(t, "ann")
	pair, fresh := o.signIn(t, u.ID), o.signIn(t, u.ID)
	if _, err := o.tokens.Verify(pair.Access); err != nil {
		t.Fatal(err)
	}
	o.step(accessLife - 2*time.Second)
	if _, err := o.tokens.Verify(pair.Access); err != nil {
		t.Errorf("before its end: %v", err)
	}
	o.step(2 * time.Second)
	o.refused(t, "known, at its end", pair.Access, "has expired")
	o.refused(t, "never seen, at its end", fresh.Access, "has expired")
	// It is the token that has ended, not the session.
	if _, err := o.tokens.Verify(o.next(t, pair.Refresh).Access); err != nil {
		t.Errorf("after a refresh: %v", err)
	}
}

func TestTokens_Logout(t *testing.T) {
	ctx := context.Background()
	ends := map[string]func(t *testing.T, o *office, userID string, p authn.Pair) error{
		"logout": func(_ *testing.T, o *office, _ string, p authn.Pair) error {
			who, err := o.tokens.Verify(p.Access)
			return errors.Join(err, o.sessions.Revoke(ctx, who, who.SessionID))
		},
		"refresh token revoked": func(_ *testing.T, o *office, _ string, p authn.Pair) error {
			return o.tokens.Revoke(ctx, p.Refresh, program)
		},
		"former refresh token revoked": func(t *testing.T, o *office, _ string, p authn.Pair) error {
			o.next(t, p.Refresh)
			return o.tokens.Revoke(ctx, p.Refresh, program)
		},
		"account disabled": func(_ *testing.T, o *office, userID string, _ authn.Pair) error {
			return o.people.Update(ctx, cli, userID, identity.UserUpdate{Active: problem.Some(false)})
		},
		"account deleted": func(_ *testing.T, o *office, userID string, _ authn.Pair) error {
			return o.people.Remove(ctx, cli, userID, "")
		},
		"everything ended": func(_ *testing.T, o *office, _ string, _ authn.Pair) error {
			return o.sessions.EndEverything(ctx, cli, "restart")
		},
		"all sessions ended": func(_ *testing.T, o *office, userID string, _ authn.Pair) error {
			return o.sessions.RevokeAll(ctx, cli, userID, "")
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				o := open(t, d)
				u := o.add(t, "ann")
				pair := o.signIn(t, u.ID)
				if _, err := o.tokens.Verify(pair.Access); err != nil {
					t.Fatal(err)
				}
				if err := end(t, o, u.ID, pair); err != nil {
					t.Fatal(err)
				}
				o.refused(t, "the access token", pair.Access, "has ended")
				_, err := o.tokens.Refresh(ctx, pair.Refresh, program)
				refuses(t, "the refresh token", err, "has ended")
				if err := o.tokens.Revoke(ctx, pair.Refresh, program); err != nil {
					t.Errorf("revoking what has ended: %v", err)
				}
				again := open(t, d)
				again.refused(t, "after a restart", pair.Access, "has ended")
			})
		})
	}
}

// TestTokens_EveryNode: behind a load balancer the first call comes to another node than the
// sign-in, before any change was polled.
func TestTokens_EveryNode(t *testing.T) {
	eachPair(t, func(t *testing.T, one, two *office) {
		u := one.add(t, "ann")
		until(t, "the account on the other node", func() bool { _, ok := two.people.Principal(u.ID); return ok })
		for i := range 20 {
			p := one.signIn(t, u.ID)
			if _, err := two.tokens.Verify(p.Access); err != nil {
				t.Fatalf("sign-in %d is not known on the other node: %v", i, err)
			}
			next := two.next(t, p.Refresh)
			if _, err := one.tokens.Verify(next.Access); err != nil {
				t.Fatalf("refresh %d is not known on the first node: %v", i, err)
			}
		}
	})
}

// eachPair is for two nodes on one database.
func eachPair(t *testing.T, test func(t *testing.T, one, two *office)) {
	t.Run("sqlite", func(t *testing.T) {
		c := db.Config{Folder: t.TempDir(), Now: time.Now}
		test(t, open(t, dbtest.Open(t, c)), open(t, dbtest.Open(t, c)))
	})
	t.Run("postgres", func(t *testing.T) {
		c := db.Config{Postgres: dbtest.Postgres(t), Now: time.Now}
		test(t, open(t, dbtest.Open(t, c)), open(t, dbtest.Open(t, c)))
	})
}

func TestTokens_ParallelRefreshes(t *testing.T) {
	eachPair(t, func(t *testing.T, one, two *office) {
		u := one.add(t, "ann")
		until(t, "the account on the other node", func() bool { _, ok := two.people.Principal(u.ID); return ok })
		first := one.signIn(t, u.ID)
		const all = 1000
		var got [all]authn.Pair
		var errs [all]error
		var ready, wg sync.WaitGroup
		ready.Add(1)
		for i := range all {
			wg.Go(func() {
				ready.Wait()
				got[i], errs[i] = []*office{one, two}[i%2].tokens.Refresh(context.Background(), first.Refresh, program)
			})
		}
		ready.Done()
		wg.Wait()
		access := map[string]bool{}
		for i := range all {
			if errs[i] != nil {
				t.Fatalf("refresh %d: %v", i, errs[i])
			}
			if got[i].Refresh != got[0].Refresh || got[i].SessionID != first.SessionID {
				t.Fatal("two successors of one token")
			}
			access[got[i].Access] = true
		}
		if len(access) != all {
			t.Errorf("%d access tokens, want one for each", len(access))
		}
		f, err := q.New(one.db.Read()).GetRefreshFamily(context.Background(), first.SessionID)
		if err != nil || f.Generation != 2 {
			t.Errorf("generation %d, %v; want 2", f.Generation, err)
		}
		two.next(t, got[0].Refresh)
	})
}

func TestTokens_Replay(t *testing.T) {
	ctx := context.Background()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		o := open(t, d)
		u := o.add(t, "ann")
		for name, replay := range map[string]func(first authn.Pair) (old authn.Pair, newest authn.Pair){
			"a former token after the grace": func(first authn.Pair) (authn.Pair, authn.Pair) {
				second := o.next(t, first.Refresh)
				o.step(grace)
				return first, second
			},
			"an older token at once": func(first authn.Pair) (authn.Pair, authn.Pair) {
				return first, o.next(t, o.next(t, first.Refresh).Refresh)
			},
		} {
			first, bystander := o.signIn(t, u.ID), o.signIn(t, u.ID)
			old, newest := replay(first)
			if _, err := o.tokens.Verify(newest.Access); err != nil {
				t.Fatal(err)
			}
			_, err := o.tokens.Refresh(ctx, old.Refresh, program)
			refuses(t, name, err, "was used before")
			o.refused(t, name+": the newest access token", newest.Access, "has ended")
			_, err = o.tokens.Refresh(ctx, newest.Refresh, program)
			refuses(t, name+": the newest refresh token", err, "has ended")
			if _, err := o.tokens.Verify(o.next(t, bystander.Refresh).Access); err != nil {
				t.Errorf("%s: another sign-in of the person has ended too: %v", name, err)
			}
		}
		entries, err := audit.After(ctx, d, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		replays := 0
		for _, e := range entries {
			if e.Action == "session:end" && e.Outcome == audit.Done && e.Detail == "a refresh token was used twice" &&
				e.IP == program.IP &&
				e.ResourceName == "ann" {
				replays++
			}
		}
		if replays != 2 {
			t.Errorf("%d entries on replays, want 2", replays)
		}
	})
}

// TestTokens_LostAnswer: the transaction is committed, the answer never arrives, and the program
// comes again with the token that it has.
func TestTokens_LostAnswer(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		o := open(t, d)
		u := o.add(t, "ann")
		held := o.signIn(t, u.ID).Refresh
		for range 3 {
			lost := o.next(t, held)
			o.step(grace - time.Second)
			got := o.next(t, held)
			if got.Refresh != lost.Refresh {
				t.Fatal("another successor than the one that was lost")
			}
			if _, err := o.tokens.Verify(got.Access); err != nil {
				t.Fatal(err)
			}
			held = got.Refresh
		}
	})
}

func TestTokens_RefreshLifetime(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	u := o.add(t, "ann")
	ctx := context.Background()
	unused := o.signIn(t, u.ID)
	if life := unused.RefreshExpires.Sub(o.Now()); life > refreshLife || life < refreshLife-time.Minute {
		t.Errorf("a refresh token lives %v", life)
	}
	// A program may rest much longer than a browser.
	used, began := o.signIn(t, u.ID), o.Now()
	for range 3 {
		o.step(refreshLife - time.Hour)
		if err := o.sessions.Maintain(ctx, o.Now()); err != nil {
			t.Fatal(err)
		}
		used = o.next(t, used.Refresh)
		if used.RefreshExpires.After(began.Add(maxAge)) || used.AccessExpires.After(began.Add(maxAge)) {
			t.Errorf(
				"tokens until %v and %v, beyond the session's %v",
				used.AccessExpires,
				used.RefreshExpires,
				began.Add(maxAge),
			)
		}
	}
	if _, err := o.tokens.Verify(used.Access); err != nil {
		t.Error(err)
	}
	_, err := o.tokens.Refresh(ctx, unused.Refresh, program)
	refuses(t, "an unused token after its life", err, "has ended")
	o.step(3 * time.Hour)
	_, err = o.tokens.Refresh(ctx, used.Refresh, program)
	refuses(t, "beyond the session's longest life", err, "has expired")
	o.refused(t, "the access token then", used.Access, "has expired")
	if err := o.sessions.Maintain(ctx, o.Now()); err != nil {
		t.Fatal(err)
	}
	rows, err := q.New(o.db.Read()).SessionIDsOf(ctx, u.ID)
	if err != nil || len(rows) != 0 {
		t.Errorf("%d sessions are left, %v", len(rows), err)
	}
}

// TestProgramsMayRest: the idle limit of browser sessions does not apply to programs.
func TestProgramsMayRest(t *testing.T) {
	o := open(t, dbtest.SQLite(t), func(c *authn.TokenConfig) { c.AccessLife = 3 * maxIdle })
	u := o.add(t, "ann")
	cookie, _ := o.node.signIn(t, u.ID)
	p := o.signIn(t, u.ID)
	done := o.sessions.Done(p.SessionID)
	o.step(2 * maxIdle)
	if err := o.sessions.Maintain(context.Background(), o.Now()); err != nil {
		t.Fatal(err)
	}
	if o.live(cookie) {
		t.Error("the browser's session goes on")
	}
	select {
	case <-done:
		t.Error("the program's streams were cut")
	default:
	}
	if _, err := o.tokens.Verify(p.Access); err != nil {
		t.Error(err)
	}
	list, err := o.sessions.List(context.Background(), cli, u.ID)
	if err != nil || len(list) != 1 || list[0].ID != p.SessionID {
		t.Errorf("the list shows %+v, %v", list, err)
	}
}

// TestTokens_KeyRotation: new keys sign, previous keys verify, and tokens of a removed key are
// invalid, even where they were already known.
func TestTokens_KeyRotation(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	u := o.add(t, "ann")
	ctx := context.Background()
	first := o.signIn(t, u.ID)
	o.access.set("b", "a")
	o.refresh.set("s", "r")
	o.hash.set("i", "h")
	o.step(2 * time.Second)
	second := o.next(t, first.Refresh)
	for name, token := range map[string]string{"under the former key": first.Access,
		"under the new key": second.Access} {
		if _, err := o.tokens.Verify(token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := o.next(t, first.Refresh); got.Refresh != second.Refresh {
		t.Error("another successor under new keys")
	}
	o.access.set("b")
	o.step(2 * time.Second)
	if _, err := o.tokens.Verify(first.Access); !errors.Is(err, authn.ErrForeign) {
		t.Errorf("a known token under a key that is gone: %v", err)
	}
	if _, err := o.tokens.Verify(second.Access); err != nil {
		t.Errorf("a known token under the key in use: %v", err)
	}
	third := o.next(t, second.Refresh)
	// Another node signs with a key that this one has not asked for yet.
	o.access.set("c", "b")
	other := open(t, o.db)
	other.access.set("c", "b")
	other.refresh.set("s")
	other.hash.set("i")
	other.step(2 * time.Second)
	if _, err := o.tokens.Verify(other.next(t, third.Refresh).Access); err != nil {
		t.Errorf("under a key that came this moment: %v", err)
	}
	o.refresh.set("t")
	_, err := o.tokens.Refresh(ctx, third.Refresh, program)
	refuses(t, "a refresh token under a key that is gone", err, "not valid")
}

func TestTokens_ForeignAccessTokens(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	u, v := o.add(t, "ann"), o.add(t, "bob")
	pair, other := o.signIn(t, u.ID), o.signIn(t, v.ID)
	elsewhere := func(change func(*authn.TokenConfig)) *office { return open(t, o.db, change) }
	aud := elsewhere(func(c *authn.TokenConfig) { c.Audience = "else" }).signIn(t, u.ID).Access
	iss := elsewhere(func(c *authn.TokenConfig) { c.Issuer = "else" }).signIn(t, u.ID).Access
	stranger := open(t, o.db)
	stranger.access.set("x")
	stranger.step(2 * time.Second)
	under := stranger.signIn(t, u.ID).Access
	same := &keys{}
	same.set("x")
	(*same.list.Load())[0].ID = "id-a"
	resigned := elsewhere(func(c *authn.TokenConfig) { c.AccessKeys = same.get }).signIn(t, u.ID).Access
	part, theirs := strings.Split(pair.Access, "."), strings.Split(other.Access, ".")
	header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	none := header(`{"alg":"none","kid":"id-a","typ":"JWT"}`)
	for name, token := range map[string]string{
		"wrong audience": aud, "wrong issuer": iss, "re-signed under our key id": resigned,
		"truncated":         pair.Access[:len(pair.Access)-1],
		"truncated by much": pair.Access[:len(pair.Access)/2],
		"longer":            pair.Access + "A",
		"padded":            pair.Access + "=",
		"without signature": part[0] + "." + part[1] + ".",
		"two parts":         part[0] + "." + part[1],
		"four parts":        pair.Access + "." + part[2],
		"another's claims":  part[0] + "." + theirs[1] + "." + part[2],
		"alg none":          none + "." + part[1] + ".",
		"alg none, signed":  none + "." + part[1] + "." + part[2],
		"alg HS512":         header(`{"alg":"HS512","kid":"id-a","typ":"JWT"}`) + "." + part[1] + "." + part[2],
		"alg in lower case": header(`{"alg":"hs256","kid":"id-a","typ":"JWT"}`) + "." + part[1] + "." + part[2],
		"alg twice": header(`{"alg":"HS256","alg":"none","kid":"id-a","typ":"JWT"}`) + "." + part[1] + "." +
			part[2],
		"with a jwk": header(`{"alg":"HS256","jwk":"x","kid":"id-a","typ":"JWT"}`) + "." + part[1] + "." +
			part[2],
		"no typ":             header(`{"alg":"HS256","kid":"id-a"}`) + "." + part[1] + "." + part[2],
		"line break":         pair.Access[:20] + "\n" + pair.Access[20:],
		"last bits":          lastBits(pair.Access),
		"key id with number": header(`{"alg":"HS256","kid":1,"typ":"JWT"}`) + "." + part[1] + "." + part[2],
		"under another key":  under, "empty": "", "dots": "..", "random": strings.Repeat("A",
			200), "huge": strings.Repeat("A", 5000), "a refresh token": pair.Refresh,
	} {
		p, err := o.tokens.Verify(token)
		if p.ID != "" ||
			!errors.Is(err, authn.ErrForeign) &&
				(!problem.Is(err, problem.Unauthenticated) || problem.Of(err).Detail != "This access token is not "+
					"valid.") {
			t.Errorf("%s: %s, %v", name, p.ID, err)
		}
		if foreign := errors.Is(err, authn.ErrForeign); foreign &&
			(strings.HasPrefix(name, "alg") && name != "alg twice") {
			t.Errorf("%s: it names our key and passes for somebody else's token", name)
		}
	}
	if _, err := o.tokens.Verify(pair.Access); err != nil {
		t.Fatal(err)
	}
	// A refused request with a known token is still refused.
	o.refused(t, "truncated, after the whole one", pair.Access[:len(pair.Access)-1], "not valid")
}

// lastBits spells the last character otherwise, so that a lenient decoder sees the same bytes.
func lastBits(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[i^1])
}

func TestClockSkew(t *testing.T) {
	d := dbtest.SQLite(t)
	o, ahead := open(t, d), open(t, d)
	u := o.add(t, "ann")
	until(t, "the account", func() bool { _, ok := ahead.people.Principal(u.ID); return ok })
	ahead.step(55 * time.Second)
	if _, err := o.tokens.Verify(ahead.signIn(t, u.ID).Access); err != nil {
		t.Errorf("made by a clock that is 55 s ahead: %v", err)
	}
	ahead.step(20 * time.Second)
	o.refused(t, "made by a clock that is 75 s ahead", ahead.signIn(t, u.ID).Access, "not valid")
	// The end is the end: no second is added to it.
	p := o.signIn(t, u.ID)
	o.step(accessLife)
	o.refused(t, "at its end", p.Access, "has expired")
}

func TestTokens_ForeignRefreshTokens(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	u := o.add(t, "ann")
	ctx := context.Background()
	p := o.signIn(t, u.ID)
	other := open(t, o.db)
	other.refresh.set("x")
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(p.Refresh, "sluicert_"))
	if err != nil {
		t.Fatal(err)
	}
	change := func(i int, to byte) string {
		b := append([]byte{}, raw...)
		b[i] = to
		return "sluicert_" + base64.RawURLEncoding.EncodeToString(b)
	}
	for name, token := range map[string]string{
		"empty": "", "an access token": p.Access, "without its beginning": strings.TrimPrefix(p.Refresh,
			"sluicert_"), "truncated": p.Refresh[:len(p.Refresh)-1], "longer": p.Refresh + "A",
		"another form": change(0, 2), "the generation to come": change(24, 2), "generation 0": change(24,
			0), "another proof": change(30, raw[30]^1), "huge": strings.Repeat("A", 5000),
		"line break": p.Refresh[:30] + "\n" + p.Refresh[31:],
	} {
		_, err := o.tokens.Refresh(ctx, token, program)
		refuses(t, name, err, "not valid")
		if err := o.tokens.Revoke(ctx, token, program); err != nil {
			t.Errorf("revoking %s: %v", name, err)
		}
	}
	_, err = o.tokens.Refresh(ctx, change(5, raw[5]^1), program)
	refuses(t, "another session", err, "has ended")
	_, err = other.tokens.Refresh(ctx, p.Refresh, program)
	refuses(t, "under another key", err, "not valid")
	other.refresh.set("r")
	other.hash.set("x")
	_, err = other.tokens.Refresh(ctx, p.Refresh, program)
	refuses(t, "hashed under another key", err, "not valid")
	// None of this has touched the session.
	o.next(t, p.Refresh)
}

// TestTokens_NotStored looks for the tokens, and for what could be made into one, in every row.
func TestTokens_NotStored(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	u := o.add(t, "ann")
	p := o.signIn(t, u.ID)
	next := o.next(t, p.Refresh)
	f, err := q.New(o.db.Read()).GetRefreshFamily(context.Background(), p.SessionID)
	if err != nil {
		t.Fatal(err)
	}
	row := fmt.Sprintf("%+v", f)
	for _, token := range []string{p.Refresh, next.Refresh, p.Access, next.Access} {
		if strings.Contains(row, token) || strings.Contains(row, token[len(token)-20:]) {
			t.Errorf("the row holds a token: %s", row)
		}
	}
	if f.TokenHash == "" || f.FormerHash == "" || f.TokenHash == f.FormerHash {
		t.Errorf("hashes %q and %q", f.TokenHash, f.FormerHash)
	}
}

func TestAccessToken_EndsAtTheSecond(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	o.stop()
	pair := o.signIn(t, o.add(t, "ann").ID)
	o.step(accessLife - time.Millisecond)
	if _, err := o.tokens.Verify(pair.Access); err != nil {
		t.Errorf("a millisecond before its end: %v", err)
	}
	o.step(time.Millisecond)
	o.refused(t, "known, at its end", pair.Access, "has expired")
}

func TestRefreshToken_EndsAtTheMillisecond(t *testing.T) {
	ctx := context.Background()
	o := open(t, dbtest.SQLite(t))
	o.stop()
	u := o.add(t, "ann")
	early, late := o.signIn(t, u.ID), o.signIn(t, u.ID)
	o.step(refreshLife - time.Millisecond)
	if _, err := o.tokens.Refresh(ctx, early.Refresh, program); err != nil {
		t.Errorf("a millisecond before its end: %v", err)
	}
	o.step(time.Millisecond)
	_, err := o.tokens.Refresh(ctx, late.Refresh, program)
	refuses(t, "at its end", err, "has e")
}

func TestClockSkew_IsAMinute(t *testing.T) {
	d := dbtest.SQLite(t)
	o, ahead := open(t, d), open(t, d)
	u := o.add(t, "ann")
	until(t, "the account", func() bool { _, ok := ahead.people.Principal(u.ID); return ok })
	o.stop()
	ahead.stopped.Store(o.stopped.Load())
	ahead.step(time.Minute)
	if _, err := o.tokens.Verify(ahead.signIn(t, u.ID).Access); err != nil {
		t.Errorf("made by a clock that is a minute ahead: %v", err)
	}
	ahead.step(time.Second)
	o.refused(t, "made by a clock that is a second more ahead", ahead.signIn(t, u.ID).Access, "not valid")
}

func TestKeys_AreAskedForOnceASecond(t *testing.T) {
	asked := 0
	o := open(t, dbtest.SQLite(t), func(c *authn.TokenConfig) {
		ask := c.AccessKeys
		c.AccessKeys = func() []authn.Key { asked++; return ask() }
	})
	o.stop()
	pair := o.signIn(t, o.add(t, "ann").ID)
	for _, c := range []struct {
		when string
		step time.Duration
		more int
	}{
		{"at once", 0, 0},
		{"just before a second is over", time.Second - time.Millisecond, 0},
		{"after a second", time.Millisecond, 1},
		{"when the clock was set back", -time.Millisecond, 1},
	} {
		if c.when == "at once" { // what the sign-in asked for is not counted
			if _, err := o.tokens.Verify(pair.Access); err != nil {
				t.Fatal(err)
			}
		}
		o.step(c.step)
		before := asked
		if _, err := o.tokens.Verify(pair.Access); err != nil {
			t.Errorf("%s: %v", c.when, err)
		}
		if asked-before != c.more {
			t.Errorf("%s: the keys were asked for %d times, want %d", c.when, asked-before, c.more)
		}
	}
}

// TestKnownTokens_EndWithTheirKey: a token that was verified before its key was replaced is
// verified again.
func TestKnownTokens_EndWithTheirKey(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	pair := o.signIn(t, o.add(t, "ann").ID)
	if _, err := o.tokens.Verify(pair.Access); err != nil {
		t.Fatal(err)
	}
	o.access.set("b")
	o.step(2 * time.Second)
	if p, err := o.tokens.Verify(pair.Access); err == nil {
		t.Errorf("a token under a key that is gone is %s's", p.Name)
	}
}

// resigned is an access token that says something else, under the key in use.
func resigned(t testing.TB, token string, change map[string]any) string {
	t.Helper()
	part := strings.Split(token, ".")
	body, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		t.Fatal(err)
	}
	var says map[string]any
	if err := json.Unmarshal(body, &says); err != nil {
		t.Fatal(err)
	}
	maps.Copy(says, change)
	if body, err = json.Marshal(says); err != nil {
		t.Fatal(err)
	}
	text := part[0] + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, []byte(strings.Repeat("a", 32)))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestAccessToken_IsNotGoodBeforeItsTime: the issuer's clock may be a minute ahead.
func TestAccessToken_IsNotGoodBeforeItsTime(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	o.stop()
	pair := o.signIn(t, o.add(t, "ann").ID)
	for from, good := range map[time.Duration]bool{
		0:                         true,
		time.Minute:               true,
		time.Minute + time.Second: false,
	} {
		token := resigned(t, pair.Access, map[string]any{"nbf": o.Now().Add(from).Unix()})
		if !good {
			o.refused(t, "from "+from.String(), token, "not valid")
		} else if _, err := o.tokens.Verify(token); err != nil {
			t.Errorf("good from %s on: %v", from, err)
		}
	}
}

// TestAccessToken_OfTheGreatestLength: 4096 bytes are accepted, and one more is not a Sluice token.
func TestAccessToken_OfTheGreatestLength(t *testing.T) {
	d := dbtest.SQLite(t)
	// The key's id is so long that a header fills whole groups of base64url, and each length can be
	// reached.
	key := authn.Key{ID: "id-abc", Value: []byte(strings.Repeat("a", 32))}
	with := func(longer int) *office {
		return open(t, d, func(c *authn.TokenConfig) {
			c.Issuer += strings.Repeat("x", longer)
			c.AccessKeys = func() []authn.Key { return []authn.Key{key} }
		})
	}
	short := with(0)
	u := short.add(t, "ann")
	part := strings.Split(short.signIn(t, u.ID).Access, ".")
	around := len(part[0]) + len(part[2]) + 2
	room := base64.RawURLEncoding.DecodedLen(4096-around) - base64.RawURLEncoding.DecodedLen(len(part[1]))
	for more, want := range map[int]error{0: nil, 1: authn.ErrForeign} {
		o := with(room + more)
		token := o.signIn(t, u.ID).Access
		if len(token) != 4096+more {
			t.Fatalf("the token has %d bytes, want %d", len(token), 4096+more)
		}
		if _, err := o.tokens.Verify(token); !errors.Is(err, want) {
			t.Errorf("a token of %d bytes: %v, want %v", len(token), err, want)
		}
	}
}

// TestASessionOfAnotherNode_IsFetchedForTenSeconds: a later token whose session is not known is
// refused at once.
func TestASessionOfAnotherNode_IsFetchedForTenSeconds(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	one := open(t, dbtest.Open(t, db.Config{Folder: dir, Now: time.Now}))
	d := dbtest.Open(t, db.Config{Folder: dir, Now: time.Now})
	// The other node stops reading changes when it meets the first one of a session.
	held, release := make(chan bool), make(chan bool)
	var once sync.Once
	d.Subscribe(authn.ChangeKind, func(string) { once.Do(func() { held <- true; <-release }) })
	two := open(t, d)
	u := one.add(t, "ann")
	d.CatchUp(ctx)
	one.stop()
	two.stopped.Store(one.stopped.Load())
	pair := one.signIn(t, u.ID)
	<-held
	two.step(10 * time.Second)
	verdict := make(chan error, 1)
	go func() {
		_, err := two.tokens.Verify(pair.Access)
		verdict <- err
	}()
	select {
	case err := <-verdict:
		refuses(t, "ten seconds old", err, "has ended")
	case <-time.After(10 * time.Second):
		t.Error("a token that is ten seconds old waits for its session")
	}
	two.step(-time.Millisecond)
	go func() {
		_, err := two.tokens.Verify(pair.Access)
		verdict <- err
	}()
	close(release)
	if err := <-verdict; err != nil {
		t.Errorf("a token that is not ten seconds old: %v", err)
	}
}

// TestAReplay_IsToldByMail: to people with an address, if there is a mail server. The session is
// always revoked.
func TestAReplay_IsToldByMail(t *testing.T) {
	for name, c := range map[string]struct {
		server, email string
		want          []string
	}{
		"to the person": {"mail.example.com", "ann@example.com", []string{"token-replayed to " +
			"ann@example.com"}},
		"to nobody without an email": {"mail.example.com", "", nil},
		"without a mail server":      {"", "ann@example.com", nil},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, d := context.Background(), dbtest.SQLite(t)
			asItIs := func(data []byte, _ string) ([]byte, error) { return data, nil }
			outbox, err := mail.New(mail.Config{
				DB:   d,
				SMTP: mail.SMTP{Host: c.server},
				Host: "sluice.example.com",
				Seal: asItIs,
				Open: asItIs,
				Now:  time.Now,
				Log:  quiet,
			})
			if err != nil {
				t.Fatal(err)
			}
			o := open(t, d, func(c *authn.TokenConfig) {
				c.Mail, c.AccountPage = outbox, func() string { return "https://sluice.example.com/account" }
			})
			u, err := o.people.Create(ctx, cli, identity.NewUser{Username: "ann", Email: c.email, Active: true})
			if err != nil {
				t.Fatal(err)
			}
			first := o.signIn(t, u.ID)
			newest := o.next(t, o.next(t, first.Refresh).Refresh)
			_, err = o.tokens.Refresh(ctx, first.Refresh, program)
			refuses(t, "the first refresh token", err, "was used before")
			o.refused(t, "the newest access token", newest.Access, "has ended")
			items, _, err := outbox.List(ctx, mail.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, i := range items {
				got = append(got, i.Kind+" to "+i.To.Email)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
