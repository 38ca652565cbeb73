package authn

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice/internal/authz"
	"sluice/internal/problem"
)

// KeyScope limits what a key can do, within what its owner can do. Empty lists limit nothing.
type KeyScope struct {
	// Actions are classes or fine permissions, such as "flow:run" or "chatflows:view". Dangerous
	// actions, and actions that concern the whole installation, must be named.
	Actions []authz.Action `json:"actions,omitempty"`
	// Apps and Flows are ids. A key with flows runs only those and sees no lists.
	Apps  []string `json:"apps,omitempty"`
	Flows []string `json:"flows,omitempty"`
	// Also are the ids of further workspaces in which the key reaches the objects that it names, as
	// far as its owner may there. Only imported keys have any, because in the product that created
	// them every key reached everything that its owner did.
	Also []string `json:"also,omitempty"`
}

const (
	maxScopeActions  = 64
	maxScopeApps     = 50
	maxScopeFlows    = 200
	maxScopeID       = 100
	maxKeyNetworks   = 50
	maxKeyName       = 100
	maxKeyLimit      = 1_000_000_000
	maxKeysPerPerson = 100
)

// checked returns the scope sorted and without duplicates, or an error that names the fault.
func (s KeyScope) checked() (KeyScope, error) {
	if len(s.Actions) > maxScopeActions || len(s.Apps) > maxScopeApps || len(s.Flows) > maxScopeFlows {
		return KeyScope{}, problem.Newf(problem.Invalid, "A key's scope can list at most %d actions, %d apps and %d "+
			"flows.", maxScopeActions, maxScopeApps, maxScopeFlows).
			WithField("scope")
	}
	for _, a := range s.Actions {
		if !authz.Grantable(a) {
			return KeyScope{}, problem.Newf(problem.Invalid, "%.60q is not an action that a key can have.", string(a)).
				WithField("actions").
				WithNext("Use actions such as flow:run, or permissions such as chatflows:view.")
		}
	}
	for field, ids := range map[string][]string{"apps": s.Apps, "flows": s.Flows} {
		for _, id := range ids {
			if id == "" || len(id) > maxScopeID ||
				strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
				return KeyScope{}, problem.Newf(problem.Invalid, "%.60q is not an id.", id).WithField(field)
			}
		}
	}
	return KeyScope{Actions: ordered(s.Actions), Apps: ordered(s.Apps), Flows: ordered(s.Flows)}, nil
}

func ordered[T ~string](list []T) []T {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func (s KeyScope) encode() (string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("writing a key's scope: %w", err)
	}
	return string(text), nil
}

func decodeScope(text string) (s KeyScope, err error) {
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return KeyScope{}, fmt.Errorf("reading a key's scope: %w", err)
	}
	return s, nil
}

// parseNetworks reads networks in CIDR form (RFC 4632 section 3.1) and single addresses, separated
// by spaces or commas. IPv4 networks written as IPv6 become IPv4.
func parseNetworks(text string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		n, err := parseNetwork(word)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	if len(out) > maxKeyNetworks {
		return nil, problem.Newf(problem.Invalid, "A key can have at most %d networks.", maxKeyNetworks).
			WithField("networks")
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return out, nil
}

func parseNetwork(word string) (netip.Prefix, error) {
	wrong := problem.Newf(problem.Invalid, "%.60q is not a network.", word).
		WithField("networks").
		WithNext("Write networks like 192.0.2.0/24 or 2001:db8::/32, or single addresses.")
	if a, err := netip.ParseAddr(word); err == nil {
		if a.Zone() != "" {
			return netip.Prefix{}, wrong
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	n, err := netip.ParsePrefix(word)
	if err != nil {
		return netip.Prefix{}, wrong
	}
	if a := n.Addr(); a.Is4In6() {
		if n.Bits() < 96 {
			return netip.Prefix{}, wrong
		}
		n = netip.PrefixFrom(a.Unmap(), n.Bits()-96)
	}
	return n.Masked(), nil
}

func networksText(list []netip.Prefix) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = n.String()
	}
	return strings.Join(words, " ")
}

// keyName returns a name in the form in which it is stored.
func keyName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxKeyName ||
		strings.ContainsFunc(name, unicode.IsControl) {
		return "", problem.Newf(problem.Invalid, "A key needs a name of 1 to %d characters.", maxKeyName).
			WithField("name")
	}
	return name, nil
}
