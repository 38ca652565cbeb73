package db

import (
	"context"
	"fmt"
)

// SealedColumn is a text column whose values are encrypted. Row is the SQL expression of the key that a value is bound to. The three are constants of the program, never input.
type SealedColumn struct{ Table, Column, Row string }

// SealedValue is one encrypted value and the row that it belongs to.
type SealedValue struct{ Row, Text string }

// SealedUnlike returns values that do not begin with a prefix, in the order of their rows, beginning after a row ("" for the first).
func (d *DB) SealedUnlike(ctx context.Context, c SealedColumn, prefix, after string, limit int) ([]SealedValue, error) {
	rows, err := d.reader.QueryContext(ctx, fmt.Sprintf(
		"SELECT %[3]s, %[2]s FROM %[1]s WHERE %[2]s <> '' AND substr(%[2]s, 1, %[4]d) <> $1 AND %[3]s > $2 ORDER BY %[3]s LIMIT %[5]d", c.Table, c.Column, c.Row, len(prefix), limit), prefix, after)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", c.Table, err)
	}
	defer rows.Close()
	var out []SealedValue
	for rows.Next() {
		var v SealedValue
		if err := rows.Scan(&v.Row, &v.Text); err != nil {
			return nil, fmt.Errorf("reading %s: %w", c.Table, err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// CountSealedUnlike counts the values that do not begin with a prefix.
func (d *DB) CountSealedUnlike(ctx context.Context, c SealedColumn, prefix string) (n int, err error) {
	err = d.reader.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM %[1]s WHERE %[2]s <> '' AND substr(%[2]s, 1, %[3]d) <> $1", c.Table, c.Column, len(prefix)), prefix).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("counting in %s: %w", c.Table, err)
	}
	return n, nil
}

// ReplaceSealed writes the new text of a value unless somebody else has changed it meanwhile.
func (t *Tx) ReplaceSealed(ctx context.Context, c SealedColumn, old SealedValue, text string) error {
	_, err := t.tx.ExecContext(ctx, fmt.Sprintf("UPDATE %[1]s SET %[2]s = $1 WHERE %[3]s = $2 AND %[2]s = $3", c.Table, c.Column, c.Row), text, old.Row, old.Text)
	if err != nil {
		return fmt.Errorf("writing %s: %w", c.Table, err)
	}
	return nil
}
