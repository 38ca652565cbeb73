package secret_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

func rootFile(t testing.TB, folder string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, secret.RootFile))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func refused(t *testing.T, c secret.Config, want string) {
	t.Helper()
	c.Log = quiet
	_, err := secret.Open(context.Background(), c)
	if p := problem.Of(err); p.Kind != problem.Conflict || !strings.Contains(p.Detail+" "+p.Next, want) {
		t.Errorf("opened with %v, want a conflict that says %q", err, want)
	}
}

// An installation with a generated root key later gets another one: it changes over, and no one is
// locked out.
func TestRoot_GivenKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		folder, empty := t.TempDir(), t.TempDir()
		k, _ := mustOpen(t, secret.Config{DB: d, Folder: folder})
		sealed, err := k.Seal([]byte("hunter2"), "app", "a1")
		if err != nil {
			t.Fatal(err)
		}
		opens := func(who string, k *secret.Keyring) {
			t.Helper()
			if got, err := k.Open(sealed, "app", "a1"); err != nil || string(got) != "hunter2" {
				t.Errorf("%s: %q, %v", who, got, err)
			}
		}
		refused(t, secret.Config{
			DB:     d,
			Folder: empty,
			Given:  given("LANGFLOW_SECRET_KEY", valueA),
		}, "The root key (LANGFLOW_SECRET_KEY; environment) does not open the secrets in this database")
		both, r := mustOpen(t, secret.Config{DB: d, Folder: folder, Given: given("LANGFLOW_SECRET_KEY", valueA)})
		opens("with both", both)
		if s := status(t, r, secret.Root); s.Source != "environment" || len(s.Previous) != 1 || s.Rotates {
			t.Errorf("status %+v", s)
		}
		alone, _ := mustOpen(t, secret.Config{DB: d, Folder: empty, Given: given("LANGFLOW_SECRET_KEY", valueA)})
		opens("with the new one alone", alone)
		// A node with only the previous key continues, with a warning.
		old, _ := mustOpen(t, secret.Config{DB: d, Folder: folder})
		opens("with the former one alone", old)
		if len(old.Warnings()) != 1 || !strings.Contains(old.Warnings()[0], "is a previous one") {
			t.Errorf("warnings: %q", old.Warnings())
		}
		if err := r.Forget(context.Background(), cli, secret.Root); err != nil {
			t.Fatal(err)
		}
		refused(t, secret.Config{DB: d, Folder: folder}, "does not open the secrets in this database")
		opens("with the new one, afterwards", alone)
	})
}

func TestRoot_ChangedWithPrevious(t *testing.T) {
	t.Parallel()
	d, folder := dbtest.SQLite(t), t.TempDir()
	first, _ := mustOpen(t, secret.Config{DB: d, Folder: folder, Given: given("LANGFLOW_SECRET_KEY", valueA)})
	if _, err := os.Stat(filepath.Join(folder, secret.RootFile)); err == nil {
		t.Error("a root key file was made although a key was given")
	}
	refused(t, secret.Config{
		DB:     d,
		Folder: folder,
		Given:  given("LANGFLOW_SECRET_KEY", valueB),
	}, "SLUICE_FORMER_SECRET_KEY")
	refused(t, secret.Config{
		DB:         d,
		Folder:     folder,
		Given:      given("LANGFLOW_SECRET_KEY", valueB),
		FormerRoot: valueC,
	}, "does not open")
	mustOpen(t, secret.Config{DB: d, Folder: folder, Given: given("LANGFLOW_SECRET_KEY", valueB), FormerRoot: valueA})
	second, _ := mustOpen(t, secret.Config{DB: d, Folder: folder, Given: given("LANGFLOW_SECRET_KEY", valueB)})
	if !bytes.Equal(first.TokenKey(), second.TokenKey()) {
		t.Error("the keys changed with the root key")
	}
	// Back to a key that Sluice keeps itself.
	mustOpen(t, secret.Config{DB: d, Folder: folder, FormerRoot: valueB})
	if third, _ := mustOpen(t, secret.Config{DB: d, Folder: folder}); !bytes.Equal(first.TokenKey(), third.TokenKey()) {
		t.Error("the keys changed with the root key")
	}
}

