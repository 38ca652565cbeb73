// Package flowise is the kind of builder for Flowise 3.
//
// The table (flowise.yaml) was built from the routes of flowise@3.1.4 and from the requests of its
// own pages.
//
// Flowise has one workspace and one owner. The bridge holds one session of that owner in memory and
// uses it on behalf of everyone. Only one goroutine at a time renews it, because Flowise on SQLite
// breaks when people sign in at once. With the bridge it sees one sign-in a day. If a flow is bound
// to one of Flowise's own keys, or is an MCP server, the bridge supplies that key.
package flowise
