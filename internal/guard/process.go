package guard

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
	"strings"
)

// process adds every command in the choice of an MCP server: as it is, under a name, in a map of servers, or in a list of those.
func (f *findings) process(v *value, at place, field string) {
	if v.kind == text && strings.ContainsAny(v.string(), "{[") {
		f.addProcess(v, at, field) // no page writes a definition as text; whoever parses it later would start it
		return
	}
	if hasCommand(v) || isStdio(v) {
		f.addProcess(v, at, field)
	}
	for i := range v.kids {
		f.process(&v.kids[i], at, field)
	}
}

func (f *findings) addProcess(v *value, at place, field string) {
	f.claims = append(f.claims, claim{what: whatProcess, key: digest(v), node: at.node, field: field})
}

// hasCommand reports whether an object names a command, in any case of the key.
func hasCommand(v *value) bool {
	c := folded(v, "command")
	return !c.empty() && (c.kind == text || c.kind == array)
}

// isStdio reports whether an object asks for a server that talks over stdin and stdout.
func isStdio(v *value) bool {
	for _, key := range [...]string{"mode", "transport", "type"} {
		if strings.EqualFold(strings.TrimSpace(folded(v, key).string()), "stdio") {
			return true
		}
	}
	return false
}

// folded finds a member in whatever case its key is.
func folded(v *value, key string) *value {
	if v.kind == object {
		for i := range v.kids {
			if len(v.kids[i].key) == len(key) && strings.EqualFold(string(v.kids[i].key), key) {
				return &v.kids[i]
			}
		}
	}
	return &missing
}

// digest is the same for values that are the same to a JSON parser: white space, escapes and the order of members do not count.
func digest(v *value) [sha256.Size]byte {
	h := sha256.New()
	writeDigest(h, v)
	return [sha256.Size]byte(h.Sum(nil))
}

func writeDigest(h hash.Hash, v *value) {
	piece := func(b []byte) {
		var n [9]byte
		n[0] = byte(v.kind)
		binary.BigEndian.PutUint64(n[1:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	switch v.kind {
	case object:
		kids := slices.Clone(v.kids)
		slices.SortFunc(kids, func(a, b value) int { return strings.Compare(string(a.key), string(b.key)) })
		piece(make([]byte, len(kids)))
		for i := range kids {
			piece(kids[i].key)
			writeDigest(h, &kids[i])
		}
	case array:
		piece(make([]byte, len(v.kids)))
		for i := range v.kids {
			writeDigest(h, &v.kids[i])
		}
	case text:
		piece(decodeText(v.raw))
	default:
		piece(v.raw)
	}
}
