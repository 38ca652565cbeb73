package proxy_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// runFile judges the rows of a file, as the corpus README describes them. Each row is a subtest in
// a world of its own, so that the order of the rows does not matter. No row is excused, and a row
// that cannot be sent as it is meant fails.
func runFile(t *testing.T, path string) {
	rows := corpusFile(t, path)
	if len(rows) == 0 {
		t.Fatalf("%s has no rows", path)
	}
	for i, r := range rows {
		t.Run(cmp.Or(r.ID, fmt.Sprintf("row %d", i+1)), func(t *testing.T) {
			w, b := corpusWorld(t, r)
			if why := w.judgeFilled(b, r); why != "" {
				t.Errorf("%s (%s, %s): %s\n\t%s", r.Class, r.As, r.Expect, cutTo(why, 2000), r.Why)
			}
		})
	}
}

func cutTo(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// corpusWorld is a fresh world with the builder that a row is about.
func corpusWorld(t *testing.T, r row) (*world, corpusBuilder) {
	t.Helper()
	switch r.App {
	case "flowise":
		f := startFixture(t)
		return newWorld(t, f, options{}), f
	case "langflow":
		return newLangflowCorpus(t)
	case "generic":
		f := startFixture(t)
		return newWorld(t, f, options{kind: "generic"}), f
	}
	t.Fatalf("there is no fixture for the app %q", r.App)
	return nil, nil
}

// judgeFilled fills in a row and judges it.
func (w *world) judgeFilled(b corpusBuilder, r row) string {
	if text, ok := r.text(); ok && strings.HasPrefix(text, "RAW:") {
		return w.judgeRaw(b, r, text)
	}
	r, err := w.fill(b, r)
	if err != nil {
		return "it cannot be sent: " + err.Error()
	}
	if r.Class == "smuggling" {
		return w.judgeBytes(b, r.bytes(w.rowHeader(b, r)))
	}
	return w.judge(b, r)
}

// text is the body of a row that is given as text.
func (r row) text() (string, bool) {
	var text string
	err := json.Unmarshal(r.Body, &text)
	return text, err == nil && len(r.Body) > 0
}

var (
	repeated    = regexp.MustCompile(`\bA\*(\d+)(KiB|MiB)?`)
	nested      = regexp.MustCompile(`^(.)\*(\d+) nested$`)
	stockText   = regexp.MustCompile(`<source text of the stock [^>]*>`)
	placeholder = regexp.MustCompile(`<(valid|computed|source text|gzip|multipart)[^>]*>|RAW:`)
)

// writtenOut is a text with all of "A*65536" and "A*60MiB".
func writtenOut(text string) string {
	return repeated.ReplaceAllStringFunc(text, func(found string) string {
		m := repeated.FindStringSubmatch(found)
		n, _ := strconv.Atoi(m[1])
		switch m[2] {
		case "KiB":
			n <<= 10
		case "MiB":
			n <<= 20
		}
		return strings.Repeat("A", n)
	})
}

// fill puts what a row describes in the place of its placeholders.
func (w *world) fill(b corpusBuilder, r row) (row, error) {
	body := writtenOut(w.filledBody(r))
	body = stockText.ReplaceAllString(body, lfStock)
	r.filled, r.Path = &body, writtenOut(r.Path)
	headers := map[string]string{}
	for name, v := range r.Headers {
		v = writtenOut(v)
		if strings.Contains(v, "<computed") {
			mac := hmac.New(sha256.New, []byte("a key of nobody's"))
			mac.Write([]byte(body))
			v = regexp.MustCompile(`<computed[^>]*>`).ReplaceAllString(v, hex.EncodeToString(mac.Sum(nil)))
		}
		if strings.Contains(v, "<valid token>") {
			v = strings.ReplaceAll(v, "<valid token>", w.bound(b, r))
		}
		if strings.Contains(v, "<valid") {
			token, _ := w.session(cmp.Or(rowRole(r), "viewer"))
			v = regexp.MustCompile(`<valid[^>]*>`).ReplaceAllString(v, token)
		}
		headers[name] = v
	}
	r.Headers = headers
	for _, part := range append(values(headers), r.Path, body) {
		if left := placeholder.FindString(part); left != "" && left != lfStock {
			return r, fmt.Errorf("nobody knows what %q stands for", left)
		}
	}
	return r, nil
}

func values(m map[string]string) (list []string) {
	for _, v := range m {
		list = append(list, v)
	}
	return list
}

// filledBody is the body that a row describes.
func (w *world) filledBody(r row) string {
	text, ok := r.text()
	switch {
	case !ok:
		return rowBody(r)
	case text == "<gzip of 1 GiB of blanks>":
		var member bytes.Buffer
		zip := gzip.NewWriter(&member)
		_, _ = zip.Write(bytes.Repeat([]byte(" "), 16<<20))
		_ = zip.Close()
		return strings.Repeat(member.String(), 64) // members of one file are read as one text (RFC 1952 section 2.2)
	case strings.HasPrefix(text, "<multipart body whose boundary is followed by 1 MiB of hyphens"):
		_, boundary, _ := strings.Cut(r.Headers["Content-Type"], "boundary=")
		return "--" + boundary + strings.Repeat("-", 1<<20) + "\r\nContent-Disposition: form-data; name=\"file\"; " +
			"filename=\"a.txt\"\r\n\r\nx\r\n--" + boundary + "--\r\n"
	}
	if m := nested.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[2])
		return strings.Repeat(m[1], n)
	}
	return text
}

