// Package guards has the checks on what requests bring to a Langflow, by the names that its table
// uses:
//
//	code       component code, and all else that makes Langflow run what it is given; component is
//	           the same for a single component                      code.go, claims.go, runners.go
//	tweaks     fields that are executed, in the changes for one run                      tweaks.go
//	mcp        definitions of MCP servers: remote ones only, in plain form                  mcp.go
//	upload     forms that can be read in one way, and names of files in them         package guard
//	files      paths of files in the body: of this flow's own folder                 package guard
//	name       names that Langflow creates folders of                                package guard
//
// # Code
//
// Langflow's pages send the source of every component with every save, and Langflow runs what it is
// sent. So "no code in bodies" would stop all work, and a list of bad code would be incomplete. The
// guard asks instead what is risky in a body (its claims), and whether each claim is known: a claim
// is known if the instance itself ships with it (its catalog and its examples, catalog.go) or if it
// is in the flow as it is stored now. Somebody without the right to bring code may therefore use
// and move everything that is there, and bring nothing new. Claims are compared by SHA-256 of the
// decoded text, so that no spelling hides one.
//
// What a claim is was read in Langflow's own loader, in the releases of 2025 and 2026: the field
// "code" of a component's template, whatever Langflow would take its text from (value, default,
// file_path of a field whose type was changed, a field of a group that stands in for it, an edge
// that leads into it); every other field of type "code"; the inputs of components that execute
// their inputs; commands of MCP servers; names of files, folders and file databases of the host.
package guards
