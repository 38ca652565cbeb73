package flowisetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/builder"
)

// The owner's credentials of a new Server.
const (
	Email    = "owner@sluice.internal"
	Password = "Owner-pass-1"
)

// OwnerID is the id of the owner's account.
const OwnerID = "0b4f2f3e-5a55-4d3a-8a54-000000000001"

// BoundKey is the API key that a bound flow requires.
const BoundKey = "builders-own-key"

// Page is the web page that the server sends, also for unknown addresses.
const Page = "<!DOCTYPE html><html><head><title>Flowise - Build AI Agents, Visually</title></head></html>"

// Server is a fake Flowise.
type Server struct {
	mu sync.Mutex
	// Now is the server's clock. If it is nil, tokens are plain and do not expire, and there is
	// only one session at a time.
	Now func() time.Time
	// TokenLife is how long tokens are valid.
	TokenLife time.Duration
	// Email and Password are the owner's; "" if no one has registered yet.
	Email, Password string
	// RegisterStatus is the status of registrations that fail; 0 lets them succeed.
	RegisterStatus int
	// Down answers 500 to every request. Broken makes lists fail.
	Down, Broken bool
	// Hold, if not nil, delays sign-ins until it is closed.
	Hold chan struct{}
	// Lists are the JSON texts of the lists, by the end of their path, such as "chatflows". Other
	// lists are empty.
	Lists map[string]string
	// Credentials are the values of the credentials' field "key", by id. BeforeWrite runs once,
	// without the lock, before the next credential is written.
	Credentials map[string]string
	BeforeWrite func()
	// Bound is the flow that is bound to a key, or published as an MCP server.
	Bound string

	sessions map[string]string // connect.sid -> token
	serial   int

	signIns, checks, inside, met atomic.Int64
}

// New creates a Flowise with an owner. It does not listen yet.
func New() *Server {
	return &Server{
		Now:         time.Now,
		TokenLife:   time.Hour,
		Email:       Email,
		Password:    Password,
		Lists:       map[string]string{},
		Credentials: map[string]string{},
		sessions:    map[string]string{},
	}
}

// Listen starts the server and returns its address. It runs until the test is over.
func (s *Server) Listen(t testing.TB) string {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL
}

