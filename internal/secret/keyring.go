package secret

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/db"
)

// ChangeKind is the kind of changes of keys; the item is the secret's name.
const ChangeKind = "secret"

// Keyring seals and opens stored secrets and holds the keys of tokens. It is safe for concurrent use, and follows what other nodes and the command line change.
type Keyring struct {
	db      *db.DB
	now     func() time.Time
	log     *slog.Logger
	overlap time.Duration
	lives   map[Name]time.Duration
	folder  files

	root     found // the root key in use
	former   bool  // it is a former one
	tokenKey []byte
	signer   *Signer
	langflow string
	weak     []Weak
	warnings []string

	vault  atomic.Pointer[vault]
	keys   atomic.Pointer[keySet]
	reload sync.Mutex
}

// Config says where the secrets are.
type Config struct {
	// DB holds the wrapped keyset and the keys that Sluice makes.
	DB *db.DB
	// Folder holds the key files; it is made if missing (SECRETKEY_PATH).
	Folder string
	// Given are the values of the variables.
	Given map[Name]Given
	// FormerRoot is the root key before it was changed; "" if it was not (SLUICE_FORMER_SECRET_KEY).
	FormerRoot string
	// KeepRoot passes over a root key among Given that does not open what is there: it is another product's, under the name that both read. Else such a key takes over.
	KeepRoot bool
	// AWS is nil unless secrets are kept in AWS Secrets Manager (SECRETKEY_STORAGE_TYPE).
	AWS *AWS
	// Lives says of a secret how long what is made with its keys can live: a former key verifies for so long. 0 means 30 days.
	Lives map[Name]time.Duration
	// SignerOverlap is how long a replaced key of identity assertions stays in the published set; 0 means 24 hours.
	SignerOverlap time.Duration
	// Now is the clock; nil means time.Now. Log gets what goes wrong in the background; nil means the default logger.
	Now func() time.Time
	Log *slog.Logger
}

// Open finds the secrets, opens the vault and makes what is missing. Nodes on one database agree on all keys; a node whose root key does not open the vault is a Conflict. A source that was asked for and
// cannot be read is an error too: no key is made in its place.
func Open(ctx context.Context, c Config) (*Keyring, error) {
	k := &Keyring{db: c.DB, now: c.Now, log: c.Log, overlap: cmp.Or(c.SignerOverlap, defaultOverlap), lives: c.Lives, folder: files{c.Folder}}
	if k.now == nil {
		k.now = time.Now
	}
	if k.log == nil {
		k.log = slog.Default()
	}
	if c.KeepRoot {
		if err := c.passOverForeignRoot(ctx); err != nil {
			return nil, err
		}
	}
	place := newPlaces(c)
	if err := k.openVault(ctx, place); err != nil {
		return nil, err
	}
	if err := k.openKeys(ctx, place); err != nil {
		return nil, err
	}
	k.judge(c.Given[Root])
	k.signer = newSigner(k)
	c.DB.Subscribe(ChangeKind, k.changed)
	return k, nil
}

// changed reads everything again. What cannot be read stays as it is in memory.
func (k *Keyring) changed(string) {
	ctx, cancel := context.WithTimeout(context.Background(), signerPatience)
	defer cancel()
	if err := k.readVault(ctx); err != nil {
		k.log.Error("the vault's keys could not be read again", "error", err)
	}
	if err := k.readKeys(ctx); err != nil {
		k.log.Error("the keys of tokens could not be read again", "error", err)
	}
}

// Seal encrypts a value for one row of a table that stands in the list of sealed columns.
func (k *Keyring) Seal(plaintext []byte, table, row string) ([]byte, error) {
	if !sealable(table) {
		return nil, fmt.Errorf("sealing a secret of %s: the table is not in the list of sealed columns", table)
	}
	return k.vault.Load().aead.Encrypt(plaintext, place(table, row))
}

// Open decrypts a value of one row. A ciphertext of another row or table does not open.
func (k *Keyring) Open(ciphertext []byte, table, row string) ([]byte, error) {
	plaintext, err := k.vault.Load().aead.Decrypt(ciphertext, place(table, row))
	if err != nil && k.learn(ciphertext) {
		plaintext, err = k.vault.Load().aead.Decrypt(ciphertext, place(table, row))
	}
	if err != nil {
		return nil, fmt.Errorf("opening a secret of %s: %w", table, err)
	}
	return plaintext, nil
}

// learn reads the vault's keys again if a value was sealed with a key that is not known: another process may have made it a moment ago.
func (k *Keyring) learn(ciphertext []byte) bool {
	if len(ciphertext) < 5 || k.vault.Load().has(binary.BigEndian.Uint32(ciphertext[1:5])) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), signerPatience)
	defer cancel()
	return k.readVault(ctx) == nil
}

// sealText is Seal for a text column.
func (k *Keyring) sealText(plaintext []byte, table, row string) (string, error) {
	sealed, err := k.Seal(plaintext, table, row)
	return base64.StdEncoding.EncodeToString(sealed), err
}

// openText is Open for a text column.
func (k *Keyring) openText(text, table, row string) ([]byte, error) {
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("opening a secret of %s: %w", table, err)
	}
	return k.Open(sealed, table, row)
}

// place is the associated data of a row; the NUL cannot stand in a table's name.
func place(table, row string) []byte { return []byte("sluice\x00" + table + "\x00" + row) }
