package authz

import "time"

// Kind of principal.
type Kind uint8

const (
	// Anonymous is a request without any credential.
	Anonymous Kind = iota
	// Person is a signed-in user.
	Person
	// System is Sluice itself or an operator with a shell on its host (the command line).
	System
)

// The built-in roles. A membership gives one of them in one workspace.
const (
	// RoleAdmin may everything within its workspace.
	RoleAdmin = "admin"
	// RoleUser creates and manages flows.
	RoleUser = "user"
	// RoleViewer reads and runs flows.
	RoleViewer = "viewer"
)

// Roles lists the built-in roles from most to least.
func Roles() []string { return []string{RoleAdmin, RoleUser, RoleViewer} }

// Membership is a role held in a workspace.
type Membership struct{ Workspace, Role string }

// Principal is who asks. Values are immutable; a change of rights makes a new one with a higher Generation.
type Principal struct {
	// Kind tells people from strangers and from Sluice itself.
	Kind Kind
	// ID is the user's id; for System a short name such as "cli".
	ID string
	// Name is what people call this principal (the username); it is copied into audit entries.
	Name string
	// Email is the user's address, for identity assertions to builders.
	Email string
	// DisplayName is the person's full name; may be empty.
	DisplayName string
	// Superuser may everything.
	Superuser bool
	// Memberships are the roles held.
	Memberships []Membership
	// Workspace is the one that the person works in at the moment: what they create goes there, and lists show it.
	Workspace string
	// KeyID is the API key that the request came with; empty for others. Scope bounds what it may do; nil bounds nothing.
	KeyID string
	Scope *Scope
	// SessionID is the session that the request came with; empty for others.
	SessionID string
	// IP is the client address as Sluice sees it; may be empty.
	IP string
	// Automatic tells that nobody has proven to be this person: the browser was signed in without being asked (LANGFLOW_AUTO_LOGIN). What is dangerous, or would outlast the session, asks for a
	// proof first, and the API takes such a principal without the superuser flag.
	Automatic bool
	// Strong tells that more than one factor was proven in this session.
	Strong bool
	// ProvenAt is when the person last proved, in this session, to be who they are.
	ProvenAt time.Time
	// Generation grows when the user's rights change, so that cached decisions die.
	Generation uint64
}

// SystemPrincipal is Sluice acting for itself, or its command line.
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

// Resource is what is asked about.
type Resource struct {
	// Type is the Cedar entity type: "App", "Flow", "User", "Session", "System".
	Type string
	// ID is the object's id; may be empty for "all of this type".
	ID string
	// Workspace is where the object lies; empty for what belongs to the whole installation.
	Workspace string
	// App is the id of the app that the object is of, if it is of one.
	App string
	// Owner is the user the object belongs to, if it belongs to one.
	Owner string
	// Name is what people call it; only for the audit entry.
	Name string
}
