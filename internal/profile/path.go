package profile

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice/internal/problem"
)

// MaxTarget is the longest path, and the longest query, in bytes.
const MaxTarget = 8 << 10

// Canonical checks the path of a request target exactly as it was on the wire (RFC 9112 section
// 3.2.1, without the query) and returns the one form to match and to forward. It returns
// problem.Invalid for anything that two parsers could read differently: encoded slashes, dots,
// letters, double encoding, dot segments, empty segments, HTML (some builders strip tags and decode
// entities in the URL before routing), path parameters, overlong or compatibility characters,
// blanks at the edge of a segment. Its only repair is upper case for the digits of an escape (RFC
// 3986 section 6.2.2.1). A trailing slash is kept; Profile.Match decides about it.
func Canonical(raw string) (string, error) {
	if len(raw) > MaxTarget {
		return "", badPath("The path is longer than 8 KiB.", "path.length")
	}
	if raw == "" || raw[0] != '/' {
		return "", badPath("The request target must be a path that starts with a slash.", "path.form")
	}
	lower := false
	for rest := raw; rest != ""; {
		end := 1 + strings.IndexByte(rest[1:], '/')
		if end == 0 {
			end = len(rest)
		}
		low, err := checkSegment(rest[1:end], end == len(rest))
		if err != nil {
			return "", err
		}
		lower = lower || low
		rest = rest[end:]
	}
	if lower {
		return upperEscapes(raw), nil
	}
	return raw, nil
}

func badPath(text, rule string) error {
	return problem.New(problem.Invalid, text).WithField("path").WithRule(rule)
}

// checkSegment checks the text between two slashes. lower reports that an escape has a lower-case
// digit.
func checkSegment(seg string, last bool) (lower bool, err error) {
	switch {
	case seg == "" && !last:
		return false, badPath("The path has two slashes in a row.", "path.empty-segment")
	case seg == "." || seg == "..":
		return false, badPath("The path has a dot segment.", "path.dot-segment")
	case strings.HasPrefix(seg, "%20") || strings.HasSuffix(seg, "%20"):
		return false, badPath("A part of the path starts or ends with a blank.", "path.blank")
	}
	for i := 0; i < len(seg); {
		if seg[i] != '%' {
			if !rawAllowed(seg[i]) {
				return false, badPath("The path has a character that is not allowed there.", "path.character")
			}
			i++
			continue
		}
		n, low, err := checkEscape(seg[i:])
		if err != nil {
			return false, err
		}
		lower = lower || low
		i += n
	}
	return lower, nil
}

// checkEscape checks the escapes of one character at the start of s and returns their length.
func checkEscape(s string) (n int, lower bool, err error) {
	first, low, ok := unescape(s)
	if !ok {
		return 0, false, badPath("The path has a broken percent escape.", "path.escape")
	}
	if first < utf8.RuneSelf {
		if first == ' ' || strings.IndexByte("!$'()*+,:=@[]", first) >= 0 {
			return 3, low, nil
		}
		return 0, false, badPath("The path has an escape that is not allowed there.", "path.escape")
	}
	var buf [utf8.UTFMax]byte
	buf[0], lower = first, low
	size := 1
	for !utf8.FullRune(buf[:size]) {
		b, low, ok := unescape(s[3*size:])
		if !ok {
			break
		}
		buf[size], lower = b, lower || low
		size++
	}
	r, width := utf8.DecodeRune(buf[:size])
	if width != size || !plainRune(r) {
		return 0, false, badPath("The path has an escaped character that is not allowed there.", "path.escape")
	}
	return 3 * size, lower, nil
}

// unescape reads one %XX at the start of s.
func unescape(s string) (b byte, lower, ok bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false, false
	}
	hi, ok1 := unhex(s[1])
	lo, ok2 := unhex(s[2])
	return hi<<4 | lo, s[1] >= 'a' || s[2] >= 'a', ok1 && ok2
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// unreserved reports whether c is an unreserved character of RFC 3986 section 2.3.
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' ||
		c == '~'
}

// rawAllowed reports whether c is a pchar of RFC 3986, except '&' and ';', which start and end HTML
// entities and path parameters.
func rawAllowed(c byte) bool {
	return unreserved(c) || strings.IndexByte("!$'()*+,:=@", c) >= 0
}

// compatibility lists the blocks whose characters Unicode normalization (NFKC) or case folding
// turns into others, often into ASCII.
var compatibility = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x00aa, Hi: 0x00aa, Stride: 1}, {Lo: 0x00ba, Hi: 0x00ba, Stride: 1}, // ordinal indicators
		{
			Lo:     0x0130,
			Hi:     0x0133,
			Stride: 1,
		}, {Lo: 0x013f, Hi: 0x0140, Stride: 1}, {Lo: 0x0149, Hi: 0x0149, Stride: 1}, // dotted and dotless i, digraphs
		{
			Lo:     0x017f,
			Hi:     0x017f,
			Stride: 1,
		}, {Lo: 0x01c4, Hi: 0x01cc, Stride: 1}, {Lo: 0x01f1, Hi: 0x01f3, Stride: 1}, // long s, digraphs
		{
			Lo:     0x02b0,
			Hi:     0x02ff,
			Stride: 1,
		}, {Lo: 0x1d2c, Hi: 0x1d78, Stride: 1}, {Lo: 0x1d9b, Hi: 0x1dbf, Stride: 1}, // modifier letters
		{
			Lo:     0x1e9a,
			Hi:     0x1e9b,
			Stride: 1,
		}, {Lo: 0x2000, Hi: 0x2bff, Stride: 1}, // punctuation, super- and subscripts, letterlike, enclosed
		{
			Lo:     0x2c7c,
			Hi:     0x2c7d,
			Stride: 1,
			// ideographic space, CJK compatibility
		}, {Lo: 0x3000, Hi: 0x3004, Stride: 1}, {Lo: 0x3130, Hi: 0x33ff, Stride: 1},
		{
			Lo:     0xa69c,
			Hi:     0xa69d,
			Stride: 1,
		}, {Lo: 0xa770, Hi: 0xa770, Stride: 1}, {Lo: 0xa7f1, Hi: 0xa7f9, Stride: 1},
		{Lo: 0xab5c, Hi: 0xab5f, Stride: 1},
		{
			Lo:     0xe000,
			Hi:     0xffff,
			Stride: 1,
		}, // private use, CJK compatibility, presentation and full-width forms, specials
	},
	R32: []unicode.Range32{
		{
			Lo:     0x10780,
			Hi:     0x107ba,
			Stride: 1,
		}, {Lo: 0x1d400, Hi: 0x1d7ff, Stride: 1}, {Lo: 0x1e030, Hi: 0x1e06d, Stride: 1},
		{
			Lo:     0x1ee00,
			Hi:     0x1f1ff,
			Stride: 1,
		}, {Lo: 0x1fbf0, Hi: 0x1fbf9, Stride: 1}, {Lo: 0x2f800, Hi: 0x2fa1f, Stride: 1},
	},
}

// plainRune reports whether a character outside ASCII is a letter, mark or digit that no parser
// folds into another.
func plainRune(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r)) && !unicode.Is(compatibility, r)
}

// upperEscapes returns raw with the digits of every escape in upper case. The escapes were already
// checked.
func upperEscapes(raw string) string {
	out := []byte(raw)
	for i := 0; i < len(out); i++ {
		if out[i] != '%' {
			continue
		}
		for j := i + 1; j <= i+2; j++ {
			if out[j] >= 'a' {
				out[j] -= 'a' - 'A'
			}
		}
		i += 2
	}
	return string(out)
}
