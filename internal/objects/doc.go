// Package objects knows the objects that a request names and an answer contains: whose they are, in
// which account of a builder they lie, in which flow a run, a message or a chat session lies, and
// which elements of a list somebody may see. Values go in and values come out: the package sees no
// request and no answer, and forwards nothing.
//
// # Places
//
// A Place is the workspace that a request is about, and the builder's account that holds what it
// names. Everything that a request names must lie in one workspace and in one account; Lookup.Join
// adds one object after the other. An id that does not exist, belongs to others or to nobody has
// one answer, NotFound.
//
// # Lookups
//
// A Lookup answers from the ownership map of package flow, in memory. What the map does not know is
// looked for in the accounts of the person's workspace, where the builder has accounts, and
// recorded for that workspace. A Finder bounds these questions, so that a flood of wrong ids does
// not become a flood at the builder.
//
// # Lists
//
// A List is a list in an answer, wherever the builder puts it, and a Filter says which of its
// elements belong to a workspace. EachUUID finds ids however a builder could read them.
package objects
