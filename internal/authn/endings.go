package authn

import "github.com/google/uuid"

// endings are channels that close when a session or a key ends, made when a stream asks for one. Whoever holds them guards them.
type endings map[uuid.UUID]chan struct{}

// of is the channel of one that is alive; that of any other is closed already.
func (e endings) of(id uuid.UUID, alive func() bool) <-chan struct{} {
	if end := e[id]; end != nil {
		return end
	}
	end := make(chan struct{})
	if !alive() {
		close(end)
		return end
	}
	e[id] = end
	return end
}

// end closes the channel of one, if a stream has asked for it.
func (e endings) end(id uuid.UUID) {
	if end := e[id]; end != nil {
		close(end)
		delete(e, id)
	}
}
