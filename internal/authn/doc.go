// Package authn turns a request into a Principal, in one place (Credentials): by session cookie, access token or API key.
//
// # Sessions
//
// A session is a row with a person, an absolute end and a last-seen time; a cookie is a random 256-bit token of which only the HMAC-SHA-256 is stored. One session may have
// several cookies, one for each origin (audience): Sluice's own origin is AudienceMain, an app with a host name of its own has its id. A browser that signed in once
// gets the next origin's cookie through a single-use code (NewEnterCode, RedeemEnterCode).
//
// All live sessions are also held in memory, in tables without pointers, so that a request costs one hash and one look-up and no query. They follow the "session" and "account"
// changes of package db: a revocation holds at once on this node and within 100 ms on others. Whoever serves a stream watches Done.
//
// # Access and refresh tokens
//
// A program that signs in (login.Logins.SignInProgram) gets a session too, with tokens instead of a cookie:
//
//	access token    JWT, HS256 only, with key id, audience and session id; good for JWT_TOKEN_EXPIRY_IN_MINUTES
//	refresh token   "sluicert_" and base64url of: form, session, generation, HMAC-SHA-256 (session, generation, seed of the family)
//
// An access token is verified once and then known by its SHA-256, in a bounded table without pointers. Its session is looked up in memory each time, so that whatever ends a session ends the token.
//
// A refresh token counts once. Its use makes the next generation in one transaction, and only keyed hashes of the current and the former generation are stored. Because tokens are derived from a key and a
// seed, and not random, the former one can return the very same successor for a short grace: for a program whose answer was lost, or that refreshes in several threads. Whoever comes later with a
// token that was used, or with an older one, has a copy: the session ends, the person is told.
//
// A token's session has no idle limit. It ends when its refresh token does, and no later than any other session.
//
// # API keys
//
// A key (Keys) acts for its owner in one workspace: whatever the owner loses, the key loses, and its scope (package authz) bounds it further. It reads "sluice_", 40 random base62 digits and a checksum;
// only its keyed hash and its first 12 characters are stored. All keys are in memory, a million like a thousand, and follow the "api-key" changes.
//
// Limits hold for all nodes together: a node books a portion in the database ahead of use and gives back what it did not use (usage.go). Keys make and change no keys, so that whoever finds one cannot
// make it last.
//
// # Tickets
//
// Set-up links, reset links and hand-over codes are tickets: random, hashed, with a purpose, an end, and one use.
package authn
