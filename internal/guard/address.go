package guard

import (
	"net/netip"
	"regexp"
	"strings"
)

// plainURL is the only form of an address that all URL parsers read alike: scheme, host or
// bracketed IPv6 address, port, and a path and query of visible ASCII.
var plainURL = regexp.MustCompile(`^(https?)://([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::([0-9]{1,5}))?(?:[/?][!-~]*)?$`)

// maxURL is the longest allowed address, in bytes.
const maxURL = 2048

// BadAddress says what is wrong with the address of a remote server; "" if nothing is. Only people
// who may add any server can use plain HTTP and addresses inside the network. BadAddress does not
// resolve names; outgoing connections check the resolved address when they are opened.
func BadAddress(s string, may bool) string {
	m := plainURL.FindStringSubmatch(s)
	if m == nil || len(s) > maxURL || strings.ContainsAny(s, "\\^`{}|<>\"#") {
		return "is not a plain address of the form https://host/path"
	}
	if may {
		return ""
	}
	if m[1] != "https" {
		return "does not begin with https"
	}
	if inside(strings.ToLower(m[2])) {
		return "names a host inside the network"
	}
	return ""
}

// insideNames are the last labels of names that do not leave a network (RFC 6761, RFC 6762, RFC
// 8375, and names used by containers and clouds).
var insideNames = map[string]bool{
	"localhost":   true,
	"local":       true,
	"localdomain": true,
	"internal":    true,
	"intranet":    true,
	"lan":         true,
	"home":        true,
	"corp":        true,
	"private":     true,
	"arpa":        true,
	"svc":         true,
	"consul":      true,
	"docker":      true,
	"test":        true,
	"invalid":     true,
	"onion":       true,
}

// inside reports whether a host, in lower case, is outside the public internet, as far as its text
// shows. Numbers in any form other than four decimal ones could be read by inet_aton, so they are
// not trusted.
func inside(host string) bool {
	if six, ok := strings.CutPrefix(host, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(six, "]"))
		return err != nil || !public(a)
	}
	host = strings.TrimSuffix(host, ".")
	labels := strings.Split(host, ".")
	last := labels[len(labels)-1]
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' {
			return true
		}
	}
	if last[0] >= '0' && last[0] <= '9' {
		a, err := netip.ParseAddr(host)
		return err != nil || !public(a)
	}
	return len(labels) == 1 || insideNames[last]
}

// reserved are the networks outside the public internet (IANA's special-purpose registries), in
// addition to those that netip itself knows.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"),
}

// sixPublic is the IPv6 space that is allocated for global use (RFC 4291 section 2.4).
var sixPublic = netip.MustParsePrefix("2000::/3")

func public(a netip.Addr) bool {
	a = a.Unmap()
	if a.Zone() != "" || !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !sixPublic.Contains(a) {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
