package sluicetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// What opens a Langflow of these tests.
const (
	LangflowSecret    = "RkFLRUtFWUZPUlRFU1RTLTAxMjM0NTY3ODlhYmNkZWY"
	LangflowSuperuser = "builder-root"
	LangflowPassword  = "the builder's own password"
)

// Langflow is a server on loopback that answers what Sluice's pages and calls about its connection and its users ask of a Langflow 1.13 without external authentication, in the shapes of the real one.
type Langflow struct {
	URL   string
	mu    sync.Mutex
	users []*langflowUser
}

type langflowUser struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	Active   bool   `json:"is_active"`
	Super    bool   `json:"is_superuser"`
	password string
	flows    []string
}

// StartLangflow runs one until the test ends.
func StartLangflow(t testing.TB) *Langflow {
	t.Helper()
	f := &Langflow{}
	f.user(LangflowSuperuser, LangflowPassword).Super = true
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	f.URL = s.URL
	return f
}

// Add makes a user with flows of these names and returns its id.
func (f *Langflow) Add(username string, flows ...string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.user(username, uuid.NewString())
	u.flows = flows
	return u.ID
}

func (f *Langflow) user(name, password string) *langflowUser {
	u := &langflowUser{ID: uuid.NewString(), Username: name, Active: true, password: password}
	f.users = append(f.users, u)
	return u
}

func (f *Langflow) find(is func(*langflowUser) bool) *langflowUser {
	for _, u := range f.users {
		if is(u) {
			return u
		}
	}
	return nil
}

func (f *Langflow) named(name string) *langflowUser {
	return f.find(func(u *langflowUser) bool { return u.Username == name })
}

func signature(text string) string {
	mac := hmac.New(sha256.New, []byte(LangflowSecret))
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func token(u *langflowUser) string {
	claims, _ := json.Marshal(map[string]any{"sub": u.ID, "type": "access", "exp": time.Now().Add(time.Hour).Unix()})
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	return text + "." + signature(text)
}

func (f *Langflow) signedIn(r *http.Request) *langflowUser {
	parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	if len(parts) != 3 || signature(parts[0]+"."+parts[1]) != parts[2] {
		return nil
	}
	var claims struct{ Sub string }
	data, _ := base64.RawURLEncoding.DecodeString(parts[1])
	_ = json.Unmarshal(data, &claims)
	return f.find(func(u *langflowUser) bool { return u.ID == claims.Sub })
}

// ServeHTTP implements http.Handler.
func (f *Langflow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	status, answer := f.answer(r)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *Langflow) answer(r *http.Request) (int, any) {
	switch r.URL.Path {
	case "/api/v1/version":
		return 200, map[string]string{"version": "1.13.0", "main_version": "1.13.0", "package": "Langflow"}
	case "/health_check":
		return 200, map[string]string{"status": "ok", "chat": "ok", "db": "ok"}
	case "/api/v1/auto_login":
		return 403, map[string]any{"detail": map[string]any{"message": "Auto login is disabled.", "auto_login": false}}
	case "/api/v1/session":
		return 200, map[string]any{"authenticated": false, "user": nil}
	case "/api/v1/login":
		if u := f.named(r.FormValue("username")); u != nil && u.Active && u.password == r.FormValue("password") {
			return 200, map[string]string{"access_token": token(u), "refresh_token": token(u), "token_type": "bearer"}
		}
		return 401, map[string]string{"detail": "Incorrect username or password"}
	}
	u := f.signedIn(r)
	switch id, isUser := strings.CutPrefix(r.URL.Path, "/api/v1/users/"); {
	case u == nil:
		return 401, map[string]string{"detail": "Invalid token"}
	case isUser && id == "whoami":
		return 200, u
	case isUser && !u.Super:
		return 403, map[string]string{"detail": "The user doesn't have enough privileges"}
	case isUser:
		return f.manage(r, id)
	}
	return f.list(r, u)
}

func (f *Langflow) list(r *http.Request, u *langflowUser) (int, any) {
	list := []map[string]string{}
	switch r.URL.Path {
	case "/api/v1/flows/":
		for _, name := range u.flows {
			list = append(list, map[string]string{"id": uuid.NewSHA1(uuid.NameSpaceURL, []byte(u.ID+name)).String(), "name": name})
		}
	case "/api/v1/projects/":
		list = append(list, map[string]string{"id": uuid.NewSHA1(uuid.NameSpaceURL, []byte(u.ID)).String(), "name": "Starter Project"})
	case "/api/v1/variables/", "/api/v2/files/":
	default:
		return 404, map[string]string{"detail": "Not Found"}
	}
	return 200, list
}

func (f *Langflow) manage(r *http.Request, id string) (int, any) {
	var body struct {
		Username, Password string
		Active             *bool `json:"is_active"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	other := f.find(func(u *langflowUser) bool { return u.ID == id })
	switch {
	case r.Method == http.MethodGet:
		return 200, map[string]any{"total_count": len(f.users), "users": f.users}
	case r.Method == http.MethodPost && f.named(body.Username) != nil:
		return 400, map[string]string{"detail": "This username is unavailable."}
	case r.Method == http.MethodPost:
		made := f.user(body.Username, body.Password)
		made.Active = false
		return 201, made
	case other == nil:
		return 404, map[string]string{"detail": "User not found"}
	}
	if body.Active != nil {
		other.Active = *body.Active
	}
	if body.Password != "" {
		other.password = body.Password
	}
	return 200, other
}
