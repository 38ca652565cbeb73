package console

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// op is an OpenID Connect provider that signs its present user in without a question.
type op struct {
	*httptest.Server
	t   *testing.T
	now func() time.Time
	key *ecdsa.PrivateKey

	mu    sync.Mutex
	user  map[string]any
	codes map[string]map[string]any
}

func (s *site) op() *op {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal(s.t, err)
	p := &op{t: s.t, now: s.clock.now, key: key, codes: map[string]map[string]any{}, user: map[string]any{
		"sub":                "u1",
		"preferred_username": "zoe",
		"email":              "zoe@example.org",
		"email_verified":     true,
		"name":               "Zoë <Example>",
		"groups":             []string{"authors"},
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		sendJSON(w, 200, map[string]any{
			"issuer":                 p.URL,
			"authorization_endpoint": p.URL + "/authorize",
			"token_endpoint":         p.URL + "/token",
			"jwks_uri":               p.URL + "/jwks",
			"end_session_endpoint":   p.URL + "/end",
			"id_token_signing_alg_values_supported": []string{
				"ES256",
			},
			"code_challenge_methods_supported": []string{"S256"},
			"backchannel_logout_supported":     true,
		})
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		sendJSON(w, 200, jose.JSONWebKeySet{
			Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}},
		})
	})
	mux.HandleFunc("/authorize", p.authorize)
	mux.HandleFunc("/token", p.token)
	p.Server = httptest.NewServer(mux)
	s.t.Cleanup(p.Close)
	return p
}

func (p *op) signed(typ string, claims map[string]any) string {
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: "k"}},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)),
	)
	fatal(p.t, err)
	payload, err := json.Marshal(claims)
	fatal(p.t, err)
	jws, err := signer.Sign(payload)
	fatal(p.t, err)
	text, err := jws.CompactSerialize()
	fatal(p.t, err)
	return text
}

func (p *op) authorize(w http.ResponseWriter, r *http.Request) {
	q, code := r.URL.Query(), rand.Text()
	p.mu.Lock()
	claims := maps.Clone(p.user)
	claims["nonce"], claims["challenge"] = q.Get("nonce"), q.Get("code_challenge")
	if q.Get("prompt") == "login" {
		claims["auth_time"] = p.now().Unix()
	}
	p.codes[code] = claims
	p.mu.Unlock()
	http.Redirect(
		w,
		r,
		q.Get("redirect_uri")+"?"+url.Values{"state": {q.Get("state")}, "code": {code}}.Encode(),
		http.StatusSeeOther,
	)
}

func (p *op) token(w http.ResponseWriter, r *http.Request) {
	code := r.PostFormValue("code")
	p.mu.Lock()
	claims := p.codes[code]
	delete(p.codes, code)
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if claims == nil || claims["challenge"] != base64.RawURLEncoding.EncodeToString(sum[:]) {
		sendJSON(w, 400, map[string]any{"error": "invalid_grant"})
		return
	}
	delete(claims, "challenge")
	maps.Copy(claims, map[string]any{
		"iss": p.URL,
		"aud": "sluice",
		"iat": p.now().Unix(),
		"exp": p.now().Add(time.Minute).Unix(),
		"sid": "s-" + code,
	})
	sendJSON(
		w,
		200,
		map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "id_token": p.signed("JWT", claims)},
	)
}

// through goes to the provider and comes back: it returns where the browser is sent on Sluice.
func (b *browser) through(to string) string {
	b.s.t.Helper()
	res, err := b.client.Get(to)
	fatal(b.s.t, err)
	_ = res.Body.Close()
	back, err := url.Parse(res.Header.Get("Location"))
	fatal(b.s.t, err)
	if back.Path == "" {
		b.s.t.Fatalf("the provider answers %d", res.StatusCode)
	}
	return back.RequestURI()
}

// awayTo is the address that a page opens automatically.
func awayTo(t *testing.T, page reply) string {
	t.Helper()
	links := selectAll(page.want(t, 200, "").body, "meta[http-equiv=refresh]")
	if len(links) != 1 {
		t.Fatalf("the page leads nowhere: %.500s", main(page.body))
	}
	to := links[0].attrs["content"][len("0; url="):]
	has(t, page.body, "a[href="+to+"]")
	return to
}
