// Package sso signs people in through identity providers: OpenID Connect, and GitHub.
//
//	Providers   the providers that are set up, and the sessions that they began (providers.go,
//	            session.go: back-channel and RP-initiated logout)
//	SSO         a browser's round trip to a provider and back, and linked identities (sso.go, link.go)
//	client      what is asked of a provider, and every check of what it answers (oidc.go, github.go)
//	accounts    what an answer means: an account, and the roles of its groups (account.go, mapping.go)
//	reports     the same for an admin who tries a provider, without changing anything
//
// An account belongs to a subject of a provider, never to an email address: whoever controls an
// address at some provider gets nobody's account by it. Groups give roles, and only roles that they
// gave are taken back. Superusers may always use a password, so that somebody can come in while the
// provider is away.
//
// A round is kept under its state and bound to the browser that began it by a cookie. Nothing of an
// answer is looked at before the round is known to be this browser's own, and nothing a provider
// says is believed before it was checked; what is shown of it is plain text. Fetches are bounded in
// size and time, shared by those who wait for the same answer, and stop with the providers (Close).
package sso
