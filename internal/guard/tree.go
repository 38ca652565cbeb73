package guard

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// maxValues bounds the values of one document, and with them the memory: a value costs about eighty bytes beside the text. A flow of half a megabyte has fifteen thousand.
const maxValues = 400_000

var errValues = fmt.Errorf("it has more than %d values", maxValues)

type kind uint8

const (
	object kind = iota + 1
	array
	text
	number
	word // true, false, null
)

// value is one value of a JSON document, which stays in memory as it came. The zero value stands for one that is missing.
type value struct {
	key  []byte // decoded; of a member
	raw  []byte // as it stands; of a text what is between the quotes
	kids []value
	kind kind
}

// parse reads data as one JSON document, as strictly as ScanObject does, whatever its outermost value is.
func parse(data []byte) (value, error) {
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		return value{}, errBOM
	}
	if !utf8.Valid(data) {
		return value{}, errUTF8
	}
	b := builder{scanner: scanner{data: data}}
	v, err := b.value(0)
	if err != nil {
		return value{}, err
	}
	b.blanks()
	if b.at != len(data) {
		return value{}, errTrailing
	}
	return v, nil
}

// builder keeps what a scanner passes.
type builder struct {
	scanner
	count int
}

func (b *builder) value(depth int) (value, error) {
	b.blanks()
	if b.count++; b.count > maxValues {
		return value{}, errValues
	}
	switch c := b.peek(); c {
	case '{':
		return b.object(depth + 1)
	case '[':
		return b.array(depth + 1)
	case '"':
		raw, err := b.text()
		return value{raw: raw, kind: text}, err
	}
	from, k := b.at, number
	if c := b.peek(); c == 't' || c == 'f' || c == 'n' {
		k = word
	}
	err := b.scanner.value(depth)
	return value{raw: b.data[from:b.at], kind: k}, err
}

func (b *builder) object(depth int) (value, error) {
	v := value{kind: object}
	if depth > maxDepth {
		return v, errDepth
	}
	b.at++
	base := len(b.keys)
	defer func() { b.keys = b.keys[:base] }()
	var seen map[string]struct{}
	b.blanks()
	if b.peek() == '}' {
		b.at++
		return v, nil
	}
	for {
		key, err := b.key(base, &seen)
		if err != nil {
			return v, err
		}
		kid, err := b.value(depth)
		if err != nil {
			return v, err
		}
		kid.key = key
		v.kids = append(v.kids, kid)
		if more, err := b.goesOn('}', "a comma or the end of the object"); !more {
			return v, err
		}
	}
}

func (b *builder) array(depth int) (value, error) {
	v := value{kind: array}
	if depth > maxDepth {
		return v, errDepth
	}
	b.at++
	b.blanks()
	if b.peek() == ']' {
		b.at++
		return v, nil
	}
	for {
		kid, err := b.value(depth)
		if err != nil {
			return v, err
		}
		v.kids = append(v.kids, kid)
		if more, err := b.goesOn(']', "a comma or the end of the array"); !more {
			return v, err
		}
	}
}

// goesOn takes a comma, or the end of what is open.
func (b *builder) goesOn(end byte, expected string) (bool, error) {
	b.blanks()
	switch b.peek() {
	case ',':
		b.at++
		return true, nil
	case end:
		b.at++
		return false, nil
	}
	return false, b.syntax(expected)
}

// at finds a member of an object by its decoded key.
func (v *value) at(key string) *value {
	if v.kind == object {
		for i := range v.kids {
			if string(v.kids[i].key) == key {
				return &v.kids[i]
			}
		}
	}
	return &missing
}

// in follows keys inwards.
func (v *value) in(keys ...string) *value {
	for _, key := range keys {
		v = v.at(key)
	}
	return v
}

var missing value

// string is the decoded text; "" if the value is no text.
func (v *value) string() string {
	if v.kind != text {
		return ""
	}
	return string(decodeText(v.raw))
}

// empty reports whether Python takes the value for nothing: missing, null, false, zero-length, or the number 0.
func (v *value) empty() bool {
	switch v.kind {
	case text:
		return len(v.raw) == 0
	case object, array:
		return len(v.kids) == 0
	case word:
		return string(v.raw) != "true"
	case number:
		return string(v.raw) == "0"
	}
	return true
}
