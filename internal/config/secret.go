package config

import (
	"fmt"
	"unicode/utf8"
)

// Secret is the value of a secret variable. Printing, logging or encoding it shows only its length.
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

// GoString returns the same as String, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText returns the same as String, for JSON and structured logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
