// Package app keeps the connected apps: which builder runs where, under which address people reach it, by whose account Sluice bridges to it, and which of
// its flows are open to strangers.
//
// # Life of an app
//
//	pending     added while nothing answered at its address; closed until the probe has seen what runs there
//	found       kind and version are known; a builder with an owner still needs its account
//	connected   the owner's credentials are tested and sealed (Connect), people can work
//
// # Parts
//
// Everybody reads the Registry: immutable App snapshots from memory (ByHost, ByID, All), which it builds
// anew when an "app" change of package db arrives. The other parts of Apps change what it holds, each
// with the few dependencies that it needs:
//
//	Manager       adds and removes apps, and offers them to workspaces
//	Connector     gets Sluice into a builder's accounts, tests the way in and stores it
//	Adoption      gives workspaces what a builder had before
//	Publications  opens flows to strangers and closes them
//	Credentials   copies the vault's credentials into builders
//	Monitor       looks at the apps and remembers how they answered
//
// Below them stand the open bridges (bridge.go) and the store of what opens accounts (account.go).
//
// # Forward-auth
//
// An app of ModeForwardAuth is forwarded to by a reverse proxy of the operator's own, which asks Sluice about each request. Sluice knows its public address and nothing of where it
// runs: there is no probe, no bridge, no object and no list. It is well as soon as the first sub-request has come (Asked, LastAsked).
//
// # Workspaces
//
// An app is used in the workspaces that it was offered to (Manager.Offer, Withdraw). Which objects of the builder belong to which workspace stands in Flows; what the builder had
// before it was connected is adopted (Adoption.Adopt), by itself as long as there is one workspace.
//
// # The owner account
//
// Where such a builder has no owner yet, Sluice registers one with a random password. The password is sealed and stored before it is used, so that a kill between the two
// cannot lose it; Remove hands it over.
//
// # Accounts of a builder
//
// Some builders keep their users apart themselves, so that each workspace works in an account of theirs, or each person in one of their own. ConnectAccounts chooses how Sluice gets into them, after
// the tests of TryAccounts; the bridge makes an account when it is first needed, and it is stored with what opens it, sealed, so that all nodes go into the same one. Users that the builder had before are
// adopted into a workspace (Adoption.AdoptUser): their flows stay where they are. With one workspace, what the superuser has built is adopted at the first connection; other users are an admin's decision.
// What the configuration says is used for apps that the operator names, on the command line or as a superuser, and for nobody else's: it opens Sluice too.
//
// # Credentials
//
// A credential of the vault is put into a builder as a copy, an object of the workspace whose id Sluice chooses (Credentials.Put). A rotation outdates all copies and then writes each anew; what a
// builder could not take is outdated until the health check finds it well again. A copy counts as current only for the version that was written, so no order of rotations, writes and
// crashes leaves former values behind unnoticed. Write-only goes as far as the builder's own: none that Sluice knows shows anybody the values of a credential.
package app
