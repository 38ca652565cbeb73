package web

import (
	"net/http"
	"strings"
)

// Policy lists what one page may load, and where its forms may lead, beyond its own origin.
type Policy struct {
	// FormAction lists further origins that a form's answer may redirect to. Browsers apply
	// form-action to redirects too.
	FormAction []string
	// Connect lists further origins that the page's scripts may call.
	Connect []string
	// Frames lets the page show pages of its own origin in frames; Framed lets the page itself be
	// shown in one.
	Frames, Framed bool
}

// String returns the Content-Security-Policy: own scripts, styles and pictures, nothing inline, no
// frames. A page to be framed holds foreign text, such as an operator's mail: it may use inline
// styles and nothing else.
func (p Policy) String() string {
	if p.Framed {
		return "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; form-action 'none'; " +
			"frame-ancestors 'self'; base-uri 'none'"
	}
	frames := ""
	if p.Frames {
		frames = "; frame-src 'self'"
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
		"connect-src " + sources(
		p.Connect,
	) +
		"; form-action " + sources(
		p.FormAction,
	) + frames + "; frame-ancestors 'none'; base-uri 'none'"
}

func sources(more []string) string {
	return strings.Join(append([]string{"'self'"}, more...), " ")
}

// SetHeaders sets the headers that go with every Sluice page. https adds Strict-Transport-Security
// (RFC 6797), which must not be sent over http.
func (p Policy) SetHeaders(h http.Header, https bool) {
	h.Set("Content-Security-Policy", p.String())
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	if p.Framed {
		h.Set("X-Frame-Options", "SAMEORIGIN")
	}
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=(), interest-cohort=()")
	if https {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}
