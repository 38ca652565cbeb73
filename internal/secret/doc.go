// Package secret holds the keys that protect what Sluice stores.
//
//	root key        32 random bytes in a file of SECRETKEY_PATH (mode 0600), made at the first start
//	   └ keyset     Tink AEAD keys, in the database, wrapped by the root key
//	        └ values   sealed with the table and row as associated data: a ciphertext moved to another row does not open
//	        └ token key   the key of HMAC-SHA-256 under which session tokens and links are stored
//	        └ signing keys   RSA keys of identity assertions (Signer), the public halves published as a JSON Web Key Set
//
// The database is worthless without the root key, and a Sluice whose root key does not open the keyset refuses to start.
package secret
