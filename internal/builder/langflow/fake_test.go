package langflow

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"sluice/internal/authz"
	"sluice/internal/builder"
	"sluice/internal/profile"
)

const (
	fakeSecret   = "RkFLRUtFWUZPUlRFU1RTLTAxMjM0NTY3ODlhYmNkZWY"
	fakeAdmin    = "admin"
	fakePassword = "the superuser's password"
)

// langflow behaves like Langflow 1.13 in all that the bridge asks, and like 1.6.8 where old is set:
// the statuses and bodies are those that the real ones gave.
type langflow struct {
	*httptest.Server
	mu       sync.Mutex
	old      bool          // not found is a page; lists are compressed unasked
	secret   string        // LANGFLOW_SECRET_KEY
	ahead    time.Duration // its clock
	now      func() time.Time
	external *rsa.PublicKey // accepts assertions signed with this key
	noKeys   bool           // its secret key is no Fernet key
	html     bool           // a page answers everything: it is being upgraded
	busy     chan struct{}  // not nil: it answers when this is closed
	limited  int            // how many sign-ins answer 429
	users    map[string]*fakeUser
	counts   map[string]int
}

type fakeUser struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	Active   bool   `json:"is_active"`
	Super    bool   `json:"is_superuser"`
	password string
	keys     map[string]bool
	flows    []fakeFlow
}

type fakeFlow struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	UserID   string `json:"user_id"`
	Endpoint string `json:"endpoint_name"`
	Access   string `json:"access_type"`
}

func newFake(t testing.TB) *langflow {
	t.Helper()
	f := &langflow{secret: fakeSecret, counts: map[string]int{}, now: time.Now}
	f.reset()
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

// reset is a Langflow with a new database.
func (f *langflow) reset() {
	f.users = map[string]*fakeUser{}
	f.add(fakeAdmin, fakePassword).Super = true
}

func (f *langflow) add(name, password string) *fakeUser {
	u := &fakeUser{ID: uuid.NewString(), Username: name, password: password, Active: true, keys: map[string]bool{}}
	f.users[u.ID] = u
	return u
}

func (f *langflow) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *langflow) count(what string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[what]
}

func (f *langflow) named(name string) *fakeUser {
	for _, u := range f.users {
		if u.Username == name {
			return u
		}
	}
	return nil
}

func (f *langflow) clock() time.Time { return f.now().Add(f.ahead) }

func (f *langflow) sign(claims map[string]any) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encodeClaims(claims)
	mac := hmac.New(sha256.New, []byte(f.secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func encodeClaims(claims map[string]any) string {
	data, _ := json.Marshal(claims)
	return base64.RawURLEncoding.EncodeToString(data)
}

// claims checks a token of Langflow's own as Langflow does; the text is its error.
func (f *langflow) claims(token string) (map[string]any, string) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, "Invalid token"
	}
	mac := hmac.New(sha256.New, []byte(f.secret))
	mac.Write([]byte(parts[0] + "." + parts[1]))
	if base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) != parts[2] {
		return nil, "Invalid token"
	}
	data, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims map[string]any
	_ = json.Unmarshal(data, &claims)
	if exp, _ := claims["exp"].(float64); float64(f.clock().Unix()) > exp {
		return nil, "Token has expired"
	}
	return claims, ""
}

// who is the user of a request, or the status and text of Langflow's refusal.
func (f *langflow) who(r *http.Request) (*fakeUser, int, string) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch assertion := r.Header.Get(builder.HeaderAssertion); {
	case token != "":
		claims, trouble := f.claims(token)
		if trouble != "" {
			return nil, 401, trouble
		}
		id, _ := claims["sub"].(string)
		u := f.users[id]
		switch {
		case claims["type"] != "access":
			return nil, 401, "Invalid token type"
		case u == nil:
			return nil, 401, "Token authentication failed"
		case !u.Active:
			return nil, 401, "User account is inactive"
		}
		return u, 0, ""
	case assertion != "" && f.external != nil:
		return f.asserted(assertion)
	case r.Header.Get("X-Api-Key") != "":
		for _, u := range f.users {
			if u.keys[r.Header.Get("X-Api-Key")] {
				return u, 0, ""
			}
		}
		return nil, 403, "Invalid API key"
	}
	return nil, 403, "No authentication credentials provided"
}

