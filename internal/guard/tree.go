package guard

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxValues bounds the values of one document and so its memory. A value costs about eighty
// bytes in addition to the text. A flow of half a megabyte has fifteen thousand values.
const MaxValues = 400_000

var errValues = fmt.Errorf("it has more than %d values", MaxValues)

// Kind is the kind of a JSON value.
type Kind uint8

// The kinds of values. Word is true, false or null.
const (
	Object Kind = iota + 1
	Array
	Text
	Number
	Word
)

// Value is one value of a JSON document, which stays in memory unchanged. The zero value represents
// a missing one.
type Value struct {
	Key  []byte // decoded; set for members
	Raw  []byte // the original text; for a Text without its quotes
	Kids []Value
	Kind Kind
}

// Parse reads data as one JSON document with any outermost value, as strictly as ScanObject.
func Parse(data []byte) (Value, error) {
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		return Value{}, errBOM
	}
	if !utf8.Valid(data) {
		return Value{}, errUTF8
	}
	b := builder{scanner: scanner{data: data}}
	v, err := b.value(0)
	if err != nil {
		return Value{}, err
	}
	b.blanks()
	if b.at != len(data) {
		return Value{}, errTrailing
	}
	return v, nil
}

// builder collects the values that a scanner reads.
type builder struct {
	scanner
	count int
}

func (b *builder) value(depth int) (Value, error) {
	b.blanks()
	if b.count++; b.count > MaxValues {
		return Value{}, errValues
	}
	switch c := b.peek(); c {
	case '{':
		return b.object(depth + 1)
	case '[':
		return b.array(depth + 1)
	case '"':
		raw, err := b.text()
		return Value{Raw: raw, Kind: Text}, err
	}
	from, k := b.at, Number
	if c := b.peek(); c == 't' || c == 'f' || c == 'n' {
		k = Word
	}
	err := b.scanner.value(depth)
	return Value{Raw: b.data[from:b.at], Kind: k}, err
}

func (b *builder) object(depth int) (Value, error) {
	v := Value{Kind: Object}
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
		kid.Key = key
		v.Kids = append(v.Kids, kid)
		if more, err := b.goesOn('}', "a comma or the end of the object"); !more {
			return v, err
		}
	}
}

func (b *builder) array(depth int) (Value, error) {
	v := Value{Kind: Array}
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
		v.Kids = append(v.Kids, kid)
		if more, err := b.goesOn(']', "a comma or the end of the array"); !more {
			return v, err
		}
	}
}

// goesOn reads a comma, or the end of the open object or array.
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

// At finds a member of an object by its decoded key.
func (v *Value) At(key string) *Value {
	if v.Kind == Object {
		for i := range v.Kids {
			if string(v.Kids[i].Key) == key {
				return &v.Kids[i]
			}
		}
	}
	return &missing
}

// In follows a path of keys.
func (v *Value) In(keys ...string) *Value {
	for _, key := range keys {
		v = v.At(key)
	}
	return v
}

var missing Value

// Text is the decoded text; "" for values of other kinds.
func (v *Value) Text() string {
	if v.Kind != Text {
		return ""
	}
	return string(decodeText(v.Raw))
}

// Empty reports whether Python treats the value as false: missing, null, false, zero-length, or the
// number 0.
func (v *Value) Empty() bool {
	switch v.Kind {
	case Text:
		return len(v.Raw) == 0
	case Object, Array:
		return len(v.Kids) == 0
	case Word:
		return string(v.Raw) != "true"
	case Number:
		return string(v.Raw) == "0"
	}
	return true
}

// Folded finds a member, ignoring the case of its key.
func Folded(v *Value, key string) *Value {
	if v.Kind == Object {
		for i := range v.Kids {
			if len(v.Kids[i].Key) == len(key) && strings.EqualFold(string(v.Kids[i].Key), key) {
				return &v.Kids[i]
			}
		}
	}
	return &missing
}

// Digest is equal for values that are equal to a JSON parser: white space, escapes and the order of
// members do not matter.
func Digest(v *Value) [sha256.Size]byte {
	h := sha256.New()
	writeDigest(h, v)
	return [sha256.Size]byte(h.Sum(nil))
}

func writeDigest(h hash.Hash, v *Value) {
	piece := func(b []byte) {
		var n [9]byte
		n[0] = byte(v.Kind)
		binary.BigEndian.PutUint64(n[1:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	switch v.Kind {
	case Object:
		kids := slices.Clone(v.Kids)
		slices.SortFunc(kids, func(a, b Value) int { return strings.Compare(string(a.Key), string(b.Key)) })
		piece(make([]byte, len(kids)))
		for i := range kids {
			piece(kids[i].Key)
			writeDigest(h, &kids[i])
		}
	case Array:
		piece(make([]byte, len(v.Kids)))
		for i := range v.Kids {
			writeDigest(h, &v.Kids[i])
		}
	case Text:
		piece(decodeText(v.Raw))
	default:
		piece(v.Raw)
	}
}
