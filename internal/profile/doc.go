// Package profile is the engine that judges a request by a builder's route table. It names no
// builder: tables are data that the packages below builder bring.
//
// A request is judged in three steps. Canonical and Query reduce what stood on the wire to exactly
// one reading, or refuse it. Profile.Match finds the one Endpoint of the route table for method and
// path; what is not in the table is denied. The Endpoint names the least authz.Action, where the
// ids of flows and other objects stand, whether strangers may be let through, and what the upstream
// gets. Endpoint.Result says what the answer tells of objects (Creates, Deletes, List, Learn), from
// which whoever forwards it keeps the ownership map of package flow.
//
// Patterns match whole segments and case exactly, a literal beats a placeholder, and what is
// forwarded has a slash at its end where the pattern has one, and otherwise none, so that what was
// judged is what is forwarded.
//
// A Style holds what else differs: cookies and headers that never pass, the policy for pages, the
// rules for parameters, and the shape of errors.
package profile
