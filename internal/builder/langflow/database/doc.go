// Package database reads the database of a Langflow that ran without Sluice: builder.Import for
// Langflow.
//
// Read opens an SQLite file or a PostgreSQL without the power to change it (open.go), checks that
// the database is Langflow's and undamaged (schema.go), and reads everything into a
// builder.Installation (read.go). Nothing in it is trusted: ids, dates, hashes and flows are parsed
// with bounds (value.go, literal.go), and a row that cannot be read is left out and counted.
//
// Keys opens what Langflow has encrypted there.
package database
