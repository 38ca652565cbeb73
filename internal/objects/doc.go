// Package objects resolves the objects that a request names and an answer contains: their
// workspaces, the builder accounts that hold them, the flows that contain a run, a message or a
// chat session, and the elements of a list that a person may see. Values go in and values come out:
// the package sees no request and no answer, and forwards nothing.
//
// # Places
//
// A Place is the workspace that a request is about, and the builder account that holds the objects
// it names. All of them must be in one workspace and in one account; Lookup.Join adds one object
// after the other. An id that does not exist, belongs to others or is unassigned has one answer,
// NotFound.
//
// # Lookups
//
// A Lookup answers from the ownership map of package flow, in memory. If the map does not know an
// object and the builder has accounts, Lookup searches the accounts of the person's workspace, and
// records what it finds for that workspace. A Finder bounds these queries, so that a flood of wrong
// ids does not become a flood at the builder.
//
// # Lists
//
// A List is a list in an answer, in any of the places where builders put it. A Filter decides which
// of its elements belong to a workspace. EachUUID finds ids in every form that a builder could
// read.
package objects