// bytes are a row as sent on the wire.
func (r row) bytes(h map[string][]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.Method, r.Path)
	if h["Host"] == nil {
		b.WriteString("Host: " + appHost + "\r\n")
	}
	for name, list := range h {
		for _, v := range list {
			b.WriteString(name + ": " + v + "\r\n")
		}
	}
	body := rowBody(r)
	if body != "" && h["Content-Length"] == nil && h["Transfer-Encoding"] == nil {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return b.String() + "\r\n" + body
}

// judgeRaw judges a row that describes its bytes.
func (w *world) judgeRaw(b corpusBuilder, r row, description string) string {
	text, ok := smuggling[r.ID], false
	for _, known := range corpusRaw {
		if text != "" {
			break
		}
		if ok = known.is.MatchString(description); ok {
			text = known.bytes
		}
	}
	if text == "" {
		return "it cannot be sent: no bytes are known for " + description
	}
	return w.judgeBytes(b, text)
}

// judgeBytes sends bytes on a connection of its own: the builder gets no request at all, or exactly
// one.
func (w *world) judgeBytes(b corpusBuilder, text string) string {
	b.prepare(row{})
	got := w.raw(text, "GET")
	log := b.arrived()
	switch {
	case len(log) > 1:
		return fmt.Sprintf("%d requests reached the builder", len(log))
	case len(log) == 1 && (log[0].broken || !strings.HasPrefix(log[0].target, "/api/v1/ping")):
		return "the builder got " + log[0].raw
	case got.status != 0 && got.status < 400 && len(log) == 0:
		return fmt.Sprintf("status %d and nothing was forwarded: %s", got.status, got.body)
	}
	return ""
}

