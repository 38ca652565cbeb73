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

// IsSessionCookie reports whether a cookie name is one of ours, so that it is never forwarded.
func IsSessionCookie(name string) bool { return name == plainName || name == secureName }

// sessionCookie finds the one session cookie of a request. None is "", nil. Two of them, or a
// header that parsers read differently (stray quotes), are refused: the wrong one might be
// believed.
func sessionCookie(r *http.Request, name string) (string, error) {
	found := ""
	for _, line := range r.Header["Cookie"] {
		for rest := line; rest != ""; {
			var pair string
			pair, rest, _ = strings.Cut(rest, ";")
			pair = strings.Trim(pair, " \t")
			if strings.Count(pair, `"`)%2 != 0 {
				return "", badCookie("The Cookie header cannot be read without doubt: it holds an unbalanced " +
					"quotation mark.")
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
		return "", badCookie("The session cookie is not one that Sluice made.")
	}
	return found, nil
}
