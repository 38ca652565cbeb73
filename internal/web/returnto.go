package web

import (
	"net/url"
	"strings"
)

// MaxReturnTo is the longest return path that is kept, in bytes.
const MaxReturnTo = 2048

// ReturnTo returns the path that a browser may be sent back to, or "/" for everything that is not
// clearly a path on the same origin. Browsers drop tabs and line ends and read a backslash as a
// slash (WHATWG URL section 4.4), so all of these are refused, as is a second slash at the start,
// which would name another host.
func ReturnTo(raw string) string {
	if raw == "" || len(raw) > MaxReturnTo || raw[0] != '/' || strings.HasPrefix(raw, "//") {
		return "/"
	}
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return "/"
		}
	}
	u, err := url.Parse(raw)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || strings.HasPrefix(u.Path, "//") ||
		strings.Contains(u.Path, `\`) {
		return "/"
	}
	return raw
}
