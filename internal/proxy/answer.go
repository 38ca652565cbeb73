package proxy

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"

	"sluice/internal/problem"
)

// modify makes the builder's answer fit to leave: it takes out what only Sluice may say and adds Sluice's own rules for the browser.
func (x *exchange) modify(res *http.Response) error {
	x.app.Profile.CleanResponse(res.Header)
	cleanCookies(res.Header)
	x.relocate(res.Header)
	if x.cut != nil && x.cut.fired.Load() {
		return errSessionEnded
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		x.w.status = res.StatusCode
		x.stream()
		return nil
	}
	if x.absent(res) {
		return x.noAnswer(res)
	}
	x.secure(res)
	if streams(res) {
		x.stream()
		res.Header.Set("X-Accel-Buffering", "no")
	}
	if err := x.own(res); err != nil {
		return err
	}
	if err := x.recordFlow(res.StatusCode); err != nil {
		return err
	}
	if err := x.dressPage(res); err != nil {
		return err
	}
	x.watchAnswer(res)
	if res.StatusCode >= http.StatusInternalServerError && x.r.Method != http.MethodHead {
		return x.hideTrace(res)
	}
	return nil
}

// absent reports whether the builder has nothing at the address: some give their page, with status 200, instead of
// every 404.
func (x *exchange) absent(res *http.Response) bool {
	e := x.match.Endpoint
	return x.accounts() != nil && !e.Page && strings.HasPrefix(e.Pattern, "/api/") && res.StatusCode == http.StatusOK && strings.HasPrefix(res.Header.Get("Content-Type"), "text/html")
}

// noAnswer tells the builder's own page, which means that it has nothing at the address, from that of something else in its place: a proxy's, or another program's on its port.
func (x *exchange) noAnswer(res *http.Response) error {
	title := x.app.Kind.Title
	nothing := problem.Newf(problem.NotFound, "%s has nothing there: there is no such object, or this version has no such route.", title).WithRule("nothing at the builder")
	if x.r.Method == http.MethodHead {
		return nothing
	}
	defer func() { _ = res.Body.Close() }()
	page, err := x.readWhole(res, maxPage)
	if err != nil {
		return err
	}
	if indexFold(page, "<title>"+strings.ToLower(title)) >= 0 {
		return nothing
	}
	return problem.Newf(problem.Upstream, "A page came instead of %s's answer: something else answers at its address, or stands before it.", title).WithRule("a page for an answer")
}

var errSessionEnded = problem.New(problem.Unauthenticated, "Your session has ended.").WithRule("session ended")

// stream marks the exchange as one that lasts.
func (x *exchange) stream() {
	if !x.w.stream {
		x.w.stream = true
		x.up.counters.streams.Inc()
	}
}

// streams reports whether an answer is a stream of events, as server-sent events or as lines of JSON.
func streams(res *http.Response) bool {
	kind := res.Header.Get("Content-Type")
	return strings.HasPrefix(kind, "text/event-stream") || strings.HasPrefix(kind, "application/x-ndjson")
}

// secure sets the headers by which the browser protects the app's pages and data.
func (x *exchange) secure(res *http.Response) {
	h := res.Header
	h["X-Content-Type-Options"] = nosniff
	h["Cross-Origin-Resource-Policy"] = sameOrigin
	x.shareWithPages(h)
	x.protectPage(res)
	if x.lend.SignedIn() && h["Cache-Control"] == nil {
		h["Cache-Control"] = private
	}
	if strings.HasPrefix(x.app.PublicURL, "https://") {
		h["Strict-Transport-Security"] = transportSecurity
	}
}

