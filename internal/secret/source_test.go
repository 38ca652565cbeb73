package secret_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/authz"
	"sluice/internal/builder/langflow/database"
	"sluice/internal/db"
	"sluice/internal/dbtest"
	"sluice/internal/problem"
	"sluice/internal/secret"
)

var (
	cli   = authz.SystemPrincipal("cli")
	quiet = slog.New(slog.DiscardHandler)
)

// Values as `sluice secret generate` prints them.
const (
	valueA = "c1a6_3uWkA0tYl9Q2Zp4vXHdGm7bRnJfEo5sTiUyKwM"
	valueB = "Zk0Y7mDq4vT1xWc9bNf2sLr8hPj5gUa3eIoXyRtQwEu"
	valueC = "qJ3mE8zX1vB6nT0cY5kW9rL2hF7dS4gPaUoIeRtYwQx"
	sample = "dBuuuB_FHLvU8T9eUNlxQF9ppqRxwWpXXQ42kM2_fb"
)

// given are variables of the environment.
func given(pairs ...string) map[secret.Name]secret.Given {
	out := map[secret.Name]secret.Given{}
	for i := 0; i < len(pairs); i += 2 {
		out[secret.Name(pairs[i])] = secret.Given{Text: pairs[i+1], As: pairs[i], Where: "environment"}
	}
	return out
}

// mustOpen opens a keyring and rotator.
func mustOpen(t testing.TB, c secret.Config) (*secret.Keyring, *secret.Rotator) {
	t.Helper()
	if c.Log == nil {
		c.Log = quiet
	}
	k, err := secret.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := authz.NewGate(authz.Config{DB: c.DB, Now: time.Now, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gate.Close(context.Background()) })
	return k, secret.NewRotator(k, gate)
}

func status(t testing.TB, r *secret.Rotator, n secret.Name) secret.Status {
	t.Helper()
	list, err := r.Status(context.Background(), cli)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.Name == n {
			return s
		}
	}
	t.Fatalf("no status of %s", n)
	return secret.Status{}
}

func write(t testing.TB, folder, name, text string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The page's order: variables, (AWS: see TestAWS), files, generated. Weak values are skipped in
// each place and reported.
func TestSource_Order(t *testing.T) {
	t.Parallel()
	hash := string(secret.TokenHash)
	for _, tt := range []struct {
		name, variable, file string
		want                 string // where the value in use comes from; {folder} is replaced
		weak                 []string
	}{
		{"nothing is given", "", "", "database", nil},
		{"a variable", valueA, "", "environment", nil},
		{"a file", "", valueA, "file {folder}/token_hash_secret.key", nil},
		{"a file that ends as editors " +
			"end them", "", "\t" + valueA + " \r\n\n", "file {folder}/token_hash_secret.key", nil},
		{"the variable is stronger", valueA, valueB, "environment", nil},
		{"a published variable", "popcorn", valueB, "file {folder}/token_hash_secret.key", []string{"environment"}},
		{"a short variable", "0123456789", "", "database", []string{"environment"}},
		{"a guessable variable", "change-this-super-secret-key-in-production", "", "database", []string{"environment"}},
		{"a placeholder", "<32-byte-hex-string>", valueB, "file {folder}/token_hash_secret.key",
			[]string{"environment"}},
		{"a weak file", "", "popcorn", "database", []string{"file {folder}/token_hash_secret.key"}},
		{"an empty file", "", " \n", "database", []string{"file {folder}/token_hash_secret.key"}},
		{"both weak", "popcorn", strings.Repeat("x", 64), "database",
			[]string{"environment", "file {folder}/token_hash_secret.key"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "keys")
			c := secret.Config{DB: dbtest.SQLite(t), Folder: folder}
			if tt.variable != "" {
				c.Given = given(hash, tt.variable)
			}
			if tt.file != "" {
				write(t, folder, "token_hash_secret.key", tt.file)
			}
			k, r := mustOpen(t, c)
			s := status(t, r, secret.TokenHash)
			weak := []string{}
			for _, w := range s.Weak {
				weak = append(weak, strings.ReplaceAll(w.Where, folder, "{folder}"))
			}
			if got := strings.ReplaceAll(s.Source, folder, "{folder}"); got != tt.want ||
				!cmp.Equal(weak, append([]string{}, tt.weak...)) {
				t.Errorf("from %q, weak %q", got, weak)
			}
			if len(k.Warnings()) != len(tt.weak) || len(s.Previous) != 0 {
				t.Errorf("warnings %q, former keys %v", k.Warnings(), s.Previous)
			}
			for _, w := range k.Warnings() {
				for _, text := range []string{tt.variable, tt.file} {
					if len(text) > 4 && strings.Contains(w, text) {
						t.Errorf("the warning shows the value: %s", w)
					}
				}
			}
			// The same again after a restart.
			again, _ := mustOpen(t, c)
			if !bytes.Equal(again.TokenKeys()[0].Value, k.TokenKeys()[0].Value) || len(again.TokenKeys()) != 1 {
				t.Error("a restart changes the key")
			}
		})
	}
}

