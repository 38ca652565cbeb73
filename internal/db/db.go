package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"sluice/internal/problem"
)

//go:embed migrations/*.sql
var migrations embed.FS

// FileName is the SQLite file's name inside the data folder.
const FileName = "sluice.sqlite"

// Schema is the PostgreSQL schema that holds all of Sluice's tables.
const Schema = "sluice"

// Config selects the database to open. Exactly one of Folder and Postgres is set.
type Config struct {
	// Folder holds the SQLite file. It is created if missing (mode 0700).
	Folder string
	// Postgres is a connection URL or keyword string as accepted by pgx. It may contain a password
	// and is never logged.
	Postgres string
	// Now is the clock.
	Now func() time.Time
}

// DB is an open database with its migrations applied.
type DB struct {
	writer, reader *sql.DB
	postgres       bool
	dsn            string
	now            func() time.Time
	feed           *feed
	path           string // of the SQLite file
	backup         string // of the copy that was taken before migrating, "" without one
}

// Open opens the database, applies missing migrations and starts to follow changes. The caller
// closes it.
func Open(ctx context.Context, c Config) (*DB, error) {
	d := &DB{postgres: c.Postgres != "", dsn: c.Postgres, now: c.Now}
	if d.now == nil {
		d.now = time.Now
	}
	var err error
	if d.postgres {
		err = d.openPostgres(ctx, c.Postgres)
	} else {
		err = d.openSQLite(c.Folder)
	}
	if err != nil {
		return nil, err
	}
	if err := d.migrate(ctx); err != nil {
		d.closePools()
		return nil, fmt.Errorf("bringing the database up to date: %w", err)
	}
	if d.feed, err = startFeed(ctx, d); err != nil {
		d.closePools()
		return nil, fmt.Errorf("following changes: %w", err)
	}
	return d, nil
}

func (d *DB) openSQLite(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("creating the data folder %s: %w", folder, err)
	}
	path := filepath.Join(folder, FileName)
	d.path = path
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the database file: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("opening the database file: %w", err)
	}
	pragmas := url.Values{
		"_pragma": {"journal_mode(WAL)", "busy_timeout(5000)", "synchronous(NORMAL)", "foreign_keys(1)"},
		"_txlock": {"immediate"},
	}
	dsn := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: pragmas.Encode()}).String()
	if d.writer, err = sql.Open("sqlite", dsn); err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	d.writer.SetMaxOpenConns(1)
	if d.reader, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)"); err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	d.reader.SetMaxOpenConns(max(4, runtime.NumCPU()))
	if err := d.writer.Ping(); err != nil {
		d.closePools()
		return fmt.Errorf("opening the database file %s: %w", path, err)
	}
	return nil
}

func (d *DB) openPostgres(ctx context.Context, dsn string) error {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return errors.New("the PostgreSQL settings cannot be read; check DATABASE_HOST, DATABASE_PORT, " +
			"DATABASE_NAME, DATABASE_USER")
	}
	cfg.RuntimeParams["search_path"] = Schema
	cfg.RuntimeParams["application_name"] = "sluice"
	d.writer = stdlib.OpenDB(*cfg)
	d.writer.SetMaxOpenConns(max(8, 2*runtime.NumCPU()))
	d.writer.SetMaxIdleConns(4)
	d.reader = d.writer
	if _, err := d.writer.ExecContext(ctx, "CREATE SCHEMA IF NOT "+
		"EXISTS "+Schema); err != nil && !isPgCode(err, "23505", "42P06") {
		d.closePools()
		return fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	return nil
}

func (d *DB) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	if d.postgres {
		return d.migratePostgres(ctx, dir)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, d.writer, dir, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	return d.upgrade(ctx, provider)
}

// migrationLock is the advisory lock under which one node at a time migrates.
const migrationLock = 0x5157_1ce0

