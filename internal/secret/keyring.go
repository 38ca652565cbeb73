package secret

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"sluice/internal/db"
	"sluice/internal/db/q"
	"sluice/internal/problem"
)

// Keyring seals and opens stored secrets. It is safe for concurrent use.
type Keyring struct {
	db       *db.DB
	now      func() time.Time
	log      *slog.Logger
	overlap  time.Duration
	vault    tink.AEAD
	tokenKey []byte
	signer   *Signer
}

const (
	keysetName = "vault.keyset"
	tokenName  = "token.key"
)

// Config says where the root key and the wrapped keyset are.
type Config struct {
	// DB holds the wrapped keyset.
	DB *db.DB
	// Folder holds the root key file; it is made if missing (SECRETKEY_PATH).
	Folder string
	// SignerOverlap is how long a replaced key of identity assertions stays in the published set; 0 means 24 hours.
	SignerOverlap time.Duration
	// Now is the clock; nil means time.Now. Log gets what goes wrong in the background; nil means the default logger.
	Now func() time.Time
	Log *slog.Logger
}

// Open reads the root key and unwraps the keyset; on the first start it makes both. Nodes that start together on one database agree on one keyset.
func Open(ctx context.Context, c Config) (*Keyring, error) {
	root, path, err := loadRoot(c.Folder)
	if err != nil {
		return nil, err
	}
	wrap, err := wrapping(root)
	if err != nil {
		return nil, err
	}
	stored, err := stored(ctx, c.DB, keysetName, func() ([]byte, error) { return newKeyset(wrap) })
	if err != nil {
		return nil, fmt.Errorf("reading the keyset: %w", err)
	}
	handle, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(stored)), wrap, []byte(keysetName))
	if err != nil {
		return nil, problem.Newf(problem.Conflict, "The root key in %s does not open the secrets in this database.", path).
			WithNext("Put back the root key that this database was made with, or start with an empty database.").WithCause(err)
	}
	vault, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("using the keyset: %w", err)
	}
	k := &Keyring{db: c.DB, vault: vault, now: c.Now, log: c.Log, overlap: cmp.Or(c.SignerOverlap, defaultOverlap)}
	if k.now == nil {
		k.now = time.Now
	}
	if k.log == nil {
		k.log = slog.Default()
	}
	if err := k.openTokenKey(ctx, c.DB); err != nil {
		return nil, fmt.Errorf("reading the token key: %w", err)
	}
	k.signer = newSigner(k)
	return k, nil
}

// wrapping derives the key that wraps the keyset, so that the root key itself encrypts nothing.
func wrapping(root []byte) (tink.AEAD, error) {
	key, err := hkdf.Key(sha256.New, root, nil, "sluice keyset wrapping v1", 32)
	if err != nil {
		return nil, err
	}
	return subtle.NewAESGCM(key)
}

func newKeyset(wrap tink.AEAD) ([]byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&out), wrap, []byte(keysetName)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (k *Keyring) openTokenKey(ctx context.Context, d *db.DB) error {
	sealed, err := stored(ctx, d, tokenName, func() ([]byte, error) {
		key := make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return nil, err
		}
		return k.Seal(key, "meta", tokenName)
	})
	if err != nil {
		return err
	}
	k.tokenKey, err = k.Open(sealed, "meta", tokenName)
	return err
}

// stored reads a value of the meta table; a missing one is made, and where two nodes make it together the first to commit wins for both.
func stored(ctx context.Context, d *db.DB, name string, make func() ([]byte, error)) ([]byte, error) {
	text, err := d.Read().GetMeta(ctx, name)
	if errors.Is(err, sql.ErrNoRows) {
		var fresh []byte
		if fresh, err = make(); err != nil {
			return nil, err
		}
		err = d.Tx(ctx, func(tx *db.Tx) error {
			if err := tx.PutMetaIfAbsent(ctx, q.PutMetaIfAbsentParams{Name: name, Value: base64.StdEncoding.EncodeToString(fresh)}); err != nil {
				return err
			}
			text, err = tx.GetMeta(ctx, name)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(text)
}

// Seal encrypts a value for one row of one table.
func (k *Keyring) Seal(plaintext []byte, table, row string) ([]byte, error) {
	return k.vault.Encrypt(plaintext, place(table, row))
}

// Open decrypts a value of one row. A ciphertext of another row or table does not open.
func (k *Keyring) Open(ciphertext []byte, table, row string) ([]byte, error) {
	plaintext, err := k.vault.Decrypt(ciphertext, place(table, row))
	if err != nil {
		return nil, fmt.Errorf("opening a secret of %s: %w", table, err)
	}
	return plaintext, nil
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

// TokenKey is the key under which tokens are hashed before they are stored.
func (k *Keyring) TokenKey() []byte { return bytes.Clone(k.tokenKey) }

// place is the associated data of a row; the NUL cannot stand in a table's name.
func place(table, row string) []byte { return []byte("sluice\x00" + table + "\x00" + row) }
