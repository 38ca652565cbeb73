// Package signup holds the ways to an account and back into it: the set-up link of the first admin
// and the superusers that the configuration names (Setup), invitations to a workspace
// (Invitations), and what people do for themselves (SignUps): signing up, proving and changing
// their address, and a forgotten password.
//
// All of them are one-time links (authn.Ticket) that a person gets by mail or from an admin's hand.
// A link proves a mailbox and nothing more: it begins an attempt like every first factor, and the
// dispatcher asks for the rest.
//
// Nothing here tells a stranger whether an address is known: the answer is the same, and what takes
// time only for a known address is done after the answer (later), on one goroutine that stops with
// SignUps (Close).
package signup
