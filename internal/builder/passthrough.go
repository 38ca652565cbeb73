package builder

import (
	"context"
	"net/http"
	"net/url"

	"sluice/internal/authz"
	"sluice/internal/profile"
)

// The identity headers that a passthrough builder gets for a signed-in person. Profile.CleanRequest
// drops any copies that clients send.
const (
	// HeaderUser is the username. HeaderID is the user's id in Sluice, which stays the same when
	// the name changes.
	HeaderUser, HeaderID = "X-Sluice-User", "X-Sluice-Id"
	// HeaderName is the person's name, percent-encoded as a path segment (RFC 3986 section 2.1).
	HeaderName = "X-Sluice-Name"
	// HeaderEmail is the email address. It is left out if the person has none.
	HeaderEmail = "X-Sluice-Email"
	// HeaderRole is the role in the workspace that the person works in: a built-in one or a custom
	// role's id. It is "admin" for a superuser.
	HeaderRole = "X-Sluice-Role"
	// HeaderAssertion is a JWT with the same statements, signed by Sluice; see
	// docs/forward-auth.md. Only apps behind a reverse proxy get it.
	HeaderAssertion = "X-Sluice-Assertion"
)

// IdentityHeaders lists all headers that only Sluice may set.
func IdentityHeaders() []string {
	return []string{HeaderUser, HeaderID, HeaderName, HeaderEmail, HeaderRole, HeaderAssertion}
}

// SetIdentity sets the headers that identify a signed-in person. The values are always printable
// ASCII without blanks; empty values are left out.
func SetIdentity(h http.Header, p authz.Principal) {
	for _, v := range [...][2]string{
		{HeaderUser, p.Name},
		{HeaderID, p.ID},
		{HeaderName, url.PathEscape(PersonName(p))},
		{HeaderEmail, p.Email},
		{HeaderRole, RoleOf(p)},
	} {
		if v[1] != "" {
			h[v[0]] = []string{plainValue(v[1])}
		}
	}
}

// plainValue makes a value safe in a header for every program that reads it. Names and addresses
// that Sluice itself checked are unchanged.
func plainValue(s string) string {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return url.PathEscape(s)
		}
	}
	return s
}

// Passthrough is the Session of builders that have no session to hold. Headers name the person, and
// nothing else is added. The builder may trust them only if it is reachable through Sluice alone.
type Passthrough struct{}

// Attach sets the identity headers of a signed-in person. It never fails.
func (Passthrough) Attach(_ context.Context, h http.Header, o OnBehalf, e *profile.Endpoint) error {
	if !o.SignedIn() || e.Upstream == profile.UpstreamNone {
		return nil
	}
	SetIdentity(h, o.Principal)
	return nil
}

// RoleOf is the person's role in the workspace they work in, or their highest role if they work in
// none. It is empty for people without a role.
func RoleOf(p authz.Principal) string {
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

// Rejected returns false: there is nothing to renew.
func (Passthrough) Rejected(context.Context, http.Header) bool { return false }

// Upstream returns nil: passthrough builders have no service account.
func (Passthrough) Upstream() map[string]any { return nil }

// Close does nothing.
func (Passthrough) Close(context.Context) error { return nil }

var _ Session = Passthrough{}
