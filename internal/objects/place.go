package objects

import (
	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// Place is where a request takes place: the workspace of all objects that it names, or else the
// workspace that the person works in.
type Place struct {
	// Workspace is the id of the workspace; "" while nothing says which one.
	Workspace string
	// Named reports that an object determined the workspace, not just the person's own choice.
	Named bool
	// Kind is the kind of the named flow; "" if the request names none.
	Kind flow.Kind
	// Account is the builder account that holds the named objects; "" if the request names none, or
	// the builder has no accounts.
	Account string
}

// NotFound is the single answer for ids that do not exist, belong to others, or are unassigned.
func NotFound() error {
	return problem.New(problem.NotFound, "There is no such object here.").WithRule("object").
		WithNext("It may have been deleted, or belong to another workspace.")
}

// NoChat is the single answer for chat sessions that cannot be used here.
func NoChat() error {
	return problem.New(problem.NotFound, "This session cannot be used here.").WithRule("session").
		WithNext("Use another text for the session.")
}

// MaxChat is the longest name of a chat session that is accepted, in bytes.
const MaxChat = 256

// StandsForFlow reports whether a part of a flow implies that flow when a request names no flow
// directly.
func StandsForFlow(kind flow.Kind) bool {
	return kind == profile.Job || kind == profile.Message || kind == profile.ChatSession
}

// BelongsTo reports whether a workspace is one of a person's, and within the scope of their key.
func BelongsTo(who *authz.Principal, workspace string) bool {
	if !who.Scope.Reaches(workspace) {
		return false
	}
	if who.Superuser {
		return true
	}
	for i := range who.Memberships {
		if who.Memberships[i].Workspace == workspace {
			return true
		}
	}
	return false
}
