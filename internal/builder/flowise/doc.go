// Package flowise is the kind of builder for Flowise 3.
//
// The table (flowise.yaml) was built from the routes of flowise@3.1.4 and from what its own pages
// ask for.
//
// Flowise has one workspace and one owner. The bridge holds one session of that owner in memory and
// uses it on behalf of everybody; a single goroutine at a time renews it, because Flowise on SQLite
// breaks when people sign in at once. Here it sees one sign-in a day. Flows that were bound to a
// key of Flowise's own, or are MCP servers, get that key from the bridge.
package flowise
