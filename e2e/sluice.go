//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Sluice is a running Sluice with its own data and secrets.
type Sluice struct {
	URL  string     // origin of its own pages, without a slash
	Home string     // folder of its data
	Env  []string   // additional variables for it and its commands
	life testing.TB // the test that stops it at the end
	port int
	args []string
	p    *process
}

// sluiceBuilt reports whether a test needed the program below.
var sluiceBuilt atomic.Bool

// buildSluice builds the program once, as a release would.
var buildSluice = sync.OnceValues(func() (string, error) {
	sluiceBuilt.Store(true)
	dir, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "sluice")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
})

// StartSluice runs `sluice serve` with these flags on a free loopback port, and waits until it
// answers.
func StartSluice(t testing.TB, args ...string) *Sluice {
	t.Helper()
	return StartSluiceWith(t, nil, args...)
}

// StartSluiceWith is StartSluice with additional variables.
func StartSluiceWith(t testing.TB, env []string, args ...string) *Sluice {
	t.Helper()
	port := freePort(t)
	s := &Sluice{
		URL:  fmt.Sprintf("http://127.0.0.1:%d", port),
		Env:  env,
		life: t,
		Home: t.TempDir(),
		port: port,
		args: args,
	}
	s.Start(t)
	return s
}

// Start runs it again on the same port and data, after Stop or Kill.
func (s *Sluice) Start(t testing.TB) {
	t.Helper()
	s.p = startProcess(s.life, fmt.Sprintf("sluice-%d", s.port), s.command(t, append([]string{"serve"}, s.args...)...))
	s.p.until(t, "answer to /healthz", func() bool {
		client := http.Client{Timeout: 2 * time.Second}
		res, err := client.Get(s.URL + "/healthz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK && introduced.MatchString(s.p.output())
	})
}

// introduced matches once the complete start-up output is printed; its last line is empty.
var introduced = regexp.MustCompile(`(?s)  Data  .*\n\s*\n`)

// Kill kills it, as a power cut would.
func (s *Sluice) Kill() { s.p.kill() }

// Stop stops it gracefully.
func (s *Sluice) Stop(t testing.TB) { s.p.stop(t) }

// command is a sluice command on the same data, without the environment of the tests.
func (s *Sluice) command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := buildSluice()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = s.Home
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.Home, "HOST=127.0.0.1", fmt.Sprintf("PORT=%d", s.port),
		"DATABASE_PATH=" + filepath.Join(s.Home, "data"), "SECRETKEY_PATH=" + filepath.Join(s.Home, "keys"),
	}, s.Env...)
	return cmd
}

// Command runs a sluice command on the same data, with input on its standard input, and returns its
// output and error.
func (s *Sluice) Command(t testing.TB, input string, args ...string) (string, error) {
	t.Helper()
	cmd := s.command(t, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

var setupLink = regexp.MustCompile(`https?://\S+/setup\S*`)

// SetupLink returns the one-time link in its output; "" if it printed no link.
func (s *Sluice) SetupLink() string { return setupLink.FindString(s.p.output()) }

var appLine = regexp.MustCompile(`(?m)^\s+App\s+(https?://\S+)\s+->`)

// AppURL returns the address of the first app, from the start-up output.
func (s *Sluice) AppURL(t testing.TB) string {
	t.Helper()
	m := appLine.FindStringSubmatch(s.p.output())
	if m == nil {
		t.Fatalf("the output names no app:\n%s", s.p.output())
	}
	return m[1]
}

// Account is a person's account in Sluice.
type Account struct{ Username, Email, Password string }

// SignIn returns a client that is signed in to Sluice.
func (s *Sluice) SignIn(t testing.TB, a Account) *Client {
	t.Helper()
	c := NewClient(t, s.URL)
	if r := c.PostForm("/login",
		url.Values{"identifier": {a.Username}, "password": {a.Password}}); r.Status != http.StatusSeeOther {
		t.Fatalf("signing in %s: %d %.300s", a.Username, r.Status, r.Body)
	}
	return c
}

// AddPerson creates an account on the people page, with the rights of the client's person.
func (s *Sluice) AddPerson(t testing.TB, admin *Client, a Account, role string) {
	t.Helper()
	r := admin.PostForm(
		"/admin/people",
		url.Values{"username": {a.Username}, "email": {a.Email}, "role": {role}, "password": {a.Password}},
	)
	if r.Status != http.StatusSeeOther {
		t.Fatalf("adding %s: %d %.300s", a.Username, r.Status, r.Body)
	}
}

var personLink = regexp.MustCompile(`/admin/people/[^/"?]{8,}`)

// SetRole gives a person another role on the people page.
func (s *Sluice) SetRole(t testing.TB, admin *Client, username, role string) {
	t.Helper()
	person := personLink.FindString(admin.Get("/admin/people?q=" + url.QueryEscape(username)).Body)
	if person == "" {
		t.Fatalf("the people page does not list %s", username)
	}
	if r := admin.PostForm(person+"/role", url.Values{"role": {role}}); r.Status != http.StatusSeeOther &&
		r.Status != http.StatusOK {
		t.Fatalf("making %s a %s: %d %.300s", username, role, r.Status, r.Body)
	}
}

var enterLink = regexp.MustCompile(`/enter\?app=[^"&]+`)

// EnterPath returns the path on Sluice's own origin that leads into the first app, as linked on the
// page of flows.
func (s *Sluice) EnterPath(t testing.TB, c *Client) string {
	t.Helper()
	path := enterLink.FindString(c.Get("/flows").Body)
	if path == "" {
		t.Fatal("the page of flows offers no app")
	}
	return path
}

// Enter goes into the first app as a browser does, and returns the same person's client for the
// app's origin.
func (s *Sluice) Enter(t testing.TB, c *Client) *Client {
	t.Helper()
	path := s.EnterPath(t, c)
	app := *c
	for range 5 {
		a := app.Get(path)
		if a.Status < 300 || a.Status > 399 {
			t.Fatalf("entering the app: %s%s answers %d: %.300s", app.Base, path, a.Status, a.Body)
		}
		u, err := url.Parse(a.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		if u.Host != "" {
			app.Base = u.Scheme + "://" + u.Host
		}
		if path = u.RequestURI(); app.Base != s.URL && !strings.HasPrefix(path, "/.sluice/") {
			break
		}
	}
	app.Header = http.Header{"X-Request-From": {"internal"}}
	return &app
}
