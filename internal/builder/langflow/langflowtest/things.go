package langflowtest

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// The kinds of things that a user has.
const (
	Flows     = "flows"
	Projects  = "projects"
	Variables = "variables"
	Files     = "files"
)

// User is one of the server's users.
type User struct {
	ID       string              `json:"id"`
	Username string              `json:"username"`
	Active   bool                `json:"is_active"`
	Super    bool                `json:"is_superuser"`
	Password string              `json:"-"`
	Keys     map[string]bool     `json:"-"`
	Things   map[string][]*Thing `json:"-"`
	Messages []Message           `json:"-"`
	serial   int
}

// Thing is a flow, project, variable or file.
type Thing struct {
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	UserID   string          `json:"user_id"`
	Endpoint string          `json:"endpoint_name,omitempty"`
	Folder   string          `json:"folder_id,omitempty"`
	Locked   bool            `json:"locked"`
	Access   string          `json:"access_type,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
}

// Message is a message of a chat.
type Message struct {
	ID      string `json:"id"`
	Flow    string `json:"flow_id"`
	Session string `json:"session_id"`
	Text    string `json:"text"`
}

// FlowID is the id of a flow that Add gave to a user.
func FlowID(u *User, name string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(u.ID+name)).String()
}

// Add creates a user with a project and with flows of these names. Call it within With if requests
// may run concurrently.
func (s *Server) Add(name, password string, flows ...string) *User {
	u := s.addAs(uuid.NewString(), name, password)
	for _, f := range flows {
		u.Put(Flows, &Thing{ID: FlowID(u, f), Name: f})
	}
	return u
}

func (s *Server) addAs(id, name, password string) *User {
	s.serial++
	u := &User{
		ID:       id,
		Username: name,
		Active:   true,
		Password: password,
		Keys:     map[string]bool{},
		Things:   map[string][]*Thing{},
		serial:   s.serial,
	}
	u.Put(Projects, &Thing{Name: "Starter Project"})
	s.Users[id] = u
	return u
}

// Named is the user with a name; nil if no user has it.
func (s *Server) Named(name string) *User {
	for _, u := range s.Users {
		if u.Username == name {
			return u
		}
	}
	return nil
}

// Put gives a user a thing. A thing without an id gets one.
func (u *User) Put(kind string, o *Thing) *Thing {
	if o.ID == "" {
		o.ID = uuid.NewString()
	}
	o.UserID = u.ID
	if kind == Flows && o.Folder == "" && len(u.Things[Projects]) > 0 {
		o.Folder = u.Things[Projects][0].ID
	}
	u.Things[kind] = append(u.Things[kind], o)
	return o
}

// Get is a user's thing by its id; nil if the user does not have it.
func (u *User) Get(kind, id string) *Thing {
	for _, o := range u.Things[kind] {
		if o.ID == id {
			return o
		}
	}
	return nil
}

// inOrder are the users in the order of their creation.
func (s *Server) inOrder() []*User {
	return slices.SortedFunc(maps.Values(s.Users), func(a, b *User) int { return cmp.Compare(a.serial, b.serial) })
}

func (s *Server) servePublic(w http.ResponseWriter, id string) {
	for _, u := range s.Users {
		if o := u.Get(Flows, id); o != nil && o.Access == "PUBLIC" {
			s.json(w, 200, o)
			return
		}
	}
	s.refuse(w, 403, "Flow is not public")
}

func (s *Server) serveUser(w http.ResponseWriter, r *http.Request, u *User, body []byte) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/api/v1/users/"); ok {
		s.serveUsers(w, r, u, rest, body)
		return
	}
	if s.Components != nil && s.serveCatalog(w, r.URL.Path) {
		return
	}
	for prefix, kind := range map[string]string{
		"/api/v1/flows/":     Flows,
		"/api/v1/projects/":  Projects,
		"/api/v1/variables/": Variables,
		"/api/v2/files":      Files,
	} {
		if rest, ok := strings.CutPrefix(r.URL.Path, prefix); ok {
			s.serveThings(w, r, u, kind, strings.Trim(rest, "/"), body)
			return
		}
	}
	rest, isMessages := strings.CutPrefix(r.URL.Path, "/api/v1/monitor/messages")
	switch {
	case isMessages:
		s.serveMessages(w, r, u, strings.Trim(rest, "/"))
	case r.URL.Path == "/api/v1/api_key/" && s.NoKeys:
		s.refuse(w, 400, "Fernet key must be 32 url-safe base64-encoded bytes.")
	case r.URL.Path == "/api/v1/api_key/":
		key := "sk-" + uuid.NewString()
		u.Keys[key] = true
		s.json(w, 200, map[string]string{"id": uuid.NewString(), "api_key": key})
	case strings.HasPrefix(r.URL.Path, "/api/v1/build/"):
		s.build(w, r)
	case strings.HasPrefix(r.URL.Path, "/api/v1/run/") && r.Header.Get("X-Api-Key") == "":
		s.refuse(w, 403, "An API key must be passed as query or header")
	default:
		s.json(w, 200, map[string]bool{"ok": true})
	}
}

// serveCatalog shows the components and examples that the server ships with.
func (s *Server) serveCatalog(w http.ResponseWriter, path string) bool {
	switch path {
	case "/api/v1/all":
		s.json(w, 200, s.Components)
	case "/api/v1/flows/basic_examples/":
		s.json(w, 200, append([]any{}, s.Examples...))
	case "/api/v1/starter-projects/":
		if s.Old {
			s.refuse(w, 404, "Not Found") // it has none without its optional packages
			return true
		}
		s.json(w, 200, []any{})
	default:
		return false
	}
	return true
}

// build starts a run or shows its events.
func (s *Server) build(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/flow") && r.URL.Query().Get("event_delivery") == "direct":
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = io.WriteString(w, "{\"event\":\"token\"}\n\n")
		if s.Pause != nil {
			_ = http.NewResponseController(w).Flush()
			<-s.Pause
		}
		_, _ = io.WriteString(w, "{\"event\":\"end\"}\n\n")
	case strings.HasSuffix(r.URL.Path, "/flow"):
		s.json(w, 200, map[string]string{"job_id": uuid.NewString()})
	default:
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "{\"event\":\"end\"}\n\n")
	}
}

func (s *Server) serveUsers(w http.ResponseWriter, r *http.Request, u *User, id string, body []byte) {
	var change struct {
		Username, Password string
		Active             *bool `json:"is_active"`
	}
	_ = json.Unmarshal(body, &change)
	other := s.Users[id]
	switch {
	case id == "whoami":
		s.json(w, 200, u)
	case !u.Super:
		s.refuse(w, 403, "The user doesn't have enough privileges")
	case r.Method == http.MethodGet && id == "":
		s.json(w, 200, map[string]any{"total_count": len(s.Users), "users": s.inOrder()})
	case r.Method == http.MethodPost && s.Named(change.Username) != nil:
		s.refuse(w, 400, "This username is unavailable.")
	case r.Method == http.MethodPost:
		created := s.Add(change.Username, change.Password)
		created.Active = false
		s.json(w, 201, created)
	case other == nil:
		s.refuse(w, 404, "User not found")
	case r.Method == http.MethodDelete:
		delete(s.Users, id)
		s.json(w, 202, map[string]string{"detail": "User deletion started"})
	default:
		if change.Active != nil {
			other.Active = *change.Active
		}
		if change.Password != "" {
			other.Password = change.Password
		}
		s.json(w, 200, other)
	}
}

func (s *Server) serveThings(w http.ResponseWriter, r *http.Request, u *User, kind, id string, body []byte) {
	q := r.URL.Query()
	list := []*Thing{}
	for _, o := range u.Things[kind] {
		if folder := q.Get("folder_id"); folder == "" || o.Folder == folder {
			list = append(list, o)
		}
	}
	one := u.Get(kind, id)
	switch {
	case id == "" && r.Method == http.MethodPost:
		o := &Thing{}
		_ = json.Unmarshal(body, o)
		o.ID = ""
		s.json(w, 201, u.Put(kind, o))
	case id == "" && q.Get("get_all") == "false":
		s.json(w, 200, map[string]any{"items": list, "total": len(list), "page": 1, "size": 50, "pages": 1})
	case id == "" && r.Method == http.MethodGet:
		s.json(w, 200, list)
	case id == "batch" || id == "upload":
		s.json(w, 201, []*Thing{u.Put(kind, &Thing{Name: "one"}), u.Put(kind, &Thing{Name: "two"})})
	case one == nil:
		s.refuse(w, 404, "Not found")
	case r.Method == http.MethodDelete:
		u.Things[kind] = slices.DeleteFunc(u.Things[kind], func(o *Thing) bool { return o.ID == id })
		s.json(w, 200, map[string]string{"message": "deleted"})
	case kind == Projects && r.Method == http.MethodGet:
		s.serveProject(w, r, u, one)
	default:
		_ = json.Unmarshal(body, one)
		one.ID = id
		s.json(w, 200, one)
	}
}

func (s *Server) serveProject(w http.ResponseWriter, r *http.Request, u *User, project *Thing) {
	flows := []*Thing{}
	for _, o := range u.Things[Flows] {
		if o.Folder == project.ID {
			flows = append(flows, o)
		}
	}
	if r.URL.Query().Get("page") == "" {
		s.json(w, 200, map[string]any{"id": project.ID, "name": project.Name, "flows": flows})
		return
	}
	s.json(w, 200, map[string]any{
		"folder": project,
		"flows":  map[string]any{"items": flows, "total": len(flows), "page": 1, "size": 12, "pages": 1},
	})
}

// serveMessages shows the messages of a user, or of all users if Old is set.
func (s *Server) serveMessages(w http.ResponseWriter, r *http.Request, u *User, id string) {
	q := r.URL.Query()
	list, sessions := []Message{}, []string{}
	for _, other := range s.inOrder() {
		if other != u && !s.Old {
			continue
		}
		for _, m := range other.Messages {
			ofSession := q.Get("session_id") == "" || q.Get("session_id") == m.Session
			if ofSession && (q.Get("flow_id") == "" || q.Get("flow_id") == m.Flow) {
				list, sessions = append(list, m), append(sessions, m.Session)
			}
		}
	}
	switch {
	case id == "sessions" && r.Method == http.MethodGet:
		s.json(w, 200, sessions)
	case r.Method == http.MethodGet:
		s.json(w, 200, list)
	default:
		s.json(w, 200, map[string]string{"message": "done"})
	}
}
