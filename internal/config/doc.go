// Package config turns flags, the process environment and an env file into checked, typed values.
//
// # Model
//
// One registry (the Variable values in vars_*.go and theirs.go) is the only place where a variable is declared. Everything
// else is derived from it: parsing, bounds, error messages, `sluice config list` and `explain`, and docs/configuration.md.
//
//	command line  >  process environment  >  --env-file  >  default
//
// At each of the three levels a variable may be given under its name or an alias, directly (NAME) or through a file
// (NAME_FILE). Within a level two different answers are an error; between levels the higher one wins. An empty value and a
// placeholder such as <your-secret> count as not set, so that the builders' published .env examples load as they are.
//
//	Input ──► candidates per level ──► one text per variable ──► parsed by Kind ──► checks across variables ──► Values
//
// Nothing stops at the first mistake: all are collected as Faults and reported together. A value of a secret variable is held
// as Secret, which prints as its length only, and never appears in a fault, a warning or an Item.
//
// The package imports nothing of Sluice. Only server and cli import it; every other package is given plain values.
package config
