package guard

import (
	"net/netip"
	"regexp"
	"strings"
)

// plainURL is the only form of an address that all parsers of URLs read alike: scheme, host or
// bracketed IPv6 address, port, and a path and query of visible ASCII.
var plainURL = regexp.MustCompile(`^(https?)://([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::([0-9]{1,5}))?(?:[/?][!-~]*)?$`)

// maxURL is the longest address.
const maxURL = 2048

// BadAddress says what is wrong with the address of a remote server; "" if nothing is. Addresses
// inside the network, and plain HTTP, are for people who may add any server. What a name resolves
// to is not judged here: the guard of outgoing connections does, when they are made.
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
// 8375, and what containers and clouds use).
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

// inside reports whether a host, in lower case, is not one of the public internet, as far as its
// text tells. Numbers in another form than four decimal ones are
// taken as what inet_aton makes of them, that is: not trusted.
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

// reserved are the networks that are not of the public internet (IANA's registries for special
// purposes), besides those that netip knows itself.
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

// sixPublic is all of IPv6 that is given out (RFC 4291 section 2.4).
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
