package builder

import (
	"context"
	"net/http"
	"net/url"

	"sluice/internal/authz"
	"sluice/internal/profile"
)

// The identity headers that a passthrough builder gets for a signed-in person. Clients' copies are
// dropped by Profile.CleanRequest.
const (
	// HeaderUser is the username, HeaderID the user's id in Sluice, which stays the same when the
	// name changes.
	HeaderUser, HeaderID = "X-Sluice-User", "X-Sluice-Id"
	// HeaderName is the person's name, percent-encoded as a path segment (RFC 3986 section 2.1).
	HeaderName = "X-Sluice-Name"
	// HeaderEmail is the address; left out if there is none.
	HeaderEmail = "X-Sluice-Email"
	// HeaderRole is the role held in the workspace that the person works in, a built-in one or a
	// custom role's id; "admin" for a superuser.
	HeaderRole = "X-Sluice-Role"
	// HeaderAssertion is a JWT that says the same, signed by Sluice; see docs/forward-auth.md. Only
	// apps behind a reverse proxy get it.
	HeaderAssertion = "X-Sluice-Assertion"
)

// IdentityHeaders lists all headers of which only Sluice may say anything.
func IdentityHeaders() []string {
	return []string{HeaderUser, HeaderID, HeaderName, HeaderEmail, HeaderRole, HeaderAssertion}
}

// SetIdentity says in headers who a signed-in person is. Whatever a value holds, what is set is
// printable ASCII without blanks; an empty value is left out.
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

// plainValue is a value as it may stand in a header in any program's eyes: names and addresses that
// Sluice itself has checked are left as they are.
func plainValue(s string) string {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return url.PathEscape(s)
		}
	}
	return s
}

// Passthrough is the Session of builders that have no session to hold: they are told who asks, and
// nothing else. The builder may trust the headers only if nobody can reach it around Sluice.
type Passthrough struct{}

// Attach sets the identity headers of a signed-in person. It never fails.
func (Passthrough) Attach(_ context.Context, h http.Header, o OnBehalf, e *profile.Endpoint) error {
	if !o.SignedIn() || e.Upstream == profile.UpstreamNone {
		return nil
	}
	SetIdentity(h, o.Principal)
	return nil
}

// RoleOf is the role in the workspace that somebody works in; the highest of all if they work in
// none. It is empty for people without one.
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

// Rejected reports false: there is nothing to renew.
func (Passthrough) Rejected(context.Context, http.Header) bool { return false }

// Upstream is nil: there is no service account.
func (Passthrough) Upstream() map[string]any { return nil }

// Close does nothing.
func (Passthrough) Close(context.Context) error { return nil }

var _ Session = Passthrough{}
