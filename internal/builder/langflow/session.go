package langflow

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

	"sluice/internal/builder"
	"sluice/internal/problem"
)

const (
	// tokenLife is how long a token is good that Sluice signs; tokenDue is when it is replaced in
	// the background, tokenReserve how long before its end it is used no more.
	tokenLife    = 5 * time.Minute
	tokenDue     = tokenLife * 7 / 10
	tokenReserve = 20 * time.Second
	// backdate is how much earlier than now an assertion says that it was issued: Langflow refuses
	// those of the future.
	backdate = time.Minute
	// lookAgain is when a token is tested again that could not be tested because Langflow was busy.
	lookAgain = 10 * time.Second
)

// session is what opens an account. It is immutable; the slices are shared by the headers of many
// requests.
type session struct {
	// bearer and cookie carry a token of Langflow's own, assertion one of Sluice's.
	bearer, cookie, assertion []string
	token                     string
	// refresh gets the next token after a sign-in; empty for tokens that Sluice signs.
	refresh string
	// made is when it was, due when it is renewed, dead when it is used no more.
	made, due, dead time.Time
}

// attach puts the session into the headers of a request.
func (s *session) attach(h http.Header) {
	if s.assertion != nil {
		h[builder.HeaderAssertion] = s.assertion
		return
	}
	h["Authorization"], h["Cookie"] = s.bearer, s.cookie
}

// header is a new set of headers with the session.
func (s *session) header() http.Header {
	h := http.Header{}
	s.attach(h)
	return h
}

// nativeSession is a session of a token of Langflow's own.
func nativeSession(token string, now time.Time, life time.Duration) *session {
	return &session{
		bearer: []string{"Bearer " + token}, cookie: []string{"access_token_lf=" + token}, token: token,
		made: now, due: now.Add(life * 7 / 10), dead: now.Add(max(life-tokenReserve, life/2)),
	}
}

// mint signs a token as Langflow itself does (HS256 with LANGFLOW_SECRET_KEY, claims sub, type and
// exp), good by Langflow's clock.
func (b *bridge) mint(account string) *session {
	now := b.cfg.Now()
	claims, err := json.Marshal(
		map[string]any{"sub": account, "type": "access", "exp": now.Add(b.clock() + tokenLife).Unix()},
	)
	if err != nil {
		return nil
	}
	text := base64.RawURLEncoding.EncodeToString(
		[]byte(`{"alg":"HS256","typ":"JWT"}`),
	) + "." + base64.RawURLEncoding.EncodeToString(
		claims,
	)
	mac := hmac.New(sha256.New, []byte(b.cfg.Access.SecretKey))
	mac.Write([]byte(text))
	return nativeSession(text+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), now, tokenLife)
}

// assertionClaims are what Sluice asserts to a Langflow with external authentication (RFC 7519
// section 4.1, and OpenID Connect's preferred_username).
type assertionClaims struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	Subject  string `json:"sub"`
	Username string `json:"preferred_username"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

// assert signs an assertion for an account's home.
func (b *bridge) assert(home homeKey, username string) (*session, error) {
	now := b.cfg.Now()
	claims := assertionClaims{
		Issuer: b.cfg.Issuer, Audience: audience, Subject: "workspace:" + home.workspace, Username: username,
		Issued: now.Add(b.clock() - backdate).Unix(), Expires: now.Add(b.clock() + tokenLife).Unix(),
	}
	if home.person != "" {
		claims.Subject += ":person:" + home.person
	}
	token, err := b.cfg.Sign(claims)
	if err != nil {
		return nil, fmt.Errorf("signing an assertion for Langflow: %w", err)
	}
	return &session{
		assertion: []string{token},
		token:     token,
		made:      now,
		due:       now.Add(tokenDue),
		dead:      now.Add(tokenLife - tokenReserve),
	}, nil
}

// singleFlight runs one piece of work at a time, for all who need it, and pauses after failures.
type singleFlight struct {
	mu       sync.Mutex
	done     chan struct{} // not nil while it runs; closed when it ends
	failures int
	retryAt  time.Time
	err      error
}

// start begins the work unless it runs already, and returns what is closed when it ends. During the
// pause after a failure it is nil, with the failure.
func (f *singleFlight) start(b *bridge, work func(context.Context) error) (<-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done != nil {
		return f.done, nil
	}
	if pause := f.retryAt.Sub(b.cfg.Now()); pause > 0 && f.err != nil {
		return nil, problem.Of(f.err).WithRetryAfter(max(pause, time.Second))
	}
	if b.life.Err() != nil {
		return nil, problem.New(problem.Unavailable, "This app is being removed or restarted.").
			WithRetryAfter(time.Second)
	}
	f.done = make(chan struct{})
	b.running.Go(func() {
		ctx, cancel := context.WithTimeout(b.life, patience)
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
		f.retryAt = b.cfg.Now().Add(pauseAfter(err, f.failures))
	})
	return f.done, nil
}

// pauseAfter is the pause after a failure: longer where only a person can mend it.
func pauseAfter(err error, failures int) time.Duration {
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
func (f *singleFlight) do(ctx context.Context, b *bridge, work func(context.Context) error) error {
	done, err := f.start(b, work)
	if err != nil {
		return err
	}
	select {
	case <-done:
	case <-ctx.Done():
		if pause := b.signInPause(); pause > 0 {
			return limited(pause).WithCause(ctx.Err())
		}
		return problem.New(problem.Unavailable, "Sluice is still signing in to Langflow.").
			WithRetryAfter(2 * time.Second).
			WithCause(ctx.Err())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
