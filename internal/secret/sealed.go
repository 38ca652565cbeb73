package secret

import (
	"context"
	"fmt"
	"slices"

	"sluice/internal/db"
)

// sealedColumns are all columns with sealed values, and the word that Seal is called with for each. A new column belongs here, or a rotation would leave it behind; a test compares the list with the schema.
var sealedColumns = []struct {
	word   string
	column db.SealedColumn
}{
	{"app", db.SealedColumn{Table: "app", Column: "owner_sealed", Row: "id"}},
	{"builder_account", db.SealedColumn{Table: "builder_account", Column: "secret_sealed", Row: "app_id || '/' || upstream_id"}},
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

// resealBatch is how many values are sealed anew in one transaction.
const resealBatch = 100

// reseal seals everything with the vault's present key that is sealed with another one. It may be killed at any moment: what is done is done, and the next run goes on. A value that cannot be opened is
// left as it is and counted.
func (k *Keyring) reseal(ctx context.Context, progress func(done, total int)) (damaged int, err error) {
	present := prefix(k.vault.Load().primary)
	total := 0
	for _, s := range sealedColumns {
		n, err := k.db.CountSealedUnlike(ctx, s.column, present)
		if err != nil {
			return 0, err
		}
		total += n
	}
	done := 0
	progress(done, total)
	for _, s := range sealedColumns {
		after := ""
		for {
			values, err := k.db.SealedUnlike(ctx, s.column, present, after, resealBatch)
			if err != nil {
				return damaged, err
			}
			if len(values) == 0 {
				break
			}
			bad, err := k.resealValues(ctx, s.word, s.column, values)
			if err != nil {
				return damaged, fmt.Errorf("sealing the secrets of %s anew: %w", s.column.Table, err)
			}
			damaged += bad
			after = values[len(values)-1].Row
			done += len(values)
			progress(min(done, total), total)
		}
	}
	return damaged, k.resealOwnKey(ctx, present)
}

func (k *Keyring) resealValues(ctx context.Context, word string, c db.SealedColumn, values []db.SealedValue) (damaged int, err error) {
	fresh := make([]string, len(values))
	for i, v := range values {
		clear, err := k.openText(v.Text, word, v.Row)
		if err != nil {
			damaged++
			continue
		}
		if fresh[i], err = k.sealText(clear, word, v.Row); err != nil {
			return damaged, err
		}
	}
	return damaged, k.db.System(ctx, "resealing", func(tx *db.Tx) error {
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

// resealOwnKey does the same for the one sealed value that is in no column of its own.
func (k *Keyring) resealOwnKey(ctx context.Context, present string) error {
	text, err := db.Meta(ctx, k.db.Read(), tokenName)
	if err != nil || len(text) >= len(present) && text[:len(present)] == present {
		return err
	}
	sealed, err := k.sealText(k.tokenKey, "meta", tokenName)
	if err != nil {
		return err
	}
	return k.db.System(ctx, "resealing", func(tx *db.Tx) error {
		return tx.PutMeta(ctx, tokenName, sealed)
	})
}
