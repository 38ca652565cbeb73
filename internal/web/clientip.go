package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// maxForwarded is how many entries of X-Forwarded-For are read, from the right. No real chain is
// longer.
const maxForwarded = 32

// Trust determines which peers are the operator's proxies, whose headers about the client are
// believed. The zero value trusts no one: the client is the peer, and every forwarding header was
// set by the client.
//
// A client's address and scheme come only from X-Forwarded-For and X-Forwarded-Proto.
// X-Forwarded-For is read from the right: each proxy appends the address that it saw, so a client
// can freely choose all entries to the left of the first one that no trusted proxy wrote.
type Trust struct {
	// Proxies are the addresses of trusted proxies.
	Proxies []netip.Prefix
	// Hops is the number of proxies in front of Sluice, for chains of unknown addresses. If it is
	// not 0, Proxies is ignored, and every peer is believed as if it were a proxy: Sluice must then
	// be reachable only through the proxies.
	Hops int
}

// ClientIP returns the address of the client as far as it can be known. The zero Addr means that
// even the peer is unknown, which does not happen over TCP. IPv4 in IPv6 is unmapped and zones are
// dropped, so that equal clients compare equal.
func (t Trust) ClientIP(r *http.Request) netip.Addr {
	client, _ := t.Client(r)
	return client
}

// Client combines ClientIP and TrustsPeer.
func (t Trust) Client(r *http.Request) (client netip.Addr, believed bool) {
	client = Peer(r)
	if t.Hops <= 0 && !t.trusted(client) {
		return client, false
	}
	for i, entry := range forwarded(r) {
		if t.Hops > 0 && i >= t.Hops || t.Hops <= 0 && !t.trusted(client) {
			break
		}
		addr, ok := parseAddr(entry)
		if !ok {
			break
		}
		client = addr
	}
	return client, true
}

// Chain returns the way of a request, nearest first: the peer, then the entries of X-Forwarded-For
// from right to left, trusted or not. It only shows operators their set-up; no decision depends on
// it.
func (t Trust) Chain(r *http.Request) []string {
	chain := []string{Peer(r).String()}
	for _, entry := range forwarded(r) {
		if addr, ok := parseAddr(entry); ok {
			chain = append(chain, addr.String())
			continue
		}
		chain = append(chain, "(not an address)")
	}
	return chain
}

// Scheme is "https" or "http" as the browser used it. X-Forwarded-Proto counts only from a trusted
// peer. If it has several values, the last one counts, which the nearest proxy wrote.
func (t Trust) Scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	if t.Hops <= 0 && !t.trusted(Peer(r)) {
		return "http"
	}
	values := r.Header["X-Forwarded-Proto"]
	if len(values) == 0 {
		return "http"
	}
	last := values[len(values)-1]
	if i := strings.LastIndexByte(last, ','); i >= 0 {
		last = last[i+1:]
	}
	if strings.EqualFold(strings.TrimSpace(last), "https") {
		return "https"
	}
	return "http"
}

// TrustsPeer reports whether the peer is believed about the request that it passes on.
func (t Trust) TrustsPeer(r *http.Request) bool { return t.Hops > 0 || t.trusted(Peer(r)) }

// Peer is the address at the other end of the connection.
func Peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		addr, _ := parseAddr(r.RemoteAddr)
		return addr
	}
	return ap.Addr().Unmap().WithZone("")
}

func (t Trust) trusted(a netip.Addr) bool {
	for _, p := range t.Proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forwarded lists at most maxForwarded entries of all X-Forwarded-For lines, from the last to the
// first. A repeated header is one list (RFC 9110 section 5.3).
func forwarded(r *http.Request) []string {
	lines := r.Header["X-Forwarded-For"]
	if len(lines) == 0 {
		return nil
	}
	var entries []string
	for i := len(lines) - 1; i >= 0; i-- {
		rest := lines[i]
		for len(entries) < maxForwarded {
			cut := strings.LastIndexByte(rest, ',')
			entries = append(entries, strings.TrimSpace(rest[cut+1:]))
			if cut < 0 {
				break
			}
			rest = rest[:cut]
		}
	}
	return entries
}

// parseAddr reads an address with or without port; some load balancers write "[::1]:4711".
func parseAddr(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone(""), true
	}
	host, _, err := net.SplitHostPort(s)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap().WithZone(""), true
}
