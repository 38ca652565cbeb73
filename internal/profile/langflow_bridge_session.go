package profile

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"sluice/internal/problem"
)

const (
	// langflowTokenLife is how long a token is good that Sluice signs; langflowTokenDue is when it is replaced in the background, langflowReserve how long before its end it is used no more.
	langflowTokenLife = 5 * time.Minute
	langflowTokenDue  = langflowTokenLife * 7 / 10
	langflowReserve   = 20 * time.Second
	// langflowBackdate is how much earlier than now an assertion says that it was issued: Langflow refuses those of the future.
	langflowBackdate = time.Minute
	// langflowLookAgain is when a token is tested again that could not be tested because Langflow was busy.
	langflowLookAgain = 10 * time.Second
)

// langflowSession is what opens an account. It is immutable; the slices are shared by the headers of many requests.
type langflowSession struct {
	// bearer and cookie carry a token of Langflow's own, assertion one of Sluice's.
	bearer, cookie, assertion []string
	token                     string
	// refresh gets the next token after a sign-in; empty for tokens that Sluice signs.
	refresh string
	// made is when it was, due when it is renewed, dead when it is used no more.
	made, due, dead time.Time
}

// attach puts the session into the headers of a request.
func (s *langflowSession) attach(h http.Header) {
	if s.assertion != nil {
		h[HeaderAssertion] = s.assertion
		return
	}
	h["Authorization"], h["Cookie"] = s.bearer, s.cookie
}

// header is a new set of headers with the session.
func (s *langflowSession) header() http.Header {
	h := http.Header{}
	s.attach(h)
	return h
}

// langflowNative is a session of a token of Langflow's own.
func langflowNative(token string, now time.Time, life time.Duration) *langflowSession {
	return &langflowSession{
		bearer: []string{"Bearer " + token}, cookie: []string{"access_token_lf=" + token}, token: token,
		made: now, due: now.Add(life * 7 / 10), dead: now.Add(max(life-langflowReserve, life/2)),
	}
}

// mint signs a token as Langflow itself does (HS256 with LANGFLOW_SECRET_KEY, claims sub, type and exp), good by Langflow's clock.
func (b *LangflowBridge) mint(account string) *langflowSession {
	now := b.cfg.Now()
	claims, err := json.Marshal(map[string]any{"sub": account, "type": "access", "exp": now.Add(b.clock() + langflowTokenLife).Unix()})
	if err != nil {
		return nil
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	mac := hmac.New(sha256.New, []byte(b.cfg.SecretKey))
	mac.Write([]byte(text))
	return langflowNative(text+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), now, langflowTokenLife)
}

// langflowClaims are what Sluice asserts to a Langflow with external authentication (RFC 7519 section 4.1, and OpenID Connect's preferred_username).
type langflowClaims struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	Subject  string `json:"sub"`
	Username string `json:"preferred_username"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

// assert signs an assertion for an account's home.
func (b *LangflowBridge) assert(home langflowHome, username string) (*langflowSession, error) {
	now := b.cfg.Now()
	claims := langflowClaims{
		Issuer: b.cfg.Issuer, Audience: b.cfg.Audience, Subject: "workspace:" + home.workspace, Username: username,
		Issued: now.Add(b.clock() - langflowBackdate).Unix(), Expires: now.Add(b.clock() + langflowTokenLife).Unix(),
	}
	if home.person != "" {
		claims.Subject += ":person:" + home.person
	}
	token, err := b.cfg.Sign(claims)
	if err != nil {
		return nil, fmt.Errorf("signing an assertion for Langflow: %w", err)
	}
	return &langflowSession{assertion: []string{token}, token: token, made: now, due: now.Add(langflowTokenDue), dead: now.Add(langflowTokenLife - langflowReserve)}, nil
}

// langflowFlight runs one piece of work at a time, for all who need it, and pauses after failures.
type langflowFlight struct {
	mu       sync.Mutex
	done     chan struct{} // not nil while it runs; closed when it ends
	failures int
	retryAt  time.Time
	err      error
}

// start begins the work unless it runs already, and returns what is closed when it ends. During the pause after a failure it is nil, with the failure.
func (f *langflowFlight) start(b *LangflowBridge, work func(context.Context) error) (<-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done != nil {
		return f.done, nil
	}
	if pause := f.retryAt.Sub(b.cfg.Now()); pause > 0 && f.err != nil {
		return nil, problem.Of(f.err).WithRetryAfter(max(pause, time.Second))
	}
	if b.life.Err() != nil {
		return nil, problem.New(problem.Unavailable, "This app is being removed or restarted.").WithRetryAfter(time.Second)
	}
	f.done = make(chan struct{})
	b.running.Go(func() {
		ctx, cancel := context.WithTimeout(b.life, langflowPatience)
		defer cancel()
		err := work(ctx)
		f.mu.Lock()
		defer f.mu.Unlock()
		close(f.done)
		f.done, f.err, f.retryAt = nil, err, time.Time{}
		if f.failures++; err == nil {
			f.failures = 0
			return
		}
		f.retryAt = b.cfg.Now().Add(langflowPause(err, f.failures))
	})
	return f.done, nil
}

// langflowPause is the pause after a failure: longer where only a person can mend it.
func langflowPause(err error, failures int) time.Duration {
	p := problem.Of(err)
	switch p.Kind {
	case problem.Limited:
		return max(p.RetryAfter, time.Second)
	case problem.Unauthenticated, problem.Conflict:
		return refusedBackoff
	}
	return min(time.Second<<min(failures-1, 10), maxBackoff)
}

// do is start, and waiting for the end.
func (f *langflowFlight) do(ctx context.Context, b *LangflowBridge, work func(context.Context) error) error {
	done, err := f.start(b, work)
	if err != nil {
		return err
	}
	select {
	case <-done:
	case <-ctx.Done():
		if pause := b.signInPause(); pause > 0 {
			return limitedLangflow(pause).WithCause(ctx.Err())
		}
		return problem.New(problem.Unavailable, "Sluice is still signing in to Langflow.").WithRetryAfter(2 * time.Second).WithCause(ctx.Err())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
