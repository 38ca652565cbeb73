package langflow

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// call is one of Sluice's own calls to a Langflow.
type call struct {
	method, path string
	// query is encoded; header carries the session; json or form is the body.
	query  string
	header http.Header
	json   any
	form   url.Values
}

// reply is a bounded answer of a Langflow.
type reply struct {
	builder.Reply
	// behind is how far the clock in the answer is ahead of Sluice's. It is 0 if the answer has no
	// time or nearly the same one.
	behind time.Duration
}

// skewNoted is the smallest clock difference that matters. A smaller one makes no token expire
// early, and the Date header of a busy Langflow may be some seconds old.
const skewNoted = 30 * time.Second

// maxReply is how much of an answer is read, in bytes. The longest answer that is read in one piece
// is a page of users.
const maxReply = 1 << 20

// do sends one call and reads at most maxReply of the answer.
func (c call) do(ctx context.Context, to *builder.Client, now func() time.Time) (*reply, error) {
	before := now()
	res, err := c.open(ctx, to)
	if err != nil {
		return nil, err
	}
	after := now()
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return nil, to.Unreachable(err)
	}
	r := &reply{
		Reply: builder.Reply{
			Status:  res.StatusCode,
			Header:  res.Header,
			Cookies: res.Cookies(),
			JSON:    builder.IsJSON(res.Header),
			Body:    data,
		},
	}
	r.behind = clockOf(res.Header, before, after)
	return r, nil
}

// clockOf is how far the clock of an answer is ahead of Sluice's, given Sluice's time before and
// after the request.
func clockOf(h http.Header, before, after time.Time) time.Duration {
	at, err := http.ParseTime(h.Get("Date"))
	switch {
	case err != nil:
		return 0
	case at.Sub(after) >= skewNoted:
		return at.Sub(after)
	case before.Sub(at) >= skewNoted:
		return at.Sub(before)
	}
	return 0
}

// open sends one call. The caller reads and closes the body, which is always decompressed: Langflow
// 1.6 compresses lists even for clients that did not ask for it.
func (c call) open(ctx context.Context, to *builder.Client) (*http.Response, error) {
	var body io.Reader
	kind := ""
	switch {
	case c.form != nil:
		body, kind = strings.NewReader(c.form.Encode()), "application/x-www-form-urlencoded"
	case c.json != nil:
		data, err := json.Marshal(c.json)
		if err != nil {
			return nil, fmt.Errorf("encoding a request to Langflow: %w", err)
		}
		body, kind = strings.NewReader(string(data)), "application/json"
	}
	u := to.Base.JoinPath(c.path)
	u.RawQuery = c.query
	req, err := http.NewRequestWithContext(ctx, c.method, u.String(), body)
	if err != nil {
		return nil, problem.New(problem.Invalid, "The builder's address is not a usable URL.").
			WithField("url").
			WithCause(err)
	}
	if c.header != nil {
		req.Header = c.header.Clone()
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	res, err := to.Do(req)
	if err != nil {
		return nil, to.Unreachable(err)
	}
	if !strings.EqualFold(res.Header.Get("Content-Encoding"), "gzip") {
		return res, nil
	}
	plain, err := gzip.NewReader(res.Body)
	if err != nil {
		_ = res.Body.Close()
		return nil, to.Unreachable(err)
	}
	res.Body = unpacked{plain, res.Body}
	return res, nil
}

// unpacked reads a decompressed body and closes the compressed one below it.
type unpacked struct {
	io.Reader
	io.Closer
}

// page reports whether a page came instead of an answer. Langflow up to 1.6 sends its own page with
// status 200 for everything it cannot find.
func (r *reply) page() bool { return r.Status == http.StatusOK && !r.JSON }

// detail is Langflow's description of an error.
func (r *reply) detail() string { return r.Text("detail") }

// trouble turns an unexpected answer into an error that explains it.
func (r *reply) trouble(doing string) error {
	switch {
	case r.Status == http.StatusTooManyRequests:
		return limited(r.retryAfter())
	case r.Status >= 500:
		return problem.Newf(problem.Unavailable, "Langflow could not answer (%s: "+
			"status %d).", doing, r.Status).
			WithRetryAfter(2 * time.Second).
			WithNext("It may be starting or busy; Sluice tries again automatically. If this continues, see " +
				"Langflow's log.")
	case !r.JSON:
		return problem.Newf(problem.Unavailable, "A page arrived instead of Langflow's answer (%s: "+
			"status %d).", doing, r.Status).
			WithRetryAfter(5 * time.Second).
			WithNext("Langflow is being upgraded, or another server answers at its address; Sluice tries again " +
				"automatically.")
	}
	text := builder.Clip(r.detail(), 120)
	if !profile.PlainText(text) {
		text = ""
	}
	return problem.Newf(problem.Upstream, "Langflow refused: %s (status %d) %s", doing, r.Status, text).
		WithNext("See Langflow's log.")
}

// retryAfter is how long to wait after a 429 (RFC 9110 section 10.2.3, in seconds): a minute if the
// answer does not say, and at most two.
func (r *reply) retryAfter() time.Duration {
	n, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if err != nil || n < 1 {
		return time.Minute
	}
	return min(time.Duration(n)*time.Second, 2*time.Minute)
}

// decode reads an answer of a known shape.
func (r *reply) decode(v any) bool { return r.JSON && json.Unmarshal(r.Body, v) == nil }
