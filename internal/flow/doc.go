// Package flow maintains the ownership map: which Sluice workspace owns each object of a builder. A
// builder may have only one workspace of its own and show all its objects to anyone with a session.
// In front of it, this map keeps workspaces apart.
//
// # Objects
//
// A Kind is a sort of object that has its own id: flows, credentials, tools, variables, document
// stores and so on. A row of the map holds app, id, kind, workspace, owner and name. The workspace
// that records an id first keeps it, and Claim never moves an object. Only two functions do: Move,
// which needs ObjectAdopt in both workspaces, and Place, with which an import moves objects without
// an owner. An object without a row is unassigned: no one can see it until someone adopts it.
//
// Things inside an object (an execution of a flow, a chunk of a document store) have no rows. Their
// parents are learned from the builder's answers and remembered, see Learn. A builder's job (a run
// that continues after its first answer) is stored with its flow and the person who started it, see
// StartJob. A chat session is remembered with the workspace that used it first, see LearnChat.
//
// # The audit record
//
// The proxy reports what the builder's answer says about flows, as an Act: Create, Save, Expose,
// Delete, Ran, Failed. Creations, deletions and changes of access for strangers are audit entries
// in the row's transaction. Changes and runs are counted (authz.Gate.Count). Objects that appear in
// a builder without a record are reported with Found.
//
// # In memory
//
// All rows are also held in memory, in one table without pointers for each app, so that a request
// costs one look-up and no query. The tables follow the "object" changes of package db. A creation
// is known before its answer is released, and on other nodes within 100 ms.
package flow
