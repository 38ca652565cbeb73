//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// builderRestart stops and starts Flowise while people work: they see a clear message in between,
// and afterwards no one has to do anything.
func (w *team) builderRestart(t *testing.T) {
	stop := make(chan struct{})
	var load sync.WaitGroup
	var mu sync.Mutex
	seen := map[int]int{}
	for range 4 {
		load.Go(func() {
			c := w.viewerAPI.As(t)
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				a := c.Get("/api/v1/chatflows/" + w.flow)
				mu.Lock()
				seen[a.Status]++
				mu.Unlock()
				if a.Status != http.StatusOK && !a.IsJSON() {
					t.Errorf("while Flowise restarts a call gets %d %s", a.Status, a.Header.Get("Content-Type"))
					return
				}
			}
		})
	}
	w.f.Stop(t)
	w.viewer.Open(w.app + "/agentflows")
	w.viewer.Shot("builder-down")
	if text := w.viewer.Text(); len(text) < 20 || strings.Contains(text, "Bad Gateway") {
		t.Errorf("while Flowise is down its page says only: %q", text)
	}
	w.f.Start(t)
	w.viewer.until(
		"list of flows after the restart",
		func() bool { return w.viewerAPI.Get("/api/v1/chatflows/"+w.flow).Status == http.StatusOK },
	)
	close(stop)
	load.Wait()
	for status := range seen {
		switch status {
		case http.StatusOK, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		default:
			t.Errorf("under load the restart gave answers %v; 401 or 403 would send people away from their work", seen)
		}
	}
	if seen[http.StatusOK] == 0 || len(seen) == 1 {
		t.Errorf("answers %v: the restart was not under load", seen)
	}
}

// powerCut kills Sluice: the same sessions continue after a restart, and saved data is there.
func (w *team) powerCut(t *testing.T) {
	w.s.Kill()
	w.s.Start(t)
	for name, c := range map[string]*Client{"admin": w.adminAPI, "viewer": w.viewerAPI} {
		if a := c.Get("/api/v1/chatflows/" + w.flow); a.Status != http.StatusOK {
			t.Errorf("the %s's session did not survive: %d %.200s", name, a.Status, a.Body)
		}
	}
	if link := w.s.SetupLink(); link != "" {
		t.Errorf("with an admin there it prints a set-up link: %s", link)
	}
}

// TestOwned puts Sluice in front of a Flowise that has an owner: it reports wrong credentials and
// stores right ones.
func TestOwned(t *testing.T) {
	longSuite(t, 10*time.Minute)
	f := StartFlowise(t)
	f.Register(t, testOwner)
	s := StartSluice(t, "--protect", f.URL)
	p := NewPerson(t, "ada")
	p.Open(s.SetupLink())
	p.Fill("input[name=email]", adminAccount.Email)
	p.Fill("input[name=username]", adminAccount.Username)
	p.Fill("input[name=password]", adminAccount.Password)
	p.Click("button", "Create the admin")
	p.See("already has an owner")
	for _, password := range []string{"Wrong-horse-7", testOwner.Password} {
		p.Fill("input[name=owner_email]", testOwner.Email)
		p.Fill("input[name=owner_password]", password)
		p.Click("button", "Test and connect")
		if password != testOwner.Password {
			p.SeeElement("[role=alert]")
			p.Shot("wrong-password")
		}
	}
	p.Click("a", "Continue to Verify")
	p.Click("a", "Open Flowise")
	p.SeeFlowise()
	if out := s.p.output(); strings.Contains(out, testOwner.Password) {
		t.Error("the owner's password is in Sluice's log")
	}
}

