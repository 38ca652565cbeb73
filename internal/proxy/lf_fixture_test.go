package proxy_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"sluice/internal/app"
	"sluice/internal/builder/langflow"
)

const (
	lfSecret   = "RkFLRUtFWUZPUlRFU1RTLTAxMjM0NTY3ODlhYmNkZWY"
	lfPassword = "the superuser's password"
)

// lfUpstream is a Langflow on a real listener: it keeps its users apart by tokens that are signed with its secret, as the real one does, and answers in the shapes of 1.13.0, or of 1.6.8
// where old is set. What came through the proxy is logged with the account that it went into.
type lfUpstream struct {
	*httptest.Server
	mu     sync.Mutex
	old    bool
	users  map[string]*lfUser
	log    []lfRequest
	answer func(lfRequest) *lfAnswer // instead of its own for requests of the proxy; nil: its own
	asked  map[string]int            // what Sluice itself asked, by method and path
	pause  chan struct{}             // a run that streams waits for it after its first event; nil: it does not
}

type lfUser struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	Active   bool   `json:"is_active"`
	Super    bool   `json:"is_superuser"`
	password string
	keys     map[string]bool
	things   map[string][]*lfThing // by kind: flows, projects, variables, files
	messages []lfMessage
}

// lfThing is a flow, project, variable or file.
type lfThing struct {
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	UserID   string          `json:"user_id"`
	Endpoint string          `json:"endpoint_name,omitempty"`
	Folder   string          `json:"folder_id,omitempty"`
	Locked   bool            `json:"locked"`
	Access   string          `json:"access_type,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
}

type lfMessage struct {
	ID      string `json:"id"`
	Flow    string `json:"flow_id"`
	Session string `json:"session_id"`
	Text    string `json:"text"`
}

// lfRequest is one that the proxy sent. account is the name of the user whose session it carries, key tells that it carries an API key instead.
type lfRequest struct {
	method, target, account string
	key                     bool
	header                  http.Header
	body                    string
}

type lfAnswer struct {
	status int
	kind   string
	body   string
	header http.Header
}

func startLangflow(t testing.TB, old bool) *lfUpstream {
	t.Helper()
	f := &lfUpstream{old: old, users: map[string]*lfUser{}, asked: map[string]int{}}
	f.add("admin", lfPassword).Super = true
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Server.Close)
	return f
}

func (f *lfUpstream) url() *url.URL { u, _ := url.Parse(f.Server.URL); return u }

// access lets Sluice sign its tokens.
func (f *lfUpstream) access() app.AccountAccess {
	return app.AccountAccess{Mode: langflow.Signed, SecretKey: lfSecret, Superuser: "admin", Password: lfPassword}
}

func (f *lfUpstream) add(name, password string) *lfUser {
	u := &lfUser{ID: uuid.NewString(), Username: name, Active: true, password: password, keys: map[string]bool{}, things: map[string][]*lfThing{}}
	f.users[u.ID] = u
	u.put("projects", &lfThing{ID: uuid.NewString(), Name: "Starter Project"})
	return u
}

// put gives a user something; without an id it gets one.
func (u *lfUser) put(kind string, o *lfThing) *lfThing {
	if o.ID == "" {
		o.ID = uuid.NewString()
	}
	o.UserID = u.ID
	if kind == "flows" && o.Folder == "" && len(u.things["projects"]) > 0 {
		o.Folder = u.things["projects"][0].ID
	}
	u.things[kind] = append(u.things[kind], o)
	return o
}

func (u *lfUser) get(kind, id string) *lfThing {
	for _, o := range u.things[kind] {
		if o.ID == id {
			return o
		}
	}
	return nil
}

// with changes its state.
func (f *lfUpstream) with(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *lfUpstream) named(name string) *lfUser {
	for _, u := range f.users {
		if u.Username == name {
			return u
		}
	}
	return nil
}

// take returns what the proxy has sent since the last call.
func (f *lfUpstream) take() []lfRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	log := f.log
	f.log = nil
	return log
}

// count is how often Sluice itself asked for something whose method and path begin so.
func (f *lfUpstream) count(prefix string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for what, times := range f.asked {
		if strings.HasPrefix(what, prefix) {
			n += times
		}
	}
	return n
}

// sign signs claims as Langflow does.
func lfSign(payload string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, []byte(lfSecret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// who is the user of a bearer token, or of a key.
func (f *lfUpstream) who(r *http.Request) (u *lfUser, byKey bool) {
	if key := r.Header.Get("X-Api-Key"); key != "" {
		for _, u := range f.users {
			if u.keys[key] {
				return u, true
			}
		}
		return nil, true
	}
	parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	if len(parts) != 3 {
		return nil, false
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	if lfSign(string(payload)) != strings.Join(parts, ".") {
		return nil, false
	}
	var claims struct{ Sub string }
	_ = json.Unmarshal(payload, &claims)
	return f.users[claims.Sub], false
}

func (f *lfUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	u, byKey := f.who(r)
	if r.Header.Get("X-Forwarded-For") != "" {
		g := lfRequest{method: r.Method, target: r.RequestURI, key: byKey, header: r.Header.Clone(), body: string(body)}
		if u != nil {
			g.account = u.Username
		}
		f.log = append(f.log, g)
		if f.answer != nil {
			if a := f.answer(g); a != nil {
				f.give(w, a)
				return
			}
		}
	} else {
		f.asked[r.Method+" "+r.URL.Path]++
	}
	f.serve(w, r, u, body)
}

func (f *lfUpstream) give(w http.ResponseWriter, a *lfAnswer) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", a.kind)
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func (f *lfUpstream) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	data, _ := json.Marshal(v)
	if f.old && bytes.HasPrefix(data, []byte("[")) {
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

func (f *lfUpstream) refuse(w http.ResponseWriter, status int, text string) {
	f.json(w, status, map[string]string{"detail": text})
}

const lfPage = "<!doctype html><html lang=\"en\"><head><title>Langflow</title><script type=\"module\" src=\"/assets/index.js\"></script></head><body><div id=\"root\"></div></body></html>"

// serve answers what needs nobody, and hands on what needs a user.
func (f *lfUpstream) serve(w http.ResponseWriter, r *http.Request, u *lfUser, body []byte) {
	version := map[string]string{"version": "1.13.0", "main_version": "1.13.0", "package": "Langflow"}
	if f.old {
		version = map[string]string{"version": "0.6.8", "main_version": "0.6.8", "package": "Langflow Base"}
	}
	public, isPublic := strings.CutPrefix(r.URL.Path, "/api/v1/flows/public_flow/")
	switch {
	case !strings.HasPrefix(r.URL.Path, "/api/") && r.URL.Path != "/health_check":
		w.Header().Set("Etag", `"as-built"`)
		f.give(w, &lfAnswer{200, "text/html; charset=utf-8", lfPage, nil})
	case r.URL.Path == "/api/v1/version":
		f.json(w, 200, version)
	case r.URL.Path == "/health_check":
		f.json(w, 200, map[string]string{"status": "ok", "chat": "ok", "db": "ok"})
	case r.URL.Path == "/api/v1/session":
		f.json(w, 200, map[string]bool{"authenticated": false})
	case r.URL.Path == "/api/v1/auto_login":
		f.refuse(w, 403, "Auto login is disabled.")
	case r.URL.Path == "/api/v1/login":
		f.login(w, body)
	case isPublic:
		for _, u := range f.users {
			if o := u.get("flows", public); o != nil && o.Access == "PUBLIC" {
				f.json(w, 200, o)
				return
			}
		}
		f.refuse(w, 403, "Flow is not public")
	case strings.HasPrefix(r.URL.Path, "/api/v1/build_public_tmp/"), strings.HasSuffix(r.URL.Path, "/events"), strings.HasSuffix(r.URL.Path, "/cancel"):
		f.build(w, r)
	case u == nil:
		f.refuse(w, 401, "Not authenticated")
	default:
		f.serveUser(w, r, u, body)
	}
}

func (f *lfUpstream) login(w http.ResponseWriter, body []byte) {
	form, _ := url.ParseQuery(string(body))
	u := f.named(form.Get("username"))
	if u == nil || u.password != form.Get("password") {
		f.refuse(w, 401, "Incorrect username or password")
		return
	}
	token := lfSign(`{"sub":"` + u.ID + `","type":"access","exp":9999999999}`)
	f.json(w, 200, map[string]string{"access_token": token, "refresh_token": token, "token_type": "bearer"})
}

func (f *lfUpstream) serveUser(w http.ResponseWriter, r *http.Request, u *lfUser, body []byte) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/api/v1/users/"); ok {
		f.serveUsers(w, r, u, rest, body)
		return
	}
	for prefix, kind := range map[string]string{
		"/api/v1/flows/": "flows", "/api/v1/projects/": "projects", "/api/v1/variables/": "variables", "/api/v2/files": "files", "/api/v1/monitor/messages": "messages",
	} {
		if rest, ok := strings.CutPrefix(r.URL.Path, prefix); ok {
			f.serveThings(w, r, u, kind, strings.Trim(rest, "/"), body)
			return
		}
	}
	switch {
	case r.URL.Path == "/api/v1/api_key/":
		key := "sk-" + uuid.NewString()
		u.keys[key] = true
		f.json(w, 200, map[string]string{"id": uuid.NewString(), "api_key": key})
	case strings.HasPrefix(r.URL.Path, "/api/v1/build/"):
		f.build(w, r)
	case strings.HasPrefix(r.URL.Path, "/api/v1/run/") && r.Header.Get("X-Api-Key") == "":
		f.refuse(w, 403, "An API key must be passed as query or header")
	default:
		f.json(w, 200, map[string]bool{"ok": true})
	}
}

// build starts a run or shows its events.
func (f *lfUpstream) build(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/flow") && r.URL.Query().Get("event_delivery") == "direct":
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, "{\"event\":\"token\"}\n\n")
		if f.pause != nil {
			_ = http.NewResponseController(w).Flush()
			<-f.pause
		}
		_, _ = io.WriteString(w, "{\"event\":\"end\"}\n\n")
	case strings.HasSuffix(r.URL.Path, "/flow"):
		f.json(w, 200, map[string]string{"job_id": uuid.NewString()})
	default:
		f.give(w, &lfAnswer{200, "text/event-stream", "{\"event\":\"end\"}\n\n", nil})
	}
}

func (f *lfUpstream) serveUsers(w http.ResponseWriter, r *http.Request, u *lfUser, id string, body []byte) {
	var change lfUser
	_ = json.Unmarshal(body, &change)
	switch {
	case id == "whoami":
		f.json(w, 200, u)
	case id == "" && r.Method == http.MethodPost:
		var made struct{ Username, Password string }
		_ = json.Unmarshal(body, &made)
		f.json(w, 201, f.add(made.Username, made.Password))
	case id == "":
		list := []*lfUser{}
		for _, u := range f.users {
			list = append(list, u)
		}
		f.json(w, 200, map[string]any{"total_count": len(list), "users": list})
	case f.users[id] == nil:
		f.refuse(w, 404, "User not found")
	default:
		f.json(w, 200, f.users[id])
	}
}

func (f *lfUpstream) serveThings(w http.ResponseWriter, r *http.Request, u *lfUser, kind, id string, body []byte) {
	q := r.URL.Query()
	if kind == "messages" {
		f.serveMessages(w, r, u, id)
		return
	}
	list := []*lfThing{}
	for _, o := range u.things[kind] {
		if folder := q.Get("folder_id"); folder == "" || o.Folder == folder {
			list = append(list, o)
		}
	}
	one := u.get(kind, id)
	switch {
	case id == "" && r.Method == http.MethodPost:
		o := &lfThing{}
		_ = json.Unmarshal(body, o)
		o.ID = ""
		f.json(w, 201, u.put(kind, o))
	case id == "" && q.Get("get_all") == "false":
		f.json(w, 200, map[string]any{"items": list, "total": len(list), "page": 1, "size": 50, "pages": 1})
	case id == "" && r.Method == http.MethodGet:
		f.json(w, 200, list)
	case id == "batch" || id == "upload":
		f.json(w, 201, []*lfThing{u.put(kind, &lfThing{Name: "one"}), u.put(kind, &lfThing{Name: "two"})})
	case one == nil:
		f.refuse(w, 404, "Not found")
	case r.Method == http.MethodDelete:
		f.remove(u, kind, id)
		f.json(w, 200, map[string]string{"message": "deleted"})
	case kind == "projects" && r.Method == http.MethodGet:
		f.project(w, r, u, one)
	default:
		_ = json.Unmarshal(body, one)
		one.ID = id
		f.json(w, 200, one)
	}
}

func (f *lfUpstream) remove(u *lfUser, kind, id string) {
	var kept []*lfThing
	for _, o := range u.things[kind] {
		if o.ID != id {
			kept = append(kept, o)
		}
	}
	u.things[kind] = kept
}

func (f *lfUpstream) project(w http.ResponseWriter, r *http.Request, u *lfUser, project *lfThing) {
	flows := []*lfThing{}
	for _, o := range u.things["flows"] {
		if o.Folder == project.ID {
			flows = append(flows, o)
		}
	}
	if r.URL.Query().Get("page") == "" {
		f.json(w, 200, map[string]any{"id": project.ID, "name": project.Name, "flows": flows})
		return
	}
	f.json(w, 200, map[string]any{"folder": project, "flows": map[string]any{"items": flows, "total": len(flows), "page": 1, "size": 12, "pages": 1}})
}

// serveMessages shows the messages of a user; those of everybody if it is old.
func (f *lfUpstream) serveMessages(w http.ResponseWriter, r *http.Request, u *lfUser, id string) {
	list, sessions := []lfMessage{}, []string{}
	for _, other := range slices.SortedFunc(maps.Values(f.users), func(a, b *lfUser) int { return strings.Compare(a.Username, b.Username) }) {
		for _, m := range other.messages {
			q := r.URL.Query()
			if (other == u || f.old) && (q.Get("session_id") == "" || q.Get("session_id") == m.Session) && (q.Get("flow_id") == "" || q.Get("flow_id") == m.Flow) {
				list, sessions = append(list, m), append(sessions, m.Session)
			}
		}
	}
	switch {
	case id == "sessions" && r.Method == http.MethodGet:
		f.json(w, 200, sessions)
	case r.Method == http.MethodGet:
		f.json(w, 200, list)
	default:
		f.json(w, 200, map[string]string{"message": "done"})
	}
}

// accountMark is what Sluice adds to the names of its accounts so that they are nobody's yet.
var accountMark = regexp.MustCompile(`-[0-9a-f]{8}$`)

// accountNames names the users for the witness.
func (f *lfUpstream) accountNames() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := map[string]string{}
	for id, u := range f.users {
		names[id] = "<account " + accountMark.ReplaceAllString(u.Username, "") + ">"
	}
	return names
}
