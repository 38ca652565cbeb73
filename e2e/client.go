//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// maxAnswer bounds how much of one answer a Client reads, in bytes.
const maxAnswer = 32 << 20

// Client is a program that calls a server: it keeps cookies as a browser would, and does not follow
// redirects.
type Client struct {
	Base   string      // origin without a slash
	Header http.Header // sent with every request
	t      testing.TB
	http   *http.Client
}

// NewClient creates a client with an empty cookie jar.
func NewClient(t testing.TB, base string) *Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &Client{Base: base, Header: http.Header{}, t: t, http: &http.Client{
		Jar: jar, Transport: transport, Timeout: time.Until(deadline(t)),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Answer is a server's answer.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// JSON reads the body into v, and fails the test if it is not JSON.
func (a Answer) JSON(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Body), v); err != nil {
		t.Fatalf("answer %d is not the JSON that is expected: %v\n%.300s", a.Status, err, a.Body)
	}
}

// call calls Sluice's own API, requires success, and reads the answer into v, unless v is nil.
func call(t testing.TB, c *Client, method, path string, body, v any) {
	t.Helper()
	a := c.Call(method, path, body)
	if a.Status >= 300 {
		t.Fatalf("%s %s: %d %.400s", method, path, a.Status, a.Body)
	}
	if v != nil {
		a.JSON(t, v)
	}
}

// IsJSON reports whether the answer is declared as JSON.
func (a Answer) IsJSON() bool { return strings.Contains(a.Header.Get("Content-Type"), "json") }

// Call sends a request. A string body is sent unchanged, nil sends no body, and everything else is
// sent as JSON.
func (c *Client) Call(method, path string, body any) Answer {
	c.t.Helper()
	res, err := c.http.Do(c.request(method, path, body))
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, c.Base+path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		c.t.Fatalf("%s %s: reading the answer: %v", method, c.Base+path, err)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: string(b)}
}

// Get is Call without a body.
func (c *Client) Get(path string) Answer {
	c.t.Helper()
	return c.Call("GET", path, nil)
}

// PostForm sends a form, as a page of the same origin would.
func (c *Client) PostForm(path string, form url.Values) Answer {
	c.t.Helper()
	form2 := *c
	form2.Header = c.Header.Clone()
	form2.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	form2.Header.Set("Origin", c.Base)
	return form2.Call("POST", path, form.Encode())
}

// As returns the same client for another test or part of one.
func (c *Client) As(t testing.TB) *Client {
	other := *c
	other.t = t
	return &other
}

// Open sends a request and returns the answer with its body unread, for streams.
func (c *Client) Open(method, path string, body any) *http.Response {
	c.t.Helper()
	res, err := c.http.Do(c.request(method, path, body))
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, c.Base+path, err)
	}
	c.t.Cleanup(func() { res.Body.Close() })
	return res
}

func (c *Client) request(method, path string, body any) *http.Request {
	c.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		j, err := json.Marshal(b)
		if err != nil {
			c.t.Fatal(err)
		}
		r = strings.NewReader(string(j))
	}
	q, err := http.NewRequest(method, c.Base+path, r)
	if err != nil {
		c.t.Fatal(err)
	}
	for name, values := range c.Header {
		q.Header[name] = values
	}
	if r != nil && q.Header.Get("Content-Type") == "" {
		q.Header.Set("Content-Type", "application/json")
	}
	return q
}

// Raw sends a request target byte by byte, with this client's cookies and headers, over a separate
// connection. It is for targets that two parsers could read differently.
func (c *Client) Raw(method, target string) Answer {
	c.t.Helper()
	u, err := url.Parse(c.Base)
	if err != nil {
		c.t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", u.Host, 10*time.Second)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(deadline(c.t))
	var b strings.Builder
	b.WriteString(method + " " + target + " HTTP/1.1\r\nHost: " + u.Host + "\r\nConnection: close\r\n")
	var cookies []string
	for _, cookie := range c.http.Jar.Cookies(u) {
		cookies = append(cookies, cookie.Name+"="+cookie.Value)
	}
	if len(cookies) > 0 {
		b.WriteString("Cookie: " + strings.Join(cookies, "; ") + "\r\n")
	}
	_ = c.Header.Write(&b)
	b.WriteString("\r\n")
	if _, err := io.WriteString(conn, b.String()); err != nil {
		c.t.Fatalf("sending %q: %v", target, err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("%s %q: %v", method, target, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		c.t.Fatalf("%s %q: reading the answer: %v", method, target, err)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: string(body)}
}
