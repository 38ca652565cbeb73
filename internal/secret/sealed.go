package secret

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"sluice/internal/db"
	q "sluice/internal/db/q/secret"
)

// sealedColumns are all columns with sealed values, and the word that callers of Seal use for each.
// Every new column must be listed here, or a rotation would leave it behind. A test compares the
// list with the schema.
var sealedColumns = []struct {
	word   string
	column db.SealedColumn
}{
	{"app", db.SealedColumn{Table: "app", Column: "owner_sealed", Row: "id"}},
	{
		"builder_account",
		db.SealedColumn{Table: "builder_account", Column: "secret_sealed", Row: "app_id || '/' || upstream_id"},
	},
	{"mail", db.SealedColumn{Table: "mail", Column: "body_sealed", Row: "id"}},
	{"pending", db.SealedColumn{Table: "pending", Column: "data_sealed", Row: "token_hash"}},
	{"totp", db.SealedColumn{Table: "totp", Column: "secret_sealed", Row: "account_id"}},
	{"recovery_key", db.SealedColumn{Table: "recovery_key", Column: "key_sealed", Row: "account_id"}},
	{"provider", db.SealedColumn{Table: "provider", Column: "secret_sealed", Row: "id"}},
	{"provider_session", db.SealedColumn{Table: "provider_session", Column: "id_token_sealed", Row: "session_id"}},
	{"credential", db.SealedColumn{Table: "credential", Column: "data_sealed", Row: "workspace_id || '/' || id"}},
	{signingTable, db.SealedColumn{Table: "signing_key", Column: "key_sealed", Row: "kid"}},
	{keyTable, db.SealedColumn{Table: "secret_key", Column: "key_sealed", Row: "name || '.' || kid"}},
}

// sealable reports whether a rotation would find values that are sealed for a table.
func sealable(table string) bool {
	return table == "meta" || slices.ContainsFunc(sealedColumns, func(s struct {
		word   string
		column db.SealedColumn
	}) bool {
		return s.word == table
	})
}

// resealBatch is how many values are sealed again in one transaction.
const resealBatch = 100

// resealer seals stored values again: it adds and removes keys of the vault, and moves the values
// to the current one.
type resealer struct {
	db   *db.DB
	seal *sealer
	keys *keyStore
	now  func() time.Time
}

// reseal seals every value with the vault's current key that is sealed with another one. It can be
// killed at any moment: finished values stay finished, and the next run continues. A value that
// cannot be opened is unchanged and counted.
func (r *resealer) reseal(ctx context.Context, progress func(done, total int)) (damaged int, err error) {
	present := prefix(r.seal.vault.Load().primary)
	total, err := r.unsealed(ctx)
	if err != nil {
		return 0, err
	}
	done := 0
	progress(done, total)
	for _, s := range sealedColumns {
		after := ""
		for {
			values, err := r.db.SealedUnlike(ctx, s.column, present, after, resealBatch)
			if err != nil {
				return damaged, err
			}
			if len(values) == 0 {
				break
			}
			bad, err := r.replace(ctx, s.word, s.column, values)
			if err != nil {
				return damaged, fmt.Errorf("encrypting the secrets of %s again: %w", s.column.Table, err)
			}
			damaged += bad
			after = values[len(values)-1].Row
			done += len(values)
			progress(min(done, total), total)
		}
	}
	return damaged, r.replaceOwnKey(ctx, present)
}

