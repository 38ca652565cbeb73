package guards

import (
	"strings"
	"unicode/utf8"

	"sluice/internal/guard"
	"sluice/internal/problem"
)

// mcp is the guard of that name: it only accepts definitions of remote MCP servers. Langflow
// accepts any further member (its schema allows extras), and starts a program if there is a command
// (CVE-2026-12940, -105697, -105740, -81941). So the guard accepts only the members of a remote
// server, in their exact spelling.
func mcp(r *guard.Request) error {
	if len(r.Body) == 0 {
		return nil
	}
	kind, _, err := guard.Form(r)
	if err != nil {
		return err
	}
	if kind != "application/json" {
		return problem.New(problem.Invalid, "The body must be application/json.").WithRule("body.type").
			WithField("Content-Type")
	}
	v, err := guard.Parse(r.Body)
	if err != nil {
		return problem.Newf(problem.Invalid, "The body cannot be forwarded: %v.", err).WithRule("body.json")
	}
	if v.Kind != guard.Object {
		return refuseServer("", "is not an object")
	}
	may := r.MayServe()
	for i := range v.Kids {
		if why := memberOf(&v.Kids[i], may); why != "" {
			return refuseServer(string(v.Kids[i].Key), why)
		}
	}
	return nil
}

func refuseServer(field, why string) error {
	next := "Send the server's https address as url, and headers if it needs any."
	if field == "command" || field == "args" || field == "env" {
		next = askForNone
	}
	return problem.Newf(problem.Denied, "This definition of an MCP server cannot be "+
		"used: %s.", strings.TrimSpace("its member "+guard.Clip(field)+" "+why)).
		WithRule("guard.mcp").WithField(guard.Clip(field)).WithNext(next)
}

// memberOf says what is wrong with one member of a definition; "" if nothing is.
func memberOf(v *guard.Value, may bool) string {
	switch string(v.Key) {
	case "name":
		if name := v.Text(); v.Kind != guard.Text || names.Bad(name) != "" {
			return "is not a plain name"
		}
	case "url":
		if v.Empty() && v.Kind != guard.Number {
			return ""
		}
		if v.Kind != guard.Text {
			return "is not a text"
		}
		return guard.BadAddress(v.Text(), may)
	case "headers":
		return badHeaders(v)
	case "command", "args", "env":
		if !v.Empty() {
			return "starts a program on the builder's host"
		}
	case "mode", "transport", "type":
		switch strings.ToLower(v.Text()) {
		case "", "sse", "http", "streamable_http", "streamable-http", "streamablehttp":
			if v.Kind == guard.Text || v.Empty() {
				return ""
			}
		}
		return "is not a transport over HTTP"
	case "timeout", "sse_read_timeout", "verify_ssl", "use_cache", "description":
		if v.Kind == guard.Object || v.Kind == guard.Array {
			return "is not a plain value"
		}
	default:
		return "is not part of the definition of a remote server"
	}
	return ""
}

const (
	maxHeaders     = 50
	maxHeaderValue = 8 << 10
)

// connectionHeaders are headers that change how the request itself is carried.
var connectionHeaders = map[string]bool{
	"host":                true,
	"connection":          true,
	"content-length":      true,
	"transfer-encoding":   true,
	"upgrade":             true,
	"te":                  true,
	"trailer":             true,
	"expect":              true,
	"proxy-authorization": true,
	"proxy-connection":    true,
	"keep-alive":          true,
}

// badHeaders says why a value is not an object of texts, each an HTTP header (RFC 9110 section 5);
// "" if it is one.
func badHeaders(v *guard.Value) string {
	if v.Empty() && v.Kind != guard.Number {
		return ""
	}
	if v.Kind != guard.Object || len(v.Kids) > maxHeaders {
		return "is not an object of texts"
	}
	for i := range v.Kids {
		h := &v.Kids[i]
		name, content := strings.ToLower(string(h.Key)), h.Text()
		switch {
		case name == "" || strings.ContainsFunc(name, func(r rune) bool {
			return !guard.IsToken(r)
		}) || connectionHeaders[name]:
			return "has a name that is not allowed for a header"
		case h.Kind != guard.Text || len(content) > maxHeaderValue || !utf8.ValidString(content):
			return "has a value that is not a text"
		case strings.ContainsFunc(content, func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f }):
			return "has a value with a control character"
		}
	}
	return ""
}
