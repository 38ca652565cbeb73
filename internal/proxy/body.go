package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"sluice/internal/guard"
	"sluice/internal/problem"
	"sluice/internal/profile"
)

// body is the body of a request in memory, as a value: read completely, judged if the endpoint
// needs it, and sent to the builder byte for byte. The zero value is a body that was not read.
type body struct {
	// held reports that data is the complete body.
	held bool
	data []byte
	// fields are the top-level members; nil unless the body was inspected.
	fields []field
	// list is the body if it is a list and the endpoint takes one.
	list []byte
}

type field struct{ key, value []byte }

// inspected reports whether the body was parsed.
func (b body) inspected() bool { return b.fields != nil }

// reader reads the body again from its start.
func (b body) reader() io.ReadCloser { return io.NopCloser(bytes.NewReader(b.data)) }

// textAt returns the string at a key; "" if the key is missing or null.
func (b body) textAt(key string) (string, error) { return textIn(b.valueAt(key), key) }

// maxNamed bounds how many objects a request can name in one list.
const maxNamed = 1000

// textsAt returns the string at a key, or the strings of the list there.
func (b body) textsAt(key string) ([]string, error) {
	value := b.valueAt(key)
	if len(value) > 0 && value[0] == '[' {
		var list []string
		if err := json.Unmarshal(value, &list); err != nil || len(list) > maxNamed {
			return nil, problem.Newf(problem.Invalid, "This must be a list of at most %d texts.", maxNamed).
				WithField(key).WithRule("object.id")
		}
		return list, nil
	}
	one, err := textIn(value, key)
	if err != nil || one == "" {
		return nil, err
	}
	return []string{one}, nil
}

// textIn decodes a string value, the one at key; "" if the value is missing or null.
func textIn(value []byte, key string) (string, error) {
	if value == nil || string(value) == "null" {
		return "", nil
	}
	if value[0] != '"' {
		return "", problem.New(problem.Invalid, "This must be a text.").WithField(key).WithRule("flow.id")
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return "", problem.New(problem.Invalid, "This must be a text.").
			WithField(key).WithRule("flow.id").WithCause(err)
	}
	return s, nil
}

// valueAt returns the JSON value at a top-level key, at a key of an object in it
// ("inputs.session"), or at "." for a body that is a list; nil if the key is missing.
func (b body) valueAt(key string) []byte {
	if key == "." {
		return b.list
	}
	for _, f := range b.fields {
		if string(f.key) == key {
			return f.value
		}
	}
	outer, inner, nested := strings.Cut(key, ".")
	if !nested || outer == "" {
		return nil
	}
	var found []byte
	for _, f := range b.fields {
		if string(f.key) == outer && f.value[0] == '{' {
			err := guard.ScanObject(f.value, func(k, v []byte) {
				if string(k) == inner {
					found = v
				}
			})
			if err != nil {
				return nil // cannot happen: it was already read as part of the body
			}
		}
	}
	return found
}

// without returns an inspected body without some top-level members. All other bytes are unchanged.
func (b body) without(keys []string) body {
	spans := memberSpans(b.data, b.fields)
	kept := b.fields[:0:0]
	out := append(make([]byte, 0, len(b.data)), b.data[:spans[0].from]...)
	for i, f := range b.fields {
		if slices.Contains(keys, string(f.key)) {
			continue
		}
		if len(kept) > 0 {
			out = append(out, ',')
		}
		value := len(out) + cap(b.data) - cap(f.value) - spans[i].from
		out = append(out, b.data[spans[i].from:spans[i].to]...)
		kept = append(kept, field{f.key, out[value : value+len(f.value)]})
	}
	last := spans[len(spans)-1]
	b.data, b.fields = append(out, b.data[last.to:]...), kept
	return b
}

// span is the extent of a member: from the opening quote of its key to the end of its value,
// including the blanks around it.
type span struct{ from, to int }

// memberSpans finds the top-level members of an object that was scanned. It relies on two facts:
// only blanks and commas separate members, and values are slices of data.
func memberSpans(data []byte, fields []field) []span {
	spans := make([]span, len(fields))
	at := bytes.IndexByte(data, '{') + 1
	for i, f := range fields {
		end := cap(data) - cap(f.value) + len(f.value)
		spans[i] = span{at, end}
		if comma := bytes.IndexByte(data[end:], ','); comma >= 0 && i < len(fields)-1 {
			spans[i].to = end + comma
		}
		at = spans[i].to + 1
	}
	return spans
}

// with returns an inspected body with an added member. The other members remain readable, but can
// no longer be removed.
func (b body) with(key string, value []byte) body {
	start := bytes.IndexByte(b.data, '{') + 1
	member := append(append(strconv.AppendQuote(nil, key), ':'), value...)
	if len(b.fields) > 0 {
		member = append(member, ',')
	}
	b.data = slices.Concat(b.data[:start], member, b.data[start:])
	return b
}

// memory is what one exchange holds of the memory for bodies, in bytes. The zero value holds
// nothing and cannot take any.
type memory struct {
	all  *atomic.Int64 // held by all exchanges
	most int64         // the bound on all
	held int64
}

