//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// flowiseVersion is the release under test; install-flowise.sh installs it.
const flowiseVersion = "3.1.4"

// Flowise is a real Flowise on a loopback port with its own home folder, database and secrets.
type Flowise struct {
	URL  string     // origin without a slash
	life testing.TB // the test that stops it at the end
	home string
	port int
	p    *process
}

var installFlowise = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("./install-flowise.sh")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
})

// StartFlowise starts a fresh Flowise. It is stopped at the end of the test.
func StartFlowise(t testing.TB) *Flowise {
	t.Helper()
	port := freePort(t)
	f := &Flowise{URL: fmt.Sprintf("http://127.0.0.1:%d", port), life: t, home: t.TempDir(), port: port}
	f.Start(t)
	return f
}

// Start starts it again on the same port and data after Stop or Kill.
func (f *Flowise) Start(t testing.TB) {
	t.Helper()
	dir, err := installFlowise()
	if err != nil {
		t.Fatalf("e2e/install-flowise.sh: %v", err)
	}
	data := filepath.Join(f.home, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join(dir, "node_modules", "flowise", "bin", "run"), "start")
	cmd.Dir = f.home
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + f.home, "HOST=127.0.0.1", fmt.Sprintf("PORT=%d", f.port),
		"DATABASE_PATH=" + data, "SECRETKEY_PATH=" + data, "BLOB_STORAGE_PATH=" +
			filepath.Join(data, "blobs"), "LOG_PATH=" + filepath.Join(f.home, "logs"),
		"DISABLE_FLOWISE_TELEMETRY=true",
	}
	f.p = startProcess(f.life, fmt.Sprintf("flowise-%d", f.port), cmd)
	f.p.until(t, "answer to /api/v1/ping", f.Healthy)
}

// Stop stops it gracefully.
func (f *Flowise) Stop(t testing.TB) { f.p.stop(t) }

// Healthy reports whether it answers.
func (f *Flowise) Healthy() bool {
	client := http.Client{Timeout: 2 * time.Second}
	res, err := client.Get(f.URL + "/api/v1/ping")
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// Owner is the account that a Flowise is set up with.
type Owner struct{ Name, Email, Password string }

// Register creates the owner of a Flowise without one, as its own set-up page would.
func (f *Flowise) Register(t testing.TB, o Owner) {
	t.Helper()
	c := NewClient(t, f.URL)
	a := c.Call(
		"POST",
		"/api/v1/account/register",
		map[string]any{"user": map[string]string{"name": o.Name, "email": o.Email, "credential": o.Password}},
	)
	if a.Status != http.StatusCreated {
		t.Fatalf("registering the owner of Flowise: %d %s", a.Status, a.Body)
	}
}

// SignIn returns a client with a Flowise session, around Sluice.
func (f *Flowise) SignIn(t testing.TB, o Owner) *Client {
	t.Helper()
	c := NewClient(t, f.URL)
	c.Header.Set("X-Request-From", "internal")
	if a := c.Call("POST", "/api/v1/auth/login",
		map[string]string{"email": o.Email, "password": o.Password}); a.Status != http.StatusOK ||
		!a.IsJSON() {
		t.Fatalf("signing in to Flowise: %d %.200s", a.Status, a.Body)
	}
	return c
}

// HasOwner reports whether this Flowise has been set up.
func (f *Flowise) HasOwner(t testing.TB) bool {
	t.Helper()
	var a struct{ RedirectURL string }
	NewClient(t, f.URL).Call("POST", "/api/v1/auth/resolve", struct{}{}).JSON(t, &a)
	return a.RedirectURL != "/organization-setup"
}
