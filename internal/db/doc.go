// Package db opens Sluice's database and runs transactions on it: SQLite by default, PostgreSQL for several nodes.
//
// There is one schema (migrations/) and one set of queries (queries/, compiled by sqlc into q/) for both engines, in the
// subset that both accept: TEXT ids, BIGINT unix milliseconds, CAST instead of "::", lower() before LIKE. On PostgreSQL
// everything lies in a schema of its own, so that the builder's database can be shared.
//
// Every table has one owner, the only package that writes it (owners_test.go lists them). The queries of package x are in
// queries/x and q/x, and only package x imports those: q.New(tx) within a transaction, q.New(d.Read()) for reads. A SELECT
// may join tables of other owners. To change such a table, a package calls a method of its owner in the same transaction,
// or, where the owner stands further right, is given a hook by the server (identity.Hooks).
//
// SQLite has one writing connection (its transactions begin IMMEDIATE) and a pool of readers; a writer therefore never fails with SQLITE_BUSY half way.
//
// A writing transaction is begun by authz.Gate, which decides, or by System, for housekeeping that no policy decides: its
// names and reasons are one table (system.go). No transaction is open during a call to a builder or a provider.
//
// # Upgrades
//
// Open applies the migrations that a database lacks. A SQLite file is copied beside itself first, as
// sluice.sqlite.before-8 where 8 is the number of the first migration applied; the three newest copies stay. On
// PostgreSQL the copy is the operator's. A database that a newer Sluice has written is refused: there is no way down
// except putting such a copy back.
//
// # Changes
//
// Whoever caches rows in memory learns of changes through the change table. A transaction says tx.Changed(kind, item); subscribers of that kind are called
// in order of commit:
//
//	this process   before the transaction returns, so "saved" means "in force"
//	other ones     within 100 ms: by polling, on PostgreSQL sooner by LISTEN/NOTIFY
//
// Order holds because the number of a change is taken under a lock that lasts until commit.
package db