func (r *resealer) replace(
	ctx context.Context,
	word string,
	c db.SealedColumn,
	values []db.SealedValue,
) (damaged int, err error) {
	fresh := make([]string, len(values))
	for i, v := range values {
		clear, err := r.seal.openText(v.Text, word, v.Row)
		if err != nil {
			damaged++
			continue
		}
		if fresh[i], err = r.seal.sealText(clear, word, v.Row); err != nil {
			return damaged, err
		}
	}
	return damaged, r.db.System(ctx, "resealing", func(tx *db.Tx) error {
		for i, v := range values {
			if fresh[i] == "" {
				continue
			}
			if err := tx.ReplaceSealed(ctx, c, v, fresh[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// replaceOwnKey does the same for the one sealed value that has no column of its own.
func (r *resealer) replaceOwnKey(ctx context.Context, present string) error {
	text, err := db.Meta(ctx, r.db.Read(), tokenName)
	if err != nil || len(text) >= len(present) && text[:len(present)] == present {
		return err
	}
	sealed, err := r.seal.sealText(r.keys.own, "meta", tokenName)
	if err != nil {
		return err
	}
	return r.db.System(ctx, "resealing", func(tx *db.Tx) error {
		return tx.PutMeta(ctx, tokenName, sealed)
	})
}

// settleAfter is how long a replaced key of the vault is kept after everything was sealed again:
// longer than any node takes to learn of the new one.
const settleAfter = time.Hour

// unsealed counts the values that are not sealed with the vault's current key.
func (r *resealer) unsealed(ctx context.Context) (total int, err error) {
	present := prefix(r.seal.vault.Load().primary)
	for _, s := range sealedColumns {
		n, err := r.db.CountSealedUnlike(ctx, s.column, present)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// addKey creates the key under which everything is sealed from now on.
func (r *resealer) addKey(ctx context.Context, tx *db.Tx) error {
	if err := tx.Ordered(); err != nil {
		return err
	}
	stored, err := db.Meta(ctx, tx, keysetName)
	if err != nil {
		return err
	}
	root := r.seal.currentRoot()
	handle, err := unwrapKeyset(stored, root.text)
	if err != nil {
		return formerRoot(root, err)
	}
	handle, id, err := withNewKey(handle)
	if err != nil {
		return fmt.Errorf("creating a key of the vault: %w", err)
	}
	if err := storeKeyset(ctx, tx, handle, stored, root.text); err != nil {
		return err
	}
	// The keyset of the previous root key would lack the new key.
	if err := tx.DeleteMeta(ctx, formerName); err != nil {
		return err
	}
	return r.keys.put(
		ctx,
		tx,
		q.PutSecretKeyParams{
			Name:      string(VaultKey),
			Kid:       vaultKid(id),
			Source:    inDatabase,
			CreatedAt: r.now().UnixMilli(),
		},
	)
}

func withNewKey(handle *keyset.Handle) (*keyset.Handle, uint32, error) {
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, 0, err
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, 0, err
	}
	handle, err = manager.Handle()
	return handle, id, err
}

// settle seals the remaining values again. It removes previous keys of the vault an hour after they
// were replaced, if no value is sealed with them any more.
func (r *resealer) settle(ctx context.Context, now time.Time) error {
	if len(r.seal.vault.Load().ids) < 2 {
		return nil
	}
	damaged, err := r.reseal(ctx, func(int, int) {})
	if err != nil || damaged > 0 {
		return err
	}
	rows, err := r.keys.current(ctx, q.New(r.db.Read()))
	if err != nil {
		return err
	}
	if now.Sub(time.UnixMilli(rows[VaultKey].CreatedAt)) < settleAfter {
		return nil
	}
	if left, err := r.unsealed(ctx); err != nil || left > 0 {
		return err
	}
	return r.db.System(ctx, "old secrets", func(tx *db.Tx) error { return r.dropKeys(ctx, tx) })
}

func (r *resealer) dropKeys(ctx context.Context, tx *db.Tx) error {
	if err := tx.Ordered(); err != nil {
		return err
	}
	stored, err := db.Meta(ctx, tx, keysetName)
	if err != nil {
		return err
	}
	root := r.seal.currentRoot()
	handle, err := unwrapKeyset(stored, root.text)
	if err != nil {
		return nil // Another node, which has the current root key, does it.
	}
	v, err := newVaultKeys(handle)
	if err != nil || v.primary != r.seal.vault.Load().primary {
		return err
	}
	manager := keyset.NewManagerFromHandle(handle)
	for _, id := range v.ids {
		if id == v.primary {
			continue
		}
		if err := manager.Delete(id); err != nil {
			return fmt.Errorf("removing a previous key of the vault: %w", err)
		}
		if err := q.New(tx).DeleteSecretKey(ctx,
			q.DeleteSecretKeyParams{Name: string(VaultKey), Kid: vaultKid(id)}); err != nil {
			return err
		}
	}
	if handle, err = manager.Handle(); err != nil {
		return err
	}
	if err := storeKeyset(ctx, tx, handle, stored, root.text); err != nil {
		return err
	}
	return tx.Changed(ChangeKind, string(VaultKey))
}
