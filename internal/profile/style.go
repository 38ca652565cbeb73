package profile

import (
	"net/http"
	"slices"
	"strings"

	"sluice/internal/problem"
)

// Style describes the peculiarities of a builder's requests and answers besides the route table.
type Style struct {
	// Cookies are the builder's own session cookies: never accepted from a client, never sent to
	// one.
	Cookies []string
	// Sealed blocks every cookie in both directions, known or not: the builder's pages need none.
	Sealed bool
	// Passes are the cookies that the builder's pages still need. A trailing '*' is a prefix.
	Passes []string
	// Headers are additional request headers to drop, in any spelling. HeaderPrefixes are prefixes
	// of such headers, in lower case with dashes.
	Headers, HeaderPrefixes []string
	// CSP is the policy for pages without frame-ancestors; empty means only frame-ancestors.
	CSP string
	// Query are the rules for parameters.
	Query QueryRules
	// Error renders an error in the builder's shape; nil means RFC 9457.
	Error func(e *problem.Error, requestID string) (contentType string, body any)
	// PageCall recognizes calls of the builder's own pages by their headers; nil if they cannot be
	// recognized.
	PageCall func(h http.Header) bool
	// PageDenied answers such a call when it is denied.
	PageDenied func(e *problem.Error, requestID string) Answer
}

// forwardedHeaders are the request headers by which a client could pretend to be a proxy, another
// person or another request. They are dropped for every kind of builder; Sluice sets its own
// afterwards. Names are compared folded. A trailing '*' is a prefix.
var forwardedHeaders = []string{
	// The origin of the request (RFC 7239 and its predecessors).
	"forwarded", "x-forwarded-*", "x-real-ip", "x-real-port", "x-client-ip", "x-cluster-client-ip", "x-remote-ip",
	"x-remote-addr", "x-remote-host",
	"x-originating-ip", "x-original-forwarded-for", "x-original-host", "x-host", "x-http-host-override",
	"true-client-ip", "cf-connecting-ip*",
	"cf-ipcountry", "cf-visitor", "cf-ray", "fastly-client-ip", "fly-client-ip", "x-azure-clientip", "x-azure-socketip",
	"x-envoy-*", "x-appengine-*",
	"x-proxyuser-ip", "x-proto", "x-scheme", "x-url-scheme", "front-end-https", "via", "client-ip", "wl-proxy-*",
	// The identity of the request.
	"x-original-url", "x-original-uri", "x-original-method", "x-rewrite-url", "x-override-url", "x-http-method",
	"x-http-method-override", "x-method-override",
	"x-http-path-override", "x-forward-for", "x-forward-proto", "x-request-uri", "x-matched-path", "x-middleware-*",
	"x-accel-*", "x-sendfile*",
	// httpoxy (CVE-2016-5385).
	"proxy", "proxy-host", "proxy-authorization", "proxy-connection",
	// The identity of the person: the conventions of identity proxies and of Sluice.
	"x-sluice-*", "sluice-*", "remote-user", "remote-groups", "remote-name", "remote-email", "x-remote-*",
	"x-auth-request-*", "x-auth-user*", "x-auth-email", "x-auth-groups", "x-authenticated-*", "x-webauth-*",
	"x-user", "x-user-*", "x-email", "x-groups", "x-roles", "x-username", "x-authentik-*", "x-authelia-*",
	"x-pomerium-*", "x-goog-authenticated-*",
	"x-goog-iap-*", "x-ms-client-principal*", "x-ms-token-*", "x-amzn-oidc-*", "cf-access-*", "tailscale-user-*",
	"x-vouch-*", "x-ssl-*", "x-client-cert*",
	"x-client-verify*", "ssl-client-*", "x-tenant-*", "x-workspace-id", "x-organization-id",
}

var dropExact, dropPrefix = splitHeaders(forwardedHeaders)

func splitHeaders(names []string) (exact map[string]bool, prefixes []string) {
	exact = map[string]bool{}
	for _, name := range names {
		if prefix, ok := strings.CutSuffix(name, "*"); ok {
			prefixes = append(prefixes, prefix)
		} else {
			exact[name] = true
		}
	}
	return exact, prefixes
}

// dropped is the set of Style.Headers, both folded and in Go's canonical spelling. The latter saves
// folding headers that nearly every request has.
func dropped(names ...string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[fold(name)], set[http.CanonicalHeaderKey(name)] = true, true
	}
	return set
}

// fold is a header name as CGI-like servers see it: in lower case, with '_' and '.' read as '-'.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '.':
			return '-'
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

