package dbtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/db"
)

var (
	serverOnce sync.Once
	serverPort int
	errServer  error
	databases  atomic.Int64
	// alive is the keeper's input. It closes when this process exits, and must not be
	// garbage-collected earlier.
	alive io.WriteCloser
)

// errNotInstalled means that this machine has no PostgreSQL server.
var errNotInstalled = errors.New("PostgreSQL is not installed (Debian: apt-get install postgresql)")

// template is the name of a database with all migrations and nothing else, which the others copy.
const template = "sluice_template"

// templateIs is the template's fingerprint.
var templateIs string

// Postgres creates an empty database on the test server, with all migrations, and returns its
// connection URL. It skips the test if PostgreSQL is neither installed nor required. A test may
// change the schema.
func Postgres(t testing.TB) string {
	t.Helper()
	start(t)
	name, err := take(context.Background())
	if err != nil {
		t.Fatalf("creating a test database: %v", err)
	}
	t.Cleanup(func() {
		if err := giveBack(context.Background(), name); err != nil {
			t.Errorf("giving the test database back: %v", err)
		}
	})
	return url(name)
}

// BarePostgres is Postgres without the migrations.
func BarePostgres(t testing.TB) string {
	t.Helper()
	start(t)
	name, err := create(context.Background(), "template0")
	if err != nil {
		t.Fatalf("creating a test database: %v", err)
	}
	t.Cleanup(func() {
		if err := drop(context.Background(), name); err != nil {
			t.Errorf("removing the test database: %v", err)
		}
	})
	return url(name)
}

// migrate fills the template. No connection to it may be open afterwards.
func migrate() error {
	ctx := context.Background()
	admin, err := pgx.Connect(ctx, url("postgres"))
	if err != nil {
		return err
	}
	defer admin.Close(ctx)
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+template); err != nil {
		return err
	}
	d, err := db.Open(ctx, db.Config{Postgres: url(template), Now: time.Now})
	if err != nil {
		return err
	}
	if err := d.Close(); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url(template))
	if err != nil {
		return err
	}
	templateIs, err = fingerprint(ctx, conn)
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return err
	}
	return awaitNobody(ctx, admin)
}

