// Package identity stores people: their names, their roles in each workspace, whether they may sign
// in, and their password hashes.
//
// # Directory
//
// Every account, active or not, is also held in memory as an authz.Principal, so a request costs no
// query. The directory follows the "account" changes of package db: a new role takes effect on the
// next request, on every node.
//
// # Names
//
// People sign in with their username or their email address. Both are compared by a key: lower
// case, without surrounding blanks. A username never contains an "@", so the two cannot be
// confused.
//
// # Passwords
//
// The rules are those of NIST SP 800-63B-4 section 3.1.1.2: length and a blocklist, no composition,
// no expiry. Hashes are bcrypt with PASSWORD_SALT_HASH_ROUNDS. A password longer than bcrypt's 72
// bytes is pre-hashed and tagged, so that it counts in full. One low-priority thread does all
// hashing behind a bounded queue (Hasher), so a storm of sign-ins does not slow down people who are
// signed in.
package identity
