package objects

import (
	"bytes"
	"encoding/hex"
	"strings"

	"github.com/google/uuid"

	"sluice/internal/guard"
)

// maxEscaped bounds how deep escapes can be nested in a body: each level of JSON in a JSON string
// doubles the backslashes before a quote.
const maxEscaped = 12

// EachUUID calls visit for every UUID that a builder could read out of data: in plain text, in
// either case, with or without hyphens, and in JSON escapes, on each level of JSON inside JSON
// strings. It stops when visit returns false. deep is true if escapes are nested deeper than it
// searches.
func EachUUID(data []byte, visit func(id [16]byte) bool) (deep bool) {
	for range maxEscaped {
		if !ScanUUIDs(data, visit) {
			return false
		}
		if bytes.IndexByte(data, '\\') < 0 {
			return false
		}
		data = guard.Unescape(data)
	}
	return true
}

// ScanUUIDs calls visit for every UUID in plain text, and reports whether visit accepted all of
// them.
func ScanUUIDs(data []byte, visit func(id [16]byte) bool) bool {
	for i := 0; i < len(data); {
		if !isHex(data[i]) {
			i++
			continue
		}
		end, digits := i, 0
		for end < len(data) && (isHex(data[end]) || data[end] == '-') {
			if data[end] != '-' {
				digits++
			}
			end++
		}
		if digits >= 32 && !visitRun(data[i:end], digits, visit) {
			return false
		}
		i = end + 1
	}
	return true
}

// visitRun reads a run of hexadecimal digits and hyphens, either as a single id, or as the ids in
// their usual form within it.
func visitRun(run []byte, digits int, visit func(id [16]byte) bool) bool {
	var plain [32]byte
	if digits == 32 {
		n := 0
		for _, c := range run {
			if c != '-' {
				plain[n] = c
				n++
			}
		}
		return visitDigits(plain, visit)
	}
	for i := 0; i+36 <= len(run); i++ {
		if run[i+8] != '-' || run[i+13] != '-' || run[i+18] != '-' || run[i+23] != '-' {
			continue
		}
		n := 0
		for _, c := range run[i : i+36] {
			if c != '-' && n < len(plain) {
				plain[n] = c
				n++
			}
		}
		if n == len(plain) && !visitDigits(plain, visit) {
			return false
		}
	}
	return true
}

func visitDigits(plain [32]byte, visit func(id [16]byte) bool) bool {
	var id [16]byte
	if _, err := hex.Decode(id[:], plain[:]); err != nil {
		return true
	}
	return visit(id)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// IsUUID reports whether a text contains a UUID.
func IsUUID(s string) bool {
	found := false
	ScanUUIDs([]byte(s), func([16]byte) bool { found = true; return false })
	return found
}

// PlainUUID reports whether an id is a UUID in the form that builders with accounts use (RFC 9562
// section 4, in either case).
func PlainUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	_, err := uuid.Parse(id)
	return err == nil
}

// ReadUUID reads every text that Python's UUID class accepts: 32 hexadecimal digits after "urn:"
// and "uuid:" are removed, with hyphens anywhere and braces around.
func ReadUUID(text string) (id string, ok bool) {
	digits := strings.NewReplacer("urn:", "", "uuid:", "").Replace(text)
	digits = strings.ReplaceAll(strings.Trim(digits, "{}"), "-", "")
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != 16 {
		return "", false
	}
	return uuid.UUID(raw).String(), true
}
