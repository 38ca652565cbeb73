// Package importer imports the data of another product into Sluice: people, API keys, secrets, and
// the owners of flows. It knows no particular product: a kind of builder with an Import reads its
// own database into a builder.Installation.
//
// Importer.Plan compares an Installation with Sluice's data, and decides the outcome for each item:
//
//	user      a person with the same password; an existing person with the same name is
//	          never adopted automatically
//	project   a workspace, or a part of one (Options.Workspaces)
//	API key   a Sluice key, recognized by the hash that the product stores, so that the
//	          clients that hold it keep working
//	variable  a credential of the vault if it is secret; other variables stay in the builder
//	flow      stays in the builder, with its id; Sluice records its owner
//
// The steps of a plan are types that share a planning: peoplePlanner, workspacePlanner, keyPlanner,
// credentialPlanner and objectPlanner. They run in this order, because each one needs the decisions
// of the previous ones.
//
// Apply carries out a plan in one transaction, completely or not at all. Before that, the caller
// shows the plan to a person.
//
// # Repeated imports
//
// Each imported item leaves its original id in the table import_origin. It is not imported again,
// even after it was renamed, revoked or deleted here.
package importer