// corpusRaw are the bytes for what RAW rows describe, the first that matches.
var corpusRaw = []struct {
	is    *regexp.Regexp
	bytes string
}{
	rawBytes(`(?i)two .*host|host.* twice|second host`, "GET", "Host: evil.example\r\n", ""),
	rawBytes(`(?i)HTTP/2|PRI \*|preface`, "", smuggling["fw-349"], ""),
	rawBytes(`(?i)h2c|http2-settings`, "", smuggling["fw-351"], ""),
	rawBytes(`(?i)expect`, "", smuggling["fw-353"], ""),
	rawBytes(`(?i)xchunked|unknown .*coding`, "POST", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
	rawBytes(`(?i)blank before the colon|encoding :`, "POST", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
	rawBytes(`(?i)transfer-encoding.*(twice|two)|two transfer-encoding`, "POST",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
	rawBytes(`(?i)chunked, *identity|identity, *chunked|chunked, *chunked`, "POST",
		"Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
	rawBytes(`(?i)fold`, "POST", "Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
	rawBytes(`(?i)content-length.*transfer-encoding|transfer-encoding.*content-length|CL\.TE|TE\.CL`, "POST",
		"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG"),
	rawBytes(`(?i)two .*content-length|content-length.*(twice|differ)`, "POST",
		"Content-Length: 0\r\nContent-Length: 25\r\n", "GET /api/v1/x HTTP/1.1\r\n\r\n"),
	rawBytes(`(?i)content-length: *0x|hexadecimal length`, "POST", "Content-Length: 0x6\r\n", "abcdef"),
	rawBytes(`(?i)content-length: *\+|plus`, "POST", "Content-Length: +6\r\n", "abcdef"),
	rawBytes(`(?i)content-length: *-|negative`, "POST", "Content-Length: -1\r\n", ""),
	rawBytes(`(?i)content-length.*(comma|list|6, *6)`, "POST", "Content-Length: 6, 6\r\n", "abcdef"),
	rawBytes(`(?i)chunk extension`, "POST", "Transfer-Encoding: chunked\r\n", "1;a=\r\nb\r\n0\r\n\r\n"),
	rawBytes(`(?i)trailer`, "POST", "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n",
		"1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n"),
	rawBytes(`(?i)chunk size|chunk.*(overflow|negative|0x|digits)`, "POST", "Transfer-Encoding: chunked\r\n",
		strings.Repeat("0", 60)+"ffffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
	rawBytes(`(?i)bare CR\b`, "GET", "X-A: b\rContent-Length: 5\r\n", ""),
	rawBytes(`(?i)bare LF|LF only|line feed`, "GET", "X-A: b\nContent-Length: 5\n", ""),
	rawBytes(`(?i)NUL`, "GET", "X-A: a\x00b\r\n", ""),
	rawBytes(`(?i)TAB|two blanks`, "", smuggling["fw-347"], ""),
	rawBytes(`(?i)GET with a body|second request inside|pipelin`, "", smuggling["fw-345"], ""),
	rawBytes(`(?i)HTTP/0\.9`, "", "GET /api/v1/ping\r\n\r\n", ""),
	rawBytes(`(?i)HTTP/1\.2|HTTP/1\.1\.1|HTTP/9|version number`, "",
		"GET /api/v1/ping HTTP/1.2\r\nHost: sluice.test\r\n\r\n", ""),
	rawBytes(`(?i)no host|without .*host`, "", "GET /api/v1/ping HTTP/1.1\r\n\r\n", ""),
	rawBytes(`(?i)CONNECT`, "", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: sluice.test\r\n\r\n", ""),
	rawBytes(`(?i)asterisk|OPTIONS \*`, "", "OPTIONS * HTTP/1.1\r\nHost: sluice.test\r\n\r\n", ""),
	rawBytes(`(?i)upgrade`, "GET", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", ""),
}

// rawBytes makes the bytes of a request to a harmless path; without a method, header is the whole
// text.
func rawBytes(pattern, method, header, body string) struct {
	is    *regexp.Regexp
	bytes string
} {
	text := header
	if method != "" {
		text = method + " /api/v1/ping HTTP/1.1\r\nHost: sluice.test\r\n" + header + "\r\n" + body
	}
	return struct {
		is    *regexp.Regexp
		bytes string
	}{regexp.MustCompile(pattern), text}
}

// answeredHere reports whether Sluice itself answers an endpoint.
func (w *world) answeredHere(r row) bool {
	path, _, _ := strings.Cut(r.Path, "?")
	m, ok := w.app.Profile.Match(r.Method, path)
	return ok && m.Endpoint.Own.Answer != ""
}
