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

// upstreamUser is a Langflow user as Langflow describes it (its UserRead).
type upstreamUser struct {
	ID        string `json:"id"`
	Username  string `json:"username"`
	Active    bool   `json:"is_active"`
	Superuser bool   `json:"is_superuser"`
}

// wire is the connection to one Langflow: the client, the tokens that Sluice signs, and the
// difference of the clocks.
type wire struct {
	cfg    *builder.BridgeConfig
	client *builder.Client
	skew   atomic.Int64 // how far Langflow's clock is ahead, in ns
}

// do sends one call and reads the answer.
func (w *wire) do(ctx context.Context, c call) (*reply, error) { return c.do(ctx, w.client, w.cfg.Now) }

// open sends one call. The caller reads and closes the body.
func (w *wire) open(ctx context.Context, c call) (*http.Response, error) {
	return c.open(ctx, w.client)
}

// whoami asks Langflow whose session this is. The reply also reveals the difference of the clocks.
func (w *wire) whoami(ctx context.Context, h http.Header) (*reply, error) {
	return w.do(ctx, call{method: http.MethodGet, path: "/api/v1/users/whoami", header: h})
}

// clock is how far Langflow's clock is ahead of Sluice's.
func (w *wire) clock() time.Duration { return time.Duration(w.skew.Load()) }

// maxSkew is the largest clock difference that Sluice compensates for. A token signed for
// Langflow's clock stays valid that much longer by other clocks.
const maxSkew = 24 * time.Hour

// adjust adopts the clock difference of an answer, and reports whether that changes the tokens that
// Sluice signs.
func (w *wire) adjust(r *reply) (bool, error) {
	if (r.behind - w.clock()).Abs() < skewNoted {
		return false, nil
	}
	if r.behind.Abs() > maxSkew {
		return false, problem.Newf(problem.Conflict, "Langflow's clock differs from Sluice's by %s, so tokens "+
			"expire before they arrive.", r.behind.Round(time.Minute)).
			WithNext("Correct the clocks of both machines, for example with NTP.")
	}
	w.takeClock(r)
	return true, nil
}

// drifts adopts a clock difference that would make tokens expire before they are renewed, even
// though this one was accepted. It reports whether it adopted one.
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
		"Langflow's clock differs from Sluice's; Sluice dates tokens by Langflow's clock",
		"host", w.cfg.Base.Host,
		"later_by", r.behind.Round(time.Second).String(),
	)
}

const (
	// tokenLife is how long a token signed by Sluice is valid. tokenDue is when it is replaced in
	// the background, and tokenReserve how long before its expiry it is no longer used.
	tokenLife    = 5 * time.Minute
	tokenDue     = tokenLife * 7 / 10
	tokenReserve = 20 * time.Second
	// backdate is how far in the past an assertion claims to have been issued, because Langflow
	// refuses assertions from the future.
	backdate = time.Minute
	// lookAgain is when to retest a token that could not be tested because Langflow was busy.
	lookAgain = 10 * time.Second
)

// mint signs a token as Langflow itself does (HS256 with LANGFLOW_SECRET_KEY, claims sub, type and
// exp), valid by Langflow's clock.
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

// assertionClaims are the claims that Sluice asserts to a Langflow with external authentication
// (RFC 7519 section 4.1, and OpenID Connect's preferred_username).
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

// assertTested signs an assertion and asks Langflow which user it identifies. After a Timeout the
// assertion is returned untested.
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
		return problem.New(problem.Conflict, "Langflow ignores Sluice's assertion: its external authentication "+
			"is off, reads another header, or is missing from this version (it starts with 1.10).").
			WithField("mode").
			WithNext("Set the LANGFLOW_EXTERNAL_AUTH variables as Sluice shows them, and restart Langflow.")
	}
	return problem.New(problem.Conflict, "Langflow reads Sluice's assertion but refuses it: the JWKS address, "+
		"the issuer or the audience is not Sluice's, or the account is deactivated in Langflow.").
		WithField("mode").
		WithNext("Compare LANGFLOW_EXTERNAL_AUTH_JWKS_URL, _ISSUER and _AUDIENCE with the values that Sluice " +
			"shows, and check that Langflow can reach that address.")
}

// testSecret tests whether Langflow accepts a token signed with the secret key for the superuser's
// own id.
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
	return problem.New(problem.Conflict, "The secret keys differ: Langflow does not accept tokens that Sluice "+
		"signs with LANGFLOW_SECRET_KEY.").
		WithField("secret_key").
		WithNext("Enter the LANGFLOW_SECRET_KEY that Langflow runs with, or the content of the file secret_key " +
			"in its LANGFLOW_CONFIG_DIR. Langflow's LANGFLOW_ALGORITHM must be HS256.")
}
