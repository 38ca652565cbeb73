package proxy

import (
	"bytes"
	"compress/gzip"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"sluice/internal/problem"
)

// maxRead bounds how much of an answer is read to find objects in it, in bytes after decompression.
const maxRead = 32 << 20

// readStep is how much memory is taken at a time for an answer of unknown length, in bytes.
const readStep = 256 << 10

// askPlain asks the builder for a readable answer: complete, uncompressed, and never a 304.
func askPlain(h http.Header) {
	for _, name := range [...]string{"Accept-Encoding", "If-None-Match", "If-Modified-Since", "If-Range", "Range"} {
		delete(h, name)
	}
	h["Accept-Encoding"] = identityEncoding
}

var identityEncoding = []string{"identity"}

func isJSON(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// readAnswer reads the builder's JSON into memory. An answer that cannot be read is not forwarded.
func readAnswer(req *Request, res *http.Response) ([]byte, error) {
	defer func() { _ = res.Body.Close() }()
	if !isJSON(res.Header) {
		return nil, unreadable(req, "an answer in an unexpected form")
	}
	return readWhole(req, res, maxRead)
}

// readWhole reads a body of at most limit bytes into memory and decompresses it, because some
// builders compress answers unasked. The caller closes the body.
func readWhole(req *Request, res *http.Response, limit int64) ([]byte, error) {
	from, size := io.Reader(res.Body), res.ContentLength
	switch strings.ToLower(res.Header.Get("Content-Encoding")) {
	case "", "identity":
		if size > limit {
			return nil, tooLong(req, limit)
		}
	case "gzip":
		plain, err := gzip.NewReader(res.Body)
		if err != nil {
			return nil, unreadable(req, "an answer whose compression is broken")
		}
		from, size = plain, -1
		delete(res.Header, "Content-Encoding")
		delete(res.Header, "Etag") // of the compressed form
	default:
		return nil, unreadable(req, "an answer in an unexpected form")
	}
	if size < 0 {
		return readUnknown(req, from, limit)
	}
	if err := req.memory.take(size); err != nil {
		return nil, err
	}
	body := make([]byte, size)
	_, err := io.ReadFull(from, body)
	return body, err
}

// readUnknown reads a body of unknown length. It takes memory as the body grows, so that a small
// answer uses only a little.
func readUnknown(req *Request, from io.Reader, limit int64) ([]byte, error) {
	var body bytes.Buffer
	for {
		if err := req.memory.take(readStep); err != nil {
			return nil, err
		}
		_, err := io.CopyN(&body, from, readStep)
		if err == io.EOF {
			return body.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		if int64(body.Len()) > limit {
			return nil, tooLong(req, limit)
		}
	}
}

func unreadable(req *Request, what string) error {
	return problem.Newf(
		problem.Upstream,
		"%s sent %s. Sluice cannot tell which parts belong to your workspace, so it forwards nothing.",
		req.app.Name, what,
	).WithRule("answer unreadable")
}

func tooLong(req *Request, limit int64) error {
	return problem.Newf(
		problem.Upstream,
		"The list from %s is longer than %s. Sluice cannot tell which parts belong to your workspace, so it "+
			"forwards nothing.",
		req.app.Name,
		size(limit),
	).WithRule("answer too long").WithNext("Request less at a time.")
}

// setBody replaces the body of an answer.
func setBody(res *http.Response, body []byte) {
	res.Body, res.ContentLength, res.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	res.Header["Content-Length"] = []string{strconv.Itoa(len(body))}
}
