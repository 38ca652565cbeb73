// Package config turns flags, the process environment and an env file into checked, typed values.
//
// # Model
//
// One registry (the Variable values in vars_*.go and theirs.go) is the only place that declares
// variables. Everything else is derived from it: parsing, bounds, error messages, `sluice config
// list` and `explain`, and docs/configuration.md.
//
//	command line  >  process environment  >  --env-file  >  default
//
// At each of the first three levels, a variable can be given under its name or an alias, directly
// (NAME) or through a file (NAME_FILE). Two different values on one level are an error; between
// levels the higher one wins. An empty value, or a placeholder such as <your-secret>, is treated as
// missing, so that the builders' published .env examples load unchanged.
//
//	Input ─► candidates per level ─► one text per variable ─► parsed by Kind ─► checks ─► Values
//
// Nothing stops at the first mistake: all mistakes are collected as Faults and reported together.
// The value of a secret variable is a Secret, which prints only as its length, and never appears in
// a fault, a warning or an Item.
//
// The package imports nothing from Sluice. Only server and cli import it; every other package gets
// plain values.
package config
