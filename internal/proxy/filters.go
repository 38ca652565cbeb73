package proxy

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"sluice/internal/problem"
	"sluice/internal/profile"
)

// filter is one step of an answer on its way from the builder to the client.
type filter struct {
	name  string
	apply func(d *delivery, res *http.Response) error
}

// filters are the steps of an answer in order. If a step fails, its error becomes the answer. After
// "protocol" an upgraded connection takes no further step.
var filters = [...]filter{
	{"clean", cleanAnswer},
	{"protocol", switchProtocol},
	{"absent", refuseAbsent},
	{"protect", protect},
	{"stream", markStream},
	{"objects", readResults},
	{"record", recordStatus},
	{"page", addPageScript},
	{"watch", watchAnswer},
	{"trace", hideTrace},
}

// cleanAnswer removes headers and cookies that only Sluice may set.
func cleanAnswer(d *delivery, res *http.Response) error {
	d.v.Request.app.Profile.CleanResponse(res.Header)
	cleanCookies(res.Header)
	relocate(d.v.Request, res.Header)
	if d.reply.cut.hasFired() {
		return errSessionEnded
	}
	return nil
}

var errSessionEnded = problem.New(problem.Unauthenticated, "Your session has ended.").WithRule("session ended")

// cleanCookies removes cookies that pretend to be Sluice's, and the Domain attribute of all others:
// a builder sets cookies for its own host only.
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

// relocate rewrites a redirect to the builder's own address into one that the browser can follow.
// Some builders take the scheme from X-Forwarded-Proto.
func relocate(req *Request, h http.Header) {
	location := h.Get("Location")
	scheme, rest, ok := strings.Cut(location, "//"+req.app.Upstream.Host)
	ok = ok && (scheme == "" || strings.EqualFold(scheme, "http:") || strings.EqualFold(scheme, "https:"))
	if ok && (rest == "" || rest[0] == '/' || rest[0] == '?' || rest[0] == '#') {
		h.Set("Location", req.appOrigin()+rest)
	}
}

// switchProtocol releases an upgraded connection. It carries no answer to filter.
func switchProtocol(d *delivery, res *http.Response) error {
	if res.StatusCode == http.StatusSwitchingProtocols {
		d.reply.w.status, d.reply.w.switched = res.StatusCode, true
		d.reply.stream()
	}
	return nil
}

// refuseAbsent detects that the builder has nothing at the address: some send their page with
// status 200 instead of every 404. It distinguishes that page from the page of a different server
// in the builder's place, such as a proxy or another program on its port.
func refuseAbsent(d *delivery, res *http.Response) error {
	e, req := d.v.endpoint(), d.v.Request
	if req.accounts() == nil || e.Page || !strings.HasPrefix(e.Pattern, "/api/") ||
		res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		return nil
	}
	title := req.app.Kind.Title
	nothing := problem.Newf(
		problem.NotFound,
		"%s has nothing at this address: the object does not exist, or this version has no such route.",
		title,
	).WithRule("nothing at the builder")
	if req.http.Method == http.MethodHead {
		return nothing
	}
	defer func() { _ = res.Body.Close() }()
	page, err := readWhole(req, res, maxPage)
	if err != nil {
		return err
	}
	if indexFold(page, "<title>"+strings.ToLower(title)) >= 0 {
		return nothing
	}
	return problem.Newf(
		problem.Upstream,
		"A page arrived instead of %s's answer: another server answers at its address, or in front of it.",
		title,
	).WithRule("a page for an answer")
}

// markStream marks the exchange as long-lived if the answer is a stream of events.
func markStream(d *delivery, res *http.Response) error {
	if streams(res) {
		d.reply.stream()
		res.Header.Set("X-Accel-Buffering", "no")
	}
	return nil
}

// streams reports whether an answer is a stream of events: server-sent events, or lines of JSON.
func streams(res *http.Response) bool {
	kind := res.Header.Get("Content-Type")
	return strings.HasPrefix(kind, "text/event-stream") || strings.HasPrefix(kind, "application/x-ndjson")
}

// protect sets the headers that make the browser protect the app's pages and data.
func protect(d *delivery, res *http.Response) error {
	h := res.Header
	h["X-Content-Type-Options"] = nosniff
	h["Cross-Origin-Resource-Policy"] = sameOrigin
	shareWithPages(d.v.Request, &d.v.requester, h)
	protectPage(d.v, res)
	if d.v.delegated && h["Cache-Control"] == nil {
		h["Cache-Control"] = private
	}
	if strings.HasPrefix(d.v.Request.app.PublicURL, "https://") {
		h["Strict-Transport-Security"] = transportSecurity
	}
	return nil
}