// awaitNobody waits until the server has noticed that all connections to the template are closed.
func awaitNobody(ctx context.Context, admin *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		var n int
		err := admin.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = $1", template).Scan(&n)
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d connections to the template stay", n)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// start starts the server and fills the template, once per process. It skips the test if PostgreSQL
// is neither installed nor required.
func start(t testing.TB) {
	t.Helper()
	if leftOut() {
		t.Skip("SLUICEDEV_POSTGRES=off leaves PostgreSQL out")
	}
	serverOnce.Do(func() {
		if serverPort, errServer = startServer(); errServer == nil {
			errServer = migrate()
		}
	})
	runtime.KeepAlive(alive)
	if errors.Is(errServer, errNotInstalled) && !required() {
		t.Skip(errServer)
	}
	if errServer != nil {
		t.Fatalf("starting PostgreSQL: %v", errServer)
	}
}

// create creates a database, as a copy of another, and returns its name.
func create(ctx context.Context, from string) (string, error) {
	name := fmt.Sprintf("t%d", databases.Add(1))
	return name, execute(ctx, "postgres", "CREATE DATABASE "+name+" TEMPLATE "+from)
}

// drop removes a database, closing any open connections, because hundreds of databases fill a disk.
func drop(ctx context.Context, name string) error {
	return execute(ctx, "postgres", "DROP DATABASE "+name+" WITH (FORCE)")
}

// execute executes one statement in a database.
func execute(ctx context.Context, database, statement string) error {
	conn, err := pgx.Connect(ctx, url(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// idle are migrated databases that tests have used and that are empty again. Copying the template
// costs hundreds of files and a first connection that reads the whole catalog, which is more than
// most tests cost.
var idle struct {
	mu    sync.Mutex
	names []string
}

// take takes an idle database, or creates one.
func take(ctx context.Context) (string, error) {
	idle.mu.Lock()
	if n := len(idle.names); n > 0 {
		name := idle.names[n-1]
		idle.names = idle.names[:n-1]
		idle.mu.Unlock()
		return name, nil
	}
	idle.mu.Unlock()
	return create(ctx, template)
}

// giveBack empties a database for the next test, or drops it if a test changed more than rows.
func giveBack(ctx context.Context, name string) error {
	fresh, err := empty(ctx, name)
	if err != nil {
		return fmt.Errorf("emptying: %w", err)
	}
	if !fresh {
		return drop(ctx, name)
	}
	idle.mu.Lock()
	defer idle.mu.Unlock()
	idle.names = append(idle.names, name)
	return nil
}

// empty deletes all rows that tests wrote, and reports whether the database is then like the
// template: its schema is unchanged, and no table has pages.
func empty(ctx context.Context, name string) (bool, error) {
	conn, err := pgx.Connect(ctx, url(name))
	if err != nil {
		return false, err
	}
	defer conn.Close(ctx)
	if err := disconnectOthers(ctx, conn); err != nil {
		return false, err
	}
	is, err := fingerprint(ctx, conn)
	if err != nil || is != templateIs {
		return false, err
	}
	used, err := usedTables(ctx, conn)
	if err != nil || len(used) == 0 {
		return err == nil, err
	}
	// Foreign keys and triggers do not matter when everything is deleted.
	all := "SET session_replication_role = replica; DELETE FROM " + strings.Join(used, "; DELETE FROM ")
	if _, err := conn.Exec(ctx, all); err != nil {
		return false, err
	}
	// Tables of a new database have no pages. Without pages, the next test's rows are stored in the
	// order in which it writes them.
	if _, err := conn.Exec(ctx, "VACUUM "+strings.Join(used, ", ")); err != nil {
		return false, err
	}
	left, err := usedTables(ctx, conn)
	return len(left) == 0, err
}

// disconnectOthers closes the connections that a test left open, and waits until they are gone.
func disconnectOthers(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		var n int
		err := conn.QueryRow(ctx, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "+
			"WHERE datname = current_database() AND pid <> pg_backend_pid()").Scan(&n)
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d connections stay", n)
		case <-time.After(time.Millisecond):
		}
	}
}

// usedTables are the tables of Sluice's schema that have pages, without the list of migrations.
func usedTables(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND "+
		"relnamespace = $1::text::regnamespace AND relname <> $2 AND pg_relation_size(oid) > 0",
		db.Schema, migrationsTable)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// migrationsTable is the only table of the template that has rows.
const migrationsTable = "goose_db_version"

// fingerprint distinguishes two databases with different migrations, settings or objects: every
// change of an object writes a new row into a catalog, and the row names the writing transaction.
func fingerprint(ctx context.Context, conn *pgx.Conn) (string, error) {
	parts := []string{
		"SELECT r.id || ' ' || r.version_id || ' ' || r.is_applied FROM " + db.Schema + "." + migrationsTable + " r",
		"SELECT array_to_string(setconfig, ' ') FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase " +
			"WHERE datname = current_database()",
	}
	for _, catalog := range []string{
		"pg_class", "pg_constraint", "pg_namespace", "pg_proc", "pg_trigger", "pg_type", "pg_extension", "pg_attrdef",
	} {
		parts = append(parts, "SELECT '"+catalog+" ' || oid || ' ' || xmin FROM "+catalog+" WHERE oid >= 16384")
	}
	parts = append(parts, "SELECT 'attribute ' || attrelid || ' ' || attname || ' ' || xmin FROM pg_attribute "+
		"WHERE attrelid >= 16384")
	var is string
	err := conn.QueryRow(ctx, "SELECT string_agg(line, ',' ORDER BY line) FROM ("+
		strings.Join(parts, " UNION ALL ")+") AS parts (line)").Scan(&is)
	return is, err
}

func url(database string) string {
	return fmt.Sprintf("postgres://sluice@127.0.0.1:%d/%s?sslmode=disable", serverPort, database)
}

// startServer creates a cluster in a temporary folder and starts it on a free loopback port. The
// kernel kills the server when this process dies.
func startServer() (int, error) {
	bin, err := binaries()
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp(memory(), "sluice-postgres-")
	if err != nil {
		return 0, err
	}
	attr, err := unprivileged(dir)
	if err != nil {
		return 0, err
	}
	if err := removeAtEnd(dir, attr); err != nil {
		return 0, err
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(
		filepath.Join(bin, "initdb"),
		"-D",
		data,
		"-U",
		"sluice",
		"--auth=trust",
		"--no-sync",
		"--locale=C",
		"-E",
		"UTF8",
	)
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("initdb: %w: %s", err, out)
	}
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	settings := []string{"-D", data, "-p", strconv.Itoa(port)}
	for _, setting := range []string{
		"listen_addresses=127.0.0.1",
		"unix_socket_directories=",
		"fsync=off",
		"synchronous_commit=off",
		"full_page_writes=off",
		"autovacuum=off",
		"max_connections=200",
	} {
		settings = append(settings, "-c", setting)
	}
	server := exec.Command(filepath.Join(bin, "postgres"), settings...)
	dying := *attr
	dying.Pdeathsig = syscall.SIGINT
	server.SysProcAttr, server.Dir = &dying, dir
	if err := startPinned(server); err != nil {
		return 0, err
	}
	serverPort = port
	return port, awaitServer(port)
}

// memory returns an in-memory folder with at least a free GiB, because a new cluster is a thousand
// files. "" means the usual folder for temporary files.
func memory() string {
	const folder, magic, room = "/dev/shm", 0x01021994, 1 << 30 // TMPFS_MAGIC, see statfs(2)
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil || s.Type != magic || s.Bavail*uint64(s.Bsize) < room {
		return ""
	}
	return folder
}

// removeAtEnd starts a shell that slightly outlives this process, however the process exits. The
// shell sees the end of its input, waits until the server has exited too, and removes the folder.
func removeAtEnd(dir string, attr *syscall.SysProcAttr) error {
	const script = `cat; for i in $(seq 100); do [ -e "$1/data/postmaster.pid" ] || break; sleep 0.1; done; rm -rf "$1"`
	keeper := exec.Command("/bin/sh", "-c", script, "sh", dir)
	alone := *attr
	alone.Setpgid = true
	keeper.SysProcAttr, keeper.Dir = &alone, "/"
	var err error
	if alive, err = keeper.StdinPipe(); err != nil {
		return err
	}
	return keeper.Start()
}

// startPinned starts a process from a thread that lives as long as this process: the kernel sends
// Pdeathsig when the starting thread ends.
func startPinned(c *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		started <- c.Start()
		select {}
	}()
	return <-started
}

func awaitServer(port int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://sluice@127.0.0.1:%d/postgres?sslmode=disable", port))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		return "", errNotInstalled
	}
	sort.Strings(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// unprivileged makes dir usable by the postgres user, and returns the attributes to run a process
// as that user, if this process is root, because the server refuses to run as root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return &syscall.SysProcAttr{}, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user postgres: %w", err)
	}
	uid, err1 := strconv.Atoi(account.Uid)
	gid, err2 := strconv.Atoi(account.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
