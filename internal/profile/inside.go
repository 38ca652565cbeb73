package profile

import (
	"context"
	"strings"

	"sluice/internal/flow"
)

// Insides is a Bridge that can ask its builder in which flows a message or a chat lies.
type Insides interface {
	// FlowsOf lists the ids of the flows in which a Message, by its id, or a ChatSession, by its text, lies, as the accounts of Of see it. None: there is no such thing.
	FlowsOf(ctx context.Context, l Lent, kind flow.Kind, id string) ([]string, error)
}

// SetParam puts another value into a placeholder, in Path too. value must be of unreserved characters.
func (m *Match) SetParam(name, value string) {
	path := strings.Split(m.Path, "/")
	for i, seg := range strings.Split(m.Endpoint.Pattern, "/") {
		if !strings.HasPrefix(seg, "{") || i >= len(path) {
			continue
		}
		if found, _, rest, err := placeholder(seg); err == nil && found == name && !rest {
			path[i] = value
		}
	}
	m.Path = strings.Join(path, "/")
	for i, n := range m.Endpoint.params {
		if n == name {
			m.values[i] = value
		}
	}
}
