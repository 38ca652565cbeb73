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
// which is a page of the list. Beside a list its length may stand, and how many pages there are.
type List struct {
	// Elements are those of the list.
	Elements []json.RawMessage
	holder   map[string]json.RawMessage // nil if the answer is the list
	name     string                     // of the list in holder
	outer    map[string]json.RawMessage // holds holder; nil if that is the answer
	at       string                     // of holder in outer
}

// OpenList finds the list in an answer; at is the member that holds it where the answer is an
// object, empty for "data". Where ok is false there is no list; l is not nil if the answer is some
// other JSON than an object.
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

// Bare reports whether the answer is the list, and not an object that holds it.
func (l *List) Bare() bool { return l.holder == nil }

// Number is a count that stands beside the list; -1 if there is none.
func (l *List) Number(name string) int {
	n := -1
	if v, ok := l.holder[name]; !ok || json.Unmarshal(v, &n) != nil {
		return -1
	}
	return n
}

// Set puts a count beside the list.
func (l *List) Set(name string, n int) { l.holder[name] = strconv.AppendInt(nil, int64(n), 10) }

// With is the answer with another list in place of what it had.
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

// Page is what a client asked of a list: the page from 1 and how many on each; zero for all.
type Page struct{ Number, Size int }

// Cut is the answer with what may be shown of its list, of which it gives a page if one was asked
// for.
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

// joinElements writes a list of values as they are.
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
