// Package api is Sluice's JSON API under /api/v1, on the same origin as Sluice's own pages and over
// the same capabilities.
//
// routes.go is the whole map: method, path, requirement, handler. A handler reads a checked input,
// calls one method of a capability (identity, authn, login, app, mail, audit) and shapes the
// answer. The capabilities decide and record rights, so that the API, the console and the command
// line cannot differ. A route's requirement (need) is checked first, so that no one without the
// right learns what a good request looks like.
//
// Inputs and answers are structs. From them Huma derives the checks of a request, the OpenAPI 3.1
// document (/api/v1/openapi.json) and, through the document, the page /api/v1/docs, so the three
// cannot contradict each other. strict.go closes the gaps that huma leaves: repeated and unknown
// names, text that a database would refuse, unexpected bodies.
//
// Every error is a problem document (RFC 9457) of package problem, with the field, the mistake and
// the expectation. A client's mistake is never a 500. No answer holds a secret, except one-time
// links, and credentials that are shown once to the person who has just created or removed
// something.
package api