// protectPage sets the policy of a document that could run scripts. At an endpoint that serves no
// page, such a document is an upload or the builder's fallback, and its policy forbids everything.
// A 304 has no type, and it renews the headers that the browser has stored.
func protectPage(v *Verdict, res *http.Response) {
	page := v.endpoint().Page || v.Request.app.Kind.Fallback
	notModified := res.StatusCode == http.StatusNotModified
	if notModified && !page || !notModified && !active(res.Header.Get("Content-Type")) {
		return
	}
	res.Header["X-Frame-Options"] = frameOptions
	res.Header["Referrer-Policy"] = sameOrigin
	if page {
		res.Header.Add("Content-Security-Policy", v.Request.app.Profile.CSP("'self'"))
		return
	}
	res.Header.Add("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
}

// These header values never change; all answers share them.
var (
	nosniff           = []string{"nosniff"}
	sameOrigin        = []string{"same-origin"}
	frameOptions      = []string{"SAMEORIGIN"}
	private           = []string{"private, no-cache"}
	transportSecurity = []string{"max-age=31536000"}
)

// active reports whether a browser runs scripts in a document of this type.
func active(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	switch kind {
	case "", "text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml":
		return true
	}
	return strings.HasSuffix(kind, "+xml")
}

// readResults reads what the answer says about objects.
func readResults(d *delivery, res *http.Response) error {
	err := d.results.read(d.r.Context(), res)
	if err != nil {
		// The builder has acted, but its answer cannot be read.
		_ = d.results.recordStatus(d.r.Context(), noAnswer)
	}
	return err
}

// recordStatus records what the status says about a flow.
func recordStatus(d *delivery, res *http.Response) error {
	return d.results.recordStatus(d.r.Context(), res.StatusCode)
}

// Some builders' pages decide themselves whether a person is signed in, and offer features that
// Sluice does not support. Their HTML gets a Sluice script, and the browser gets the cookies that
// the pages look for; see builder.Page.

// pageScriptPath is the path of the script on every app's origin.
const pageScriptPath = reservedPrefix + "page.js"

var pageScriptTag = []byte(`<script src="` + pageScriptPath + `"></script>`)

// maxPage is the largest HTML page that is read to insert the script, in bytes.
const maxPage = 4 << 20

// getsScript reports whether the script goes into the answer, a page.
func getsScript(v *Verdict) bool {
	return v.endpoint().Page && len(v.Request.app.Kind.PageScript()) > 0
}

// addPageScript puts the script into an HTML page, and the cookies into its headers.
func addPageScript(d *delivery, res *http.Response) error {
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if !getsScript(d.v) || err != nil || kind != "text/html" || res.StatusCode != http.StatusOK {
		return nil
	}
	req := d.v.Request
	if d.v.delegated {
		req.setPageCookies(res.Header, false)
	}
	// These headers describe the page before the change.
	for _, name := range [...]string{"Etag", "Last-Modified", "Accept-Ranges", "Content-Md5"} {
		delete(res.Header, name)
	}
	res.Header["Cache-Control"] = private
	if req.http.Method == http.MethodHead {
		delete(res.Header, "Content-Length")
		return nil
	}
	body := res.Body
	defer func() { _ = body.Close() }()
	page, err := readWhole(req, res, maxPage)
	if err != nil {
		return err
	}
	setBody(res, withScript(page))
	return nil
}

// withScript puts the script in front of everything else in the head of a page, so that it runs
// before the page's own code. A page without a head is unchanged.
func withScript(page []byte) []byte {
	at := afterTag(page, "<head")
	if at < 0 {
		return page
	}
	out := make([]byte, 0, len(page)+len(pageScriptTag))
	out = append(append(out, page[:at]...), pageScriptTag...)
	return append(out, page[at:]...)
}

// afterTag returns the offset just after the first start tag with this beginning; -1 if the page
// lacks the tag. An earlier comment could contain the same text, which does no harm.
func afterTag(page []byte, tag string) int {
	for from := 0; ; {
		i := indexFold(page[from:], tag)
		if i < 0 {
			return -1
		}
		from += i + len(tag)
		if from == len(page) {
			return -1
		}
		switch page[from] {
		case '>', ' ', '\t', '\r', '\n':
			end := bytes.IndexByte(page[from:], '>')
			if end < 0 {
				return -1
			}
			return from + end + 1
		}
	}
}

// indexFold is bytes.Index for a lower-case text, ignoring the case of ASCII letters.
func indexFold(b []byte, lower string) int {
	for i := 0; i+len(lower) <= len(b); i++ {
		if bytes.EqualFold(b[i:i+len(lower)], []byte(lower)) {
			return i
		}
	}
	return -1
}

// inspectedError is how much of an error's body is inspected, in bytes.
const inspectedError = 64 << 10

// hideTrace replaces the body of a failure that reveals the builder's internals: stack traces, or
// file paths. It also replaces a body that is compressed, because that cannot be read.
func hideTrace(d *delivery, res *http.Response) error {
	req := d.v.Request
	if res.StatusCode < http.StatusInternalServerError || req.http.Method == http.MethodHead || streams(res) {
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
	e := problem.Newf(
		problem.Internal,
		"%s failed while it worked on this. The details are in its own log.",
		req.app.Name,
	).WithRule("builder failed")
	a := req.app.Profile.ErrorFor(req.http.Header, e, req.id)
	d.reply.event.Reason = "builder failed"
	for _, name := range [...]string{"Content-Encoding", "Etag", "Last-Modified", "Transfer-Encoding"} {
		delete(res.Header, name)
	}
	for name, values := range a.Header {
		res.Header[name] = values
	}
	res.Header.Set("Content-Length", strconv.Itoa(len(a.Body)))
	res.Body, res.ContentLength, res.TransferEncoding = bodyOf(a), int64(len(a.Body)), nil
	return nil
}

func bodyOf(a profile.Answer) io.ReadCloser { return io.NopCloser(bytes.NewReader(a.Body)) }

// joined reads from one and closes the other.
type joined struct {
	io.Reader
	io.Closer
}

// tells reports whether a text reveals where the builder's code is or how it was called.
func tells(body []byte) bool {
	for _, sign := range [...]string{
		"\n    at ",
		`\n    at `,
		"node_modules/",
		"Traceback (most recent call last)",
		`File "/`,
		`File \"/`,
		"site-packages/",
		"node:internal",
		`.py", line `,
		`.py\", line `,
		".py:",
	} {
		if bytes.Contains(body, []byte(sign)) {
			return true
		}
	}
	return false
}
