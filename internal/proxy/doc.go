// Package proxy is the data plane: it carries requests of browsers and programs to the builders behind Sluice.
//
// A request goes through the same steps in the same order, each in the file of its name:
//
//	match         listener or Host header -> app                                       match.go
//	target        the request target as it stood on the wire -> one path, or refusal   target.go
//	classify      method and path -> endpoint of the profile's route table             classify.go
//	authenticate  session cookie, access token or API key -> principal                 authenticate.go
//	authorise     endpoint's action, from memory; or the flow is published             authorise.go
//	locate        ids of objects -> the workspace that all of them belong to           objects.go
//	guard         rules on a body's keys, no id of another workspace in it             bodyrules.go
//	guards        what stands inside a body, where the endpoint asks for it            guard.go
//	rewrite       the client's credentials and claims out, Sluice's own in             rewrite.go
//	bridge        the builder's session in, renewed once if the builder refuses it     bridge.go
//	forward       over a transport of its own for each builder                         forward.go
//	own           what an answer tells of objects: recorded, or taken out of a list    owned.go, lists.go
//	answer        what the builder says, without what only Sluice may say              answer.go
//	event         one log line and the metrics                                         event.go
//
// Everything before "forward" is judged from memory, without I/O and without a lock that a sign-in can hold; only a guard may ask the builder what it knows. What was judged is what is
// forwarded: the builder gets the canonical path, the raw query that was parsed, and the very bytes of an inspected body.
//
// What is refused is answered in the form that the other side understands: a person's navigation gets a page (or is sent to sign in),
// a call gets the builder's own error shape. Streams have no total timeout, but end within a second when the session or key behind them ends.
//
// Paths below /.sluice/ are Sluice's own on every app's origin (reserved.go).
//
// # Forward-auth
//
// A reverse proxy of the operator's own may forward instead, and ask at /forward-auth about each request (forwardauth.go). Such a sub-request tells of the browser's request in headers, which are believed
// only from a trusted peer (forwardauth_headers.go); it takes the steps from target to authorise. The answer is 204 with who it is, in headers and as a signed JWT, or what the browser is to get.
package proxy
