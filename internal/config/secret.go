package config

import (
	"fmt"
	"unicode/utf8"
)

// Secret is the value of a secret variable. However it is printed, logged or encoded, only its length shows.
type Secret string

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }

// String returns "not set" or "set (44 characters)".
func (s Secret) String() string {
	if s == "" {
		return "not set"
	}
	return fmt.Sprintf("set (%d characters)", utf8.RuneCountInString(string(s)))
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText is String, for JSON and structured logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
