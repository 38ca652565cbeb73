// Package authz decides who may do what, and makes sure that a change and its audit entry commit
// together.
//
// Everything that can be refused is a question of one form: is this Principal permitted to take
// this Action on this Resource? Cedar policies answer it (policies/*.cedar): a forbid beats a
// permit, and an action that no policy permits is denied. A Decision names the policies that
// decided it, which answers "why was I denied?".
//
// Capability packages ask through the Gate and nowhere else, so the console, the API, the command
// line and proxied traffic cannot differ:
//
//	// a change
//	err := gate.Do(ctx, principal, authz.UserCreate, res, func(tx *db.Tx) error { … })
//	// a read, or traffic
//	err := gate.Check(ctx, principal, authz.FlowRun, res)
//
// Do commits the change with its entry (Done), or records a refusal (Denied) or a failure after
// rollback (Failed). Check decides from memory and does no I/O; it hands refusals to a bounded
// recorder that writes them a moment later and counts equal ones together.
//
// DoAll makes several changes in one transaction, each with its question and its entry. Count is
// for frequent events, such as runs of flows: equal events of CountFor become one entry, which is
// written later and lost if the process is killed. Only this package and db.System begin writing
// transactions.
//
// Roles are memberships: a Principal holds a role in a workspace, and a Resource belongs to a
// workspace. Admin, User and Viewer are built in. A superuser may do anything anywhere.
package authz
