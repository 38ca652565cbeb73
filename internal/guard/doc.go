// Package guard is the machinery of checks on requests on their way to a builder, for what a route
// table cannot see: what is inside their bodies. It knows no builder.
//
// A row of a table names the checks that a request has to pass (profile.Endpoint.Guards), and a
// builder's Kind has them by these names. A Check gets a Request, which is what it may know and the
// one way in which it may ask the builder, and answers with nil or a problem whose rule is
// "guard.NAME".
//
// What checks are made of:
//
//	tree.go, json.go        strict JSON: what two parsers could read differently is refused before
//	                        anything is looked at; Digest compares values as a parser reads them
//	multipart.go            forms that can be read in one way
//	archive.go              zip archives without links, without names that lead out, within bounds
//	upload.go               Names: what files and folders may be called, however they are encoded
//	address.go              addresses that all parsers of URLs read alike, and that are public
package guard
