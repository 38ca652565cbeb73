package langflowtest

import (
	"database/sql"
	"embed"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/bcrypt"
	_ "modernc.org/sqlite" // the driver for changing copies
)

//go:embed databases/*.db databases/*.json
var databases embed.FS

// Database is an SQLite file written by a real Langflow (databases/make.py), with the credentials
// and ids that tests need.
type Database struct {
	Name      string `json:"-"`
	SecretKey string `json:"secret_key"`
	// Users are the passwords by username, Keys and Credentials the plaintexts by name, Flows the
	// ids by name.
	Users, Keys, Credentials, Flows map[string]string
}

// Databases come from both releases and cover the three ways to derive a Fernet key from a secret
// key: "new", "new-short", "old" and "old-short".
func Databases(t testing.TB) []Database {
	t.Helper()
	var out []Database
	for _, name := range []string{"new", "new-short", "old", "old-short"} {
		raw, err := databases.ReadFile("databases/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		d := Database{Name: name}
		if err := json.Unmarshal(raw, &d); err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

// File is a copy of the database after running statements on it.
func (d Database) File(t testing.TB, statements ...string) string {
	t.Helper()
	raw, err := databases.ReadFile("databases/" + d.Name + ".db")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "langflow.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if len(statements) == 0 {
		return path
	}
	pool, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, s := range statements {
		if _, err := pool.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return path
}

// QuickFile is a File with the same passwords but cheaper hashes: Langflow's own take a quarter of
// a second each.
func (d Database) QuickFile(t testing.TB, statements ...string) string {
	t.Helper()
	var all []string
	for name, password := range d.Users {
		known := []byte(password)[:min(len(password), 72)] // bcrypt in Langflow's time reads no more
		hash, err := bcrypt.GenerateFromPassword(known, bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, `UPDATE user SET password = '`+string(hash)+`' WHERE username = '`+name+`'`)
	}
	return d.File(t, append(all, statements...)...)
}
