// Package secret holds the keys that protect what Sluice stores, and the vault of credentials.
//
// # Keys
//
//	root key          given, or created and kept as a file (mode 0600) or in AWS Secrets Manager
//	   └ keyset       Tink AEAD keys, in the database, wrapped by the root key
//	      └ values       in the columns named *_sealed, bound to table and row: a ciphertext that
//	                     is moved to another row does not open
//	      └ own key      never changes; hashes names and device cookies, and is mixed into every
//	                     given key below
//	      └ token keys   for each secret the current one and previous ones, which are removed when
//	                     everything that they created has expired
//	      └ signing keys RSA keys of identity assertions, the public halves published as a JSON
//	                     Web Key Set
//
// A Keyring joins four parts: the sealer (root key and keyset, sealing and opening values), the
// keyStore (token keys), the resealer (new keys of the vault, and old values moved to them) and the
// Signer. The Rotator shows and replaces secrets for people.
//
// The database is worthless without the root key, and a Sluice whose root key does not open the
// keyset refuses to start. Nodes on one database share all keys. Each node needs to be given only
// the root key.
//
// # Sources
//
// Sluice looks for a secret in the variables, in AWS Secrets Manager if configured, and in the
// files of SECRETKEY_PATH, in this order. If it finds none, it creates the secret. It ignores and
// reports weak values (Weakness). If a configured source cannot be read, Sluice does not start: a
// key created instead would invalidate everything that the right one has created. Sluice never
// creates a root key beside a keyset that the new key could not open.
//
// # Change
//
// Everything can change while nodes run, and they follow the "secret" changes of package db. A key
// that is replaced, by Rotate or by a changed variable, continues as a previous one. A new root key
// that is given takes over if the one before can be found. The keyset under the old root key is
// kept until the vault's key is replaced, so that nodes that do not have the new root key yet keep
// working. A new key of the vault seals from its first moment on, and existing values follow in
// small steps, each value separately. The only state of this is in the values themselves, so a kill
// at any moment does no harm.
//
// # The vault of credentials
//
// A Vault keeps the credentials of workspaces for the builders' flows. It accepts values but never
// returns them: only the Opener does, which NewVault hands to the code that puts credentials into
// builders. A credential is sealed for its row and its workspace together, so it does not open
// after being moved to another workspace. The roles that it is shared with can see and use it, and
// so can the people who manage the vault. RotatedAt is the version of the values, and no two
// rotations share it.
package secret
