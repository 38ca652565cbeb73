//go:build !unix

package cli

import "os"

// terminalWidth is not known here, so that the default holds.
func terminalWidth(*os.File) int { return 0 }
