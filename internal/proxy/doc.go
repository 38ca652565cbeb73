// Package proxy is the data plane: it carries requests of browsers and programs to the builders
// behind Sluice.
//
// A request is a value that arrives, is judged, and is forwarded. Each step has its place:
//
//	match         listener or Host header -> app                              match.go
//	path          the target as it came -> one path, or refusal               Request.readTarget
//	classify      method and path -> endpoint of the builder's route table    judge.classify
//	authenticate  session cookie, token or API key -> the requester           Request.authenticate
//	authorize     the endpoint's action; or the flow is published             judge.authorize
//	  naming      ids of objects -> workspace and account that hold them      naming.go
//	  body        read as far as the endpoint needs, within the memory        body.go
//	check body    rules on the body's keys, no id of another workspace        judge.checkBody
//	guard         checks of the body's content                                judge.guard
//	              = a Verdict
//	rewrite       the client's credentials and claims out, Sluice's own in    trip.go
//	bridge        the builder's session in, renewed once if it is refused     trip.go
//	forward       over a separate transport for each builder                  deliver.go
//	answer        a list of filters                                           filters.go
//	  objects     recorded, or taken out of a list                            results.go, lists.go
//	event         one log line and the metrics                                reply.finish
//
// # Judging
//
// Judge turns a Request into a Verdict. It is the only place that orders these steps: forwarded
// requests, requests that Sluice answers itself (ownanswer.go) and requests that a reverse proxy
// asks about (forwardauth.go) all take the same ones. A Request does not change after it is
// created, and a Verdict does not change after it is returned. If the requester lacks the right to
// a request, Sluice may answer with the builder's content at the same path. That takes a second
// Request with the same requester, which is judged like any other.
//
// Judge works from memory, without I/O and without any lock that a sign-in can hold. It queries the
// builder only for guards and for unknown ids and names, within bounds (objects.Finder). The
// builder gets exactly what was judged: the canonical path, the raw query that was parsed, and the
// very bytes of an inspected body.
//
// A refusal takes the form that the client understands. A person's navigation gets a page or a
// redirect to the sign-in page; an API call gets the builder's own error shape. Streams have no
// total timeout, but are cut within a second when the session or key behind them is revoked
// (cut.go).
//
// Paths below /.sluice/ are reserved for Sluice on every app's origin (reserved.go).
//
// # Accounts
//
// A builder with accounts separates its users itself, and each workspace has its own accounts
// there. A request goes into the account that holds the objects it names, and a single account must
// hold all of them. A request that names nothing goes into the account for new objects. Lists are
// combined from all accounts of the workspace (lists.go).
//
// A background run has its own id. The person who started it may follow and stop it, and so may
// people who can change the flow. A stranger's run of a published flow is identified only by its
// id, which the builder draws from 122 random bits. A stranger who has the id may follow the run
// while the flow is published. Runs of signed-in people are never open that way. People choose the
// names of chat sessions, and old builders find messages only by them: a session belongs to the
// workspace that used it first, and strangers reach only sessions that strangers began.
//
// # Forward-auth
//
// An operator's reverse proxy may do the forwarding instead, and ask at /forward-auth about each
// request (forwardauth.go). Such a sub-request describes the browser's request in headers, which
// are believed only from a trusted peer (forwardauth_headers.go). It takes the steps from path to
// authorize, because it has no body. The answer is either 204 with the requester in headers and in
// a signed JWT, or the answer for the browser.
package proxy
