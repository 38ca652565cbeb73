package authz

import "time"

// Kind is the kind of a principal.
type Kind uint8

const (
	// Anonymous is a request without any credential.
	Anonymous Kind = iota
	// Person is a signed-in person.
	Person
	// System is Sluice itself or an operator with a shell on its host (the command line).
	System
)

// Built-in roles. A membership gives one role in one workspace.
const (
	// RoleAdmin may do anything within its workspace.
	RoleAdmin = "admin"
	// RoleUser creates and manages flows.
	RoleUser = "user"
	// RoleViewer reads and runs flows.
	RoleViewer = "viewer"
)

// Roles lists the built-in roles, the most powerful first.
func Roles() []string { return []string{RoleAdmin, RoleUser, RoleViewer} }

// Membership is a role held in a workspace.
type Membership struct{ Workspace, Role string }

// Principal is who acts in a request. Values are immutable; a change of permissions creates a new
// value with a higher Generation.
type Principal struct {
	// Kind distinguishes people, strangers and Sluice itself.
	Kind Kind
	// ID is the person's id; for System a short name such as "cli".
	ID string
	// Name is what people call this principal (the username); it is copied into audit entries.
	Name string
	// Email is the person's address, for identity assertions to builders.
	Email string
	// DisplayName is the person's full name. It may be empty.
	DisplayName string
	// Superuser means that the principal may do anything.
	Superuser bool
	// Memberships are the roles of the principal in workspaces.
	Memberships []Membership
	// Workspace is the one that the person currently works in: lists show it, and new objects go
	// there.
	Workspace string
	// KeyID is the id of the request's API key; empty without one. Scope limits what the key can
	// do; nil limits nothing.
	KeyID string
	Scope *Scope
	// SessionID is the id of the request's session; empty without one.
	SessionID string
	// IP is the client address as Sluice sees it. It may be empty.
	IP string
	// Automatic means that no one has proven to be this person: the browser was signed in without a
	// password (LANGFLOW_AUTO_LOGIN). Actions that are dangerous, or would outlast the session,
	// first require a proof, and the API ignores the superuser flag of such a principal.
	Automatic bool
	// Strong reports whether more than one factor was proven in this session.
	Strong bool
	// ProvenAt is when the person last proved their identity in this session.
	ProvenAt time.Time
	// Generation grows when the person's permissions change, so that cached decisions become
	// obsolete.
	Generation uint64
}

// SystemPrincipal is the principal of Sluice itself or of its command line.
func SystemPrincipal(name string) Principal {
	return Principal{Kind: System, ID: name, Name: name, Superuser: true, Strong: true}
}

// SignedIn reports whether the principal is a known person.
func (p Principal) SignedIn() bool { return p.Kind == Person }

// Role is the role held in a workspace, or "".
func (p Principal) Role(workspace string) string {
	for _, m := range p.Memberships {
		if m.Workspace == workspace {
			return m.Role
		}
	}
	return ""
}

// Resource is the object of a question.
type Resource struct {
	// Type is the Cedar entity type: "App", "Flow", "User", "Session", "System".
	Type string
	// ID is the object's id. Empty can mean "all of this type".
	ID string
	// Workspace is the object's workspace; empty for objects of the whole installation.
	Workspace string
	// App is the id of the object's app, if it belongs to one.
	App string
	// Owner is the id of the person that the object belongs to, if any.
	Owner string
	// Name is the display name, for the audit entry only.
	Name string
}
