package authn

import (
	"net/http"
	"strings"
)

const (
	plainName  = "sluice_session"
	secureName = "__Host-sluice_session"
)

// CookieName is the name of the session cookie: with the __Host- prefix on https, so that no other
// host or path can plant one (RFC 6265bis section 4.1.3.2).
func CookieName(secure bool) string {
	if secure {
		return secureName
	}
	return plainName
}

// IsSessionCookie reports whether a cookie name is one of Sluice's, so that it is never forwarded.
func IsSessionCookie(name string) bool { return name == plainName || name == secureName }

// sessionCookie finds the one session cookie of a request. It returns "" and no error if the
// request has no session cookie. It refuses two of them, and a header that parsers read differently
// (stray quotes), because the app might believe the wrong one.
func sessionCookie(r *http.Request, name string) (string, error) {
	found := ""
	for _, line := range r.Header["Cookie"] {
		for rest := line; rest != ""; {
			var pair string
			pair, rest, _ = strings.Cut(rest, ";")
			pair = strings.Trim(pair, " \t")
			if strings.Count(pair, `"`)%2 != 0 {
				return "", badCookie("The Cookie header is ambiguous: it contains an unbalanced quotation mark.")
			}
			n, value, ok := strings.Cut(pair, "=")
			if !ok || n != name {
				continue
			}
			if found != "" {
				return "", badCookie("There are two session cookies.")
			}
			if found = value; found == "" {
				found = "-"
			}
		}
	}
	if found != "" && !wellFormed(found) {
		return "", badCookie("The session cookie was not created by Sluice.")
	}
	return found, nil
}