// The same value is the same key wherever it stands, and another key in every other installation
// and for every other secret.
func TestSource_KeyBinding(t *testing.T) {
	t.Parallel()
	d, folder := dbtest.SQLite(t), t.TempDir()
	one, _ := mustOpen(t, secret.Config{
		DB:     d,
		Folder: folder,
		Given:  given("TOKEN_HASH_SECRET", valueA, "EXPRESS_SESSION_SECRET", valueA),
	})
	write(t, folder, "token_hash_secret.key", valueA)
	two, _ := mustOpen(t, secret.Config{DB: d, Folder: folder})
	if !bytes.Equal(one.TokenKeys()[0].Value, two.TokenKeys()[0].Value) || len(two.TokenKeys()) != 1 {
		t.Error("a value that moves from the environment into a file becomes another key")
	}
	if bytes.Equal(one.TokenKeys()[0].Value, one.SessionKeys()[0].Value) {
		t.Error("two secrets with one value have one key")
	}
	other, _ := mustOpen(t, secret.Config{
		DB:     dbtest.SQLite(t),
		Folder: t.TempDir(),
		Given:  given("TOKEN_HASH_SECRET", valueA),
	})
	if bytes.Equal(one.TokenKeys()[0].Value, other.TokenKeys()[0].Value) {
		t.Error("whoever shares the env file shares the key")
	}
}

// An operator changes a variable: everything created with the previous value stays valid until it
// expires, and changing back works.
func TestSource_ChangedVariable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now, folder := newClock(), t.TempDir()
		at := func(value string) *secret.Keyring {
			c := secret.Config{
				DB:     d,
				Folder: folder,
				Now:    now.Now,
				Lives:  map[secret.Name]time.Duration{secret.AccessToken: time.Hour},
			}
			if value != "" {
				c.Given = given("JWT_AUTH_TOKEN_SECRET", value)
			}
			k, _ := mustOpen(t, c)
			return k
		}
		ids := func(k *secret.Keyring) (out []string) {
			for _, key := range k.AccessKeys() {
				out = append(out, key.ID)
			}
			return out
		}
		a := ids(at(valueA))
		now.pass(time.Minute)
		node := at(valueB)
		b := ids(node)
		if len(a) != 1 || len(b) != 2 || b[1] != a[0] || b[0] == a[0] {
			t.Fatalf("keys %v, then %v", a, b)
		}
		if until := node.AccessKeys()[1].Until; !until.Equal(now.Now().Add(time.Hour)) {
			t.Errorf("the former key is accepted until %v", until)
		}
		if back := ids(at(valueA)); len(back) != 2 || back[0] != a[0] || back[1] != b[0] {
			t.Errorf("the first value again: %v", back)
		}
		if unset := ids(at("")); len(unset) != 2 || unset[0] != a[0] {
			t.Errorf("a variable that is not set any more changes the key: %v", unset)
		}
		until(t, "the change on the running node", func() bool { return ids(node)[0] == a[0] })
		now.pass(59 * time.Minute)
		if err := node.Maintain(context.Background(), now.Now()); err != nil || len(ids(node)) != 2 {
			t.Errorf("before its end: %v, %v", ids(node), err)
		}
		now.pass(2 * time.Minute)
		if err := node.Maintain(context.Background(), now.Now()); err != nil || len(ids(node)) != 1 {
			t.Errorf("after its end: %v, %v", ids(node), err)
		}
	})
}

