package secret

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"sluice/internal/db"
)

const (
	// keysetName is the entry of the table meta that holds the keyset wrapped by the root key.
	// formerName is the entry with the keyset wrapped by the previous root key.
	keysetName = "vault.keyset"
	formerName = "vault.keyset.former"
)

// vaultKeys is the opened keyset.
type vaultKeys struct {
	handle  *keyset.Handle
	aead    tink.AEAD
	primary uint32
	ids     []uint32
}

func newVaultKeys(handle *keyset.Handle) (*vaultKeys, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("using the keyset: %w", err)
	}
	v := &vaultKeys{handle: handle, aead: primitive}
	for i := range handle.Len() {
		e, err := handle.Entry(i)
		if err != nil {
			return nil, fmt.Errorf("using the keyset: %w", err)
		}
		v.ids = append(v.ids, e.KeyID())
		if e.IsPrimary() {
			v.primary = e.KeyID()
		}
	}
	return v, nil
}

func (v *vaultKeys) has(id uint32) bool { return slices.Contains(v.ids, id) }

// prefix is the beginning of the stored text of every value sealed with a key. Tink's prefix is 5
// bytes, of which 6 characters of base64 hold 36 bits.
func prefix(id uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32([]byte{1}, id))[:6]
}

// rootBytes is the key material of a root key's text. A key that Sluice creates is 32 bytes in
// base64; any other text is used literally.
func rootBytes(text string) []byte {
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil && len(raw) == 32 {
		return raw
	}
	return []byte(text)
}

// wrapping derives the key that wraps the keyset, so that the root key itself encrypts nothing.
func wrapping(root string) (tink.AEAD, error) {
	key, err := hkdf.Key(sha256.New, rootBytes(root), nil, "sluice keyset wrapping v1", 32)
	if err != nil {
		return nil, err
	}
	return subtle.NewAESGCM(key)
}

// fingerprint identifies a root key in lists.
func fingerprint(root string) (string, error) {
	print, err := hkdf.Key(sha256.New, rootBytes(root), nil, "sluice root fingerprint v1", 8)
	return fmt.Sprintf("%x", print), err
}

// wrapKeyset returns the stored form of the keyset.
func wrapKeyset(handle *keyset.Handle, root string) (string, error) {
	wrap, err := wrapping(root)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&out), wrap, []byte(keysetName)); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(out.Bytes()), nil
}

func unwrapKeyset(stored, root string) (*keyset.Handle, error) {
	wrap, err := wrapping(root)
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(stored)
	if err != nil {
		return nil, err
	}
	return keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(raw)), wrap, []byte(keysetName))
}

// storeKeyset wraps a keyset with the current root key and writes it, unless another process has
// written one since before was read.
func storeKeyset(ctx context.Context, tx *db.Tx, handle *keyset.Handle, before, root string) error {
	now, err := db.Meta(ctx, tx, keysetName)
	if err != nil {
		return err
	}
	if now != before {
		return errOvertaken
	}
	text, err := wrapKeyset(handle, root)
	if err != nil {
		return err
	}
	return tx.PutMeta(ctx, keysetName, text)
}
