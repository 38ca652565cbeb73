package proxy

import (
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
)

// rewrite makes the request that the builder gets. httputil.ReverseProxy has removed hop-by-hop headers, those that Connection names
// among them, so that what is set here cannot be removed by the client.
func (x *exchange) rewrite(pr *httputil.ProxyRequest) {
	x.target(pr.Out.URL)
	pr.Out.Host = ""
	x.rewriteHeader(pr.Out.Header)
	if x.readsAnswer() || x.dressesPage() {
		askPlain(pr.Out.Header)
	}
	if t := pr.In.Header["Content-Type"]; t != nil {
		// The body was judged as this type; "Connection: Content-Type" must not make it another one.
		pr.Out.Header["Content-Type"] = t
	}
	if b := x.body; b != nil && pr.In.ContentLength != 0 {
		pr.Out.Body, pr.Out.ContentLength = b.reader(), int64(len(b.data))
		pr.Out.GetBody = func() (io.ReadCloser, error) { return b.reader(), nil }
		pr.Out.TransferEncoding = nil
	}
}

// target writes the judged path and query into u. Opaque makes net/http send exactly these bytes.
func (x *exchange) target(u *url.URL) {
	base := x.app.Upstream
	u.Scheme, u.Host = base.Scheme, base.Host
	u.Opaque = x.match.Path
	if base.Path != "" && base.Path != "/" {
		u.Opaque = strings.TrimSuffix(base.EscapedPath(), "/") + x.match.Path
	}
	u.Path, u.RawPath, u.RawQuery, u.ForceQuery = "", "", x.rawQuery, false
}

// rewriteHeader takes out what the client must not say and sets what Sluice says. The builder's session is added later, by the bridge.
func (x *exchange) rewriteHeader(h http.Header) {
	x.app.Profile.CleanRequest(h)
	dropOwnCookies(h)
	if !x.app.Kind.Fallback {
		// An app that Sluice knows nothing about may have a sign-in of its own; the others get no credential but the bridge's.
		delete(h, "Authorization")
		delete(h, "X-Api-Key")
	} else {
		x.shown.Strip(h)
	}
	delete(h, "Expect")
	delete(h, "Http2-Settings")
	v := [...]string{x.event.Peer, x.scheme(), x.r.Host, x.event.ID}
	h["X-Forwarded-For"], h["X-Forwarded-Proto"], h["X-Forwarded-Host"], h["X-Request-Id"] = v[0:1:1], v[1:2:2], v[2:3:3], v[3:4:4]
	if o := h["Origin"]; len(o) == 1 && strings.EqualFold(o[0], x.appOrigin()) {
		// The builder sees its own Host, so that its own idea of "same origin" must see its own Origin.
		h["Origin"] = []string{x.app.Upstream.Scheme + "://" + x.app.Upstream.Host}
	}
}

// dropOwnCookies removes every cookie of Sluice's from the Cookie header and leaves the others as they are.
func dropOwnCookies(h http.Header) {
	lines := h["Cookie"]
	if len(lines) == 0 {
		return
	}
	if len(lines) == 1 && strings.IndexByte(lines[0], ';') < 0 {
		if ownCookie(lines[0]) {
			delete(h, "Cookie")
		}
		return
	}
	var keep []string
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			if part = strings.TrimSpace(part); part != "" && !ownCookie(part) {
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

// ownCookie reports whether "name=value" is a cookie of Sluice's.
func ownCookie(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	name = strings.TrimSpace(name)
	name = strings.TrimPrefix(strings.TrimPrefix(name, "__Host-"), "__Secure-")
	return len(name) >= len(ownCookiePrefix) && strings.EqualFold(name[:len(ownCookiePrefix)], ownCookiePrefix)
}

// ownCookiePrefix begins the names of all cookies of Sluice's, such as authn.CookieName.
const ownCookiePrefix = "sluice_"