// A stray variable in one shell becomes the root key and is lost. An operator with the previous key
// creates another, as a file or as a variable.
func TestRoot_Lost(t *testing.T) {
	t.Parallel()
	d, folder, ctx := dbtest.SQLite(t), t.TempDir(), context.Background()
	first, _ := mustOpen(t, secret.Config{DB: d, Folder: folder})
	mustOpen(t, secret.Config{DB: d, Folder: folder, Given: given("LANGFLOW_SECRET_KEY", valueA)})
	_, r := mustOpen(t, secret.Config{DB: d, Folder: folder})
	if err := r.Rotate(ctx, cli, secret.VaultKey, nil); !problem.Is(err, problem.Conflict) {
		t.Errorf("the vault is rotated for a root key that nobody may have: %v", err)
	}
	if err := r.Rotate(ctx, cli, secret.Root, nil); err != nil {
		t.Fatal(err)
	}
	k, r := mustOpen(t, secret.Config{DB: d, Folder: folder})
	if err := r.Rotate(ctx, cli, secret.VaultKey, nil); err != nil || len(k.Warnings()) > 0 {
		t.Errorf("%v; warnings %q", err, k.Warnings())
	}
	refused(t, secret.Config{DB: d, Folder: t.TempDir(), Given: given("LANGFLOW_SECRET_KEY", valueA)}, "does not open")

	kept := rootFile(t, folder)
	mustOpen(t, secret.Config{DB: d, Folder: folder, Given: given("LANGFLOW_SECRET_KEY", valueA)})
	mustOpen(t, secret.Config{
		DB:         d,
		Folder:     t.TempDir(),
		Given:      given("LANGFLOW_SECRET_KEY", valueB),
		FormerRoot: kept,
	})
	last, r := mustOpen(t, secret.Config{DB: d, Folder: t.TempDir(), Given: given("LANGFLOW_SECRET_KEY", valueB)})
	if err := r.Rotate(ctx, cli, secret.VaultKey, nil); err != nil || !bytes.Equal(last.TokenKey(), first.TokenKey()) {
		t.Errorf("%v, or the keys changed", err)
	}
}

// The content of the file is a good value for the variable, so that further nodes are easily made.
func TestRoot_FileContentAsVariable(t *testing.T) {
	t.Parallel()
	c := db.Config{Postgres: dbtest.Postgres(t), Now: time.Now}
	folder := t.TempDir()
	one, _ := mustOpen(t, secret.Config{DB: dbtest.Open(t, c), Folder: folder})
	two, _ := mustOpen(t, secret.Config{
		DB:     dbtest.Open(t, c),
		Folder: t.TempDir(),
		Given:  given("LANGFLOW_SECRET_KEY", rootFile(t, folder)),
	})
	for _, n := range []secret.Name{secret.AccessToken, secret.RefreshToken, secret.Session, secret.TokenHash} {
		if !bytes.Equal(one.Keys(n)[0].Value, two.Keys(n)[0].Value) {
			t.Errorf("the nodes have different keys of %s", n)
		}
	}
}

// A node that has lost its folder makes no new root key: that would look like a fresh start and
// lead nowhere.
func TestRoot_SealedSecretsExist(t *testing.T) {
	t.Parallel()
	d, empty := dbtest.SQLite(t), filepath.Join(t.TempDir(), "empty")
	mustOpen(t, secret.Config{DB: d, Folder: t.TempDir()})
	refused(t, secret.Config{
		DB:     d,
		Folder: empty,
	}, "contains no root key, and a new one cannot open the secrets in this database")
	if _, err := os.Stat(empty); err == nil {
		t.Error("something was made in the empty folder")
	}
}

func TestRoot_WeakButAccepted(t *testing.T) {
	t.Parallel()
	d, folder := dbtest.SQLite(t), t.TempDir()
	write(t, folder, secret.RootFile, valueA)
	first, _ := mustOpen(t, secret.Config{DB: d, Folder: folder})
	// As if an earlier version had accepted the published sample as the root key.
	if err := secret.Wrap(d, valueA, sample); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	again, _ := mustOpen(t, secret.Config{DB: d, Folder: other, Given: given("LANGFLOW_SECRET_KEY", sample)})
	if !bytes.Equal(first.TokenKey(), again.TokenKey()) {
		t.Error("the keys changed")
	}
	mustOpen(t, secret.Config{DB: d, Folder: other})
}

