package guards

import (
	"regexp"
	"slices"
	"strings"
)

// hostPath reports whether a path does not have the form "folder/name" of uploads.
func hostPath(p string) bool {
	if p == "" {
		return false
	}
	if strings.ContainsAny(p, "\\\x00~") || p[0] == '/' || strings.Contains(p, "://") || len(p) > 1 && p[1] == ':' {
		return true
	}
	for segment := range strings.SplitSeq(p, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// pathFields are the text fields by which components of both supported releases open files or
// folders of the host, unless their own code keeps them inside.
var pathFields = map[string]bool{
	"path":              true,
	"csv_path":          true,
	"json_path":         true,
	"file_path":         true,
	"file_path_str":     true,
	"file_name":         true,
	"root_path":         true,
	"directory":         true,
	"persist_directory": true,
	"persistent_dir":    true,
	"cache_dir":         true,
}

// databaseFields are the fields that name a database. It may be a file of the host, including
// Langflow's own database with everyone's flows and keys.
var databaseFields = map[string]bool{
	"database_url":      true,
	"database_uri":      true,
	"uri":               true,
	"url":               true,
	"connection_string": true,
}

// fileDatabases are the schemes of databases that are files, or that open files on request (ATTACH
// DATABASE).
var fileDatabases = regexp.MustCompile(`(?i)^\s*(?:sqlite|duckdb|file|h2|access|jdbc:(?:sqlite|duckdb|h2))[\w+]*:`)

// reaches reports whether the text in a field opens something outside the folders where a component
// works.
func reaches(field, s string) bool {
	switch {
	case databaseFields[field]:
		return fileDatabases.MatchString(s)
	case !pathFields[field]:
		return false
	case strings.HasPrefix(s, "/"),
		strings.HasPrefix(strings.TrimSpace(s), "~"),
		strings.ContainsAny(s, "\\\x00"),
		len(s) > 1 && s[1] == ':',
		strings.HasPrefix(strings.ToLower(s), "file:"):
		return true
	}
	return strings.HasPrefix(strings.TrimSpace(s), "/") || slices.Contains(strings.Split(s, "/"), "..")
}
