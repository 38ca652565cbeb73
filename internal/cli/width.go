package cli

import (
	"os"
	"strconv"
	"strings"
)

// width is the width of standard output in characters: COLUMNS if set, otherwise the terminal's
// width.
func (rt *Runtime) width() int {
	for _, entry := range rt.Env {
		if text, ok := strings.CutPrefix(entry, "COLUMNS="); ok {
			if n, err := strconv.Atoi(text); err == nil && n > 0 {
				return clampWidth(n)
			}
		}
	}
	if f, ok := rt.Stdout.(*os.File); ok {
		if n := terminalWidth(f); n > 0 {
			return clampWidth(n)
		}
	}
	return defaultWidth
}

func clampWidth(n int) int { return min(max(n, minWidth), maxWidth) }
