// Package api is Sluice's JSON API under /api/v1, on the same origin as Sluice's own pages and over the same capabilities.
//
// routes.go is the whole map: method, path, what it needs, what it does. A handler reads a checked input, calls one method of a capability
// (identity, authn, login, app, mail, audit) and shapes the answer; rights are decided and recorded there, so that the API, the console and the command
// line cannot differ. The door of a route (need) asks first, so that nobody without the right learns what a good request looks like.
//
// Inputs and answers are structs. Huma makes of them the checks of a request, the OpenAPI 3.1 document (/api/v1/openapi.json) and with it the
// page /api/v1/docs: none of the three can say something else than the others. What huma leaves open is closed in strict.go: repeated and
// unknown names, text that a database would refuse, bodies where none is expected.
//
// Every error is a problem document (RFC 9457) of package problem, with the field, what was wrong and what is expected. A mistake of the
// client is never a 500. No answer holds a secret, but for one-time links and credentials that are shown once to whoever has just made or removed
// something.
package api