func TestRoot_RotateWithNodes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		folder, copied := t.TempDir(), t.TempDir()
		here, r := mustOpen(t, secret.Config{DB: d, Folder: folder})
		old := rootFile(t, folder)
		write(t, copied, secret.RootFile, old)
		elsewhere, _ := mustOpen(t, secret.Config{DB: d, Folder: copied})
		beside, _ := mustOpen(t, secret.Config{DB: d, Folder: folder})
		if err := r.Rotate(context.Background(), cli, secret.Root, nil); err != nil {
			t.Fatal(err)
		}
		if rootFile(t, folder) == old {
			t.Fatal("the file is the same")
		}
		if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
			t.Errorf("left in the folder: %v, %v", left, err)
		}
		// Keys next to the file follow a new key of the vault; a copy elsewhere keeps its own.
		sealed, err := here.Seal([]byte("x"), "app", "1")
		if err != nil {
			t.Fatal(err)
		}
		for who, k := range map[string]*secret.Keyring{"here": here, "beside": beside, "elsewhere": elsewhere} {
			if _, err := k.Open(sealed, "app", "1"); err != nil {
				t.Errorf("%s: %v", who, err)
			}
		}
		mustOpen(t, secret.Config{DB: d, Folder: copied})
		if err := r.Rotate(context.Background(), cli, secret.VaultKey, nil); err != nil {
			t.Fatal(err)
		}
		if sealed, err = here.Seal([]byte("y"), "app", "1"); err != nil {
			t.Fatal(err)
		}
		if _, err := beside.Open(sealed, "app", "1"); err != nil {
			t.Errorf("beside the file: %v", err)
		}
		refused(t, secret.Config{DB: d, Folder: copied}, "does not open the secrets")
		write(t, copied, secret.RootFile, rootFile(t, folder))
		if k, _ := mustOpen(t, secret.Config{DB: d, Folder: copied}); !bytes.Equal(k.TokenKey(), here.TokenKey()) {
			t.Error("the keys changed")
		}
	})
}

// A rotation of the root key that was killed between its steps: the next start finds its way
// whatever the steps were.
func TestRoot_InterruptedRotation(t *testing.T) {
	t.Parallel()
	const next = "sluice_root_next.key"
	t.Run("before the keyset was wrapped", func(t *testing.T) {
		d, folder := dbtest.SQLite(t), t.TempDir()
		_, r := mustOpen(t, secret.Config{DB: d, Folder: folder})
		write(t, folder, next, valueA)
		mustOpen(t, secret.Config{DB: d, Folder: folder})
		if err := r.Rotate(context.Background(), cli, secret.Root, nil); err != nil || rootFile(t, folder) != valueA {
			t.Errorf("the rotation does not go on: %v", err)
		}
		mustOpen(t, secret.Config{DB: d, Folder: folder})
	})
	t.Run("before the file was replaced", func(t *testing.T) {
		d, folder := dbtest.SQLite(t), t.TempDir()
		first, _ := mustOpen(t, secret.Config{DB: d, Folder: folder})
		if err := secret.Wrap(d, rootFile(t, folder), valueA); err != nil {
			t.Fatal(err)
		}
		write(t, folder, next, valueA)
		second, _ := mustOpen(t, secret.Config{DB: d, Folder: folder})
		if !bytes.Equal(first.TokenKey(), second.TokenKey()) || rootFile(t, folder) != valueA {
			t.Error("the new key is not in its place")
		}
		if _, err := os.Stat(filepath.Join(folder, next)); err == nil {
			t.Error("the file of the rotation is left")
		}
	})
	t.Run("before the rest was removed", func(t *testing.T) {
		d, folder := dbtest.SQLite(t), t.TempDir()
		_, r := mustOpen(t, secret.Config{DB: d, Folder: folder})
		present := rootFile(t, folder)
		write(t, folder, next, present)
		if err := r.Rotate(context.Background(), cli, secret.Root, nil); err != nil || rootFile(t, folder) == present {
			t.Errorf("the next rotation took the key in use for a new one: %v", err)
		}
		mustOpen(t, secret.Config{DB: d, Folder: folder})
	})
}