// take adds to what the exchange holds. It fails with problem.Unavailable if all memory is in use.
func (m *memory) take(size int64) error {
	if m.all.Add(size) > m.most {
		m.all.Add(-size)
		return problem.New(problem.Unavailable, "Sluice is busy with large requests.").
			WithRetryAfter(2 * time.Second).WithRule("body.memory")
	}
	m.held += size
	return nil
}

// keep returns everything beyond size.
func (m *memory) keep(size int64) {
	if m.held > size {
		m.all.Add(size - m.held)
		m.held = size
	}
}

// intake reads the body of a request when a step first needs it.
type intake struct {
	body body
}

// hold reads at most limit bytes of the body into memory.
func (i *intake) hold(req *Request, limit int64) error {
	if i.body.held {
		return nil
	}
	size := req.http.ContentLength
	if size > limit {
		return tooLarge(limit)
	}
	if size < 0 {
		size = limit
	}
	if err := req.memory.take(size); err != nil {
		return err
	}
	data, err := readAll(req, limit)
	if err != nil {
		return err
	}
	i.body = body{held: true, data: data}
	return nil
}

// inspect reads the body and parses it. It is strict: it refuses everything that the builder's
// parsers could read differently. It also refuses every encoding except plain JSON, because the
// builders read forms into the same variables. A stranger's body has a smaller limit.
func (i *intake) inspect(req *Request, e *profile.Endpoint, stranger bool) error {
	if i.body.inspected() {
		return nil
	}
	if req.http.ContentLength == 0 {
		i.body = body{held: true, fields: []field{}}
		return nil
	}
	if err := plainJSON(req.http.Header); err != nil {
		return err
	}
	limit := req.maxBody(e)
	if stranger {
		limit = min(limit, req.p.cfg.MaxStrangerBody)
	}
	if err := i.hold(req, limit); err != nil {
		return err
	}
	if err := i.takeApart(e); err != nil {
		return problem.Newf(problem.Invalid, "The body cannot be forwarded: %v.", err).WithRule("body.json")
	}
	return nil
}

// takeApart parses the body as a JSON object, or as a list if the endpoint takes a list of ids.
func (i *intake) takeApart(e *profile.Endpoint) error {
	fields := []field{}
	visit := func(k, v []byte) { fields = append(fields, field{k, v}) }
	data := bytes.TrimSpace(i.body.data)
	if !bytes.HasPrefix(data, []byte("[")) || !takesList(e) {
		err := guard.ScanObject(i.body.data, visit)
		i.body.fields = fields
		return err
	}
	err := guard.ScanObject(slices.Concat([]byte(`{"list":`), data, []byte("}")), visit)
	if err == nil && (len(fields) != 1 || len(fields[0].value) != len(data)) {
		err = errors.New("there is text after the list")
	}
	i.body.fields, i.body.list = []field{}, data
	return err
}

// takesList reports whether the body of a request is a list of ids.
func takesList(e *profile.Endpoint) bool {
	return slices.ContainsFunc(e.Objects, func(ref profile.IDRef) bool {
		return ref.In == profile.InBody && ref.Name == profile.Whole
	})
}

// plainJSON checks the headers that describe the body.
func plainJSON(h http.Header) error {
	if h["Content-Encoding"] != nil {
		return compressed()
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset, named := params["charset"]
	if err != nil || kind != "application/json" || named && !strings.EqualFold(charset, "utf-8") {
		return problem.New(problem.Invalid, "The body must be application/json in UTF-8.").
			WithRule("body.type").WithField("Content-Type")
	}
	return nil
}

func compressed() error {
	return problem.New(problem.Invalid, "Compressed request bodies are not accepted here.").
		WithRule("body.encoding").WithField("Content-Encoding")
}

func readAll(req *Request, limit int64) ([]byte, error) {
	from := req.arriving(limit)
	if n := req.http.ContentLength; n >= 0 {
		data := make([]byte, n)
		_, err := io.ReadFull(from, data)
		return data, readError(err)
	}
	data, err := io.ReadAll(from)
	return data, readError(err)
}

func readError(err error) error {
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	default:
		return problem.New(problem.Invalid, "The body did not arrive in full.").WithRule("body.read").WithCause(err)
	}
}

// maxBody is the largest body that an endpoint takes, in bytes.
func (q *Request) maxBody(e *profile.Endpoint) int64 {
	if n := e.MaxBody; n > 0 {
		return n
	}
	return q.p.cfg.MaxBody
}

func tooLarge(limit int64) error {
	return problem.Newf(problem.TooLarge, "The body is larger than %s.", size(limit)).WithRule("body.size")
}

func size(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// arriving is the body as the client sends it: at most limit bytes, without long pauses.
func (q *Request) arriving(limit int64) io.ReadCloser {
	return &arrivingBody{
		ReadCloser: http.MaxBytesReader(q.w, q.http.Body, limit),
		control:    http.NewResponseController(q.w),
		pause:      q.p.cfg.BodyTimeout,
	}
}

// arrivingBody is a request body whose sender may pause only briefly.
type arrivingBody struct {
	io.ReadCloser
	control *http.ResponseController
	pause   time.Duration
}

// Read waits for the next piece of the body. After the last piece, net/http clears the deadline
// itself. After a failure the deadline remains, so that net/http does not wait for the rest either.
func (b *arrivingBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.pause))
	return b.ReadCloser.Read(p)
}
