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
