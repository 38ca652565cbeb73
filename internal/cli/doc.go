// Package cli is the command line: it turns arguments into a command, runs it, and turns its result
// into an exit code.
//
// A command is a struct in its own file with a method Run(*Runtime) error, and a field of the
// grammar in main.go. Flags are struct tags (kong). Commands print for people or programs to
// Runtime.Stdout; Main alone prints errors, as one block on standard error.
//
// Exit codes: 0 done; 1 it failed while running; 2 wrong usage or a wrong configuration, and
// nothing was started.
package cli
