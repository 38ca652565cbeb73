// Package sso signs people in through identity providers: OpenID Connect, and GitHub.
//
//	Providers   the configured providers, and the sessions that they began (providers.go,
//	            session.go: back-channel and RP-initiated logout)
//	SSO         a browser's round trip to a provider and back, and linked identities (sso.go,
//	            link.go)
//	client      requests to a provider, and every check of its answers (oidc.go, github.go)
//	accounts    what an answer means: an account, and the roles of its groups (account.go,
//	            mapping.go)
//	reports     the same for an admin who tests a provider, without changing anything
//
// An account belongs to a subject of a provider, never to an email address: control of an address
// at some provider opens no account here. Groups give roles, and a provider takes back only roles
// that its groups gave. Superusers can always use a password, so that someone can sign in while the
// provider is down.
//
// A round is stored under its state and bound by a cookie to the browser that began it. Sluice
// looks at an answer only once it knows that the round belongs to this browser, and trusts no
// statement of a provider before checking it. It displays such statements as plain text. Fetches
// are bounded in size and time, shared by all who wait for the same answer, and stop with the
// providers (Close).
package sso
