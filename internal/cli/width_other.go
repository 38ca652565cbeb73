//go:build !unix

package cli

import "os"

// terminalWidth is unknown on this system, so the default applies.
func terminalWidth(*os.File) int { return 0 }