// protectPage sets the policy of a document in which scripts could run. Where no page is expected it is something that somebody uploaded,
// or that the builder fell back to, and may do nothing. A 304 has no type and renews the headers of what the browser has stored.
func (x *exchange) protectPage(res *http.Response) {
	page := x.match.Endpoint.Page || x.app.Kind.Fallback
	notModified := res.StatusCode == http.StatusNotModified
	if notModified && !page || !notModified && !active(res.Header.Get("Content-Type")) {
		return
	}
	res.Header["X-Frame-Options"] = frameOptions
	res.Header["Referrer-Policy"] = sameOrigin
	if page {
		res.Header.Add("Content-Security-Policy", x.app.Profile.CSP("'self'"))
		return
	}
	res.Header.Add("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
}

// Header values that never change; they are shared by all answers.
var (
	nosniff           = []string{"nosniff"}
	sameOrigin        = []string{"same-origin"}
	frameOptions      = []string{"SAMEORIGIN"}
	private           = []string{"private, no-cache"}
	transportSecurity = []string{"max-age=31536000"}
)

// active reports whether a browser runs scripts of a document of this type.
func active(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	switch kind {
	case "", "text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml":
		return true
	}
	return strings.HasSuffix(kind, "+xml")
}

// cleanCookies removes cookies that pretend to be Sluice's, and the Domain of all others: a builder sets cookies for its own host only.
func cleanCookies(h http.Header) {
	lines := h["Set-Cookie"]
	if len(lines) == 0 {
		return
	}
	var keep []string
	for _, line := range lines {
		if !ownCookie(line) {
			keep = append(keep, withoutDomain(line))
		}
	}
	if keep == nil {
		delete(h, "Set-Cookie")
		return
	}
	h["Set-Cookie"] = keep
}

func withoutDomain(line string) string {
	parts := strings.Split(line, ";")
	kept := parts[:1]
	for _, part := range parts[1:] {
		name, _, _ := strings.Cut(part, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "domain") {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ";")
}

// relocate turns a redirect to the builder's own address into one that the browser can follow. Some builders take the scheme from X-Forwarded-Proto.
func (x *exchange) relocate(h http.Header) {
	location := h.Get("Location")
	scheme, rest, ok := strings.Cut(location, "//"+x.app.Upstream.Host)
	ok = ok && (scheme == "" || strings.EqualFold(scheme, "http:") || strings.EqualFold(scheme, "https:"))
	if ok && (rest == "" || rest[0] == '/' || rest[0] == '?' || rest[0] == '#') {
		h.Set("Location", x.appOrigin()+rest)
	}
}

// inspectedError is how much of an error's body is looked at, in bytes.
const inspectedError = 64 << 10

// hideTrace replaces the body of a failure that shows the inside of the builder: stack traces, paths of its file system. What cannot be
// read because it is compressed is replaced as well.
func (x *exchange) hideTrace(res *http.Response) error {
	if streams(res) {
		return nil
	}
	head, err := io.ReadAll(io.LimitReader(res.Body, inspectedError))
	if err != nil {
		return err
	}
	if encoding := res.Header.Get("Content-Encoding"); (encoding == "" || encoding == "identity") && !tells(head) {
		res.Body = joined{io.MultiReader(bytes.NewReader(head), res.Body), res.Body}
		return nil
	}
	_ = res.Body.Close()
	e := problem.Newf(problem.Internal, "%s failed while it worked on this. The details are in its own log.", x.app.Name).WithRule("builder failed")
	a := x.app.Profile.ErrorFor(x.r.Header, e, x.event.ID)
	x.event.Reason = "builder failed"
	for _, name := range [...]string{"Content-Encoding", "Etag", "Last-Modified", "Transfer-Encoding"} {
		delete(res.Header, name)
	}
	for name, values := range a.Header {
		res.Header[name] = values
	}
	res.Header.Set("Content-Length", strconv.Itoa(len(a.Body)))
	res.Body, res.ContentLength, res.TransferEncoding = io.NopCloser(bytes.NewReader(a.Body)), int64(len(a.Body)), nil
	return nil
}

// joined reads from one and closes the other.
type joined struct {
	io.Reader
	io.Closer
}

// tells reports whether a text shows where the builder's code lies or how it was called.
func tells(body []byte) bool {
	for _, sign := range [...]string{
		"\n    at ", `\n    at `, "node_modules/", "Traceback (most recent call last)", `File "/`, `File \"/`, "site-packages/", "node:internal", `.py", line `, `.py\", line `, ".py:",
	} {
		if bytes.Contains(body, []byte(sign)) {
			return true
		}
	}
	return false
}
