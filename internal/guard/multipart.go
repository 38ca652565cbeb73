package guard

import (
	"bytes"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"unicode/utf8"

	"sluice/internal/problem"
)

const (
	// maxBoundary is the limit of RFC 2046 section 5.1.1. Some servers stall on longer boundaries
	// (CVE-2026-55446).
	maxBoundary = 70
	// maxParts bounds the parts of a form, and maxPartHead the head of each.
	maxParts    = 1000
	maxPartHead = 8 << 10
)

// part is one part of a form.
type part struct {
	name, file string // file is the decoded file name
	isFile     bool
	data       []byte
}

// parts reads a multipart/form-data body (RFC 7578) in the single form that browsers and common
// clients send, so that no two parsers can find different parts in it. It refuses anything before
// the first boundary or after the last, blanks after a boundary, and headers other than those that
// describe a part.
func parts(body []byte, boundary string) ([]part, error) {
	if boundary == "" || len(boundary) > maxBoundary || strings.ContainsFunc(boundary, func(r rune) bool {
		return !isBoundary(r)
	}) {
		return nil, badForm("its boundary is not one of up to 70 plain characters")
	}
	line, between := []byte("--"+boundary), []byte("\r\n--"+boundary)
	rest, ok := bytes.CutPrefix(body, line)
	if !ok {
		return nil, badForm("it does not begin with its boundary")
	}
	var out []part
	for {
		switch {
		case string(rest) == "--", string(rest) == "--\r\n":
			return out, nil
		case !bytes.HasPrefix(rest, []byte("\r\n")):
			return nil, badForm("a boundary is not the end of its line")
		case len(out) == maxParts:
			return nil, badForm(fmt.Sprintf("it has more than %d parts", maxParts))
		}
		head, after, ok := bytes.Cut(rest[2:], []byte("\r\n\r\n"))
		if !ok || len(head) > maxPartHead {
			return nil, badForm("a part has no head, or a very long one")
		}
		p, err := readHead(string(head))
		if err != nil {
			return nil, err
		}
		if p.data, rest, ok = bytes.Cut(after, between); !ok || bytes.HasPrefix(p.data, line) {
			return nil, badForm("its last boundary is missing, or a boundary shares its line")
		}
		out = append(out, p)
	}
}

// isBoundary reports whether a character is allowed in a boundary (RFC 2046 section 5.1.1), except
// for blanks.
func isBoundary(r rune) bool {
	return r < 0x7f && (isDigit(byte(r)) || 'a' <= r|0x20 && r|0x20 <= 'z') || strings.ContainsRune("'()+_,-./:=?", r)
}

func badForm(why string) error {
	return problem.Newf(problem.Invalid, "The form in the body cannot be forwarded: %s.", why).WithRule("guard.upload")
}

// readHead reads the head of a part.
func readHead(head string) (part, error) {
	var p part
	seen := map[string]bool{}
	for line := range strings.SplitSeq(head, "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		name = strings.ToLower(name)
		if !ok || seen[name] || strings.ContainsFunc(value, func(r rune) bool {
			return r < 0x20 && r != '\t' || r == 0x7f
		}) {
			return p, badForm("the head of a part is not made of plain lines")
		}
		seen[name] = true
		switch name {
		case "content-disposition":
			if err := p.readDisposition(strings.TrimSpace(value)); err != nil {
				return p, err
			}
		case "content-type", "content-length":
			if kind, _, err := mime.ParseMediaType(value); name == "content-type" &&
				(err != nil || strings.HasPrefix(kind, "multipart/")) {
				return p, badForm("the type of a part is not a plain one")
			}
		default:
			return p, badForm("the head of a part has a field that forms do not have")
		}
	}
	if !seen["content-disposition"] {
		return p, badForm("a part has no name")
	}
	return p, nil
}

// readDisposition reads `form-data; name="…"; filename="…"`. It accepts at most one file name,
// either "filename" or "filename*" (RFC 8187).
func (p *part) readDisposition(s string) error {
	kind, rest, _ := strings.Cut(s, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "form-data") {
		return badForm("a part is not of a form")
	}
	seen := map[string]bool{}
	for rest = strings.TrimSpace(rest); rest != ""; {
		key, after, ok := strings.Cut(rest, "=")
		key = strings.ToLower(key)
		value, after, fine := parameter(after)
		if !ok || !fine || seen[key] {
			return badForm("the name of a part is not written plainly")
		}
		seen[key] = true
		rest = after
		switch key {
		case "name":
			p.name = value
		case "filename":
			p.file, p.isFile = value, true
		case "filename*":
			encoded, ok := strings.CutPrefix(strings.ToLower(value), "utf-8''")
			if !ok {
				return badForm("filename* is not in UTF-8")
			}
			name, err := url.PathUnescape(value[len(value)-len(encoded):])
			if err != nil {
				return badForm("filename* has a broken escape")
			}
			p.file, p.isFile = name, true
		default:
			return badForm("the name of a part has a parameter that forms do not have")
		}
	}
	if !seen["name"] || seen["filename"] && seen["filename*"] {
		return badForm("a part has no name, or two for its file")
	}
	if !utf8.ValidString(p.name) || !utf8.ValidString(p.file) {
		return badForm("a name is not in UTF-8")
	}
	return nil
}

// parameter reads a quoted text without escapes, or a token, and the semicolon after it.
func parameter(s string) (value, rest string, ok bool) {
	if quoted, isQuoted := strings.CutPrefix(s, `"`); isQuoted {
		if value, rest, ok = strings.Cut(quoted, `"`); !ok || strings.Contains(value, `\`) {
			return "", "", false
		}
	} else {
		end := strings.IndexFunc(s, func(r rune) bool { return !IsToken(r) })
		if end < 0 {
			end = len(s)
		}
		value, rest = s[:end], s[end:]
	}
	rest = strings.TrimLeft(rest, " \t")
	if rest == "" {
		return value, "", value != "" || ok
	}
	if rest, ok = strings.CutPrefix(rest, ";"); !ok {
		return "", "", false
	}
	rest = strings.TrimLeft(rest, " \t")
	return value, rest, rest != ""
}

// IsToken reports whether a character is allowed in a header's name (RFC 9110 section 5.6.2).
func IsToken(r rune) bool {
	return r < 0x7f && (isDigit(byte(r)) || 'a' <= r|0x20 && r|0x20 <= 'z') ||
		strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
