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

// Config says which database to open. Exactly one of Folder and Postgres is set.
type Config struct {
	// Folder holds the SQLite file; it is made if missing (mode 0700).
	Folder string
	// Postgres is a connection URL or keyword string as pgx takes it; it may hold a password and is never logged.
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
	backup         string // of the copy that was taken before migrating, "" for none
}

// Open opens the database, applies missing migrations and starts to follow changes. The caller closes it.
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
		return fmt.Errorf("making the data folder %s: %w", folder, err)
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
	pragmas := url.Values{"_pragma": {"journal_mode(WAL)", "busy_timeout(5000)", "synchronous(NORMAL)", "foreign_keys(1)"}, "_txlock": {"immediate"}}
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
		return errors.New("the PostgreSQL settings cannot be read; check DATABASE_HOST, DATABASE_PORT, DATABASE_NAME, DATABASE_USER")
	}
	cfg.RuntimeParams["search_path"] = Schema
	cfg.RuntimeParams["application_name"] = "sluice"
	d.writer = stdlib.OpenDB(*cfg)
	d.writer.SetMaxOpenConns(max(8, 2*runtime.NumCPU()))
	d.writer.SetMaxIdleConns(4)
	d.reader = d.writer
	if _, err := d.writer.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+Schema); err != nil && !isPgCode(err, "23505", "42P06") {
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

// IsUnique reports whether err is a violated unique constraint (SQLSTATE 23505, SQLITE_CONSTRAINT_UNIQUE or _PRIMARYKEY).
func IsUnique(err error) bool {
	if isPgCode(err, "23505") {
		return true
	}
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// Found turns sql.ErrNoRows into a NotFound problem with this text and passes every other error on.
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
