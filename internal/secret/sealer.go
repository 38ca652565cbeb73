package secret

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/keyset"

	"sluice/internal/db"
)

// sealer encrypts and decrypts stored values under the keyset that the root key opens.
type sealer struct {
	db     *db.DB
	log    *slog.Logger
	folder files

	vault atomic.Pointer[vaultKeys]

	mu     sync.Mutex // protects root, and is held while the keyset is read again
	root   found      // the root key in use
	former bool       // root is a previous one that was found when this node started
}

// seal encrypts a value for one row of a table in the list of sealed columns.
func (s *sealer) seal(plaintext []byte, table, row string) ([]byte, error) {
	if !sealable(table) {
		return nil, fmt.Errorf("sealing a secret of %s: the table is not in the list of sealed columns", table)
	}
	return s.vault.Load().aead.Encrypt(plaintext, place(table, row))
}

// open decrypts a value of one row. A ciphertext of another row or table does not open.
func (s *sealer) open(ciphertext []byte, table, row string) ([]byte, error) {
	plaintext, err := s.vault.Load().aead.Decrypt(ciphertext, place(table, row))
	if err != nil && s.learn(ciphertext) {
		plaintext, err = s.vault.Load().aead.Decrypt(ciphertext, place(table, row))
	}
	if err != nil {
		return nil, fmt.Errorf("opening a secret of %s: %w", table, err)
	}
	return plaintext, nil
}

// learn reads the vault's keys again if a value was sealed with an unknown key: another process may
// have created it a moment ago.
func (s *sealer) learn(ciphertext []byte) bool {
	if len(ciphertext) < 5 || s.vault.Load().has(binary.BigEndian.Uint32(ciphertext[1:5])) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), signerPatience)
	defer cancel()
	return s.read(ctx) == nil
}

// sealText is seal for a text column.
func (s *sealer) sealText(plaintext []byte, table, row string) (string, error) {
	sealed, err := s.seal(plaintext, table, row)
	return base64.StdEncoding.EncodeToString(sealed), err
}

// openText is open for a text column.
func (s *sealer) openText(text, table, row string) ([]byte, error) {
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("opening a secret of %s: %w", table, err)
	}
	return s.open(sealed, table, row)
}

// place is the associated data of a row. A table's name cannot contain the NUL.
func place(table, row string) []byte { return []byte("sluice\x00" + table + "\x00" + row) }

// read reads the keyset again. If it was wrapped with another root key meanwhile, read looks for
// that key where ours came from. A node that cannot find it continues with the keyset that is kept
// for the previous one.
func (s *sealer) read(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	current, err := db.Meta(ctx, s.db.Read(), keysetName)
	if err != nil {
		return err
	}
	handle, err := unwrapKeyset(current, s.root.text)
	if err != nil {
		if handle, err = s.followRoot(ctx, current); err != nil {
			return err
		}
	}
	v, err := newVaultKeys(handle)
	if err == nil {
		s.vault.Store(v)
	}
	return err
}

// followRoot opens a keyset that our root key no longer opens. The caller holds mu.
func (s *sealer) followRoot(ctx context.Context, current string) (*keyset.Handle, error) {
	for _, n := range []Name{Root, nextRoot} {
		text, _, err := s.folder.Get(ctx, n)
		if err != nil || text == "" {
			continue
		}
		if handle, err := unwrapKeyset(current, text); err == nil {
			s.root = found{text: text, where: "file " + Root.pathOf(s.folder.folder)}
			return handle, nil
		}
	}
	former, err := db.Meta(ctx, s.db.Read(), formerName)
	if err != nil {
		return nil, err
	}
	handle, err := unwrapKeyset(former, s.root.text)
	if err != nil {
		return nil, fmt.Errorf("the root key was replaced; restart this node with the current one: %w", err)
	}
	return handle, nil
}

// currentRoot is the root key in use.
func (s *sealer) currentRoot() found {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.root
}