// asserted is the user of an assertion; one who does not exist is made (JIT).
func (f *langflow) asserted(text string) (*fakeUser, int, string) {
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, 401, "Invalid token"
	}
	payload, err := signed.Verify(f.external)
	var c struct {
		Iss, Aud, Sub string
		Name          string `json:"preferred_username"`
		Exp, Iat      int64
	}
	now := f.clock().Unix()
	if err != nil || json.Unmarshal(payload, &c) != nil || c.Iss != "https://sluice.example.com" ||
		c.Aud != "langflow" ||
		now > c.Exp ||
		c.Iat > now {
		return nil, 401, "Invalid token"
	}
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte(strconv.Itoa(f.counts["database"])+c.Sub)).String()
	if f.users[id] == nil {
		f.users[id] = &fakeUser{ID: id, Username: c.Name, Active: true, keys: map[string]bool{}}
	}
	return f.users[id], 0, ""
}

func (f *langflow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	busy := f.busy
	f.mu.Unlock()
	if busy != nil {
		<-busy
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[r.Method+" "+r.URL.Path]++
	w.Header().Set("Date", f.clock().UTC().Format(http.TimeFormat))
	if f.html {
		f.page(w)
		return
	}
	if r.URL.Path == "/api/v1/login" || r.URL.Path == "/api/v1/refresh" {
		f.session(w, r)
		return
	}
	u, status, text := f.who(r)
	if u == nil {
		f.refuse(w, status, text)
		return
	}
	f.serve(w, r, u)
}

func (f *langflow) page(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte("<!doctype html><title>Langflow</title>"))
}

func (f *langflow) refuse(w http.ResponseWriter, status int, text string) {
	if f.old && status == 404 {
		f.page(w)
		return
	}
	if f.old && status == 401 {
		text = "Could not validate credentials"
	}
	f.answer(w, status, map[string]string{"detail": text})
}

