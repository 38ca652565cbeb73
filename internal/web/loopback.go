package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// LoopbackName reports whether a host, with or without a port, can only mean the machine that asks: a loopback address, or localhost and the names below it (RFC 6761 section 6.3).
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

// passedOn are headers that tell of a proxy between the browser and Sluice (RFC 7239, RFC 9110 section 7.6.3, and what is in use besides).
var passedOn = []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server", "X-Real-Ip", "X-Original-Host", "Cf-Connecting-Ip", "True-Client-Ip", "Tailscale-User-Login"}

// OnThisMachine reports whether a request comes straight from this machine: the connection does, the name that was asked for can mean no other machine (so that no page on the internet can let its own
// name point here), and nothing tells of a proxy that would make everybody look local. Browsers and their like speak HTTP/1.1 at least; reverse proxies that rewrite the name often do not.
func OnThisMachine(r *http.Request) bool {
	for _, name := range passedOn {
		if r.Header[name] != nil {
			return false
		}
	}
	return Peer(r).IsLoopback() && LoopbackName(r.Host) && r.ProtoAtLeast(1, 1)
}

// Arrives reports whether a request is a person's own way to a page: the navigation of a tab, not begun by a page of another site. The Fetch Metadata headers say so, which no page can forge; who does not
// send them is taken for a program. Ports of one host are one site, so the apps on this machine may lead here.
func Arrives(r *http.Request) bool {
	h := r.Header
	switch h.Get("Sec-Fetch-Site") {
	case "none", "same-origin", "same-site":
	default:
		return false
	}
	return r.Method == http.MethodGet && h.Get("Sec-Fetch-Mode") == "navigate" && h.Get("Sec-Fetch-Dest") == "document" && h.Get("Sec-Purpose") == ""
}
