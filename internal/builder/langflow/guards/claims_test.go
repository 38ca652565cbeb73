package guards

import (
	"strings"
	"testing"
)

func TestTitle_IsTheNameThatPeopleSeeAndTheID(t *testing.T) {
	long := strings.Repeat("a", 100)
	for _, c := range []struct{ name, kind, id, want string }{
		{"Agent", "AgentComponent", "Agent-1", "Agent (Agent-1)"},
		{"Agent", "", "", "Agent"},
		{"", "AgentComponent", "Agent-1", "AgentComponent (Agent-1)"},
		{"", "", "Agent-1", "a component without a type (Agent-1)"},
		{"", "", "", "a component without a type"},
		{"Agent-1", "", "Agent-1", "Agent-1"},
		{long, "", "", long[:64]},
	} {
		if got := title(c.name, c.kind, c.id); got != c.want {
			t.Errorf("%q, %q, %q: %q, want %q", c.name, c.kind, c.id, got, c.want)
		}
	}
}
