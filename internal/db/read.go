package db

import (
	"context"
	"database/sql"
	"errors"
)

// Source is where generated queries read: a Tx, or what DB.Read returns.
type Source interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// errReadOnly is returned for a statement that would write outside a transaction.
var errReadOnly = errors.New("a write needs a transaction")

// Reader reads outside a transaction: q.New(d.Read()) has the queries of a package. It refuses to
// execute statements.
type Reader struct{ pool *sql.DB }

// Read returns the source of reads outside a transaction.
func (d *DB) Read() Reader { return Reader{d.reader} }

// ExecContext always fails: writes need a transaction.
func (r Reader) ExecContext(context.Context, string, ...any) (sql.Result, error) {
	return nil, errReadOnly
}

// PrepareContext always fails, because a prepared statement might write.
func (r Reader) PrepareContext(context.Context, string) (*sql.Stmt, error) { return nil, errReadOnly }

// QueryContext runs a generated query.
func (r Reader) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return r.pool.QueryContext(ctx, query, args...)
}

// QueryRowContext runs a generated query for one row.
func (r Reader) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return r.pool.QueryRowContext(ctx, query, args...)
}
