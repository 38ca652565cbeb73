package proxy

import (
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"
)

// relay carries an ordinary request to the builder and its answer back. It does what httputil.ReverseProxy does, which serves upgrades
// here, without its copies: headers are taken over once, in the same pass in which they are judged, because header maps are the larger
// part of what a proxy in Go spends. Informational answers and request trailers stop here: nobody has judged them.
func (x *exchange) relay() {
	out, lent := x.outgoing()
	if lent != nil {
		// The transport may still read the body when the answer is complete; net/http forbids that after the handler.
		defer func() { _ = lent.Close() }()
	}
	res, err := x.RoundTrip(out)
	if err != nil {
		x.refuse(x.explain(err))
		return
	}
	defer x.up.distrust(res.StatusCode)
	defer func() { _ = res.Body.Close() }()
	dropHops(res.Header)
	if err := x.modify(res); err != nil {
		x.refuse(x.explain(err))
		return
	}
	h := x.w.Header()
	for name, values := range res.Header {
		h[name] = values
	}
	for name := range res.Trailer {
		h.Add("Trailer", name)
	}
	x.w.WriteHeader(res.StatusCode)
	if x.copyBody(res) != nil {
		// Breaking the connection is the only way to tell the client that this was not all.
		panic(http.ErrAbortHandler)
	}
	for name, values := range res.Trailer {
		h[http.TrailerPrefix+name] = values
	}
}

// outgoing makes the request for the builder, as rewrite wants it. lent is the client's body if it is passed through.
func (x *exchange) outgoing() (out *http.Request, lent io.Closer) {
	h := make(http.Header, len(x.r.Header)+8)
	for name, values := range x.r.Header {
		if !hop(name) {
			h[name] = values
		}
	}
	dropNamed(h, x.r.Header["Connection"])
	if h["User-Agent"] == nil {
		h["User-Agent"] = noUserAgent
	}
	req := http.Request{Method: x.r.Method, URL: new(url.URL), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h}
	if x.r.ContentLength != 0 && x.body == nil {
		body := &lentBody{from: x.r.Body}
		req.Body, req.ContentLength, lent = body, x.r.ContentLength, body
	}
	out = req.WithContext(x.r.Context())
	x.rewrite(&httputil.ProxyRequest{In: x.r, Out: out})
	return out, lent
}

// noUserAgent keeps net/http from adding a User-Agent of its own.
var noUserAgent = []string{""}

// lentBody is the client's body in the hands of the transport, until it is taken back.
type lentBody struct {
	from io.Reader
	back atomic.Bool
}

// Read is io.Reader.
func (b *lentBody) Read(p []byte) (int, error) {
	if b.back.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.from.Read(p)
}

// Close takes the body back without reading the rest of it.
func (b *lentBody) Close() error {
	b.back.Store(true)
	return nil
}

// hop reports whether a header is about the connection and not about the message (RFC 9110 section 7.6.1, and two that are not standard).
func hop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// dropHops removes the headers that are about the builder's connection.
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
			if name = strings.TrimSpace(name); name != "" && !strings.EqualFold(name, "close") && !strings.EqualFold(name, "keep-alive") {
				delete(h, textproto.CanonicalMIMEHeaderKey(name))
			}
		}
	}
}

// copyBody passes the answer's body on. What has no known length is flushed as it comes; the head of a stream does not wait for its
// first event.
func (x *exchange) copyBody(res *http.Response) error {
	live := res.ContentLength < 0
	control := http.NewResponseController(x.w.ResponseWriter)
	if live && (x.w.stream || x.match.Endpoint.Stream) {
		if err := control.Flush(); err != nil {
			return err
		}
	}
	buf := x.p.buffers.Get()
	defer x.p.buffers.Put(buf)
	for {
		n, err := res.Body.Read(buf)
		if n > 0 {
			if _, err := x.w.Write(buf[:n]); err != nil {
				return err
			}
			if live {
				if err := control.Flush(); err != nil {
					return err
				}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