func (f *langflow) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	data, _ := json.Marshal(v)
	if f.old && strings.HasPrefix(string(data), "[") {
		var packed bytes.Buffer
		zip := gzip.NewWriter(&packed)
		_, _ = zip.Write(data)
		_ = zip.Close()
		data = packed.Bytes()
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

func (f *langflow) session(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	var u *fakeUser
	if r.URL.Path == "/api/v1/refresh" {
		cookie, err := r.Cookie("refresh_token_lf")
		if err == nil {
			if claims, trouble := f.claims(cookie.Value); trouble == "" && claims["type"] == "refresh" {
				u = f.users[claims["sub"].(string)]
			}
		}
		if u == nil {
			f.refuse(w, 401, "Invalid refresh token")
			return
		}
	} else {
		if f.limited > 0 {
			f.limited--
			w.Header().Set("Retry-After", "1")
			f.answer(w, 429, map[string]string{"detail": "Too many requests. Please try again later."})
			return
		}
		u = f.named(r.PostForm.Get("username"))
		if u == nil || u.password != r.PostForm.Get("password") {
			f.answer(w, 401, map[string]string{"detail": "Incorrect username or password"})
			return
		}
		if !u.Active {
			f.answer(w, 400, map[string]string{"detail": "Waiting for approval"})
			return
		}
	}
	token := func(kind string, life time.Duration) string {
		return f.sign(map[string]any{"sub": u.ID, "type": kind, "exp": f.clock().Add(life).Unix()})
	}
	f.answer(
		w,
		200,
		map[string]string{
			"access_token":  token("access", time.Hour),
			"refresh_token": token("refresh", 24*time.Hour),
			"token_type":    "bearer",
		},
	)
}

func (f *langflow) serve(w http.ResponseWriter, r *http.Request, u *fakeUser) {
	rest, isUser := strings.CutPrefix(r.URL.Path, "/api/v1/users/")
	flowID, isFlow := strings.CutPrefix(r.URL.Path, "/api/v1/flows/")
	switch {
	case isUser && rest == "whoami":
		f.answer(w, 200, u)
	case isUser:
		f.serveUsers(w, r, u, rest)
	case r.URL.Path == "/api/v1/api_key/" && r.Method == http.MethodPost:
		if f.noKeys {
			f.answer(w, 400, map[string]string{"detail": "Fernet key must be 32 url-safe base64-encoded bytes."})
			return
		}
		key := "sk-" + rand.Text()
		u.keys[key] = true
		f.answer(w, 200, map[string]string{"id": uuid.NewString(), "api_key": key})
	case isFlow && flowID == "":
		f.answer(w, 200, append([]fakeFlow{}, u.flows...))
	case isFlow:
		f.serveFlow(w, r, u, flowID)
	case r.URL.Path == "/api/v1/projects/":
		f.answer(
			w,
			200,
			[]fakeFlow{{ID: uuid.NewSHA1(uuid.NameSpaceURL, []byte(u.ID)).String(), Name: "Starter Project"}},
		)
	case r.URL.Path == "/api/v1/variables/", r.URL.Path == "/api/v2/files/":
		f.answer(w, 200, []fakeFlow{})
	default:
		f.refuse(w, 404, "Not Found")
	}
}

func (f *langflow) serveFlow(w http.ResponseWriter, r *http.Request, u *fakeUser, id string) {
	for i, o := range u.flows {
		if o.ID != id {
			continue
		}
		if r.Method == http.MethodPatch {
			var change struct {
				Access string `json:"access_type"`
			}
			_ = json.NewDecoder(r.Body).Decode(&change)
			u.flows[i].Access = change.Access
		}
		f.answer(w, 200, u.flows[i])
		return
	}
	f.refuse(w, 404, "Flow not found")
}

func (f *langflow) serveUsers(w http.ResponseWriter, r *http.Request, u *fakeUser, id string) {
	if !u.Super {
		f.refuse(w, 403, "The user doesn't have enough privileges")
		return
	}
	var body struct {
		Username, Password string
		Active             *bool `json:"is_active"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	other := f.users[id]
	switch {
	case r.Method == http.MethodGet && id == "":
		list := []*fakeUser{}
		for _, u := range f.users {
			list = append(list, u)
		}
		f.answer(w, 200, map[string]any{"total_count": len(list), "users": list})
	case r.Method == http.MethodPost && f.named(body.Username) != nil:
		f.answer(w, 400, map[string]string{"detail": "This username is unavailable."})
	case r.Method == http.MethodPost:
		made := f.add(body.Username, body.Password)
		made.Active = false
		f.answer(w, 201, made)
	case other == nil:
		f.refuse(w, 404, "User not found")
	case r.Method == http.MethodDelete:
		delete(f.users, id)
		f.answer(w, 202, map[string]string{"detail": "User deletion started"})
	default:
		if body.Active != nil {
			other.Active = *body.Active
		}
		if body.Password != "" {
			other.password = body.Password
		}
		f.answer(w, 200, other)
	}
}

// kept is where a bridge keeps its accounts, as the app registry does: the first account of a home
// wins.
type kept struct {
	mu       sync.Mutex
	accounts map[string]builder.Account
	gone     []string
}

func (k *kept) keep(_ context.Context, a builder.Account, gone string) (builder.Account, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if gone != "" {
		delete(k.accounts, gone)
		k.gone = append(k.gone, gone)
	}
	for _, other := range k.accounts {
		if other.ID != a.ID && other.Workspace == a.Workspace && other.Person == a.Person && !other.Adopted &&
			!a.Adopted {
			return other, nil
		}
	}
	k.accounts[a.ID] = a
	return a, nil
}

func (k *kept) list() []builder.Account {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []builder.Account
	for _, a := range k.accounts {
		out = append(out, a)
	}
	return out
}

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func signRS256(claims any) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: signingKey()}, nil)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// lfConfig is a bridge to a fake, in a mode.
func lfConfig(t testing.TB, f *langflow, mode builder.Mode, store *kept) builder.BridgeConfig {
	t.Helper()
	base, err := url.Parse(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	if store.accounts == nil {
		store.accounts = map[string]builder.Account{}
	}
	return builder.BridgeConfig{
		Base: base, Client: &http.Client{Timeout: 5 * time.Second}, Now: time.Now,
		Access: builder.Access{SecretKey: fakeSecret, Superuser: fakeAdmin, Password: fakePassword},
		AccountConfig: builder.AccountConfig{
			Mode: mode, Workspace: "w1", Accounts: store.list(), Keep: store.keep,
			Username: func(_ context.Context, ws, person string) (string, error) {
				return fmt.Sprintf("sluice-%s%s", ws, person), nil
			},
			Sign: signRS256, Issuer: "https://sluice.example.com",
		},
	}
}

func withJWKS(cfg builder.BridgeConfig, jwks string) builder.BridgeConfig {
	cfg.JWKS = jwks
	return cfg
}

func lfBridge(t testing.TB, cfg builder.BridgeConfig) *builder.Bridge {
	t.Helper()
	b := build(cfg)
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	return b
}

func lentTo(workspace, person string) builder.OnBehalf {
	return builder.OnBehalf{
		Principal: authz.Principal{Kind: authz.Person, ID: person, Name: person},
		Workspace: workspace,
	}
}

// enters sends a request as a person through a bridge, and returns whom Langflow took it for.
func enters(t testing.TB, f *langflow, b *builder.Bridge, l builder.OnBehalf, e profile.Endpoint) (fakeUser, error) {
	t.Helper()
	h := http.Header{}
	if err := b.Attach(context.Background(), h, l, &e); err != nil {
		return fakeUser{}, err
	}
	return asks(t, f, h), nil
}

func asks(t testing.TB, f *langflow, h http.Header) fakeUser {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, f.URL+"/api/v1/users/whoami", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = h
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var u fakeUser
	if res.StatusCode == 200 {
		_ = json.NewDecoder(res.Body).Decode(&u)
	}
	return u
}
