package langflow

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// audience is the audience of the assertions for a Langflow.
const audience = "langflow"

// upstreamUser is what Langflow says of a user (its UserRead).
type upstreamUser struct {
	ID        string `json:"id"`
	Username  string `json:"username"`
	Active    bool   `json:"is_active"`
	Superuser bool   `json:"is_superuser"`
}

// wire is how Sluice talks with one Langflow: its client, what it signs for it, and the difference
// of the clocks.
type wire struct {
	cfg    *builder.BridgeConfig
	client *builder.Client
	skew   atomic.Int64 // how much later Langflow's clock is, in ns
}

// do makes one call and reads the answer.
func (w *wire) do(ctx context.Context, c call) (*reply, error) { return c.do(ctx, w.client, w.cfg.Now) }

// open makes one call; the caller reads and closes the body.
func (w *wire) open(ctx context.Context, c call) (*http.Response, error) {
	return c.open(ctx, w.client)
}

// whoami asks Langflow whose a session is, and learns the difference of the clocks by the way.
func (w *wire) whoami(ctx context.Context, h http.Header) (*reply, error) {
	return w.do(ctx, call{method: http.MethodGet, path: "/api/v1/users/whoami", header: h})
}

// clock is how much later Langflow's clock is than Sluice's.
func (w *wire) clock() time.Duration { return time.Duration(w.skew.Load()) }

// maxSkew is the largest difference of clocks that Sluice makes up for: what it signs for
// Langflow's clock is good for so much longer by others.
const maxSkew = 24 * time.Hour

// adjust takes over the difference of the clocks that an answer tells, and reports whether that
// changed what would be signed.
func (w *wire) adjust(r *reply) (bool, error) {
	if (r.behind - w.clock()).Abs() < skewNoted {
		return false, nil
	}
	if r.behind.Abs() > maxSkew {
		return false, problem.Newf(problem.Conflict, "Langflow's clock differs from Sluice's by %s; tokens are over "+
			"before they arrive.", r.behind.Round(time.Minute)).
			WithNext("Set the clocks of both machines right, for example by NTP.")
	}
	w.takeClock(r)
	return true, nil
}

// drifts takes over a difference of the clocks that would end tokens before they are renewed,
// though this one was accepted.
func (w *wire) drifts(r *reply) bool {
	if (r.behind-w.clock()).Abs() < skewNoted || r.behind.Abs() > maxSkew {
		return false
	}
	w.takeClock(r)
	return true
}

func (w *wire) takeClock(r *reply) {
	w.skew.Store(int64(r.behind))
	w.cfg.Log.Warn(
		"Langflow's clock differs from Sluice's; tokens are made for its clock",
		"host", w.cfg.Base.Host,
		"later_by", r.behind.Round(time.Second).String(),
	)
}

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

// mint signs a token as Langflow itself does (HS256 with LANGFLOW_SECRET_KEY, claims sub, type and
// exp), good by Langflow's clock.
func (w *wire) mint(account string) *session {
	now := w.cfg.Now()
	claims, err := json.Marshal(
		map[string]any{"sub": account, "type": "access", "exp": now.Add(w.clock() + tokenLife).Unix()},
	)
	if err != nil {
		return nil
	}
	text := base64.RawURLEncoding.EncodeToString(
		[]byte(`{"alg":"HS256","typ":"JWT"}`),
	) + "." + base64.RawURLEncoding.EncodeToString(
		claims,
	)
	mac := hmac.New(sha256.New, []byte(w.cfg.Access.SecretKey))
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
func (w *wire) assert(home homeKey, username string) (*session, error) {
	now := w.cfg.Now()
	claims := assertionClaims{
		Issuer: w.cfg.Issuer, Audience: audience, Subject: "workspace:" + home.workspace, Username: username,
		Issued: now.Add(w.clock() - backdate).Unix(), Expires: now.Add(w.clock() + tokenLife).Unix(),
	}
	if home.person != "" {
		claims.Subject += ":person:" + home.person
	}
	token, err := w.cfg.Sign(claims)
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

// assertTested signs an assertion and asks Langflow whom it takes that for. With a Timeout the
// assertion is good as far as Sluice knows.
func (w *wire) assertTested(ctx context.Context, home homeKey, username string) (*session, upstreamUser, error) {
	for range 2 {
		s, err := w.assert(home, username)
		if err != nil {
			return nil, upstreamUser{}, err
		}
		r, err := w.whoami(ctx, s.header())
		if err != nil {
			return s, upstreamUser{}, err
		}
		if r.Status != http.StatusUnauthorized && r.Status != http.StatusForbidden {
			var u upstreamUser
			if r.Status != http.StatusOK || !r.decode(&u) || !profile.IsUUID(u.ID) {
				return nil, u, r.trouble("reading Sluice's assertion")
			}
			if w.drifts(r) {
				s, err = w.assert(home, username)
			}
			return s, u, err
		}
		if adjusted, err := w.adjust(r); err != nil {
			return nil, upstreamUser{}, err
		} else if !adjusted {
			return nil, upstreamUser{}, w.assertionRefused(r.Status)
		}
	}
	return nil, upstreamUser{}, w.assertionRefused(http.StatusUnauthorized)
}

func (w *wire) assertionRefused(status int) error {
	if status == http.StatusForbidden {
		return problem.New(problem.Conflict, "Langflow does not look at Sluice's assertion: its external "+
			"authentication is off, reads another header, or this version has none (it came with 1.10).").
			WithField("mode").
			WithNext("Set the LANGFLOW_EXTERNAL_AUTH variables as Sluice shows them, and restart Langflow.")
	}
	return problem.New(problem.Conflict, "Langflow sees Sluice's assertion and does not accept it: the JWKS address, "+
		"the issuer or the audience are not Sluice's, or the account is switched off in Langflow.").
		WithField("mode").
		WithNext("Compare LANGFLOW_EXTERNAL_AUTH_JWKS_URL, _ISSUER and _AUDIENCE with what Sluice shows, and see " +
			"that Langflow can reach that address.")
}

// testSecret tells whether Langflow accepts what the secret key signs, by the superuser's own id.
func (w *wire) testSecret(ctx context.Context, superuser string) error {
	for range 2 {
		r, err := w.whoami(ctx, w.mint(superuser).header())
		if err != nil {
			return err
		}
		if r.Status == http.StatusOK && r.JSON {
			return nil
		}
		if r.Status != http.StatusUnauthorized && r.Status != http.StatusForbidden {
			return r.trouble("testing the secret key")
		}
		if adjusted, err := w.adjust(r); err != nil {
			return err
		} else if !adjusted {
			break
		}
	}
	return problem.New(problem.Conflict, "The secret keys differ: Langflow does not accept what Sluice signs with "+
		"LANGFLOW_SECRET_KEY.").
		WithField("secret_key").
		WithNext("Give Sluice the LANGFLOW_SECRET_KEY that Langflow runs with, or the content of the file secret_key " +
			"in its LANGFLOW_CONFIG_DIR. Langflow's LANGFLOW_ALGORITHM must be HS256.")
}
