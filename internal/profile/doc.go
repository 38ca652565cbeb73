// Package profile is the engine that judges a request by a builder's route table. It names no
// builder: tables are data from the packages below builder.
//
// A request is judged in three steps. Canonical and Query reduce the text on the wire to exactly
// one reading, or refuse it. Profile.Match finds the one Endpoint of the route table for method and
// path; a request that matches no row is denied. The Endpoint names the required authz.Action, the
// places of the ids of flows and other objects, whether strangers may be let in, and what the
// upstream gets. Endpoint.Result describes what the answer reveals about objects (Creates, Deletes,
// List, Learn). The proxy uses it to maintain the ownership map of package flow.
//
// Patterns match whole segments and exact case, and a literal beats a placeholder. The forwarded
// path ends in a slash exactly if the pattern does (a Source can relax both: FoldCase, KeepSlash),
// so that the builder gets the path that was judged.
//
// A Style holds the remaining differences: cookies and headers that never pass, the policy for
// pages, the rules for parameters, and the shape of errors.
package profile
