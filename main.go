// Sluice is the gate in front of self-hosted AI flow builders.
package main

import (
	"os"

	"sluice/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
