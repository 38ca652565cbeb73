package sluicetest

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/config"
	"sluice/internal/dbtest"
	"sluice/internal/identity"
	"sluice/internal/server"
)

// Password is strong enough for every account that the tests create.
//
// words: a password, not a sentence
const Password = "nobody waters the plastic ferns"

// Operator is the principal of a person with a shell on the host.
func Operator() authz.Principal { return authz.SystemPrincipal("test") }

// Sluice is a running server.
type Sluice struct {
	*server.Server
	// Log holds everything that was logged.
	Log  *Log
	t    testing.TB
	once sync.Once
}

// Log collects log output.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns the log so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Values reads a configuration as `sluice serve` would, from NAME=VALUE lines, with free ports, a
// temporary data folder and the cheapest password hashes.
func Values(t testing.TB, environ ...string) config.Values {
	t.Helper()
	base := []string{"PORT=0", "DATABASE_PATH=" + dbtest.Folder(t), "PASSWORD_SALT_HASH_ROUNDS=4", "LOG_LEVEL=debug"}
	flags := map[string]string{}
	for _, line := range append(base, environ...) {
		name, value, _ := strings.Cut(line, "=")
		flags[name] = value
	}
	loaded, err := config.Load(config.Input{Flags: flags})
	if err != nil {
		t.Fatalf("configuration: %v", err)
	}
	return loaded.Values
}

// Start runs a Sluice until the test ends. Environ are NAME=VALUE lines.
func Start(t testing.TB, environ ...string) *Sluice {
	t.Helper()
	return StartWith(t, Values(t, environ...))
}

// StartWith runs a Sluice with a given configuration, for tests that start it again on the same
// data.
func StartWith(t testing.TB, v config.Values) *Sluice {
	t.Helper()
	return StartKinds(t, v)
}

// StartKinds runs a Sluice with additional kinds of builder.
func StartKinds(t testing.TB, v config.Values, more ...*builder.Kind) *Sluice {
	t.Helper()
	s := &Sluice{Log: &Log{}, t: t}
	var err error
	s.Server, err = server.Start(
		context.Background(),
		v,
		slog.New(slog.NewJSONHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		more...)
	if err != nil {
		t.Fatalf("starting Sluice: %v", err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Stop stops the server before the end of the test.
func (s *Sluice) Stop() { s.once.Do(func() { s.Server.Stop(context.Background()) }) }

// Add creates an active person with Password.
func (s *Sluice) Add(username, role string, superuser bool) identity.User {
	s.t.Helper()
	u, err := s.People.Create(context.Background(), Operator(), identity.NewUser{
		Username: username, Email: username +
			"@example.com", Password: Password, Role: role, Superuser: superuser, Active: true,
	})
	if err != nil {
		s.t.Fatalf("adding %s: %v", username, err)
	}
	return u
}

// Client is a headless browser: it keeps cookies, does not follow redirects, and sends the headers
// of a browser's navigation.
type Client struct {
	t    testing.TB
	http *http.Client
	// Base is prefixed to paths.
	Base string
	// Header is sent with every request.
	Header http.Header
	// Host is the requested host name if it differs from the address; "" otherwise.
	Host string
}

// Answer is a read response.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Location returns the redirect's target.
func (a Answer) Location() string { return a.Header.Get("Location") }

// Browser creates a Client without cookies for Sluice's own pages.
func (s *Sluice) Browser() *Client {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &Client{
		t:      s.t,
		Base:   s.MainOrigin(""),
		Header: http.Header{"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Site": {"same-origin"}},
		http: &http.Client{
			Jar: jar, Timeout: 20 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// SignedIn creates a Client that has signed in with Password.
func (s *Sluice) SignedIn(username string) *Client {
	s.t.Helper()
	c := s.Browser()
	if a := c.Post("/login",
		url.Values{"identifier": {username}, "password": {Password}}); a.Status != http.StatusSeeOther {
		s.t.Fatalf("%s could not sign in: %d %s", username, a.Status, a.Body)
	}
	return c
}

// At returns the same browser with another base, such as an app's origin.
func (c *Client) At(base string) *Client {
	d := *c
	d.Base = base
	return &d
}

// With returns the same browser with another header.
func (c *Client) With(name, value string) *Client {
	d := *c
	d.Header = c.Header.Clone()
	d.Header.Set(name, value)
	return &d
}

// As returns the same browser requesting another host name at the same address.
func (c *Client) As(host string) *Client {
	d := *c
	d.Host = host
	return &d
}

// Cookies returns the cookies that the browser would send to Base.
func (c *Client) Cookies() []*http.Cookie {
	c.t.Helper()
	u, err := url.Parse(c.Base)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.http.Jar.Cookies(u)
}

// Get requests a path, or an absolute URL.
func (c *Client) Get(path string) Answer { return c.Do(http.MethodGet, path, "", nil) }

// Post sends a form.
func (c *Client) Post(path string, form url.Values) Answer {
	return c.Do(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

// Do sends a request and reads the answer.
func (c *Client) Do(method, path, contentType string, body io.Reader) Answer {
	c.t.Helper()
	if !strings.Contains(path, "://") {
		path = c.Base + path
	}
	req, err := http.NewRequest(method, path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header, req.Host = c.Header.Clone(), cmp.Or(c.Host, req.Host)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("%s %s: reading the answer: %v", method, path, err)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: string(text)}
}
