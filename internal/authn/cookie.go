package authn

import (
	"net/http"
	"strings"
	"time"
)

const (
	plainName  = "sluice_session"
	secureName = "__Host-sluice_session"
)

// CookieName is the name of the session cookie: with the __Host- prefix on https, so that no other host or path can plant one (RFC 6265bis section 4.1.3.2).
func CookieName(secure bool) string {
	if secure {
		return secureName
	}
	return plainName
}

// IsSessionCookie reports whether a cookie name is one of ours, so that it is never forwarded.
func IsSessionCookie(name string) bool { return name == plainName || name == secureName }

// sessionCookie finds the one session cookie of a request. None is "", nil. Two of them, or a header that parsers read differently (stray quotes), are refused:
// the wrong one might be believed.
func sessionCookie(r *http.Request, name string) (string, error) {
	found := ""
	for _, line := range r.Header["Cookie"] {
		for rest := line; rest != ""; {
			var pair string
			pair, rest, _ = strings.Cut(rest, ";")
			pair = strings.Trim(pair, " \t")
			if strings.Count(pair, `"`)%2 != 0 {
				return "", badCookie("The Cookie header cannot be read without doubt: it holds an unbalanced quotation mark.")
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

// SetCookie gives the browser a session cookie: host-only, HttpOnly, SameSite=Lax, for the whole origin, until the session's absolute end.
func (s *Sessions) SetCookie(w http.ResponseWriter, token string, secure bool) {
	http.SetCookie(w, &http.Cookie{
		Name: CookieName(secure), Value: token, Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
		MaxAge: int(s.cfg.MaxAge / time.Second),
	})
}

// ClearCookie takes the session cookie away.
func (s *Sessions) ClearCookie(w http.ResponseWriter, secure bool) {
	http.SetCookie(w, &http.Cookie{Name: CookieName(secure), Path: "/", HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode, MaxAge: -1})
}

// Authenticate turns a request into a Principal by its session cookie. A request without one, or with one that has ended, is a stranger: the zero
// Principal and no error. Two cookies or garbage are problem.Unauthenticated. Secure says that the origin is https and only the __Host- name counts.
func (s *Sessions) Authenticate(r *http.Request, audience string, secure bool) (p Principal, err error) {
	token, err := sessionCookie(r, CookieName(secure))
	if err != nil || token == "" {
		return Principal{}, err
	}
	p, _ = s.Lookup(token, audience)
	return p, nil
}
