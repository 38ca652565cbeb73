package guard

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may nest in an inspected body. The builders' own pages
// stay below ten levels.
const maxDepth = 64

// Errors of ScanObject and Parse; each text is shown to the caller.
var (
	errBOM       = errors.New("it begins with a byte order mark")
	errUTF8      = errors.New("it is not valid UTF-8")
	errDepth     = fmt.Errorf("it nests deeper than %d levels", maxDepth)
	errNotObject = errors.New("it is not a JSON object")
	errTrailing  = errors.New("there is text after the JSON object")
	errPrototype = errors.New("it has a key that changes JavaScript prototypes")
)

// ScanObject reads data as one JSON object (RFC 8259) that no two parsers can read differently:
// UTF-8 without a byte order mark, no duplicate keys in an object, bounded depth, nothing after the
// end. It also refuses keys that poison prototypes in JavaScript. It checks every level and calls
// visit for the top-level keys, with the decoded key and the original text of the value. visit must
// not keep either.
func ScanObject(data []byte, visit func(key, value []byte)) error {
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		return errBOM
	}
	if !utf8.Valid(data) {
		return errUTF8
	}
	s := scanner{data: data, visit: visit}
	s.blanks()
	if s.peek() != '{' {
		return errNotObject
	}
	if err := s.object(1); err != nil {
		return err
	}
	s.blanks()
	if s.at != len(data) {
		return errTrailing
	}
	return nil
}

// scanner walks over JSON text without copying it.
type scanner struct {
	data  []byte
	at    int
	visit func(key, value []byte)
	keys  [][]byte // of the open objects, outermost first
}

func (s *scanner) peek() byte {
	if s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

func (s *scanner) blanks() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) syntax(expected string) error {
	if s.at >= len(s.data) {
		return errors.New("it ends too early")
	}
	return fmt.Errorf("at byte %d %s is expected", s.at, expected)
}

func (s *scanner) value(depth int) error {
	s.blanks()
	switch c := s.peek(); {
	case c == '{':
		return s.object(depth + 1)
	case c == '[':
		return s.array(depth + 1)
	case c == '"':
		_, err := s.text()
		return err
	case c == '-' || isDigit(c):
		return s.number()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	return s.syntax("a value")
}

func (s *scanner) object(depth int) error {
	if depth > maxDepth {
		return errDepth
	}
	s.at++
	base := len(s.keys)
	defer func() { s.keys = s.keys[:base] }()
	var seen map[string]struct{}
	s.blanks()
	if s.peek() == '}' {
		s.at++
		return nil
	}
	for {
		if err := s.member(depth, base, &seen); err != nil {
			return err
		}
		s.blanks()
		switch s.peek() {
		case ',':
			s.at++
		case '}':
			s.at++
			return nil
		default:
			return s.syntax("a comma or the end of the object")
		}
	}
}

func (s *scanner) member(depth, base int, seen *map[string]struct{}) error {
	key, err := s.key(base, seen)
	if err != nil {
		return err
	}
	from := s.at
	if err := s.value(depth); err != nil {
		return err
	}
	if depth == 1 {
		s.visit(key, s.data[from:s.at])
	}
	return nil
}

// key reads and decodes a key, and moves to the value after it.
func (s *scanner) key(base int, seen *map[string]struct{}) ([]byte, error) {
	s.blanks()
	if s.peek() != '"' {
		return nil, s.syntax("a key")
	}
	raw, err := s.text()
	if err != nil {
		return nil, err
	}
	key := decodeText(raw)
	if s.twice(key, base, seen) {
		return nil, fmt.Errorf("an object has the key %s twice", strconv.QuoteToASCII(Clip(string(key))))
	}
	s.blanks()
	if s.peek() != ':' {
		return nil, s.syntax("a colon")
	}
	s.at++
	s.blanks()
	if poisons(key, s.peek()) {
		return nil, errPrototype
	}
	return key, nil
}

// manyKeys is the number of keys above which a map replaces the linear search for a duplicate.
const manyKeys = 16

// twice reports whether the open object already has the key, and remembers it.
func (s *scanner) twice(key []byte, base int, seen *map[string]struct{}) bool {
	if *seen != nil {
		n := len(*seen)
		(*seen)[string(key)] = struct{}{}
		return len(*seen) == n
	}
	for _, k := range s.keys[base:] {
		if bytes.Equal(k, key) {
			return true
		}
	}
	s.keys = append(s.keys, key)
	if len(s.keys)-base > manyKeys {
		*seen = make(map[string]struct{}, 4*manyKeys)
		for _, k := range s.keys[base:] {
			(*seen)[string(k)] = struct{}{}
		}
	}
	return false
}

// poisons reports whether a key reaches an object's prototype when the builder merges bodies:
// "__proto__", or "constructor" with an object.
func poisons(key []byte, first byte) bool {
	return string(key) == "__proto__" || string(key) == "constructor" && first == '{'
}

func (s *scanner) array(depth int) error {
	if depth > maxDepth {
		return errDepth
	}
	s.at++
	s.blanks()
	if s.peek() == ']' {
		s.at++
		return nil
	}
	for {
		if err := s.value(depth); err != nil {
			return err
		}
		s.blanks()
		switch s.peek() {
		case ',':
			s.at++
		case ']':
			s.at++
			return nil
		default:
			return s.syntax("a comma or the end of the array")
		}
	}
}

// text reads a string and returns the text between its quotes.
func (s *scanner) text() ([]byte, error) {
	s.at++
	from := s.at
	for s.at < len(s.data) {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return s.data[from : s.at-1], nil
		case c < 0x20:
			return nil, s.syntax("an escaped control character")
		case c == '\\':
			if err := s.escape(); err != nil {
				return nil, err
			}
		default:
			s.at++
		}
	}
	return nil, s.syntax("the end of the string")
}

