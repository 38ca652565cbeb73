package secret

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"time"

	"sluice/internal/db"
)

// ChangeKind is the kind of changes of keys; the item is the secret's name.
const ChangeKind = "secret"

// Keyring seals and opens stored secrets and holds the keys of tokens. It is safe for concurrent
// use, and follows the changes of other nodes and of the command line.
type Keyring struct {
	seal     *sealer
	keys     *keyStore
	resealer *resealer
	signer   *Signer
	log      *slog.Logger

	givenRoot string // the root key's variable as it was given
	weak      []Weak // values that were ignored at the start
	warnings  []string
}

// Config configures the sources of secrets.
type Config struct {
	// DB holds the wrapped keyset and the keys that Sluice creates.
	DB *db.DB
	// Folder holds the key files. It is created if missing (SECRETKEY_PATH).
	Folder string
	// Given are the values of the variables.
	Given map[Name]Given
	// FormerRoot is the root key before its last change; "" if it did not change
	// (SLUICE_FORMER_SECRET_KEY).
	FormerRoot string
	// KeepRoot ignores a root key in Given that does not open the existing keyset. Such a key
	// belongs to another product that reads a variable of the same name. Without KeepRoot it takes
	// over.
	KeepRoot bool
	// RootTrouble returns a sentence about why a root key does not suit the product that shares its
	// variable; "" if it does. Nil skips this check.
	RootTrouble func(key string) string
	// AWS is nil unless secrets are stored in AWS Secrets Manager (SECRETKEY_STORAGE_TYPE).
	AWS *AWS
	// Lives maps a secret to the maximum lifetime of everything created with its keys. A previous
	// key still verifies for that time. 0 means 30 days.
	Lives map[Name]time.Duration
	// SignerOverlap is how long a replaced key of identity assertions stays in the published set; 0
	// means 24 hours.
	SignerOverlap time.Duration
	// Now is the clock; nil means time.Now. Log gets failures of background work; nil means the
	// default logger.
	Now func() time.Time
	Log *slog.Logger
}

// Open finds the secrets, opens the vault and creates what is missing. Nodes on one database agree
// on all keys; a node whose root key does not open the vault is a Conflict. A configured source
// that cannot be read is an error too: no key is created instead.
func Open(ctx context.Context, c Config) (*Keyring, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.KeepRoot {
		if err := c.passOverForeignRoot(ctx); err != nil {
			return nil, err
		}
	}
	place := newPlaces(c)
	seal := &sealer{db: c.DB, log: c.Log, folder: place.files}
	weakRoots, err := seal.openVault(ctx, place)
	if err != nil {
		return nil, err
	}
	keys := &keyStore{db: c.DB, seal: seal, lives: c.Lives, now: c.Now, log: c.Log}
	if err := keys.noteRoot(ctx, seal.root, seal.former); err != nil {
		return nil, err
	}
	weakKeys, err := keys.open(ctx, place)
	if err != nil {
		return nil, err
	}
	k := &Keyring{
		seal:     seal,
		keys:     keys,
		resealer: &resealer{db: c.DB, seal: seal, keys: keys, now: c.Now},
		signer:   newSigner(c, seal),
		log:      c.Log,
		weak:     append(weakRoots, weakKeys...),
	}
	k.judge(c.Given[Root], c.RootTrouble)
	c.DB.Subscribe(ChangeKind, k.changed)
	return k, nil
}

// changed reads everything again. Anything unreadable stays unchanged in memory.
func (k *Keyring) changed(string) {
	ctx, cancel := context.WithTimeout(context.Background(), signerPatience)
	defer cancel()
	if err := k.seal.read(ctx); err != nil {
		k.log.Error("the vault's keys could not be read again", "error", err)
	}
	if err := k.keys.read(ctx); err != nil {
		k.log.Error("the keys of tokens could not be read again", "error", err)
	}
}

// Seal encrypts a value for one row of a table in the list of sealed columns.
func (k *Keyring) Seal(plaintext []byte, table, row string) ([]byte, error) {
	return k.seal.seal(plaintext, table, row)
}

// Open decrypts a value of one row. A ciphertext of another row or table does not open.
func (k *Keyring) Open(ciphertext []byte, table, row string) ([]byte, error) {
	return k.seal.open(ciphertext, table, row)
}

// AccessKeys are the keys of access tokens: first the one that signs, then previous ones, which
// still verify tokens. The slice is shared: do not change it.
func (k *Keyring) AccessKeys() []Key { return k.Keys(AccessToken) }

// RefreshKeys are the keys of refresh tokens, like AccessKeys.
func (k *Keyring) RefreshKeys() []Key { return k.Keys(RefreshToken) }

// SessionKeys are the keys under which session cookies are hashed: new cookies under the first,
// look-ups under all.
func (k *Keyring) SessionKeys() []Key { return k.Keys(Session) }

// TokenKeys are the keys under which links, codes and API keys are hashed, like SessionKeys.
func (k *Keyring) TokenKeys() []Key { return k.Keys(TokenHash) }

// Keys are the keys of one secret. They change while Sluice runs: call Keys each time, or follow
// ChangeKind.
func (k *Keyring) Keys(n Name) []Key { return k.keys.of(n) }

// TokenKey is the installation's own key, which never changes. It hashes names and device cookies.
func (k *Keyring) TokenKey() []byte { return bytes.Clone(k.keys.own) }

// Signer returns the signer of identity assertions.
func (k *Keyring) Signer() *Signer { return k.signer }

// RotateSigner replaces the key of identity assertions on all nodes. The previous key no longer
// signs, and its private half is destroyed. Its public half stays in the set for the overlap.
func (k *Keyring) RotateSigner(ctx context.Context) error { return k.signer.replace(ctx, true) }

// Maintain removes previous keys when everything that they created has expired, and finishes
// rotations of the vault's key. The server runs it regularly.
func (k *Keyring) Maintain(ctx context.Context, now time.Time) error {
	return errors.Join(k.keys.prune(ctx, now), k.resealer.settle(ctx, now))
}
