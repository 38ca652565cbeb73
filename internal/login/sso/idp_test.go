package sso_test

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
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	clientID     = "sluice client"
	clientSecret = "s3cret/with:odd chars"
)

// idp is an OpenID Connect provider with its own keys. It behaves correctly until a test makes it
// lie.
type idp struct {
	*httptest.Server
	now func() time.Time

	mu     sync.Mutex
	kid    int
	key    *ecdsa.PrivateKey
	codes  map[string]grant
	access map[string]map[string]any
	hits   map[string]int
	user   map[string]any // the person who signs in: claims of the id token
	info   map[string]any // claims of userinfo; nil for no endpoint
	// These functions change its answers; each may be nil.
	claims    func(map[string]any)
	sign      func(payload []byte) string
	discovery func(map[string]any)
	query     func(url.Values)
	handle    map[string]http.HandlerFunc
}

// grant is what a code stands for.
type grant struct {
	nonce, challenge, redirect string
	user                       map[string]any
}

// startIDP starts a provider on loopback.
func startIDP(t testing.TB, now func() time.Time) *idp {
	t.Helper()
	p := &idp{
		now:    now,
		codes:  map[string]grant{},
		access: map[string]map[string]any{},
		hits:   map[string]int{},
		handle: map[string]http.HandlerFunc{},
		user: map[string]any{
			"sub":                "u1",
			"preferred_username": "zoe",
			"email":              "zoe@example.org",
			"email_verified":     true,
			"name":               "Zoë Example",
		},
	}
	p.rotate(t)
	mux := http.NewServeMux()
	for path, h := range map[string]http.HandlerFunc{
		"/.well-known/openid-configuration": p.serveDiscovery, "/authorize": p.serveAuthorize, "/token": p.serveToken,
		"/jwks": p.serveKeys, "/userinfo": p.serveUserInfo,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			p.hits[path]++
			other := p.handle[path]
			p.mu.Unlock()
			if other != nil {
				other(w, r)
				return
			}
			h(w, r)
		})
	}
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// set changes its behavior.
func (p *idp) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *idp) asked(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits[path]
}

// rotate creates a new key; the old one is no longer published.
func (p *idp) rotate(t testing.TB) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.set(func() { p.key, p.kid = key, p.kid+1 })
}

func (p *idp) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: p.key.Public(), KeyID: strconv.Itoa(p.kid), Algorithm: "ES256", Use: "sig"}
}

// signed is a token signed by the provider.
func (p *idp) signed(typ string, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sign != nil {
		return p.sign(payload)
	}
	return sign(jose.ES256, jose.JSONWebKey{Key: p.key, KeyID: strconv.Itoa(p.kid)}, typ, payload)
}

func sign(alg jose.SignatureAlgorithm, key any, typ string, payload []byte) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		panic(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return text
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (p *idp) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	document := map[string]any{
		"issuer":                 p.URL,
		"authorization_endpoint": p.URL + "/authorize",
		"token_endpoint":         p.URL + "/token",
		"jwks_uri":               p.URL + "/jwks",
		"end_session_endpoint":   p.URL + "/logout?theme=dark",
		"id_token_signing_alg_values_supported": []string{
			"ES256",
		},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic"},
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"backchannel_logout_supported":                   true,
		"scopes_supported":                               []string{"openid", "profile", "email"},
	}
	p.mu.Lock()
	if p.info != nil {
		document["userinfo_endpoint"] = p.URL + "/userinfo"
	}
	if p.discovery != nil {
		p.discovery(document)
	}
	p.mu.Unlock()
	answer(w, http.StatusOK, document)
}

func (p *idp) serveKeys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	key := p.public()
	p.mu.Unlock()
	answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}})
}

// serveAuthorize signs the current user in without a question.
func (p *idp) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("client_id") != clientID || q.Get("response_type") != "code" ||
		q.Get("code_challenge_method") != "S256" ||
		q.Get("state") == "" {
		http.Error(w, "not a request for a code", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	answer := url.Values{"state": {q.Get("state")}, "code": {code}, "iss": {p.URL}}
	p.mu.Lock()
	user := maps.Clone(p.user)
	if q.Get("prompt") == "login" {
		user["auth_time"] = p.now().Unix()
	}
	p.codes[code] = grant{q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri"), user}
	if p.query != nil {
		p.query(answer)
	}
	p.mu.Unlock()
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusSeeOther)
}

func (p *idp) serveToken(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	if id != clientID || secret != clientSecret {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	p.mu.Lock()
	g, ok := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge ||
		r.PostFormValue("redirect_uri") != g.redirect {
		answer(w, http.StatusBadRequest,
			map[string]string{"error": "invalid_grant", "error_description": "no such code"})
		return
	}
	access := rand.Text()
	half := sha256.Sum256([]byte(access))
	claims := map[string]any{
		"iss":     p.URL,
		"aud":     clientID,
		"iat":     p.now().Unix(),
		"exp":     p.now().Add(5 * time.Minute).Unix(),
		"nonce":   g.nonce,
		"sid":     "s-" + access[:6],
		"at_hash": base64.RawURLEncoding.EncodeToString(half[:16]),
	}
	maps.Copy(claims, g.user)
	p.mu.Lock()
	p.access[access] = g.user
	if p.claims != nil {
		p.claims(claims)
	}
	p.mu.Unlock()
	answer(
		w,
		http.StatusOK,
		map[string]any{
			"access_token": access,
			"token_type":   "Bearer",
			"expires_in":   300,
			"id_token":     p.signed("JWT", claims),
		},
	)
}

func (p *idp) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	user, ok := p.access[trimBearer(r.Header.Get("Authorization"))]
	if !ok {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	claims := map[string]any{"sub": user["sub"]}
	maps.Copy(claims, p.info)
	answer(w, http.StatusOK, claims)
}

func trimBearer(header string) string {
	const prefix = "Bearer "
	if len(header) > len(prefix) && header[:len(prefix)] == prefix {
		return header[len(prefix):]
	}
	return ""
}
