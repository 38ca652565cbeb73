package langflow

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"sluice/internal/builder"
	"sluice/internal/problem"
)

// tokenAssumed is how long Langflow's tokens are valid if they do not say. It is Langflow's own
// default.
const tokenAssumed = time.Hour

// signIns signs users in with their passwords.
type signIns struct {
	cfg  *builder.BridgeConfig
	wire *wire

	turn    sync.Mutex   // one sign-in at a time, because Langflow counts them
	waitFor atomic.Int64 // when Langflow accepts the next one, in unix ns
}

// do signs a user in with a password. Langflow limits sign-ins by address, so they run one after
// another, and do waits after a refusal for their number. Errors: problem.Unauthenticated.
func (si *signIns) do(ctx context.Context, username, password string) (*session, error) {
	si.turn.Lock()
	defer si.turn.Unlock()
	for try := 0; ; try++ {
		if err := si.wait(ctx); err != nil {
			return nil, err
		}
		r, err := si.wire.do(ctx, call{
			method: http.MethodPost,
			path:   "/api/v1/login",
			form:   url.Values{"username": {username}, "password": {password}},
		})
		if err != nil {
			return nil, err
		}
		switch r.Status {
		case http.StatusOK:
			return si.read(r)
		case http.StatusBadRequest, http.StatusUnauthorized:
			if !r.JSON {
				return nil, r.trouble("signing in")
			}
			return nil, problem.Newf(
				problem.Unauthenticated,
				"Langflow did not sign %q in: %s.",
				builder.Clip(username, 60),
				builder.Clip(r.detail(), 80),
			)
		case http.StatusTooManyRequests:
			si.waitFor.Store(si.cfg.Now().Add(r.retryAfter()).UnixNano())
			si.cfg.Log.Warn(
				"Langflow allows only a few sign-ins per minute; Sluice waits",
				"host", si.cfg.Base.Host,
				"wait", r.retryAfter().String(),
			)
			if try == 0 {
				continue
			}
		}
		return nil, r.trouble("signing in")
	}
}

// pause is how long Langflow will refuse sign-ins; 0 or less if it accepts one now.
func (si *signIns) pause() time.Duration {
	return time.Unix(0, si.waitFor.Load()).Sub(si.cfg.Now())
}

// limited is the error that people see while Langflow refuses sign-ins.
func limited(pause time.Duration) *problem.Error {
	return problem.New(problem.Limited, "Langflow allows only a few sign-ins per minute, and the limit is reached.").
		WithRetryAfter(pause).
		WithNext("Wait a minute. To raise the limit, set LANGFLOW_RATE_LIMIT_PER_MINUTE at Langflow.")
}

// wait waits until Langflow accepts the next sign-in.
func (si *signIns) wait(ctx context.Context) error {
	pause := si.pause()
	if pause <= 0 {
		return nil
	}
	if end, ok := ctx.Deadline(); ok && time.Until(end) < pause {
		return limited(pause)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return limited(pause).WithCause(ctx.Err())
	}
}

// read reads the answer to a sign-in or a refresh.
func (si *signIns) read(r *reply) (*session, error) {
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if !r.decode(&tokens) || !jwtPlain(tokens.Access) {
		return nil, r.trouble("signing in")
	}
	now := si.cfg.Now()
	life := tokenAssumed
	if expires, ok := builder.TokenExpiry(tokens.Access); ok {
		if told := expires.Sub(now) - r.behind; told >= tokenReserve && told < 2*24*time.Hour {
			life = told
		}
	}
	s := nativeSession(tokens.Access, now, life)
	if jwtPlain(tokens.Refresh) {
		s.refresh = tokens.Refresh
	}
	return s, nil
}

// jwtPlain reports whether a text is safe as a token in a header: base64url parts and dots.
func jwtPlain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '=':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 8<<10
}

// opens reports whether a session belongs to the account with this id.
func (si *signIns) opens(ctx context.Context, s *session, id string) bool {
	r, err := si.wire.whoami(ctx, s.header())
	if err != nil {
		return problem.Is(err, problem.Timeout)
	}
	var u upstreamUser
	return r.Status == http.StatusOK && r.decode(&u) && u.ID == id
}
