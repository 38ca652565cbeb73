package proxy

import (
	"net/http"
	"strings"

	"sluice/internal/builder"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// forwarded describes the request that a reverse proxy asks about. The header names are those of
// Caddy and Traefik; nginx is configured to use them too.
type forwarded struct{ method, host, uri string }

// maxForwardedHost is the length of the longest host in bytes: a DNS name (RFC 1035 section 2.3.4)
// with a port.
const maxForwardedHost = 253 + len(":65535")

// forwardedOf reads the headers of a sub-request. It refuses a header that is missing, repeated, or
// ambiguous, because a well-configured proxy writes each once.
func forwardedOf(h http.Header) (f forwarded, err error) {
	for _, v := range [...]struct {
		name string
		to   *string
		most int
	}{
		{"X-Forwarded-Method", &f.method, 20},
		{"X-Forwarded-Host", &f.host, maxForwardedHost},
		{"X-Forwarded-Uri", &f.uri, 2*profile.MaxTarget + 1},
	} {
		values := h[v.name]
		if len(values) != 1 || values[0] == "" {
			return f, badForwarded(v.name, "The reverse proxy must send %s exactly once.")
		}
		if len(values[0]) > v.most {
			return f, badForwarded(v.name, "%s is too long.")
		}
		*v.to = values[0]
	}
	switch {
	case !wordOnly(f.method):
		return f, badForwarded("X-Forwarded-Method", "%s must be the method of the request, such as GET.")
	case !hostOnly(f.host):
		return f, badForwarded(
			"X-Forwarded-Host",
			"%s must be one host name with its port, as the browser's Host header.",
		)
	case f.uri[0] != '/':
		return f, badForwarded(
			"X-Forwarded-Uri",
			"%s must be the path and the query of the request, as the browser sent them.",
		)
	}
	for name := range h {
		if pretends(name) {
			return f, problem.Newf(
				problem.Denied,
				"The request has %.60q. Only Sluice can state who a person is.",
				name,
			).WithField(name).WithRule("identity header")
		}
	}
	return f, nil
}

func badForwarded(name, format string) error {
	return problem.Newf(problem.Denied, format, name).WithField(name).WithRule("forward-auth header").
		WithNext("Use the configuration on the app's page in Sluice.")
}

// wordOnly reports whether a method consists of upper-case letters, like all methods that Sluice
// passes on.
func wordOnly(s string) bool {
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return true
}

// hostOnly reports whether a text is nothing but a host and a port: no list, blank, user name, or
// path.
func hostOnly(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7f, strings.IndexByte(`,/\@?#"'<>;`, c) >= 0:
			return false
		}
	}
	return true
}

// pretends reports whether a header could be mistaken for one of builder.IdentityHeaders. CGI-like
// servers read underscores, and some servers read dots, as dashes. Unknown names count too, because
// later versions may have further ones. The canonical spellings do not count, since the reverse
// proxy replaces them. name is as net/http writes it.
func pretends(name string) bool {
	const prefix = "X-Sluice-"
	if len(name) < len(prefix) || name[0] != 'X' || !separator(name[1]) || !separator(name[len(prefix)-1]) ||
		!strings.EqualFold(name[2:len(prefix)-1], prefix[2:len(prefix)-1]) {
		return false
	}
	switch name {
	case builder.HeaderUser, builder.HeaderID, builder.HeaderName, builder.HeaderEmail, builder.HeaderRole,
		builder.HeaderAssertion:
		return false
	}
	return true
}

func separator(c byte) bool { return c == '-' || c == '_' || c == '.' }

// request turns r into the request that the sub-request asks about, in the form that the steps of
// the data plane expect. It has the client's headers and no body.
func (f forwarded) request(r, sub *http.Request) {
	*r = *sub
	r.Method, r.Host, r.RequestURI = f.method, f.host, f.uri
	r.Body, r.ContentLength, r.TransferEncoding = http.NoBody, 0, nil
	if r.Header["Sec-Websocket-Key"] != nil && r.Header["Upgrade"] == nil {
		// Upgrade is a hop-by-hop header, so Traefik does not pass it on; the key remains (RFC 6455
		// section 4.1).
		r.Header = r.Header.Clone()
		r.Header["Upgrade"] = []string{"websocket"}
	}
}
