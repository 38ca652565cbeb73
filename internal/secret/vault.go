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
	// keysetName is the entry of the table meta that holds the keyset wrapped by the root key, formerName the one wrapped by the root key before.
	keysetName = "vault.keyset"
	formerName = "vault.keyset.former"
)

// vault is the opened keyset.
type vault struct {
	handle  *keyset.Handle
	aead    tink.AEAD
	primary uint32
	ids     []uint32
}

func newVault(handle *keyset.Handle) (*vault, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("using the keyset: %w", err)
	}
	v := &vault{handle: handle, aead: primitive}
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

func (v *vault) has(id uint32) bool { return slices.Contains(v.ids, id) }

// prefix is how the stored text of every value begins that is sealed with a key. Tink's prefix is 5 bytes, of which 6 characters of base64 hold 36 bits.
func prefix(id uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32([]byte{1}, id))[:6]
}

// rootBytes is the key material of a root key's text: what Sluice makes is 32 bytes in base64, anything else is taken as it stands.
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

// fingerprint tells root keys apart in lists.
func fingerprint(root string) (string, error) {
	print, err := hkdf.Key(sha256.New, rootBytes(root), nil, "sluice root fingerprint v1", 8)
	return fmt.Sprintf("%x", print), err
}

// wrapKeyset returns the keyset as it is stored.
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

// readVault reads the keyset again. If it was wrapped with another root key meanwhile, that is looked for where ours came from; a node that cannot have it goes on with what is kept for the former one.
func (k *Keyring) readVault(ctx context.Context) error {
	k.reload.Lock()
	defer k.reload.Unlock()
	current, err := db.Meta(ctx, k.db.Read(), keysetName)
	if err != nil {
		return err
	}
	handle, err := unwrapKeyset(current, k.root.text)
	if err != nil {
		if handle, err = k.followRoot(ctx, current); err != nil {
			return err
		}
	}
	v, err := newVault(handle)
	if err == nil {
		k.vault.Store(v)
	}
	return err
}

// followRoot opens a keyset that our root key does not open any more. The caller holds reload.
func (k *Keyring) followRoot(ctx context.Context, current string) (*keyset.Handle, error) {
	for _, n := range []Name{Root, nextRoot} {
		text, _, err := k.folder.Get(ctx, n)
		if err != nil || text == "" {
			continue
		}
		if handle, err := unwrapKeyset(current, text); err == nil {
			k.root = found{text: text, where: "file " + Root.pathOf(k.folder.folder)}
			return handle, nil
		}
	}
	former, err := db.Meta(ctx, k.db.Read(), formerName)
	if err != nil {
		return nil, err
	}
	handle, err := unwrapKeyset(former, k.root.text)
	if err != nil {
		return nil, fmt.Errorf("the root key was replaced; start this node again with the present one: %w", err)
	}
	return handle, nil
}

// storeKeyset wraps a keyset with the root key in use and writes it, if nobody has written another one since before was read.
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
