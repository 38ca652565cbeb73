package objects

import (
	"sluice/internal/authz"
	"sluice/internal/flow"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// Place is where a request happens: the workspace that all objects which it names belong to, or the
// one that the person works in.
type Place struct {
	// Workspace is the id of the workspace; "" while nothing says which one.
	Workspace string
	// Named tells that an object says so, and not only the person's own choice.
	Named bool
	// Kind is that of the flow that is named, if one is.
	Kind flow.Kind
	// Account is the builder's account that holds what is named; "" where none does.
	Account string
}

// NotFound is the one answer for ids that do not exist, belong to others, or to nobody.
func NotFound() error {
	return problem.New(problem.NotFound, "There is no such object here.").WithRule("object").
		WithNext("It may have been deleted, or belong to another workspace.")
}

// NoChat is the one answer for chat sessions that cannot be used here.
func NoChat() error {
	return problem.New(problem.NotFound, "This session cannot be used here.").WithRule("session").
		WithNext("Use another text for the session.")
}

// MaxChat is the longest text of a chat session that is taken, in bytes.
const MaxChat = 256

// StandsForFlow reports whether what lies in a flow stands for that flow where a request names no
// other.
func StandsForFlow(kind flow.Kind) bool {
	return kind == profile.Job || kind == profile.Message || kind == profile.ChatSession
}

// BelongsTo reports whether a workspace is one of a person's, and within reach of their key.
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
