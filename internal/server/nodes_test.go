package server_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"sluice/internal/authz"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/problem"
	"sluice/internal/sluicetest"
)

// onPostgres are the variables of a Sluice on a database of the test server.
func onPostgres(t *testing.T) []string {
	t.Helper()
	return databaseLines(t, dbtest.Postgres(t))
}

// databaseLines are the variables of a Sluice on the database of a connection URL.
func databaseLines(t *testing.T, dsn string) []string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return []string{
		"DATABASE_TYPE=postgres", "DATABASE_HOST=" + u.Hostname(), "DATABASE_PORT=" + u.Port(), "DATABASE_NAME=" +
			u.Path[1:], "DATABASE_USER=" + u.User.Username(),
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what + ": never")
		}
	}
}

func TestNodes_OnePostgreSQL(t *testing.T) {
	t.Parallel()
	lines := append(onPostgres(t), "SECRETKEY_PATH="+t.TempDir())
	one := sluicetest.Start(t, lines...)
	two := sluicetest.Start(t, lines...)
	ann := one.Add("ann", authz.RoleUser, false)
	b := one.SignedIn("ann")
	// Both nodes have one host name here, and cookies do not know ports.
	there := b.At(two.MainOrigin(""))
	until(t, "the session on the other node", func() bool { return there.Get("/account").Status == http.StatusOK })
	if err := two.People.Update(context.Background(), sluicetest.Operator(), ann.ID,
		identity.UserUpdate{Active: problem.Some(false)}); err != nil {
		t.Fatal(err)
	}
	if got := there.Get("/account").Status; got != http.StatusSeeOther {
		t.Errorf("on the node that disabled her: %d", got)
	}
	until(
		t,
		"the end of the session on the first node",
		func() bool { return b.Get("/account").Status == http.StatusSeeOther },
	)
}

func TestNodes_OtherRootKey(t *testing.T) {
	t.Parallel()
	lines := onPostgres(t)
	sluicetest.Start(t, append(lines, "SECRETKEY_PATH="+t.TempDir())...)
	mustNotStart(t, "cannot open the secrets in this database", append(lines, "SECRETKEY_PATH="+t.TempDir())...)
}
