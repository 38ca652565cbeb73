// Package flow keeps the ownership map: which workspace of Sluice every object of a builder belongs to. A builder may have one workspace of its own and show all of
// its objects to whoever has a session; this map is what keeps workspaces apart in front of it.
//
// # Objects
//
// A Kind is a sort of object that has an id of its own: flows, credentials, tools, variables, document stores and so on. A row of the map says app, id, kind, workspace, owner,
// name. The first who claims an id has it, and no claim ever moves an object: only Move does, which needs ObjectAdopt in both workspaces.
// An object without a row is nobody's: it is seen by nobody until somebody adopts it.
//
// What lies inside an object (an execution of a flow, a chunk of a document store) has no row. Its parent is learned from the builder's answers and remembered, see Learn.
// A job of a builder's (a run that goes on after its first answer) is stored with its flow and who started it, see StartJob; a chat session is remembered with the workspace that used it first,
// see LearnChat.
//
// # The audit record
//
// Whoever lets a request through to the builder tells what its answer says of flows, as an Act: Create, Save, Expose,
// Delete, Ran, Failed. Creations, deletions and changes of what strangers may see are entries in the transaction of the
// row. Changes and runs are counted (authz.Gate.Count). What turns up in a builder without having been recorded is Found.
//
// # In memory
//
// All rows are also held in memory, one table without pointers for each app, so that a request costs one look-up and no query. The tables follow the "object"
// changes of package db: a creation is known before its answer is released, on other nodes within 100 ms.
package flow