// With changes the server's state between two requests.
func (s *Server) With(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// SignIns counts attempts to sign in, Checks how often a session was tested, and Met how many
// sign-ins overlapped with another one, at which a real Flowise may fail.
func (s *Server) SignIns() int64 { return s.signIns.Load() }

// Checks is described at SignIns.
func (s *Server) Checks() int64 { return s.checks.Load() }

// Met is described at SignIns.
func (s *Server) Met() int64 { return s.met.Load() }

// Sessions counts the current sessions.
func (s *Server) Sessions() (n int) {
	s.With(func() { n = len(s.sessions) })
	return n
}

// ForgetSessions loses all sessions, as Flowise does when it restarts without a session store.
func (s *Server) ForgetSessions() { s.With(func() { clear(s.sessions) }) }

// Accepts reports whether the server would treat a request with these headers as its owner's.
func (s *Server) Accepts(h http.Header) bool {
	r := &http.Request{Header: h}
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.Get("X-Request-From") == "internal" && s.knows(r)
}

// Knows reports whether a request has the cookies of a session.
func (s *Server) Knows(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knows(r)
}

// knows reports whether a request has the cookies of a session. The session expires with its
// token's exp claim.
func (s *Server) knows(r *http.Request) bool {
	token := cookie(r, "token")
	if token == "" || s.sessions[cookie(r, "connect.sid")] != token {
		return false
	}
	expires, ok := builder.TokenExpiry(token)
	return s.Now == nil || ok && s.Now().Before(expires)
}

func cookie(r *http.Request, name string) string {
	if c, err := r.Cookie(name); err == nil {
		return c.Value
	}
	return ""
}

// newToken creates a JWT with a serial number. No test verifies its signature.
func (s *Server) newToken() string {
	s.serial++
	if s.Now == nil {
		return fmt.Sprintf("service-%d", s.serial)
	}
	claims := fmt.Sprintf(`{"exp":%d,"jti":"%d"}`, s.Now().Add(s.TokenLife).Unix(), s.serial)
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.Serve(w, r) {
		page(w)
	}
}

// Serve answers the requests that Sluice itself sends, and reports whether it answered.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path == "/api/v1/auth/login" {
		s.login(w, r)
		return true
	}
	body, _ := io.ReadAll(r.Body)
	s.beforeWrite(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Down {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	switch r.URL.Path {
	case "/":
		page(w)
	case "/api/v1/version":
		send(w, 200, map[string]any{"version": "3.1.4"})
	case "/api/v1/settings":
		send(w, 200, map[string]any{"PLATFORM_TYPE": "open source"})
	case "/api/v1/auth/resolve":
		s.resolve(w)
	case "/api/v1/account/register":
		s.register(w, body)
	case "/api/v1/account/logout":
		delete(s.sessions, cookie(r, "connect.sid"))
		send(w, 200, map[string]any{"message": "logged_out", "redirectTo": "/login"})
	case "/api/v1/auth/refreshToken":
		s.refresh(w, r)
	case "/api/v1/auth/permissions/API_KEY":
		s.check(w, r)
	default:
		return s.serveObjects(w, r, body)
	}
	return true
}

// beforeWrite runs the test's function before a credential is written.
func (s *Server) beforeWrite(r *http.Request) {
	if r.Method == http.MethodGet || !strings.HasPrefix(r.URL.Path, "/api/v1/credentials") {
		return
	}
	var before func()
	s.With(func() { before, s.BeforeWrite = s.BeforeWrite, nil })
	if before != nil {
		before()
	}
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	var hold chan struct{}
	down := false
	s.With(func() { hold, down = s.Hold, s.Down })
	if down {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if s.inside.Add(1) > 1 {
		s.met.Add(1)
	}
	defer s.inside.Add(-1)
	s.signIns.Add(1)
	if hold != nil {
		<-hold
	}
	var body struct{ Email, Password string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case body.Email == "":
		page(w)
	case body.Email != s.Email:
		send(w, 404, map[string]any{"statusCode": 404, "success": false, "message": "User Not Found"})
	case body.Password != s.Password:
		send(w, 401, map[string]any{"message": "Incorrect Email or Password"})
	default:
		token := s.newToken()
		sid := fmt.Sprintf("s%%3Asid-%d.sig", s.serial)
		if s.Now == nil {
			sid = "s"
		}
		s.sessions[sid] = token
		setCookie(w, "token", token)
		setCookie(w, "refreshToken", "r")
		setCookie(w, "connect.sid", sid)
		send(w, 200, map[string]any{
			"id":          OwnerID,
			"email":       body.Email,
			"name":        "owner",
			"permissions": []string{"organization", "workspace"},
		})
	}
}

func setCookie(w http.ResponseWriter, name, value string) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true})
}

func (s *Server) refresh(w http.ResponseWriter, r *http.Request) {
	sid := cookie(r, "connect.sid")
	if _, ok := s.sessions[sid]; !ok {
		setCookie(w, "token", "e30.e30.c2ln") // a token that opens nothing
		send(w, 200, map[string]any{"isSSO": false})
		return
	}
	token := s.newToken()
	setCookie(w, "token", token)
	s.sessions[sid] = token
	send(w, 200, map[string]any{"id": OwnerID, "email": s.Email})
}

func (s *Server) check(w http.ResponseWriter, r *http.Request) {
	s.checks.Add(1)
	if r.Header.Get("X-Request-From") != "internal" || !s.knows(r) {
		send(w, 401, map[string]any{"message": "Invalid or Missing token"})
		return
	}
	send(w, 200, map[string]any{})
}

func (s *Server) resolve(w http.ResponseWriter) {
	to := "/organization-setup"
	if s.Email != "" {
		to = "/signin"
	}
	send(w, 200, map[string]any{"redirectUrl": to})
}

