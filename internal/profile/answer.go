package profile

import (
	"context"
	"encoding/json"
	"net/http"

	"sluice/internal/problem"
)

// answerFunc gives one answer in the builder's stead.
type answerFunc func(ctx context.Context, c AnswerContext) (Answer, error)

// Answer gives what Endpoint.Answer names. Errors are of package problem and to be rendered with Error.
func (p *Profile) Answer(ctx context.Context, name string, c AnswerContext) (Answer, error) {
	fn, ok := p.style.answers[name]
	if !ok {
		return Answer{}, problem.New(problem.NotFound, "This builder has no such page.").WithRule("answer." + name)
	}
	return fn(ctx, c)
}

// Error renders an error as the builder would, so that its pages and clients understand it. Detail, next step, rule and request id are safe.
func (p *Profile) Error(e *problem.Error, requestID string) Answer {
	contentType, body := p.style.errorBody(e, requestID)
	a := jsonAnswer(e.Kind.Status(), body)
	a.Header.Set("Content-Type", contentType)
	e.SetHeaders(a.Header)
	return a
}

// ErrorFor is Error for a request with the given headers, as the client sent them. It differs where the builder's own pages would lose a
// person's work: a denied call of Flowise's pages is answered 423 with the whole sentence instead of 403, on which they leave the canvas.
func (p *Profile) ErrorFor(h http.Header, e *problem.Error, requestID string) Answer {
	if e.Kind != problem.Denied || p.style.pageCall == nil || !p.style.pageCall(h) {
		return p.Error(e, requestID)
	}
	a := p.style.pageDenied(e, requestID)
	e.SetHeaders(a.Header)
	return a
}

// jsonAnswer renders a value that Sluice made itself; marshalling such values cannot fail.
func jsonAnswer(status int, body any) Answer {
	data, err := json.Marshal(body)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"message":"Sluice could not write this answer."}`)
	}
	return Answer{
		Status: status,
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}},
		Body:   data,
	}
}

// rfc9457 is the error shape of builders that have none of their own.
func rfc9457(e *problem.Error, requestID string) (string, any) {
	return problem.ContentType, e.Document(requestID)
}
