package profile

import (
	"encoding/json"
	"net/http"

	"sluice/internal/problem"
)

// Error renders an error as the builder would, so that its pages and clients understand it. Detail,
// next step, rule and request id are safe.
func (p *Profile) Error(e *problem.Error, requestID string) Answer {
	contentType, body := p.style.Error(e, requestID)
	a := JSON(e.Kind.Status(), body)
	a.Header.Set("Content-Type", contentType)
	e.SetHeaders(a.Header)
	return a
}

// ErrorFor is Error for a request with the given headers, as the client sent them. It differs where
// the builder's own pages would lose a person's work: a denied call of theirs is answered as
// Style.PageDenied says.
func (p *Profile) ErrorFor(h http.Header, e *problem.Error, requestID string) Answer {
	if e.Kind != problem.Denied || p.style.PageCall == nil || !p.style.PageCall(h) {
		return p.Error(e, requestID)
	}
	a := p.style.PageDenied(e, requestID)
	e.SetHeaders(a.Header)
	return a
}

// JSON is an answer with a value that Sluice itself has built; marshaling such values cannot fail.
func JSON(status int, body any) Answer {
	data, err := json.Marshal(body)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"message":"Sluice could not write this answer."}`)
	}
	return Answer{
		Status: status,
		Header: http.Header{
			"Content-Type":           {"application/json; charset=utf-8"},
			"Cache-Control":          {"no-store"},
			"X-Content-Type-Options": {"nosniff"},
		},
		Body: data,
	}
}

// rfc9457 is the error shape of builders that have none of their own.
func rfc9457(e *problem.Error, requestID string) (string, any) {
	return problem.ContentType, e.Document(requestID)
}
