package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"sluice/internal/problem"
)

// notJSON begins the error message for a body that is not valid JSON.
const notJSON = "not JSON: "

// maxDepth is how deep lists and objects can be nested; the deepest known body has two levels.
const maxDepth = 16

// strictQuery refuses a query that two parsers could read differently, or that contains text that
// no field accepts.
func strictQuery(r *http.Request) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return problem.New(problem.Invalid, "The query cannot be read. Expected: name=value, percent-encoded and "+
			"joined by &.").
			WithField("query")
	}
	for name, list := range values {
		switch {
		case len(list) > 1:
			return problem.New(problem.Invalid, "This parameter is given more than once.").WithField(shorten(name))
		case !plain(list[0]) || !plain(name):
			return problem.New(problem.Invalid, "A parameter must be printable text in UTF-8.").
				WithField(shorten(strings.ToValidUTF8(name, "�")))
		}
	}
	return nil
}

func plain(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// expectedBody refuses a body that would be ignored, so that no client believes it had an effect.
func expectedBody(op *huma.Operation, r *http.Request) error {
	if op.RequestBody != nil || r.ContentLength == 0 {
		return nil
	}
	return problem.New(problem.Invalid, "This request takes no body.").WithField("body")
}

// format is the JSON format that this API reads and writes.
func format() huma.Format { return huma.Format{Marshal: writeJSON, Unmarshal: readJSON} }

// writeJSON writes an answer in one piece. If the client has disconnected by then, that is not a
// failure of the server.
func writeJSON(w io.Writer, v any) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, _ = w.Write(buf.Bytes())
	return nil
}

// readJSON reads a body. Unlike encoding/json it refuses text that parsers disagree on (RFC 8259
// sections 4 and 8): repeated names, even in different case, text that is not UTF-8, and NUL, which
// PostgreSQL cannot store.
func readJSON(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New(notJSON + "it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := strictValue(d, 0); err != nil {
		return explain(err, d)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New(notJSON + "there is text after it")
	}
	return json.Unmarshal(data, v)
}

// refusal is a reason that is meant for people.
type refusal string

func (r refusal) Error() string { return string(r) }

func explain(err error, d *json.Decoder) error {
	var reason refusal
	switch {
	case errors.As(err, &reason):
		return errors.New(notJSON + string(reason))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New(notJSON + "it ends too early")
	}
	return fmt.Errorf("%sthe text is broken near byte %d", notJSON, d.InputOffset())
}

// strictValue checks one value.
func strictValue(d *json.Decoder, depth int) error {
	if depth > maxDepth {
		return refusal(fmt.Sprintf("it is nested deeper than %d levels", maxDepth))
	}
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case string:
		return strictText(token)
	case json.Delim:
		if token == '{' {
			return strictObject(d, depth)
		}
		for d.More() {
			if err := strictValue(d, depth+1); err != nil {
				return err
			}
		}
		_, err = d.Token()
		return err
	}
	return nil
}

func strictObject(d *json.Decoder, depth int) error {
	var names []string
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		for _, known := range names {
			if strings.EqualFold(known, name) {
				return refusal(fmt.Sprintf("the name %q is used twice in one object", shorten(name)))
			}
		}
		if names = append(names, name); len(names) > 64 {
			return refusal("an object has more than 64 names")
		}
		if err := strictValue(d, depth+1); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

func strictText(s string) error {
	if strings.ContainsRune(s, 0) {
		return refusal("a text holds the character NUL")
	}
	return nil
}
