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
// use, and follows what other nodes and the command line change.
type Keyring struct {
	seal     *sealer
	keys     *keyStore
	resealer *resealer
	signer   *Signer
	log      *slog.Logger

	givenRoot string // the root key's variable as it was given
	weak      []Weak // values that were passed over at the start
	warnings  []string
}

// Config says where the secrets are.
type Config struct {
	// DB holds the wrapped keyset and the keys that Sluice makes.
	DB *db.DB
	// Folder holds the key files; it is made if missing (SECRETKEY_PATH).
	Folder string
	// Given are the values of the variables.
	Given map[Name]Given
	// FormerRoot is the root key before it was changed; "" if it was not
	// (SLUICE_FORMER_SECRET_KEY).
	FormerRoot string
	// KeepRoot passes over a root key among Given that does not open what is there: it is another
	// product's, under the name that both read. Else such a key takes over.
	KeepRoot bool
	// RootTrouble says in a sentence what is wrong with a root key for the product that shares its
	// variable; "" for nothing. Nil: nothing is.
	RootTrouble func(key string) string
	// AWS is nil unless secrets are kept in AWS Secrets Manager (SECRETKEY_STORAGE_TYPE).
	AWS *AWS
	// Lives says of a secret how long what is made with its keys can live: a previous key verifies
	// for so long. 0 means 30 days.
	Lives map[Name]time.Duration
	// SignerOverlap is how long a replaced key of identity assertions stays in the published set; 0
	// means 24 hours.
	SignerOverlap time.Duration
	// Now is the clock; nil means time.Now. Log gets what goes wrong in the background; nil means
	// the default logger.
	Now func() time.Time
	Log *slog.Logger
}

// Open finds the secrets, opens the vault and makes what is missing. Nodes on one database agree on
// all keys; a node whose root key does not open the vault is a Conflict. A source that was asked
// for and cannot be read is an error too: no key is made in its place.
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

// changed reads everything again. What cannot be read stays as it is in memory.
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

// Seal encrypts a value for one row of a table that is in the list of sealed columns.
func (k *Keyring) Seal(plaintext []byte, table, row string) ([]byte, error) {
	return k.seal.seal(plaintext, table, row)
}

// Open decrypts a value of one row. A ciphertext of another row or table does not open.
func (k *Keyring) Open(ciphertext []byte, table, row string) ([]byte, error) {
	return k.seal.open(ciphertext, table, row)
}

// AccessKeys are the keys of access tokens: first the one that signs, then previous ones, by which
// tokens still verify. The slice is shared: do not change it.
func (k *Keyring) AccessKeys() []Key { return k.Keys(AccessToken) }

// RefreshKeys are the keys of refresh tokens, as AccessKeys.
func (k *Keyring) RefreshKeys() []Key { return k.Keys(RefreshToken) }

// SessionKeys are the keys under which session cookies are hashed: new ones under the first, looked
// up by all.
func (k *Keyring) SessionKeys() []Key { return k.Keys(Session) }

// TokenKeys are the keys under which links, codes and API keys are hashed, as SessionKeys.
func (k *Keyring) TokenKeys() []Key { return k.Keys(TokenHash) }

// Keys are the keys of one secret. They change while Sluice runs: ask each time, or follow
// ChangeKind.
func (k *Keyring) Keys(n Name) []Key { return k.keys.of(n) }

// TokenKey is the installation's own key, which never changes: names and device cookies are hashed
// under it.
func (k *Keyring) TokenKey() []byte { return bytes.Clone(k.keys.own) }

// Signer returns the signer of identity assertions.
func (k *Keyring) Signer() *Signer { return k.signer }

// RotateSigner replaces the key of identity assertions on all nodes. The previous one signs no more
// and its private half is destroyed; its public half stays in the set for the overlap.
func (k *Keyring) RotateSigner(ctx context.Context) error { return k.signer.replace(ctx, true) }

// Maintain removes previous keys when everything that they made has expired, and finishes rotations
// of the vault's key. The server runs it regularly.
func (k *Keyring) Maintain(ctx context.Context, now time.Time) error {
	return errors.Join(k.keys.prune(ctx, now), k.resealer.settle(ctx, now))
}
