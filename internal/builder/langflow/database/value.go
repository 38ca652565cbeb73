package database

import (
	"encoding/hex"
	"strings"
	"time"

	"github.com/google/uuid"

	"sluice/internal/builder"
)

// text is a table value. Langflow's databases are read as text only, because both engines support
// that.
type text struct {
	value string
	given bool // false: NULL, or a column that this version does not have
}

// id reads a UUID in either spelling, with dashes (PostgreSQL) or without (SQLite). It returns the
// spelling with dashes that Langflow's API uses.
func (t text) id() (string, bool) {
	s := t.value
	if len(s) != 32 && len(s) != 36 {
		return "", false
	}
	parsed, err := uuid.Parse(s)
	if err != nil || parsed == uuid.Nil {
		return "", false
	}
	return parsed.String(), true
}

// yes reads a boolean: 1 in SQLite, true in PostgreSQL.
func (t text) yes() bool {
	return t.value == "1" || strings.EqualFold(t.value, "true") || t.value == "t"
}

// layouts are the time formats of SQLAlchemy, SQLite and PostgreSQL. A time without a zone is UTC.
var layouts = []string{
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999Z07",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02",
}

// moment reads a time. NULL is the zero time. ok is false for a value that is not a time.
func (t text) moment() (at time.Time, ok bool) {
	s := strings.TrimSpace(t.value)
	if !t.given || s == "" {
		return time.Time{}, true
	}
	if len(s) > 64 {
		return time.Time{}, false
	}
	if len(s) > 10 && s[10] == 'T' {
		s = s[:10] + " " + s[11:]
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, s); err == nil && at.Year() >= 1970 && at.Year() < 10000 {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

// digest reads a SHA-256 in hexadecimal.
func (t text) digest() (sum [32]byte, ok bool) {
	if len(t.value) != hex.EncodedLen(len(sum)) {
		return sum, false
	}
	n, err := hex.Decode(sum[:], []byte(t.value))
	return sum, err == nil && n == len(sum)
}

// shown is a name that is safe to show on a terminal and on a page.
func (t text) shown() string { return builder.ShownName(t.value) }
