// Package database reads the database of a Langflow that ran without Sluice. It implements
// builder.Import for Langflow.
//
// Read opens an SQLite file or a PostgreSQL database without the ability to change it (open.go),
// checks that the database is Langflow's and undamaged (schema.go), and reads everything into a
// builder.Installation (read.go). It trusts none of the contents: ids, dates, hashes and flows are
// parsed with bounds (value.go, literal.go), and unreadable rows are skipped and counted.
//
// Keys opens the values that Langflow encrypted there.
package database
