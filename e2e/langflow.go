//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The releases of Langflow under test; install-langflow.sh defines them.
const (
	newLangflow = "new"
	oldLangflow = "old"
)

// langflowKey is a secret key in the form that Langflow's documentation generates: 32 random bytes
// in base64url.
const langflowKey = "RkFLRUtFWUZPUlRFU1RTLTAxMjM0NTY3ODlhYmNkZWY"

// Langflow is a real Langflow on a loopback port with its own home folder and database.
type Langflow struct {
	URL     string // origin without a slash
	Env     []string
	EnvFile string     // passed with --env-file, instead of the variables for accounts and keys
	life    testing.TB // the test that stops it at the end
	release string
	home    string
	port    int
	p       *process
}

var installLangflow = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("./install-langflow.sh")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
})

// langflowAdmin is the superuser of every Langflow in the tests.
var langflowAdmin = Account{Username: "administrator", Password: "several words for Langflow"}

// StartLangflow starts a fresh Langflow, with additional variables. It is stopped at the end of the
// test.
func StartLangflow(t testing.TB, release string, env ...string) *Langflow {
	t.Helper()
	port := freePort(t)
	l := &Langflow{
		URL:     fmt.Sprintf("http://127.0.0.1:%d", port),
		Env:     env,
		life:    t,
		release: release,
		home:    t.TempDir(),
		port:    port,
	}
	l.Start(t)
	return l
}

// StartLangflowByFile starts a Langflow as its documentation says: with `langflow run --env-file`.
func StartLangflowByFile(t testing.TB, release, file string) *Langflow {
	t.Helper()
	port := freePort(t)
	l := &Langflow{
		URL:     fmt.Sprintf("http://127.0.0.1:%d", port),
		EnvFile: file,
		life:    t,
		release: release,
		home:    t.TempDir(),
		port:    port,
	}
	l.Start(t)
	return l
}

// Start starts it again on the same port and data after Stop or Kill.
func (l *Langflow) Start(t testing.TB) {
	t.Helper()
	dir, err := installLangflow()
	if err != nil {
		t.Fatalf("e2e/install-langflow.sh: %v", err)
	}
	args := []string{"-m", "langflow", "run", "--host", "127.0.0.1", "--port", fmt.Sprint(l.port)}
	accounts := []string{
		"LANGFLOW_AUTO_LOGIN=False", "LANGFLOW_SUPERUSER=" + langflowAdmin.Username, "LANGFLOW_SUPERUSER_PASSWORD=" +
			langflowAdmin.Password, "LANGFLOW_SECRET_KEY=" + langflowKey,
	}
	if l.EnvFile != "" {
		args, accounts = append(args, "--env-file", l.EnvFile), nil
	}
	cmd := exec.Command(filepath.Join(dir, l.release, "bin", "python"), args...)
	cmd.Dir = l.home
	cmd.Env = slices.Concat([]string{
		"PATH=" + os.Getenv(
			"PATH",
		), "HOME=" + l.home, "LANGFLOW_CONFIG_DIR=" + l.home, "LANGFLOW_DATABASE_URL=sqlite:///" + l.Database(),
		"LANGFLOW_OPEN_BROWSER=false", "DO_NOT_TRACK=true", "LANGFLOW_DO_NOT_TRACK=true",
	}, accounts, l.Env)
	l.p = startProcess(l.life, fmt.Sprintf("langflow-%s-%d", l.release, l.port), cmd)
	l.p.until(t, "answer to /health_check", l.Healthy)
}

// Database is the path of its SQLite file.
func (l *Langflow) Database() string { return filepath.Join(l.home, "langflow.db") }

// Stop stops it gracefully.
func (l *Langflow) Stop(t testing.TB) { l.p.stop(t) }

// Healthy reports whether it answers.
func (l *Langflow) Healthy() bool {
	client := http.Client{Timeout: 2 * time.Second}
	res, err := client.Get(l.URL + "/health_check")
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// SignIn returns a client with a Langflow session, around Sluice.
func (l *Langflow) SignIn(t testing.TB, a Account) *Client {
	t.Helper()
	c := NewClient(t, l.URL)
	form := *c
	form.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	r := form.Call("POST", "/api/v1/login", url.Values{"username": {a.Username}, "password": {a.Password}}.Encode())
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if r.Status != http.StatusOK || json.Unmarshal([]byte(r.Body), &token) != nil {
		t.Fatalf("signing in to Langflow: %d %.200s", r.Status, r.Body)
	}
	c.Header.Set("Authorization", "Bearer "+token.AccessToken)
	return c
}

// AddUser creates an active Langflow user, around Sluice, and returns its id.
func (l *Langflow) AddUser(t testing.TB, admin *Client, a Account) string {
	t.Helper()
	var user struct{ ID string }
	call(t, admin, "POST", "/api/v1/users/", map[string]string{"username": a.Username, "password": a.Password}, &user)
	call(t, admin, "PATCH", "/api/v1/users/"+user.ID, map[string]bool{"is_active": true}, nil)
	return user.ID
}
