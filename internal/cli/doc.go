// Package cli is the command line: it turns arguments into one command, runs it, and turns what comes back into an exit code.
//
// A command is a struct in a file of its own with a method Run(*Runtime) error, and a field of the grammar in main.go. Flags
// are struct tags (kong). What a command prints for people or programs goes to Runtime.Stdout; Main alone prints errors, as
// one block on standard error.
//
// Exit codes: 0 done; 1 it failed while running; 2 wrong usage or a wrong configuration, nothing was started.
package cli
