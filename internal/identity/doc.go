// Package identity keeps people: who they are, which roles they hold in which workspace, whether they may come in, and their password hashes.
//
// # Directory
//
// Every active or inactive account is also held in memory as an authz.Principal, so that a request costs no query. The directory follows the
// "account" changes of package db: a new role counts on the next request, on every node.
//
// # Names
//
// People sign in with their username or their e-mail address. Both are compared by a key: lower case, without surrounding blanks. A username never holds an "@", so the two cannot
// be confused.
//
// # Passwords
//
// Rules are those of NIST SP 800-63B-4 section 3.1.1.2: length and a blocklist, no composition, no expiry. Hashes are bcrypt with PASSWORD_SALT_HASH_ROUNDS; what is longer than bcrypt's 72 bytes
// counts in full through a tagged pre-hash. All hashing is done by one thread of low priority behind a bounded queue (Hasher), so that a storm of sign-ins is not
// felt by anybody who is signed in.
package identity
