package proxy

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"mime"
	"net/http"

	"sluice/internal/profile"
)

// Some builders' pages decide by themselves whether somebody is signed in, and offer what Sluice does not give. Their HTML gets a script of Sluice's, and the browser the cookies that the
// pages look for; see builder.Page.

// pageScriptPath is where the script is, on every app's origin.
const pageScriptPath = reservedPrefix + "page.js"

var pageScriptTag = []byte(`<script src="` + pageScriptPath + `"></script>`)

// maxPage is the largest HTML page that is read to put the script into it, in bytes.
const maxPage = 4 << 20

// dressesPage reports whether the answer is a page that gets the script.
func (x *exchange) dressesPage() bool {
	return x.match.Endpoint.Page && len(x.app.Kind.PageScript()) > 0
}

// dressPage puts the script into an HTML page, and the cookies beside it.
func (x *exchange) dressPage(res *http.Response) error {
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if !x.dressesPage() || err != nil || kind != "text/html" || res.StatusCode != http.StatusOK {
		return nil
	}
	x.setPageCookies(res.Header, false)
	// These describe the page as the builder gave it.
	for _, name := range [...]string{"Etag", "Last-Modified", "Accept-Ranges", "Content-Md5"} {
		delete(res.Header, name)
	}
	res.Header["Cache-Control"] = private
	if x.r.Method == http.MethodHead {
		delete(res.Header, "Content-Length")
		return nil
	}
	body := res.Body
	defer func() { _ = body.Close() }()
	page, err := x.readWhole(res, maxPage)
	if err != nil {
		return err
	}
	setBody(res, withScript(page))
	return nil
}

// withScript puts the script in front of everything else in the head of a page, so that it runs before the page's own code; a page without a head stays as it is.
func withScript(page []byte) []byte {
	at := afterTag(page, "<head")
	if at < 0 {
		return page
	}
	out := make([]byte, 0, len(page)+len(pageScriptTag))
	out = append(append(out, page[:at]...), pageScriptTag...)
	return append(out, page[at:]...)
}

// afterTag is where the first start tag with this beginning ends; -1 if there is none. A comment in front of it could hold the same text, which does no harm.
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

// indexFold is bytes.Index for a text in lower case, without regard to the case of ASCII letters.
func indexFold(b []byte, lower string) int {
	for i := 0; i+len(lower) <= len(b); i++ {
		if bytes.EqualFold(b[i:i+len(lower)], []byte(lower)) {
			return i
		}
	}
	return -1
}

// setPageCookies gives the browser of somebody who is signed in what the builder's pages look for, or takes it away.
func (x *exchange) setPageCookies(h http.Header, away bool) {
	if !away && !x.lend.SignedIn() {
		return
	}
	for _, template := range x.app.Kind.PageCookies() {
		c := *template
		c.Path, c.Domain, c.Secure, c.SameSite = "/", "", x.scheme() == "https", http.SameSiteLaxMode
		if away {
			c.Value, c.MaxAge = "", -1
		}
		h.Add("Set-Cookie", c.String())
	}
}

// servePageScript gives the script of the app's profile. It is the same for everybody, and changes with Sluice only.
func (x *exchange) servePageScript() {
	script := x.app.Kind.PageScript()
	sum := sha256.Sum256(script)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h := http.Header{"Content-Type": {"text/javascript; charset=utf-8"}, "Cache-Control": {"public, no-cache"}, "Etag": {tag}, "Cross-Origin-Resource-Policy": sameOrigin}
	if x.r.Header.Get("If-None-Match") == tag {
		x.w.Header()["Etag"] = h["Etag"]
		x.w.WriteHeader(http.StatusNotModified)
		return
	}
	x.write(profile.Answer{Status: http.StatusOK, Header: h, Body: script})
}
