package sso

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// providerTime is how long a provider may take to answer.
	providerTime = 10 * time.Second
	// maxAnswer bounds how much of a provider's answer is read.
	maxAnswer = 1 << 20
	// fetchTime bounds one fetch, regardless of the client's own limit.
	fetchTime = 15 * time.Second
	// retryFailed is how long a failed fetch is not repeated, so that requests do not flood a
	// provider that is down.
	retryFailed = 5 * time.Second
)

// errTooLarge is an answer above maxAnswer.
var errTooLarge = errors.New("the answer is larger than 1 MiB")

// ProviderClient returns the client for requests to identity providers. dial may be nil. The client
// uses no proxy from the environment, waits at most limit, and reads at most 1 MiB of an answer. It
// follows redirects only for reads and within the same host, because a token request holds secrets
// that no redirect may carry away.
func ProviderClient(
	limit time.Duration, dial func(ctx context.Context, network, address string) (net.Conn, error),
) *http.Client {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	}
	return &http.Client{
		Timeout: limit,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			first := via[0]
			if len(via) > 3 || req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme ||
				first.Method != http.MethodGet {
				return http.ErrUseLastResponse
			}
			return nil
		},
		Transport: boundedTransport{&http.Transport{
			Proxy:                  nil,
			DialContext:            dial,
			TLSHandshakeTimeout:    5 * time.Second,
			ResponseHeaderTimeout:  limit,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           20,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        60 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		}},
	}
}

// boundedTransport cuts off bodies that are too large.
type boundedTransport struct{ next http.RoundTripper }

func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(r)
	if err == nil {
		res.Body = &boundedBody{ReadCloser: res.Body, left: maxAnswer}
	}
	return res, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	if b.left -= n; b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// statusError is an answer with a status other than 200.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("it answered with status %d", int(e)) }

// formError is an answer that is not JSON of the expected form.
type formError struct{ cause error }

func (e formError) Error() string { return "its answer is not the expected JSON" }

func (e formError) Unwrap() error { return e.cause }

// getJSON reads a JSON document. header may be nil.
func getJSON(
	ctx context.Context, client *http.Client, address string, header http.Header, into any,
) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return res.Header, statusError(res.StatusCode)
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind == "application/jwt" {
		return res.Header, formError{errors.New("a signed answer (application/jwt)")}
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return res.Header, err
	}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return res.Header, formError{err}
	}
	return res.Header, nil
}

// reasonOf returns in a few words why a request to a provider failed, and whether it was only slow.
// The text contains nothing that the provider has sent.
func reasonOf(err error) (reason string, slow bool) {
	var (
		status statusError
		form   formError
		dns    *net.DNSError
		cert   *tls.CertificateVerificationError
		wire   tls.RecordHeaderError
		op     *net.OpError
		at     *url.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &at) && at.Timeout():
		return "it does not answer in time", true
	case errors.Is(err, context.Canceled):
		return "the request was canceled", true
	case errors.Is(err, errTooLarge):
		return errTooLarge.Error(), false
	case errors.As(err, &status):
		return status.Error(), false
	case errors.As(err, &form):
		return form.Error(), false
	case errors.As(err, &dns):
		return "its name cannot be resolved", false
	case errors.As(err, &cert):
		return "its certificate is not trusted on this machine", false
	case errors.As(err, &wire):
		return "it does not speak TLS", false
	case errors.As(err, &op) && op.Op == "dial":
		return "it cannot be reached", false
	}
	return "the connection failed", false
}

// fetches owns the goroutines that make requests to providers. They outlive the request that began
// them, because others wait for the same answer, and stop with the providers.
type fetches struct {
	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex // held while a fetch starts, so that none starts after stop
	group  sync.WaitGroup
}

func newFetches() *fetches {
	ctx, cancel := context.WithCancel(context.Background())
	return &fetches{ctx: ctx, cancel: cancel}
}

// start runs fetch on a goroutine of its own. After stop it does nothing and returns false.
func (f *fetches) start(fetch func(context.Context)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() != nil {
		return false
	}
	f.group.Go(func() { fetch(f.ctx) })
	return true
}

// stop cancels all fetches and waits until they have returned.
func (f *fetches) stop() {
	f.mu.Lock()
	f.cancel()
	f.mu.Unlock()
	f.group.Wait()
}

// fetched is a value of a provider that is fetched on demand. One fetch serves all who wait, and no
// lock is held while it runs.
type fetched[T any] struct {
	mu      sync.Mutex
	value   T
	at      time.Time // of value; zero for never
	err     error
	errAt   time.Time
	running chan struct{}
}

// get returns the value if it was fetched after a time, and fetches it otherwise. If the fetch
// fails, a value that is younger than stale is used a while longer.
func (f *fetched[T]) get(
	ctx context.Context,
	owner *fetches,
	now func() time.Time,
	after time.Time,
	stale time.Duration,
	fetch func(context.Context) (T, error),
) (T, error) {
	f.mu.Lock()
	if !f.at.IsZero() && f.at.After(after) {
		defer f.mu.Unlock()
		return f.value, nil
	}
	if f.err != nil && now().Sub(f.errAt) < retryFailed {
		defer f.mu.Unlock()
		return f.known(now(), stale)
	}
	if f.running == nil {
		done := make(chan struct{})
		if !owner.start(func(ctx context.Context) { f.run(ctx, now, fetch, done) }) {
			f.mu.Unlock()
			var none T
			return none, context.Canceled
		}
		f.running = done
	}
	running := f.running
	f.mu.Unlock()
	select {
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	case <-running:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known(now(), stale)
}

func (f *fetched[T]) run(
	ctx context.Context, now func() time.Time, fetch func(context.Context) (T, error), done chan struct{},
) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	value, err := fetch(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err, f.errAt = err, now(); err == nil {
		f.value, f.at = value, now()
	}
	f.running = nil
	close(done)
}

// known returns the outcome of the last fetch. The caller holds the lock.
func (f *fetched[T]) known(now time.Time, stale time.Duration) (T, error) {
	if f.err == nil || !f.at.IsZero() && now.Sub(f.at) < stale {
		return f.value, nil
	}
	var none T
	return none, f.err
}

// budget is a bounded number of attempts that grows back with time.
type budget struct {
	mu   sync.Mutex
	left int
	at   time.Time
}

const (
	budgetMost = 5
	budgetStep = 30 * time.Second
)

// take uses one attempt, if one is left.
func (b *budget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() {
		b.left, b.at = budgetMost, now
	}
	if grown := int(now.Sub(b.at) / budgetStep); grown > 0 {
		b.left, b.at = min(b.left+grown, budgetMost), b.at.Add(time.Duration(grown)*budgetStep)
	}
	if b.left == 0 {
		return false
	}
	b.left--
	return true
}
