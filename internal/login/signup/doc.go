// Package signup holds the ways to an account and back into it: the setup link of the first admin
// and the superusers named in the configuration (Setup), invitations to a workspace (Invitations),
// and everything that people do for themselves (SignUps): signing up, proving and changing their
// address, and resetting a forgotten password.
//
// All of them are one-time links (authn.Ticket) that a person gets by email or from an admin. A
// link proves a mailbox and nothing more: it begins an attempt like every first factor, and the
// dispatcher requires the rest.
//
// Nothing here reveals to a stranger whether an address is known. The answer is always the same,
// and work that takes time only for a known address runs after the answer (later), on one goroutine
// that stops with SignUps (Close).
package signup
