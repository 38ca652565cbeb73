// Package dbtest gives storage tests both real engines: a SQLite file in a temporary folder, and a
// separate database on a real PostgreSQL server, which is started on loopback once per test binary
// and killed with it.
//
// Both are copies of a database that is migrated once, because migrating takes longer than most
// tests. A copy of the SQLite file is used once. A copy of the PostgreSQL database is emptied after
// a test and used by the next one, unless the test changed more than rows.
//
// Only tests import it. If PostgreSQL is not installed, its half is skipped, unless
// SLUICEDEV_POSTGRES=require, which `make test` sets.
package dbtest
