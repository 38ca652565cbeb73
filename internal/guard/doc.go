// Package guard is the machinery for checks of request bodies on their way to a builder, which a
// route table cannot see. It knows no builder.
//
// A table row names the checks that a request must pass (profile.Endpoint.Guards), and a builder's
// Kind has them under these names. A Check gets a Request, which holds everything the check may
// know and its only way to ask the builder. It returns nil or a problem with the rule "guard.NAME".
//
// Checks are built from these parts:
//
//	tree.go, json.go        strict JSON: text that two parsers could read differently is refused
//	                        before any check; Digest compares values as a parser reads them
//	multipart.go            forms that can be read in only one way
//	archive.go              zip archives without links or names that lead out, within bounds
//	upload.go               Names: allowed names of files and folders, however they are encoded
//	address.go              public addresses that all URL parsers read alike
package guard
