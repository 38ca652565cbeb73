package app_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	langflowSecret   = "RkFLRUtFWUZPUlRFU1RTLTAxMjM0NTY3ODlhYmNkZWY"
	langflowPassword = "the superuser's password"
)

// langflow answers what the registry asks of a Langflow 1.13 without external authentication, with the shapes that the real one gave.
type langflow struct {
	mu      sync.Mutex
	secret  string
	users   map[string]*langflowUser
	down    bool
	signIns int
}

type langflowUser struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	Active   bool   `json:"is_active"`
	Super    bool   `json:"is_superuser"`
	password string
	flows    []string
}

func newLangflow() *langflow {
	f := &langflow{secret: langflowSecret, users: map[string]*langflowUser{}}
	f.add("admin", langflowPassword).Super = true
	return f
}

// add makes a user with a flow of its own for each name.
func (f *langflow) add(name, password string, flows ...string) *langflowUser {
	u := &langflowUser{ID: uuid.NewString(), Username: name, Active: true, password: password, flows: flows}
	f.users[u.ID] = u
	return u
}

// flowOf is the id of a user's flow.
func flowOf(u *langflowUser, name string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(u.ID+name)).String()
}

func (f *langflow) named(name string) *langflowUser {
	for _, u := range f.users {
		if u.Username == name {
			return u
		}
	}
	return nil
}

func (f *langflow) mac(text string) string {
	mac := hmac.New(sha256.New, []byte(f.secret))
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (f *langflow) token(u *langflowUser) string {
	claims, _ := json.Marshal(map[string]any{"sub": u.ID, "type": "access", "exp": time.Now().Add(time.Hour).Unix()})
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	return text + "." + f.mac(text)
}

func (f *langflow) who(r *http.Request) *langflowUser {
	parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	if len(parts) != 3 || f.mac(parts[0]+"."+parts[1]) != parts[2] {
		return nil
	}
	var claims struct{ Sub string }
	data, _ := base64.RawURLEncoding.DecodeString(parts[1])
	_ = json.Unmarshal(data, &claims)
	return f.users[claims.Sub]
}

func (f *langflow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	if f.down {
		answer(503, map[string]string{"detail": "starting"})
		return
	}
	switch r.URL.Path {
	case "/api/v1/version":
		answer(200, map[string]string{"version": "1.13.0", "main_version": "1.13.0", "package": "Langflow"})
	case "/health_check":
		answer(200, map[string]string{"status": "ok", "chat": "ok", "db": "ok"})
	case "/api/v1/auto_login":
		answer(403, map[string]any{"detail": map[string]any{"message": "Auto login is disabled.", "auto_login": false}})
	case "/api/v1/session":
		answer(200, map[string]any{"authenticated": false, "user": nil})
	case "/api/v1/login":
		f.signIns++
		u := f.named(r.FormValue("username"))
		if u == nil || u.password != r.FormValue("password") {
			answer(401, map[string]string{"detail": "Incorrect username or password"})
			return
		}
		answer(200, map[string]string{"access_token": f.token(u), "refresh_token": f.token(u), "token_type": "bearer"})
	default:
		u := f.who(r)
		if u == nil {
			answer(401, map[string]string{"detail": "Invalid token"})
			return
		}
		f.signedIn(r, u, answer)
	}
}

func (f *langflow) signedIn(r *http.Request, u *langflowUser, answer func(int, any)) {
	id, isUser := strings.CutPrefix(r.URL.Path, "/api/v1/users/")
	flowID, isFlow := strings.CutPrefix(r.URL.Path, "/api/v1/flows/")
	switch {
	case isUser && id == "whoami":
		answer(200, u)
	case isUser:
		f.manage(r, u, id, answer)
	case isFlow && flowID == "":
		list := []map[string]string{}
		for _, name := range u.flows {
			list = append(list, map[string]string{"id": flowOf(u, name), "name": name})
		}
		answer(200, list)
	case isFlow && r.Method == http.MethodPatch:
		var change map[string]string
		_ = json.NewDecoder(r.Body).Decode(&change)
		answer(200, map[string]string{"id": flowID, "access_type": change["access_type"]})
	case r.URL.Path == "/api/v1/projects/", r.URL.Path == "/api/v1/variables/", r.URL.Path == "/api/v2/files/":
		answer(200, []string{})
	default:
		answer(404, map[string]string{"detail": "Not Found"})
	}
}

func (f *langflow) manage(r *http.Request, u *langflowUser, id string, answer func(int, any)) {
	var body struct {
		Username, Password string
		Active             *bool `json:"is_active"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	other := f.users[id]
	switch {
	case !u.Super:
		answer(403, map[string]string{"detail": "The user doesn't have enough privileges"})
	case r.Method == http.MethodGet:
		list := []*langflowUser{}
		for _, u := range f.users {
			list = append(list, u)
		}
		answer(200, map[string]any{"total_count": len(list), "users": list})
	case r.Method == http.MethodPost && f.named(body.Username) != nil:
		answer(400, map[string]string{"detail": "This username is unavailable."})
	case r.Method == http.MethodPost:
		made := f.add(body.Username, body.Password)
		made.Active = false
		answer(201, made)
	case other == nil:
		answer(404, map[string]string{"detail": "User not found"})
	default:
		if body.Active != nil {
			other.Active = *body.Active
		}
		if body.Password != "" {
			other.password = body.Password
		}
		answer(200, other)
	}
}
