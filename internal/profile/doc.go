// Package profile holds what Sluice knows about a kind of builder: which paths it serves, what each of them needs, what Sluice answers in
// its stead, and how to hold a session with it. Nothing is stored or decided here.
//
// A request is judged in three steps. Canonical and Query reduce what stood on the wire to exactly one reading, or refuse it. Profile.Match
// finds the one Endpoint of the route table for method and path; what is not in the table is denied. The Endpoint names the least
// authz.Action, where the ids of flows and other objects stand, whether strangers may be let through, and what the upstream gets. It also says what the
// answer tells of objects (Creates, Deletes, List, Learn), from which whoever forwards it keeps the ownership map of package flow.
//
// The tables of Flowise and Langflow are data (flowise.yaml, langflow.yaml), built from the routes of flowise@3.1.4 and of langflow 1.13.0 and 1.6.8, and from what their
// own pages ask for. Patterns match whole segments and case exactly, a literal beats a placeholder, and what is forwarded has a slash at its end where the pattern
// has one, and otherwise none, so that what was judged is what is forwarded.
//
// A Bridge carries a request into the builder's own session. For Flowise that is one session of a service owner, held in memory and renewed
// by a single goroutine at a time: Flowise on SQLite breaks when people sign in at once, and here it sees one sign-in a day.
//
// Langflow keeps its users apart itself, so that a LangflowBridge enters an account for each workspace or person (Account, Accounts), in one of three ways: by assertions that Sluice signs, by tokens
// signed with the shared secret key, or by a sign-in for each account. A fresh session costs a request no lock and no I/O; what is stale is renewed, made or found again by one piece of work at a time
// for each account, and each trouble (another secret key, another database, another clock, an upgrade, too many sign-ins) has words of its own and ends by itself.
//
// What Sluice answers in Langflow's stead shows and changes people and keys through packages identity, login and authn, which decide; here is only the shape. A script (langflow_page.js) runs on Langflow's
// pages before their own and leads from signing in and out, and from the page for administrators that newer versions lack, to Sluice's own pages.
//
// NewDemo serves a small builder of Sluice's own, so that everything can be tried without another product.
package profile
