// Package importer brings what another product keeps into Sluice: people, API keys, secrets, and whose flow is whose. The product is Langflow.
//
// # Two halves
//
// Reading (Read) opens Langflow's database, an SQLite file or a PostgreSQL, without the power to change it, checks that it is one, and reads everything into an Installation. Nothing in it is trusted: ids,
// dates, hashes and flows are parsed with bounds, and what cannot be read is left out with a reason.
//
// Planning (Importer.Plan) compares that with what Sluice has, and says of each thing what will become of it:
//
//	user      a person with the same password; a name that somebody here has already is never taken over by itself
//	project   a workspace, or a part of one (Options.Workspaces)
//	API key   a key of Sluice's that is known by Langflow's own hash, so that the clients which hold it go on
//	variable  of type Credential: a credential of the vault; others are no secrets and stay where they are
//	flow      stays in Langflow, with its id; Sluice writes down whose it is
//
// Apply does what a plan says in one transaction, and so does all of it or nothing. The caller shows the plan in between.
//
// # Twice
//
// Each thing that is brought leaves its Langflow id in the table import_origin. What has been brought is not brought again: not when it was renamed here, and not when it was revoked or deleted here either.
package importer