func (d *DB) migratePostgres(ctx context.Context, dir fs.FS) error {
	conn, err := d.writer.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", migrationLock); err != nil {
		return err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", migrationLock)
	provider, err := goose.NewProvider(goose.DialectPostgres, d.writer, dir, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	return d.upgrade(ctx, provider)
}

// Engine is "sqlite" or "postgres".
func (d *DB) Engine() string {
	if d.postgres {
		return "postgres"
	}
	return "sqlite"
}

// Ping reports whether the database answers.
func (d *DB) Ping(ctx context.Context) error { return d.reader.PingContext(ctx) }

// Close stops following changes and closes all connections.
func (d *DB) Close() error {
	d.feed.stop()
	return d.closePools()
}

func (d *DB) closePools() error {
	var errs []error
	for _, pool := range []*sql.DB{d.writer, d.reader} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}

// IsUnique reports whether err is a violated unique constraint (SQLSTATE 23505,
// SQLITE_CONSTRAINT_UNIQUE or _PRIMARYKEY).
func IsUnique(err error) bool {
	if isPgCode(err, "23505") {
		return true
	}
	var e *sqlite.Error
	return errors.As(err, &e) &&
		(e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// Found turns sql.ErrNoRows into a NotFound problem with this text and returns every other error
// unchanged.
func Found(err error, detail string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return problem.New(problem.NotFound, detail)
	}
	return err
}

func isPgCode(err error, codes ...string) bool {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return false
	}
	for _, code := range codes {
		if e.Code == code {
			return true
		}
	}
	return false
}

// Source is where generated queries read: a Tx, or the result of DB.Read.
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

// SealedUnlike returns values that do not begin with a prefix, in the order of their rows, starting
// after a row ("" for the first).
func (d *DB) SealedUnlike(ctx context.Context, c SealedColumn, prefix, after string, limit int) ([]SealedValue, error) {
	rows, err := d.reader.QueryContext(ctx, fmt.Sprintf(
		"SELECT %[3]s, %[2]s FROM %[1]s WHERE %[2]s <> '' AND substr(%[2]s, 1, %[4]d) <> $1 AND %[3]s > $2 ORDER BY "+
			"%[3]s LIMIT %[5]d", c.Table, c.Column, c.Row, len(prefix), limit), prefix, after)
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
	err = d.reader.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM %[1]s WHERE %[2]s <> '' AND substr(%[2]s, "+
		"1, %[3]d) <> $1", c.Table, c.Column, len(prefix)), prefix).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("counting in %s: %w", c.Table, err)
	}
	return n, nil
}

// SealedColumn is a text column whose values are encrypted. Row is the SQL expression of the key
// that a value is bound to. The three are constants of the program, never input.
type SealedColumn struct{ Table, Column, Row string }

// SealedValue is one encrypted value and the row that it belongs to.
type SealedValue struct{ Row, Text string }

// System runs housekeeping in a transaction and commits it; any error rolls back. It is the only
// way to write besides authz.Gate.Do, for writes that no policy decides. name is a key of the table
// housekeeping.
func (d *DB) System(ctx context.Context, name string, fn func(*Tx) error) error {
	if housekeeping[name] == "" {
		return fmt.Errorf("db: no housekeeping has the name %q", name)
	}
	return d.tx(ctx, fn)
}

// Gated is System for package authz, which calls it for changes that it has decided. No other
// package may call it; a test enforces that.
func (d *DB) Gated(ctx context.Context, fn func(*Tx) error) error { return d.tx(ctx, fn) }

// tx runs fn in a transaction and commits it; any error rolls back. When tx returns, the
// subscribers in this process have been called for its changes.
func (d *DB) tx(ctx context.Context, fn func(*Tx) error) error {
	sqlTx, err := d.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer func() { _ = sqlTx.Rollback() }()
	tx := &Tx{tx: sqlTx, d: d, ctx: ctx}
	if err := fn(tx); err != nil {
		return err
	}
	if err := sqlTx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	if tx.changed {
		d.feed.catchUp(context.WithoutCancel(ctx))
	}
	return nil
}

// Subscribe calls fn with the item of every change of a kind that is committed from now on, by this
// process or another. fn must be quick, must not begin a transaction, and is never called by two
// goroutines at once.
func (d *DB) Subscribe(kind string, fn func(item string)) {
	d.feed.mu.Lock()
	defer d.feed.mu.Unlock()
	d.feed.subs[kind] = append(d.feed.subs[kind], fn)
}

// CatchUp applies everything that other nodes have committed up to now, without waiting for the
// next poll. It is for callers that meet something so new that this node may not know it yet.
func (d *DB) CatchUp(ctx context.Context) { d.feed.catchUp(ctx) }
