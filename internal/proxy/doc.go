// Package proxy is the data plane: it carries requests of browsers and programs to the builders behind Sluice.
//
// A request goes through the same steps in the same order, each in the file of its name:
//
//	match         listener or Host header -> app                                       match.go
//	target        the request target as it stood on the wire -> one path, or refusal   target.go
//	classify      method and path -> endpoint of the profile's route table             classify.go
//	authenticate  session cookie, access token or API key -> principal                 authenticate.go
//	authorise     endpoint's action, from memory; or the flow is published             authorise.go
//	locate        ids of objects -> workspace and account that hold all of them        package objects
//	guard         rules on a body's keys, no id of another workspace in it             bodyrules.go
//	guards        what stands inside a body, where the endpoint asks for it            guard.go
//	rewrite       the client's credentials and claims out, Sluice's own in             rewrite.go
//	bridge        the builder's session in, renewed once if the builder refuses it     bridge.go
//	forward       over a transport of its own for each builder                         forward.go
//	own           what an answer tells of objects: recorded, or taken out of a list    owned.go, learn.go, package objects
//	dress         a script of Sluice's into the builder's pages                        pages.go
//	answer        what the builder says, without what only Sluice may say              answer.go
//	event         one log line and the metrics                                         event.go
//
// Everything before "forward" is judged from memory, without I/O and without a lock that a sign-in can hold; only guards, and ids and names of which Sluice has never heard, have
// the builder asked, within bounds (objects.Finder). What was judged is what is forwarded: the builder gets the canonical path, the raw query that was parsed, and the very bytes of an inspected body.
//
// What is refused is answered in the form that the other side understands: a person's navigation gets a page (or is sent to sign in),
// a call gets the builder's own error shape. Streams have no total timeout, but end within a second when the session or key behind them ends.
//
// Paths below /.sluice/ are Sluice's own on every app's origin (reserved.go).
//
// # Accounts
//
// A builder with accounts keeps its users apart itself, and each workspace works in accounts of its own there. A request goes into the account that holds what it names, and all of that must lie
// in one; what names nothing goes into the account for new things. Lists are put together from all accounts of the workspace (acclists.go).
//
// A run that goes on has an id of its own. Who started it may follow and stop it, and so may those who may change the flow. A stranger's run of a published flow is known by nothing but its id,
// which the builder makes up of 122 random bits: whoever was told it may follow it while the flow is published, and no run of a signed-in person is ever open that way. The texts of chat sessions
// are chosen by people, and old builders find messages by nothing else: a session belongs to the workspace that used it first, and strangers have only those that strangers began.
//
// # Forward-auth
//
// A reverse proxy of the operator's own may forward instead, and ask at /forward-auth about each request (forwardauth.go). Such a sub-request tells of the browser's request in headers, which are believed
// only from a trusted peer (forwardauth_headers.go); it takes the steps from target to authorise. The answer is 204 with who it is, in headers and as a signed JWT, or what the browser is to get.
package proxy
