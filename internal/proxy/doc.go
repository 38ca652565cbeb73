// Package proxy is the data plane: it carries requests of browsers and programs to the builders
// behind Sluice.
//
// A request is a value that arrives, is judged, and is forwarded. Each step has its place:
//
//	match         listener or Host header -> app                              match.go
//	path          the target as it came -> one path, or refusal               Request.readTarget
//	classify      method and path -> endpoint of the builder's route table    judge.classify
//	authenticate  session cookie, token or API key -> who asks                Request.authenticate
//	authorize     the endpoint's action; or the flow is published             judge.authorize
//	  naming      ids of objects -> workspace and account that hold them      naming.go
//	  body        read as far as the endpoint asks, within the memory         body.go
//	check body    rules on the body's keys, no id of another workspace        judge.checkBody
//	guard         checks of what stands inside a body                         judge.guard
//	              = a Verdict
//	rewrite       the client's credentials and claims out, Sluice's own in    trip.go
//	bridge        the builder's session in, renewed once if it is refused     trip.go
//	forward       over a transport of its own for each builder                deliver.go
//	answer        a list of filters                                           filters.go
//	  objects     recorded, or taken out of a list                            results.go, lists.go
//	event         one log line and the metrics                                reply.finish
//
// # Judging
//
// Judge turns a Request into a Verdict. It is the only order of these steps: requests that Sluice
// forwards, those that it answers itself (ownanswer.go) and those that a reverse proxy asks about
// (forwardauth.go) take the same ones. A Request does not change after it was created, and a
// Verdict does not change after it was returned. Sluice's answer to a request without the right to
// it may be what the builder has at the same path: that is a second Request with the same
// requester, and judged like any other.
//
// Judge works from memory, without I/O and without a lock that a sign-in can hold. Only guards, and
// ids and names of which Sluice has never heard, have the builder asked, within bounds
// (objects.Finder). What was judged is what is forwarded: the builder gets the canonical path, the
// raw query that was parsed, and the very bytes of an inspected body.
//
// A refusal comes in the form that the other side understands: a person's navigation gets a page
// (or is sent to sign in), a call gets the builder's own error shape. Streams have no total
// timeout, but are cut within a second when the session or key behind them is revoked (cut.go).
//
// Paths below /.sluice/ are Sluice's own on every app's origin (reserved.go).
//
// # Accounts
//
// A builder with accounts keeps its users apart itself, and each workspace works in accounts of its
// own there. A request goes into the account that holds what it names, and all of that must lie in
// one; a request that names nothing goes into the account for new things. Lists are put together
// from all accounts of the workspace (lists.go).
//
// A run that goes on has an id of its own. The person who started it may follow and stop it, and so
// may those who may change the flow. A stranger's run of a published flow is known by nothing but
// its id, which the builder draws from 122 random bits: a stranger who was told it may follow it
// while the flow is published, and no run of a signed-in person is ever open that way. The texts of
// chat sessions are chosen by people, and old builders find messages by nothing else: a session
// belongs to the workspace that used it first, and strangers have only those that strangers began.
//
// # Forward-auth
//
// A reverse proxy of the operator's own may forward instead, and ask at /forward-auth about each
// request (forwardauth.go). Such a sub-request tells of the browser's request in headers, which are
// believed only from a trusted peer (forwardauth_headers.go); it takes the steps from path to
// authorize, because it has no body. The answer is 204 with the requester in headers and as a
// signed JWT, or the answer that the browser is to get.
package proxy
