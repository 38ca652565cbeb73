package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// maxHops bounds TRUST_PROXY and NUMBER_OF_PROXIES; a longer chain of proxies is a mistake.
const maxHops = 16

// TrustProxy determines which proxies in front of Sluice are believed about a visitor's address.
// The zero value believes none. At most one of the fields is set.
type TrustProxy struct {
	Hops int            // this many proxies, counted from Sluice outwards
	Nets []netip.Prefix // every proxy whose address is in one of these ranges
}

// Trusts reports whether any proxy is believed.
func (t TrustProxy) Trusts() bool { return t.Hops > 0 || len(t.Nets) > 0 }

// The names of address ranges come from the Express framework, to which Flowise passes TRUST_PROXY.
var namedNets = map[string][]string{
	"loopback":    {"127.0.0.0/8", "::1/128"},
	"linklocal":   {"169.254.0.0/16", "fe80::/10"},
	"uniquelocal": {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"},
}

// parseTrust reads TRUST_PROXY. true alone is one hop; finish replaces it by NUMBER_OF_PROXIES.
func parseTrust(raw string) (TrustProxy, error) {
	switch strings.ToLower(raw) {
	case "false", "no", "off":
		return TrustProxy{}, nil
	case "true", "yes", "on":
		return TrustProxy{Hops: 1}, nil
	}
	if isDigits(raw) {
		hops, err := strconv.Atoi(raw)
		if err != nil || hops > maxHops {
			return TrustProxy{}, fmt.Errorf("is more than %d proxies", maxHops)
		}
		return TrustProxy{Hops: hops}, nil
	}
	var t TrustProxy
	for _, word := range splitList(raw) {
		nets, err := parseNets(word)
		if err != nil {
			return TrustProxy{}, err
		}
		t.Nets = append(t.Nets, nets...)
	}
	if len(t.Nets) == 0 {
		return TrustProxy{}, errors.New("is an empty list")
	}
	return t, nil
}

func parseNets(word string) ([]netip.Prefix, error) {
	if named, ok := namedNets[strings.ToLower(word)]; ok {
		nets := make([]netip.Prefix, len(named))
		for i, text := range named {
			nets[i] = netip.MustParsePrefix(text)
		}
		return nets, nil
	}
	if addr, err := netip.ParseAddr(word); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return []netip.Prefix{netip.PrefixFrom(addr, addr.BitLen())}, nil
	}
	if prefix, err := netip.ParsePrefix(word); err == nil {
		if prefix.Bits() == 0 {
			return nil, fmt.Errorf("holds %q, which trusts all addresses", word)
		}
		return []netip.Prefix{prefix.Masked()}, nil
	}
	return nil, fmt.Errorf("holds %s, which is neither an address, a CIDR range nor a known name", shown(word))
}

// trustWord is TRUST_PROXY in one spelling: true, false, or the text itself in lower case.
func trustWord(raw string) string {
	raw = strings.ToLower(strings.TrimSpace(raw))
	if on, err := parseBool(raw); err == nil && !isDigits(raw) {
		return strconv.FormatBool(on)
	}
	return raw
}
