package langflowtest

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
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

	"sluice/internal/builder"
)

// The credentials that open a new Server.
const (
	Secret    = "RkFLRUtFWUZPUlRFU1RTLTAxMjM0NTY3ODlhYmNkZWY"
	Superuser = "admin"
	Password  = "the superuser's password"
)

// Issuer is the only issuer whose assertions the server accepts.
const Issuer = "https://sluice.example.com"

// Page is the web page that the server sends.
const Page = "<!doctype html><html lang=\"en\"><head><title>Langflow</title>" +
	"<script type=\"module\" src=\"/assets/index.js\"></script></head><body><div id=\"root\"></div></body></html>"

// Server is a fake Langflow.
type Server struct {
	*httptest.Server

	mu sync.Mutex
	// Old makes the server behave like 1.6.8: it sends its page instead of 404, and compresses
	// lists unasked.
	Old bool
	// Secret is the server's LANGFLOW_SECRET_KEY. NoKeys means that it is not a Fernet key, so no
	// API key can be created.
	Secret string
	NoKeys bool
	// Now is the server's clock, which is ahead by Ahead. If it is nil, tokens never expire.
	Now   func() time.Time
	Ahead time.Duration
	// External is the key that verifies assertions; nil accepts none.
	External *rsa.PublicKey
	// Down answers 503 to every request. Upgrading answers every request with a page.
	Down, Upgrading bool
	// Busy, if not nil, delays answers until it is closed.
	Busy chan struct{}
	// Limited is how many of the next sign-ins answer 429.
	Limited int
	// Refuse is how often the server refuses a valid token, by token.
	Refuse map[string]int
	// Pause, if not nil, stops a streaming run after its first event until it is closed.
	Pause chan struct{}
	// Components are the server's catalog of components, and Examples its example flows. If
	// Components is nil, requests for them get the answer of an unknown call.
	Components map[string]map[string]any
	Examples   []any
	// Answer answers requests of the proxy. If it is nil or returns nil, the Server answers.
	Answer func(Request) *Answer
	// Users are the server's users by id.
	Users map[string]*User

	log      []Request
	asked    map[string]int // by method and path
	askedAs  map[string]int // by method, path and user
	database int            // counts Reset, so that the ids of external users change with it
	serial   int
}

// Request is a request that came through the proxy. Account is the name of the user whose session
// it carries. Key reports that it carries an API key instead.
type Request struct {
	Method, Target, Account string
	Key                     bool
	Header                  http.Header
	Body                    string
}

// Answer is a complete answer; Kind is its Content-Type.
type Answer struct {
	Status int
	Kind   string
	Body   string
	Header http.Header
}

// Start runs a Langflow with a superuser until the test is over.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{Secret: Secret, Now: time.Now, asked: map[string]int{}, askedAs: map[string]int{}}
	s.reset()
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// Base is the server's address.
func (s *Server) Base() *url.URL {
	u, err := url.Parse(s.URL)
	if err != nil {
		panic(err) // httptest provided it
	}
	return u
}

// With changes the server's state between two requests.
func (s *Server) With(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// Reset gives the server another database that contains only the superuser.
func (s *Server) Reset() {
	s.With(func() {
		s.reset()
		s.database++
	})
}

func (s *Server) reset() {
	s.Users = map[string]*User{}
	s.Add(Superuser, Password).Super = true
}

// Count is how often Sluice itself sent exactly this request, such as "GET /health_check".
func (s *Server) Count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[what]
}

// CountAll is how often Sluice itself sent a request that starts with prefix.
func (s *Server) CountAll(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for what, times := range s.asked {
		if strings.HasPrefix(what, prefix) {
			n += times
		}
	}
	return n
}

// CountAs is like Count, for requests sent as one user.
func (s *Server) CountAs(what, username string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.askedAs[what+" as "+username]
}

// Take returns the requests that came through the proxy since the last call.
func (s *Server) Take() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.log
	s.log = nil
	return log
}

func (s *Server) clock() time.Time { return s.Now().Add(s.Ahead) }

