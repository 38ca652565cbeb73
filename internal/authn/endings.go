package authn

import "github.com/google/uuid"

// endings are channels that close when a session or a key stops working. A channel is created when
// a stream asks for it. The owner of the map protects it with its own lock.
type endings map[uuid.UUID]chan struct{}

// of returns the channel of a live session or key. For any other it returns a closed channel.
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

// end closes the channel of a session or key, if a stream has asked for it.
func (e endings) end(id uuid.UUID) {
	if end := e[id]; end != nil {
		close(end)
		delete(e, id)
	}
}
