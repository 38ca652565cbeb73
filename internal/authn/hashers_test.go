package authn_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"sluice/internal/authn"
	"sluice/internal/db"
	qsecret "sluice/internal/db/q/secret"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// keyed is a node whose sessions are hashed under keys that can be replaced.
type keyed struct {
	*node
	ring    *secret.Keyring
	rotator *secret.Rotator
}

func keysOf(ask func() []secret.Key) func() []authn.Key {
	return func() (out []authn.Key) {
		for _, k := range ask() {
			out = append(out, authn.Key{ID: k.ID, Value: k.Value})
		}
		return out
	}
}

func startKeyed(t testing.TB, d *db.DB, folder string) *keyed {
	t.Helper()
	n, log, ctx := start(t, d), slog.New(slog.DiscardHandler), context.Background()
	ring, err := secret.Open(
		ctx,
		secret.Config{
			DB:     d,
			Folder: folder,
			Lives:  map[secret.Name]time.Duration{secret.Session: maxAge, secret.TokenHash: time.Hour},
			Now:    n.Now,
			Log:    log,
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	n.sessions, err = authn.New(ctx, authn.Config{
		DB:          d,
		Gate:        n.gate,
		People:      n.people,
		SessionKeys: keysOf(ring.SessionKeys),
		HashKeys:    keysOf(ring.TokenKeys),
		MaxAge:      maxAge,
		MaxIdle:     maxIdle,
		Now:         n.Now,
		Log:         log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &keyed{n, ring, secret.NewRotator(ring, n.gate)}
}

func (k *keyed) rotate(t testing.TB, names ...secret.Name) {
	t.Helper()
	for _, n := range names {
		if err := k.rotator.Rotate(context.Background(), cli, n, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func (k *keyed) link(t testing.TB) (token string) {
	t.Helper()
	err := k.db.Gated(context.Background(), func(tx *db.Tx) (err error) {
		token, _, err = k.sessions.NewTicket(
			context.Background(),
			tx,
			authn.PurposeReset,
			authn.Ticket{Subject: "ann"},
			time.Hour,
		)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (k *keyed) follow(token string) error {
	if _, err := k.sessions.CheckTicket(context.Background(), authn.PurposeReset, token); err != nil {
		return err
	}
	return k.db.Gated(context.Background(), func(tx *db.Tx) error {
		return k.sessions.UseTicket(context.Background(), tx, authn.PurposeReset, token)
	})
}

// Sessions and links of before and after three rotations work on both nodes and after a restart; a
// link still works once only.
func TestHashers_RotationKeepsSessions(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		folder := t.TempDir()
		one, two := startKeyed(t, d, folder), startKeyed(t, d, folder)
		ann := one.add(t, "ann")
		var cookies, links []string
		for range 3 {
			cookie, _ := one.signIn(t, ann.ID)
			cookies, links = append(cookies, cookie), append(links, one.link(t), one.link(t))
			two.rotate(t, secret.Session, secret.TokenHash)
		}
		cookie, _ := one.signIn(t, ann.ID)
		cookies, links = append(cookies, cookie), append(links, one.link(t), one.link(t))
		for i, node := range []*keyed{one, two, startKeyed(t, d, folder)} {
			for j, cookie := range cookies {
				if node.who(cookie) != ann.ID {
					t.Errorf("node %d does not know cookie %d", i, j)
				}
			}
		}
		for i, link := range links {
			node := []*keyed{one, two}[i%2]
			if err := node.follow(link); err != nil {
				t.Errorf("link %d: %v", i, err)
			}
			if err := node.follow(link); !problem.Is(err, problem.Gone) {
				t.Errorf("link %d a second time: %v", i, err)
			}
		}
	})
}

// Everything created with a leaked key is revoked when the key is removed; everything created with
// the new one stays valid.
func TestHashers_DropPreviousKeys(t *testing.T) {
	n := startKeyed(t, dbtest.SQLite(t), t.TempDir())
	ann := n.add(t, "ann")
	old, _ := n.signIn(t, ann.ID)
	oldLink := n.link(t)
	n.rotate(t, secret.Session, secret.TokenHash)
	fresh, _ := n.signIn(t, ann.ID)
	freshLink := n.link(t)
	for _, name := range []secret.Name{secret.Session, secret.TokenHash} {
		if err := n.rotator.Forget(context.Background(), cli, name); err != nil {
			t.Fatal(err)
		}
	}
	if n.live(old) || !n.live(fresh) {
		t.Errorf("the old session lives: %v, the new one: %v", n.live(old), n.live(fresh))
	}
	if err := n.follow(oldLink); !problem.Is(err, problem.NotFound) {
		t.Errorf("the old link: %v", err)
	}
	if err := n.follow(freshLink); err != nil {
		t.Errorf("the new link: %v", err)
	}
}

// A database of before the keys were several has its cookies under the installation's own key.
func TestHashers_CookiesOfOlderDatabase(t *testing.T) {
	d, folder := dbtest.SQLite(t), t.TempDir()
	ring, err := secret.Open(
		context.Background(),
		secret.Config{DB: d, Folder: folder, Log: slog.New(slog.DiscardHandler)},
	)
	if err != nil {
		t.Fatal(err)
	}
	old := start(t, d)
	old.sessions, err = authn.New(context.Background(), authn.Config{
		DB:       d,
		Gate:     old.gate,
		People:   old.people,
		TokenKey: ring.TokenKey(),
		MaxAge:   maxAge,
		MaxIdle:  maxIdle,
		Now:      old.Now,
		Log:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ann := old.add(t, "ann")
	cookie, _ := old.signIn(t, ann.ID)
	err = d.Gated(context.Background(), func(tx *db.Tx) error {
		rows, err := qsecret.New(tx).SecretKeys(context.Background())
		for _, r := range rows {
			if err == nil {
				err = qsecret.New(tx).
					DeleteSecretKey(context.Background(), qsecret.DeleteSecretKeyParams{Name: r.Name, Kid: r.Kid})
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if startKeyed(t, d, folder).who(cookie) != ann.ID {
		t.Error("an update signs everybody out")
	}
}

func BenchmarkAuthenticateAfterARotation(b *testing.B) {
	n := startKeyed(b, dbtest.SQLite(b), b.TempDir())
	old, _ := n.signIn(b, n.add(b, "ann").ID)
	n.rotate(b, secret.Session)
	fresh, _ := n.signIn(b, n.add(b, "bob").ID)
	for name, token := range map[string]string{"former": old, "present": fresh} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Cookie", "_ga=GA1.2.3; theme=dark; sluice_session="+token)
			b.ReportAllocs()
			for b.Loop() {
				if p, err := n.sessions.Authenticate(r, authn.AudienceMain, false); err != nil || !p.SignedIn() {
					b.Fatal(err)
				}
			}
		})
	}
}
