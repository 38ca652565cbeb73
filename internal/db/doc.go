// Package db opens Sluice's database and runs transactions on it: SQLite by default, PostgreSQL for
// several nodes.
//
// There is one schema (migrations/) and one set of queries (queries/, compiled by sqlc into q/) for
// both engines, in the subset that both accept: TEXT ids, BIGINT unix milliseconds, CAST instead of
// "::", lower() before LIKE. On PostgreSQL all tables are in a schema of their own, so that Sluice
// can share the builder's database.
//
// Every table has one owner, the only package that writes it (owners_test.go lists them). The
// queries of package x are in queries/x and q/x, and only package x imports those: q.New(tx) within
// a transaction, q.New(d.Read()) for reads. A SELECT may join tables of other owners. To change
// such a table, a package calls a method of its owner in the same transaction. If it cannot import
// the owner, the server gives it a hook (identity.Hooks).
//
// SQLite has one writing connection (its transactions begin IMMEDIATE) and a pool of readers, so a
// writer never fails with SQLITE_BUSY halfway.
//
// Writing transactions begin in two places only: in authz.Gate, which decides, and in System, for
// housekeeping that no policy decides. The table in system.go lists that housekeeping, with
// reasons. No transaction is open during a call to a builder or a provider.
//
// # Upgrades
//
// Open applies the migrations that a database lacks. Before that, it copies a SQLite file to the
// same folder, as sluice.sqlite.before-8 where 8 is the number of the first migration applied. The
// three newest copies stay. On PostgreSQL, backups are up to the operator. A database that a newer
// Sluice has written is refused: the only way back is to restore such a copy.
//
// # Changes
//
// Packages that cache rows in memory learn of changes through the change table. A transaction calls
// tx.Changed(kind, item), and subscribers of that kind are called in the order of commits:
//
//	this process      before the transaction returns, so "saved" means "in force"
//	other processes   within 100 ms: by polling, on PostgreSQL sooner by LISTEN/NOTIFY
//
// The order holds because a change gets its number under a lock that lasts until the commit.
package db