func (s *scanner) escape() error {
	s.at++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at++
		return nil
	case 'u':
		s.at++
		for range 4 {
			if !isHex(s.peek()) {
				return s.syntax("a hexadecimal digit")
			}
			s.at++
		}
		return nil
	}
	return s.syntax("an escape of JSON")
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else if !s.digits() {
		return s.syntax("a digit")
	}
	if s.peek() == '.' {
		s.at++
		if !s.digits() {
			return s.syntax("a digit")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		if !s.digits() {
			return s.syntax("a digit")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	from := s.at
	for isDigit(s.peek()) {
		s.at++
	}
	return s.at > from
}

func (s *scanner) word(w string) error {
	if !bytes.HasPrefix(s.data[s.at:], []byte(w)) {
		return s.syntax(w)
	}
	s.at += len(w)
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// decodeText decodes the escapes of a string read by text. A lone surrogate becomes U+FFFD, as in
// encoding/json.
func decodeText(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		if raw[i+1] != 'u' {
			out = append(out, unescape(raw[i+1]))
			i += 2
			continue
		}
		r := hexRune(raw[i+2:])
		i += 6
		if utf16.IsSurrogate(r) {
			pair := rune(utf8.RuneError)
			if i+6 <= len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
				pair = utf16.DecodeRune(r, hexRune(raw[i+2:]))
			}
			if r = pair; pair != utf8.RuneError {
				i += 6
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

// Unescape removes one level of JSON escapes everywhere, inside strings and between them. The
// backslash of an invalid escape is removed; each surrogate becomes U+FFFD.
func Unescape(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); {
		if data[i] != '\\' || i+1 == len(data) {
			if data[i] != '\\' {
				out = append(out, data[i])
			}
			i++
			continue
		}
		if data[i+1] != 'u' || !hexAhead(data[i+2:]) {
			out = append(out, unescape(data[i+1]))
			i += 2
			continue
		}
		r := hexRune(data[i+2:])
		i += 6
		if utf16.IsSurrogate(r) {
			r = utf8.RuneError
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

func hexAhead(b []byte) bool {
	return len(b) >= 4 && isHex(b[0]) && isHex(b[1]) && isHex(b[2]) && isHex(b[3])
}

// hexRune reads the four digits of a \u escape.
func hexRune(b []byte) rune {
	n, _ := strconv.ParseUint(string(b[:4]), 16, 32)
	return rune(n)
}

// unescape returns the character for the letter after a backslash in JSON (RFC 8259 section 7).
func unescape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// Clip bounds a text that the client chose before it is shown.
func Clip(s string) string {
	if len(s) > 64 {
		return s[:64]
	}
	return s
}
