package flow

import (
	"time"

	"github.com/maypok86/otter/v2"
)

// Chat is where a chat session is used.
type Chat struct {
	// Workspace is the one that used it first, Flow the flow that it was seen with; "" if that is not known.
	Workspace, Flow string
	// Public tells that somebody used it first who was not signed in.
	Public bool
}

// chatsKept bounds how many sessions are remembered, and chatAge for how long after their last use. The builder is asked about those that are forgotten.
const (
	chatsKept = 100_000
	chatAge   = 24 * time.Hour
)

func newChats() (*otter.Cache[inner, Chat], error) {
	return otter.New(&otter.Options[inner, Chat]{MaximumSize: chatsKept, ExpiryCalculator: otter.ExpiryAccessing[inner, Chat](chatAge)})
}

// LearnChat remembers that a session, by its text, is used in a workspace. People choose these texts, and some builders find messages by nothing else: whichever workspace used one first
// keeps it, and no other may name it as long as it is remembered.
func (l *Library) LearnChat(appID, session string, c Chat) {
	key := inner{appID, session}
	if old, ok := l.chats.GetIfPresent(key); ok && (old.Workspace != c.Workspace || old.Flow != "") {
		return
	}
	l.chats.ComputeIfPresent(key, func(old Chat) (Chat, otter.ComputeOp) {
		if old.Workspace != c.Workspace || old.Flow != "" {
			return old, otter.CancelOp
		}
		return c, otter.WriteOp
	})
	l.chats.SetIfAbsent(key, c)
}

// ChatOf is where a session is used, as far as it is remembered.
func (l *Library) ChatOf(appID, session string) (Chat, bool) {
	return l.chats.GetIfPresent(inner{appID, session})
}