// TestStartRefusals shows starts that cannot work: each says what is wrong and what to do, and ends
// with an error.
func TestStartRefusals(t *testing.T) {
	suite(t, 3*time.Minute)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Sluice{Home: t.TempDir(), port: freePort(t)}
	for name, c := range map[string]struct {
		args []string
		says []string
	}{
		"port taken": {[]string{"serve", "--port", fmt.Sprint(taken)},
			[]string{fmt.Sprint(taken), "listens", "--port"}},
		"data folder not usable": {[]string{"serve", "--set", "DATABASE_PATH=" + filepath.Join(file, "data")},
			[]string{"DATABASE_PATH"}},
		"misspelled variable": {[]string{"serve", "--set", "SLUICE_PROTEKT=demo"},
			[]string{"SLUICE_PROTEKT", "SLUICE_PROTECT"}},
		"port is not a number":   {[]string{"serve", "--port", "eighty"}, []string{"PORT", "eighty"}},
		"address of the builder": {[]string{"serve", "--protect", "not an address"}, []string{"not an address"}},
		"hash rounds out of range": {[]string{"serve", "--set", "PASSWORD_SALT_HASH_ROUNDS=99"},
			[]string{"PASSWORD_SALT_HASH_ROUNDS", "99"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := s.Command(t, "", c.args...)
			if err == nil {
				t.Errorf("it started:\n%s", out)
			}
			for _, text := range c.says {
				if !strings.Contains(out, text) {
					t.Errorf("the message does not name %q:\n%s", text, out)
				}
			}
		})
	}
}

// TestNotABuilder puts Sluice in front of nothing and of another server: both start, and both are
// reported.
func TestNotABuilder(t *testing.T) {
	suite(t, 3*time.Minute)
	other := httptest.NewServer(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<h1>a wiki</h1>") }),
	)
	defer other.Close()
	nothing := fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	for name, target := range map[string]string{"something else": other.URL, "nobody there": nothing} {
		t.Run(name, func(t *testing.T) {
			s := StartSluice(t, "--protect", target)
			p := NewPerson(t, "ada")
			p.Open(s.SetupLink())
			p.Fill("input[name=email]", adminAccount.Email)
			p.Fill("input[name=username]", adminAccount.Username)
			p.Fill("input[name=password]", adminAccount.Password)
			p.Click("button", "Create the admin")
			p.See(strings.TrimPrefix(target, "http://"))
			p.Shot("connected")
			if strings.Contains(p.Text(), "Flowise") {
				t.Errorf("it takes %s for a Flowise: %s", name, p.Text())
			}
		})
	}
}

// TestHostileRequests sends what no browser sends. Sluice stays up and gives a clear answer.
func TestHostileRequests(t *testing.T) {
	suite(t, 5*time.Minute)
	s := StartSluice(t, "--protect", "demo")
	c := NewClient(t, s.URL)
	for name, header := range map[string]http.Header{
		"garbage cookies":   {"Cookie": {strings.Repeat("sluice_session=\x01%ff;", 50)}},
		"two sessions":      {"Cookie": {"sluice_session=a; sluice_session=b"}},
		"64 KiB of headers": {"X-Large": {strings.Repeat("x", 64<<10)}},
		"a host of nobody":  {"X-Forwarded-Host": {"evil.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := c.As(t)
			h.Header = header
			if a := h.Raw("GET", "/login"); a.Status >= 500 {
				t.Errorf("%d %.200s", a.Status, a.Body)
			}
		})
	}
	if a := c.Get("/healthz"); a.Status != http.StatusOK {
		t.Errorf("/healthz: %d", a.Status)
	}
	if !s.p.running() {
		t.Error("Sluice has ended")
	}
}

// readAll reads a whole stream.
func readAll(t testing.TB, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		t.Fatalf("reading the stream: %v", err)
	}
	return string(b)
}

// signInPatiently signs in and, while the door is crowded, comes back when told to.
func (c *Client) signInPatiently(a Account) bool {
	for end := deadline(c.t); time.Now().Before(end); {
		r := c.PostForm("/login", map[string][]string{"identifier": {a.Username}, "password": {a.Password}})
		switch r.Status {
		case http.StatusSeeOther:
			return true
		case http.StatusServiceUnavailable, http.StatusTooManyRequests:
			wait, err := time.ParseDuration(r.Header.Get("Retry-After") + "s")
			if err != nil {
				c.t.Errorf("%s was turned away (%d) without a Retry-After", a.Username, r.Status)
				return false
			}
			time.Sleep(wait)
		default:
			c.t.Errorf("%s could not sign in: %d %.200s", a.Username, r.Status, r.Body)
			return false
		}
	}
	c.t.Errorf("%s could not sign in within the time of the suite", a.Username)
	return false
}
