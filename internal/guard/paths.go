package guard

import "strings"

// files adds the paths in a field for files that lead out of the folders of the builder's own uploads (a shared host's files, its secret key among them).
func (f *findings) files(v *value, at place, field string) {
	switch v.kind {
	case text:
		if path := v.string(); hostPath(path) {
			f.add(whatFile, at, field, path)
		}
	case array:
		for i := range v.kids {
			f.files(&v.kids[i], at, field)
		}
	case object:
		for i := range v.kids {
			f.files(&v.kids[i], at, field)
		}
	}
}

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
