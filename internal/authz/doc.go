// Package authz decides who may do what, and makes sure that a change and its audit entry commit together.
//
// Everything that can be refused is a question of one form: may this Principal take this Action on this Resource? The answer comes from
// Cedar policies (policies/*.cedar): a forbid beats a permit, and what no policy permits is denied. A Decision names the policies that made
// it, which is the answer to "why was I denied?".
//
// Capability packages ask through the Gate and nowhere else, so the console, the API, the command line and proxied traffic cannot differ:
//
//	err := gate.Do(ctx, principal, authz.UserCreate, res, func(tx *db.Tx) error { … })   // a change
//	err := gate.Check(ctx, principal, authz.FlowRun, res)                                // a read, or traffic
//
// Do commits the change with its entry (Done), records a refusal (Denied) or a failure after rollback (Failed). Check decides from memory
// and does no I/O; refusals are handed to a bounded recorder that writes them a moment later, equal ones counted together.
//
// DoAll makes several changes in one transaction, each with its question and its entry. Count is for what happens often,
// such as runs of flows: equal events of CountFor are one entry, written later, and lost if the process is killed.
// Writing transactions are begun here and by db.System only.
//
// Roles are memberships: a Principal holds a role in a workspace, a Resource lies in one. Admin, User and Viewer are built in; a superuser
// may everything everywhere.
package authz