// token signs claims as Langflow does.
func (s *Server) token(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err) // only texts and numbers
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(payload)
	return text + "." + s.signature(text)
}

func (s *Server) signature(text string) string {
	mac := hmac.New(sha256.New, []byte(s.Secret))
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// claims verifies one of Langflow's own tokens as Langflow does; the text is its error.
func (s *Server) claims(token string) (map[string]any, string) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || s.signature(parts[0]+"."+parts[1]) != parts[2] {
		return nil, "Invalid token"
	}
	data, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims map[string]any
	_ = json.Unmarshal(data, &claims)
	if exp, _ := claims["exp"].(float64); s.Now != nil && float64(s.clock().Unix()) > exp {
		return nil, "Token has expired"
	}
	return claims, ""
}

// who is the user of a request, or the status and text of Langflow's refusal.
func (s *Server) who(r *http.Request) (*User, int, string) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch assertion := r.Header.Get(builder.HeaderAssertion); {
	case s.Refuse[token] > 0:
		s.Refuse[token]--
		return nil, 401, "Token has expired"
	case token != "":
		claims, trouble := s.claims(token)
		if trouble != "" {
			return nil, 401, trouble
		}
		id, _ := claims["sub"].(string)
		u := s.Users[id]
		switch {
		case claims["type"] != "access":
			return nil, 401, "Invalid token type"
		case u == nil:
			return nil, 401, "Token authentication failed"
		case !u.Active:
			return nil, 401, "User account is inactive"
		}
		return u, 0, ""
	case assertion != "" && s.External != nil:
		return s.asserted(assertion)
	case r.Header.Get("X-Api-Key") != "":
		for _, u := range s.Users {
			if u.Keys[r.Header.Get("X-Api-Key")] {
				return u, 0, ""
			}
		}
		return nil, 403, "Invalid API key"
	case assertion != "":
		return nil, 403, "No authentication credentials provided"
	}
	return nil, 401, "Not authenticated"
}

// asserted is the user of an assertion. A missing user is created (JIT).
func (s *Server) asserted(text string) (*User, int, string) {
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, 401, "Invalid token"
	}
	payload, err := signed.Verify(s.External)
	var c struct {
		Iss, Aud, Sub string
		Name          string `json:"preferred_username"`
		Exp, Iat      int64
	}
	if err != nil || json.Unmarshal(payload, &c) != nil || c.Iss != Issuer || c.Aud != "langflow" {
		return nil, 401, "Invalid token"
	}
	if now := s.clock().Unix(); now > c.Exp || c.Iat > now {
		return nil, 401, "Invalid token"
	}
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte(strconv.Itoa(s.database)+c.Sub)).String()
	if s.Users[id] == nil {
		s.addAs(id, c.Name, "")
	}
	return s.Users[id], 0, ""
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	busy := s.Busy
	s.mu.Unlock()
	if busy != nil {
		<-busy
	}
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Now != nil {
		w.Header().Set("Date", s.clock().UTC().Format(http.TimeFormat))
	}
	u, status, text := s.who(r)
	if r.Header.Get("X-Forwarded-For") == "" {
		s.asked[r.Method+" "+r.URL.Path]++
		if u != nil {
			s.askedAs[r.Method+" "+r.URL.Path+" as "+u.Username]++
		}
	} else if s.answered(w, r, u, body) {
		return
	}
	switch {
	case s.Down:
		s.json(w, 503, map[string]string{"detail": "starting"})
	case s.Upgrading:
		s.page(w)
	case s.serveAnyone(w, r, body):
	case u == nil:
		s.refuse(w, status, text)
	default:
		s.serveUser(w, r, u, body)
	}
}

// answered logs a request of the proxy, and reports whether the test answered it.
func (s *Server) answered(w http.ResponseWriter, r *http.Request, u *User, body []byte) bool {
	g := Request{
		Method: r.Method,
		Target: r.RequestURI,
		Key:    r.Header.Get("X-Api-Key") != "",
		Header: r.Header.Clone(),
		Body:   string(body),
	}
	if u != nil {
		g.Account = u.Username
	}
	s.log = append(s.log, g)
	if s.Answer == nil {
		return false
	}
	a := s.Answer(g)
	if a == nil {
		return false
	}
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", a.Kind)
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
	return true
}

