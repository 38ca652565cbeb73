package guards

import (
	"regexp"
	"slices"
	"strings"
)

// hostPath reports whether a path is not of the form "folder/name" in which uploads are named.
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

// pathFields are the fields of text by which components of both supported releases open files or
// folders of the host, as far as their own code does not keep them inside.
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

// databaseFields are those that name a database, which may be a file of the host: Langflow's own,
// with everybody's flows and keys, among them.
var databaseFields = map[string]bool{
	"database_url":      true,
	"database_uri":      true,
	"uri":               true,
	"url":               true,
	"connection_string": true,
}

// fileDatabases are the schemes of databases that are files, or that open files for whoever asks
// (ATTACH DATABASE).
var fileDatabases = regexp.MustCompile(`(?i)^\s*(?:sqlite|duckdb|file|h2|access|jdbc:(?:sqlite|duckdb|h2))[\w+]*:`)

// reaches reports whether the text in a field opens what is outside of the folders where a
// component works.
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
