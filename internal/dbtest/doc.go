// Package dbtest gives storage tests both real engines: a SQLite file in a temporary folder, and a
// database of its own on a real PostgreSQL server that is started on loopback once per test binary
// and dies with it.
//
// Both are copies of a database that is migrated once, because migrating takes longer than most
// tests. A copy of the SQLite file is used once. A copy of the PostgreSQL database is emptied after
// a test and used by the next one, unless the test changed more than rows.
//
// It is imported by tests only. Where PostgreSQL is not installed its half is skipped, unless
// SLUICEDEV_POSTGRES=require, as `make test` sets it.
package dbtest
