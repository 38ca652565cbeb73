// Package authn turns a request into a Principal. Today by session cookie; tokens and API keys join at the same place.
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
// # Tickets
//
// Set-up links, reset links and hand-over codes are tickets: random, hashed, with a purpose, an end, and one use.
package authn