// DropsRequestHeader reports whether a client's header of this name never reaches the builder.
// Spelling does not matter: case, '_' and '.' are folded.
func (p *Profile) DropsRequestHeader(name string) bool {
	if plainHeader(name) {
		return false
	}
	if p.headers[name] {
		return true
	}
	folded := fold(name)
	if dropExact[folded] || p.headers[folded] {
		return true
	}
	starts := func(prefix string) bool { return strings.HasPrefix(folded, prefix) }
	return slices.ContainsFunc(dropPrefix, starts) || slices.ContainsFunc(p.style.HeaderPrefixes, starts)
}

// plainHeader recognizes, in canonical spelling, the headers of nearly every request, so that the
// hot path does not fold them.
func plainHeader(name string) bool {
	switch name {
	case "Accept",
		"Accept-Encoding",
		"Accept-Language",
		"Cache-Control",
		"Connection",
		"Content-Length",
		"Content-Type",
		"Cookie",
		"Origin",
		"Pragma",
		"Referer",
		"User-Agent",
		"Sec-Fetch-Dest",
		"Sec-Fetch-Mode",
		"Sec-Fetch-Site",
		"Sec-Fetch-User",
		"Sec-Ch-Ua",
		"Sec-Ch-Ua-Mobile",
		"Sec-Ch-Ua-Platform",
		"If-None-Match",
		"If-Modified-Since",
		"Priority",
		"Range",
		"Upgrade-Insecure-Requests":
		return true
	}
	return false
}

// CleanRequest removes the headers of a request that must not reach the builder from a client: the
// client's credentials and session cookies, and every identity, forwarding and rewriting header in
// every spelling. The caller removes Sluice's own cookies.
func (p *Profile) CleanRequest(h http.Header) {
	for name := range h {
		if p.DropsRequestHeader(name) {
			delete(h, name)
		}
	}
	switch {
	case p.style.Sealed && len(p.style.Passes) == 0:
		delete(h, "Cookie")
	case p.style.Sealed || len(p.style.Cookies) > 0:
		p.cleanCookies(h, h["Cookie"])
	}
}

// keepsCookie reports whether a cookie may pass between client and builder.
func (p *Profile) keepsCookie(name string) bool {
	if !p.style.Sealed {
		return !p.OwnsCookie(name)
	}
	return slices.ContainsFunc(p.style.Passes, func(pass string) bool {
		prefix, open := strings.CutSuffix(pass, "*")
		return name == pass || open && strings.HasPrefix(name, prefix)
	})
}

func (p *Profile) cleanCookies(h http.Header, lines []string) {
	var keep []string
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			part = strings.TrimSpace(part)
			if name, _, _ := strings.Cut(part, "="); part != "" && p.keepsCookie(strings.TrimSpace(name)) {
				keep = append(keep, part)
			}
		}
	}
	if len(keep) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = []string{strings.Join(keep, "; ")}
}

// OwnsCookie reports whether a cookie is one of the builder's own session cookies, with or without
// a prefix from RFC 6265bis.
func (p *Profile) OwnsCookie(name string) bool {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "__Host-"), "__Secure-")
	for _, own := range p.style.Cookies {
		if strings.EqualFold(own, name) {
			return true
		}
	}
	return false
}

// CleanResponse removes the parts of the builder's answer that only Sluice may set: its session
// cookies, its CORS answers, its framing rules.
func (p *Profile) CleanResponse(h http.Header) {
	for _, name := range [...]string{
		"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers",
		"Access-Control-Allow-Methods",
		"Access-Control-Expose-Headers", "Access-Control-Max-Age", "Access-Control-Allow-Private-Network",
		"X-Frame-Options", "Strict-Transport-Security",
		"Public-Key-Pins", "Clear-Site-Data", "Server", "X-Powered-By", "Alt-Svc",
	} {
		delete(h, name)
	}
	if p.style.CSP != "" {
		delete(h, "Content-Security-Policy")
		delete(h, "Content-Security-Policy-Report-Only")
	}
	kept := h["Set-Cookie"][:0:0]
	for _, line := range h["Set-Cookie"] {
		if name, _, _ := strings.Cut(line, "="); p.keepsCookie(strings.TrimSpace(name)) {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(h, "Set-Cookie")
	} else {
		h["Set-Cookie"] = kept
	}
}

// CSP is the Content-Security-Policy for the builder's pages. frameAncestors is the source list of
// the origins that may frame them, e.g. "'none'" or "'self' https://shop.example".
func (p *Profile) CSP(frameAncestors string) string {
	if p.style.CSP == "" {
		return "frame-ancestors " + frameAncestors
	}
	return p.style.CSP + "; frame-ancestors " + frameAncestors
}

// PageCall reports whether the headers belong to an automatic call by the builder's own page. It is
// false if that cannot be recognized.
func (p *Profile) PageCall(h http.Header) bool { return p.style.PageCall != nil && p.style.PageCall(h) }

// HoldsSession reports whether people are carried into one of the builder's own sessions, which the
// builder may have forgotten.
func (p *Profile) HoldsSession() bool { return len(p.style.Cookies) > 0 }