func TestSource_FileMode(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return
	}
	folder := filepath.Join(t.TempDir(), "a", "b")
	d := dbtest.SQLite(t)
	k, _ := mustOpen(t, secret.Config{DB: d, Folder: folder})
	for path, want := range map[string]fs.FileMode{folder: 0o700, filepath.Join(folder, secret.RootFile): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 || len(k.Warnings()) > 0 {
		t.Errorf("in the folder: %v, %v; warnings %q", left, err, k.Warnings())
	}
	write(t, folder, "jwt_auth_token_secret.key", valueA)
	if err := os.Chmod(filepath.Join(folder, "jwt_auth_token_secret.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	k, _ = mustOpen(t, secret.Config{DB: d, Folder: folder})
	if len(k.Warnings()) != 1 || !strings.Contains(k.Warnings()[0], "can be read by other users") {
		t.Errorf("warnings: %q", k.Warnings())
	}
}

func TestSource_UnreadableFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "express_session_secret.key"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := secret.Open(context.Background(), secret.Config{DB: dbtest.SQLite(t), Folder: folder, Log: quiet})
	if err == nil || !strings.Contains(err.Error(), "express_session_secret.key") {
		t.Errorf("a folder in the place of the file: %v", err)
	}
	folder = t.TempDir()
	write(t, folder, "express_session_secret.key", strings.Repeat(valueA, 2000))
	_, err = secret.Open(context.Background(), secret.Config{DB: dbtest.SQLite(t), Folder: folder, Log: quiet})
	if !problem.Is(err, problem.Invalid) {
		t.Errorf("a huge file: %v", err)
	}
}

func TestSource_WeakRootKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		as, text, want string
		warning        string // a part of the one warning; "" for none
	}{
		{"LANGFLOW_SECRET_KEY", valueA, valueA, ""},
		{"LANGFLOW_SECRET_KEY", sample, sample, "42 characters decode to 31 bytes, and Fernet needs 32"},
		{"LANGFLOW_SECRET_KEY", "shortkey123", "shortkey123", "is shorter than 32 characters"},
		{"LANGFLOW_SECRET_KEY", "3f1b9c0e7a52d4868b17e6f0c9a3d5b2", "3f1b9c0e7a52d4868b17e6f0c9a3d5b2", "works for " +
			"Sluice. Langflow itself cannot encrypt with it"},
		{"FLOWISE_SECRETKEY_OVERWRITE", "myencryptionkey", "", "(environment, FLOWISE_SECRETKEY_OVERWRITE) is shorter"},
	} {
		t.Run(tt.as, func(t *testing.T) {
			folder := t.TempDir()
			c := secret.Config{
				DB:     dbtest.SQLite(t),
				Folder: folder,
				Given:  map[secret.Name]secret.Given{secret.Root: {Text: tt.text, As: tt.as, Where: "environment"}},

				RootTrouble: database.KeyTrouble,
			}
			k, _ := mustOpen(t, c)
			if k.GivenRoot() != tt.want {
				t.Errorf("GivenRoot = %q, want %q", k.GivenRoot(), tt.want)
			}
			all := strings.Join(k.Warnings(), "\n")
			if strings.Contains(all, tt.text) || tt.warning == "" && all != "" ||
				tt.warning != "" && (len(k.Warnings()) != 1 || !strings.Contains(all, tt.warning)) {
				t.Errorf("warnings: %q", k.Warnings())
			}
			_, err := os.Stat(filepath.Join(folder, secret.RootFile))
			if made := err == nil; made != (secret.Weakness(tt.text) != "") {
				t.Errorf("a root key file was made: %v", made)
			}
			if again, _ := mustOpen(t, c); !bytes.Equal(again.TokenKey(), k.TokenKey()) {
				t.Error("a restart does not find the same keys")
			}
		})
	}
}

func ExampleWeakness() {
	fmt.Println(secret.Weakness("popcorn"))
	// Output: is a published example
}
