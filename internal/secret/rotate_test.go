package secret_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/authz"
	"sluice/internal/db"
	qlogin "sluice/internal/db/q/login"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

// Every column of sealed text must be known to the rotation, and nothing else: a forgotten one
// would become unreadable.
func TestRotate_EveryColumn(t *testing.T) {
	t.Parallel()
	_, raw := besides(t)
	rows, err := raw.Query(
		`SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name LIKE '%sealed'`,
	)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	known := secret.SealedColumns()
	for rows.Next() {
		var column string
		if err := rows.Scan(&column); err != nil {
			t.Fatal(err)
		}
		i := slices.Index(known, column)
		if i < 0 {
			t.Errorf("%s is in the schema, but not in the list of sealed columns", column)
			continue
		}
		known = slices.Delete(known, i, i+1)
	}
	if err := rows.Err(); err != nil || len(known) > 0 {
		t.Errorf("in the list, but not in the schema: %v, %v", known, err)
	}
}

// besides opens a database, and its file beside it.
func besides(t *testing.T) (*db.DB, *sql.DB) {
	t.Helper()
	folder := t.TempDir()
	d := dbtest.Open(t, db.Config{Folder: folder, Now: time.Now})
	raw, err := sql.Open("sqlite", filepath.Join(folder, db.FileName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	return d, raw
}

func TestRotate_SealedColumnsListed(t *testing.T) {
	t.Parallel()
	k, _ := mustOpen(t, secret.Config{DB: dbtest.SQLite(t), Folder: t.TempDir()})
	if _, err := k.Seal([]byte("x"), "somewhere", "1"); err == nil {
		t.Error("a value can be sealed that no rotation would find")
	}
}

// fill stores sealed values and returns what they are.
func fill(t testing.TB, d *db.DB, k *secret.Keyring, n int) map[string]string {
	t.Helper()
	ctx, values := context.Background(), map[string]string{}
	err := d.Gated(ctx, func(tx *db.Tx) error {
		for i := range n {
			id, text := fmt.Sprintf("hash-%06d", i), fmt.Sprintf("value %d", i)
			sealed, err := k.Seal([]byte(text), "pending", id)
			if err != nil {
				return err
			}
			err = qlogin.New(tx).
				InsertPending(ctx, qlogin.InsertPendingParams{TokenHash: id, Purpose: "test",
					DataSealed: base64.StdEncoding.EncodeToString(sealed), ExpiresAt: 1 << 60})
			if err != nil {
				return err
			}
			values[id] = text
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// intact reads all values back.
func intact(t testing.TB, d *db.DB, k *secret.Keyring, values map[string]string) {
	t.Helper()
	for id, want := range values {
		row, err := qlogin.New(d.Read()).
			GetPending(context.Background(), qlogin.GetPendingParams{TokenHash: id, Purpose: "test"})
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := base64.StdEncoding.DecodeString(row.DataSealed)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Open(sealed, "pending", id); err != nil || string(got) != want {
			t.Fatalf("%s: %q, %v; want %q", id, got, err, want)
		}
	}
}

func TestRotate_Vault(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, now, folder := context.Background(), newClock(), t.TempDir()
		c := secret.Config{DB: d, Folder: folder, Now: now.Now}
		k, r := mustOpen(t, c)
		other, _ := mustOpen(t, c)
		token := sign(t, k, "ann")
		values := fill(t, d, k, 350)
		before := status(t, r, secret.VaultKey).KeyID
		now.pass(time.Minute)
		var told []int
		last := 0
		err := r.Rotate(ctx, cli, secret.VaultKey, func(done, total int) {
			if told, last = append(told, done), total; done > 0 {
				return
			}
			if s := status(t, r, secret.VaultKey); s.Left < 350 || s.KeyID == before || len(s.Previous) != 1 {
				t.Errorf("before anything was sealed anew: %+v", s)
			}
			intact(t, d, other, values)
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(told) < 4 || !slices.IsSorted(told) || told[0] != 0 || told[len(told)-1] != last {
			t.Errorf("progress %v of %d", told, last)
		}
		if s := status(t, r, secret.VaultKey); s.Left != 0 {
			t.Errorf("%d values are left", s.Left)
		}
		intact(t, d, other, values)
		if _, _, err := verify(keySet(t, other), token); err != nil {
			t.Errorf("the signing key: %v", err)
		}
		// The previous key is removed an hour later, and everything still opens, even after a
		// restart.
		for _, step := range []struct {
			pass   time.Duration
			former int
		}{{30 * time.Minute, 1}, {31 * time.Minute, 0}} {
			now.pass(step.pass)
			if err := other.Maintain(ctx, now.Now()); err != nil {
				t.Fatal(err)
			}
			if s := status(t, r, secret.VaultKey); len(s.Previous) != step.former {
				t.Errorf("%d former keys, want %d", len(s.Previous), step.former)
			}
		}
		again, _ := mustOpen(t, c)
		for _, ring := range []*secret.Keyring{k, other, again} {
			intact(t, d, ring, values)
			if !bytes.Equal(ring.TokenKey(), k.TokenKey()) || len(ring.TokenKeys()) != 1 {
				t.Error("the keys of tokens changed")
			}
		}
	})
}

// An interrupted rotation is finished by the next call, with the key that it has made, or by a
// running Sluice.
func TestRotate_Interrupted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		k, r := mustOpen(t, secret.Config{DB: d, Folder: t.TempDir()})
		values := fill(t, d, k, 450)
		interrupted := func() secret.Status {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			err := r.Rotate(ctx, cli, secret.VaultKey, func(done, _ int) {
				if done >= 200 {
					cancel()
				}
			})
			s := status(t, r, secret.VaultKey)
			if err == nil || s.Left == 0 || s.Left > 300 {
				t.Errorf("%d values are left, %v", s.Left, err)
			}
			intact(t, d, k, values)
			return s
		}
		first := interrupted()
		if err := r.Rotate(context.Background(), cli, secret.VaultKey, nil); err != nil {
			t.Fatal(err)
		}
		if s := status(t, r, secret.VaultKey); s.Left != 0 || s.KeyID != first.KeyID {
			t.Errorf("after the second call: %+v", s)
		}
		second := interrupted()
		if err := k.Maintain(context.Background(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if s := status(t, r, secret.VaultKey); s.Left != 0 || s.KeyID != second.KeyID || s.KeyID == first.KeyID {
			t.Errorf("after the server's turn: %+v", s)
		}
		intact(t, d, k, values)
	})
}

// Values that do not open are unchanged and reported, and keep the previous key.
func TestRotate_DamagedValue(t *testing.T) {
	t.Parallel()
	ctx, now := context.Background(), newClock()
	d := dbtest.SQLite(t)
	k, r := mustOpen(t, secret.Config{DB: d, Folder: t.TempDir(), Now: now.Now})
	values := fill(t, d, k, 250)
	moved, err := k.Seal([]byte("of another row"), "pending", "another")
	if err != nil {
		t.Fatal(err)
	}
	for id, text := range map[string]string{"hash-000100x": base64.StdEncoding.EncodeToString(moved),
		"hash-000200x": "no base64!"} {
		if err := d.Gated(ctx, func(tx *db.Tx) error {
			return qlogin.New(tx).InsertPending(ctx,
				qlogin.InsertPendingParams{TokenHash: id, Purpose: "test", DataSealed: text})
		}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		before := status(t, r, secret.VaultKey).KeyID
		if err := r.Rotate(ctx, cli, secret.VaultKey, nil); !problem.Is(err, problem.Conflict) ||
			!strings.Contains(err.Error(), "2 values") {
			t.Errorf("Rotate = %v", err)
		}
		if status(t, r, secret.VaultKey).KeyID == before {
			t.Error("no new key was made")
		}
		now.pass(time.Second)
	}
	now.pass(2 * time.Hour)
	if err := k.Maintain(ctx, now.Now()); err != nil {
		t.Fatal(err)
	}
	if s := status(t, r, secret.VaultKey); s.Left != 2 || len(s.Previous) != 2 {
		t.Errorf("%+v", s)
	}
	intact(t, d, k, values)
}

// Nodes keep sealing and opening while another process replaces the vault's key repeatedly.
func TestRotate_WithNodes(t *testing.T) {
	t.Parallel()
	c := db.Config{Postgres: dbtest.Postgres(t), Now: time.Now}
	folder, ctx := t.TempDir(), context.Background()
	server, clerk := dbtest.Open(t, c), dbtest.Open(t, c)
	k, _ := mustOpen(t, secret.Config{DB: server, Folder: folder})
	values := fill(t, server, k, 300)
	_, r := mustOpen(t, secret.Config{DB: clerk, Folder: folder})
	var stop atomic.Bool
	var wg sync.WaitGroup
	var rounds atomic.Int64
	for range 2 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				id := fmt.Sprintf("hash-%06d", i%300)
				row, err := qlogin.New(server.Read()).
					GetPending(ctx, qlogin.GetPendingParams{TokenHash: id, Purpose: "test"})
				if err != nil {
					t.Error(err)
					return
				}
				sealed, _ := base64.StdEncoding.DecodeString(row.DataSealed)
				if got, err := k.Open(sealed, "pending", id); err != nil || string(got) != values[id] {
					t.Errorf("%s: %q, %v", id, got, err)
					return
				}
				rounds.Add(1)
			}
		})
	}
	for range 5 {
		if err := r.Rotate(ctx, cli, secret.VaultKey, nil); err != nil {
			t.Fatal(err)
		}
	}
	stop.Store(true)
	wg.Wait()
	if rounds.Load() == 0 {
		t.Error("nothing was read meanwhile")
	}
	intact(t, server, k, values)
}

func TestRotate_SuperusersOnly(t *testing.T) {
	t.Parallel()
	ctx, folder := context.Background(), t.TempDir()
	_, r := mustOpen(t, secret.Config{DB: dbtest.SQLite(t), Folder: folder})
	ann := authz.Principal{Kind: authz.Person, ID: "ann", Name: "ann"}
	_, err := r.Status(ctx, ann)
	tries := map[string]error{"status": err}
	for _, n := range secret.Names() {
		tries["rotate "+string(n)] = r.Rotate(ctx, ann, n, nil)
		tries["forget "+string(n)] = r.Forget(ctx, ann, n)
	}
	for what, err := range tries {
		if !problem.Is(err, problem.Denied) {
			t.Errorf("%s: %v, want denied", what, err)
		}
	}
	if s := status(t, r, secret.TokenHash); len(s.Previous) > 0 {
		t.Error("a key was replaced")
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("in the folder: %v, %v", left, err)
	}
}

// The hash of an API key lasts as long as the key: a previous hash key is kept while an older API
// key is valid.
func TestRotate_PreviousHashKey(t *testing.T) {
	t.Parallel()
	d, raw := besides(t)
	ctx, now := context.Background(), newClock()
	k, r := mustOpen(
		t,
		secret.Config{
			DB:     d,
			Folder: t.TempDir(),
			Now:    now.Now,
			Lives:  map[secret.Name]time.Duration{secret.TokenHash: time.Hour},
		},
	)
	made := now.Now().UnixMilli()
	if _, err := raw.Exec(`INSERT INTO api_key (id, account_id, workspace_id, name, prefix, key_hash, former_hash, former_until, scope, networks, per_minute, per_day,
		created_by, created_at, updated_at, issued_at, expires_at, revoked_at, last_used_at, last_used_ip)
		VALUES ('k', 'ann', 'default', 'k', 'p', 'h', '', 0, '{}', '', 0, 0, 'ann', $1, $1, $1, $2, 0, 0, '')`, made, made+int64(24*time.Hour/time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	now.pass(time.Minute)
	if err := r.Rotate(ctx, cli, secret.TokenHash, nil); err != nil {
		t.Fatal(err)
	}
	now.pass(2 * time.Hour)
	if err := k.Maintain(ctx, now.Now()); err != nil || len(k.TokenKeys()) != 2 {
		t.Errorf("%d keys, %v; the API key would be dead", len(k.TokenKeys()), err)
	}
	now.pass(24 * time.Hour)
	if err := k.Maintain(ctx, now.Now()); err != nil || len(k.TokenKeys()) != 1 {
		t.Errorf("%d keys, %v; the API key has ended", len(k.TokenKeys()), err)
	}
}
