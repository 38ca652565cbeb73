package database

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver for Langflow's files and for Sluice's own

	"sluice/internal/problem"
)

// source is Langflow's database, opened in one transaction that cannot write.
type source struct {
	pool     *sql.DB
	tx       *sql.Tx
	postgres bool
	where    string // for people, without a password
	scratch  string // a folder with a copy of the file; "" without a copy
}

func (s *source) close() error {
	var errs []error
	if s.tx != nil {
		errs = append(errs, s.tx.Rollback())
	}
	if s.pool != nil {
		errs = append(errs, s.pool.Close())
	}
	if s.scratch != "" {
		errs = append(errs, os.RemoveAll(s.scratch))
	}
	return errors.Join(errs...)
}

func wrongDatabase(format string, args ...any) *problem.Error {
	return problem.Newf(problem.Invalid, format, args...).WithField("--database")
}

// open opens the database that --database names: a file, or a URL in the form of
// LANGFLOW_DATABASE_URL.
func open(ctx context.Context, name string) (*source, error) {
	scheme, rest, isURL := strings.Cut(strings.TrimSpace(name), "://")
	dialect, _, _ := strings.Cut(strings.ToLower(scheme), "+")
	switch {
	case !isURL:
		return openFile(ctx, strings.TrimSpace(name))
	case dialect == "sqlite":
		// sqlite:///relative/path and sqlite:////absolute/path, as SQLAlchemy reads them.
		path, _, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "?")
		return openFile(ctx, path)
	case dialect == "postgresql" || dialect == "postgres":
		return openPostgres(ctx, "postgresql://"+rest)
	}
	return nil, wrongDatabase("Langflow does not keep its data in a database of this kind (%.40q).", dialect).
		WithNext("Enter the path of its file langflow.db, or the value of LANGFLOW_DATABASE_URL: sqlite:///… or " +
			"postgresql://….")
}

// patience bounds how long a PostgreSQL server may take to answer at all.
const patience = 15 * time.Second

func openPostgres(ctx context.Context, address string) (*source, error) {
	unreadable := wrongDatabase("This is not the address of a PostgreSQL database.").
		WithNext("Use the form postgresql://user:password@host:5432/name, and percent-encode special characters " +
			"of the password (@ as %40).")
	u, err := url.Parse(address)
	if err != nil {
		return nil, unreadable // the cause would quote the password
	}
	query := u.Query()
	if mode := query.Get("ssl"); mode != "" && query.Get("sslmode") == "" {
		query.Set("sslmode", mode) // asyncpg's name for it
	}
	query.Del("ssl")
	u.RawQuery = query.Encode()
	config, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, unreadable
	}
	config.ConnectTimeout = patience
	for name, value := range map[string]string{
		"default_transaction_read_only": "on",
		"TimeZone":                      "UTC",
		"DateStyle":                     "ISO",
		"application_name":              "sluice import",
	} {
		config.RuntimeParams[name] = value
	}
	s := &source{
		postgres: true,
		where:    fmt.Sprintf("PostgreSQL %s on %s", config.Database, config.Host),
		pool:     stdlib.OpenDB(*config),
	}
	s.pool.SetMaxOpenConns(1)
	s.tx, err = s.pool.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return nil, errors.Join(notReached(s.where, err), s.close())
	}
	return s, nil
}

// notReached explains why PostgreSQL did not let us in, quoting only the parts of its answer that
// hold no secret.
func notReached(where string, err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return problem.Newf(problem.Unavailable, "%s refused the connection: %.200s.", where, refused.Message).
			WithField("--database").
			WithNext("Check the user, the password and the database name.")
	}
	return problem.Newf(problem.Unavailable, "%s does not answer.", where).WithField("--database").
		WithNext("Check the host and port, and that the server is running. To request encryption, add sslmode " +
			"to the address.").
		WithCause(err)
}

// sqliteMark starts every SQLite file.
var sqliteMark = []byte("SQLite format 3\x00")

func openFile(ctx context.Context, path string) (*source, error) {
	if path == "" || path == ":memory:" {
		return nil, wrongDatabase("No file is given.").WithNext("Enter the path of Langflow's file langflow.db.")
	}
	if err := checkFile(path); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("finding the database file: %w", err)
	}
	s := &source{where: path}
	options := "mode=ro"
	switch {
	case there(path+"-wal") && there(path+"-shm"):
		// Langflow is running, or was killed: SQLite's own locks keep the reading consistent.
	case there(path + "-wal"), there(path + "-journal"):
		// There are changes that are not written back yet. SQLite would write them now, but the
		// file is not ours, so let it work on a copy.
		if path, err = s.copy(path); err != nil {
			return nil, errors.Join(err, s.close())
		}
		options = "mode=rw"
	default:
		options = "immutable=1"
	}
	dsn := url.URL{
		Scheme:   "file",
		Opaque:   (&url.URL{Path: path}).EscapedPath(),
		RawQuery: options + "&_pragma=query_only(1)&_pragma=busy_timeout(5000)&_pragma=trusted_schema(0)",
	}
	if s.pool, err = sql.Open("sqlite", dsn.String()); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	s.pool.SetMaxOpenConns(1)
	if s.tx, err = s.pool.BeginTx(ctx, nil); err != nil {
		return nil, errors.Join(damaged(s.where, err), s.close())
	}
	return s, nil
}

func there(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() > 0
}

// checkFile refuses anything that is not an SQLite file.
func checkFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return wrongDatabase("There is no file %s.", path).
			WithNext("Langflow keeps langflow.db in LANGFLOW_CONFIG_DIR, or inside its own installation if that " +
				"is not set (LANGFLOW_SAVE_DB_IN_CONFIG_DIR).")
	case err != nil:
		return unreadable(path, err)
	case !info.Mode().IsRegular():
		return wrongDatabase("%s is not a file.", path).WithNext("Enter the path of langflow.db itself.")
	case info.Size() == 0:
		return wrongDatabase("%s is empty.", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return unreadable(path, err)
	}
	defer file.Close()
	head := make([]byte, len(sqliteMark))
	if _, err := io.ReadFull(file, head); err != nil || !bytes.Equal(head, sqliteMark) {
		return wrongDatabase("%s is not an SQLite database.", path).
			WithNext("Enter the path of Langflow's langflow.db, or the address of its PostgreSQL database.")
	}
	return nil
}

func unreadable(path string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return wrongDatabase("This user cannot read %s.", path).
			WithNext("Run the import as a user who may read it.")
	}
	return fmt.Errorf("reading %s: %w", path, err)
}

// copy copies the file and its companions into a folder of our own, and returns the new path.
func (s *source) copy(path string) (to string, err error) {
	if s.scratch, err = os.MkdirTemp("", "sluice-import-"); err != nil {
		return "", fmt.Errorf("creating a folder for a copy of the database: %w", err)
	}
	to = filepath.Join(s.scratch, "langflow.db")
	for _, suffix := range []string{"", "-wal", "-journal"} {
		if suffix != "" && !there(path+suffix) {
			continue
		}
		if err := copyFile(path+suffix, to+suffix); err != nil {
			return "", err
		}
	}
	return to, nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return unreadable(from, err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("copying the database: %w", err)
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copying the database: %w", err)
	}
	return nil
}

func damaged(where string, err error) error {
	return wrongDatabase("%s cannot be read: it is damaged, or another program locks it.", where).
		WithNext("Stop Langflow and try again. If it fails again, restore a backup, or run `sqlite3 langflow.db " +
			".recover` to create a readable one.").
		WithCause(err)
}
