package profile

import "strings"

// match finds the row and the path to forward. The forwarded path ends in a slash if the pattern
// does, and otherwise has none if the builder treats both alike.
func (t *table) match(method, path string) (Match, bool) {
	m, ok := t.walk(method, path)
	if ok && m.Endpoint.slash && m.Path[len(m.Path)-1] != '/' {
		m.Path += "/"
	}
	return m, ok
}

// walk walks the trie once. At each segment a literal beats a UUID, a UUID beats a token, and a
// token beats any text. It never backtracks, except to the deepest {name...} passed so far. A node
// that only exists for another method is not a match.
func (t *table) walk(method, path string) (Match, bool) {
	v, ok := verbOf(method)
	if !ok || path == "" || path[0] != '/' {
		return Match{}, false
	}
	m := Match{Path: path}
	judged := path
	if len(path) > 1 && path[len(path)-1] == '/' {
		judged = path[:len(path)-1]
		if t.trimSlash {
			m.Path = judged
		}
		if judged[len(judged)-1] == '/' {
			return Match{}, false
		}
	}
	n, params := &t.root, 0
	var rest *[verbs]*Endpoint
	var restMatch Match
	for left := judged[1:]; left != ""; {
		if n.rest != nil {
			rest, restMatch = n.rest, m
			restMatch.values[params] = left
		}
		seg, after, _ := strings.Cut(left, "/")
		next, placed := n.step(seg, t.foldCase)
		if placed {
			m.values[params] = seg
			params++
		}
		if n = next; n == nil {
			break
		}
		left = after
	}
	if n != nil && n.ends != nil {
		m.Endpoint = n.ends[v]
		return m, m.Endpoint != nil
	}
	if rest == nil || rest[v] == nil {
		return Match{}, false
	}
	restMatch.Endpoint = rest[v]
	return restMatch, true
}

// step finds the node below n for a segment. placed reports that a placeholder accepted it.
func (n *node) step(seg string, foldCase bool) (next *node, placed bool) {
	word := seg
	if foldCase {
		word = strings.ToLower(seg)
	}
	if next = n.literal[word]; next != nil {
		return next, false
	}
	switch {
	case n.param[classUUID] != nil && IsUUID(seg):
		return n.param[classUUID], true
	case n.param[classToken] != nil && seg != "" && token(seg):
		return n.param[classToken], true
	case n.param[classAny] != nil && seg != "":
		return n.param[classAny], true
	}
	return nil, false
}

// IsUUID reports whether s is the lower-case text form of RFC 9562 section 4.
func IsUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// SetParam replaces the value of a placeholder, also in Path. value must consist of unreserved
// characters.
func (m *Match) SetParam(name, value string) {
	path := strings.Split(m.Path, "/")
	for i, seg := range strings.Split(m.Endpoint.Pattern, "/") {
		if !strings.HasPrefix(seg, "{") || i >= len(path) {
			continue
		}
		if found, _, rest, err := placeholder(seg); err == nil && found == name && !rest {
			path[i] = value
		}
	}
	m.Path = strings.Join(path, "/")
	for i, n := range m.Endpoint.params {
		if n == name {
			m.values[i] = value
		}
	}
}