func (s *Server) register(w http.ResponseWriter, data []byte) {
	var body struct {
		User struct{ Name, Email, Credential string }
	}
	_ = json.Unmarshal(data, &body)
	refuse := func(text string) {
		send(w, 400, map[string]any{"statusCode": 400, "success": false, "message": text})
	}
	switch {
	case s.RegisterStatus != 0:
		send(w, s.RegisterStatus, map[string]any{"message": "database is locked"})
	case s.Email != "":
		refuse("You can only have one organization")
	case len(body.User.Credential) < 8:
		refuse("Invalid Password")
	default:
		s.Email, s.Password = body.User.Email, body.User.Credential
		send(w, 201, map[string]any{"user": map[string]any{"id": OwnerID, "email": body.User.Email}})
	}
}

// IsList reports whether a path is one of the server's lists.
func IsList(path string) bool {
	switch strings.TrimSuffix(strings.TrimPrefix(path, "/api/v1/"), "/") {
	case "chatflows", "tools", "credentials", "variables", "assistants", "document-store/store", "apikey",
		"marketplaces/custom", "custom-mcp-servers", "executions":
		return true
	}
	return strings.HasPrefix(path, "/api/v1/feedback/")
}

func (s *Server) serveObjects(w http.ResponseWriter, r *http.Request, body []byte) bool {
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/")
	if strings.HasPrefix(path, "credentials") && (r.Method != http.MethodGet || len(s.Credentials) > 0) {
		s.serveCredentials(w, r, strings.TrimPrefix(path, "credentials"), body)
		return true
	}
	flowID, isFlow := strings.CutPrefix(path, "chatflows/")
	mcp, isMCP := strings.CutPrefix(path, "mcp-server/")
	execution, isExecution := strings.CutPrefix(path, "executions/")
	switch known := s.knows(r); {
	case isFlow && r.Method == http.MethodPut:
		send(w, 200, map[string]any{"id": flowID, "isPublic": true})
	case path == "apikey" && known && s.Bound != "":
		send(w, 200, []map[string]string{{"id": "k0", "apiKey": "another"}, {"id": "k1", "apiKey": BoundKey}})
	case IsList(r.URL.Path):
		s.list(w, strings.TrimSuffix(path, "/"))
	case isMCP && known:
		send(w, 200, map[string]any{"enabled": mcp == s.Bound, "token": "mcp-token"})
	case isFlow && known && flowID == s.Bound:
		send(w, 200, map[string]any{"id": flowID, "apikeyid": "k1"})
	case isFlow && known:
		send(w, 200, map[string]any{"id": flowID, "apikeyid": nil})
	case isExecution:
		send(w, 200, map[string]any{"id": execution, "agentflowId": ""})
	default:
		return false
	}
	return true
}

func (s *Server) list(w http.ResponseWriter, name string) {
	text := s.Lists[name]
	switch {
	case s.Broken:
		text = `{"message":"database is locked"}`
	case text != "":
	case name == "custom-mcp-servers":
		text = `{"data":[],"total":0}`
	default:
		text = "[]"
	}
	send(w, 200, json.RawMessage(text))
}

func (s *Server) serveCredentials(w http.ResponseWriter, r *http.Request, rest string, data []byte) {
	if r.Method == http.MethodGet {
		list := []map[string]string{}
		for id := range s.Credentials {
			list = append(list, map[string]string{"id": id})
		}
		send(w, 200, list)
		return
	}
	var body struct {
		ID           string
		PlainDataObj map[string]string
	}
	_ = json.Unmarshal(data, &body)
	if body.ID == "" {
		body.ID = strings.TrimPrefix(rest, "/")
	}
	if r.Method == http.MethodDelete {
		delete(s.Credentials, body.ID)
	} else {
		s.Credentials[body.ID] = body.PlainDataObj["key"]
	}
	send(w, 200, map[string]string{"id": body.ID})
}

func page(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, Page)
}

func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
