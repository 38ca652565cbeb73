package secret

import (
	"context"

	"sluice/internal/db"
)

// Wrap wraps the keyset of a database with another root key, as a rotation does between its steps.
func Wrap(d *db.DB, present, next string) error {
	ctx := context.Background()
	return d.Gated(ctx, func(tx *db.Tx) error {
		stored, err := db.Meta(ctx, tx, keysetName)
		if err != nil {
			return err
		}
		handle, err := unwrapKeyset(stored, present)
		if err != nil {
			return err
		}
		return rewrap(ctx, tx, handle, stored, next)
	})
}

// SealedColumns are the columns that a rotation knows, as table.column.
func SealedColumns() (names []string) {
	for _, s := range sealedColumns {
		names = append(names, s.column.Table+"."+s.column.Column)
	}
	return names
}
