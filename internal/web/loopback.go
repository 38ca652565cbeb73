package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// LoopbackName reports whether a host, with or without a port, can only mean the client's own
// machine: a loopback address, or localhost and the names below it (RFC 6761 section 6.3).
func LoopbackName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// LoopbackOrigin is LoopbackName for an origin, such as http://localhost:3000.
func LoopbackOrigin(origin string) bool {
	_, host, ok := strings.Cut(origin, "://")
	return ok && LoopbackName(host)
}

// passedOn are headers that reveal a proxy between the browser and Sluice (RFC 7239, RFC 9110
// section 7.6.3, and others in use).
var passedOn = []string{
	"Forwarded",
	"Via",
	"X-Forwarded-For",
	"X-Forwarded-Host",
	"X-Forwarded-Proto",
	"X-Forwarded-Port",
	"X-Forwarded-Server",
	"X-Real-Ip",
	"X-Original-Host",
	"Cf-Connecting-Ip",
	"True-Client-Ip",
	"Tailscale-User-Login",
}

// OnThisMachine reports whether a request comes directly from this machine. Three things must hold.
// The connection is local. The requested name cannot mean another machine, so no page on the
// internet can make its own name point here. And no header reveals a proxy, which would make
// everyone look local. Browsers speak at least HTTP/1.1; reverse proxies that rewrite the name
// often do not.
func OnThisMachine(r *http.Request) bool {
	for _, name := range passedOn {
		if r.Header[name] != nil {
			return false
		}
	}
	return Peer(r).IsLoopback() && LoopbackName(r.Host) && r.ProtoAtLeast(1, 1)
}

// Arrives reports whether a person opened the page themselves: a navigation of a tab that no page
// of another site began. The Fetch Metadata headers say so, and no page can forge them. A client
// that does not send them is treated as a program. Ports of one host are one site, so the apps on
// this machine may lead here.
func Arrives(r *http.Request) bool {
	h := r.Header
	switch h.Get("Sec-Fetch-Site") {
	case "none", "same-origin", "same-site":
	default:
		return false
	}
	return r.Method == http.MethodGet && h.Get("Sec-Fetch-Mode") == "navigate" &&
		h.Get("Sec-Fetch-Dest") == "document" &&
		h.Get("Sec-Purpose") == ""
}
