// Package guards checks what requests bring to a Langflow. The checks have the names that the table
// uses:
//
//	code       component code, and everything else that makes Langflow run what it is given;
//	           component is the same for a single component         code.go, claims.go, runners.go
//	tweaks     fields that a component executes, in the changes for one run            tweaks.go
//	mcp        definitions of MCP servers: remote ones only, in plain form                mcp.go
//	upload     forms that can be read in only one way, and names of files in them   package guard
//	files      paths of files in the body: only in this flow's own folder           package guard
//	name       names that Langflow creates folders from                              package guard
//
// # Code
//
// Langflow's pages send the source of every component with every save, and Langflow runs the code
// it receives. Rejecting all code in bodies would stop all work, and a list of bad code would be
// incomplete. Instead, the guard asks what is risky in a body (its claims), and whether each claim
// is known. A claim is known if the instance itself ships with it (its catalog and its examples,
// catalog.go) or if it is in the stored flow. A person without permission to bring code can
// therefore use and move everything that is already there, but bring nothing new. Claims are
// compared by SHA-256 of the decoded text, so that no spelling hides one.
//
// The list of claims comes from reading Langflow's own loader, in the releases of 2025 and 2026:
//
//   - the field "code" of a component's template, from every place where Langflow would take its
//     text (value, default, file_path of a field whose type was changed, a group's field that
//     represents it, an edge that leads into it)
//   - every other field of type "code"
//   - the inputs of components that execute their inputs
//   - commands of MCP servers
//   - names of files, folders and file databases of the host
package guards
