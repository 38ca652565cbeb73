package guards

import (
	"strings"

	"sluice/internal/guard"
)

// hasCommand reports whether an object names a command, in any case of the key.
func hasCommand(v *guard.Value) bool {
	c := guard.Folded(v, "command")
	return !c.Empty() && (c.Kind == guard.Text || c.Kind == guard.Array)
}

// isStdio reports whether an object requests a server that talks over stdin and stdout.
func isStdio(v *guard.Value) bool {
	for _, key := range [...]string{"mode", "transport", "type"} {
		if strings.EqualFold(strings.TrimSpace(guard.Folded(v, key).Text()), "stdio") {
			return true
		}
	}
	return false
}
