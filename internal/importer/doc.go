// Package importer brings what another product keeps into Sluice: people, API keys, secrets, and
// whose flow is whose. It knows no product: a kind of builder with an Import reads its own database
// into a builder.Installation.
//
// Importer.Plan compares an Installation with what Sluice has, and says of each thing what becomes
// of it:
//
//	user      a person with the same password; a name that somebody here has already is never
//	          taken over by itself
//	project   a workspace, or a part of one (Options.Workspaces)
//	API key   a key of Sluice's that is known by the hash that the product stores, so that the
//	          clients that hold it go on
//	variable  one that is secret: a credential of the vault; others stay where they are
//	flow      stays in the builder, with its id; Sluice records whose it is
//
// The steps of a plan are types that share a planning: peoplePlanner, workspacePlanner, keyPlanner,
// credentialPlanner and objectPlanner, in this order, because each one needs what the ones before
// it have decided.
//
// Apply does what a plan says in one transaction, and so does all of it or nothing. The caller
// shows the plan in between.
//
// # Twice
//
// Each thing that is brought leaves its original id in the table import_origin. It is not brought
// again: not after it was renamed here, and not after it was revoked or deleted here either.
package importer
