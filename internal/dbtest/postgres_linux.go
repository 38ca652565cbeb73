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
	// alive is the keeper's input: it ends with this process, and must not be collected before.
	alive io.WriteCloser
)

// errNotInstalled means that there is no PostgreSQL server on this machine.
var errNotInstalled = errors.New("PostgreSQL is not installed (Debian: apt-get install postgresql)")

// template is the name of a database with all migrations and nothing else, which the others copy.
const template = "sluice_template"

// Postgres makes an empty database on the test server, with all migrations, and returns its
// connection URL. It skips the test where PostgreSQL is not installed and not required.
func Postgres(t testing.TB) string {
	t.Helper()
	return database(t, template)
}

// BarePostgres is Postgres without the migrations.
func BarePostgres(t testing.TB) string {
	t.Helper()
	return database(t, "template0")
}

// migrate fills the template. Nobody may be connected to it afterwards.
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

func database(t testing.TB, from string) string {
	t.Helper()
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
	ctx := context.Background()
	admin, err := pgx.Connect(ctx, url("postgres"))
	if err != nil {
		t.Fatalf("connecting to the test server: %v", err)
	}
	defer admin.Close(ctx)
	name := fmt.Sprintf("t%d", databases.Add(1))
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+from); err != nil {
		t.Fatalf("making a test database: %v", err)
	}
	t.Cleanup(func() { drop(t, name) })
	return url(name)
}

// drop removes a test's database: hundreds of them fill a disk.
func drop(t testing.TB, name string) {
	ctx := context.Background()
	admin, err := pgx.Connect(ctx, url("postgres"))
	if err != nil {
		t.Errorf("connecting to the test server: %v", err)
		return
	}
	defer admin.Close(ctx)
	if _, err := admin.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
		t.Errorf("removing a test database: %v", err)
	}
}

func url(database string) string {
	return fmt.Sprintf("postgres://sluice@127.0.0.1:%d/%s?sslmode=disable", serverPort, database)
}

// startServer makes a cluster in a temporary folder and starts it on a free loopback port. The
// kernel ends the server when this process dies.
func startServer() (int, error) {
	bin, err := binaries()
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "sluice-postgres-")
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
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "sluice", "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("initdb: %w: %s", err, out)
	}
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	server := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=200")
	dying := *attr
	dying.Pdeathsig = syscall.SIGINT
	server.SysProcAttr, server.Dir = &dying, dir
	if err := startPinned(server); err != nil {
		return 0, err
	}
	serverPort = port
	return port, awaitServer(port)
}

// removeAtEnd leaves behind a shell that outlives this process, however it ends, by a moment: its
// input ends then, it waits until the server has too, and removes the folder.
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

// unprivileged makes dir usable by, and a process run as, the postgres user when this process is
// root, since the server refuses to run as root.
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
