package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	q "sluice/internal/db/q/db"
)

// Meta returns an entry of the table of single values, or "" for an absent one. Each name belongs
// to one package.
func Meta(ctx context.Context, from Source, name string) (string, error) {
	value, err := q.New(from).GetMeta(ctx, name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", name, err)
	}
	return value, nil
}

// PutMeta sets an entry of the table of single values.
func (t *Tx) PutMeta(ctx context.Context, name, value string) error {
	if err := q.New(t).PutMeta(ctx, q.PutMetaParams{Name: name, Value: value}); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// PutMetaIfAbsent sets an entry of the table of single values unless it has a value.
func (t *Tx) PutMetaIfAbsent(ctx context.Context, name, value string) error {
	if err := q.New(t).PutMetaIfAbsent(ctx, q.PutMetaIfAbsentParams{Name: name, Value: value}); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// DeleteMeta removes an entry of the table of single values.
func (t *Tx) DeleteMeta(ctx context.Context, name string) error {
	if err := q.New(t).DeleteMeta(ctx, name); err != nil {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return nil
}
