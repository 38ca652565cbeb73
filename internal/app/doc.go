// Package app manages the connected apps: which builder runs where, at which address people reach
// it, which account Sluice's bridge uses, and which of its flows are open to strangers.
//
// # Life of an app
//
//	pending     added while nothing answered at its address; closed until a probe recognizes it
//	found       kind and version are known; a builder with an owner still needs its account
//	connected   the owner's credentials are tested and sealed (Connect); people can work
//
// # Parts
//
// All readers use the Registry: immutable App snapshots from memory (ByHost, ByID, All). It
// rebuilds them when an "app" change of package db arrives. The other parts of Apps change the
// stored apps. Each of them has only the few dependencies that it needs:
//
//	Manager       adds and removes apps, and offers them to workspaces
//	Connector     gets Sluice into a builder's accounts, tests the way in and stores it
//	Adoption      gives workspaces the objects that a builder already had
//	Publications  opens flows to strangers and closes them
//	Credentials   copies the vault's credentials into builders
//	Monitor       checks the apps and remembers how they answered
//
// Below them are the open bridges (bridge.go) and the store of account credentials (account.go).
//
// # Forward-auth
//
// The operator's own reverse proxy forwards to an app of ModeForwardAuth and asks Sluice about each
// request. Sluice knows the app's public address but not where it runs, so it has no probe, bridge,
// objects or lists for it. The app is healthy as soon as the first sub-request arrives (Asked,
// LastAsked).
//
// # Workspaces
//
// An app is used in the workspaces that it was offered to (Manager.Offer, Withdraw). Flows records
// which objects of the builder belong to which workspace. Objects from before the connection are
// adopted (Adoption.Adopt), automatically while Sluice has only one workspace.
//
// # The owner account
//
// If a builder with an owner account has no owner yet, Sluice registers one with a random password.
// The password is sealed and stored before it is used, so that a crash in between cannot lose it.
// Remove hands it over.
//
// # Accounts of a builder
//
// Some builders keep their users apart themselves, so each workspace works in its own account, or
// each person does. ConnectAccounts chooses how Sluice gets into these accounts, after the tests of
// TryAccounts. The bridge creates an account when it is first needed. The account is stored with
// its sealed credentials, so that all nodes use the same one. Users that the builder already had
// are adopted into a workspace (Adoption.AdoptUser); their flows stay where they are. With one
// workspace, the superuser's objects are adopted at the first connection; an admin decides about
// other users. The configured credentials also open Sluice. So they are only used for apps that the
// operator names, on the command line or as a superuser.
//
// # Credentials
//
// A copy of a vault credential in a builder is an object of the workspace, and Sluice chooses its
// id (Credentials.Put). A rotation marks all copies as outdated and then rewrites each of them. A
// copy that a builder could not take stays outdated until a health check finds the builder healthy
// again. A copy is only current if it holds the version that was written, so no order of rotations,
// writes and crashes can leave previous values behind unnoticed. Credentials are write-only as far
// as the builder's own are: no builder that Sluice knows shows their values to anyone.
package app
