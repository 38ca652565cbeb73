//go:build !linux

package dbtest

import "testing"

// Postgres needs Linux, where the kernel kills the server together with the test binary.
func Postgres(t testing.TB) string {
	t.Helper()
	if required() {
		t.Fatal("the PostgreSQL half of the storage tests runs on Linux only")
	}
	t.Skip("the PostgreSQL half of the storage tests runs on Linux only")
	return ""
}

// BarePostgres needs Linux too.
func BarePostgres(t testing.TB) string {
	t.Helper()
	return Postgres(t)
}
