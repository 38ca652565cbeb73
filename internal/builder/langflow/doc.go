// Package langflow is the kind of builder for Langflow 1.
//
// The table (langflow.yaml) was built from the routes of langflow 1.13.0 and 1.6.8, and from what
// their own pages ask for.
//
// Langflow keeps its users apart itself, so that the bridge enters an account for each workspace or
// person, in one of three ways: by assertions that Sluice signs, by tokens signed with the shared
// secret key, or by a sign-in for each account. A fresh session costs a request no lock and no I/O;
// what is stale is renewed, created or found again by one piece of work at a time for each account,
// and each trouble (another secret key, another database, another clock, an upgrade, too many
// sign-ins) has words of its own and ends by itself.
//
// The bridge is joined from types that each know those before it: wire (calls, clocks, what Sluice
// signs), signIns, worker, admin (the superuser), accounts (which there are, and whose), sessions
// (how each is opened), keys, contents (what accounts hold) and userList (accounts to adopt).
//
// What Sluice answers instead of Langflow shows and changes people and keys through packages
// identity, login and authn, which decide; here is only the shape. A script (page.js) runs on
// Langflow's pages before their own and leads from signing in and out, and from the page for
// administrators that newer versions lack, to Sluice's own pages.
package langflow