// serveAnyone answers requests that need no user.
func (s *Server) serveAnyone(w http.ResponseWriter, r *http.Request, body []byte) bool {
	path := r.URL.Path
	public, isPublic := strings.CutPrefix(path, "/api/v1/flows/public_flow/")
	switch {
	case !strings.HasPrefix(path, "/api/") && path != "/health_check":
		w.Header().Set("Etag", `"as-built"`)
		s.page(w)
	case path == "/api/v1/version" && s.Old:
		s.json(w, 200, map[string]string{"version": "0.6.8", "main_version": "0.6.8", "package": "Langflow Base"})
	case path == "/api/v1/version":
		s.json(w, 200, map[string]string{"version": "1.13.0", "main_version": "1.13.0", "package": "Langflow"})
	case path == "/health_check":
		s.json(w, 200, map[string]string{"status": "ok", "chat": "ok", "db": "ok"})
	case path == "/api/v1/session":
		s.json(w, 200, map[string]any{"authenticated": false, "user": nil})
	case path == "/api/v1/auto_login":
		s.json(w, 403, map[string]any{
			"detail": map[string]any{"message": "Auto login is disabled.", "auto_login": false},
		})
	case path == "/api/v1/login":
		s.login(w, body)
	case path == "/api/v1/refresh":
		s.refresh(w, r)
	case isPublic:
		s.servePublic(w, public)
	case strings.HasPrefix(path, "/api/v1/build_public_tmp/"),
		strings.HasSuffix(path, "/events"),
		strings.HasSuffix(path, "/cancel"):
		s.build(w, r)
	default:
		return false
	}
	return true
}

func (s *Server) login(w http.ResponseWriter, body []byte) {
	if s.Limited > 0 {
		s.Limited--
		w.Header().Set("Retry-After", "1")
		s.refuse(w, 429, "Too many requests. Please try again later.")
		return
	}
	form, _ := url.ParseQuery(string(body))
	u := s.Named(form.Get("username"))
	switch {
	case u == nil || u.Password != form.Get("password"):
		s.json(w, 401, map[string]string{"detail": "Incorrect username or password"})
	case !u.Active:
		s.refuse(w, 400, "Waiting for approval")
	default:
		s.signedIn(w, u)
	}
}

func (s *Server) refresh(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie("refresh_token_lf"); err == nil {
		claims, trouble := s.claims(cookie.Value)
		id, _ := claims["sub"].(string)
		if u := s.Users[id]; trouble == "" && claims["type"] == "refresh" && u != nil {
			s.signedIn(w, u)
			return
		}
	}
	s.refuse(w, 401, "Invalid refresh token")
}

// Token is a session token of a user. Call it within With.
func (s *Server) Token(u *User) string { return s.newToken(u, "access", time.Hour) }

// newToken signs a token of a user.
func (s *Server) newToken(u *User, kind string, life time.Duration) string {
	expires := time.Now().Add(life)
	if s.Now != nil {
		expires = s.clock().Add(life)
	}
	return s.token(map[string]any{"sub": u.ID, "type": kind, "exp": expires.Unix()})
}

// signedIn answers with the tokens of a new sign-in.
func (s *Server) signedIn(w http.ResponseWriter, u *User) {
	s.json(w, 200, map[string]string{
		"access_token":  s.newToken(u, "access", time.Hour),
		"refresh_token": s.newToken(u, "refresh", 24*time.Hour),
		"token_type":    "bearer",
	})
}

func (s *Server) page(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, Page)
}

func (s *Server) refuse(w http.ResponseWriter, status int, text string) {
	if s.Old && status == 404 {
		s.page(w)
		return
	}
	if s.Old && status == 401 {
		text = "Could not validate credentials"
	}
	s.json(w, status, map[string]string{"detail": text})
}

func (s *Server) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // its own shapes
	}
	if s.Old && bytes.HasPrefix(data, []byte("[")) {
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
