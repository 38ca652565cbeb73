package proxy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// listed is a list in an answer: the whole answer, a member of it, or the member "items" of a member, which is a page of the list. Beside a list its length may stand, and how many pages
// there are.
type listed struct {
	elements []json.RawMessage
	holder   map[string]json.RawMessage // nil if the answer is the list
	name     string                     // of the list in holder
	outer    map[string]json.RawMessage // holds holder; nil if that is the answer
	at       string                     // of holder in outer
}

// openList finds the list in an answer; at is the member that holds it where the answer is an object, empty for "data".
func openList(body []byte, at string) (*listed, bool) {
	l := &listed{}
	if body = bytes.TrimSpace(body); bytes.HasPrefix(body, []byte("[")) {
		return l, json.Unmarshal(body, &l.elements) == nil
	}
	if json.Unmarshal(body, &l.holder) != nil || l.holder == nil {
		return nil, false
	}
	l.name = cmp.Or(at, "data")
	if inner := bytes.TrimSpace(l.holder[l.name]); bytes.HasPrefix(inner, []byte("{")) {
		l.outer, l.at, l.name = l.holder, l.name, "items"
		l.holder = nil
		if json.Unmarshal(inner, &l.holder) != nil {
			return nil, false
		}
	}
	value, ok := l.holder[l.name]
	return l, ok && json.Unmarshal(value, &l.elements) == nil
}

// number is a count that stands beside the list; -1 if there is none.
func (l *listed) number(name string) int {
	n := -1
	if v, ok := l.holder[name]; !ok || json.Unmarshal(v, &n) != nil {
		return -1
	}
	return n
}

// set puts a count beside the list.
func (l *listed) set(name string, n int) { l.holder[name] = strconv.AppendInt(nil, int64(n), 10) }

// closeWith is the answer with another list in place of what it had.
func (l *listed) closeWith(elements []json.RawMessage) []byte {
	list := joinList(elements)
	if l.holder == nil {
		return list
	}
	l.holder[l.name] = list
	answer := joinObject(l.holder)
	if l.outer != nil {
		l.outer[l.at] = answer
		answer = joinObject(l.outer)
	}
	return answer
}

// joinList writes a list of values as they are.
func joinList(elements []json.RawMessage) []byte {
	size := 2
	for _, el := range elements {
		size += len(el) + 1
	}
	out := append(make([]byte, 0, size), '[')
	for i, el := range elements {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, el...)
	}
	return append(out, ']')
}

// joinObject writes an object whose values stay as they are.
func joinObject(members map[string]json.RawMessage) []byte {
	out := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			out = append(out, ',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			continue // never: texts can be written
		}
		out = append(append(append(out, key...), ':'), members[name]...)
	}
	return append(out, '}')
}
