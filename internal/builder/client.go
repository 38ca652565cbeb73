package builder

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/internal/problem"
)

// MaxReply is how much of a builder's answer the protocol client reads, in bytes.
const MaxReply = 64 << 10

// Client talks to a builder for Sluice itself: no redirects, no cookie jar, bounded answers.
type Client struct {
	// Base is the builder's address.
	Base *url.URL
	http *http.Client
}

// NewClient creates a client for the builder at base.
func NewClient(base *url.URL, c *http.Client) *Client {
	own := http.Client{Transport: c.Transport, Timeout: c.Timeout}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{Base: base, http: &own}
}

// Reply is a bounded answer.
type Reply struct {
	// Status is the HTTP status, Header the answer's headers, Cookies the cookies it sets.
	Status  int
	Header  http.Header
	Cookies []*http.Cookie
	// JSON reports that the answer declares itself application/json. Body is its beginning.
	JSON bool
	Body []byte
}

// Send sends one request with additional headers. A nil body means none; any other is sent as JSON.
// Errors are problem.Upstream or problem.Timeout and safe to show.
func (c *Client) Send(ctx context.Context, method, path string, header http.Header, body any) (*Reply, error) {
	var payload io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding a request to the builder: %w", err)
		}
		payload = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base.JoinPath(path).String(), payload)
	if err != nil {
		return nil, BadAddress(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(res.Body, MaxReply))
	if err != nil {
		return nil, c.Unreachable(err)
	}
	return &Reply{
		Status: res.StatusCode, Header: res.Header, Cookies: res.Cookies(), JSON: IsJSON(res.Header), Body: data,
	}, nil
}

// Do sends a request. The caller reads and closes the body of the answer. Errors are the same as
// those of Send.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.Unreachable(err)
	}
	return res, nil
}

// Open gets a path whose answer may be long. The caller closes its body. The path may have a query.
func (c *Client) Open(ctx context.Context, path string, header http.Header) (*http.Response, error) {
	path, query, _ := strings.Cut(path, "?")
	u := c.Base.JoinPath(path)
	u.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, BadAddress(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	return c.Do(req)
}

// BadAddress is the error for a builder's address that is not a usable URL.
func BadAddress(cause error) error {
	return problem.New(problem.Invalid, "The builder's address is not a usable URL.").
		WithField("url").WithCause(cause)
}

// IsJSON reports whether the headers of an answer say that it is JSON.
func IsJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "application/json"
}

// Unreachable turns a transport error into a sentence that says what to check.
func (c *Client) Unreachable(err error) error {
	host := c.Base.Host
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return problem.Newf(problem.Timeout, "%s did not answer in time.", host).
			WithNext("Check whether the builder is busy or stuck.").
			WithField("url").
			WithCause(err)
	case errors.As(err, &dns):
		return problem.Newf(problem.Upstream, "The name %s was not found.", c.Base.Hostname()).
			WithNext("Check the spelling of the address.").
			WithField("url").
			WithCause(err)
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return problem.Newf(problem.Upstream, "%s speaks plain HTTP.", host).
			WithNext("Use an address that starts with http://.").
			WithField("url").
			WithCause(err)
	case strings.Contains(err.Error(), "x509:") || strings.Contains(err.Error(), "tls:"):
		return problem.Newf(problem.Upstream, "The TLS certificate of %s was not accepted.", host).
			WithField("url").
			WithCause(err)
	case strings.Contains(err.Error(), "malformed HTTP"):
		return problem.Newf(problem.Upstream, "The server at %s does not speak HTTP.", host).
			WithField("url").
			WithCause(err)
	case errors.As(err, &op) && op.Op == "dial":
		return problem.Newf(problem.Upstream, "Nothing answers at %s.", host).
			WithNext("Start the builder there, or correct the address.").
			WithField("url").
			WithCause(err)
	}
	return problem.Newf(problem.Upstream, "%s closed the connection.", host).WithField("url").WithCause(err)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// Object decodes a JSON object; nil if the answer is anything else.
func (r *Reply) Object() map[string]any {
	if !r.JSON {
		return nil
	}
	return DecodeObject(r.Body)
}

// DecodeObject decodes exactly one JSON object; nil for anything else.
func DecodeObject(data []byte) map[string]any {
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil
	}
	return v
}

// Text is a string member of a JSON object answer.
func (r *Reply) Text(key string) string {
	s, _ := r.Object()[key].(string)
	return s
}

// TokenExpiry reads the exp claim (RFC 7519 section 4.1.4) of a token without verifying it. It
// returns false if the token has no such claim.
func TokenExpiry(token string) (time.Time, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > 8<<10 {
		return time.Time{}, false
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}, false
	}
	var claims struct {
		Expires float64 `json:"exp"`
	}
	if err := json.Unmarshal(data, &claims); err != nil || claims.Expires <= 0 || claims.Expires > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(claims.Expires), 0), true
}

// MaxList is how much of one list is read, in bytes. Lists of flows hold the flows' definitions.
const MaxList = 256 << 20

// EachElement reads a JSON array element by element.
func EachElement[T any](dec *json.Decoder, visit func(T)) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('[') {
		return fmt.Errorf("not a list")
	}
	for dec.More() {
		var v T
		if err := dec.Decode(&v); err != nil {
			return err
		}
		visit(v)
	}
	return nil
}

// Clip cuts an untrusted text to n characters.
func Clip(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return s
}
