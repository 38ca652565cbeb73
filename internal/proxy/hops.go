package proxy

import (
	"io"
	"net/http"
	"net/textproto"
	"strings"
	"sync/atomic"
)

// noUserAgent keeps net/http from adding its own User-Agent.
var noUserAgent = []string{""}

// passedBody is the client's body while the transport reads it, until Close takes it back.
type passedBody struct {
	from io.Reader
	back atomic.Bool
}

// Read implements io.Reader.
func (b *passedBody) Read(p []byte) (int, error) {
	if b.back.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.from.Read(p)
}

// Close takes the body back without reading the rest of it.
func (b *passedBody) Close() error {
	b.back.Store(true)
	return nil
}

// hop reports whether a header describes the connection rather than the message (RFC 9110 section
// 7.6.1, plus two that are not standard).
func hop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te",
		"Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// dropHops removes the headers that describe the builder's connection.
func dropHops(h http.Header) {
	dropNamed(h, h["Connection"])
	for name := range h {
		if hop(name) {
			delete(h, name)
		}
	}
}

// dropNamed removes the headers that a Connection header lists.
func dropNamed(h http.Header, connection []string) {
	for _, line := range connection {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.TrimSpace(name)
			if name != "" && !strings.EqualFold(name, "close") && !strings.EqualFold(name, "keep-alive") {
				delete(h, textproto.CanonicalMIMEHeaderKey(name))
			}
		}
	}
}
