package secret_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

func open(t *testing.T, d *db.DB, folder string) *secret.Keyring {
	t.Helper()
	k, err := secret.Open(context.Background(), secret.Config{DB: d, Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyring_Restart(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		folder := filepath.Join(t.TempDir(), "made", "if", "missing")
		first := open(t, d, folder)
		sealed, err := first.Seal([]byte("hunter2"), "app", "a1")
		if err != nil || bytes.Contains(sealed, []byte("hunter2")) {
			t.Fatalf("Seal = %x, %v", sealed, err)
		}
		second := open(t, d, folder)
		if got, err := second.Open(sealed, "app", "a1"); err != nil || string(got) != "hunter2" {
			t.Errorf("Open = %q, %v", got, err)
		}
		if !bytes.Equal(first.TokenKey(), second.TokenKey()) || len(first.TokenKey()) != 32 {
			t.Error("the token key changed over a restart: every session would be lost")
		}
		info, err := os.Stat(filepath.Join(folder, secret.RootFile))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("root key file: %v, %v; want mode 0600", info, err)
		}
	})
}

func TestKeyring_MovedValue(t *testing.T) {
	t.Parallel()
	k := open(t, dbtest.SQLite(t), t.TempDir())
	sealed, err := k.Seal([]byte("x"), "app", "a1")
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range [][2]string{{"app", "a2"}, {"credential", "a1"}} {
		if _, err := k.Open(sealed, place[0], place[1]); err == nil {
			t.Errorf("it opens as %v", place)
		}
	}
}

func TestKeyring_ForeignRootKey(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	open(t, d, t.TempDir())
	_, err := secret.Open(context.Background(), secret.Config{DB: d, Folder: t.TempDir()})
	if !problem.Is(err, problem.Conflict) {
		t.Errorf("Open with another root key = %v, want a conflict", err)
	}
}

func TestKeyring_DamagedRootKey(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, secret.RootFile)
	if err := os.WriteFile(path, []byte("oops"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := secret.Open(context.Background(), secret.Config{DB: dbtest.SQLite(t), Folder: folder})
	if !problem.Is(err, problem.Invalid) {
		t.Errorf("Open = %v, want invalid", err)
	}
	if left, _ := os.ReadFile(path); string(left) != "oops" {
		t.Error("the damaged file was overwritten")
	}
}

func TestKeyring_ParallelStart(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		folder := t.TempDir()
		var wg sync.WaitGroup
		rings := make([]*secret.Keyring, 6)
		for i := range rings {
			wg.Add(1)
			go func() {
				defer wg.Done()
				k, err := secret.Open(context.Background(), secret.Config{DB: d, Folder: folder})
				if err != nil {
					t.Error(err)
					return
				}
				rings[i] = k
			}()
		}
		wg.Wait()
		for _, k := range rings {
			if k == nil || !bytes.Equal(k.TokenKey(), rings[0].TokenKey()) {
				t.Fatal("two nodes have different keys")
			}
		}
	})
}
