package objects

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// List is a list in an answer: the whole answer, a member of it, or the member "items" of a member,
// which is a page of the list. The list's length and the number of pages may be beside it.
type List struct {
	// Elements are the elements of the list.
	Elements []json.RawMessage
	holder   map[string]json.RawMessage // nil if the answer is the list
	name     string                     // name of the list in holder
	outer    map[string]json.RawMessage // contains holder; nil if holder is the answer
	at       string                     // name of holder in outer
}

// OpenList finds the list in an answer. If the answer is an object, at is the member that holds the
// list; empty for "data". ok is false if the answer holds no list. list is then still set if the
// answer begins an array, or is an object that lacks the member.
func OpenList(body []byte, at string) (list *List, ok bool) {
	l := &List{}
	if body = bytes.TrimSpace(body); bytes.HasPrefix(body, []byte("[")) {
		return l, json.Unmarshal(body, &l.Elements) == nil
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
	return l, ok && json.Unmarshal(value, &l.Elements) == nil
}

// Bare reports whether the answer is the list itself, and not an object that holds it.
func (l *List) Bare() bool { return l.holder == nil }

// Number returns a count beside the list; -1 if it is missing.
func (l *List) Number(name string) int {
	n := -1
	if v, ok := l.holder[name]; !ok || json.Unmarshal(v, &n) != nil {
		return -1
	}
	return n
}

// Set writes a count beside the list.
func (l *List) Set(name string, n int) { l.holder[name] = strconv.AppendInt(nil, int64(n), 10) }

// With returns the answer with its list replaced.
func (l *List) With(elements []json.RawMessage) []byte {
	list := joinElements(elements)
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

// Page is the page of a list that a client requested: its number, from 1, and the elements per
// page; zero for all.
type Page struct{ Number, Size int }

// Cut returns the answer with its list reduced to the elements that may be shown, and to the
// requested page, if any.
func (l *List) Cut(kept []json.RawMessage, page Page) []byte {
	total := len(kept)
	if page.Size > 0 {
		from := min((page.Number-1)*page.Size, total)
		kept = kept[from:min(from+page.Size, total)]
		if l.holder == nil {
			l.holder, l.name = map[string]json.RawMessage{}, "data"
		}
	}
	if l.holder != nil && (page.Size > 0 || l.name == "data") {
		l.Set("total", total)
	}
	if size := l.Number("size"); size > 0 && l.Number("pages") >= 0 {
		l.Set("pages", max(l.Number("pages"), (l.Number("total")+size-1)/size))
	}
	return l.With(kept)
}

// joinElements writes a list of values without changing them.
func joinElements(elements []json.RawMessage) []byte {
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

// joinObject writes an object without changing its values.
func joinObject(members map[string]json.RawMessage) []byte {
	out := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			out = append(out, ',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			continue // cannot happen: strings can always be encoded
		}
		out = append(append(append(out, key...), ':'), members[name]...)
	}
	return append(out, '}')
}
