package profile

import (
	"context"
	"net/http"
	"net/url"

	"sluice/internal/authz"
)

// The identity headers that a passthrough builder gets for a signed-in person. Clients' copies are dropped by Profile.CleanRequest.
const (
	// HeaderUser is the user's id in Sluice.
	HeaderUser = "X-Sluice-User"
	// HeaderName is the person's name, percent-encoded as a path segment (RFC 3986 section 2.1).
	HeaderName = "X-Sluice-Name"
	// HeaderEmail is the address.
	HeaderEmail = "X-Sluice-Email"
	// HeaderRole is the role held in the workspace that the person works in, a built-in one or a custom role's id; "admin" for a superuser.
	HeaderRole = "X-Sluice-Role"
)

// Passthrough is the Bridge of builders that have no session to hold: they are told who asks, and nothing else. The builder may trust the
// headers only if nobody can reach it around Sluice.
type Passthrough struct{}

// Attach sets the identity headers of a signed-in person. It never fails.
func (Passthrough) Attach(_ context.Context, h http.Header, p authz.Principal, e *Endpoint) error {
	if !p.SignedIn() || e.Upstream == UpstreamNone {
		return nil
	}
	h[HeaderUser] = []string{p.ID}
	h[HeaderName] = []string{url.PathEscape(personName(p))}
	h[HeaderEmail] = []string{p.Email}
	h[HeaderRole] = []string{roleOf(p)}
	return nil
}

// roleOf is the role in the workspace that somebody works in; the highest of all if they work in none.
func roleOf(p authz.Principal) string {
	if p.Superuser {
		return authz.RoleAdmin
	}
	if p.Workspace != "" {
		return p.Role(p.Workspace)
	}
	for _, role := range authz.Roles() {
		for _, m := range p.Memberships {
			if m.Role == role {
				return role
			}
		}
	}
	return ""
}

// Rejected reports false: there is nothing to renew.
func (Passthrough) Rejected(context.Context, http.Header) bool { return false }

// Upstream is nil: there is no service account.
func (Passthrough) Upstream() map[string]any { return nil }

// Close does nothing.
func (Passthrough) Close(context.Context) error { return nil }

var _ Bridge = Passthrough{}
