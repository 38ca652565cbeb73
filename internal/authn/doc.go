// Package authn turns a request into a Principal, in one place (Credentials): by session cookie,
// access token or API key.
//
// # Sessions
//
// A session is a row with a person, an absolute expiry and a last-seen time. A cookie is a random
// 256-bit token, of which only the HMAC-SHA-256 is stored. One session can have several cookies,
// one for each origin (audience): Sluice's own origin is AudienceMain, and an app with its own host
// name has its id. A browser that has signed in once gets the next origin's cookie through a
// single-use code (NewEnterCode, RedeemEnterCode).
//
// All live sessions are also held in memory, in tables without pointers, so a request costs one
// hash and one look-up and no query. The tables follow the "session" and "account" changes of
// package db: a revocation takes effect at once on this node and within 100 ms on others. Code that
// serves a stream watches Done.
//
// # Access and refresh tokens
//
// A program that signs in (login.Logins.SignInProgram) gets a session too, with tokens instead of a
// cookie:
//
//	access token    JWT, HS256 only, with key id, audience and session id;
//	                good for JWT_TOKEN_EXPIRY_IN_MINUTES
//	refresh token   "sluicert_" and base64url of: form, session, generation,
//	                HMAC-SHA-256 (session, generation, seed of the family)
//
// An access token is verified once and then known by its SHA-256, in a bounded table without
// pointers. Its session is looked up in memory each time, so a token stops working with its
// session.
//
// A refresh token works once. Its use creates the next generation in one transaction, and only
// keyed hashes of the current and the previous generation are stored. Tokens are not random but
// derived from a key and a seed. So the previous token can return the very same successor for a
// short grace period: for a program that lost the answer, or that refreshes in several threads. A
// token that comes back later than that, or an even older one, has been copied: Sluice revokes the
// session and notifies the person.
//
// A token session has no idle limit. It expires with its refresh token, and no later than any other
// session.
//
// # API keys
//
// A key (Keys) acts for its owner in one workspace. It loses access whenever its owner does, and
// its scope (package authz) limits it further. It reads "sluice_", 40 random base62 digits and a
// checksum; only its keyed hash and its first 12 characters are stored. All keys are in memory, a
// million of them as cheaply as a thousand, and follow the "api-key" changes.
//
// Limits hold for all nodes together: a node books a portion in the database ahead of use and gives
// back the unused rest (usage.go). Keys cannot create or change keys, so a stolen key cannot
// prolong itself.
//
// # Tickets
//
// Setup links, reset links and hand-over codes are tickets: random, hashed, with a purpose, an
// expiry, and one use.
package authn
