package config

import (
	"fmt"
	"strings"
)

const (
	sluicePrefix = "SLUICE_"
	fileSuffix   = "_FILE"
)

// Level ranks the sources of values; a higher one wins.
type Level int

// The levels, lowest first.
const (
	FromDefault Level = iota
	FromEnvFile
	FromEnvironment
	FromCommandLine
)

// Source is the origin of a value.
type Source struct {
	Level Level
	Name  string // the name it was given under: the variable's own, an alias, or either with _FILE
	File  string // FromEnvFile: the env file
	Line  int    // FromEnvFile: the line in it
}

// String is "default", "environment", "command line" or ".env:12", with the name if it was not the
// variable's own.
func (s Source) String() string {
	switch s.Level {
	case FromEnvFile:
		return fmt.Sprintf("%s:%d", s.File, s.Line)
	case FromEnvironment:
		return "environment"
	case FromCommandLine:
		return "command line"
	}
	return "default"
}

// under is String, plus the name of the source if it differs from name.
func (s Source) under(name string) string {
	if s.Level == FromDefault || s.Name == name {
		return s.String()
	}
	return fmt.Sprintf("%s (%s)", s, s.Name)
}

// given is one NAME=VALUE as found.
type given struct {
	value  string
	source Source
}

// isPlaceholder recognizes the placeholders of published examples: <your-secret>, or the text that
// the pages' host shows instead of email addresses.
func isPlaceholder(value string) bool {
	v := strings.ReplaceAll(value, "\u00A0", " ")
	return v == "[email protected]" || len(v) > 2 && v[0] == '<' && strings.IndexByte(v, '>') == len(v)-1
}
