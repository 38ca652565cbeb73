package db

import (
	"context"
	"database/sql"
	"fmt"

	q "sluice/internal/db/q/db"
)

// Tx is a running transaction. It has no queries of its own: a package creates its generated
// queries on it with q.New(tx). It remembers whether subscribers must be called after the commit.
type Tx struct {
	tx      *sql.Tx
	d       *DB
	ctx     context.Context
	ordered bool
	changed bool
}

// orderLock serializes the numbering of changes and audit entries on PostgreSQL, so that a higher
// number is never visible before a lower one. SQLite has one writer and needs no lock.
const orderLock = 0x5157_1ce1

// Ordered takes the numbering lock for the rest of the transaction.
func (t *Tx) Ordered() error {
	if t.ordered || !t.d.postgres {
		return nil
	}
	if _, err := t.tx.ExecContext(t.ctx, "SELECT pg_advisory_xact_lock($1)", orderLock); err != nil {
		return fmt.Errorf("taking the numbering lock: %w", err)
	}
	t.ordered = true
	return nil
}

// Changed announces to every node, after the commit, that an item of a kind has changed ("account",
// "session", …).
func (t *Tx) Changed(kind, item string) error {
	if err := t.Ordered(); err != nil {
		return err
	}
	t.changed = true
	if err := q.New(t).AppendChange(t.ctx, q.AppendChangeParams{
		Kind: kind,
		Item: item,
		At:   t.d.now().UnixMilli(),
	}); err != nil {
		return fmt.Errorf("recording a change of %s: %w", kind, err)
	}
	if t.d.postgres {
		if _, err := t.tx.ExecContext(t.ctx, "SELECT pg_notify($1, '')", notifyChannel); err != nil {
			return fmt.Errorf("announcing a change of %s: %w", kind, err)
		}
	}
	return nil
}

// ExecContext runs a generated statement in the transaction.
func (t *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.tx.ExecContext(ctx, query, args...)
}

// PrepareContext prepares a generated statement in the transaction.
func (t *Tx) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	return t.tx.PrepareContext(ctx, query)
}

// QueryContext runs a generated query in the transaction.
func (t *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, query, args...)
}

// QueryRowContext runs a generated query for one row in the transaction.
func (t *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(ctx, query, args...)
}

// ReplaceSealed writes the new text of a value unless another process has changed it meanwhile.
func (t *Tx) ReplaceSealed(ctx context.Context, c SealedColumn, old SealedValue, text string) error {
	_, err := t.tx.ExecContext(ctx, fmt.Sprintf("UPDATE %[1]s SET %[2]s = $1 WHERE %[3]s = $2 AND "+
		"%[2]s = $3", c.Table, c.Column, c.Row), text, old.Row, old.Text)
	if err != nil {
		return fmt.Errorf("writing %s: %w", c.Table, err)
	}
	return nil
}
