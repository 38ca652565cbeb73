// Package secret holds the keys that protect what Sluice stores, and the vault of credentials.
//
// # Keys
//
//	root key          given, or created and kept as a file (mode 0600) or in AWS Secrets Manager
//	   └ keyset       Tink AEAD keys, in the database, wrapped by the root key
//	      └ values       in the columns named *_sealed, bound to table and row: a ciphertext that
//	                     is moved to another row does not open
//	      └ own key      never changes; hashes names and device cookies, and is mixed into every
//	                     key below that was given
//	      └ token keys   of each secret the current one and previous ones, which go when
//	                     everything that they made has expired
//	      └ signing keys RSA keys of identity assertions, the public halves published as a JSON
//	                     Web Key Set
//
// A Keyring joins four parts: the sealer (root key and keyset, sealing and opening values), the
// keyStore (token keys), the resealer (new keys of the vault, and old values moved to them) and the
// Signer. The Rotator shows and replaces secrets for people.
//
// The database is worthless without the root key, and a Sluice whose root key does not open the
// keyset refuses to start. Nodes on one database share all keys; what they must be given is the
// root key alone.
//
// # Sources
//
// A secret is looked for in the variables, in AWS Secrets Manager if that is asked for, in the
// files of SECRETKEY_PATH, in this order; otherwise Sluice creates it. Weak values (Weakness) are
// passed over and reported. A source that was asked for and cannot be read stops the start: a key
// made in its place would end everything that the right one had made. No root key is made beside a
// keyset that it cannot open.
//
// # Change
//
// Everything changes while nodes run, and they follow by the "secret" changes of package db. A key
// that is replaced, by Rotate or by a changed variable, goes on as a previous one. Another root key
// that is given takes over if the one before can be found; what that opens is kept until the
// vault's key is replaced, so that nodes which are not told yet go on. A new key of the vault seals
// from its first moment on, and what is there follows in small steps, each value by itself: state
// is nowhere but in the values, so that a kill at any moment costs nothing.
//
// # The vault of credentials
//
// A Vault keeps the credentials of workspaces for the builders' flows. It takes values and returns
// none: only the Opener does, which NewVault hands to whoever puts credentials into builders. A
// credential is sealed for its row and its workspace together, so one that is moved to another
// workspace does not open there. It is seen and used by the roles that it is shared with, and by
// those who manage the vault. RotatedAt is the version of the values, and no two rotations share
// it.
package secret
