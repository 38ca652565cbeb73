// Package langflow is the kind of builder for Langflow 1.
//
// The table (langflow.yaml) was built from the routes of langflow 1.13.0 and 1.6.8 and from the
// requests of their own pages.
//
// Langflow keeps its users apart itself, so the bridge enters an account for each workspace or
// person. It does this in one of three ways: with assertions that Sluice signs, with tokens signed
// with the shared secret key, or with a sign-in for each account. A fresh session costs a request
// no lock and no I/O. For each account, one task at a time renews, creates or recovers its session.
// Each kind of trouble (another secret key, another database, another clock, an upgrade, too many
// sign-ins) has its own message and is retried automatically.
//
// The bridge is assembled from these types, each of which knows only the ones before it: wire
// (calls, clocks, signing), signIns, worker, admin (the superuser), accounts (the accounts and
// their homes), sessions (how each account is opened), keys, contents (what accounts hold) and
// userList (accounts to adopt).
//
// The answers that Sluice gives instead of Langflow show and change people and keys through
// packages identity, login and authn, which make the decisions. This package only shapes the
// answers. A script (page.js) runs on Langflow's pages before their own code. It leads to Sluice's
// own pages for signing in and out, and for the administration page that newer versions lack.
package langflow
