// Package builder describes everything that Sluice must know about a product in one struct, Kind.
// The products themselves are packages below this one, and only package server imports them.
//
//	Kind ── Profile      the route table and its style (package profile), compiled by Load
//	     ── Answers      the answers that Sluice gives instead of the builder
//	     ── Guards       checks of what a request brings (package guard has the machinery)
//	     ── Probe        recognizes the product at an address
//	     ── Import       reads an installation that ran without Sluice
//	     ── Bridge       carries requests into the builder's own session ──► Bridge, one per app
//	     ── Owner        one owner account serves everyone           ┐ at most one of the two
//	     ── Accounts     the builder itself keeps its users apart    ┘
//	     ── Entry, Page, FlowTypes, FlowWord, FlowPage, RunCall, Stored, Shared
//	                     for pages and requests
//
// Optional abilities are nil or empty. Callers check the field; they never use type assertions. The
// same holds for a Bridge: Session is always set, while FlowKey, SetPublic, Inventory, Parent,
// FlowsOf, Credentials, Accounts and Users may be nil.
//
// Load compiles the route table and refuses one that names an answer or a guard that its Kind does
// not have. Kinds holds all products by name. Kinds.Probe lets each of them look at an address; a
// server that no Probe recognizes belongs to the one kind that is the Fallback.
package builder
