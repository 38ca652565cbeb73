// Package builder says what Sluice must know about a product, as one struct: Kind. The products
// themselves are packages below this one, and only package server knows them.
//
//	Kind ── Profile      the route table and its style (package profile), compiled by Load
//	     ── Answers      what Sluice answers instead of the builder
//	     ── Guards       checks on what a request brings (package guard has the machinery)
//	     ── Probe        recognizes the product at an address
//	     ── Import       reads an installation that ran without Sluice
//	     ── Bridge       carries requests into the builder's own session ──► Bridge, one for each connected app
//	     ── Owner        one owner account serves everybody          ┐ at most one of the two
//	     ── Accounts     the builder keeps its users apart itself    ┘
//	     ── Entry, Page, FlowTypes, FlowWord, FlowPage, RunCall, Stored, Shared: what pages and requests need
//
// An ability that a product does not have is nil or empty. Whoever needs one asks for the field;
// nobody asserts a type. The same holds for a Bridge: Session is always there, and FlowKey,
// SetPublic, Inventory, Parent, FlowsOf, Credentials, Accounts and Users may be nil.
//
// Load compiles the route table and refuses one that names an answer or a guard that its Kind does
// not have. Kinds are all products by name; Kinds.Probe asks each of them what runs at an address,
// and what no Probe recognizes is of the one kind that is the Fallback.
package builder
