package secret_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"sluice/internal/db"
	q "sluice/internal/db/q/secret"
	"sluice/internal/dbtest"
	"sluice/internal/secret"
)

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func keySet(t *testing.T, k *secret.Keyring) jose.JSONWebKeySet {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(k.Signer().JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	return set
}

func kids(set jose.JSONWebKeySet) []string {
	ids := []string{}
	for _, key := range set.Keys {
		ids = append(ids, key.KeyID)
	}
	return ids
}

func sign(t *testing.T, k *secret.Keyring, subject string) string {
	t.Helper()
	token, err := k.Signer().Sign(jwt.Claims{Subject: subject})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// verify reads a token with the keys that another party would fetch.
func verify(set jose.JSONWebKeySet, token string) (subject string, header jose.Header, err error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return "", header, err
	}
	var claims jwt.Claims
	err = parsed.Claims(set, &claims)
	return claims.Subject, parsed.Headers[0], err
}

func TestSigner_PublishedSet(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k := open(t, d, t.TempDir())
		set := keySet(t, k)
		if len(set.Keys) != 1 || !set.Keys[0].IsPublic() || set.Keys[0].Use != "sig" ||
			set.Keys[0].Algorithm != "RS256" {
			t.Fatalf("the set of a new installation: %s", k.Signer().JWKS())
		}
		subject, header, err := verify(set, sign(t, k, "ann"))
		if err != nil || subject != "ann" || header.KeyID != set.Keys[0].KeyID || header.ExtraHeaders["typ"] != "JWT" {
			t.Errorf("subject %q, header %+v, %v", subject, header, err)
		}
		if strings.Contains(string(k.Signer().JWKS()), `"d"`) {
			t.Error("the private key is in the published set")
		}
	})
}

func TestSigner_ForeignAssertion(t *testing.T) {
	t.Parallel()
	one, two := open(t, dbtest.SQLite(t), t.TempDir()), open(t, dbtest.SQLite(t), t.TempDir())
	if _, _, err := verify(keySet(t, one), sign(t, two, "ann")); err == nil {
		t.Error("an assertion of another installation is accepted")
	}
}

// Two nodes that need the first key at once create one for both, and each learns of the other's
// rotation.
func TestSigner_Nodes(t *testing.T) {
	t.Parallel()
	c := db.Config{Postgres: dbtest.Postgres(t), Now: time.Now}
	folder := t.TempDir()
	one, two := open(t, dbtest.Open(t, c), folder), open(t, dbtest.Open(t, c), folder)
	var wg sync.WaitGroup
	tokens := make([]string, 8)
	for i := range tokens {
		wg.Add(1)
		go func() {
			defer wg.Done()
			token, err := []*secret.Keyring{one, two}[i%2].Signer().Sign(jwt.Claims{Subject: "ann"})
			if err != nil {
				t.Error(err)
			}
			tokens[i] = token
		}()
	}
	wg.Wait()
	set := keySet(t, one)
	if len(set.Keys) != 1 {
		t.Errorf("%d keys were made", len(set.Keys))
	}
	for _, token := range tokens {
		if _, _, err := verify(set, token); err != nil {
			t.Error(err)
		}
	}
	if err := two.RotateSigner(context.Background()); err != nil {
		t.Fatal(err)
	}
	until(t, "the rotation on the other node", func() bool {
		return cmp.Equal(kids(keySet(t, one)), kids(keySet(t, two)))
	})
	_, header, err := verify(keySet(t, two), sign(t, one, "ann"))
	if err != nil || header.KeyID == set.Keys[0].KeyID {
		t.Errorf("the other node signs with %s, %v", header.KeyID, err)
	}
}

func TestSigner_Overlap(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, now, folder := context.Background(), newClock(), t.TempDir()
		k, err := secret.Open(ctx, secret.Config{DB: d, Folder: folder, SignerOverlap: time.Hour, Now: now.Now})
		if err != nil {
			t.Fatal(err)
		}
		old := sign(t, k, "ann")
		first := kids(keySet(t, k))[0]
		now.pass(time.Minute)
		if err := k.RotateSigner(ctx); err != nil {
			t.Fatal(err)
		}
		set := keySet(t, k)
		if len(set.Keys) != 2 || set.Keys[0].KeyID == first || set.Keys[1].KeyID != first {
			t.Errorf("after the rotation: %v", kids(set))
		}
		if _, _, err := verify(set, old); err != nil {
			t.Errorf("an assertion of before the rotation: %v", err)
		}
		rows, err := q.New(d.Read()).SigningKeys(ctx)
		if err != nil || len(rows) != 2 || len(rows[1].KeySealed) > 600 {
			t.Errorf("the private half of the retired key is still stored: %d rows, %v", len(rows), err)
		}
		now.pass(time.Hour)
		if got := kids(keySet(t, k)); len(got) != 1 || got[0] == first {
			t.Errorf("after the overlap: %v", got)
		}
		if err := k.RotateSigner(ctx); err != nil {
			t.Fatal(err)
		}
		if rows, err = q.New(d.Read()).SigningKeys(ctx); err != nil || len(rows) != 2 {
			t.Errorf("%d rows after the overlap, %v; want the current and the last", len(rows), err)
		}
		if again := open(t, d, folder); !cmp.Equal(kids(keySet(t, again))[0], kids(keySet(t, k))[0]) {
			t.Error("a restart changes the key")
		}
	})
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what + ": never")
		}
	}
}

func BenchmarkSign(b *testing.B) {
	k, err := secret.Open(context.Background(), secret.Config{DB: dbtest.SQLite(b), Folder: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Signer().Sign(jwt.Claims{Subject: "ann"}); err != nil {
			b.Fatal(err)
		}
	}
}
