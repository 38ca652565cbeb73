package profile

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

// maxReply is how much of a builder's answer the protocol client reads, in bytes.
const maxReply = 64 << 10

// client speaks to a builder for Sluice itself: no redirects, no cookie jar, bounded answers.
type client struct {
	base *url.URL
	http *http.Client
}

func newClient(base *url.URL, c *http.Client) *client {
	own := http.Client{Transport: c.Transport, Timeout: c.Timeout}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{base: base, http: &own}
}

// reply is a bounded answer.
type reply struct {
	status  int
	header  http.Header
	cookies []*http.Cookie
	json    bool
	body    []byte
}

// send makes one request. body nil means none, else it is sent as JSON. Errors are problem.Upstream or problem.Timeout and safe to show.
func (c *client) send(ctx context.Context, method, path, cookie string, body any) (*reply, error) {
	var payload io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding a request to the builder: %w", err)
		}
		payload = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(path).String(), payload)
	if err != nil {
		return nil, problem.New(problem.Invalid, "The builder's address is not a usable URL.").WithField("url").WithCause(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
		req.Header.Set("X-Request-From", "internal")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return nil, c.unreachable(err)
	}
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return &reply{
		status: res.StatusCode, header: res.Header, cookies: res.Cookies(), json: err == nil && media == "application/json", body: data,
	}, nil
}

// unreachable turns a transport error into a sentence that tells what to look at.
func (c *client) unreachable(err error) error {
	host := c.base.Host
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return problem.Newf(problem.Timeout, "%s did not answer in time.", host).WithNext("See whether the builder is busy or stuck.").WithField("url").WithCause(err)
	case errors.As(err, &dns):
		return problem.Newf(problem.Upstream, "The name %s was not found.", c.base.Hostname()).WithNext("Check the spelling of the address.").WithField("url").WithCause(err)
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return problem.Newf(problem.Upstream, "%s speaks plain HTTP.", host).WithNext("Use an address that starts with http://.").WithField("url").WithCause(err)
	case strings.Contains(err.Error(), "x509:") || strings.Contains(err.Error(), "tls:"):
		return problem.Newf(problem.Upstream, "The TLS certificate of %s was not accepted.", host).WithField("url").WithCause(err)
	case strings.Contains(err.Error(), "malformed HTTP"):
		return problem.Newf(problem.Upstream, "What answers at %s does not speak HTTP.", host).WithField("url").WithCause(err)
	case errors.As(err, &op) && op.Op == "dial":
		return problem.Newf(problem.Upstream, "Nothing answers at %s.", host).WithNext("Start the builder there, or correct the address.").WithField("url").WithCause(err)
	}
	return problem.Newf(problem.Upstream, "%s broke the connection off.", host).WithField("url").WithCause(err)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// object decodes a JSON object; nil if the answer is anything else.
func (r *reply) object() map[string]any {
	if !r.json {
		return nil
	}
	return decodeObject(r.body)
}

// decodeObject decodes exactly one JSON object; nil for anything else.
func decodeObject(data []byte) map[string]any {
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil
	}
	return v
}

// text is a string member of a JSON object answer.
func (r *reply) text(key string) string {
	s, _ := r.object()[key].(string)
	return s
}

// jwtExpiry reads the exp claim (RFC 7519 section 4.1.4) of a token that somebody else verifies; false if there is none.
func jwtExpiry(token string) (time.Time, bool) {
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
